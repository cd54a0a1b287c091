/*
 * Whole training steps through the trainer's own parts (net, loss, update) on
 * the engines, against PyTorch's in fp64 (tests/reference/step.py) and against
 * central differences of the loss.
 */
#include "anemone/train.h"
#include "base/rng.h"
#include "step_model.h"
#include "train/placed.h"
#include "train/update.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The settings of step.py. */
static const double LR = 0.01, BETA1 = 0.9, BETA2 = 0.95, EPSILON = 1e-8,
                    DECAY = 0.1, CLIP = 1.0;

typedef struct bench {
    step_model m;
    an_placed p;
    an_net *net;
    an_update *update;
    double divisor;     /* of gradients: loss scale x tokens */
    double *values[32]; /* room for one tensor of each parameter's size */
} bench;

static void must(an_status s, const an_error *err)
{
    if (s != AN_OK) fail_msg("%s", err->text);
}

static int64_t count(const bench *b, int i)
{
    return (int64_t)b->p.weights->list[i].n;
}

static void set_element(const an_weights *w, int i, int64_t k, double x)
{
    if (w->dtype == AN_FP64)
        ((double *)w->list[i].master)[k] = x;
    else
        ((float *)w->list[i].master)[k] = (float)x;
}

static double element(const an_weights *w, const void *data, int64_t k)
{
    return w->dtype == AN_FP64 ? ((const double *)data)[k]
                               : (double)((const float *)data)[k];
}

static void set_weight(bench *b, int i, const double *x)
{
    for (int64_t k = 0; k < count(b, i); k++)
        set_element(b->p.weights, i, k, x[k]);
    an_weight_publish(b->p.weights, i, 0, b->p.weights->list[i].param->rows);
}

static void open_bench(bench *b, const char *kind, const char *engine,
                       an_numerics numerics, double scale)
{
    char path[128];
    an_error err = {0};
    *b = (bench){.divisor = scale * STEP_COLUMNS};
    step_model_open(&b->m, kind);
    snprintf(path, sizeof path, "tests/reference/step_%s.json", kind);
    must(an_model_open(path, 0, &b->p.model, &err), &err);
    must(an_placed_open(&b->p, engine, numerics, 2, AN_WEIGHTS_TRAIN, &err),
         &err);
    assert_true(b->p.weights->n <= 32);
    for (int i = 0; i < b->p.weights->n; i++) {
        b->values[i] =
            an_arena_array(&b->m.arena, (size_t)count(b, i), sizeof(double));
        assert_non_null(b->values[i]);
        set_weight(b, i, b->m.weights[i]);
    }
    must(an_placed_net(&b->p, STEP_BATCH, STEP_SEQUENCE, AN_NET_TRAIN,
                       AN_WEIGHT_STREAM, scale, &b->net, &err),
         &err);
    must(an_update_new(b->p.weights, &b->update, &err), &err);
}

static void close_bench(bench *b)
{
    an_update_free(b->update);
    an_net_free(b->net);
    an_placed_fini(&b->p);
    step_model_close(&b->m);
}

static const void *stored(const bench *b, const char *what, int step,
                          const char *name, an_dtype dtype)
{
    char text[96];
    snprintf(text, sizeof text, "%s.%d%s%s", what, step, *name ? "." : "",
             name);
    return step_model_tensor(&b->m, text, dtype);
}

static const char *param_name(const bench *b, int i)
{
    return b->p.weights->list[i].param->name;
}

static void set_tokens(bench *b, int step)
{
    size_t bytes = STEP_COLUMNS * sizeof(int32_t);
    memcpy(an_net_inputs(b->net), stored(b, "inputs", step, "", AN_INT32),
           bytes);
    memcpy(an_net_targets(b->net), stored(b, "targets", step, "", AN_INT32),
           bytes);
}

/* Mean loss of a step's tokens; gradients are added to the weights'. */
static double run_net(bench *b, int step)
{
    an_error err = {0};
    double nats;
    set_tokens(b, step);
    must(an_net_step(b->net, &nats, &err), &err);
    return nats / STEP_COLUMNS;
}

/* The mean loss's gradient, in values[i]. */
static const double *gradient(bench *b, int i)
{
    const an_weights *w = b->p.weights;
    for (int64_t k = 0; k < count(b, i); k++)
        b->values[i][k] = element(w, w->list[i].grad, k) / b->divisor;
    return b->values[i];
}

static const double *weight(bench *b, int i)
{
    const an_weights *w = b->p.weights;
    for (int64_t k = 0; k < count(b, i); k++)
        b->values[i][k] = element(w, w->list[i].master, k);
    return b->values[i];
}

