/*
 * Gradient bugs that public projects have shipped, each computed here on
 * purpose: the wrong formula must fail the comparison that ours passes.
 *
 * Comparisons: forward values with PyTorch's (tests/reference/step.py) to 1e-10
 * of the largest, gradients with central differences to 1e-6, all in fp64 on
 * layer 0 or the head of the untied model. The wrong attention is our own on
 * permuted rows: no second implementation that could be wrong in its own way.
 */
#include "anemone/engine.h"
#include "base/rng.h"
#include "interpret.h"
#include "lower/lower.h"
#include "lower/rewrite.h"
#include "mil/emit.h"
#include "step_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Of the untied model: heads of 8 rows, 4 of queries and 2 each of keys and
 * values. */
enum { N = STEP_COLUMNS, D = 24, V = 40, HEAD = 8, Q = 32, KV = 16, QKV = 64 };
static const double forward_tolerance = 1e-10, gradient_tolerance = 1e-6;

enum { MAX_PORTS = 32 };
typedef struct ports {
    binding list[MAX_PORTS];
    int n;
} ports;

typedef struct fixture {
    interpreter t;
    step_model m;
    an_block block;
    an_gradient *g;
    ports known; /* parameters, adjoint, and after `forward` its results */
    const double *dy;
} fixture;

static void must(an_status s, const an_error *err)
{
    if (s != AN_OK) fail_msg("%s", err->text);
}

static const an_function *function(const fixture *f, const char *name)
{
    return an_module_function(f->g->module, name);
}

/* Later entries win. */
static void put(ports *p, const char *name, const double *data)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->list[i].name, name) == 0) {
            p->list[i].data = data;
            return;
        }
    assert_true(p->n < MAX_PORTS);
    p->list[p->n++] = (binding){name, data};
}

static const double *got(const ports *p, const char *name)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->list[i].name, name) == 0) return p->list[i].data;
    fail_msg("no port %s", name);
    return NULL;
}

/* Runs a function on the ports and adds its results to them. */
static void run(fixture *f, const an_function *of, ports *p)
{
    interpret(&f->t, of, p->list, p->n);
    for (int i = 0; i < of->n_results; i++) {
        const char *name = of->results[i]->name;
        put(p, name, interpreter_value(&f->t, name)->data);
    }
}

