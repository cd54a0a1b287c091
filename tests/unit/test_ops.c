/*
 * Every row of the op table: its kernel against PyTorch's numbers in `exact`
 * and `ieee`, its gradient against central differences, and that no core row
 * goes without. Cases: tests/ops/cases.inc, made by tests/ops/cases.py.
 */
#include "alloc_fail.h"
#include "anemone/grad.h"
#include "base/alloc.h"
#include "base/half.h"
#include "grad/check.h"
#include "mil/ir.h"
#include "mil/number.h"
#include "mil/op.h"
#include "mil/type.h"
#include "ops/eval.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_TENSORS = 6, MAX_NUMBERS = 32 };

typedef struct op_case {
    const char *op;     /* "gather", or "gather@16": as opset 16 has it */
    const char *params; /* tensor parameters, in the order of the operands */
    const char *consts; /* "axis=1 keep_dims=true" */
    int n_in;
    an_shape in[MAX_TENSORS];
    const double *inputs; /* one operand after the other */
    int n_out;
    an_shape out[MAX_TENSORS];
    const double *outputs;
} op_case;

static const op_case cases[] = {
#include "ops/cases.inc"
};
enum { N_CASES = sizeof cases / sizeof *cases };

/* ---- building a case's function ---- */

static int opset_of(const op_case *c)
{
    const char *at = strchr(c->op, '@');
    return at ? (int)strtol(at + 1, NULL, 10) : 18;
}

static const an_op *row_of(const op_case *c)
{
    return an_op_find(c->op, strcspn(c->op, "@"), opset_of(c));
}

/* Is operand i of the case one that must be a constant? */
static bool is_constant(const op_case *c, int i)
{
    const char *at = c->params;
    an_param p;
    if (strncmp(at, "values", 6) == 0) return false;
    for (; i > 0; i--)
        at = strchr(at, ' ') + 1;
    const an_op *op = row_of(c);
    return an_op_param(op, an_op_param_index(op, at, strcspn(at, " ")), &p) &&
           p.kind == 'c';
}

/* The case with every float operand in another type. */
static an_shape typed(an_shape s, an_dtype dtype)
{
    if (s.dtype == AN_FP64) s.dtype = dtype;
    return s;
}

/* "1,-2,true" as a constant of a parameter's kind. */
static an_value *build_constant(an_builder *b, char kind, const char *text,
                                an_dtype dtype)
{
    int64_t ints[MAX_NUMBERS];
    bool bools[MAX_NUMBERS];
    int n = 0;
    if (kind == 's') return an_build_string(b, text);
    if (kind == 'f' || kind == 't' || kind == 'c')
        return an_build_float(b, dtype, strtod(text, NULL));
    for (const char *at = text; at; n++) {
        assert_true(n < MAX_NUMBERS);
        ints[n] = strncmp(at, "true", 4) == 0 ? 1 : strtol(at, NULL, 10);
        bools[n] = ints[n] != 0;
        at = strchr(at, ',');
        if (at) at++;
    }
    if (kind == 'i') return an_build_int(b, ints[0]);
    if (kind == 'b') return an_build_bool(b, bools[0]);
    if (kind == 'I') return an_build_ints(b, n, ints);
    return an_build_const(b, NULL, AN_TENSOR(AN_BOOL, n), bools);
}

/* Operand i of a case as a constant; `skip` numbers stand before it. */
static an_value *build_operand(an_builder *b, const op_case *c, int i,
                               int64_t skip, an_shape s)
{
    size_t n = (size_t)an_shape_count(&s);
    void *data = an_alloc_array(n, an_dtype_size(s.dtype));
    assert_non_null(data);
    for (size_t k = 0; k < n; k++) {
        double x = c->inputs[skip + (int64_t)k];
        if (an_dtype_is_float(s.dtype))
            an_number_store_real(data, s.dtype, k, x);
        else
            an_number_store_int(data, s.dtype, k, (int64_t)x);
    }
    an_value *value = an_build_const(b, NULL, s, data);
    an_free(data);
    if (!value) fail_msg("%s: operand %d", c->op, i);
    return value;
}

