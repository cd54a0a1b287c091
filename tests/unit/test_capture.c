/*
 * Captures: the suite asks about every core op, a file comes back as it was
 * written and only so, and a replay finds what differs.
 */
#include "capture/capture.h"

#include "mil/op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[96];

static an_engine *open_engine(const char *name, an_numerics numerics)
{
    an_engine *e = NULL;
    an_error err = {0};
    an_engine_options o = {.name = name, .numerics = numerics, .threads = 1};
    if (an_engine_open(&o, &e, &err) != AN_OK) fail_msg("%s", err.text);
    return e;
}

/* ---- the suite ---- */

static void mark_ops(const an_probe *p, bool *seen)
{
    an_arena arena;
    an_probe_program program;
    an_module *m = NULL;
    an_error err = {0};
    an_arena_init(&arena);
    if (an_probe_make(p, &arena, &program, &err) != AN_OK ||
        an_mil_parse(program.text, program.size, p->name, &m, &err) != AN_OK)
        fail_msg("%s", err.text);
    const an_function *f = m != NULL ? m->functions[0] : NULL;
    for (int i = 0; f != NULL && i < f->n_nodes; i++)
        for (int k = 0; k < AN_OP_COUNT; k++)
            if (an_op_is_form(f->nodes[i]->op, an_ops[k])) seen[k] = true;
    an_module_free(m);
    an_arena_fini(&arena);
}

static void test_suite_asks_about_every_core_op(void **state)
{
    (void)state;
    static bool seen[AN_OP_COUNT];
    int missing = 0;
    for (int i = 0; an_probe_at(i) != NULL; i++)
        mark_ops(an_probe_at(i), seen);
    for (int k = 0; k < AN_OP_COUNT; k++)
        if (an_ops[k]->kernel != NULL && !seen[k]) {
            print_error("no probe has %s\n", an_ops[k]->name);
            missing++;
        }
    assert_int_equal(missing, 0);
}

static void test_names_are_unique(void **state)
{
    (void)state;
    for (int i = 0; an_probe_at(i) != NULL; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(an_probe_at(i)->name, an_probe_at(j)->name);
}

static void refuse(const char *form, const char *text)
{
    const an_probe p = {.name = "bad", .asks = "", .form = form};
    an_probe_program program;
    an_arena arena;
    an_error err = {0};
    an_arena_init(&arena);
    assert_int_equal(an_probe_make(&p, &arena, &program, &err), AN_EINVAL);
    if (strstr(err.text, text) == NULL)
        fail_msg("'%s': expected \"%s\", came \"%s\"", form, text, err.text);
    an_arena_fini(&arena);
}

static void test_wrong_forms(void **state)
{
    (void)state;
    refuse("in x nothing 1 1 1 32", "fills nothing");
    refuse("in x normal 1 1 1 32", "fills nothing");
    refuse("in x full:1 1 1 1 32; y = relu(x = z)", "no such value");
    refuse("in x full:1 1 1 1 32; y relu(x = x)", "expected =");
    refuse("in x full:1 1 1 1 32; y = relu(x = x) y", "expected ;");
    refuse("in x full:1 1 1 1 32; y = relu(x = [1)", "expected a number");
}

/* ---- files ---- */

static const char *const few[] = {"table/silu", "sum/limit", "conv/3x3",
                                  "move/split", "speed/dispatch"};
enum { FEW = sizeof few / sizeof *few };

static const an_probe *find_probe(const char *name)
{
    const an_probe *p;
    for (int i = 0; (p = an_probe_at(i)) != NULL; i++)
        if (strcmp(p->name, name) == 0) return p;
    fail_msg("no probe %s", name);
    return NULL;
}

static void capture_few(const char *engine, an_numerics numerics)
{
    an_capture c;
    an_error err = {0};
    an_engine *e = open_engine(engine, numerics);
    an_capture_init(&c);
    an_status s =
        an_capture_describe(&c, e, an_numerics_name(numerics), "test", &err);
    for (size_t i = 0; s == AN_OK && i < FEW; i++)
        s = an_capture_add(&c, e, find_probe(few[i]), &err);
    if (s == AN_OK) s = an_capture_save(&c, path, &err);
    if (s != AN_OK) fail_msg("%s", err.text);
    an_capture_fini(&c);
    an_engine_close(e);
}

static void test_file_comes_back(void **state)
{
    (void)state;
    an_capture c;
    an_error err = {0};
    capture_few("soft:m4", AN_NUMERICS_HW);
    if (an_capture_open(&c, path, &err) != AN_OK) fail_msg("%s", err.text);
    assert_int_equal(c.n, FEW);
    assert_string_equal(c.chip, "m4");
    assert_string_equal(c.numerics, "hw");
    for (size_t i = 0; i < FEW; i++)
        assert_string_equal(c.list[i].name, few[i]);
    assert_int_equal(an_capture_find(&c, "speed/dispatch")->runs > 0, true);
    assert_int_equal(an_capture_find(&c, "move/split")->n_outputs, 2);
    assert_non_null(an_capture_find(&c, "conv/3x3")->program.weights);
    an_capture_fini(&c);
}

/* Any byte that is not the digest's own. */
static void test_a_changed_byte_is_noticed(void **state)
{
    (void)state;
    capture_few("soft:m4", AN_NUMERICS_HW);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -1000, SEEK_END), 0);
    int byte = fgetc(f);
    assert_int_equal(fseek(f, -1000, SEEK_END), 0);
    fputc(byte ^ 1, f);
    fclose(f);
    an_capture c;
    an_error err = {0};
    assert_int_equal(an_capture_open(&c, path, &err), AN_EFORMAT);
    assert_non_null(strstr(err.text, "changed since it was written"));
    an_capture_fini(&c);
}

