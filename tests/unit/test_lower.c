/*
 * Lowering: for each pass what becomes of something and what stays, and that
 * every text that leaves is MIL.
 */
#include "lower/lower.h"

#include "alloc_fail.h"
#include "anemone/model.h"
#include "base/file.h"
#include "describe.h"

#include <stdlib.h>
#include <unistd.h> /* macOS declares mkdtemp here */

static void must(an_status s, const an_error *err)
{
    if (s != AN_OK) fail_msg("%s", err->text);
}

/* Runs a pass; the module holds the function "out". */
static an_module *run_pass(an_pass_fn *pass, const an_module *m, int columns)
{
    an_error err = {0};
    an_module *into = NULL;
    must(an_module_new(&into, &err), &err);
    must(pass(m->functions[0], into, "out",
              &(an_lower_options){.columns = columns}, &err),
         &err);
    must(an_mil_verify(into, "pass", &err), &err);
    return into;
}

static const an_shape *shape_of(const an_module *m, const char *name)
{
    const an_value *v = an_function_value(m->functions[0], name);
    if (!v) fail_msg("no value %s", name);
    return &v->type->shape;
}

static void expect_shape(const an_module *m, const char *name, an_shape want)
{
    char a[96], b[96];
    assert_string_equal(an_shape_text(shape_of(m, name), a, sizeof a),
                        an_shape_text(&want, b, sizeof b));
}

/* ---- pad_ports ---- */

/* y = exp(x w), x and y [1, 3, 1, columns]; w [3, 1] or a scalar. */
static an_module *product(int64_t columns, bool scalar)
{
    sketch k = sketch_begin();
    an_value *w = an_build_param(
        k.b, "w", scalar ? AN_SCALAR(AN_FP16) : AN_TENSOR(AN_FP16, 1, 3, 1, 1));
    an_value *x =
        an_build_param(k.b, "x", AN_TENSOR(AN_FP16, 1, 3, 1, columns));
    an_value *p = sketch_name(&k, an_emit_binary(k.b, "mul", x, w), "p");
    an_value *y = sketch_name(&k, an_emit_unary(k.b, "exp", p), "y");
    return sketch_end(&k, y);
}

static void test_pad_ports(void **state)
{
    (void)state;
    an_module *m = product(20, false);
    an_module *wide = run_pass(an_pass_pad_ports, m, 32);
    expect_function(wide->functions[0],
                    "out(w, x) -> (y)\n"
                    "slice_by_size(w) -> slice_by_size\n"
                    "slice_by_size(x) -> slice_by_size_1\n"
                    "mul(slice_by_size_1, slice_by_size) -> p\n"
                    "exp(p) -> narrow\n"
                    "pad(narrow) -> y\n");
    expect_shape(wide, "w", AN_TENSOR(AN_FP16, 1, 3, 1, 32));
    expect_shape(wide, "x", AN_TENSOR(AN_FP16, 1, 3, 1, 32));
    expect_shape(wide, "p", AN_TENSOR(AN_FP16, 1, 3, 1, 20));
    expect_shape(wide, "y", AN_TENSOR(AN_FP16, 1, 3, 1, 32));
    an_module_free(wide);
    an_module_free(m);
}

static void test_wide_ports_stay(void **state)
{
    (void)state;
    static const char same[] = "out(w, x) -> (y)\n"
                               "mul(x, w) -> p\n"
                               "exp(p) -> y\n";
    an_module *m = product(64, true);
    an_module *out = run_pass(an_pass_pad_ports, m, 32);
    expect_function(out->functions[0], same);
    expect_shape(out, "w", AN_SCALAR(AN_FP16));
    an_module_free(out);
    an_module_free(m);
    m = product(20, false);
    out = run_pass(an_pass_pad_ports, m, 1);
    expect_function(out->functions[0], same);
    an_module_free(out);
    an_module_free(m);
}

