/*
 * Differentiation: what is kept, what is computed again, what is deferred,
 * what the functions and their ports are called, and what is refused.
 */
#include "alloc_fail.h"
#include "anemone/grad.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "describe.h"
#include "grad/check.h"
#include "ops/eval.h"

#include <math.h>

#define KEPT(...) ((const char *const[]){__VA_ARGS__})
/* Of the first two fields of an_grad_options. */
#define LIST(...)                                                              \
    .wrt = KEPT(__VA_ARGS__), .n_wrt = sizeof KEPT(__VA_ARGS__) / sizeof(char *)

static an_gradient *gradient(const an_module *m, const an_grad_options *o)
{
    an_gradient *g = NULL;
    an_error err = {0};
    if (an_grad(m, "f", o, &g, &err) != AN_OK) fail_msg("%s", err.text);
    assert_int_equal(an_mil_verify(g->module, "grad", &err), AN_OK);
    return g;
}

static void expect_forward(const an_gradient *g, const char *want)
{
    expect_function(an_module_function(g->module, "forward"), want);
}

static void expect_backward(const an_gradient *g, const char *want)
{
    expect_function(an_module_function(g->module, "backward"), want);
}

/* By central differences at random inputs. */
static void expect_right(const an_module *m, const an_gradient *g,
                         const char *const *wrt, int n_wrt)
{
    const an_function *f = an_module_function(m, "f");
    double *inputs[8];
    an_rng rng = {.seed = 4};
    an_error err = {0};
    double worst = 1;
    assert_true(f->n_params <= 8);
    for (int i = 0; i < f->n_params; i++) {
        int64_t n = an_shape_count(&f->params[i]->type->shape);
        inputs[i] = an_alloc_array((size_t)n, sizeof(double));
        for (int64_t k = 0; k < n; k++)
            inputs[i][k] = an_rng_normal(&rng);
    }
    const an_gradient_probe probe = {.wrt = wrt,
                                     .n_wrt = n_wrt,
                                     .inputs = (const double *const *)inputs,
                                     .seed = 9,
                                     .directions = 3};
    if (an_gradient_error(m, "f", g, &probe, &worst, &err) != AN_OK)
        fail_msg("%s", err.text);
    for (int i = 0; i < f->n_params; i++)
        an_free(inputs[i]);
    if (!(worst < 1e-6)) fail_msg("relative error %g", worst);
}

static void free_both(an_module *m, an_gradient *g)
{
    an_gradient_free(g);
    an_module_free(m);
}

/* ---- taps ---- */

/* x w, e^(x w), and a sum: exp needs its result, add nothing, mul its
 * operands. */
static an_module *chain(void)
{
    sketch k = sketch_begin();
    an_value *w = an_build_param(k.b, "w", AN_TENSOR(AN_FP64, 2, 3));
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 3));
    an_value *a = sketch_name(&k, an_emit_binary(k.b, "mul", x, w), "a");
    an_value *e = sketch_name(&k, an_emit_unary(k.b, "exp", a), "e");
    an_value *y = an_emit_binary(k.b, "add", e, x);
    return sketch_end(&k, sketch_name(&k, y, "y"));
}

/* Of three values that may be kept one is read; the others are no results. */
static void test_taps(void **state)
{
    (void)state;
    an_module *m = chain();
    an_grad_options o = {LIST("w", "x"), .taps = KEPT("a", "e", "y"),
                         .n_taps = 3};
    an_gradient *g = gradient(m, &o);
    assert_int_equal(g->n_taps, 1);
    assert_string_equal(g->taps[0], "e");
    assert_int_equal(g->n_contractions, 0);
    expect_forward(g, "forward(w, x) -> (y, e)\n"
                      "mul(x, w) -> a\n"
                      "exp(a) -> e\n"
                      "add(e, x) -> y\n");
    expect_backward(g, "backward(d_y, e, w, x) -> (d_w, d_x)\n"
                       "mul(d_y, e) -> d_a\n"
                       "mul(d_a, w) -> b_mul\n"
                       "mul(d_a, x) -> d_w\n"
                       "add(d_y, b_mul) -> d_x\n");
    expect_right(m, g, o.wrt, o.n_wrt);
    free_both(m, g);
}

