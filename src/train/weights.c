/*
 * Memory of the trained tensors and its way to engines and files.
 */
#include "train/weights.h"

#include "base/alloc.h"
#include "base/half.h"
#include "kernels/kernels.h"

#include <string.h>

enum { ALIGN = 64 };

static void free_weight(an_weight *w)
{
    an_surface_free(w->placed);
    an_surface_free(w->shared);
    an_free(w->master);
    an_free(w->grad);
    an_free(w->m);
    an_free(w->v);
}

void an_weights_free(an_weights *w)
{
    if (!w) return;
    for (int i = 0; i < w->n; i++)
        free_weight(&w->list[i]);
    an_free(w->list);
    an_free(w);
}

static an_status new_weight(an_weights *w, an_weight *x, an_weights_use use,
                            an_error *err)
{
    size_t bytes;
    x->n = (size_t)(x->param->rows * x->param->columns);
    if (!an_mul_size(x->n, an_dtype_size(w->dtype), &bytes))
        return an_fail(err, AN_EINVAL, "%s: too large", x->param->name);
    x->master = an_alloc_aligned(ALIGN, bytes);
    bool ok = x->master;
    if (ok && use == AN_WEIGHTS_TRAIN && x->param->trained) {
        x->grad = an_alloc_aligned(ALIGN, bytes);
        x->m = an_alloc_aligned(ALIGN, bytes);
        x->v = an_alloc_aligned(ALIGN, bytes);
        ok = x->grad && x->m && x->v;
    }
    if (!ok) return an_fail(err, AN_ENOMEM, "%s: no memory", x->param->name);
    return an_surface_wrap(w->cpu, x->master, bytes, &x->shared, err);
}

an_status an_weights_new(const an_model *model, an_dtype dtype,
                         an_weights_use use, an_engine *cpu, an_weights **out,
                         an_error *err)
{
    int n = an_model_n_params(model);
    an_weights *w = an_alloc(sizeof *w);
    if (w) w->list = an_alloc_array((size_t)n, sizeof *w->list);
    if (!w || !w->list) {
        an_free(w);
        return an_fail(err, AN_ENOMEM, "weights: no memory");
    }
    w->dtype = dtype;
    w->cpu = cpu;
    for (; w->n < n; w->n++) {
        w->list[w->n].param = an_model_param_at(model, w->n);
        an_status s = new_weight(w, &w->list[w->n], use, err);
        if (s != AN_OK) {
            w->n++;
            an_weights_free(w);
            return s;
        }
    }
    *out = w;
    return AN_OK;
}

size_t an_weights_bytes(const an_weights *w)
{
    size_t bytes = 0;
    for (int i = 0; i < w->n; i++) {
        bytes += w->list[i].n * an_dtype_size(w->dtype);
        if (w->list[i].placed) bytes += w->list[i].port.size_bytes;
    }
    return bytes;
}

int64_t an_weights_trained(const an_weights *w)
{
    int64_t n = 0;
    for (int i = 0; i < w->n; i++) {
        const an_model_param *p = w->list[i].param;
        for (int k = 0; w->list[i].grad && k < p->n_parts; k++)
            n += p->parts[k].rows * p->parts[k].columns;
    }
    return n;
}

size_t an_weights_optimizer_bytes(const an_weights *w)
{
    size_t n = 0;
    for (int i = 0; i < w->n; i++)
        if (w->list[i].grad) n += w->list[i].n;
    return 3 * n * an_dtype_size(w->dtype);
}

typedef struct init {
    an_weights *w;
    const an_model *model;
    uint64_t seed;
    int weight;
} init;

enum { INIT_TILE = 1 << 16 };

static an_status init_tile(void *ctx, int phase, int tile, int worker,
                           an_error *err)
{
    (void)phase;
    (void)worker;
    (void)err;
    enum { CHUNK = 1024 };
    const init *o = ctx;
    const an_weight *x = &o->w->list[o->weight];
    float values[CHUNK];
    size_t end = ((size_t)tile + 1) * INIT_TILE;
    if (end > x->n) end = x->n;
    for (size_t at = (size_t)tile * INIT_TILE; at < end; at += CHUNK) {
        size_t n = end - at < CHUNK ? end - at : CHUNK;
        an_model_init_param(o->model, o->weight, o->seed, (int64_t)at,
                            (int64_t)n, values);
        for (size_t k = 0; k < n; k++)
            if (o->w->dtype == AN_FP64)
                ((double *)x->master)[at + k] = (double)values[k];
            else
                ((float *)x->master)[at + k] = values[k];
    }
    return AN_OK;
}

