/*
 * Text: tokenizers and datasets.
 */
#ifndef ANEMONE_TEXT_H
#define ANEMONE_TEXT_H

#include "anemone/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct an_tokenizer an_tokenizer;

/*
 * "bytes" (256 bytes and end of text, 257 ids) or the path of a tokenizer file,
 * whose kind is told by what it holds, or of a folder with one:
 *
 *     tokenizer.json            BPE, byte level or with U+2581 for blanks
 *     vocab.json, merges.txt    GPT-2's two files
 *     tokenizer.model           SentencePiece (BPE, unigram) or tiktoken
 *     tokenizer.bin             llama2.c
 *     *.gguf                    the one inside
 *
 * AN_EUNSUPPORTED names a part of it that
 * is not read; then nothing is guessed.
 */
AN_API an_status an_tokenizer_open(const char *name_or_path, an_tokenizer **out,
                                   an_error *err);
/* The same for bytes that the caller keeps until this returns; `path` is the
 * name they go by. */
AN_API an_status an_tokenizer_parse(const char *path, const char *data,
                                    size_t size, an_tokenizer **out,
                                    an_error *err);
AN_API void an_tokenizer_free(an_tokenizer *t);
/* Writes a tokenizer.json that gives the same ids in other tools; or, for a
 * SentencePiece model that no tokenizer.json can say (unigram, or with a table
 * of replacements), that model itself, as tokenizer.model in the same folder. A
 * chat template that the tokenizer came with goes to chat_template.jinja there.
 */
AN_API an_status an_tokenizer_save(const an_tokenizer *t, const char *path,
                                   an_error *err);
/* "bytes", "tokenizer.json", ... */
AN_API const char *an_tokenizer_kind(const an_tokenizer *t);
/* One more than the largest id. */
AN_API int64_t an_tokenizer_vocab_size(const an_tokenizer *t);
/* -1: it has none. */
AN_API int32_t an_tokenizer_end_of_text(const an_tokenizer *t);
/* The id that models of this tokenizer expect before a text; -1: none. */
AN_API int32_t an_tokenizer_begin_of_text(const an_tokenizer *t);
/* The token that is written so; -1: none. */
AN_API int32_t an_tokenizer_id(const an_tokenizer *t, const char *token,
                               size_t size);
/*
 * Appends the text's ids to the *n that *ids holds (NULL: none); the caller
 * frees *ids with an_tokens_free. Tokens that the file adds ("<|im_end|>") are
 * found in the text; none is put before or behind it. Bytes that are no UTF-8
 * keep their ids where the tokenizer has some for them. Safe from any thread.
 */
AN_API an_status an_tokenizer_encode(const an_tokenizer *t, const char *text,
                                     size_t size, int32_t **ids, size_t *n,
                                     an_error *err);
AN_API void an_tokens_free(int32_t *ids);
/* The bytes of one id inside a text (borrowed); size 0 for ids that print
 * nothing. */
AN_API const char *an_tokenizer_bytes(const an_tokenizer *t, int32_t id,
                                      size_t *size);
/* The same for ids one after another, zero to begin with: the blank that some
 * tokenizers put before a text is left out. */
typedef struct an_decoder {
    bool inside; /* of a text: something was printed */
} an_decoder;
AN_API const char *an_decoder_next(an_decoder *d, const an_tokenizer *t,
                                   int32_t id, size_t *size);
/* The text of ids; an_text_free (mil.h). */
AN_API an_status an_tokenizer_decode(const an_tokenizer *t, const int32_t *ids,
                                     size_t n, char **text, size_t *size,
                                     an_error *err);

/*
 * Text files (JSONL too: "text" of each line) and folders of them as one token
 * shard of llm.c at `path`, which appears when it is whole. Memory does not
 * depend on the size of the files. `progress` (may be NULL) gets the share that
 * is done; false stops.
 */
typedef struct an_encode_options {
    const char *const *paths;
    int n_paths;
    const an_tokenizer *tokenizer;
    bool (*progress)(void *ctx, double share);
    void *ctx;
} an_encode_options;
typedef struct an_encode_report {
    int64_t tokens, documents, text_bytes;
} an_encode_report;
AN_API an_status an_data_encode(const an_encode_options *options,
                                const char *path, an_encode_report *report,
                                an_error *err);

