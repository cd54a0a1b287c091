/*
 * Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as
 * easy as 1, 2, 3", SC 2011). Key: the seed. Counter block: the upper word is
 * the stream, the lower one half the counter, since a block yields two 64-bit
 * numbers. The test holds the known answers of the authors' Random123 1.14.
 */
#include "base/rng.h"

#include <math.h>

static void philox_round(uint32_t x[4], uint32_t key0, uint32_t key1)
{
    uint64_t a = UINT64_C(0xD2511F53) * x[0];
    uint64_t b = UINT64_C(0xCD9E8D57) * x[2];
    uint32_t x1 = x[1], x3 = x[3];
    x[0] = (uint32_t)(b >> 32) ^ x1 ^ key0;
    x[1] = (uint32_t)b;
    x[2] = (uint32_t)(a >> 32) ^ x3 ^ key1;
    x[3] = (uint32_t)a;
}

uint64_t an_rng_u64(an_rng *rng)
{
    uint64_t block = rng->counter >> 1;
    uint32_t x[4] = {(uint32_t)block, (uint32_t)(block >> 32),
                     (uint32_t)rng->stream, (uint32_t)(rng->stream >> 32)};
    uint32_t key0 = (uint32_t)rng->seed, key1 = (uint32_t)(rng->seed >> 32);
    for (int i = 0; i < 10; i++) {
        philox_round(x, key0, key1);
        key0 += 0x9E3779B9u; /* golden ratio */
        key1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    int half = (int)(rng->counter++ & 1) * 2;
    return x[half] | (uint64_t)x[half + 1] << 32;
}

double an_rng_uniform(an_rng *rng)
{
    return (double)(an_rng_u64(rng) >> 11) * 0x1p-53;
}

double an_rng_normal(an_rng *rng)
{
    const double two_pi = 6.283185307179586;
    double radius = sqrt(-2 * log(1 - an_rng_uniform(rng)));
    return radius * cos(two_pi * an_rng_uniform(rng));
}

uint64_t an_rng_below(an_rng *rng, uint64_t n)
{
    /* Refuse the first 2^64 mod n numbers: the rest divides evenly. */
    uint64_t refused = (UINT64_MAX - n + 1) % n, x;
    do
        x = an_rng_u64(rng);
    while (x < refused);
    return x % n;
}
