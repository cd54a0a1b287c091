/*
 * SHA-256 as FIPS 180-4 states it. The constants are the first 32 bits of the
 * fractional parts of the cube roots (and square roots) of the first primes.
 */
#include "base/sha256.h"

#include <string.h>

// clang-format off
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
static const uint32_t initial[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};
// clang-format on

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void schedule(const unsigned char *block, uint32_t w[64])
{
    for (size_t i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (size_t i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
}

/* The eight words a, b, ... h of the standard are v[0..8). */
static void compress(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64], v[8];
    schedule(block, w);
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t e = v[4], a = v[0];
        uint32_t t1 = v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                      ((e & v[5]) ^ (~e & v[6])) + constants[i] + w[i];
        uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
                      ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

void an_sha256_init(an_sha256 *s)
{
    *s = (an_sha256){0};
    memcpy(s->state, initial, sizeof initial);
}

void an_sha256_put(an_sha256 *s, const void *data, size_t size)
{
    const unsigned char *at = data;
    while (size > 0) {
        size_t used = (size_t)(s->n_bytes % sizeof s->block);
        size_t n = sizeof s->block - used;
        if (n > size) n = size;
        memcpy(s->block + used, at, n);
        s->n_bytes += n;
        at += n;
        size -= n;
        if (used + n == sizeof s->block) compress(s->state, s->block);
    }
}

void an_sha256_end(an_sha256 *s, unsigned char out[AN_SHA256_BYTES])
{
    static const unsigned char padding[64] = {0x80};
    unsigned char length[8];
    uint64_t n_bits = 8 * s->n_bytes;
    size_t used = (size_t)(s->n_bytes % 64);
    for (size_t i = 0; i < 8; i++)
        length[i] = (unsigned char)(n_bits >> (56 - 8 * i));
    an_sha256_put(s, padding, used < 56 ? 56 - used : 120 - used);
    an_sha256_put(s, length, sizeof length);
    for (size_t i = 0; i < AN_SHA256_BYTES; i++)
        out[i] = (unsigned char)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}

void an_sha256_end_text(an_sha256 *s, char out[AN_SHA256_DIGITS + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[AN_SHA256_BYTES];
    an_sha256_end(s, sum);
    for (size_t i = 0; i < AN_SHA256_BYTES; i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
    out[AN_SHA256_DIGITS] = '\0';
}

void an_sha256_text(const void *data, size_t size,
                    char out[AN_SHA256_DIGITS + 1])
{
    an_sha256 s;
    an_sha256_init(&s);
    an_sha256_put(&s, data, size);
    an_sha256_end_text(&s, out);
}
