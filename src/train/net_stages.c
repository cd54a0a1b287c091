/*
 * Surfaces by name and stages in order. In one layer, equal names are the same
 * surface, forward and backward; what passes by is shared by layers of equal
 * parity.
 */
#include "train/net_parts.h"

#include "base/half.h"
#include "base/alloc.h"
#include "mil/op.h"

#include <string.h>

/* ---- surfaces ---- */

static an_status new_surface(an_net *net, an_engine *engine, size_t bytes,
                             an_surface **out, an_error *err)
{
    if (!an_grow(&net->owned, &net->cap_owned, net->n_owned,
                 sizeof *net->owned))
        return an_net_no_memory(err);
    an_status s = an_surface_new(engine, bytes, out, err);
    if (s != AN_OK) return s;
    net->owned[net->n_owned++] = *out;
    net->facts.surface_bytes += bytes;
    return AN_OK;
}

static const an_binding *find_binding(const an_scope *sc, const char *name)
{
    for (size_t i = 0; i < sc->n; i++)
        if (strcmp(sc->list[i].name, name) == 0) return &sc->list[i];
    return NULL;
}

/* Programs come and go: the names and layouts that stay are the net's. */
static an_status bind(an_net *net, an_scope *sc, const char *name,
                      an_surface *surface, const an_port *port, an_error *err)
{
    an_port *kept = NULL;
    char *text = an_arena_strndup(&net->arena, name, strlen(name));
    if (port) kept = an_arena_alloc(&net->arena, sizeof *kept);
    if (!text || (port && !kept) ||
        !an_grow(&sc->list, &sc->capacity, sc->n, sizeof *sc->list))
        return an_net_no_memory(err);
    if (kept) {
        *kept = *port;
        kept->name = text;
    }
    sc->list[sc->n++] = (an_binding){text, surface, kept};
    return AN_OK;
}

static an_status temporary_surface(an_net *net, an_engine *engine, int block,
                                   int parity, const an_port *port,
                                   an_surface **out, an_error *err)
{
    for (size_t i = 0; i < net->n_temporaries; i++) {
        an_temporary *t = &net->temporaries[i];
        if (t->block == block && t->parity == parity &&
            strcmp(t->name, port->name) == 0) {
            *out = t->surface;
            return AN_OK;
        }
    }
    if (!an_grow(&net->temporaries, &net->cap_temporaries, net->n_temporaries,
                 sizeof *net->temporaries))
        return an_net_no_memory(err);
    char *name = an_arena_strndup(&net->arena, port->name, strlen(port->name));
    if (!name) return an_net_no_memory(err);
    an_status s = new_surface(net, engine, port->size_bytes, out, err);
    if (s == AN_OK)
        net->temporaries[net->n_temporaries++] =
            (an_temporary){block, parity, name, *out};
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
        an_net_no_memory(err);
        return AN_ENOMEM;
    }
    *s = (an_stage){.kind = kind, .name = name, .layer = layer};
    net->stages[net->n_stages++] = s;
    *out = s;
    return AN_OK;
}

/* Where a block stands: its programs and names in one layer. */
typedef struct place {
    an_net *net;
    an_placed_block *p;
    an_scope *sc;
    int layer, block;
    const char *name;
} place;

static place place_at(an_net *net, int scope)
{
    const an_net_form *form = net->form_of[scope];
    bool head = form->block == AN_BLOCK_HEAD;
    return (place){net,
                   net->block_of[scope],
                   &net->scopes[scope],
                   head ? -1 : scope / net->n_blocks,
                   form->block,
                   head ? "head"
                        : an_model_block_name(net->o.model, form->block)};
}

