/*
 * From the model's blocks to programs: differentiate, cut, lower, compile. With
 * streamed weights equal layers share programs; weights that are constants make
 * every layer's its own, compiled or loaded again when they change: frozen ones
 * never do.
 */
#include "train/net_parts.h"

#include "base/alloc.h"
#include "lower/lower.h"
#include "mil/ir.h"

#include <stdio.h>
#include <string.h>

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

static const char *block_name(const an_net *net, int block)
{
    return block == AN_BLOCK_HEAD ? "head"
                                  : an_model_block_name(net->o.model, block);
}

/* ---- forms ---- */

enum { NAME_BYTES = 96 };

/* "mlp-forward": the functions of a stage before lowering. */
static an_status dump_all(const an_net *net, int block, const char *stage,
                          const an_module *m, an_error *err)
{
    an_status s = AN_OK;
    char name[NAME_BYTES];
    for (int i = 0; s == AN_OK && i < m->n_functions; i++) {
        snprintf(name, sizeof name, "%s-%s", block_name(net, block),
                 m->functions[i]->name);
        s = an_dump_function(net->o.dump, stage, name, m->functions[i], err);
    }
    return s;
}

/* What the form's backward pass reaches: x and trained parameters, and of them
 * those that are matrices. */
static int list_params(const an_net *net, const an_net_form *form,
                       const an_function *f, const char **all,
                       const char **deferred, int *n_deferred)
{
    int n = 0;
    *n_deferred = 0;
    for (int i = 0; i < f->n_params; i++) {
        const char *name = f->params[i]->name;
        int w = an_net_weight(net, form->layer, form->block, name);
        const an_model_param *p = w < 0 ? NULL : net->o.weights->list[w].param;
        if (p ? !p->trained : form->reach != AN_REACH_INPUT) continue;
        all[n++] = name;
        if (p && p->parts[0].file_rank == 2) deferred[(*n_deferred)++] = name;
    }
    return n;
}

static an_status differentiate(const an_net *net, an_net_form *form,
                               an_error *err)
{
    const an_block *b = &form->model_block;
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
        o.n_wrt = list_params(net, form, f, all, deferred, &o.n_deferred);
        s = an_grad(b->module, "forward", &o, &form->gradient, err);
    } else {
        s = an_net_no_memory(err);
    }
    an_free(all);
    an_free(deferred);
    return s;
}

/* The names of a cut that are values of f, separated by blanks; "" when none
 * is, NULL without memory. */
static const char *names_in(const an_function *f, const char *cut, an_arena *a)
{
    const char *kept = "";
    while (kept && *cut) {
        size_t n = strcspn(cut, " ");
        const char *name = an_arena_strndup(a, cut, n);
        cut += n + strspn(cut + n, " ");
        if (!name) return NULL;
        if (an_function_value(f, name))
            kept = an_arena_printf(a, "%s%s%s", kept, *kept ? " " : "", name);
    }
    return kept;
}

/* Cuts at adjoints that the backward function computes. */
static an_status cut(const an_net_form *form, an_arena *arena, an_error *err)
{
    const an_block *b = &form->model_block;
    const an_function *f =
        an_module_function(form->gradient->module, "backward");
    const char *cuts[AN_NET_PROGRAMS];
    int n = 0;
    for (int i = 0; i < b->n_cuts; i++) {
        cuts[n] = names_in(f, b->cuts[i], arena);
        if (!cuts[n]) return an_net_no_memory(err);
        n += *cuts[n] != 0;
    }
    return an_lower_cut(f, form->parts, "backward", cuts, n, err);
}

static an_status make_backward(const an_net *net, an_net_form *form,
                               an_error *err)
{
    an_arena arena;
    if (form->model_block.n_cuts + 2 > AN_NET_PROGRAMS)
        return an_fail(err, AN_EUNSUPPORTED, "net: a block has %d cuts",
                       form->model_block.n_cuts);
    an_status s = an_module_new(&form->parts, err);
    an_arena_init(&arena);
    if (s == AN_OK) s = cut(form, &arena, err);
    an_arena_fini(&arena);
    if (s == AN_OK) s = dump_all(net, form->block, "cut", form->parts, err);
    for (int i = 0; s == AN_OK && i < form->parts->n_functions; i++)
        form->functions[form->n_functions++] = form->parts->functions[i];
    return s;
}

