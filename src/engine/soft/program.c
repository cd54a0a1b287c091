/*
 * From text to a program: parse, choose the function, lay out its ports, plan
 * and give the plan its memory.
 */
#include "engine/soft/program.h"

#include "base/alloc.h"

#include <assert.h>
#include <string.h>

enum { ALIGN = 64 };

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
    if (!ports) return an_plan_no_memory(err);
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

/* A port's elements in its surface. */
static an_place port_place(const an_port *port, int buffer)
{
    an_place p = an_place_dense(buffer, port->shape.dtype, &port->shape);
    int64_t size = (int64_t)an_dtype_size(port->shape.dtype);
    int64_t stride = (int64_t)port->plane_bytes / size;
    if (p.rank > 1) p.strides[p.rank - 2] = (int64_t)port->row_bytes / size;
    for (int i = p.rank - 3; i >= 0; i--) {
        p.strides[i] = stride;
        stride *= p.dims[i];
    }
    return p;
}

static int port_buffer(an_plan *plan, an_port_side side, int i)
{
    an_buffer b = {.kind =
                       side == AN_INPUT ? AN_BUFFER_INPUT : AN_BUFFER_OUTPUT,
                   .port = i};
    return an_plan_add_buffer(plan, b);
}

/* ---- compiling ---- */

/* fp64 text run in `exact` is nobody's program. */
static an_check_mode check_mode(const an_engine *e)
{
    return e->numerics.wide ? AN_CHECK_EXACT : AN_CHECK_CHIP;
}

/* What the chip refuses. */
static an_status refuse(const an_program *p, const an_source *source,
                        an_error *err)
{
    const an_engine *e = p->engine;
    return an_rules_refuse(p->module, source->name ? source->name : "program",
                           e->chip->name, check_mode(e), e->limits.rules, err);
}

static an_status choose_function(an_program *p, const an_source *source,
                                 an_error *err)
{
    const an_module *m = p->module;
    const char *name = source->function;
    an_function *f = NULL;
    if (name || m->n_functions != 1)
        f = an_module_function(m, name ? name : "main");
    else
        f = m->functions[0];
    if (!f)
        return an_fail(err, AN_EINVAL, "%s: there is no function \"%.64s\"",
                       source->name ? source->name : "program",
                       name ? name : "main");
    p->plan.function = f;
    const an_engine *e = p->engine;
    an_status s = AN_OK;
    if (e->limits.rules == AN_RULES_SILENT)
        s = an_rules_spoil(f, e->chip->name, check_mode(e), err);
    if (s == AN_OK) s = an_soft_rewrite(p->plan.numerics, f, err);
    if (s == AN_OK) s = make_ports(p, AN_INPUT, f->params, f->n_params, err);
    return s == AN_OK ? make_ports(p, AN_OUTPUT, f->results, f->n_results, err)
                      : s;
}

static an_status make_plan(an_program *p, an_error *err)
{
    an_plan *plan = &p->plan;
    const an_function *f = plan->function;
    size_t n = (size_t)f->n_values + 1, n_results = (size_t)f->n_results + 1;
    plan->places = an_arena_array(&p->arena, n, sizeof *plan->places);
    an_place *results = an_arena_array(&p->arena, n_results, sizeof *results);
    if (!plan->places || !results) return an_plan_no_memory(err);
    for (size_t i = 0; i < n; i++)
        plan->places[i].buffer = -1;
    for (int i = 0; i < f->n_params; i++) {
        int buffer = port_buffer(plan, AN_INPUT, i);
        if (buffer < 0) return an_plan_no_memory(err);
        plan->places[f->params[i]->id] =
            port_place(&p->ports[AN_INPUT][i], buffer);
    }
    for (int i = 0; i < f->n_results; i++) {
        int buffer = port_buffer(plan, AN_OUTPUT, i);
        if (buffer < 0) return an_plan_no_memory(err);
        results[i] = port_place(&p->ports[AN_OUTPUT][i], buffer);
    }
    return an_plan_build(plan, results, err);
}

/* The phases of all steps that have tiles. */
static an_status list_phases(an_program *p, an_error *err)
{
    const an_plan *plan = &p->plan;
    size_t n = (size_t)plan->n_steps * AN_STEP_PHASES + 1;
    p->phases = an_arena_array(&p->arena, n, sizeof *p->phases);
    if (!p->phases) return an_plan_no_memory(err);
    for (int i = 0; i < plan->n_steps; i++) {
        const an_step *s = plan->steps[i];
        for (int k = 0; k < s->n_phases; k++)
            if (s->tiles[k])
                p->phases[p->n_phases++] = (an_phase){s, k, s->tiles[k]};
    }
    return AN_OK;
}

