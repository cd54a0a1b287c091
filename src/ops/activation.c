/*
 * Activations. All are element-wise; gelu has three formulas, chosen by its
 * mode, so it is of no class that reads the row's scalar.
 */
#include "ops/ops.h"

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

static an_status shape_clip(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    double alpha = an_node_real(node, "alpha");
    double beta = an_node_real(node, "beta");
    if (!(alpha < beta || (alpha == beta && node->opset < 17)))
        return an_node_fail(node, err, AN_ETYPE,
                            "alpha is %g and beta %g, expected alpha below "
                            "beta",
                            alpha, beta);
    return an_shape_as_float(node, out, n, err);
}

const an_op an_op_relu = {
    .name = "relu",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_relu,
};

const an_op an_op_sigmoid = {
    .name = "sigmoid",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_sigmoid,
};

const an_op an_op_tanh = {
    .name = "tanh",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_tanh,
};

const an_op an_op_silu = {
    .name = "silu",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_float,
    .scalar = AN_SCALAR_silu,
};

const an_op an_op_gelu = {
    .name = "gelu",
    .since = 15,
    .params = "x:t mode:s=EXACT",
    .cls = AN_CLASS_OTHER,
    .shape = shape_gelu,
};

const an_op an_op_clip = {
    .name = "clip",
    .since = 15,
    .params = "x:t alpha:f beta:f",
    .cls = AN_CLASS_UNARY,
    .shape = shape_clip,
    .scalar = AN_SCALAR_clip,
};
