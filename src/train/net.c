/*
 * The whole net: its rooms, its stages in order, and running them.
 */
#include "train/net_parts.h"

#include "base/alloc.h"

an_status an_net_no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "net: no memory");
}

/* Room for the operands of contractions, from the parameters' shapes. */
static an_status new_rooms(an_net *net, an_error *err)
{
    size_t threads = (size_t)an_pool_threads(net->o.pool);
    int64_t widest = 0;
    for (int i = 0; i < net->o.weights->n; i++) {
        const an_model_param *p = net->o.weights->list[i].param;
        if (p->trained && p->columns > widest) widest = p->columns;
    }
    net->left_size = an_stage_left_size(net->columns);
    net->right_size = (size_t)(widest * net->columns);
    net->left = an_alloc_array(net->left_size * threads, sizeof(float));
    bool ok = net->left;
    for (int i = 0; ok && i < AN_NET_RING; i++) {
        net->right[i] = an_alloc_array(net->right_size, sizeof(float));
        ok = net->right[i];
    }
    net->facts.work_bytes +=
        (net->left_size * threads + net->right_size * AN_NET_RING) *
        sizeof(float);
    return ok ? AN_OK : an_net_no_memory(err);
}

static an_status new_arrays(an_net *net, int n_layers, an_error *err)
{
    net->n_scopes = n_layers * net->n_blocks + 1;
    size_t n = (size_t)net->n_scopes;
    net->scopes = an_alloc_array(n, sizeof *net->scopes);
    net->forms = an_alloc_array(n, sizeof *net->forms);
    net->blocks = an_alloc_array(n, sizeof *net->blocks);
    net->form_of = an_arena_array(&net->arena, n, sizeof(an_net_form *));
    net->block_of = an_arena_array(&net->arena, n, sizeof(an_placed_block *));
    net->inputs = an_alloc_array((size_t)net->columns, sizeof(int32_t));
    net->targets = an_alloc_array((size_t)net->columns, sizeof(int32_t));
    net->positions = an_alloc_array((size_t)net->columns, sizeof(int32_t));
    net->partial = an_alloc_array((size_t)an_stage_loss_tiles(net->columns),
                                  sizeof(double));
    bool ok = net->scopes && net->forms && net->blocks && net->form_of &&
              net->block_of && net->inputs && net->targets && net->positions &&
              net->partial;
    for (int64_t i = 0; ok && i < net->columns; i++)
        net->positions[i] = (int32_t)(i % net->o.sequence);
    return ok ? AN_OK : an_net_no_memory(err);
}

/* ---- forms and programs ---- */

/* The scope that a parameter's gradient is computed in first. */
static int scope_of(const an_net *net, const an_model_param *p)
{
    if (p->block == AN_BLOCK_EMBED) return -1;
    return p->block == AN_BLOCK_HEAD ? net->n_scopes - 1
                                     : p->layer * net->n_blocks + p->block;
}

static void find_first_trained(an_net *net)
{
    net->first_trained = net->n_scopes;
    for (int i = 0; i < net->o.weights->n; i++) {
        const an_model_param *p = net->o.weights->list[i].param;
        int scope = scope_of(net, p);
        if (p->trained && scope < net->first_trained)
            net->first_trained = scope;
    }
}

static an_net_reach reach_of(const an_net *net, int scope)
{
    if (net->o.use != AN_NET_TRAIN || scope < net->first_trained)
        return AN_REACH_NOTHING;
    return scope == net->first_trained ? AN_REACH_WEIGHTS : AN_REACH_INPUT;
}

/* Whether the same parameters are trained in the block of two layers: they are
 * listed in the same order. */
static bool trains_alike(const an_net *net, int block, int layer, int other)
{
    const an_weights *w = net->o.weights;
    for (int i = 0, k = 0; i < w->n; i++, k++) {
        while (i < w->n && !(w->list[i].param->layer == layer &&
                             w->list[i].param->block == block))
            i++;
        while (k < w->n && !(w->list[k].param->layer == other &&
                             w->list[k].param->block == block))
            k++;
        if (i == w->n || k == w->n) break;
        if (w->list[i].param->trained != w->list[k].param->trained)
            return false;
    }
    return true;
}

static an_net_form *find_form(const an_net *net, const an_net_form *like)
{
    for (int i = 0; i < net->n_forms; i++) {
        an_net_form *f = &net->forms[i];
        if (f->block == like->block && f->reach == like->reach &&
            (f->reach == AN_REACH_NOTHING ||
             trains_alike(net, f->block, f->layer, like->layer)))
            return f;
    }
    return NULL;
}

