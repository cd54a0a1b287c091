/*
 * Other shapes of the same elements: reshape, expand_dims, squeeze, transpose,
 * and joining and cutting along an axis: concat, stack, split.
 */
#include "ops/ops.h"

/* The product of the dimensions, -1 when one is unknown. */
static int64_t known_count(const an_shape *s)
{
    int64_t count = 1;
    for (int i = 0; i < s->rank; i++) {
        if (s->dims[i] < 0) return -1;
        count *= s->dims[i];
    }
    return count;
}

/* Entry i of reshape's shape: 0 copies the dimension of x where both have the
 * same rank, -1 is inferred. */
static an_status reshape_entry(const an_node *node, int i, int rank,
                               int64_t *out, an_error *err)
{
    const an_shape *x = an_node_shape(node, "x");
    int64_t d = an_node_int_at(node, "shape", i);
    if (d == 0 && rank == x->rank) d = x->dims[i];
    if (d < -1 || d == 0)
        return an_node_fail(node, err, AN_ETYPE,
                            "shape[%d] is %lld, expected 1 or more, or -1", i,
                            (long long)d);
    *out = d;
    return AN_OK;
}

/* Replaces the one dimension that is -1 so that the counts agree. */
static an_status infer_dimension(const an_node *node, an_shape *r,
                                 an_error *err)
{
    const an_shape *x = an_node_shape(node, "x");
    int64_t rest = 1, count = known_count(x);
    int open = -1, n_open = 0;
    an_status s = an_rule_size(node, r, err);
    if (s != AN_OK) return s;
    for (int i = 0; i < r->rank; i++) {
        if (r->dims[i] > 0) rest *= r->dims[i];
        if (r->dims[i] < 0) open = i, n_open++;
    }
    if (count < 0) return AN_OK;
    bool fits = n_open == 0 ? count == rest : n_open == 1 && count % rest == 0;
    if (!fits)
        return an_node_fail(node, err, AN_ETYPE,
                            "x is %s, expected as many elements as in %s",
                            AN_SHAPE_STR(x), AN_SHAPE_STR(r));
    if (n_open == 1) r->dims[open] = count / rest;
    return AN_OK;
}

static an_status shape_reshape(const an_node *node, an_shape *out, int n,
                               an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s != AN_OK) return s;
    int rank = an_node_n(node, "shape");
    if (rank > AN_MAX_RANK)
        return an_node_fail(node, err, AN_ETYPE,
                            "shape has %d elements, expected at most %d", rank,
                            AN_MAX_RANK);
    an_shape r = {.dtype = an_node_shape(node, "x")->dtype, .rank = rank};
    for (int i = 0; i < rank && s == AN_OK; i++)
        s = reshape_entry(node, i, rank, &r.dims[i], err);
    if (s == AN_OK) s = infer_dimension(node, &r, err);
    if (s == AN_OK) out[0] = r;
    return s;
}

/* axes count in the result. */
static an_status shape_expand_dims(const an_node *node, an_shape *out, int n,
                                   an_error *err)
{
    bool added[AN_MAX_RANK];
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    int extra = an_node_n(node, "axes");
    if (extra > AN_MAX_RANK - x->rank)
        return an_node_fail(node, err, AN_ETYPE,
                            "axes has %d elements and x is %s, expected a "
                            "result of rank at most %d",
                            extra, AN_SHAPE_STR(x), AN_MAX_RANK);
    an_shape r = {.dtype = x->dtype, .rank = x->rank + extra};
    s = an_rule_axes(node, "axes", r.rank, added, err);
    if (s != AN_OK) return s;
    for (int i = 0, from = 0; i < r.rank; i++)
        r.dims[i] = added[i] ? 1 : x->dims[from++];
    out[0] = r;
    return AN_OK;
}

/* A listed axis that is not 1 stays. */
static an_status shape_squeeze(const an_node *node, an_shape *out, int n,
                               an_error *err)
{
    bool listed[AN_MAX_RANK];
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    s = an_rule_axes(node, "axes", x->rank, listed, err);
    if (s != AN_OK) return s;
    an_shape r = {.dtype = x->dtype};
    for (int i = 0; i < x->rank; i++)
        if (!listed[i] || x->dims[i] != 1) r.dims[r.rank++] = x->dims[i];
    out[0] = r;
    return AN_OK;
}

