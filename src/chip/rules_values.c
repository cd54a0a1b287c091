/*
 * Rules about values: the program is legal, the result is not what its author
 * expects. What depends on run-time values is modelled by the numerics `hw`.
 */
#include "chip/check.h"

#include <math.h>

static void long_sum(an_checker *c, const an_node *n)
{
    const an_shape *x = &an_node_tensor(n, 0)->type->shape;
    const an_shape *y = &n->results[0]->type->shape;
    if (!an_check_known(x) || !an_check_known(y)) return;
    int64_t in = an_shape_count(x), out = an_shape_count(y);
    if (out > 0 && in / out > 2048)
        an_breach_at(c, n->line, n->column, "%s: adds %lld terms", n->op->name,
                     (long long)(in / out));
}

static void long_sums(an_checker *c)
{
    an_check_each(c, &an_op_reduce_sum, long_sum);
    an_check_each(c, &an_op_reduce_mean, long_sum);
}

static void last_axis_slice(an_checker *c, const an_node *n)
{
    const an_shape *s = &an_node_tensor(n, 0)->type->shape;
    an_view view;
    if (s->rank == 0 || !an_check_known(s) || !n->op->view(n, &view)) return;
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
        if (an_op_is_form(n->op, &an_op_slice_by_size) ||
            an_op_is_form(n->op, &an_op_slice_by_index))
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

/* The least element of a constant that stands in the text; 0 for others. */
static double least(const an_value *v)
{
    double x = 0;
    for (size_t i = 0; an_check_has_data(v) && i < v->literal->n; i++)
        x = fmin(x, an_literal_real(v->literal, i));
    return x;
}

static void mask_is_moderate(an_checker *c, const an_node *n, double x)
{
    if (x < -1e4 && !too_large(x))
        an_breach_at(c, n->line, n->column, "%s: fills with %g", n->op->name,
                     x);
}

/* What a constant adds to, or puts into, the operand of a softmax. */
static void scores_are_moderate(an_checker *c, const an_node *n)
{
    static const an_op *const ops[] = {&an_op_add, &an_op_select, NULL};
    const an_value *x = an_node_tensor(n, 0);
    if (!an_check_made_by(x, ops)) return;
    for (int i = 0; i < an_node_n_tensors(x->def); i++)
        mask_is_moderate(c, x->def, least(an_node_tensor(x->def, i)));
}

static void fill_is_moderate(an_checker *c, const an_node *n)
{
    mask_is_moderate(c, n, least(an_node_value(n, "value")));
}

static void large_literals(an_checker *c)
{
    literals(c, too_large, "is infinite in fp16");
    an_check_each(c, &an_op_softmax, scores_are_moderate);
    an_check_each(c, &an_op_fill, fill_is_moderate);
}

static void sums_of_exponentials(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        const an_value *x =
            an_op_is_form(n->op, &an_op_log) ? an_node_tensor(n, 0) : NULL;
        if (an_op_is_form(n->op, &an_op_reduce_log_sum_exp))
            an_breach_at(c, n->line, n->column,
                         "reduce_log_sum_exp: is not shifted by the maximum");
        else if (x && x->def && an_op_is_form(x->def->op, &an_op_softmax))
            an_breach_at(c, n->line, n->column, "log: stands behind a softmax");
    }
}

static void two_transposes(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (!an_op_is_form(n->op, &an_op_matmul)) continue;
        int fed = 0;
        for (int k = 0; k < 2; k++) {
            const an_value *v = an_node_tensor(n, k);
            fed += v && v->def && an_op_is_form(v->def->op, &an_op_transpose);
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
    {"R-105", "float literals are at most 65504, masks and fills at least -1e4",
     "N", AN_ERROR, AN_GEN_ALL, "-1e4", "several ports", large_literals, NULL},
    {"R-106", "softplus of at most 10",
     "W", AN_WARN, AN_GEN_M5, "relu(x) + a polynomial of exp(-abs(x))", "ANEForge (M5), qwen-ane (M5 Max)", NULL, "not checked: a matter of values"},
    {"R-107", "round of magnitudes below 1024",
     "W", AN_WARN, AN_GEN_M5, "select by magnitude", "ANEForge PR 116 (e5rt, M5)", NULL, "not checked: a matter of values"},
    {"R-108", "a matmul is not fed by two transposes",
     "N", AN_WARN, AN_GEN_M5, "transpose flags", "ANEForge issue 115 (M5, open)", two_transposes, NULL},
    {"R-109", "with int8 weights, activations of at most 4094",
     "N", AN_WARN, AN_GEN_ALL, "scale", "ANEForge issues 153, 156", NULL, "not checked: a matter of values"},
    {"R-110", "log of a sum of exponentials is shifted by the maximum",
     "W", AN_WARN, AN_GEN_ALL, "x - max - log(sum)", "coremltools issues 2687, 2690", sums_of_exponentials, NULL},
    {"R-111", "squares in a norm, and their sums, stay in fp16",
     "N", AN_WARN, AN_GEN_ALL, "divide by the largest magnitude first", "ANEForge PR 8, coremltools issue 2821", NULL, "not checked: a matter of values; numerics hw computes what comes out"},
    {"R-120", "an evaluation costs 60 to 120 us whatever it does",
     "S", AN_NOTE, AN_GEN_ALL, "fewer evaluations", "ANEtransformers, ane-infer, ironmill, ANEForge", NULL, "not checked: a matter of time"},
    {"R-121", "speed is highest near a working set of 12.5 MB and falls past 32 MB",
     "S", AN_NOTE, AN_GEN_ALL, "smaller programs", "maderix/ANE, ironmill", NULL, "not checked: a matter of time"},
    {"R-122", "a matmul has a third of a convolution's speed",
     "S", AN_NOTE, AN_GEN_ALL, "conv 1x1 for constant weights", "ironmill, maderix/ANE, qwen-ane", NULL, "not checked: a matter of time"},
    {"R-123", "time can depend on the values of the weights",
     "S", AN_NOTE, AN_GEN_ALL, "measure with real weights", "ANEForge PR 13", NULL, "not checked: a matter of time"},
    {"R-124", "a reduction and a transpose change their route at an extent of 192 or 384",
     "S", AN_NOTE, AN_GEN_ALL, NULL, "ane-guide (A13, A14; A15 on)", NULL, "not checked: a matter of time"},
    {"R-125", "large programs may need tens of GB to compile",
     "S", AN_NOTE, AN_GEN_ALL, "split", "ANEForge", NULL, "not checked: a matter of compile time"},
    {NULL},
};
// clang-format on
