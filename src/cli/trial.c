/*
 * Every program gets an engine of its own, so that limits of a process (how
 * many compiles) do not end a search; the pool is shared.
 */
#include "cli/trial.h"

#include "base/alloc.h"
#include "cli/compare.h"
#include "engine/session.h"

#include <string.h>

an_status an_tensors_add(an_tensors *list, const char *name,
                         const an_shape *shape, void *data, an_error *err)
{
    char *copy = an_strdup(name);
    if (copy == NULL ||
        !an_grow(&list->items, &list->capacity, list->n, sizeof *list->items)) {
        an_free(copy);
        an_free(data);
        return an_fail(err, AN_ENOMEM, "no memory for %s", name);
    }
    list->items[list->n++] = (an_tensor){copy, *shape, data};
    return AN_OK;
}

const an_tensor *an_tensors_find(const an_tensors *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0) return &list->items[i];
    return NULL;
}

void an_tensors_free(an_tensors *list)
{
    for (size_t i = 0; i < list->n; i++) {
        an_free(list->items[i].name);
        an_free(list->items[i].data);
    }
    an_free(list->items);
    *list = (an_tensors){0};
}

const char *an_fault_says(const an_fault *fault)
{
    const char *text = fault->error.text;
    size_t size = strlen(fault->program);
    if (strncmp(text, fault->program, size) == 0) text += size;
    return text + strspn(text, ":0123456789 ");
}

bool an_fault_is(const an_fault *a, const an_fault *b, an_likeness likeness)
{
    const an_error *x = &a->error, *y = &b->error;
    if (a->kind != b->kind) return false;
    if (a->kind == AN_FAULT_NONE || a->kind == AN_FAULT_VALUES) return true;
    if (x->code != y->code || x->engine_code != y->engine_code ||
        strcmp(x->domain, y->domain) != 0)
        return false;
    const char *s = an_fault_says(a), *t = an_fault_says(b);
    if (likeness == AN_FAULT_SAME || x->code != AN_ERULE)
        return strcmp(s, t) == 0;
    return strncmp(s, t, strcspn(s, ":") + 1) == 0; /* "R-03:" */
}

static an_status put_inputs(const an_trial *t, an_session *session,
                            an_error *err)
{
    an_status s = AN_OK;
    int n = an_program_n_ports(session->program, AN_INPUT);
    for (int i = 0; s == AN_OK && i < n; i++) {
        const an_port *port = an_program_port(session->program, AN_INPUT, i);
        const an_tensor *x = an_tensors_find(&t->inputs, port->name);
        if (x == NULL || !an_shape_equal(&x->shape, &port->shape))
            return an_fail(err, AN_EINVAL, "no values are known for input %s",
                           port->name);
        s = an_session_put(session, i, x->data, err);
    }
    return s;
}

static an_status take_results(an_session *session, an_tensors *results,
                              an_error *err)
{
    an_status s = AN_OK;
    int n = an_program_n_ports(session->program, AN_OUTPUT);
    for (int i = 0; s == AN_OK && i < n; i++) {
        const an_port *port = an_program_port(session->program, AN_OUTPUT, i);
        void *data = NULL;
        s = an_session_take(session, i, &data, err);
        if (s == AN_OK)
            s = an_tensors_add(results, port->name, &port->shape, data, err);
    }
    return s;
}

/* An engine's objection is a fault of the program, want of memory is not. */
static an_status blame(an_fault *fault, an_fault_kind kind, const an_error *why,
                       an_error *err)
{
    if (why->code == AN_ENOMEM) return an_fail(err, AN_ENOMEM, "%s", why->text);
    fault->kind = kind;
    fault->error = *why;
    return AN_OK;
}

/* Results stay as they are when they are NULL: nothing is evaluated then. */
static an_status run_on(const an_trial *t, const an_place *place,
                        an_engine *engine, const an_source *source,
                        an_tensors *results, an_fault *fault, an_error *err)
{
    an_error why = {0};
    an_session session = {0};
    an_source with_blobs = *source;
    with_blobs.blobs = t->blobs;
    with_blobs.n_blobs = t->n_blobs;
    *fault = (an_fault){.program = source->name, .place = *place};
    an_status s = an_session_open(engine, &with_blobs, &session, &why);
    if (s != AN_OK) {
        s = blame(fault, AN_FAULT_COMPILE, &why, err);
    } else if (results != NULL) {
        s = put_inputs(t, &session, err);
        if (s == AN_OK && an_request_run(session.request, &why) != AN_OK)
            s = blame(fault, AN_FAULT_RUN, &why, err);
        else if (s == AN_OK)
            s = take_results(&session, results, err);
    }
    an_session_close(&session);
    return s;
}

an_status an_trial_run(const an_trial *t, const an_place *place,
                       const an_source *source, an_tensors *results,
                       an_fault *fault, an_error *err)
{
    an_engine *engine = NULL;
    an_engine_options options = {
        .name = place->engine, .numerics = place->numerics, .pool = t->pool};
    an_status s = an_engine_open(&options, &engine, err);
    if (s == AN_OK) s = run_on(t, place, engine, source, results, fault, err);
    an_engine_close(engine);
    return s;
}

/* Both come from one text: the same names and shapes. */
static bool differ(const an_trial *t, const an_tensors *got,
                   const an_tensors *expected)
{
    for (size_t i = 0; i < got->n; i++) {
        const an_tensor *x = &got->items[i];
        const an_tensor *y = an_tensors_find(expected, x->name);
        an_difference d;
        if (y == NULL) return true;
        an_difference_find(&x->shape, x->data, y->data, t->tolerance, &d);
        if (d.n_beyond > 0) return true;
    }
    return false;
}

an_status an_trial_find(const an_trial *t, const an_source *source,
                        an_fault_kind last, an_fault *fault, an_error *err)
{
    an_tensors got = {0}, expected = {0};
    bool evaluates = last != AN_FAULT_COMPILE;
    an_status s =
        an_trial_run(t, &t->place, source, evaluates ? &got : NULL, fault, err);
    if (s == AN_OK && fault->kind == AN_FAULT_NONE && t->reference != NULL &&
        last == AN_FAULT_VALUES) {
        s = an_trial_run(t, t->reference, source, &expected, fault, err);
        if (s == AN_OK && fault->kind == AN_FAULT_NONE &&
            differ(t, &got, &expected)) {
            fault->kind = AN_FAULT_VALUES;
            fault->place = t->place;
        }
    }
    an_tensors_free(&got);
    an_tensors_free(&expected);
    return s;
}
