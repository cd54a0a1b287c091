/*
 * Activations. All are element-wise; gelu has three formulas, chosen by its
 * mode, so it is of no class that reads the row's scalar. Gradients use the
 * result y where it saves work.
 */
#include "ops/ops.h"

#include "mil/emit.h"

#define SQRT_HALF 0.70710678118654752440
#define SQRT_2_OVER_PI 0.79788456080286535588
#define ONE_OVER_SQRT_2_PI 0.39894228040143267794

static an_status shape_gelu(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    an_str mode = an_node_string(node, "mode");
    if (!an_str_is(mode, "EXACT") && !an_str_is(mode, "TANH_APPROXIMATION") &&
        !an_str_is(mode, "SIGMOID_APPROXIMATION"))
        return an_node_fail(node, err, AN_ETYPE,
                            "mode is \"%.*s\", expected EXACT, "
                            "TANH_APPROXIMATION or SIGMOID_APPROXIMATION",
                            (int)(mode.size < 32 ? mode.size : 32), mode.text);
    return an_shape_as_float(node, out, n, err);
}

static an_status shape_bounds(const an_node *node, an_shape *out, int n,
                              bool equal_fits, an_error *err)
{
    double alpha = an_node_real(node, "alpha");
    double beta = an_node_real(node, "beta");
    if (!(alpha < beta || (alpha == beta && equal_fits)))
        return an_node_fail(node, err, AN_ETYPE,
                            "alpha is %g and beta %g, expected alpha %s beta",
                            alpha, beta, equal_fits ? "up to" : "below");
    return an_shape_as_float(node, out, n, err);
}

static an_status shape_clip(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    return shape_bounds(node, out, n, true, err);
}

static an_status shape_clip_ios17(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    return shape_bounds(node, out, n, false, err);
}

static an_status kernel_gelu(const an_eval *e, an_error *err)
{
    (void)err;
    an_str mode = an_node_string(e->node, "mode");
    an_eval_scalar(e, an_str_is(mode, "EXACT") ? AN_SCALAR_gelu_exact
                      : an_str_is(mode, "TANH_APPROXIMATION")
                          ? AN_SCALAR_gelu_tanh
                          : AN_SCALAR_gelu_sigmoid);
    return AN_OK;
}

/* y = max(x, 0): dx = dy where y > 0, else 0 */
static void grad_relu(an_vjp *v)
{
    an_value *zero = an_vjp_scalar(v, 0);
    an_value *on = an_emit_binary(v->b, "greater", an_vjp_y(v), zero);
    v->add(v, an_node_value(v->node, "x"),
           an_vjp_select(v, on, v->dy[0], zero));
}

/* y = 1 / (1 + e^-x): dx = dy y (1 - y) */
static void grad_sigmoid(an_vjp *v)
{
    an_value *y = an_vjp_y(v);
    an_vjp_times(v, an_emit_binary(v->b, "mul", y, an_vjp_one_minus(v, y)));
}

/* y = tanh(x): dx = dy (1 - y^2) */
static void grad_tanh(an_vjp *v)
{
    an_value *square = an_emit_unary(v->b, "square", an_vjp_y(v));
    an_vjp_times(v, an_vjp_one_minus(v, square));
}

/* s (1 + k x (1 - s)) with s = sigmoid(k x): the derivative of x s */
static an_value *swish_slope(an_vjp *v, double k)
{
    an_builder *b = v->b;
    an_value *kx = an_emit_scale(b, an_vjp_x(v), k);
    an_value *s = an_emit_unary(b, "sigmoid", kx);
    an_value *t = an_emit_binary(b, "mul", kx, an_vjp_one_minus(v, s));
    return an_emit_binary(b, "mul", s, an_emit_add_scalar(b, t, 1));
}

/* y = x s, s = sigmoid(x): dx = dy s (1 + x (1 - s)) */
static void grad_silu(an_vjp *v)
{
    an_vjp_times(v, swish_slope(v, 1));
}

/* y = x Phi(x), Phi = (1 + erf(x / sqrt 2)) / 2:
 * slope = Phi + x e^(-x^2 / 2) / sqrt(2 pi) */
