/*
 * Rules about the limits of single ops that are no contraction, and ops that
 * no engine has.
 */
#include "chip/check.h"
#include "chip/spoil.h"

/* The matmul behind at most 8 element-wise ops, or NULL. */
static const an_node *behind_elementwise(const an_value *v)
{
    for (int i = 0; v && v->def && i < 8; i++) {
        const an_node *n = v->def;
        if (an_op_is_form(n->op, &an_op_matmul)) return n;
        if (n->op->cls != AN_CLASS_UNARY && n->op->cls != AN_CLASS_BINARY)
            return NULL;
        v = an_node_tensor(n, 0);
    }
    return NULL;
}

/* softmax(.. matmul ..) that a matmul reads, 512 tokens or more. */
static void attention_is_short(an_checker *c, const an_node *n)
{
    const an_value *p = an_node_tensor(n, 0);
    if (!p || !p->def || !an_op_is_form(p->def->op, &an_op_softmax))
        p = an_node_tensor(n, 1);
    if (!p || !p->def || !an_op_is_form(p->def->op, &an_op_softmax)) return;
    const an_shape *s = &p->type->shape;
    if (s->rank < 2 || !behind_elementwise(an_node_tensor(p->def, 0))) return;
    int64_t rows = s->dims[s->rank - 2], keys = s->dims[s->rank - 1];
    if (rows >= 512 && keys >= 512)
        an_breach_at(c, n->line, n->column,
                     "matmul: ends an attention of %lld by %lld tokens",
                     (long long)rows, (long long)keys);
}

static void attentions_are_short(an_checker *c)
{
    an_check_each(c, &an_op_matmul, attention_is_short);
}

static bool is_uniform(const an_value *v)
{
    if (!an_check_has_data(v)) return false;
    for (size_t i = 1; i < v->literal->n; i++)
        if (an_literal_real(v->literal, i) != an_literal_real(v->literal, 0))
            return false;
    return true;
}

/* [1, D, 1, 1] with D of at least 1024, elements that differ. */
static bool is_wide_factor(const an_value *v)
{
    const an_shape *s = &v->type->shape;
    return v->literal && s->rank == 4 && s->dims[0] == 1 &&
           s->dims[1] >= 1024 && s->dims[2] == 1 && s->dims[3] == 1 &&
           !is_uniform(v);
}

static bool read_by_reshape(const an_function *f, const an_value *v)
{
    for (int i = 0; i < f->n_nodes; i++)
        if (an_op_is_form(f->nodes[i]->op, &an_op_reshape) &&
            an_node_tensor(f->nodes[i], 0) == v)
            return true;
    return false;
}

static void factor_between_reshapes(an_checker *c, const an_node *n)
{
    static const an_op *const before[] = {&an_op_reshape, &an_op_layer_norm,
                                          NULL};
    for (int i = 0; i < 2; i++)
        if (is_wide_factor(an_node_tensor(n, i)) &&
            an_check_made_by(an_node_tensor(n, 1 - i), before) &&
            read_by_reshape(c->function, n->results[0]))
            an_check_fail(c, n,
                          "a [1, D, 1, 1] constant of 1024 or more stands "
                          "between reshapes");
}

static void factors_between_reshapes(an_checker *c)
{
    an_check_each(c, &an_op_mul, factor_between_reshapes);
}

static void norm_is_narrow(an_checker *c, const an_node *n)
{
    const an_value *gamma = an_node_value(n, "gamma");
    if (gamma && an_node_given(n, "beta") &&
        an_check_known(&gamma->type->shape) &&
        an_shape_count(&gamma->type->shape) >= 10240)
        an_breach_at(c, n->line, n->column,
                     "layer_norm: gamma and beta over %lld elements",
                     (long long)an_shape_count(&gamma->type->shape));
}

static void norms_are_narrow(an_checker *c)
{
    an_check_each(c, &an_op_layer_norm, norm_is_narrow);
}