static an_status bind_input(const place *at, an_request *r, const an_port *port,
                            an_error *err)
{
    an_net *net = at->net;
    const an_binding *b = find_binding(at->sc, port->name);
    an_surface *surface = b ? b->surface : NULL;
    if (!b) {
        int w = an_net_weight(net, at->layer, at->block, port->name);
        if (w < 0)
            return an_fail(err, AN_EINVAL, "%s: nothing is called '%s'",
                           at->name, port->name);
        an_status s = an_weight_surface(net->o.weights, w, at->p->form->engine,
                                        port, &surface, err);
        if (s == AN_OK)
            s = bind(at->net, at->sc, port->name, surface, NULL, err);
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
    /* The chip's engine makes them: `cpu` takes any engine's surfaces. */
    an_engine *engine = net->o.engine;
    an_status s =
        life == KEEP ? new_surface(net, engine, port->size_bytes, &surface, err)
                     : temporary_surface(net, engine, at->block, at->layer & 1,
                                         port, &surface, err);
    if (s == AN_OK) s = bind(at->net, at->sc, port->name, surface, port, err);
    if (s == AN_OK) s = an_request_bind(r, AN_OUTPUT, port->name, surface, err);
    return s;
}

static an_status add_program(const place *at, int i, lifetime life,
                             an_error *err)
{
    an_program *program = at->p->programs[i];
    an_stage *stage = NULL;
    an_status s =
        new_stage(at->net, AN_STAGE_PROGRAM, at->name, at->layer, &stage, err);
    if (s == AN_OK) s = an_request_new(program, &stage->request, err);
    for (int k = 0; s == AN_OK && k < an_program_n_ports(program, AN_INPUT);
         k++)
        s = bind_input(at, stage->request,
                       an_program_port(program, AN_INPUT, k), err);
    for (int k = 0; s == AN_OK && k < an_program_n_ports(program, AN_OUTPUT);
         k++)
        s = bind_output(at, stage->request,
                        an_program_port(program, AN_OUTPUT, k), life, err);
    if (s == AN_OK) {
        at->p->stages[i] = stage;
        stage->flops = an_program_flops(program);
        at->net->facts.evaluations++;
    }
    return s;
}

/* A port's surface as a matrix of all its rows. */
static an_matrix as_matrix(const an_binding *b, int64_t columns)
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
                  .limit = AN_HALF_MAX,
                  .op = "add",
                  .adjoint = strncmp(name, "d_", 2) == 0};
    if (dtype != AN_FP16) return w;
    w.tensor = name;
    for (int i = 0; i < 2; i++) {
        const an_function *f =
            an_module_function(at->p->form->gradient->module, functions[i]);
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
    return s->peaks ? AN_OK : an_net_no_memory(err);
}

static an_status add_contraction(const place *at, const an_contraction *c,
                                 const an_binding *left,
                                 const an_binding *right, an_error *err)
{
    an_net *net = at->net;
    an_stage *s = NULL;
    int i = an_net_weight(net, at->layer, at->block, c->param);
    an_status status =
        new_stage(net, AN_STAGE_CONTRACT, c->param, at->layer, &s, err);
    if (status != AN_OK) return status;
    an_weight *w = &net->o.weights->list[i];
    int ring = net->next_right++ % AN_NET_RING;
    s->a = as_matrix(left, true_columns(at->p->form->gradient, c->left));
    s->b = as_matrix(right, true_columns(at->p->form->gradient, c->right));
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
static an_status add_small(const place *at, const an_binding *b, int weight,
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
    const an_gradient *g = at->p->form->gradient;
    for (int i = 0; i < g->n_contractions; i++) {
        const an_contraction *c = &g->contractions[i];
        const an_binding *left = find_binding(at->sc, c->left);
        const an_binding *right = find_binding(at->sc, c->right);
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
        int w = an_net_weight(at->net, at->layer, at->block, name + 2);
        if (w < 0) continue;
        an_status s = add_small(at, find_binding(at->sc, name), w, err);
        if (s != AN_OK) return s;
    }
    return AN_OK;
}

static an_status add_backward(const place *at, an_error *err)
{
    const an_gradient *g = at->p->form->gradient;
    at->sc->contracted =
        an_alloc_array((size_t)g->n_contractions + 1, sizeof(bool));
    if (!at->sc->contracted) return an_net_no_memory(err);
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i + 1 < at->p->form->n_functions; i++) {
        s = add_program(at, i + 1, PASS, err);
        if (s == AN_OK) s = add_contractions(at, err);
        if (s == AN_OK)
            s = add_small_gradients(at, at->p->programs[i + 1], err);
    }
    for (int i = 0; s == AN_OK && i < g->n_contractions; i++)
        if (!at->sc->contracted[i])
            s = an_fail(err, AN_EINVAL, "%s: gradient of %s has no operands",
                        at->name, g->contractions[i].param);
    return s;
}

/* The embedding of tokens ("embed"), or of positions; NULL: there is none. */
static an_weight *embedding(const an_net *net, const char *port)
{
    int i = an_net_weight(net, -1, AN_BLOCK_EMBED, port);
    return i < 0 ? NULL : &net->o.weights->list[i];
}

static an_status add_embed(an_net *net, const an_binding *x, an_error *err)
{
    an_stage *s = NULL;
    an_weight *e = embedding(net, "embed"), *p = embedding(net, "positions");
    an_status status = new_stage(net, AN_STAGE_EMBED, "embedding", -1, &s, err);
    if (status != AN_OK) return status;
    s->a = weight_matrix(net, e, e->master);
    if (p) s->b = weight_matrix(net, p, p->master);
    s->out = as_matrix(x, net->columns);
    s->tokens = net->inputs;
    s->positions = net->positions;
    struct an_fence *fences[] = {an_surface_fence(e->shared),
                                 an_surface_fence(x->surface),
                                 p ? an_surface_fence(p->shared) : NULL};
    an_mode modes[] = {AN_READ, AN_WRITE, AN_READ};
    an_stage_init(s, fences, modes, 3);
    return AN_OK;
}

