/*
 * Golden programs for the rules: tests/rules/ID.bad.mil breaks the rule ID on
 * every chip that it holds on and on no other, at the place in its first line,
 * "// LINE:COLUMN also ID ID", and breaks no rule but those named there;
 * ID.ok.mil barely does not break it. ID.NAME.bad.mil are further ways. What
 * the parser and the shape rules enforce does not parse.
 */
#include "alloc_fail.h"
#include "anemone/engine.h"
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

/* NULL, and why: the program does not parse. */
static an_module *read_golden(golden *g, bool bad, an_error *why)
{
    char path[512], *text = NULL;
    size_t size = 0;
    an_error err = {0};
    an_module *m = NULL;
    snprintf(path, sizeof path, FOLDER "%s", g->file);
    must(an_file_read(path, MAX_TEXT, &text, &size, &err), &err);
    if (bad) read_place(g, path, text);
    snprintf(g->id, sizeof g->id, "%.*s", (int)strcspn(g->file, "."), g->file);
    an_mil_parse(text, size, path, &m, why);
    an_free(text);
    return m;
}

static an_module *load(golden *g, bool bad)
{
    an_error err = {0};
    an_module *m = read_golden(g, bad, &err);
    must(err.code, &err);
    return m;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool parser_enforces(const an_rule *r)
{
    return r->enforced &&
           (begins(r->enforced, "parser") || begins(r->enforced, "shape rule"));
}

/* A program that a rule of the parser is about: refused where it says. */
static bool parses_as_named(golden *g, bool bad)
{
    an_error why = {0};
    an_module *m = read_golden(g, bad, &why);
    bool well =
        bad ? m == NULL && why.line == g->line && why.column == g->column
            : m != NULL;
    if (!well)
        print_error(FOLDER "%s: %s, expected %s at %d:%d\n", g->file,
                    m ? "parses" : why.text, bad ? "a refusal" : "none",
                    g->line, g->column);
    an_module_free(m);
    return well;
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
    char id[16];
    snprintf(id, sizeof id, "%.*s", (int)strcspn(file, "."), file);
    bool bad = ends_in(file, ".bad.mil"), well = true;
    const an_rule *r = an_rules_find(id);
    if (!r || (!r->check && !parser_enforces(r)))
        fail_msg(FOLDER "%s: no row has such a check", file);
    if (!r->check) return parses_as_named(&g, bad);
    an_module *m = load(&g, bad);
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
        const an_rule *r = an_rules_at(i);
        const char *id = r->id;
        if ((r->check || parser_enforces(r)) &&
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

/* ---- what soft does with them ---- */

/* The first chip that a rule holds on. */
static const char *chip_of(const an_rule *r)
{
    int i = 0;
    while (!(r->chips & 1u << i))
        i++;
    return an_generation_name(i);
}

static an_status compile(const char *file, const char *chip, const char *rules,
                         an_error *err)
{
    char name[64], path[512], *text = NULL;
    size_t size = 0;
    an_engine *e = NULL;
    an_program *p = NULL;
    snprintf(name, sizeof name, "soft:%s,rules=%s", chip, rules);
    snprintf(path, sizeof path, FOLDER "%s", file);
    must(an_file_read(path, MAX_TEXT, &text, &size, err), err);
    must(an_engine_open(&(an_engine_options){.name = name, .threads = 1}, &e,
                        err),
         err);
    an_status s = an_engine_compile(
        e, &(an_source){.text = text, .size = size, .name = file}, &p, err);
    an_program_free(p);
    an_engine_close(e);
    an_free(text);
    return s;
}

/* Does the program break other error rows too? */
static bool breaks_more(const golden *g)
{
    for (int i = 0; i < an_rules_count(); i++) {
        char id[24];
        snprintf(id, sizeof id, " %s ", an_rules_at(i)->id);
        if (an_rules_at(i)->severity == AN_ERROR && strstr(g->also, id))
            return true;
    }
    return false;
}

static bool is_refused_as_hardware_does(const golden *g, const an_rule *r,
                                        const an_error *err)
{
    const an_symptom *s = an_symptom_of(r);
    char id[24];
    snprintf(id, sizeof id, ": %s: ", r->id);
    return err->line == g->line && err->column == g->column &&
           err->engine_code == s->engine_code &&
           strcmp(err->domain, s->domain) == 0 &&
           (!r->check || (err->code == AN_ERULE && strstr(err->text, id)));
}

/* Error rows are refused, those of wrong data but with rules=silent; nothing
 * is for a warning. */
static bool soft_treats(const char *file)
{
    golden g = {.file = file};
    an_error why = {0}, silent = {0};
    an_module_free(read_golden(&g, true, &(an_error){0}));
    const an_rule *r = an_rules_find(g.id);
    bool more = breaks_more(&g);
    compile(file, chip_of(r), "refuse", &why);
    compile(file, chip_of(r), "silent", &silent);
    bool expected = r->severity == AN_ERROR && !an_rule_is_silent(r);
    bool well = r->severity == AN_ERROR
                    ? more || is_refused_as_hardware_does(&g, r, &why)
                    : more || why.code != AN_ERULE;
    if (r->check && !more) well = well && (silent.code == AN_ERULE) == expected;
    if (!well)
        print_error(FOLDER "%s on %s: refused: %s (%s %lld); silent: %s\n",
                    file, chip_of(r), why.text, why.domain,
                    (long long)why.engine_code, silent.text);
    return well;
}

static void test_soft_refuses(void **state)
{
    (void)state;
    DIR *dir = opendir(FOLDER);
    int failures = 0;
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (ends_in(e->d_name, ".bad.mil")) failures += !soft_treats(e->d_name);
    closedir(dir);
    assert_int_equal(failures, 0);
}

/* Surfaces: one smaller than its port, and memory of ours below R-34's. */
static void test_soft_refuses_surfaces(void **state)
{
    (void)state;
    static _Alignas(64) unsigned char memory[16384];
    static const char text[] =
        "program(1.3)\n[buildInfo = dict<string, "
        "string>({{\"coremlc-version\", "
        "\"3600.25.1\"}})]\n{\n    func main<ios18>(tensor<fp16, [1, 4, 1, "
        "32]> "
        "x) {\n        tensor<fp16, [1, 4, 1, 32]> y = relu(x = x)[name = "
        "string(\"y\")];\n        } -> (y);\n}\n";
    an_error err = {0};
    an_engine *e = NULL;
    an_program *p = NULL;
    an_request *r = NULL;
    an_surface *small = NULL, *page = NULL;
    must(an_engine_open(&(an_engine_options){.name = "soft", .threads = 1}, &e,
                        &err),
         &err);
    must(an_engine_compile(
             e, &(an_source){.text = text, .size = sizeof text - 1}, &p, &err),
         &err);
    must(an_request_new(p, &r, &err), &err);
    must(an_surface_new(e, 255, &small, &err), &err);
    assert_int_equal(an_request_bind(r, AN_INPUT, "x", small, &err), AN_EINVAL);
    assert_string_equal(err.domain, "com.apple.appleneuralengine");
    assert_int_equal(err.engine_code, 8);
    err = (an_error){0};
    assert_int_equal(an_surface_wrap(e, memory, 16383, &page, &err), AN_ERULE);
    assert_non_null(strstr(err.text, "surface: R-34: memory has 16383 bytes"));
    assert_int_equal(err.engine_code, 8);
    err = (an_error){0};
    must(an_surface_wrap(e, memory, 16384, &page, &err), &err);
    must(an_request_bind(r, AN_INPUT, "x", page, &err), &err);
    an_request_free(r);
    an_surface_free(small);
    an_surface_free(page);
    an_program_free(p);
    an_engine_close(e);
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

/* Which weights are constants, and whose rules must hold. */
typedef struct program_form {
    an_baked baked[32];
    int n_baked; /* 0: they stream in */
    unsigned chips;
} program_form;

/* Lowers f and checks the text that an engine would get. */
static int count_errors(const an_function *f, const program_form *form,
                        const char *program)
{
    an_error err = {0};
    an_lowered l = {0};
    an_module *m = NULL;
    errors e = {.program = program};
    an_baked baked[32];
    int n = 0;
    for (int i = 0; i < f->n_params; i++)
        for (int k = 0; k < form->n_baked; k++)
            if (strcmp(f->params[i]->name, form->baked[k].param) == 0)
                baked[n++] = form->baked[k];
    an_lower_options o = {.columns = 32, .baked = baked, .n_baked = n};
    must(an_lower_function(f, &o, &l, &err), &err);
    must(an_mil_parse(l.source.text, l.source.size, program, &m, &err), &err);
    an_rules_check(m, form->chips, AN_CHECK_CHIP, note_error, &e);
    an_module_free(m);
    an_lowered_free(&l);
    return e.n;
}

static int check_backward(const an_block *b, const program_form *form,
                          const char *name, an_error *err)
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
    n += count_errors(an_module_function(g->module, "forward"), form, name);
    must(an_module_new(&parts, err), err);
    must(an_lower_cut(an_module_function(g->module, "backward"), parts,
                      "backward", b->cuts, b->n_cuts, err),
         err);
    for (int i = 0; i < parts->n_functions; i++)
        n += count_errors(parts->functions[i], form, name);
    an_module_free(parts);
    an_gradient_free(g);
    return n;
}

/* All but the first parameter, which is data: zeros of its size. */
static void bake(const an_function *f, const void *zeros, program_form *out)
{
    for (int i = 1; i < f->n_params && out->n_baked < 32; i++)
        out->baked[out->n_baked++] = (an_baked){f->params[i]->name, zeros};
}

static int check_block(const an_model *model, int i, int64_t sequence,
                       unsigned chips, const void *zeros)
{
    an_error err = {0};
    an_block b = {0};
    program_form form = {.chips = chips};
    must(an_model_block(model, i,
                        &(an_block_options){AN_FP16, AN_FP16, 2, sequence}, &b,
                        &err),
         &err);
    const an_function *f = an_module_function(b.module, "forward");
    if (zeros != NULL) bake(f, zeros, &form);
    int n = count_errors(f, &form, an_model_block_name(model, i)) +
            check_backward(&b, &form, an_model_block_name(model, i), &err);
    an_block_free(&b);
    return n;
}

/* Every program of the presets, forward and backward, obeys the error rows of
 * the chips: weights streamed and baked (but the head's, which never are), and
 * with a sequence that has to be padded too. A head of 32000 tokens is beyond
 * R-52a; training computes heads on the CPU. */
static void test_own_programs(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        unsigned head_chips;
    } rows[] = {{"small", AN_GEN_ALL},
                {"base", AN_GEN_ALL},
                {"layer768", AN_GEN_M4 | AN_GEN_M5 | AN_GEN_M6},
                {"stories110m", AN_GEN_M4 | AN_GEN_M5 | AN_GEN_M6}};
    enum { MOST_WEIGHT_BYTES = 2 * 4096 * 768 };
    void *zeros = an_alloc(MOST_WEIGHT_BYTES);
    an_error err = {0};
    int n = 0;
    assert_non_null(zeros);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        an_model *model = NULL;
        must(an_model_open(rows[k].model, 0, &model, &err), &err);
        n += check_block(model, AN_BLOCK_HEAD, 256, rows[k].head_chips, NULL);
        n += check_block(model, AN_BLOCK_HEAD, 50, rows[k].head_chips, NULL);
        for (int i = 0; i < an_model_n_blocks(model); i++) {
            n += check_block(model, i, 256, AN_GEN_ALL, NULL);
            n += check_block(model, i, 50, AN_GEN_ALL, NULL);
            n += check_block(model, i, 256, AN_GEN_ALL, zeros);
        }
        an_model_free(model);
    }
    an_free(zeros);
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
        cmocka_unit_test(test_soft_refuses),
        cmocka_unit_test(test_soft_refuses_surfaces),
        cmocka_unit_test(test_own_programs),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
