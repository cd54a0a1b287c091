/*
 * safetensors: nothing of a file is believed before it was checked against the
 * file's size. After sorting by offset every tensor must start where the one
 * before ended, which excludes holes and overlap at once. The format does not
 * promise alignment: a tensor that is misaligned in the file is copied.
 */
#include "base/safetensors.h"

#include "base/alloc.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_HEADER = 100000000,
    PREFIX = 8,    /* the uint64 N */
    ALIGNMENT = 64 /* of the first tensor in files written here */
};

static const struct element {
    const char *name;
    an_dtype dtype;
    size_t bytes;
} elements[] = {
    // clang-format off
    {"BOOL", AN_BOOL,   1}, {"U8",   AN_UINT8, 1}, {"I8",  AN_INT8,   1},
    {"I16",  AN_INT16,  2}, {"U16",  AN_UINT16, 2}, {"F16", AN_FP16,   2},
    {"BF16", AN_BF16,   2}, {"I32",  AN_INT32, 4}, {"U32", AN_UINT32, 4},
    {"F32",  AN_FP32,   4}, {"F64",  AN_FP64,  8}, {"I64", AN_INT64,  8},
    {"U64",  AN_UINT64, 8},
    // clang-format on
};
enum { N_ELEMENTS = sizeof elements / sizeof *elements };

struct an_st {
    an_map map;   /* of an_st_open */
    json_t *root; /* owns the names */
    int n;
    an_st_tensor *tensors;     /* by offset */
    an_st_tensor **by_name;    /* sorted */
    void **copies;             /* of misaligned tensors, or NULL; n */
    const unsigned char *data; /* behind the header */
    size_t data_bytes;
};

static an_status fail_memory(an_error *err, const char *name)
{
    return an_fail(err, AN_ENOMEM, "%s: out of memory", name);
}

static const struct element *element_of_name(const char *name)
{
    for (int i = 0; i < N_ELEMENTS; i++)
        if (!strcmp(elements[i].name, name)) return &elements[i];
    return NULL;
}

static const struct element *element_of_dtype(an_dtype dtype)
{
    for (int i = 0; i < N_ELEMENTS; i++)
        if (elements[i].dtype == dtype) return &elements[i];
    return NULL;
}

/* The bytes of a tensor by its shape; false when they overflow. */
static bool bytes_of_shape(const an_st_tensor *t, size_t element, size_t *out)
{
    size_t bytes = element;
    for (int i = 0; i < t->rank; i++)
        if (t->shape[i] < 0 || (uint64_t)t->shape[i] > SIZE_MAX ||
            !an_mul_size(bytes, (size_t)t->shape[i], &bytes))
            return false;
    *out = bytes;
    return true;
}

/* ---- reading ---- */

static bool read_shape(const json_t *shape, an_st_tensor *t)
{
    if (!json_is_array(shape) || json_array_size(shape) > AN_MAX_RANK)
        return false;
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0) return false;
        t->shape[i] = json_integer_value(dim);
    }
    return true;
}

/* The range [begin, end) of the tensor in the data. */
static bool read_range(const json_t *range, const an_st *st, an_st_tensor *t)
{
    if (json_array_size(range) != 2) return false;
    const json_t *from = json_array_get(range, 0);
    const json_t *to = json_array_get(range, 1);
    if (!json_is_integer(from) || !json_is_integer(to)) return false;
    int64_t begin = json_integer_value(from), end = json_integer_value(to);
    if (begin < 0 || end < begin || (uint64_t)end > st->data_bytes)
        return false;
    t->data = st->data + begin;
    t->size_bytes = (size_t)(end - begin);
    return true;
}

static an_status read_entry(const an_st *st, const char *key,
                            const json_t *entry, an_st_tensor *t, an_error *err)
{
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    const struct element *element = type ? element_of_name(type) : NULL;
    *t = (an_st_tensor){.name = key};
    if (!type) return an_fail(err, AN_EFORMAT, "%s: expected a dtype", key);
    if (!element)
        return an_fail(err, AN_EUNSUPPORTED, "%s: unknown dtype %s", key, type);
    t->dtype = element->dtype;
    if (!read_shape(json_object_get(entry, "shape"), t))
        return an_fail(err, AN_EFORMAT,
                       "%s: expected a shape of at most %d dimensions", key,
                       AN_MAX_RANK);
    if (!read_range(json_object_get(entry, "data_offsets"), st, t))
        return an_fail(err, AN_EFORMAT,
                       "%s: expected data_offsets inside of %zu bytes", key,
                       st->data_bytes);
    size_t bytes;
    if (!bytes_of_shape(t, element->bytes, &bytes) || bytes != t->size_bytes)
        return an_fail(err, AN_EFORMAT, "%s: %zu bytes do not fit the shape",
                       key, t->size_bytes);
    return AN_OK;
}

