/*
 * Left operands of contractions that are stored narrower than they are used:
 *
 *     w = cast(x)                              x fp16
 *     w = reshape(mul(cast(q), scales))        q int8 [1, M, K / 32, 32],
 *                                              scales fp32 [1, M, K / 32, 1]
 *
 * for parameters and constants of the function that nothing else reads in this
 * form. The contraction reads x, or q and scales; w is never made.
 */
#ifndef AN_ENGINE_SOFT_NARROW_H
#define AN_ENGINE_SOFT_NARROW_H

#include "engine/soft/plan.h"

typedef struct an_narrow {
    const an_value *data, *scales; /* scales NULL: fp16 */
    const an_node *nodes[3];       /* that make w of them */
    int n_nodes;
} an_narrow;

/* Whether `node` is a contraction with such an operand. */
bool an_narrow_find(const an_plan *plan, const an_node *node, an_narrow *out);

#endif
