/*
 * The kernel sets against plain loops in double: conversions on every fp16
 * value, matrix products on odd shapes, functions within their bound. Every
 * set that this machine can run is tested.
 */
#include "base/half.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "kernels/set.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The portable set, and the machine's own. */
static const an_kernel_set *set_at(int i)
{
    return i == 0 ? &an_kernels_portable : an_kernels();
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static void halves_become_floats(void **state)
{
    (void)state;
    static uint16_t half[65536], back[65536];
    static float wide[65536];
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < 65536; i++)
            half[i] = (uint16_t)i;
        set_at(s)->half_to_float(65536, half, wide);
        set_at(s)->float_to_half(65536, wide, back);
        for (int i = 0; i < 65536; i++) {
            assert_int_equal(bits_of(wide[i]),
                             bits_of(an_half_to_float(half[i])));
            assert_int_equal(back[i], an_half_from_float(wide[i]));
        }
    }
}

/* Around every fp16 value: half way to the next and one step beside it. */
static void floats_become_halves(void **state)
{
    (void)state;
    enum { N = 3 * 31743 };
    static float x[N];
    static uint16_t y[N];
    for (int i = 0; i < 31743; i++) {
        float a = an_half_to_float((uint16_t)i);
        float b = an_half_to_float((uint16_t)(i + 1));
        float middle = i == 31742 ? 65520.0f : (a + b) / 2;
        x[3 * i] = middle;
        x[3 * i + 1] = nextafterf(middle, 0);
        x[3 * i + 2] = -nextafterf(middle, 1e9f);
    }
    for (int s = 0; s < 2; s++) {
        set_at(s)->float_to_half(N, x, y);
        for (int i = 0; i < N; i++)
            assert_int_equal(y[i], an_half_from_float(x[i]));
        static float z[N];
        memcpy(z, x, sizeof z);
        set_at(s)->round_half(N, z);
        for (int i = 0; i < N; i++)
            assert_int_equal(bits_of(z[i]), bits_of(an_half_to_float(y[i])));
    }
}

static double ulps(float got, double want)
{
    float near = (float)want;
    if (got == near || (isnan(got) && isnan(want))) return 0;
    if (isinf(near) || isinf(got)) return isinf(near) && isinf(got) ? 0 : 1e9;
    if (fabs(want) < 0x1p-119) /* e^x is subnormal */
        return fabs((double)got - want) / 0x1p-143;
    double unit =
        (double)nextafterf(fabsf(near), INFINITY) - fabs((double)near);
    return fabs((double)got - want) / unit;
}

static double exact(an_loop op, double x)
{
    double sigmoid = 1 / (1 + exp(-x));
    return op == AN_LOOP_EXP    ? exp(x)
           : op == AN_LOOP_SILU ? x * sigmoid
                                : sigmoid;
}

static void functions_are_within_two_ulp(void **state)
{
    (void)state;
    enum { N = 200003 };
    static float x[N], y[N];
    static const an_loop ops[] = {AN_LOOP_EXP, AN_LOOP_SIGMOID, AN_LOOP_SILU};
    for (int i = 0; i < N; i++)
        x[i] = -110.0f + 210.0f * (float)i / (float)N;
    x[0] = NAN, x[1] = INFINITY, x[2] = -INFINITY, x[3] = 0;
    for (int s = 0; s < 2; s++)
        for (size_t k = 0; k < 3; k++) {
            set_at(s)->loop_f32(ops[k], N, x, NULL, NULL, y);
            for (int i = 0; i < N; i++) {
                double u = ulps(y[i], exact(ops[k], (double)x[i]));
                if (u > 2)
                    fail_msg("set %d loop %d: f(%g) = %g, off by %g ulp", s,
                             (int)ops[k], (double)x[i], (double)y[i], u);
            }
        }
}

typedef struct shape {
    int64_t m, n, k;
} shape;
static const shape shapes[] = {{1, 1, 1},     {3, 5, 7},     {4, 8, 16},
                               {17, 33, 129}, {65, 97, 200}, {128, 40, 300},
                               {2, 200, 1},   {5, 3, 0}};

static void fill(double *x, size_t n, uint64_t stream)
{
    an_rng rng = {.seed = 1, .stream = stream};
    for (size_t i = 0; i < n; i++)
        x[i] = an_rng_normal(&rng);
}

/* c ascending in k, starting from beta c. */
static void plain(bool ta, bool tb, shape s, const double *a, const double *b,
                  double beta, double *c)
{
    for (int64_t i = 0; i < s.m; i++)
        for (int64_t j = 0; j < s.n; j++) {
            double sum = beta != 0 ? c[i * s.n + j] : 0;
            for (int64_t p = 0; p < s.k; p++)
                sum += a[ta ? p * s.m + i : i * s.k + p] *
                       b[tb ? j * s.k + p : p * s.n + j];
            c[i * s.n + j] = sum;
        }
}

