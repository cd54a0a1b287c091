/*
 * Frozen parameters: they keep their bits and have no gradients and moments,
 * the others get what they get without; how the weights reach the engine
 * changes nothing; such runs resume.
 */
#include "trainer_case.h"

/* Without clipping, whose norm is that of the trained parameters. */
static an_train_options exact_options(const char *freeze)
{
    an_train_options o = tiny_options("cpu", AN_NUMERICS_EXACT);
    o.clip = 0;
    o.freeze = freeze;
    return o;
}

static bool same_master(const an_trainer *a, const an_trainer *b, int i)
{
    const an_weight *x = &a->placed.weights->list[i];
    const an_weight *y = &b->placed.weights->list[i];
    size_t size = an_dtype_size(a->placed.weights->dtype);
    return memcmp(x->master, y->master, x->n * size) == 0;
}

/* After a step: what is frozen is as at the start, the rest as in a run that
 * froze nothing. */
static void expect_part_of_full_step(const char *model, const char *freeze,
                                     const char *engine)
{
    an_train_options o = exact_options(NULL), f = exact_options(freeze);
    o.model = f.model = model;
    o.engine = f.engine = engine;
    an_trainer *start = open_trainer(&o), *full = open_trainer(&o);
    an_trainer *part = open_trainer(&f);
    double loss = run_step(full).loss;
    assert_true(run_step(part).loss == loss);
    int frozen = 0;
    for (int i = 0; i < part->placed.weights->n; i++) {
        const an_weight *w = &part->placed.weights->list[i];
        frozen += !w->param->trained;
        assert_int_equal(w->grad != NULL, w->param->trained);
        assert_int_equal(w->m != NULL, w->param->trained);
        if (!same_master(part, w->param->trained ? full : start, i))
            fail_msg("%s, frozen %s: %s differs", model, freeze,
                     w->param->name);
    }
    assert_true(frozen > 0);
    an_trainer_close(start);
    an_trainer_close(full);
    an_trainer_close(part);
}

static void test_trained_as_in_full_training(void **state)
{
    (void)state;
    static const char *const freezes[] = {"embed",
                                          "head",
                                          "0",
                                          "1",
                                          "embed,0",
                                          "0-1",
                                          "attention",
                                          "mlp",
                                          "embed,head,0,attention",
                                          "embed,head,0-1"};
    for (size_t i = 0; i + 1 < sizeof freezes / sizeof *freezes; i++)
        expect_part_of_full_step(TINY_UNTIED, freezes[i], "cpu");
    expect_part_of_full_step(TINY_TIED, "embed,1", "cpu");
    expect_part_of_full_step(TINY_TIED, "0", "cpu");
    expect_part_of_full_step(TINY_UNTIED, "embed,0", "soft:m4");
    expect_part_of_full_step("tests/data/models/gpt2/config.json", "embed,0",
                             "cpu");
}

/* The stages below what is trained are not there. */
static void test_backward_ends(void **state)
{
    (void)state;
    an_train_options o = exact_options(NULL), f = exact_options("embed,0");
    an_trainer *full = open_trainer(&o), *part = open_trainer(&f);
    int below = 0, scatters = 0;
    bool backward = false;
    for (int i = 0; i < an_net_n_stages(part->net); i++) {
        const an_stage *s = an_net_stage(part->net, i);
        below += backward && s->layer == 0;
        scatters += s->kind == AN_STAGE_SCATTER;
        backward = backward || s->kind == AN_STAGE_LOSS;
    }
    assert_true(backward);
    assert_int_equal(below, 0);
    assert_int_equal(scatters, 0);
    an_train_plan a, b;
    an_trainer_get_plan(full, &a);
    an_trainer_get_plan(part, &b);
    assert_true(b.optimizer_bytes < a.optimizer_bytes);
    assert_true(b.surface_bytes < a.surface_bytes);
    assert_true(b.flops_per_step < a.flops_per_step);
    assert_int_equal(b.optimizer_bytes, (size_t)b.trained * 3 * 8);
    assert_int_equal(a.weights, AN_WEIGHT_STREAM);
    assert_int_equal(b.weights, AN_WEIGHT_MIXED);
    an_trainer_close(full);
    an_trainer_close(part);
}