/* Splits text at blanks, in place; returns the number of words. */
static int split_words(char *text, char *words[MAX_NUMBERS])
{
    int n = 0;
    for (char *at = text; *at;) {
        while (*at == ' ')
            *at++ = 0;
        if (!*at) break;
        words[n++] = at;
        while (*at && *at != ' ')
            at++;
    }
    return n;
}

/* The function "f" of one case, built into m; operands are its parameters. */
static void build_case(an_module *m, const op_case *c, an_dtype dtype)
{
    char params[64], consts[256], *words[MAX_NUMBERS];
    an_arg args[16] = {{0}};
    an_value *in[MAX_TENSORS], *out[MAX_TENSORS] = {NULL};
    an_builder *b = NULL;
    an_error err = {0};
    int n_args = 0;
    int64_t skip = 0;
    const an_op *op = row_of(c);
    if (!op) fail_msg("no op '%s'", c->op);
    assert_int_equal(an_build_begin(m, "f", opset_of(c), &b, NULL), AN_OK);
    snprintf(params, sizeof params, "%s", c->params);
    snprintf(consts, sizeof consts, "%s", c->consts);
    int n_words = split_words(params, words);
    bool tuple = c->n_in > 0 && strcmp(words[0], "values") == 0;
    for (int i = 0; i < c->n_in; i++) {
        char name[16];
        snprintf(name, sizeof name, "values%d", i);
        an_shape s = typed(c->in[i], dtype);
        in[i] = is_constant(c, i)
                    ? build_operand(b, c, i, skip, s)
                    : an_build_param(b, tuple ? name : words[i], s);
        skip += an_shape_count(&s);
        if (!tuple)
            args[n_args++] = (an_arg){.param = words[i], .value = in[i]};
    }
    if (!tuple) assert_int_equal(n_words, c->n_in);
    if (tuple)
        args[n_args++] =
            (an_arg){.param = "values", .values = in, .n = c->n_in};
    n_words = split_words(consts, words);
    for (int i = 0; i < n_words; i++) {
        an_param p;
        char *equals = strchr(words[i], '=');
        assert_non_null(equals);
        *equals = 0;
        assert_true(an_op_param(
            op, an_op_param_index(op, words[i], strlen(words[i])), &p));
        args[n_args].param = words[i];
        args[n_args++].value = build_constant(b, p.kind, equals + 1, dtype);
    }
    if (op == an_ops[AN_OP_const])
        out[0] = args[0].value;
    else if (!an_build_n(b, op->name, "out", args, out, c->n_out))
        fail_msg("%s(%s): %s", c->op, c->consts, "refused");
    for (int i = 0; i < c->n_out; i++)
        an_build_result(b, out[i]);
    if (an_build_end(b, &err) != AN_OK)
        fail_msg("%s(%s): %s", c->op, c->consts, err.text);
}

/* ---- evaluating it ---- */

/* Operands that are no constants, rounded to their types; unused entries are
 * NULL. */
static void split_inputs(const op_case *c, an_dtype dtype,
                         const double *inputs[MAX_TENSORS])
{
    const double *at = c->inputs;
    int used = 0;
    for (int i = 0; i < MAX_TENSORS; i++)
        inputs[i] = NULL;
    for (int i = 0; i < c->n_in; i++) {
        an_shape s = typed(c->in[i], dtype);
        size_t n = (size_t)an_shape_count(&s);
        if (is_constant(c, i)) {
            at += n;
            continue;
        }
        double *data = an_alloc_array(n, sizeof *data);
        assert_non_null(data);
        for (size_t k = 0; k < n; k++)
            data[k] = an_num_ieee.round(&an_num_ieee, *at++, s.dtype);
        inputs[used++] = data;
    }
}

static void free_all(int n, const double *const *data)
{
    for (int i = 0; i < n; i++) {
        union {
            const double *in;
            void *out;
        } block = {data[i]};
        an_free(block.out);
    }
}

