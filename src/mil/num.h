/*
 * Numerics: how a reference kernel rounds, multiplies and accumulates, reduces
 * and evaluates functions. One table per mode; kernels are written once,
 * against this table. `ieee` and `exact` are in ops/num.c; `hw` is a third.
 */
#ifndef AN_MIL_NUM_H
#define AN_MIL_NUM_H

#include "anemone/mil.h"

#include <stdint.h>

typedef struct an_chip_numerics an_chip_numerics; /* mil/numerics.h */

/* Functions of up to three scalars: the one list of element-wise meanings.
 * scalars.def holds AN_FN(id, operands). */
typedef enum an_scalar {
    AN_SCALAR_NONE,
#define AN_FN(id, n) AN_SCALAR_##id,
#include "mil/scalars.def"
#undef AN_FN
    AN_SCALAR_COUNT
} an_scalar;

typedef enum an_reduce {
    AN_REDUCE_NONE,
    AN_REDUCE_SUM,
    AN_REDUCE_MEAN,
    AN_REDUCE_MAX,
    AN_REDUCE_MIN,
    AN_REDUCE_SUM_SQUARE,
    AN_REDUCE_LOG_SUM_EXP,
    AN_REDUCE_SOFTMAX, /* not a reduction in shape, one in kind: per row */
} an_reduce;

typedef struct an_num an_num;
struct an_num {
    const char *name;
    /* One rounding of an exact result to a type's values; integers saturate,
     * bools become 0 or 1. */
    double (*round)(const an_num *num, double x, an_dtype to);
    /* Rounds what a compound op keeps between its steps (softmax's x - max);
     * ieee: fp32, exact: nothing. */
    double (*inner)(const an_num *num, double x, an_dtype of);
    /* fn(a, b, c) rounded to `to`. `of` is the operands' type. */
    double (*scalar)(const an_num *num, an_scalar fn, double a, double b,
                     double c, an_dtype of, an_dtype to);
    /* bias + sum of a[i * a_step] x b[i * b_step], i ascending, rounded. */
    double (*dot)(const an_num *num, int64_t n, const double *a, int64_t a_step,
                  const double *b, int64_t b_step, double bias, an_dtype of,
                  an_dtype to);
    /* A reduction of n values `step` apart, rounded to `to`; not SOFTMAX. */
    double (*reduce)(const an_num *num, an_reduce how, int64_t n,
                     const double *x, int64_t step, an_dtype to);
    /* fp16 storage to the doubles of kernels and back, patterns of exponent
     * field 31 included. */
    double (*load)(uint16_t bits);
    uint16_t (*store)(double x);
    const an_chip_numerics *chip; /* what `hw` reads, else NULL */
};

/* The meaning of a scalar function in fp64, before rounding. Domains follow
 * IEEE: log(-1) is NaN, 1/0 infinity. */
double an_scalar_exact(an_scalar fn, double a, double b, double c);
/* One row of n values of a type, replaced by its softmax (ops/softmax.c). */
void an_softmax_row(const an_num *num, int64_t n, double *x, an_dtype type);
int an_scalar_operands(an_scalar fn);

extern const an_num an_num_ieee;
extern const an_num an_num_exact;

#endif
