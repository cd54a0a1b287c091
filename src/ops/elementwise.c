/*
 * Element-wise mathematics, comparisons, logic and selection. Two operands
 * broadcast as in numpy.
 */
#include "ops/ops.h"

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

static an_status shape_not(const an_node *node, an_shape *out, int n,
                           an_error *err)
{
    an_status s = an_rule_domain(node, "x", AN_DOMAIN_BOOL, err);
    return s == AN_OK ? an_shape_as_any(node, out, n, err) : s;
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

const an_op an_op_erf = {
    .name = "erf",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_erf,
};

const an_op an_op_exp = {
    .name = "exp",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_exp,
};

const an_op an_op_exp2 = {
    .name = "exp2",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_exp2,
};

const an_op an_op_sqrt = {
    .name = "sqrt",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_sqrt,
};

const an_op an_op_sin = {
    .name = "sin",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_sin,
};

const an_op an_op_cos = {
    .name = "cos",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_cos,
};

const an_op an_op_log = {
    .name = "log",
    .since = 15,
    .params = "x:t epsilon:f=1e-45",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_log,
};

const an_op an_op_rsqrt = {
    .name = "rsqrt",
    .since = 15,
    .params = "x:t epsilon:f=1e-12",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_rsqrt,
};

const an_op an_op_inverse = {
    .name = "inverse",
    .since = 15,
    .params = "x:t epsilon:f=1e-4",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_inverse,
};

const an_op an_op_square = {
    .name = "square",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number,
    .scalar = AN_SCALAR_square,
};

const an_op an_op_abs = {
    .name = "abs",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number,
    .scalar = AN_SCALAR_abs,
};

const an_op an_op_sign = {
    .name = "sign",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number,
    .scalar = AN_SCALAR_sign,
};

const an_op an_op_floor = {
    .name = "floor",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number,
    .scalar = AN_SCALAR_floor,
};

const an_op an_op_ceil = {
    .name = "ceil",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number,
    .scalar = AN_SCALAR_ceil,
};

const an_op an_op_round = {
    .name = "round",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_number,
    .scalar = AN_SCALAR_round,
};

const an_op an_op_logical_not = {
    .name = "logical_not",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = shape_not,
    .scalar = AN_SCALAR_logical_not,
};

const an_op an_op_add = {
    .name = "add",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic,
    .scalar = AN_SCALAR_add,
};

const an_op an_op_sub = {
    .name = "sub",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic,
    .scalar = AN_SCALAR_sub,
};

const an_op an_op_mul = {
    .name = "mul",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic,
    .scalar = AN_SCALAR_mul,
};

const an_op an_op_real_div = {
    .name = "real_div",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic,
    .scalar = AN_SCALAR_real_div,
};

const an_op an_op_floor_div = {
    .name = "floor_div",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic,
    .scalar = AN_SCALAR_floor_div,
};

const an_op an_op_pow = {
    .name = "pow",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic,
    .scalar = AN_SCALAR_pow,
};

const an_op an_op_maximum = {
    .name = "maximum",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic,
    .scalar = AN_SCALAR_maximum,
};

const an_op an_op_minimum = {
    .name = "minimum",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_arithmetic,
    .scalar = AN_SCALAR_minimum,
};

const an_op an_op_equal = {
    .name = "equal",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_equality,
    .scalar = AN_SCALAR_equal,
};

const an_op an_op_not_equal = {
    .name = "not_equal",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_equality,
    .scalar = AN_SCALAR_not_equal,
};

const an_op an_op_less = {
    .name = "less",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_order,
    .scalar = AN_SCALAR_less,
};

const an_op an_op_less_equal = {
    .name = "less_equal",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_order,
    .scalar = AN_SCALAR_less_equal,
};

const an_op an_op_greater = {
    .name = "greater",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_order,
    .scalar = AN_SCALAR_greater,
};

const an_op an_op_greater_equal = {
    .name = "greater_equal",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_order,
    .scalar = AN_SCALAR_greater_equal,
};

const an_op an_op_logical_and = {
    .name = "logical_and",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_logic,
    .scalar = AN_SCALAR_logical_and,
};

const an_op an_op_logical_or = {
    .name = "logical_or",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_logic,
    .scalar = AN_SCALAR_logical_or,
};

const an_op an_op_logical_xor = {
    .name = "logical_xor",
    .since = 15,
    .params = "x:t y:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_logic,
    .scalar = AN_SCALAR_logical_xor,
};

const an_op an_op_select = {
    .name = "select",
    .since = 15,
    .params = "cond:t a:t b:t",
    .cls = AN_CLASS_BINARY,
    .shape = shape_select,
    .scalar = AN_SCALAR_select,
};