static void evaluate(const op_case *c, const an_module *m, const an_num *num,
                     const double *const *inputs, double **out)
{
    an_error err = {0};
    if (an_eval_function(an_module_function(m, "f"), num, inputs, out, &err) !=
        AN_OK)
        fail_msg("%s(%s): %s", c->op, c->consts, err.text);
}

static bool close_to(double came, double want, double tolerance)
{
    if (isnan(want)) return isnan(came);
    return came == want || fabs(came - want) <= tolerance;
}

/* Result r has the shape of the case; its type too where that is no float. */
static void check_shape(const op_case *c, const an_function *f, int r)
{
    an_shape came = f->results[r]->type->shape, want = c->out[r];
    char text[2][96];
    if (an_dtype_is_float(came.dtype)) came.dtype = AN_FP64;
    if (!an_shape_equal(&came, &want))
        fail_msg("%s(%s): result %d is %s, expected %s", c->op, c->consts, r,
                 an_shape_text(&came, text[0], sizeof text[0]),
                 an_shape_text(&want, text[1], sizeof text[1]));
}

static void check_exact(const op_case *c)
{
    an_module *m = NULL;
    const double *inputs[MAX_TENSORS], *want = c->outputs;
    double *out[MAX_TENSORS];
    assert_int_equal(an_module_new(&m, NULL), AN_OK);
    build_case(m, c, AN_FP64);
    split_inputs(c, AN_FP64, inputs);
    evaluate(c, m, &an_num_exact, inputs, out);
    const an_function *f = an_module_function(m, "f");
    for (int r = 0; r < c->n_out; r++) {
        check_shape(c, f, r);
        int64_t n = an_shape_count(&c->out[r]);
        for (int64_t i = 0; i < n; i++, want++)
            /* sums in another order: a few units of 2^-53 of sums below 10^3 */
            if (!close_to(out[r][i], *want, 1e-13 * (1 + fabs(*want)) * 10))
                fail_msg("%s(%s): result %d [%lld] is %.17g, expected %.17g",
                         c->op, c->consts, r, (long long)i, out[r][i], *want);
    }
    free_all(c->n_in, inputs);
    for (int r = 0; r < c->n_out; r++)
        an_free(out[r]);
    an_module_free(m);
}

static void test_exact(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++)
        check_exact(&cases[i]);
}

/*
 * How far ieee fp16 may be from exact on the same operands. Element-wise: one
 * rounding. Else half a unit (2^-11 relative, 2^-25 below the normal range),
 * and what fp32 sums lose: the cases have at most 60 terms below 4, so 60
 * roundings of partial sums below 240: 60 x 240 x 2^-24 < 9e-4.
 */
static double ieee_bound(const an_op *op, double exact)
{
    double unit = fabs(exact) * 0x1p-11 + 0x1p-25;
    bool sums =
        op->cls == AN_CLASS_CONTRACTION || op->cls == AN_CLASS_REDUCTION;
    return sums ? unit + 9e-4 : unit * 1.001;
}

static void check_ieee(const op_case *c)
{
    an_module *m = NULL;
    const double *inputs[MAX_TENSORS];
    double *exact[MAX_TENSORS], *ieee[MAX_TENSORS];
    const an_op *op = row_of(c);
    bool once = op->cls == AN_CLASS_UNARY || op->cls == AN_CLASS_BINARY;
    assert_int_equal(an_module_new(&m, NULL), AN_OK);
    build_case(m, c, AN_FP16);
    split_inputs(c, AN_FP16, inputs);
    evaluate(c, m, &an_num_exact, inputs, exact);
    evaluate(c, m, &an_num_ieee, inputs, ieee);
    const an_function *f = an_module_function(m, "f");
    for (int r = 0; r < c->n_out; r++) {
        const an_shape *s = &f->results[r]->type->shape;
        for (int64_t i = 0; i < an_shape_count(s); i++) {
            double want =
                an_num_ieee.round(&an_num_ieee, exact[r][i], s->dtype);
            double bound =
                once || isinf(want) ? 0 : ieee_bound(op, exact[r][i]);
            if (!close_to(ieee[r][i], once ? want : exact[r][i], bound) &&
                !close_to(ieee[r][i], want, 0))
                fail_msg("%s(%s): result %d [%lld] is %.9g, exact is %.9g",
                         c->op, c->consts, r, (long long)i, ieee[r][i],
                         exact[r][i]);
        }
        an_free(exact[r]);
        an_free(ieee[r]);
    }
    free_all(c->n_in, inputs);
    an_module_free(m);
}

