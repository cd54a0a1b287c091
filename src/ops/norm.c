/*
 * layer_norm: (x - mean) / sqrt(var + epsilon) * gamma + beta, with the biased
 * variance over the axes. Everything inside is fp64, the result is rounded
 * once.
 */
#include "ops/ops.h"

#include "mil/emit.h"

#include <math.h>

/* gamma, beta: the shape of x along the axes, in order. */
static an_status check_affine(const an_node *node, const char *param,
                              const bool on[AN_MAX_RANK], an_error *err)
{
    if (!an_node_given(node, param)) return AN_OK;
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *p = an_node_shape(node, param);
    an_shape want = {.dtype = x->dtype};
    for (int i = 0; i < x->rank; i++)
        if (on[i]) want.dims[want.rank++] = x->dims[i];
    bool fits = p->dtype == want.dtype && p->rank == want.rank;
    for (int i = 0; fits && i < p->rank; i++)
        fits = p->dims[i] == want.dims[i];
    if (fits) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE, "%s is %s, expected %s", param,
                        AN_SHAPE_STR(p), AN_SHAPE_STR(&want));
}

static an_status shape_layer_norm(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    bool on[AN_MAX_RANK];
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    s = an_rule_axes(node, "axes", x->rank, on, err);
    if (s == AN_OK) s = check_affine(node, "gamma", on, err);
    if (s == AN_OK) s = check_affine(node, "beta", on, err);
    if (s == AN_OK) out[0] = *x;
    return s;
}

/* Normalises n values in place. */
static void normalise(const an_num *num, int64_t n, double *x, double epsilon)
{
    double mean = num->reduce(num, AN_REDUCE_MEAN, n, x, 1, AN_FP64);
    for (int64_t j = 0; j < n; j++)
        x[j] -= mean;
    double sum = num->reduce(num, AN_REDUCE_SUM_SQUARE, n, x, 1, AN_FP64);
    double scale = 1 / sqrt(sum / (double)n + epsilon);
    for (int64_t j = 0; j < n; j++)
        x[j] *= scale;
}

static an_status kernel_layer_norm(const an_eval *e, an_error *err)
{
    bool on[AN_MAX_RANK];
    an_groups g;
    double *row, epsilon = an_node_real(e->node, "epsilon");
    const an_dense *x = &e->in[0], *out = &e->out[0];
    const an_dense *gamma = an_eval_in(e, "gamma");
    const an_dense *beta = an_eval_in(e, "beta");
    an_status s = an_rule_axes(e->node, "axes", x->shape.rank, on, err);
    if (s == AN_OK) s = an_groups_make(e, &x->shape, on, &g, err);
    if (s == AN_OK) s = an_eval_doubles(e, g.n_inner, &row, err);
    if (s != AN_OK) return s;
    for (int64_t i = 0; i < g.n_outer; i++) {
        for (int64_t j = 0; j < g.n_inner; j++)
            row[j] = x->data[g.outer[i] + g.inner[j]];
        normalise(e->num, g.n_inner, row, epsilon);
        for (int64_t j = 0; j < g.n_inner; j++) {
            double y = row[j] * (gamma ? gamma->data[j] : 1) +
                       (beta ? beta->data[j] : 0);
            out->data[g.outer[i] + g.inner[j]] =
                e->num->round(e->num, y, out->shape.dtype);
        }
    }
    return AN_OK;
}

/* ---- gradient ---- */

typedef struct frame {
    int64_t axes[AN_MAX_RANK], rest[AN_MAX_RANK]; /* normalised, and others */
    int n_axes, n_rest;
    an_shape affine; /* gamma's shape with x's rank */
    double count;
} frame;

static frame frame_of(an_vjp *v)
{
    bool on[AN_MAX_RANK];
    frame f = {.count = 1};
    f.affine = *an_value_shape(an_node_value(v->node, "x"));
    (void)an_rule_axes(v->node, "axes", f.affine.rank, on, NULL);
    for (int i = 0; i < f.affine.rank; i++) {
        if (on[i]) {
            f.axes[f.n_axes++] = i;
            f.count *= (double)f.affine.dims[i];
        } else {
            f.rest[f.n_rest++] = i;
            f.affine.dims[i] = 1;
        }
    }
    return f;
}

static an_value *mean_of(an_vjp *v, const frame *f, an_value *x)
{
    an_value *sum = an_emit_sum(v->b, x, f->n_axes, f->axes);
    return an_emit_scale(v->b, sum, 1 / f->count);
}

/* Adds the sum of `adjoint` over the axes that gamma and beta do not have. */
static void add_affine(an_vjp *v, const frame *f, const char *param,
                       an_value *adjoint)
{
    an_value *operand = an_node_value(v->node, param);
    an_value *sum = an_emit_sum(v->b, adjoint, f->n_rest, f->rest);
    v->add(v, operand, an_vjp_reshape_as(v, sum, an_value_shape(operand)));
}

static bool wants(an_vjp *v, const char *param)
{
    an_value *operand = an_node_value(v->node, param);
    return operand && v->wants(v, operand);
}

/* n r g, g = dy gamma: with m the mean over the axes,
 * dx = r (g - m(g) - n m(g n)) */
static void add_dx(an_vjp *v, const frame *f, an_value *n, an_value *r)
{
    an_builder *b = v->b;
    an_value *gamma = an_node_value(v->node, "gamma"), *g = v->dy[0];
    if (gamma)
        g = an_emit_binary(b, "mul", g,
                           an_vjp_reshape_as(v, v->get(v, gamma), &f->affine));
    an_value *along = an_emit_binary(
        b, "mul", n, mean_of(v, f, an_emit_binary(b, "mul", g, n)));
    an_value *t = an_emit_binary(b, "sub", g, mean_of(v, f, g));
    t = an_emit_binary(b, "sub", t, along);
    v->add(v, an_node_value(v->node, "x"), an_emit_binary(b, "mul", t, r));
}

/* y = n gamma + beta, n = (x - m(x)) r, r = (m((x - m(x))^2) + epsilon)^-0.5 */
static void grad_layer_norm(an_vjp *v)
{
    an_builder *b = v->b;
    frame f = frame_of(v);
    if (wants(v, "beta")) add_affine(v, &f, "beta", v->dy[0]);
    if (!wants(v, "x") && !wants(v, "gamma")) return;
    an_value *x = an_vjp_x(v);
    an_value *c = an_emit_binary(b, "sub", x, mean_of(v, &f, x));
    an_value *var = mean_of(v, &f, an_emit_unary(b, "square", c));
    an_value *r = an_emit_binary(
        b, "pow", an_emit_add_scalar(b, var, an_node_real(v->node, "epsilon")),
        an_vjp_scalar(v, -0.5));
    an_value *n = an_emit_binary(b, "mul", c, r);
    if (wants(v, "gamma"))
        add_affine(v, &f, "gamma", an_emit_binary(b, "mul", v->dy[0], n));
    if (wants(v, "x")) add_dx(v, &f, n, r);
}

/* Per element: mean 1, difference 1, variance 2, scale 1, affine 2. */
static void cost_layer_norm(const an_node *node, an_cost *out)
{
    an_cost_result(node, out);
    out->flops *= 7;
}

// clang-format off
const an_op an_op_layer_norm = {
    .name = "layer_norm", .since = 15,
    .params = "x:t axes:I? gamma:t? beta:t? epsilon:f=1e-5",
    .cls = AN_CLASS_OTHER, .shape = shape_layer_norm,
    .kernel = kernel_layer_norm, .grad = grad_layer_norm,
    .cost = cost_layer_norm};
// clang-format on
