/*
 * Runs that are interrupted and go on, all inside one process: the same bits
 * as without; which settings must match; what fails leaves nothing behind.
 */
#include "alloc_fail.h"
#include "base/json.h"
#include "trainer_case.h"

/* ---- comparison of run folders ---- */

static const char *in_run(const char *run, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", run, name);
    return scratch_path(&files, path);
}

static char *read_file(const char *path, size_t *size)
{
    char *data = NULL;
    an_error err = {0};
    if (an_file_read(path, 1 << 24, &data, size, &err) != AN_OK)
        fail_msg("%s", err.text);
    return data;
}

static void expect_same_file(const char *a, const char *b, const char *name)
{
    size_t n_a, n_b;
    char *x = read_file(in_run(a, name), &n_a);
    char *y = read_file(in_run(b, name), &n_b);
    if (n_a != n_b || memcmp(x, y, n_a) != 0)
        fail_msg("%s differs between %s and %s", name, a, b);
    an_free(x);
    an_free(y);
}

/* Takes the next line off *text as an object; NULL at the end. */
static json_t *next_line(char **text)
{
    json_t *object = NULL;
    an_error err = {0};
    size_t n = strcspn(*text, "\n");
    if (n == 0) return NULL;
    if (an_json_parse(*text, n, "metrics", &object, &err) != AN_OK)
        fail_msg("%s", err.text);
    *text += n + ((*text)[n] == '\n');
    return object;
}

/* Every line but its `ms`; the number of lines. */
static int expect_same_metrics(const char *a, const char *b)
{
    size_t size;
    char *x = read_file(in_run(a, "metrics.jsonl"), &size);
    char *y = read_file(in_run(b, "metrics.jsonl"), &size);
    char *at_x = x, *at_y = y;
    int n = 0;
    for (json_t *p, *q; (p = next_line(&at_x)); n++) {
        q = next_line(&at_y);
        if (!q) fail_msg("%s has only %d lines", b, n);
        assert_int_equal(json_object_del(p, "ms"), 0);
        assert_int_equal(json_object_del(q, "ms"), 0);
        if (!json_equal(p, q)) fail_msg("line %d differs", n + 1);
        json_decref(p);
        json_decref(q);
    }
    assert_int_equal(*at_y, 0);
    an_free(x);
    an_free(y);
    return n;
}

static void expect_same_run(const char *a, const char *b, int steps)
{
    expect_same_file(a, b, "model.safetensors");
    expect_same_file(a, b, "state.safetensors");
    expect_same_file(a, b, "config.json");
    assert_int_equal(expect_same_metrics(a, b), steps);
}

/* ---- interruption ---- */

static an_train_options run_options(const char *engine, an_numerics numerics,
                                    const char *run)
{
    an_train_options o = tiny_options(engine, numerics);
    o.out = scratch_path(&files, run);
    o.eval_every = 5;
    return o;
}

static int64_t run_to_end(const an_train_options *o)
{
    an_trainer *t = open_trainer(o);
    int64_t step = run_all(t).step;
    an_trainer_close(t);
    return step;
}

static void check_resume(const char *engine, an_numerics numerics,
                         const char *model)
{
    an_train_options o = run_options(engine, numerics, "straight");
    o.model = model;
    o.fresh = true;
    assert_int_equal(run_to_end(&o), 20);
    o.out = scratch_path(&files, "stopped");
    o.stop_at = 10;
    assert_int_equal(run_to_end(&o), 10);
    o.fresh = false;
    o.stop_at = 0;
    o.threads = 1; /* may change */
    o.save_every = 7;
    an_trainer *t = open_trainer(&o);
    an_train_plan plan;
    an_trainer_get_plan(t, &plan);
    assert_true(plan.resumed && !plan.finished);
    assert_int_equal(plan.first_step, 10);
    assert_int_equal(plan.steps_before, 20);
    assert_int_equal(run_all(t).step, 20);
    an_trainer_close(t);
    expect_same_run("straight", "stopped", 20);
}

static void test_resume_exact(void **state)
{
    (void)state;
    check_resume("cpu", AN_NUMERICS_EXACT, TINY_UNTIED);
}

static void test_resume_fp16(void **state)
{
    (void)state;
    check_resume("soft", AN_NUMERICS_IEEE, TINY_TIED);
}

/* Closed in the middle of nowhere: the steps behind the last checkpoint are
 * done again, and their lines written again. */