static void test_ieee(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++)
        check_ieee(&cases[i]);
}

/* ---- contractions as products ---- */

/* Element [i, k] of matrix `plane` of a tensor [.., I, K]. */
static double matrix_element(const an_shape *s, const double *data,
                             int64_t plane, bool transposed, int64_t i,
                             int64_t k)
{
    int64_t rows = s->dims[s->rank - 2], columns = s->dims[s->rank - 1];
    data += plane * rows * columns;
    return transposed ? data[k * columns + i] : data[i * columns + k];
}

/* The plane of an operand under plane p of the result, by broadcast. */
static int64_t plane_of(const an_shape *s, const an_shape *out, int64_t p)
{
    int64_t plane = 0, step = 1;
    for (int i = 3; i <= out->rank; i++) {
        int64_t index = p % out->dims[out->rank - i];
        p /= out->dims[out->rank - i];
        if (i > s->rank) continue;
        int64_t d = s->dims[s->rank - i];
        plane += (d == 1 ? 0 : index) * step;
        step *= d;
    }
    return plane;
}

static double product_element(const an_contract *p, const double *const *inputs,
                              int64_t plane, int64_t m, int64_t n)
{
    const an_shape *a = &p->a_shape, *b = &p->b_shape, *out = &p->out_shape;
    int64_t inner = a->dims[a->rank - (p->transpose_a ? 2 : 1)];
    double sum = p->bias < 0 ? 0 : inputs[p->bias][m];
    for (int64_t k = 0; k < inner; k++)
        sum += matrix_element(a, inputs[p->a], plane_of(a, out, plane),
                              p->transpose_a, m, k) *
               matrix_element(b, inputs[p->b], plane_of(b, out, plane),
                              p->transpose_b, k, n);
    return sum;
}

/* Whether the case is a product; if so, that it gives the case's result. */
static bool check_contract(const op_case *c)
{
    an_module *m = NULL;
    an_contract p;
    const double *inputs[MAX_TENSORS];
    assert_int_equal(an_module_new(&m, NULL), AN_OK);
    build_case(m, c, AN_FP64);
    const an_value *out = an_module_function(m, "f")->results[0];
    bool is_product = out->def->op->contract(out->def, &p);
    split_inputs(c, AN_FP64, inputs);
    int64_t rows = is_product ? p.out_shape.dims[p.out_shape.rank - 2] : 1;
    int64_t columns = is_product ? p.out_shape.dims[p.out_shape.rank - 1] : 1;
    int64_t n = is_product ? an_shape_count(&c->out[0]) : 0;
    for (int64_t i = 0; i < n; i++) {
        double came = product_element(&p, inputs, i / (rows * columns),
                                      i / columns % rows, i % columns);
        if (!close_to(came, c->outputs[i], 1e-12))
            fail_msg("%s(%s): product [%lld] is %.17g, expected %.17g", c->op,
                     c->consts, (long long)i, came, c->outputs[i]);
    }
    free_all(c->n_in, inputs);
    an_module_free(m);
    return is_product;
}

static void test_contract(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        const op_case *c = &cases[i];
        const an_op *op = row_of(c);
        if (op->cls != AN_CLASS_CONTRACTION) continue;
        bool matrix = strcmp(c->op, "matmul") == 0 ||
                      (strcmp(c->op, "linear") == 0 && c->n_in == 2);
        bool pointwise =
            strcmp(c->op, "conv") == 0 && !*c->consts &&
            an_shape_count(&c->in[1]) == c->in[1].dims[0] * c->in[1].dims[1];
        assert_int_equal(check_contract(c), matrix || pointwise);
    }
}

