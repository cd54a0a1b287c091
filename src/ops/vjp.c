/*
 * Steps that gradients of several families share. A gradient never asks for
 * the element type: constants take dy's.
 */
#include "ops/ops.h"

#include "mil/emit.h"

an_value *an_vjp_x(an_vjp *v)
{
    return v->get(v, an_node_value(v->node, "x"));
}

an_value *an_vjp_y(an_vjp *v)
{
    return v->get(v, v->node->results[0]);
}

static an_value *first_adjoint(an_vjp *v)
{
    for (int i = 0; i < v->node->n_results; i++)
        if (v->dy[i]) return v->dy[i];
    return NULL;
}

an_value *an_vjp_scalar(an_vjp *v, double c)
{
    an_value *dy = first_adjoint(v);
    return dy ? an_build_float(v->b, an_value_shape(dy)->dtype, c) : NULL;
}

an_value *an_vjp_one_minus(an_vjp *v, an_value *x)
{
    return an_emit_binary(v->b, "sub", an_vjp_scalar(v, 1), x);
}

an_value *an_vjp_select(an_vjp *v, an_value *cond, an_value *a, an_value *b)
{
    if (!cond || !a || !b) return NULL;
    return an_build(v->b, "select", NULL,
                    AN_ARGS({"cond", cond}, {"a", a}, {"b", b}));
}

void an_vjp_times(an_vjp *v, an_value *factor)
{
    v->add(v, an_node_value(v->node, "x"),
           an_emit_binary(v->b, "mul", v->dy[0], factor));
}

void an_vjp_add_broadcast(an_vjp *v, const an_value *operand, an_value *adjoint)
{
    if (!v->wants(v, operand)) return;
    v->add(v, operand,
           an_emit_unbroadcast(v->b, adjoint, an_value_shape(operand)));
}

an_value *an_vjp_reshape_as(an_vjp *v, an_value *x, const an_shape *like)
{
    return an_emit_reshape(v->b, x, like->rank, like->dims);
}

an_value *an_vjp_pad(an_vjp *v, an_value *x, const int64_t *before,
                     const int64_t *after)
{
    int64_t pad[2 * AN_MAX_RANK];
    int n = 0, first = 0;
    if (!x) return NULL;
    int rank = an_value_shape(x)->rank;
    while (first < rank && before[first] == 0 && after[first] == 0)
        first++;
    if (first == rank) return x;
    for (int i = first; i < rank; i++) {
        pad[n++] = before[i];
        pad[n++] = after[i];
    }
    return an_build(v->b, "pad", NULL,
                    AN_ARGS({"x", x}, {"pad", an_build_ints(v->b, n, pad)},
                            {"mode", an_build_string(v->b, "constant")},
                            {"constant_val", an_vjp_scalar(v, 0)}));
}

/* The product of dims[from..to). */
static int64_t product(const an_shape *s, int from, int to)
{
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= s->dims[i];
    return n;
}

an_value *an_vjp_stretch(an_vjp *v, an_value *x, int axis, int64_t step)
{
    if (!x || step == 1) return x;
    an_shape s = *an_value_shape(x);
    int64_t outer = product(&s, 0, axis), inner = product(&s, axis + 1, s.rank);
    /* [outer, d, inner], zeros behind each inner: [outer, d, step inner] */
    an_value *rows = an_emit_reshape(
        v->b, x, 3, (const int64_t[]){outer, s.dims[axis], inner});
    rows = an_vjp_pad(v, rows, (const int64_t[]){0, 0, 0},
                      (const int64_t[]){0, 0, (step - 1) * inner});
    s.dims[axis] *= step;
    return an_vjp_reshape_as(v, rows, &s);
}

/* slice_by_index with stride[i] on axis i from begin[i]; all to the end. */
static an_value *stride_slice(an_vjp *v, an_value *x, const int64_t *begin,
                              const int64_t *stride)
{
    static const bool none[AN_MAX_RANK] = {0};
    bool to_end[AN_MAX_RANK], from_start[AN_MAX_RANK];
    int64_t end[AN_MAX_RANK];
    if (!x) return NULL;
    const an_shape *s = an_value_shape(x);
    for (int i = 0; i < s->rank; i++) {
        end[i] = s->dims[i];
        to_end[i] = true;
        from_start[i] = stride[i] < 0;
    }
    an_shape mask = {.dtype = AN_BOOL, .rank = 1, .dims = {s->rank}};
    an_builder *b = v->b;
    return an_build(
        b, "slice_by_index", NULL,
        AN_ARGS({"x", x}, {"begin", an_build_ints(b, s->rank, begin)},
                {"end", an_build_ints(b, s->rank, end)},
                {"stride", an_build_ints(b, s->rank, stride)},
                {"begin_mask", an_build_const(b, NULL, mask, from_start)},
                {"end_mask", an_build_const(b, NULL, mask, to_end)},
                {"squeeze_mask", an_build_const(b, NULL, mask, none)}));
}

an_value *an_vjp_flip(an_vjp *v, an_value *x, const bool *marked)
{
    int64_t begin[AN_MAX_RANK] = {0}, stride[AN_MAX_RANK];
    bool any = false;
    if (!x) return NULL;
    const an_shape *s = an_value_shape(x);
    for (int i = 0; i < s->rank; i++) {
        bool flips = marked[i] && s->dims[i] > 1;
        stride[i] = flips ? -1 : 1;
        any = any || flips;
    }
    return any ? stride_slice(v, x, begin, stride) : x;
}

an_value *an_vjp_every(an_vjp *v, an_value *x, int axis, int64_t begin,
                       int64_t stride)
{
    int64_t begins[AN_MAX_RANK] = {0}, strides[AN_MAX_RANK];
    for (int i = 0; i < AN_MAX_RANK; i++)
        strides[i] = 1;
    begins[axis] = begin;
    strides[axis] = stride;
    return stride_slice(v, x, begins, strides);
}
