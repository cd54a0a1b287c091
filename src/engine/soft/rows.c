/*
 * Reductions and softmax. A row is what lies under one result (softmax: under
 * one group of results), its elements in row-major order of the reduced axes.
 *
 * Three ways: `along` gathers a row and reduces it in fp32 by the kernel set;
 * `across` reduces a block of neighbouring rows together, element by element,
 * when rows are far apart in themselves and near to each other; `scalar`
 * gathers a row and reduces it by the numerics, in fp64, which is the meaning
 * of the op and serves fp64, integers and wide numerics.
 */
#include "engine/soft/rows_hw.h"
#include "engine/soft/table.h"
#include "kernels/set.h"

#include <math.h>

enum {
    BLOCK = 64,   /* rows of `across` */
    TILE = 32768, /* elements of a tile, about */
    MAX_TILES = 65536,
    MAX_ROW = 1 << 24 /* longer ones go to the reference kernel */
};

typedef struct rows {
    an_step step;
    const an_num *num;
    const an_soft_numerics *numerics;
    const double *exponentials; /* for an_softmax_hw, or NULL */
    const an_kernel_set *kernels;
    an_reduce how;
    an_dtype type;             /* of the result, as declared */
    an_place x_outer, y_outer; /* rows; offsets are of the whole place */
    an_place x_inner, y_inner; /* elements of a row, offset 0; y: softmax */
    int64_t n_outer, n_inner, per_tile;
    an_walk walk; /* of across */
} rows;

/* ---- along and scalar ---- */

static void load_row(const rows *s, const an_exec *exec, int64_t offset,
                     float *out)
{
    const an_place *p = &s->x_inner;
    int64_t n = p->dims[p->rank - 1], stride = p->strides[p->rank - 1];
    for (int64_t r = 0; r * n < s->n_inner; r++)
        an_load_f32(p->dtype,
                    an_exec_read(exec, p, offset + an_place_row(p, r)), stride,
                    n, out + r * n);
}

static float reduce_row(const rows *s, const float *x)
{
    const an_rows *k = &s->kernels->rows;
    size_t n = (size_t)s->n_inner;
    switch (s->how) {
    case AN_REDUCE_SUM:
        return k->sum(n, x);
    case AN_REDUCE_MEAN:
        return k->sum(n, x) / (float)n;
    case AN_REDUCE_SUM_SQUARE:
        return k->sum_square(n, x);
    case AN_REDUCE_MAX:
        return k->max(n, x);
    case AN_REDUCE_MIN:
        return k->min(n, x);
    case AN_REDUCE_LOG_SUM_EXP:
    case AN_REDUCE_SOFTMAX:
    case AN_REDUCE_NONE:
        break;
    }
    return NAN;
}

/* x becomes e^(x - max); returns max + ln(sum), and the sum. */
static float exponentials(const rows *s, float *x, float *sum)
{
    const an_rows *k = &s->kernels->rows;
    size_t n = (size_t)s->n_inner;
    float max = k->max(n, x);
    if (s->how == AN_REDUCE_LOG_SUM_EXP && isinf(max)) return max;
    *sum = k->exp_sum(n, max, x, x);
    return max + logf(*sum);
}

static void store_row(const rows *s, const an_exec *exec, int64_t offset,
                      const float *x)
{
    const an_place *p = &s->y_inner;
    int64_t n = p->dims[p->rank - 1], stride = p->strides[p->rank - 1];
    for (int64_t r = 0; r * n < s->n_inner; r++)
        an_store_f32(p->dtype, x + r * n, n,
                     an_exec_write(exec, p, offset + an_place_row(p, r)),
                     stride);
}

static void run_row(const rows *s, const an_exec *exec, int64_t i, float *row)
{
    int64_t x = an_place_at(&s->x_outer, i), y = an_place_at(&s->y_outer, i);
    load_row(s, exec, x, row);
    if (s->how == AN_REDUCE_SOFTMAX) {
        float sum = 0;
        exponentials(s, row, &sum);
        s->kernels->rows.scale((size_t)s->n_inner, 1 / sum, row);
        store_row(s, exec, y, row);
        return;
    }
    float sum, r = s->how == AN_REDUCE_LOG_SUM_EXP ? exponentials(s, row, &sum)
                                                   : reduce_row(s, row);
    an_store_f32(s->y_outer.dtype, &r, 1, an_exec_write(exec, &s->y_outer, y),
                 1);
}

static an_status run_along(const an_step *step, const an_exec *exec, int phase,
                           int tile, int worker, an_error *err)
{
    (void)phase;
    (void)err;
    const rows *s = (const rows *)step;
    int64_t first = tile * s->per_tile, last = first + s->per_tile;
    for (int64_t i = first; i < last && i < s->n_outer; i++)
        run_row(s, exec, i, an_exec_scratch(exec, worker));
    return AN_OK;
}

