/*
 * The job of an evaluation: the plan's phases over the addresses of buffers
 * and surfaces.
 */
#include "engine/soft/program.h"

#include "base/alloc.h"
#include "base/clock.h"

static const an_soft_program *program_of(const an_soft_request *r)
{
    return (const an_soft_program *)r->base.program;
}

static int count_tiles(void *ctx, int phase)
{
    const an_soft_request *r = ctx;
    const an_soft_program *p = program_of(r);
    if (r->profile && phase <= p->n_phases)
        r->profile->marks[phase] = an_clock();
    return phase < p->n_phases ? p->phases[phase].tiles : 0;
}

static an_status run_tile(void *ctx, int phase, int tile, int worker,
                          an_error *err)
{
    const an_soft_request *r = ctx;
    const an_phase *at = &program_of(r)->phases[phase];
    return at->step->run(at->step, &r->exec, at->phase, tile, worker, err);
}

an_status an_soft_make_request(an_request *request, an_error *err)
{
    an_soft_request *r = (an_soft_request *)request;
    const an_soft_program *p = program_of(r);
    r->bases = an_alloc_array((size_t)p->plan.n_buffers + 1, sizeof *r->bases);
    if (!r->bases) return an_fail(err, AN_ENOMEM, "request: no memory");
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
    return AN_OK;
}

void an_soft_free_request(an_request *request)
{
    an_soft_request *r = (an_soft_request *)request;
    an_free(r->bases);
    an_profile_free(r->profile);
}

an_work an_soft_work(an_request *request)
{
    an_soft_request *r = (an_soft_request *)request;
    const an_soft_program *p = program_of(r);
    for (int i = 0; i < p->plan.n_buffers; i++) {
        const an_buffer *b = &p->plan.buffers[i];
        if (b->kind == AN_BUFFER_INPUT || b->kind == AN_BUFFER_OUTPUT)
            r->bases[i] =
                request->surfaces[b->kind == AN_BUFFER_OUTPUT][b->port]->data;
    }
    return (an_work){count_tiles, run_tile, r};
}
