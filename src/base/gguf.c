/* Version 3 (and 2, which is laid out alike), little-endian.
 * Source: docs/gguf.md of ggml-org/ggml. */
#include "base/gguf.h"

#include "base/alloc.h"

#include <string.h>

enum { DEFAULT_ALIGNMENT = 32 };
static const uint32_t newest = 3, oldest = 2;

static const size_t sizes[AN_GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4,
                                            1, 0, 0, 8, 8, 8};

typedef struct reader {
    const unsigned char *begin, *at, *end;
    an_error *err;
} reader;

static size_t left(const reader *r)
{
    return (size_t)(r->end - r->at);
}

static an_status cut(const reader *r, const char *what)
{
    return an_fail(r->err, AN_EFORMAT, "GGUF: byte %zu: %s is cut",
                   (size_t)(r->at - r->begin), what);
}

static uint64_t number(const unsigned char *p, size_t n)
{
    uint64_t x = 0;
    for (size_t i = n; i-- > 0;)
        x = x << 8 | p[i];
    return x;
}

static an_status read_number(reader *r, size_t n, uint64_t *out)
{
    if (left(r) < n) return cut(r, "a number");
    *out = number(r->at, n);
    r->at += n;
    return AN_OK;
}

static an_status read_text(reader *r, an_gguf_text *out)
{
    uint64_t n = 0;
    an_status s = read_number(r, 8, &n);
    if (s != AN_OK) return s;
    if (n > left(r)) return cut(r, "a string");
    *out = (an_gguf_text){(const char *)r->at, (size_t)n};
    r->at += n;
    return AN_OK;
}

/* Steps over v->n items of v->type. */
static an_status read_items(reader *r, an_gguf_value *v)
{
    an_status s = AN_OK;
    an_gguf_text text;
    v->data = r->at;
    if (v->type != AN_GGUF_STRING) {
        if (v->n > left(r) / sizes[v->type]) return cut(r, "an array");
        r->at += v->n * sizes[v->type];
    } else {
        for (uint64_t i = 0; s == AN_OK && i < v->n; i++)
            s = read_text(r, &text);
    }
    v->end = r->at;
    return s;
}

static an_status read_value(reader *r, an_gguf_value *v)
{
    uint64_t type = 0;
    an_status s = read_text(r, &v->key);
    if (s == AN_OK) s = read_number(r, 4, &type);
    v->n = 1;
    v->is_array = type == AN_GGUF_ARRAY;
    if (s == AN_OK && v->is_array) s = read_number(r, 4, &type);
    if (s == AN_OK && v->is_array) s = read_number(r, 8, &v->n);
    if (s != AN_OK) return s;
    if (type >= AN_GGUF_TYPES || type == AN_GGUF_ARRAY)
        return an_fail(r->err, AN_EFORMAT, "GGUF: %.*s: type %llu",
                       v->key.size < 60 ? (int)v->key.size : 60, v->key.text,
                       (unsigned long long)type);
    v->type = (an_gguf_type)type;
    return read_items(r, v);
}

static an_status read_tensor(reader *r, an_gguf_tensor *t)
{
    uint64_t n_dims = 0, type = 0;
    an_status s = read_text(r, &t->name);
    if (s == AN_OK) s = read_number(r, 4, &n_dims);
    if (s == AN_OK && (n_dims < 1 || n_dims > AN_GGUF_MAX_DIMS))
        s = an_fail(r->err, AN_EFORMAT, "GGUF: a tensor of %llu dimensions",
                    (unsigned long long)n_dims);
    for (uint64_t i = 0; s == AN_OK && i < n_dims; i++)
        s = read_number(r, 8, &t->dims[i]);
    if (s == AN_OK) s = read_number(r, 4, &type);
    if (s == AN_OK) s = read_number(r, 8, &t->offset);
    t->n_dims = (int)n_dims;
    t->type = (uint32_t)type;
    return s;
}

/* Offsets in the file count from where the head ends, rounded up. */
static an_status place_tensors(const reader *r, an_gguf *g)
{
    int64_t alignment = DEFAULT_ALIGNMENT;
    an_status s = an_gguf_int(g, "general.alignment", &alignment, r->err);
    if (s != AN_OK) return s;
    if (alignment < 1 || alignment > 1 << 20 || (alignment & (alignment - 1)))
        return an_fail(r->err, AN_EFORMAT, "GGUF: general.alignment is %lld",
                       (long long)alignment);
    uint64_t size = (uint64_t)(r->end - r->begin);
    uint64_t head = (uint64_t)(r->at - r->begin);
    uint64_t mask = (uint64_t)alignment - 1, start = (head + mask) & ~mask;
    for (size_t i = 0; i < g->n_tensors; i++) {
        an_gguf_tensor *t = &g->tensors[i];
        if (start > size || t->offset > size - start)
            return an_fail(
                r->err, AN_EFORMAT, "GGUF: %.*s begins behind the file's end",
                t->name.size < 60 ? (int)t->name.size : 60, t->name.text);
        t->offset += start;
    }
    return AN_OK;
}

