/*
 * Rules about convolutions and matrix products.
 */
#include "chip/check.h"

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
    int64_t row = an_check_is_old(c) ? 13 : 15,
            column = an_check_is_old(c) ? 29 : 31;
    int64_t most_h = w == 1 ? column : 16, most_w = h == 1 ? row : 16;
    if (h > most_h || w > most_w)
        an_breach_at(c, n->line, n->column,
                     "%s: kernel is %lldx%lld, expected at most %lldx%lld",
                     n->op->name, (long long)h, (long long)w, (long long)most_h,
                     (long long)most_w);
}

static void conv_kernels(an_checker *c)
{
    an_check_each(c, &an_op_conv, conv_kernel);
    an_check_each(c, &an_op_conv_transpose, conv_kernel);
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
    an_check_each(c, &an_op_conv, conv_slow);
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

static void conv_groups(an_checker *c, const an_node *n)
{
    int64_t groups = an_node_int(n, "groups");
    int64_t channels = an_node_value(n, "x")->type->shape.dims[1];
    if (groups > 64 && groups != channels)
        an_breach_at(c, n->line, n->column,
                     "conv: %lld groups, expected at most 64 or one a channel",
                     (long long)groups);
}

static void conv_steps(an_checker *c)
{
    an_check_each(c, &an_op_conv, conv_step);
    an_check_each(c, &an_op_conv, conv_groups);
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
    an_check_each(c, &an_op_conv, conv_channel);
}

static void conv_depth(an_checker *c, const an_node *n)
{
    const an_value *x = an_node_value(n, "x");
    if (x && x->type->shape.rank == 5)
        an_breach_at(c, n->line, n->column, "conv: three spatial axes");
}

static void conv_is_flat(an_checker *c)
{
    an_check_each(c, &an_op_conv, conv_depth);
}

static void conv_weight(an_checker *c, const an_node *n)
{
    const an_value *weight = an_node_value(n, "weight");
    if (weight && !an_check_is_constant(weight))
        an_breach_at(c, n->line, n->column,
                     "conv: weight '%s' is not known at compile time",
                     weight->name);
}

static void conv_weights(an_checker *c)
{
    an_check_each(c, &an_op_conv, conv_weight);
}

static void conv_bias(an_checker *c, const an_node *n)
{
    if (an_node_given(n, "bias"))
        an_breach_at(c, n->line, n->column, "conv: has a bias");
}

static void conv_biases(an_checker *c)
{
    an_check_each(c, &an_op_conv, conv_bias);
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
    an_check_each(c, &an_op_matmul, matmul_form);
}

static void matmul_inner(an_checker *c, const an_node *n)
{
    const an_shape *s = &an_node_tensor(n, 0)->type->shape;
    if (s->rank < 2) return;
    bool t = an_node_bool(n, "transpose_x");
    int64_t k = s->dims[s->rank - (t ? 2 : 1)];
    int64_t most = an_check_is_old(c) ? 16384 : 32768;
    if (k > most)
        an_breach_at(c, n->line, n->column,
                     "matmul: inner dimension %lld, expected at most %lld",
                     (long long)k, (long long)most);
}

static void matmul_inners(an_checker *c)
{
    an_check_each(c, &an_op_matmul, matmul_inner);
}

static void linear_form(an_checker *c, const an_node *n)
{
    const an_value *w = an_node_value(n, "weight");
    if (w && !an_check_is_constant(w))
        an_breach_at(c, n->line, n->column,
                     "linear: weight '%s' is not known at compile time",
                     w->name);
}

static void linear_weights(an_checker *c)
{
    an_check_each(c, &an_op_linear, linear_form);
}

static void inner_is_whole(an_checker *c, const an_node *n)
{
    const an_shape *s = &an_node_tensor(n, 0)->type->shape;
    bool t = an_node_bool(n, "transpose_x");
    int64_t k = s->rank < 2 ? 32 : s->dims[s->rank - (t ? 2 : 1)];
    if (k % 32 != 0)
        an_breach_at(c, n->line, n->column,
                     "matmul: inner dimension %lld, expected a multiple of 32",
                     (long long)k);
}

static void inners_are_whole(an_checker *c)
{
    an_check_each(c, &an_op_matmul, inner_is_whole);
}

// clang-format off
const an_rule an_rules_contractions[] = {
    {"R-60", "a conv kernel is at most 16x16, 1x15 or 31x1",
     "C1", AN_ERROR, AN_GEN_NEW, "smaller kernels", "751K study, ane-guide, ANEForge, ironmill", conv_kernels, NULL},
    {"R-60a", "a conv kernel is at most 16x16, 1x13 or 29x1",
     "C1", AN_ERROR, AN_GEN_OLD, "smaller kernels", "ane-guide (A13)", conv_kernels, NULL},
    {"R-61", "a 16x16 kernel takes 200 s and 11.7 GB to compile",
     "S", AN_NOTE, AN_GEN_M4, "smaller", "751K study (M4)", conv_compile_time, NULL},
    {"R-62", "strides and dilations are at most 8, groups 64 or one a channel",
     "C1", AN_WARN, AN_GEN_ALL, NULL, "ane-guide, 751K study, qwen-ane", conv_steps, NULL},
    {"R-62a", "a conv's groups divide its input and output channels",
     "C1", AN_ERROR, AN_GEN_ALL, NULL, "ane-guide", NULL, "shape rule of conv"},
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
     "C1", AN_ERROR, AN_GEN_NEW, "split and add", "751K study (M4: 40000 refused)", matmul_inners, NULL},
    {"R-69a", "matmul's inner dimension is at most 16384",
     "C1", AN_ERROR, AN_GEN_OLD, "split and add", "ironmill (A13 to A15)", matmul_inners, NULL},
    {"R-70", "what a matmul reads per output column fits the 64 KB of kernel memory",
     "C1", AN_WARN, AN_GEN_M1, "tile the output", "ane-guide (M1): can not fit the Kmem", NULL, "not checked: how operands are laid out there is not known"},
    {"S11", "a matmul's inner dimension is a multiple of 32",
     "Z", AN_WARN, AN_GEN_M1, "pad with zeros", "ane-train (M1): 16, 48, 80, 112 give zeros", inners_are_whole, NULL},
    {NULL},
};
// clang-format on
