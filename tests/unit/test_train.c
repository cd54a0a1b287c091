/*
 * The trainer in memory: what a step's result may depend on (the windows, not
 * their division into micro-batches nor the threads), what it may not do (ask
 * for memory, hide an overflow), and shapes that fit no engine.
 */
#include "alloc_fail.h"
#include "trainer_case.h"

/* ---- micro-batches ---- */

/* The gradients of the first windows of the run, by micro-batches of the
 * options' size; the sum of losses. */
static double add_gradients(an_trainer *t, int64_t windows)
{
    double sum = 0;
    an_error err = {0};
    int64_t s = t->o.sequence, batch = t->o.batch;
    for (int64_t first = 0; first < windows; first += batch) {
        double nats;
        for (int64_t b = 0; b < batch; b++)
            if (an_dataset_window(
                    t->data, AN_SPLIT_TRAIN, (uint64_t)(first + b),
                    an_net_inputs(t->net) + b * s,
                    an_net_targets(t->net) + b * s, &err) != AN_OK)
                fail_msg("%s", err.text);
        if (an_net_step(t->net, &nats, &err) != AN_OK) fail_msg("%s", err.text);
        sum += nats;
    }
    return sum;
}

/* One, two and four windows at a time. Sums of 128 columns that are cut
 * otherwise differ by 128 x 2^-53 = 1.4e-14 at most in each of some 20
 * contractions in a row. */
static void test_micro_batches(void **state)
{
    (void)state;
    static const char *const models[] = {TINY_UNTIED, TINY_TIED};
    for (int m = 0; m < 2; m++) {
        an_trainer *t[3];
        double loss[3];
        for (int i = 0; i < 3; i++) {
            an_train_options o = tiny_options("soft", AN_NUMERICS_EXACT);
            o.model = models[m];
            o.batch = 1 << i;
            t[i] = open_trainer(&o);
            loss[i] = add_gradients(t[i], 4);
        }
        for (int i = 1; i < 3; i++) {
            assert_true(fabs(loss[i] - loss[0]) <= 1e-12 * loss[0]);
            expect_near(t[i], t[0], GRADIENTS, 1e-12);
        }
        for (int i = 0; i < 3; i++)
            an_trainer_close(t[i]);
    }
}

/* The same through whole steps: batch 4 is 4 micro-batches of 1. The update
 * divides both by the same number of tokens. */
static void test_accumulated_steps(void **state)
{
    (void)state;
    an_train_options o = tiny_options("cpu", AN_NUMERICS_EXACT);
    an_trainer *t[2];
    an_step_report r[2];
    for (int i = 0; i < 2; i++) {
        o.batch = i ? 1 : 4;
        o.accum = i ? 4 : 1;
        t[i] = open_trainer(&o);
        for (int step = 0; step < 3; step++)
            r[i] = run_step(t[i]);
    }
    assert_int_equal(r[0].tokens, r[1].tokens);
    assert_int_equal(r[0].tokens, 3 * 4 * 32);
    assert_true(fabs(r[0].loss - r[1].loss) <= 1e-12 * r[0].loss);
    assert_true(fabs(r[0].grad_norm - r[1].grad_norm) <=
                1e-12 * r[0].grad_norm);
    expect_near(t[0], t[1], MASTERS, 1e-9); /* Adam divides by small numbers */
    an_trainer_close(t[0]);
    an_trainer_close(t[1]);
}

/* ---- threads ---- */

static void check_threads(const char *engine, an_numerics numerics)
{
    an_trainer *t[3];
    double loss[3];
    for (int i = 0; i < 3; i++) {
        an_train_options o = tiny_options(engine, numerics);
        o.threads = i + 1;
        o.accum = 2;
        t[i] = open_trainer(&o);
        for (int step = 0; step < 5; step++)
            loss[i] = run_step(t[i]).loss;
    }
    for (int i = 1; i < 3; i++) {
        assert_memory_equal(&loss[i], &loss[0], sizeof(double));
        expect_same_bits(t[i], t[0], MASTERS);
    }
    for (int i = 0; i < 3; i++)
        an_trainer_close(t[i]);
}

static void test_threads(void **state)
{
    (void)state;
    check_threads("soft", AN_NUMERICS_IEEE);
    check_threads("soft", AN_NUMERICS_EXACT);
    check_threads("cpu", AN_NUMERICS_IEEE);
}

/* ---- memory ---- */

static void check_warm_steps(const char *engine, an_numerics numerics,
                             const char *out)
{
    an_train_options o = tiny_options(engine, numerics);
    o.out = out;
    o.accum = 2;
    an_trainer *t = open_trainer(&o);
    run_step(t);
    long before = alloc_requests();
    for (int i = 0; i < 4; i++)
        run_step(t);
    assert_int_equal(alloc_requests() - before, 0);
    an_trainer_close(t);
}

static void test_warm_steps_allocate_nothing(void **state)
{
    (void)state;
    check_warm_steps("soft", AN_NUMERICS_IEEE, NULL);
    check_warm_steps("cpu", AN_NUMERICS_IEEE, NULL);
    check_warm_steps("soft", AN_NUMERICS_EXACT, scratch_path(&files, "warm"));
}

/* ---- overflow ---- */

/* At a scale of 2^24 the adjoints leave fp16: nothing changes but the scale,
 * and the run goes on with the next windows. */
