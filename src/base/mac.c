/* The engine's multiply-accumulate, one product at a time; see mac.h. */
#include "base/mac.h"

#include "base/half.h"

#include <math.h>

/* significand x 2^(exponent - 10), of either sign. */
typedef struct parts {
    int64_t significand;
    int exponent; /* -14 .. 16 */
} parts;

static parts decode(uint16_t bits)
{
    int field = bits >> 10 & 31;
    int64_t fraction = bits & 1023;
    parts p = {.significand = field ? fraction | 1024 : fraction,
               .exponent = field ? field - 15 : -14};
    if (bits & 0x8000) p.significand = -p.significand;
    return p;
}

/* x 2^shift, rounded to an integer. */
static int64_t scaled(int64_t x, int shift, an_ties ties)
{
    if (shift >= 0) return x * ((int64_t)1 << shift);
    if (shift < -62) return 0;
    int64_t size = x < 0 ? -x : x, half = (int64_t)1 << (-shift - 1);
    int64_t kept = size >> -shift, rest = size & (2 * half - 1);
    if (rest > half || (rest == half && (ties == AN_TIES_AWAY || kept & 1)))
        kept++;
    return x < 0 ? -kept : kept;
}

int64_t an_mac_product(uint16_t a, uint16_t b)
{
    parts x = decode(a), y = decode(b);
    int exponent = x.exponent + y.exponent;
    if (exponent <= AN_MAC_LOST) return 0;
    return scaled(x.significand * y.significand,
                  exponent - 20 + AN_MAC_FRACTION, AN_TIES_AWAY);
}

static void accumulate(an_mac_sum *s, int64_t units)
{
    if (s->overflow) return;
    s->units += units;
    if (s->units >= (int64_t)1 << AN_MAC_LIMIT) s->overflow = 1;
    if (s->units <= -((int64_t)1 << AN_MAC_LIMIT)) s->overflow = -1;
}

/* floor(log2 |x|), x not 0. */
static int magnitude(int64_t x)
{
    int e = -1;
    for (uint64_t size = (uint64_t)(x < 0 ? -x : x); size; size >>= 1)
        e++;
    return e;
}

/* a + b in the first stage. */
static int64_t lane_sum(int64_t a, int64_t b, int bits)
{
    int64_t larger = (a < 0 ? -a : a) > (b < 0 ? -b : b) ? a : b;
    if (larger == 0) return 0;
    int grid = magnitude(larger) - (bits - 1);
    if (grid <= 0) return a + b;
    return (scaled(a, -grid, AN_TIES_EVEN) + scaled(b, -grid, AN_TIES_EVEN)) *
           ((int64_t)1 << grid);
}

static void flush_lane(an_mac_sum *s)
{
    accumulate(s, s->lane);
    s->lane = 0;
    s->n_lane = 0;
}

void an_mac_start(an_mac_sum *s, const an_mac *mac, uint16_t bias)
{
    parts p = decode(bias);
    *s = (an_mac_sum){.mac = mac};
    accumulate(s, scaled(p.significand, p.exponent - 10 + AN_MAC_FRACTION,
                         AN_TIES_AWAY));
}

static bool is_denormal(uint16_t bits)
{
    return (bits & 0x7c00) == 0;
}

void an_mac_add(an_mac_sum *s, uint16_t a, uint16_t b)
{
    bool flushed =
        s->mac->flushes_denormals && (is_denormal(a) || is_denormal(b));
    int64_t product = flushed ? 0 : an_mac_product(a, b);
    if (s->mac->lanes <= 1) {
        accumulate(s, product);
        return;
    }
    s->lane = lane_sum(s->lane, product, s->mac->lane_bits);
    if (++s->n_lane == s->mac->lanes) flush_lane(s);
}

uint16_t an_mac_end(an_mac_sum *s)
{
    flush_lane(s);
    if (s->overflow) return s->overflow < 0 ? 0xfc00 : 0x7c00;
    double x = ldexp((double)s->units, -AN_MAC_FRACTION);
    return s->mac->result_ties == AN_TIES_AWAY ? an_half_from_double_away(x)
                                               : an_half_from_double(x);
}

uint16_t an_mac_dot(const an_mac *mac, int64_t n, const uint16_t *a,
                    int64_t a_step, const uint16_t *b, int64_t b_step,
                    uint16_t bias)
{
    an_mac_sum s;
    an_mac_start(&s, mac, bias);
    for (int64_t i = 0; i < n && !s.overflow; i++)
        an_mac_add(&s, a[i * a_step], b[i * b_step]);
    return an_mac_end(&s);
}