/* ---- counts ---- */

static an_cost cost_of(const op_case *c)
{
    an_module *m = NULL;
    an_cost cost;
    assert_int_equal(an_module_new(&m, NULL), AN_OK);
    build_case(m, c, AN_FP16);
    const an_node *node = an_module_function(m, "f")->results[0]->def;
    node->op->cost(node, &cost);
    an_module_free(m);
    return cost;
}

static void test_cost(void **state)
{
    (void)state;
    static const struct {
        op_case c;
        double flops, bytes;
    } known[] = {
        {{"add",
          "x y",
          "",
          2,
          {{AN_FP16, 2, {4, 8}}, {AN_FP16, 1, {8}}},
          NULL,
          1,
          {{0}},
          NULL},
         32,
         2 * (32 + 8 + 32)},
        {{"matmul",
          "x y",
          "transpose_x=true transpose_y=false",
          2,
          {{AN_FP16, 3, {2, 5, 3}}, {AN_FP16, 2, {5, 7}}},
          NULL,
          1,
          {{0}},
          NULL},
         2 * 2 * 3 * 7 * 5,
         2 * (30 + 35 + 42)},
        {{"linear",
          "x weight",
          "",
          2,
          {{AN_FP16, 2, {3, 5}}, {AN_FP16, 2, {7, 5}}},
          NULL,
          1,
          {{0}},
          NULL},
         2 * 3 * 5 * 7,
         2 * (15 + 35 + 21)},
        {{"conv",
          "x weight",
          "groups=2",
          2,
          {{AN_FP16, 4, {1, 4, 1, 6}}, {AN_FP16, 4, {6, 2, 1, 3}}},
          NULL,
          1,
          {{0}},
          NULL},
         2 * (6 * 4) * (2 * 3),
         2 * (24 + 36 + 24)},
        {{"reduce_sum",
          "x",
          "axes=0",
          1,
          {{AN_FP16, 2, {4, 8}}},
          NULL,
          1,
          {{0}},
          NULL},
         32,
         2 * (32 + 8)},
        {{"transpose",
          "x",
          "perm=1,0",
          1,
          {{AN_FP16, 2, {4, 8}}},
          NULL,
          1,
          {{0}},
          NULL},
         0,
         2 * (32 + 32)},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        an_cost cost = cost_of(&known[i].c);
        if (cost.flops != known[i].flops || cost.bytes != known[i].bytes)
            fail_msg("%s: cost is %g flops, %g bytes, expected %g, %g",
                     known[i].c.op, cost.flops, cost.bytes, known[i].flops,
                     known[i].bytes);
    }
}

/* ---- gradients ---- */

/* Names of the float operands. */
static int varied(const an_function *f, const char *wrt[MAX_TENSORS])
{
    int n = 0;
    for (int i = 0; i < f->n_params; i++)
        if (f->params[i]->type->shape.dtype == AN_FP64)
            wrt[n++] = f->params[i]->name;
    return n;
}

static bool is_finite(const op_case *c)
{
    const double *at = c->inputs;
    for (int i = 0; i < c->n_in; i++)
        for (int64_t k = an_shape_count(&c->in[i]); k > 0; k--)
            if (!isfinite(*at++)) return false;
    return true;
}

/* A gradient is asked for at finite operands, of ops that have one; pad has
 * one for constants alone. */
static bool is_differentiable(const op_case *c)
{
    const an_op *op = row_of(c);
    bool other_pad = strstr(c->consts, "mode=reflect") ||
                     strstr(c->consts, "mode=replicate");
    return op->grad && is_finite(c) && !other_pad;
}

