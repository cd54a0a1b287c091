/*
 * Blocks of matrix products in a chip's arithmetic: kernels/mac.h on fp16 bit
 * patterns. fp16 operands are read where they lie, whatever their strides;
 * other floats are rounded to fp16 into the worker's scratch first, nearest
 * even, as an_num's dot does. One sum runs over all of k.
 */
#include "engine/soft/product.h"
#include "kernels/mac.h"

typedef struct bits {
    const uint16_t *data;
    int64_t row, column; /* strides */
} bits;

static int64_t row_stride(const an_place *p)
{
    return p->strides[p->rank - 2];
}

static int64_t column_stride(const an_place *p)
{
    return p->strides[p->rank - 1];
}

/* n elements of a place from `offset` as fp16 bits. */
static void load_bits(const an_exec *exec, const an_place *p, int64_t offset,
                      int64_t stride, int64_t n, uint16_t *out)
{
    enum { SOME = 64 };
    double part[SOME];
    for (int64_t i = 0; i < n; i += SOME) {
        int64_t some = n - i < SOME ? n - i : SOME;
        an_load_f64(p->dtype, an_exec_read(exec, p, offset + i * stride),
                    stride, some, part);
        for (int64_t k = 0; k < some; k++)
            out[i + k] = an_hw_store(part[k]);
    }
}

static bits operand(const an_exec *exec, const an_place *p, int64_t offset,
                    int64_t rows, int64_t columns, uint16_t *scratch)
{
    if (p->dtype == AN_FP16)
        return (bits){an_exec_read(exec, p, offset), row_stride(p),
                      column_stride(p)};
    for (int64_t i = 0; i < rows; i++)
        load_bits(exec, p, offset + i * row_stride(p), column_stride(p),
                  columns, scratch + i * columns);
    return (bits){scratch, columns, 1};
}

/* Results that are not written in place. */
static void store_rows(const an_product_step *p, const an_exec *exec,
                       const uint16_t *c, const an_product_block *at)
{
    const an_place *out = &p->out;
    for (int64_t i = 0; i < at->m; i++) {
        int64_t offset = at->out + i * row_stride(out);
        for (int64_t j = 0; j < at->n; j++) {
            double x = an_hw_load(c[i * at->n + j]);
            an_store_f64(
                out->dtype, &x, 1,
                an_exec_write(exec, out, offset + j * column_stride(out)), 1);
        }
    }
}

static an_status run(const an_step *step, const an_exec *exec, int phase,
                     int tile, int worker, an_error *err)
{
    (void)phase;
    (void)err;
    const an_product_step *p = (const an_product_step *)step;
    unsigned char *scratch = an_exec_scratch(exec, worker);
    an_product_block at = an_product_block_of(p, tile);
    uint16_t *bias = NULL, *c = (void *)(scratch + p->at_c);
    bits a = operand(exec, &p->a.place, at.a, at.m, p->k, (void *)scratch);
    bits b = operand(exec, &p->b.place, at.b, p->k, at.n,
                     (void *)(scratch + p->at_b));
    if (p->bias.buffer >= 0) {
        int64_t stride = p->bias.strides[0];
        bias = (void *)(scratch + p->at_bias);
        load_bits(exec, &p->bias, p->bias.offset + at.row * stride, stride,
                  at.m, bias);
    }
    if (p->out_direct) c = an_exec_write(exec, &p->out, at.out);
    an_gemm_mac(&p->chip->mac, at.m, at.n, p->k, a.data, a.row, a.column,
                b.data, b.row, b.column, bias, c,
                p->out_direct ? row_stride(&p->out) : at.n,
                scratch + p->at_work);
    if (!p->out_direct) store_rows(p, exec, c, &at);
    return AN_OK;
}

static size_t halves(int64_t n)
{
    enum { ALIGN = 64 };
    return ((size_t)n * sizeof(uint16_t) + ALIGN - 1) / ALIGN * ALIGN;
}

an_status an_product_finish_hw(an_plan *plan, an_product_step *p, an_error *err)
{
    int64_t batches = an_place_count(&p->out) / (p->m * p->n);
    p->chip = plan->numerics->chip;
    p->out_direct = p->out.dtype == AN_FP16 && column_stride(&p->out) == 1;
    p->at_b = p->a.place.dtype == AN_FP16 ? 0 : halves(p->block_m * p->k);
    p->at_bias =
        p->at_b + (p->b.place.dtype == AN_FP16 ? 0 : halves(p->block_n * p->k));
    p->at_c = p->at_bias + (p->bias.buffer < 0 ? 0 : halves(p->block_m));
    p->at_work =
        p->at_c + (p->out_direct ? 0 : halves(p->block_m * p->block_n));
    p->step = (an_step){
        .run = run,
        .kind = "product",
        .n_phases = 1,
        .tiles = {(int)(batches * p->blocks_m * p->blocks_n)},
        .scratch_bytes =
            p->at_work + an_gemm_mac_work_bytes(p->block_m, p->block_n, p->k)};
    an_plan_touch(plan, p->a.place.buffer);
    an_plan_touch(plan, p->b.place.buffer);
    an_plan_touch(plan, p->out.buffer);
    if (p->bias.buffer >= 0) an_plan_touch(plan, p->bias.buffer);
    return an_plan_append(plan, &p->step) ? AN_OK : an_plan_no_memory(err);
}
