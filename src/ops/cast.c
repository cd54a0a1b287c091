/* Constants, casts, copies and filled tensors. */
#include "ops/ops.h"

/* The type of val. What is no tensor (a list, a tuple) never gets here. */
static an_status shape_const(const an_node *node, an_shape *out, int n,
                             an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) out[0] = *an_node_shape(node, "val");
    return s;
}

static bool can_cast_to(an_dtype dtype)
{
    return an_dtype_in(dtype, AN_DOMAIN_FLOAT) || dtype == AN_BOOL ||
           dtype == AN_INT8 || dtype == AN_INT16 || dtype == AN_INT32 ||
           dtype == AN_UINT8 || dtype == AN_UINT16;
}

static an_status shape_cast(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s != AN_OK) return s;
    an_str name = an_node_string(node, "dtype");
    for (int i = 0; i < AN_DTYPE_COUNT; i++) {
        if (!can_cast_to((an_dtype)i) ||
            !an_str_is(name, an_dtype_name((an_dtype)i)))
            continue;
        out[0] = *an_node_shape(node, "x");
        out[0].dtype = (an_dtype)i;
        return AN_OK;
    }
    return an_node_fail(node, err, AN_ETYPE,
                        "dtype is \"%.*s\", expected fp16, fp32, fp64, bool, "
                        "int8, int16, int32, uint8 or uint16",
                        (int)(name.size < 32 ? name.size : 32), name.text);
}

/* A tensor of `shape` with one value, of the value's type (fp32 0 when it is
 * not given). */
static an_status shape_fill(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s != AN_OK) return s;
    an_shape r = {.dtype = AN_FP32, .rank = an_node_n(node, "shape")};
    if (r.rank > AN_MAX_RANK)
        return an_node_fail(node, err, AN_ETYPE,
                            "shape has %d elements, expected at most %d",
                            r.rank, AN_MAX_RANK);
    for (int i = 0; i < r.rank; i++) {
        r.dims[i] = an_node_int_at(node, "shape", i);
        if (r.dims[i] < 1)
            return an_node_fail(node, err, AN_ETYPE,
                                "shape[%d] is %lld, expected 1 or more", i,
                                (long long)r.dims[i]);
    }
    if (an_node_given(node, "value")) {
        s = an_rule_domain(node, "value", AN_DOMAIN_ANY, err);
        if (s == AN_OK) s = an_rule_rank(node, "value", 0, 0, err);
        if (s != AN_OK) return s;
        r.dtype = an_node_shape(node, "value")->dtype;
    }
    if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

const an_op an_op_const = {
    .name = "const",
    .since = 15,
    .params = "val:c",
    .cls = AN_CLASS_CONST,
    .form = AN_FORM_ATTRIBUTES,
    .shape = shape_const,
};

/* A cast is the identity in another type: the rounding does the work (floats
 * to integers toward zero, to bool x != 0). */
const an_op an_op_cast = {
    .name = "cast",
    .since = 15,
    .params = "x:t dtype:s",
    .cls = AN_CLASS_UNARY,
    .shape = shape_cast,
    .scalar = AN_SCALAR_identity,
};

const an_op an_op_identity = {
    .name = "identity",
    .since = 15,
    .params = "x:t",
    .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_any,
    .scalar = AN_SCALAR_identity,
};

const an_op an_op_fill = {
    .name = "fill",
    .since = 15,
    .params = "shape:I value:c?",
    .cls = AN_CLASS_OTHER,
    .shape = shape_fill,
};