static double run_update(bench *b, int step)
{
    an_error err = {0};
    an_update_step u = {.adamw = {.lr = LR,
                                  .beta1 = BETA1,
                                  .beta2 = BETA2,
                                  .epsilon = EPSILON,
                                  .decay = DECAY},
                        .divisor = b->divisor,
                        .clip = CLIP,
                        .updates = step - 1};
    must(an_update_run(b->update, b->p.pool, &u, &err), &err);
    assert_false(u.skipped);
    return u.grad_norm;
}

static double norm(int64_t n, const double *x)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += x[k] * x[k];
    return sqrt(sum);
}

/* |came - want| / |want|, Euclidean. */
static double distance(int64_t n, const double *came, const double *want)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += (came[k] - want[k]) * (came[k] - want[k]);
    return sqrt(sum) / norm(n, want);
}

/* ---- against PyTorch, exact ----
 *
 * The claim is 1e-6 of the largest element of a tensor, after each of the two
 * steps. The first is held to what rounding can do: both sides compute in fp64
 * with sums of at most 80 terms, some 200 values in a row, so gradients agree
 * to 200 x 80 x 2^-53 = 2e-12 even if no error cancelled another. The first
 * update is lr g / (|g| + epsilon) with |g| at least 9e-7 (or 0 on both sides),
 * which turns 2e-12 into 2e-12 epsilon / |g|^2 lr = 3e-10. */
typedef struct tolerances {
    double gradient, weight;
} tolerances;
static const tolerances exact_steps[] = {{2e-12, 3e-10}, {1e-6, 1e-6}};

static bool exact_gradients_agree(bench *b, int step)
{
    double worst = 0, tolerance = exact_steps[step - 1].gradient;
    for (int i = 0; i < b->p.weights->n; i++) {
        const char *name = param_name(b, i);
        worst =
            fmax(worst, step_model_error(name, gradient(b, i),
                                         stored(b, "grad", step, name, AN_FP64),
                                         count(b, i), tolerance));
    }
    return worst <= tolerance;
}

static bool exact_weights_agree(bench *b, int step)
{
    double worst = 0, tolerance = exact_steps[step - 1].weight;
    for (int i = 0; i < b->p.weights->n; i++) {
        const char *name = param_name(b, i);
        worst = fmax(worst,
                     step_model_error(name, weight(b, i),
                                      stored(b, "after", step, name, AN_FP64),
                                      count(b, i), tolerance));
    }
    return worst <= tolerance;
}

static void check_exact(const char *kind, const char *engine)
{
    bench b;
    open_bench(&b, kind, engine, AN_NUMERICS_EXACT, 1);
    for (int step = 1; step <= 2; step++) {
        double tolerance = exact_steps[step - 1].gradient;
        double loss = run_net(&b, step);
        const double *want = stored(&b, "loss", step, "", AN_FP64);
        assert_true(fabs(loss - *want) <= tolerance * *want);
        assert_true(exact_gradients_agree(&b, step));
        double n = run_update(&b, step);
        want = stored(&b, "grad_norm", step, "", AN_FP64);
        assert_true(fabs(n - *want) <= tolerance * *want);
        assert_true(exact_weights_agree(&b, step));
    }
    close_bench(&b);
}

static void test_exact_cpu(void **state)
{
    (void)state;
    check_exact("untied", "cpu");
    check_exact("tied", "cpu");
}

/* Width 24 and hidden 40: every port is padded. */
static void test_exact_soft(void **state)
{
    (void)state;
    check_exact("untied", "soft");
    check_exact("tied", "soft");
}

/* Exchanges rows of a gradient: the two key heads of layer 0, say. */
static void exchange_rows(bench *b, int i, int64_t row, int64_t other,
                          int64_t n)
{
    const an_weight *w = &b->p.weights->list[i];
    size_t size =
        an_dtype_size(b->p.weights->dtype) * (size_t)(w->param->columns * n);
    unsigned char *a = (unsigned char *)w->grad + (size_t)(row / n) * size;
    unsigned char *c = (unsigned char *)w->grad + (size_t)(other / n) * size;
    for (size_t k = 0; k < size; k++) {
        unsigned char x = a[k];
        a[k] = c[k];
        c[k] = x;
    }
}

/* Rows 32 to 47 of w_qkv are the key heads, 8 rows each. */
static void exchange_key_heads(bench *b)
{
    exchange_rows(b, step_model_param(&b->m, 0, 0, "w_qkv"), 32, 40, 8);
}