static int compare_offsets(const void *a, const void *b)
{
    const an_st_tensor *x = a, *y = b;
    uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    if (p != q) return p < q ? -1 : 1;
    if (x->size_bytes != y->size_bytes) /* empty tensors first */
        return x->size_bytes < y->size_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b)
{
    const an_st_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static an_status check_metadata(json_t *metadata, an_error *err)
{
    const char *key;
    json_t *value;
    bool well = !metadata || json_is_object(metadata);
    json_object_foreach(metadata, key, value) well &= json_is_string(value);
    if (well) return AN_OK;
    return an_fail(err, AN_EFORMAT, "__metadata__: expected strings only");
}

static an_status read_entries(an_st *st, an_error *err)
{
    an_status s =
        check_metadata(json_object_get(st->root, "__metadata__"), err);
    const char *key;
    json_t *entry;
    json_object_foreach(st->root, key, entry)
    {
        if (s != AN_OK) break;
        if (!strcmp(key, "__metadata__")) continue;
        s = read_entry(st, key, entry, &st->tensors[st->n], err);
        if (s == AN_OK) st->n++;
    }
    return s;
}

static an_status check_coverage(const an_st *st, an_error *err)
{
    const unsigned char *at = st->data;
    for (int i = 0; i < st->n; i++) {
        const an_st_tensor *t = &st->tensors[i];
        if (t->data != at)
            return an_fail(err, AN_EFORMAT, "%s: starts at %zu, expected %zu",
                           t->name,
                           (size_t)((const unsigned char *)t->data - st->data),
                           (size_t)(at - st->data));
        at += t->size_bytes;
    }
    if (at == st->data + st->data_bytes) return AN_OK;
    return an_fail(err, AN_EFORMAT, "tensors end at %zu of %zu bytes",
                   (size_t)(at - st->data), st->data_bytes);
}

static an_status align_tensors(an_st *st, an_error *err)
{
    for (int i = 0; i < st->n; i++) {
        an_st_tensor *t = &st->tensors[i];
        size_t align = element_of_dtype(t->dtype)->bytes;
        if ((uintptr_t)t->data % align == 0) continue;
        void *copy = an_alloc(t->size_bytes);
        if (!copy) return fail_memory(err, t->name);
        memcpy(copy, t->data, t->size_bytes);
        t->data = st->copies[i] = copy;
    }
    return AN_OK;
}

/* Fills in st->root, data and data_bytes. */
static an_status read_header(an_st *st, const unsigned char *bytes, size_t size,
                             an_error *err)
{
    if (size < PREFIX)
        return an_fail(err, AN_EFORMAT, "%zu bytes, expected at least 8", size);
    uint64_t n = 0;
    for (int i = 0; i < PREFIX; i++)
        n |= (uint64_t)bytes[i] << 8 * i;
    if (n > MAX_HEADER || n > size - PREFIX)
        return an_fail(err, AN_EFORMAT, "header of %llu bytes in %zu",
                       (unsigned long long)n, size);
    if (n == 0 || bytes[PREFIX] != '{')
        return an_fail(err, AN_EFORMAT, "header does not start with '{'");
    st->data = bytes + PREFIX + n;
    st->data_bytes = size - PREFIX - (size_t)n;
    return an_json_parse((const char *)bytes + PREFIX, (size_t)n, "header",
                         &st->root, err);
}

static an_status read_tensors(an_st *st, an_error *err)
{
    size_t n = json_object_size(st->root);
    st->tensors = an_alloc_array(n, sizeof *st->tensors);
    st->by_name = an_alloc_array(n, sizeof *st->by_name);
    st->copies = an_alloc_array(n, sizeof *st->copies);
    if (!st->tensors || !st->by_name || !st->copies)
        return fail_memory(err, "tensors");
    an_status s = read_entries(st, err);
    if (s != AN_OK) return s;
    qsort(st->tensors, (size_t)st->n, sizeof *st->tensors, compare_offsets);
    for (int i = 0; i < st->n; i++)
        st->by_name[i] = &st->tensors[i];
    qsort(st->by_name, (size_t)st->n, sizeof *st->by_name, compare_names);
    if ((s = check_coverage(st, err)) != AN_OK) return s;
    return align_tensors(st, err);
}

an_status an_st_open_bytes(const void *data, size_t size, const char *name,
                           an_st **out, an_error *err)
{
    an_st *st = an_alloc(sizeof *st);
    if (!st) return fail_memory(err, name);
    an_status s = read_header(st, data, size, err);
    if (s == AN_OK) s = read_tensors(st, err);
    if (s == AN_OK) {
        *out = st;
    } else {
        an_fail_context(err, "%s", name);
        an_st_close(st);
    }
    return s;
}

an_status an_st_open(const char *path, an_st **out, an_error *err)
{
    an_map map;
    an_status s = an_map_open(path, &map, err);
    if (s != AN_OK) return s;
    s = an_st_open_bytes(map.data, map.size, path, out, err);
    if (s == AN_OK)
        (*out)->map = map;
    else
        an_map_close(&map);
    return s;
}

void an_st_close(an_st *st)
{
    if (!st) return;
    for (int i = 0; st->copies && i < st->n; i++)
        an_free(st->copies[i]);
    an_free(st->copies);
    an_free(st->by_name);
    an_free(st->tensors);
    json_decref(st->root);
    an_map_close(&st->map);
    an_free(st);
}

int an_st_count(const an_st *st)
{
    return st->n;
}

const an_st_tensor *an_st_at(const an_st *st, int i)
{
    return &st->tensors[i];
}

void an_st_forget(const an_st *st, const void *at, size_t size)
{
    an_map_forget(&st->map, at, size);
}

static int compare_name(const void *name, const void *tensor)
{
    const an_st_tensor *const *t = tensor;
    return strcmp(name, (*t)->name);
}

const an_st_tensor *an_st_find(const an_st *st, const char *name)
{
    an_st_tensor **found = bsearch(name, st->by_name, (size_t)st->n,
                                   sizeof *st->by_name, compare_name);
    return found ? *found : NULL;
}

const char *an_st_metadata(const an_st *st, const char *key)
{
    const json_t *metadata = json_object_get(st->root, "__metadata__");
    return json_string_value(json_object_get(metadata, key));
}

/* ---- writing ---- */

/* The header's entry of a tensor at *offset, which it advances. */
static an_status make_entry(const an_st_tensor *t, size_t *offset, json_t **out,
                            an_error *err)
{
    const struct element *element = element_of_dtype(t->dtype);
    size_t bytes;
    if (!element)
        return an_fail(err, AN_EINVAL, "%s: dtype has no name here", t->name);
    if (t->rank < 0 || t->rank > AN_MAX_RANK ||
        !bytes_of_shape(t, element->bytes, &bytes) || bytes != t->size_bytes)
        return an_fail(err, AN_EINVAL, "%s: %zu bytes do not fit the shape",
                       t->name, t->size_bytes);
    if (t->transposed && t->rank != 2)
        return an_fail(err, AN_EINVAL, "%s: rank %d, expected 2", t->name,
                       t->rank);
    if (bytes > (size_t)INT64_MAX - *offset)
        return an_fail(err, AN_EINVAL, "%s: file too large", t->name);
    json_t *shape = json_array();
    for (int i = 0; shape && i < t->rank; i++)
        if (json_array_append_new(shape, json_integer(t->shape[i])) != 0) {
            json_decref(shape);
            shape = NULL;
        }
    *out = shape ? json_pack("{s:s, s:o, s:[I, I]}", "dtype", element->name,
                             "shape", shape, "data_offsets",
                             (json_int_t)*offset, (json_int_t)(*offset + bytes))
                 : NULL;
    *offset += bytes;
    return *out ? AN_OK : fail_memory(err, t->name);
}

/* What jansson takes as a string: well-formed UTF-8 (RFC 3629). */
static bool is_utf8(const char *text)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        uint32_t c = *p++;
        if (c < 0x80) continue;
        int more = c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : 0;
        if (!more) return false;
        c &= 0x3fu >> more;
        for (int i = 0; i < more; i++, p++) {
            if (*p >> 6 != 2) return false;
            c = c << 6 | (*p & 0x3f);
        }
        if (c < least[more] || c > 0x10ffff || c >> 11 == 0x1b) return false;
    }
    return true;
}

