/*
 * Normalisations of images: batch_norm and instance_norm per channel (axis 1),
 * l2_norm over the last three axes, local_response_norm over neighbouring
 * channels.
 */
#include "ops/ops.h"

/* Parameters of one float per channel of x, when given. */
static an_status check_channels(const an_node *node, const char *const *params,
                                an_error *err)
{
    an_status s = AN_OK;
    for (; *params && s == AN_OK; params++) {
        if (!an_node_given(node, *params)) continue;
        an_shape want = {.dtype = an_node_shape(node, *params)->dtype,
                         .rank = 1,
                         .dims = {an_node_shape(node, "x")->dims[1]}};
        s = an_rule_domain(node, *params, AN_DOMAIN_FLOAT, err);
        if (s == AN_OK) s = an_rule_shape(node, *params, &want, err);
    }
    return s;
}

static an_status shape_ranked(const an_node *node, an_shape *out, int n,
                              int most, const char *const *params,
                              an_error *err)
{
    an_shape r;
    an_status s = an_shape_as_float(node, &r, n, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 3, most, err);
    if (s == AN_OK) s = check_channels(node, params, err);
    if (s == AN_OK) out[0] = r;
    return s;
}

static an_status shape_batch_norm(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    static const char *const params[] = {"mean", "variance", "gamma", "beta",
                                         NULL};
    return shape_ranked(node, out, n, 5, params, err);
}

static an_status shape_instance_norm(const an_node *node, an_shape *out, int n,
                                     an_error *err)
{
    static const char *const params[] = {"gamma", "beta", NULL};
    return shape_ranked(node, out, n, 4, params, err);
}

static an_status shape_l2_norm(const an_node *node, an_shape *out, int n,
                               an_error *err)
{
    static const char *const params[] = {NULL};
    return shape_ranked(node, out, n, AN_MAX_RANK, params, err);
}

static an_status shape_local_response_norm(const an_node *node, an_shape *out,
                                           int n, an_error *err)
{
    static const char *const params[] = {NULL};
    an_status s = an_rule_int(node, "size", 1, 1 << 14, err);
    return s == AN_OK ? shape_ranked(node, out, n, 4, params, err) : s;
}

// clang-format off
const an_op an_op_batch_norm = {
    .name = "batch_norm", .since = 15,
    .params = "x:t mean:c variance:c gamma:c? beta:c? epsilon:f=1e-5",
    .cls = AN_CLASS_OTHER, .shape = shape_batch_norm};

const an_op an_op_instance_norm = {
    .name = "instance_norm", .since = 15,
    .params = "x:t gamma:c? beta:c? epsilon:f=1e-5", .cls = AN_CLASS_OTHER,
    .shape = shape_instance_norm};

const an_op an_op_l2_norm = {
    .name = "l2_norm", .since = 15, .params = "x:t epsilon:f=1e-6",
    .cls = AN_CLASS_OTHER, .shape = shape_l2_norm};

const an_op an_op_local_response_norm = {
    .name = "local_response_norm", .since = 15,
    .params = "x:t size:i alpha:f=1e-4 beta:f=0.75 k:f=1",
    .cls = AN_CLASS_OTHER, .shape = shape_local_response_norm};
// clang-format on