static an_status make_forms(an_net *net, an_error *err)
{
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < net->n_scopes; i++) {
        bool head = i == net->n_scopes - 1;
        an_net_form form = {.layer = head ? -1 : i / net->n_blocks,
                            .block = head ? AN_BLOCK_HEAD : i % net->n_blocks,
                            .reach = reach_of(net, i)};
        net->form_of[i] = find_form(net, &form);
        if (net->form_of[i]) continue;
        net->form_of[i] = &net->forms[net->n_forms++];
        *net->form_of[i] = form;
        s = an_net_make_form(net, net->form_of[i], err);
    }
    return s;
}

/* Programs of the engine that the mode at hand takes. */
static int count_programs(const an_net *net)
{
    int n = 0;
    for (int i = 0; i + 1 < net->n_scopes; i++) {
        const an_net_form *f = net->form_of[i];
        bool own = an_net_has_constants(net, f);
        if (own || f->layer == i / net->n_blocks) n += f->n_functions;
    }
    return n;
}

/* MIXED that takes more programs than the engine compiles in this process, or
 * leaves none for other nets of the same weights, becomes STREAM. */
static void choose_mode(an_net *net)
{
    an_engine_facts facts;
    an_engine_get_facts(net->o.engine, &facts);
    net->facts.programs_wanted = count_programs(net) + 1;
    if (net->o.mode == AN_WEIGHT_MIXED && facts.compiles_left >= 0 &&
        net->facts.programs_wanted + net->n_blocks > facts.compiles_left)
        net->o.mode = AN_WEIGHT_STREAM;
    net->facts.mode = net->o.mode;
}

static an_placed_block *find_shared(const an_net *net, const an_net_form *form)
{
    if (an_net_has_constants(net, form)) return NULL;
    for (int i = 0; i < net->n_placed; i++)
        if (net->blocks[i].form == form) return &net->blocks[i];
    return NULL;
}

static an_status place_blocks(an_net *net, an_error *err)
{
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < net->n_scopes; i++) {
        const an_net_form *form = net->form_of[i];
        net->block_of[i] = find_shared(net, form);
        if (net->block_of[i]) continue;
        bool head = form->block == AN_BLOCK_HEAD;
        net->block_of[i] = &net->blocks[net->n_placed++];
        *net->block_of[i] =
            (an_placed_block){.form = form,
                              .layer = head ? -1 : i / net->n_blocks,
                              .block = form->block};
        s = an_net_compile(net, net->block_of[i], err);
    }
    return s;
}

static an_status build(an_net *net, an_error *err)
{
    an_model_facts facts;
    an_model_get_facts(net->o.model, &facts);
    an_status s = new_arrays(net, (int)facts.n_layers, err);
    if (s != AN_OK) return s;
    find_first_trained(net);
    if (net->o.use == AN_NET_TRAIN && net->first_trained == net->n_scopes)
        return an_fail(err, AN_EINVAL, "net: everything is frozen");
    s = make_forms(net, err);
    if (s == AN_OK) choose_mode(net);
    if (s == AN_OK) s = place_blocks(net, err);
    if (s == AN_OK && net->o.use == AN_NET_TRAIN) s = new_rooms(net, err);
    if (s == AN_OK) s = an_net_add_forward(net, err);
    if (s == AN_OK && net->o.use == AN_NET_TRAIN)
        s = an_net_add_backward(net, err);
    for (size_t i = 0; s == AN_OK && i < net->n_stages; i++)
        net->facts.flops += net->stages[i]->flops;
    return s;
}

/* AUTO resolved: what the weights ask for. */
static an_weight_mode resolve_mode(const an_net_options *o)
{
    if (o->mode != AN_WEIGHT_AUTO) return o->mode;
    for (int i = 0; i < o->weights->n; i++)
        if (!o->weights->list[i].param->trained) return AN_WEIGHT_MIXED;
    return AN_WEIGHT_STREAM;
}

an_status an_net_new(const an_net_options *options, an_net **out, an_error *err)
{
    an_net *net = an_alloc(sizeof *net);
    if (!net) return an_net_no_memory(err);
    net->o = *options;
    net->o.mode = resolve_mode(options);
    an_arena_init(&net->arena);
    net->columns = options->batch * options->sequence;
    net->n_blocks = an_model_n_blocks(options->model);
    an_status s = build(net, err);
    if (s != AN_OK) {
        an_net_free(net);
        return s;
    }
    *out = net;
    return AN_OK;
}