static double *random_values(fixture *f, int64_t n, uint64_t stream)
{
    an_rng rng = {.seed = 11, .stream = stream};
    double *x = interpreter_room(&f->t, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = an_rng_normal(&rng);
    return x;
}

static void differentiate(fixture *f)
{
    const an_function *of = an_module_function(f->block.module, "forward");
    const char *wrt[8], *matrices[8];
    int n_matrices = 0;
    an_error err = {0};
    assert_true(of->n_params <= 8);
    for (int i = 0; i < of->n_params; i++) {
        wrt[i] = of->params[i]->name;
        if (of->params[i]->type->shape.dims[2] > 1)
            matrices[n_matrices++] = wrt[i];
    }
    const an_grad_options o = {.wrt = wrt,
                               .n_wrt = of->n_params,
                               .deferred = matrices,
                               .n_deferred = n_matrices,
                               .taps = f->block.taps,
                               .n_taps = f->block.n_taps,
                               .stops = f->block.stops,
                               .n_stops = f->block.n_stops};
    must(an_grad(f->block.module, "forward", &o, &f->g, &err), &err);
}

/* Opens layer 0's attention or the head on x, and runs it forward. */
static void open_fixture(fixture *f, int block, const char *x)
{
    an_error err = {0};
    *f = (fixture){.g = NULL};
    interpreter_init(&f->t);
    step_model_open(&f->m, "untied");
    must(an_model_block(
             f->m.model, block,
             &(an_block_options){AN_FP64, AN_FP64, STEP_BATCH, STEP_SEQUENCE},
             &f->block, &err),
         &err);
    differentiate(f);
    const an_function *of = an_module_function(f->block.module, "forward");
    for (int i = 0; i < of->n_params; i++) {
        const char *name = of->params[i]->name;
        int layer = block == AN_BLOCK_HEAD ? -1 : 0;
        put(&f->known, name,
            strcmp(name, "x") == 0
                ? step_model_tensor(&f->m, x, AN_FP64)
                : f->m.weights[step_model_param(&f->m, layer, block, name)]);
    }
    f->dy = random_values(f, an_shape_count(&of->results[0]->type->shape), 1);
    put(&f->known, block == AN_BLOCK_HEAD ? "d_logits" : "d_y", f->dy);
    run(f, function(f, "forward"), &f->known);
}

static void close_fixture(fixture *f)
{
    an_gradient_free(f->g);
    an_block_free(&f->block);
    step_model_close(&f->m);
    interpreter_fini(&f->t);
}

/* ---- the two comparisons ---- */

static double dot(int64_t n, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* <dy, y> with `port` at h u from where it is. */
static double loss_at(fixture *f, const char *port, int64_t n, const double *u,
                      double h)
{
    ports p = f->known;
    const double *at = got(&p, port);
    double *moved = interpreter_room(&f->t, n);
    for (int64_t i = 0; i < n; i++)
        moved[i] = at[i] + h * u[i];
    put(&p, port, moved);
    const an_function *of = an_module_function(f->block.module, "forward");
    interpret(&f->t, of, p.list, p.n);
    const an_dense *y = interpreter_value(&f->t, of->results[0]->name);
    return dot(an_shape_count(&y->shape), y->data, f->dy);
}

/* Does a gradient of <dy, y> by `port` agree with a central difference along a
 * random unit direction? */
static bool gradient_agrees(fixture *f, const char *port, int64_t n,
                            const double *gradient)
{
    const double h = 1e-4;
    double *u = random_values(f, n, 2);
    double length = sqrt(dot(n, u, u));
    for (int64_t i = 0; i < n; i++)
        u[i] /= length;
    double want =
        (loss_at(f, port, n, u, h) - loss_at(f, port, n, u, -h)) / (2 * h);
    double came = dot(n, gradient, u);
    double size = sqrt(dot(n, gradient, gradient));
    double largest = fmax(fmax(fabs(came), fabs(want)), size / 10);
    return fabs(came - want) < gradient_tolerance * largest;
}

static bool attention_agrees(fixture *f, const double *y)
{
    const double *want =
        step_model_tensor(&f->m, "layers.0.attention", AN_FP64);
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < D * N; i++) {
        worst = fmax(worst, fabs(y[i] - want[i]));
        largest = fmax(largest, fabs(want[i]));
    }
    return worst <= forward_tolerance * largest;
}

/* ---- a deferred contraction, as the backward function's user reads it ---- */

typedef enum reading { AS_STATED, TRANSPOSED } reading;

/* The gradient [rows, columns] of a parameter from its operands; TRANSPOSED:
 * laid out [columns, rows]. */
static double *contract(fixture *f, const ports *p, const char *param,
                        int64_t rows, int64_t columns, reading how)
{
    const an_contraction *c = NULL;
    for (int i = 0; i < f->g->n_contractions; i++)
        if (strcmp(f->g->contractions[i].param, param) == 0)
            c = &f->g->contractions[i];
    assert_non_null(c);
    const double *left = got(p, c->left), *right = got(p, c->right);
    double *out = interpreter_room(&f->t, rows * columns);
    for (int64_t m = 0; m < rows; m++)
        for (int64_t n = 0; n < columns; n++) {
            double sum = 0;
            for (int64_t k = 0; k < N; k++)
                sum += left[c->transpose_left ? k * rows + m : m * N + k] *
                       right[c->transpose_right ? n * N + k : k * columns + n];
            out[how == AS_STATED ? m * columns + n : n * rows + m] = sum;
        }
    return out;
}

/* ---- RMSNorm's gradient with weights other than 1 ---- */

typedef enum norm_formula { RIGHT, WEIGHT_TIMES_ALL } norm_formula;

/*
 * y = x r g with r = (mean(x^2) + eps)^-1/2, and c = r^2 mean(x g dy):
 *     right:  dx = r (g dy - x c)
 *     wrong:  dx = g r (dy - x c), the projection times g as well
 * dy comes from the logits' adjoint through the classifier W [V, D].
 */
static double *norm_gradient(fixture *f, norm_formula formula)
{
    const double *x = got(&f->known, "x"), *g = got(&f->known, "norm");
    const double *w = got(&f->known, "head");
    double *dx = interpreter_room(&f->t, D * N);
    for (int64_t n = 0; n < N; n++) {
        double square = 0, c = 0, dy[D] = {0};
        for (int64_t d = 0; d < D; d++) {
            for (int64_t v = 0; v < V; v++)
                dy[d] += w[v * D + d] * f->dy[v * N + n];
            square += x[d * N + n] * x[d * N + n] / D;
            c += x[d * N + n] * g[d] * dy[d] / D;
        }
        double r = 1 / sqrt(square + 1e-5);
        c *= r * r;
        for (int64_t d = 0; d < D; d++)
            dx[d * N + n] = formula == RIGHT
                                ? r * (g[d] * dy[d] - x[d * N + n] * c)
                                : g[d] * r * (dy[d] - x[d * N + n] * c);
    }
    return dx;
}

static void test_norm_weights(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, AN_BLOCK_HEAD, "layers.1.mlp");
    ports p = f.known;
    run(&f, function(&f, "backward"), &p);
    assert_true(gradient_agrees(&f, "x", D * N, got(&p, "d_x")));
    assert_true(gradient_agrees(&f, "x", D * N, norm_gradient(&f, RIGHT)));
    assert_false(
        gradient_agrees(&f, "x", D * N, norm_gradient(&f, WEIGHT_TIMES_ALL)));
    /* At weights of 1 nobody sees the difference. */
    double *ones = interpreter_room(&f.t, D);
    for (int i = 0; i < D; i++)
        ones[i] = 1;
    put(&f.known, "norm", ones);
    assert_true(
        gradient_agrees(&f, "x", D * N, norm_gradient(&f, WEIGHT_TIMES_ALL)));
    close_fixture(&f);
}

