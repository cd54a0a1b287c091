/*
 * A pseudo-random permutation of [0, n): a balanced Feistel network over the
 * smallest even number of bits that holds n - 1, walked until it lands below n
 * (Black and Rogaway: "Ciphers with Arbitrary Finite Domains", CT-RSA 2002,
 * section 5). The domain is less than 4 n, so a walk takes under four steps on
 * average. Round function: the finalizer of SplitMix64 (Steele, Lea, Flood:
 * "Fast splittable pseudorandom number generators", OOPSLA 2014; constants of
 * Stafford's mix 13). tests/reference/windows.py is the same in Python.
 */
#include "text/permute.h"

enum { ROUNDS = 6 };

uint64_t an_mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

uint64_t an_permute(uint64_t key1, uint64_t key2, uint64_t n, uint64_t i)
{
    int half = 1;
    while (half < 31 && (n - 1) >> (2 * half))
        half++;
    uint64_t mask = (UINT64_C(1) << half) - 1;
    uint64_t key = an_mix(an_mix(key1) ^ key2);
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint64_t r = 0; r < ROUNDS; r++) {
            uint64_t f = an_mix(key ^ an_mix(right << 8 | r)) & mask;
            uint64_t next = left ^ f;
            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}
