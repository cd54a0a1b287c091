/*
 * fp16 and bf16 as bit patterns (uint16_t). Conversions of single values, all
 * rounding to nearest even unless the name says otherwise; arrays are
 * converted by kernels/convert.h.
 */
#ifndef AN_BASE_HALF_H
#define AN_BASE_HALF_H

#include <stdint.h>

#define AN_HALF_MAX 65504.0 /* the largest finite fp16 */

double an_half_to_double(uint16_t bits);
float an_half_to_float(uint16_t bits);
/* One rounding from fp64: never through fp32 (no double rounding). */
uint16_t an_half_from_double(double x);
/* Ties away from zero, one rounding from fp64. Overflow gives infinity. */
uint16_t an_half_from_double_away(double x);
uint16_t an_half_from_float(float x);
float an_bf16_to_float(uint16_t bits);
uint16_t an_bf16_from_float(float x);

/* Patterns in the order of their numbers, one apart, both zeros at 0; infinity
 * and the NaN patterns go on behind the largest. */
int an_half_rank(uint16_t bits);

#endif