/* The error of a case's gradient; fails on errors. -1: nothing to vary. */
static double gradient_error(const op_case *c, const an_module *m,
                             const double *const *inputs, bool defer)
{
    const char *wrt[MAX_TENSORS];
    an_gradient *g = NULL;
    an_error err = {0};
    double worst = -1;
    int n = varied(an_module_function(m, "f"), wrt);
    if (n == 0) return -1;
    an_grad_options options = {.wrt = wrt, .n_wrt = n};
    an_gradient_probe probe = {
        .wrt = wrt, .n_wrt = n, .inputs = inputs, .seed = 7, .directions = 3};
    if (defer) {
        options.deferred = wrt;
        options.n_deferred = n;
    }
    if (an_grad(m, "f", &options, &g, &err) != AN_OK ||
        an_gradient_error(m, "f", g, &probe, &worst, &err) != AN_OK)
        fail_msg("%s(%s): %s", c->op, c->consts, err.text);
    an_gradient_free(g);
    return worst;
}

static void check_gradient(const op_case *c, bool defer)
{
    an_module *m = NULL;
    const double *inputs[MAX_TENSORS];
    assert_int_equal(an_module_new(&m, NULL), AN_OK);
    build_case(m, c, AN_FP64);
    if (an_module_function(m, "f")->results[0]->type->shape.dtype == AN_FP64) {
        split_inputs(c, AN_FP64, inputs);
        double worst = gradient_error(c, m, inputs, defer);
        if (!(worst < 1e-6))
            fail_msg("%s(%s): gradient is off by %g", c->op, c->consts, worst);
        free_all(c->n_in, inputs);
    }
    an_module_free(m);
}

static void test_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++)
        if (is_differentiable(&cases[i])) check_gradient(&cases[i], false);
}

/* Contractions whose operands may all stay products. */
static void test_deferred(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        const op_case *c = &cases[i];
        if (strcmp(c->op, "matmul") == 0 || strcmp(c->op, "linear") == 0)
            check_gradient(c, true);
    }
}

/* dx = dy (1 - y): tanh's gradient with the square forgotten. */
static void spoiled(an_vjp *v)
{
    an_value *y = v->get(v, v->node->results[0]);
    an_value *one = an_build_float(v->b, AN_FP64, 1);
    an_value *slope =
        an_build(v->b, "sub", NULL, AN_ARGS({"x", one}, {"y", y}));
    v->add(v, an_node_value(v->node, "x"),
           an_build(v->b, "mul", NULL, AN_ARGS({"x", v->dy[0]}, {"y", slope})));
}

static void test_spoiled(void **state)
{
    (void)state;
    const double x[] = {-1, 0.25, 0.5}, *inputs[] = {x};
    const op_case c = {.op = "tanh",
                       .params = "x",
                       .consts = "",
                       .n_in = 1,
                       .in = {AN_TENSOR(AN_FP64, 3)},
                       .n_out = 1};
    an_op row = *an_op_find("tanh", 4, 18);
    an_module *m = NULL;
    row.grad = spoiled;
    assert_int_equal(an_module_new(&m, NULL), AN_OK);
    build_case(m, &c, AN_FP64);
    assert_true(gradient_error(&c, m, inputs, false) < 1e-6);
    an_module_function(m, "f")->nodes[0]->op = &row;
    assert_true(gradient_error(&c, m, inputs, false) > 1e-2);
    an_module_free(m);
}

/* ---- what cases with one op do not reach ---- */

typedef an_value *build_fn(an_builder *b, an_value *x, an_value *y);

static void check_built(build_fn *build)
{
    const double x[] = {0.5, -1.25, 2, 0.75, -0.5, 1.5};
    const double y[] = {1.5, 0.25, -0.75, 2, 1, -1.75};
    const double *inputs[] = {x, y};
    const op_case c = {.op = "several", .consts = ""};
    an_module *m = NULL;
    an_builder *b = NULL;
    an_error err = {0};
    assert_int_equal(an_module_new(&m, NULL), AN_OK);
    assert_int_equal(an_build_begin(m, "f", 18, &b, NULL), AN_OK);
    an_value *px = an_build_param(b, "x", AN_TENSOR(AN_FP64, 2, 3));
    an_value *py = an_build_param(b, "y", AN_TENSOR(AN_FP64, 2, 3));
    an_build_result(b, build(b, px, py));
    if (an_build_end(b, &err) != AN_OK) fail_msg("%s", err.text);
    double worst = gradient_error(&c, m, inputs, false);
    if (!(worst < 1e-6)) fail_msg("gradient is off by %g", worst);
    an_module_free(m);
}

