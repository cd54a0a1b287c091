/*
 * A .npy file: "\x93NUMPY", major, minor, the header's size (uint16 in 1.0,
 * uint32 from 2.0 on; little-endian), the header, the elements. The header is
 * a Python dict literal with the keys descr, fortran_order and shape, padded
 * with blanks, newline at the end. Nothing is allocated here.
 */
#include "cli/npy.h"

#include <stdio.h>
#include <string.h>

static const struct {
    an_dtype dtype;
    const char *descr;
} descrs[] = {
    {AN_FP16, "<f2"},   {AN_FP32, "<f4"},   {AN_FP64, "<f8"},
    {AN_BOOL, "|b1"},   {AN_INT8, "|i1"},   {AN_INT16, "<i2"},
    {AN_INT32, "<i4"},  {AN_INT64, "<i8"},  {AN_UINT8, "|u1"},
    {AN_UINT16, "<u2"}, {AN_UINT32, "<u4"}, {AN_UINT64, "<u8"},
};
enum { N_DESCRS = (int)(sizeof descrs / sizeof descrs[0]) };

typedef struct reader {
    const char *at, *end;
    const char *name;
    an_error *err;
} reader;

static an_status bad(reader *r, const char *what)
{
    return an_fail(r->err, AN_EFORMAT, "%s: not a .npy file: %s", r->name,
                   what);
}

static void skip_blanks(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n'))
        r->at++;
}

/* Takes `c` when it comes next. */
static bool take(reader *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

/* A Python string without escapes. */
static bool take_string(reader *r, const char **text, int *size)
{
    skip_blanks(r);
    if (r->at == r->end || (*r->at != '\'' && *r->at != '"')) return false;
    char quote = *r->at++;
    const char *end = memchr(r->at, quote, (size_t)(r->end - r->at));
    if (end == NULL || end - r->at > 64) return false;
    *text = r->at;
    *size = (int)(end - r->at);
    r->at = end + 1;
    return true;
}

static bool take_word(reader *r, const char *word)
{
    size_t size = strlen(word);
    skip_blanks(r);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0)
        return false;
    r->at += size;
    return true;
}

static bool take_number(reader *r, int64_t *out)
{
    int64_t x = 0;
    skip_blanks(r);
    const char *start = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        if (x > (INT64_MAX - 9) / 10) return false;
        x = 10 * x + (*r->at++ - '0');
    }
    *out = x;
    return r->at > start;
}

static an_status read_descr(reader *r, an_shape *shape)
{
    const char *text = NULL;
    int size = 0;
    if (!take_string(r, &text, &size))
        return an_fail(r->err, AN_EUNSUPPORTED,
                       "%s: structured elements are not supported", r->name);
    for (int i = 0; i < N_DESCRS; i++) {
        const char *d = descrs[i].descr;
        if ((int)strlen(d) != size || memcmp(d, text, (size_t)size) != 0)
            continue;
        shape->dtype = descrs[i].dtype;
        return AN_OK;
    }
    return an_fail(r->err, AN_EUNSUPPORTED,
                   "%s: elements are '%.*s', expected little-endian numbers "
                   "or bools ('<f4')",
                   r->name, size, text);
}

static an_status read_order(reader *r)
{
    if (take_word(r, "False")) return AN_OK;
    if (!take_word(r, "True")) return bad(r, "fortran_order is no bool");
    return an_fail(r->err, AN_EUNSUPPORTED,
                   "%s: Fortran order is not supported; save "
                   "numpy.ascontiguousarray(x)",
                   r->name);
}

static an_status read_shape(reader *r, an_shape *shape)
{
    if (!take(r, '(')) return bad(r, "shape is no tuple");
    shape->rank = 0;
    while (!take(r, ')')) {
        if (shape->rank > 0 && !take(r, ',')) return bad(r, "shape is cut");
        if (take(r, ')')) break;
        if (shape->rank == AN_MAX_RANK)
            return an_fail(r->err, AN_EUNSUPPORTED,
                           "%s: more than %d dimensions", r->name, AN_MAX_RANK);
        if (!take_number(r, &shape->dims[shape->rank++]))
            return bad(r, "a dimension is no number");
    }
    return AN_OK;
}

/* Reads one "key: value"; *found collects the keys as bits. */
static an_status read_entry(reader *r, an_shape *shape, unsigned *found)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    const char *text = NULL;
    int size = 0, k = 0;
    if (!take_string(r, &text, &size) || !take(r, ':'))
        return bad(r, "the header is no dict");
    while (k < 3 && ((int)strlen(keys[k]) != size ||
                     memcmp(keys[k], text, (size_t)size) != 0))
        k++;
    if (k == 3) return bad(r, "the header has a key of no meaning");
    if (*found & 1u << k) return bad(r, "the header has a key twice");
    *found |= 1u << k;
    if (k == 0) return read_descr(r, shape);
    return k == 1 ? read_order(r) : read_shape(r, shape);
}

