/*
 * conv_transpose: x [N, C, D..], weight [C, O / groups, K..]. Per spatial axis,
 * with ke = (K - 1) dilation + 1, the result has (in - 1) stride + ke elements;
 * `custom` takes the pads off, `same` has in stride; output_shape says all of
 * it. Known, not core.
 */
#include "ops/ops.h"

static an_status check_channels(const an_node *node, an_error *err)
{
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *w = an_node_shape(node, "weight");
    int64_t groups = an_node_int(node, "groups");
    if (w->dims[0] == x->dims[1] && groups >= 1 && w->dims[0] % groups == 0)
        return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "weight is %s and groups %lld, expected %lld input "
                        "channels (x is %s) that groups divide",
                        AN_SHAPE_STR(w), (long long)groups,
                        (long long)x->dims[1], AN_SHAPE_STR(x));
}

static an_status check_operands(const an_node *node, int n, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 3, 5, err);
    if (s == AN_OK) s = an_rule_domain(node, "weight", AN_DOMAIN_FLOAT, err);
    if (s != AN_OK) return s;
    int rank = an_node_shape(node, "x")->rank, axes = rank - 2;
    s = an_rule_rank(node, "weight", rank, rank, err);
    if (s == AN_OK)
        s = an_rule_choice(node, "pad_type", "valid same custom", err);
    if (s == AN_OK) s = an_rule_counts(node, "strides", axes, 1, err);
    if (s == AN_OK) s = an_rule_counts(node, "dilations", axes, 1, err);
    if (s == AN_OK) s = an_rule_counts(node, "pad", 2 * axes, 0, err);
    if (s == AN_OK) s = an_rule_count(node, "output_shape", rank, err);
    return s == AN_OK ? check_channels(node, err) : s;
}

static int64_t axis_size(const an_node *node, int i)
{
    an_str type = an_node_string(node, "pad_type");
    int64_t in = an_node_shape(node, "x")->dims[2 + i];
    int64_t kernel = an_node_shape(node, "weight")->dims[2 + i];
    int64_t stride = an_node_int_at(node, "strides", i);
    if (an_node_given(node, "output_shape"))
        return an_node_int_at(node, "output_shape", 2 + i);
    if (an_str_is(type, "same")) return in * stride;
    int64_t size = (in - 1) * stride +
                   (kernel - 1) * an_node_int_at(node, "dilations", i) + 1;
    if (an_str_is(type, "custom"))
        size -= an_node_int_at(node, "pad", 2 * i) +
                an_node_int_at(node, "pad", 2 * i + 1);
    return size;
}

static an_status shape_conv_transpose(const an_node *node, an_shape *out, int n,
                                      an_error *err)
{
    an_status s = check_operands(node, n, err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    r.dims[1] =
        an_node_shape(node, "weight")->dims[1] * an_node_int(node, "groups");
    if ((s = an_rule_bias(node, r.dims[1], err)) != AN_OK) return s;
    for (int i = 0; i + 2 < r.rank; i++)
        r.dims[2 + i] = axis_size(node, i);
    for (int i = 0; i < 2 && an_node_given(node, "output_shape"); i++)
        if (an_node_int_at(node, "output_shape", i) != r.dims[i])
            return an_node_fail(
                node, err, AN_ETYPE, "output_shape[%d] is %lld, expected %lld",
                i, (long long)an_node_int_at(node, "output_shape", i),
                (long long)r.dims[i]);
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

// clang-format off
const an_op an_op_conv_transpose = {
    .name = "conv_transpose", .since = 15,
    .params = "x:t weight:c bias:c? pad:I=0 output_shape:I? pad_type:s=valid "
              "strides:I=1 dilations:I=1 groups:i=1",
    .cls = AN_CLASS_OTHER, .shape = shape_conv_transpose};

const an_op an_op_conv_transpose_ios17 = {
    .name = "conv_transpose", .since = 17,
    .params = "x:t weight:t bias:t? pad:I=0 output_shape:I? pad_type:s=valid "
              "strides:I=1 dilations:I=1 groups:i=1",
    .cls = AN_CLASS_OTHER, .shape = shape_conv_transpose};
// clang-format on
