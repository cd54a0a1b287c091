/*
 * Rules about text and structure: what a program says and in which pattern.
 * Patterns name ops by their rows.
 */
#include "chip/check.h"
#include "chip/spoil.h"

#include "mil/extract.h"

#include <string.h>

typedef struct inline_scan {
    an_checker *c;
    const an_node *n;
} inline_scan;

static void report_inline(void *ctx, an_value *v)
{
    inline_scan *s = ctx;
    if (v->literal && !v->name)
        an_breach_at(s->c, v->line ? v->line : s->n->line,
                     v->column ? v->column : s->n->column,
                     "%s: a literal stands in the call", s->n->op->name);
}

static void constants_are_named(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        inline_scan s = {c, n};
        if (n->op->form == AN_FORM_ARGUMENTS)
            an_node_operands(n, report_inline, &s);
    }
}

static void report_missing(an_checker *c, const an_node *n, const char *param)
{
    if (an_op_param_index(n->op, param, strlen(param)) >= 0 &&
        !an_node_given(n, param))
        an_breach_at(c, n->line, n->column, "%s: %s is not written",
                     n->op->name, param);
}

static void epsilon_is_written(an_checker *c)
{
    static const an_op *const ops[] = {&an_op_log, &an_op_rsqrt, &an_op_inverse,
                                       NULL};
    for (int i = 0; i < c->function->n_nodes; i++)
        if (an_check_is(c->function->nodes[i], ops))
            report_missing(c, c->function->nodes[i], "epsilon");
}

static void defaults_are_written(an_checker *c)
{
    static const struct {
        const an_op *op;
        const char *params[6];
    } rows[] = {
        {&an_op_gelu, {"mode"}},
        {&an_op_concat, {"interleave", "axis"}},
        {&an_op_conv, {"pad_type", "strides", "dilations", "groups", "pad"}},
    };
    for (int i = 0; i < c->function->n_nodes; i++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            for (int p = 0; rows[r].params[p]; p++)
                if (an_op_is_form(c->function->nodes[i]->op, rows[r].op))
                    report_missing(c, c->function->nodes[i], rows[r].params[p]);
    for (int i = 0; i < c->function->n_nodes; i++)
        if (an_check_is(c->function->nodes[i], an_check_reductions))
            report_missing(c, c->function->nodes[i], "keep_dims");
}

static bool has_key(const an_literal *dict, const char *key)
{
    for (size_t i = 0; i + 1 < dict->n; i += 2) {
        const an_literal *k = dict->items[i];
        if (k->kind == AN_LIT_STRINGS && k->n == 1 &&
            strcmp(k->strings[0].text, key) == 0)
            return true;
    }
    return false;
}

static void build_info_is_there(an_checker *c)
{
    const an_module *m = c->module;
    if (c->function != m->functions[0]) return; /* once a program */
    for (int i = 0; i < m->n_attrs; i++)
        if (strcmp(m->attrs[i].name, "buildInfo") == 0 &&
            m->attrs[i].literal->kind == AN_LIT_ITEMS &&
            has_key(m->attrs[i].literal, "coremlc-version"))
            return;
    an_breach_at(c, 1, 1, "the program has no buildInfo with coremlc-version");
}

static void port_is_fp16(an_checker *c, const an_value *v, const char *side)
{
    if (v->type->shape.dtype != AN_FP16)
        an_breach_at(c, v->line, v->column, "%s '%s' is %s", side, v->name,
                     an_dtype_name(v->type->shape.dtype));
}

static void ports_are_fp16(an_checker *c)
{
    an_check_ports(c, port_is_fp16);
}

static void params_are_used(an_checker *c)
{
    const an_function *f = c->function;
    for (int i = 0; i < f->n_params; i++)
        if (an_check_uses(f, f->params[i]) == 0 &&
            !an_check_is_result(f, f->params[i]))
            an_breach_at(c, f->params[i]->line, f->params[i]->column,
                         "parameter '%s' is not used", f->params[i]->name);
}

static void results_are_computed(an_checker *c)
{
    const an_function *f = c->function;
    for (int i = 0; i < f->n_results; i++)
        if (!f->results[i]->def)
            an_breach_at(c, f->line, f->column,
                         "result '%s' is a function input",
                         f->results[i]->name);
}

static void moves_are_not_alone(an_checker *c)
{
    static const an_op *const ops[] = {&an_op_reshape, &an_op_slice_by_index,
                                       &an_op_tile,    &an_op_transpose,
                                       &an_op_cast,    NULL};
    const an_node *only = NULL;
    for (int i = 0; i < c->function->n_nodes; i++) {
        if (an_check_is_const(c->function->nodes[i])) continue;
        if (only) return;
        only = c->function->nodes[i];
    }
    if (only && an_check_is(only, ops))
        an_check_fail(c, only, "is the only operation");
}

static void returned_is_not_consumed(an_checker *c)
{
    const an_function *f = c->function;
    for (int i = 0; i < f->n_results; i++)
        if (f->results[i]->def && an_check_uses(f, f->results[i]) > 0)
            an_breach_at(c, f->results[i]->line, f->results[i]->column,
                         "'%s' is returned and consumed inside",
                         f->results[i]->name);
}

static void does_not_end_in_matmul_reshape(an_checker *c)
{
    static const an_op *const reshape[] = {&an_op_reshape, NULL};
    static const an_op *const matmul[] = {&an_op_matmul, NULL};
    const an_function *f = c->function;
    if (f->n_results != 1 || !an_check_made_by(f->results[0], reshape)) return;
    const an_node *n = f->results[0]->def;
    if (an_check_made_by(an_node_tensor(n, 0), matmul))
        an_check_fail(c, n, "ends the program behind a matmul");
}

static bool is_zero(const an_value *v)
{
    if (!an_check_has_data(v)) return false;
    for (size_t i = 0; i < v->literal->n; i++)
        if (an_literal_real(v->literal, i) != 0) return false;
    return true;
}

static void reduction_is_not_zeroed(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (!an_op_is_form(n->op, &an_op_mul)) continue;
        const an_value *x = an_node_tensor(n, 0), *y = an_node_tensor(n, 1);
        if ((an_check_made_by(x, an_check_reductions) && is_zero(y)) ||
            (an_check_made_by(y, an_check_reductions) && is_zero(x)))
            an_check_fail(c, n, "a reduction is multiplied by the constant 0");
    }
}

