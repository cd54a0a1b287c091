/*
 * Building a plan: what is alive, where values are (place.c), which nodes make
 * a step and in what order, which workspace buffers may share memory.
 *
 * Order: a node that is no element-wise operation becomes a step as soon as
 * its operands are there. When only element-wise ones are left to run, the
 * first of them opens a chain that takes in all others of its shape that can
 * run then, so chains are as long as the data flow allows.
 */
#include "engine/soft/narrow.h"

#include "base/alloc.h"
#include "mil/blob.h"

#include <string.h>

enum { WORK_ALIGN = 64, MAX_CHAIN = 48 };

an_status an_plan_no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "plan: no memory");
}

void an_plan_fini(an_plan *plan)
{
    an_free(plan->buffers);
    an_free(plan->steps);
    an_caches_free(plan->caches);
}

void *an_plan_alloc(an_plan *plan, size_t bytes)
{
    return an_arena_alloc(plan->arena, bytes);
}

/* ---- buffers ---- */

int an_plan_add_buffer(an_plan *plan, an_buffer buffer)
{
    if (!an_grow(&plan->buffers, &plan->cap_buffers, (size_t)plan->n_buffers,
                 sizeof *plan->buffers))
        return -1;
    buffer.first = -1;
    plan->buffers[plan->n_buffers] = buffer;
    return plan->n_buffers++;
}

int an_plan_buffer(an_plan *plan, an_dtype dtype, int64_t count)
{
    size_t bytes;
    if (!an_mul_size((size_t)count, an_dtype_size(dtype), &bytes)) return -1;
    return an_plan_add_buffer(
        plan, (an_buffer){.kind = AN_BUFFER_WORK, .size_bytes = bytes});
}

void an_plan_touch(an_plan *plan, int buffer)
{
    an_buffer *b = &plan->buffers[buffer];
    if (b->first < 0) b->first = plan->n_steps;
    b->last = plan->n_steps;
}

bool an_plan_append(an_plan *plan, an_step *step)
{
    if (!an_grow(&plan->steps, &plan->cap_steps, (size_t)plan->n_steps,
                 sizeof *plan->steps))
        return false;
    if (step->scratch_bytes > plan->scratch_bytes)
        plan->scratch_bytes = step->scratch_bytes;
    step->nodes = plan->nodes;
    step->n_nodes = plan->n_nodes;
    plan->steps[plan->n_steps++] = step;
    return true;
}

/* ---- operands and results ---- */

an_dtype an_plan_dtype(const an_plan *plan, an_dtype dtype)
{
    return an_soft_stored(plan->numerics, dtype);
}

static const an_blob *find_blob(const an_plan *plan, const an_literal *l)
{
    const an_source *s = plan->source;
    for (int i = 0; i < s->n_blobs; i++)
        if (strlen(s->blobs[i].path) == l->path.size &&
            memcmp(s->blobs[i].path, l->path.text, l->path.size) == 0)
            return &s->blobs[i];
    return NULL;
}

/* A weight file's elements, unpacked into the arena. */
static an_status read_blob(an_plan *plan, const an_literal *l, void **data,
                           an_error *err)
{
    const an_blob *blob = find_blob(plan, l);
    if (!blob)
        return an_fail_at(err, AN_EINVAL, l->line, l->column,
                          "no weight file is given for \"%.*s\"",
                          (int)(l->path.size < 200 ? l->path.size : 200),
                          l->path.text);
    const an_shape *s = &l->type->shape;
    int64_t count = an_shape_count(s);
    an_blob_record record;
    an_status status = an_blob_read(blob->data, blob->size, blob->path,
                                    l->offset, s->dtype, count, &record, err);
    if (status != AN_OK) return status;
    *data = an_arena_array(plan->arena, (size_t)count, an_dtype_size(s->dtype));
    if (!*data) return an_plan_no_memory(err);
    an_blob_unpack(&record, s->dtype, count, *data);
    return AN_OK;
}

