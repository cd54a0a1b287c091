/*
 * Refusing a program, or spoiling it. All breaches are looked at, and the first
 * in the text is told: it is the one that a reader of the text meets first.
 */
#include "chip/rule.h"

#include <stdio.h>
#include <string.h>

typedef struct refusal {
    an_rules_mode mode;
    const an_rule *rule; /* NULL: nothing is refused */
    int line, column;
    char text[200];
} refusal;

static void look(void *ctx, const an_breach *b)
{
    refusal *r = ctx;
    if (b->rule->severity != AN_ERROR) return;
    if (r->mode == AN_RULES_SILENT && an_rule_is_silent(b->rule)) return;
    bool earlier =
        b->line != r->line ? b->line < r->line : b->column < r->column;
    if (r->rule != NULL && !earlier) return;
    r->rule = b->rule;
    r->line = b->line;
    r->column = b->column;
    snprintf(r->text, sizeof r->text, "%s", b->text);
}

an_status an_rules_fail(const an_rule *rule, const char *name, const char *what,
                        an_error *err)
{
    if (!err || err->code != AN_OK) return AN_ERULE;
    an_fail(err, AN_ERULE, "%.230s: %s: %s (%s; hardware: %s)", name, rule->id,
            what, rule->text, an_symptom_of(rule)->text);
    an_symptom_put(rule->symptom, err);
    return AN_ERULE;
}

static an_status refuse(const refusal *r, const char *name, an_error *err)
{
    char place[240];
    if (!err || err->code != AN_OK) return AN_ERULE;
    snprintf(place, sizeof place, "%.200s", name);
    if (r->line > 0)
        snprintf(place, sizeof place, "%.200s:%d:%d", name, r->line, r->column);
    an_rules_fail(r->rule, place, r->text, err);
    err->line = r->line;
    err->column = r->column;
    return AN_ERULE;
}

an_status an_rules_refuse(const an_module *module, const char *name,
                          const char *chip, an_check_mode check,
                          an_rules_mode mode, an_error *err)
{
    refusal r = {.mode = mode};
    unsigned bit = an_generation_find(chip);
    if (bit == 0 || mode == AN_RULES_OFF) return AN_OK;
    an_rules_check(module, bit, check, look, &r);
    return r.rule == NULL ? AN_OK : refuse(&r, name, err);
}

static void count(void *ctx, const an_breach *b)
{
    (void)b;
    ++*(int *)ctx;
}

an_status an_rules_spoil(an_function *f, const char *chip, an_check_mode check,
                         an_error *err)
{
    an_status s = AN_OK;
    unsigned bit = an_generation_find(chip);
    for (int i = 0; s == AN_OK && i < an_rules_count(); i++) {
        int n = 0;
        const an_rule *rule = an_rules_at(i);
        an_checker c = {f->module, f, rule, check, count, &n};
        if (!rule->spoil || !(rule->chips & bit)) continue;
        rule->check(&c);
        if (n > 0) s = rule->spoil(f, err);
    }
    return s;
}
