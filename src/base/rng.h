/*
 * A counter-based random generator: the n-th number of (seed, stream) is a
 * pure function, so every use has its own stream and resuming needs no state
 * but a counter. The function is in rng.c with its source.
 */
#ifndef AN_BASE_RNG_H
#define AN_BASE_RNG_H

#include <stdint.h>

typedef struct an_rng {
    uint64_t seed, stream, counter;
} an_rng;

uint64_t an_rng_u64(an_rng *rng);
/* [0, 1), 53 bits. */
double an_rng_uniform(an_rng *rng);
/* Standard normal (Box-Muller, two numbers of the counter each). */
double an_rng_normal(an_rng *rng);
/* Uniform in [0, n), without bias; n is at least 1. */
uint64_t an_rng_below(an_rng *rng, uint64_t n);

#endif