/* Only results are padded, and a result that is read goes on unpadded. */
static void test_result_that_is_read(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP16, 1, 32));
    an_value *a = an_emit_slice(k.b, x, (const int64_t[]){0, 5},
                                (const int64_t[]){1, 20});
    a = sketch_name(&k, a, "a");
    an_build_result(k.b, a);
    an_value *y = sketch_name(&k, an_emit_unary(k.b, "exp", a), "y");
    an_module *m = sketch_end(&k, y);
    an_module *out = run_pass(an_pass_pad_ports, m, 32);
    expect_function(out->functions[0], "out(x) -> (a, y)\n"
                                       "slice_by_size(x) -> narrow\n"
                                       "exp(narrow) -> narrow_1\n"
                                       "pad(narrow) -> a\n"
                                       "pad(narrow_1) -> y\n");
    an_module_free(out);
    an_module_free(m);
}

static void test_input_and_output_at_once(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP16, 1, 32));
    an_module *m = sketch_end(&k, x);
    an_module *into = NULL;
    an_error err = {0};
    must(an_module_new(&into, &err), &err);
    assert_int_equal(an_pass_pad_ports(m->functions[0], into, "out",
                                       &(an_lower_options){.columns = 64},
                                       &err),
                     AN_EUNSUPPORTED);
    assert_string_equal(err.text, "pad ports: 'x' is input and output at once");
    an_module_free(into);
    an_module_free(m);
}

/* ---- fold ---- */

static void expect_constant(const an_module *m, const char *name, int n,
                            const double *want)
{
    const an_value *v = an_function_value(m->functions[0], name);
    if (!v || !v->literal) fail_msg("%s is no constant", name);
    assert_int_equal(v->literal->n, n);
    for (int i = 0; i < n; i++)
        assert_true(an_literal_real(v->literal, (size_t)i) == want[i]);
}

static void test_fold(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    const double data[] = {0.1, 1, 2, 3, 4, 5};
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 1));
    an_value *c = an_build_const(k.b, "c", AN_TENSOR(AN_FP64, 2, 3), data);
    an_value *t = an_emit_transpose(k.b, c, (const int[]){1, 0});
    t = sketch_name(&k, t, "t");
    an_value *s =
        an_emit_slice(k.b, t, (const int64_t[]){1, 0}, (const int64_t[]){2, 2});
    s = sketch_name(&k, s, "s");
    an_value *r = an_emit_reshape(k.b, s, 1, (const int64_t[]){4});
    r = sketch_name(&k, r, "r");
    an_value *j = an_emit_concat(k.b, 2, (an_value *const[]){r, r}, 0);
    j = sketch_name(&k, j, "j");
    an_module *m =
        sketch_end(&k, sketch_name(&k, an_emit_binary(k.b, "mul", j, x), "y"));
    an_module *out = run_pass(an_pass_fold, m, 1);
    expect_function(out->functions[0], "out(x) -> (y)\nmul(j, x) -> y\n");
    expect_constant(out, "t", 6, (const double[]){0.1, 3, 1, 4, 2, 5});
    expect_constant(out, "j", 8, (const double[]){1, 4, 2, 5, 1, 4, 2, 5});
    an_module_free(out);
    an_module_free(m);
}

/* What computes stays, and what moves a parameter. */
static void test_fold_stays(void **state)
{
    (void)state;
    sketch k = sketch_begin();
    const double data[] = {1, 2, 3, 4};
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP64, 2, 2));
    an_value *c = an_build_const(k.b, "c", AN_TENSOR(AN_FP64, 2, 2), data);
    an_value *e = sketch_name(&k, an_emit_unary(k.b, "exp", c), "e");
    an_value *t = an_emit_transpose(k.b, x, (const int[]){1, 0});
    t = sketch_name(&k, t, "t");
    an_value *j = an_emit_concat(k.b, 2, (an_value *const[]){c, t}, 0);
    an_build_result(k.b, e);
    an_module *m = sketch_end(&k, sketch_name(&k, j, "j"));
    an_module *out = run_pass(an_pass_fold, m, 1);
    expect_function(out->functions[0], "out(x) -> (e, j)\n"
                                       "exp(c) -> e\n"
                                       "transpose(x) -> t\n"
                                       "concat(c, t) -> j\n");
    an_module_free(out);
    an_module_free(m);
}

