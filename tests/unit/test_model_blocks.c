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

#include "base/arena.h"
#include "base/safetensors.h"
#include "mil/ir.h"
#include "mil/op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 2, SEQUENCE = 32, N = BATCH * SEQUENCE };
static const double tolerance = 1e-10;

/* ---- a function, node by node ---- */

typedef struct interpreter {
    an_arena arena;
    an_dense *values; /* by id */
} interpreter;

static void *need(void *block)
{
    assert_non_null(block);
    return block;
}

static double *room(interpreter *t, const an_shape *shape)
{
    size_t n = (size_t)an_shape_count(shape);
    return need(an_arena_array(&t->arena, n ? n : 1, sizeof(double)));
}

static void *scratch(const an_eval *e, size_t bytes)
{
    interpreter *t = e->owner;
    return an_arena_alloc(&t->arena, bytes);
}

static an_dense dense_of(interpreter *t, const an_value *v)
{
    an_dense d = {.data = NULL};
    if (!v) return d;
    if (!v->literal) return t->values[v->id];
    d.shape = v->type->shape;
    d.data = room(t, &d.shape);
    for (size_t i = 0; i < v->literal->n; i++)
        d.data[i] = an_literal_real(v->literal, i);
    return d;
}

static void run_node(interpreter *t, const an_node *n)
{
    if (n->op->cls == AN_CLASS_CONST) return;
    int n_in = an_node_n_tensors(n);
    an_dense *in =
        need(an_arena_array(&t->arena, (size_t)n_in + 1, sizeof(an_dense)));
    for (int i = 0; i < n_in; i++)
        in[i] = dense_of(t, an_node_tensor(n, i));
    an_dense out[4];
    assert_true(n->n_results <= 4);
    for (int i = 0; i < n->n_results; i++) {
        out[i].shape = n->results[i]->type->shape;
        out[i].data = room(t, &out[i].shape);
        t->values[n->results[i]->id] = out[i];
    }
    an_error err = {0};
    const an_eval e = {.node = n,
                       .num = &an_num_exact,
                       .in = in,
                       .out = out,
                       .scratch = scratch,
                       .owner = t};
    if (n->op->kernel(&e, &err) != AN_OK)
        fail_msg("%s: %s", n->op->name, err.text);
}

/* Evaluates f on `inputs`, one array of doubles for each parameter; the result
 * lives as long as the interpreter. */
static const double *run(interpreter *t, const an_function *f,
                         const double *const *inputs)
{
    t->values = need(
        an_arena_array(&t->arena, (size_t)f->n_values + 1, sizeof *t->values));
    for (int i = 0; i < f->n_params; i++) {
        an_dense *d = &t->values[f->params[i]->id];
        d->shape = f->params[i]->type->shape;
        d->data = room(t, &d->shape);
        memcpy(d->data, inputs[i],
               (size_t)an_shape_count(&d->shape) * sizeof(double));
    }
    for (int i = 0; i < f->n_nodes; i++)
        run_node(t, f->nodes[i]);
    assert_int_equal(f->n_results, 1);
    return t->values[f->results[0]->id].data;
}

/* ---- weights and stored values ---- */

static uint32_t fmix32(uint32_t x)
{
    x = (x ^ x >> 16) * 0x85ebca6bU;
    x = (x ^ x >> 13) * 0xc2b2ae35U;
    return x ^ x >> 16;
}

/* The formula of step.py. */
static double *weights(interpreter *t, const an_model *m, int i)
{
    const an_model_param *p = an_model_param_at(m, i);
    double *w = room(t, &p->shape);
    for (int64_t k = 0; k < p->rows * p->columns; k++) {
        double u = fmix32(((uint32_t)i << 20) + (uint32_t)k) / 0x1p31 - 1;
        w[k] = p->columns == 1 ? 1 + 0.5 * u : 0.3 * u;
    }
    return w;
}

static const double *stored(const an_st *st, const char *name)
{
    const an_st_tensor *tensor = an_st_find(st, name);
    if (!tensor) fail_msg("no tensor %s", name);
    assert_int_equal(tensor->dtype, AN_FP64);
    return tensor->data;
}

static void expect_close(const char *name, const double *came,
                         const double *want, int64_t n)
{
    double largest = 0, worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        if (fabs(want[i]) > largest) largest = fabs(want[i]);
        if (!(fabs(came[i] - want[i]) <= worst))
            worst = fabs(came[i] - want[i]), at = i;
    }
    if (!(worst <= tolerance * largest))
        fail_msg("%s: element %lld is %.17g, expected %.17g (largest %g)", name,
                 (long long)at, came[at], want[at], largest);
}