static void run_row_scalar(const rows *s, const an_exec *exec, int64_t i,
                           double *row)
{
    const an_place *p = &s->x_inner, *q = &s->y_inner;
    int64_t x = an_place_at(&s->x_outer, i), y = an_place_at(&s->y_outer, i);
    int64_t n = p->dims[p->rank - 1], stride = p->strides[p->rank - 1];
    for (int64_t r = 0; r * n < s->n_inner; r++)
        an_load_f64(p->dtype, an_exec_read(exec, p, x + an_place_row(p, r)),
                    stride, n, row + r * n);
    if (s->how != AN_REDUCE_SOFTMAX) {
        double one =
            s->num->reduce(s->num, s->how, s->n_inner, row, 1, s->type);
        an_store_f64(s->y_outer.dtype, &one, 1,
                     an_exec_write(exec, &s->y_outer, y), 1);
        return;
    }
    if (!s->exponentials ||
        !an_softmax_hw(s->numerics->chip, s->exponentials, s->n_inner, row))
        an_softmax_row(s->num, s->n_inner, row, s->type);
    n = q->dims[q->rank - 1], stride = q->strides[q->rank - 1];
    for (int64_t r = 0; r * n < s->n_inner; r++)
        an_store_f64(q->dtype, row + r * n, n,
                     an_exec_write(exec, q, y + an_place_row(q, r)), stride);
}

static an_status run_scalar(const an_step *step, const an_exec *exec, int phase,
                            int tile, int worker, an_error *err)
{
    (void)phase;
    (void)err;
    const rows *s = (const rows *)step;
    int64_t first = tile * s->per_tile, last = first + s->per_tile;
    for (int64_t i = first; i < last && i < s->n_outer; i++)
        run_row_scalar(s, exec, i, an_exec_scratch(exec, worker));
    return AN_OK;
}

/* ---- across ---- */

/* next = acc combined with x; for the first element, x itself. */
static void combine(const rows *s, bool first, size_t n, const float *acc,
                    const float *x, float *next)
{
    const an_kernel_set *k = s->kernels;
    float square[BLOCK];
    an_loop loop = s->how == AN_REDUCE_MAX   ? AN_LOOP_MAXIMUM
                   : s->how == AN_REDUCE_MIN ? AN_LOOP_MINIMUM
                                             : AN_LOOP_ADD;
    if (s->how == AN_REDUCE_SUM_SQUARE) {
        k->loop_f32(AN_LOOP_SQUARE, n, x, NULL, NULL, square);
        x = square;
    }
    k->loop_f32(first ? AN_LOOP_COPY : loop, n, first ? x : acc, x, NULL, next);
}

/* n neighbouring rows from x, the first result at y. */
static void run_block(const rows *s, const an_exec *exec, int64_t x, int64_t y,
                      int64_t n)
{
    float acc[2][BLOCK], part[BLOCK];
    const an_place *out = &s->y_outer;
    int at = 0;
    for (int64_t j = 0; j < s->n_inner; j++, at = !at) {
        int64_t offset = x + an_place_at(&s->x_inner, j);
        an_load_f32(s->x_inner.dtype, an_exec_read(exec, &s->x_inner, offset),
                    1, n, part);
        combine(s, j == 0, (size_t)n, acc[at], part, acc[!at]);
    }
    for (int64_t i = 0; s->how == AN_REDUCE_MEAN && i < n; i++)
        acc[at][i] /= (float)s->n_inner;
    an_store_f32(out->dtype, acc[at], n, an_exec_write(exec, out, y),
                 out->strides[out->rank - 1]);
}

static an_status run_across(const an_step *step, const an_exec *exec, int phase,
                            int tile, int worker, an_error *err)
{
    (void)phase;
    (void)worker;
    (void)err;
    const rows *s = (const rows *)step;
    const an_walk *w = &s->walk;
    int64_t first = tile * s->per_tile, last = first + s->per_tile;
    for (int64_t u = first; u < last && u < w->units; u++) {
        int64_t row, begin, n;
        an_walk_unit(w, u, &row, &begin, &n);
        run_block(s, exec, an_place_row(&s->x_outer, row) + begin,
                  an_place_row(&s->y_outer, row) +
                      begin * s->y_outer.strides[s->y_outer.rank - 1],
                  n);
    }
    return AN_OK;
}

/* ---- planning ---- */

