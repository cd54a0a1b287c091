/*
 * Captures: the suite asks about every core op, a file comes back as it was
 * written and only so, and a replay finds what differs.
 */
#include "capture/capture.h"

#include "base/alloc.h"
#include "base/file.h"
#include "chip/rule.h"
#include "mil/op.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RULES "src/capture/rules.inc"

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

/* ---- the programs of rules ---- */

/* The row of a golden program as C; "" where no engine can be asked: it does
 * not parse, has weight files or ports that no probe fills, is long, breaks
 * other rules too, or is known to crash or hang the system's compiler. */
static void print_row(FILE *f, const char *file, char *text)
{
    char id[40], name[64];
    char *body = strchr(text, '\n') + 1;
    an_probe p = {
        .kind = AN_PROBE_RULE, .name = name, .asks = id, .form = body};
    an_probe_program program;
    an_arena arena;
    snprintf(id, sizeof id, "%.*s", (int)strcspn(file, "."), file);
    snprintf(name, sizeof name, "rule/%.*s", (int)strlen(file) - 8, file);
    const an_rule *rule = an_rules_find(id);
    assert_non_null(rule);
    an_arena_init(&arena);
    bool fits = strstr(text, "BLOBFILE") == NULL && strlen(body) < 4000 &&
                rule->severity != AN_NOTE && !strchr(rule->symptom, 'X') &&
                body - text < 12 && /* "// 12:34": no "also" */
                an_probe_make(&p, &arena, &program, NULL) == AN_OK;
    an_arena_fini(&arena);
    if (!fits) return;
    fprintf(f, "{AN_PROBE_RULE, \"%s\", \"%s\",\n", name, id);
    for (char *line = strtok(body, "\n"); line; line = strtok(NULL, "\n")) {
        fputs("    \"", f);
        for (; *line; line++)
            fprintf(f, *line == '"' || *line == '\\' ? "\\%c" : "%c", *line);
        fputs("\\n\"\n", f);
    }
    fputs("},\n", f);
}

static int is_bad(const struct dirent *e)
{
    return strstr(e->d_name, ".bad.mil") != NULL;
}

/* src/capture/rules.inc is what the golden programs make it; with
 * ANEMONE_BLESS set it is written. */
static void test_programs_of_rules(void **state)
{
    (void)state;
    struct dirent **files = NULL;
    char file[512], *text = NULL, *rows = NULL;
    size_t size = 0;
    an_error err = {0};
    int n = scandir("tests/rules", &files, is_bad, alphasort);
    FILE *f = open_memstream(&rows, &size);
    assert_true(n > 0 && f != NULL);
    fputs(
        "/* Made by test_capture under ANEMONE_BLESS=1 from tests/rules. */\n",
        f);
    for (int i = 0; i < n; i++) {
        size_t n_text = 0;
        snprintf(file, sizeof file, "tests/rules/%.200s", files[i]->d_name);
        if (an_file_read(file, 1 << 20, &text, &n_text, &err) != AN_OK)
            fail_msg("%s", err.text);
        print_row(f, files[i]->d_name, text);
        an_free(text);
        free(files[i]);
    }
    free(files);
    fclose(f);
    if (getenv("ANEMONE_BLESS"))
        assert_int_equal(an_file_write(RULES, rows, size, &err), AN_OK);
    if (an_file_read(RULES, 1 << 20, &text, &size, &err) != AN_OK)
        fail_msg("%s", err.text);
    if (strcmp(text, rows) != 0)
        fail_msg(RULES " is not what tests/rules makes it: make bless");
    an_free(text);
    free(rows);
}

/* ---- forms ---- */

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
        cmocka_unit_test(test_programs_of_rules),
        cmocka_unit_test(test_wrong_forms),
        cmocka_unit_test(test_file_comes_back),
        cmocka_unit_test(test_a_changed_byte_is_noticed),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_small_integers_differ),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
