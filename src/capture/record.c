/*
 * Running probes. A program's surfaces are made, filled, and read back whole;
 * SPEED probes are evaluated for a fixed time after a first, cold evaluation,
 * RELOAD probes once more with other weights.
 */
#include "capture/capture.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

enum { MAX_RUNS = 1000 };
static const double measured_seconds = 0.3;

void an_capture_init(an_capture *c)
{
    *c = (an_capture){0};
    an_arena_init(&c->arena);
}

void an_capture_fini(an_capture *c)
{
    an_free(c->list);
    json_decref(c->programs);
    an_st_close(c->file);
    an_arena_fini(&c->arena);
    *c = (an_capture){0};
}

an_status an_capture_describe(an_capture *c, an_engine *engine,
                              const char *numerics, const char *version,
                              an_error *err)
{
    an_engine_facts facts;
    struct utsname u;
    an_engine_get_facts(engine, &facts);
    if (uname(&u) != 0) return an_fail(err, AN_EIO, "the system has no name");
    c->engine = an_arena_strndup(&c->arena, facts.name, strlen(facts.name));
    c->chip = an_arena_strndup(&c->arena, facts.chip, strlen(facts.chip));
    c->system = an_arena_printf(&c->arena, "%s %s %s %s", u.sysname, u.release,
                                u.version, u.machine);
    c->numerics = numerics;
    c->version = version;
    if (!c->engine || !c->chip || !c->system)
        return an_fail(err, AN_ENOMEM, "capture: no memory");
    return AN_OK;
}

const an_captured *an_capture_find(const an_capture *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->list[i].name, name) == 0) return &c->list[i];
    return NULL;
}

static const an_probe_tensor *find_input(const an_probe_program *p,
                                         const char *port)
{
    for (int i = 0; i < p->n_inputs; i++)
        if (strcmp(p->inputs[i].port, port) == 0) return &p->inputs[i];
    return NULL;
}

static an_status put_inputs(an_session *r, const an_probe_program *p,
                            an_error *err)
{
    an_status s = AN_OK;
    int n = an_program_n_ports(r->program, AN_INPUT);
    for (int i = 0; s == AN_OK && i < n; i++) {
        const an_port *port = an_program_port(r->program, AN_INPUT, i);
        const an_probe_tensor *t = find_input(p, port->name);
        if (t == NULL || !an_shape_equal(&t->shape, &port->shape))
            return an_fail(err, AN_EFORMAT, "input %s: no tensor of its shape",
                           port->name);
        s = an_session_put(r, i, t->data, err);
    }
    return s;
}

static an_status take_outputs(an_session *r, an_arena *arena, an_captured *out,
                              an_error *err)
{
    an_status s = AN_OK;
    int n = an_program_n_ports(r->program, AN_OUTPUT);
    int first = an_program_n_ports(r->program, AN_INPUT);
    for (int i = 0; s == AN_OK && i < n; i++) {
        const an_port *port = an_program_port(r->program, AN_OUTPUT, i);
        size_t size = (size_t)an_shape_count(&port->shape) *
                      an_dtype_size(port->shape.dtype);
        void *data = an_arena_alloc(arena, size);
        const char *name =
            an_arena_strndup(arena, port->name, strlen(port->name));
        if (data == NULL || name == NULL)
            return an_fail(err, AN_ENOMEM, "capture: no memory");
        s = an_surface_take(r->surfaces[first + i], port, data, err);
        out->outputs[i] = (an_probe_tensor){name, port->shape, data};
    }
    out->n_outputs = s == AN_OK ? n : 0;
    return s;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static an_status measure(an_session *r, an_captured *out, an_error *err)
{
    double seconds[MAX_RUNS], start = an_clock();
    int n = 0;
    while (n < MAX_RUNS && (n < 3 || an_clock() - start < measured_seconds)) {
        double before = an_clock();
        an_status s = an_request_run(r->request, err);
        if (s != AN_OK) return s;
        seconds[n++] = an_clock() - before;
    }
    qsort(seconds, (size_t)n, sizeof *seconds, ascending);
    out->best = seconds[0];
    out->median = seconds[n / 2];
    out->runs = n;
    return AN_OK;
}

enum { BEFORE_WEIGHTS = 128 }; /* the file's head, and its one record's */

/* Loads the program with the signs of its fp16 weights changed, and runs it. */
static an_status run_reloaded(an_session *r, const an_probe_program *p,
                              an_arena *arena, an_error *err)
{
    unsigned char *other = an_arena_alloc(arena, p->n_weights + 1);
    if (other == NULL) return an_fail(err, AN_ENOMEM, "capture: no memory");
    if (p->weights != NULL) memcpy(other, p->weights, p->n_weights);
    for (size_t i = BEFORE_WEIGHTS + 1; i < p->n_weights; i += 2)
        other[i] ^= 0x80;
    const an_blob blob = {AN_PROBE_WEIGHTS, other, p->n_weights};
    an_status s = an_program_reload(r->program, &blob, p->weights != NULL, err);
    return s == AN_OK ? an_request_run(r->request, err) : s;
}

static an_status evaluate(an_session *r, const an_probe_program *p,
                          an_arena *arena, an_captured *out, an_error *err)
{
    if (an_program_n_ports(r->program, AN_OUTPUT) > AN_PROBE_OUTPUTS)
        return an_fail(err, AN_EFORMAT, "more than %d outputs",
                       AN_PROBE_OUTPUTS);
    an_status s = put_inputs(r, p, err);
    if (s == AN_OK) s = an_request_run(r->request, err);
    if (s == AN_OK && out->kind == AN_PROBE_SPEED) s = measure(r, out, err);
    if (s == AN_OK && out->kind == AN_PROBE_RELOAD)
        s = run_reloaded(r, p, arena, err);
    return s == AN_OK ? take_outputs(r, arena, out, err) : s;
}

/* Out of memory and malformed captures are ours; the rest is an answer. */
static bool is_answer(an_status s)
{
    return s != AN_ENOMEM && s != AN_EFORMAT && s != AN_EINVAL;
}

an_status an_capture_run(const an_probe_program *p, const char *name,
                         an_engine *engine, an_arena *arena, an_captured *out,
                         an_error *err)
{
    an_session r;
    an_error answer = {0};
    const an_blob blob = {AN_PROBE_WEIGHTS, p->weights, p->n_weights};
    const an_source source = {.text = p->text,
                              .size = p->size,
                              .name = name,
                              .blobs = &blob,
                              .n_blobs = p->weights != NULL};
    out->n_outputs = 0;
    an_status s = an_session_open(engine, &source, &r, &answer);
    if (s == AN_OK) s = evaluate(&r, p, arena, out, &answer);
    an_session_close(&r);
    out->error = answer;
    if (s == AN_OK || is_answer(s)) return AN_OK;
    return an_fail(err, s, "%s: %s", name, answer.text);
}

an_status an_capture_add(an_capture *c, an_engine *engine,
                         const an_probe *probe, an_error *err)
{
    an_captured one = {
        .kind = probe->kind, .name = probe->name, .asks = probe->asks};
    an_status s = an_probe_make(probe, &c->arena, &one.program, err);
    if (s == AN_OK)
        s = an_capture_run(&one.program, probe->name, engine, &c->arena, &one,
                           err);
    if (s != AN_OK) return s;
    if (!an_grow(&c->list, &c->capacity, c->n, sizeof *c->list))
        return an_fail(err, AN_ENOMEM, "capture: no memory");
    c->list[c->n++] = one;
    return AN_OK;
}