/* Columns [from, from + count) of x [rows, N], as [rows, count]. */
static double *some_columns(interpreter *t, const double *x, int64_t rows,
                            int64_t from, int64_t count)
{
    double *y =
        need(an_arena_array(&t->arena, (size_t)(rows * count), sizeof(double)));
    for (int64_t r = 0; r < rows; r++)
        memcpy(y + r * count, x + r * N + from, (size_t)count * sizeof(double));
    return y;
}

/* The parameter of the model that port `name` of the block takes. */
static const double *port_weights(interpreter *t, const an_model *m, int layer,
                                  int block, const char *name)
{
    for (int i = 0; i < an_model_n_params(m); i++) {
        const an_model_param *p = an_model_param_at(m, i);
        bool here = p->layer == layer && p->block == block;
        bool tied = block == AN_BLOCK_HEAD && p->block == AN_BLOCK_EMBED;
        if ((here || tied) && strcmp(p->port, name) == 0)
            return weights(t, m, i);
    }
    fail_msg("no parameter for port %s", name);
    return NULL;
}

/* Runs one block on columns [from, from + batch S) of x; compares with want,
 * both [.., N] in the file. */
static void check_block(const an_model *m, int layer, int block, int64_t batch,
                        int64_t from, const double *x, const double *want,
                        int64_t rows, const char *name)
{
    interpreter t;
    an_arena_init(&t.arena);
    an_error err = {0};
    an_block b;
    an_model_facts facts;
    an_model_get_facts(m, &facts);
    if (an_model_block(m, block, AN_FP64, AN_FP64, batch, SEQUENCE, &b, &err) !=
        AN_OK)
        fail_msg("%s", err.text);
    const an_function *f = an_module_function(b.module, "forward");
    const double *inputs[8];
    int64_t count = batch * SEQUENCE;
    assert_string_equal(f->params[0]->name, "x");
    inputs[0] = some_columns(&t, x, facts.width, from, count);
    for (int i = 1; i < f->n_params; i++)
        inputs[i] = port_weights(&t, m, layer, block, f->params[i]->name);
    const double *y = run(&t, f, inputs);
    expect_close(name, y, some_columns(&t, want, rows, from, count),
                 rows * count);
    an_block_free(&b);
    an_arena_fini(&t.arena);
}

static void check_model(const char *kind)
{
    char path[128], name[64];
    an_error err = {0};
    an_model *m = NULL;
    an_st *st = NULL;
    an_model_facts facts;
    snprintf(path, sizeof path, "tests/reference/step_%s.json", kind);
    if (an_model_open(path, 0, &m, &err) != AN_OK) fail_msg("%s", err.text);
    snprintf(path, sizeof path, "tests/reference/step_%s.safetensors", kind);
    if (an_st_open(path, &st, &err) != AN_OK) fail_msg("%s", err.text);
    an_model_get_facts(m, &facts);
    const double *x = stored(st, "x0");
    for (int layer = 0; layer < facts.n_layers; layer++) {
        for (int b = 0; b < an_model_n_blocks(m); b++) {
            snprintf(name, sizeof name, "layers.%d.%s", layer,
                     an_model_block_name(m, b));
            const double *y = stored(st, name);
            check_block(m, layer, b, BATCH, 0, x, y, facts.width, name);
            /* The second sequence alone: positions start anew. */
            check_block(m, layer, b, 1, SEQUENCE, x, y, facts.width, name);
            x = y;
        }
    }
    check_block(m, -1, AN_BLOCK_HEAD, BATCH, 0, x, stored(st, "logits"),
                facts.vocab_size, "logits");
    an_st_close(st);
    an_model_free(m);
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
    if (an_model_block(m, block, dtype, dtype, batch, 64, &b, &err) != AN_OK)
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
        an_model_block(m, AN_BLOCK_HEAD, AN_FP16, AN_FP32, 2, 32, &b, NULL),
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
    assert_int_equal(an_model_block(m, 2, AN_FP16, AN_FP16, 1, 8, &b, NULL),
                     AN_EINVAL);
    assert_int_equal(an_model_block(m, 0, AN_FP16, AN_INT8, 1, 8, &b, NULL),
                     AN_EINVAL);
    assert_int_equal(an_model_block(m, 0, AN_FP16, AN_FP16, 0, 8, &b, NULL),
                     AN_EINVAL);
    assert_int_equal(
        an_model_block(m, 0, AN_FP16, AN_FP16, INT64_MAX, 8, &b, NULL),
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
        s = an_model_block(m, block, AN_FP16, AN_FP16, 2, 32, &b, err);
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
