/*
 * Smooth functions of one operand that few programs use: softplus, softsign,
 * elu, scaled_tanh, and the trigonometric and hyperbolic ones but sin, cos and
 * tanh. Gradients use the result y where it saves work.
 */
#include "ops/ops.h"

#include "mil/emit.h"

/* y = ln(1 + e^x): dx = dy sigmoid(x) */
static void grad_softplus(an_vjp *v)
{
    an_vjp_times(v, an_emit_unary(v->b, "sigmoid", an_vjp_x(v)));
}

/* y = x / (1 + |x|): dx = dy (1 + |x|)^-2 */
static void grad_softsign(an_vjp *v)
{
    an_value *size = an_emit_unary(v->b, "abs", an_vjp_x(v));
    size = an_emit_add_scalar(v->b, size, 1);
    an_vjp_times(v, an_emit_binary(v->b, "pow", size, an_vjp_scalar(v, -2)));
}

/* y = x where x >= 0, else alpha (e^x - 1): dx = dy, else dy (y + alpha) */
static void grad_elu(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *left =
        an_emit_add_scalar(b, an_vjp_y(v), an_node_real(v->node, "alpha"));
    an_value *on =
        an_emit_binary(b, "greater_equal", an_vjp_x(v), an_vjp_scalar(v, 0));
    an_vjp_times(v, an_vjp_select(v, on, an_vjp_scalar(v, 1), left));
}

/* y = alpha t, t = tanh(beta x): dx = dy alpha beta (1 - t^2) */
static void grad_scaled_tanh(an_vjp *v)
{
    an_builder *b = v->b;
    double alpha = an_node_real(v->node, "alpha");
    double beta = an_node_real(v->node, "beta");
    an_value *t = an_emit_unary(b, "tanh", an_emit_scale(b, an_vjp_x(v), beta));
    an_value *slope = an_vjp_one_minus(v, an_emit_unary(b, "square", t));
    an_vjp_times(v, an_emit_scale(b, slope, alpha * beta));
}

/* y = tan(x): dx = dy (1 + y^2) */
static void grad_tan(an_vjp *v)
{
    an_value *square = an_emit_unary(v->b, "square", an_vjp_y(v));
    an_vjp_times(v, an_emit_add_scalar(v->b, square, 1));
}

/* Adds dy sign (1 + slope x^2)^power. */
static void add_power(an_vjp *v, double sign, double slope, double power)
{
    an_builder *b = v->b;
    an_value *t = an_emit_unary(b, "square", an_vjp_x(v));
    t = an_emit_add_scalar(b, an_emit_scale(b, t, slope), 1);
    t = an_emit_binary(b, "pow", t, an_vjp_scalar(v, power));
    an_vjp_times(v, an_emit_scale(b, t, sign));
}

/* y = asin(x): dx = dy (1 - x^2)^-0.5 */
static void grad_asin(an_vjp *v)
{
    add_power(v, 1, -1, -0.5);
}

/* y = acos(x): dx = -dy (1 - x^2)^-0.5 */
static void grad_acos(an_vjp *v)
{
    add_power(v, -1, -1, -0.5);
}

/* y = atan(x): dx = dy (1 + x^2)^-1 */
static void grad_atan(an_vjp *v)
{
    add_power(v, 1, 1, -1);
}

/* y = atanh(x): dx = dy (1 - x^2)^-1 */
static void grad_atanh(an_vjp *v)
{
    add_power(v, 1, -1, -1);
}

/* y = sinh(x): dx = dy cosh(x) */
static void grad_sinh(an_vjp *v)
{
    an_vjp_times(v, an_emit_unary(v->b, "cosh", an_vjp_x(v)));
}

/* y = cosh(x): dx = dy sinh(x) */
static void grad_cosh(an_vjp *v)
{
    an_vjp_times(v, an_emit_unary(v->b, "sinh", an_vjp_x(v)));
}

// clang-format off
const an_op an_op_softplus = {
    .name = "softplus", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar,
    .grad = grad_softplus, .cost = an_cost_result,
    .scalar = AN_SCALAR_softplus};

const an_op an_op_softsign = {
    .name = "softsign", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar,
    .grad = grad_softsign, .cost = an_cost_result,
    .scalar = AN_SCALAR_softsign};

const an_op an_op_elu = {
    .name = "elu", .since = 15, .params = "x:t alpha:f", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_elu,
    .cost = an_cost_result, .scalar = AN_SCALAR_elu};

const an_op an_op_scaled_tanh = {
    .name = "scaled_tanh", .since = 15, .params = "x:t alpha:f beta:f",
    .cls = AN_CLASS_UNARY, .shape = an_shape_as_float,
    .kernel = an_kernel_scalar, .grad = grad_scaled_tanh,
    .cost = an_cost_result, .scalar = AN_SCALAR_scaled_tanh};

const an_op an_op_tan = {
    .name = "tan", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_tan,
    .cost = an_cost_result, .scalar = AN_SCALAR_tan};

const an_op an_op_asin = {
    .name = "asin", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_asin,
    .cost = an_cost_result, .scalar = AN_SCALAR_asin};

const an_op an_op_acos = {
    .name = "acos", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_acos,
    .cost = an_cost_result, .scalar = AN_SCALAR_acos};

const an_op an_op_atan = {
    .name = "atan", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_atan,
    .cost = an_cost_result, .scalar = AN_SCALAR_atan};

const an_op an_op_sinh = {
    .name = "sinh", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_sinh,
    .cost = an_cost_result, .scalar = AN_SCALAR_sinh};

const an_op an_op_cosh = {
    .name = "cosh", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_cosh,
    .cost = an_cost_result, .scalar = AN_SCALAR_cosh};

const an_op an_op_atanh = {
    .name = "atanh", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_atanh,
    .cost = an_cost_result, .scalar = AN_SCALAR_atanh};
// clang-format on
