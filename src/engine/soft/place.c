/*
 * Places of values and the ops that only move elements.
 *
 * Backwards from the results, a consumer that wants a value at a certain place
 * tells its producer: an output port its result, a concat its parts, a reshape
 * or transpose the inverse of its own result's place. Forwards, a view's
 * result lies in its operand's place. Where both are fixed and differ, or the
 * strides cannot say it, elements are copied.
 */
#include "engine/soft/plan.h"

#include "mil/op.h"
#include "mil/type.h"

/* ---- nodes that are views ---- */

/* A cast to the type that the elements are stored in, or identity. */
static bool is_same(const an_plan *plan, const an_node *node)
{
    if (node->op->cls != AN_CLASS_UNARY ||
        node->op->scalar != AN_SCALAR_identity)
        return false;
    const an_value *x = an_node_tensor(node, 0);
    return an_soft_keeps(plan->numerics, x->type->shape.dtype,
                         node->results[0]->type->shape.dtype);
}

bool an_plan_view(const an_plan *plan, const an_node *node, an_view *out)
{
    if (is_same(plan, node)) {
        *out = (an_view){.kind = AN_VIEW_RESHAPE};
        return true;
    }
    return node->op->cls == AN_CLASS_VIEW && node->op->view &&
           node->op->view(node, out);
}

/* Where result r lies in operand 0's place. False: strides cannot say it. */
static bool result_place(const an_node *node, const an_view *view, int r,
                         const an_place *x, an_place *out)
{
    const an_shape *s = &node->results[r]->type->shape;
    an_place p = *x;
    int64_t begin = 0;
    switch (view->kind) {
    case AN_VIEW_RESHAPE:
        break;
    case AN_VIEW_TRANSPOSE:
        an_place_transpose(x, view->perm, out);
        return true;
    case AN_VIEW_SLICE:
        an_place_slice(x, view->begin, view->stride, view->length, &p);
        break;
    case AN_VIEW_SPLIT:
        for (int i = 0; i < r; i++)
            begin += node->results[i]->type->shape.dims[view->axis];
        an_place_part(x, view->axis, begin, s->dims[view->axis], out);
        return true;
    case AN_VIEW_CONCAT:
        return false;
    }
    return an_place_reshape(&p, s->rank, s->dims, out);
}

/* Part i of a concat in the result's place. */
static void concat_part(const an_node *node, const an_view *view, int i,
                        const an_place *whole, an_place *out)
{
    int64_t begin = 0;
    for (int k = 0; k < i; k++)
        begin += an_node_tensor(node, k)->type->shape.dims[view->axis];
    an_place_part(whole, view->axis, begin,
                  an_node_tensor(node, i)->type->shape.dims[view->axis], out);
}

/* ---- backwards ---- */

static bool can_place(const an_plan *plan, const an_value *v)
{
    return v->name && v->def && !v->literal && plan->places[v->id].buffer < 0;
}

static void place_operand(an_plan *plan, const an_node *node,
                          const an_view *view)
{
    const an_value *x = an_node_tensor(node, 0);
    const an_place *y = &plan->places[node->results[0]->id];
    if (y->buffer < 0 || !can_place(plan, x)) return;
    const an_shape *s = &x->type->shape;
    an_place p;
    if (view->kind == AN_VIEW_TRANSPOSE)
        an_place_untranspose(y, view->perm, &p);
    else if (view->kind != AN_VIEW_RESHAPE ||
             !an_place_reshape(y, s->rank, s->dims, &p))
        return;
    plan->places[x->id] = p;
}

static an_status place_parts(an_plan *plan, const an_node *node,
                             const an_view *view, an_error *err)
{
    an_place whole;
    an_status s = an_plan_result(plan, node->results[0], &whole, err);
    if (s != AN_OK) return s;
    int n = an_node_n_tensors(node);
    for (int i = 0; i < n; i++) {
        const an_value *x = an_node_tensor(node, i);
        if (can_place(plan, x))
            concat_part(node, view, i, &whole, &plan->places[x->id]);
    }
    return AN_OK;
}

static void place_results(an_plan *plan, const an_place *results)
{
    const an_function *f = plan->function;
    for (int i = 0; i < f->n_results; i++) {
        const an_value *v = f->results[i];
        an_dtype dtype = an_plan_dtype(plan, v->type->shape.dtype);
        if (can_place(plan, v) && results[i].dtype == dtype)
            plan->places[v->id] = results[i];
    }
}