static void test_abandoned(void **state)
{
    (void)state;
    an_train_options o = run_options("cpu", AN_NUMERICS_IEEE, "whole");
    assert_int_equal(run_to_end(&o), 20);
    o.out = scratch_path(&files, "abandoned");
    o.save_every = 4;
    an_trainer *t = open_trainer(&o);
    for (int i = 0; i < 11; i++)
        run_step(t);
    an_trainer_close(t);
    t = open_trainer(&o);
    assert_int_equal(t->first_step, 8);
    assert_int_equal(run_all(t).step, 20);
    an_trainer_close(t);
    expect_same_run("whole", "abandoned", 20);
}

static void test_token_limit(void **state)
{
    (void)state;
    an_train_options o = run_options("cpu", AN_NUMERICS_IEEE, "unlimited");
    assert_int_equal(run_to_end(&o), 20);
    o.out = scratch_path(&files, "limited");
    o.tokens = 7 * 64 - 1; /* reached by the seventh step */
    assert_int_equal(run_to_end(&o), 7);
    o.tokens = 0;
    assert_int_equal(run_to_end(&o), 20);
    expect_same_run("unlimited", "limited", 20);
}

/* Skipped steps and a scale on its way are part of what is continued. */
static void test_resume_after_overflow(void **state)
{
    (void)state;
    an_train_options o = run_options("soft", AN_NUMERICS_IEEE, "hot");
    o.loss_scale = 0x1p24;
    assert_int_equal(run_to_end(&o), 20);
    o.out = scratch_path(&files, "hot2");
    o.stop_at = 3;
    assert_int_equal(run_to_end(&o), 3);
    o.stop_at = 0;
    an_trainer *t = open_trainer(&o);
    assert_true(t->progress.scale.value == 0x1p21);
    assert_int_equal(t->progress.updates, 0);
    run_all(t);
    an_trainer_close(t);
    expect_same_run("hot", "hot2", 20);
}

/* A finished run is left as it is. */
static void test_finished(void **state)
{
    (void)state;
    an_train_options o = run_options("cpu", AN_NUMERICS_IEEE, "done");
    assert_int_equal(run_to_end(&o), 20);
    size_t before, after;
    an_free(read_file(in_run("done", "metrics.jsonl"), &before));
    an_trainer *t = open_trainer(&o);
    an_train_plan plan;
    an_trainer_get_plan(t, &plan);
    assert_true(plan.finished);
    an_step_report r = run_step(t);
    assert_true(r.finished);
    assert_int_equal(r.step, 20);
    an_trainer_close(t);
    an_free(read_file(in_run("done", "metrics.jsonl"), &after));
    assert_int_equal(before, after);
}

/* Another length: the schedule is that of the new one from there. */
static void test_another_length(void **state)
{
    (void)state;
    an_train_options o = run_options("cpu", AN_NUMERICS_IEEE, "longer");
    o.warmup = 2;
    o.stop_at = 10;
    assert_int_equal(run_to_end(&o), 10);
    o.stop_at = 0;
    o.steps = 40;
    an_trainer *t = open_trainer(&o);
    an_train_plan plan;
    an_trainer_get_plan(t, &plan);
    assert_int_equal(plan.steps_before, 20);
    assert_int_equal(plan.steps, 40);
    assert_int_equal(plan.first_step, 10);
    an_step_report r = run_step(t);
    const an_schedule s = {.lr = t->o.lr, .lr_min = 0.1, .warmup = 2 / 40.0};
    assert_true(r.lr == an_schedule_lr(&s, 10 / 40.0, 1 / 40.0));
    assert_int_equal(run_all(t).step, 40);
    an_trainer_close(t);
}

/* The engine may change; the scale is the run's, not the engine's default. */
static void test_another_engine(void **state)
{
    (void)state;
    an_train_options o = run_options("soft", AN_NUMERICS_IEEE, "moved");
    o.stop_at = 5;
    assert_int_equal(run_to_end(&o), 5);
    o.engine = "cpu";
    o.stop_at = 0;
    an_trainer *t = open_trainer(&o);
    assert_int_equal(t->first_step, 5);
    assert_true(t->progress.scale.value == 64);
    assert_int_equal(run_all(t).step, 20);
    an_trainer_close(t);
}

/* ---- settings that must match ---- */

