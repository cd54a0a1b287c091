/*
 * softmax over one axis: e^(x - max) / sum. What stands between the steps is
 * rounded as the numerics say (`inner`: the difference); exponentials and
 * their sum stay in fp64, the result is rounded once.
 */
#include "ops/ops.h"

#include "mil/emit.h"

static an_status shape_softmax(const an_node *node, an_shape *out, int n,
                               an_error *err)
{
    int axis;
    an_shape x;
    an_status s = an_shape_as_float(node, &x, n, err);
    if (s == AN_OK) s = an_rule_axis(node, "axis", x.rank, &axis, err);
    if (s == AN_OK) out[0] = x;
    return s;
}

void an_softmax_row(const an_num *num, int64_t n, double *x, an_dtype type)
{
    /* Operands that are no numbers in these numerics become what they act as:
     * a difference of two would not tell which of them it came from. */
    for (int64_t j = 0; j < n; j++)
        x[j] = num->round(num, x[j], AN_FP64);
    double max = num->reduce(num, AN_REDUCE_MAX, n, x, 1, AN_FP64);
    for (int64_t j = 0; j < n; j++)
        x[j] =
            num->scalar(num, AN_SCALAR_exp, num->inner(num, x[j] - max, type),
                        0, 0, type, AN_FP64);
    double sum = num->reduce(num, AN_REDUCE_SUM, n, x, 1, AN_FP64);
    for (int64_t j = 0; j < n; j++)
        x[j] = num->round(num, x[j] / sum, type);
}

static an_status kernel_softmax(const an_eval *e, an_error *err)
{
    int axis = 0;
    bool on[AN_MAX_RANK] = {0};
    an_groups g;
    double *row;
    const an_dense *x = &e->in[0];
    an_status s = an_rule_axis(e->node, "axis", x->shape.rank, &axis, err);
    if (s != AN_OK) return s;
    on[axis] = true;
    s = an_groups_make(e, &x->shape, on, &g, err);
    if (s == AN_OK) s = an_eval_doubles(e, g.n_inner, &row, err);
    if (s != AN_OK) return s;
    for (int64_t i = 0; i < g.n_outer; i++) {
        for (int64_t j = 0; j < g.n_inner; j++)
            row[j] = x->data[g.outer[i] + g.inner[j]];
        an_softmax_row(e->num, g.n_inner, row, x->shape.dtype);
        for (int64_t j = 0; j < g.n_inner; j++)
            e->out[0].data[g.outer[i] + g.inner[j]] = row[j];
    }
    return AN_OK;
}

/* y = softmax(x): dx = y (dy - sum of dy y) */
static void grad_softmax(an_vjp *v)
{
    an_builder *b = v->b;
    int axis = 0;
    an_value *x = an_node_value(v->node, "x"), *y = an_vjp_y(v);
    (void)an_node_axis(v->node, "axis", an_value_shape(x)->rank, &axis);
    an_value *sum = an_emit_sum(b, an_emit_binary(b, "mul", v->dy[0], y), 1,
                                (const int64_t[]){axis});
    v->add(
        v, x,
        an_emit_binary(b, "mul", y, an_emit_binary(b, "sub", v->dy[0], sum)));
}

/* Per element: maximum, difference, exponential, sum, quotient. */
static void cost_softmax(const an_node *node, an_cost *out)
{
    an_cost_result(node, out);
    out->flops *= 5;
}

// clang-format off
const an_op an_op_softmax = {
    .name = "softmax", .since = 15, .params = "x:t axis:i=-1",
    .cls = AN_CLASS_OTHER, .shape = shape_softmax, .kernel = kernel_softmax,
    .grad = grad_softmax, .cost = cost_softmax, .reduce = AN_REDUCE_SOFTMAX};
// clang-format on
