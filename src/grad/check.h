/*
 * Checks gradients by central differences of the reference kernels in `exact`
 * numerics.
 */
#ifndef AN_GRAD_CHECK_H
#define AN_GRAD_CHECK_H

#include "anemone/grad.h"

typedef struct an_gradient_probe {
    const char *const *wrt; /* parameters to vary */
    int n_wrt;
    /* Elements of every parameter of the function, in its order. */
    const double *const *inputs;
    uint64_t seed;  /* of adjoints and directions */
    int directions; /* per parameter */
} an_gradient_probe;

/*
 * The worst relative error of the gradient `g` of `function`, over random
 * adjoints of all results and random unit directions u of each parameter p:
 * |<d_p, u> - (L(p + h u) - L(p - h u)) / 2h| over the largest of the two and
 * |d_p| / 10, with h = 1e-4. Deferred contractions are carried out. The module
 * should be fp64: `exact` rounds nothing, constants have their type.
 */
an_status an_gradient_error(const an_module *module, const char *function,
                            const an_gradient *g,
                            const an_gradient_probe *probe, double *worst,
                            an_error *err);

#endif
