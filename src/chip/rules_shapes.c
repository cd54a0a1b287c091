/*
 * Rules about ranks, extents and the limits of single operations.
 */
#include "chip/rule.h"

#include "mil/op.h"

#include <string.h>

static bool is_old(const an_checker *c)
{
    /* The row in hand is one of those that hold on M1 to M3 only. */
    return (c->rule->chips & AN_GEN_M4) == 0;
}

static int64_t extent_limit(const an_checker *c)
{
    return is_old(c) ? 16384 : 65536;
}

static void check_rank(an_checker *c, const an_value *v, const char *what)
{
    if (v->type->kind == AN_TYPE_TENSOR && v->type->shape.rank > 5)
        an_breach_at(c, v->line, v->column, "%s '%s' has rank %d", what,
                     v->name, v->type->shape.rank);
}

static void ranks(an_checker *c)
{
    const an_function *f = c->function;
    for (int i = 0; i < f->n_params; i++)
        check_rank(c, f->params[i], "parameter");
    for (int i = 0; i < f->n_nodes; i++)
        for (int r = 0; r < f->nodes[i]->n_results; r++)
            check_rank(c, f->nodes[i]->results[r], "value");
}

static void check_extent(an_checker *c, const an_value *v, const char *what)
{
    const an_shape *s = &v->type->shape;
    if (v->type->kind != AN_TYPE_TENSOR) return;
    for (int i = 0; i < s->rank; i++) {
        bool spatial = i >= s->rank - 2;
        int64_t most = spatial ? extent_limit(c) : 65536;
        if (s->dims[i] > most)
            an_breach_at(c, v->line, v->column,
                         "%s '%s': axis %d has %lld, expected at most %lld",
                         what, v->name, i, (long long)s->dims[i],
                         (long long)most);
    }
}

static void extents(an_checker *c)
{
    const an_function *f = c->function;
    for (int i = 0; i < f->n_params; i++)
        check_extent(c, f->params[i], "parameter");
    for (int i = 0; i < f->n_nodes; i++)
        for (int r = 0; r < f->nodes[i]->n_results; r++)
            check_extent(c, f->nodes[i]->results[r], "value");
}

/* Calls `check` for every node of one op. */
static void each(an_checker *c, const an_op *op,
                 void (*check)(an_checker *c, const an_node *n))
{
    for (int i = 0; i < c->function->n_nodes; i++)
        if (an_op_is_form(c->function->nodes[i]->op, op))
            check(c, c->function->nodes[i]);
}

static void shape_entries(an_checker *c, const an_node *n)
{
    for (int i = 0; i < an_node_n(n, "shape"); i++)
        if (an_node_int_at(n, "shape", i) <= 0)
            an_breach_at(c, n->line, n->column,
                         "reshape: shape has the entry %lld",
                         (long long)an_node_int_at(n, "shape", i));
}

static void reshape_is_explicit(an_checker *c)
{
    each(c, &an_op_reshape, shape_entries);
}

static void rank5_before_matmul(an_checker *c, const an_node *n)
{
    for (int i = 0; i < 2; i++) {
        const an_value *v = an_node_tensor(n, i);
        if (v && v->def && v->def->op == &an_op_transpose &&
            v->type->shape.rank == 5)
            an_breach_at(c, n->line, n->column,
                         "matmul: an operand is a rank-5 transpose");
    }
}

static void transpose_is_small(an_checker *c)
{
    each(c, &an_op_matmul, rank5_before_matmul);
}

static void concat_form(an_checker *c, const an_node *n)
{
    if (an_node_n_tensors(n) < 2)
        an_breach_at(c, n->line, n->column, "concat: fewer than 2 values");
    if (an_node_int(n, "axis") < 0)
        an_breach_at(c, n->line, n->column, "concat: axis is %lld",
                     (long long)an_node_int(n, "axis"));
}

static void concat_is_plain(an_checker *c)
{
    each(c, &an_op_concat, concat_form);
}

