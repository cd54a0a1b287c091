/*
 * The end of a step as one job: norm of all gradients, clip, AdamW, the
 * engines' copies, and gradients back to zero.
 */
#ifndef AN_TRAIN_UPDATE_H
#define AN_TRAIN_UPDATE_H

#include "kernels/train.h"
#include "train/weights.h"

typedef struct an_update an_update;

an_status an_update_new(an_weights *w, an_update **out, an_error *err);
void an_update_free(an_update *u);

typedef struct an_update_step {
    an_adamw adamw;   /* lr, betas, epsilon, decay of matrices; the rest is
                         filled in */
    double divisor;   /* gradients are sums times this: loss scale x tokens */
    double clip;      /* of the global norm, after dividing; 0: none */
    int64_t updates;  /* Adam's count before this step */
    bool overflow;    /* seen on the way: skip whatever the norm says */
    double grad_norm; /* out: before clipping; not finite: skipped */
    bool skipped;     /* out: a gradient was not finite; weights stayed */
    double seconds;   /* out */
} an_update_step;
/* Runs on the pool; allocates nothing. */
an_status an_update_run(an_update *u, struct an_pool *pool, an_update_step *s,
                        an_error *err);

#endif
