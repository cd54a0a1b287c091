/*
 * Building a net: compile each block's programs, give every port a surface,
 * and list the stages. Ports are bound by name: in one layer, equal names are
 * the same surface, forward and backward.
 */
#include "train/net.h"

#include "anemone/grad.h"
#include "base/alloc.h"
#include "lower/lower.h"
#include "mil/op.h"

#include <string.h>

enum {
    MAX_PROGRAMS = 4, /* backward programs of a block */
    RING = 3,         /* fp32 copies of right operands in flight */
};

/* A block's programs; the head is one too. */
typedef struct placed {
    an_program *forward;
    an_program *backward[MAX_PROGRAMS];
    int n_backward;
    an_gradient *gradient; /* NULL when not training */
    an_engine *engine;
} placed;

/* A name in a layer, and the surface that has it. */
typedef struct binding {
    const char *name; /* of a port or of the model: lives as long as both */
    an_surface *surface;
    const an_port *port; /* layout; NULL for weights */
} binding;

/* The names of one block in one layer. */
typedef struct scope {
    binding *list;
    size_t n, capacity;
    bool *contracted; /* by contraction: its stage is there */
} scope;

/* A surface that passes by: the same for all layers of equal parity. */
typedef struct temporary {
    int block, parity;
    const char *name;
    an_surface *surface;
} temporary;

struct an_net {
    an_net_options o;
    int64_t columns; /* batch x sequence */
    int n_blocks;
    placed *blocks; /* the model's, then the head */
    an_surface **owned;
    size_t n_owned, cap_owned;
    temporary *temporaries;
    size_t n_temporaries, cap_temporaries;
    scope *scopes; /* layer x block, then the head */
    int n_scopes;
    an_stage **stages;
    size_t n_stages, cap_stages;
    size_t n_forward; /* stages before the loss */
    an_stage *loss_only;
    int32_t *inputs, *targets;
    double *partial;
    float *right[RING];
    an_fence right_fence[RING];
    int next_right;
    float *left;
    size_t left_size, right_size;
    an_net_facts facts;
};

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "net: no memory");
}

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
static int find_weight(const an_net *net, int layer, int block,
                       const char *port)
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
        int w = find_weight(net, layer, block, name);
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
        s = no_memory(err);
    }
    an_free(all);
    an_free(deferred);
    return s;
}