/* Nothing may be kept: the backward function computes again what it reads. */
static void test_no_taps(void **state)
{
    (void)state;
    an_module *m = chain();
    an_grad_options o = {LIST("w", "x"), .taps = KEPT(""), .n_taps = 0};
    an_gradient *g = gradient(m, &o);
    assert_int_equal(g->n_taps, 0);
    expect_forward(g, "forward(w, x) -> (y)\n"
                      "mul(x, w) -> a\n"
                      "exp(a) -> e\n"
                      "add(e, x) -> y\n");
    expect_backward(g, "backward(d_y, w, x) -> (d_w, d_x)\n"
                       "mul(x, w) -> a\n"
                       "exp(a) -> e\n"
                       "mul(d_y, e) -> d_a\n"
                       "mul(d_a, w) -> b_mul\n"
                       "mul(d_a, x) -> d_w\n"
                       "add(d_y, b_mul) -> d_x\n");
    expect_right(m, g, o.wrt, o.n_wrt);
    free_both(m, g);
}

/* Without a list: contractions are kept, element-wise results are not. */
static void test_default_taps(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *w = an_build_param(k.b, "w", AN_TENSOR(AN_FP64, 3, 3));
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 3, 3));
    an_value *p = an_emit_matmul(k.b, w, x, false, false);
    p = sketch_name(&k, p, "p");
    an_value *e = sketch_name(&k, an_emit_unary(k.b, "exp", p), "e");
    an_value *y = sketch_name(&k, an_emit_binary(k.b, "mul", e, e), "y");
    an_module *m = sketch_end(&k, y);
    an_grad_options o = {LIST("w", "x")};
    an_gradient *g = gradient(m, &o);
    assert_int_equal(g->n_taps, 1);
    assert_string_equal(g->taps[0], "p");
    expect_right(m, g, o.wrt, o.n_wrt);
    free_both(m, g);
}

/* What forward returns already is no tap, though backward reads it. */
static void test_result_is_no_tap(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 3));
    an_value *e = sketch_name(&k, an_emit_unary(k.b, "exp", x), "e");
    an_build_result(k.b, e);
    an_value *y = sketch_name(&k, an_emit_unary(k.b, "tanh", e), "y");
    an_module *m = sketch_end(&k, y);
    an_grad_options o = {LIST("x"), .taps = KEPT("e", "y"), .n_taps = 2};
    an_gradient *g = gradient(m, &o);
    assert_int_equal(g->n_taps, 0);
    expect_forward(g, "forward(x) -> (e, y)\n"
                      "exp(x) -> e\n"
                      "tanh(e) -> y\n");
    expect_backward(g, "backward(d_e, d_y, y, e) -> (d_x)\n"
                       "square(y) -> b_square\n"
                       "sub(1, b_square) -> b_sub\n"
                       "mul(d_y, b_sub) -> b_mul\n"
                       "add(d_e, b_mul) -> d_e_1\n"
                       "mul(d_e_1, e) -> d_x\n");
    expect_right(m, g, o.wrt, o.n_wrt);
    free_both(m, g);
}

/* ---- stops ---- */

/* x exp(x) with exp(x) a constant: dx = d exp(x). */
static void test_stops(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 3));
    an_value *e = sketch_name(&k, an_emit_unary(k.b, "exp", x), "e");
    an_value *y = sketch_name(&k, an_emit_binary(k.b, "mul", x, e), "y");
    an_module *m = sketch_end(&k, y);
    an_grad_options o = {LIST("x"), .stops = KEPT("e"), .n_stops = 1};
    an_gradient *g = gradient(m, &o);
    expect_backward(g, "backward(d_y, x) -> (d_x)\n"
                       "exp(x) -> e\n"
                       "mul(d_y, e) -> d_x\n");
    an_gradient_free(g);
    o.n_stops = 0;
    g = gradient(m, &o);
    expect_right(m, g, o.wrt, o.n_wrt);
    free_both(m, g);
}

/* ---- deferred contractions ---- */

/* y = product(W, x) or product(x, W), each stored so or transposed; x and y
 * [1, C, 1, N] around a reshape. */
static an_module *product(bool w_first, bool transpose_x, bool transpose_y)
{
    sketch k = sketch_begin();
    int64_t a = transpose_x ? 4 : 3, b = 7 - a, c = transpose_y ? 5 : 4,
            d = 9 - c;
    int64_t rows = w_first ? c : a, columns = w_first ? d : b;
    an_value *w = an_build_param(k.b, "w",
                                 w_first ? AN_TENSOR(AN_FP64, 1, 1, a, b)
                                         : AN_TENSOR(AN_FP64, 1, 1, c, d));
    an_value *x =
        an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 1, rows, 1, columns));
    an_value *flat =
        an_emit_reshape(k.b, x, 4, (const int64_t[]){1, 1, rows, columns});
    an_value *p = an_emit_matmul(k.b, w_first ? w : flat, w_first ? flat : w,
                                 transpose_x, transpose_y);
    an_value *y = an_emit_reshape(k.b, p, 4, (const int64_t[]){1, 3, 1, 5});
    return sketch_end(&k, sketch_name(&k, y, "y"));
}

