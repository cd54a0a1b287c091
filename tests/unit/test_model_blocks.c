/*
 * The blocks of a model, node by node with the reference kernels in fp64,
 * against values from PyTorch (tests/reference/step.py).
 *
 * Tolerance: both sides compute in fp64 with sums of at most 64 terms, so
 * results agree to some 1e-13; 1e-10 of the largest magnitude leaves room for
 * the mask, which is -1e4 here and infinite there (exp gives 0 for both).
 */
#include "alloc_fail.h"
#include "anemone/model.h"
#include "interpret.h"
#include "step_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double tolerance = 1e-10;

/* Columns [from, from + count) of x [rows, N], as [rows, count]. */
static double *some_columns(interpreter *t, const double *x, int64_t rows,
                            int64_t from, int64_t count)
{
    double *y = interpreter_room(t, rows * count);
    for (int64_t r = 0; r < rows; r++)
        memcpy(y + r * count, x + r * STEP_COLUMNS + from,
               (size_t)count * sizeof(double));
    return y;
}

/* Runs one block on columns [from, from + batch S) of x; compares with want,
 * both [.., N] in the file. */
static void check_block(const step_model *m, int layer, int block,
                        int64_t batch, int64_t from, const double *x,
                        const char *want)
{
    interpreter t;
    interpreter_init(&t);
    an_error err = {0};
    an_block b;
    if (an_model_block(
            m->model, block,
            &(an_block_options){AN_FP64, AN_FP64, batch, STEP_SEQUENCE}, &b,
            &err) != AN_OK)
        fail_msg("%s", err.text);
    const an_function *f = an_module_function(b.module, "forward");
    binding in[8];
    int64_t count = batch * STEP_SEQUENCE;
    assert_true(f->n_params <= 8);
    for (int i = 0; i < f->n_params; i++) {
        const char *port = in[i].name = f->params[i]->name;
        in[i].data = strcmp(port, "x") == 0
                         ? some_columns(&t, x, m->facts.width, from, count)
                         : m->weights[step_model_param(m, layer, block, port)];
    }
    interpret(&t, f, in, f->n_params);
    const an_dense *y = interpreter_value(&t, f->results[0]->name);
    int64_t rows = y->shape.dims[1];
    const double *all = step_model_tensor(m, want, AN_FP64);
    assert_true(step_model_error(want, y->data,
                                 some_columns(&t, all, rows, from, count),
                                 rows * count, tolerance) <= tolerance);
    an_block_free(&b);
    interpreter_fini(&t);
}

static void check_model(const char *kind)
{
    step_model m;
    char name[64];
    step_model_open(&m, kind);
    const double *x = step_model_tensor(&m, "x0", AN_FP64);
    for (int layer = 0; layer < m.facts.n_layers; layer++) {
        for (int b = 0; b < an_model_n_blocks(m.model); b++) {
            snprintf(name, sizeof name, "layers.%d.%s", layer,
                     an_model_block_name(m.model, b));
            check_block(&m, layer, b, STEP_BATCH, 0, x, name);
            /* The second sequence alone: positions start anew. */
            check_block(&m, layer, b, 1, STEP_SEQUENCE, x, name);
            x = step_model_tensor(&m, name, AN_FP64);
        }
    }
    check_block(&m, -1, AN_BLOCK_HEAD, STEP_BATCH, 0, x, "logits");
    step_model_close(&m);
}

static void test_untied(void **state)
{
    (void)state;
    check_model("untied");
}

static void test_tied(void **state)
{
    (void)state;
    check_model("tied");
}

/* ---- what the functions say about themselves ---- */

static void expect_values(const an_function *f, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (!an_function_value(f, names[i]))
            fail_msg("%s is no value of the block", names[i]);
}

static void expect_shape(const an_function *f, const char *name, an_shape want)
{
    char a[96], b[96];
    const an_value *v = an_function_value(f, name);
    if (!v) fail_msg("no value %s", name);
    if (!an_shape_equal(&v->type->shape, &want))
        fail_msg("%s is %s, expected %s", name,
                 an_shape_text(&v->type->shape, a, sizeof a),
                 an_shape_text(&want, b, sizeof b));
}