static an_status compile_backward(an_net *net, placed *p, const an_block *b,
                                  an_error *err)
{
    an_module *parts = NULL;
    if (b->n_cuts >= MAX_PROGRAMS)
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

static an_status place_block(an_net *net, int block, placed *p, an_error *err)
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

/* ---- surfaces ---- */

static an_status new_surface(an_net *net, an_engine *engine, size_t bytes,
                             an_surface **out, an_error *err)
{
    if (!an_grow(&net->owned, &net->cap_owned, net->n_owned,
                 sizeof *net->owned))
        return no_memory(err);
    an_status s = an_surface_new(engine, bytes, out, err);
    if (s != AN_OK) return s;
    net->owned[net->n_owned++] = *out;
    net->facts.surface_bytes += bytes;
    return AN_OK;
}

static const binding *find_binding(const scope *sc, const char *name)
{
    for (size_t i = 0; i < sc->n; i++)
        if (strcmp(sc->list[i].name, name) == 0) return &sc->list[i];
    return NULL;
}

static an_status bind(scope *sc, const char *name, an_surface *surface,
                      const an_port *port, an_error *err)
{
    if (!an_grow(&sc->list, &sc->capacity, sc->n, sizeof *sc->list))
        return no_memory(err);
    sc->list[sc->n++] = (binding){name, surface, port};
    return AN_OK;
}

static an_status temporary_surface(an_net *net, an_engine *engine, int block,
                                   int parity, const an_port *port,
                                   an_surface **out, an_error *err)
{
    for (size_t i = 0; i < net->n_temporaries; i++) {
        temporary *t = &net->temporaries[i];
        if (t->block == block && t->parity == parity &&
            strcmp(t->name, port->name) == 0) {
            *out = t->surface;
            return AN_OK;
        }
    }
    if (!an_grow(&net->temporaries, &net->cap_temporaries, net->n_temporaries,
                 sizeof *net->temporaries))
        return no_memory(err);
    an_status s = new_surface(net, engine, port->size_bytes, out, err);
    if (s == AN_OK)
        net->temporaries[net->n_temporaries++] =
            (temporary){block, parity, port->name, *out};
    return s;
}

/* ---- stages ---- */

static an_status new_stage(an_net *net, an_stage_kind kind, const char *name,
                           int layer, an_stage **out, an_error *err)
{
    an_stage *s = an_alloc(sizeof *s);
    if (!s || !an_grow(&net->stages, &net->cap_stages, net->n_stages,
                       sizeof *net->stages)) {
        an_free(s);
        return no_memory(err);
    }
    *s = (an_stage){.kind = kind, .name = name, .layer = layer};
    net->stages[net->n_stages++] = s;
    *out = s;
    return AN_OK;
}

/* Where a block stands: its programs and names in one layer. */
typedef struct place {
    an_net *net;
    placed *p;
    scope *sc;
    int layer, block;
    const char *name;
} place;

static place place_at(an_net *net, int layer, int block)
{
    bool head = block == AN_BLOCK_HEAD;
    int scope_index = head ? net->n_scopes - 1 : layer * net->n_blocks + block;
    return (place){net,
                   &net->blocks[head ? net->n_blocks : block],
                   &net->scopes[scope_index],
                   head ? -1 : layer,
                   block,
                   head ? "head" : an_model_block_name(net->o.model, block)};
}

static an_status bind_input(const place *at, an_request *r, const an_port *port,
                            an_error *err)
{
    an_net *net = at->net;
    const binding *b = find_binding(at->sc, port->name);
    an_surface *surface = b ? b->surface : NULL;
    if (!b) {
        int w = find_weight(net, at->layer, at->block, port->name);
        if (w < 0)
            return an_fail(err, AN_EINVAL, "%s: nothing is called '%s'",
                           at->name, port->name);
        an_status s = an_weight_surface(net->o.weights, w, at->p->engine, port,
                                        &surface, err);
        if (s == AN_OK) s = bind(at->sc, port->name, surface, NULL, err);
        if (s != AN_OK) return s;
    } else if (b->port && b->port->row_bytes != port->row_bytes) {
        return an_fail(err, AN_EINVAL, "%s: '%s' has rows of %zu and %zu bytes",
                       at->name, port->name, b->port->row_bytes,
                       port->row_bytes);
    }
    return an_request_bind(r, AN_INPUT, port->name, surface, err);
}

typedef enum lifetime { KEEP, PASS } lifetime;

static an_status bind_output(const place *at, an_request *r,
                             const an_port *port, lifetime life, an_error *err)
{
    an_net *net = at->net;
    an_surface *surface = NULL;
    an_status s =
        life == KEEP
            ? new_surface(net, at->p->engine, port->size_bytes, &surface, err)
            : temporary_surface(net, at->p->engine, at->block, at->layer & 1,
                                port, &surface, err);
    if (s == AN_OK) s = bind(at->sc, port->name, surface, port, err);
    if (s == AN_OK) s = an_request_bind(r, AN_OUTPUT, port->name, surface, err);
    return s;
}

static an_status add_program(const place *at, an_program *program,
                             lifetime life, an_error *err)
{
    an_stage *stage = NULL;
    an_status s =
        new_stage(at->net, AN_STAGE_PROGRAM, at->name, at->layer, &stage, err);
    if (s == AN_OK) s = an_request_new(program, &stage->request, err);
    for (int i = 0; s == AN_OK && i < an_program_n_ports(program, AN_INPUT);
         i++)
        s = bind_input(at, stage->request,
                       an_program_port(program, AN_INPUT, i), err);
    for (int i = 0; s == AN_OK && i < an_program_n_ports(program, AN_OUTPUT);
         i++)
        s = bind_output(at, stage->request,
                        an_program_port(program, AN_OUTPUT, i), life, err);
    if (s == AN_OK) {
        stage->flops = an_program_flops(program);
        at->net->facts.evaluations++;
    }
    return s;
}

/* A port's surface as a matrix of all its rows. */
static an_matrix as_matrix(const binding *b, int64_t columns)
{
    const an_port *p = b->port;
    return (an_matrix){.data = an_surface_data(b->surface),
                       .dtype = p->shape.dtype,
                       .rows = (int64_t)(p->size_bytes / p->row_bytes),
                       .columns = columns,
                       .row_bytes = p->row_bytes};
}

static an_matrix weight_matrix(const an_net *net, const an_weight *w,
                               void *data)
{
    an_dtype dtype = net->o.weights->dtype;
    return (an_matrix){.data = data,
                       .dtype = dtype,
                       .rows = w->param->rows,
                       .columns = w->param->columns,
                       .row_bytes =
                           (size_t)w->param->columns * an_dtype_size(dtype)};
}

/* Width of a value of the gradient's functions, before ports were padded. */
static int64_t true_columns(const an_gradient *g, const char *name)
{
    static const char *const functions[] = {"backward", "forward"};
    for (int i = 0; i < 2; i++) {
        const an_function *f = an_module_function(g->module, functions[i]);
        const an_value *v = an_function_value(f, name);
        if (v) return v->type->shape.dims[v->type->shape.rank - 1];
    }
    return -1;
}

/* The op that computed a value, through moves; NULL: a parameter. */
static const an_op *maker(const an_value *v)
{
    while (v && v->def && v->def->op->cls == AN_CLASS_VIEW)
        v = an_node_tensor(v->def, 0);
    return v && v->def ? v->def->op : NULL;
}

/* Whether a name is watched, and against which limit. Adjoints that enter a
 * program were made by a sum. */
static an_watch watch_of(const place *at, const char *name, an_dtype dtype)
{
    static const char *const functions[] = {"backward", "forward"};
    an_watch w = {.block = at->name,
                  .layer = at->layer,
                  .limit = 65504,
                  .op = "add",
                  .adjoint = strncmp(name, "d_", 2) == 0};
    if (dtype != AN_FP16) return w;
    w.tensor = name;
    for (int i = 0; i < 2; i++) {
        const an_function *f =
            an_module_function(at->p->gradient->module, functions[i]);
        const an_op *op = maker(an_function_value(f, name));
        if (!op) continue;
        w.op = op->name;
        if (op->cls == AN_CLASS_CONTRACTION) w.limit = at->net->o.product_limit;
        break;
    }
    return w;
}

static an_status watch_stage(an_net *net, an_stage *s, an_error *err)
{
    s->n_workers = an_pool_threads(net->o.pool);
    s->peaks = an_alloc_array((size_t)s->n_workers * 2, sizeof *s->peaks);
    return s->peaks ? AN_OK : no_memory(err);
}

static an_status add_contraction(const place *at, const an_contraction *c,
                                 const binding *left, const binding *right,
                                 an_error *err)
{
    an_net *net = at->net;
    an_stage *s = NULL;
    int i = find_weight(net, at->layer, at->block, c->param);
    an_status status =
        new_stage(net, AN_STAGE_CONTRACT, c->param, at->layer, &s, err);
    if (status != AN_OK) return status;
    an_weight *w = &net->o.weights->list[i];
    int ring = net->next_right++ % RING;
    s->a = as_matrix(left, true_columns(at->p->gradient, c->left));
    s->b = as_matrix(right, true_columns(at->p->gradient, c->right));
    s->transpose_a = c->transpose_left;
    s->transpose_b = c->transpose_right;
    s->out = weight_matrix(net, w, w->grad);
    s->right = net->right[ring];
    s->left = net->left;
    s->left_size = net->left_size;
    int64_t k = s->transpose_a ? s->a.rows : s->a.columns;
    s->flops = 2.0 * (double)s->out.rows * (double)s->out.columns * (double)k;
    struct an_fence *fences[] = {
        an_surface_fence(left->surface), an_surface_fence(right->surface),
        &w->grad_fence, s->b.dtype == AN_FP16 ? &net->right_fence[ring] : NULL};
    an_mode modes[] = {AN_READ, AN_READ, AN_UPDATE, AN_UPDATE};
    an_stage_init(s, fences, modes, 4);
    s->watch_a = watch_of(at, c->left, s->a.dtype);
    s->watch_b = watch_of(at, c->right, s->b.dtype);
    return watch_stage(net, s, err);
}

/* A small gradient that a program computed: "d_<param>". */
static an_status add_small(const place *at, const binding *b, int weight,
                           an_error *err)
{
    an_net *net = at->net;
    an_stage *s = NULL;
    an_weight *w = &net->o.weights->list[weight];
    an_status status =
        new_stage(net, AN_STAGE_ADD, w->param->port, at->layer, &s, err);
    if (status != AN_OK) return status;
    s->a = as_matrix(b, w->param->columns);
    s->out = weight_matrix(net, w, w->grad);
    struct an_fence *fences[] = {an_surface_fence(b->surface), &w->grad_fence};
    an_mode modes[] = {AN_READ, AN_UPDATE};
    an_stage_init(s, fences, modes, 2);
    s->watch_a = watch_of(at, b->name, s->a.dtype);
    return watch_stage(net, s, err);
}

/* Contractions whose operands have a surface by now. */
static an_status add_contractions(const place *at, an_error *err)
{
    const an_gradient *g = at->p->gradient;
    for (int i = 0; i < g->n_contractions; i++) {
        const an_contraction *c = &g->contractions[i];
        const binding *left = find_binding(at->sc, c->left);
        const binding *right = find_binding(at->sc, c->right);
        if (at->sc->contracted[i] || !left || !right) continue;
        an_status s = add_contraction(at, c, left, right, err);
        if (s != AN_OK) return s;
        at->sc->contracted[i] = true;
    }
    return AN_OK;
}

static an_status add_small_gradients(const place *at, const an_program *p,
                                     an_error *err)
{
    for (int i = 0; i < an_program_n_ports(p, AN_OUTPUT); i++) {
        const char *name = an_program_port(p, AN_OUTPUT, i)->name;
        if (strncmp(name, "d_", 2) != 0) continue;
        int w = find_weight(at->net, at->layer, at->block, name + 2);
        if (w < 0) continue;
        an_status s = add_small(at, find_binding(at->sc, name), w, err);
        if (s != AN_OK) return s;
    }
    return AN_OK;
}

static an_status add_backward(const place *at, an_error *err)
{
    const an_gradient *g = at->p->gradient;
    at->sc->contracted =
        an_alloc_array((size_t)g->n_contractions + 1, sizeof(bool));
    if (!at->sc->contracted) return no_memory(err);
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < at->p->n_backward; i++) {
        s = add_program(at, at->p->backward[i], PASS, err);
        if (s == AN_OK) s = add_contractions(at, err);
        if (s == AN_OK) s = add_small_gradients(at, at->p->backward[i], err);
    }
    for (int i = 0; s == AN_OK && i < g->n_contractions; i++)
        if (!at->sc->contracted[i])
            s = an_fail(err, AN_EINVAL, "%s: gradient of %s has no operands",
                        at->name, g->contractions[i].param);
    return s;
}

