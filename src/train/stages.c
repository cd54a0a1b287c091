/*
 * Bodies of the CPU's stages. Tiles are cut by shape alone and every sum runs
 * in a fixed order, so results do not depend on the number of threads.
 */
#include "train/stages.h"

#include "base/half.h"
#include "kernels/kernels.h"
#include "kernels/train.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    EMBED_COLUMNS = 32, /* one cache line of fp16 */
    LOSS_COLUMNS = 64,
    CONTRACT_ROWS = 128,   /* rows of dW in a tile */
    CONVERT_ROWS = 64,     /* rows of R in a tile */
    SCATTER_CHANNELS = 32, /* channels in a tile: no two tiles share a cell */
};

static int tiles_of(int64_t n, int64_t size)
{
    return (int)((n + size - 1) / size);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void *row(const an_matrix *m, int64_t r)
{
    return (unsigned char *)m->data + (size_t)r * m->row_bytes;
}

static double load(const an_matrix *m, const void *at, int64_t c)
{
    switch (m->dtype) {
    case AN_FP16:
        return an_half_to_double(((const uint16_t *)at)[c]);
    case AN_FP32:
        return (double)((const float *)at)[c];
    default:
        return ((const double *)at)[c];
    }
}

double an_matrix_get(const an_matrix *m, int64_t r, int64_t column)
{
    return load(m, row(m, r), column);
}

void an_matrix_put(const an_matrix *m, int64_t r, int64_t column, double x)
{
    void *to = row(m, r);
    switch (m->dtype) {
    case AN_FP16:
        ((uint16_t *)to)[column] = an_half_from_double(x);
        break;
    case AN_FP32:
        ((float *)to)[column] = (float)x;
        break;
    default:
        ((double *)to)[column] = x;
    }
}

/* ---- magnitudes ---- */

/* Bits of the largest magnitude so far; fp16's order is that of its bits. */
static void watch(const an_stage *s, int worker, int operand, const uint16_t *x,
                  int64_t n)
{
    int16_t *peak = &s->peaks[2 * worker + operand], m = *peak;
    for (int64_t i = 0; i < n; i++) {
        int16_t bits = (int16_t)(x[i] & 0x7fff);
        m = bits > m ? bits : m;
    }
    *peak = m;
}

static void take_peak(const an_stage *s, int operand, an_peak_of what,
                      an_peak *peak)
{
    const an_watch *w = operand ? &s->watch_b : &s->watch_a;
    int16_t m = 0;
    if (!w->tensor || (what == AN_PEAK_ADJOINTS && !w->adjoint)) return;
    for (int i = 0; i < s->n_workers; i++)
        if (s->peaks[2 * i + operand] > m) m = s->peaks[2 * i + operand];
    /* Above the bits of infinity stand NaNs: as bad. */
    double largest = m >= 0x7c00 ? HUGE_VAL : an_half_to_double((uint16_t)m);
    if (peak->tensor && largest / w->limit <= peak->largest / peak->limit)
        return;
    *peak = (an_peak){.tensor = w->tensor,
                      .op = w->op,
                      .block = w->block,
                      .layer = w->layer,
                      .largest = largest,
                      .limit = w->limit,
                      .adjoint = w->adjoint};
}

void an_stage_peak(const an_stage *s, an_peak_of what, an_peak *peak)
{
    if (!s->peaks) return;
    take_peak(s, 0, what, peak);
    take_peak(s, 1, what, peak);
}

/* ---- embedding ---- */

/* x0[d, n] = E[token[n], d] (+ P[position[n], d]), rounded once to x0's type.
 */
static void embed_tile(const an_stage *s, int64_t begin, int64_t end)
{
    for (int64_t d = 0; d < s->out.rows; d++) {
        for (int64_t n = begin; n < end; n++) {
            double x = load(&s->a, row(&s->a, s->tokens[n]), d);
            if (s->b.data) x += load(&s->b, row(&s->b, s->positions[n]), d);
            an_matrix_put(&s->out, d, n, x);
        }
    }
}

/* dE[token[n], d] += dx0[d, n], n ascending, for channels [begin, end). */
static void scatter_tile(const an_stage *s, int64_t begin, int64_t end,
                         int worker)
{
    for (int64_t d = begin; d < end; d++) {
        const void *from = row(&s->a, d);
        if (s->watch_a.tensor) watch(s, worker, 0, from, s->a.columns);
        for (int64_t n = 0; n < s->a.columns; n++) {
            double g = load(&s->a, from, n);
            void *to = row(&s->out, s->tokens[n]);
            if (s->out.dtype == AN_FP64)
                ((double *)to)[d] += g;
            else
                ((float *)to)[d] += (float)g;
        }
    }
}

/* ---- loss ---- */

int an_stage_loss_tiles(int64_t columns)
{
    return tiles_of(columns, LOSS_COLUMNS);
}

static void loss_tile(an_stage *s, int tile)
{
    int64_t begin = (int64_t)tile * LOSS_COLUMNS;
    int64_t n = least(LOSS_COLUMNS, s->out.columns - begin);
    int64_t stride = (int64_t)(s->out.row_bytes / an_dtype_size(s->out.dtype));
    const int32_t *targets = s->tokens + begin;
    int64_t v = s->out.rows;
    double *sum = &s->partial[tile];
    if (s->out.dtype == AN_FP64) {
        double *x = (double *)s->out.data + begin;
        *sum = s->kind == AN_STAGE_LOSS
                   ? an_loss_f64(v, stride, n, x, targets, s->scale)
                   : an_loss_only_f64(v, stride, n, x, targets);
    } else {
        float *x = (float *)s->out.data + begin;
        *sum = s->kind == AN_STAGE_LOSS
                   ? an_loss_f32(v, stride, n, x, targets, (float)s->scale)
                   : an_loss_only_f32(v, stride, n, x, targets);
    }
}

double an_stage_loss(const an_stage *s)
{
    double sum = 0;
    for (int i = 0; i < an_stage_loss_tiles(s->out.columns); i++)
        sum += s->partial[i];
    return sum;
}

/* ---- contractions ---- */

size_t an_stage_left_size(int64_t k)
{
    return (size_t)k * CONTRACT_ROWS;
}

static bool converts(const an_matrix *m)
{
    return m->dtype == AN_FP16;
}

static void convert_right(const an_stage *s, int tile, int worker)
{
    int64_t begin = (int64_t)tile * CONVERT_ROWS;
    int64_t end = least(begin + CONVERT_ROWS, s->b.rows);
    for (int64_t r = begin; r < end; r++) {
        const uint16_t *from = row(&s->b, r);
        if (s->watch_b.tensor) watch(s, worker, 1, from, s->b.columns);
        an_convert_half_to_float((size_t)s->b.columns, from,
                                 s->right + r * s->b.columns);
    }
}

/* Rows [begin, begin + m) of op(L): as fp32, in place or converted; *ld is
 * its leading dimension. */
static const float *left_f32(const an_stage *s, int64_t begin, int64_t m,
                             int worker, int64_t *ld)
{
    float *scratch = s->left + (size_t)worker * s->left_size;
    int64_t rows = s->transpose_a ? s->a.rows : m;
    int64_t columns = s->transpose_a ? m : s->a.columns;
    int64_t row0 = s->transpose_a ? 0 : begin;
    int64_t column0 = s->transpose_a ? begin : 0;
    if (!converts(&s->a)) {
        *ld = (int64_t)(s->a.row_bytes / sizeof(float));
        return (const float *)row(&s->a, row0) + column0;
    }
    for (int64_t r = 0; r < rows; r++) {
        const uint16_t *from = (const uint16_t *)row(&s->a, row0 + r) + column0;
        if (s->watch_a.tensor) watch(s, worker, 0, from, columns);
        an_convert_half_to_float((size_t)columns, from, scratch + r * columns);
    }
    *ld = columns;
    return scratch;
}

static void contract_tile_f64(const an_stage *s, int64_t begin, int64_t m,
                              int64_t k)
{
    int64_t lda = (int64_t)(s->a.row_bytes / sizeof(double));
    const double *a = s->transpose_a ? (const double *)s->a.data + begin
                                     : (const double *)row(&s->a, begin);
    an_gemm_f64(s->transpose_a, s->transpose_b, m, s->out.columns, k, a, lda,
                s->b.data, (int64_t)(s->b.row_bytes / sizeof(double)), 1.0,
                row(&s->out, begin), s->out.columns);
}

/* dW[m, n] += sum over k of L[m, k] R[k, n], for a block of rows m. */
static void contract_tile(const an_stage *s, int tile, int worker)
{
    int64_t begin = (int64_t)tile * CONTRACT_ROWS;
    int64_t m = least(CONTRACT_ROWS, s->out.rows - begin);
    int64_t k = s->transpose_a ? s->a.rows : s->a.columns;
    if (s->out.dtype == AN_FP64) {
        contract_tile_f64(s, begin, m, k);
        return;
    }
    int64_t lda, ldb;
    const float *a = left_f32(s, begin, m, worker, &lda);
    const float *b = converts(&s->b) ? s->right : s->b.data;
    ldb = converts(&s->b) ? s->b.columns
                          : (int64_t)(s->b.row_bytes / sizeof(float));
    an_gemm_f32(s->transpose_a, s->transpose_b, m, s->out.columns, k, a, lda, b,
                ldb, 1.0f, row(&s->out, begin), s->out.columns);
}

static void add_tile(const an_stage *s, int worker)
{
    for (int64_t r = 0; r < s->out.rows; r++) {
        if (s->watch_a.tensor)
            watch(s, worker, 0, row(&s->a, r), s->out.columns);
        for (int64_t c = 0; c < s->out.columns; c++) {
            double g = load(&s->a, row(&s->a, r), c);
            if (s->out.dtype == AN_FP64)
                ((double *)row(&s->out, r))[c] += g;
            else
                ((float *)row(&s->out, r))[c] += (float)g;
        }
    }
}

/* ---- the job ---- */

static int stage_tiles(void *ctx, int phase)
{
    const an_stage *s = ctx;
    if (phase == 0 && s->peaks)
        memset(s->peaks, 0, (size_t)s->n_workers * 2 * sizeof *s->peaks);
    bool convert = s->kind == AN_STAGE_CONTRACT && converts(&s->b);
    if (convert && phase == 0) return tiles_of(s->b.rows, CONVERT_ROWS);
    if (phase > (convert ? 1 : 0)) return 0;
    switch (s->kind) {
    case AN_STAGE_EMBED:
        return tiles_of(s->out.columns, EMBED_COLUMNS);
    case AN_STAGE_LOSS:
    case AN_STAGE_LOSS_ONLY:
        return an_stage_loss_tiles(s->out.columns);
    case AN_STAGE_CONTRACT:
        return tiles_of(s->out.rows, CONTRACT_ROWS);
    case AN_STAGE_SCATTER:
        return tiles_of(s->a.rows, SCATTER_CHANNELS);
    case AN_STAGE_ADD:
    case AN_STAGE_PROGRAM:
        break;
    }
    return 1;
}

static an_status stage_run(void *ctx, int phase, int tile, int worker,
                           an_error *err)
{
    (void)err;
    an_stage *s = ctx;
    int64_t begin;
    switch (s->kind) {
    case AN_STAGE_EMBED:
        begin = (int64_t)tile * EMBED_COLUMNS;
        embed_tile(s, begin, least(begin + EMBED_COLUMNS, s->out.columns));
        break;
    case AN_STAGE_LOSS:
    case AN_STAGE_LOSS_ONLY:
        loss_tile(s, tile);
        break;
    case AN_STAGE_CONTRACT:
        if (phase == 0 && converts(&s->b))
            convert_right(s, tile, worker);
        else
            contract_tile(s, tile, worker);
        break;
    case AN_STAGE_SCATTER:
        begin = (int64_t)tile * SCATTER_CHANNELS;
        scatter_tile(s, begin, least(begin + SCATTER_CHANNELS, s->a.rows),
                     worker);
        break;
    case AN_STAGE_ADD:
        add_tile(s, worker);
        break;
    case AN_STAGE_PROGRAM:
        assert(0 && "programs are requests");
    }
    return AN_OK;
}

void an_stage_init(an_stage *s, struct an_fence *const *fences,
                   const an_mode *modes, int n)
{
    int used = 0;
    for (int i = 0; i < n; i++)
        if (fences[i])
            s->access[used++] =
                (an_access){.fence = fences[i], .mode = modes[i]};
    an_job_init(&s->job, (an_work){stage_tiles, stage_run, s}, s->access, used);
}