static an_value *binary(an_builder *b, const char *op, an_value *x, an_value *y)
{
    return an_build(b, op, NULL, AN_ARGS({"x", x}, {"y", y}));
}

/* Both operands the same value; the other parameter unused. */
static an_value *square_by_mul(an_builder *b, an_value *x, an_value *y)
{
    return binary(b, "add", binary(b, "mul", x, x), y);
}

/* One result of a split is not used. */
static an_value *half_of_split(an_builder *b, an_value *x, an_value *y)
{
    an_value *parts[3] = {NULL};
    an_build_n(b, "split", NULL,
               AN_ARGS({"x", binary(b, "mul", x, y)},
                       {"num_splits", an_build_int(b, 3)},
                       {"axis", an_build_int(b, 1)}),
               parts, 3);
    return parts[1];
}

/* An exponent that is a constant tensor of equal shape. */
static an_value *tensor_power(an_builder *b, an_value *x, an_value *y)
{
    const double p[] = {2, 3, 0.5};
    an_value *power = an_build_const(b, NULL, AN_TENSOR(AN_FP64, 3), p);
    an_value *base = binary(b, "mul", x, x);
    return binary(b, "mul", binary(b, "pow", base, power), y);
}

/* A maximum reached twice in a row: the adjoint is shared. */
static an_value *tied_maximum(an_builder *b, an_value *x, an_value *y)
{
    an_value *values[] = {x, x};
    an_value *twice = an_build(
        b, "concat", NULL,
        AN_ARGS({"values", NULL, values, 2}, {"axis", an_build_int(b, 1)}));
    an_value *max = an_build(b, "reduce_max", NULL,
                             AN_ARGS({"x", twice}, {"axes", AN_INTS(b, 1)},
                                     {"keep_dims", an_build_bool(b, true)}));
    return binary(b, "mul", max, y);
}

static void test_several(void **state)
{
    (void)state;
    check_built(square_by_mul);
    check_built(half_of_split);
    check_built(tensor_power);
    check_built(tied_maximum);
}

static void test_pad_without_gradient(void **state)
{
    (void)state;
    const op_case c = {.op = "pad",
                       .params = "x",
                       .consts = "pad=1,1 mode=reflect",
                       .n_in = 1,
                       .in = {AN_TENSOR(AN_FP64, 3)},
                       .n_out = 1};
    const char *wrt[] = {"x"};
    an_module *m = NULL;
    an_gradient *g = NULL;
    an_error err = {0};
    assert_int_equal(an_module_new(&m, NULL), AN_OK);
    build_case(m, &c, AN_FP64);
    an_grad_options options = {.wrt = wrt, .n_wrt = 1};
    assert_int_equal(an_grad(m, "f", &options, &g, &err), AN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "pad: only mode constant"));
    an_module_free(m);
}

/* ---- without memory ---- */

typedef struct sweep {
    const op_case *c;
    const an_module *m;
    const double *const *inputs;
} sweep;

static an_status evaluate_once(void *ctx, an_error *err)
{
    const sweep *s = ctx;
    double *out[MAX_TENSORS] = {NULL};
    an_status status = an_eval_function(an_module_function(s->m, "f"),
                                        &an_num_ieee, s->inputs, out, err);
    for (int r = 0; r < s->c->n_out; r++)
        an_free(out[r]);
    return status;
}

static an_status differentiate_once(void *ctx, an_error *err)
{
    const sweep *s = ctx;
    const char *wrt[MAX_TENSORS];
    an_gradient *g = NULL;
    double worst;
    int n = varied(an_module_function(s->m, "f"), wrt);
    an_grad_options options = {.wrt = wrt, .n_wrt = n};
    an_gradient_probe probe = {.wrt = wrt,
                               .n_wrt = n,
                               .inputs = s->inputs,
                               .seed = 7,
                               .directions = 1};
    an_status status = an_grad(s->m, "f", &options, &g, err);
    if (status == AN_OK)
        status = an_gradient_error(s->m, "f", g, &probe, &worst, err);
    an_gradient_free(g);
    return status;
}