// clang-format off
static void change(an_train_options *o, int i, const char **key)
{
    switch (i) {
    case 0: *key = "seed"; o->seed++; break;
    case 1: *key = "seq"; o->sequence = 16; break;
    case 2: *key = "batch"; o->batch = 1; break;
    case 3: *key = "accum"; o->accum = 2; break;
    case 4: *key = "lr"; o->lr = 0.125; break;
    case 5: *key = "lr-min"; o->lr_min = 0.5; break;
    case 6: *key = "warmup"; o->warmup = 3; break;
    case 7: *key = "beta1"; o->beta1 = 0.5; break;
    case 8: *key = "beta2"; o->beta2 = 0.5; break;
    case 9: *key = "epsilon"; o->epsilon = 1e-6; break;
    case 10: *key = "weight-decay"; o->weight_decay = 0; break;
    case 11: *key = "clip"; o->clip = 0; break;
    case 12: *key = "loss-scale"; o->loss_scale = 32; break;
    case 13: *key = "validation"; o->validation = 0.25; break;
    case 14: *key = "minutes"; o->minutes = 1; break;
    case 15: *key = "numerics"; o->numerics = AN_NUMERICS_EXACT; break;
    case 16: *key = "model"; o->model = TINY_TIED; break;
    case 17: *key = "scaling"; o->scaling = AN_SCALING_FIXED; break;
    default: *key = NULL;
    }
}
// clang-format on

static void test_other_settings(void **state)
{
    (void)state;
    an_train_options o = run_options("cpu", AN_NUMERICS_IEEE, "fixed");
    o.stop_at = 2;
    assert_int_equal(run_to_end(&o), 2);
    const char *key;
    for (int i = 0;; i++) {
        an_train_options other = o;
        an_trainer *t = NULL;
        an_error err = {0};
        char want[32];
        change(&other, i, &key);
        if (!key) break;
        an_status s = an_trainer_open(&other, &t, &err);
        snprintf(want, sizeof want, "%s: the run in ", key);
        if (s != AN_EINVAL || strncmp(err.text, want, strlen(want)) != 0)
            fail_msg("%s: %s \"%s\"", key, an_status_name(s), err.text);
        assert_null(t);
    }
    o.stop_at = 0;
    assert_int_equal(run_to_end(&o), 20); /* none of them did any harm */
}

/* Other text of a model with a vocabulary for it. */
static void test_other_data(void **state)
{
    (void)state;
    static const char *const data[] = {"src/train/stages.c"};
    static const char *const other_data[] = {"src/train/net.c"};
    an_train_options o = run_options("cpu", AN_NUMERICS_IEEE, "texts");
    o.model = "small";
    o.data = data;
    o.batch = 1;
    o.sequence = 16;
    o.stop_at = 1;
    o.eval_every = 0;
    assert_int_equal(run_to_end(&o), 1);
    o.data = other_data;
    an_trainer *t = NULL;
    an_error err = {0};
    assert_int_equal(an_trainer_open(&o, &t, &err), AN_EINVAL);
    assert_int_equal(strncmp(err.text, "data: the run in ", 17), 0);
}

/* ---- without memory ---- */

static an_train_options sweep_options;

static an_status open_run_save(void *ctx, an_error *err)
{
    (void)ctx;
    an_trainer *t = NULL;
    an_step_report r;
    an_status s = an_trainer_open(&sweep_options, &t, err);
    for (int i = 0; s == AN_OK && i < 2; i++)
        s = an_trainer_step(t, &r, err);
    if (s == AN_OK) s = an_trainer_save(t, err);
    an_trainer_close(t);
    return s;
}

/* Every request up to the 8th fails once, then ever fewer: a run makes some
 * thousands. */
enum { SWEEP_SHARE = 8 };

static void test_without_memory(void **state)
{
    (void)state;
    sweep_options = tiny_options("soft", AN_NUMERICS_IEEE);
    sweep_options.out = scratch_path(&files, "sweep");
    sweep_options.fresh = true;
    sweep_options.model = scratch_model(&files, "sweep.json", 8, 8, 8);
    sweep_options.eval_every = 1;
    sweep_options.threads = 1;
    sweep_options.steps = 2;
    long n = 1, runs = 0;
    for (;; runs++, n += 1 + n / SWEEP_SHARE) {
        an_error err = {0};
        long blocks = alloc_live(), before = alloc_requests();
        alloc_fail_after(n);
        an_status s = open_run_save(NULL, &err);
        alloc_fail_after(0);
        bool met = alloc_requests() - before >= n;
        if (alloc_live() != blocks)
            fail_msg("request %ld: %ld blocks are left (%s)", n,
                     alloc_live() - blocks, err.text);
        if (met ? s != AN_ENOMEM || !err.text[0] : s != AN_OK)
            fail_msg("request %ld: %s \"%s\"", n, an_status_name(s), err.text);
        if (!met) break;
    }
    assert_true(n > 1000 && runs > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_exact),
        cmocka_unit_test(test_resume_fp16),
        cmocka_unit_test(test_abandoned),
        cmocka_unit_test(test_token_limit),
        cmocka_unit_test(test_resume_after_overflow),
        cmocka_unit_test(test_finished),
        cmocka_unit_test(test_another_length),
        cmocka_unit_test(test_another_engine),
        cmocka_unit_test(test_other_settings),
        cmocka_unit_test(test_other_data),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
