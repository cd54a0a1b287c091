/* Running chains; the loop over a tile is one text for both register types. */
#include "engine/soft/chain.h"

#include "kernels/kernels.h"

#include <assert.h>

static void round_f32(const an_kernel_set *k, size_t n, float *x)
{
    k->round_half(n, x);
}

static void look_up_f32(const an_calc *c, size_t n, const float *x, float *out)
{
    uint16_t bits[CHAIN_BLOCK];
    an_convert_float_to_half(n, x, bits);
    for (size_t i = 0; i < n; i++)
        bits[i] = c->table[bits[i]];
    an_convert_half_to_float(n, bits, out);
}

/* fp64 registers know neither tables nor rounding by loops. */
static void round_f64(const an_kernel_set *k, size_t n, const double *x)
{
    (void)k;
    (void)n;
    (void)x;
    assert(0 && "no such rounding in fp64");
}

static void look_up_f64(const an_calc *c, size_t n, const double *x,
                        const double *out)
{
    (void)c;
    (void)n;
    (void)x;
    (void)out;
    assert(0 && "no tables in fp64");
}

#define T float
#define NAME(x) x##_f32
#include "engine/soft/chain_run.inc"
#undef T
#undef NAME

#define T double
#define NAME(x) x##_f64
#include "engine/soft/chain_run.inc"
#undef T
#undef NAME
