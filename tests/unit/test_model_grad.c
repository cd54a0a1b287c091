/*
 * A whole training step of the two models of tests/reference/step.py, by
 * differentiation of the blocks, node by node with the reference kernels in
 * fp64: every gradient against PyTorch's.
 *
 * Tolerance: both sides compute in fp64; sums have at most 80 terms, and a
 * gradient passes through some 40 of them in a row. Rounding grows to about
 * 1e-13 of the largest element; 1e-10 leaves room for cancellation in it.
 */
#include "anemone/grad.h"
#include "interpret.h"
#include "step_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = STEP_COLUMNS, MAX_PORTS = 32 };
static const double tolerance = 1e-10;

typedef struct step {
    interpreter t;
    step_model m;
    double *gradients[32]; /* by parameter */
} step;

static void open_step(step *s, const char *kind)
{
    interpreter_init(&s->t);
    step_model_open(&s->m, kind);
    int n = an_model_n_params(s->m.model);
    assert_true(n <= 32);
    for (int i = 0; i < n; i++) {
        const an_model_param *p = an_model_param_at(s->m.model, i);
        s->gradients[i] = interpreter_room(&s->t, p->rows * p->columns);
    }
}

static void close_step(step *s)
{
    interpreter_fini(&s->t);
    step_model_close(&s->m);
}

/* ---- one block, forward and back ---- */

typedef struct pass {
    an_block block;
    an_gradient *g;
    int layer, index;
    int params[8]; /* of the model, by parameter of the function; x: -1 */
    const double *x;
    binding ports[MAX_PORTS]; /* what is known so far */
    int n_ports;
} pass;

static void bind_port(pass *p, const char *name, const double *data)
{
    assert_true(p->n_ports < MAX_PORTS);
    p->ports[p->n_ports++] = (binding){name, data};
}

static bool is_matrix(const an_value *v)
{
    return v->type->shape.dims[2] > 1;
}

