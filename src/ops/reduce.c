/*
 * Reductions over axes. One kernel serves all: it gathers the values under one
 * result, in row-major order, and lets the numerics reduce them.
 */
#include "ops/ops.h"

#include "mil/emit.h"

#include <math.h>

/* The listed axes become 1 (keep_dims) or go. */
static an_status shape_reduce(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    bool gone[AN_MAX_RANK];
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_NUMBER, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    if ((s = an_rule_axes(node, "axes", x->rank, gone, err)) != AN_OK) return s;
    bool keep = an_node_bool(node, "keep_dims");
    an_shape r = {.dtype = x->dtype};
    for (int i = 0; i < x->rank; i++) {
        if (!gone[i])
            r.dims[r.rank++] = x->dims[i];
        else if (keep)
            r.dims[r.rank++] = 1;
    }
    out[0] = r;
    return AN_OK;
}

static an_status kernel_reduce(const an_eval *e, an_error *err)
{
    bool on[AN_MAX_RANK];
    an_groups g;
    double *values;
    const an_dense *x = &e->in[0], *out = &e->out[0];
    an_status s = an_rule_axes(e->node, "axes", x->shape.rank, on, err);
    if (s == AN_OK) s = an_groups_make(e, &x->shape, on, &g, err);
    if (s == AN_OK) s = an_eval_doubles(e, g.n_inner, &values, err);
    if (s != AN_OK) return s;
    for (int64_t i = 0; i < g.n_outer; i++) {
        for (int64_t j = 0; j < g.n_inner; j++)
            values[j] = x->data[g.outer[i] + g.inner[j]];
        out->data[i] = e->num->reduce(e->num, e->node->op->reduce, g.n_inner,
                                      values, 1, out->shape.dtype);
    }
    return AN_OK;
}

/* ---- reductions that the numerics have no step for: by fp64 ---- */

typedef double reduce_fn(const an_num *num, int64_t n, double *x);

static double l1_norm(const an_num *num, int64_t n, double *x)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = fabs(x[i]);
    return num->reduce(num, AN_REDUCE_SUM, n, x, 1, AN_FP64);
}

static double l2_norm(const an_num *num, int64_t n, double *x)
{
    return sqrt(num->reduce(num, AN_REDUCE_SUM_SQUARE, n, x, 1, AN_FP64));
}

static double log_sum(const an_num *num, int64_t n, double *x)
{
    return log(num->reduce(num, AN_REDUCE_SUM, n, x, 1, AN_FP64));
}

static double product(const an_num *num, int64_t n, double *x)
{
    double p = 1;
    (void)num;
    for (int64_t i = 0; i < n; i++)
        p *= x[i];
    return p;
}

static an_status reduce_by(const an_eval *e, reduce_fn *fn, an_error *err)
{
    bool on[AN_MAX_RANK];
    an_groups g;
    double *values;
    const an_dense *x = &e->in[0], *out = &e->out[0];
    an_status s = an_rule_axes(e->node, "axes", x->shape.rank, on, err);
    if (s == AN_OK) s = an_groups_make(e, &x->shape, on, &g, err);
    if (s == AN_OK) s = an_eval_doubles(e, g.n_inner, &values, err);
    if (s != AN_OK) return s;
    for (int64_t i = 0; i < g.n_outer; i++) {
        for (int64_t j = 0; j < g.n_inner; j++)
            values[j] = x->data[g.outer[i] + g.inner[j]];
        out->data[i] = e->num->round(e->num, fn(e->num, g.n_inner, values),
                                     out->shape.dtype);
    }
    return AN_OK;
}

static an_status kernel_l1_norm(const an_eval *e, an_error *err)
{
    return reduce_by(e, l1_norm, err);
}

static an_status kernel_l2_norm(const an_eval *e, an_error *err)
{
    return reduce_by(e, l2_norm, err);
}

static an_status kernel_log_sum(const an_eval *e, an_error *err)
{
    return reduce_by(e, log_sum, err);
}

static an_status kernel_prod(const an_eval *e, an_error *err)
{
    return reduce_by(e, product, err);
}

/* ---- gradients; dy is first given x's rank, 1 along the reduced axes ---- */

typedef struct frame {
    an_value *x;               /* forward operand */
    int64_t axes[AN_MAX_RANK]; /* reduced ones, ascending */
    int n;
    an_shape kept; /* x's shape with 1 along them */
    double count;  /* elements under one result */
} frame;

