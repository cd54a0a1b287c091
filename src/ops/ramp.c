/*
 * Activations of straight pieces, most with constants alpha and beta; prelu
 * has an alpha per channel (axis 1). Where two pieces meet the gradient is that
 * of the right one.
 */
#include "ops/ops.h"

#include "mil/emit.h"

/* alpha (and beta) of a channel-wise activation: [C], x of rank 3 to 5. */
static an_status check_channels(const an_node *node, const char *param,
                                an_error *err)
{
    an_status s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 3, 5, err);
    if (s == AN_OK) s = an_rule_domain(node, param, AN_DOMAIN_FLOAT, err);
    if (s != AN_OK) return s;
    an_shape want = *an_node_shape(node, param);
    want.rank = 1;
    want.dims[0] = an_node_shape(node, "x")->dims[1];
    return an_rule_shape(node, param, &want, err);
}

static an_status shape_prelu(const an_node *node, an_shape *out, int n,
                             an_error *err)
{
    an_status s = check_channels(node, "alpha", err);
    return s == AN_OK ? an_shape_as_float(node, out, n, err) : s;
}

static an_status shape_softplus_parametric(const an_node *node, an_shape *out,
                                           int n, an_error *err)
{
    an_status s = check_channels(node, "alpha", err);
    if (s == AN_OK) s = check_channels(node, "beta", err);
    return s == AN_OK ? an_shape_as_float(node, out, n, err) : s;
}

/* The row's scalar function with constants per channel. */
static an_status kernel_channels(const an_eval *e, an_error *err)
{
    (void)err;
    const an_dense *x = &e->in[0], *out = &e->out[0];
    int n = an_node_n_tensors(e->node);
    int64_t count = an_shape_count(&x->shape), channels = x->shape.dims[1];
    int64_t run = count / (x->shape.dims[0] * channels);
    for (int64_t i = 0; i < count; i++) {
        int64_t c = i / run % channels;
        out->data[i] = e->num->scalar(
            e->num, e->node->op->scalar, x->data[i], e->in[1].data[c],
            n > 2 ? e->in[2].data[c] : 0, x->shape.dtype, out->shape.dtype);
    }
    return AN_OK;
}

/* ---- gradients ---- */

static an_value *x_of(an_vjp *v)
{
    return an_node_value(v->node, "x");
}

static an_value *constant(an_vjp *v, const char *param)
{
    return an_vjp_scalar(v, an_node_real(v->node, param));
}

/* dx = dy factor where cond, dy elsewhere (NULL factor: 0) */
static void grad_where(an_vjp *v, an_value *cond, an_value *factor,
                       an_value *elsewhere)
{
    an_value *on =
        factor ? an_emit_binary(v->b, "mul", v->dy[0], factor) : v->dy[0];
    v->add(v, x_of(v), an_vjp_select(v, cond, on, elsewhere));
}

/* y between low and high, both not included: dx = dy slope, else 0 */
static void grad_between(an_vjp *v, double low, double high, an_value *slope)
{
    an_builder *b = v->b;
    an_value *y = an_vjp_y(v), *zero = an_vjp_scalar(v, 0);
    an_value *above = an_emit_binary(b, "greater", y, an_vjp_scalar(v, low));
    an_value *below = an_emit_binary(b, "less", y, an_vjp_scalar(v, high));
    grad_where(v, an_emit_binary(b, "logical_and", above, below), slope, zero);
}

/* y = min(max(x, 0), 6) */
static void grad_relu6(an_vjp *v)
{
    grad_between(v, 0, 6, NULL);
}

/* y = min(max(alpha x + beta, 0), 1) */
static void grad_sigmoid_hard(an_vjp *v)
{
    grad_between(v, 0, 1, constant(v, "alpha"));
}

static an_value *is_positive(an_vjp *v)
{
    return an_emit_binary(v->b, "greater_equal", an_vjp_x(v),
                          an_vjp_scalar(v, 0));
}

/* y = x where x >= 0, else alpha x */
static void grad_leaky_relu(an_vjp *v)
{
    an_value *left =
        an_emit_binary(v->b, "mul", v->dy[0], constant(v, "alpha"));
    grad_where(v, is_positive(v), NULL, left);
}

/* y = min(beta, x where x >= 0, else alpha x) */
static void grad_clamped_relu(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *left = an_emit_binary(b, "mul", v->dy[0], constant(v, "alpha"));
    an_value *open = an_vjp_select(v, is_positive(v), v->dy[0], left);
    an_value *below =
        an_emit_binary(b, "less", an_vjp_y(v), constant(v, "beta"));
    v->add(v, x_of(v), an_vjp_select(v, below, open, an_vjp_scalar(v, 0)));
}