/* ---- cut ---- */

/* a = x^2, b = e^a, c = tanh(x), y = b c; results a, c, y. */
static an_module *diamond(void)
{
    sketch k = sketch_begin();
    an_value *x = an_build_param(k.b, "x", AN_TENSOR(AN_FP16, 2, 32));
    an_value *a = sketch_name(&k, an_emit_unary(k.b, "square", x), "a");
    an_value *b = sketch_name(&k, an_emit_unary(k.b, "exp", a), "b");
    an_value *c = sketch_name(&k, an_emit_unary(k.b, "tanh", x), "c");
    an_value *y = sketch_name(&k, an_emit_binary(k.b, "mul", b, c), "y");
    an_build_result(k.b, a);
    an_build_result(k.b, c);
    return sketch_end(&k, y);
}

static void expect_cut(const char *const *cuts, int n, const char *const *want)
{
    an_error err = {0};
    an_module *m = diamond(), *into = NULL;
    must(an_module_new(&into, &err), &err);
    must(an_lower_cut(m->functions[0], into, "p", cuts, n, &err), &err);
    must(an_mil_verify(into, "cut", &err), &err);
    assert_int_equal(into->n_functions, n + 1);
    for (int i = 0; i <= n; i++)
        expect_function(into->functions[i], want[i]);
    an_module_free(into);
    an_module_free(m);
}

static void test_cut(void **state)
{
    (void)state;
    /* `a` is computed on the way to b, c is not */
    expect_cut((const char *const[]){"b"}, 1,
               (const char *const[]){"p_0(x) -> (b, a)\n"
                                     "square(x) -> a\n"
                                     "exp(a) -> b\n",
                                     "p_1(x, b) -> (c, y)\n"
                                     "tanh(x) -> c\n"
                                     "mul(b, c) -> y\n"});
    expect_cut((const char *const[]){"a", "b  c"}, 2,
               (const char *const[]){"p_0(x) -> (a)\n"
                                     "square(x) -> a\n",
                                     "p_1(x, a) -> (b, c)\n"
                                     "exp(a) -> b\n"
                                     "tanh(x) -> c\n",
                                     "p_2(b, c) -> (y)\n"
                                     "mul(b, c) -> y\n"});
    expect_cut(NULL, 0,
               (const char *const[]){"p_0(x) -> (a, c, y)\n"
                                     "square(x) -> a\n"
                                     "exp(a) -> b\n"
                                     "tanh(x) -> c\n"
                                     "mul(b, c) -> y\n"});
}

static void test_cut_at_nothing(void **state)
{
    (void)state;
    an_error err = {0};
    an_module *m = diamond(), *into = NULL;
    must(an_module_new(&into, &err), &err);
    assert_int_equal(an_lower_cut(m->functions[0], into, "p",
                                  (const char *const[]){"b q"}, 1, &err),
                     AN_EINVAL);
    assert_string_equal(err.text, "cut: f has no value 'q'");
    an_module_free(into);
    an_module_free(m);
}

/* ---- the end: constants in a file, ports in order ---- */

static an_module *with_constants(an_dtype dtype)
{
    sketch k = sketch_begin();
    an_value *z = an_build_param(k.b, "z", AN_TENSOR(dtype, 1, 32));
    an_value *a = an_build_param(k.b, "a", AN_TENSOR(dtype, 1, 32));
    an_value *b = an_build_param(k.b, "B", AN_TENSOR(dtype, 1, 32));
    an_value *big = an_emit_full(k.b, AN_TENSOR(dtype, 1, 32), 0.5);
    an_value *small = an_emit_full(k.b, AN_TENSOR(dtype, 16, 1), 0.25);
    an_value *y = an_emit_binary(k.b, "mul", z, big);
    an_value *x = an_emit_binary(k.b, "mul", a, small);
    an_build_result(k.b, sketch_name(&k, an_emit_unary(k.b, "exp", b), "Y"));
    an_build_result(k.b, sketch_name(&k, y, "y"));
    return sketch_end(&k, sketch_name(&k, x, "x"));
}

