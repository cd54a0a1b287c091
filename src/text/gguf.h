/* A tokenizer as the keys of a GGUF file, for llama.cpp. */
#ifndef AN_TEXT_GGUF_H
#define AN_TEXT_GGUF_H

#include "text/tokenizer.h"

/* A name of tokenizer.ggml.pre: how texts are cut into words. */
typedef struct an_gguf_pre {
    const char *name, *first, *then;
    bool composes, ignores_merges;
} an_gguf_pre;
/* The names that are known; `then` may be NULL. */
const an_gguf_pre *an_gguf_pre_at(size_t i);

/*
 * Appends keys and values as the file has them; *n_keys is how many. There is a
 * token for each of vocab_size ids. AN_EUNSUPPORTED: llama.cpp has no tokenizer
 * that gives these ids.
 */
an_status an_tokenizer_gguf(const an_tokenizer *t, int64_t vocab_size,
                            an_buffer *out, uint64_t *n_keys, an_error *err);

#endif
