/*
 * Time by step. The pool asks for each phase after the one before has ended
 * (base/pool.h), so the clock at those questions gives the wall time of every
 * phase: one reading a phase, and none when a request is not profiled.
 */
#include "engine/soft/program.h"

#include "base/alloc.h"
#include "mil/op.h"

void an_profile_free(an_profile *profile)
{
    if (!profile) return;
    an_free(profile->steps);
    an_free(profile->ops);
    an_free(profile->marks);
    an_free(profile);
}

static an_status allocate(const an_soft_program *p, an_profile **out,
                          an_error *err)
{
    size_t n_ops = 1;
    for (int i = 0; i < p->plan.n_steps; i++)
        n_ops += (size_t)p->plan.steps[i]->n_nodes;
    an_profile *f = an_alloc(sizeof *f);
    if (f) {
        f->steps =
            an_alloc_array((size_t)p->plan.n_steps + 1, sizeof *f->steps);
        f->ops = an_alloc_array(n_ops, sizeof *f->ops);
        f->marks = an_alloc_array((size_t)p->n_phases + 1, sizeof *f->marks);
    }
    if (!f || !f->steps || !f->ops || !f->marks) {
        an_profile_free(f);
        return an_fail(err, AN_ENOMEM, "profile: no memory");
    }
    *out = f;
    return AN_OK;
}

static double count_flops(const an_step *step)
{
    double flops = 0;
    for (int i = 0; i < step->n_nodes && !step->moves; i++) {
        const an_node *node = step->nodes[i];
        an_cost cost = {0};
        if (node->op->cost) node->op->cost(node, &cost);
        flops += cost.flops;
    }
    return flops;
}

an_status an_soft_profile(an_request *request, an_error *err)
{
    an_soft_request *r = (an_soft_request *)request;
    const an_soft_program *p = (const an_soft_program *)request->program;
    an_profile *profile = NULL;
    if (r->profile) return AN_OK;
    an_status s = allocate(p, &profile, err);
    if (s != AN_OK) return s;
    an_profiled_op *op = profile->ops;
    for (int i = 0; i < p->plan.n_steps; i++) {
        const an_step *step = p->plan.steps[i];
        profile->steps[i] = (an_profiled_step){.kind = step->kind,
                                               .ops = op,
                                               .n_ops = step->n_nodes,
                                               .flops = count_flops(step)};
        for (int k = 0; k < step->n_nodes; k++)
            *op++ = (an_profiled_op){step->nodes[k]->op->name,
                                     step->nodes[k]->results[0]->name};
    }
    r->profile = profile;
    return AN_OK;
}

bool an_soft_step(const an_request *request, int i, an_profiled_step *out)
{
    const an_soft_request *r = (const an_soft_request *)request;
    const an_soft_program *p = (const an_soft_program *)request->program;
    if (!r->profile || i < 0 || i >= p->plan.n_steps) return false;
    *out = r->profile->steps[i];
    const double *marks = r->profile->marks;
    for (int k = 0; k < p->n_phases; k++)
        if (p->phases[k].step == p->plan.steps[i])
            out->seconds += marks[k + 1] - marks[k];
    return true;
}