/* ---- attention on permuted rows ---- */

/* A permutation of the rows of qkv, and of the channels of the heads' result:
 * new row i is old row [i]. */
typedef struct permutation {
    int qkv[QKV], heads[Q];
} permutation;

/* out[i] = in[perm[i]], or back: out[perm[i]] = in[i]. */
typedef enum direction { THERE, BACK } direction;
static double *permute_rows(fixture *f, const double *in, const int *perm,
                            int rows, int64_t columns, direction way)
{
    double *out = interpreter_room(&f->t, rows * columns);
    for (int i = 0; i < rows; i++)
        memcpy(out + (way == THERE ? i : perm[i]) * columns,
               in + (way == THERE ? perm[i] : i) * columns,
               (size_t)columns * sizeof *out);
    return out;
}

static double *permute_columns(fixture *f, const double *in, const int *perm,
                               int64_t rows, int columns)
{
    double *out = interpreter_room(&f->t, rows * columns);
    for (int64_t r = 0; r < rows; r++)
        for (int i = 0; i < columns; i++)
            out[r * columns + i] = in[r * columns + perm[i]];
    return out;
}

/* The ports with the weights of another arrangement. */
static ports permuted_weights(fixture *f, const permutation *by)
{
    ports p = f->known;
    put(&p, "w_qkv", permute_rows(f, got(&p, "w_qkv"), by->qkv, QKV, D, THERE));
    put(&p, "w_o", permute_columns(f, got(&p, "w_o"), by->heads, D, Q));
    return p;
}

