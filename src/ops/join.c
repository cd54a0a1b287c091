/* Joining and cutting along an axis: concat, stack, split. */
#include "ops/ops.h"

#include "mil/emit.h"

/* Checks that part i has the type and, but for `axis` (-1: none), the shape of
 * part 0. */
static an_status check_part(const an_node *node, int i, int axis, an_error *err)
{
    const an_shape *first = &an_node_tensor(node, 0)->type->shape;
    const an_shape *part = &an_node_tensor(node, i)->type->shape;
    bool fits = part->dtype == first->dtype && part->rank == first->rank;
    for (int k = 0; fits && k < part->rank; k++)
        fits = k == axis || part->dims[k] == first->dims[k];
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
        r.dims[axis] += d;
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
    bool positive = true;
    if (!an_node_given(node, "split_sizes")) {
        if (d % n != 0)
            return an_node_fail(node, err, AN_ETYPE,
                                "num_splits is %d, expected a divisor of %lld",
                                n, (long long)d);
        for (int i = 0; i < n; i++)
            out[i].dims[axis] = d / n;
        return AN_OK;
    }
    for (int i = 0; i < n; i++) {
        int64_t size = an_node_int_at(node, "split_sizes", i);
        positive = positive && size > 0;
        out[i].dims[axis] = size;
        sum += size;
    }
    if (positive && sum == d) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "split_sizes sum to %lld, expected sizes of 1 or more "
                        "that sum to %lld",
                        (long long)sum, (long long)d);
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
    if ((s = an_rule_results(node, n, (int)count, err)) != AN_OK) return s;
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

/* ---- kernels of what is no view ---- */

/* Elements behind one index of the axes before `axis`. */
static int64_t inner_count(const an_shape *s, int axis)
{
    int64_t n = 1;
    for (int i = axis; i < s->rank; i++)
        n *= s->dims[i];
    return n;
}

/* Takes runs of `run` elements from the parts in turn. */
static void take_turns(const an_eval *e, int64_t run)
{
    int n = an_node_n_tensors(e->node);
    const an_dense *out = &e->out[0];
    int64_t rows = an_shape_count(&out->shape) / run;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < run; i++)
            out->data[r * run + i] = e->in[r % n].data[r / n * run + i];
}

/* Interleaved: out[.., i n + k, ..] = values[k][.., i, ..]. */
static an_status kernel_concat(const an_eval *e, an_error *err)
{
    int axis = 0;
    const an_shape *s = &e->out[0].shape;
    if (!an_node_bool(e->node, "interleave")) return an_kernel_view(e, err);
    (void)an_node_axis(e->node, "axis", s->rank, &axis);
    take_turns(e, inner_count(s, axis + 1));
    return AN_OK;
}

static an_status kernel_stack(const an_eval *e, an_error *err)
{
    (void)err;
    int axis = 0;
    const an_shape *s = &e->out[0].shape;
    (void)an_node_axis(e->node, "axis", s->rank, &axis);
    take_turns(e, inner_count(s, axis + 1));
    return AN_OK;
}

/* ---- gradients: the movement the other way ---- */

/* The part of x from `begin` with `size` along an axis, whole elsewhere. */
static an_value *part_of(an_vjp *v, an_value *x, int axis, int64_t begin,
                         int64_t size)
{
    int64_t begins[AN_MAX_RANK] = {0}, sizes[AN_MAX_RANK];
    if (!x) return NULL;
    const an_shape *s = an_value_shape(x);
    for (int i = 0; i < s->rank; i++)
        sizes[i] = s->dims[i];
    begins[axis] = begin;
    sizes[axis] = size;
    return an_emit_slice(v->b, x, begins, sizes);
}

/* y = values one after the other, or in turn: each gets its part of dy */
static void grad_concat(an_vjp *v)
{
    int axis = 0, n = an_node_n_tensors(v->node);
    int64_t at = 0;
    bool interleave = an_node_bool(v->node, "interleave");
    (void)an_node_axis(v->node, "axis",
                       an_value_shape(v->node->results[0])->rank, &axis);
    for (int i = 0; i < n; i++) {
        an_value *part = an_node_tensor(v->node, i);
        int64_t size = an_value_shape(part)->dims[axis];
        if (v->wants(v, part))
            v->add(v, part,
                   interleave ? an_vjp_every(v, v->dy[0], axis, i, n)
                              : part_of(v, v->dy[0], axis, at, size));
        at += size;
    }
}

/* y = values along a new axis: each gets its slice of dy */
static void grad_stack(an_vjp *v)
{
    int axis = 0;
    (void)an_node_axis(v->node, "axis",
                       an_value_shape(v->node->results[0])->rank, &axis);
    for (int i = 0; i < an_node_n_tensors(v->node); i++) {
        an_value *part = an_node_tensor(v->node, i);
        if (v->wants(v, part))
            v->add(v, part,
                   an_vjp_reshape_as(v, part_of(v, v->dy[0], axis, i, 1),
                                     an_value_shape(part)));
    }
}

/* results = parts of x: dx = their adjoints one after the other, zeros where
 * none arrives */
static void grad_split(an_vjp *v)
{
    int axis = 0, n = v->node->n_results;
    an_value *x = an_node_value(v->node, "x"), *dx = NULL;
    (void)an_node_axis(v->node, "axis", an_value_shape(x)->rank, &axis);
    for (int i = 0; i < n; i++) {
        an_value *dy = v->dy[i];
        if (!dy)
            dy = an_emit_full(v->b, *an_value_shape(v->node->results[i]), 0);
        dx = i == 0
                 ? dy
                 : an_emit_concat(v->b, 2, (an_value *const[]){dx, dy}, axis);
    }
    v->add(v, x, dx);
}

// clang-format off
const an_op an_op_concat = {
    .name = "concat", .since = 15,
    .params = "values:v axis:i interleave:b=false", .cls = AN_CLASS_VIEW,
    .shape = shape_concat, .kernel = kernel_concat, .grad = grad_concat,
    .cost = an_cost_move, .view = view_concat};

/* Its parts lack the new axis, so it is no concat to a planner. */
const an_op an_op_stack = {
    .name = "stack", .since = 15, .params = "values:v axis:i",
    .cls = AN_CLASS_OTHER, .shape = shape_stack, .kernel = kernel_stack,
    .grad = grad_stack, .cost = an_cost_move};

const an_op an_op_split = {
    .name = "split", .since = 15,
    .params = "x:t num_splits:i? split_sizes:I? axis:i", .cls = AN_CLASS_VIEW,
    .shape = shape_split, .kernel = an_kernel_view, .grad = grad_split,
    .cost = an_cost_move, .view = view_split};
// clang-format on
