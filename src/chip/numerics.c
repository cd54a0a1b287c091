/*
 * Numerics of the chips. Sources: M6 and M4: 751K/Apple-Neural-Engine-
 * Microarchitecture-Study-M6, notes/numerics.md and data/06_numerics (the
 * accumulator measured on both with identical results); guide: sbryngelson/
 * ane-guide (M1), chapters 3, 12, 20; AF: sbryngelson/ANEForge (M1, M1 Max, M2
 * Pro, M5). What is not known of a chip is as on M4.
 */
#include "chip/numerics.h"

#include <math.h>
#include <string.h>

// clang-format off
/* Found, not decoded: a least-squares fit over the normal fp16 values of the
 * domain, the knot at 0 from M6's outputs at its smallest inputs (-1787 x
 * 2^-20, -1581 x 2^-21), the second from where M6's error vanishes. The two
 * first and two last knots are good to about 1e-4. */
#define SILU_BELOW 0x98d0, 0x9c5e, 0x9e6a, 0xa0ed, 0xa37e, 0xa5a8, 0xa83b, \
    0xaa42, 0xac8f, 0xae84, 0xb088, 0xb210, 0xb3a9, 0xb470, 0xb460, 0xb284
#define SILU_ABOVE 0x34be, 0x39d0, 0x3ce4, 0x3f0b, 0x409f, 0x41b8, 0x42cc, \
    0x43dc, 0x4473, 0x44f8, 0x457a, 0x45fc, 0x467e, 0x46fe, 0x477f, 0x47ff
#define GELU_BELOW 0x0000, 0x8e85, 0x923a, 0x9753, 0x9bf7, 0xa010, 0xa3c0, \
    0xa6e9, 0xa9c0, 0xac75, 0xae67, 0xb03d, 0xb11e, 0xb184, 0xb104, 0xaecf
#define GELU_ABOVE 0x3098, 0x357e, 0x389f, 0x3ab8, 0x3c78, 0x3d9a, 0x3eb9, \
    0x3fd2, 0x4072, 0x40f8, 0x417c, 0x41fe, 0x427f, 0x4300, 0x4380, 0x4400

static const uint16_t silu[AN_TABLE_KNOTS] = {SILU_BELOW, 0x96fb, SILU_ABOVE};
static const uint16_t gelu[AN_TABLE_KNOTS] = {GELU_BELOW, 0x922d, GELU_ABOVE};
/* M1's decoded values at 0: -0.001259 and -0.000543 (guide). */
static const uint16_t m1_silu[AN_TABLE_KNOTS] =
    {SILU_BELOW, 0x9528, SILU_ABOVE};
static const uint16_t m1_gelu[AN_TABLE_KNOTS] =
    {GELU_BELOW, 0x9073, GELU_ABOVE};

/* Products and sums in fixed point alone (M6, M4). */
#define MAC_M4 {.result_ties = AN_TIES_AWAY, .lanes = 1}
/* guide: sums of 16 triples +B, -B, +1 return 16 below B = 4096, 4 from there
 * on; 4096 + 1024 x 1 = 5116. Four consecutive products, added one after the
 * other on a grid of 12 bits, return all of these figures; an 11-bit stage
 * would lose ones from B = 2048 on. Ties to even: 2049 gives 2048. */
#define MAC_M1 {.result_ties = AN_TIES_EVEN, .flushes_denormals = true, \
                .lanes = 4, .lane_bits = 12}

#define SAME_ON_ALL \
    .product_limit = 32752, /* AF; M6 study: 32768 */ \
    .sigmoid_zero_at = -9.9375, /* M6's worst error is there */ \
    .sigmoid_one_at = 8.320,    /* guide (M1) */ \
    .log_of_zero = -45440,      /* guide (M1) */ \
    .guess_erf_one_at = 2.38,   /* M6's error vanishes; 2.375 .. 2.3825 fit */ \
    .guess_silu_zero_at = -10.2, /* M6's errors below -8 */ \
    .guess_silu_above = AN_SILU_X_PLUS_MIRROR, /* M6's errors above 8 */ \
    .guess_real_div = AN_WAY_EXACT, \
    .guess_pow = AN_WAY_EXACT, \
    .guess_softmax_exp = AN_WAY_EXACT, \
    .guess_mean = AN_MEAN_TIMES_RECIPROCAL, \
    .guess_to_integer = AN_INTEGER_TOWARD_ZERO, \
    .guess_inverse_of_zero = HUGE_VAL, \
    .guess_rsqrt_of_zero = HUGE_VAL, \
    .guess_moves_keep_patterns = true

static const an_chip_numerics rows[] = {
    /* guide: rounds to even on the fp16 grid, flushes denormals in the
     * multiply-accumulate and keeps them elsewhere; slices lose values above
     * 4094 (AF: M1 Max too). */
    {.chip = "m1", .mac = MAC_M1, .ties = AN_TIES_EVEN, .slice_gain = 16,
     .silu_knots = m1_silu, .gelu_knots = m1_gelu, SAME_ON_ALL},
    /* AF: slices, M2 Pro. Else not measured. */
    {.chip = "m2", .mac = MAC_M4, .ties = AN_TIES_AWAY, .slice_gain = 16,
     .silu_knots = silu, .gelu_knots = gelu, SAME_ON_ALL},
    /* Slices: A15 and later are exact (guide). Else not measured. */
    {.chip = "m3", .mac = MAC_M4, .ties = AN_TIES_AWAY, .slice_gain = 1,
     .silu_knots = silu, .gelu_knots = gelu, SAME_ON_ALL},
    {.chip = "m4", .mac = MAC_M4, .ties = AN_TIES_AWAY, .slice_gain = 1,
     .silu_knots = silu, .gelu_knots = gelu, SAME_ON_ALL},
    /* ANEForge PR 263: an epsilon or literal below 6.1e-5 acts as 0, sqrt(0 +
     * 1e-6) = 0 (rule R-104). The accumulator keeps denormals, 2049 gives 2050
     * (guide, chapter 3). */
    {.chip = "m5", .mac = MAC_M4, .ties = AN_TIES_AWAY,
     .flushes_operands = true, .flushes_literals = true, .slice_gain = 1,
     .silu_knots = silu, .gelu_knots = gelu, SAME_ON_ALL},
    {.chip = "m6", .mac = MAC_M4, .ties = AN_TIES_AWAY, .slice_gain = 1,
     .silu_knots = silu, .gelu_knots = gelu, SAME_ON_ALL},
};
// clang-format on

const an_chip_numerics *an_chip_numerics_find(const char *chip)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].chip, chip) == 0) return &rows[i];
    return NULL;
}
