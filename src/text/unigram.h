/* The unigram model: of all ways to cut a text into pieces, the likeliest. */
#ifndef AN_TEXT_UNIGRAM_H
#define AN_TEXT_UNIGRAM_H

#include "text/bpe.h"
#include "text/tokenizer.h"

/* Appends the text's ids to the word. `work` is memory to work in. */
an_status an_unigram_encode(const an_tokenizer *t, const unsigned char *text,
                            size_t size, an_word *out, an_buffer *work,
                            an_error *err);

#endif