/* w_qkv's gradient when only the backward pass is so arranged. */
static double *permuted_backward(fixture *f, const permutation *by)
{
    ports p = permuted_weights(f, by);
    put(&p, "qkv", permute_rows(f, got(&p, "qkv"), by->qkv, QKV, N, THERE));
    put(&p, "attn", permute_rows(f, got(&p, "attn"), by->heads, Q, N, THERE));
    run(f, function(f, "backward"), &p);
    double *d = contract(f, &p, "w_qkv", QKV, D, AS_STATED);
    return permute_rows(f, d, by->qkv, QKV, D, BACK);
}

static permutation identity(void)
{
    permutation p;
    for (int i = 0; i < QKV; i++)
        p.qkv[i] = i;
    for (int i = 0; i < Q; i++)
        p.heads[i] = i;
    return p;
}

static void check_arrangement(const permutation *wrong)
{
    fixture f;
    open_fixture(&f, 0, "x0");
    permutation same = identity();
    assert_true(attention_agrees(&f, got(&f.known, "y")));
    assert_true(
        gradient_agrees(&f, "w_qkv", QKV * D, permuted_backward(&f, &same)));
    assert_false(
        gradient_agrees(&f, "w_qkv", QKV * D, permuted_backward(&f, wrong)));
    ports p = permuted_weights(&f, wrong);
    run(&f, function(&f, "forward"), &p);
    assert_false(attention_agrees(&f, got(&p, "y")));
    close_fixture(&f);
}

/* Query head h reads key-value head h div 2; wrong is h mod 2, which is h div 2
 * with the two heads in the middle exchanged. */
static void test_query_groups(void **state)
{
    (void)state;
    static const int heads[] = {0, 2, 1, 3};
    permutation wrong = identity();
    for (int i = 0; i < Q; i++)
        wrong.qkv[i] = wrong.heads[i] = heads[i / HEAD] * HEAD + i % HEAD;
    check_arrangement(&wrong);
}

/* RoPE turns channels i and i + 4 of a head; wrong are 2 i and 2 i + 1. Rows of
 * values stay. */
static void test_rope_pairs(void **state)
{
    (void)state;
    permutation wrong = identity();
    for (int i = 0; i < Q + KV; i++) {
        int at = i % HEAD, half = HEAD / 2;
        wrong.qkv[i] = i - at + (at < half ? 2 * at : 2 * (at - half) + 1);
    }
    check_arrangement(&wrong);
}

/* ---- no RoPE ---- */

static bool unturn(an_rewriter *r, const an_node *n)
{
    const an_value *v = n->results[0];
    bool is_cos = strcmp(v->name, "cos") == 0;
    if (!v->literal || (!is_cos && strcmp(v->name, "sin") != 0)) return false;
    r->map[v->id] = an_emit_full(r->b, v->type->shape, is_cos);
    return true;
}

/* The function with cos = 1 and sin = 0. */
static const an_function *without_rope(an_module *into, const an_function *f)
{
    an_error err = {0};
    an_rewriter r = {.node = unturn};
    assert_non_null(an_function_value(f, "cos"));
    assert_non_null(an_function_value(f, "sin"));
    must(an_rewrite(f, into, f->name, &r, &err), &err);
    return an_module_function(into, f->name);
}

static void test_rope_missing(void **state)
{
    (void)state;
    fixture f;
    an_module *flat = NULL;
    assert_int_equal(an_module_new(&flat, NULL), AN_OK);
    open_fixture(&f, 0, "x0");
    ports p = f.known;
    run(&f, function(&f, "backward"), &p);
    double *right = contract(&f, &p, "w_qkv", QKV, D, AS_STATED);
    assert_true(gradient_agrees(&f, "w_qkv", QKV * D, right));
    p = f.known;
    run(&f, without_rope(flat, function(&f, "backward")), &p);
    double *wrong = contract(&f, &p, "w_qkv", QKV, D, AS_STATED);
    assert_false(gradient_agrees(&f, "w_qkv", QKV * D, wrong));
    p = f.known;
    run(&f, without_rope(flat, function(&f, "forward")), &p);
    assert_false(attention_agrees(&f, got(&p, "y")));
    an_module_free(flat);
    close_fixture(&f);
}

/* ---- weight gradients that are transposed ---- */

