/*
 * Contractions as blocks of matrix products.
 *
 * The unit of work is a block of up to BLOCK_M x BLOCK_N results of one batch
 * index; its sum runs over blocks of BLOCK_K, ascending, in fp32 (fp64 for
 * fp64 and wide numerics), starting from the bias. Operands are read where
 * they lie when their type and strides suit the kernel (one of the two axes
 * with stride 1); otherwise the block is converted into the worker's scratch.
 * When several blocks of rows share the right operand it is converted once, by
 * a copy step in front. The result is rounded once, into its place.
 *
 * A left operand that is a conversion of something stored narrower (narrow.c)
 * is read as that, and converted with its blocks. Few columns are the matter of
 * product_rows.c.
 */
#include "engine/soft/product.h"
#include "engine/soft/narrow.h"
#include "kernels/kernels.h"
#include "kernels/set.h"

/* Sizes that keep a block's operands within a second-level cache. */
enum { BLOCK_M = 128, SINGLE_M = 256, BLOCK_N = 512, BLOCK_K = 1024 };

typedef an_side side;
typedef an_product_step product;

/* A block of an operand as the kernel takes it. */
typedef struct matrix {
    const void *data;
    int64_t ld;
    bool transposed;
} matrix;

static int64_t row_stride(const an_place *p)
{
    return p->strides[p->rank - 2];
}

static int64_t column_stride(const an_place *p)
{
    return p->strides[p->rank - 1];
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- running ---- */

static void load(const product *p, an_dtype dtype, const void *x,
                 int64_t stride, int64_t n, void *out, int64_t at)
{
    if (p->wide)
        an_load_f64(dtype, x, stride, n, (double *)out + at);
    else
        an_load_f32(dtype, x, stride, n, (float *)out + at);
}

static void store(const product *p, const void *x, int64_t at, int64_t n,
                  void *out)
{
    if (p->wide)
        an_store_f64(p->out.dtype, (const double *)x + at, n, out,
                     column_stride(&p->out));
    else
        an_store_f32(p->out.dtype, (const float *)x + at, n, out,
                     column_stride(&p->out));
}

/* n elements from `offset`, which were loaded, times their scales. */
static void scale(const side *s, const an_exec *exec, int64_t offset, int64_t n,
                  float *x)
{
    const float *scales = an_exec_read(exec, &s->scales, s->scales.offset);
    int64_t first = (offset - s->place.offset) / AN_GEMV_GROUP;
    for (int64_t g = 0; g < n / AN_GEMV_GROUP; g++)
        for (int i = 0; i < AN_GEMV_GROUP; i++)
            x[g * AN_GEMV_GROUP + i] *= scales[first + g];
}

/* rows x columns of an operand from an offset, in place or converted. */
static matrix block_of(const product *p, const side *s, const an_exec *exec,
                       int64_t offset, int64_t rows, int64_t columns,
                       void *scratch)
{
    const an_place *at = &s->place;
    int64_t rs = row_stride(at), cs = column_stride(at);
    if (s->direct)
        return (matrix){an_exec_read(exec, at, offset), s->flipped ? cs : rs,
                        s->flipped};
    int64_t lines = s->flipped ? columns : rows;
    int64_t length = s->flipped ? rows : columns;
    int64_t line_stride = s->flipped ? cs : rs, stride = s->flipped ? rs : cs;
    for (int64_t i = 0; i < lines; i++) {
        int64_t from = offset + i * line_stride;
        load(p, at->dtype, an_exec_read(exec, at, from), stride, length,
             scratch, i * length);
        if (s->scales.buffer >= 0)
            scale(s, exec, from, length, (float *)scratch + i * length);
    }
    return (matrix){scratch, length, s->flipped};
}

static void multiply(const product *p, matrix a, matrix b, int64_t m, int64_t n,
                     int64_t k, bool add, void *c, int64_t ldc)
{
    if (p->wide)
        an_gemm_f64(a.transposed, b.transposed, m, n, k, a.data, a.ld, b.data,
                    b.ld, add ? 1 : 0, c, ldc);
    else
        an_gemm_f32(a.transposed, b.transposed, m, n, k, a.data, a.ld, b.data,
                    b.ld, add ? 1 : 0, c, ldc);
}

/* Fills rows of C with the bias of their row. */
static void fill_bias(const product *p, const an_exec *exec, int64_t row,
                      int64_t m, int64_t n, void *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++) {
        int64_t offset = p->bias.offset + (row + i) * p->bias.strides[0];
        load(p, p->bias.dtype, an_exec_read(exec, &p->bias, offset), 0, n, c,
             i * ldc);
    }
}