static void test_overflow(void **state)
{
    (void)state;
    an_train_options o = tiny_options("soft", AN_NUMERICS_IEEE);
    an_trainer *calm = open_trainer(&o);
    o.loss_scale = 0x1p24;
    o.scaling = AN_SCALING_FIXED;
    o.accum = 2;
    an_trainer *t = open_trainer(&o);
    for (int step = 1; step <= 2; step++) {
        an_step_report r = run_step(t);
        assert_true(r.skipped);
        assert_true(r.overflow[0] != 0);
        assert_true(r.loss_scale == 0x1p24);
        assert_true(isfinite(r.loss));
        assert_int_equal(r.step, step);
        assert_int_equal(r.tokens, step * 2 * 2 * 32);
        assert_int_equal(t->progress.updates, 0);
        expect_same_bits(t, calm, MASTERS);
        for (int i = 0; i < t->placed.weights->n; i++) {
            const an_weight *w = &t->placed.weights->list[i];
            for (size_t k = 0; k < w->n; k++)
                if (((const float *)w->grad)[k] != 0 ||
                    ((const float *)w->m)[k] != 0 ||
                    ((const float *)w->v)[k] != 0)
                    fail_msg("%s is not 0", w->param->name);
        }
        /* the last micro-batch held the step's last window */
        int32_t inputs[32], targets[32];
        assert_int_equal(an_dataset_window(t->data, AN_SPLIT_TRAIN,
                                           (uint64_t)step * 4 - 1, inputs,
                                           targets, NULL),
                         AN_OK);
        assert_memory_equal(an_net_inputs(t->net) + 32, inputs, sizeof inputs);
    }
    an_trainer_close(t);
    an_trainer_close(calm);
}

/* A scale that follows is halved until an update succeeds, which is the first.
 */
static void test_scale_comes_down(void **state)
{
    (void)state;
    an_train_options o = tiny_options("soft", AN_NUMERICS_IEEE);
    o.loss_scale = 0x1p24;
    an_trainer *t = open_trainer(&o);
    double scale = 0x1p24;
    an_step_report r = run_step(t);
    while (r.skipped) {
        assert_true(r.loss_scale == scale);
        assert_int_equal(t->progress.updates, 0);
        scale /= 2;
        assert_true(scale > 1);
        r = run_step(t);
    }
    assert_true(r.loss_scale == scale);
    assert_int_equal(t->progress.updates, 1);
    an_trainer_close(t);
}

/* ---- shapes ---- */

/* A sequence of 20, a hidden size of 172 and a width of 36: every port of a
 * chip's programs is padded, none of cpu's. */
static void test_padded_ports(void **state)
{
    (void)state;
    const char *model = scratch_model(&files, "odd.json", 36, 172, 20);
    for (int64_t batch = 1; batch <= 3; batch += 2) {
        an_trainer *t[2];
        double loss[2], val[2];
        for (int i = 0; i < 2; i++) {
            an_train_options o =
                tiny_options(i ? "cpu" : "soft", AN_NUMERICS_EXACT);
            o.model = model;
            o.batch = batch;
            t[i] = open_trainer(&o);
            for (int step = 0; step < 3; step++)
                loss[i] = run_step(t[i]).loss;
            assert_int_equal(an_trainer_evaluate(t[i], &val[i], NULL), AN_OK);
        }
        assert_true(fabs(loss[0] - loss[1]) <= 1e-12 * loss[1]);
        assert_true(fabs(val[0] - val[1]) <= 1e-12 * val[1]);
        expect_near(t[0], t[1], MASTERS, 1e-9);
        an_trainer_close(t[0]);
        an_trainer_close(t[1]);
    }
}

/* ---- held-out data ---- */

static void test_no_validation(void **state)
{
    (void)state;
    an_train_options o = tiny_options("cpu", AN_NUMERICS_IEEE);
    o.validation = 0;
    o.steps = 2;
    o.eval_every = 1;
    an_trainer *t = open_trainer(&o);
    an_step_report r = run_all(t);
    assert_int_equal(r.step, 2);
    assert_true(isnan(r.val_loss));
    double loss = 0;
    assert_int_equal(an_trainer_evaluate(t, &loss, NULL), AN_OK);
    assert_true(isnan(loss));
    an_trainer_close(t);
}

/* Windows that do not fill the last batch count once, and looking changes
 * nothing. */
static void test_validation(void **state)
{
    (void)state;
    double loss[2];
    an_trainer *t[2];
    for (int i = 0; i < 2; i++) {
        an_train_options o = tiny_options("cpu", AN_NUMERICS_EXACT);
        o.batch = 1;
        o.accum = 3;
        o.eval_windows = 4;
        if (i == 1) {
            o.batch = 3; /* 3 and 1 of 3 */
            o.accum = 1;
        }
        t[i] = open_trainer(&o);
        assert_int_equal(an_trainer_evaluate(t[i], &loss[i], NULL), AN_OK);
        run_step(t[i]);
    }
    assert_true(fabs(loss[0] - loss[1]) <= 1e-12 * loss[0]);
    expect_near(t[0], t[1], MASTERS, 1e-9);
    an_trainer_close(t[0]);
    an_trainer_close(t[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_micro_batches),
        cmocka_unit_test(test_accumulated_steps),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_warm_steps_allocate_nothing),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_scale_comes_down),
        cmocka_unit_test(test_padded_ports),
        cmocka_unit_test(test_no_validation),
        cmocka_unit_test(test_validation),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