static void pad_form(an_checker *c, const an_node *n)
{
    an_str mode = an_node_string(n, "mode");
    if (strcmp(mode.text, "constant") != 0)
        an_breach_at(c, n->line, n->column, "pad: mode is %s", mode.text);
    else if (an_node_real(n, "constant_val") != 0)
        an_breach_at(c, n->line, n->column, "pad: constant_val is %g",
                     an_node_real(n, "constant_val"));
}

static void pad_is_zero(an_checker *c)
{
    each(c, &an_op_pad, pad_form);
}

/* Kernel rows and columns of a 2-d convolution; false for others. */
static bool kernel_of(const an_node *n, int64_t *h, int64_t *w)
{
    const an_value *weight = an_node_value(n, "weight");
    if (!weight || weight->type->shape.rank != 4) return false;
    *h = weight->type->shape.dims[2];
    *w = weight->type->shape.dims[3];
    return true;
}

static void conv_kernel(an_checker *c, const an_node *n)
{
    int64_t h, w;
    if (!kernel_of(n, &h, &w)) return;
    int64_t row = is_old(c) ? 13 : 15, column = is_old(c) ? 29 : 31;
    int64_t most_h = w == 1 ? column : 16, most_w = h == 1 ? row : 16;
    if (h > most_h || w > most_w)
        an_breach_at(c, n->line, n->column,
                     "conv: kernel is %lldx%lld, expected at most %lldx%lld",
                     (long long)h, (long long)w, (long long)most_h,
                     (long long)most_w);
}

static void conv_kernels(an_checker *c)
{
    each(c, &an_op_conv, conv_kernel);
}

static void conv_slow(an_checker *c, const an_node *n)
{
    int64_t h, w;
    if (kernel_of(n, &h, &w) && h == 16 && w == 16)
        an_breach_at(c, n->line, n->column,
                     "conv: a 16x16 kernel takes minutes to compile");
}

static void conv_compile_time(an_checker *c)
{
    each(c, &an_op_conv, conv_slow);
}

static void conv_step(an_checker *c, const an_node *n)
{
    static const char *const params[] = {"strides", "dilations"};
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < an_node_n(n, params[p]); i++)
            if (an_node_int_at(n, params[p], i) > 8)
                an_breach_at(c, n->line, n->column,
                             "conv: %s of %lld, expected at most 8", params[p],
                             (long long)an_node_int_at(n, params[p], i));
}

static void conv_steps(an_checker *c)
{
    each(c, &an_op_conv, conv_step);
}

static void conv_channel(an_checker *c, const an_node *n)
{
    const an_value *weight = an_node_value(n, "weight");
    const an_value *x = an_node_value(n, "x");
    int64_t out = weight ? weight->type->shape.dims[0] : 0;
    int64_t in = x ? x->type->shape.dims[1] : 0;
    if (out > 62080)
        an_breach_at(c, n->line, n->column,
                     "conv: %lld output channels, expected at most 62080",
                     (long long)out);
    if (in >= 32000)
        an_breach_at(c, n->line, n->column,
                     "conv: %lld input channels, expected less than 32000",
                     (long long)in);
}

static void conv_channels(an_checker *c)
{
    each(c, &an_op_conv, conv_channel);
}

static void conv_depth(an_checker *c, const an_node *n)
{
    const an_value *x = an_node_value(n, "x");
    if (x && x->type->shape.rank == 5)
        an_breach_at(c, n->line, n->column, "conv: three spatial axes");
}

static void conv_is_flat(an_checker *c)
{
    each(c, &an_op_conv, conv_depth);
}

static void conv_weight(an_checker *c, const an_node *n)
{
    const an_value *weight = an_node_value(n, "weight");
    if (weight && !weight->literal &&
        !(weight->def && weight->def->op->cls == AN_CLASS_CONST))
        an_breach_at(c, n->line, n->column,
                     "conv: weight '%s' is not known at compile time",
                     weight->name);
}