static an_weight *embedding(const an_net *net)
{
    for (int i = 0; i < net->o.weights->n; i++)
        if (net->o.weights->list[i].param->block == AN_BLOCK_EMBED)
            return &net->o.weights->list[i];
    return NULL;
}

static an_status add_embed(an_net *net, const binding *x, an_error *err)
{
    an_stage *s = NULL;
    an_weight *e = embedding(net);
    an_status status = new_stage(net, AN_STAGE_EMBED, "embedding", -1, &s, err);
    if (status != AN_OK) return status;
    s->a = weight_matrix(net, e, e->master);
    s->out = as_matrix(x, net->columns);
    s->tokens = net->inputs;
    struct an_fence *fences[] = {an_surface_fence(e->shared),
                                 an_surface_fence(x->surface)};
    an_mode modes[] = {AN_READ, AN_WRITE};
    an_stage_init(s, fences, modes, 2);
    return AN_OK;
}

static an_status add_scatter(const place *at, const binding *dx, an_error *err)
{
    an_net *net = at->net;
    an_stage *s = NULL;
    an_weight *e = embedding(net);
    an_status status =
        new_stage(net, AN_STAGE_SCATTER, "embedding", -1, &s, err);
    if (status != AN_OK) return status;
    s->a = as_matrix(dx, net->columns);
    s->a.rows = e->param->columns;
    s->out = weight_matrix(net, e, e->grad);
    s->tokens = net->inputs;
    struct an_fence *fences[] = {an_surface_fence(dx->surface), &e->grad_fence};
    an_mode modes[] = {AN_READ, AN_UPDATE};
    an_stage_init(s, fences, modes, 2);
    s->watch_a = watch_of(at, dx->name, s->a.dtype);
    return watch_stage(net, s, err);
}

