/*
 * Golden programs for the rules: tests/rules/ID.bad.mil breaks the rule ID on
 * every chip that it holds on and on no other, at the place in its first line,
 * "// LINE:COLUMN also ID ID", and breaks no rule but those named there;
 * ID.ok.mil barely does not break it. ID.NAME.bad.mil are further ways.
 */
#include "alloc_fail.h"
#include "anemone/grad.h"
#include "anemone/model.h"
#include "base/alloc.h"
#include "base/file.h"
#include "chip/rule.h"
#include "lower/lower.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER "tests/rules/"
enum { MAX_FILES = 512, MAX_TEXT = 1 << 20 };

static void must(an_status s, const an_error *err)
{
    if (s != AN_OK) fail_msg("%s", err->text);
}

/* ---- the rows ---- */

static void test_rows(void **state)
{
    (void)state;
    for (int i = 0; i < an_rules_count(); i++) {
        const an_rule *r = an_rules_at(i);
        if (an_rules_find(r->id) != r)
            fail_msg("%s: there are two rows of this id", r->id);
        if (!r->text || !r->symptom || !r->source || !*r->source)
            fail_msg("%s: a field is missing", r->id);
        if (r->chips == 0 || (r->chips & ~(unsigned)AN_GEN_ALL))
            fail_msg("%s: chips are %#x", r->id, r->chips);
        if (!r->check == !r->enforced)
            fail_msg("%s: expected either a check or who enforces it", r->id);
    }
    assert_null(an_rules_at(an_rules_count()));
    assert_null(an_rules_find("R-999"));
}

/* Every code of a symptom is explained. */
static void test_symptoms(void **state)
{
    (void)state;
    for (int i = 0; i < an_rules_count(); i++) {
        char codes[32], *save = NULL;
        snprintf(codes, sizeof codes, "%s", an_rules_at(i)->symptom);
        for (char *code = strtok_r(codes, " ", &save); code;
             code = strtok_r(NULL, " ", &save)) {
            int k = 0;
            while (an_symptom_at(k) &&
                   strcmp(an_symptom_at(k)->code, code) != 0)
                k++;
            if (!an_symptom_at(k))
                fail_msg("%s: unknown symptom %s", an_rules_at(i)->id, code);
        }
    }
    assert_true(an_rule_is_silent(an_rules_find("R-35")));
    assert_false(an_rule_is_silent(an_rules_find("R-38")));
    assert_false(an_rule_is_silent(an_rules_find("R-80")));
}

static void test_generations(void **state)
{
    (void)state;
    char text[32];
    assert_int_equal(an_generation_find("m1"), AN_GEN_M1);
    assert_int_equal(an_generation_find("m6"), AN_GEN_M6);
    assert_int_equal(an_generation_find("all"), AN_GEN_ALL);
    assert_int_equal(an_generation_find("cpu"), 0);
    assert_string_equal(
        an_generation_text(AN_GEN_M1 | AN_GEN_M5, text, sizeof text), "m1 m5");
    assert_string_equal(an_generation_text(AN_GEN_ALL, text, sizeof text),
                        "all");
}

/* ---- golden programs ---- */

typedef struct golden {
    const char *file;
    char id[16];
    int line, column;
    char also[128]; /* " R-35 R-46 " */
} golden;

/* What one run of the rules over a golden program found. */
typedef struct finding {
    const golden *golden;
    int n; /* breaches of the golden's rule */
    int line, column;
    int n_others; /* breaches of rules that it does not name */
    char other[64];
} finding;

static void note(void *ctx, const an_breach *b)
{
    finding *f = ctx;
    char id[24];
    snprintf(id, sizeof id, " %s ", b->rule->id);
    if (strcmp(b->rule->id, f->golden->id) == 0) {
        if (f->n++ == 0) f->line = b->line, f->column = b->column;
    } else if (!strstr(f->golden->also, id)) {
        f->n_others++;
        snprintf(f->other, sizeof f->other, "%s: %.40s", b->rule->id, b->text);
    }
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* The first line: "// LINE:COLUMN also ID...". */
static void read_place(golden *g, const char *path, const char *text)
{
    char *at = NULL, *end = NULL;
    if (strncmp(text, "// ", 3) == 0) {
        g->line = (int)strtol(text + 3, &at, 10);
        if (*at == ':') g->column = (int)strtol(at + 1, &end, 10);
    }
    if (end == NULL || end == at + 1)
        fail_msg("%s: expected // LINE:COLUMN", path);
    bool more = end != NULL && strncmp(end, " also", 5) == 0;
    int n = more ? (int)strcspn(end + 5, "\n") : 0;
    snprintf(g->also, sizeof g->also, "%.*s ", n, more ? end + 5 : "");
}

static an_module *load(golden *g, bool bad)
{
    char path[512], *text = NULL;
    size_t size = 0;
    an_error err = {0};
    an_module *m = NULL;
    snprintf(path, sizeof path, FOLDER "%s", g->file);
    must(an_file_read(path, MAX_TEXT, &text, &size, &err), &err);
    must(an_mil_parse(text, size, path, &m, &err), &err);
    if (bad) read_place(g, path, text);
    snprintf(g->id, sizeof g->id, "%.*s", (int)strcspn(g->file, "."), g->file);
    an_free(text);
    return m;
}

/* True when the program does on this chip what its name says. */
static bool holds(const golden *g, const an_module *m, unsigned chip, bool bad)
{
    const an_rule *r = an_rules_find(g->id);
    finding f = {.golden = g};
    char name[32];
    an_rules_check(m, chip, AN_CHECK_CHIP, note, &f);
    bool expected = bad && (r->chips & chip);
    bool well = expected ? f.n > 0 && f.line == g->line &&
                               f.column == g->column && f.n_others == 0
                         : f.n == 0;
    if (!well)
        print_error(FOLDER "%s on %s: breaches of %s: %d, the first at %d:%d; "
                           "others %d %s\n",
                    g->file, an_generation_text(chip, name, sizeof name), g->id,
                    f.n, f.line, f.column, f.n_others, f.other);
    return well;
}

static bool check_file(const char *file)
{
    golden g = {.file = file};
    bool bad = ends_in(file, ".bad.mil"), well = true;
    an_module *m = load(&g, bad);
    const an_rule *r = an_rules_find(g.id);
    if (!r || !r->check) fail_msg(FOLDER "%s: no row has such a check", file);
    for (unsigned chip = 1; chip < AN_GEN_ALL; chip <<= 1)
        well = holds(&g, m, chip, bad) && well;
    an_module_free(m);
    return well;
}

static bool exists(const char *id, const char *ending)
{
    char path[128];
    snprintf(path, sizeof path, FOLDER "%s%s", id, ending);
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
}

static void test_every_check_has_files(void **state)
{
    (void)state;
    for (int i = 0; i < an_rules_count(); i++) {
        const char *id = an_rules_at(i)->id;
        if (an_rules_at(i)->check &&
            (!exists(id, ".bad.mil") || !exists(id, ".ok.mil")))
            fail_msg("%s: expected " FOLDER "%s.bad.mil and .ok.mil", id, id);
    }
}

static void test_golden(void **state)
{
    (void)state;
    DIR *dir = opendir(FOLDER);
    int n = 0, failures = 0;
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) && n < MAX_FILES;) {
        if (!ends_in(e->d_name, ".mil")) continue;
        n++;
        failures += !check_file(e->d_name);
    }
    closedir(dir);
    assert_in_range(n, 150, MAX_FILES - 1);
    assert_int_equal(failures, 0);
}