static bool is_scalar_const(const an_value *v)
{
    return an_check_has_data(v) && v->literal->n == 1;
}

an_value *an_check_dropped_factor(const an_node *n)
{
    static const an_op *const ops[] = {&an_op_floor, &an_op_ceil, &an_op_round,
                                       NULL};
    if (!an_op_is_form(n->op, &an_op_mul)) return NULL;
    an_value *x = an_node_tensor(n, 0), *y = an_node_tensor(n, 1);
    if (an_check_made_by(x, ops) && is_scalar_const(y)) return x;
    return an_check_made_by(y, ops) && is_scalar_const(x) ? y : NULL;
}

static void rounding_keeps_its_factor(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++)
        if (an_check_dropped_factor(c->function->nodes[i]))
            an_check_fail(c, c->function->nodes[i],
                          "a scalar constant behind a rounding is dropped");
}

static void square_then_table(an_checker *c)
{
    static const an_op *const tables[] = {
        &an_op_sigmoid, &an_op_tanh,    &an_op_silu, &an_op_gelu,
        &an_op_erf,     &an_op_exp,     &an_op_log,  &an_op_sqrt,
        &an_op_rsqrt,   &an_op_inverse, NULL};
    static const an_op *const square[] = {&an_op_square, NULL};
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        const an_value *x =
            an_check_is(n, tables) ? an_node_tensor(n, 0) : NULL;
        if (x == NULL || !an_check_made_by(x, square) ||
            x->type->shape.rank == 0)
            continue;
        int64_t w = x->type->shape.dims[x->type->shape.rank - 1];
        if (w % 128 > 64)
            an_breach_at(c, n->line, n->column,
                         "%s behind square, width %lld: width mod 128 is "
                         "above 64",
                         n->op->name, (long long)w);
    }
}

static void square_after_reduction(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (an_op_is_form(n->op, &an_op_square) &&
            an_check_made_by(an_node_tensor(n, 0), an_check_reductions))
            an_check_fail(c, n, "stands behind a reduction");
    }
}

