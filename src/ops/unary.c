/*
 * Functions of one operand. rsqrt, log and inverse add their epsilon to x
 * first. Gradients use the result y where it saves work.
 */
#include "ops/ops.h"

#include "mil/emit.h"

#define TWO_OVER_SQRT_PI 1.12837916709551257390
#define LN_2 0.69314718055994530942

static const char flat[] =
    "it is piecewise constant: its derivative is 0 wherever there is one";
static const char boolean[] = "its operand and result are bool";

static an_status shape_not(const an_node *node, an_shape *out, int n,
                           an_error *err)
{
    an_status s = an_rule_domain(node, "x", AN_DOMAIN_BOOL, err);
    return s == AN_OK ? an_shape_as_any(node, out, n, err) : s;
}

/* y = erf(x): dx = dy 2 / sqrt(pi) e^(-x^2) */
static void grad_erf(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *power =
        an_emit_scale(b, an_emit_unary(b, "square", an_vjp_x(v)), -1);
    an_vjp_times(
        v, an_emit_scale(b, an_emit_unary(b, "exp", power), TWO_OVER_SQRT_PI));
}

/* y = e^x: dx = dy y */
static void grad_exp(an_vjp *v)
{
    an_vjp_times(v, an_vjp_y(v));
}

/* y = 2^x: dx = dy y ln 2 */
static void grad_exp2(an_vjp *v)
{
    an_vjp_times(v, an_emit_scale(v->b, an_vjp_y(v), LN_2));
}

/* y = ln(x + epsilon): dx = dy / (x + epsilon) */
static void grad_log(an_vjp *v)
{
    an_value *x =
        an_emit_add_scalar(v->b, an_vjp_x(v), an_node_real(v->node, "epsilon"));
    v->add(v, an_node_value(v->node, "x"),
           an_emit_binary(v->b, "real_div", v->dy[0], x));
}

/* y = sqrt(x): dx = dy / (2 y) */
static void grad_sqrt(an_vjp *v)
{
    an_value *ratio = an_emit_binary(v->b, "real_div", v->dy[0], an_vjp_y(v));
    v->add(v, an_node_value(v->node, "x"), an_emit_scale(v->b, ratio, 0.5));
}

/* y = (x + epsilon)^(-1/2): dx = -dy y^3 / 2 */
static void grad_rsqrt(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *y = an_vjp_y(v);
    an_value *cube = an_emit_binary(b, "mul", y, an_emit_unary(b, "square", y));
    an_vjp_times(v, an_emit_scale(b, cube, -0.5));
}

/* y = 1 / (x + epsilon): dx = -dy y^2 */
static void grad_inverse(an_vjp *v)
{
    an_value *square = an_emit_unary(v->b, "square", an_vjp_y(v));
    an_vjp_times(v, an_emit_scale(v->b, square, -1));
}

/* y = x^2: dx = 2 x dy */
static void grad_square(an_vjp *v)
{
    an_vjp_times(v, an_emit_scale(v->b, an_vjp_x(v), 2));
}

/* y = |x|: dx = dy sign(x) */
static void grad_abs(an_vjp *v)
{
    an_vjp_times(v, an_emit_unary(v->b, "sign", an_vjp_x(v)));
}

/* y = sin(x): dx = dy cos(x) */
static void grad_sin(an_vjp *v)
{
    an_vjp_times(v, an_emit_unary(v->b, "cos", an_vjp_x(v)));
}

/* y = cos(x): dx = -dy sin(x) */
static void grad_cos(an_vjp *v)
{
    an_value *sine = an_emit_unary(v->b, "sin", an_vjp_x(v));
    an_vjp_times(v, an_emit_scale(v->b, sine, -1));
}

// clang-format off
const an_op an_op_erf = {
    .name = "erf", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_erf,
    .cost = an_cost_result, .scalar = AN_SCALAR_erf};

const an_op an_op_exp = {
    .name = "exp", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_exp,
    .cost = an_cost_result, .scalar = AN_SCALAR_exp};

const an_op an_op_exp2 = {
    .name = "exp2", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_exp2,
    .cost = an_cost_result, .scalar = AN_SCALAR_exp2};

const an_op an_op_sqrt = {
    .name = "sqrt", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_sqrt,
    .cost = an_cost_result, .scalar = AN_SCALAR_sqrt};

const an_op an_op_sin = {
    .name = "sin", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_sin,
    .cost = an_cost_result, .scalar = AN_SCALAR_sin};

const an_op an_op_cos = {
    .name = "cos", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float, .kernel = an_kernel_scalar, .grad = grad_cos,
    .cost = an_cost_result, .scalar = AN_SCALAR_cos};

const an_op an_op_log = {
    .name = "log", .since = 15, .params = "x:t epsilon:f=1e-45",
    .cls = AN_CLASS_UNARY, .shape = an_shape_as_float,
    .kernel = an_kernel_scalar, .grad = grad_log, .cost = an_cost_result,
    .scalar = AN_SCALAR_log};

const an_op an_op_rsqrt = {
    .name = "rsqrt", .since = 15, .params = "x:t epsilon:f=1e-12",
    .cls = AN_CLASS_UNARY, .shape = an_shape_as_float,
    .kernel = an_kernel_scalar, .grad = grad_rsqrt, .cost = an_cost_result,
    .scalar = AN_SCALAR_rsqrt};

const an_op an_op_inverse = {
    .name = "inverse", .since = 15, .params = "x:t epsilon:f=1e-4",
    .cls = AN_CLASS_UNARY, .shape = an_shape_as_float,
    .kernel = an_kernel_scalar, .grad = grad_inverse, .cost = an_cost_result,
    .scalar = AN_SCALAR_inverse};

const an_op an_op_square = {
    .name = "square", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number, .kernel = an_kernel_scalar,
    .grad = grad_square, .cost = an_cost_result, .scalar = AN_SCALAR_square};

const an_op an_op_abs = {
    .name = "abs", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number, .kernel = an_kernel_scalar, .grad = grad_abs,
    .cost = an_cost_result, .scalar = AN_SCALAR_abs};

const an_op an_op_sign = {
    .name = "sign", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number, .kernel = an_kernel_scalar, .no_grad = flat,
    .cost = an_cost_result, .scalar = AN_SCALAR_sign};

const an_op an_op_floor = {
    .name = "floor", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number, .kernel = an_kernel_scalar, .no_grad = flat,
    .cost = an_cost_result, .scalar = AN_SCALAR_floor};

const an_op an_op_ceil = {
    .name = "ceil", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number, .kernel = an_kernel_scalar, .no_grad = flat,
    .cost = an_cost_result, .scalar = AN_SCALAR_ceil};

const an_op an_op_round = {
    .name = "round", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number, .kernel = an_kernel_scalar, .no_grad = flat,
    .cost = an_cost_result, .scalar = AN_SCALAR_round};

const an_op an_op_logical_not = {
    .name = "logical_not", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = shape_not, .kernel = an_kernel_scalar, .no_grad = boolean,
    .cost = an_cost_result, .scalar = AN_SCALAR_logical_not};
// clang-format on
