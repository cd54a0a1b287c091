/*
 * Phases: squares of each chunk, their sum in order, the update of each chunk.
 * Chunks are rows of parameters, cut by shape alone.
 */
#include "train/update.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 1 << 15 }; /* elements, about */

typedef struct chunk {
    int weight;
    int64_t begin, end; /* rows */
} chunk;

struct an_update {
    an_weights *w;
    chunk *chunks;
    int n_chunks;
    double *partial;
    an_access *access;
    an_job job;
    an_update_step *step; /* while running */
};

static int64_t chunk_rows(const an_model_param *p)
{
    int64_t rows = CHUNK / (p->columns > 0 ? p->columns : 1);
    return rows > 0 ? rows : 1;
}

static int count_chunks(const an_weights *w)
{
    int n = 0;
    for (int i = 0; i < w->n; i++) {
        const an_model_param *p = w->list[i].param;
        if (!p->trained) continue;
        int64_t rows = chunk_rows(p);
        n += (int)((p->rows + rows - 1) / rows);
    }
    return n;
}

static void fill_chunks(an_update *u)
{
    int n = 0;
    for (int i = 0; i < u->w->n; i++) {
        const an_model_param *p = u->w->list[i].param;
        if (!p->trained) continue;
        int64_t rows = chunk_rows(p);
        for (int64_t r = 0; r < p->rows; r += rows)
            u->chunks[n++] =
                (chunk){i, r, r + rows < p->rows ? r + rows : p->rows};
    }
}

static void square_chunk(const an_update *u, int tile)
{
    const chunk *c = &u->chunks[tile];
    const an_weight *x = &u->w->list[c->weight];
    size_t columns = (size_t)x->param->columns;
    size_t at = (size_t)c->begin * columns;
    size_t n = (size_t)(c->end - c->begin) * columns;
    if (x->param->adapter)
        an_weight_clear_gaps(u->w, c->weight, c->begin, c->end);
    u->partial[tile] = u->w->dtype == AN_FP64
                           ? an_sum_square_f64(n, (const double *)x->grad + at)
                           : an_sum_square_f32(n, (const float *)x->grad + at);
}

static void combine(an_update *u)
{
    an_update_step *s = u->step;
    double sum = 0;
    for (int i = 0; i < u->n_chunks; i++)
        sum += u->partial[i];
    s->grad_norm = sqrt(sum) / s->divisor;
    s->skipped = s->overflow || !isfinite(s->grad_norm);
    double t = (double)(s->updates + 1);
    s->adamw.correction1 = 1.0 - pow(s->adamw.beta1, t);
    s->adamw.correction2 = 1.0 - pow(s->adamw.beta2, t);
    s->adamw.grad_factor = 1.0 / s->divisor;
    if (s->clip > 0 && s->grad_norm > s->clip)
        s->adamw.grad_factor *= s->clip / s->grad_norm;
}

static void update_chunk(const an_update *u, int tile)
{
    const chunk *c = &u->chunks[tile];
    const an_weight *x = &u->w->list[c->weight];
    size_t columns = (size_t)x->param->columns;
    size_t at = (size_t)c->begin * columns;
    size_t n = (size_t)(c->end - c->begin) * columns;
    size_t size = an_dtype_size(u->w->dtype);
    if (!u->step->skipped) {
        an_adamw o = u->step->adamw;
        if (!x->param->decay) o.decay = 0;
        if (u->w->dtype == AN_FP64)
            an_adamw_f64(&o, n, (double *)x->master + at, (double *)x->m + at,
                         (double *)x->v + at, (const double *)x->grad + at,
                         NULL);
        else
            an_adamw_f32(&o, n, (float *)x->master + at, (float *)x->m + at,
                         (float *)x->v + at, (const float *)x->grad + at, NULL);
        an_weight_publish(u->w, c->weight, c->begin, c->end);
    }
    memset((unsigned char *)x->grad + at * size, 0, n * size);
}

static int update_tiles(void *ctx, int phase)
{
    const an_update *u = ctx;
    return phase == 1 ? 1 : phase < 3 ? u->n_chunks : 0;
}

static an_status update_tile(void *ctx, int phase, int tile, int worker,
                             an_error *err)
{
    (void)worker;
    (void)err;
    an_update *u = ctx;
    if (phase == 0)
        square_chunk(u, tile);
    else if (phase == 1)
        combine(u);
    else
        update_chunk(u, tile);
    return AN_OK;
}

/* Masters, placed copies and gradients of every trained weight. */
static int fill_access(an_update *u)
{
    int n = 0;
    for (int i = 0; i < u->w->n; i++) {
        an_weight *x = &u->w->list[i];
        if (!x->param->trained) continue;
        struct an_fence *placed =
            x->placed ? an_surface_fence(x->placed) : NULL;
        u->access[n++] = (an_access){.fence = an_surface_fence(x->shared),
                                     .mode = AN_UPDATE};
        u->access[n++] =
            (an_access){.fence = &x->grad_fence, .mode = AN_UPDATE};
        if (placed)
            u->access[n++] = (an_access){.fence = placed, .mode = AN_UPDATE};
    }
    return n;
}

an_status an_update_new(an_weights *w, an_update **out, an_error *err)
{
    an_update *u = an_alloc(sizeof *u);
    if (!u) return an_fail(err, AN_ENOMEM, "update: no memory");
    u->w = w;
    u->n_chunks = count_chunks(w);
    u->chunks = an_alloc_array((size_t)u->n_chunks, sizeof *u->chunks);
    u->partial = an_alloc_array((size_t)u->n_chunks, sizeof *u->partial);
    u->access = an_alloc_array((size_t)w->n * 3, sizeof *u->access);
    if (!u->chunks || !u->partial || !u->access) {
        an_update_free(u);
        return an_fail(err, AN_ENOMEM, "update: no memory");
    }
    fill_chunks(u);
    an_job_init(&u->job, (an_work){update_tiles, update_tile, u}, u->access,
                fill_access(u));
    *out = u;
    return AN_OK;
}

void an_update_free(an_update *u)
{
    if (!u) return;
    an_free(u->chunks);
    an_free(u->partial);
    an_free(u->access);
    an_free(u);
}

an_status an_update_run(an_update *u, struct an_pool *pool, an_update_step *s,
                        an_error *err)
{
    u->step = s;
    an_pool_submit(pool, &u->job);
    an_status status = an_pool_wait(pool, &u->job, err);
    s->seconds = u->job.ended - u->job.started;
    u->step = NULL;
    return status;
}
