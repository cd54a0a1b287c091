/*
 * Short forms over the builder for passes and gradients. Each emits ops with
 * every parameter written out as a named constant, the spelling that hardware
 * takes most surely (docs/mil.md). All return NULL after an error of the
 * builder, and take NULL values then; results have made-up names. Shapes of
 * operands are taken from the values.
 *
 * Sums are products with ones where the engine's contraction is the better
 * adder: see an_emit_sum.
 */
#ifndef AN_MIL_EMIT_H
#define AN_MIL_EMIT_H

#include "anemone/mil.h"

/* op(x), for ops with one tensor; other parameters get the row's defaults. */
an_value *an_emit_unary(an_builder *b, const char *op, an_value *x);
/* op(x, y) with numpy broadcast. */
an_value *an_emit_binary(an_builder *b, const char *op, an_value *x,
                         an_value *y);
/* x times, plus a constant of x's float type; scale 1 and addend 0 give x. */
an_value *an_emit_scale(an_builder *b, an_value *x, double scale);
an_value *an_emit_add_scalar(an_builder *b, an_value *x, double addend);

/* (x or x^T)(y or y^T) over the last two axes, others broadcast. */
an_value *an_emit_matmul(an_builder *b, an_value *x, an_value *y,
                         bool transpose_x, bool transpose_y);

/* x itself when the shape, the order or the type is already so. */
an_value *an_emit_reshape(an_builder *b, an_value *x, int rank,
                          const int64_t *dims);
an_value *an_emit_transpose(an_builder *b, an_value *x, const int *perm);
an_value *an_emit_cast(an_builder *b, an_value *x, an_dtype dtype);

/* slice_by_size: begin and size have one entry per axis of x. */
an_value *an_emit_slice(an_builder *b, an_value *x, const int64_t *begin,
                        const int64_t *size);
/* Interleave is false. One value is returned as it is. */
an_value *an_emit_concat(an_builder *b, int n, an_value *const *values,
                         int axis);

/* reduce_*(x); axes from 0. */
an_value *an_emit_reduce(an_builder *b, const char *op, an_value *x, int n_axes,
                         const int64_t *axes, bool keep_dims);

/*
 * The sum over axes, dimensions kept. Axes of size 1 cost nothing. Over axis 1
 * alone of rank 4: a 1x1 convolution with ones; over the last axis alone: one
 * matmul with ones; else reduce_sum.
 */
an_value *an_emit_sum(an_builder *b, an_value *x, int n_axes,
                      const int64_t *axes);
/* The inverse of numpy broadcast: x summed down to target's dimensions. */
an_value *an_emit_unbroadcast(an_builder *b, an_value *x,
                              const an_shape *target);

/* A constant tensor, every element `x` rounded to the dtype. */
an_value *an_emit_full(an_builder *b, an_shape shape, double x);

#endif