static an_status read_dict(reader *r, an_shape *shape)
{
    unsigned found = 0;
    if (!take(r, '{')) return bad(r, "the header is no dict");
    while (!take(r, '}')) {
        if (found != 0 && !take(r, ',')) return bad(r, "the header is cut");
        if (take(r, '}')) break;
        an_status s = read_entry(r, shape, &found);
        if (s != AN_OK) return s;
    }
    skip_blanks(r);
    if (r->at != r->end) return bad(r, "something follows the header's dict");
    return found == 7 ? AN_OK
                      : bad(r, "descr, fortran_order or shape is missing");
}

/* Finds the header's bytes: after magic, version and size. */
static an_status find_header(reader *r, size_t *header_bytes)
{
    const unsigned char *b = (const unsigned char *)r->at;
    size_t size = (size_t)(r->end - r->at), wide;
    if (size < 10 || memcmp(b, "\x93NUMPY", 6) != 0)
        return bad(r, "it does not start with \\x93NUMPY");
    if (b[6] < 1 || b[6] > 3 || b[7] != 0)
        return an_fail(r->err, AN_EUNSUPPORTED,
                       "%s: .npy version %d.%d, expected 1.0, 2.0 or 3.0",
                       r->name, b[6], b[7]);
    wide = b[6] == 1 ? 2 : 4;
    if (size < 8 + wide) return bad(r, "the header is cut");
    *header_bytes = (size_t)b[8] | (size_t)b[9] << 8;
    if (wide == 4) *header_bytes |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    r->at += 8 + wide;
    if (*header_bytes > size - 8 - wide) return bad(r, "the header is cut");
    return AN_OK;
}

/* Bytes of the tensor; false on overflow. */
static bool data_bytes(const an_shape *shape, size_t *out)
{
    size_t n = an_dtype_size(shape->dtype);
    for (int i = 0; i < shape->rank; i++) {
        size_t d = (size_t)shape->dims[i];
        if (d != 0 && n > SIZE_MAX / d) return false;
        n *= d;
    }
    *out = n;
    return true;
}

an_status an_npy_read(const void *bytes, size_t size, const char *name,
                      an_npy *out, an_error *err)
{
    const char *start = bytes;
    reader r = {start, start + size, name, err};
    an_npy npy = {0};
    size_t header_bytes = 0, wanted = 0;
    an_status s = find_header(&r, &header_bytes);
    if (s != AN_OK) return s;
    reader header = {r.at, r.at + header_bytes, name, err};
    if ((s = read_dict(&header, &npy.shape)) != AN_OK) return s;
    npy.data = header.end;
    npy.size_bytes = (size_t)(r.end - header.end);
    if (!data_bytes(&npy.shape, &wanted) || wanted != npy.size_bytes)
        return an_fail(err, AN_EFORMAT,
                       "%s: %zu bytes of elements, its shape needs %zu", name,
                       npy.size_bytes, wanted);
    *out = npy;
    return AN_OK;
}

an_dtype an_npy_dtype(an_dtype dtype)
{
    switch (dtype) {
    case AN_INT4:
        return AN_INT8;
    case AN_UINT1:
    case AN_UINT2:
    case AN_UINT3:
    case AN_UINT4:
    case AN_UINT6:
        return AN_UINT8;
    default:
        break;
    }
    for (int i = 0; i < N_DESCRS; i++)
        if (descrs[i].dtype == dtype) return dtype;
    return AN_DTYPE_COUNT;
}

an_status an_npy_header(const an_shape *shape, char *out, size_t *size,
                        an_error *err)
{
    const char *descr = NULL;
    char dims[256] = "";
    int n = 0;
    for (int i = 0; i < N_DESCRS; i++)
        if (descrs[i].dtype == an_npy_dtype(shape->dtype))
            descr = descrs[i].descr;
    if (descr == NULL)
        return an_fail(err, AN_EUNSUPPORTED, "NumPy has no %s",
                       an_dtype_name(shape->dtype));
    for (int i = 0; i < shape->rank; i++)
        n += snprintf(dims + n, sizeof dims - (size_t)n, "%s%lld",
                      i > 0 ? ", " : "", (long long)shape->dims[i]);
    n = snprintf(out + 10, AN_NPY_HEADER - 10,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }",
                 descr, dims, shape->rank == 1 ? "," : "");
    size_t total = ((size_t)n + 10 + 1 + 63) / 64 * 64;
    memset(out + 10 + n, ' ', total - 10 - (size_t)n);
    out[total - 1] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)((total - 10) & 0xFF);
    out[9] = (char)((total - 10) >> 8);
    *size = total;
    return AN_OK;
}
