/*
 * Arithmetic, comparisons, logic of two operands, and selection. Operands
 * broadcast as in numpy; their adjoints are summed back.
 */
#include "ops/ops.h"

#include "mil/emit.h"

static const char flat[] =
    "it is piecewise constant: its derivative is 0 wherever there is one";
static const char boolean[] = "its result is bool";

static an_status fail_broadcast(const an_node *node, const char *a,
                                const char *b, an_error *err)
{
    return an_node_fail(node, err, AN_ETYPE,
                        "%s is %s and %s is %s, expected shapes that broadcast",
                        a, AN_SHAPE_STR(an_node_shape(node, a)), b,
                        AN_SHAPE_STR(an_node_shape(node, b)));
}

/* Two operands of one type out of a domain; the result is of type `to`, or of
 * theirs when `to` is AN_STRING. */
static an_status shape_binary(const an_node *node, an_shape *out, int n,
                              an_domain domain, an_dtype to, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", domain, err);
    if (s == AN_OK) s = an_rule_same_type(node, "x", "y", err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    if (!an_shape_broadcast(&r, an_node_shape(node, "y")))
        return fail_broadcast(node, "x", "y", err);
    if (to != AN_STRING) r.dtype = to;
    if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

static an_status shape_arithmetic(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    return shape_binary(node, out, n, AN_DOMAIN_NUMBER, AN_STRING, err);
}

static an_status shape_order(const an_node *node, an_shape *out, int n,
                             an_error *err)
{
    return shape_binary(node, out, n, AN_DOMAIN_NUMBER, AN_BOOL, err);
}

static an_status shape_equality(const an_node *node, an_shape *out, int n,
                                an_error *err)
{
    return shape_binary(node, out, n, AN_DOMAIN_ANY, AN_BOOL, err);
}

static an_status shape_logic(const an_node *node, an_shape *out, int n,
                             an_error *err)
{
    return shape_binary(node, out, n, AN_DOMAIN_BOOL, AN_BOOL, err);
}

static an_status shape_select(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "cond", AN_DOMAIN_BOOL, err);
    if (s == AN_OK) s = an_rule_domain(node, "a", AN_DOMAIN_ANY, err);
    if (s == AN_OK) s = an_rule_same_type(node, "a", "b", err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "a");
    if (!an_shape_broadcast(&r, an_node_shape(node, "b")))
        return fail_broadcast(node, "a", "b", err);
    if (!an_shape_broadcast(&r, an_node_shape(node, "cond")))
        return fail_broadcast(node, "cond", "a", err);
    if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

static an_value *x_of(an_vjp *v)
{
    return an_node_value(v->node, "x");
}

static an_value *y_of(an_vjp *v)
{
    return an_node_value(v->node, "y");
}

/* out = x + y: dx = dout, dy = dout */
static void grad_add(an_vjp *v)
{
    an_vjp_add_broadcast(v, x_of(v), v->dy[0]);
    an_vjp_add_broadcast(v, y_of(v), v->dy[0]);
}

/* out = x - y: dx = dout, dy = -dout; the sign after the sum, which is
 * smaller */
static void grad_sub(an_vjp *v)
{
    an_vjp_add_broadcast(v, x_of(v), v->dy[0]);
    if (!v->wants(v, y_of(v))) return;
    an_value *sum =
        an_emit_unbroadcast(v->b, v->dy[0], an_value_shape(y_of(v)));
    v->add(v, y_of(v), an_emit_scale(v->b, sum, -1));
}

/* out = x y: dx = dout y, dy = dout x */
static void grad_mul(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *x = x_of(v), *y = y_of(v);
    if (v->wants(v, x))
        an_vjp_add_broadcast(v, x,
                             an_emit_binary(b, "mul", v->dy[0], v->get(v, y)));
    if (v->wants(v, y))
        an_vjp_add_broadcast(v, y,
                             an_emit_binary(b, "mul", v->dy[0], v->get(v, x)));
}

/* out = x / y: dx = dout / y, dy = -(dout / y) out */
static void grad_real_div(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *x = x_of(v), *y = y_of(v);
    an_value *ratio = an_emit_binary(b, "real_div", v->dy[0], v->get(v, y));
    an_vjp_add_broadcast(v, x, ratio);
    if (!v->wants(v, y)) return;
    an_value *t = an_emit_binary(b, "mul", ratio, an_vjp_y(v));
    an_vjp_add_broadcast(v, y, an_emit_scale(b, t, -1));
}

/* out = x - floor(x / y) y: dx = dout, dy = -dout floor(x / y) */
static void grad_mod(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *x = x_of(v), *y = y_of(v);
    an_vjp_add_broadcast(v, x, v->dy[0]);
    if (!v->wants(v, y)) return;
    an_value *q = an_emit_binary(b, "floor_div", v->get(v, x), v->get(v, y));
    an_vjp_add_broadcast(
        v, y, an_emit_scale(b, an_emit_binary(b, "mul", v->dy[0], q), -1));
}

/* y x^(y - 1), with few ops where y is one known number */
static an_value *pow_slope(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *x = v->get(v, x_of(v));
    const an_literal *l = y_of(v)->literal;
    if (l && l->kind == AN_LIT_DATA && l->n == 1) {
        double p = an_literal_real(l, 0);
        if (p == 2) return an_emit_scale(b, x, 2);
        an_value *power = an_emit_binary(b, "pow", x, an_vjp_scalar(v, p - 1));
        return an_emit_scale(b, power, p);
    }
    an_value *y = v->get(v, y_of(v));
    an_value *power = an_emit_binary(b, "pow", x, an_emit_add_scalar(b, y, -1));
    return an_emit_binary(b, "mul", y, power);
}

/* out = x^y: dx = dout y x^(y - 1), dy = dout out ln(x) */
static void grad_pow(an_vjp *v)
{
    an_builder *b = v->b;
    if (v->wants(v, x_of(v)))
        an_vjp_add_broadcast(v, x_of(v),
                             an_emit_binary(b, "mul", v->dy[0], pow_slope(v)));
    if (!v->wants(v, y_of(v))) return;
    an_value *slope = an_emit_binary(
        b, "mul", an_vjp_y(v), an_emit_unary(b, "log", v->get(v, x_of(v))));
    an_vjp_add_broadcast(v, y_of(v), an_emit_binary(b, "mul", v->dy[0], slope));
}

/* dout where cond, to a; elsewhere, to b */
static void grad_choice(an_vjp *v, an_value *cond, const an_value *a,
                        const an_value *b)
{
    an_value *zero = an_vjp_scalar(v, 0);
    if (v->wants(v, a))
        an_vjp_add_broadcast(v, a, an_vjp_select(v, cond, v->dy[0], zero));
    if (v->wants(v, b))
        an_vjp_add_broadcast(v, b, an_vjp_select(v, cond, zero, v->dy[0]));
}

/* out = max(x, y): dout goes to the larger, to x where they are equal */
static void grad_maximum(an_vjp *v)
{
    grad_choice(v,
                an_emit_binary(v->b, "greater_equal", v->get(v, x_of(v)),
                               v->get(v, y_of(v))),
                x_of(v), y_of(v));
}

/* out = min(x, y): dout goes to the smaller, to x where they are equal */
static void grad_minimum(an_vjp *v)
{
    grad_choice(v,
                an_emit_binary(v->b, "less_equal", v->get(v, x_of(v)),
                               v->get(v, y_of(v))),
                x_of(v), y_of(v));
}

/* out = cond ? a : b */
static void grad_select(an_vjp *v)
{
    grad_choice(v, v->get(v, an_node_value(v->node, "cond")),
                an_node_value(v->node, "a"), an_node_value(v->node, "b"));
}

// clang-format off
const an_op an_op_add = {
    .name = "add", .since = 15, .params = "x:t y:t", .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic, .kernel = an_kernel_scalar, .grad = grad_add,
    .cost = an_cost_result, .scalar = AN_SCALAR_add};

const an_op an_op_sub = {
    .name = "sub", .since = 15, .params = "x:t y:t", .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic, .kernel = an_kernel_scalar, .grad = grad_sub,
    .cost = an_cost_result, .scalar = AN_SCALAR_sub};

const an_op an_op_mul = {
    .name = "mul", .since = 15, .params = "x:t y:t", .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic, .kernel = an_kernel_scalar, .grad = grad_mul,
    .cost = an_cost_result, .scalar = AN_SCALAR_mul};

const an_op an_op_real_div = {
    .name = "real_div", .since = 15, .params = "x:t y:t",
    .cls = AN_CLASS_BINARY, .shape = shape_arithmetic,
    .kernel = an_kernel_scalar, .grad = grad_real_div, .cost = an_cost_result,
    .scalar = AN_SCALAR_real_div};

const an_op an_op_pow = {
    .name = "pow", .since = 15, .params = "x:t y:t", .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic, .kernel = an_kernel_scalar, .grad = grad_pow,
    .cost = an_cost_result, .scalar = AN_SCALAR_pow};

const an_op an_op_maximum = {
    .name = "maximum", .since = 15, .params = "x:t y:t", .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic, .kernel = an_kernel_scalar, .grad = grad_maximum,
    .cost = an_cost_result, .scalar = AN_SCALAR_maximum};

const an_op an_op_minimum = {
    .name = "minimum", .since = 15, .params = "x:t y:t", .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic, .kernel = an_kernel_scalar, .grad = grad_minimum,
    .cost = an_cost_result, .scalar = AN_SCALAR_minimum};

const an_op an_op_floor_div = {
    .name = "floor_div", .since = 15, .params = "x:t y:t",
    .cls = AN_CLASS_BINARY, .shape = shape_arithmetic,
    .kernel = an_kernel_scalar, .no_grad = flat, .cost = an_cost_result,
    .scalar = AN_SCALAR_floor_div};

const an_op an_op_mod = {
    .name = "mod", .since = 15, .params = "x:t y:t", .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic, .kernel = an_kernel_scalar, .grad = grad_mod,
    .cost = an_cost_result, .scalar = AN_SCALAR_mod};

const an_op an_op_equal = {
    .name = "equal", .since = 15, .params = "x:t y:t", .cls = AN_CLASS_BINARY,
    .shape = shape_equality, .kernel = an_kernel_scalar, .no_grad = boolean,
    .cost = an_cost_result, .scalar = AN_SCALAR_equal};

const an_op an_op_not_equal = {
    .name = "not_equal", .since = 15, .params = "x:t y:t",
    .cls = AN_CLASS_BINARY, .shape = shape_equality, .kernel = an_kernel_scalar,
    .no_grad = boolean, .cost = an_cost_result, .scalar = AN_SCALAR_not_equal};

const an_op an_op_less = {
    .name = "less", .since = 15, .params = "x:t y:t", .cls = AN_CLASS_BINARY,
    .shape = shape_order, .kernel = an_kernel_scalar, .no_grad = boolean,
    .cost = an_cost_result, .scalar = AN_SCALAR_less};

const an_op an_op_less_equal = {
    .name = "less_equal", .since = 15, .params = "x:t y:t",
    .cls = AN_CLASS_BINARY, .shape = shape_order, .kernel = an_kernel_scalar,
    .no_grad = boolean, .cost = an_cost_result, .scalar = AN_SCALAR_less_equal};

const an_op an_op_greater = {
    .name = "greater", .since = 15, .params = "x:t y:t", .cls = AN_CLASS_BINARY,
    .shape = shape_order, .kernel = an_kernel_scalar, .no_grad = boolean,
    .cost = an_cost_result, .scalar = AN_SCALAR_greater};

const an_op an_op_greater_equal = {
    .name = "greater_equal", .since = 15, .params = "x:t y:t",
    .cls = AN_CLASS_BINARY, .shape = shape_order, .kernel = an_kernel_scalar,
    .no_grad = boolean, .cost = an_cost_result,
    .scalar = AN_SCALAR_greater_equal};

const an_op an_op_logical_and = {
    .name = "logical_and", .since = 15, .params = "x:t y:t",
    .cls = AN_CLASS_BINARY, .shape = shape_logic, .kernel = an_kernel_scalar,
    .no_grad = boolean, .cost = an_cost_result,
    .scalar = AN_SCALAR_logical_and};

const an_op an_op_logical_or = {
    .name = "logical_or", .since = 15, .params = "x:t y:t",
    .cls = AN_CLASS_BINARY, .shape = shape_logic, .kernel = an_kernel_scalar,
    .no_grad = boolean, .cost = an_cost_result, .scalar = AN_SCALAR_logical_or};

const an_op an_op_logical_xor = {
    .name = "logical_xor", .since = 15, .params = "x:t y:t",
    .cls = AN_CLASS_BINARY, .shape = shape_logic, .kernel = an_kernel_scalar,
    .no_grad = boolean, .cost = an_cost_result,
    .scalar = AN_SCALAR_logical_xor};

const an_op an_op_select = {
    .name = "select", .since = 15, .params = "cond:t a:t b:t",
    .cls = AN_CLASS_BINARY, .shape = shape_select, .kernel = an_kernel_scalar,
    .grad = grad_select, .cost = an_cost_result, .scalar = AN_SCALAR_select};
// clang-format on