static void attention_is_plain(an_checker *c, const an_node *n)
{
    const an_shape *q = &an_node_value(n, "query")->type->shape;
    const an_shape *k = &an_node_value(n, "key")->type->shape;
    int64_t l = q->dims[q->rank - 2], s = k->dims[k->rank - 2];
    if (an_node_given(n, "attn_mask"))
        an_check_fail(c, n, "attn_mask is ignored");
    if ((l < s ? l : s) >= 512 || s > 2048)
        an_breach_at(c, n->line, n->column,
                     "%s: %lld by %lld tokens, expected the smaller below 512 "
                     "and keys of at most 2048",
                     n->op->name, (long long)l, (long long)s);
}

static void attentions_are_plain(an_checker *c)
{
    an_check_each(c, &an_op_scaled_dot_product_attention, attention_is_plain);
}

/* 9x1 is fine, 1x9 is not. */
static void max_window_fits(an_checker *c, const an_node *n)
{
    int rank = an_node_n(n, "kernel_sizes");
    int64_t w = an_node_int_at(n, "kernel_sizes", rank - 1);
    for (int i = 0; i < rank; i++) {
        int64_t k = an_node_int_at(n, "kernel_sizes", i);
        if (k > 8 && (i == rank - 1 || w > 1))
            an_breach_at(c, n->line, n->column,
                         "max_pool: a window of %lld, expected at most 8",
                         (long long)k);
    }
}

static void average_window_fits(an_checker *c, const an_node *n)
{
    int64_t most = an_check_is_old(c) ? 29 : 31;
    for (int i = 0; i < an_node_n(n, "kernel_sizes"); i++)
        if (an_node_int_at(n, "kernel_sizes", i) > most)
            an_breach_at(c, n->line, n->column,
                         "avg_pool: a window of %lld, expected at most %lld",
                         (long long)an_node_int_at(n, "kernel_sizes", i),
                         (long long)most);
}

static void windows_fit(an_checker *c)
{
    an_check_each(c, &an_op_max_pool, max_window_fits);
    an_check_each(c, &an_op_avg_pool, average_window_fits);
}

static void top_fits(an_checker *c, const an_node *n)
{
    int64_t k = an_node_int(n, "k");
    if (k == 3 || k == 4)
        an_breach_at(c, n->line, n->column, "topk: k is %lld", (long long)k);
}

static void arg_fits(an_checker *c, const an_node *n)
{
    const an_shape *s = &an_node_value(n, "x")->type->shape;
    int axis;
    if (an_node_axis(n, "axis", s->rank, &axis) && s->dims[axis] > 2048)
        an_breach_at(c, n->line, n->column,
                     "%s: over %lld elements, expected at most 2048",
                     n->op->name, (long long)s->dims[axis]);
}

static void ranking_fits(an_checker *c)
{
    an_check_each(c, &an_op_topk, top_fits);
    an_check_each(c, &an_op_reduce_argmax, arg_fits);
    an_check_each(c, &an_op_reduce_argmin, arg_fits);
}

/* pad + pad + add puts two tensors side by side. */
static void padded_sum_fits(an_checker *c, const an_node *n)
{
    static const an_op *const pad[] = {&an_op_pad, NULL};
    const an_shape *s = &n->results[0]->type->shape;
    if (an_check_made_by(an_node_tensor(n, 0), pad) &&
        an_check_made_by(an_node_tensor(n, 1), pad) && s->rank > 1 &&
        s->dims[1] > 9216)
        an_breach_at(c, n->line, n->column,
                     "add: of two pads, %lld channels, expected at most 9216",
                     (long long)s->dims[1]);
}

static void padded_sums_fit(an_checker *c)
{
    an_check_each(c, &an_op_add, padded_sum_fits);
}

static void channels_fit(an_checker *c, const an_node *n)
{
    int64_t most = an_op_is_form(n->op, &an_op_resample) ? 2 : 15;
    const an_shape *s = &an_node_value(n, "x")->type->shape;
    if (s->rank > 1 && s->dims[1] > most)
        an_breach_at(c, n->line, n->column,
                     "%s: %lld channels, expected at most %lld", n->op->name,
                     (long long)s->dims[1], (long long)most);
}

static void few_channels(an_checker *c)
{
    an_check_each(c, &an_op_local_response_norm, channels_fit);
    an_check_each(c, &an_op_resample, channels_fit);
}