an_status an_plan_place(an_plan *plan, const an_place *results, an_error *err)
{
    const an_function *f = plan->function;
    place_results(plan, results);
    for (int i = f->n_nodes - 1; i >= 0; i--) {
        const an_node *node = f->nodes[i];
        an_view view;
        if (node->op == &an_op_const ||
            !plan->n_readers[node->results[0]->id] ||
            !an_plan_view(plan, node, &view))
            continue;
        if (view.kind != AN_VIEW_CONCAT) {
            place_operand(plan, node, &view);
            continue;
        }
        an_status s = place_parts(plan, node, &view, err);
        if (s != AN_OK) return s;
    }
    return AN_OK;
}

/* ---- forwards ---- */

/* Result r: in the operand's place, or copied to where it is wanted. */
static an_status add_result(an_plan *plan, const an_node *node,
                            const an_view *view, int r, const an_place *x,
                            an_error *err)
{
    const an_value *v = node->results[r];
    an_place *wanted = &plan->places[v->id], seen, at;
    if (plan->n_readers[v->id] == 0) return AN_OK;
    bool lies = result_place(node, view, r, x, &seen);
    if (lies && wanted->buffer < 0) {
        *wanted = seen;
        return AN_OK;
    }
    an_status s = an_plan_result(plan, v, &at, err);
    if (s != AN_OK || (lies && an_place_equal(&seen, &at))) return s;
    if (lies) return an_plan_add_copy(plan, &seen, &at, err);
    /* A reshape that strides cannot say: the copy takes the operand's shape,
     * which the result's place can say, or both are copied. */
    an_place part = *x, as_operand;
    if (view->kind == AN_VIEW_SLICE)
        an_place_slice(x, view->begin, view->stride, view->length, &part);
    if (an_place_reshape(&at, part.rank, part.dims, &as_operand))
        return an_plan_add_copy(plan, &part, &as_operand, err);
    an_shape shape = {.dtype = part.dtype, .rank = part.rank};
    for (int i = 0; i < part.rank; i++)
        shape.dims[i] = part.dims[i];
    int buffer = an_plan_buffer(plan, part.dtype, an_place_count(&part));
    if (buffer < 0) return an_plan_no_memory(err);
    an_place dense = an_place_dense(buffer, part.dtype, &shape);
    s = an_plan_add_copy(plan, &part, &dense, err);
    an_place_reshape(&dense, at.rank, at.dims, &as_operand);
    return s == AN_OK ? an_plan_add_copy(plan, &as_operand, &at, err) : s;
}

static an_status add_concat(an_plan *plan, const an_node *node,
                            const an_view *view, an_error *err)
{
    an_place whole, part, x;
    an_status s = an_plan_result(plan, node->results[0], &whole, err);
    int n = an_node_n_tensors(node);
    for (int i = 0; i < n && s == AN_OK; i++) {
        concat_part(node, view, i, &whole, &part);
        s = an_plan_operand(plan, an_node_tensor(node, i), &x, err);
        if (s == AN_OK && !an_place_equal(&x, &part))
            s = an_plan_add_copy(plan, &x, &part, err);
    }
    return s;
}

/* Into a dense copy first, which then is the operand of a plain view. */
static an_status add_gain(an_plan *plan, an_view *view, an_place *x,
                          an_error *err)
{
    an_place part;
    an_place_slice(x, view->begin, view->stride, view->length, &part);
    an_shape shape = {.dtype = part.dtype, .rank = part.rank};
    for (int i = 0; i < part.rank; i++) {
        shape.dims[i] = part.dims[i];
        view->begin[i] = 0;
        view->stride[i] = 1;
    }
    int buffer = an_plan_buffer(plan, part.dtype, an_place_count(&part));
    if (buffer < 0) return an_plan_no_memory(err);
    *x = an_place_dense(buffer, part.dtype, &shape);
    return an_plan_add_slice(plan, &part, x, err);
}

an_status an_plan_add_view(an_plan *plan, const an_node *node,
                           const an_view *view, an_error *err)
{
    if (view->kind == AN_VIEW_CONCAT) return add_concat(plan, node, view, err);
    an_place x;
    an_status s = an_plan_operand(plan, an_node_tensor(node, 0), &x, err);
    an_view own = *view;
    const an_shape *shape = &an_node_tensor(node, 0)->type->shape;
    if (s == AN_OK && an_hw_slice_has_gain(plan->numerics->chip, shape, view))
        s = add_gain(plan, &own, &x, err);
    for (int r = 0; r < node->n_results && s == AN_OK; r++)
        s = add_result(plan, node, &own, r, &x, err);
    return s;
}
