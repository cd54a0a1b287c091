/*
 * Fast loops. All are pure: pointers, sizes, strides, workspace; nothing is
 * allocated, no state but the dispatch table, chosen once. Results depend on
 * shapes and the kernel set only, never on threads.
 */
#ifndef AN_KERNELS_KERNELS_H
#define AN_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "avx2", "neon", "portable": what this machine runs. */
const char *an_kernels_name(void);
/* "OpenBLAS 0.3.21 ...", "Accelerate", or "own" and why. */
const char *an_blas_name(void);
/* Threads of one product: 1, or 0 where the BLAS takes as many as it likes and
 * cannot be told otherwise (Accelerate before macOS 15). */
int an_blas_threads(void);

/* fp16 <-> fp32 arrays, nearest even, overflow to infinity. */
void an_convert_half_to_float(size_t n, const uint16_t *x, float *y);
void an_convert_float_to_half(size_t n, const float *x, uint16_t *y);

/*
 * C[m, n] = beta C + op(A)[m, k] op(B)[k, n], row-major, one thread.
 * op(A) is A [m, k] with lda, or with `ta` A stored [k, m]. beta is 0 or 1.
 * With beta 0, C may hold anything (NaN too).
 */
void an_gemm_f32(bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                 const float *a, int64_t lda, const float *b, int64_t ldb,
                 float beta, float *c, int64_t ldc);
/* fp64, every sum in ascending order of k (starting from beta C), no FMA. */
void an_gemm_f64(bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                 const double *a, int64_t lda, const double *b, int64_t ldb,
                 double beta, double *c, int64_t ldc);

#endif
