/*
 * anemone verify: replays a capture on the software engine.
 */
#include "cli/commands.h"

#include "base/alloc.h"
#include "capture/capture.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *file, *chip, *numerics;
    int threads;
    bool all, quiet;
} values;

static const an_option options[] = {
    {.section = "Options",
     .metavar = "FILE",
     .type = AN_OPTION_TEXT,
     .required = true,
     AN_AT(values, file),
     .help = "a capture"},
    {.name = "chip",
     .metavar = "CHIP",
     .type = AN_OPTION_TEXT,
     .preset = "the capture's",
     AN_AT(values, chip),
     .help = "m1 to m6: the software engine's"},
    {.name = "numerics",
     .metavar = "MODE",
     .type = AN_OPTION_TEXT,
     .preset = "the capture's, hw for the hardware's own",
     AN_AT(values, numerics),
     .help = "ieee, hw or exact"},
    {.name = "threads",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .preset = "one per processor",
     .unit = "threads",
     .min = 1,
     .max = 1024,
     AN_AT(values, threads),
     .help = "how many compute; results do not depend on it"},
    {.name = "all",
     .type = AN_OPTION_FLAG,
     AN_AT(values, all),
     .help = "print programs that agree as well"},
    {.name = "quiet",
     .type = AN_OPTION_FLAG,
     AN_AT(values, quiet),
     .help = "print nothing; the exit status tells"},
};

static void defaults(void *v)
{
    *(values *)v = (values){0};
}

typedef struct totals {
    int n, same, different, refused, refused_by_one;
    int rules[AN_RULE_ANSWERS];
    int64_t values, equal;
} totals;

static void count(const an_verdict *v, totals *t)
{
    t->n++;
    t->values += v->n;
    t->equal += v->equal;
    t->same += v->kind == AN_SAME;
    t->different += v->kind == AN_DIFFERENT;
    t->refused += v->kind == AN_REFUSED;
    t->refused_by_one += v->kind == AN_ONLY_HERE || v->kind == AN_ONLY_THERE;
}

static void print_verdict(const an_captured *c, const an_verdict *v)
{
    printf("%-28s ", c->name);
    switch (v->kind) {
    case AN_SAME:
        printf("%lld of %lld bit-equal", (long long)v->equal, (long long)v->n);
        break;
    case AN_DIFFERENT:
        printf("%lld of %lld bit-equal; worst %s[%lld]: captured %.9g, came "
               "%.9g, %.0f steps of fp16",
               (long long)v->equal, (long long)v->n, v->port, (long long)v->at,
               v->captured, v->came, v->worst);
        break;
    case AN_REFUSED:
        printf("refused by both: %.120s", c->error.text);
        break;
    case AN_ONLY_THERE:
        printf("refused when captured, runs here: %.160s", c->error.text);
        break;
    case AN_ONLY_HERE:
        printf("ran when captured, refused here: %.160s", v->error.text);
        break;
    }
    if (c->runs > 0)
        printf("  (captured: %.1f us, median %.1f us)", 1e6 * c->best,
               1e6 * c->median);
    printf("\n");
}

static void print_rule(const an_captured *c, an_rule_answer answer)
{
    printf("%-28s %s %s", c->name, c->asks, an_rule_answer_text(answer));
    if (c->error.code != AN_OK) printf(": %.120s", c->error.text);
    printf("\n");
}

static int n_confirmed(const totals *t)
{
    return t->rules[AN_RULE_CONFIRMED] + t->rules[AN_RULE_LOUDER];
}

static int n_refuted(const totals *t)
{
    return t->rules[AN_RULE_REFUTED] + t->rules[AN_RULE_ELSEWHERE];
}

static int n_rules(const totals *t)
{
    int n = 0;
    for (int i = 0; i < AN_RULE_ANSWERS; i++)
        n += t->rules[i];
    return n;
}

static void print_totals(const an_capture *c, const char *engine,
                         const char *numerics, const totals *t)
{
    printf("\ncaptured on   %s%s%s by anemone %s, %s\n", c->engine,
           c->numerics[0] != '\0' ? ", " : "", c->numerics, c->version,
           c->system);
    printf("replayed on   %s, %s\n", engine, numerics);
    printf("programs      %d: %d equal, %d different, %d refused by both, %d "
           "refused by one\n",
           t->n, t->same, t->different, t->refused, t->refused_by_one);
    printf(
        "rules         %d programs that break one: %d confirmed, %d refuted, "
        "%d that only warn not seen, %d of other chips, %d open\n",
        n_rules(t), n_confirmed(t), n_refuted(t), t->rules[AN_RULE_UNSEEN],
        t->rules[AN_RULE_ABSENT], t->rules[AN_RULE_OPEN]);
    printf("values        %lld of %lld bit-equal\n", (long long)t->equal,
           (long long)t->values);
}