static void no_fatal_mixture(an_checker *c)
{
    const an_node *split = NULL;
    bool matmul = false, softmax = false, tile = false;
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (an_op_is_form(n->op, &an_op_split)) split = n;
        matmul = matmul || an_op_is_form(n->op, &an_op_matmul);
        softmax = softmax || an_op_is_form(n->op, &an_op_softmax);
        tile = tile || an_op_is_form(n->op, &an_op_tile);
    }
    if (split && matmul && softmax && tile)
        an_check_fail(c, split, "in one program with matmul, softmax and tile");
}

static void check_dims(an_checker *c, const an_value *v, const char *what)
{
    const an_shape *s = &v->type->shape;
    for (int i = 0; i < s->rank; i++)
        if (s->dims[i] < 1)
            an_breach_at(c, v->line, v->column, "%s '%s': axis %d is %s", what,
                         v->name, i, s->dims[i] < 0 ? "unknown" : "empty");
}

static void program_is_static(an_checker *c)
{
    static const an_op *const ops[] = {&an_op_rnn,
                                       &an_op_gru,
                                       &an_op_lstm,
                                       &an_op_random_bernoulli,
                                       &an_op_random_normal,
                                       &an_op_random_categorical,
                                       &an_op_random_uniform,
                                       &an_op_make_list,
                                       &an_op_list_length,
                                       &an_op_list_read,
                                       &an_op_list_write,
                                       &an_op_list_gather,
                                       &an_op_list_scatter,
                                       NULL};
    an_check_tensors(c, check_dims);
    for (int i = 0; i < c->function->n_nodes; i++)
        if (an_check_is(c->function->nodes[i], ops))
            an_check_fail(c, c->function->nodes[i],
                          "the engine has no such op");
}

/* Length of the chain of 1x1 convolutions that ends in n. */
static int chain_length(const an_node *n, int most)
{
    int length = 0;
    while (n && an_op_is_form(n->op, &an_op_conv) && length < most) {
        const an_value *x = an_node_value(n, "x");
        length++;
        n = x ? x->def : NULL;
    }
    return length;
}

static void chains_are_short(an_checker *c)
{
    enum { MOST = 386 };
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        if (!an_op_is_form(n->op, &an_op_conv) ||
            chain_length(n, MOST + 1) <= MOST)
            continue;
        an_breach_at(c, n->line, n->column,
                     "conv: a chain of more than %d convolutions", MOST);
        return;
    }
}

static void slices_not_on_inputs(an_checker *c)
{
    bool norm = false, conv = false;
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        norm = norm || an_op_is_form(n->op, &an_op_rsqrt) ||
               an_op_is_form(n->op, &an_op_pow);
        conv = conv || an_op_is_form(n->op, &an_op_conv);
    }
    for (int i = 0; norm && conv && i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        const an_value *x = an_op_is_form(n->op, &an_op_slice_by_index)
                                ? an_node_tensor(n, 0)
                                : NULL;
        if (x && !x->def && !x->literal)
            an_check_fail(c, n,
                          "slices a function input beside a norm and convs");
    }
}