static frame frame_of(an_vjp *v)
{
    bool on[AN_MAX_RANK];
    frame f = {.x = an_node_value(v->node, "x"), .count = 1};
    f.kept = *an_value_shape(f.x);
    (void)an_rule_axes(v->node, "axes", f.kept.rank, on, NULL);
    for (int i = 0; i < f.kept.rank; i++) {
        if (!on[i]) continue;
        f.axes[f.n++] = i;
        f.count *= (double)f.kept.dims[i];
        f.kept.dims[i] = 1;
    }
    return f;
}

/* Repeats a kept value along the reduced axes: times ones of their sizes. */
static an_value *spread(an_vjp *v, const frame *f, an_value *kept)
{
    const an_shape *x = an_value_shape(f->x);
    an_shape ones = f->kept;
    for (int i = 0; i < ones.rank; i++)
        ones.dims[i] = f->kept.dims[i] == x->dims[i] ? 1 : x->dims[i];
    return an_emit_binary(v->b, "mul", kept, an_emit_full(v->b, ones, 1));
}

/* y = sum of x: dx = dy, repeated */
static void grad_sum(an_vjp *v)
{
    frame f = frame_of(v);
    an_value *dy = an_vjp_reshape_as(v, v->dy[0], &f.kept);
    v->add(v, f.x, spread(v, &f, dy));
}

/* y = sum of x / n: dx = dy / n, repeated */
static void grad_mean(an_vjp *v)
{
    frame f = frame_of(v);
    an_value *dy = an_vjp_reshape_as(v, v->dy[0], &f.kept);
    v->add(v, f.x, spread(v, &f, an_emit_scale(v->b, dy, 1 / f.count)));
}

/* y = max of x (or min): dx = dy / (how many equal y), where x equals y */
static void grad_extreme(an_vjp *v)
{
    an_builder *b = v->b;
    frame f = frame_of(v);
    an_value *dy = an_vjp_reshape_as(v, v->dy[0], &f.kept);
    an_value *y = an_vjp_reshape_as(v, an_vjp_y(v), &f.kept);
    an_value *hit =
        an_vjp_select(v, an_emit_binary(b, "equal", v->get(v, f.x), y),
                      an_vjp_scalar(v, 1), an_vjp_scalar(v, 0));
    an_value *hits = an_emit_sum(b, hit, f.n, f.axes);
    an_value *share = an_emit_binary(b, "real_div", dy, hits);
    v->add(v, f.x, an_emit_binary(b, "mul", hit, share));
}

/* y = sum of x^2: dx = 2 x dy */
static void grad_sum_square(an_vjp *v)
{
    frame f = frame_of(v);
    an_value *dy = an_vjp_reshape_as(v, v->dy[0], &f.kept);
    v->add(v, f.x,
           an_emit_binary(v->b, "mul", v->get(v, f.x),
                          an_emit_scale(v->b, dy, 2)));
}

/* y = ln of the sum of e^x: dx = dy e^(x - y) */
static void grad_log_sum_exp(an_vjp *v)
{
    an_builder *b = v->b;
    frame f = frame_of(v);
    an_value *dy = an_vjp_reshape_as(v, v->dy[0], &f.kept);
    an_value *y = an_vjp_reshape_as(v, an_vjp_y(v), &f.kept);
    an_value *share =
        an_emit_unary(b, "exp", an_emit_binary(b, "sub", v->get(v, f.x), y));
    v->add(v, f.x, an_emit_binary(b, "mul", share, dy));
}

/* y = sum of |x|: dx = dy sign(x) */
static void grad_l1_norm(an_vjp *v)
{
    frame f = frame_of(v);
    an_value *dy = an_vjp_reshape_as(v, v->dy[0], &f.kept);
    v->add(v, f.x,
           an_emit_binary(v->b, "mul",
                          an_emit_unary(v->b, "sign", v->get(v, f.x)), dy));
}

/* y = sqrt(sum of x^2): dx = dy x / y */
static void grad_l2_norm(an_vjp *v)
{
    frame f = frame_of(v);
    an_value *ratio = an_emit_binary(v->b, "real_div", v->dy[0], an_vjp_y(v));
    ratio = an_vjp_reshape_as(v, ratio, &f.kept);
    v->add(v, f.x, an_emit_binary(v->b, "mul", v->get(v, f.x), ratio));
}

