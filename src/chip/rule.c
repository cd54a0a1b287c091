/*
 * Walking the rows.
 */
#include "chip/rule.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const an_rule *const chapters[] = {
    an_rules_text, an_rules_ports,   an_rules_shapes,  an_rules_contractions,
    an_rules_ops,  an_rules_reports, an_rules_runtime, an_rules_values,
};
enum { N_CHAPTERS = sizeof chapters / sizeof *chapters };

static int chapter_count(const an_rule *rows)
{
    int n = 0;
    while (rows[n].id)
        n++;
    return n;
}

int an_rules_count(void)
{
    int n = 0;
    for (int c = 0; c < N_CHAPTERS; c++)
        n += chapter_count(chapters[c]);
    return n;
}

const an_rule *an_rules_at(int i)
{
    for (int c = 0; c < N_CHAPTERS; c++) {
        int n = chapter_count(chapters[c]);
        if (i < n) return &chapters[c][i];
        i -= n;
    }
    return NULL;
}

const an_rule *an_rules_find(const char *id)
{
    for (int i = 0; i < an_rules_count(); i++)
        if (strcmp(an_rules_at(i)->id, id) == 0) return an_rules_at(i);
    return NULL;
}

void an_breach_at(an_checker *c, int line, int column, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->report(c->ctx, &(an_breach){c->rule, line, column, text});
}

void an_rules_check(const an_module *module, unsigned chips, an_check_mode mode,
                    void (*report)(void *ctx, const an_breach *breach),
                    void *ctx)
{
    an_checker c = {
        .module = module, .mode = mode, .report = report, .ctx = ctx};
    for (int f = 0; f < module->n_functions; f++) {
        c.function = module->functions[f];
        for (int i = 0; i < an_rules_count(); i++) {
            c.rule = an_rules_at(i);
            if (c.rule->check && (c.rule->chips & chips)) c.rule->check(&c);
        }
    }
}

const char *an_severity_name(an_severity severity)
{
    static const char *const names[] = {"note", "warn", "error"};
    return names[severity];
}

static const char *const generations[] = {"m1", "m2", "m3", "m4",
                                          "m5", "m6", "all"};
enum { N_GENERATIONS = sizeof generations / sizeof *generations - 1 };

const char *an_generation_name(int i)
{
    return i >= 0 && i <= N_GENERATIONS ? generations[i] : NULL;
}

unsigned an_generation_find(const char *chip)
{
    for (unsigned i = 0; i < N_GENERATIONS; i++)
        if (strcmp(chip, generations[i]) == 0) return 1u << i;
    return strcmp(chip, "all") == 0 ? AN_GEN_ALL : 0;
}

const char *an_generation_text(unsigned chips, char *text, size_t size)
{
    size_t used = 0;
    if (chips == AN_GEN_ALL) {
        snprintf(text, size, "all");
        return text;
    }
    if (size > 0) *text = 0;
    for (unsigned i = 0; i < N_GENERATIONS && used < size; i++)
        if (chips & 1u << i)
            used += (size_t)snprintf(text + used, size - used, "%s%s",
                                     used ? " " : "", generations[i]);
    return text;
}

// clang-format off
#define COMPILER "com.apple.appleneuralengine.compiler"
#define ENGINE "com.apple.appleneuralengine"
static const an_symptom symptoms[] = {
    {"C1", "`ANECCompile() FAILED`, no reason given: parsed, not compilable for the engine", COMPILER, 1},
    {"C2", "`InvalidMILProgram`: the text, an op, an attribute or a weight file is wrong", COMPILER, 1},
    {"L1", "`Program load failure (0x50004)`: compiled, not loaded", ENGINE, 6},
    {"E1", "`ANEProgramProcessRequestDirect() Failed with status=0x1d : Program Inference error`: loaded, fails when evaluated", ENGINE, 8},
    {"E2", "the same with status 0x9", ENGINE, 8},
    {"E3", "the same with status 0x2: wrong symbol indices", ENGINE, 8},
    {"W", "success, wrong values", "", 0},
    {"Z", "success, zeros", "", 0},
    {"N", "success, NaN or infinity", "", 0},
    {"X", "the compiler or the process crashes or hangs", "", 0},
    {"S", "slow, or another processor does the work", "", 0},
    {"-", "nothing goes wrong", "", 0},
};
// clang-format on

const an_symptom *an_symptom_at(int i)
{
    int n = sizeof symptoms / sizeof *symptoms;
    return i >= 0 && i < n ? &symptoms[i] : NULL;
}

/* By the first of several codes. */
static const an_symptom *find_symptom(const char *codes)
{
    size_t n = strcspn(codes, " ");
    for (int i = 0; an_symptom_at(i) != NULL; i++)
        if (strlen(symptoms[i].code) == n &&
            strncmp(symptoms[i].code, codes, n) == 0)
            return &symptoms[i];
    return NULL;
}

const an_symptom *an_symptom_of(const an_rule *rule)
{
    return find_symptom(rule->symptom);
}

void an_symptom_put(const char *code, an_error *err)
{
    const an_symptom *s = find_symptom(code);
    if (!s || !err || err->code == AN_OK || err->engine_code != 0) return;
    err->engine_code = s->engine_code;
    snprintf(err->domain, sizeof err->domain, "%s", s->domain);
}

bool an_rule_is_silent(const an_rule *rule)
{
    return *rule->symptom && strchr("WZN", *rule->symptom);
}
