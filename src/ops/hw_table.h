/*
 * The Neural Engine's functions on fp16 values: tables of knots with linear
 * interpolation, every step rounded to fp16. ops/num_hw.c decides which
 * operands get here.
 *
 * On a table's domain the base knot is the one of the two neighbours nearer to
 * zero (in mantissa tables the left one) and the far knot the other:
 *
 *     slope = fp16((k_far - k_base) / (x_far - x_base)), from rounded knots
 *     y = fp16(k_base + fp16(slope * fp16(x - x_base)))
 *
 * Source: outputs published in 751K/Apple-Neural-Engine-Microarchitecture-
 * Study-M6, data/06_numerics, and christopherkarani/Espresso's captures, from
 * which domains, knots and this rule were derived; sbryngelson/ane-guide
 * (M1) for the ends of sigmoid and log(0).
 */
#ifndef AN_OPS_HW_TABLE_H
#define AN_OPS_HW_TABLE_H

#include "mil/numerics.h"

/* One rounding to fp16, the chip's ties. NaN and infinities stay. */
double an_hw_round(const an_chip_numerics *chip, double x);

/* Has the function a table? log, rsqrt and inverse have two operands: x and
 * epsilon. */
bool an_hw_has_table(an_scalar fn);
/* The function by its table; operands are fp16 values or infinities. Outside
 * the domain of the function (log(-1)) the result is 0. */
double an_hw_table(const an_chip_numerics *chip, an_scalar fn, double x,
                   double epsilon);

#endif
