/*
 * Rules about values: the program is legal, the result is not what its author
 * expects. What depends on run-time values is modelled by the numerics `hw`.
 */
#include "chip/rule.h"

#include "mil/op.h"

#include <math.h>

static void long_sum(an_checker *c, const an_node *n)
{
    const an_value *x = an_node_tensor(n, 0), *y = n->results[0];
    int64_t in = an_shape_count(&x->type->shape);
    int64_t out = an_shape_count(&y->type->shape);
    if (out > 0 && in / out > 2048)
        an_breach_at(c, n->line, n->column, "%s: sums %lld terms, at most 2048",
                     n->op->name, (long long)(in / out));
}

static void long_sums(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (n->op == &an_op_reduce_sum || n->op == &an_op_reduce_mean)
            long_sum(c, n);
    }
}

static bool known(const an_shape *s)
{
    for (int i = 0; i < s->rank; i++)
        if (s->dims[i] < 0) return false;
    return true;
}

static void last_axis_slice(an_checker *c, const an_node *n)
{
    const an_shape *s = &an_node_tensor(n, 0)->type->shape;
    an_view view;
    if (s->rank == 0 || !known(s) || !n->op->view(n, &view)) return;
    if (view.begin[s->rank - 1] != 0)
        an_breach_at(c, n->line, n->column,
                     "%s: begins at %lld of the last axis: values above 4094 "
                     "become infinity",
                     n->op->name, (long long)view.begin[s->rank - 1]);
}

static void last_axis_slices(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (n->op == &an_op_slice_by_size || n->op == &an_op_slice_by_index)
            last_axis_slice(c, n);
    }
}

typedef bool literal_test(double x);

static bool too_small(double x)
{
    return x != 0 && fabs(x) < 6.1e-5;
}

static bool too_large(double x)
{
    return fabs(x) > 65504;
}

/* Float constants of at most one row: what authors write by hand. */
static void literals(an_checker *c, literal_test *test, const char *what)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        for (int a = 0; a < n->n_args; a++) {
            const an_value *v = n->args[a].value;
            const an_literal *l = v ? v->literal : NULL;
            if (!l || l->kind != AN_LIT_DATA || (v->name && v->def != n) ||
                (l->type->shape.dtype != AN_FP16 &&
                 l->type->shape.dtype != AN_FP32))
                continue;
            for (size_t k = 0; k < l->n; k++)
                if (test(an_literal_real(l, k))) {
                    an_breach_at(c, n->line, n->column, "%s: the literal %g %s",
                                 n->op->name, an_literal_real(l, k), what);
                    break;
                }
        }
    }
}

static void small_literals(an_checker *c)
{
    literals(c, too_small, "acts as 0");
}

static void large_literals(an_checker *c)
{
    literals(c, too_large, "is infinite in fp16");
}

static void sums_of_exponentials(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        const an_value *x = n->op == &an_op_log ? an_node_tensor(n, 0) : NULL;
        if (n->op == &an_op_reduce_log_sum_exp)
            an_breach_at(c, n->line, n->column,
                         "reduce_log_sum_exp: is not shifted by the maximum");
        else if (x && x->def && x->def->op == &an_op_softmax)
            an_breach_at(c, n->line, n->column, "log: stands behind a softmax");
    }
}

static void two_transposes(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (n->op != &an_op_matmul) continue;
        int fed = 0;
        for (int k = 0; k < 2; k++) {
            const an_value *v = an_node_tensor(n, k);
            fed += v && v->def && v->def->op == &an_op_transpose;
        }
        if (fed == 2)
            an_breach_at(c, n->line, n->column,
                         "matmul: both operands are transposes");
    }
}

// clang-format off
const an_rule an_rules_values[] = {
    {"R-100", "reduce_sum and reduce_mean add at most 2048 terms",
     "W", AN_WARN, AN_GEN_ALL, "matmul or conv with ones", "ANEForge (four chips)", long_sums, NULL},
    {"R-101", "a slice begins at 0 of the last axis, where values may exceed 4094",
     "W", AN_WARN, AN_GEN_M1 | AN_GEN_M2, "slice another axis", "ANEForge (M1, M1 Max, M2 Pro; exact on M4, M5)", last_axis_slices, NULL},
    {"R-102", "the true result of conv and matmul stays below 32752",
     "N", AN_WARN, AN_GEN_ALL, "scale operands down", "ANEForge, 751K study", NULL, "numerics hw"},
    {"R-103", "operands' exponents sum to more than -17",
     "W", AN_WARN, AN_GEN_M4 | AN_GEN_M6, "scale up: loss scale", "751K study (M4, M6)", NULL, "numerics hw"},
    {"R-104", "float literals are at least 6.1e-5",
     "W", AN_WARN, AN_GEN_M5, "1e-4, or scale the argument", "ANEForge PR 263 (M5)", small_literals, NULL},
    {"R-105", "float literals are at most 65504; masks are -1e4",
     "N", AN_ERROR, AN_GEN_ALL, "-1e4", "several ports", large_literals, NULL},
    {"R-108", "a matmul is not fed by two transposes",
     "N", AN_WARN, AN_GEN_M5, "transpose flags", "ANEForge issue 115 (M5, open)", two_transposes, NULL},
    {"R-110", "log of a sum of exponentials is shifted by the maximum",
     "W", AN_WARN, AN_GEN_ALL, "x - max - log(sum)", "coremltools issues 2687, 2690", sums_of_exponentials, NULL},
    {NULL},
};
// clang-format on
