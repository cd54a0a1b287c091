/*
 * Steps that call a row's reference kernel on dense doubles: what every op can
 * do. Operands and results are converted in workspace of the step. Scratch
 * that kernels ask for is kept and given again at the next evaluation.
 */
#include "engine/soft/move.h"

#include "base/alloc.h"

#include <string.h>

typedef struct block {
    void *data;
    size_t size_bytes;
} block;

typedef struct an_cache {
    struct an_cache *next; /* of the plan */
    block *blocks;
    size_t capacity;
    int n_blocks, n_used;
} an_cache;

typedef struct tensor {
    an_place place; /* buffer -1: absent */
    an_place dense; /* doubles */
    an_shape shape;
} tensor;

typedef struct reference_step {
    an_step step;
    const an_node *node;
    const an_num *num;
    tensor *in, *out;
    an_dense *dense; /* n_in + n_out */
    int n_in, n_out;
    an_cache *cache;
} reference_step;

void an_caches_free(an_cache *caches)
{
    for (an_cache *c = caches; c; c = c->next) {
        for (int i = 0; i < c->n_blocks; i++)
            an_free(c->blocks[i].data);
        an_free(c->blocks);
    }
}

static void *scratch(const an_eval *e, size_t bytes)
{
    an_cache *c = e->owner;
    if (c->n_used == c->n_blocks) {
        if (!an_grow(&c->blocks, &c->capacity, (size_t)c->n_blocks,
                     sizeof *c->blocks))
            return NULL;
        c->blocks[c->n_blocks++] = (block){NULL, 0};
    }
    block *b = &c->blocks[c->n_used];
    if (b->size_bytes < bytes || !b->data) {
        an_free(b->data);
        *b = (block){an_alloc(bytes), bytes};
        if (!b->data) b->size_bytes = 0;
    } else {
        memset(b->data, 0, bytes);
    }
    if (b->data) c->n_used++;
    return b->data;
}

static void load(const an_exec *exec, const tensor *t)
{
    double *out = an_exec_write(exec, &t->dense, 0);
    const an_place *p = &t->place;
    int64_t n = p->rank ? p->dims[p->rank - 1] : 1;
    int64_t stride = p->rank ? p->strides[p->rank - 1] : 1;
    int64_t rows = an_place_count(p) / n;
    for (int64_t r = 0; r < rows; r++)
        an_load_f64(p->dtype, an_exec_read(exec, p, an_place_row(p, r)), stride,
                    n, out + r * n);
}

static void store(const an_exec *exec, const tensor *t)
{
    const double *x = an_exec_read(exec, &t->dense, 0);
    const an_place *p = &t->place;
    int64_t n = p->rank ? p->dims[p->rank - 1] : 1;
    int64_t stride = p->rank ? p->strides[p->rank - 1] : 1;
    int64_t rows = an_place_count(p) / n;
    for (int64_t r = 0; r < rows; r++)
        an_store_f64(p->dtype, x + r * n, n,
                     an_exec_write(exec, p, an_place_row(p, r)), stride);
}

static an_status run(const an_step *step, const an_exec *exec, int phase,
                     int tile, int worker, an_error *err)
{
    (void)phase;
    (void)tile;
    (void)worker;
    const reference_step *s = (const reference_step *)step;
    for (int i = 0; i < s->n_in + s->n_out; i++) {
        const tensor *t = i < s->n_in ? &s->in[i] : &s->out[i - s->n_in];
        s->dense[i] = (an_dense){.shape = t->shape};
        if (t->place.buffer < 0) continue;
        s->dense[i].data = an_exec_write(exec, &t->dense, 0);
        if (i < s->n_in) load(exec, t);
    }
    s->cache->n_used = 0;
    an_eval e = {.node = s->node,
                 .num = s->num,
                 .in = s->dense,
                 .out = s->dense + s->n_in,
                 .scratch = scratch,
                 .owner = s->cache};
    an_status status = s->node->op->kernel(&e, err);
    for (int i = 0; i < s->n_out && status == AN_OK; i++)
        store(exec, &s->out[i]);
    return status;
}

static an_status add_tensor(an_plan *plan, const an_value *v, an_place place,
                            tensor *out, an_error *err)
{
    const an_shape *s = &v->type->shape;
    int buffer = an_plan_buffer(plan, AN_FP64, an_shape_count(s));
    if (buffer < 0) return an_plan_no_memory(err);
    *out = (tensor){place, an_place_dense(buffer, AN_FP64, s), *s};
    an_plan_touch(plan, place.buffer);
    an_plan_touch(plan, buffer);
    return AN_OK;
}

static an_status add_tensors(an_plan *plan, reference_step *s, an_error *err)
{
    an_status status = AN_OK;
    an_place p;
    for (int i = 0; i < s->n_in && status == AN_OK; i++) {
        const an_value *v = an_node_tensor(s->node, i);
        s->in[i].place.buffer = -1;
        if (!v) continue;
        status = an_plan_operand(plan, v, &p, err);
        if (status == AN_OK) status = add_tensor(plan, v, p, &s->in[i], err);
    }
    for (int i = 0; i < s->n_out && status == AN_OK; i++) {
        const an_value *v = s->node->results[i];
        status = an_plan_result(plan, v, &p, err);
        if (status == AN_OK) status = add_tensor(plan, v, p, &s->out[i], err);
    }
    return status;
}

an_status an_plan_add_reference(an_plan *plan, const an_node *node,
                                an_error *err)
{
    if (!node->op->kernel)
        return an_node_fail(node, err, AN_EUNSUPPORTED,
                            "this engine cannot compute it");
    int n_in = an_node_n_tensors(node), n_out = node->n_results;
    size_t n = (size_t)(n_in + n_out) + 1;
    reference_step *s = an_plan_alloc(plan, sizeof *s);
    tensor *tensors = an_arena_array(plan->arena, n, sizeof *tensors);
    an_dense *dense = an_arena_array(plan->arena, n, sizeof *dense);
    an_cache *cache = an_plan_alloc(plan, sizeof *cache);
    if (!s || !tensors || !dense || !cache) return an_plan_no_memory(err);
    cache->next = plan->caches;
    plan->caches = cache;
    *s = (reference_step){
        .step = {.run = run, .kind = "reference", .n_phases = 1, .tiles = {1}},
        .node = node,
        .num = &plan->numerics->num,
        .in = tensors,
        .out = tensors + n_in,
        .dense = dense,
        .n_in = n_in,
        .n_out = n_out,
        .cache = cache};
    an_status status = add_tensors(plan, s, err);
    if (status != AN_OK) return status;
    return an_plan_append(plan, &s->step) ? AN_OK : an_plan_no_memory(err);
}