/* ---- replays ---- */

static an_verdict replay(const char *name, const char *engine,
                         an_numerics numerics)
{
    an_capture c;
    an_verdict v = {0};
    an_error err = {0};
    an_engine *e = open_engine(engine, numerics);
    an_status s = an_capture_open(&c, path, &err);
    if (s == AN_OK)
        s = an_capture_replay(an_capture_find(&c, name), e, &v, &err);
    if (s != AN_OK) fail_msg("%s", err.text);
    v.port = NULL;
    an_capture_fini(&c);
    an_engine_close(e);
    return v;
}

static void test_replay(void **state)
{
    (void)state;
    capture_few("soft:m4", AN_NUMERICS_HW);
    for (size_t i = 0; i < FEW; i++) {
        an_verdict v = replay(few[i], "soft:m4", AN_NUMERICS_HW);
        if (v.kind != AN_SAME || v.equal != v.n || v.n == 0)
            fail_msg("%s: %lld of %lld", few[i], (long long)v.equal,
                     (long long)v.n);
    }
    /* ieee has no table: silu differs in most places, and 32768 is finite. */
    an_verdict v = replay("table/silu", "soft:m4", AN_NUMERICS_IEEE);
    assert_int_equal(v.kind, AN_DIFFERENT);
    assert_int_equal(v.n, 65536);
    assert_true(v.equal < v.n && v.worst >= 1);
    assert_int_equal(replay("move/split", "soft:m4", AN_NUMERICS_IEEE).kind,
                     AN_SAME);
}

static an_status refused_twice(an_captured *c, an_engine *e, an_verdict *v,
                               an_error *err)
{
    c->error = (an_error){0};
    an_fail(&c->error, AN_EENGINE, "InvalidMILProgram");
    c->n_outputs = 0;
    return an_capture_replay(c, e, v, err);
}

static void test_refusals(void **state)
{
    (void)state;
    an_engine *runs = open_engine("soft:m4", AN_NUMERICS_HW);
    an_engine *refuses = open_engine("soft:m4,compiles=1", AN_NUMERICS_HW);
    an_capture c;
    an_verdict v;
    an_error err = {0};
    an_capture_init(&c);
    assert_int_equal(an_capture_add(&c, refuses, find_probe("sum/limit"), &err),
                     AN_OK);
    assert_int_equal(an_capture_add(&c, refuses, find_probe("sum/tie"), &err),
                     AN_OK);
    assert_int_equal(c.list[0].error.code, AN_OK);
    assert_int_equal(c.list[1].error.code, AN_EENGINE);
    assert_int_equal(an_capture_replay(&c.list[1], runs, &v, &err), AN_OK);
    assert_int_equal(v.kind, AN_ONLY_THERE);
    assert_int_equal(an_capture_replay(&c.list[0], refuses, &v, &err), AN_OK);
    assert_int_equal(v.kind, AN_ONLY_HERE);
    assert_int_equal(refused_twice(&c.list[0], refuses, &v, &err), AN_OK);
    assert_int_equal(v.kind, AN_REFUSED);
    an_capture_fini(&c);
    an_engine_close(runs);
    an_engine_close(refuses);
}

/* A changed integer of a type without a fast path is a difference too. */
static void test_small_integers_differ(void **state)
{
    (void)state;
    static const an_probe p = {
        .name = "int16",
        .asks = "",
        .form = "in x ramp 1 1 1 64; z = cast(x = x, dtype = 'int16')"};
    an_engine *e = open_engine("cpu", AN_NUMERICS_IEEE);
    an_capture c;
    an_verdict v;
    an_error err = {0};
    int16_t changed[64];
    an_capture_init(&c);
    if (an_capture_add(&c, e, &p, &err) != AN_OK) fail_msg("%s", err.text);
    if (c.list[0].error.code != AN_OK) fail_msg("%s", c.list[0].error.text);
    assert_int_equal(c.list[0].outputs[0].shape.dtype, AN_INT16);
    memcpy(changed, c.list[0].outputs[0].data, sizeof changed);
    changed[7]++;
    c.list[0].outputs[0].data = changed;
    assert_int_equal(an_capture_replay(&c.list[0], e, &v, &err), AN_OK);
    assert_int_equal(v.kind, AN_DIFFERENT);
    assert_int_equal(v.equal, 63);
    assert_int_equal(v.at, 7);
    an_capture_fini(&c);
    an_engine_close(e);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/anemone-capture.XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof path, "%s/c.safetensors", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* nothing else may lie there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite_asks_about_every_core_op),
        cmocka_unit_test(test_names_are_unique),
        cmocka_unit_test(test_wrong_forms),
        cmocka_unit_test(test_file_comes_back),
        cmocka_unit_test(test_a_changed_byte_is_noticed),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_small_integers_differ),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