static int64_t compiles_left(const an_trainer *t)
{
    an_engine_facts facts;
    an_engine_get_facts(t->placed.engine, &facts);
    return facts.compiles_left;
}

/* Constants are compiled at the start and never again, or where the engine
 * cannot compile so many programs, streamed: the same bits on `soft`. */
static void test_modes_agree(void **state)
{
    (void)state;
    static const struct {
        const char *engine;
        an_weight_mode asked, becomes;
    } cases[] = {
        {"soft:m4", AN_WEIGHT_STREAM, AN_WEIGHT_STREAM},
        {"soft:m4,compiles=99", AN_WEIGHT_AUTO, AN_WEIGHT_MIXED},
        {"soft:m4,compiles=9", AN_WEIGHT_AUTO, AN_WEIGHT_STREAM},
        {"soft:m4", AN_WEIGHT_BAKE, AN_WEIGHT_BAKE},
    };
    enum { N = sizeof cases / sizeof *cases };
    an_trainer *t[N];
    for (int i = 0; i < N; i++) {
        an_train_options o = tiny_options(cases[i].engine, AN_NUMERICS_IEEE);
        an_train_plan plan;
        o.freeze = "embed,0";
        o.weights = cases[i].asked;
        t[i] = open_trainer(&o);
        an_trainer_get_plan(t[i], &plan);
        assert_int_equal(plan.weights, cases[i].becomes);
        int64_t left = compiles_left(t[i]);
        for (int k = 0; k < 3; k++)
            run_step(t[i]);
        if (plan.weights != AN_WEIGHT_BAKE)
            assert_int_equal(compiles_left(t[i]), left);
        if (i > 0) expect_same_bits(t[i], t[0], MASTERS);
    }
    for (int i = 0; i < N; i++)
        an_trainer_close(t[i]);
}

static void test_resume(void **state)
{
    (void)state;
    an_train_options o = tiny_options("cpu", AN_NUMERICS_IEEE);
    o.freeze = "embed,0";
    o.steps = 6;
    o.out = scratch_path(&files, "whole");
    an_trainer *whole = open_trainer(&o);
    run_all(whole);
    o.out = scratch_path(&files, "cut");
    o.stop_at = 3;
    an_trainer *cut = open_trainer(&o);
    run_all(cut);
    an_trainer_close(cut);
    o.stop_at = 0;
    cut = open_trainer(&o);
    assert_int_equal(cut->progress.step, 3);
    run_all(cut);
    expect_same_bits(cut, whole, MASTERS);
    an_trainer_close(cut);
    an_trainer_close(whole);
    an_error err = {0};
    o.freeze = "0";
    assert_int_equal(an_trainer_open(&o, &cut, &err), AN_EINVAL);
    assert_non_null(strstr(err.text, "freeze: the run in "));
    o.freeze = NULL;
    err = (an_error){0};
    assert_int_equal(an_trainer_open(&o, &cut, &err), AN_EINVAL);
    if (!strstr(err.text, "has embed,0, got nothing")) fail_msg("%s", err.text);
}

static void test_words(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",    "emb",   "embed,", ",0",        "2",     "1-0",
        "0-2", "0-",    "-1",     "0 ",        "0-1-1", "99999999999999999999",
        "0x1", "heads", "0,,1",   "embed;head"};
    an_model *m = NULL;
    an_error err = {0};
    assert_int_equal(an_model_open(TINY_UNTIED, 0, &m, &err), AN_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        err = (an_error){0};
        if (an_model_freeze(m, wrong[i], &err) != AN_EINVAL)
            fail_msg("'%s' was taken", wrong[i]);
        assert_ptr_equal(strstr(err.text, "freeze: "), err.text);
    }
    err = (an_error){0};
    assert_int_equal(an_model_freeze(m, "embed,head,0-1", &err), AN_EINVAL);
    if (!strstr(err.text, "leaves nothing to train")) fail_msg("%s", err.text);
    an_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trained_as_in_full_training),
        cmocka_unit_test(test_backward_ends),
        cmocka_unit_test(test_modes_agree),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
