/*
 * Loss, optimizer and norm: train.inc compiled for each instruction set. All
 * sets give the same bits, so which of them runs is no part of a result.
 */
#include "kernels/train.h"

#include "base/half.h"
#include "kernels/kernels.h"
#include "kernels/set.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    COLUMNS = 128, /* of the loss at a time: their state is 2.5 KB */
    ROWS = 16,     /* times COLUMNS is 8 KB of logits */
    PARTS = 16,    /* of a sum of squares */
    CHUNK = 1024   /* elements updated, then converted to fp16 */
};

static const double INVERSE_FACTORIAL[] = {1.0,
                                           1.0,
                                           1.0 / 2,
                                           1.0 / 6,
                                           1.0 / 24,
                                           1.0 / 120,
                                           1.0 / 720,
                                           1.0 / 5040,
                                           1.0 / 40320,
                                           1.0 / 362880,
                                           1.0 / 3628800,
                                           1.0 / 39916800,
                                           1.0 / 479001600,
                                           1.0 / 6227020800};

#define BYTES 16
#define TARGET
#define SET(x) x##_portable
#include "kernels/train_types.inc"

#if defined(__x86_64__)
#define BYTES 32
#define TARGET __attribute__((target("avx2")))
#define SET(x) x##_avx2
#include "kernels/train_types.inc"
#define CALL(f, ...)                                                           \
    (an_kernels() == &an_kernels_avx2 ? f##_avx2(__VA_ARGS__)                  \
                                      : f##_portable(__VA_ARGS__))
#else
#define CALL(f, ...) f##_portable(__VA_ARGS__)
#endif

double an_loss_f32(int64_t vocab, int64_t stride, int64_t n, float *logits,
                   const int32_t *targets, float scale)
{
    return CALL(loss_f32, vocab, stride, n, logits, targets, scale);
}

double an_loss_f64(int64_t vocab, int64_t stride, int64_t n, double *logits,
                   const int32_t *targets, double scale)
{
    return CALL(loss_f64, vocab, stride, n, logits, targets, scale);
}

double an_loss_only_f32(int64_t vocab, int64_t stride, int64_t n,
                        const float *logits, const int32_t *targets)
{
    return CALL(loss_only_f32, vocab, stride, n, logits, targets);
}

double an_loss_only_f64(int64_t vocab, int64_t stride, int64_t n,
                        const double *logits, const int32_t *targets)
{
    return CALL(loss_only_f64, vocab, stride, n, logits, targets);
}

void an_adamw_f32(const an_adamw *o, size_t n, float *w, float *m, float *v,
                  const float *g, uint16_t *half)
{
    for (size_t i = 0; i < n; i += CHUNK) {
        size_t part = n - i < CHUNK ? n - i : CHUNK;
        CALL(adamw_f32, o, part, w + i, m + i, v + i, g + i);
        if (half) an_convert_float_to_half(part, w + i, half + i);
    }
}

void an_adamw_f64(const an_adamw *o, size_t n, double *w, double *m, double *v,
                  const double *g, uint16_t *half)
{
    CALL(adamw_f64, o, n, w, m, v, g);
    for (size_t i = 0; half && i < n; i++)
        half[i] = an_half_from_double(w[i]);
}

double an_sum_square_f32(size_t n, const float *x)
{
    return CALL(sum_square_f32, n, x);
}

double an_sum_square_f64(size_t n, const double *x)
{
    return CALL(sum_square_f64, n, x);
}
