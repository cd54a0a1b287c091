/* Loads and stores with conversion; see move.h. */
#include "engine/soft/move.h"

#include "base/half.h"
#include "kernels/kernels.h"
#include "kernels/set.h"
#include "mil/numerics.h"

#include <assert.h>
#include <string.h>

const void *an_exec_read(const an_exec *e, const an_place *p, int64_t offset)
{
    return e->bases[p->buffer] + offset * (int64_t)an_dtype_size(p->dtype);
}

void *an_exec_write(const an_exec *e, const an_place *p, int64_t offset)
{
    return e->bases[p->buffer] + offset * (int64_t)an_dtype_size(p->dtype);
}

void *an_exec_scratch(const an_exec *e, int worker)
{
    return e->scratch + (size_t)worker * e->scratch_bytes;
}

/* Offset of an index among the first `rank` axes. */
static int64_t offset_of(const an_place *p, int rank, int64_t index)
{
    int64_t offset = p->offset;
    for (int i = rank - 1; i >= 0 && index; i--) {
        offset += index % p->dims[i] * p->strides[i];
        index /= p->dims[i];
    }
    return offset;
}

int64_t an_place_at(const an_place *p, int64_t index)
{
    return offset_of(p, p->rank, index);
}

int64_t an_place_row(const an_place *p, int64_t row)
{
    return offset_of(p, p->rank - 1, row);
}

an_walk an_walk_of(const an_place *p, int64_t chunk)
{
    enum { TILE = 32768, MAX_TILES = 65536 };
    an_walk w = {.length = p->dims[p->rank - 1]};
    w.chunk = chunk < w.length ? chunk : w.length;
    w.chunks = (w.length + w.chunk - 1) / w.chunk;
    w.units = an_place_count(p) / w.length * w.chunks;
    w.per_tile = TILE / w.chunk + 1;
    if (w.units / MAX_TILES >= w.per_tile) w.per_tile = w.units / MAX_TILES + 1;
    return w;
}

int an_walk_tiles(const an_walk *w)
{
    return (int)((w->units + w->per_tile - 1) / w->per_tile);
}

void an_walk_unit(const an_walk *w, int64_t u, int64_t *row, int64_t *begin,
                  int64_t *n)
{
    *row = u / w->chunks;
    *begin = u % w->chunks * w->chunk;
    int64_t rest = w->length - *begin;
    *n = rest < w->chunk ? rest : w->chunk;
}

bool an_fits_f32(an_dtype dtype)
{
    return dtype == AN_FP16 || dtype == AN_FP32 || dtype == AN_BF16 ||
           dtype == AN_BOOL;
}

/* One element of any type but fp32 and fp64. */
static double element(an_dtype dtype, const void *x, int64_t i)
{
    switch (dtype) {
    case AN_FP16:
        return an_hw_load(((const uint16_t *)x)[i]);
    case AN_BF16:
        return (double)an_bf16_to_float(((const uint16_t *)x)[i]);
    case AN_FP32:
        return (double)((const float *)x)[i];
    case AN_FP64:
        return ((const double *)x)[i];
    case AN_INT4:
    case AN_INT8:
        return ((const int8_t *)x)[i];
    case AN_INT16:
        return ((const int16_t *)x)[i];
    case AN_INT32:
        return ((const int32_t *)x)[i];
    case AN_INT64:
        return (double)((const int64_t *)x)[i];
    case AN_BOOL:
    case AN_UINT1:
    case AN_UINT2:
    case AN_UINT3:
    case AN_UINT4:
    case AN_UINT6:
    case AN_UINT8:
        return ((const uint8_t *)x)[i];
    case AN_UINT16:
        return ((const uint16_t *)x)[i];
    case AN_UINT32:
        return ((const uint32_t *)x)[i];
    case AN_UINT64:
        return (double)((const uint64_t *)x)[i];
    case AN_STRING:
    case AN_DTYPE_COUNT:
        break;
    }
    assert(0 && "no element type");
    return 0;
}

/* x is a value of the type (numerics rounded it), or a float to be rounded. */
static void set_element(an_dtype dtype, void *out, int64_t i, double x)
{
    switch (dtype) {
    case AN_FP16:
        ((uint16_t *)out)[i] = an_hw_store(x);
        return;
    case AN_BF16:
        ((uint16_t *)out)[i] = an_bf16_from_float((float)x);
        return;
    case AN_FP32:
        ((float *)out)[i] = (float)x;
        return;
    case AN_FP64:
        ((double *)out)[i] = x;
        return;
    case AN_INT4:
    case AN_INT8:
        ((int8_t *)out)[i] = (int8_t)x;
        return;
    case AN_INT16:
        ((int16_t *)out)[i] = (int16_t)x;
        return;
    case AN_INT32:
        ((int32_t *)out)[i] = (int32_t)x;
        return;
    case AN_INT64:
        ((int64_t *)out)[i] = (int64_t)x;
        return;
    case AN_BOOL:
        ((uint8_t *)out)[i] = x != 0;
        return;
    case AN_UINT1:
    case AN_UINT2:
    case AN_UINT3:
    case AN_UINT4:
    case AN_UINT6:
    case AN_UINT8:
        ((uint8_t *)out)[i] = (uint8_t)x;
        return;
    case AN_UINT16:
        ((uint16_t *)out)[i] = (uint16_t)x;
        return;
    case AN_UINT32:
        ((uint32_t *)out)[i] = (uint32_t)x;
        return;
    case AN_UINT64:
        ((uint64_t *)out)[i] = (uint64_t)x;
        return;
    case AN_STRING:
    case AN_DTYPE_COUNT:
        break;
    }
    assert(0 && "no element type");
}