an_status an_weights_init(an_weights *w, an_param_set set,
                          const an_model *model, uint64_t seed,
                          struct an_pool *pool, an_error *err)
{
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < w->n; i++) {
        if (!an_param_in(w->list[i].param, set)) continue;
        init o = {w, model, seed, i};
        int tiles = (int)((w->list[i].n + INIT_TILE - 1) / INIT_TILE);
        s = an_pool_run(pool, tiles, init_tile, &o, err);
    }
    return s;
}

/* Row-major without gaps, in the master's type: read in place. */
static bool reads_master(const an_weights *w, const an_weight *x,
                         const an_port *port)
{
    return port->shape.dtype == w->dtype &&
           port->size_bytes == x->n * an_dtype_size(w->dtype);
}

static bool same_layout(const an_port *a, const an_port *b)
{
    return a->shape.dtype == b->shape.dtype && a->row_bytes == b->row_bytes &&
           a->size_bytes == b->size_bytes;
}

an_status an_weight_surface(an_weights *w, int i, an_engine *engine,
                            const an_port *port, an_surface **out,
                            an_error *err)
{
    an_weight *x = &w->list[i];
    if (reads_master(w, x, port)) {
        *out = x->shared;
        return AN_OK;
    }
    size_t rows = port->row_bytes ? port->size_bytes / port->row_bytes : 0;
    if (x->placed ? !same_layout(&x->port, port)
                  : rows < (size_t)x->param->rows)
        return an_fail(err, AN_EINVAL, "%s: two programs want two layouts",
                       x->param->name);
    if (!x->placed) {
        an_status s = an_surface_new(engine, port->size_bytes, &x->placed, err);
        if (s != AN_OK) return s;
        x->port = *port;
        x->port.name = x->param->port;
        an_weight_publish(w, i, 0, x->param->rows);
    }
    *out = x->placed;
    return AN_OK;
}

static void copy_row(const an_weights *w, const an_weight *x, int64_t row,
                     an_dtype dtype, unsigned char *to)
{
    size_t n = (size_t)x->param->columns;
    const void *master = (const unsigned char *)x->master +
                         (size_t)row * n * an_dtype_size(w->dtype);
    if (dtype == w->dtype) {
        memcpy(to, master, n * an_dtype_size(w->dtype));
    } else if (w->dtype == AN_FP32 && dtype == AN_FP16) {
        an_convert_float_to_half(n, master, (uint16_t *)(void *)to);
    } else if (w->dtype == AN_FP64 && dtype == AN_FP32) {
        for (size_t k = 0; k < n; k++)
            ((float *)(void *)to)[k] = (float)((const double *)master)[k];
    } else {
        for (size_t k = 0; k < n; k++)
            ((uint16_t *)(void *)to)[k] =
                an_half_from_double(((const double *)master)[k]);
    }
}

void an_weight_copy(const an_weights *w, int i, an_dtype dtype, void *to)
{
    const an_weight *x = &w->list[i];
    size_t bytes = (size_t)x->param->columns * an_dtype_size(dtype);
    for (int64_t row = 0; row < x->param->rows; row++)
        copy_row(w, x, row, dtype, (unsigned char *)to + (size_t)row * bytes);
}

void an_weight_publish(const an_weights *w, int i, int64_t begin, int64_t end)
{
    const an_weight *x = &w->list[i];
    if (!x->placed) return;
    unsigned char *data = an_surface_data(x->placed);
    for (int64_t row = begin; row < end; row++)
        copy_row(w, x, row, x->port.shape.dtype,
                 data + (size_t)row * x->port.row_bytes);
}

void an_weight_clear_gaps(const an_weights *w, int i, int64_t begin,
                          int64_t end)
{
    const an_weight *x = &w->list[i];
    size_t size = an_dtype_size(w->dtype), columns = (size_t)x->param->columns;
    for (int64_t row = begin; row < end; row++) {
        size_t from = columns, to = columns;
        for (int k = 0; k < x->param->n_parts; k++) {
            const an_param_part *p = &x->param->parts[k];
            if (row < p->row || row >= p->row + p->rows) continue;
            from = (size_t)p->column;
            to = from + (size_t)p->columns;
        }
        unsigned char *at =
            (unsigned char *)x->grad + (size_t)row * columns * size;
        memset(at, 0, from * size);
        memset(at + to * size, 0, (columns - to) * size);
    }
}