static an_status add_metadata(json_t *root, const char *const *metadata,
                              an_error *err)
{
    json_t *object = json_object();
    if (json_object_set_new(root, "__metadata__", object) != 0)
        return fail_memory(err, "__metadata__");
    for (int i = 0; metadata[i]; i += 2) {
        const char *key = metadata[i], *value = metadata[i + 1];
        if (!is_utf8(key) || !is_utf8(value))
            return an_fail(err, AN_EINVAL, "__metadata__: %s: not UTF-8", key);
        if (json_object_set_new(object, key, json_string(value)) != 0)
            return fail_memory(err, "__metadata__");
    }
    return AN_OK;
}

static an_status add_tensor(json_t *root, const an_st_tensor *t, size_t *offset,
                            an_error *err)
{
    json_t *entry = NULL;
    if (!is_utf8(t->name))
        return an_fail(err, AN_EINVAL, "%s: name is not UTF-8", t->name);
    if (!strcmp(t->name, "__metadata__") || json_object_get(root, t->name))
        return an_fail(err, AN_EINVAL, "%s: name is taken", t->name);
    an_status s = make_entry(t, offset, &entry, err);
    if (s == AN_OK && json_object_set_new(root, t->name, entry) != 0)
        s = fail_memory(err, t->name);
    return s;
}