static void test_exact_sees_spoiled(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, "untied", "cpu", AN_NUMERICS_EXACT, 1);
    run_net(&b, 1);
    assert_true(exact_gradients_agree(&b, 1));
    exchange_key_heads(&b);
    print_message("A line that tells of a difference is expected here:\n");
    assert_false(exact_gradients_agree(&b, 1));
    run_update(&b, 1);
    print_message("and here:\n");
    assert_false(exact_weights_agree(&b, 1));
    close_bench(&b);
}

/* ---- against PyTorch, ieee ----
 *
 * A gradient is the end of a chain of D roundings, each of relative size up to
 * u = 2^-11 (fp16) or 2^-24 (fp32). Forward: the embedding's; in an attention
 * block the norm's 8, w_qkv 1, RoPE 2, scores, scale, mask and softmax 4, heads
 * 1, w_o 1, sum 1; in an mlp the norm's 8, w_gate_up 1, sigmoid, silu, act 3,
 * w_down 1, sum 1: 66 in two layers. Back, an operation makes its operand's
 * adjoint with one product and at most one sum with another's: 132. D = 200.
 *
 * What one of them does to a gradient is measured: in fp64 all P weights change
 * by a random relative +-1e-7, independently, and a gradient changes by K of
 * that: squares add up, so one change in one tensor does K / sqrt(P), and D
 * independent ones K sqrt(D / P). By Higham and Mary (2019, SIAM J. Sci.
 * Comput. 41, A2815) the sum is at most t times that with probability
 * 1 - 2 exp(-t^2 / 2); t = 5: but for 1e-5. Sizes are Euclidean. */
static const double CHAIN = 200, CERTAINTY = 5, CHANGE = 1e-7;

/* The bound over u. */
static double amplification(const char *kind, int step)
{
    an_rng rng = {.seed = 3, .stream = 1};
    bench b;
    open_bench(&b, kind, "cpu", AN_NUMERICS_EXACT, 1);
    for (int i = 0; i < b.p.weights->n; i++) {
        const char *name = param_name(&b, i);
        const double *w =
            step == 1 ? b.m.weights[i] : stored(&b, "after", 1, name, AN_FP64);
        for (int64_t k = 0; k < count(&b, i); k++)
            b.values[i][k] =
                w[k] * (1 + (an_rng_uniform(&rng) < 0.5 ? CHANGE : -CHANGE));
        set_weight(&b, i, b.values[i]);
    }
    run_net(&b, step);
    double worst = 0, n = b.p.weights->n;
    for (int i = 0; i < b.p.weights->n; i++) {
        const double *g = stored(&b, "grad", step, param_name(&b, i), AN_FP64);
        worst =
            fmax(worst, distance(count(&b, i), gradient(&b, i), g) / CHANGE);
    }
    close_bench(&b);
    return CERTAINTY * sqrt(CHAIN / n) * worst;
}

static bool gradients_agree(bench *b, int step, double bound)
{
    bool agree = true;
    for (int i = 0; i < b->p.weights->n; i++) {
        const char *name = param_name(b, i);
        const double *want = stored(b, "grad", step, name, AN_FP64);
        double d = distance(count(b, i), gradient(b, i), want);
        if (d <= bound) continue;
        print_message("gradient of %s differs by %g, bound %g\n", name, d,
                      bound);
        agree = false;
    }
    return agree;
}

static double adam_direction(double g)
{
    return g / (fabs(g) + EPSILON);
}

/*
 * The first update is lr g' / (|g'| + epsilon), g' the clipped gradient, so
 * with our gradients next to PyTorch's (that they agree is checked by itself)
 * the difference of every weight follows. Beyond that fp32 rounds the weight
 * twice and the update in ten places.
 */
static void check_first_update(bench *b)
{
    double factors[2], rounding = (2 * 1.5 + 10 * LR) * 0x1p-24;
    const double *want_norm = stored(b, "grad_norm", 1, "", AN_FP64);
    double *ours[32];
    for (int i = 0; i < b->p.weights->n; i++) {
        size_t bytes = (size_t)count(b, i) * sizeof(double);
        ours[i] = an_arena_alloc(&b->m.arena, bytes);
        assert_non_null(ours[i]);
        memcpy(ours[i], gradient(b, i), bytes);
    }
    factors[0] = fmin(1, CLIP / run_update(b, 1));
    factors[1] = fmin(1, CLIP / *want_norm);
    for (int i = 0; i < b->p.weights->n; i++) {
        const char *name = param_name(b, i);
        const double *w = weight(b, i);
        const double *g = stored(b, "grad", 1, name, AN_FP64);
        const double *want = stored(b, "after", 1, name, AN_FP64);
        for (int64_t k = 0; k < count(b, i); k++) {
            double follows = LR * fabs(adam_direction(factors[0] * ours[i][k]) -
                                       adam_direction(factors[1] * g[k]));
            if (!(fabs(w[k] - want[k]) <= follows + rounding))
                fail_msg("%s: element %lld is %.9g, expected %.9g", name,
                         (long long)k, w[k], want[k]);
        }
    }
}