static an_status make_memory(an_program *p, an_error *err)
{
    an_plan *plan = &p->plan;
    size_t all, threads = (size_t)an_pool_threads(p->engine->pool);
    plan->scratch_bytes = (plan->scratch_bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (!an_mul_size(plan->scratch_bytes, threads, &all))
        return an_plan_no_memory(err);
    p->work = an_alloc_aligned(ALIGN, plan->work_bytes + ALIGN);
    p->scratch = an_alloc_aligned(ALIGN, all + ALIGN);
    return p->work && p->scratch ? AN_OK : an_plan_no_memory(err);
}

static void count_flops(an_program *p)
{
    const an_function *f = p->plan.function;
    for (int i = 0; i < f->n_nodes; i++) {
        an_cost cost = {0};
        if (f->nodes[i]->op->cost) f->nodes[i]->op->cost(f->nodes[i], &cost);
        p->flops += cost.flops;
    }
}

static an_status compile(an_program *p, const an_source *source, an_error *err)
{
    p->plan.arena = &p->arena;
    p->plan.engine = p->engine;
    p->plan.source = source;
    p->plan.numerics = &p->engine->numerics;
    an_status s =
        an_mil_parse(source->text, source->size,
                     source->name ? source->name : "program", &p->module, err);
    if (s == AN_OK) s = refuse(p, source, err);
    if (s == AN_OK) s = choose_function(p, source, err);
    if (s == AN_OK) s = make_plan(p, err);
    if (s == AN_OK) s = list_phases(p, err);
    if (s == AN_OK) s = make_memory(p, err);
    if (s == AN_OK) count_flops(p);
    p->plan.source = NULL;
    return s;
}

/* Takes a place among the live programs, and one of the compiles. */
static an_status take_place(an_engine *engine, an_error *err)
{
    an_status s = AN_OK;
    const an_limits *limits = &engine->limits;
    pthread_mutex_lock(&engine->mutex);
    if (limits->compiles && engine->n_compiles >= limits->compiles)
        s = an_limits_fail_compile(limits, err);
    else if (limits->live && engine->n_programs >= limits->live)
        s = an_limits_fail_load(limits, err);
    if (s == AN_OK) {
        engine->n_compiles++;
        engine->n_programs++;
    }
    pthread_mutex_unlock(&engine->mutex);
    return s;
}

static void give_place(an_engine *engine)
{
    pthread_mutex_lock(&engine->mutex);
    engine->n_programs--;
    pthread_mutex_unlock(&engine->mutex);
}

static an_status keep_text(an_program *p, const an_source *source,
                           an_error *err)
{
    p->text_size = source->size;
    p->text = an_arena_strndup(&p->arena, source->text, source->size);
    if (source->function)
        p->function = an_arena_strndup(&p->arena, source->function,
                                       strlen(source->function));
    return p->text && (p->function || !source->function)
               ? AN_OK
               : an_plan_no_memory(err);
}

static void free_program(an_program *p)
{
    an_plan_fini(&p->plan);
    an_free(p->work);
    an_free(p->scratch);
    an_module_free(p->module);
    an_arena_fini(&p->arena);
    an_free(p);
}

/* A program that is not counted: the caller does. */
static an_status make_program(an_engine *engine, const an_source *source,
                              an_program **out, an_error *err)
{
    an_program *p = an_alloc(sizeof *p);
    if (!p) return an_plan_no_memory(err);
    p->engine = engine;
    an_arena_init(&p->arena);
    an_status s = keep_text(p, source, err);
    if (s == AN_OK) s = compile(p, source, err);
    if (s == AN_OK)
        *out = p;
    else
        free_program(p);
    return s;
}

an_status an_engine_compile(an_engine *engine, const an_source *source,
                            an_program **out, an_error *err)
{
    an_status s = take_place(engine, err);
    if (s != AN_OK) return s;
    s = make_program(engine, source, out, err);
    if (s != AN_OK) give_place(engine);
    return s;
}

void an_program_free(an_program *p)
{
    if (!p) return;
    an_fence_wait(p->engine->pool, &p->fence, AN_WRITE, NULL);
    give_place(p->engine);
    free_program(p);
}

/* The constants of q, which was made from the same text, become p's. */
static an_status take_constants(an_program *p, const an_program *q,
                                an_error *err)
{
    an_status s = p->plan.n_buffers == q->plan.n_buffers
                      ? AN_OK
                      : an_fail(err, AN_EINVAL, "reload: another program");
    for (int i = 0; s == AN_OK && i < p->plan.n_buffers; i++) {
        const an_buffer *to = &p->plan.buffers[i], *from = &q->plan.buffers[i];
        if (to->kind != AN_BUFFER_CONST) continue;
        if (from->kind != to->kind || from->size_bytes != to->size_bytes)
            return an_fail(err, AN_EINVAL, "reload: another program");
        union {
            const void *constant;
            void *data;
        } memory = {to->data}; /* the program's own arena */
        memcpy(memory.data, from->data, to->size_bytes);
    }
    return s;
}

an_status an_program_reload(an_program *p, const an_blob *blobs, int n_blobs,
                            an_error *err)
{
    if (p->engine->limits.reload == AN_CHIP_RELOAD_STALE) return AN_OK;
    an_program *q = NULL;
    an_source source = {.text = p->text,
                        .size = p->text_size,
                        .name = "reload",
                        .function = p->function,
                        .blobs = blobs,
                        .n_blobs = n_blobs};
    an_status s = make_program(p->engine, &source, &q, err);
    if (s != AN_OK) return s;
    assert(q);
    an_fence_wait(p->engine->pool, &p->fence, AN_WRITE, NULL);
    s = take_constants(p, q, err);
    free_program(q);
    return s;
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
    size_t threads = (size_t)an_pool_threads(p->engine->pool);
    return p->plan.work_bytes + threads * p->plan.scratch_bytes;
}
