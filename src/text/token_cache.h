/*
 * Text files as ids in one file, made once: a stream of documents, or samples.
 *
 * Layout, little-endian: "ANTOKENS", uint32 version, uint32 bytes of an id,
 * uint64 ids, samples (0: a stream), bytes of text, bytes of the JSON at the
 * end; zeros up to 64; the ids; for samples uint64 where each begins, and the
 * end; the JSON: the tokenizer, the mask, and of each file its path, size, time
 * of change and a hash of what it held. The file is current while sizes and
 * times are the files', or, where a time differs, the hashes.
 */
#ifndef AN_TEXT_TOKEN_CACHE_H
#define AN_TEXT_TOKEN_CACHE_H

#include "base/json.h"
#include "text/paths.h"
#include "text/samples.h"

typedef enum an_layout { AN_LAYOUT_STREAM, AN_LAYOUT_SAMPLES } an_layout;

typedef struct an_token_cache {
    an_map map;
    const unsigned char *ids, *begins;
    int64_t n, n_samples, text_bytes;
    int id_bytes;
} an_token_cache;

typedef struct an_cache_options {
    const char *path; /* NULL: a temporary file that nobody sees */
    const an_paths *files;
    const an_tokenizer *tokenizer;
    an_layout layout;
    an_mask mask;
    bool (*progress)(void *ctx, double share); /* may be NULL */
    void *ctx;
} an_cache_options;

/* Opens the file, making it first unless it is current. */
an_status an_token_cache_open(const an_cache_options *o, an_token_cache *out,
                              an_error *err);
void an_token_cache_close(an_token_cache *c);
/* Ids [begin, begin + n) with the mask's bit. */
void an_token_cache_read(const an_token_cache *c, int64_t begin, int64_t n,
                         uint32_t *out);
/* Where sample i (or the end, for n_samples) begins. */
int64_t an_token_cache_begin(const an_token_cache *c, int64_t i);

/* Checks a file's bytes; for fuzzing. */
an_status an_token_cache_parse(const char *path, an_map map,
                               an_token_cache *out, json_t **about,
                               an_error *err);

#endif
