/*
 * Text: tokenizers and datasets.
 */
#ifndef ANEMONE_TEXT_H
#define ANEMONE_TEXT_H

#include "anemone/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct an_tokenizer an_tokenizer;

/* "bytes" (256 bytes and end of text, 257 ids) or a path of a tokenizer.json
 * written by an_tokenizer_save. */
AN_API an_status an_tokenizer_open(const char *name_or_path, an_tokenizer **out,
                                   an_error *err);
AN_API void an_tokenizer_free(an_tokenizer *t);
AN_API an_status an_tokenizer_save(const an_tokenizer *t, const char *path,
                                   an_error *err);
AN_API int64_t an_tokenizer_vocab_size(const an_tokenizer *t);
AN_API int32_t an_tokenizer_end_of_text(const an_tokenizer *t);
/* Appends the text's ids to the *n that *ids holds (NULL: none); the caller
 * frees *ids with an_tokens_free. */
AN_API an_status an_tokenizer_encode(const an_tokenizer *t, const char *text,
                                     size_t size, int32_t **ids, size_t *n,
                                     an_error *err);
AN_API void an_tokens_free(int32_t *ids);
/* The bytes of one id (borrowed), size 0 for special ids. */
AN_API const char *an_tokenizer_bytes(const an_tokenizer *t, int32_t id,
                                      size_t *size);

/* What data files hold. */
typedef enum an_data_kind {
    AN_DATA_TEXT,   /* needs a tokenizer */
    AN_DATA_TOKENS, /* ids of 16 bits: llm.c's shards, or raw .bin, .u16 */
    AN_DATA_RANDOM, /* the single word "random": synthetic ids */
} an_data_kind;
/* The kind of the first file; an_dataset_open refuses a mixture. */
AN_API an_status an_data_detect(const char *const *paths, int n_paths,
                                an_data_kind *out, an_error *err);

typedef struct an_dataset an_dataset;
typedef enum an_split { AN_SPLIT_TRAIN, AN_SPLIT_VALIDATION } an_split;

typedef struct an_dataset_options {
    const char *const *paths; /* text files, .bin shards of llm.c, raw uint16;
                                 or the single word "random" */
    int n_paths;
    const an_tokenizer *tokenizer; /* NULL for token files and random */
    int64_t vocab_size;
    int64_t sequence;
    uint64_t seed;
    /* Of the windows, taken from the end: 0.1. At 0 there are none to validate,
     * at 1 none to train. */
    double validation_share;
} an_dataset_options;

/*
 * Token windows of sequence + 1 ids. Window i of a split is fixed by the files
 * and the sequence length; the order of training windows is a permutation of
 * each epoch fixed by (seed, epoch). Files are mapped, not read: they may be
 * larger than memory. Every id is checked against vocab_size when read: an
 * error names the file and the offset.
 */
AN_API an_status an_dataset_open(const an_dataset_options *options,
                                 an_dataset **out, an_error *err);
AN_API void an_dataset_free(an_dataset *d);
AN_API int64_t an_dataset_windows(const an_dataset *d, an_split split);
AN_API int64_t an_dataset_tokens(const an_dataset *d);
/* A hash of names-free content (sizes and samples of the data), to notice on
 * resume that other data is given. */
AN_API uint64_t an_dataset_digest(const an_dataset *d);
/* Mean bytes of text per token, for bits per byte; 0 when not known. */
AN_API double an_dataset_bytes_per_token(const an_dataset *d);
/* Training: the k-th window of the run (k counts windows since step 0).
 * Validation: window k of the split, in file order. Writes inputs and targets,
 * `sequence` ids each. Allocates nothing. */
AN_API an_status an_dataset_window(const an_dataset *d, an_split split,
                                   uint64_t k, int32_t *inputs,
                                   int32_t *targets, an_error *err);

#endif