/* Every op's kernel and gradient, with each allocation failing in turn. */
static void check_memory(const op_case *c)
{
    an_module *m = NULL;
    const double *inputs[MAX_TENSORS];
    assert_int_equal(an_module_new(&m, NULL), AN_OK);
    build_case(m, c, AN_FP64);
    split_inputs(c, AN_FP64, inputs);
    sweep s = {c, m, inputs};
    if (alloc_sweep(evaluate_once, &s) <= 0)
        fail_msg("%s(%s): kernel", c->op, c->consts);
    if (is_differentiable(c) && alloc_sweep(differentiate_once, &s) <= 0)
        fail_msg("%s(%s): gradient", c->op, c->consts);
    free_all(c->n_in, inputs);
    an_module_free(m);
}

static void test_memory(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) /* one case an op */
        if (i == 0 || strcmp(cases[i].op, cases[i - 1].op) != 0)
            check_memory(&cases[i]);
}

/* ---- the table ---- */

static const op_case *case_of(const an_op *op, bool gradient)
{
    for (int i = 0; i < N_CASES; i++)
        if (row_of(&cases[i]) == op &&
            (!gradient || is_differentiable(&cases[i])))
            return &cases[i];
    return NULL;
}

static bool has_class_fields(const an_op *op)
{
    switch (op->cls) {
    case AN_CLASS_UNARY:
    case AN_CLASS_BINARY:
        return op->scalar != AN_SCALAR_NONE;
    case AN_CLASS_VIEW:
        return op->view != NULL;
    case AN_CLASS_CONTRACTION:
        return op->contract != NULL;
    case AN_CLASS_REDUCTION:
        return op->reduce != AN_REDUCE_NONE;
    case AN_CLASS_CONST:
    case AN_CLASS_OTHER:
        break;
    }
    return true;
}

static int count_params(const an_op *op, const char *kinds)
{
    int n = 0;
    an_param p;
    for (int i = 0; an_op_param(op, i, &p); i++)
        if (strchr(kinds, p.kind)) n++;
    return n;
}

static void check_row(const an_op *op)
{
    if (!op->shape) fail_msg("%s: no shape rule", op->name);
    if (op->since < 15 || op->since > 18)
        fail_msg("%s: since is %d", op->name, op->since);
    if (count_params(op, "tcvdiIbBfsnxlu") != an_op_n_params(op))
        fail_msg("%s: a parameter has an unknown kind", op->name);
    if (!has_class_fields(op))
        fail_msg("%s: its class has fields that are not set", op->name);
    if (op->scalar != AN_SCALAR_NONE &&
        an_scalar_operands(op->scalar) != count_params(op, "tcf"))
        fail_msg("%s: parameters do not match the scalar function", op->name);
    if (an_op_find(op->name, strlen(op->name), 18) == NULL)
        fail_msg("%s: not found by name", op->name);
    if (!op->kernel) return; /* known, not core */
    if (!op->cost) fail_msg("%s: no cost", op->name);
    if (!op->grad == !op->no_grad)
        fail_msg("%s: expected a gradient or the reason why none", op->name);
    if (!case_of(op, false)) fail_msg("%s: no case for its kernel", op->name);
    if (op->grad && !case_of(op, true))
        fail_msg("%s: no case for its gradient", op->name);
}

static void test_table(void **state)
{
    (void)state;
    for (int i = 0; i < AN_OP_COUNT; i++)
        check_row(an_ops[i]);
    assert_null(an_op_find("nonsense", 8, 18));
    assert_ptr_equal(an_op_find("addx", 3, 15), an_ops[AN_OP_add]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_ieee),
        cmocka_unit_test(test_contract),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_spoiled),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_pad_without_gradient),
    };
    return cmocka_run_group_tests_name("ops", tests, NULL, NULL);
}
