/*
 * What a kind of tokenizer is: one row. tokenizer.c lists the rows; each file
 * of this folder that is named after a kind defines one.
 */
#ifndef AN_TEXT_TOKENIZER_H
#define AN_TEXT_TOKENIZER_H

#include "anemone/text.h"

#include "base/json.h"

typedef struct an_tokenizer_row {
    const char *name; /* "bytes" */
    /* A text file is its own array of ids, one byte each. */
    bool ids_are_bytes;
    int64_t vocab_size;
    int32_t end_of_text;
    an_status (*encode)(const an_tokenizer *t, const char *text, size_t size,
                        int32_t **ids, size_t *n, an_error *err);
    const char *(*bytes)(const an_tokenizer *t, int32_t id, size_t *size);
    /* The text of tokenizer.json; the caller frees it with an_free. */
    an_status (*print)(const an_tokenizer *t, char **text, size_t *size,
                       an_error *err);
    /* True: the file describes this kind. */
    an_status (*match)(const json_t *file, bool *out, an_error *err);
} an_tokenizer_row;

struct an_tokenizer {
    const an_tokenizer_row *row;
};

extern const an_tokenizer_row an_tokenizer_bytes_row;

#endif
