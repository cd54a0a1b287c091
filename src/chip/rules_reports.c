/*
 * Rules about single ops that one or two reports made: ops that some engine or
 * some version of the system refuses or gets wrong, where another runs them.
 */
#include "chip/check.h"

static void each_of(an_checker *c, const an_op *const *ops, const char *what)
{
    for (int i = 0; i < c->function->n_nodes; i++)
        if (an_check_is(c->function->nodes[i], ops))
            an_check_fail(c, c->function->nodes[i], what);
}

static void cast_is_narrow(an_checker *c, const an_node *n)
{
    const an_value *x = an_node_value(n, "x");
    if (x->type->shape.dtype == AN_FP32 ||
        n->results[0]->type->shape.dtype == AN_FP32)
        an_check_fail(c, n, "to or from fp32");
}

static void casts_are_narrow(an_checker *c)
{
    an_check_each(c, &an_op_cast, cast_is_narrow);
}

static void first_engine_has(an_checker *c)
{
    static const an_op *const ops[] = {&an_op_topk,
                                       &an_op_range_1d,
                                       &an_op_affine,
                                       &an_op_resample,
                                       &an_op_resize,
                                       &an_op_resize_bilinear,
                                       &an_op_resize_nearest_neighbor,
                                       &an_op_upsample_bilinear,
                                       &an_op_upsample_nearest_neighbor,
                                       NULL};
    each_of(c, ops, "the engine has no such op");
}

static void ops_are_proven(an_checker *c)
{
    static const an_op *const ops[] = {&an_op_stack,
                                       &an_op_batch_norm,
                                       &an_op_l2_norm,
                                       &an_op_max_pool,
                                       &an_op_avg_pool,
                                       &an_op_l2_pool,
                                       &an_op_slice_update,
                                       &an_op_non_maximum_suppression,
                                       NULL};
    each_of(c, ops, "reports differ whether the engine has it");
}

static void array_is_small(an_checker *c, const an_node *n)
{
    const an_value *v = n->results[0];
    if (v->type->kind == AN_TYPE_TENSOR && v->type->shape.rank >= 4 &&
        an_check_has_data(v))
        an_breach_at(c, n->line, n->column,
                     "'%s' has %d axes and stands in the text", v->name,
                     v->type->shape.rank);
}

static void arrays_are_small(an_checker *c)
{
    an_check_each(c, &an_op_const, array_is_small);
}

static void operands_move(an_checker *c, const an_node *n)
{
    for (int i = 0; i < 2; i++)
        if (an_check_is_constant(an_node_tensor(n, i)))
            an_check_fail(c, n, "an operand is known at compile time");
}

static void products_are_of_data(an_checker *c)
{
    an_check_each(c, &an_op_matmul, operands_move);
}

static void result_is_no_copy(an_checker *c)
{
    static const an_op *const identity[] = {&an_op_identity, NULL};
    const an_function *f = c->function;
    if (f->n_results == 1 && an_check_made_by(f->results[0], identity))
        an_check_fail(c, f->results[0]->def, "is the only result");
}

static void divided_root(an_checker *c, const an_node *n)
{
    static const an_op *const root[] = {&an_op_sqrt, NULL};
    if (an_check_made_by(an_node_tensor(n, 0), root) ||
        an_check_made_by(an_node_tensor(n, 1), root))
        an_check_fail(c, n, "stands behind a sqrt");
}

static void roots_are_not_divided(an_checker *c)
{
    an_check_each(c, &an_op_real_div, divided_root);
}

static void joined_slices(an_checker *c, const an_node *n)
{
    static const an_op *const slices[] = {&an_op_slice_by_size,
                                          &an_op_slice_by_index, NULL};
    int count = 0;
    for (int i = 0; i < an_node_n_tensors(n); i++)
        count += an_check_made_by(an_node_tensor(n, i), slices);
    if (count > 1)
        an_breach_at(c, n->line, n->column, "concat: joins %d slices", count);
}

static void slices_stay_apart(an_checker *c)
{
    an_check_each(c, &an_op_concat, joined_slices);
}

static void last_axis_gather(an_checker *c, const an_node *n)
{
    int axis, rank = an_node_value(n, "x")->type->shape.rank;
    if (an_check_is_constant(an_node_value(n, "indices")) &&
        an_node_axis(n, "axis", rank, &axis) && axis == rank - 1)
        an_check_fail(c, n, "picks from the last axis");
}

static void last_axis_gathers(an_checker *c)
{
    an_check_each(c, &an_op_gather, last_axis_gather);
}

// clang-format off
const an_rule an_rules_reports[] = {
    {"D2", "no cast to or from fp32",
     "C1", AN_WARN, AN_GEN_M1 | AN_GEN_M2, "fp16 throughout; convert on the host", "ANEgpt, dev-erik/ANE, maderix/ANE issue 6", casts_are_narrow, NULL},
    {"D3b", "no resize, upsample, affine, resample, range_1d or topk",
     "C1 X", AN_WARN, AN_GEN_M1, "matmul with weights; host", "ANEForge, 751K study: from A14 on", first_engine_has, NULL},
    {"D3c", "no stack, batch_norm, l2_norm, pooling, slice_update or non_maximum_suppression",
     "C1 S", AN_WARN, AN_GEN_ALL, "expand_dims and concat; reductions; conv with 1/K; masks", "mixed: ironmill, qwen-ane and ANEForge (slice_update) refused; ANEForge and 751K study compile the others", ops_are_proven, NULL},
    {"O-01", "a constant of 4 axes is in a weight file, not in the text",
     "C2", AN_WARN, AN_GEN_M5, "BLOBFILE", "qwen-ane (M5 Max)", arrays_are_small, NULL},
    {"O-02", "a matmul's operands are computed or inputs, not constants",
     "C2", AN_WARN, AN_GEN_ALL, "conv, or the constant as an input", "mixed: ane-train refused; an RWKV-7 generator, ANEForge and 751K study run it", products_are_of_data, NULL},
    {"O-03", "identity does not make the only result",
     "N C1", AN_WARN, AN_GEN_M5, "mul by 1", "mixed: qwen-ane (M5 Max) NaN, ANEForge refused; ironmill exact", result_is_no_copy, NULL},
    {"O-04", "real_div does not stand behind a sqrt",
     "W", AN_WARN, AN_GEN_M1, "mul by rsqrt, or pow", "ane-train (M1)", roots_are_not_divided, NULL},
    {"O-05", "concat does not join several slices",
     "W", AN_WARN, AN_GEN_M2, "several outputs", "ANEForge (A14): elements of other places", slices_stay_apart, NULL},
    {"O-06", "gather with constant indices does not pick from the last axis",
     "W", AN_WARN, AN_GEN_M1 | AN_GEN_M2, "slices of another axis, a matmul with 0 and 1", "ANEForge (A13, A14)", last_axis_gathers, NULL},
    {"O-07", "no reduction, reshape, transpose, slice, concat, pow, rsqrt; element-wise ops on at most [1, 16384]; one 4-D input",
     "C1", AN_NOTE, AN_GEN_M1, NULL, "ane-train (M1); nobody else sees it", NULL, "not checked: other reports of the same chip run them"},
    {"T13", "fewer than 4 packed matmuls, no chain of 8 ops with a derivative of SiLU",
     "C1 X", AN_NOTE, AN_GEN_ALL, NULL, "one report of a Rust trainer", NULL, "not checked: texts of other projects do both"},
    {NULL},
};
// clang-format on