static an_module *lower_and_parse(const an_function *f, int columns,
                                  an_lowered *l)
{
    an_error err = {0};
    an_module *m = NULL;
    char *text = NULL;
    size_t size = 0;
    must(an_lower_function(f, &(an_lower_options){.columns = columns}, l, &err),
         &err);
    must(an_mil_parse(l->source.text, l->source.size, "lowered", &m, &err),
         &err);
    must(an_mil_print(m, &text, &size, &err), &err);
    assert_string_equal(text, l->source.text);
    an_text_free(text);
    assert_string_equal(m->functions[0]->name, "main");
    return m;
}

static int count_literals(const an_module *m, an_literal_kind kind)
{
    const an_function *f = m->functions[0];
    int n = 0;
    for (int i = 0; i < f->n_nodes; i++) {
        const an_literal *l = f->nodes[i]->results[0]->literal;
        n += l && l->kind == kind && l->n > 8;
    }
    return n;
}

static void test_constants_and_order(void **state)
{
    (void)state;
    const an_dtype dtypes[] = {AN_FP16, AN_FP32, AN_FP64};
    for (int i = 0; i < 3; i++) {
        an_lowered l = {0};
        an_module *from = with_constants(dtypes[i]);
        an_module *m = lower_and_parse(from->functions[0], 1, &l);
        bool file = dtypes[i] != AN_FP64; /* files have no fp64 */
        assert_int_equal(l.source.n_blobs, file);
        assert_int_equal(count_literals(m, AN_LIT_BLOB), file);
        assert_int_equal(count_literals(m, AN_LIT_DATA), file ? 1 : 2);
        expect_function(m->functions[0], "main(B, a, z) -> (Y, x, y)\n"
                                         "mul(z, const) -> y\n"
                                         "mul(a, const_1) -> x\n"
                                         "exp(B) -> Y\n");
        an_lowered_free(&l);
        assert_null(l.text);
        an_module_free(m);
        an_module_free(from);
    }
}

static void test_no_constants_no_file(void **state)
{
    (void)state;
    an_lowered l = {0};
    an_module *from = product(64, true);
    an_module *m = lower_and_parse(from->functions[0], 32, &l);
    assert_int_equal(l.source.n_blobs, 0);
    assert_null(l.source.blobs);
    an_lowered_free(&l);
    an_module_free(m);
    an_module_free(from);
}

/* ---- everything a model makes ---- */

static void lower_all(const an_module *m, int columns)
{
    for (int i = 0; i < m->n_functions; i++) {
        an_lowered l = {0};
        an_module *back = lower_and_parse(m->functions[i], columns, &l);
        const an_function *f = back->functions[0];
        for (int p = 0; p < f->n_params + f->n_results; p++) {
            const an_value *v =
                p < f->n_params ? f->params[p] : f->results[p - f->n_params];
            const an_shape *s = &v->type->shape;
            if (s->rank) assert_true(s->dims[s->rank - 1] % columns == 0);
        }
        an_module_free(back);
        an_lowered_free(&l);
    }
}

