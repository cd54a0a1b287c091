/*
 * What the families of ops share: checks of shape rules, walks over dense
 * tensors for reference kernels, counts of arithmetic, steps of gradients.
 */
#ifndef AN_OPS_OPS_H
#define AN_OPS_OPS_H

#include "mil/op.h"

/* ---- shape rules (rules.c) ---- */

typedef enum an_domain {
    AN_DOMAIN_FLOAT,  /* fp16 fp32 fp64 */
    AN_DOMAIN_NUMBER, /* floats and integers */
    AN_DOMAIN_BOOL,
    AN_DOMAIN_ANY, /* numbers and bool */
} an_domain;
bool an_dtype_in(an_dtype dtype, an_domain domain);
bool an_dtype_is_integer(an_dtype dtype);

/* Room for a shape's text in a message. */
enum { AN_SHAPE_TEXT = 96 };
#define AN_SHAPE_STR(shape)                                                    \
    an_shape_text((shape), (char[AN_SHAPE_TEXT]){0}, AN_SHAPE_TEXT)

/* Shape of a t, c or d parameter that is given. */
const an_shape *an_node_shape(const an_node *node, const char *param);
/* Two dimensions that can be the same: equal, or one is unknown. */
bool an_dims_fit(int64_t a, int64_t b);
/* Does a string argument have this text? */
bool an_str_is(an_str s, const char *text);

/* Axis i of an I parameter that was checked, counted from the start. */
int an_node_axis_at(const an_node *node, const char *param, int i, int rank);

/* Each fails with what came and what was expected. */
an_status an_rule_results(const an_node *node, int n, int expected,
                          an_error *err);
an_status an_rule_domain(const an_node *node, const char *param, an_domain d,
                         an_error *err);
/* Parameter `b` has the element type of parameter `a`. */
an_status an_rule_same_type(const an_node *node, const char *a, const char *b,
                            an_error *err);
an_status an_rule_rank(const an_node *node, const char *param, int min, int max,
                       an_error *err);
/* An I or B parameter, when given, has `expected` elements. */
an_status an_rule_count(const an_node *node, const char *param, int expected,
                        an_error *err);
/* Marks the axes that an I parameter lists; refuses those out of range of
 * `rank` and repeated ones. Not given: marks all. */
an_status an_rule_axes(const an_node *node, const char *param, int rank,
                       bool marked[AN_MAX_RANK], an_error *err);
an_status an_rule_axis(const an_node *node, const char *param, int rank,
                       int *out, an_error *err);
/* numpy broadcast of `b` into `out`, which holds the first operand's shape.
 * False: the shapes do not fit. Unknown dimensions give way to known ones
 * other than 1. */
bool an_shape_broadcast(an_shape *out, const an_shape *b);
/* The result has at most AN_MAX_RANK axes of 1 or more (or unknown) and no
 * more than 2^48 elements. */
an_status an_rule_size(const an_node *node, const an_shape *out, an_error *err);

/* A bias, when given, is [channels] of x's type. */
an_status an_rule_bias(const an_node *node, int64_t channels, an_error *err);

/* Rules of many rows: one result with the shape and type of x, which is a
 * float, a number, anything. */
an_shape_fn an_shape_as_float, an_shape_as_number, an_shape_as_any;

#endif
