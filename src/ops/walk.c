/* Walks over dense tensors for the reference kernels. */
#include "ops/ops.h"

#include <string.h>

void an_walk_init(an_walk *w, int rank, const int64_t *dims)
{
    *w = (an_walk){.rank = rank};
    for (int i = 0; i < rank; i++)
        w->dims[i] = dims[i];
}

void an_walk_add(an_walk *w, const int64_t *step, int64_t at)
{
    for (int i = 0; i < w->rank; i++)
        w->step[w->n][i] = step[i];
    w->at[w->n++] = at;
}

void an_dense_steps(const an_shape *shape, int64_t step[AN_MAX_RANK])
{
    int64_t s = 1;
    for (int i = shape->rank; i-- > 0;) {
        step[i] = s;
        s *= shape->dims[i];
    }
}

void an_walk_add_broadcast(an_walk *w, const an_shape *shape)
{
    int64_t own[AN_MAX_RANK] = {0}, step[AN_MAX_RANK] = {0};
    int missing = w->rank - shape->rank;
    an_dense_steps(shape, own);
    for (int i = 0; i < shape->rank; i++)
        step[missing + i] = shape->dims[i] == 1 ? 0 : own[i];
    an_walk_add(w, step, 0);
}

void an_walk_next(an_walk *w)
{
    for (int i = w->rank; i-- > 0;) {
        bool wraps = ++w->index[i] == w->dims[i];
        int64_t moved = wraps ? 1 - w->dims[i] : 1;
        if (wraps) w->index[i] = 0;
        for (int k = 0; k < w->n; k++)
            w->at[k] += moved * w->step[k][i];
        if (!wraps) return;
    }
}

static void *scratch(const an_eval *e, int64_t n, size_t size, an_error *err)
{
    void *block = e->scratch(e, (size_t)n * size);
    if (!block)
        an_node_fail(e->node, err, AN_ENOMEM,
                     "no memory for %lld elements of scratch", (long long)n);
    return block;
}

an_status an_eval_doubles(const an_eval *e, int64_t n, double **out,
                          an_error *err)
{
    double *block = scratch(e, n, sizeof *block, err);
    if (!block) return AN_ENOMEM;
    *out = block;
    return AN_OK;
}

const an_dense *an_eval_in(const an_eval *e, const char *param)
{
    const an_value *value = an_node_value(e->node, param);
    for (int i = 0; value && i < an_node_n_tensors(e->node); i++)
        if (an_node_tensor(e->node, i) == value) return &e->in[i];
    return NULL;
}

/* Offsets of all combinations of the axes whose mark is `wanted`. */
static int64_t *offsets(const an_eval *e, const an_shape *x,
                        const bool marked[AN_MAX_RANK], bool wanted,
                        int64_t *count, an_error *err)
{
    int64_t step[AN_MAX_RANK], n = 1;
    an_shape part = {.rank = 0};
    int64_t part_step[AN_MAX_RANK];
    an_dense_steps(x, step);
    for (int i = 0; i < x->rank; i++) {
        if (marked[i] != wanted) continue;
        part_step[part.rank] = step[i];
        part.dims[part.rank++] = x->dims[i];
        n *= x->dims[i];
    }
    int64_t *out = scratch(e, n, sizeof *out, err);
    if (!out) return NULL;
    an_walk w;
    an_walk_init(&w, part.rank, part.dims);
    an_walk_add(&w, part_step, 0);
    for (int64_t i = 0; i < n; i++, an_walk_next(&w))
        out[i] = w.at[0];
    *count = n;
    return out;
}

an_status an_groups_make(const an_eval *e, const an_shape *x,
                         const bool marked[AN_MAX_RANK], an_groups *out,
                         an_error *err)
{
    an_groups g = {0};
    g.outer = offsets(e, x, marked, false, &g.n_outer, err);
    if (!g.outer) return AN_ENOMEM;
    g.inner = offsets(e, x, marked, true, &g.n_inner, err);
    if (!g.inner) return AN_ENOMEM;
    *out = g;
    return AN_OK;
}