void an_weights_publish(an_weights *w)
{
    for (int i = 0; i < w->n; i++)
        an_weight_publish(w, i, 0, w->list[i].param->rows);
}

/* FNV-1a over 32-bit words. */
uint64_t an_weights_digest(const an_weights *w)
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < w->n; i++) {
        const an_weight *x = &w->list[i];
        const unsigned char *data = x->master;
        size_t bytes = x->n * an_dtype_size(w->dtype);
        for (size_t at = 0; !x->param->adapter && at < bytes; at += 4) {
            uint32_t word;
            memcpy(&word, data + at, sizeof word);
            digest = (digest ^ word) * UINT64_C(0x100000001b3);
        }
    }
    return digest;
}

/* ---- files ---- */

static void *memory(const an_weight *x, an_weights_what what)
{
    return what == AN_WEIGHTS_MASTER ? x->master
           : what == AN_WEIGHTS_M    ? x->m
                                     : x->v;
}

int an_weights_n_tensors(const an_weights *w, an_param_set set)
{
    int n = 0;
    for (int i = 0; i < w->n; i++)
        if (an_param_in(w->list[i].param, set)) n += w->list[i].param->n_parts;
    return n;
}

static unsigned char *first_element(const an_weights *w, const an_weight *x,
                                    const an_param_part *part,
                                    an_weights_what what)
{
    size_t at = (size_t)(part->row * x->param->columns + part->column);
    return (unsigned char *)memory(x, what) + at * an_dtype_size(w->dtype);
}

/* The part as a tensor over the weight's memory. */
static void part_tensor(const an_weights *w, const an_weight *x,
                        const an_param_part *part, an_weights_what what,
                        an_st_tensor *out)
{
    size_t size = an_dtype_size(w->dtype);
    size_t row = (size_t)x->param->columns * size;
    out->dtype = w->dtype;
    out->rank = part->file_rank;
    out->transposed = part->transposed;
    out->shape[0] = part->transposed ? part->columns : part->rows;
    if (part->file_rank == 2)
        out->shape[1] = part->transposed ? part->rows : part->columns;
    out->data = first_element(w, x, part, what);
    out->size_bytes = (size_t)(part->rows * part->columns) * size;
    out->row_bytes = part->columns < x->param->columns ? row : 0;
}

an_status an_weights_tensors(const an_weights *w, an_weights_what what,
                             an_param_set set, const char *prefix,
                             an_arena *arena, an_st_tensor *list, int *n,
                             an_error *err)
{
    for (int i = 0; i < w->n; i++) {
        const an_weight *x = &w->list[i];
        if (!an_param_in(x->param, set)) continue;
        for (int p = 0; p < x->param->n_parts; p++) {
            const an_param_part *part = &x->param->parts[p];
            an_st_tensor *t = &list[*n];
            part_tensor(w, x, part, what, t);
            t->name = an_arena_printf(arena, "%s%s", prefix, part->name);
            if (!t->name) return an_fail(err, AN_ENOMEM, "weights: no memory");
            ++*n;
        }
    }
    return AN_OK;
}

/* One part, row by row into the weight's memory. */
static void load_part(const an_weights *w, const an_weight *x,
                      const an_param_part *part, an_weights_what what,
                      const an_stored_tensor *from)
{
    size_t row = (size_t)x->param->columns * an_dtype_size(w->dtype);
    unsigned char *to = first_element(w, x, part, what);
    an_stored_axis axis = part->transposed ? AN_STORED_COLUMNS : AN_STORED_ROWS;
    if (part->file_rank == 1) {
        an_stored_read(from, AN_STORED_ROWS, 0, w->dtype, to);
        return;
    }
    for (int64_t r = 0; r < part->rows; r++)
        an_stored_read(from, axis, r, w->dtype, to + (size_t)r * row);
}

an_status an_weights_load(an_weights *w, an_weights_what what, an_param_set set,
                          const an_model *model, an_weight_file *from,
                          an_error *err)
{
    an_status s = an_weight_file_check_set(from, model, set, err);
    for (int i = 0; s == AN_OK && i < w->n; i++) {
        const an_weight *x = &w->list[i];
        if (!an_param_in(x->param, set)) continue;
        for (int p = 0; p < x->param->n_parts; p++) {
            const an_param_part *part = &x->param->parts[p];
            const an_stored_tensor *t = an_weight_file_use(from, part->name);
            load_part(w, x, part, what, t);
            an_weight_file_forget(from, t);
        }
    }
    return s;
}
