/* Detects what a data file is, checks its header, reads its ids. */
#include "text/tokens.h"

#include <string.h>

static uint32_t read_u32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static bool ends_in(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n >= m && strcmp(path + n - m, suffix) == 0;
}

static an_status parse_shard(an_tokens *t, const unsigned char *data,
                             size_t size, an_error *err)
{
    if (size < AN_SHARD_HEADER_BYTES)
        return an_fail(err, AN_EFORMAT,
                       "%s: header of a token shard takes %d bytes, file has "
                       "%zu",
                       t->path, AN_SHARD_HEADER_BYTES, size);
    uint32_t version = read_u32(data + 4), n = read_u32(data + 8);
    bool wide = read_u32(data) == AN_SHARD_MAGIC_32;
    int expected = wide ? AN_SHARD_VERSION_32 : AN_SHARD_VERSION;
    size_t id_bytes = wide ? 4 : 2;
    if (version != (uint32_t)expected)
        return an_fail(err, AN_EFORMAT,
                       "%s: byte 4: version of the token shard is %lu, "
                       "expected %d",
                       t->path, (unsigned long)version, expected);
    size_t present = size - AN_SHARD_HEADER_BYTES;
    if (n > INT32_MAX || present / id_bytes != n || present % id_bytes)
        return an_fail(err, AN_EFORMAT,
                       "%s: byte 8: header says %lu ids of %zu bytes, file has "
                       "%zu bytes for them",
                       t->path, (unsigned long)n, id_bytes, present);
    t->ids = data + AN_SHARD_HEADER_BYTES;
    t->offset = AN_SHARD_HEADER_BYTES;
    t->n = n;
    t->id_bytes = (int)id_bytes;
    return AN_OK;
}

static an_status parse_raw(an_tokens *t, const unsigned char *data, size_t size,
                           size_t id_bytes, an_error *err)
{
    if (size % id_bytes)
        return an_fail(err, AN_EFORMAT,
                       "%s: ids of %zu bytes each, but the file has %zu bytes",
                       t->path, id_bytes, size);
    t->ids = data;
    t->n = (int64_t)(size / id_bytes);
    t->id_bytes = (int)id_bytes;
    return AN_OK;
}

an_status an_tokens_parse(const char *path, const void *data, size_t size,
                          an_tokens *out, an_error *err)
{
    an_tokens t = {.path = path, .kind = AN_DATA_TOKENS};
    uint32_t magic = size >= 4 ? read_u32(data) : 0;
    an_status s = AN_OK;
    if (magic == AN_SHARD_MAGIC || magic == AN_SHARD_MAGIC_32) {
        s = parse_shard(&t, data, size, err);
    } else if (ends_in(path, ".bin") || ends_in(path, ".u16")) {
        s = parse_raw(&t, data, size, 2, err);
    } else if (ends_in(path, ".u32")) {
        s = parse_raw(&t, data, size, 4, err);
    } else {
        t.kind = AN_DATA_TEXT;
        t.ids = data;
        t.n = (int64_t)size;
        t.id_bytes = 1;
    }
    if (s == AN_OK) *out = t;
    return s;
}

an_status an_tokens_open(const char *path, an_tokens *out, an_error *err)
{
    an_map map;
    an_status s = an_map_open(path, &map, err);
    if (s != AN_OK) return s;
    s = an_tokens_parse(path, map.data, map.size, out, err);
    if (s == AN_OK)
        out->map = map;
    else
        an_map_close(&map);
    return s;
}

void an_tokens_close(an_tokens *t)
{
    if (t->map.data) an_map_close(&t->map);
}

an_status an_tokens_read(const an_tokens *t, int64_t begin, int64_t n,
                         int64_t vocab_size, int32_t *out, an_error *err)
{
    const unsigned char *p = t->ids + begin * t->id_bytes;
    int32_t most = 0;
    if (t->id_bytes == 1)
        for (int64_t i = 0; i < n; i++)
            out[i] = p[i];
    else if (t->id_bytes == 2)
        for (int64_t i = 0; i < n; i++)
            out[i] = p[2 * i] | (int32_t)p[2 * i + 1] << 8;
    else
        for (int64_t i = 0; i < n; i++) {
            uint32_t id = read_u32(p + 4 * i);
            out[i] = id > INT32_MAX ? INT32_MAX : (int32_t)id;
        }
    for (int64_t i = 0; i < n; i++)
        if (out[i] > most) most = out[i];
    if (most < vocab_size) return AN_OK;
    int64_t bad = 0;
    while (out[bad] < vocab_size)
        bad++;
    return an_fail(
        err, AN_EFORMAT,
        "%s: byte %lld: id %ld is not below the vocabulary's %lld", t->path,
        (long long)t->offset + (long long)((begin + bad) * t->id_bytes),
        (long)out[bad], (long long)vocab_size);
}
