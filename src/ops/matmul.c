/*
 * matmul and linear. Leading axes of matmul broadcast as in numpy; an operand
 * of rank 1 gets a 1, in front for x, behind for y, which the result drops.
 */
#include "ops/ops.h"

/* Operands and result with ranks of at least 2, before transposes. False: the
 * inner dimensions or the leading axes do not fit. */
static bool frame(const an_node *node, an_contract *c)
{
    an_shape a = *an_node_shape(node, "x"), b = *an_node_shape(node, "y");
    if (a.rank == 1) a = (an_shape){a.dtype, 2, {1, a.dims[0]}};
    if (b.rank == 1) b = (an_shape){b.dtype, 2, {b.dims[0], 1}};
    bool ta = an_node_bool(node, "transpose_x");
    bool tb = an_node_bool(node, "transpose_y");
    int64_t m = a.dims[a.rank - (ta ? 1 : 2)];
    int64_t ka = a.dims[a.rank - (ta ? 2 : 1)];
    int64_t kb = b.dims[b.rank - (tb ? 1 : 2)];
    int64_t n = b.dims[b.rank - (tb ? 2 : 1)];
    an_shape out = a, batch = b;
    out.rank -= 2;
    batch.rank -= 2;
    if (!an_dims_fit(ka, kb) || !an_shape_broadcast(&out, &batch)) return false;
    out.dims[out.rank++] = m;
    out.dims[out.rank++] = n;
    *c = (an_contract){.a = 0,
                       .b = 1,
                       .transpose_a = ta,
                       .transpose_b = tb,
                       .a_shape = a,
                       .b_shape = b,
                       .out_shape = out,
                       .bias = -1};
    return true;
}

static an_status check_matmul(const an_node *node, int n, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_NUMBER, err);
    if (s == AN_OK) s = an_rule_same_type(node, "x", "y", err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 1, AN_MAX_RANK, err);
    if (s == AN_OK) s = an_rule_rank(node, "y", 1, AN_MAX_RANK, err);
    for (int i = 0; i < 2 && s == AN_OK; i++)
        if (an_node_bool(node, i ? "transpose_y" : "transpose_x"))
            s = an_rule_rank(node, i ? "y" : "x", 2, AN_MAX_RANK, err);
    return s;
}

static an_status shape_matmul(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    an_contract c;
    an_status s = check_matmul(node, n, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *y = an_node_shape(node, "y");
    if (!frame(node, &c))
        return an_node_fail(
            node, err, AN_ETYPE,
            "x is %s%s and y is %s%s, expected equal inner dimensions and "
            "leading axes that broadcast",
            AN_SHAPE_STR(x),
            an_node_bool(node, "transpose_x") ? " transposed" : "",
            AN_SHAPE_STR(y),
            an_node_bool(node, "transpose_y") ? " transposed" : "");
    an_shape r = c.out_shape;
    if (x->rank == 1) {
        r.dims[r.rank - 2] = r.dims[r.rank - 1];
        r.rank--;
    }
    if (y->rank == 1) r.rank--;
    if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

static bool contract_matmul(const an_node *node, an_contract *out)
{
    return frame(node, out);
}

/* y[.., o] = sum over i of x[.., i] weight[o, i] + bias[o] */
static an_status shape_linear(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 1, AN_MAX_RANK, err);
    if (s == AN_OK) s = an_rule_same_type(node, "x", "weight", err);
    if (s == AN_OK) s = an_rule_rank(node, "weight", 2, 2, err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    const an_shape *w = an_node_shape(node, "weight");
    if (!an_dims_fit(r.dims[r.rank - 1], w->dims[1]))
        return an_node_fail(node, err, AN_ETYPE,
                            "x is %s and weight %s, expected one inner "
                            "dimension",
                            AN_SHAPE_STR(&r), AN_SHAPE_STR(w));
    r.dims[r.rank - 1] = w->dims[0];
    if ((s = an_rule_bias(node, w->dims[0], err)) != AN_OK) return s;
    if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

/* x [rows, I] times the transpose of weight [O, I]. A bias would lie along the
 * columns of the product, which an_contract does not have. */
static bool contract_linear(const an_node *node, an_contract *out)
{
    if (an_node_given(node, "bias")) return false;
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *w = an_node_shape(node, "weight");
    int64_t rows = 1, inner = w->dims[1];
    for (int i = 0; i + 1 < x->rank; i++)
        rows *= x->dims[i];
    *out = (an_contract){.a = 0,
                         .b = 1,
                         .transpose_b = true,
                         .a_shape = {x->dtype, 2, {rows, inner}},
                         .b_shape = *w,
                         .out_shape = {x->dtype, 2, {rows, w->dims[0]}},
                         .bias = -1};
    return true;
}

const an_op an_op_matmul = {
    .name = "matmul",
    .since = 15,
    .params = "x:t y:t transpose_x:b=false transpose_y:b=false",
    .cls = AN_CLASS_CONTRACTION,
    .shape = shape_matmul,
    .contract = contract_matmul,
};

/* CoreML wants weight and bias constant; before lowering they are parameters,
 * so that their gradients can be asked for. */
const an_op an_op_linear = {
    .name = "linear",
    .since = 15,
    .params = "x:t weight:t bias:t?",
    .cls = AN_CLASS_CONTRACTION,
    .shape = shape_linear,
    .contract = contract_linear,
};
