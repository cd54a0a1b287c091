/*
 * Reductions over axes. One kernel serves all: it gathers the values under one
 * result, in row-major order, and lets the numerics reduce them.
 */
#include "ops/ops.h"

/* The listed axes become 1 (keep_dims) or go. */
static an_status shape_reduce(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    bool gone[AN_MAX_RANK];
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_NUMBER, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    if ((s = an_rule_axes(node, "axes", x->rank, gone, err)) != AN_OK) return s;
    bool keep = an_node_bool(node, "keep_dims");
    an_shape r = {.dtype = x->dtype};
    for (int i = 0; i < x->rank; i++) {
        if (!gone[i])
            r.dims[r.rank++] = x->dims[i];
        else if (keep)
            r.dims[r.rank++] = 1;
    }
    out[0] = r;
    return AN_OK;
}

const an_op an_op_reduce_sum = {
    .name = "reduce_sum",
    .since = 15,
    .params = "x:t axes:I? keep_dims:b=false",
    .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce,
    .reduce = AN_REDUCE_SUM,
};

const an_op an_op_reduce_mean = {
    .name = "reduce_mean",
    .since = 15,
    .params = "x:t axes:I? keep_dims:b=false",
    .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce,
    .reduce = AN_REDUCE_MEAN,
};

const an_op an_op_reduce_max = {
    .name = "reduce_max",
    .since = 15,
    .params = "x:t axes:I? keep_dims:b=false",
    .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce,
    .reduce = AN_REDUCE_MAX,
};

const an_op an_op_reduce_min = {
    .name = "reduce_min",
    .since = 15,
    .params = "x:t axes:I? keep_dims:b=false",
    .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce,
    .reduce = AN_REDUCE_MIN,
};

const an_op an_op_reduce_sum_square = {
    .name = "reduce_sum_square",
    .since = 15,
    .params = "x:t axes:I? keep_dims:b=false",
    .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce,
    .reduce = AN_REDUCE_SUM_SQUARE,
};

const an_op an_op_reduce_log_sum_exp = {
    .name = "reduce_log_sum_exp",
    .since = 15,
    .params = "x:t axes:I? keep_dims:b=false",
    .cls = AN_CLASS_REDUCTION,
    .shape = shape_reduce,
    .reduce = AN_REDUCE_LOG_SUM_EXP,
};