static void check_ieee(const char *kind, const char *engine, double scale,
                       double unit)
{
    bench b;
    open_bench(&b, kind, engine, AN_NUMERICS_IEEE, scale);
    for (int step = 1; step <= 2; step++) {
        double bound = amplification(kind, step) * unit;
        double loss = run_net(&b, step);
        const double *want = stored(&b, "loss", step, "", AN_FP64);
        assert_true(fabs(loss - *want) <= bound * *want);
        assert_true(gradients_agree(&b, step, bound));
        if (step == 1) check_first_update(&b);
        /* Gradients of the second step at PyTorch's weights. */
        for (int i = 0; i < b.p.weights->n; i++)
            set_weight(&b, i,
                       stored(&b, "after", 1, param_name(&b, i), AN_FP64));
        if (step == 1) continue;
        exchange_key_heads(&b);
        print_message("A line that tells of a difference is expected here:\n");
        assert_false(gradients_agree(&b, step, bound));
    }
    close_bench(&b);
}

static void test_ieee_fp32(void **state)
{
    (void)state;
    check_ieee("untied", "cpu", 1, 0x1p-24);
    check_ieee("tied", "cpu", 1, 0x1p-24);
}

static void test_ieee_fp16(void **state)
{
    (void)state;
    check_ieee("untied", "soft", 64, 0x1p-11);
    check_ieee("tied", "soft", 64, 0x1p-11);
}

/* ---- hw ----
 *
 * At the weights of a new run (matrices a fifteenth of the stored ones, 0.02)
 * adjoints are small. Scale 1 / tokens is the mean loss as it stands; then
 * products below 2^-16 are lost. The error that no scale removes is that of the
 * activation tables in the forward pass: the chip's loss is another function,
 * with another gradient. */
static const double HW_SCALE = 64; /* the trainer's for fp16 */

static void shrink_weights(bench *b)
{
    for (int i = 0; i < b->p.weights->n; i++) {
        const an_model_param *p = b->p.weights->list[i].param;
        double factor = p->rows > 1 && p->columns > 1 ? 1.0 / 15 : 1;
        for (int64_t k = 0; k < count(b, i); k++)
            b->values[i][k] = factor * b->m.weights[i][k];
        set_weight(b, i, b->values[i]);
    }
}

/* Errors of the gradients in hw at a loss scale; want: in exact. */
static void hw_errors(bench *exact, double scale, double *errors)
{
    bench b;
    open_bench(&b, "untied", "soft", AN_NUMERICS_HW, scale);
    shrink_weights(&b);
    run_net(&b, 1);
    for (int i = 0; i < b.p.weights->n; i++)
        errors[i] = distance(count(&b, i), gradient(&b, i), gradient(exact, i));
    close_bench(&b);
}

static void test_hw_scaling(void **state)
{
    (void)state;
    bench exact;
    double plain[32], scaled[32], product = 1;
    open_bench(&exact, "untied", "cpu", AN_NUMERICS_EXACT, 1);
    shrink_weights(&exact);
    run_net(&exact, 1);
    int n = exact.p.weights->n, n_blocks = 0;
    hw_errors(&exact, 1.0 / STEP_COLUMNS, plain);
    hw_errors(&exact, HW_SCALE, scaled);
    for (int i = 0; i < n; i++) {
        const char *name = param_name(&exact, i);
        print_message("# figure: gradient of %s in hw: relative error %.3f, "
                      "with loss scale %.3f\n",
                      name, plain[i], scaled[i]);
        if (!(scaled[i] <= 1.1 * plain[i])) fail_msg("%s", name);
        if (strncmp(name, "layers.", 7) != 0) continue;
        product *= plain[i] / scaled[i];
        n_blocks++;
    }
    double factor = pow(product, 1.0 / n_blocks);
    print_message("# figure: loss scaling makes them %.1f times smaller\n",
                  factor);
    assert_true(factor > 3);
    close_bench(&exact);
}

/* ---- against central differences ----
 *
 * L(w + h u) - L(w - h u) over 2 h along a random unit direction u of each
 * parameter, h = 1e-4: the error of the difference is of order h^2 times the
 * third derivative, its rounding 4 x 2^-53 / h = 4e-12. */

