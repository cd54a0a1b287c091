/*
 * The loss scale: a power of two that keeps gradients between the smallest
 * products that an fp16 engine keeps and the magnitude at which it saturates.
 */
#ifndef AN_TRAIN_SCALE_H
#define AN_TRAIN_SCALE_H

#include "anemone/train.h"

/* The operand of a weight gradient that came nearest to its limit. */
typedef struct an_peak {
    const char *tensor; /* "d_qkv"; NULL: nothing was watched */
    const char *op;     /* that made it: "matmul" */
    const char *block;
    int layer;
    double largest, limit; /* magnitudes; the largest may be infinite */
    bool adjoint;          /* it grows with the scale */
} an_peak;
/* The engine saturated there, or the number left fp16. */
bool an_peak_overflows(const an_peak *p);

typedef struct an_scale {
    double value;
    int64_t calm; /* updates since it changed or overflowed */
} an_scale;

/* After one step: `skipped` discarded the update, `peak` is of the adjoints. */
void an_scale_step(an_scale *s, an_scaling scaling, bool skipped,
                   const an_peak *peak);

#endif
