/*
 * Matrix products: fp32 by a CBLAS where there is one (OpenBLAS, linked; on
 * macOS Accelerate, opened at run time), else our own; fp64 always our own,
 * since its order of summation is promised. The BLAS runs single-threaded: its
 * caller is one worker of a pool. What is found is found once and constant
 * from then on.
 */
#include "kernels/kernels.h"

#include "base/host.h"
#include "kernels/set.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>

/* Of the CBLAS standard (Blackford et al. 2002): row-major, no, transposed. */
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };
typedef void sgemm_fn(int order, int trans_a, int trans_b, int m, int n, int k,
                      float alpha, const float *a, int lda, const float *b,
                      int ldb, float beta, float *c, int ldc);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static sgemm_fn *sgemm; /* NULL: our own */
static char blas_name[128] = "own";
static int blas_threads = 1;

/* BLASSetThreading(1) means one thread, for calls from the thread that says
 * it; 0: done. macOS has it since 15; before, Accelerate uses as many as it
 * likes. Source: developer.apple.com/documentation/accelerate. */
typedef int set_threading_fn(unsigned model);
static set_threading_fn *set_threading; /* NULL: none, or of no use */

static const char accelerate[] =
    "/System/Library/Frameworks/Accelerate.framework/Accelerate";

static bool find_accelerate(an_host host)
{
    set_threading_fn *set = NULL;
    if (!an_host_find(host, accelerate, "cblas_sgemm", &sgemm)) return false;
    an_host_find(host, accelerate, "BLASSetThreading", &set);
    if (set && set(1) == 0) set_threading = set;
    blas_threads = set_threading ? 1 : 0;
    snprintf(blas_name, sizeof blas_name, "Accelerate%s",
             set_threading ? "" : " (with threads of its own)");
    return true;
}

#if defined(__APPLE__)
static void use_linked(void)
{
    snprintf(blas_name, sizeof blas_name, "own (no Accelerate)");
}
#else
/* OpenBLAS's own declarations need its header, which not all systems put in
 * the same place. */
sgemm_fn cblas_sgemm;
void openblas_set_num_threads(int n);
char *openblas_get_config(void);

static void use_linked(void)
{
    openblas_set_num_threads(1); /* for all threads */
    sgemm = cblas_sgemm;
    snprintf(blas_name, sizeof blas_name, "%s", openblas_get_config());
}
#endif

static void choose(void)
{
    if (!find_accelerate(an_host_here())) use_linked();
}

const char *an_blas_name(void)
{
    pthread_once(&once, choose);
    return blas_name;
}

int an_blas_threads(void)
{
    pthread_once(&once, choose);
    return blas_threads;
}

void an_gemm_f32(bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                 const float *a, int64_t lda, const float *b, int64_t ldb,
                 float beta, float *c, int64_t ldc)
{
    pthread_once(&once, choose);
    bool fits = m <= INT_MAX && n <= INT_MAX && k <= INT_MAX &&
                lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX;
    if (m == 0 || n == 0) return;
    if (sgemm && fits && k > 0) {
        if (set_threading) set_threading(1);
        sgemm(ROW_MAJOR, ta ? TRANS : NO_TRANS, tb ? TRANS : NO_TRANS, (int)m,
              (int)n, (int)k, 1.0f, a, (int)lda, b, (int)ldb, beta, c,
              (int)ldc);
    } else {
        an_kernels()->gemm_f32(m, n, k, a, ta ? 1 : lda, ta ? lda : 1, b,
                               tb ? 1 : ldb, tb ? ldb : 1, beta != 0, c, ldc);
    }
}

void an_gemm_f64(bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                 const double *a, int64_t lda, const double *b, int64_t ldb,
                 double beta, double *c, int64_t ldc)
{
    an_kernels()->gemm_f64(m, n, k, a, ta ? 1 : lda, ta ? lda : 1, b,
                           tb ? 1 : ldb, tb ? ldb : 1, beta != 0, c, ldc);
}
