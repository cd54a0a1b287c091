/*
 * The numerics ieee and exact: rounding to every type, accumulation, special
 * values. The values of the functions are checked by test_ops.
 */
#include "mil/num.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const an_num *const ieee = &an_num_ieee, *const exact = &an_num_exact;
#define INF ((double)INFINITY)
#define NOT_A_NUMBER ((double)NAN)

/* NaN equals NaN; zeros are told apart by their sign. */
static void assert_value(double came, double want)
{
    if (isnan(came) && isnan(want)) return;
    if (came != want || signbit(came) != signbit(want))
        fail_msg("%.17g, expected %.17g", came, want);
}

static void test_round_floats(void **state)
{
    (void)state;
    static const struct {
        double x, fp16, fp32;
    } known[] = {
        {1 + 0x1p-11, 1, 1 + 0x1p-11},          /* a tie, to even */
        {1 + 0x3p-11, 1 + 0x1p-9, 1 + 0x3p-11}, /* a tie, to even, up */
        {65519.99, 65504, 65519.98828125},      /* below the last tie */
        {65520, INF, 65520},                    /* fp16 overflows */
        {-1e300, -INF, -INF},
        {0x1p-25, 0, 0x1p-25}, /* half the least, to even */
        {0x1.8p-25, 0x1p-24, 0x1.8p-25},
        {1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-10, 1 + 0x1p-11}, /* never via fp32 */
        {-0.0, -0.0, -0.0},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_value(ieee->round(ieee, known[i].x, AN_FP16), known[i].fp16);
        assert_value(ieee->round(ieee, known[i].x, AN_FP32), known[i].fp32);
        assert_value(ieee->round(ieee, known[i].x, AN_FP64), known[i].x);
        assert_value(exact->round(exact, known[i].x, AN_FP16), known[i].x);
    }
}

static void test_round_whole(void **state)
{
    (void)state;
    static const struct {
        an_dtype to;
        double low, high;
    } known[] = {
        {AN_INT4, -8, 7},
        {AN_INT8, -128, 127},
        {AN_INT16, -32768, 32767},
        {AN_INT32, -2147483648.0, 2147483647.0},
        {AN_INT64, -0x1p63, 0x1p63 - 1024},
        {AN_UINT1, 0, 1},
        {AN_UINT2, 0, 3},
        {AN_UINT3, 0, 7},
        {AN_UINT4, 0, 15},
        {AN_UINT6, 0, 63},
        {AN_UINT8, 0, 255},
        {AN_UINT16, 0, 65535},
        {AN_UINT32, 0, 4294967295.0},
        {AN_UINT64, 0, 0x1p64 - 2048},
    };
    for (size_t i = 0; i < 2 * sizeof known / sizeof *known; i++) {
        const an_num *num = i % 2 ? ieee : exact;
        an_dtype to = known[i / 2].to;
        assert_value(num->round(num, -1e30, to), known[i / 2].low);
        assert_value(num->round(num, INF, to), known[i / 2].high);
        assert_value(num->round(num, 1.99, to), 1);
        assert_value(num->round(num, NOT_A_NUMBER, to), 0);
        if (known[i / 2].low < 0) assert_value(num->round(num, -1.99, to), -1);
        assert_value(num->round(num, 0.25, AN_BOOL), 1);
        assert_value(num->round(num, -0.0, AN_BOOL), 0);
    }
}

/* ieee adds in fp32 in ascending order, exact in fp64, both from the bias. */
static void test_dot(void **state)
{
    (void)state;
    const double a[] = {0x1p24, 1, -0x1p24}, one[] = {1, 1, 1};
    assert_value(ieee->dot(ieee, 3, a, 1, one, 1, 0, AN_FP16, AN_FP64), 0);
    assert_value(exact->dot(exact, 3, a, 1, one, 1, 0, AN_FP16, AN_FP64), 1);
    assert_value(ieee->dot(ieee, 3, a, 1, one, 1, 0, AN_FP64, AN_FP64), 1);
    assert_value(ieee->dot(ieee, 3, a, 1, one, 1, 4, AN_FP32, AN_FP64), 4);
    /* products are exact: 2^24 + 1 as 4097 x 4095.. would lose its 1 */
    const double p[] = {4097}, q[] = {4095};
    assert_value(
        ieee->dot(ieee, 1, p, 1, q, 1, -4097 * 4095.0 + 1, AN_FP16, AN_FP64),
        1);
    /* steps */
    const double x[] = {1, 9, 2, 9, 3}, y[] = {5, 9, 9, 6, 9, 9, 7};
    assert_value(exact->dot(exact, 3, x, 2, y, 3, 0, AN_FP64, AN_FP64),
                 1 * 5 + 2 * 6 + 3 * 7);
    assert_value(ieee->dot(ieee, 0, x, 1, y, 1, 0.1, AN_FP16, AN_FP16),
                 0x1.998p-4);
}

static double reduce(const an_num *num, an_reduce how, int64_t n,
                     const double *x, an_dtype to)
{
    return num->reduce(num, how, n, x, 1, to);
}