/* Offset of a batch index among the leading axes of [batch.., rows, columns].
 */
static int64_t batch_offset(const an_place *p, int64_t batch)
{
    an_place lead = *p;
    lead.rank--; /* an_place_row leaves out the last axis that remains */
    return an_place_row(&lead, batch);
}

an_product_block an_product_block_of(const product *p, int tile)
{
    int64_t batch = tile / (p->blocks_m * p->blocks_n);
    int64_t row = tile / p->blocks_n % p->blocks_m * p->block_m;
    int64_t column = tile % p->blocks_n * p->block_n;
    return (an_product_block){
        .row = row,
        .m = least(p->block_m, p->m - row),
        .n = least(p->block_n, p->n - column),
        .a = batch_offset(&p->a.place, batch) + row * row_stride(&p->a.place),
        .b = batch_offset(&p->b.place, batch) +
             column * column_stride(&p->b.place),
        .out = batch_offset(&p->out, batch) + row * row_stride(&p->out) +
               column * column_stride(&p->out)};
}

static void store_rows(const product *p, const an_exec *exec, const void *c,
                       int64_t offset, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++)
        store(p, c, i * n, n,
              an_exec_write(exec, &p->out, offset + i * row_stride(&p->out)));
}

static an_status run(const an_step *step, const an_exec *exec, int phase,
                     int tile, int worker, an_error *err)
{
    (void)phase;
    (void)err;
    const product *p = (const product *)step;
    unsigned char *scratch = an_exec_scratch(exec, worker);
    an_product_block at = an_product_block_of(p, tile);
    int64_t m = at.m, n = at.n;
    void *c = p->out_direct ? an_exec_write(exec, &p->out, at.out)
                            : scratch + p->at_c;
    int64_t ldc = p->out_direct ? row_stride(&p->out) : n;
    bool add = p->bias.buffer >= 0;
    if (add) fill_bias(p, exec, at.row, m, n, c, ldc);
    for (int64_t from = 0; from < p->k; from += BLOCK_K) {
        int64_t k = least(BLOCK_K, p->k - from);
        matrix a =
            block_of(p, &p->a, exec, at.a + from * column_stride(&p->a.place),
                     m, k, scratch);
        matrix b =
            block_of(p, &p->b, exec, at.b + from * row_stride(&p->b.place), k,
                     n, scratch + p->at_b);
        multiply(p, a, b, m, n, k, add, c, ldc);
        add = true;
    }
    if (!p->out_direct) store_rows(p, exec, c, at.out, m, n);
    return AN_OK;
}

/* ---- planning ---- */

static void swap_last(an_place *p)
{
    int i = p->rank - 2, j = p->rank - 1;
    int64_t dim = p->dims[i], stride = p->strides[i];
    p->dims[i] = p->dims[j], p->strides[i] = p->strides[j];
    p->dims[j] = dim, p->strides[j] = stride;
}

/* A place reshaped, by a dense copy where strides cannot say it. */
static an_status reshaped(an_plan *plan, an_place *p, const an_shape *shape,
                          an_error *err)
{
    if (an_place_reshape(p, shape->rank, shape->dims, p)) return AN_OK;
    an_shape own = {.dtype = p->dtype, .rank = p->rank};
    for (int i = 0; i < p->rank; i++)
        own.dims[i] = p->dims[i];
    int buffer = an_plan_buffer(plan, p->dtype, an_place_count(p));
    if (buffer < 0) return an_plan_no_memory(err);
    an_place dense = an_place_dense(buffer, p->dtype, &own);
    an_status s = an_plan_add_copy(plan, p, &dense, err);
    if (s != AN_OK) return s;
    an_place_reshape(&dense, shape->rank, shape->dims, p);
    return AN_OK;
}

/* Can the kernel read (or write) a matrix of these strides? */
static bool suits(int64_t lines, int64_t line_stride, int64_t length,
                  int64_t stride)
{
    return (stride == 1 || length == 1) &&
           (line_stride >= length || lines == 1);
}

static void choose_side(side *s, an_dtype wanted)
{
    an_place *p = &s->place;
    int64_t rows = p->dims[p->rank - 2], columns = p->dims[p->rank - 1];
    int64_t *rs = &p->strides[p->rank - 2], *cs = &p->strides[p->rank - 1];
    bool straight = suits(rows, *rs, columns, *cs);
    bool flipped = suits(columns, *cs, rows, *rs);
    s->flipped = !straight && (flipped || (*rs == 1 && *cs != 1));
    s->direct = p->dtype == wanted && (straight || flipped);
    /* Leading dimensions of single lines must still be large enough. */
    if (straight && rows == 1) *rs = columns;
    if (!straight && flipped && columns == 1) *cs = rows;
}