static void check_names(const an_model *m, int block, an_dtype dtype,
                        int64_t batch)
{
    an_block b;
    an_error err = {0};
    if (an_model_block(m, block, &(an_block_options){dtype, dtype, batch, 64},
                       &b, &err) != AN_OK)
        fail_msg("%s", err.text);
    const an_function *f = an_module_function(b.module, "forward");
    expect_values(f, b.taps, b.n_taps);
    expect_values(f, b.stops, b.n_stops);
    if (block == 0) {
        const char *const cut[] = {"scores", "v"};
        expect_values(f, cut, 2);
        assert_int_equal(b.n_cuts, 1);
        assert_string_equal(b.cuts[0], "d_scores d_v");
        expect_shape(f, "w_qkv", AN_TENSOR(dtype, 1, 1, 256, 128));
        expect_shape(f, "scores", AN_TENSOR(dtype, 2 * batch, 2, 64, 64));
        expect_shape(f, "v", AN_TENSOR(dtype, 1, 64, 1, 64 * batch));
    }
    for (int i = 0; i < f->n_nodes; i++) {
        assert_string_not_equal(f->nodes[i]->op->name, "cast");
        assert_string_not_equal(f->nodes[i]->op->name, "tile");
        if (batch == 1)
            assert_string_not_equal(f->nodes[i]->op->name, "transpose");
    }
    an_block_free(&b);
}

static void test_names(void **state)
{
    (void)state;
    an_model *m = NULL;
    assert_int_equal(an_model_open("small", 0, &m, NULL), AN_OK);
    for (int block = AN_BLOCK_HEAD; block < an_model_n_blocks(m); block++)
        for (int64_t batch = 1; batch <= 3; batch += 2)
            for (an_dtype dtype = AN_FP16; dtype <= AN_FP64; dtype++)
                check_names(m, block, dtype, batch);
    an_model_free(m);
}

static void test_head_cast(void **state)
{
    (void)state;
    an_model *m = NULL;
    an_block b;
    assert_int_equal(an_model_open("small", 0, &m, NULL), AN_OK);
    assert_int_equal(
        an_model_block(m, AN_BLOCK_HEAD,
                       &(an_block_options){AN_FP16, AN_FP32, 2, 32}, &b, NULL),
        AN_OK);
    const an_function *f = an_module_function(b.module, "forward");
    expect_shape(f, "x", AN_TENSOR(AN_FP16, 1, 128, 1, 64));
    expect_shape(f, "embed", AN_TENSOR(AN_FP32, 1, 1, 257, 128));
    expect_shape(f, "logits", AN_TENSOR(AN_FP32, 1, 257, 1, 64));
    an_block_free(&b);
    an_model_free(m);
}

static void test_refused(void **state)
{
    (void)state;
    an_model *m = NULL;
    an_block b;
    assert_int_equal(an_model_open("small", 0, &m, NULL), AN_OK);
    assert_int_equal(an_model_block(m, 2,
                                    &(an_block_options){AN_FP16, AN_FP16, 1, 8},
                                    &b, NULL),
                     AN_EINVAL);
    assert_int_equal(an_model_block(m, 0,
                                    &(an_block_options){AN_FP16, AN_INT8, 1, 8},
                                    &b, NULL),
                     AN_EINVAL);
    assert_int_equal(an_model_block(m, 0,
                                    &(an_block_options){AN_FP16, AN_FP16, 0, 8},
                                    &b, NULL),
                     AN_EINVAL);
    assert_int_equal(
        an_model_block(m, 0,
                       &(an_block_options){AN_FP16, AN_FP16, INT64_MAX, 8}, &b,
                       NULL),
        AN_EINVAL);
    an_model_free(m);
}

static an_status build_all(void *ctx, an_error *err)
{
    (void)ctx;
    an_model *m = NULL;
    an_status s = an_model_open("small", 0, &m, err);
    for (int block = AN_BLOCK_HEAD; s == AN_OK && block < 2; block++) {
        an_block b;
        s = an_model_block(
            m, block, &(an_block_options){AN_FP16, AN_FP16, 2, 32}, &b, err);
        if (s == AN_OK) an_block_free(&b);
    }
    an_model_free(m);
    return s;
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(alloc_sweep(build_all, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_untied),  cmocka_unit_test(test_tied),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_head_cast),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