static void expect_contraction(const an_gradient *g, int i, const char *want)
{
    char text[128];
    assert_true(i < g->n_contractions);
    const an_contraction *c = &g->contractions[i];
    snprintf(text, sizeof text, "%s: %s%s %s%s", c->param, c->left,
             c->transpose_left ? "^T" : "", c->right,
             c->transpose_right ? "^T" : "");
    assert_string_equal(text, want);
}

/* With A and B as stored: dA = D B^T, dB = A^T D, and their transposes. */
static void test_contractions(void **state)
{
    (void)state;
    static const char *const want[] = {
        /* x W      x W^T         x^T W       x^T W^T */
        "w: x^T d_y", "w: d_y^T x", "w: x d_y", "w: d_y^T x^T",
        /* W x      W x^T         W^T x       W^T x^T */
        "w: d_y x^T", "w: d_y x", "w: x d_y^T", "w: x^T d_y^T"};
    for (int i = 0; i < 8; i++) {
        an_module *m = product(i & 4, i & 2, i & 1);
        an_grad_options o = {LIST("w", "x"), .deferred = KEPT("w"),
                             .n_deferred = 1};
        an_gradient *g = gradient(m, &o);
        assert_int_equal(g->n_contractions, 1);
        expect_contraction(g, 0, want[i]);
        assert_int_equal(g->n_taps, 0); /* x is a parameter */
        assert_null(an_function_value(an_module_function(g->module, "backward"),
                                      "d_w"));
        expect_right(m, g, o.wrt, o.n_wrt);
        free_both(m, g);
    }
}

/* An operand that is computed is a tap; the adjoint a result. */
static void test_operands_are_ports(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *w = an_build_param(k.b, "w", AN_TENSOR(AN_FP64, 3, 4));
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 10));
    an_value *e = sketch_name(&k, an_emit_unary(k.b, "exp", x), "e");
    /* changes the last axis: no reshape to look through */
    an_value *r = an_emit_reshape(k.b, e, 2, (const int64_t[]){4, 5});
    r = sketch_name(&k, r, "r");
    an_value *p = an_emit_matmul(k.b, w, r, false, false);
    p = sketch_name(&k, p, "p");
    an_value *y = sketch_name(&k, an_emit_unary(k.b, "tanh", p), "y");
    an_module *m = sketch_end(&k, y);
    an_grad_options o = {LIST("w"), .deferred = KEPT("w"), .n_deferred = 1,
                         .taps = KEPT("y", "r"), .n_taps = 2};
    an_gradient *g = gradient(m, &o);
    expect_contraction(g, 0, "w: d_p r^T");
    expect_forward(g, "forward(w, x) -> (y, r)\n"
                      "exp(x) -> e\n"
                      "reshape(e) -> r\n"
                      "matmul(w, r) -> p\n"
                      "tanh(p) -> y\n");
    expect_backward(g, "backward(d_y, y) -> (d_p)\n"
                       "square(y) -> b_square\n"
                       "sub(1, b_square) -> b_sub\n"
                       "mul(d_y, b_sub) -> d_p\n");
    expect_right(m, g, o.wrt, o.n_wrt);
    free_both(m, g);
}

/* Used in two products and once element by element: three contributions, one
 * of them a result. */
static void test_weight_used_thrice(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *w = an_build_param(k.b, "w", AN_TENSOR(AN_FP64, 3, 3));
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 3, 3));
    an_value *p = an_emit_matmul(k.b, w, x, false, false);
    an_value *q = an_emit_matmul(k.b, p, w, false, true);
    an_value *y = an_emit_binary(k.b, "mul", q, w);
    an_module *m = sketch_end(&k, sketch_name(&k, y, "y"));
    an_grad_options o = {LIST("w", "x"), .deferred = KEPT("w"),
                         .n_deferred = 1};
    an_gradient *g = gradient(m, &o);
    assert_int_equal(g->n_contractions, 2);
    assert_non_null(
        an_function_value(an_module_function(g->module, "backward"), "d_w"));
    expect_right(m, g, o.wrt, o.n_wrt);
    free_both(m, g);
}

