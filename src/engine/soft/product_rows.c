/*
 * Products with few columns: every result is the dot product of a row of the
 * left operand with a column, by the kernels' gemv, which reads the row as it
 * is stored: fp32, fp16, or int8 with scales. Such a product takes as long as
 * its matrix takes to be read from memory. A tile is a number of rows that
 * follows from their length.
 */
#include "engine/soft/product.h"
#include "kernels/set.h"

typedef an_product_step product;

enum {
    MOST_COLUMNS = 8,
    LEAST_ROWS = 16,
    TILE_ELEMENTS = 1 << 16 /* of the matrix */
};

static int64_t stride(const an_place *p, int axis)
{
    return p->strides[p->rank - 2 + axis];
}

static int64_t dim(const an_place *p, int axis)
{
    return p->dims[p->rank - 2 + axis];
}

static an_gemv_type type_of(const an_side *s)
{
    return s->scales.buffer >= 0       ? AN_GEMV_Q8
           : s->place.dtype == AN_FP16 ? AN_GEMV_F16
                                       : AN_GEMV_F32;
}

/* Rows of k elements side by side, in a type that the kernel reads. */
static bool has_rows(const an_side *s)
{
    const an_place *p = &s->place;
    bool reads =
        s->scales.buffer >= 0 || p->dtype == AN_FP32 || p->dtype == AN_FP16;
    return reads && (stride(p, 1) == 1 || dim(p, 1) == 1);
}

bool an_product_is_rows(product *p)
{
    if (p->wide) return false;
    int64_t m = dim(&p->out, 0), n = dim(&p->out, 1);
    if (n <= MOST_COLUMNS && m >= n && has_rows(&p->a)) return true;
    an_product_turn(p);
    if (m <= MOST_COLUMNS && n >= m && has_rows(&p->a) && p->bias.buffer < 0)
        return true;
    an_product_turn(p);
    return false;
}

/* Column j of the right operand in fp32, in place where it lies so. */
static const float *column(const product *p, const an_exec *exec,
                           int64_t offset, float *scratch)
{
    const an_place *b = &p->b.place;
    const void *x = an_exec_read(exec, b, offset);
    if (b->dtype == AN_FP32 && (stride(b, 0) == 1 || p->k == 1)) return x;
    an_load_f32(b->dtype, x, stride(b, 0), p->k, scratch);
    return scratch;
}

static void add_bias(const product *p, const an_exec *exec, int64_t row,
                     int64_t rows, float *out)
{
    for (int64_t i = 0; i < rows; i++) {
        float bias;
        int64_t offset = p->bias.offset + (row + i) * p->bias.strides[0];
        an_load_f32(p->bias.dtype, an_exec_read(exec, &p->bias, offset), 0, 1,
                    &bias);
        out[i] += bias;
    }
}

static an_status run(const an_step *step, const an_exec *exec, int phase,
                     int tile, int worker, an_error *err)
{
    (void)phase;
    (void)err;
    const product *p = (const product *)step;
    float *sums = an_exec_scratch(exec, worker);
    float *room = (float *)((unsigned char *)sums + p->at_b);
    an_product_block at = an_product_block_of(p, tile);
    an_gemv g = {.rows = at.m,
                 .k = p->k,
                 .a = an_exec_read(exec, &p->a.place, at.a),
                 .lda = stride(&p->a.place, 0)};
    if (p->a.scales.buffer >= 0) {
        g.lds = p->k / AN_GEMV_GROUP;
        g.scales = an_exec_read(exec, &p->a.scales,
                                p->a.scales.offset + at.row * g.lds);
    }
    for (int64_t j = 0; j < p->n; j++) {
        const float *x =
            column(p, exec, at.b + j * stride(&p->b.place, 1), room);
        an_kernels()->gemv[type_of(&p->a)](&g, x, sums);
        if (p->bias.buffer >= 0) add_bias(p, exec, at.row, at.m, sums);
        an_store_f32(
            p->out.dtype, sums, at.m,
            an_exec_write(exec, &p->out, at.out + j * stride(&p->out, 1)),
            stride(&p->out, 0));
    }
    return AN_OK;
}

an_status an_product_finish_rows(an_plan *plan, product *p, an_error *err)
{
    int64_t rows = TILE_ELEMENTS / p->k / LEAST_ROWS * LEAST_ROWS;
    if (rows < LEAST_ROWS) rows = LEAST_ROWS;
    p->block_m = p->m < rows ? p->m : rows;
    p->blocks_m = (p->m + p->block_m - 1) / p->block_m;
    p->block_n = p->n;
    p->blocks_n = 1;
    p->at_b = (size_t)(p->block_m + LEAST_ROWS) / LEAST_ROWS * LEAST_ROWS *
              sizeof(float);
    int64_t batches = an_place_count(&p->out) / (p->m * p->n);
    p->step =
        (an_step){.run = run,
                  .kind = "rows product",
                  .n_phases = 1,
                  .tiles = {(int)(batches * p->blocks_m)},
                  .scratch_bytes = p->at_b + (size_t)p->k * sizeof(float)};
    an_plan_touch(plan, p->a.place.buffer);
    an_plan_touch(plan, p->b.place.buffer);
    an_plan_touch(plan, p->out.buffer);
    if (p->bias.buffer >= 0) an_plan_touch(plan, p->bias.buffer);
    if (p->a.scales.buffer >= 0) an_plan_touch(plan, p->a.scales.buffer);
    return an_plan_append(plan, &p->step) ? AN_OK : an_plan_no_memory(err);
}
