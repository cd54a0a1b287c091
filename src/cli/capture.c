/*
 * anemone capture: what an engine returns for the suite's probes, in one file.
 * An engine that compiles no more in this process is no reason to stop: what
 * was captured waits beside the file, and a new process goes on.
 */
#include "cli/again.h"
#include "cli/commands.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/host.h"
#include "capture/capture.h"
#include "engine/impl.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *out, *only, *engine;
    an_numerics numerics;
    int threads;
    bool list, quiet;
    an_engine_extra extra;
} values;

static const an_option options[] = {
    {.section = "Options",
     .name = "out",
     .metavar = "FILE",
     .type = AN_OPTION_TEXT,
     AN_AT(values, out),
     .help = "safetensors file to write, whole or not at all"},
    {.name = "only",
     .metavar = "TEXT",
     .type = AN_OPTION_TEXT,
     .preset = "all",
     AN_AT(values, only),
     .help = "probes whose name holds this text"},
    {.name = "list",
     .type = AN_OPTION_FLAG,
     AN_AT(values, list),
     .help = "print the probes and what each asks, run nothing"},
    {.name = "quiet",
     .type = AN_OPTION_FLAG,
     AN_AT(values, quiet),
     .help = "print nothing"},
    AN_ENGINE_ROWS(values, engine, extra, numerics, threads),
};

static void defaults(void *v)
{
    *(values *)v = (values){.engine = "auto", .numerics = AN_NUMERICS_HW};
}

static bool wanted(const values *o, const an_probe *p)
{
    return o->only == NULL || strstr(p->name, o->only) != NULL;
}

static int print_list(const values *o)
{
    const an_probe *p;
    for (int i = 0; (p = an_probe_at(i)) != NULL; i++)
        if (wanted(o, p)) printf("%-28s %s\n", p->name, p->asks);
    return 0;
}

static int count_wanted(const values *o)
{
    int n = 0;
    const an_probe *p;
    for (int i = 0; (p = an_probe_at(i)) != NULL; i++)
        n += wanted(o, p);
    return n;
}

typedef struct session {
    const values *o;
    an_engine *engine;
    an_capture capture;
    char *partial; /* beside the file: what earlier processes captured */
    bool again;
    an_error err;
} session;

/* Goes on with what an earlier process of the same call left, if it did. */
static an_status open_partial(session *s)
{
    an_capture described = {0};
    an_engine_facts facts;
    an_engine_get_facts(s->engine, &facts);
    an_capture_init(&described);
    an_status status = an_capture_describe(
        &described, s->engine,
        facts.own_numerics ? "" : an_numerics_name(s->o->numerics), AN_VERSION,
        &s->err);
    if (status == AN_OK && an_call_past().processes > 0 &&
        an_path_exists(s->partial)) {
        status = an_capture_open(&s->capture, s->partial, &s->err);
        if (status == AN_OK && strcmp(s->capture.engine, described.engine) != 0)
            status = an_fail(&s->err, AN_EFORMAT, "%s: of another engine",
                             s->partial);
        an_capture_fini(&described);
        return status;
    }
    s->capture = described;
    return status;
}

static void say(const session *s, const an_captured *c, int done, int n)
{
    if (s->o->quiet) return;
    printf("%3d/%d  %-28s", done, n, c->name);
    if (c->error.code != AN_OK)
        printf("  refused: %.160s", c->error.text);
    else if (c->runs > 0)
        printf("  %.1f us, median %.1f us of %d", 1e6 * c->best,
               1e6 * c->median, c->runs);
    printf("\n");
    fflush(stdout);
}

static bool compiles_left(const session *s)
{
    an_engine_facts facts;
    an_engine_get_facts(s->engine, &facts);
    return facts.compiles_left != 0;
}