static void init_loss(an_net *net, an_stage *s, const binding *logits)
{
    s->out = as_matrix(logits, net->columns);
    s->tokens = net->targets;
    s->partial = net->partial;
    s->scale = net->o.loss_scale;
    s->flops = 5.0 * (double)s->out.rows * (double)s->out.columns;
    struct an_fence *fences[] = {an_surface_fence(logits->surface)};
    an_mode modes[] = {s->kind == AN_STAGE_LOSS ? AN_UPDATE : AN_READ};
    an_stage_init(s, fences, modes, 1);
}

static an_status add_loss(an_net *net, const binding *logits, an_error *err)
{
    net->n_forward = net->n_stages;
    net->loss_only = an_alloc(sizeof *net->loss_only);
    if (!net->loss_only) return no_memory(err);
    *net->loss_only =
        (an_stage){.kind = AN_STAGE_LOSS_ONLY, .name = "loss", .layer = -1};
    init_loss(net, net->loss_only, logits);
    if (net->o.use == AN_NET_FORWARD) return AN_OK;
    an_stage *s = NULL;
    an_status status = new_stage(net, AN_STAGE_LOSS, "loss", -1, &s, err);
    if (status == AN_OK) init_loss(net, s, logits);
    return status;
}

/* ---- the whole micro-batch ---- */

