/*
 * From text to a program: what the chip refuses, the plan, and its memory.
 */
#include "engine/soft/program.h"

#include "base/alloc.h"

#include <string.h>

enum { ALIGN = 64 };

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
static an_check_mode check_mode(const an_soft_engine *e)
{
    return e->numerics.wide ? AN_CHECK_EXACT : AN_CHECK_CHIP;
}

static an_soft_engine *engine_of(const an_soft_program *p)
{
    return (an_soft_engine *)p->base.engine;
}

/* What the chip refuses. */
static an_status refuse(const an_soft_program *p, const an_source *source,
                        an_error *err)
{
    const an_soft_engine *e = engine_of(p);
    return an_rules_refuse(
        p->base.module, source->name ? source->name : "program",
        e->base.chip->name, check_mode(e), e->base.limits.rules, err);
}

static an_status rewrite(an_soft_program *p, an_error *err)
{
    const an_soft_engine *e = engine_of(p);
    an_function *f = p->base.function;
    an_status s = AN_OK;
    p->plan.function = f;
    if (e->base.limits.rules == AN_RULES_SILENT)
        s = an_rules_spoil(f, e->base.chip->name, check_mode(e), err);
    return s == AN_OK ? an_soft_rewrite(p->plan.numerics, f, err) : s;
}

static an_status make_plan(an_soft_program *p, an_error *err)
{
    an_plan *plan = &p->plan;
    const an_function *f = plan->function;
    size_t n = (size_t)f->n_values + 1, n_results = (size_t)f->n_results + 1;
    plan->places = an_arena_array(&p->base.arena, n, sizeof *plan->places);
    an_place *results =
        an_arena_array(&p->base.arena, n_results, sizeof *results);
    if (!plan->places || !results) return an_plan_no_memory(err);
    for (size_t i = 0; i < n; i++)
        plan->places[i].buffer = -1;
    for (int i = 0; i < f->n_params; i++) {
        int buffer = port_buffer(plan, AN_INPUT, i);
        if (buffer < 0) return an_plan_no_memory(err);
        plan->places[f->params[i]->id] =
            port_place(&p->base.ports[AN_INPUT][i], buffer);
    }
    for (int i = 0; i < f->n_results; i++) {
        int buffer = port_buffer(plan, AN_OUTPUT, i);
        if (buffer < 0) return an_plan_no_memory(err);
        results[i] = port_place(&p->base.ports[AN_OUTPUT][i], buffer);
    }
    return an_plan_build(plan, results, err);
}

/* The phases of all steps that have tiles. */
static an_status list_phases(an_soft_program *p, an_error *err)
{
    const an_plan *plan = &p->plan;
    size_t n = (size_t)plan->n_steps * AN_STEP_PHASES + 1;
    p->phases = an_arena_array(&p->base.arena, n, sizeof *p->phases);
    if (!p->phases) return an_plan_no_memory(err);
    for (int i = 0; i < plan->n_steps; i++) {
        const an_step *s = plan->steps[i];
        for (int k = 0; k < s->n_phases; k++)
            if (s->tiles[k])
                p->phases[p->n_phases++] = (an_phase){s, k, s->tiles[k]};
    }
    return AN_OK;
}

static an_status make_memory(an_soft_program *p, an_error *err)
{
    an_plan *plan = &p->plan;
    size_t all, threads = (size_t)an_pool_threads(p->base.engine->pool);
    plan->scratch_bytes = (plan->scratch_bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (!an_mul_size(plan->scratch_bytes, threads, &all))
        return an_plan_no_memory(err);
    p->work = an_alloc_aligned(ALIGN, plan->work_bytes + ALIGN);
    p->scratch = an_alloc_aligned(ALIGN, all + ALIGN);
    return p->work && p->scratch ? AN_OK : an_plan_no_memory(err);
}

/* Text that is not MIL is no program of hardware either. */
static an_status parse(an_soft_program *p, const an_source *source,
                       an_error *err)
{
    an_status s = an_program_parse(&p->base, source, err);
    bool is_text = s == AN_ESYNTAX || s == AN_ETYPE;
    if (is_text && an_generation_find(engine_of(p)->base.chip->name) != 0)
        an_symptom_put("C2", err);
    return s;
}

/* All but the place among the live programs. */
static an_status build(an_soft_program *p, const an_source *source,
                       an_error *err)
{
    an_soft_engine *e = engine_of(p);
    p->plan.arena = &p->base.arena;
    p->plan.engine = e;
    p->plan.source = source;
    p->plan.numerics = &e->numerics;
    an_status s = parse(p, source, err);
    if (s == AN_OK) s = refuse(p, source, err);
    if (s == AN_OK) s = an_program_choose(&p->base, source, err);
    if (s == AN_OK) s = rewrite(p, err);
    if (s == AN_OK) s = an_program_lay_out(&p->base, err);
    if (s == AN_OK) s = make_plan(p, err);
    if (s == AN_OK) s = list_phases(p, err);
    if (s == AN_OK) s = make_memory(p, err);
    p->plan.source = NULL;
    return s;
}

an_status an_soft_compile(an_program *program, const an_source *source,
                          an_error *err)
{
    an_soft_program *p = (an_soft_program *)program;
    an_status s = an_engine_take_compile(program->engine, err);
    if (s == AN_OK) s = an_engine_take_place(program->engine, err);
    if (s != AN_OK) return s;
    p->placed = true;
    return build(p, source, err);
}

static void free_plan(an_soft_program *p)
{
    an_plan_fini(&p->plan);
    an_free(p->work);
    an_free(p->scratch);
}

void an_soft_free_program(an_program *program)
{
    an_soft_program *p = (an_soft_program *)program;
    if (p->placed) an_engine_give_place(program->engine);
    free_plan(p);
}

/* The constants of q, which was made from the same text, become p's. */
static an_status take_constants(an_soft_program *p, const an_soft_program *q,
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

/* A program beside the one that runs, of the same text, gives the constants. */
an_status an_soft_reload(an_program *program, const an_blob *blobs, int n_blobs,
                         an_error *err)
{
    if (program->engine->limits.reload == AN_CHIP_RELOAD_STALE) return AN_OK;
    an_soft_program *p = (an_soft_program *)program;
    an_soft_program other = {.base = {.engine = program->engine}};
    an_source source = {.text = program->text,
                        .size = program->text_size,
                        .name = "reload",
                        .function = program->function_name,
                        .blobs = blobs,
                        .n_blobs = n_blobs};
    an_arena_init(&other.base.arena);
    an_status s = build(&other, &source, err);
    if (s == AN_OK) {
        an_fence_wait(program->engine->pool, &program->fence, AN_WRITE, NULL);
        s = take_constants(p, &other, err);
    }
    free_plan(&other);
    an_module_free(other.base.module);
    an_arena_fini(&other.base.arena);
    return s;
}

size_t an_soft_work_bytes(const an_program *program)
{
    const an_soft_program *p = (const an_soft_program *)program;
    size_t threads = (size_t)an_pool_threads(program->engine->pool);
    return p->plan.work_bytes + threads * p->plan.scratch_bytes;
}