/* Several matrices at once are no contraction: the gradient is a result. */
static void test_batch_is_not_deferred(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *w = an_build_param(k.b, "w", AN_TENSOR(AN_FP64, 1, 3, 4));
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 4, 5));
    an_value *y = an_emit_matmul(k.b, w, x, false, false);
    an_module *m = sketch_end(&k, sketch_name(&k, y, "y"));
    an_grad_options o = {LIST("w", "x"), .deferred = KEPT("w"),
                         .n_deferred = 1};
    an_gradient *g = gradient(m, &o);
    assert_int_equal(g->n_contractions, 0);
    expect_right(m, g, o.wrt, o.n_wrt);
    free_both(m, g);
}

/* ---- parts ---- */

/* exp, tanh, square of three slices of x [6]; `begins` in the order in which
 * they are taken, two elements each. */
static an_module *slices(const int64_t begins[3])
{
    static const char *const ops[] = {"exp", "tanh", "square"};
    sketch k = sketch_begin();
    an_value *parts[3];
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 6));
    for (int i = 0; i < 3; i++) {
        const int64_t begin[] = {0, begins[i]}, size[] = {2, 2};
        parts[i] = an_emit_slice(k.b, x, begin, size);
        parts[i] = an_emit_unary(k.b, ops[i], parts[i]);
    }
    an_value *y = an_emit_concat(k.b, 3, parts, 1);
    return sketch_end(&k, sketch_name(&k, y, "y"));
}

static int count_ops(const an_gradient *g, const char *op)
{
    const an_function *f = an_module_function(g->module, "backward");
    int n = 0;
    for (int i = 0; i < f->n_nodes; i++)
        n += strcmp(f->nodes[i]->op->name, op) == 0;
    return n;
}

/* Parts that tile x are joined, in the order of their place; a gap or an
 * overlap is padded with zeros and summed. */
static void test_parts(void **state)
{
    (void)state;
    static const struct {
        int64_t begins[3];
        int n_concat, n_pad;
    } cases[] = {{{0, 2, 4}, 1, 0},
                 {{4, 0, 2}, 1, 0},
                 {{0, 1, 4}, 0, 3},
                 {{1, 2, 4}, 0, 3},
                 {{0, 2, 2}, 0, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        an_module *m = slices(cases[i].begins);
        an_grad_options o = {LIST("x")};
        an_gradient *g = gradient(m, &o);
        assert_int_equal(count_ops(g, "concat"), cases[i].n_concat);
        assert_int_equal(count_ops(g, "pad"), cases[i].n_pad);
        expect_right(m, g, o.wrt, o.n_wrt);
        free_both(m, g);
    }
}

/* ---- results ---- */

static void test_unused_is_zero(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 3));
    an_build_param(k.b, "z", AN_TENSOR(AN_FP64, 4, 2));
    an_value *y = sketch_name(&k, an_emit_unary(k.b, "exp", x), "y");
    an_module *m = sketch_end(&k, y);
    an_grad_options o = {LIST("z", "x")};
    an_gradient *g = gradient(m, &o);
    const an_function *f = an_module_function(g->module, "backward");
    double data[3][8] = {{1, 2, 3, 4, 5, 6, 7, 8}}, *out[2] = {NULL, NULL};
    const double *in[3] = {data[0], data[0], data[0]};
    assert_true(f->n_params <= 3);
    assert_int_equal(f->n_results, 2);
    assert_string_equal(f->results[0]->name, "d_z");
    assert_string_equal(f->results[1]->name, "d_x");
    assert_int_equal(an_eval_function(f, &an_num_exact, in, out, NULL), AN_OK);
    for (int i = 0; i < 8; i++)
        assert_true(out[0][i] == 0);
    an_free(out[0]);
    an_free(out[1]);
    expect_right(m, g, o.wrt, o.n_wrt);
    free_both(m, g);
}

/* One adjoint for two parameters, and a result that is a parameter: each
 * d_<p> is a value of its own. */
static void test_shared_adjoint(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 3));
    an_value *z = an_build_param(k.b, "z", AN_TENSOR(AN_FP64, 2, 3));
    an_value *y = an_emit_binary(k.b, "add", x, z);
    an_module *m = sketch_end(&k, sketch_name(&k, y, "y"));
    an_grad_options o = {LIST("x", "z")};
    an_gradient *g = gradient(m, &o);
    expect_backward(g, "backward(d_y) -> (d_x, d_z)\n"
                       "mul(d_y, 1) -> d_x\n"
                       "mul(d_y, 1) -> d_z\n");
    expect_right(m, g, o.wrt, o.n_wrt);
    free_both(m, g);
}

