/*
 * Choosing the next token from logits: penalty for repetition, temperature,
 * top-k, top-p, min-p, and a draw.
 */
#ifndef AN_TRAIN_CHOOSE_H
#define AN_TRAIN_CHOOSE_H

#include "anemone/train.h"
#include "base/rng.h"

typedef struct an_candidate {
    double weight; /* logit, then probability */
    int32_t id;
} an_candidate;

typedef struct an_chooser {
    const an_sample_options *o;
    an_candidate *list; /* [n], by id: the caller fills in the logits */
    bool *seen;         /* [n]: ids that were penalised */
    int64_t n;
    an_rng rng;
} an_chooser;

/* AN_EINVAL: an option is out of its range. */
an_status an_chooser_init(an_chooser *c, int64_t n, const an_sample_options *o,
                          an_error *err);
void an_chooser_fini(an_chooser *c);

/*
 * The next token, given logits in `list` and the tokens before it. Logits of
 * tokens that came before are divided by the penalty when positive, multiplied
 * when not (Keskar et al. 2019, arXiv:1909.05858, as Hugging Face does it).
 * Temperature 0 takes the most likely; of equal ones the lowest id.
 */
int32_t an_choose(an_chooser *c, const int32_t *context, size_t n_context);

#endif