/* fp64 stands for fp16 where exact numerics check a program, and there only. */
static void test_exact(void **state)
{
    (void)state;
    golden g = {.file = "R-48.fp64.bad.mil"};
    an_module *m = load(&g, true);
    finding f = {.golden = &g};
    an_rules_check(m, AN_GEN_M4, AN_CHECK_EXACT, note, &f);
    assert_int_equal(f.n, 0);
    an_rules_check(m, AN_GEN_M4, AN_CHECK_CHIP, note, &f);
    assert_true(f.n > 0);
    an_module_free(m);
}

/* ---- our own programs ---- */

typedef struct errors {
    const char *program;
    int n;
} errors;

static void note_error(void *ctx, const an_breach *b)
{
    errors *e = ctx;
    if (b->rule->severity != AN_ERROR) return;
    e->n++;
    print_error("%s: %d:%d: %s: %s\n", e->program, b->line, b->column,
                b->rule->id, b->text);
}

/* Lowers f and checks the text that an engine would get. */
static int count_errors(const an_function *f, const char *program)
{
    an_error err = {0};
    an_lowered l = {0};
    an_module *m = NULL;
    errors e = {.program = program};
    an_lower_options o = {.columns = 32};
    must(an_lower_function(f, &o, &l, &err), &err);
    must(an_mil_parse(l.source.text, l.source.size, program, &m, &err), &err);
    an_rules_check(m, AN_GEN_M4, AN_CHECK_CHIP, note_error, &e);
    an_module_free(m);
    an_lowered_free(&l);
    return e.n;
}

static int check_backward(const an_block *b, const char *name, an_error *err)
{
    const an_function *f = an_module_function(b->module, "forward");
    const char *wrt[32];
    int n_wrt = 0, n = 0;
    for (int i = 0; i < f->n_params && n_wrt < 32; i++)
        wrt[n_wrt++] = f->params[i]->name;
    an_grad_options o = {.wrt = wrt,
                         .n_wrt = n_wrt,
                         .deferred = wrt + 1,
                         .n_deferred = n_wrt - 1,
                         .taps = b->taps,
                         .n_taps = b->n_taps,
                         .stops = b->stops,
                         .n_stops = b->n_stops};
    an_gradient *g = NULL;
    an_module *parts = NULL;
    must(an_grad(b->module, "forward", &o, &g, err), err);
    n += count_errors(an_module_function(g->module, "forward"), name);
    must(an_module_new(&parts, err), err);
    must(an_lower_cut(an_module_function(g->module, "backward"), parts,
                      "backward", b->cuts, b->n_cuts, err),
         err);
    for (int i = 0; i < parts->n_functions; i++)
        n += count_errors(parts->functions[i], name);
    an_module_free(parts);
    an_gradient_free(g);
    return n;
}

/* Every program of the small model, forward and backward, obeys m4's rules;
 * with a sequence that has to be padded too. */
static void test_small_model(void **state)
{
    (void)state;
    static const int64_t sequences[] = {64, 50};
    an_error err = {0};
    an_model *model = NULL;
    int n = 0;
    must(an_model_open("small", 0, &model, &err), &err);
    for (int i = 0; i < an_model_n_blocks(model); i++)
        for (int s = 0; s < 2; s++) {
            an_block b = {0};
            must(an_model_block(model, i, AN_FP16, AN_FP16, 2, sequences[s], &b,
                                &err),
                 &err);
            n += count_errors(an_module_function(b.module, "forward"),
                              an_model_block_name(model, i));
            n += check_backward(&b, an_model_block_name(model, i), &err);
            an_block_free(&b);
        }
    an_model_free(model);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_symptoms),
        cmocka_unit_test(test_generations),
        cmocka_unit_test(test_every_check_has_files),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_small_model),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
