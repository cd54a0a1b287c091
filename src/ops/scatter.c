/*
 * gather_nd and the scatters, which no engine has: indices [.., K] name K
 * leading axes of the data (nd), or one index along an axis.
 */
#include "ops/ops.h"

static const char *const modes = "add sub mul div max min update";

/* `count` leading dimensions of a, then those of b from `from` on. */
static an_status join(const an_node *node, const an_shape *a, int count,
                      const an_shape *b, int from, an_shape *out, an_error *err)
{
    an_shape r = {.dtype = b->dtype};
    if (count + b->rank - from > AN_MAX_RANK)
        return an_node_fail(node, err, AN_ETYPE,
                            "operands are %s and %s, expected a rank of at "
                            "most %d together",
                            AN_SHAPE_STR(a), AN_SHAPE_STR(b), AN_MAX_RANK);
    for (int i = 0; i < count; i++)
        r.dims[r.rank++] = a->dims[i];
    for (int i = from; i < b->rank; i++)
        r.dims[r.rank++] = b->dims[i];
    *out = r;
    return an_rule_size(node, out, err);
}

/* indices[..-1] + data[batch + K..], K the last dimension of indices. */
static an_status picked(const an_node *node, const char *data, int64_t batch,
                        an_shape *out, an_error *err)
{
    an_status s = an_rule_domain(node, data, AN_DOMAIN_ANY, err);
    if (s == AN_OK) s = an_rule_integers(node, "indices", -1, err);
    if (s == AN_OK) s = an_rule_rank(node, "indices", 1, AN_MAX_RANK, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, data);
    const an_shape *indices = an_node_shape(node, "indices");
    int64_t k = indices->dims[indices->rank - 1];
    bool fits = batch >= 0 && batch < indices->rank && batch + k <= x->rank;
    for (int64_t i = 0; fits && i < batch; i++)
        fits = x->dims[i] == indices->dims[i];
    if (!fits)
        return an_node_fail(node, err, AN_ETYPE,
                            "indices is %s, expected equal batch axes and at "
                            "most as many indices as %s (%s) has axes",
                            AN_SHAPE_STR(indices), data, AN_SHAPE_STR(x));
    return join(node, indices, indices->rank - 1, x, (int)(batch + k), out,
                err);
}

static an_status shape_gather_nd(const an_node *node, an_shape *out, int n,
                                 an_error *err)
{
    an_shape r;
    int64_t batch = an_op_param_index(node->op, "batch_dims", 10) < 0
                        ? 0
                        : an_node_int(node, "batch_dims");
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = picked(node, "x", batch, &r, err);
    if (s == AN_OK) out[0] = r;
    return s;
}

static an_status check_scatter(const an_node *node, int n, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "data", AN_DOMAIN_NUMBER, err);
    if (s == AN_OK) s = an_rule_integers(node, "indices", -1, err);
    return s == AN_OK ? an_rule_choice(node, "mode", modes, err) : s;
}

static an_status shape_scatter_nd(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    an_shape updates;
    an_status s = check_scatter(node, n, err);
    if (s == AN_OK) s = picked(node, "data", 0, &updates, err);
    if (s == AN_OK) s = an_rule_shape(node, "updates", &updates, err);
    if (s == AN_OK) out[0] = *an_node_shape(node, "data");
    return s;
}

/* updates: data[..axis] + indices + data[axis + 1..] */
static an_status shape_scatter(const an_node *node, an_shape *out, int n,
                               an_error *err)
{
    int axis = 0;
    an_shape head = {0}, updates = {0};
    an_status s = check_scatter(node, n, err);
    const an_shape *x = an_node_shape(node, "data");
    if (s == AN_OK) s = an_rule_axis(node, "axis", x->rank, &axis, err);
    if (s != AN_OK) return s;
    const an_shape *indices = an_node_shape(node, "indices");
    s = join(node, x, axis, indices, 0, &head, err);
    if (s == AN_OK)
        s = join(node, &head, head.rank, x, axis + 1, &updates, err);
    if (s == AN_OK) s = an_rule_shape(node, "updates", &updates, err);
    if (s == AN_OK) out[0] = *x;
    return s;
}

static an_status shape_scatter_along_axis(const an_node *node, an_shape *out,
                                          int n, an_error *err)
{
    int axis;
    an_status s = check_scatter(node, n, err);
    const an_shape *x = an_node_shape(node, "data");
    if (s == AN_OK) s = an_rule_axis(node, "axis", x->rank, &axis, err);
    if (s == AN_OK) s = an_rule_integers(node, "indices", x->rank, err);
    if (s != AN_OK) return s;
    an_shape want = *x;
    want.dims[axis] = an_node_shape(node, "indices")->dims[axis];
    if ((s = an_rule_shape(node, "updates", &want, err)) != AN_OK) return s;
    want.dtype = an_node_shape(node, "indices")->dtype;
    s = an_rule_shape(node, "indices", &want, err);
    if (s == AN_OK) out[0] = *x;
    return s;
}

// clang-format off
const an_op an_op_gather_nd = {
    .name = "gather_nd", .since = 15, .params = "x:t indices:t",
    .cls = AN_CLASS_OTHER, .shape = shape_gather_nd};

const an_op an_op_gather_nd_ios16 = {
    .name = "gather_nd", .since = 16, .params = "x:t indices:t batch_dims:i=0",
    .cls = AN_CLASS_OTHER, .shape = shape_gather_nd};

const an_op an_op_gather_nd_ios17 = {
    .name = "gather_nd", .since = 17,
    .params = "x:t indices:t batch_dims:i=0 validate_indices:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_gather_nd};

const an_op an_op_scatter = {
    .name = "scatter", .since = 15,
    .params = "data:t indices:t updates:t axis:i=0 mode:s=add",
    .cls = AN_CLASS_OTHER, .shape = shape_scatter};

const an_op an_op_scatter_ios17 = {
    .name = "scatter", .since = 17,
    .params = "data:t indices:t updates:t axis:i=0 mode:s=add "
              "validate_indices:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_scatter};

const an_op an_op_scatter_along_axis = {
    .name = "scatter_along_axis", .since = 15,
    .params = "data:t indices:t updates:t axis:i=0 mode:s=add",
    .cls = AN_CLASS_OTHER, .shape = shape_scatter_along_axis};

const an_op an_op_scatter_along_axis_ios17 = {
    .name = "scatter_along_axis", .since = 17,
    .params = "data:t indices:t updates:t axis:i=0 mode:s=add "
              "validate_indices:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_scatter_along_axis};

const an_op an_op_scatter_nd = {
    .name = "scatter_nd", .since = 15,
    .params = "data:t indices:t updates:t mode:s=add", .cls = AN_CLASS_OTHER,
    .shape = shape_scatter_nd};

const an_op an_op_scatter_nd_ios17 = {
    .name = "scatter_nd", .since = 17,
    .params = "data:t indices:t updates:t mode:s=add "
              "validate_indices:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_scatter_nd};
// clang-format on