static void softmax_axis(an_checker *c, const an_node *n)
{
    const an_shape *s = &an_node_tensor(n, 0)->type->shape;
    int axis;
    if (!an_node_axis(n, "axis", s->rank, &axis) || axis != 1 || s->rank < 3)
        return;
    int64_t d = s->dims[1];
    if (d & (d - 1))
        an_breach_at(c, n->line, n->column,
                     "softmax: axis 1 has %lld, expected a power of two",
                     (long long)d);
}

static void softmax_axes(an_checker *c)
{
    an_check_each(c, &an_op_softmax, softmax_axis);
}

static void tile_factor(an_checker *c, const an_node *n)
{
    for (int i = 0; i < an_node_n(n, "reps"); i++) {
        int64_t r = an_node_int_at(n, "reps", i);
        while (r > 1 && r % 2 == 0)
            r /= 2;
        while (r > 1 && r % 3 == 0)
            r /= 3;
        if (r > 1)
            an_breach_at(c, n->line, n->column,
                         "tile: %lld is no product of 2, 3, 4 and 8",
                         (long long)an_node_int_at(n, "reps", i));
    }
}

static void tile_factors(an_checker *c)
{
    an_check_each(c, &an_op_tile, tile_factor);
}

static void reduction_form(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (!an_check_is(n, an_check_reductions)) continue;
        if (an_node_n(n, "axes") > 4)
            an_breach_at(c, n->line, n->column, "%s: %d axes", n->op->name,
                         an_node_n(n, "axes"));
        if (!an_node_bool(n, "keep_dims"))
            an_check_fail(c, n, "keep_dims is false");
    }
}

static void reduction_axes(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (!an_check_is(n, an_check_reductions)) continue;
        int rank = an_node_tensor(n, 0)->type->shape.rank;
        for (int a = 0; rank > 2 && a < an_node_n(n, "axes"); a++) {
            int64_t axis = an_node_int_at(n, "axes", a);
            if (axis == 1 || axis == 1 - rank)
                an_check_fail(c, n, "is over axis 1");
        }
    }
}

static void no_tile(an_checker *c, const an_node *n)
{
    an_check_fail(c, n, "later evaluations may fail");
}

static void no_tiles(an_checker *c)
{
    an_check_each(c, &an_op_tile, no_tile);
}

/* ---- ops that no engine has ---- */

static void ops_exist(an_checker *c)
{
    static const an_op *const ops[] = {&an_op_mod,
                                       &an_op_tan,
                                       &an_op_asin,
                                       &an_op_acos,
                                       &an_op_sinh,
                                       &an_op_cosh,
                                       &an_op_atanh,
                                       &an_op_logical_and,
                                       &an_op_logical_or,
                                       &an_op_logical_xor,
                                       &an_op_gather_along_axis,
                                       &an_op_gather_nd,
                                       &an_op_scatter,
                                       &an_op_scatter_along_axis,
                                       &an_op_scatter_nd,
                                       &an_op_one_hot,
                                       &an_op_cumsum,
                                       &an_op_band_part,
                                       &an_op_non_zero,
                                       &an_op_shape,
                                       &an_op_sliding_windows,
                                       &an_op_argsort,
                                       &an_op_reduce_prod,
                                       &an_op_reduce_argmax,
                                       &an_op_reduce_argmin,
                                       &an_op_crop_resize,
                                       NULL};
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (an_check_is(n, ops))
            an_check_fail(c, n, "the engine has no such op");
        else if (an_op_is_form(n->op, &an_op_gather) &&
                 !an_check_is_constant(an_node_value(n, "indices")))
            an_check_fail(c, n, "indices are not known at compile time");
    }
}

static void angles_exist(an_checker *c)
{
    static const an_op *const ops[] = {&an_op_sin, &an_op_cos, NULL};
    for (int i = 0; i < c->function->n_nodes; i++)
        if (an_check_is(c->function->nodes[i], ops))
            an_check_fail(c, c->function->nodes[i],
                          "the engine has no such op");
}

