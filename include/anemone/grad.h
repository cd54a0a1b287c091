/*
 * Reverse-mode differentiation over MIL.
 *
 *     an_gradient *g = NULL;
 *     an_grad(module, "forward", &(an_grad_options){.wrt = names, .n_wrt = 2},
 *             &g, &err);
 *
 * The result is a module with two functions. "forward" is the given one with
 * the taps added to its results. "backward" takes the adjoint `d_<r>` of every
 * result r, the taps, and the forward parameters that it needs, all under
 * their forward names; it returns `d_<p>` for every parameter of `wrt` and the
 * operands of the deferred contractions.
 */
#ifndef ANEMONE_GRAD_H
#define ANEMONE_GRAD_H

#include "anemone/mil.h"

typedef struct an_grad_options {
    /* Parameters whose adjoints are computed. */
    const char *const *wrt;
    int n_wrt;
    /* Parameters of `wrt` whose gradient is left as a contraction. */
    const char *const *deferred;
    int n_deferred;
    /* Forward values that may be kept for the backward function; others are
     * computed again there. NULL: all but views, element-wise results and
     * constants. One that the backward function does not read is no tap. */
    const char *const *taps;
    int n_taps;
    /* Forward values that count as constants. */
    const char *const *stops;
    int n_stops;
} an_grad_options;

/*
 * The gradient of `param` [.., M, N]: dW[m, n] = sum over k of
 * left[m, k] right[k, n]. The operands are ports of the two functions (named
 * here), read as matrices: the last axis by all others together; stored as
 * [k, m] where transpose_left, as [n, k] where transpose_right.
 */
typedef struct an_contraction {
    const char *param;
    const char *left, *right;
    bool transpose_left, transpose_right;
} an_contraction;

typedef struct an_gradient {
    an_module *module; /* "forward" and "backward" */
    const char **taps; /* results of forward that it did not have before */
    int n_taps;
    an_contraction *contractions;
    int n_contractions;
} an_gradient;

AN_API an_status an_grad(const an_module *module, const char *function,
                         const an_grad_options *options, an_gradient **out,
                         an_error *err);
AN_API void an_gradient_free(an_gradient *g);

#endif