static void conv_weights(an_checker *c)
{
    each(c, &an_op_conv, conv_weight);
}

static void conv_bias(an_checker *c, const an_node *n)
{
    if (an_node_given(n, "bias"))
        an_breach_at(c, n->line, n->column, "conv: has a bias");
}

static void conv_biases(an_checker *c)
{
    each(c, &an_op_conv, conv_bias);
}

static void matmul_form(an_checker *c, const an_node *n)
{
    for (int i = 0; i < 2; i++) {
        const an_value *v = an_node_tensor(n, i);
        int rank = v ? v->type->shape.rank : 2;
        if (rank < 2 || rank > 4)
            an_breach_at(c, n->line, n->column,
                         "matmul: operand '%s' has rank %d, expected 2 to 4",
                         v->name ? v->name : "literal", rank);
    }
}

static void matmul_ranks(an_checker *c)
{
    each(c, &an_op_matmul, matmul_form);
}

static void matmul_inner(an_checker *c, const an_node *n)
{
    const an_shape *s = &an_node_tensor(n, 0)->type->shape;
    if (s->rank < 2) return;
    bool t = an_node_bool(n, "transpose_x");
    int64_t k = s->dims[s->rank - (t ? 2 : 1)];
    int64_t most = is_old(c) ? 16384 : 32768;
    if (k > most)
        an_breach_at(c, n->line, n->column,
                     "matmul: inner dimension %lld, expected at most %lld",
                     (long long)k, (long long)most);
}

static void matmul_inners(an_checker *c)
{
    each(c, &an_op_matmul, matmul_inner);
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
    each(c, &an_op_softmax, softmax_axis);
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
    each(c, &an_op_tile, tile_factor);
}

static void reduction_form(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (n->op->cls != AN_CLASS_REDUCTION || n->op == &an_op_softmax)
            continue;
        if (an_op_param_index(n->op, "keep_dims", 9) < 0) continue;
        if (an_node_n(n, "axes") > 4)
            an_breach_at(c, n->line, n->column, "%s: %d axes", n->op->name,
                         an_node_n(n, "axes"));
        if (!an_node_bool(n, "keep_dims"))
            an_breach_at(c, n->line, n->column, "%s: keep_dims is false",
                         n->op->name);
    }
}

static void linear_form(an_checker *c, const an_node *n)
{
    const an_value *w = an_node_value(n, "weight");
    if (w && !w->literal && !(w->def && w->def->op->cls == AN_CLASS_CONST))
        an_breach_at(c, n->line, n->column,
                     "linear: weight is not known at compile time");
}

static void linear_weights(an_checker *c)
{
    each(c, &an_op_linear, linear_form);
}

enum {
    OLD = AN_GEN_M1 | AN_GEN_M2 | AN_GEN_M3,
    NEW = AN_GEN_M4 | AN_GEN_M5 | AN_GEN_M6,
};