static void differentiate(pass *p)
{
    const an_function *f = an_module_function(p->block.module, "forward");
    const char *wrt[8], *matrices[8];
    int n_matrices = 0;
    an_error err = {0};
    for (int i = 0; i < f->n_params; i++) {
        wrt[i] = f->params[i]->name;
        if (is_matrix(f->params[i])) matrices[n_matrices++] = wrt[i];
    }
    const an_grad_options o = {.wrt = wrt,
                               .n_wrt = f->n_params,
                               .deferred = matrices,
                               .n_deferred = n_matrices,
                               .taps = p->block.taps,
                               .n_taps = p->block.n_taps,
                               .stops = p->block.stops,
                               .n_stops = p->block.n_stops};
    if (an_grad(p->block.module, "forward", &o, &p->g, &err) != AN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(p->g->n_contractions, n_matrices);
}

static void bind_params(step *s, pass *p)
{
    const an_function *f = an_module_function(p->block.module, "forward");
    for (int i = 0; i < f->n_params; i++) {
        const char *port = f->params[i]->name;
        bool is_x = strcmp(port, "x") == 0;
        p->params[i] =
            is_x ? -1 : step_model_param(&s->m, p->layer, p->index, port);
        bind_port(p, port, is_x ? p->x : s->m.weights[p->params[i]]);
    }
}

/* Every value in `results` of the last run becomes known. */
static void keep_results(step *s, pass *p)
{
    const an_function *f = s->t.function;
    for (int i = 0; i < f->n_results; i++) {
        const char *name = f->results[i]->name;
        bind_port(p, name, interpreter_value(&s->t, name)->data);
    }
}

static const double *forward(step *s, pass *p, int layer, int index,
                             const double *x)
{
    an_error err = {0};
    *p = (pass){.layer = layer, .index = index, .x = x};
    if (an_model_block(
            s->m.model, index,
            &(an_block_options){AN_FP64, AN_FP64, STEP_BATCH, STEP_SEQUENCE},
            &p->block, &err) != AN_OK)
        fail_msg("%s", err.text);
    differentiate(p);
    bind_params(s, p);
    interpret(&s->t, an_module_function(p->g->module, "forward"), p->ports,
              p->n_ports);
    keep_results(s, p);
    const an_function *f = an_module_function(p->block.module, "forward");
    return interpreter_value(&s->t, f->results[0]->name)->data;
}

static const an_shape *port_shape(const pass *p, const char *name)
{
    const char *const functions[] = {"backward", "forward"};
    for (int i = 0; i < 2; i++) {
        const an_function *f = an_module_function(p->g->module, functions[i]);
        const an_value *v = an_function_value(f, name);
        if (v) return &v->type->shape;
    }
    fail_msg("%s is no port", name);
    return NULL;
}

static const double *port_data(const pass *p, const char *name)
{
    for (int i = 0; i < p->n_ports; i++)
        if (strcmp(p->ports[i].name, name) == 0) return p->ports[i].data;
    fail_msg("%s has no data", name);
    return NULL;
}

/* gradient[m, n] += sum over k of left[m, k] right[k, n]. */
static void contract(step *s, const pass *p, const an_contraction *c)
{
    int i = step_model_param(&s->m, p->layer, p->index, c->param);
    const an_model_param *param = an_model_param_at(s->m.model, i);
    const an_shape *l = port_shape(p, c->left), *r = port_shape(p, c->right);
    int64_t rows = param->rows, columns = param->columns;
    int64_t depth = an_shape_count(l) / rows;
    assert_int_equal(an_shape_count(r), depth * columns);
    const double *left = port_data(p, c->left), *right = port_data(p, c->right);
    for (int64_t m = 0; m < rows; m++)
        for (int64_t n = 0; n < columns; n++)
            for (int64_t k = 0; k < depth; k++)
                s->gradients[i][m * columns + n] +=
                    left[c->transpose_left ? k * rows + m : m * depth + k] *
                    right[c->transpose_right ? n * depth + k : k * columns + n];
}

/* Runs the block back from d_y; adds to the gradients; returns d_x. */
static const double *backward(step *s, pass *p, const double *dy)
{
    const an_function *f = an_module_function(p->block.module, "forward");
    char d_result[64], name[64];
    snprintf(d_result, sizeof d_result, "d_%s", f->results[0]->name);
    bind_port(p, d_result, dy);
    interpret(&s->t, an_module_function(p->g->module, "backward"), p->ports,
              p->n_ports);
    keep_results(s, p);
    for (int i = 0; i < p->g->n_contractions; i++)
        contract(s, p, &p->g->contractions[i]);
    for (int i = 0; i < f->n_params; i++) {
        int k = p->params[i];
        if (k < 0 || an_model_param_at(s->m.model, k)->columns > 1) continue;
        snprintf(name, sizeof name, "d_%s", f->params[i]->name);
        const double *d = interpreter_value(&s->t, name)->data;
        for (int64_t j = 0; j < an_model_param_at(s->m.model, k)->rows; j++)
            s->gradients[k][j] += d[j];
    }
    return interpreter_value(&s->t, "d_x")->data;
}

static void free_pass(pass *p)
{
    an_gradient_free(p->g);
    an_block_free(&p->block);
}

/* ---- what is not MIL: embedding and loss ---- */

static const double *gather(step *s, const int32_t *ids)
{
    int64_t width = s->m.facts.width;
    double *x = interpreter_room(&s->t, width * N);
    for (int64_t d = 0; d < width; d++)
        for (int64_t n = 0; n < N; n++)
            x[d * N + n] = s->m.weights[0][ids[n] * width + d];
    return x;
}

static void scatter(step *s, const int32_t *ids, const double *dx)
{
    int64_t width = s->m.facts.width;
    for (int64_t n = 0; n < N; n++)
        for (int64_t d = 0; d < width; d++)
            s->gradients[0][ids[n] * width + d] += dx[d * N + n];
}

/* Mean loss, and its gradient by the logits [V, N]. */
static const double *loss(step *s, const double *logits, const int32_t *targets,
                          double *mean)
{
    int64_t vocab = s->m.facts.vocab_size;
    double *d = interpreter_room(&s->t, vocab * N);
    *mean = 0;
    for (int64_t n = 0; n < N; n++) {
        double sum = 0;
        for (int64_t v = 0; v < vocab; v++)
            sum += exp(logits[v * N + n]);
        *mean += (log(sum) - logits[targets[n] * N + n]) / N;
        for (int64_t v = 0; v < vocab; v++)
            d[v * N + n] =
                (exp(logits[v * N + n]) / sum - (v == targets[n])) / N;
    }
    return d;
}

/* ---- the step ---- */

static double gradient_error(const step *s, int i)
{
    const an_model_param *p = an_model_param_at(s->m.model, i);
    char name[80];
    snprintf(name, sizeof name, "grad.1.%s", p->name);
    return step_model_error(name, s->gradients[i],
                            step_model_tensor(&s->m, name, AN_FP64),
                            p->rows * p->columns, tolerance);
}

static void check_step(const char *kind)
{
    step s;
    open_step(&s, kind);
    int n_blocks = an_model_n_blocks(s.m.model);
    int n = (int)s.m.facts.n_layers * n_blocks;
    pass passes[16];
    assert_true(n < 16);
    const int32_t *ids = step_model_tensor(&s.m, "inputs.1", AN_INT32);
    const int32_t *targets = step_model_tensor(&s.m, "targets.1", AN_INT32);
    const double *x = gather(&s, ids);
    for (int i = 0; i < n; i++)
        x = forward(&s, &passes[i], i / n_blocks, i % n_blocks, x);
    x = forward(&s, &passes[n], -1, AN_BLOCK_HEAD, x);
    double mean;
    const double *d = loss(&s, x, targets, &mean);
    const double *want = step_model_tensor(&s.m, "loss.1", AN_FP64);
    assert_true(fabs(mean - *want) <= tolerance * *want);
    for (int i = n; i >= 0; i--)
        d = backward(&s, &passes[i], d);
    scatter(&s, ids, d);
    double worst = 0;
    for (int i = 0; i < an_model_n_params(s.m.model); i++)
        worst = fmax(worst, gradient_error(&s, i));
    for (int i = 0; i <= n; i++)
        free_pass(&passes[i]);
    close_step(&s);
    assert_true(worst <= tolerance);
}

static void test_untied(void **state)
{
    (void)state;
    check_step("untied");
}

static void test_tied(void **state)
{
    (void)state;
    check_step("tied");
}

/* The adjoints that end a program are values of the backward function. */
static void test_cuts(void **state)
{
    (void)state;
    for (int64_t batch = 1; batch <= 3; batch += 2) {
        an_model *m = NULL;
        pass p = {.index = 0};
        assert_int_equal(an_model_open("small", 0, &m, NULL), AN_OK);
        assert_int_equal(
            an_model_block(m, 0,
                           &(an_block_options){AN_FP16, AN_FP16, batch, 32},
                           &p.block, NULL),
            AN_OK);
        differentiate(&p);
        const an_function *f = an_module_function(p.g->module, "backward");
        assert_int_equal(p.block.n_cuts, 1);
        assert_string_equal(p.block.cuts[0], "d_scores d_v");
        assert_non_null(an_function_value(f, "d_scores"));
        assert_non_null(an_function_value(f, "d_v"));
        for (int i = 0; i < p.g->n_taps; i++)
            assert_true(strcmp(p.g->taps[i], "xn") == 0 ||
                        strcmp(p.g->taps[i], "qkv") == 0 ||
                        strcmp(p.g->taps[i], "attn") == 0);
        assert_int_equal(p.g->n_taps, 3);
        free_pass(&p);
        an_model_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_untied),
        cmocka_unit_test(test_tied),
        cmocka_unit_test(test_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
