/*
 * Surfaces are made in the order of the ports, inputs first.
 */
#include "engine/session.h"

#include "base/alloc.h"

static an_status bind(an_session *s, an_engine *engine, an_port_side side,
                      an_error *err)
{
    int n = an_program_n_ports(s->program, side);
    for (int i = 0; i < n; i++) {
        const an_port *port = an_program_port(s->program, side, i);
        an_surface **at = &s->surfaces[s->n_surfaces];
        an_status status = an_surface_new(engine, port->size_bytes, at, err);
        if (status != AN_OK) return status;
        s->n_surfaces++;
        status = an_request_bind(s->request, side, port->name, *at, err);
        if (status != AN_OK) return status;
    }
    return AN_OK;
}

an_status an_session_open(an_engine *engine, const an_source *source,
                          an_session *out, an_error *err)
{
    *out = (an_session){0};
    an_status s = an_engine_compile(engine, source, &out->program, err);
    if (s != AN_OK) return s;
    int n = an_program_n_ports(out->program, AN_INPUT) +
            an_program_n_ports(out->program, AN_OUTPUT);
    out->surfaces = an_alloc_array((size_t)n + 1, sizeof *out->surfaces);
    if (out->surfaces == NULL)
        return an_fail(err, AN_ENOMEM, "no memory for surfaces");
    s = an_request_new(out->program, &out->request, err);
    if (s == AN_OK) s = bind(out, engine, AN_INPUT, err);
    return s == AN_OK ? bind(out, engine, AN_OUTPUT, err) : s;
}

void an_session_close(an_session *s)
{
    an_request_free(s->request);
    for (int i = 0; i < s->n_surfaces; i++)
        an_surface_free(s->surfaces[i]);
    an_free(s->surfaces);
    an_program_free(s->program);
    *s = (an_session){0};
}

an_status an_session_put(an_session *s, int i, const void *data, an_error *err)
{
    return an_surface_put(s->surfaces[i],
                          an_program_port(s->program, AN_INPUT, i), data, err);
}

an_status an_session_take(an_session *s, int i, void **data, an_error *err)
{
    const an_port *port = an_program_port(s->program, AN_OUTPUT, i);
    int first = an_program_n_ports(s->program, AN_INPUT);
    void *out = an_alloc((size_t)an_shape_count(&port->shape) *
                             an_dtype_size(port->shape.dtype) +
                         1);
    if (out == NULL)
        return an_fail(err, AN_ENOMEM, "no memory for %s", port->name);
    an_status status = an_surface_take(s->surfaces[first + i], port, out, err);
    if (status == AN_OK)
        *data = out;
    else
        an_free(out);
    return status;
}
