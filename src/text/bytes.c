/* The tokenizer "bytes": ids 0-255 are the bytes, 256 ends a text. */
#include "text/tokenizer.h"

static const char end_of_text[] = "<|endoftext|>";
enum { END_OF_TEXT = 256 };

an_status an_tokenizer_bytes_init(an_tokenizer *t, an_error *err)
{
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < 256; i++) {
        unsigned char byte = (unsigned char)i;
        t->byte_ids[i] = i;
        s = an_vocab_put(&t->vocab, &t->arena, i, &byte, 1, AN_TOKEN_NORMAL, 0,
                         err);
    }
    if (s == AN_OK)
        s = an_vocab_put(&t->vocab, &t->arena, END_OF_TEXT, end_of_text,
                         sizeof end_of_text - 1, AN_TOKEN_CONTROL, 0, err);
    if (s == AN_OK) s = an_vocab_index(&t->vocab, err);
    t->end_of_text = END_OF_TEXT;
    const an_added end = {.text = end_of_text,
                          .size = sizeof end_of_text - 1,
                          .id = END_OF_TEXT,
                          .special = true};
    return s == AN_OK ? an_tokenizer_add(t, &end, err) : s;
}
