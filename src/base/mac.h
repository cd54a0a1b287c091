/*
 * The Neural Engine's multiply-accumulate on fp16 bit patterns: a fixed-point
 * accumulator with 16 fractional bits. This is the definition; the fast forms
 * of kernels/mac.h return the same bits.
 *
 * Operands: exponent field 31 is not special (0x7c00 is 2^16, 0x7fff 131008);
 * denormals keep their value and count as exponent -14. A product is lost when
 * the exponents sum to AN_MAC_LOST or less, else rounded to a multiple of
 * 2^-16, ties away from zero. The sum starts at the bias, rounded the same way,
 * and is exact; once its magnitude is 2^15 the result is infinity of that sign,
 * whatever follows: checked after the bias and after each product, in order.
 * The end value is rounded to fp16.
 *
 * Source: 751K/Apple-Neural-Engine-Microarchitecture-Study-M6,
 * notes/numerics.md and data/06_numerics (M6, M4). M1's divergences:
 * sbryngelson/ane-guide, chapters 3 and 20.
 */
#ifndef AN_BASE_MAC_H
#define AN_BASE_MAC_H

#include <stdbool.h>
#include <stdint.h>

typedef enum an_ties { AN_TIES_AWAY, AN_TIES_EVEN } an_ties;

enum {
    AN_MAC_FRACTION = 16, /* the accumulator's unit is 2^-16 */
    AN_MAC_LOST = -17,    /* largest sum of exponents that is lost */
    AN_MAC_LIMIT = 31,    /* 2^31 units, 2^15, are infinity */
};

/* What differs between chips. */
typedef struct an_mac {
    an_ties result_ties;    /* of the last rounding, to fp16 */
    bool flushes_denormals; /* denormal operands count as 0 */
    /* A stage before the accumulator adds this many products in floating
     * point; 1: there is none. */
    int lanes;
    /* Significand of that stage: both operands of an addition are rounded,
     * ties to even, to the grid of the larger. */
    int lane_bits;
} an_mac;

typedef struct an_mac_sum {
    const an_mac *mac;
    int64_t units; /* multiples of 2^-16 */
    int64_t lane;  /* of the first stage, the same units */
    int n_lane;    /* products in it */
    int overflow;  /* sign of the infinity, 0: none yet */
} an_mac_sum;

void an_mac_start(an_mac_sum *s, const an_mac *mac, uint16_t bias);
void an_mac_add(an_mac_sum *s, uint16_t a, uint16_t b);
uint16_t an_mac_end(an_mac_sum *s);

/* One product in units of 2^-16. */
int64_t an_mac_product(uint16_t a, uint16_t b);
/* bias + sum of a[i * a_step] b[i * b_step], i ascending. */
uint16_t an_mac_dot(const an_mac *mac, int64_t n, const uint16_t *a,
                    int64_t a_step, const uint16_t *b, int64_t b_step,
                    uint16_t bias);

#endif
