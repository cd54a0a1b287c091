/*
 * Requests of all kinds: surfaces bound to a program's ports, and the job that
 * evaluates it. Submitting fills in the job's accesses and hands it to the
 * pool; nothing is allocated.
 */
#include "engine/impl.h"

#include "base/alloc.h"

#include <string.h>

an_status an_request_new(an_program *p, an_request **out, an_error *err)
{
    size_t n_in = (size_t)p->n_ports[AN_INPUT];
    size_t n = n_in + (size_t)p->n_ports[AN_OUTPUT];
    an_request *r = an_alloc(p->engine->kind->request_bytes);
    if (!r) return an_fail(err, AN_ENOMEM, "request: no memory");
    r->program = p;
    r->surfaces[0] = an_alloc_array(n + 1, sizeof **r->surfaces);
    r->access = an_alloc_array(n + 1, sizeof *r->access);
    an_status s = AN_OK;
    if (!r->surfaces[0] || !r->access)
        s = an_fail(err, AN_ENOMEM, "request: no memory");
    else
        r->surfaces[1] = r->surfaces[0] + n_in;
    if (s == AN_OK) s = p->engine->kind->make_request(r, err);
    if (s == AN_OK)
        *out = r;
    else
        an_request_free(r);
    return s;
}

void an_request_free(an_request *r)
{
    if (!r) return;
    an_pool_wait(r->program->engine->pool, &r->job, NULL);
    r->program->engine->kind->free_request(r);
    an_free(r->surfaces[0]);
    an_free(r->access);
    an_free(r);
}

static const char *side_name(an_port_side side)
{
    return side == AN_INPUT ? "input" : "output";
}

static an_status check_size(const an_engine *e, an_port_side side,
                            const an_port *port, const an_surface *surface,
                            an_error *err)
{
    if (surface->size_bytes >= port->size_bytes) return AN_OK;
    an_fail(err, AN_EINVAL,
            "%s \"%.64s\": surface has %zu bytes, expected %zu or more",
            side_name(side), port->name, surface->size_bytes, port->size_bytes);
    if (an_generation_find(e->chip->name) != 0) an_symptom_put("E1", err);
    return AN_EINVAL;
}

an_status an_request_bind(an_request *r, an_port_side side, const char *name,
                          an_surface *surface, an_error *err)
{
    an_program *p = r->program;
    const an_port *port = an_program_find_port(p, side, name);
    if (!port)
        return an_fail(err, AN_EINVAL, "there is no %s \"%.64s\"",
                       side_name(side), name);
    an_status s = check_size(p->engine, side, port, surface, err);
    if (s != AN_OK) return s;
    if (surface->engine->pool != p->engine->pool)
        return an_fail(err, AN_EINVAL,
                       "%s \"%.64s\": the surface's engine has another pool",
                       side_name(side), name);
    an_pool_wait(p->engine->pool, &r->job, NULL);
    r->surfaces[side][port - p->ports[side]] = surface;
    return AN_OK;
}

/* An output's surface is no other port's: engines write outputs early. */
static an_status check_alone(const an_request *r, int output, an_error *err)
{
    const an_program *p = r->program;
    const an_surface *s = r->surfaces[AN_OUTPUT][output];
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < p->n_ports[side]; i++)
            if (r->surfaces[side][i] == s &&
                !(side == AN_OUTPUT && i == output))
                return an_fail(err, AN_EINVAL,
                               "output \"%.64s\" and %s \"%.64s\" have one "
                               "surface",
                               p->ports[AN_OUTPUT][output].name,
                               side_name((an_port_side)side),
                               p->ports[side][i].name);
    return AN_OK;
}

static an_status check_bound(const an_request *r, an_error *err)
{
    const an_program *p = r->program;
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < p->n_ports[side]; i++)
            if (!r->surfaces[side][i])
                return an_fail(err, AN_EINVAL, "%s \"%.64s\" is not bound",
                               side_name((an_port_side)side),
                               p->ports[side][i].name);
    for (int i = 0; i < p->n_ports[AN_OUTPUT]; i++) {
        an_status s = check_alone(r, i, err);
        if (s != AN_OK) return s;
    }
    return AN_OK;
}

an_status an_request_submit(an_request *r, an_error *err)
{
    an_program *p = r->program;
    an_pool *pool = p->engine->pool;
    an_status s = check_bound(r, err);
    if (s != AN_OK) return s;
    an_pool_wait(pool, &r->job, NULL);
    int n = 0;
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < p->n_ports[side]; i++)
            r->access[n++] =
                (an_access){.fence = &r->surfaces[side][i]->fence,
                            .mode = side == AN_INPUT ? AN_READ : AN_WRITE};
    r->access[n++] = (an_access){.fence = &p->fence, .mode = AN_WRITE};
    an_job_init(&r->job, p->engine->kind->work(r), r->access, n);
    an_pool_submit(pool, &r->job);
    return AN_OK;
}

an_status an_request_wait(an_request *r, an_error *err)
{
    return an_pool_wait(r->program->engine->pool, &r->job, err);
}

double an_request_seconds(const an_request *r)
{
    return r->job.ended - r->job.started;
}

an_status an_request_run(an_request *r, an_error *err)
{
    an_status s = an_request_submit(r, err);
    return s == AN_OK ? an_request_wait(r, err) : s;
}

an_status an_request_profile(an_request *r, an_error *err)
{
    an_pool_wait(r->program->engine->pool, &r->job, NULL);
    return r->program->engine->kind->profile(r, err);
}

bool an_request_step(const an_request *r, int i, an_profiled_step *out)
{
    return r->program->engine->kind->step(r, i, out);
}