/* y = ln of the sum of x: dx = dy e^-y, repeated */
static void grad_log_sum(an_vjp *v)
{
    frame f = frame_of(v);
    an_value *share = an_emit_binary(
        v->b, "mul", v->dy[0],
        an_emit_unary(v->b, "exp", an_emit_scale(v->b, an_vjp_y(v), -1)));
    v->add(v, f.x, spread(v, &f, an_vjp_reshape_as(v, share, &f.kept)));
}

/* y = product of x, none of them 0: dx = dy y / x */
static void grad_prod(an_vjp *v)
{
    frame f = frame_of(v);
    an_value *t = an_emit_binary(v->b, "mul", v->dy[0], an_vjp_y(v));
    t = an_vjp_reshape_as(v, t, &f.kept);
    v->add(v, f.x, an_emit_binary(v->b, "real_div", t, v->get(v, f.x)));
}

// clang-format off
const an_op an_op_reduce_sum = {
    .name = "reduce_sum", .since = 15,
    .params = "x:t axes:I? keep_dims:b=false", .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce, .kernel = kernel_reduce, .grad = grad_sum,
    .cost = an_cost_operand, .reduce = AN_REDUCE_SUM};

const an_op an_op_reduce_mean = {
    .name = "reduce_mean", .since = 15,
    .params = "x:t axes:I? keep_dims:b=false", .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce, .kernel = kernel_reduce, .grad = grad_mean,
    .cost = an_cost_operand, .reduce = AN_REDUCE_MEAN};

const an_op an_op_reduce_max = {
    .name = "reduce_max", .since = 15,
    .params = "x:t axes:I? keep_dims:b=false", .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce, .kernel = kernel_reduce, .grad = grad_extreme,
    .cost = an_cost_operand, .reduce = AN_REDUCE_MAX};

const an_op an_op_reduce_min = {
    .name = "reduce_min", .since = 15,
    .params = "x:t axes:I? keep_dims:b=false", .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce, .kernel = kernel_reduce, .grad = grad_extreme,
    .cost = an_cost_operand, .reduce = AN_REDUCE_MIN};

const an_op an_op_reduce_sum_square = {
    .name = "reduce_sum_square", .since = 15,
    .params = "x:t axes:I? keep_dims:b=false", .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce, .kernel = kernel_reduce, .grad = grad_sum_square,
    .cost = an_cost_operand, .reduce = AN_REDUCE_SUM_SQUARE};

const an_op an_op_reduce_log_sum_exp = {
    .name = "reduce_log_sum_exp", .since = 15,
    .params = "x:t axes:I? keep_dims:b=false", .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce, .kernel = kernel_reduce, .grad = grad_log_sum_exp,
    .cost = an_cost_operand, .reduce = AN_REDUCE_LOG_SUM_EXP};

const an_op an_op_reduce_l1_norm = {
    .name = "reduce_l1_norm", .since = 15,
    .params = "x:t axes:I? keep_dims:b=false", .cls = AN_CLASS_OTHER,
    .shape = shape_reduce, .kernel = kernel_l1_norm, .grad = grad_l1_norm,
    .cost = an_cost_operand};

const an_op an_op_reduce_l2_norm = {
    .name = "reduce_l2_norm", .since = 15,
    .params = "x:t axes:I? keep_dims:b=false", .cls = AN_CLASS_OTHER,
    .shape = shape_reduce, .kernel = kernel_l2_norm, .grad = grad_l2_norm,
    .cost = an_cost_operand};

const an_op an_op_reduce_log_sum = {
    .name = "reduce_log_sum", .since = 15,
    .params = "x:t axes:I? keep_dims:b=false", .cls = AN_CLASS_OTHER,
    .shape = shape_reduce, .kernel = kernel_log_sum, .grad = grad_log_sum,
    .cost = an_cost_operand};

const an_op an_op_reduce_prod = {
    .name = "reduce_prod", .since = 15,
    .params = "x:t axes:I? keep_dims:b=false", .cls = AN_CLASS_OTHER,
    .shape = shape_reduce, .kernel = kernel_prod, .grad = grad_prod,
    .cost = an_cost_operand};
// clang-format on
