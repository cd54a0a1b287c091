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
        if (p->columns > widest) widest = p->columns;
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
    net->n_placed =
        net->o.mode == AN_WEIGHT_STREAM ? net->n_blocks + 1 : net->n_scopes;
    net->scopes = an_alloc_array((size_t)net->n_scopes, sizeof *net->scopes);
    net->forms = an_alloc_array((size_t)net->n_blocks + 1, sizeof *net->forms);
    net->blocks = an_alloc_array((size_t)net->n_placed, sizeof *net->blocks);
    net->inputs = an_alloc_array((size_t)net->columns, sizeof(int32_t));
    net->targets = an_alloc_array((size_t)net->columns, sizeof(int32_t));
    net->positions = an_alloc_array((size_t)net->columns, sizeof(int32_t));
    net->partial = an_alloc_array((size_t)an_stage_loss_tiles(net->columns),
                                  sizeof(double));
    bool ok = net->scopes && net->forms && net->blocks && net->inputs &&
              net->targets && net->positions && net->partial;
    for (int64_t n = 0; ok && n < net->columns; n++)
        net->positions[n] = (int32_t)(n % net->o.sequence);
    return ok ? AN_OK : an_net_no_memory(err);
}

static an_status place_blocks(an_net *net, an_error *err)
{
    an_status s = AN_OK;
    for (int b = 0; s == AN_OK && b <= net->n_blocks; b++)
        s = an_net_make_form(net, b < net->n_blocks ? b : AN_BLOCK_HEAD,
                             &net->forms[b], err);
    for (int i = 0; s == AN_OK && i < net->n_placed; i++) {
        bool head = i == net->n_placed - 1;
        int block = i % net->n_blocks;
        net->blocks[i] =
            (an_placed_block){.form = &net->forms[head ? net->n_blocks : block],
                              .layer = head ? -1 : i / net->n_blocks,
                              .block = head ? AN_BLOCK_HEAD : block};
        s = an_net_compile(net, &net->blocks[i], err);
    }
    return s;
}

static an_status build(an_net *net, an_error *err)
{
    an_model_facts facts;
    an_model_get_facts(net->o.model, &facts);
    int n_layers = (int)facts.n_layers;
    an_status s = new_arrays(net, n_layers, err);
    if (s == AN_OK) s = place_blocks(net, err);
    if (s == AN_OK && net->o.use == AN_NET_TRAIN) s = new_rooms(net, err);
    if (s == AN_OK) s = an_net_add_forward(net, n_layers, err);
    if (s == AN_OK && net->o.use == AN_NET_TRAIN)
        s = an_net_add_backward(net, n_layers, err);
    for (size_t i = 0; s == AN_OK && i < net->n_stages; i++)
        net->facts.flops += net->stages[i]->flops;
    return s;
}

an_status an_net_new(const an_net_options *options, an_net **out, an_error *err)
{
    an_net *net = an_alloc(sizeof *net);
    if (!net) return an_net_no_memory(err);
    net->o = *options;
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
    for (int i = 0; net->forms && i <= net->n_blocks; i++)
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