static an_status add_forward(an_net *net, int n_layers, an_error *err)
{
    const an_port *port =
        an_program_find_port(net->blocks[0].forward, AN_INPUT, "x");
    an_surface *x = NULL;
    an_status s = new_surface(net, net->o.engine, port->size_bytes, &x, err);
    binding flow = {"x", x, port};
    if (s == AN_OK) s = add_embed(net, &flow, err);
    for (int i = 0; s == AN_OK && i <= n_layers * net->n_blocks; i++) {
        bool head = i == n_layers * net->n_blocks;
        place at = place_at(net, i / net->n_blocks,
                            head ? AN_BLOCK_HEAD : i % net->n_blocks);
        s = bind(at.sc, "x", flow.surface, flow.port, err);
        if (s == AN_OK) s = add_program(&at, at.p->forward, KEEP, err);
        if (s == AN_OK) flow = *find_binding(at.sc, head ? "logits" : "y");
    }
    if (s == AN_OK) s = add_loss(net, &flow, err);
    return s;
}

static an_status add_backward_all(an_net *net, int n_layers, an_error *err)
{
    place at = place_at(net, -1, AN_BLOCK_HEAD);
    binding flow = *find_binding(at.sc, "logits");
    an_status s = AN_OK;
    for (int i = n_layers * net->n_blocks; s == AN_OK && i >= 0; i--) {
        bool head = i == n_layers * net->n_blocks;
        at = place_at(net, i / net->n_blocks,
                      head ? AN_BLOCK_HEAD : i % net->n_blocks);
        s = bind(at.sc, head ? "d_logits" : "d_y", flow.surface, flow.port,
                 err);
        if (s == AN_OK) s = add_backward(&at, err);
        if (s == AN_OK) flow = *find_binding(at.sc, "d_x");
    }
    if (s == AN_OK) s = add_scatter(&at, &flow, err);
    return s;
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
    for (int i = 0; ok && i < RING; i++) {
        net->right[i] = an_alloc_array(net->right_size, sizeof(float));
        ok = net->right[i];
    }
    net->facts.work_bytes +=
        (net->left_size * threads + net->right_size * RING) * sizeof(float);
    return ok ? AN_OK : no_memory(err);
}