/* The right operand converted as a whole, in its own order. */
static an_status convert(an_plan *plan, an_place *p, an_dtype dtype,
                         an_error *err)
{
    bool flip = row_stride(p) == 1 && column_stride(p) != 1;
    an_place from = *p;
    if (flip) swap_last(&from);
    for (int i = 0; i + 2 < from.rank; i++)
        if (from.strides[i] == 0) from.dims[i] = 1; /* broadcast: once */
    an_shape shape = {.dtype = dtype, .rank = from.rank};
    for (int i = 0; i < from.rank; i++)
        shape.dims[i] = from.dims[i];
    int buffer = an_plan_buffer(plan, dtype, an_place_count(&from));
    if (buffer < 0) return an_plan_no_memory(err);
    an_place to = an_place_dense(buffer, dtype, &shape);
    an_status s = an_plan_add_copy(plan, &from, &to, err);
    for (int i = 0; i + 2 < to.rank; i++)
        if (from.strides[i] == 0) to.strides[i] = 0, to.dims[i] = p->dims[i];
    if (flip) swap_last(&to);
    *p = to;
    return s;
}

/* The left operand as it is stored. */
static an_status find_narrow(an_plan *plan, const an_narrow *n,
                             const an_shape *shape, side *a, an_error *err)
{
    an_status s = an_plan_operand(plan, n->data, &a->place, err);
    if (s != AN_OK) return s;
    an_place_reshape(&a->place, shape->rank, shape->dims, &a->place);
    return n->scales ? an_plan_operand(plan, n->scales, &a->scales, err)
                     : AN_OK;
}

static an_status find_operands(an_plan *plan, const an_node *node,
                               const an_contract *c, product *p, an_error *err)
{
    an_place *places[] = {&p->a.place, &p->b.place};
    an_narrow narrow;
    p->a.scales.buffer = p->b.scales.buffer = p->bias.buffer = -1;
    for (int i = 0; i < 2; i++) {
        const an_shape *shape = i ? &c->b_shape : &c->a_shape;
        const an_value *v = an_node_tensor(node, i ? c->b : c->a);
        an_status s = AN_OK;
        if (i == 0 && an_narrow_find(plan, node, &narrow)) {
            s = find_narrow(plan, &narrow, shape, &p->a, err);
        } else {
            s = an_plan_operand(plan, v, places[i], err);
            if (s == AN_OK) s = reshaped(plan, places[i], shape, err);
        }
        if (s != AN_OK) return s;
        if (i ? c->transpose_b : c->transpose_a) swap_last(places[i]);
    }
    if (c->bias < 0) return AN_OK;
    return an_plan_operand(plan, an_node_tensor(node, c->bias), &p->bias, err);
}

/* Leading axes as those of the result. */
static void broadcast_batch(an_place *p, const an_place *out)
{
    an_place r = *p;
    int64_t dims[AN_MAX_RANK];
    for (int i = 0; i < out->rank; i++)
        dims[i] = out->dims[i];
    dims[out->rank - 2] = p->dims[p->rank - 2];
    dims[out->rank - 1] = p->dims[p->rank - 1];
    an_place_broadcast(p, out->rank, dims, &r);
    r.strides[r.rank - 2] = row_stride(p);
    r.strides[r.rank - 1] = column_stride(p);
    *p = r;
}

static void choose_blocks(product *p)
{
    p->m = p->out.dims[p->out.rank - 2];
    p->n = p->out.dims[p->out.rank - 1];
    p->k = p->a.place.dims[p->a.place.rank - 1];
    p->block_m = p->m <= SINGLE_M ? p->m : BLOCK_M;
    p->block_n = p->n <= BLOCK_N ? p->n : BLOCK_N;
    p->blocks_m = (p->m + p->block_m - 1) / p->block_m;
    p->blocks_n = (p->n + p->block_n - 1) / p->block_n;
}

void an_product_turn(product *p)
{
    side a = p->a;
    p->a = p->b, p->b = a;
    swap_last(&p->a.place), swap_last(&p->b.place), swap_last(&p->out);
}

/* Swaps the operands when the result is stored with stride 1 along m. */
static void orient(product *p)
{
    if (row_stride(&p->out) == 1 && column_stride(&p->out) != 1 &&
        p->bias.buffer < 0 && p->a.scales.buffer < 0)
        an_product_turn(p);
}