// clang-format off
const an_rule an_rules_shapes[] = {
    {"R-51", "every tensor has at most 5 axes",
     "C1", AN_ERROR, AN_GEN_ALL, "merge axes", "ane-guide, 751K study, ironmill", ranks, NULL},
    {"R-52", "no axis is longer than 65536",
     "C1", AN_ERROR, NEW, "split", "751K study (M4: 65537 refused), ane-guide, ANEForge", extents, NULL},
    {"R-52a", "width and height are at most 16384, other axes 65536",
     "C1", AN_ERROR, OLD, "split", "ane-guide, ANEForge, ironmill (A13 to A15)", extents, NULL},
    {"R-55", "reshape writes every entry, none zero or negative",
     "C1", AN_WARN, AN_GEN_ALL, "full sizes", "inferred", reshape_is_explicit, NULL},
    {"R-56", "no rank-5 transpose feeds a matmul",
     "C1", AN_WARN, AN_GEN_M1, "transpose flags of matmul", "ane-guide (A13)", transpose_is_small, NULL},
    {"R-57", "slices are constant and inside bounds",
     "C1", AN_ERROR, AN_GEN_ALL, NULL, "751K study, ANEForge", NULL, "shape rules of slice_by_size and slice_by_index"},
    {"R-58", "concat has at least 2 values and a positive axis",
     "C1", AN_ERROR, AN_GEN_ALL, NULL, "ane-guide, dev-erik/ANE", concat_is_plain, NULL},
    {"R-59", "pad fills with the constant 0",
     "C1", AN_WARN, AN_GEN_M1, "concat with zeros, slices", "ane-guide, ANEForge", pad_is_zero, NULL},
    {"R-60", "a conv kernel is at most 16x16, 1x15 or 31x1",
     "C1", AN_ERROR, NEW, "smaller kernels", "751K study, ane-guide, ANEForge, ironmill", conv_kernels, NULL},
    {"R-60a", "a conv kernel is at most 16x16, 1x13 or 29x1",
     "C1", AN_ERROR, OLD, "smaller kernels", "ane-guide (A13)", conv_kernels, NULL},
    {"R-61", "a 16x16 kernel takes 200 s and 11.7 GB to compile",
     "S", AN_NOTE, AN_GEN_M4, "smaller", "751K study (M4)", conv_compile_time, NULL},
    {"R-62", "strides and dilations are at most 8; groups divide the channels",
     "C1", AN_WARN, AN_GEN_ALL, NULL, "ane-guide, 751K study, qwen-ane", conv_steps, NULL},
    {"R-63", "a conv has at most 62080 output and less than 32000 input channels",
     "C1", AN_ERROR, AN_GEN_ALL, "split rows, or split and add", "qwen-ane (M5 Max), maderix/ANE (M4), Orion (M4 Max)", conv_channels, NULL},
    {"R-64", "a conv has at most two spatial axes",
     "C1", AN_WARN, AN_GEN_ALL, "unroll depth", "mixed: ane-guide no, 751K study yes", conv_is_flat, NULL},
    {"R-65", "a conv's weight is known at compile time",
     "W C2", AN_WARN, AN_GEN_ALL, "matmul", "mixed: skyfallsin ignored (M3 Max), ANEForge fine at batch 1", conv_weights, NULL},
    {"R-66", "a conv has no bias",
     "C1", AN_NOTE, AN_GEN_ALL, "add [1,C,1,1]", "Orion adds separately; 751K study compiles it", conv_biases, NULL},
    {"R-67", "a linear's weight is known at compile time",
     "C1", AN_ERROR, AN_GEN_ALL, "conv 1x1 or matmul", "ane-guide", linear_weights, NULL},
    {"R-68", "matmul's operands have 2 to 4 axes",
     "C1", AN_ERROR, AN_GEN_ALL, "fold the batch", "ane-guide", matmul_ranks, NULL},
    {"R-69", "matmul's inner dimension is at most 32768",
     "C1", AN_ERROR, NEW, "split and add", "751K study (M4: 40000 refused)", matmul_inners, NULL},
    {"R-69b", "matmul's inner dimension is at most 16384",
     "C1", AN_ERROR, OLD, "split and add", "ironmill (A13 to A15)", matmul_inners, NULL},
    {"R-73", "softmax over axis 1 has a power of two",
     "C2", AN_WARN, AN_GEN_ALL, "transpose to the last axis", "Espresso", softmax_axes, NULL},
    {"R-76", "a reduction has at most 4 axes and keeps dimensions",
     "C1", AN_WARN, AN_GEN_ALL, "conv with ones", "ane-guide, qwen-ane, ANEtransformers", reduction_form, NULL},
    {"R-78", "tile repeats by products of 2, 3, 4 and 8",
     "C1 E1", AN_WARN, AN_GEN_ALL, "broadcast, concat", "ANEForge; skyfallsin: later evaluations fail (M3 Max)", tile_factors, NULL},
    {NULL},
};
// clang-format on