// clang-format off
const an_rule an_rules_ops[] = {
    {"R-71", "attention in one program has less than 512 tokens",
     "C1", AN_WARN, AN_GEN_M5, "blocks of 256 with a running softmax", "qwen-ane (M5 Max): 256 compile, 512 do not", attentions_are_short, NULL},
    {"R-72", "no [1,D,1,1] constant of 1024 or more is multiplied between reshapes",
     "C1", AN_WARN, AN_GEN_M1 | AN_GEN_M2, "the factor as [1,D] on the last axis", "ANEForge issue 162, PR 201", factors_between_reshapes, NULL},
    {"R-72a", "a layer_norm with gamma and beta is over less than 10240 elements",
     "E1", AN_WARN, AN_GEN_M5, "factors behind the norm", "ANEForge issue 149 (M5)", norms_are_narrow, NULL},
    {"R-73", "softmax over axis 1 has a power of two",
     "C2", AN_WARN, AN_GEN_ALL, "transpose to the last axis", "Espresso", softmax_axes, NULL},
    {"R-74", "scaled_dot_product_attention has no mask, less than 512 tokens on its shorter side and at most 2048 keys",
     "W", AN_ERROR, AN_GEN_ALL, "matmul, add, softmax, matmul", "maderix/ANE, Orion, ANEgpt: the mask is ignored; ANEForge: cosine 0.67 beyond", attentions_are_plain, NULL, an_spoil_mask},
    {"R-75", "a max_pool window is at most 8 wide, an avg_pool window 31",
     "C1", AN_WARN, AN_GEN_NEW, "conv with 1/K, reduce_max of slices", "751K study (1x9 refused, 9x1 fine), ane-guide", windows_fit, NULL},
    {"R-75a", "a max_pool window is at most 8 wide, an avg_pool window 29",
     "C1", AN_WARN, AN_GEN_OLD, "conv with 1/K, reduce_max of slices", "751K study, ane-guide (A13)", windows_fit, NULL},
    {"R-76", "a reduction has at most 4 axes and keeps dimensions",
     "C1", AN_WARN, AN_GEN_ALL, "conv with ones", "ane-guide, qwen-ane, ANEtransformers", reduction_form, NULL},
    {"R-76a", "a reduction is not over axis 1, which works for some sizes only",
     "C1", AN_WARN, AN_GEN_M1 | AN_GEN_M5, "conv with ones or 1/C", "qwen-ane (reduce_mean of [1,512,1,32] fails), ANEtransformers (M5), ane-train (M1); eight projects reduce", reduction_axes, NULL},
    {"R-77", "topk takes neither 3 nor 4; argmax and argmin are over at most 2048",
     "C1", AN_WARN, AN_GEN_ALL, "host", "ANEForge, ane-guide; their int32 results: R-48", ranking_fits, NULL},
    {"R-78", "tile repeats by products of 2, 3, 4 and 8",
     "C1", AN_WARN, AN_GEN_ALL, "broadcast, concat", "ANEForge", tile_factors, NULL},
    {"R-78a", "no tile",
     "E1 C1", AN_WARN, AN_GEN_M3 | AN_GEN_M5, "broadcast in mul or add; tile on the host", "mixed: skyfallsin (M3 Max): every later evaluation fails; qwen-ane (M5 Max) refused it, and ran it later; ironmill runs it", no_tiles, NULL},
    {"R-79", "two pads and an add, used as a concat, make at most 9216 channels",
     "C1", AN_WARN, AN_GEN_M5, "two outputs", "qwen-ane (M5 Max): 11264 fail", padded_sums_fit, NULL},
    {"R-79a", "local_response_norm has at most 15 channels, resample 2",
     "C1", AN_WARN, AN_GEN_ALL, NULL, "ANEForge, ane-guide; batch_to_space: checked where shapes are", few_channels, NULL},
    {"D3", "no op that every engine lacks: tan, mod, logical_and, gather with run-time indices, scatter, cumsum, ...",
     "C1", AN_ERROR, AN_GEN_ALL, "arithmetic on fp16; host", "ironmill, ANEForge, 751K study", ops_exist, NULL},
    {"D3a", "no sin, no cos",
     "C1", AN_ERROR, AN_GEN_M1 | AN_GEN_M2, "tables from the host, polynomials", "ANEForge (M1, A14), ironmill (h14g)", angles_exist, NULL},
    {NULL},
};
// clang-format on