static an_status place_literal(an_plan *plan, const an_literal *l,
                               an_place *out, an_error *err)
{
    union {
        const void *in;
        void *out;
    } data = {NULL};
    if (l->kind == AN_LIT_DATA)
        data.in = l->data;
    else if (l->kind != AN_LIT_BLOB)
        return an_fail_at(err, AN_EUNSUPPORTED, l->line, l->column,
                          "a constant that is no tensor is used as one");
    else {
        an_status s = read_blob(plan, l, &data.out, err);
        if (s != AN_OK) return s;
    }
    an_buffer b = {.kind = AN_BUFFER_CONST, .data = data.in};
    if (l->kind == AN_LIT_BLOB)
        b.size_bytes = (size_t)an_shape_count(&l->type->shape) *
                       an_dtype_size(l->type->shape.dtype);
    int buffer = an_plan_add_buffer(plan, b);
    if (buffer < 0) return an_plan_no_memory(err);
    *out = an_place_dense(buffer, l->type->shape.dtype, &l->type->shape);
    return AN_OK;
}

an_status an_plan_operand(an_plan *plan, const an_value *v, an_place *out,
                          an_error *err)
{
    an_place *known = v->name ? &plan->places[v->id] : NULL;
    if (known && known->buffer >= 0) {
        *out = *known;
        return AN_OK;
    }
    an_place p;
    an_status s = place_literal(plan, v->literal, &p, err);
    if (s != AN_OK) return s;
    if (known) *known = p;
    *out = p;
    return AN_OK;
}

an_status an_plan_result(an_plan *plan, const an_value *v, an_place *out,
                         an_error *err)
{
    an_place *p = &plan->places[v->id];
    if (p->buffer < 0) {
        const an_shape *s = &v->type->shape;
        an_dtype dtype = an_plan_dtype(plan, s->dtype);
        int buffer = an_plan_buffer(plan, dtype, an_shape_count(s));
        if (buffer < 0) return an_plan_no_memory(err);
        *p = an_place_dense(buffer, dtype, s);
    }
    *out = *p;
    return AN_OK;
}

/* ---- what is alive ---- */

static void count_operand(an_plan *plan, const an_value *v)
{
    if (v && v->name) plan->n_readers[v->id]++;
}

static bool is_live(const an_plan *plan, const an_node *node)
{
    for (int i = 0; i < node->n_results; i++)
        if (plan->n_readers[node->results[i]->id]) return true;
    return false;
}

/* Conversions that a contraction does itself are nobody's operand. */
static void skip_narrow(an_plan *plan)
{
    const an_function *f = plan->function;
    an_narrow narrow;
    for (int i = 0; i < f->n_nodes; i++)
        if (is_live(plan, f->nodes[i]) &&
            an_narrow_find(plan, f->nodes[i], &narrow))
            for (int k = 0; k < narrow.n_nodes; k++)
                plan->skipped[narrow.nodes[k]->results[0]->id] = true;
}

static void count_readers(an_plan *plan)
{
    const an_function *f = plan->function;
    for (int i = 0; i < f->n_results; i++)
        plan->n_readers[f->results[i]->id]++;
    for (int i = f->n_nodes - 1; i >= 0; i--) {
        const an_node *node = f->nodes[i];
        if (!is_live(plan, node)) continue;
        int n = an_node_n_tensors(node);
        for (int k = 0; k < n; k++)
            count_operand(plan, an_node_tensor(node, k));
    }
}

static an_status check_tensors(const an_node *node, an_error *err)
{
    int n = an_node_n_tensors(node), n_all = n + node->n_results;
    for (int i = 0; i < n_all; i++) {
        const an_value *v =
            i < n ? an_node_tensor(node, i) : node->results[i - n];
        if (!v) continue;
        if (v->type->kind != AN_TYPE_TENSOR ||
            v->type->shape.dtype == AN_STRING)
            return an_node_fail(node, err, AN_EUNSUPPORTED,
                                "this engine computes tensors of numbers only");
        for (int k = 0; k < v->type->shape.rank; k++)
            if (v->type->shape.dims[k] < 0)
                return an_node_fail(node, err, AN_EUNSUPPORTED,
                                    "a dimension is unknown");
    }
    return AN_OK;
}