static an_status new_arrays(an_net *net, int n_layers, an_error *err)
{
    net->n_scopes = n_layers * net->n_blocks + 1;
    net->scopes = an_alloc_array((size_t)net->n_scopes, sizeof *net->scopes);
    net->blocks =
        an_alloc_array((size_t)net->n_blocks + 1, sizeof *net->blocks);
    net->inputs = an_alloc_array((size_t)net->columns, sizeof(int32_t));
    net->targets = an_alloc_array((size_t)net->columns, sizeof(int32_t));
    net->partial = an_alloc_array((size_t)an_stage_loss_tiles(net->columns),
                                  sizeof(double));
    bool ok = net->scopes && net->blocks && net->inputs && net->targets &&
              net->partial;
    return ok ? AN_OK : no_memory(err);
}

static an_status build(an_net *net, an_error *err)
{
    an_model_facts facts;
    an_model_get_facts(net->o.model, &facts);
    int n_layers = (int)facts.n_layers;
    an_status s = new_arrays(net, n_layers, err);
    for (int b = 0; s == AN_OK && b <= net->n_blocks; b++)
        s = place_block(net, b < net->n_blocks ? b : AN_BLOCK_HEAD,
                        &net->blocks[b], err);
    if (s == AN_OK && net->o.use == AN_NET_TRAIN) s = new_rooms(net, err);
    if (s == AN_OK) s = add_forward(net, n_layers, err);
    if (s == AN_OK && net->o.use == AN_NET_TRAIN)
        s = add_backward_all(net, n_layers, err);
    for (size_t i = 0; s == AN_OK && i < net->n_stages; i++)
        net->facts.flops += net->stages[i]->flops;
    return s;
}

an_status an_net_new(const an_net_options *options, an_net **out, an_error *err)
{
    an_net *net = an_alloc(sizeof *net);
    if (!net) return no_memory(err);
    net->o = *options;
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

static void free_placed(placed *p)
{
    an_program_free(p->forward);
    for (int i = 0; i < p->n_backward; i++)
        an_program_free(p->backward[i]);
    an_gradient_free(p->gradient);
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
    for (int i = 0; net->blocks && i <= net->n_blocks; i++)
        free_placed(&net->blocks[i]);
    for (size_t i = 0; i < net->n_owned; i++)
        an_surface_free(net->owned[i]);
    for (int i = 0; i < RING; i++)
        an_free(net->right[i]);
    an_free(net->left);
    an_free(net->stages);
    an_free(net->loss_only);
    an_free(net->owned);
    an_free(net->temporaries);
    an_free(net->scopes);
    an_free(net->blocks);
    an_free(net->inputs);
    an_free(net->targets);
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

static an_status wait(an_net *net, an_stage *s, an_error *err)
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
        an_status w = wait(net, net->stages[i], s == AN_OK ? err : NULL);
        if (s == AN_OK) s = w;
    }
    if (more) {
        an_status w = wait(net, last, s == AN_OK ? err : NULL);
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
