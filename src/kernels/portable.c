/*
 * The kernel set for every processor; on arm64 with NEON's conversions, which
 * all of them have.
 */
#include "kernels/set.h"

#include "base/half.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#define SET_TEXT "neon"
#define FUSED(a, b, c) vfmaq_n_f32(c, b, a)
#define MULTIPLY_ADD(a, b, c) vfmaq_f32(c, a, b)

static void half_to_float(size_t n, const uint16_t *x, float *y)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(y + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x + i))));
    for (; i < n; i++)
        y[i] = an_half_to_float(x[i]);
}

static void float_to_half(size_t n, const float *x, uint16_t *y)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1_u16(y + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
    for (; i < n; i++)
        y[i] = an_half_from_float(x[i]);
}

static void round_half(size_t n, float *x)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(x + i, vcvt_f32_f16(vcvt_f16_f32(vld1q_f32(x + i))));
    for (; i < n; i++)
        x[i] = an_half_to_float(an_half_from_float(x[i]));
}
#else
#define SET_TEXT "portable"

static void half_to_float(size_t n, const uint16_t *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = an_half_to_float(x[i]);
}

static void float_to_half(size_t n, const float *x, uint16_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = an_half_from_float(x[i]);
}

static void round_half(size_t n, float *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = an_half_to_float(an_half_from_float(x[i]));
}
#endif

#define SET an_kernels_portable
#define VECTOR_BYTES 16
#define WIDEN(x) __builtin_convertvector(x, f64_vec)
#include "kernels/set.inc"