/* Values read several times: contributions add up. */
static void test_fan_out(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 3));
    an_value *y = x;
    for (int i = 0; i < 3; i++)
        y = an_emit_binary(k.b, "mul", an_emit_binary(k.b, "add", y, x), x);
    an_module *m = sketch_end(&k, sketch_name(&k, y, "y"));
    an_grad_options o = {LIST("x")};
    an_gradient *g = gradient(m, &o);
    expect_right(m, g, o.wrt, o.n_wrt);
    free_both(m, g);
}

/* ---- refusals ---- */

static void expect_refused(const an_module *m, const char *function,
                           const an_grad_options *o, an_status code,
                           const char *text)
{
    an_gradient *g = NULL;
    an_error err = {0};
    assert_int_equal(an_grad(m, function, o, &g, &err), code);
    assert_string_equal(err.text, text);
    assert_null(g);
}

static an_module *parse(const char *text)
{
    an_module *m = NULL;
    an_error err = {0};
    if (an_mil_parse(text, strlen(text), "case", &m, &err) != AN_OK)
        fail_msg("%s", err.text);
    return m;
}

static void test_no_gradient(void **state)
{
    (void)state;
    an_module *m =
        parse("program(1.3)\n[]\n{\n"
              "func f<ios18>(tensor<fp64, [2, 3]> x) {\n"
              "  tensor<fp64, [2, 3]> a = exp(x = x)[name = string(\"a\")];\n"
              "    tensor<fp64, [2, 3]> y = floor(x = a)[name = "
              "string(\"y\")];\n"
              "} -> (y);\n}\n");
    expect_refused(m, "f", &(an_grad_options){LIST("x")}, AN_EUNSUPPORTED,
                   "6:30: floor: has no gradient: it is piecewise constant: "
                   "its derivative is 0 wherever there is one");
    an_module_free(m);
}

static void test_names(void **state)
{
    (void)state;
    an_module *m = chain();
    expect_refused(m, "g", &(an_grad_options){LIST("x")}, AN_EINVAL,
                   "no function 'g'");
    expect_refused(m, "f", &(an_grad_options){LIST("x", "v")}, AN_EINVAL,
                   "f: no parameter is called 'v'");
    expect_refused(m, "f", &(an_grad_options){LIST("e")}, AN_EINVAL,
                   "f: no parameter is called 'e'");
    an_module_free(m);
}

/* Ports are bound by name: an adjoint's name may not be another's. */
static void test_taken_name(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 3));
    an_value *d = an_build_param(k.b, "d_y", AN_TENSOR(AN_FP64, 2, 3));
    an_value *y = an_emit_binary(k.b, "mul", x, d);
    an_module *m = sketch_end(&k, sketch_name(&k, y, "y"));
    expect_refused(
        m, "f", &(an_grad_options){LIST("x", "d_y")}, AN_EINVAL,
        "gradient: the name 'd_y' is taken in the backward function");
    an_module_free(m);
}

/* A parameter that is a result has its adjoint's name for its own: then no
 * other value can be returned under it. */
static void test_result_is_parameter(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 3));
    an_value *y = sketch_name(&k, an_emit_unary(k.b, "exp", x), "y");
    an_build_result(k.b, y);
    an_module *m = sketch_end(&k, x);
    expect_refused(
        m, "f", &(an_grad_options){LIST("x")}, AN_EINVAL,
        "gradient: the name 'd_x' is taken in the backward function");
    an_module_free(m);
}

static an_status differentiate_once(void *ctx, an_error *err)
{
    an_gradient *g = NULL;
    an_grad_options o = {LIST("w", "x"), .deferred = KEPT("w"),
                         .n_deferred = 1};
    an_status s = an_grad(ctx, "f", &o, &g, err);
    an_gradient_free(g);
    return s;
}

static void test_without_memory(void **state)
{
    (void)state;
    an_module *m = product(true, false, false);
    assert_true(alloc_sweep(differentiate_once, m) > 0);
    an_module_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taps),
        cmocka_unit_test(test_no_taps),
        cmocka_unit_test(test_default_taps),
        cmocka_unit_test(test_result_is_no_tap),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_contractions),
        cmocka_unit_test(test_operands_are_ports),
        cmocka_unit_test(test_weight_used_thrice),
        cmocka_unit_test(test_batch_is_not_deferred),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_unused_is_zero),
        cmocka_unit_test(test_shared_adjoint),
        cmocka_unit_test(test_fan_out),
        cmocka_unit_test(test_no_gradient),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_taken_name),
        cmocka_unit_test(test_result_is_parameter),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
