/* GPT-2's vocabulary and merges, as the bytes of their files. */
#ifndef AN_TEXT_GPT2_H
#define AN_TEXT_GPT2_H

#include "text/tokenizer.h"

an_status an_gpt2_parse(const char *vocab, size_t n_vocab, const char *merges,
                        size_t n_merges, an_tokenizer **out, an_error *err);

#endif