an_status an_net_make_form(const an_net *net, an_net_form *form, an_error *err)
{
    int block = form->block;
    bool head = block == AN_BLOCK_HEAD;
    an_dtype dtype = head ? net->o.weights->dtype : net->o.dtype;
    an_module *m;
    form->engine = head ? net->o.cpu : net->o.engine;
    an_block_options o = {.x_dtype = net->o.dtype,
                          .dtype = dtype,
                          .batch = net->o.batch,
                          .sequence = net->o.sequence};
    an_status s =
        an_model_block(net->o.model, block, &o, &form->model_block, err);
    if (s == AN_OK)
        s = dump_all(net, block, "model", form->model_block.module, err);
    if (s == AN_OK && form->reach != AN_REACH_NOTHING)
        s = differentiate(net, form, err);
    if (s == AN_OK && form->gradient)
        s = dump_all(net, block, "grad", form->gradient->module, err);
    if (s == AN_OK) {
        m = form->gradient ? form->gradient->module : form->model_block.module;
        form->functions[form->n_functions++] = an_module_function(m, "forward");
    }
    if (s == AN_OK && form->gradient) s = make_backward(net, form, err);
    if (s != AN_OK) an_fail_context(err, "%s", block_name(net, block));
    return s;
}

void an_net_free_form(an_net_form *form)
{
    an_gradient_free(form->gradient);
    an_module_free(form->parts);
    an_block_free(&form->model_block);
}

/* ---- programs ---- */

/* Whether weight w is a constant of the blocks' programs: none of the head's,
 * which share the masters. */
static bool is_constant(const an_net *net, int w)
{
    const an_model_param *p = net->o.weights->list[w].param;
    if (p->layer < 0 || net->o.mode == AN_WEIGHT_STREAM) return false;
    return net->o.mode != AN_WEIGHT_MIXED || !p->trained;
}

/* Parameters of form's function i that are constants at p's layer: all, or the
 * trained ones alone. */
typedef enum constants { ALL_CONSTANTS, TRAINED_CONSTANTS } constants;
static int count_constants(const an_net *net, const an_net_form *form, int i,
                           constants which)
{
    const an_function *f = form->functions[i];
    int n = 0;
    for (int k = 0; k < f->n_params; k++) {
        int w =
            an_net_weight(net, form->layer, form->block, f->params[k]->name);
        n += w >= 0 && is_constant(net, w) &&
             (which == ALL_CONSTANTS || net->o.weights->list[w].param->trained);
    }
    return n;
}

bool an_net_has_constants(const an_net *net, const an_net_form *form)
{
    for (int i = 0; i < form->n_functions; i++)
        if (count_constants(net, form, i, ALL_CONSTANTS) > 0) return true;
    return false;
}

/* Whether an update makes program i of p old. */
static bool gets_old(const an_net *net, const an_placed_block *p, int i)
{
    return count_constants(net, p->form, i, TRAINED_CONSTANTS) > 0;
}

/* Weights of one program as constants; all in one arena. */
typedef struct bakery {
    an_arena arena;
    an_baked *list;
    int n;
} bakery;

static an_status bake(const an_net *net, const an_placed_block *p,
                      const an_function *f, bakery *out, an_error *err)
{
    size_t n = (size_t)f->n_params + 1;
    out->list = an_arena_array(&out->arena, n, sizeof *out->list);
    if (!out->list) return an_net_no_memory(err);
    for (int i = 0; i < f->n_params; i++) {
        const an_value *v = f->params[i];
        int w = an_net_weight(net, p->layer, p->block, v->name);
        if (w < 0 || !is_constant(net, w)) continue;
        void *data = an_arena_array(&out->arena, net->o.weights->list[w].n,
                                    an_dtype_size(v->type->shape.dtype));
        if (!data) return an_net_no_memory(err);
        an_weight_copy(net->o.weights, w, v->type->shape.dtype, data);
        out->list[out->n++] = (an_baked){v->name, data};
    }
    return AN_OK;
}

/* "mlp-forward", or of one layer "mlp_3-forward". */
static void program_name(const an_net *net, const an_placed_block *p, int i,
                         char name[NAME_BYTES])
{
    char layer[16] = "";
    if (an_net_has_constants(net, p->form))
        snprintf(layer, sizeof layer, "_%d", p->layer);
    snprintf(name, NAME_BYTES, "%s%s-%s", block_name(net, p->block), layer,
             p->form->functions[i]->name);
}

/* Stages are dumped once, not again for new weights. */
static an_status lower(const an_net *net, const an_placed_block *p, int i,
                       an_lowered *out, an_error *err)
{
    bakery b = {.n = 0};
    char name[NAME_BYTES];
    const an_function *f = p->form->functions[i];
    an_arena_init(&b.arena);
    an_status s = bake(net, p, f, &b, err);
    program_name(net, p, i, name);
    an_lower_options o = {.columns = net->o.columns,
                          .baked = b.list,
                          .n_baked = b.n,
                          .dump = p->programs[i] ? NULL : net->o.dump,
                          .program = name};
    if (s == AN_OK) s = an_lower_function(f, &o, out, err);
    an_arena_fini(&b.arena);
    return s;
}