static size_t aligned(int64_t elements, size_t size)
{
    enum { ALIGN = 64 };
    return ((size_t)elements * size + ALIGN - 1) / ALIGN * ALIGN;
}

static an_status finish(an_plan *plan, product *p, an_error *err)
{
    an_dtype dtype = p->wide ? AN_FP64 : AN_FP32;
    size_t size = an_dtype_size(dtype);
    int64_t k = least(p->k, BLOCK_K);
    if (p->blocks_m > 1 && p->b.place.dtype != dtype) {
        an_status s = convert(plan, &p->b.place, dtype, err);
        if (s != AN_OK) return s;
    }
    choose_side(&p->a, dtype);
    choose_side(&p->b, dtype);
    p->out_direct = p->out.dtype == dtype && column_stride(&p->out) == 1 &&
                    (row_stride(&p->out) >= p->n);
    p->at_b = p->a.direct ? 0 : aligned(p->block_m * k, size);
    p->at_c = p->at_b + (p->b.direct ? 0 : aligned(p->block_n * k, size));
    int64_t batches = an_place_count(&p->out) / (p->m * p->n);
    p->step = (an_step){
        .run = run,
        .kind = "product",
        .n_phases = 1,
        .tiles = {(int)(batches * p->blocks_m * p->blocks_n)},
        .scratch_bytes =
            p->at_c +
            (p->out_direct ? 0 : aligned(p->block_m * p->block_n, size))};
    an_plan_touch(plan, p->a.place.buffer);
    an_plan_touch(plan, p->b.place.buffer);
    an_plan_touch(plan, p->out.buffer);
    if (p->bias.buffer >= 0) an_plan_touch(plan, p->bias.buffer);
    if (p->a.scales.buffer >= 0) an_plan_touch(plan, p->a.scales.buffer);
    return an_plan_append(plan, &p->step) ? AN_OK : an_plan_no_memory(err);
}

/* The result's place in the contraction's shape; where strides cannot say it,
 * a dense one that is copied afterwards. */
static an_status find_result(an_plan *plan, const an_node *node,
                             const an_contract *c, an_place *at, an_place *out,
                             an_error *err)
{
    an_status s = an_plan_result(plan, node->results[0], at, err);
    const an_shape *shape = &c->out_shape;
    if (s != AN_OK || an_place_reshape(at, shape->rank, shape->dims, out))
        return s;
    int buffer = an_plan_buffer(plan, at->dtype, an_place_count(at));
    if (buffer < 0) return an_plan_no_memory(err);
    *out = an_place_dense(buffer, at->dtype, shape);
    return AN_OK;
}

static bool is_supported(const an_plan *plan, const an_node *node,
                         an_contract *c)
{
    enum { MAX_TILES = 1 << 24 };
    if (node->op->cls != AN_CLASS_CONTRACTION || !node->op->contract ||
        !node->op->contract(node, c))
        return false;
    an_dtype dtype = an_plan_dtype(plan, c->a_shape.dtype);
    if (dtype != AN_FP64 && !an_fits_f32(dtype)) return false;
    int64_t tiles = an_shape_count(&c->out_shape);
    return dtype != AN_BOOL && tiles / BLOCK_M < MAX_TILES;
}

an_status an_plan_add_product(an_plan *plan, const an_node *node, bool *done,
                              an_error *err)
{
    an_contract c;
    if (!is_supported(plan, node, &c)) return AN_OK;
    product *p = an_plan_alloc(plan, sizeof *p);
    if (!p) return an_plan_no_memory(err);
    an_place at;
    an_status s = find_operands(plan, node, &c, p, err);
    if (s == AN_OK) s = find_result(plan, node, &c, &at, &p->out, err);
    if (s != AN_OK) return s;
    an_place dense = p->out;
    p->wide = an_plan_dtype(plan, c.out_shape.dtype) == AN_FP64;
    broadcast_batch(&p->a.place, &p->out);
    broadcast_batch(&p->b.place, &p->out);
    bool rows = !plan->numerics->chip && an_product_is_rows(p);
    if (!rows) orient(p);
    choose_blocks(p);
    s = plan->numerics->chip ? an_product_finish_hw(plan, p, err)
        : rows               ? an_product_finish_rows(plan, p, err)
                             : finish(plan, p, err);
    if (s == AN_OK && dense.buffer != at.buffer) {
        an_place_reshape(&dense, at.rank, at.dims, &dense);
        s = an_plan_add_copy(plan, &dense, &at, err);
    }
    *done = true;
    return s;
}
