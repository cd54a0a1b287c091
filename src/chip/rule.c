/*
 * Walking the rows.
 */
#include "chip/rule.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const an_rule *const chapters[] = {
    an_rules_text,    an_rules_ports,  an_rules_shapes,
    an_rules_runtime, an_rules_values,
};
enum { N_CHAPTERS = sizeof chapters / sizeof *chapters };

static int chapter_count(const an_rule *rows)
{
    int n = 0;
    while (rows[n].id)
        n++;
    return n;
}

int an_rule_count(void)
{
    int n = 0;
    for (int c = 0; c < N_CHAPTERS; c++)
        n += chapter_count(chapters[c]);
    return n;
}

const an_rule *an_rule_at(int i)
{
    for (int c = 0; c < N_CHAPTERS; c++) {
        int n = chapter_count(chapters[c]);
        if (i < n) return &chapters[c][i];
        i -= n;
    }
    return NULL;
}

const an_rule *an_rule_find(const char *id)
{
    for (int i = 0; i < an_rule_count(); i++)
        if (strcmp(an_rule_at(i)->id, id) == 0) return an_rule_at(i);
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

void an_rules_check(const an_module *module, unsigned chips,
                    void (*report)(void *ctx, const an_breach *breach),
                    void *ctx)
{
    an_checker c = {.module = module, .report = report, .ctx = ctx};
    for (int f = 0; f < module->n_functions; f++) {
        c.function = module->functions[f];
        for (int i = 0; i < an_rule_count(); i++) {
            c.rule = an_rule_at(i);
            if (c.rule->check && (c.rule->chips & chips)) c.rule->check(&c);
        }
    }
}
