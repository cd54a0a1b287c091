/*
 * Bounds and their sources: macOS 13 is the oldest that a public client claims
 * (skyfallsin's guide); loads fail in strange ways with 4.4 GiB of disk left
 * (a fork of h3.c-ane); no use of the engine in a virtual machine is known.
 */
#include "engine/apple/checkup.h"

#include "chip/chips.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OLDEST_MACOS = 13 };
static const double gigabyte = 1e9;

const char *an_grade_name(an_grade g)
{
    static const char *const names[] = {[AN_GRADE_OK] = "ok",
                                        [AN_GRADE_WARNING] = "warning",
                                        [AN_GRADE_NO] = "no"};
    return names[g];
}

typedef struct list {
    an_check *checks;
    int n;
} list;

AN_PRINTF(5, 6)
static void add(list *l, const char *key, an_grade grade, const char *next,
                const char *format, ...)
{
    va_list args;
    if (l->n == AN_MAX_CHECKS) return;
    an_check *c = &l->checks[l->n++];
    c->key = key;
    c->grade = grade;
    c->next = next;
    va_start(args, format);
    vsnprintf(c->text, sizeof c->text, format, args);
    va_end(args);
}

static bool is_mac(const an_condition *c)
{
    return strcmp(c->machine->system, "macOS") == 0;
}

/* ---- the machine ---- */

static void check_system(const an_condition *c, list *l)
{
    const an_machine *m = c->machine;
    char name[160];
    snprintf(name, sizeof name, "%s %s%s%s%s", m->system, m->version,
             m->build[0] ? " (" : "", m->build, m->build[0] ? ")" : "");
    if (!is_mac(c))
        add(l, "system", AN_GRADE_OK, NULL,
            "%s: no Neural Engine of Apple's; the software engine runs "
            "everything (--engine soft)",
            name);
    else if (strtol(m->version, NULL, 10) < OLDEST_MACOS)
        add(l, "system", AN_GRADE_NO, "update macOS",
            "%s, expected %d or later", name, OLDEST_MACOS);
    else
        add(l, "system", AN_GRADE_OK, NULL, "%s", name);
}

static void check_chip(const an_condition *c, list *l)
{
    const an_machine *m = c->machine;
    const char *chip = m->host.processor[0] ? m->host.processor : m->processor;
    if (!is_mac(c)) return;
    if (strcmp(m->processor, "arm64") != 0)
        add(l, "chip", AN_GRADE_NO,
            "run the arm64 program, on a Mac with Apple silicon, not under "
            "Rosetta",
            "%s: this is an %s process, the engine is in Apple silicon", chip,
            m->processor);
    else if (!an_chip_find(m->host.chip))
        add(l, "chip", AN_GRADE_WARNING, NULL,
            "%s is not in our list: its rules and limits are taken to be m4's",
            chip);
    else
        add(l, "chip", AN_GRADE_OK, NULL, "%s (%s), model %s", chip,
            m->host.chip, m->model);
}

static void check_guest(const an_condition *c, list *l)
{
    if (c->machine->guest == AN_YES || c->guest == AN_YES)
        add(l, "machine", AN_GRADE_NO,
            "run on the Mac itself, or use --engine soft",
            "a virtual machine, which has no engine");
    else if (is_mac(c) || c->open)
        add(l, "machine", AN_GRADE_OK, NULL, "not a virtual machine%s",
            c->machine->guest == AN_UNKNOWN && c->guest == AN_UNKNOWN
                ? " as far as can be told"
                : "");
}

/* ---- the framework ---- */

static void check_framework(const an_condition *c, list *l)
{
    bool mac = is_mac(c);
    if (!c->open && !c->wants_apple)
        add(l, "replica", AN_GRADE_OK, NULL,
            "not built; only tests of the apple engine need it (make replica)");
    else if (!c->open)
        add(l, "framework", AN_GRADE_NO,
            mac ? "send the output of anemone probe; use --engine soft"
                : "make replica, or name its folder in ANEMONE_FRAMEWORKS; or "
                  "use --engine soft",
            "%s", c->error);
    else if (!c->wants_apple)
        add(l, "replica", AN_GRADE_OK, NULL,
            "there; --engine apple runs against it, for tests");
    else
        add(l, "framework", AN_GRADE_OK, NULL, "opens, version %s",
            c->version[0] ? c->version : "not told");
}

static void check_table(const an_condition *c, list *l)
{
    if (c->bad_rows)
        add(l, "table", AN_GRADE_NO,
            "send the output of anemone probe --json; use --engine soft",
            "%d of %d classes and selectors that we need do not hold; the "
            "first is %s",
            c->bad_rows, c->rows, c->bad_row);
    else
        add(l, "table", AN_GRADE_OK, NULL,
            "every class and selector that we need is as expected");
}