/* ---- steps ---- */

/* The steps that follow are for these nodes. */
static an_status begin_nodes(an_plan *plan, const an_node *const *nodes, int n,
                             an_error *err)
{
    const an_node **copy =
        an_arena_array(plan->arena, (size_t)n, sizeof(an_node *));
    if (!copy) return an_plan_no_memory(err);
    memcpy(copy, nodes, (size_t)n * sizeof *copy);
    plan->nodes = copy;
    plan->n_nodes = n;
    return AN_OK;
}

static an_status add_step(an_plan *plan, const an_node *node, an_error *err)
{
    bool done = false;
    an_view view;
    an_status s = begin_nodes(plan, &node, 1, err);
    if (s != AN_OK) return s;
    if (an_plan_view(plan, node, &view))
        return an_plan_add_view(plan, node, &view, err);
    s = an_plan_add_product(plan, node, &done, err);
    if (s == AN_OK && !done) s = an_plan_add_rows(plan, node, &done, err);
    if (s == AN_OK && !done) s = an_plan_add_reference(plan, node, err);
    return s;
}

/* Nodes that wait: the live ones but constants, in the text's order. */
typedef struct schedule {
    an_plan *plan;
    const an_node **waiting;
    int n_waiting;
    bool *ready; /* by value id */
    const an_node *chain[MAX_CHAIN];
} schedule;

static bool is_ready(const schedule *s, const an_node *node)
{
    int n = an_node_n_tensors(node);
    for (int i = 0; i < n; i++) {
        const an_value *v = an_node_tensor(node, i);
        if (v && v->name && !v->literal && !s->ready[v->id]) return false;
    }
    return true;
}

static void take(schedule *s, const an_node *node)
{
    for (int i = 0; i < node->n_results; i++)
        s->ready[node->results[i]->id] = true;
}

/* Adds every other node that can run, in one sweep: what one makes ready later
 * ones may use. What stays moves up. */
static an_status sweep(schedule *s, an_error *err)
{
    int kept = 0;
    an_status status = AN_OK;
    for (int i = 0; i < s->n_waiting; i++) {
        const an_node *node = s->waiting[i];
        if (status == AN_OK && !an_plan_chains(s->plan, node) &&
            is_ready(s, node)) {
            status = add_step(s->plan, node, err);
            take(s, node);
        } else {
            s->waiting[kept++] = node;
        }
    }
    s->n_waiting = kept;
    return status;
}

static bool same_dims(const an_node *a, const an_node *b)
{
    an_shape x = a->results[0]->type->shape, y = b->results[0]->type->shape;
    x.dtype = y.dtype;
    return an_shape_equal(&x, &y);
}

static an_status chain(schedule *s, an_error *err)
{
    int n = 0, kept = 0;
    for (int i = 0; i < s->n_waiting; i++) {
        const an_node *node = s->waiting[i];
        bool joins = n < MAX_CHAIN && an_plan_chains(s->plan, node) &&
                     (n == 0 || same_dims(node, s->chain[0])) &&
                     is_ready(s, node);
        if (joins) {
            s->chain[n++] = node;
            take(s, node);
        } else {
            s->waiting[kept++] = node;
        }
    }
    s->n_waiting = kept;
    an_status status = begin_nodes(s->plan, s->chain, n, err);
    return status == AN_OK ? an_plan_add_chain(s->plan, s->chain, n, err)
                           : status;
}

static an_status run_schedule(schedule *s, an_error *err)
{
    an_status status = AN_OK;
    while (s->n_waiting > 0 && status == AN_OK) {
        int before = s->n_waiting;
        status = sweep(s, err);
        if (status == AN_OK && s->n_waiting == before) status = chain(s, err);
    }
    return status;
}

