/*
 * The fields of a chip that the numerics `hw` reads. mil declares them, chip
 * has a row per chip (chip/numerics.h), ops/num_hw.c computes with them.
 *
 * A field whose name starts with guess_ is what no source decides: the value
 * in the rows is the best model so far, and a measurement replaces it there.
 * What a chip is not known to do differently is as on M4.
 */
#ifndef AN_MIL_NUMERICS_H
#define AN_MIL_NUMERICS_H

#include "base/mac.h"
#include "mil/ir.h"
#include "mil/num.h"

enum { AN_TABLE_KNOTS = 33 };

/* How a function without a table of its own is computed. */
typedef enum an_way {
    AN_WAY_EXACT, /* exactly, then one rounding */
    AN_WAY_TABLE, /* from the tables of other functions */
} an_way;

typedef enum an_mean_way {
    AN_MEAN_TIMES_RECIPROCAL, /* sum x (1 / n), in fp64, one rounding */
    AN_MEAN_DIVIDED,          /* sum / n, one rounding */
} an_mean_way;

typedef enum an_silu_tail {
    AN_SILU_X_PLUS_MIRROR, /* above the table: x + silu(-x) */
    AN_SILU_X,             /* above the table: x */
} an_silu_tail;

typedef enum an_integer_way {
    AN_INTEGER_TOWARD_ZERO,
    AN_INTEGER_NEAREST_EVEN,
} an_integer_way;

struct an_chip_numerics {
    const char *chip; /* "m4" */
    an_mac mac;       /* conv, matmul, linear */
    /* Magnitude from which a result of theirs may have been infinity. */
    double product_limit;
    an_ties ties; /* of all other roundings to fp16 */
    /* Denormal operands of element-wise ops act as 0. */
    bool flushes_operands;
    /* Literals below 2^-14 in the text of a program act as 0. */
    bool flushes_literals;
    /* Inside a slice at a non-zero offset of the last axis: what leaves fp16
     * after this factor becomes infinity. */
    double slice_gain;
    const uint16_t *silu_knots; /* fp16, from -8 to 8 */
    const uint16_t *gelu_knots; /* fp16, from -4 to 4 */
    double sigmoid_zero_at;     /* end of the line below the table */
    double sigmoid_one_at;      /* end of the line above it */
    double log_of_zero;
    double guess_erf_one_at;   /* end of the line above erf's table */
    double guess_silu_zero_at; /* end of the line below silu's table */
    an_silu_tail guess_silu_above;
    an_way guess_real_div;    /* TABLE: x inverse(y) */
    an_way guess_pow;         /* TABLE: exp(y log(x)) */
    an_way guess_softmax_exp; /* TABLE: exp's */
    an_mean_way guess_mean;
    an_integer_way guess_to_integer; /* casts */
    double guess_inverse_of_zero, guess_rsqrt_of_zero;
    /* Moves, select, maximum and minimum keep bit patterns of exponent field
     * 31; false: they become infinity of their sign. */
    bool guess_moves_keep_patterns;
};

/*
 * The table `hw` for a chip; `chip` is borrowed for as long as `out` is used.
 *
 * Doubles carry fp16 patterns of exponent field 31 so that contractions and
 * moves see them: 0x7c00 is infinity; a NaN pattern is a quiet NaN whose lowest
 * ten bits are the fraction (num.h: load, store). A NaN that arithmetic made
 * has none of these bits and is rounded to 0, since the engine makes no NaN.
 * fp32 tensors hold fp16 values: operands are rounded to fp16, nearest even,
 * which is the rounding at a host surface, and results as fp16. fp64 results
 * are not rounded: they are what a compound op keeps between its steps.
 */
void an_num_hw_init(an_num *out, const an_chip_numerics *chip);

/* fp16 bits to the doubles described above and back: num.h's load, store. */
double an_hw_load(uint16_t bits);
uint16_t an_hw_store(double x);

/* A literal of a program as the chip sees it (flushes_literals). */
double an_hw_literal(const an_chip_numerics *chip, double x);
/* Does a view of x change elements on the chip: is it a slice of floats at a
 * non-zero offset of the last axis, where slices have a gain? chip may be NULL.
 */
struct an_view;
bool an_hw_slice_has_gain(const an_chip_numerics *chip, const an_shape *x,
                          const struct an_view *view);
/* An element that passes such a slice. */
uint16_t an_hw_slice(const an_chip_numerics *chip, uint16_t bits);

/*
 * The one fusion: mul(x, sigmoid(x)), operands in either order, is silu(x)
 * when nothing else reads that sigmoid; a result of the function counts as a
 * reader. readers and silu have f->n_values elements, by value id: how often a
 * value is read, and for the result of a fused mul its x, else NULL.
 */
void an_hw_find_silu(const an_function *f, int *readers, an_value **silu);

#endif