static void lower_block(const an_model *model, int block, an_dtype dtype,
                        int64_t batch, int columns)
{
    an_error err = {0};
    an_block b = {0};
    an_gradient *g = NULL;
    an_module *parts = NULL;
    const char *wrt[8];
    must(an_model_block(model, block,
                        &(an_block_options){dtype, dtype, batch, 20}, &b, &err),
         &err);
    const an_function *f = an_module_function(b.module, "forward");
    assert_true(f->n_params <= 8);
    for (int i = 0; i < f->n_params; i++)
        wrt[i] = f->params[i]->name;
    must(an_grad(b.module, "forward",
                 &(an_grad_options){.wrt = wrt,
                                    .n_wrt = f->n_params,
                                    .deferred = wrt,
                                    .n_deferred = f->n_params,
                                    .taps = b.taps,
                                    .n_taps = b.n_taps,
                                    .stops = b.stops,
                                    .n_stops = b.n_stops},
                 &g, &err),
         &err);
    must(an_module_new(&parts, &err), &err);
    must(an_lower_cut(an_module_function(g->module, "backward"), parts, "p",
                      b.cuts, b.n_cuts, &err),
         &err);
    lower_all(g->module, columns);
    lower_all(parts, columns);
    an_module_free(parts);
    an_gradient_free(g);
    an_block_free(&b);
}

static void test_model(void **state)
{
    (void)state;
    an_error err = {0};
    an_model *model = NULL;
    must(an_model_open("tests/reference/step_tied.json", 0, &model, &err),
         &err);
    for (int block = AN_BLOCK_HEAD; block < an_model_n_blocks(model); block++)
        for (int64_t batch = 1; batch <= 2; batch++) {
            lower_block(model, block, AN_FP16, batch, 32);
            lower_block(model, block, AN_FP32, batch, 1);
            lower_block(model, block, AN_FP64, batch, 32);
        }
    an_model_free(model);
}

/* ---- without memory ---- */

static an_status lower_once(void *ctx, an_error *err)
{
    an_lowered l = {0};
    an_status s =
        an_lower_function(ctx, &(an_lower_options){.columns = 64}, &l, err);
    an_lowered_free(&l);
    return s;
}

static char folder[] = "/tmp/anemone-stages-XXXXXX";

static an_status dump_once(void *ctx, an_error *err)
{
    an_dump *dump = NULL;
    an_status s = an_dump_open(folder, &dump, err);
    an_lower_options o = {.columns = 64, .dump = dump, .program = "x/y"};
    an_lowered l = {0};
    if (s == AN_OK) s = an_lower_function(ctx, &o, &l, err);
    an_lowered_free(&l);
    an_dump_close(dump);
    return s;
}

static an_status cut_once(void *ctx, an_error *err)
{
    an_module *into = NULL;
    an_status s = an_module_new(&into, err);
    if (s == AN_OK)
        s = an_lower_cut(ctx, into, "p", (const char *const[]){"b"}, 1, err);
    an_module_free(into);
    return s;
}

static void test_without_memory(void **state)
{
    (void)state;
    an_module *m = with_constants(AN_FP16);
    assert_true(alloc_sweep(lower_once, m->functions[0]) > 0);
    an_module_free(m);
    m = diamond();
    assert_true(alloc_sweep(cut_once, m->functions[0]) > 0);
    an_module_free(m);
}

/* Each try that fails leaves nothing behind that the next trips over. */
static void test_stages_without_memory(void **state)
{
    (void)state;
    char path[64];
    an_module *m = with_constants(AN_FP16);
    assert_non_null(mkdtemp(folder));
    assert_true(alloc_sweep(dump_once, m->functions[0]) > 0);
    snprintf(path, sizeof path, "%s/002-fold-x_y.mil", folder);
    assert_true(an_path_exists(path));
    snprintf(path, sizeof path, "%s/weights/002-fold-x_y.bin", folder);
    assert_true(an_path_exists(path));
    an_module_free(m);
    assert_int_equal(an_dir_remove(folder, NULL), AN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pad_ports),
        cmocka_unit_test(test_wide_ports_stay),
        cmocka_unit_test(test_result_that_is_read),
        cmocka_unit_test(test_input_and_output_at_once),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_fold_stays),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_cut_at_nothing),
        cmocka_unit_test(test_constants_and_order),
        cmocka_unit_test(test_no_constants_no_file),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_stages_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