static an_status add_steps(an_plan *plan, an_error *err)
{
    const an_function *f = plan->function;
    schedule s = {.plan = plan};
    s.waiting = an_alloc_array((size_t)f->n_nodes + 1, sizeof *s.waiting);
    s.ready = an_alloc_array((size_t)f->n_values + 1, sizeof *s.ready);
    an_status status = s.waiting && s.ready ? AN_OK : an_plan_no_memory(err);
    for (int i = 0; i < f->n_params && status == AN_OK; i++)
        s.ready[f->params[i]->id] = true;
    for (int i = 0; i < f->n_nodes && status == AN_OK; i++) {
        const an_node *node = f->nodes[i];
        if (node->op == &an_op_const || !is_live(plan, node)) continue;
        if (plan->skipped[node->results[0]->id]) {
            s.ready[node->results[0]->id] = true;
            continue;
        }
        s.waiting[s.n_waiting++] = node;
        status = check_tensors(node, err);
    }
    if (status == AN_OK) status = run_schedule(&s, err);
    an_free(s.waiting);
    an_free(s.ready);
    return status;
}

/* Results that were not produced in place. */
static an_status add_result_copies(an_plan *plan, const an_place *results,
                                   an_error *err)
{
    const an_function *f = plan->function;
    plan->n_nodes = 0;
    for (int i = 0; i < f->n_results; i++) {
        an_place p;
        an_status s = an_plan_operand(plan, f->results[i], &p, err);
        if (s == AN_OK && !an_place_equal(&p, &results[i]))
            s = an_plan_add_copy(plan, &p, &results[i], err);
        if (s != AN_OK) return s;
    }
    return AN_OK;
}

/* ---- workspace ---- */

static bool lives_together(const an_buffer *a, const an_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset where `b` overlaps none of the buffers placed before it
 * that live at the same time; they are sorted by offset. */
static size_t free_offset(const an_plan *plan, const int *placed, int n,
                          const an_buffer *b)
{
    size_t offset = 0;
    for (int i = 0; i < n; i++) {
        const an_buffer *other = &plan->buffers[placed[i]];
        if (!lives_together(other, b)) continue;
        if (offset + b->size_bytes <= other->offset) break;
        size_t end = other->offset + other->size_bytes;
        end = (end + WORK_ALIGN - 1) / WORK_ALIGN * WORK_ALIGN;
        if (end > offset) offset = end;
    }
    return offset;
}

static void insert_sorted(const an_plan *plan, int *placed, int n, int buffer)
{
    size_t offset = plan->buffers[buffer].offset;
    for (; n > 0 && plan->buffers[placed[n - 1]].offset > offset; n--)
        placed[n] = placed[n - 1];
    placed[n] = buffer;
}

static an_status assign_workspace(an_plan *plan, an_error *err)
{
    int *placed = an_alloc_array((size_t)plan->n_buffers + 1, sizeof *placed);
    if (!placed) return an_plan_no_memory(err);
    an_status s = AN_OK;
    for (int i = 0, n = 0; i < plan->n_buffers && s == AN_OK; i++) {
        an_buffer *b = &plan->buffers[i];
        if (b->kind != AN_BUFFER_WORK || b->first < 0) continue;
        b->offset = free_offset(plan, placed, n, b);
        insert_sorted(plan, placed, n++, i);
        if (b->size_bytes > SIZE_MAX / 4 || b->offset > SIZE_MAX / 4)
            s = an_plan_no_memory(err);
        else if (b->offset + b->size_bytes > plan->work_bytes)
            plan->work_bytes = b->offset + b->size_bytes;
    }
    an_free(placed);
    return s;
}

an_status an_plan_build(an_plan *plan, const an_place *results, an_error *err)
{
    size_t n = (size_t)plan->function->n_values + 1;
    plan->n_readers = an_arena_array(plan->arena, n, sizeof *plan->n_readers);
    plan->skipped = an_arena_array(plan->arena, n, sizeof *plan->skipped);
    if (!plan->n_readers || !plan->skipped) return an_plan_no_memory(err);
    count_readers(plan);
    skip_narrow(plan);
    an_status s = an_plan_place(plan, results, err);
    if (s == AN_OK) s = add_steps(plan, err);
    if (s == AN_OK) s = add_result_copies(plan, results, err);
    if (s == AN_OK) s = assign_workspace(plan, err);
    return s;
}
