/*
 * Weight blob files. A record is believed where it makes sense: hand-written
 * files that run on hardware leave the element type at 1, or size and data
 * offset as junk. So a data offset that cannot be one is replaced by the place
 * behind the record; one that can must come with the right size and type.
 */
#include "mil/blob.h"

#include "base/alloc.h"
#include "mil/type.h"

#include <assert.h>
#include <string.h>

#define RECORD_BYTES 64
#define SENTINEL 0xDEADBEEFu
#define VERSION 2

/* The file's numbers of element types (16 and 17 are fp8, which MIL's text
 * has no name for). */
// clang-format off
static const struct {
    uint32_t number;
    an_dtype dtype;
} types[] = {
    {1, AN_FP16}, {2, AN_FP32}, {3, AN_UINT8}, {4, AN_INT8}, {5, AN_BF16},
    {6, AN_INT16}, {7, AN_UINT16}, {8, AN_INT4}, {9, AN_UINT1},
    {10, AN_UINT2}, {11, AN_UINT4}, {12, AN_UINT3}, {13, AN_UINT6},
    {14, AN_INT32}, {15, AN_UINT32},
};
// clang-format on
#define N_TYPES (sizeof types / sizeof *types)

/* 0: none. */
static uint32_t number_of(an_dtype dtype)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].dtype == dtype) return types[i].number;
    return 0;
}

static bool dtype_of(uint32_t number, an_dtype *out)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].number == number) {
            *out = types[i].dtype;
            return true;
        }
    return false;
}

static uint64_t get(const unsigned char *p, int bytes)
{
    uint64_t x = 0;
    for (int i = bytes - 1; i >= 0; i--)
        x = x << 8 | p[i];
    return x;
}

static void set(unsigned char *p, int bytes, uint64_t x)
{
    for (int i = 0; i < bytes; i++, x >>= 8)
        p[i] = (unsigned char)x;
}

static uint64_t align(uint64_t x)
{
    return (x + RECORD_BYTES - 1) & ~(uint64_t)(RECORD_BYTES - 1);
}

/* count is at most AN_MAX_COUNT: no overflow. */
static uint64_t packed_bytes(an_dtype dtype, int64_t count)
{
    return ((uint64_t)count * (uint64_t)an_dtype_bits(dtype) + 7) / 8;
}

static uint64_t padding_bits(an_dtype dtype, int64_t count)
{
    return 8 * packed_bytes(dtype, count) -
           (uint64_t)count * (uint64_t)an_dtype_bits(dtype);
}

static an_status check_wanted(an_dtype dtype, int64_t count, an_error *err)
{
    if (number_of(dtype) == 0)
        return an_fail(err, AN_EUNSUPPORTED, "weight files hold no %s",
                       an_dtype_name(dtype));
    if (count < 0 || count > AN_MAX_COUNT)
        return an_fail(err, AN_EINVAL, "weight file: %lld elements",
                       (long long)count);
    return AN_OK;
}

/* Header, alignment and sentinel. */
static an_status find_record(const unsigned char *file, size_t size,
                             const char *name, uint64_t offset, an_error *err)
{
    unsigned long long at = offset;
    if (size < RECORD_BYTES || get(file + 4, 4) != VERSION)
        return an_fail(err, AN_EFORMAT,
                       "%s: no weight file of version 2 (%zu bytes)", name,
                       size);
    if (offset < RECORD_BYTES || offset % RECORD_BYTES != 0)
        return an_fail(err, AN_EFORMAT,
                       "%s: record at %llu: expected a multiple of 64 from 64",
                       name, at);
    if (offset > size || size - offset < RECORD_BYTES)
        return an_fail(err, AN_EFORMAT,
                       "%s: record at %llu: the file has %zu bytes", name, at,
                       size);
    if (get(file + offset, 4) != SENTINEL)
        return an_fail(err, AN_EFORMAT,
                       "%s: record at %llu: no sentinel, found %08llx", name,
                       at, (unsigned long long)get(file + offset, 4));
    return AN_OK;
}

/* Size, type and padding of a record whose data offset makes sense. */
static an_status check_fields(const unsigned char *record, const char *name,
                              uint64_t offset, an_dtype dtype, int64_t count,
                              an_error *err)
{
    unsigned long long at = offset;
    uint32_t number = (uint32_t)get(record + 4, 4);
    uint64_t bytes = get(record + 8, 8), padding = get(record + 24, 8);
    an_dtype is = dtype;
    /* fp16's number is what hand-written files leave there. */
    if (number != 1 && (!dtype_of(number, &is) || is != dtype))
        return an_fail(err, AN_EFORMAT,
                       "%s: record at %llu: type %u, expected %u for %s", name,
                       at, number, number_of(dtype), an_dtype_name(dtype));
    if (bytes != packed_bytes(dtype, count))
        return an_fail(err, AN_EFORMAT,
                       "%s: record at %llu: %llu bytes, %lld elements of %s "
                       "take %llu",
                       name, at, (unsigned long long)bytes, (long long)count,
                       an_dtype_name(dtype),
                       (unsigned long long)packed_bytes(dtype, count));
    if (number != 1 && an_dtype_bits(dtype) < 8 &&
        padding != padding_bits(dtype, count))
        return an_fail(err, AN_EFORMAT,
                       "%s: record at %llu: %llu bits of padding, expected "
                       "%llu",
                       name, at, (unsigned long long)padding,
                       (unsigned long long)padding_bits(dtype, count));
    return AN_OK;
}