static an_status read_all(reader *r, an_gguf *g)
{
    uint64_t version = 0, n_tensors = 0, n_values = 0;
    r->at += 4;
    an_status s = read_number(r, 4, &version);
    if (s == AN_OK && (version < oldest || version > newest))
        return an_fail(r->err, AN_EUNSUPPORTED,
                       "GGUF version %llu; 2 and 3 are read",
                       (unsigned long long)version);
    if (s == AN_OK) s = read_number(r, 8, &n_tensors);
    if (s == AN_OK) s = read_number(r, 8, &n_values);
    if (s != AN_OK) return s;
    /* A value takes 13 bytes and more, a tensor 32. */
    if (n_values > left(r) / 13 || n_tensors > left(r) / 32)
        return cut(r, "the list of values or tensors");
    g->values = an_alloc_array((size_t)n_values, sizeof *g->values);
    g->tensors = an_alloc_array((size_t)n_tensors, sizeof *g->tensors);
    if (!g->values || !g->tensors)
        return an_fail(r->err, AN_ENOMEM, "GGUF: no memory");
    for (; s == AN_OK && g->n_values < n_values; g->n_values++)
        s = read_value(r, &g->values[g->n_values]);
    for (; s == AN_OK && g->n_tensors < n_tensors; g->n_tensors++)
        s = read_tensor(r, &g->tensors[g->n_tensors]);
    return s == AN_OK ? place_tensors(r, g) : s;
}

bool an_gguf_is(const void *data, size_t size)
{
    return size >= 8 && memcmp(data, "GGUF", 4) == 0;
}

an_status an_gguf_parse(const void *data, size_t size, an_gguf *out,
                        an_error *err)
{
    const unsigned char *p = data;
    reader r = {p, p, p + size, err};
    an_gguf g = {0};
    if (!an_gguf_is(data, size))
        return an_fail(err, AN_EFORMAT, "not a GGUF file");
    an_status s = read_all(&r, &g);
    if (s == AN_OK)
        *out = g;
    else
        an_gguf_fini(&g);
    return s;
}

void an_gguf_fini(an_gguf *g)
{
    an_free(g->values);
    an_free(g->tensors);
    *g = (an_gguf){0};
}

/* ---- values ---- */

const an_gguf_value *an_gguf_find(const an_gguf *g, const char *key)
{
    size_t size = strlen(key);
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i].key.size == size &&
            memcmp(g->values[i].key.text, key, size) == 0)
            return &g->values[i];
    return NULL;
}

static an_status wrong(const char *key, const char *expected, an_error *err)
{
    return an_fail(err, AN_EFORMAT, "GGUF: %s: expected %s", key, expected);
}

static bool is_integer(const an_gguf_value *v)
{
    return !v->is_array && v->type != AN_GGUF_F32 && v->type != AN_GGUF_F64 &&
           v->type != AN_GGUF_STRING && v->type != AN_GGUF_BOOL;
}

static int64_t integer(an_gguf_type type, const unsigned char *p)
{
    uint64_t x = number(p, sizes[type]);
    switch (type) {
    case AN_GGUF_I8:
        return (int8_t)x;
    case AN_GGUF_I16:
        return (int16_t)x;
    case AN_GGUF_I32:
        return (int32_t)x;
    default:
        return (int64_t)x;
    }
}

an_status an_gguf_int(const an_gguf *g, const char *key, int64_t *out,
                      an_error *err)
{
    const an_gguf_value *v = an_gguf_find(g, key);
    if (!v) return AN_OK;
    if (!is_integer(v)) return wrong(key, "an integer", err);
    *out = integer(v->type, v->data);
    return AN_OK;
}

double an_gguf_number(const an_gguf_value *v, uint64_t i)
{
    const unsigned char *p = v->data + i * sizes[v->type];
    float f;
    double d;
    if (v->type == AN_GGUF_F32) {
        memcpy(&f, p, sizeof f);
        return (double)f;
    }
    if (v->type != AN_GGUF_F64) return (double)integer(v->type, p);
    memcpy(&d, p, sizeof d);
    return d;
}

an_status an_gguf_real(const an_gguf *g, const char *key, double *out,
                       an_error *err)
{
    const an_gguf_value *v = an_gguf_find(g, key);
    if (!v) return AN_OK;
    if (v->is_array || v->type == AN_GGUF_STRING || v->type == AN_GGUF_BOOL)
        return wrong(key, "a number", err);
    *out = an_gguf_number(v, 0);
    return AN_OK;
}

an_status an_gguf_bool(const an_gguf *g, const char *key, bool *out,
                       an_error *err)
{
    const an_gguf_value *v = an_gguf_find(g, key);
    if (!v) return AN_OK;
    if (v->is_array || v->type != AN_GGUF_BOOL)
        return wrong(key, "true or false", err);
    *out = v->data[0] != 0;
    return AN_OK;
}

an_gguf_text an_gguf_next(const unsigned char **at)
{
    size_t size = (size_t)number(*at, 8);
    an_gguf_text text = {(const char *)*at + 8, size};
    *at += 8 + size;
    return text;
}

an_status an_gguf_string(const an_gguf *g, const char *key, an_gguf_text *out,
                         an_error *err)
{
    const an_gguf_value *v = an_gguf_find(g, key);
    if (!v) return AN_OK;
    if (v->is_array || v->type != AN_GGUF_STRING)
        return wrong(key, "a string", err);
    const unsigned char *at = v->data;
    *out = an_gguf_next(&at);
    return AN_OK;
}
