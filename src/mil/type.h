/*
 * What dtypes, shapes and types need inside src/mil and its users beyond
 * mil.h and ir.h.
 */
#ifndef AN_MIL_TYPE_H
#define AN_MIL_TYPE_H

#include "mil/ir.h"

/* Elements of one tensor, at most: sizes in bytes then always fit. */
#define AN_MAX_COUNT ((int64_t)1 << 48)

/* False: `text` is no dtype. */
bool an_dtype_find(const char *text, size_t size, an_dtype *out);
/* Bits of one element in a file or in integer arithmetic; strings 0. */
int an_dtype_bits(an_dtype dtype);
bool an_dtype_is_float(an_dtype dtype);
/* bool and string are neither. */
bool an_dtype_is_int(an_dtype dtype);
bool an_dtype_is_signed(an_dtype dtype);

/* Rank within AN_MAX_RANK, each dimension -1 or 0..INT32_MAX, at most
 * AN_MAX_COUNT elements. */
bool an_shape_valid(const an_shape *shape);
/* No dimension is -1. */
bool an_shape_known(const an_shape *shape);

/* Is it a type of values that the shape rule's `shape` describes (op.h:
 * an_shape_fn)? */
bool an_type_admits(const an_type *type, const an_shape *shape);

/* For messages: "fp16 [1, 4]", "a list", "a state of fp16 [1, 4]". */
const char *an_type_text(const an_type *type, char *text, size_t size);
/* A copy in another module; NULL without memory. */
const an_type *an_type_copy(an_module *m, const an_type *type);

#endif