enum { ROOM = 130 * 300 };
static double a64[ROOM], b64[ROOM], c64[ROOM], want[ROOM];
static float a32[ROOM], b32[ROOM], c32[ROOM];

static void products_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int variant = 0; variant < 8; variant++) {
            bool ta = variant & 1, tb = variant & 2, add = variant & 4;
            shape s = shapes[i];
            int64_t lda = ta ? s.m : s.k, ldb = tb ? s.k : s.n;
            fill(a64, ROOM, 1);
            fill(b64, ROOM, 2);
            fill(want, ROOM, 3);
            for (int j = 0; j < ROOM; j++) {
                a32[j] = (float)a64[j], b32[j] = (float)b64[j];
                a64[j] = (double)a32[j], b64[j] = (double)b32[j];
                want[j] = (double)(float)want[j];
                c64[j] = add ? want[j] : (double)NAN;
                c32[j] = (float)c64[j];
            }
            plain(ta, tb, s, a64, b64, add, want);
            an_gemm_f64(ta, tb, s.m, s.n, s.k, a64, lda > 0 ? lda : 1, b64,
                        ldb > 0 ? ldb : 1, add, c64, s.n);
            an_gemm_f32(ta, tb, s.m, s.n, s.k, a32, lda > 0 ? lda : 1, b32,
                        ldb > 0 ? ldb : 1, add ? 1 : 0, c32, s.n);
            for (int64_t j = 0; j < s.m * s.n; j++) {
                assert_true(c64[j] == want[j]);
                /* |products| <= 25, k + 1 roundings of partial sums */
                double bound = 0x1p-24 * 25 * (double)((s.k + 1) * (s.k + 1));
                assert_true(fabs((double)c32[j] - want[j]) <= bound);
            }
        }
}

static void own_fp32_product_matches(void **state)
{
    (void)state;
    for (int set = 0; set < 2; set++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            shape s = shapes[i];
            for (int j = 0; j < ROOM; j++) {
                /* small integers: every order gives the same sum */
                a64[j] = (double)(a32[j] = (float)(j * 7 % 5 - 2));
                b64[j] = (double)(b32[j] = (float)(j * 11 % 7 - 3));
            }
            plain(false, false, s, a64, b64, 0, want);
            set_at(set)->gemm_f32(s.m, s.n, s.k, a32, s.k, 1, b32, s.n, 1,
                                  false, c32, s.n);
            for (int64_t j = 0; j < s.m * s.n; j++)
                assert_true((double)c32[j] == want[j]);
        }
}

/* Rows of every stored type with a vector, of both sets, against sums in fp64;
 * a row gives the same bits alone and among others. */
static void rows_with_a_vector_match(void **state)
{
    (void)state;
    enum { ROWS = 7, MOST = 160 };
    static const int64_t lengths[] = {1, 31, 32, 33, 64, 100, 160};
    static float a[ROWS * MOST], x[MOST], scales[ROWS * MOST / AN_GEMV_GROUP];
    static uint16_t halves[ROWS * MOST];
    static int8_t bytes[ROWS * MOST];
    for (int i = 0; i < ROWS * MOST; i++) {
        bytes[i] = (int8_t)(i * i % 255 - 127);
        halves[i] = an_half_from_double(sin(i) * 3);
        a[i] = (float)cos(i * 0.7);
    }
    for (int i = 0; i < MOST; i++)
        x[i] = (float)sin(i * 1.3);
    for (int i = 0; i < ROWS * MOST / AN_GEMV_GROUP; i++)
        scales[i] = 0.01f * (float)(i % 9 + 1);
    const void *data[] = {a, halves, bytes};
    for (int set = 0; set < 2; set++)
        for (int type = 0; type < AN_GEMV_TYPES; type++)
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                int64_t k = lengths[l], groups = MOST / AN_GEMV_GROUP;
                if (type == AN_GEMV_Q8 && k % AN_GEMV_GROUP != 0) continue;
                an_gemv g = {ROWS, k, data[type], MOST, scales, groups};
                float out[ROWS + 1] = {0}, alone;
                out[ROWS] = 42;
                set_at(set)->gemv[type](&g, x, out);
                assert_true(out[ROWS] == 42);
                for (int r = 0; r < ROWS; r++) {
                    double sum = 0, size = 0;
                    for (int64_t p = 0; p < k; p++) {
                        int64_t at = r * MOST + p;
                        double w = type == AN_GEMV_F32 ? (double)a[at]
                                   : type == AN_GEMV_F16
                                       ? an_half_to_double(halves[at])
                                       : bytes[at] *
                                             (double)scales[at / AN_GEMV_GROUP];
                        sum += w * (double)x[p];
                        size += fabs(w * (double)x[p]);
                    }
                    double bound = 0x1p-24 * (double)(k + 2) * size;
                    assert_true(fabs((double)out[r] - sum) <= bound);
                    size_t row = (size_t)r * MOST *
                                 (type == AN_GEMV_F32   ? 4
                                  : type == AN_GEMV_F16 ? 2
                                                        : 1);
                    g = (an_gemv){1,
                                  k,
                                  (const char *)data[type] + row,
                                  MOST,
                                  scales + r * groups,
                                  groups};
                    set_at(set)->gemv[type](&g, x, &alone);
                    assert_memory_equal(&alone, &out[r], sizeof alone);
                }
            }
}

