/*
 * Requests: surfaces bound to a program's ports, and the job that evaluates
 * it. Submitting fills in the job's accesses and hands it to the pool; nothing
 * is allocated.
 */
#include "engine/soft/program.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <string.h>

/* ---- the job ---- */

static int count_tiles(void *ctx, int phase)
{
    const an_request *r = ctx;
    const an_program *p = r->program;
    if (r->profile && phase <= p->n_phases)
        r->profile->marks[phase] = an_clock();
    return phase < p->n_phases ? p->phases[phase].tiles : 0;
}

static an_status run_tile(void *ctx, int phase, int tile, int worker,
                          an_error *err)
{
    const an_request *r = ctx;
    const an_phase *at = &r->program->phases[phase];
    return at->step->run(at->step, &r->exec, at->phase, tile, worker, err);
}

/* ---- binding ---- */

static an_status make_arrays(an_request *r, an_error *err)
{
    an_program *p = r->program;
    size_t n_in = (size_t)p->n_ports[AN_INPUT];
    size_t n_out = (size_t)p->n_ports[AN_OUTPUT];
    size_t n_buffers = (size_t)p->plan.n_buffers;
    r->surfaces[0] = an_alloc_array(n_in + n_out + 1, sizeof **r->surfaces);
    r->bases = an_alloc_array(n_buffers + 1, sizeof *r->bases);
    r->access = an_alloc_array(n_in + n_out + 1, sizeof *r->access);
    if (!r->surfaces[0] || !r->bases || !r->access)
        return an_fail(err, AN_ENOMEM, "request: no memory");
    r->surfaces[1] = r->surfaces[0] + n_in;
    return AN_OK;
}

an_status an_request_new(an_program *p, an_request **out, an_error *err)
{
    an_request *r = an_alloc(sizeof *r);
    if (!r) return an_fail(err, AN_ENOMEM, "request: no memory");
    r->program = p;
    an_status s = make_arrays(r, err);
    if (s != AN_OK) {
        an_request_free(r);
        return s;
    }
    for (int i = 0; i < p->plan.n_buffers; i++) {
        const an_buffer *b = &p->plan.buffers[i];
        union {
            const void *in;
            unsigned char *out;
        } data = {b->data}; /* steps only read constants */
        if (b->kind == AN_BUFFER_CONST) r->bases[i] = data.out;
        if (b->kind == AN_BUFFER_WORK) r->bases[i] = p->work + b->offset;
    }
    r->exec = (an_exec){.bases = r->bases,
                        .scratch = p->scratch,
                        .scratch_bytes = p->plan.scratch_bytes};
    *out = r;
    return AN_OK;
}

void an_request_free(an_request *request)
{
    if (!request) return;
    an_pool_wait(request->program->engine->pool, &request->job, NULL);
    an_free(request->surfaces[0]);
    an_free(request->bases);
    an_free(request->access);
    an_profile_free(request->profile);
    an_free(request);
}

static const char *side_name(an_port_side side)
{
    return side == AN_INPUT ? "input" : "output";
}

an_status an_request_bind(an_request *r, an_port_side side, const char *name,
                          an_surface *surface, an_error *err)
{
    an_program *p = r->program;
    const an_port *port = an_program_find_port(p, side, name);
    if (!port)
        return an_fail(err, AN_EINVAL, "there is no %s \"%.64s\"",
                       side_name(side), name);
    if (surface->size_bytes < port->size_bytes)
        return an_fail(err, AN_EINVAL,
                       "%s \"%.64s\": surface has %zu bytes, expected %zu or "
                       "more",
                       side_name(side), name, surface->size_bytes,
                       port->size_bytes);
    if (surface->engine->pool != p->engine->pool)
        return an_fail(err, AN_EINVAL,
                       "%s \"%.64s\": the surface's engine has another pool",
                       side_name(side), name);
    an_pool_wait(p->engine->pool, &r->job, NULL);
    for (int i = 0; i < p->n_ports[side]; i++)
        if (strcmp(p->ports[side][i].name, name) == 0)
            r->surfaces[side][i] = surface;
    return AN_OK;
}

/* ---- evaluation ---- */

/* An output's surface is no other port's: steps write outputs early. */
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

static void fill_job(an_request *r)
{
    an_program *p = r->program;
    int n = 0;
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < p->n_ports[side]; i++)
            r->access[n++] =
                (an_access){.fence = &r->surfaces[side][i]->fence,
                            .mode = side == AN_INPUT ? AN_READ : AN_WRITE};
    r->access[n++] = (an_access){.fence = &p->fence, .mode = AN_WRITE};
    for (int i = 0; i < p->plan.n_buffers; i++) {
        const an_buffer *b = &p->plan.buffers[i];
        if (b->kind == AN_BUFFER_INPUT || b->kind == AN_BUFFER_OUTPUT)
            r->bases[i] =
                r->surfaces[b->kind == AN_BUFFER_OUTPUT][b->port]->data;
    }
    an_job_init(&r->job, (an_work){count_tiles, run_tile, r}, r->access, n);
}

an_status an_request_submit(an_request *r, an_error *err)
{
    an_pool *pool = r->program->engine->pool;
    an_status s = check_bound(r, err);
    if (s != AN_OK) return s;
    an_pool_wait(pool, &r->job, NULL);
    fill_job(r);
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