static an_value *gelu_exact_slope(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *x = an_vjp_x(v);
    an_value *erf = an_emit_unary(b, "erf", an_emit_scale(b, x, SQRT_HALF));
    an_value *phi = an_emit_scale(b, an_emit_add_scalar(b, erf, 1), 0.5);
    an_value *power = an_emit_scale(b, an_emit_unary(b, "square", x), -0.5);
    an_value *bell =
        an_emit_scale(b, an_emit_unary(b, "exp", power), ONE_OVER_SQRT_2_PI);
    return an_emit_binary(b, "add", phi, an_emit_binary(b, "mul", x, bell));
}

/* y = x (1 + t) / 2, t = tanh(c (x + a x^3)):
 * slope = (1 + t) / 2 + x (1 - t^2) c (1 + 3 a x^2) / 2 */
static an_value *gelu_tanh_slope(an_vjp *v)
{
    const double a = 0.044715, c = SQRT_2_OVER_PI;
    an_builder *b = v->b;
    an_value *x = an_vjp_x(v);
    an_value *xx = an_emit_unary(b, "square", x);
    an_value *inner = an_emit_add_scalar(b, an_emit_scale(b, xx, a * c), c);
    an_value *t = an_emit_unary(b, "tanh", an_emit_binary(b, "mul", x, inner));
    an_value *rise =
        an_emit_add_scalar(b, an_emit_scale(b, xx, 1.5 * a * c), 0.5 * c);
    an_value *bend = an_vjp_one_minus(v, an_emit_unary(b, "square", t));
    an_value *right =
        an_emit_binary(b, "mul", bend, an_emit_binary(b, "mul", x, rise));
    an_value *left = an_emit_scale(b, an_emit_add_scalar(b, t, 1), 0.5);
    return an_emit_binary(b, "add", left, right);
}

/* SIGMOID_APPROXIMATION: y = x sigmoid(1.702 x) */
static void grad_gelu(an_vjp *v)
{
    an_str mode = an_node_string(v->node, "mode");
    if (an_str_is(mode, "EXACT"))
        an_vjp_times(v, gelu_exact_slope(v));
    else if (an_str_is(mode, "TANH_APPROXIMATION"))
        an_vjp_times(v, gelu_tanh_slope(v));
    else
        an_vjp_times(v, swish_slope(v, 1.702));
}

/* y = min(max(x, alpha), beta): dx = dy where alpha <= x <= beta, else 0 */
static void grad_clip(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *x = an_vjp_x(v), *zero = an_vjp_scalar(v, 0);
    an_value *alpha = an_vjp_scalar(v, an_node_real(v->node, "alpha"));
    an_value *beta = an_vjp_scalar(v, an_node_real(v->node, "beta"));
    an_value *above = an_emit_binary(b, "greater_equal", x, alpha);
    an_value *below = an_emit_binary(b, "less_equal", x, beta);
    an_value *half = an_vjp_select(v, above, v->dy[0], zero);
    v->add(v, an_node_value(v->node, "x"), an_vjp_select(v, below, half, zero));
}

// clang-format off
const an_op an_op_relu = {
    .name = "relu", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_relu,
    .cost = an_cost_result, .scalar = AN_SCALAR_relu};

const an_op an_op_sigmoid = {
    .name = "sigmoid", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar,
    .grad = grad_sigmoid, .cost = an_cost_result, .scalar = AN_SCALAR_sigmoid};

const an_op an_op_tanh = {
    .name = "tanh", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_tanh,
    .cost = an_cost_result, .scalar = AN_SCALAR_tanh};

const an_op an_op_silu = {
    .name = "silu", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_silu,
    .cost = an_cost_result, .scalar = AN_SCALAR_silu};

const an_op an_op_gelu = {
    .name = "gelu", .since = 15, .params = "x:t mode:s=EXACT",
    .cls = AN_CLASS_OTHER, .shape = shape_gelu, .kernel = kernel_gelu,
    .grad = grad_gelu, .cost = an_cost_result};

const an_op an_op_clip = {
    .name = "clip", .since = 15, .params = "x:t alpha:f beta:f",
    .cls = AN_CLASS_UNARY, .shape = shape_clip, .kernel = an_kernel_scalar,
    .grad = grad_clip, .cost = an_cost_result, .scalar = AN_SCALAR_clip};

const an_op an_op_clip_ios17 = {
    .name = "clip", .since = 17, .params = "x:t alpha:f beta:f",
    .cls = AN_CLASS_UNARY, .shape = shape_clip_ios17,
    .kernel = an_kernel_scalar, .grad = grad_clip, .cost = an_cost_result,
    .scalar = AN_SCALAR_clip};
// clang-format on
