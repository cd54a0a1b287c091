/* The parts of tokenizer.json, and what other kinds share with them. */
#ifndef AN_TEXT_JSON_PARTS_H
#define AN_TEXT_JSON_PARTS_H

#include "base/json.h"
#include "text/tokenizer.h"

#define AN_BLANK "\xe2\x96\x81" /* U+2581, which stands for a blank */

/* NULL or null: nothing is done. The pre-tokenizer comes first: it says how
 * the vocabulary is spelled. */
an_status an_read_pre_tokenizer(an_tokenizer *t, const json_t *o,
                                an_error *err);
an_status an_read_normalizer(an_tokenizer *t, const json_t *o, an_error *err);
an_status an_read_post_processor(an_tokenizer *t, const json_t *o,
                                 an_error *err);
an_status an_read_decoder(an_tokenizer *t, const json_t *o, an_error *err);

/* A token spelled as in tokenizer.json. */
an_status an_token_put(an_tokenizer *t, const char *text, size_t size,
                       int64_t id, an_error *err);
/* An object of tokens and ids; indexed too. */
an_status an_read_vocab(an_tokenizer *t, json_t *vocab, an_error *err);
an_status an_token_set_blanks(an_tokenizer *t, int32_t id, an_error *err);
an_status an_token_set_byte(an_tokenizer *t, int32_t id, int byte,
                            an_error *err);
int an_byte_token(const char *text, size_t size);
/* After the vocabulary; t->pairs has room. */
an_status an_merge_put(an_tokenizer *t, const char *left, size_t n_left,
                       const char *right, size_t n_right, uint32_t rank,
                       an_error *err);
an_status an_added_put(an_tokenizer *t, const an_added *a, an_error *err);
/* End of text by its usual names, when nothing has set it. */
void an_find_marks(an_tokenizer *t);

#endif