// clang-format off
const an_rule an_rules_text[] = {
    {"R-01", "literals are typed or named, constants defined before use, names unique and [A-Za-z_][A-Za-z0-9_@]*",
     "C2", AN_ERROR, AN_GEN_ALL, NULL, "coremltools MIL.proto; ironmill; Espresso", NULL, "parser"},
    {"R-02", "constant parameters are named consts, not literals in the call",
     "C1 C2", AN_WARN, AN_GEN_ALL, "name them", "Orion, Espresso demand it (M4 Max); ironmill and h3.c-ane run typed literals", constants_are_named, NULL},
    {"R-03", "epsilon of log, rsqrt and inverse is written",
     "C1", AN_ERROR, AN_GEN_ALL, "write epsilon", "ironmill (h14g)", epsilon_is_written, NULL},
    {"R-04", "mode of gelu, interleave and axis of concat, pad_type, strides, dilations, groups and pad of conv, keep_dims of reductions are written",
     "C1", AN_WARN, AN_GEN_ALL, "write the defaults", "Orion (M4 Max), dev-erik/ANE", defaults_are_written, NULL},
    {"R-05", "buildInfo with coremlc-version is there",
     "C2", AN_ERROR, AN_GEN_ALL, "always emit it", "skyfallsin field guide (M3 Max), True2456/qwen-ane", build_info_is_there, NULL},
    {"R-06", "inputs and outputs are fp16: on M1 and M2 nothing else is proven",
     "C1", AN_WARN, AN_GEN_M1 | AN_GEN_M2, "fp16 surfaces; program(1.3) first, program(1.0) as fallback", "maderix/ANE PR 6 (M1, M2), rustane issue 11 (M2 Max); fp16 trains on M1 Pro and M1 Max", ports_are_fp16, NULL},
    {"R-07", "every returned name is defined, and returned once",
     "C2", AN_ERROR, AN_GEN_ALL, NULL, "Orion (M4 Max)", NULL, "parser"},
    {"R-08", "every function parameter is used",
     "E1", AN_WARN, AN_GEN_ALL, "drop it", "Espresso", params_are_used, NULL},
    {"R-09", "a result is not a function input",
     "X", AN_ERROR, AN_GEN_ALL, "multiply by 1", "ANEForge (e5rt, M5): unordered_map::at: key not found", results_are_computed, NULL},
    {"R-10", "reshape, slice_by_index, tile, transpose or cast is not the only operation",
     "C1", AN_ERROR, AN_GEN_ALL, "append an add or a mul", "ironmill (h14g); ANEForge (cast)", moves_are_not_alone, NULL},
    {"R-11", "what is returned is not consumed inside",
     "N", AN_WARN, AN_GEN_M5, "return a mul by 1", "True2456/qwen-ane (M5 Max)", returned_is_not_consumed, NULL},
    {"R-12", "a program with one result does not end in matmul and reshape",
     "C2", AN_WARN, AN_GEN_M4, "return the matmul's result", "one note, repository not named (M4)", does_not_end_in_matmul_reshape, NULL},
    {"R-13", "a reduction is not multiplied by the constant 0",
     "X", AN_ERROR, AN_GEN_M5, "sub(x, x)", "ANEForge (e5rt, M5): the compiler process dies", reduction_is_not_zeroed, NULL},
    {"R-14", "floor, ceil or round is not followed by mul with a scalar constant: the mul is dropped",
     "W", AN_ERROR, AN_GEN_M5, "a constant of full shape", "ANEForge issue 112 (e5rt, M5)", rounding_keeps_its_factor, NULL, an_spoil_factor},
    {"R-15", "square is not followed by a non-linearity where the width mod 128 is above 64",
     "C1", AN_WARN, AN_GEN_M5, "mul(x, x)", "ANEForge (e5rt, M5)", square_then_table, NULL},
    {"R-16", "square does not stand behind a reduction",
     "C1", AN_WARN, AN_GEN_M1, "mul", "ane-guide: square operation after reduction is not supported (before A14)", square_after_reduction, NULL},
    {"R-17", "split does not share a program with matmul, softmax and tile",
     "C1", AN_WARN, AN_GEN_ALL, "slices", "ironmill (h14g)", no_fatal_mixture, NULL},
    {"R-18", "every dimension is known and at least 1; no control flow, lists, random or recurrent layers",
     "C1", AN_ERROR, AN_GEN_ALL, "unroll; one program a shape", "ANEForge, 751K study, ane-guide", program_is_static, NULL},
    {"R-19", "fewer than 12 branches reconverge",
     "S", AN_NOTE, AN_GEN_ALL, "split the program", "ANEForge (e5rt): about 9 s to compile", NULL, "not checked: a matter of compile time"},
    {"R-20", "a chain has at most 386 convolutions",
     "X", AN_WARN, AN_GEN_M6, "cut at 256", "751K study (h18): SIGBUS", chains_are_short, NULL},
    {"R-21", "slice_by_index does not slice a function input in a program with a norm and convs",
     "C2", AN_WARN, AN_GEN_ALL, "slice_by_size; or separate inputs", "hollance/neural-engine issue 44", slices_not_on_inputs, NULL},
    {NULL},
};
// clang-format on
