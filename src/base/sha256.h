/*
 * SHA-256 (FIPS 180-4): 32 bytes that stand for a content. Our own because no
 * library that has it is worth its weight here: the macOS binary loads
 * libSystem alone.
 */
#ifndef AN_BASE_SHA256_H
#define AN_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { AN_SHA256_BYTES = 32, AN_SHA256_DIGITS = 64 };

typedef struct an_sha256 {
    uint32_t state[8];
    uint64_t n_bytes;
    unsigned char block[64];
} an_sha256;

void an_sha256_init(an_sha256 *s);
void an_sha256_put(an_sha256 *s, const void *data, size_t size);
void an_sha256_end(an_sha256 *s, unsigned char out[AN_SHA256_BYTES]);
/* The same as 64 lower-case hexadecimal digits and a 0. */
void an_sha256_end_text(an_sha256 *s, char out[AN_SHA256_DIGITS + 1]);

/* Of one piece of memory. */
void an_sha256_text(const void *data, size_t size,
                    char out[AN_SHA256_DIGITS + 1]);

#endif