/*
 * Byte-level BPE from text files (JSONL too) and folders of them: ids 0-255 are
 * the bytes, then the merges, then the special tokens of the form. Counts
 * words: memory grows with the number of different ones, up to a limit at which
 * the rarest are dropped, not with the files. The same files give the same
 * tokenizer.
 */
typedef enum an_tokenizer_form {
    AN_FORM_GPT2,
    AN_FORM_LLAMA3,
    AN_FORM_QWEN2,
    AN_FORM_SMOLLM,
    AN_FORM_COUNT
} an_tokenizer_form;
/* "gpt2", "llama3", ... */
AN_API const char *an_tokenizer_form_name(an_tokenizer_form form);
typedef struct an_tokenizer_training {
    const char *const *paths;
    int n_paths;
    an_tokenizer_form form; /* how texts are split, which special tokens */
    int64_t vocab_size;     /* with the bytes and the special tokens */
    /* As in an_encode_options, first over the files, then over the merges. */
    bool (*progress)(void *ctx, double share);
    void *ctx;
} an_tokenizer_training;
/* Fewer tokens come out where nothing is left to merge. */
AN_API an_status an_tokenizer_train(const an_tokenizer_training *options,
                                    an_tokenizer **out, an_error *err);

/* What data files hold. */
typedef enum an_data_kind {
    AN_DATA_TEXT,   /* needs a tokenizer */
    AN_DATA_TOKENS, /* ids: llm.c's shards, or raw .bin, .u16, .u32 */
    AN_DATA_RANDOM, /* the single word "random": synthetic ids */
} an_data_kind;
/* The kind of the first file; an_dataset_open refuses a mixture. */
AN_API an_status an_data_detect(const char *const *paths, int n_paths,
                                an_data_kind *out, an_error *err);

/* A message of a conversation. */
typedef struct an_message {
    const char *role, *content; /* "system", "user", "assistant" */
    size_t size;                /* of content */
} an_message;

typedef struct an_dataset an_dataset;
typedef enum an_split { AN_SPLIT_TRAIN, AN_SPLIT_VALIDATION } an_split;

/* What a sample's loss is taken over. */
typedef enum an_mask {
    AN_MASK_NOTHING, /* all of it */
    AN_MASK_PROMPT   /* what is answered */
} an_mask;

typedef struct an_dataset_options {
    /* Files and folders of them: text, JSONL, .bin shards of llm.c, raw uint16
     * and uint32 (.u16, .bin; .u32); or the single word "random". */
    const char *const *paths;
    int n_paths;
    const an_tokenizer *tokenizer; /* NULL for token files and random */
    int64_t vocab_size;
    int64_t sequence;
    uint64_t seed;
    /* Of the windows, taken from the end: 0.1. At 0 there are none to validate,
     * at 1 none to train. */
    double validation_share;
    an_mask mask; /* of samples */
    /* Where the ids of text are kept between runs; NULL: a temporary file. It
     * is made again when files or tokenizer changed. */
    const char *cache;
    /* Of encoding, as in an_encode_options. */
    bool (*progress)(void *ctx, double share);
    void *ctx;
} an_dataset_options;

/*
 * Token windows of sequence + 1 ids. Window i of a split is fixed by the files
 * and the sequence length; the order of training windows is a permutation of
 * each epoch fixed by (seed, epoch). Files are mapped, not read: they may be
 * larger than memory. Every id is checked against vocab_size when read: an
 * error names the file and the offset.
 *
 * Text, and JSONL with "text", is one stream of documents, each led by end of
 * text. JSONL with "prompt" and "completion", or with "messages", is samples:
 * each is a window of its own, cut at the sequence's length or padded; targets
 * of padding, and of what the mask leaves out, are -1.
 */
AN_API an_status an_dataset_open(const an_dataset_options *options,
                                 an_dataset **out, an_error *err);
AN_API void an_dataset_free(an_dataset *d);
AN_API int64_t an_dataset_windows(const an_dataset *d, an_split split);
AN_API int64_t an_dataset_tokens(const an_dataset *d);
/* Samples that are longer than a window and lose their end. */
AN_API int64_t an_dataset_truncated(const an_dataset *d);
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