/* dE or dP += dx0, by tokens or by positions. */
static an_status scatter(const place *at, const an_binding *dx,
                         const char *port, const int32_t *rows, an_error *err)
{
    an_net *net = at->net;
    an_stage *s = NULL;
    an_weight *e = embedding(net, port);
    if (!e || !e->param->trained) return AN_OK;
    an_status status = new_stage(net, AN_STAGE_SCATTER, port, -1, &s, err);
    if (status != AN_OK) return status;
    s->a = as_matrix(dx, net->columns);
    s->a.rows = e->param->columns;
    s->out = weight_matrix(net, e, e->grad);
    s->tokens = rows;
    struct an_fence *fences[] = {an_surface_fence(dx->surface), &e->grad_fence};
    an_mode modes[] = {AN_READ, AN_UPDATE};
    an_stage_init(s, fences, modes, 2);
    s->watch_a = watch_of(at, dx->name, s->a.dtype);
    return watch_stage(net, s, err);
}

static an_status add_scatter(const place *at, const an_binding *dx,
                             an_error *err)
{
    const an_net *net = at->net;
    an_status s = scatter(at, dx, "embed", net->inputs, err);
    return s == AN_OK ? scatter(at, dx, "positions", net->positions, err) : s;
}

static void init_loss(an_net *net, an_stage *s, const an_binding *logits)
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

static an_status add_loss(an_net *net, const an_binding *logits, an_error *err)
{
    net->n_forward = net->n_stages;
    net->loss_only = an_alloc(sizeof *net->loss_only);
    if (!net->loss_only) return an_net_no_memory(err);
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

an_status an_net_add_forward(an_net *net, an_error *err)
{
    const an_port *port =
        an_program_find_port(net->blocks[0].programs[0], AN_INPUT, "x");
    an_surface *x = NULL;
    an_status s = new_surface(net, net->o.engine, port->size_bytes, &x, err);
    an_binding flow = {"x", x, port};
    if (s == AN_OK) s = add_embed(net, &flow, err);
    for (int i = 0; s == AN_OK && i < net->n_scopes; i++) {
        place at = place_at(net, i);
        bool head = at.block == AN_BLOCK_HEAD;
        s = bind(net, at.sc, "x", flow.surface, flow.port, err);
        if (s == AN_OK) s = add_program(&at, 0, KEEP, err);
        if (s == AN_OK) flow = *find_binding(at.sc, head ? "logits" : "y");
    }
    if (s == AN_OK) s = add_loss(net, &flow, err);
    return s;
}

an_status an_net_add_backward(an_net *net, an_error *err)
{
    int last = net->n_scopes - 1;
    place at = place_at(net, last);
    an_binding flow = *find_binding(at.sc, "logits");
    an_status s = AN_OK;
    for (int i = last; s == AN_OK && i >= 0 && i >= net->first_trained; i--) {
        at = place_at(net, i);
        s = bind(net, at.sc, i == last ? "d_logits" : "d_y", flow.surface,
                 flow.port, err);
        if (s == AN_OK) s = add_backward(&at, err);
        if (s == AN_OK && i > net->first_trained)
            flow = *find_binding(at.sc, "d_x");
    }
    if (s == AN_OK && net->first_trained < 0) s = add_scatter(&at, &flow, err);
    return s;
}

/* ---- other programs at the same place ---- */

an_surface *an_net_surface(const an_net *net, const an_placed_block *p,
                           const char *name)
{
    const an_scope *sc = &net->scopes[p->layer * net->n_blocks + p->block];
    const an_binding *b = find_binding(sc, name);
    return b ? b->surface : NULL;
}

an_status an_net_bind_again(an_net *net, const an_placed_block *p,
                            an_program *program, an_request **out,
                            an_error *err)
{
    an_request *r = NULL;
    an_status s = an_request_new(program, &r, err);
    for (int side = AN_INPUT; s == AN_OK && side <= AN_OUTPUT; side++) {
        int n = an_program_n_ports(program, (an_port_side)side);
        for (int i = 0; s == AN_OK && i < n; i++) {
            const char *name =
                an_program_port(program, (an_port_side)side, i)->name;
            an_surface *surface = an_net_surface(net, p, name);
            s = surface
                    ? an_request_bind(r, (an_port_side)side, name, surface, err)
                    : an_fail(err, AN_EINVAL, "nothing is called '%s'", name);
        }
    }
    if (s == AN_OK)
        *out = r;
    else
        an_request_free(r);
    return s;
}