void an_net_free(an_net *net)
{
    if (!net) return;
    for (size_t i = 0; i < net->n_stages; i++) {
        an_request_free(net->stages[i]->request);
        an_free(net->stages[i]->peaks);
        an_free(net->stages[i]);
    }
    for (int i = 0; net->scopes && i < net->n_scopes; i++) {
        an_free(net->scopes[i].list);
        an_free(net->scopes[i].contracted);
    }
    for (int i = 0; net->blocks && i < net->n_placed; i++)
        for (int k = 0; k < AN_NET_PROGRAMS; k++)
            an_program_free(net->blocks[i].programs[k]);
    for (int i = 0; net->forms && i < net->n_forms; i++)
        an_net_free_form(&net->forms[i]);
    for (size_t i = 0; i < net->n_owned; i++)
        an_surface_free(net->owned[i]);
    for (int i = 0; i < AN_NET_RING; i++)
        an_free(net->right[i]);
    an_free(net->left);
    an_free(net->stages);
    an_free(net->loss_only);
    an_free(net->owned);
    an_free(net->temporaries);
    an_free(net->scopes);
    an_free(net->blocks);
    an_free(net->forms);
    an_arena_fini(&net->arena);
    an_free(net->inputs);
    an_free(net->targets);
    an_free(net->positions);
    an_free(net->partial);
    an_free(net);
}

/* ---- running ---- */

int32_t *an_net_inputs(an_net *net)
{
    return net->inputs;
}

int32_t *an_net_targets(an_net *net)
{
    return net->targets;
}

void an_net_set_scale(an_net *net, double loss_scale)
{
    net->stages[net->n_forward]->scale = loss_scale;
}

static an_status submit(an_net *net, an_stage *s, an_error *err)
{
    if (s->request) return an_request_submit(s->request, err);
    an_pool_submit(net->o.pool, &s->job);
    return AN_OK;
}

static an_status wait_for(an_net *net, an_stage *s, an_error *err)
{
    return s->request ? an_request_wait(s->request, err)
                      : an_pool_wait(net->o.pool, &s->job, err);
}

/* Submits stages [0, n) and, when given, `last`; waits for all of them. */
static an_status run(an_net *net, size_t n, an_stage *last, an_error *err)
{
    an_status s = AN_OK;
    size_t submitted = 0;
    while (submitted < n && s == AN_OK) {
        s = submit(net, net->stages[submitted], err);
        submitted += s == AN_OK;
    }
    bool more = s == AN_OK && last;
    if (more) s = submit(net, last, err);
    for (size_t i = 0; i < submitted; i++) {
        an_status w = wait_for(net, net->stages[i], s == AN_OK ? err : NULL);
        if (s == AN_OK) s = w;
    }
    if (more) {
        an_status w = wait_for(net, last, s == AN_OK ? err : NULL);
        if (s == AN_OK) s = w;
    }
    return s;
}

an_status an_net_step(an_net *net, double *nats, an_error *err)
{
    an_status s = run(net, net->n_stages, NULL, err);
    if (s == AN_OK) *nats = an_stage_loss(net->stages[net->n_forward]);
    return s;
}

an_status an_net_loss(an_net *net, double *nats, an_error *err)
{
    an_status s = run(net, net->n_forward, net->loss_only, err);
    if (s == AN_OK) *nats = an_stage_loss(net->loss_only);
    return s;
}

an_status an_net_forward(an_net *net, an_matrix *logits, an_error *err)
{
    an_status s = run(net, net->n_forward, NULL, err);
    if (s == AN_OK) *logits = net->loss_only->out;
    return s;
}

an_peak an_net_peak(const an_net *net, an_peak_of what)
{
    an_peak peak = {0};
    for (size_t i = 0; i < net->n_stages; i++)
        an_stage_peak(net->stages[i], what, &peak);
    return peak;
}

void an_net_get_facts(const an_net *net, an_net_facts *out)
{
    *out = net->facts;
}

int an_net_n_stages(const an_net *net)
{
    return (int)net->n_stages;
}

const an_stage *an_net_stage(const an_net *net, int i)
{
    return net->stages[i];
}

double an_stage_seconds(const an_stage *s)
{
    return s->request ? an_request_seconds(s->request)
                      : s->job.ended - s->job.started;
}