/* thresholded_relu: y = x where x >= alpha, else 0; threshold: else alpha */
static void grad_threshold(an_vjp *v)
{
    an_value *on = an_emit_binary(v->b, "greater_equal", an_vjp_x(v),
                                  constant(v, "alpha"));
    grad_where(v, on, NULL, an_vjp_scalar(v, 0));
}

/* y = alpha x + beta */
static void grad_linear_activation(an_vjp *v)
{
    an_vjp_times(v, constant(v, "alpha"));
}

/* A [C] operand in the shape that broadcasts against x. */
static an_value *by_channel(an_vjp *v, const char *param)
{
    int64_t dims[AN_MAX_RANK] = {1, 1, 1, 1, 1};
    const an_shape *x = an_value_shape(x_of(v));
    dims[1] = x->dims[1];
    return an_emit_reshape(v->b, v->get(v, an_node_value(v->node, param)),
                           x->rank, dims);
}

/* y = x where x > 0, else alpha[c] x */
static void grad_prelu(an_vjp *v)
{
    an_value *left =
        an_emit_binary(v->b, "mul", v->dy[0], by_channel(v, "alpha"));
    grad_where(v, is_positive(v), NULL, left);
}

/* y = alpha ln(1 + e^(beta x)): dx = dy alpha beta sigmoid(beta x) */
static void grad_softplus_parametric(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *alpha = by_channel(v, "alpha"), *beta = by_channel(v, "beta");
    an_value *s = an_emit_unary(b, "sigmoid",
                                an_emit_binary(b, "mul", an_vjp_x(v), beta));
    an_vjp_times(
        v, an_emit_binary(b, "mul", s, an_emit_binary(b, "mul", alpha, beta)));
}

// clang-format off
const an_op an_op_relu6 = {
    .name = "relu6", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_relu6,
    .cost = an_cost_result, .scalar = AN_SCALAR_relu6};

const an_op an_op_leaky_relu = {
    .name = "leaky_relu", .since = 15, .params = "x:t alpha:f",
    .cls = AN_CLASS_UNARY, .shape = an_shape_as_float,
    .kernel = an_kernel_scalar, .grad = grad_leaky_relu,
    .cost = an_cost_result, .scalar = AN_SCALAR_leaky_relu};

const an_op an_op_prelu = {
    .name = "prelu", .since = 15, .params = "x:t alpha:c",
    .cls = AN_CLASS_OTHER, .shape = shape_prelu, .kernel = kernel_channels,
    .grad = grad_prelu, .cost = an_cost_result,
    .scalar = AN_SCALAR_leaky_relu};

const an_op an_op_clamped_relu = {
    .name = "clamped_relu", .since = 15, .params = "x:t alpha:f beta:f",
    .cls = AN_CLASS_UNARY, .shape = an_shape_as_float,
    .kernel = an_kernel_scalar, .grad = grad_clamped_relu,
    .cost = an_cost_result, .scalar = AN_SCALAR_clamped_relu};

const an_op an_op_thresholded_relu = {
    .name = "thresholded_relu", .since = 15, .params = "x:t alpha:f",
    .cls = AN_CLASS_UNARY, .shape = an_shape_as_float,
    .kernel = an_kernel_scalar, .grad = grad_threshold, .cost = an_cost_result,
    .scalar = AN_SCALAR_thresholded_relu};

const an_op an_op_threshold = {
    .name = "threshold", .since = 15, .params = "x:t alpha:f",
    .cls = AN_CLASS_UNARY, .shape = an_shape_as_float,
    .kernel = an_kernel_scalar, .grad = grad_threshold, .cost = an_cost_result,
    .scalar = AN_SCALAR_maximum};

const an_op an_op_linear_activation = {
    .name = "linear_activation", .since = 15, .params = "x:t alpha:f beta:f",
    .cls = AN_CLASS_UNARY, .shape = an_shape_as_float,
    .kernel = an_kernel_scalar, .grad = grad_linear_activation,
    .cost = an_cost_result, .scalar = AN_SCALAR_linear_activation};

const an_op an_op_sigmoid_hard = {
    .name = "sigmoid_hard", .since = 15, .params = "x:t alpha:f beta:f",
    .cls = AN_CLASS_UNARY, .shape = an_shape_as_float,
    .kernel = an_kernel_scalar, .grad = grad_sigmoid_hard,
    .cost = an_cost_result, .scalar = AN_SCALAR_sigmoid_hard};

const an_op an_op_softplus_parametric = {
    .name = "softplus_parametric", .since = 15, .params = "x:t alpha:c beta:c",
    .cls = AN_CLASS_OTHER, .shape = shape_softplus_parametric,
    .kernel = kernel_channels, .grad = grad_softplus_parametric,
    .cost = an_cost_result, .scalar = AN_SCALAR_softplus_parametric};
// clang-format on
