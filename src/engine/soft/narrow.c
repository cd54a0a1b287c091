/* Patterns of narrow operands, from the contraction upwards; see narrow.h. */
#include "engine/soft/narrow.h"

#include "kernels/set.h"

#include <string.h>

/* Beyond them products may be left to the reference. */
enum { MOST_RESULTS = 1 << 30 };

static bool is_op(const an_node *node, const char *name)
{
    return node && strcmp(node->op->name, name) == 0;
}

/* The node that makes v for one reader alone. */
static const an_node *maker(const an_plan *plan, const an_value *v)
{
    return v && v->def && plan->n_readers[v->id] == 1 ? v->def : NULL;
}

/* There from the start: a parameter, or a constant. */
static bool is_given(const an_value *v, an_dtype dtype)
{
    return v && (!v->def || v->def->op == &an_op_const) &&
           v->type->shape.dtype == dtype;
}

/* Can it be read in this shape where it lies? Constants are dense. */
static bool lies(const an_plan *plan, const an_value *v, int rank,
                 const int64_t *dims)
{
    an_place p = plan->places[v->id];
    return v->def || an_place_reshape(&p, rank, dims, &p);
}

static bool is_dense(const an_plan *plan, const an_value *v)
{
    int64_t count = an_shape_count(&v->type->shape);
    return lies(plan, v, 1, &count);
}

static bool find_cast(const an_plan *plan, const an_value *v, an_dtype from,
                      an_narrow *out)
{
    const an_node *cast = maker(plan, v);
    if (!is_op(cast, "cast") || v->type->shape.dtype != AN_FP32) return false;
    out->data = an_node_tensor(cast, 0);
    out->nodes[out->n_nodes++] = cast;
    return is_given(out->data, from);
}

/* [1, M, G, 32] and [1, M, G, 1] for w [1, 1, M, 32 G]. */
static bool fit(const an_shape *w, const an_shape *q, const an_shape *scales)
{
    return w->rank == 4 && q->rank == 4 && scales->rank == 4 &&
           w->dims[0] == 1 && w->dims[1] == 1 && q->dims[0] == 1 &&
           q->dims[1] == w->dims[2] && q->dims[3] == AN_GEMV_GROUP &&
           scales->dims[0] == 1 && scales->dims[1] == q->dims[1] &&
           scales->dims[2] == q->dims[2] && scales->dims[3] == 1;
}

static bool find_groups(const an_plan *plan, const an_value *w, an_narrow *out)
{
    const an_node *reshape = maker(plan, w);
    if (!is_op(reshape, "reshape")) return false;
    const an_node *mul = maker(plan, an_node_tensor(reshape, 0));
    if (!is_op(mul, "mul")) return false;
    out->nodes[out->n_nodes++] = reshape;
    out->nodes[out->n_nodes++] = mul;
    out->scales = an_node_tensor(mul, 1);
    return is_given(out->scales, AN_FP32) &&
           find_cast(plan, an_node_tensor(mul, 0), AN_INT8, out) &&
           fit(&w->type->shape, &out->data->type->shape,
               &out->scales->type->shape) &&
           is_dense(plan, out->data) && is_dense(plan, out->scales);
}

bool an_narrow_find(const an_plan *plan, const an_node *node, an_narrow *out)
{
    an_contract c;
    if (plan->numerics->wide || plan->numerics->chip ||
        node->op->cls != AN_CLASS_CONTRACTION || !node->op->contract ||
        !node->op->contract(node, &c) || c.transpose_a ||
        an_shape_count(&c.out_shape) > MOST_RESULTS)
        return false;
    const an_value *w = an_node_tensor(node, c.a);
    an_narrow cast = {.n_nodes = 0}, groups = {.n_nodes = 0};
    if (find_cast(plan, w, AN_FP16, &cast) &&
        lies(plan, cast.data, c.a_shape.rank, c.a_shape.dims)) {
        *out = cast;
        return true;
    }
    if (!find_groups(plan, w, &groups)) return false;
    *out = groups;
    return true;
}