/* Which axes of x are reduced, by the row's parameter `axes` or `axis`. */
static bool reduced_axes(const an_node *node, int rank, bool on[AN_MAX_RANK])
{
    int axis, n;
    if (an_op_param_index(node->op, "axis", 4) >= 0) {
        for (int i = 0; i < rank; i++)
            on[i] = false;
        if (!an_node_axis(node, "axis", rank, &axis)) return false;
        return on[axis] = true;
    }
    if (an_op_param_index(node->op, "axes", 4) < 0) return false;
    n = an_node_n(node, "axes");
    for (int i = 0; i < rank; i++)
        on[i] = n < 0;
    for (int i = 0; i < n; i++) {
        int64_t a = an_node_int_at(node, "axes", i);
        on[a < 0 ? a + rank : a] = true;
    }
    return true;
}

/* The axes of p where on[] is `which`. */
static an_place pick_axes(const an_place *p, const bool on[AN_MAX_RANK],
                          bool which)
{
    an_place r = {.buffer = p->buffer, .dtype = p->dtype};
    for (int i = 0; i < p->rank; i++) {
        if (on[i] != which) continue;
        r.dims[r.rank] = p->dims[i];
        r.strides[r.rank++] = p->strides[i];
    }
    return r;
}

static void split_axes(rows *s, const an_place *x, const an_place *y,
                       const bool on[AN_MAX_RANK])
{
    s->x_outer = pick_axes(x, on, false);
    s->x_inner = pick_axes(x, on, true);
    s->x_outer.offset = x->offset;
    if (s->how == AN_REDUCE_SOFTMAX) {
        s->y_outer = pick_axes(y, on, false);
        s->y_inner = pick_axes(y, on, true);
    } else {
        an_place_reshape(y, s->x_outer.rank, s->x_outer.dims, &s->y_outer);
        s->y_inner = s->x_inner; /* not used */
    }
    s->y_outer.offset = y->offset;
    s->n_outer = an_place_count(&s->x_outer);
    s->n_inner = an_place_count(&s->x_inner);
    an_places_simplify(2, (an_place *[]){&s->y_outer, &s->x_outer});
    an_places_merge(2, (an_place *[]){&s->y_inner, &s->x_inner});
}

static bool goes_across(const rows *s)
{
    const an_place *x = &s->x_outer, *in = &s->x_inner;
    return s->how != AN_REDUCE_SOFTMAX && s->how != AN_REDUCE_LOG_SUM_EXP &&
           x->strides[x->rank - 1] == 1 && x->dims[x->rank - 1] > 1 &&
           in->strides[in->rank - 1] != 1;
}

static void choose_way(const an_plan *plan, rows *s, an_dtype stored)
{
    int64_t units = s->n_outer;
    bool wide =
        plan->numerics->wide || plan->numerics->chip || !an_fits_f32(stored);
    s->step.scratch_bytes = (size_t)s->n_inner * (wide ? 8 : 4);
    s->step.run = wide ? run_scalar : run_along;
    s->per_tile = TILE / s->n_inner + 1;
    if (!wide && goes_across(s)) {
        s->walk = an_walk_of(&s->x_outer, BLOCK);
        units = s->walk.units;
        s->step.scratch_bytes = 0;
        s->step.run = run_across;
        s->per_tile = TILE / (s->n_inner * s->walk.chunk) + 1;
    }
    if (units / MAX_TILES >= s->per_tile) s->per_tile = units / MAX_TILES + 1;
    s->step.tiles[0] = (int)((units + s->per_tile - 1) / s->per_tile);
}

an_status an_plan_add_rows(an_plan *plan, const an_node *node, bool *done,
                           an_error *err)
{
    bool on[AN_MAX_RANK];
    if (node->op->reduce == AN_REDUCE_NONE) return AN_OK;
    const an_value *v = an_node_tensor(node, 0);
    if (!reduced_axes(node, v->type->shape.rank, on)) return AN_OK;
    rows *s = an_plan_alloc(plan, sizeof *s);
    if (!s) return an_plan_no_memory(err);
    an_place x, y;
    an_status status = an_plan_operand(plan, v, &x, err);
    if (status == AN_OK)
        status = an_plan_result(plan, node->results[0], &y, err);
    if (status != AN_OK) return status;
    s->num = &plan->numerics->num;
    s->numerics = plan->numerics;
    if (an_softmax_hw_fits(plan->numerics->chip, node))
        s->exponentials = an_table_exponentials(plan);
    s->kernels = an_kernels();
    s->how = node->op->reduce;
    s->type = node->results[0]->type->shape.dtype;
    split_axes(s, &x, &y, on);
    if (s->n_inner > MAX_ROW) return AN_OK;
    s->step.kind = "rows";
    s->step.n_phases = 1;
    choose_way(plan, s, an_plan_dtype(plan, v->type->shape.dtype));
    an_plan_touch(plan, x.buffer);
    an_plan_touch(plan, y.buffer);
    *done = true;
    return an_plan_append(plan, &s->step) ? AN_OK : an_plan_no_memory(err);
}