/* fp16 at a stride: gathered in blocks, then converted together. */
static void load_halves(const uint16_t *x, int64_t stride, int64_t n,
                        float *out)
{
    enum { BLOCK = 128 };
    uint16_t part[BLOCK];
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t some = n - i < BLOCK ? n - i : BLOCK;
        for (int64_t j = 0; j < some; j++)
            part[j] = x[(i + j) * stride];
        an_convert_half_to_float((size_t)some, part, out + i);
    }
}

void an_load_f32(an_dtype dtype, const void *x, int64_t stride, int64_t n,
                 float *out)
{
    if (n > 1 && stride == 0) {
        float one = (float)element(dtype, x, 0);
        for (int64_t i = 0; i < n; i++)
            out[i] = one;
    } else if (dtype == AN_FP16 && stride == 1) {
        an_convert_half_to_float((size_t)n, x, out);
    } else if (dtype == AN_FP16) {
        load_halves(x, stride, n, out);
    } else if (dtype == AN_FP32 && stride == 1) {
        memcpy(out, x, (size_t)n * sizeof *out);
    } else if (dtype == AN_FP32) {
        for (int64_t i = 0; i < n; i++)
            out[i] = ((const float *)x)[i * stride];
    } else {
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)element(dtype, x, i * stride);
    }
}

static void load_halves_f64(const uint16_t *x, int64_t stride, int64_t n,
                            double *out)
{
    enum { BLOCK = 128 };
    uint16_t part[BLOCK];
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t some = n - i < BLOCK ? n - i : BLOCK;
        const uint16_t *from = x + i;
        for (int64_t j = 0; stride != 1 && j < some; j++)
            part[j] = x[(i + j) * stride];
        if (stride != 1) from = part;
        bool patterns =
            an_kernels()->half_to_double((size_t)some, from, out + i);
        for (int64_t j = 0; patterns && j < some; j++)
            out[i + j] = an_hw_load(from[j]);
    }
}

void an_load_f64(an_dtype dtype, const void *x, int64_t stride, int64_t n,
                 double *out)
{
    if (n > 1 && stride == 0) {
        double one = element(dtype, x, 0);
        for (int64_t i = 0; i < n; i++)
            out[i] = one;
    } else if (dtype == AN_FP64 && stride == 1) {
        memcpy(out, x, (size_t)n * sizeof *out);
    } else if (dtype == AN_FP64) {
        for (int64_t i = 0; i < n; i++)
            out[i] = ((const double *)x)[i * stride];
    } else if (dtype == AN_FP32) {
        for (int64_t i = 0; i < n; i++)
            out[i] = (double)((const float *)x)[i * stride];
    } else if (dtype == AN_FP16) {
        load_halves_f64(x, stride, n, out);
    } else {
        for (int64_t i = 0; i < n; i++)
            out[i] = element(dtype, x, i * stride);
    }
}

static void store_halves(const float *x, int64_t n, uint16_t *out,
                         int64_t stride)
{
    enum { BLOCK = 128 };
    uint16_t part[BLOCK];
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t some = n - i < BLOCK ? n - i : BLOCK;
        an_convert_float_to_half((size_t)some, x + i, part);
        for (int64_t j = 0; j < some; j++)
            out[(i + j) * stride] = part[j];
    }
}

void an_store_f32(an_dtype dtype, const float *x, int64_t n, void *out,
                  int64_t stride)
{
    if (dtype == AN_FP16 && stride == 1) {
        an_convert_float_to_half((size_t)n, x, out);
    } else if (dtype == AN_FP16) {
        store_halves(x, n, out, stride);
    } else if (dtype == AN_FP32 && stride == 1) {
        memcpy(out, x, (size_t)n * sizeof *x);
    } else {
        for (int64_t i = 0; i < n; i++)
            set_element(dtype, out, i * stride, (double)x[i]);
    }
}

static void store_halves_f64(const double *x, int64_t n, uint16_t *out,
                             int64_t stride)
{
    enum { BLOCK = 128 };
    uint16_t part[BLOCK];
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t some = n - i < BLOCK ? n - i : BLOCK;
        uint16_t *to = stride == 1 ? out + i : part;
        bool changed = an_kernels()->double_to_half((size_t)some, x + i, to);
        for (int64_t j = 0; changed && j < some; j++)
            to[j] = an_hw_store(x[i + j]);
        for (int64_t j = 0; stride != 1 && j < some; j++)
            out[(i + j) * stride] = part[j];
    }
}

void an_store_f64(an_dtype dtype, const double *x, int64_t n, void *out,
                  int64_t stride)
{
    if (dtype == AN_FP64 && stride == 1) {
        memcpy(out, x, (size_t)n * sizeof *x);
    } else if (dtype == AN_FP16) {
        store_halves_f64(x, n, out, stride);
    } else {
        for (int64_t i = 0; i < n; i++)
            set_element(dtype, out, i * stride, x[i]);
    }
}