/* fp64 on, half way between and just beside every fp16 value, both signs. */
static void doubles_become_halves(void **state)
{
    (void)state;
    enum { N = 4 * 31744 };
    static double x[2 * N], y[2 * N];
    static uint16_t bits[2 * N];
    for (int i = 0; i < N; i++) {
        double a = an_half_to_double((uint16_t)(i / 4));
        double b =
            i / 4 == 31743 ? 65536 : an_half_to_double((uint16_t)(i / 4 + 1));
        double middle = (a + (isinf(b) ? 65536 : b)) / 2;
        double at[] = {a, middle, nextafter(middle, 0), nextafter(middle, 1e9)};
        x[i] = at[i % 4];
        x[N + i] = -x[i];
    }
    for (int s = 0; s < 4; s++) {
        an_ties ties = s < 2 ? AN_TIES_AWAY : AN_TIES_EVEN;
        memcpy(y, x, sizeof x);
        set_at(s % 2)->round_half_f64(2 * N, ties, y);
        for (int i = 0; i < 2 * N; i++) {
            uint16_t half = ties == AN_TIES_AWAY
                                ? an_half_from_double_away(x[i])
                                : an_half_from_double(x[i]);
            assert_int_equal(an_half_from_double(y[i]), half);
            assert_true(an_half_to_double(half) == y[i]);
        }
        assert_false(set_at(s % 2)->double_to_half(2 * N, y, bits));
        assert_true(set_at(s % 2)->double_to_half(8, x, bits));
        assert_false(set_at(s % 2)->half_to_double(2 * N, bits, y));
        y[0] = NAN;
        set_at(s % 2)->round_half_f64(1, ties, y);
        assert_true(y[0] == 0);
    }
}

/* There and back: every pattern, and where the NaNs are is told. */
static void halves_become_doubles(void **state)
{
    (void)state;
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < 65536; i++) {
            uint16_t half = (uint16_t)i, back;
            double x;
            bool nan = set_at(s)->half_to_double(1, &half, &x);
            assert_int_equal(nan, isnan(an_half_to_double(half)));
            if (nan) continue;
            assert_true(x == an_half_to_double(half));
            assert_false(set_at(s)->double_to_half(1, &x, &back));
            assert_int_equal(back, half);
        }
}

static void rows_match(void **state)
{
    (void)state;
    static float x[1000], e[1000];
    for (int i = 0; i < 1000; i++)
        x[i] = (float)((i * 37) % 101 - 50);
    for (int s = 0; s < 2; s++)
        for (size_t n = 1; n <= 1000; n += 37) {
            const an_rows *rows = &set_at(s)->rows;
            double sum = 0, square = 0, max = -1e9, min = 1e9;
            for (size_t i = 0; i < n; i++) {
                double v = (double)x[i];
                sum += v, square += v * v;
                max = v > max ? v : max, min = v < min ? v : min;
            }
            assert_true((double)rows->sum(n, x) == sum);
            assert_true((double)rows->sum_square(n, x) == square);
            assert_true((double)rows->max(n, x) == max);
            assert_true((double)rows->min(n, x) == min);
            double total = 0;
            for (size_t i = 0; i < n; i++)
                total += exp((double)x[i] - max);
            float got = rows->exp_sum(n, (float)max, x, e);
            assert_true(fabs((double)got - total) <= total * 0x1p-18);
        }
    x[500] = NAN;
    assert_true(isnan(an_kernels()->rows.max(1000, x)));
    assert_true(isnan(an_kernels()->rows.min(1000, x)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_become_floats),
        cmocka_unit_test(floats_become_halves),
        cmocka_unit_test(doubles_become_halves),
        cmocka_unit_test(halves_become_doubles),
        cmocka_unit_test(functions_are_within_two_ulp),
        cmocka_unit_test(products_match),
        cmocka_unit_test(own_fp32_product_matches),
        cmocka_unit_test(rows_with_a_vector_match),
        cmocka_unit_test(rows_match),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