static bool view_reshape(const an_node *node, an_view *out)
{
    (void)node;
    *out = (an_view){.kind = AN_VIEW_RESHAPE};
    return true;
}

static an_status shape_transpose(const an_node *node, an_shape *out, int n,
                                 an_error *err)
{
    bool seen[AN_MAX_RANK];
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    s = an_rule_count(node, "perm", x->rank, err);
    if (s == AN_OK) s = an_rule_axes(node, "perm", x->rank, seen, err);
    if (s != AN_OK) return s;
    an_shape r = *x;
    for (int i = 0; i < x->rank; i++)
        r.dims[i] = x->dims[an_node_axis_at(node, "perm", i, x->rank)];
    out[0] = r;
    return AN_OK;
}

static bool view_transpose(const an_node *node, an_view *out)
{
    int rank = an_node_shape(node, "x")->rank;
    *out = (an_view){.kind = AN_VIEW_TRANSPOSE};
    for (int i = 0; i < rank; i++)
        out->perm[i] = an_node_axis_at(node, "perm", i, rank);
    return true;
}

/* Checks that part i has the type and, but for `axis` (-1: none), the shape of
 * part 0. */
static an_status check_part(const an_node *node, int i, int axis, an_error *err)
{
    const an_shape *first = &an_node_tensor(node, 0)->type->shape;
    const an_shape *part = &an_node_tensor(node, i)->type->shape;
    bool fits = part->dtype == first->dtype && part->rank == first->rank;
    for (int k = 0; fits && k < part->rank; k++)
        fits = k == axis || an_dims_fit(part->dims[k], first->dims[k]);
    if (fits && an_dtype_in(part->dtype, AN_DOMAIN_ANY)) return AN_OK;
    if (axis < 0)
        return an_node_fail(node, err, AN_ETYPE,
                            "values[%d] is %s, expected %s as values[0]", i,
                            AN_SHAPE_STR(part), AN_SHAPE_STR(first));
    return an_node_fail(node, err, AN_ETYPE,
                        "values[%d] is %s, expected %s but for axis %d", i,
                        AN_SHAPE_STR(part), AN_SHAPE_STR(first), axis);
}

static an_status check_some(const an_node *node, int n, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s != AN_OK || an_node_n_tensors(node) > 0) return s;
    return an_node_fail(node, err, AN_ETYPE,
                        "values is empty, expected one "
                        "tensor or more");
}

static an_status shape_concat(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    int axis;
    an_status s = check_some(node, n, err);
    if (s != AN_OK) return s;
    an_shape r = an_node_tensor(node, 0)->type->shape;
    s = an_rule_axis(node, "axis", r.rank, &axis, err);
    if (s != AN_OK) return s;
    bool interleave = an_node_bool(node, "interleave");
    r.dims[axis] = 0;
    for (int i = 0; i < an_node_n_tensors(node); i++) {
        int64_t d = an_node_tensor(node, i)->type->shape.dims[axis];
        s = check_part(node, i, interleave ? -1 : axis, err);
        if (s != AN_OK) return s;
        r.dims[axis] = d < 0 || r.dims[axis] < 0 ? -1 : r.dims[axis] + d;
        if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    }
    out[0] = r;
    return AN_OK;
}

/* An interleaved concat takes elements in turn, which no view expresses. */
static bool view_concat(const an_node *node, an_view *out)
{
    if (an_node_bool(node, "interleave")) return false;
    *out = (an_view){.kind = AN_VIEW_CONCAT};
    return an_node_axis(node, "axis", an_node_tensor(node, 0)->type->shape.rank,
                        &out->axis);
}

