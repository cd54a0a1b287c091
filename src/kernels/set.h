/*
 * A kernel set: the loops of one instruction set. set.inc is compiled once per
 * set (portable.c, avx2.c); the choice is made once, by what the processor
 * says, and never changes. All loops work on contiguous arrays; results
 * depend on n and the set alone.
 */
#ifndef AN_KERNELS_SET_H
#define AN_KERNELS_SET_H

#include "base/mac.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* C [m, n] (+)= A B, element (i, j) of A at a[i * a_row + j * a_col]. The sum
 * over k ascends and starts from beta C; no fused multiply-add. */
typedef void an_gemm_f32_fn(int64_t m, int64_t n, int64_t k, const float *a,
                            int64_t a_row, int64_t a_col, const float *b,
                            int64_t b_row, int64_t b_col, bool add, float *c,
                            int64_t ldc);
typedef void an_gemm_f64_fn(int64_t m, int64_t n, int64_t k, const double *a,
                            int64_t a_row, int64_t a_col, const double *b,
                            int64_t b_row, int64_t b_col, bool add, double *c,
                            int64_t ldc);

/* Element-wise loops. Operands that a loop does not have may be NULL; an array
 * may be two operands, `out` is none of them. Comparisons give 0 or 1. maximum
 * and minimum pass NaN on. exp, sigmoid and silu are within 2 ulp (results
 * below 2^-119 within 2^-142). */
typedef enum an_loop {
    AN_LOOP_COPY,
    AN_LOOP_SQUARE,
    AN_LOOP_ABS,
    AN_LOOP_SQRT,
    AN_LOOP_RELU,
    AN_LOOP_CLIP,
    AN_LOOP_ADD,
    AN_LOOP_SUB,
    AN_LOOP_MUL,
    AN_LOOP_DIV,
    AN_LOOP_MAXIMUM,
    AN_LOOP_MINIMUM,
    AN_LOOP_EQUAL,
    AN_LOOP_NOT_EQUAL,
    AN_LOOP_LESS,
    AN_LOOP_LESS_EQUAL,
    AN_LOOP_GREATER,
    AN_LOOP_GREATER_EQUAL,
    AN_LOOP_SELECT,
    AN_LOOP_EXP,
    AN_LOOP_SIGMOID,
    AN_LOOP_SILU,
} an_loop;
typedef void an_loop_f32_fn(an_loop op, size_t n, const float *a,
                            const float *b, const float *c, float *out);
typedef void an_loop_f64_fn(an_loop op, size_t n, const double *a,
                            const double *b, const double *c, double *out);

/*
 * Rows of fp32. The sums run in AN_ROW_PARTS interleaved parts which are then
 * added pairwise; max and min pass NaN on. n is at least 1.
 */
enum { AN_ROW_PARTS = 16 };
typedef struct an_rows {
    float (*sum)(size_t n, const float *x);
    float (*sum_square)(size_t n, const float *x);
    float (*max)(size_t n, const float *x);
    float (*min)(size_t n, const float *x);
    /* out[i] = exp(x[i] - max), which may be x itself; returns the sum. */
    float (*exp_sum)(size_t n, float max, const float *x, float *out);
    void (*scale)(size_t n, float factor, float *x);
} an_rows;

/* kernels/mac.h: one product, and the blocks it is cut into. Panels pad a
 * block by less than AN_MAC_PAD lines; bounds are kept per AN_MAC_STEP of k. */
enum {
    AN_MAC_BLOCK_M = 128,
    AN_MAC_BLOCK_N = 256,
    AN_MAC_PAD = 16,
    AN_MAC_STEP = 16
};
typedef struct an_mac_product_args {
    int64_t m, n, k;
    const uint16_t *a;
    int64_t a_row, a_col;
    const uint16_t *b;
    int64_t b_row, b_col;
    const uint16_t *bias;
    uint16_t *c;
    int64_t ldc;
    const an_mac *mac; /* without stage, ties away, denormals kept */
} an_mac_product_args;

/*
 * out[r] = sum over p of A[r, p] x[p], in fp32, for `rows` rows of k elements,
 * a row `lda` elements from the next. In Q8 AN_GEMV_GROUP elements of a row
 * share a factor, at scales[r lds + p / AN_GEMV_GROUP], and k is a multiple of
 * it. A row's sum depends on its elements, k and the set alone.
 */
enum { AN_GEMV_GROUP = 32 };
typedef enum an_gemv_type {
    AN_GEMV_F32,
    AN_GEMV_F16,
    AN_GEMV_Q8, /* int8 */
    AN_GEMV_TYPES
} an_gemv_type;
typedef struct an_gemv {
    int64_t rows, k;
    const void *a;
    int64_t lda;
    const float *scales; /* Q8 */
    int64_t lds;
} an_gemv;
typedef void an_gemv_fn(const an_gemv *g, const float *x, float *out);

typedef struct an_kernel_set {
    const char *name;
    void (*half_to_float)(size_t n, const uint16_t *x, float *y);
    void (*float_to_half)(size_t n, const float *x, uint16_t *y);
    /* Each element to the nearest fp16 value and back, in place. */
    void (*round_half)(size_t n, float *x);
    /* fp16 to fp64; returns whether there is a NaN. */
    bool (*half_to_double)(size_t n, const uint16_t *x, double *y);
    /* By way of fp32; returns whether an element changed there. */
    bool (*double_to_half)(size_t n, const double *x, uint16_t *y);
    /* Each element to the nearest fp16 value in place, one rounding with these
     * ties; beyond 65504 infinity, NaN becomes 0. */
    void (*round_half_f64)(size_t n, an_ties ties, double *x);
    an_gemm_f32_fn *gemm_f32;
    an_gemm_f64_fn *gemm_f64;
    an_gemv_fn *gemv[AN_GEMV_TYPES];
    void (*gemm_mac)(const an_mac_product_args *p, void *work);
    an_loop_f32_fn *loop_f32;
    an_loop_f64_fn *loop_f64;
    an_rows rows;
} an_kernel_set;

extern const an_kernel_set an_kernels_portable;
/* NULL name where it was not compiled (other processors). */
extern const an_kernel_set an_kernels_avx2;

/* The set of this machine. */
const an_kernel_set *an_kernels(void);

#endif
