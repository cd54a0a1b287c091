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

/* Room for a shape's text in a message. */
enum { AN_SHAPE_TEXT = 96 };
#define AN_SHAPE_STR(shape)                                                    \
    an_shape_text((shape), (char[AN_SHAPE_TEXT]){0}, AN_SHAPE_TEXT)

/* Shape of a t, c or d parameter that is given. */
const an_shape *an_node_shape(const an_node *node, const char *param);
/* Does a string argument have this text? */
bool an_str_is(an_str s, const char *text);

/* Axis i of an I parameter that was checked, counted from the start. */
int an_node_axis_at(const an_node *node, const char *param, int i, int rank);

/* Each fails with what came and what was expected. The first one looks at the
 * operands too: none is empty. */
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
 * False: the shapes do not fit. */
bool an_shape_broadcast(an_shape *out, const an_shape *b);
/* The result's axes have 1 element or more, and it no more than
 * AN_MAX_COUNT. */
an_status an_rule_size(const an_node *node, const an_shape *out, an_error *err);

/* A string argument is one of `names`, which a blank separates. */
an_status an_rule_choice(const an_node *node, const char *param,
                         const char *names, an_error *err);
/* An i parameter lies between min and max. */
an_status an_rule_int(const an_node *node, const char *param, int64_t min,
                      int64_t max, an_error *err);
/* An I parameter has `count` elements from min to 2^14, which no kernel, step
 * or padding exceeds. */
an_status an_rule_counts(const an_node *node, const char *param, int count,
                         int64_t min, an_error *err);
/* A t or c parameter, when given, has this type and these dimensions. */
an_status an_rule_shape(const an_node *node, const char *param,
                        const an_shape *want, an_error *err);
/* A t or c parameter, when given, has this rank (any: -1) and is an integer. */
an_status an_rule_integers(const an_node *node, const char *param, int rank,
                           an_error *err);

/* A bias, when given, is [channels] of x's type. */
an_status an_rule_bias(const an_node *node, int64_t channels, an_error *err);

/* Rules of many rows: one result with the shape and type of x, which is a
 * float, a number, anything. */
an_shape_fn an_shape_as_float, an_shape_as_number, an_shape_as_any;

/* ---- reference kernels (walk.c, classes.c) ---- */

/* An odometer over the elements of a tensor in row-major order that carries
 * offsets into up to four others. */
enum { AN_WALK_TENSORS = 4 };
typedef struct an_walk {
    int rank, n;
    int64_t dims[AN_MAX_RANK], index[AN_MAX_RANK];
    int64_t step[AN_WALK_TENSORS][AN_MAX_RANK]; /* elements per axis */
    int64_t at[AN_WALK_TENSORS];                /* current offsets */
} an_walk;
void an_walk_init(an_walk *w, int rank, const int64_t *dims);
/* A tensor with its own steps, starting at `at`. */
void an_walk_add(an_walk *w, const int64_t *step, int64_t at);
/* A dense tensor, broadcast as in numpy. */
void an_walk_add_broadcast(an_walk *w, const an_shape *shape);
void an_walk_next(an_walk *w);

/* Row-major steps of a dense tensor. */
void an_dense_steps(const an_shape *shape, int64_t step[AN_MAX_RANK]);

/* The elements of x grouped by the axes that are not marked: element j of
 * group i is at outer[i] + inner[j]. */
typedef struct an_groups {
    int64_t n_outer, n_inner;
    int64_t *outer, *inner;
} an_groups;
an_status an_groups_make(const an_eval *e, const an_shape *x,
                         const bool marked[AN_MAX_RANK], an_groups *out,
                         an_error *err);

/* n doubles of scratch; fails with AN_ENOMEM. */
an_status an_eval_doubles(const an_eval *e, int64_t n, double **out,
                          an_error *err);
/* Tensor of a parameter of kind t or c; NULL when it is absent. */
const an_dense *an_eval_in(const an_eval *e, const char *param);

/* fn(tensors, then float constants) per element of the result. */
void an_eval_scalar(const an_eval *e, an_scalar fn);
/* The kernels of rows with a scalar function, and of views. */
an_kernel_fn an_kernel_scalar, an_kernel_view;

/* ---- counts (classes.c) ---- */

/* Bytes of all operands and results. */
double an_cost_bytes(const an_node *node);
double an_shape_elements(const an_shape *shape);
/* No arithmetic; one operation per element of the result; per element of x. */
an_cost_fn an_cost_move, an_cost_result, an_cost_operand;

/* ---- gradients (vjp.c) ---- */

/* Operand x, or the result, inside the backward function. */
an_value *an_vjp_x(an_vjp *v);
an_value *an_vjp_y(an_vjp *v);
/* A constant of dy's type. */
an_value *an_vjp_scalar(an_vjp *v, double c);
an_value *an_vjp_one_minus(an_vjp *v, an_value *x);
an_value *an_vjp_select(an_vjp *v, an_value *cond, an_value *a, an_value *b);
/* Adds dy times factor to the adjoint of x. */
void an_vjp_times(an_vjp *v, an_value *factor);
/* Adds an adjoint of the result's shape to a broadcast operand's. */
void an_vjp_add_broadcast(an_vjp *v, const an_value *operand,
                          an_value *adjoint);
/* x with zeros around: `before` and `after` per axis. */
an_value *an_vjp_pad(an_vjp *v, an_value *x, const int64_t *before,
                     const int64_t *after);
/* Along `axis` every element of x followed by step - 1 zeros. */
an_value *an_vjp_stretch(an_vjp *v, an_value *x, int axis, int64_t step);
/* x backwards along the marked axes. */
an_value *an_vjp_flip(an_vjp *v, an_value *x, const bool *marked);
/* begin, begin + stride, .. along one axis, to its end. */
an_value *an_vjp_every(an_vjp *v, an_value *x, int axis, int64_t begin,
                       int64_t stride);
/* x in the shape of `like`. */
an_value *an_vjp_reshape_as(an_vjp *v, an_value *x, const an_shape *like);

#endif