static an_status compile(const an_net *net, const an_placed_block *p, int i,
                         an_program **out, an_error *err)
{
    an_lowered l = {0};
    an_status s = lower(net, p, i, &l, err);
    if (s == AN_OK) s = an_engine_compile(p->form->engine, &l.source, out, err);
    an_lowered_free(&l);
    return s;
}

an_status an_net_compile(an_net *net, an_placed_block *p, an_error *err)
{
    for (int i = 0; i < p->form->n_functions; i++) {
        an_status s = compile(net, p, i, &p->programs[i], err);
        if (s != AN_OK) {
            an_fail_context(err, "%s", block_name(net, p->block));
            return s;
        }
        net->facts.programs++;
        net->facts.work_bytes += an_program_work_bytes(p->programs[i]);
    }
    return AN_OK;
}

/* ---- new weights ---- */

int an_net_refresh_compiles(const an_net *net)
{
    int n = 0;
    an_engine_facts facts;
    an_engine_get_facts(net->o.engine, &facts);
    if (net->o.mode == AN_WEIGHT_RELOAD && !facts.reload_counts) return 0;
    for (int b = 0; b < net->n_placed; b++)
        for (int i = 0; i < net->blocks[b].form->n_functions; i++)
            n += gets_old(net, &net->blocks[b], i);
    return n;
}

/* A new program takes the place of the old one, which is unloaded at once. */
static an_status compile_again(an_net *net, an_placed_block *p, int i,
                               an_error *err)
{
    an_program *program = NULL;
    an_request *request = NULL;
    an_status s = compile(net, p, i, &program, err);
    if (s == AN_OK) s = an_net_bind_again(net, p, program, &request, err);
    if (s != AN_OK) {
        an_program_free(program);
        return s;
    }
    an_request_free(p->stages[i]->request);
    an_program_free(p->programs[i]);
    p->stages[i]->request = request;
    p->programs[i] = program;
    return AN_OK;
}

/* Runs a request and returns what it wrote to port `y`; an_free. */
static an_status result_of(an_request *r, an_program *program, an_surface *y,
                           void **out, size_t *size, an_error *err)
{
    void *data = NULL;
    *size = an_program_find_port(program, AN_OUTPUT, "y")->size_bytes;
    *out = an_alloc(*size);
    if (!*out) return an_net_no_memory(err);
    an_status s = an_request_run(r, err);
    if (s == AN_OK) s = an_surface_lock(y, AN_LOCK_READ, &data, err);
    if (s != AN_OK) return s;
    memcpy(*out, data, *size);
    an_surface_unlock(y, AN_LOCK_READ);
    return AN_OK;
}

/* Does the reloaded program compute what one compiled from the same text and
 * weights does? */
static an_status check_reload(an_net *net, const an_placed_block *p,
                              an_error *err)
{
    an_program *fresh = NULL;
    an_request *r = NULL;
    void *got = NULL, *want = NULL;
    size_t n = 0;
    an_surface *y = an_net_surface(net, p, "y");
    an_status s =
        result_of(p->stages[0]->request, p->programs[0], y, &got, &n, err);
    if (s == AN_OK) s = compile(net, p, 0, &fresh, err);
    if (s == AN_OK) s = an_net_bind_again(net, p, fresh, &r, err);
    if (s == AN_OK) s = result_of(r, fresh, y, &want, &n, err);
    if (s == AN_OK && memcmp(got, want, n) != 0)
        s = an_fail(err, AN_EENGINE,
                    "reload: the engine went on with the old weights: use "
                    "--weights stream or bake");
    an_request_free(r);
    an_program_free(fresh);
    an_free(got);
    an_free(want);
    return s;
}

static an_status reload(an_net *net, an_placed_block *p, int i, an_error *err)
{
    an_lowered l = {0};
    an_status s = lower(net, p, i, &l, err);
    if (s == AN_OK)
        s = an_program_reload(p->programs[i], l.source.blobs, l.source.n_blobs,
                              err);
    an_lowered_free(&l);
    if (s != AN_OK || net->reload_checked) return s;
    net->reload_checked = true;
    return check_reload(net, p, err);
}

an_status an_net_refresh(an_net *net, an_error *err)
{
    an_status s = AN_OK;
    for (int b = 0; s == AN_OK && b < net->n_placed; b++) {
        an_placed_block *p = &net->blocks[b];
        for (int i = 0; s == AN_OK && i < p->form->n_functions; i++)
            if (gets_old(net, p, i))
                s = net->o.mode == AN_WEIGHT_BAKE
                        ? compile_again(net, p, i, err)
                        : reload(net, p, i, err);
    }
    return s;
}