static an_status make_header(const an_st_tensor *tensors, int n,
                             const char *const *metadata, json_t **out,
                             an_error *err)
{
    json_t *root = json_object();
    an_status s = root ? AN_OK : fail_memory(err, "header");
    if (s == AN_OK && metadata && metadata[0])
        s = add_metadata(root, metadata, err);
    size_t offset = 0;
    for (int i = 0; i < n && s == AN_OK; i++)
        s = add_tensor(root, &tensors[i], &offset, err);
    if (s == AN_OK)
        *out = root;
    else
        json_decref(root);
    return s;
}

struct text {
    char *bytes;
    size_t size, capacity;
    bool failed; /* jansson does not pass on every failure of a callback */
};

static int append(const char *bytes, size_t size, void *ctx)
{
    struct text *text = ctx;
    while (!text->failed && text->capacity - text->size < size)
        text->failed =
            !an_grow(&text->bytes, &text->capacity, text->capacity, 1);
    if (text->failed) return -1;
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    return 0;
}

/* N and the JSON, padded with spaces so that the data is aligned. */
static an_status print_header(const json_t *root, struct text *text,
                              an_error *err)
{
    int failed = append("12345678", PREFIX, text) ||
                 json_dump_callback(root, append, text, JSON_COMPACT);
    while (!failed && text->size % ALIGNMENT)
        failed = append(" ", 1, text);
    if (failed || text->failed) return fail_memory(err, "header");
    if (text->size - PREFIX > MAX_HEADER)
        return an_fail(err, AN_EINVAL, "header of more than %d bytes",
                       MAX_HEADER);
    for (int i = 0; i < PREFIX; i++)
        text->bytes[i] = (char)((uint64_t)(text->size - PREFIX) >> 8 * i);
    return AN_OK;
}

/* Rows of the transpose of data, as many at a time as fit a small buffer. */
static an_status put_transposed(an_writer *w, const an_st_tensor *t,
                                an_error *err)
{
    size_t rows = (size_t)t->shape[0], columns = (size_t)t->shape[1];
    size_t size = element_of_dtype(t->dtype)->bytes;
    size_t strip = ((size_t)1 << 20) / (columns * size + 1) + 1;
    unsigned char *buffer = an_alloc_array(strip * columns, size);
    if (!buffer) return fail_memory(err, t->name);
    an_status s = AN_OK;
    for (size_t r = 0; s == AN_OK && r < rows; r += strip) {
        size_t n = rows - r < strip ? rows - r : strip;
        for (size_t c = 0; c < columns; c++)
            for (size_t k = 0; k < n; k++)
                memcpy(buffer + (k * columns + c) * size,
                       (const unsigned char *)t->data +
                           (c * rows + r + k) * size,
                       size);
        s = an_writer_put(w, buffer, n * columns * size, err);
    }
    an_free(buffer);
    return s;
}

static an_status put_rows(an_writer *w, const an_st_tensor *t, an_error *err)
{
    size_t rows = t->rank == 2 ? (size_t)t->shape[0] : 1;
    size_t bytes = rows ? t->size_bytes / rows : 0;
    an_status s = AN_OK;
    for (size_t r = 0; s == AN_OK && r < rows; r++)
        s = an_writer_put(w, (const unsigned char *)t->data + r * t->row_bytes,
                          bytes, err);
    return s;
}

static an_status put_tensor(an_writer *w, const an_st_tensor *t, an_error *err)
{
    if (t->put) return t->put(t->ctx, t, w, err);
    if (t->row_bytes) return put_rows(w, t, err);
    return t->transposed ? put_transposed(w, t, err)
                         : an_writer_put(w, t->data, t->size_bytes, err);
}

an_status an_st_save(const char *path, const an_st_tensor *tensors, int n,
                     const char *const *metadata, an_error *err)
{
    json_t *root = NULL;
    struct text header = {0};
    an_writer *w = NULL;
    an_status s = make_header(tensors, n, metadata, &root, err);
    if (s == AN_OK) s = print_header(root, &header, err);
    if (s != AN_OK) {
        an_fail_context(err, "%s", path);
        goto out;
    }
    if ((s = an_writer_open(path, &w, err)) != AN_OK) goto out;
    s = an_writer_put(w, header.bytes, header.size, err);
    for (int i = 0; i < n && s == AN_OK; i++)
        s = put_tensor(w, &tensors[i], err);
    if (s == AN_OK)
        s = an_writer_commit(w, err);
    else
        an_writer_abort(w);
out:
    an_free(header.bytes);
    json_decref(root);
    return s;
}
