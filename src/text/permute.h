/* Permutations of [0, n) that need no memory. */
#ifndef AN_TEXT_PERMUTE_H
#define AN_TEXT_PERMUTE_H

#include <stdint.h>

/* Bijective mixing of 64 bits. */
uint64_t an_mix(uint64_t x);

/* The image of i < n under the permutation of [0, n) that key1 and key2 pick;
 * n at most 2^62. */
uint64_t an_permute(uint64_t key1, uint64_t key2, uint64_t n, uint64_t i);

#endif