static void test_reduce(void **state)
{
    (void)state;
    const double a[] = {0x1p24, 1, -0x1p24};
    assert_value(reduce(ieee, AN_REDUCE_SUM, 3, a, AN_FP16), 0);
    assert_value(reduce(exact, AN_REDUCE_SUM, 3, a, AN_FP16), 1);
    /* one rounding at the end, not a running fp16 sum */
    const double b[] = {2048, 1, 1, 1};
    assert_value(reduce(ieee, AN_REDUCE_SUM, 4, b, AN_FP16), 2052);
    assert_value(reduce(ieee, AN_REDUCE_MEAN, 4, b, AN_FP16), 513);
    assert_value(reduce(exact, AN_REDUCE_MEAN, 4, b, AN_FP16), 512.75);
    const double c[] = {300, 300};
    assert_value(reduce(ieee, AN_REDUCE_SUM_SQUARE, 2, c, AN_FP16), INF);
    assert_value(reduce(exact, AN_REDUCE_SUM_SQUARE, 2, c, AN_FP16), 180000);
    const double d[] = {2, NOT_A_NUMBER, 3};
    assert_value(reduce(ieee, AN_REDUCE_MAX, 3, d, AN_FP16), NOT_A_NUMBER);
    assert_value(reduce(ieee, AN_REDUCE_MIN, 3, d, AN_FP16), NOT_A_NUMBER);
    assert_value(reduce(ieee, AN_REDUCE_MAX, 1, d + 2, AN_FP16), 3);
    /* shifted by the largest: no overflow, no ln(0) */
    const double e[] = {1000, 1000}, f[] = {-INF, -INF}, g[] = {1, INF};
    assert_value(reduce(exact, AN_REDUCE_LOG_SUM_EXP, 2, e, AN_FP64),
                 1000 + log(2));
    assert_value(reduce(exact, AN_REDUCE_LOG_SUM_EXP, 2, f, AN_FP64), -INF);
    assert_value(reduce(exact, AN_REDUCE_LOG_SUM_EXP, 2, g, AN_FP64), INF);
}

static void test_inner(void **state)
{
    (void)state;
    double x = 1 + 0x1p-30;
    assert_value(ieee->inner(ieee, x, AN_FP16), 1);
    assert_value(ieee->inner(ieee, x, AN_FP64), x);
    assert_value(exact->inner(exact, x, AN_FP16), x);
}

static void test_special(void **state)
{
    (void)state;
    static const struct {
        an_scalar fn;
        double a, b, c, want;
    } known[] = {
        {AN_SCALAR_log, -1, 0, 0, NOT_A_NUMBER},
        {AN_SCALAR_log, 0, 0, 0, -INF},
        {AN_SCALAR_sqrt, -1, 0, 0, NOT_A_NUMBER},
        {AN_SCALAR_inverse, 0, 0, 0, INF},
        {AN_SCALAR_real_div, 1, 0, 0, INF},
        {AN_SCALAR_real_div, 0, 0, 0, NOT_A_NUMBER},
        {AN_SCALAR_maximum, NOT_A_NUMBER, 1, 0, NOT_A_NUMBER},
        {AN_SCALAR_maximum, 1, NOT_A_NUMBER, 0, NOT_A_NUMBER},
        {AN_SCALAR_minimum, 1, NOT_A_NUMBER, 0, NOT_A_NUMBER},
        {AN_SCALAR_relu, NOT_A_NUMBER, 0, 0, NOT_A_NUMBER},
        {AN_SCALAR_sign, 0, 0, 0, 0},
        {AN_SCALAR_sign, NOT_A_NUMBER, 0, 0, NOT_A_NUMBER},
        {AN_SCALAR_equal, NOT_A_NUMBER, NOT_A_NUMBER, 0, 0},
        {AN_SCALAR_not_equal, NOT_A_NUMBER, NOT_A_NUMBER, 0, 1},
        {AN_SCALAR_select, NOT_A_NUMBER, 3, 4, 3}, /* not zero */
        {AN_SCALAR_clip, NOT_A_NUMBER, 0, 1, NOT_A_NUMBER},
        {AN_SCALAR_gelu_exact, -40, 0, 0, -0.0},
        {AN_SCALAR_silu, -800, 0, 0, -0.0},
        {AN_SCALAR_floor_div, -7, 2, 0, -4},
        {AN_SCALAR_round, 2.5, 0, 0, 2},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_value(
            an_scalar_exact(known[i].fn, known[i].a, known[i].b, known[i].c),
            known[i].want);
    /* the result is rounded to its own type */
    assert_value(
        ieee->scalar(ieee, AN_SCALAR_mul, 256, 256, 0, AN_FP16, AN_FP16), INF);
    assert_value(
        exact->scalar(exact, AN_SCALAR_mul, 256, 256, 0, AN_FP16, AN_FP16),
        65536);
    assert_int_equal(an_scalar_operands(AN_SCALAR_select), 3);
    assert_int_equal(an_scalar_operands(AN_SCALAR_NONE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_floats), cmocka_unit_test(test_round_whole),
        cmocka_unit_test(test_dot),          cmocka_unit_test(test_reduce),
        cmocka_unit_test(test_inner),        cmocka_unit_test(test_special),
    };
    return cmocka_run_group_tests_name("ops_num", tests, NULL, NULL);
}