static an_status run_suite(session *s)
{
    int n = count_wanted(s->o);
    const an_probe *p;
    if (n == 0)
        return an_fail(&s->err, AN_EINVAL,
                       "--only: no probe's name holds '%.60s' (--list has "
                       "them)",
                       s->o->only);
    for (int i = 0; (p = an_probe_at(i)) != NULL; i++) {
        if (!wanted(s->o, p) || an_capture_find(&s->capture, p->name) != NULL)
            continue;
        if (!compiles_left(s)) {
            s->again = true;
            return an_capture_save(&s->capture, s->partial, &s->err);
        }
        an_status status = an_capture_add(&s->capture, s->engine, p, &s->err);
        if (status != AN_OK) return status;
        say(s, &s->capture.list[s->capture.n - 1], (int)s->capture.n, n);
    }
    return an_capture_save(&s->capture, s->o->out, &s->err);
}

static bool begins(const char *engine, const char *kind)
{
    return strncmp(engine, kind, strlen(kind)) == 0;
}

static an_status open_named(session *s, const char *name, an_error *err)
{
    an_engine_options o = {
        .name = name, .numerics = s->o->numerics, .threads = s->o->threads};
    return an_engine_open(&o, &s->engine, err);
}

/* Apple's engine without our own rules, for the system's compiler is to answer.
 */
static an_status open_apple(session *s, const char *settings, an_error *err)
{
    char name[160];
    snprintf(name, sizeof name, "apple%.130s%s", settings,
             strstr(settings, "rules=") ? "" : ",rules=off");
    return open_named(s, name, err);
}

static an_status open_engine(session *s)
{
    char text[128];
    const char *name =
        an_engine_text(s->o->engine, &s->o->extra, text, sizeof text);
    const char *settings = name + strcspn(name, ",");
    if (begins(name, "apple") && settings == name + 5)
        return open_apple(s, settings, &s->err);
    if (begins(name, "auto") && an_apple_is_own() &&
        open_apple(s, settings, NULL) == AN_OK)
        return AN_OK;
    return open_named(s, name, &s->err);
}

static an_status capture_all(session *s)
{
    size_t size = strlen(s->o->out) + sizeof ".partial";
    s->partial = an_alloc(size);
    if (s->partial == NULL)
        return an_fail(&s->err, AN_ENOMEM, "capture: no memory");
    snprintf(s->partial, size, "%s.partial", s->o->out);
    an_status status = open_engine(s);
    if (status == AN_OK) status = open_partial(s);
    if (status == AN_OK) status = run_suite(s);
    return status;
}

static void print_end(const session *s)
{
    int refused = 0;
    for (size_t i = 0; i < s->capture.n; i++)
        refused += s->capture.list[i].error.code != AN_OK;
    printf("\n%s: %zu programs on %s, %d refused\n", s->o->out, s->capture.n,
           s->capture.engine, refused);
    printf("\nCompare it with the software engine\n\n    anemone verify %s\n",
           s->o->out);
}

static int capture(const an_call *call, const void *v)
{
    session s = {.o = v};
    if (s.o->list) return print_list(s.o);
    if (s.o->out == NULL) {
        an_fail(&s.err, AN_EINVAL, "--out: expected a file to write");
        return an_call_fail(call, &s.err);
    }
    an_awake awake = an_host_stay_awake(an_host_here(), "anemone capture");
    an_status status = capture_all(&s);
    an_host_let_sleep(&awake);
    if (status == AN_OK && !s.again) {
        remove(s.partial);
        if (!s.o->quiet) print_end(&s);
    }
    an_engine_facts facts = {0};
    if (s.engine != NULL) an_engine_get_facts(s.engine, &facts);
    an_capture_fini(&s.capture);
    an_engine_close(s.engine);
    an_free(s.partial);
    if (status == AN_OK && s.again)
        status = an_call_again(call, NULL, facts.compiles, &s.err);
    return status == AN_OK ? 0 : an_call_fail(call, &s.err);
}

const an_command an_command_capture = {
    .name = "capture",
    .summary = "record what an engine returns for a suite of small programs",
    .about = "Runs a suite of small programs (every op point by point, sums "
             "whose order and rounding are not known, speed) and writes what "
             "came to one file. From a Mac it is evidence: `anemone verify` "
             "says where the software engine differs.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = capture,
};
