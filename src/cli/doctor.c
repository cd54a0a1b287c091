/*
 * anemone doctor: can one train here, and if not, what to do next.
 */
#include "cli/commands.h"

#include "cli/facts.h"
#include "engine/apple/checkup.h"
#include "engine/apple/describe.h"
#include "engine/apple/selftest.h"
#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *engine;
    bool json, test, quiet;
} values;

static const an_option options[] = {
    {.section = "Options",
     .name = "engine",
     .metavar = "ENGINE",
     .type = AN_OPTION_TEXT,
     AN_AT(values, engine),
     .help =
         "auto (Apple's engine on a Mac, the software engine elsewhere), or "
         "apple (elsewhere: the replica)"},
    {.name = "test",
     .type = AN_OPTION_FLAG,
     AN_AT(values, test),
     .help = "run the self-test now, whether one is kept or not"},
    {.name = "quiet",
     .type = AN_OPTION_FLAG,
     AN_AT(values, quiet),
     .help = "print nothing; the exit status tells"},
    {.name = "json",
     .type = AN_OPTION_FLAG,
     AN_AT(values, json),
     .help = "print one object"},
};

static void defaults(void *v)
{
    *(values *)v = (values){.engine = "auto"};
}

/* ---- what is so ---- */

typedef struct visit {
    const values *o;
    an_description *d;
    an_condition condition;
    char bad_row[300];
    an_findings found;
    an_subject subject;
    an_error kept;
    an_check checks[AN_MAX_CHECKS];
    int n_checks;
    bool well;
} visit;

static bool is_mac(const visit *t)
{
    return strcmp(t->d->machine.system, "macOS") == 0;
}

/* Rows that are needed and do not hold. */
static void judge_rows(visit *t)
{
    an_condition *c = &t->condition;
    for (int i = 0; c->open && i < AN_N_NAMES; i++) {
        const an_name_row *row = &an_names[i];
        an_row_state state = t->d->rows[i].state;
        c->rows += row->need == AN_NAME_NEED;
        if (row->need != AN_NAME_NEED || state == AN_ROW_HOLDS ||
            state == AN_ROW_HARMLESS)
            continue;
        if (c->bad_rows++ == 0)
            snprintf(t->bad_row, sizeof t->bad_row, "%c[%s %s], which %s",
                     row->kind, row->class_name, row->selector,
                     an_row_state_name(state));
    }
    c->bad_row = t->bad_row;
}

static uint64_t free_bytes(void)
{
    const char *folder = getenv("TMPDIR");
    uint64_t here = an_machine_free_bytes(".");
    uint64_t there = an_machine_free_bytes(folder ? folder : "/tmp");
    return here && (!there || here < there) ? here : there;
}

static void gather(visit *t)
{
    const an_description *d = t->d;
    bool apple = strncmp(t->o->engine, "apple", 5) == 0;
    t->condition = (an_condition){
        .machine = &d->machine,
        .wants_apple = apple || is_mac(t),
        .open = d->error.code == AN_OK,
        .replica = !d->own,
        .error = d->error.text,
        .version = d->version,
        .engine = d->engine,
        .guest = d->guest,
        .cores = d->cores,
        .free_bytes = free_bytes(),
        .kept_error = t->kept.text,
        .found = &t->found,
        .free_blas = an_blas_threads() == 1 ? NULL : an_blas_name()};
    judge_rows(t);
    if (t->condition.open && t->condition.wants_apple)
        t->condition.kept =
            an_selftest_recall(&t->found, &t->subject, &t->kept);
    t->n_checks = an_checkup(&t->condition, t->checks);
    t->well = true;
    for (int i = 0; i < t->n_checks; i++)
        t->well = t->well && t->checks[i].grade != AN_GRADE_NO;
}

/* ---- what is said ---- */

static const char *verdict_of(const visit *t)
{
    if (!t->well)
        return is_mac(t) || t->condition.wants_apple
                   ? "no: not on Apple's Neural Engine; --engine soft works on "
                     "any machine"
                   : "no";
    if (!t->condition.wants_apple)
        return "yes, on the software engine (--engine soft)";
    return t->condition.replica
               ? "yes, on the replica of Apple's framework (--engine apple), "
                 "for tests"
               : "yes, on Apple's Neural Engine (--engine apple)";
}

