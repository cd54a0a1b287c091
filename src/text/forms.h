/* How published byte-level tokenizers are set up, by name. */
#ifndef AN_TEXT_FORMS_H
#define AN_TEXT_FORMS_H

#include "text/tokenizer.h"

/* Number of special tokens of the form. */
int an_form_n_specials(an_tokenizer_form form);
/* Splits, steps, and, with ids from `first` on, special tokens. */
an_status an_form_fill(an_tokenizer *t, an_tokenizer_form form, int32_t first,
                       an_error *err);

#endif