static void test_transposed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int rows, columns;
    } weights[] = {{"w_qkv", QKV, D}, {"w_o", D, Q}};
    fixture f;
    open_fixture(&f, 0, "x0");
    ports p = f.known;
    run(&f, function(&f, "backward"), &p);
    for (int i = 0; i < 2; i++) {
        const char *name = weights[i].name;
        int m = weights[i].rows, n = weights[i].columns;
        assert_true(gradient_agrees(&f, name, m * n,
                                    contract(&f, &p, name, m, n, AS_STATED)));
        assert_false(gradient_agrees(&f, name, m * n,
                                     contract(&f, &p, name, m, n, TRANSPOSED)));
    }
    close_fixture(&f);
}

/* ---- outputs bound in the order of declaration ---- */

typedef enum rule { BY_NAME, BY_DECLARATION } rule;

/* Which port of the loaded program is to be result i of the function? */
static const char *port_of(const an_program *p, const an_function *f, int i,
                           rule how)
{
    return how == BY_NAME ? f->results[i]->name
                          : an_program_port(p, AN_OUTPUT, i)->name;
}

/* Runs the forward function on the engine; y as a user of that rule finds it.
 */
static const double *run_bound(fixture *f, an_engine *engine,
                               const an_program *program, an_request *r,
                               rule how)
{
    enum { MOST = 16, ROOM = QKV * N * sizeof(double) };
    const an_function *of = function(f, "forward");
    an_surface *list[MOST] = {NULL};
    an_error err = {0};
    int n = 0;
    void *data;
    for (int i = 0; i < of->n_params + of->n_results; i++, n++) {
        bool in = i < of->n_params;
        int k = in ? i : i - of->n_params;
        const char *name =
            in ? of->params[i]->name : port_of(program, of, k, how);
        an_port_side side = in ? AN_INPUT : AN_OUTPUT;
        must(an_surface_new(engine, ROOM, &list[n], &err), &err);
        if (in)
            must(an_surface_put(list[n],
                                an_program_find_port(program, side, name),
                                got(&f->known, name), &err),
                 &err);
        must(an_request_bind(r, side, name, list[n], &err), &err);
    }
    must(an_request_run(r, &err), &err);
    an_surface *y = list[of->n_params]; /* the first result */
    double *out = interpreter_room(&f->t, D * N);
    must(an_surface_lock(y, AN_LOCK_READ, &data, &err), &err);
    memcpy(out, data, D * N * sizeof *out);
    an_surface_unlock(y, AN_LOCK_READ);
    for (int i = 0; i < n; i++)
        an_surface_free(list[i]);
    return out;
}

static void test_output_order(void **state)
{
    (void)state;
    fixture f;
    an_error err = {0};
    an_engine *engine = NULL;
    an_program *program = NULL;
    an_lowered l = {0};
    open_fixture(&f, 0, "x0");
    const an_engine_options o = {
        .name = "cpu", .numerics = AN_NUMERICS_EXACT, .threads = 1};
    must(an_engine_open(&o, &engine, &err), &err);
    must(an_lower_function(function(&f, "forward"),
                           &(an_lower_options){.columns = 1}, &l, &err),
         &err);
    must(an_engine_compile(engine, &l.source, &program, &err), &err);
    const rule rules[] = {BY_NAME, BY_DECLARATION};
    for (int i = 0; i < 2; i++) {
        an_request *r = NULL;
        must(an_request_new(program, &r, &err), &err);
        const double *y = run_bound(&f, engine, program, r, rules[i]);
        assert_int_equal(attention_agrees(&f, y), rules[i] == BY_NAME);
        an_request_free(r);
    }
    an_program_free(program);
    an_lowered_free(&l);
    an_engine_close(engine);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_weights),
        cmocka_unit_test(test_query_groups),
        cmocka_unit_test(test_rope_pairs),
        cmocka_unit_test(test_rope_missing),
        cmocka_unit_test(test_transposed),
        cmocka_unit_test(test_output_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