an_status an_blob_read(const void *file, size_t size, const char *name,
                       uint64_t offset, an_dtype dtype, int64_t count,
                       an_blob_record *out, an_error *err)
{
    const unsigned char *bytes = file;
    an_status s = check_wanted(dtype, count, err);
    if (s == AN_OK) s = find_record(bytes, size, name, offset, err);
    if (s != AN_OK) return s;
    const unsigned char *record = bytes + offset;
    uint64_t data = get(record + 16, 8), want = packed_bytes(dtype, count);
    bool plausible = data >= 2 * RECORD_BYTES && data % RECORD_BYTES == 0 &&
                     data <= size && size - data >= want;
    if (plausible)
        s = check_fields(record, name, offset, dtype, count, err);
    else
        data = offset + RECORD_BYTES;
    if (s != AN_OK) return s;
    if (size - data < want)
        return an_fail(err, AN_EFORMAT,
                       "%s: record at %llu: %llu bytes of data at %llu, the "
                       "file has %zu bytes",
                       name, (unsigned long long)offset,
                       (unsigned long long)want, (unsigned long long)data,
                       size);
    *out = (an_blob_record){
        .dtype = dtype, .data = bytes + data, .size_bytes = (size_t)want};
    if (plausible) dtype_of((uint32_t)get(record + 4, 4), &out->dtype);
    uint64_t end = data > offset ? data + want : offset + RECORD_BYTES;
    out->next = (size_t)align(end);
    return AN_OK;
}

/* Elements below a byte: least significant bits first, across bytes. */
static unsigned get_bits(const unsigned char *p, uint64_t at, int bits)
{
    unsigned x = 0;
    for (int i = 0; i < bits; i++, at++)
        x |= (unsigned)(p[at / 8] >> (at % 8) & 1) << i;
    return x;
}

void an_blob_unpack(const an_blob_record *r, an_dtype dtype, int64_t count,
                    void *out)
{
    int bits = an_dtype_bits(dtype);
    unsigned char *to = out;
    assert(packed_bytes(dtype, count) == r->size_bytes);
    if (bits >= 8) {
        if (r->size_bytes > 0) memcpy(to, r->data, r->size_bytes);
        return;
    }
    unsigned sign = an_dtype_is_signed(dtype) ? 1u << (bits - 1) : 0;
    for (int64_t i = 0; i < count; i++) {
        unsigned x = get_bits(r->data, (uint64_t)i * (uint64_t)bits, bits);
        to[i] = (unsigned char)((x ^ sign) - sign);
    }
}

struct an_blob_writer {
    unsigned char *data;
    size_t size, capacity;
    uint32_t n_records;
};

/* Makes the file `size` bytes long; what is new is zero. */
static bool extend(an_blob_writer *w, uint64_t size)
{
    if (size > SIZE_MAX / 2) return false;
    if (size > w->capacity) {
        size_t more = 2 * w->capacity > size ? 2 * w->capacity : (size_t)size;
        unsigned char *grown = an_realloc(w->data, more);
        if (!grown) return false;
        w->data = grown;
        w->capacity = more;
    }
    if (size > w->size) memset(w->data + w->size, 0, (size_t)size - w->size);
    w->size = (size_t)size;
    return true;
}

an_status an_blob_writer_new(an_blob_writer **out, an_error *err)
{
    an_blob_writer *w = an_alloc(sizeof *w);
    if (!w || !extend(w, RECORD_BYTES)) {
        an_blob_writer_free(w);
        return an_fail(err, AN_ENOMEM, "weight file: no memory");
    }
    *out = w;
    return AN_OK;
}

static void pack(unsigned char *to, int bits, int64_t count,
                 const unsigned char *from)
{
    uint64_t at = 0;
    for (int64_t i = 0; i < count; i++)
        for (int k = 0; k < bits; k++, at++)
            to[at / 8] |= (unsigned char)((from[i] >> k & 1) << (at % 8));
}

an_status an_blob_writer_add(an_blob_writer *w, an_dtype dtype, int64_t count,
                             const void *data, uint64_t *offset, an_error *err)
{
    an_status s = check_wanted(dtype, count, err);
    if (s != AN_OK) return s;
    uint64_t record = align(w->size), bytes = packed_bytes(dtype, count);
    size_t before = w->size;
    if (!extend(w, record + RECORD_BYTES + bytes)) {
        w->size = before;
        return an_fail(err, AN_ENOMEM, "weight file: no memory");
    }
    unsigned char *r = w->data + record;
    set(r, 4, SENTINEL);
    set(r + 4, 4, number_of(dtype));
    set(r + 8, 8, bytes);
    set(r + 16, 8, record + RECORD_BYTES);
    set(r + 24, 8, padding_bits(dtype, count));
    if (an_dtype_bits(dtype) < 8)
        pack(r + RECORD_BYTES, an_dtype_bits(dtype), count, data);
    else if (bytes > 0)
        memcpy(r + RECORD_BYTES, data, (size_t)bytes);
    w->n_records++;
    *offset = record;
    return AN_OK;
}

an_status an_blob_writer_take(an_blob_writer *w, void **data, size_t *size,
                              an_error *err)
{
    (void)err;
    set(w->data, 4, w->n_records);
    set(w->data + 4, 4, VERSION);
    *data = w->data;
    *size = w->size;
    an_free(w);
    return AN_OK;
}

void an_blob_writer_free(an_blob_writer *w)
{
    if (!w) return;
    an_free(w->data);
    an_free(w);
}
