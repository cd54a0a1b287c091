/*
 * fp16 (IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits) and bf16 (the
 * upper half of binary32). NaNs become quiet and keep the upper bits of their
 * payload, as the conversion instructions of x86-64 and arm64 do.
 */
#include "base/half.h"

#include <math.h>
#include <string.h>

typedef enum ties { TIES_EVEN, TIES_AWAY } ties;

static uint64_t bits_of_double(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double double_of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

double an_half_to_double(uint16_t bits)
{
    uint64_t sign = (uint64_t)(bits >> 15) << 63;
    uint64_t exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent == 0) { /* zero or subnormal: fraction x 2^-24 */
        double x = ldexp((double)fraction, -24);
        return sign ? -x : x;
    }
    if (exponent == 31) {
        uint64_t quiet = fraction ? UINT64_C(1) << 51 : 0;
        return double_of_bits(sign | UINT64_C(2047) << 52 | quiet |
                              fraction << 42);
    }
    return double_of_bits(sign | (exponent + 1023 - 15) << 52 | fraction << 42);
}

float an_half_to_float(uint16_t bits)
{
    return (float)an_half_to_double(bits); /* exact */
}

static uint16_t half_from(double x, ties mode)
{
    uint64_t bits = bits_of_double(x);
    uint16_t sign = (uint16_t)(bits >> 48 & 0x8000);
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    int exponent = (int)(bits >> 52 & 2047) - 1023;
    if (exponent == 1024 && fraction)
        return (uint16_t)(sign | 0x7e00 | fraction >> 42);
    if (exponent > 15) return sign | 0x7c00;
    if (exponent < -25) return sign;

    /* The significand, 53 bits, loses `shift` bits; from 2^-14 down the result
     * is subnormal and loses one more per step. A carry out of the fraction
     * moves into the exponent field, which is what rounding up means. */
    uint64_t significand = fraction | UINT64_C(1) << 52;
    int shift = exponent >= -14 ? 42 : 42 - 14 - exponent;
    uint64_t kept = significand >> shift;
    uint64_t rest = significand & ((UINT64_C(1) << shift) - 1);
    uint64_t middle = UINT64_C(1) << (shift - 1);
    if (exponent >= -14) kept += (uint64_t)(exponent + 14) << 10;
    if (rest > middle || (rest == middle && (mode == TIES_AWAY || kept & 1)))
        kept++;
    return (uint16_t)(sign | kept);
}

uint16_t an_half_from_double(double x)
{
    return half_from(x, TIES_EVEN);
}

uint16_t an_half_from_double_away(double x)
{
    return half_from(x, TIES_AWAY);
}

uint16_t an_half_from_float(float x)
{
    return half_from((double)x, TIES_EVEN); /* fp32 to fp64 is exact */
}

float an_bf16_to_float(uint16_t bits)
{
    return float_of_bits((uint32_t)bits << 16);
}

uint16_t an_bf16_from_float(float x)
{
    uint32_t bits = bits_of_float(x);
    if (isnan(x)) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

int an_half_rank(uint16_t bits)
{
    return bits & 0x8000 ? -(bits & 0x7fff) : bits;
}