static double loss_at(bench *b, int i, const double *u, double h)
{
    an_error err = {0};
    double nats;
    for (int64_t k = 0; k < count(b, i); k++)
        b->values[i][k] = b->m.weights[i][k] + h * u[k];
    set_weight(b, i, b->values[i]);
    must(an_net_loss(b->net, &nats, &err), &err);
    return nats / STEP_COLUMNS;
}

/* Of the gradient that the weights hold; relative to the largest of the two
 * slopes and a tenth of the gradient's norm. */
static double difference_error(bench *b, int i)
{
    const double h = 1e-4;
    int64_t n = count(b, i);
    an_rng rng = {.seed = 5, .stream = (uint64_t)i};
    double *u = an_arena_array(&b->m.arena, (size_t)n, sizeof *u);
    assert_non_null(u);
    for (int64_t k = 0; k < n; k++)
        u[k] = an_rng_normal(&rng);
    double length = norm(n, u), came = 0;
    const double *g = gradient(b, i);
    double size = norm(n, g);
    for (int64_t k = 0; k < n; k++) {
        u[k] /= length;
        came += g[k] * u[k];
    }
    double want = (loss_at(b, i, u, h) - loss_at(b, i, u, -h)) / (2 * h);
    set_weight(b, i, b->m.weights[i]);
    return fabs(came - want) / fmax(fmax(fabs(came), fabs(want)), size / 10);
}

static void check_differences(const char *kind, const char *engine)
{
    bench b;
    open_bench(&b, kind, engine, AN_NUMERICS_EXACT, 1);
    run_net(&b, 1);
    for (int i = 0; i < b.p.weights->n; i++) {
        double error = difference_error(&b, i);
        if (!(error < 1e-6))
            fail_msg("%s: relative error %g", param_name(&b, i), error);
    }
    exchange_key_heads(&b);
    int spoiled = step_model_param(&b.m, 0, 0, "w_qkv");
    for (int i = 0; i < b.p.weights->n; i++)
        assert_int_equal(difference_error(&b, i) < 1e-6, i != spoiled);
    close_bench(&b);
}

static void test_differences(void **state)
{
    (void)state;
    check_differences("untied", "cpu");
    check_differences("tied", "soft");
}

/* ---- what a step is made of ---- */

static void count_evaluations(const an_net *net, int n_layers)
{
    enum { MOST = 5 };
    int per_layer[16] = {0}, head = 0;
    assert_true(n_layers <= 16);
    for (int i = 0; i < an_net_n_stages(net); i++) {
        const an_stage *s = an_net_stage(net, i);
        if (s->kind != AN_STAGE_PROGRAM) continue;
        if (s->layer < 0)
            head++;
        else
            per_layer[s->layer]++;
    }
    an_net_facts facts;
    an_net_get_facts(net, &facts);
    int sum = head;
    for (int l = 0; l < n_layers; l++) {
        assert_in_range(per_layer[l], 1, MOST);
        sum += per_layer[l];
    }
    assert_int_equal(head, 2);
    assert_int_equal(facts.evaluations, sum);
}

/* Two layers and four: the same programs. */
static void test_evaluations(void **state)
{
    (void)state;
    static const char *const models[] = {"tests/reference/step_tied.json",
                                         "small"};
    int64_t n_layers[2];
    an_net_facts facts[2];
    for (int i = 0; i < 2; i++) {
        an_error err = {0};
        an_placed p = {0};
        an_net *net = NULL;
        must(an_model_open(models[i], 0, &p.model, &err), &err);
        must(an_placed_open(&p, "soft", AN_NUMERICS_IEEE, 1, AN_WEIGHTS_TRAIN,
                            &err),
             &err);
        must(an_placed_net(&p, 1, 32, AN_NET_TRAIN, AN_WEIGHT_STREAM, 1, &net,
                           &err),
             &err);
        an_net_get_facts(net, &facts[i]);
        n_layers[i] = p.model_facts.n_layers;
        count_evaluations(net, (int)n_layers[i]);
        an_engine_facts engine;
        an_engine_get_facts(p.engine, &engine);
        assert_int_equal(engine.programs_loaded, facts[i].programs - 2);
        an_net_free(net);
        an_placed_fini(&p);
    }
    assert_true(n_layers[0] != n_layers[1]);
    assert_int_equal(facts[0].programs, facts[1].programs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_cpu),
        cmocka_unit_test(test_exact_soft),
        cmocka_unit_test(test_exact_sees_spoiled),
        cmocka_unit_test(test_ieee_fp32),
        cmocka_unit_test(test_ieee_fp16),
        cmocka_unit_test(test_hw_scaling),
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_evaluations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
