/*
 * The next token's logits with a cache of keys and values: a prompt in one pass
 * on the engine of the blocks, then token by token on the CPU.
 */
#ifndef AN_TRAIN_PREDICT_H
#define AN_TRAIN_PREDICT_H

#include "train/layers.h"

typedef struct an_predictor an_predictor;

/* For up to `sequence` positions. `p` and the weights outlive it. */
an_status an_predictor_new(const an_placed *p, an_packed *weights,
                           int64_t sequence, an_predictor **out, an_error *err);
void an_predictor_free(an_predictor *d);
/* A new sequence of n >= 1 tokens: forgets what was before. */
an_status an_predictor_prompt(an_predictor *d, const int32_t *ids, int64_t n,
                              an_error *err);
/* One token more. Allocates nothing, but when the cache grows. */
an_status an_predictor_step(an_predictor *d, int32_t id, an_error *err);
void an_predictor_get_speed(const an_predictor *d, an_speed *out);
/* How many tokens there are. */
int64_t an_predictor_length(const an_predictor *d);
/* Of the token after the last one, [V, 1]; valid until the next call. */
an_matrix an_predictor_logits(an_predictor *d);

#endif
