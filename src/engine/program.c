/*
 * Programs of all kinds: the text that they keep, the function that runs, the
 * layout of its ports.
 */
#include "engine/impl.h"

#include "base/alloc.h"
#include "mil/op.h"

#include <string.h>

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "program: no memory");
}

/* ---- ports ---- */

static bool take_size(size_t *size, int64_t factor)
{
    return an_mul_size(*size, (size_t)factor, size);
}

/* Strides and size of a port by the chip's alignment of rows. */
static an_status lay_out(an_port *port, size_t align, an_error *err)
{
    const an_shape *s = &port->shape;
    size_t bytes = an_dtype_size(s->dtype);
    bool fits = true;
    int64_t planes = 1;
    if (s->rank > 0) fits = take_size(&bytes, s->dims[s->rank - 1]);
    if (!fits || bytes > SIZE_MAX - align)
        return an_fail(err, AN_EUNSUPPORTED, "%s: too large", port->name);
    port->row_bytes = (bytes + align - 1) / align * align;
    port->plane_bytes = port->row_bytes;
    if (s->rank > 1) fits = take_size(&port->plane_bytes, s->dims[s->rank - 2]);
    for (int i = 0; i + 2 < s->rank; i++)
        planes *= s->dims[i];
    port->size_bytes = port->plane_bytes;
    if (!fits || !take_size(&port->size_bytes, planes))
        return an_fail(err, AN_EUNSUPPORTED, "%s: too large", port->name);
    return AN_OK;
}

static an_status check_port(const an_value *v, an_error *err)
{
    const an_shape *s = &v->type->shape;
    const char *problem = NULL;
    if (v->type->kind != AN_TYPE_TENSOR || s->dtype == AN_STRING)
        problem = "not a tensor of numbers";
    for (int i = 0; !problem && i < s->rank; i++)
        if (s->dims[i] < 1) problem = "a dimension is unknown or 0";
    if (!problem) return AN_OK;
    return an_fail_at(err, AN_EUNSUPPORTED, v->line, v->column,
                      "%s cannot be a port: %s", v->name, problem);
}

static an_status make_ports(an_program *p, an_port_side side,
                            an_value *const *values, int n, an_error *err)
{
    an_port *ports = an_arena_array(&p->arena, (size_t)n + 1, sizeof *ports);
    if (!ports) return no_memory(err);
    for (int i = 0; i < n; i++) {
        an_status s = check_port(values[i], err);
        if (s != AN_OK) return s;
        ports[i] =
            (an_port){.name = values[i]->name, .shape = values[i]->type->shape};
        s = lay_out(&ports[i], p->engine->chip->row_align, err);
        if (s != AN_OK) return s;
    }
    p->ports[side] = ports;
    p->n_ports[side] = n;
    return AN_OK;
}

an_status an_program_lay_out(an_program *p, an_error *err)
{
    const an_function *f = p->function;
    for (int i = 0; i < f->n_nodes; i++) {
        an_cost cost = {0};
        if (f->nodes[i]->op->cost) f->nodes[i]->op->cost(f->nodes[i], &cost);
        p->flops += cost.flops;
    }
    an_status s = make_ports(p, AN_INPUT, f->params, f->n_params, err);
    return s == AN_OK ? make_ports(p, AN_OUTPUT, f->results, f->n_results, err)
                      : s;
}

/* ---- counts ---- */

/* One more, unless there are as many as the limit; 0: no limit. */
static bool take(an_engine *engine, int *count, int limit)
{
    pthread_mutex_lock(&engine->mutex);
    bool taken = !limit || *count < limit;
    if (taken) ++*count;
    pthread_mutex_unlock(&engine->mutex);
    return taken;
}

an_status an_engine_take_compile(an_engine *engine, an_error *err)
{
    const an_limits *limits = &engine->limits;
    if (take(engine, &engine->n_compiles, limits->compiles)) return AN_OK;
    return an_limits_fail_compile(limits, err);
}

an_status an_engine_take_place(an_engine *engine, an_error *err)
{
    const an_limits *limits = &engine->limits;
    if (take(engine, &engine->n_programs, limits->live)) return AN_OK;
    return an_limits_fail_load(limits, err);
}

void an_engine_give_place(an_engine *engine)
{
    pthread_mutex_lock(&engine->mutex);
    engine->n_programs--;
    pthread_mutex_unlock(&engine->mutex);
}

/* ---- from text ---- */

an_status an_program_parse(an_program *p, const an_source *source,
                           an_error *err)
{
    return an_mil_parse(source->text, source->size,
                        source->name ? source->name : "program", &p->module,
                        err);
}

an_status an_program_choose(an_program *p, const an_source *source,
                            an_error *err)
{
    const an_module *m = p->module;
    const char *name = source->function;
    if (name || m->n_functions != 1)
        p->function = an_module_function(m, name ? name : "main");
    else
        p->function = m->functions[0];
    if (p->function) return AN_OK;
    return an_fail(err, AN_EINVAL, "%s: there is no function \"%.64s\"",
                   source->name ? source->name : "program",
                   name ? name : "main");
}

static an_status keep_text(an_program *p, const an_source *source,
                           an_error *err)
{
    p->text_size = source->size;
    p->text = an_arena_strndup(&p->arena, source->text, source->size);
    if (source->function)
        p->function_name = an_arena_strndup(&p->arena, source->function,
                                            strlen(source->function));
    return p->text && (p->function_name || !source->function) ? AN_OK
                                                              : no_memory(err);
}

static void free_program(an_program *p)
{
    p->engine->kind->free_program(p);
    an_module_free(p->module);
    an_arena_fini(&p->arena);
    an_free(p);
}

an_status an_engine_compile(an_engine *engine, const an_source *source,
                            an_program **out, an_error *err)
{
    an_program *p = an_alloc(engine->kind->program_bytes);
    if (!p) return no_memory(err);
    p->engine = engine;
    an_arena_init(&p->arena);
    an_status s = keep_text(p, source, err);
    if (s == AN_OK) s = engine->kind->compile(p, source, err);
    if (s == AN_OK)
        *out = p;
    else
        free_program(p);
    return s;
}

void an_program_free(an_program *p)
{
    if (!p) return;
    an_fence_wait(p->engine->pool, &p->fence, AN_WRITE, NULL);
    free_program(p);
}

an_status an_program_reload(an_program *p, const an_blob *blobs, int n_blobs,
                            an_error *err)
{
    return p->engine->kind->reload(p, blobs, n_blobs, err);
}

int an_program_n_ports(const an_program *p, an_port_side side)
{
    return p->n_ports[side];
}

const an_port *an_program_port(const an_program *p, an_port_side side, int i)
{
    return i >= 0 && i < p->n_ports[side] ? &p->ports[side][i] : NULL;
}

const an_port *an_program_find_port(const an_program *p, an_port_side side,
                                    const char *name)
{
    for (int i = 0; i < p->n_ports[side]; i++)
        if (strcmp(p->ports[side][i].name, name) == 0)
            return &p->ports[side][i];
    return NULL;
}

double an_program_flops(const an_program *p)
{
    return p->flops;
}

size_t an_program_work_bytes(const an_program *p)
{
    return p->engine->kind->work_bytes(p);
}