typedef struct replay {
    const values *o;
    an_capture capture;
    an_engine *engine;
    an_engine *without_rules; /* NULL: not needed yet */
    char name[64];
    an_numerics numerics;
    totals totals;
    an_error err;
} replay;

/* The chip's own limits are not what is compared. */
static an_status open_engine(replay *r)
{
    const char *chip = r->o->chip != NULL ? r->o->chip : r->capture.chip;
    const char *mode =
        r->o->numerics != NULL ? r->o->numerics : r->capture.numerics;
    if (strlen(chip) > 16)
        return an_fail(&r->err, AN_EINVAL, "%s: expected a chip, came '%.40s'",
                       r->o->file, chip);
    an_status s = AN_OK;
    r->numerics = AN_NUMERICS_HW;
    if (mode[0] != '\0') s = an_numerics_find(mode, &r->numerics, &r->err);
    const char *kind = strcmp(chip, "cpu") == 0 ? "" : "soft:";
    const char *limits = kind[0] != '\0' ? ",compiles=0,live=0" : "";
    snprintf(r->name, sizeof r->name, "%s%s%s", kind, chip, limits);
    an_engine_options wanted_engine = {
        .name = r->name, .numerics = r->numerics, .threads = r->o->threads};
    return s == AN_OK ? an_engine_open(&wanted_engine, &r->engine, &r->err) : s;
}

static an_status replay_rule(replay *r, const an_captured *c)
{
    an_verdict v;
    an_rule_answer answer = AN_RULE_OPEN;
    char name[96];
    an_status s = AN_OK;
    snprintf(name, sizeof name, "%s%s", r->name,
             strncmp(r->name, "soft:", 5) == 0 ? ",rules=off" : "");
    an_engine_options o = {
        .name = name, .numerics = r->numerics, .threads = r->o->threads};
    if (r->without_rules == NULL)
        s = an_engine_open(&o, &r->without_rules, &r->err);
    if (s == AN_OK)
        s = an_capture_judge(c, r->o->chip ? r->o->chip : r->capture.chip,
                             r->without_rules, &answer, &v, &r->err);
    if (s != AN_OK) return s;
    r->totals.rules[answer]++;
    bool expected = answer == AN_RULE_CONFIRMED || answer == AN_RULE_UNSEEN ||
                    answer == AN_RULE_ABSENT;
    if (!r->o->quiet && (r->o->all || !expected)) print_rule(c, answer);
    return AN_OK;
}

static an_status replay_all(replay *r)
{
    an_status s = an_capture_open(&r->capture, r->o->file, &r->err);
    if (s == AN_OK) s = open_engine(r);
    for (size_t i = 0; s == AN_OK && i < r->capture.n; i++) {
        an_verdict v;
        const an_captured *c = &r->capture.list[i];
        if (c->kind == AN_PROBE_RULE) {
            s = replay_rule(r, c);
            continue;
        }
        s = an_capture_replay(c, r->engine, &v, &r->err);
        if (s != AN_OK) break;
        count(&v, &r->totals);
        bool agrees = v.kind == AN_SAME || v.kind == AN_REFUSED;
        if (!r->o->quiet && (r->o->all || !agrees || c->runs > 0))
            print_verdict(c, &v);
        fflush(stdout);
    }
    return s;
}

static int verify(const an_call *call, const void *v)
{
    replay r = {.o = v};
    an_status s = replay_all(&r);
    if (s == AN_OK && !r.o->quiet) {
        an_engine_facts facts;
        an_engine_get_facts(r.engine, &facts);
        print_totals(&r.capture, facts.name, an_numerics_name(r.numerics),
                     &r.totals);
    }
    bool differs = r.totals.different + r.totals.refused_by_one +
                       n_refuted(&r.totals) + r.totals.rules[AN_RULE_OPEN] >
                   0;
    an_capture_fini(&r.capture);
    an_engine_close(r.without_rules);
    an_engine_close(r.engine);
    if (s != AN_OK) return an_call_fail(call, &r.err);
    return differs ? 1 : 0;
}

const an_command an_command_verify = {
    .name = "verify",
    .summary = "replay a capture on the software engine and compare",
    .about = "Checks a capture's SHA-256, runs its programs on the software "
             "engine with the capture's chip, and says per program how many "
             "values are bit-equal and how far the worst is off. For each "
             "program that breaks a rule it says whether the capture confirms "
             "or refutes the rule. Exit status 1 when something differs or a "
             "rule is refuted.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = verify,
};
