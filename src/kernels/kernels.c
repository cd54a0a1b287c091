/*
 * Which kernel set this machine runs, found once, and the conversions through
 * it. The pointer below is the one variable of the library outside engines: it
 * is written once, under pthread_once, and constant from then on.
 */
#include "kernels/kernels.h"

#include "kernels/set.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const an_kernel_set *chosen;

static void choose(void)
{
    chosen = &an_kernels_portable;
#if defined(__x86_64__)
    /* F16C is older than AVX2, and clang 14 has no name for it here. */
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        chosen = &an_kernels_avx2;
#endif
}

const an_kernel_set *an_kernels(void)
{
    pthread_once(&once, choose);
    return chosen;
}

const char *an_kernels_name(void)
{
    return an_kernels()->name;
}

void an_convert_half_to_float(size_t n, const uint16_t *x, float *y)
{
    an_kernels()->half_to_float(n, x, y);
}

void an_convert_float_to_half(size_t n, const float *x, uint16_t *y)
{
    an_kernels()->float_to_half(n, x, y);
}