static void print_findings(const visit *t)
{
    const char *key, *question;
    char answer[80];
    if (!t->condition.wants_apple || !t->condition.open ||
        t->condition.kept != AN_OK)
        return;
    printf("\nThe self-test of this build found (%s)\n", t->subject.path);
    for (int i = 0;
         an_findings_tell(&t->found, i, &key, &question, answer, sizeof answer);
         i++)
        printf("  %-44s %s\n", question, answer);
    if (t->found.notes[0]) printf("  it said: %s\n", t->found.notes);
}

static void print_text(const visit *t)
{
    printf("Can I train here?  %s\n\n", verdict_of(t));
    for (int i = 0; i < t->n_checks; i++) {
        const an_check *c = &t->checks[i];
        printf("  %-8s %-10s %s\n", an_grade_name(c->grade), c->key, c->text);
        if (c->next != NULL) printf("  %-8s %-10s -> %s\n", "", "", c->next);
    }
    print_findings(t);
}

static json_t *findings_object(const visit *t)
{
    const char *key, *question;
    char answer[80];
    json_t *o = json_object();
    for (int i = 0;
         an_findings_tell(&t->found, i, &key, &question, answer, sizeof answer);
         i++)
        json_object_set_new(o, key, json_string(answer));
    json_object_set_new(o, "said", an_text_json(t->found.notes));
    json_object_set_new(o, "seconds", json_real(t->found.seconds));
    return o;
}

static an_status print_json(const visit *t, an_error *err)
{
    json_t *o = json_object(), *checks = json_array();
    bool kept = t->condition.wants_apple && t->condition.open &&
                t->condition.kept == AN_OK;
    for (int i = 0; i < t->n_checks; i++) {
        const an_check *c = &t->checks[i];
        json_t *check = json_object();
        json_object_set_new(check, "check", json_string(c->key));
        json_object_set_new(check, "grade",
                            json_string(an_grade_name(c->grade)));
        json_object_set_new(check, "text", an_text_json(c->text));
        json_object_set_new(check, "next", an_text_json(c->next));
        json_array_append_new(checks, check);
    }
    json_object_set_new(o, "yes", json_boolean(t->well));
    json_object_set_new(o, "answer", json_string(verdict_of(t)));
    json_object_set_new(o, "checks", checks);
    json_object_set_new(o, "machine", an_machine_json(&t->d->machine));
    json_object_set_new(o, "self_test",
                        kept ? findings_object(t) : json_null());
    json_object_set_new(o, "self_test_file",
                        kept ? an_text_json(t->subject.path) : json_null());
    return an_json_print(o, err);
}

/* ---- the command ---- */

static an_status run_test(const values *o, an_error *err)
{
    an_findings found;
    an_subject subject;
    char name[120];
    bool own = strncmp(o->engine, "auto", 4) == 0;
    snprintf(name, sizeof name, "%s%.100s", own ? "apple" : "",
             own ? o->engine + 4 : o->engine);
    return an_selftest(name, &found, &subject, err);
}

static an_status check_engine_name(const values *o, an_error *err)
{
    size_t n = strcspn(o->engine, ",");
    if ((n == 4 && strncmp(o->engine, "auto", 4) == 0) ||
        (n == 5 && strncmp(o->engine, "apple", 5) == 0))
        return AN_OK;
    return an_fail(err, AN_EINVAL,
                   "--engine: expected auto or apple, got '%.60s'", o->engine);
}

static int doctor(const an_call *call, const void *v)
{
    visit t = {.o = v};
    an_error err = {0};
    an_status s = check_engine_name(t.o, &err);
    if (s == AN_OK && t.o->test) s = run_test(t.o, &err);
    if (s == AN_OK) s = an_describe(&t.d, &err);
    if (s == AN_OK) gather(&t);
    if (s == AN_OK && t.o->json)
        s = print_json(&t, &err);
    else if (s == AN_OK && !t.o->quiet)
        print_text(&t);
    an_description_free(t.d);
    if (s != AN_OK) return an_call_fail(call, &err);
    return t.well ? 0 : 1;
}

const an_command an_command_doctor = {
    .name = "doctor",
    .summary = "can I train here, and if not, what to do",
    .about =
        "Looks at the machine, the system and Apple's framework, and says with "
        "a line per check whether training on Apple's Neural Engine can work "
        "here, or, where there is none, on the software engine. Exit status 1 "
        "for no.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = doctor,
};
