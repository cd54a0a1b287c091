/*
 * gather: result = x[..axis] + indices[batch_dims..] + x[axis + 1..];
 * gather_along_axis: result[.., i, ..] = x[.., indices[.., i, ..], ..]. A
 * negative index counts from the end; one out of range reads 0.
 */
#include "ops/ops.h"

/* The oldest form of gather has no batch_dims. */
static int64_t batch_dims(const an_node *node)
{
    return an_op_param_index(node->op, "batch_dims", 10) < 0
               ? 0
               : an_node_int(node, "batch_dims");
}

static an_status check_gather(const an_node *node, int axis, int64_t batch,
                              an_error *err)
{
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *indices = an_node_shape(node, "indices");
    an_status s = an_rule_integers(node, "indices", -1, err);
    if (s != AN_OK) return s;
    bool fits = batch >= 0 && batch <= axis && batch <= indices->rank;
    for (int64_t i = 0; fits && i < batch; i++)
        fits = x->dims[i] == indices->dims[i];
    if (!fits)
        return an_node_fail(node, err, AN_ETYPE,
                            "batch_dims is %lld, expected a number of equal "
                            "leading axes of x (%s) and indices (%s) before "
                            "axis %d",
                            (long long)batch, AN_SHAPE_STR(x),
                            AN_SHAPE_STR(indices), axis);
    if (x->rank + indices->rank - 1 - batch <= AN_MAX_RANK) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "x is %s and indices %s, expected a result of rank at "
                        "most %d",
                        AN_SHAPE_STR(x), AN_SHAPE_STR(indices), AN_MAX_RANK);
}

static an_status shape_gather(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    int axis;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *indices = an_node_shape(node, "indices");
    int64_t batch = batch_dims(node);
    s = an_rule_axis(node, "axis", x->rank, &axis, err);
    if (s == AN_OK) s = check_gather(node, axis, batch, err);
    if (s != AN_OK) return s;
    an_shape r = {.dtype = x->dtype};
    for (int i = 0; i < axis; i++)
        r.dims[r.rank++] = x->dims[i];
    for (int i = (int)batch; i < indices->rank; i++)
        r.dims[r.rank++] = indices->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        r.dims[r.rank++] = x->dims[i];
    if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

/* Splits x into [batch, middle, d, inner] around the axis and picks along d.
 */
static an_status kernel_gather(const an_eval *e, an_error *err)
{
    (void)err;
    const an_dense *x = &e->in[0], *indices = &e->in[1];
    int axis = 0, batch = (int)batch_dims(e->node);
    (void)an_node_axis(e->node, "axis", x->shape.rank, &axis);
    int64_t d = x->shape.dims[axis], n_batch = 1, middle = 1, inner = 1;
    for (int i = 0; i < batch; i++)
        n_batch *= x->shape.dims[i];
    for (int i = batch; i < axis; i++)
        middle *= x->shape.dims[i];
    for (int i = axis + 1; i < x->shape.rank; i++)
        inner *= x->shape.dims[i];
    int64_t picks = an_shape_count(&indices->shape) / n_batch;
    double *out = e->out[0].data;
    for (int64_t o = 0; o < n_batch * middle; o++) {
        const double *list = indices->data + o / middle * picks;
        for (int64_t k = 0; k < picks; k++) {
            int64_t at = (int64_t)list[k];
            if (at < 0) at += d;
            for (int64_t i = 0; i < inner; i++)
                *out++ =
                    at < 0 || at >= d ? 0 : x->data[(o * d + at) * inner + i];
        }
    }
    return AN_OK;
}

static an_status shape_along_axis(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    int axis;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    s = an_rule_integers(node, "indices", x->rank, err);
    if (s == AN_OK) s = an_rule_axis(node, "axis", x->rank, &axis, err);
    if (s != AN_OK) return s;
    const an_shape *indices = an_node_shape(node, "indices");
    for (int i = 0; i < x->rank; i++)
        if (i != axis && x->dims[i] != indices->dims[i])
            return an_node_fail(node, err, AN_ETYPE,
                                "indices is %s, expected the dimensions of x "
                                "(%s) but for axis %d",
                                AN_SHAPE_STR(indices), AN_SHAPE_STR(x), axis);
    out[0] = *indices;
    out[0].dtype = x->dtype;
    return AN_OK;
}

static an_status kernel_along_axis(const an_eval *e, an_error *err)
{
    (void)err;
    const an_dense *x = &e->in[0], *indices = &e->in[1];
    int axis = 0;
    (void)an_node_axis(e->node, "axis", x->shape.rank, &axis);
    int64_t d = x->shape.dims[axis], picks = indices->shape.dims[axis];
    int64_t inner = 1, n = an_shape_count(&indices->shape);
    for (int i = axis + 1; i < x->shape.rank; i++)
        inner *= x->shape.dims[i];
    for (int64_t k = 0; k < n; k++) {
        int64_t at = (int64_t)indices->data[k];
        if (at < 0) at += d;
        int64_t from = (k / (inner * picks) * d + at) * inner + k % inner;
        e->out[0].data[k] = at < 0 || at >= d ? 0 : x->data[from];
    }
    return AN_OK;
}

static const char scatters[] =
    "its gradient is a scatter, which the engine does not have";

// clang-format off
const an_op an_op_gather = {
    .name = "gather", .since = 15, .params = "x:t indices:t axis:i=0",
    .cls = AN_CLASS_OTHER, .shape = shape_gather, .kernel = kernel_gather,
    .no_grad = scatters, .cost = an_cost_move};

const an_op an_op_gather_ios16 = {
    .name = "gather", .since = 16,
    .params = "x:t indices:t axis:i=0 batch_dims:i=0",
    .cls = AN_CLASS_OTHER, .shape = shape_gather, .kernel = kernel_gather,
    .no_grad = scatters, .cost = an_cost_move};

const an_op an_op_gather_ios17 = {
    .name = "gather", .since = 17,
    .params = "x:t indices:t axis:i=0 batch_dims:i=0 validate_indices:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_gather, .kernel = kernel_gather,
    .no_grad = scatters, .cost = an_cost_move};

const an_op an_op_gather_along_axis = {
    .name = "gather_along_axis", .since = 15,
    .params = "x:t indices:t axis:i=0", .cls = AN_CLASS_OTHER,
    .shape = shape_along_axis, .kernel = kernel_along_axis,
    .no_grad = scatters, .cost = an_cost_move};

const an_op an_op_gather_along_axis_ios17 = {
    .name = "gather_along_axis", .since = 17,
    .params = "x:t indices:t axis:i=0 validate_indices:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_along_axis,
    .kernel = kernel_along_axis, .no_grad = scatters, .cost = an_cost_move};
// clang-format on