static void check_engine(const an_condition *c, list *l)
{
    if (c->engine == AN_NO)
        add(l, "engine", AN_GRADE_NO, "use --engine soft",
            "the framework says that there is none");
    else if (c->engine == AN_YES)
        add(l, "engine", AN_GRADE_OK, NULL, "there is one, %d cores%s",
            c->cores, c->replica ? " (the replica's)" : "");
    else
        add(l, "engine", AN_GRADE_WARNING, NULL,
            "the framework does not tell whether there is one");
}

static void check_verdict(const an_condition *c, list *l)
{
    char refusal[300] = "";
    if (c->kept == AN_OK)
        an_findings_refusal(c->found, refusal, sizeof refusal);
    if (*refusal)
        add(l, "self-test", AN_GRADE_NO, "use --engine soft", "%s", refusal);
    else if (c->kept == AN_OK)
        add(l, "self-test", AN_GRADE_OK, NULL, "done on this build, in %.1f s",
            c->found->seconds);
    else if (c->kept == AN_EIO)
        add(l, "self-test", AN_GRADE_WARNING, "anemone doctor --test",
            "not done on this build; the first training does it");
    else
        add(l, "self-test", AN_GRADE_WARNING, "anemone doctor --test",
            "due again: %s", c->kept_error);
}

/* ---- the process ---- */

static void check_process(const an_condition *c, list *l)
{
    const an_machine *m = c->machine;
    if (!is_mac(c)) return;
    if (m->sandboxed == AN_YES)
        add(l, "sandbox", AN_GRADE_WARNING, "run it from Terminal",
            "this process is in an app's sandbox; nobody has shown that the "
            "engine works in one on macOS");
    else
        add(l, "sandbox", AN_GRADE_OK, NULL, "%s",
            m->sandboxed == AN_NO ? "none" : "none as far as can be told");
    if (m->service == AN_YES)
        add(l, "session", AN_GRADE_WARNING, "run it from Terminal",
            "started by launchd, where temporary folder and quality of service "
            "are others; not measured");
    else
        add(l, "session", AN_GRADE_OK, NULL, "%s%s",
            m->remote == AN_YES ? "through SSH (not measured)"
                                : "of this machine",
            m->screen == AN_NO ? ", without a screen" : "");
    if (m->root == AN_YES)
        add(l, "user", AN_GRADE_WARNING, "run it as yourself",
            "root, which training does not need; its files and caches would "
            "not be yours");
    else
        add(l, "user", AN_GRADE_OK, NULL, "not root");
}

static void check_room(const an_condition *c, list *l)
{
    double memory = (double)c->machine->host.memory_bytes / gigabyte;
    double disk = (double)c->free_bytes / gigabyte;
    if (memory > 0)
        add(l, "memory", memory < 7.5 ? AN_GRADE_WARNING : AN_GRADE_OK,
            memory < 7.5 ? "train the smaller models" : NULL, "%.1f GB",
            memory);
    if (disk <= 0) return;
    an_grade grade = disk < 1   ? AN_GRADE_NO
                     : disk < 5 ? AN_GRADE_WARNING
                                : AN_GRADE_OK;
    add(l, "disk", grade, grade == AN_GRADE_OK ? NULL : "free some",
        "%.1f GB free%s", disk,
        grade == AN_GRADE_OK ? ""
                             : "; compiled programs and checkpoints need more");
}

/* Power and heat, where they are told; a BLAS that is no good neighbour. */
static void check_state(const an_condition *c, list *l)
{
    const an_host_state *s = &c->machine->state;
    const char *power = an_power_name(s->power);
    const char *heat = an_thermal_name(s->thermal);
    bool battery = s->power == AN_POWER_BATTERY;
    char charge[32] = "";
    if (s->charge >= 0)
        snprintf(charge, sizeof charge, ", charge %d%%", s->charge);
    if (power)
        add(l, "power", battery ? AN_GRADE_WARNING : AN_GRADE_OK,
            battery ? "plug it in, or let training wait: --battery pause"
                    : NULL,
            "%s%s", power, charge);
    if (heat && s->thermal >= AN_THERMAL_SERIOUS)
        add(l, "heat", AN_GRADE_WARNING, "let it cool down",
            "%s: the system slows the machine down", heat);
    else if (heat)
        add(l, "heat", AN_GRADE_OK, NULL, "%s", heat);
    if (c->free_blas)
        add(l, "products", AN_GRADE_WARNING, NULL,
            "%s: this system cannot be told to use one", c->free_blas);
}

int an_checkup(const an_condition *c, an_check out[AN_MAX_CHECKS])
{
    list l = {.checks = out};
    check_system(c, &l);
    check_chip(c, &l);
    if (c->wants_apple) check_guest(c, &l);
    check_framework(c, &l);
    if (c->wants_apple && c->open) {
        check_table(c, &l);
        check_engine(c, &l);
        check_verdict(c, &l);
    }
    check_process(c, &l);
    check_room(c, &l);
    check_state(c, &l);
    return l.n;
}
