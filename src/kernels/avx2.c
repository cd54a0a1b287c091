/*
 * The kernel set for x86-64 with AVX2, FMA and F16C. Empty elsewhere. The
 * instructions are switched on for this file alone; an_kernels checks that the
 * processor has them before any of it runs.
 */
#include "kernels/set.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))),         \
                             apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif
#include <immintrin.h>

static void half_to_float(size_t n, const uint16_t *x, float *y)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i half = _mm_loadu_si128((const __m128i *)(const void *)(x + i));
        _mm256_storeu_ps(y + i, _mm256_cvtph_ps(half));
    }
    for (; i < n; i++)
        y[i] = _cvtsh_ss(x[i]);
}

static void float_to_half(size_t n, const float *x, uint16_t *y)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0);
        _mm_storeu_si128((__m128i *)(void *)(y + i), half);
    }
    for (; i < n; i++)
        y[i] = _cvtss_sh(x[i], 0);
}

static void round_half(size_t n, float *x)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0);
        _mm256_storeu_ps(x + i, _mm256_cvtph_ps(half));
    }
    for (; i < n; i++)
        x[i] = _cvtsh_ss(_cvtss_sh(x[i], 0));
}

#define SET an_kernels_avx2
#define SET_TEXT "avx2"
#define VECTOR_BYTES 32
#define WIDEN(x) _mm256_cvtps_pd(x) /* gcc 12 takes three for its own */
#define FUSED(a, b, c) _mm256_fmadd_ps(_mm256_set1_ps(a), b, c)
#define MULTIPLY_ADD(a, b, c) _mm256_fmadd_ps(a, b, c)
#define BYTES(p)                                                               \
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(                                   \
        _mm_loadl_epi64((const __m128i *)(const void *)(p))))
#include "kernels/set.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
const an_kernel_set an_kernels_avx2 = {.name = NULL};
#endif
