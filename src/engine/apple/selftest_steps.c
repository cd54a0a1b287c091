/* The small steps of the self-test; see selftest_parts.h. */
#include "engine/apple/selftest_parts.h"

#include "base/alloc.h"
#include "base/half.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

an_status an_test_fail(an_test *t, const char *what)
{
    return an_fail(t->err, AN_EENGINE, "self-test: %s", what);
}

/* Did the framework refuse, as against a machine that failed us? */
bool an_test_refused(const an_test *t, an_status s)
{
    return (s == AN_EENGINE || s == AN_ERULE || s == AN_EUNSUPPORTED) &&
           !an_worker_is_dead(t->fw->worker);
}

/* Keeps the reason of a refusal, for people. */
void an_test_note(const an_test *t, const char *about, const an_error *refused)
{
    char *notes = t->out->notes;
    size_t used = strlen(notes), size = sizeof t->out->notes;
    if (refused->code != AN_OK && used + 80 < size)
        snprintf(notes + used, size - used, "%s%s: %.240s", used ? "; " : "",
                 about, refused->text);
}

an_status an_test_open(const an_test *t, const char *text, const an_blob *blob,
                       an_session *out, an_error *err)
{
    an_source source = {.text = text,
                        .size = strlen(text),
                        .name = "self-test",
                        .blobs = blob,
                        .n_blobs = blob != NULL};
    return an_session_open(t->engine, &source, out, err);
}

/* Every element of input i gets the value. */
an_status an_test_fill(an_session *s, int i, double value, an_error *err)
{
    const an_port *port = an_program_port(s->program, AN_INPUT, i);
    size_t n = (size_t)an_shape_count(&port->shape);
    uint16_t *dense = an_alloc_array(n + 1, sizeof *dense);
    if (!dense) return an_fail(err, AN_ENOMEM, "self-test: no memory");
    for (size_t k = 0; k < n; k++)
        dense[k] = an_half_from_double(value);
    an_status status = an_session_put(s, i, dense, err);
    an_free(dense);
    return status;
}

/* The one value that all elements of output i have; NAN: they differ. */
an_status an_test_read(an_session *s, int i, double *value, an_error *err)
{
    const an_port *port = an_program_port(s->program, AN_OUTPUT, i);
    size_t n = (size_t)an_shape_count(&port->shape);
    void *dense = NULL;
    an_status status = an_session_take(s, i, &dense, err);
    if (status != AN_OK) return status;
    const uint16_t *halves = dense;
    *value = an_half_to_double(halves[0]);
    for (size_t k = 1; k < n; k++)
        if (halves[k] != halves[0]) *value = NAN;
    an_free(dense);
    return AN_OK;
}
