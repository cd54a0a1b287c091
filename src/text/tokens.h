/*
 * One file as an array of ids, in its map: nothing is copied.
 *
 * Text: each byte is an id (tokenizers whose ids are bytes). llm.c shard: a
 * header of 256 int32 {20240520, version 1, number of ids, 0...}, then uint16
 * ids, or {20240801, version 7, ...} and uint32 ids; any file that begins with
 * a magic number. Raw: a file without it whose name ends in .bin or .u16
 * (uint16 ids and nothing else) or .u32. All numbers are little-endian.
 * Source: dev/data/data_common.py and llmc/dataloader.h of karpathy/llm.c.
 */
#ifndef AN_TEXT_TOKENS_H
#define AN_TEXT_TOKENS_H

#include "anemone/text.h"

#include "base/file.h"

enum {
    AN_SHARD_MAGIC = 20240520,
    AN_SHARD_VERSION = 1,
    AN_SHARD_MAGIC_32 = 20240801, /* uint32 ids, for Llama 3's vocabulary */
    AN_SHARD_VERSION_32 = 7,
    AN_SHARD_HEADER_BYTES = 256 * 4
};

typedef struct an_tokens {
    const char *path; /* borrowed, for errors */
    an_map map;
    an_data_kind kind; /* AN_DATA_TEXT or AN_DATA_TOKENS */
    const unsigned char *ids;
    int64_t n;
    int id_bytes;  /* 1, 2 or 4 */
    size_t offset; /* of ids in the file */
} an_tokens;

/* Maps and checks a file: AN_EFORMAT for a header that is cut, of another
 * version, or lies about the length. */
an_status an_tokens_open(const char *path, an_tokens *out, an_error *err);
void an_tokens_close(an_tokens *t);
/* The same for bytes that the caller keeps; `out` needs no closing. */
an_status an_tokens_parse(const char *path, const void *data, size_t size,
                          an_tokens *out, an_error *err);
/* Ids [begin, begin + n). AN_EFORMAT names the file and the offset of an id
 * that is not below vocab_size. */
an_status an_tokens_read(const an_tokens *t, int64_t begin, int64_t n,
                         int64_t vocab_size, int32_t *out, an_error *err);

#endif
