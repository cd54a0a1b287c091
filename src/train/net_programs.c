/*
 * A block's programs: differentiate, cut, lower, compile. Equal layers share
 * them.
 */
#include "train/net_parts.h"

#include "base/alloc.h"
#include "lower/lower.h"
#include "mil/ir.h"

#include <string.h>

/* ---- programs ---- */

static int find_param(const an_net *net, int layer, int block, const char *port)
{
    const an_weights *w = net->o.weights;
    for (int i = 0; i < w->n; i++) {
        const an_model_param *p = w->list[i].param;
        if (p->layer == layer && p->block == block && p->port &&
            strcmp(p->port, port) == 0)
            return i;
    }
    return -1;
}

/* A tied embedding is a parameter of the head's function too. */
int an_net_weight(const an_net *net, int layer, int block, const char *port)
{
    int i = find_param(net, layer, block, port);
    if (i < 0 && block == AN_BLOCK_HEAD)
        i = find_param(net, -1, AN_BLOCK_EMBED, port);
    return i;
}

static an_status compile(an_net *net, an_engine *engine, const an_function *f,
                         an_program **out, an_error *err)
{
    an_lowered l = {0};
    an_lower_options o = {.columns = net->o.columns};
    an_status s = an_lower_function(f, &o, &l, err);
    if (s == AN_OK) s = an_engine_compile(engine, &l.source, out, err);
    an_lowered_free(&l);
    if (s == AN_OK) {
        net->facts.programs++;
        net->facts.work_bytes += an_program_work_bytes(*out);
    }
    return s;
}

/* Every parameter of the block's function, and those that are matrices. */
static int list_params(const an_net *net, int layer, int block,
                       const an_function *f, const char **all,
                       const char **deferred, int *n_deferred)
{
    int n = 0;
    *n_deferred = 0;
    for (int i = 0; i < f->n_params; i++) {
        const char *name = f->params[i]->name;
        int w = an_net_weight(net, layer, block, name);
        all[n++] = name;
        if (w >= 0 && net->o.weights->list[w].param->parts[0].file_rank == 2)
            deferred[(*n_deferred)++] = name;
    }
    return n;
}

static an_status differentiate(const an_net *net, int layer, int block,
                               const an_block *b, an_gradient **out,
                               an_error *err)
{
    const an_function *f = an_module_function(b->module, "forward");
    size_t n = (size_t)f->n_params + 1;
    const char **all = an_alloc_array(n, sizeof *all);
    const char **deferred = an_alloc_array(n, sizeof *deferred);
    an_grad_options o = {.wrt = all,
                         .deferred = deferred,
                         .taps = b->taps,
                         .n_taps = b->n_taps,
                         .stops = b->stops,
                         .n_stops = b->n_stops};
    an_status s;
    if (all && deferred) {
        o.n_wrt =
            list_params(net, layer, block, f, all, deferred, &o.n_deferred);
        s = an_grad(b->module, "forward", &o, out, err);
    } else {
        s = an_net_no_memory(err);
    }
    an_free(all);
    an_free(deferred);
    return s;
}

static an_status compile_backward(an_net *net, an_placed_block *p,
                                  const an_block *b, an_error *err)
{
    an_module *parts = NULL;
    if (b->n_cuts >= AN_NET_PROGRAMS)
        return an_fail(err, AN_EUNSUPPORTED, "net: a block has %d cuts",
                       b->n_cuts);
    an_status s = an_module_new(&parts, err);
    if (s == AN_OK)
        s = an_lower_cut(an_module_function(p->gradient->module, "backward"),
                         parts, "backward", b->cuts, b->n_cuts, err);
    for (int i = 0; s == AN_OK && i < parts->n_functions; i++) {
        s = compile(net, p->engine, parts->functions[i], &p->backward[i], err);
        p->n_backward += s == AN_OK;
    }
    an_module_free(parts);
    return s;
}

an_status an_net_place_block(an_net *net, int block, an_placed_block *p,
                             an_error *err)
{
    an_block b = {0};
    bool head = block == AN_BLOCK_HEAD;
    an_dtype dtype = head ? net->o.weights->dtype : net->o.dtype;
    an_status s = an_model_block(net->o.model, block, net->o.dtype, dtype,
                                 net->o.batch, net->o.sequence, &b, err);
    if (s != AN_OK) return s;
    p->engine = head ? net->o.cpu : net->o.engine;
    const an_function *f = an_module_function(b.module, "forward");
    if (net->o.use == AN_NET_TRAIN) {
        s = differentiate(net, head ? -1 : 0, block, &b, &p->gradient, err);
        if (s == AN_OK) f = an_module_function(p->gradient->module, "forward");
    }
    if (s == AN_OK) s = compile(net, p->engine, f, &p->forward, err);
    if (s == AN_OK && p->gradient) s = compile_backward(net, p, &b, err);
    if (s != AN_OK)
        an_fail_context(err, "%s",
                        head ? "head"
                             : an_model_block_name(net->o.model, block));
    an_block_free(&b);
    return s;
}

void an_net_free_block(an_placed_block *p)
{
    an_program_free(p->forward);
    for (int i = 0; i < p->n_backward; i++)
        an_program_free(p->backward[i]);
    an_gradient_free(p->gradient);
}
