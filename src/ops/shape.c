/*
 * Other shapes of the same elements: reshape, expand_dims, squeeze, transpose.
 */
#include "ops/ops.h"

#include "mil/emit.h"

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
    int64_t rest = 1, count = an_shape_count(x);
    int open = -1, n_open = 0;
    for (int i = 0; i < r->rank && rest <= count; i++) {
        int64_t d = r->dims[i];
        if (d < 0)
            open = i, n_open++;
        else if (d == 0) /* a dimension of x, and x is empty */
            rest = 0;
        else
            rest = rest > count / d ? count + 1 : rest * d;
    }
    bool fits = n_open == 0 ? count == rest
                            : n_open == 1 && rest > 0 && count % rest == 0;
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

/* [product of the axes before, product of those from axis on] */
static an_status shape_flatten2d(const an_node *node, an_shape *out, int n,
                                 an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    int64_t axis = an_node_int(node, "axis");
    s = an_rule_int(node, "axis", -x->rank, x->rank, err);
    if (s != AN_OK) return s;
    if (axis < 0) axis += x->rank;
    an_shape r = {.dtype = x->dtype, .rank = 2, .dims = {1, 1}};
    for (int i = 0; i < x->rank; i++)
        r.dims[i < axis ? 0 : 1] *= x->dims[i];
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
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

/* ---- gradients: the movement the other way ---- */

/* y has the elements of x in order: dx = dy in x's shape */
static void grad_reshape(an_vjp *v)
{
    an_value *x = an_node_value(v->node, "x");
    v->add(v, x, an_vjp_reshape_as(v, v->dy[0], an_value_shape(x)));
}

/* y = x with axes perm: dx = dy with the inverse order */
static void grad_transpose(an_vjp *v)
{
    int inverse[AN_MAX_RANK];
    an_value *x = an_node_value(v->node, "x");
    int rank = an_value_shape(x)->rank;
    for (int i = 0; i < rank; i++)
        inverse[an_node_axis_at(v->node, "perm", i, rank)] = i;
    v->add(v, x, an_emit_transpose(v->b, v->dy[0], inverse));
}

// clang-format off
const an_op an_op_reshape = {
    .name = "reshape", .since = 15, .params = "x:t shape:I",
    .cls = AN_CLASS_VIEW, .shape = shape_reshape, .kernel = an_kernel_view,
    .grad = grad_reshape, .cost = an_cost_move, .view = view_reshape};

const an_op an_op_expand_dims = {
    .name = "expand_dims", .since = 15, .params = "x:t axes:I",
    .cls = AN_CLASS_VIEW, .shape = shape_expand_dims, .kernel = an_kernel_view,
    .grad = grad_reshape, .cost = an_cost_move, .view = view_reshape};

const an_op an_op_squeeze = {
    .name = "squeeze", .since = 15, .params = "x:t axes:I?",
    .cls = AN_CLASS_VIEW, .shape = shape_squeeze, .kernel = an_kernel_view,
    .grad = grad_reshape, .cost = an_cost_move, .view = view_reshape};

const an_op an_op_flatten2d = {
    .name = "flatten2d", .since = 15, .params = "x:t axis:i=1",
    .cls = AN_CLASS_VIEW, .shape = shape_flatten2d, .kernel = an_kernel_view,
    .grad = grad_reshape, .cost = an_cost_move, .view = view_reshape};

const an_op an_op_transpose = {
    .name = "transpose", .since = 15, .params = "x:t perm:I",
    .cls = AN_CLASS_VIEW, .shape = shape_transpose, .kernel = an_kernel_view,
    .grad = grad_transpose, .cost = an_cost_move, .view = view_transpose};
// clang-format on