static an_status shape_stack(const an_node *node, an_shape *out, int n,
                             an_error *err)
{
    int axis, count = an_node_n_tensors(node);
    an_status s = check_some(node, n, err);
    if (s != AN_OK) return s;
    const an_shape *x = &an_node_tensor(node, 0)->type->shape;
    for (int i = 0; i < count && s == AN_OK; i++)
        s = check_part(node, i, -1, err);
    if (s != AN_OK) return s;
    if (x->rank == AN_MAX_RANK)
        return an_node_fail(node, err, AN_ETYPE,
                            "values[0] is %s, expected rank at most %d",
                            AN_SHAPE_STR(x), AN_MAX_RANK - 1);
    s = an_rule_axis(node, "axis", x->rank + 1, &axis, err);
    if (s != AN_OK) return s;
    an_shape r = {.dtype = x->dtype, .rank = x->rank + 1};
    for (int i = 0, from = 0; i < r.rank; i++)
        r.dims[i] = i == axis ? count : x->dims[from++];
    if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

/* The sizes of n results that split dimension d: as listed, else equal. */
static an_status split_sizes(const an_node *node, int64_t d, an_shape *out,
                             int n, int axis, an_error *err)
{
    int64_t sum = 0;
    if (!an_node_given(node, "split_sizes")) {
        if (d > 0 && d % n != 0)
            return an_node_fail(node, err, AN_ETYPE,
                                "num_splits is %d, expected a divisor of %lld",
                                n, (long long)d);
        for (int i = 0; i < n; i++)
            out[i].dims[axis] = d < 0 ? -1 : d / n;
        return AN_OK;
    }
    for (int i = 0; i < n; i++) {
        int64_t size = an_node_int_at(node, "split_sizes", i);
        if (size < 1 || (d >= 0 && size > d - sum)) sum = INT64_MIN / 2;
        out[i].dims[axis] = size;
        sum += d < 0 ? 0 : size;
    }
    if (d < 0 ? sum == 0 : sum == d) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "split_sizes, expected sizes of 1 or more that sum to "
                        "%lld",
                        (long long)d);
}

static an_status split_count(const an_node *node, int64_t *out, an_error *err)
{
    bool number = an_node_given(node, "num_splits");
    int sizes = an_node_n(node, "split_sizes");
    if (!number && sizes < 0)
        return an_node_fail(node, err, AN_ETYPE,
                            "expected num_splits or split_sizes");
    *out = number ? an_node_int(node, "num_splits") : sizes;
    if (*out >= 1 && (sizes < 0 || sizes == *out)) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "num_splits is %lld and split_sizes has %d elements, "
                        "expected one positive number",
                        (long long)*out, sizes < 0 ? 0 : sizes);
}

static an_status shape_split(const an_node *node, an_shape *out, int n,
                             an_error *err)
{
    int axis;
    int64_t count = 0;
    an_status s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    s = an_rule_axis(node, "axis", x->rank, &axis, err);
    if (s == AN_OK) s = split_count(node, &count, err);
    if (s != AN_OK) return s;
    if (n != count)
        return an_node_fail(node, err, AN_ETYPE,
                            "%d results are bound, it has %lld", n,
                            (long long)count);
    for (int i = 0; i < n; i++)
        out[i] = *x;
    return split_sizes(node, x->dims[axis], out, n, axis, err);
}

static bool view_split(const an_node *node, an_view *out)
{
    *out = (an_view){.kind = AN_VIEW_SPLIT};
    return an_node_axis(node, "axis", an_node_shape(node, "x")->rank,
                        &out->axis);
}

const an_op an_op_reshape = {
    .name = "reshape",
    .since = 15,
    .params = "x:t shape:I",
    .cls = AN_CLASS_VIEW,
    .shape = shape_reshape,
    .view = view_reshape,
};

const an_op an_op_expand_dims = {
    .name = "expand_dims",
    .since = 15,
    .params = "x:t axes:I",
    .cls = AN_CLASS_VIEW,
    .shape = shape_expand_dims,
    .view = view_reshape,
};

const an_op an_op_squeeze = {
    .name = "squeeze",
    .since = 15,
    .params = "x:t axes:I?",
    .cls = AN_CLASS_VIEW,
    .shape = shape_squeeze,
    .view = view_reshape,
};

const an_op an_op_transpose = {
    .name = "transpose",
    .since = 15,
    .params = "x:t perm:I",
    .cls = AN_CLASS_VIEW,
    .shape = shape_transpose,
    .view = view_transpose,
};

const an_op an_op_concat = {
    .name = "concat",
    .since = 15,
    .params = "values:v axis:i interleave:b=false",
    .cls = AN_CLASS_VIEW,
    .shape = shape_concat,
    .view = view_concat,
};

/* Its parts lack the new axis, so it is no concat to a planner. */
const an_op an_op_stack = {
    .name = "stack",
    .since = 15,
    .params = "values:v axis:i",
    .cls = AN_CLASS_OTHER,
    .shape = shape_stack,
};

const an_op an_op_split = {
    .name = "split",
    .since = 15,
    .params = "x:t num_splits:i? split_sizes:I? axis:i",
    .cls = AN_CLASS_VIEW,
    .shape = shape_split,
    .view = view_split,
};
