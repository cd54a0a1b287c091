/*
 * Loss, AdamW and sum of squares: against PyTorch's numbers (made by
 * reference/train_kernels.py), against plain fp64 loops, and the loss's
 * gradient against central differences.
 */
#include "kernels/train.c" /* all of it: the sets are compared */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "reference/train_kernels.inc"

/* A relative and an absolute bound, whichever is larger. */
static void assert_near(double came, double expected, double relative,
                        double absolute, const char *what, int64_t i)
{
    double bound = fmax(relative * fabs(expected), absolute);
    if (fabs(came - expected) <= bound) return; /* not with NaN */
    fail_msg("%s[%lld]: %.17g, expected %.17g within %g", what, (long long)i,
             came, expected, bound);
}

/* ---- loss ---- */

static double wave(int64_t v, int64_t c)
{
    return 6.0 * sin(0.37 * (double)v * ((double)c + 1.0) + (double)c);
}

typedef struct columns {
    int64_t vocab, stride, n;
    float *f32;
    double *f64, *gradient; /* of the plain loop */
    int32_t *targets;
    double nats;
} columns;

/* The definition, in fp64 with libm. */
static void define(columns *x, double scale)
{
    x->nats = 0;
    for (int64_t c = 0; c < x->n; c++) {
        double max = -HUGE_VAL, sum = 0;
        for (int64_t v = 0; v < x->vocab; v++)
            max = fmax(max, x->f64[v * x->stride + c]);
        for (int64_t v = 0; v < x->vocab; v++)
            sum += exp(x->f64[v * x->stride + c] - max);
        for (int64_t v = 0; v < x->vocab; v++) {
            double p = exp(x->f64[v * x->stride + c] - max) / sum;
            x->gradient[v * x->stride + c] =
                x->targets[c] < 0 ? 0 : scale * (p - (v == x->targets[c]));
        }
        if (x->targets[c] < 0) continue;
        x->nats += log(sum) + max - x->f64[x->targets[c] * x->stride + c];
    }
}

static columns make_columns(int64_t vocab, int64_t stride, int64_t n)
{
    size_t count = (size_t)(vocab * stride);
    columns x = {.vocab = vocab, .stride = stride, .n = n};
    x.f32 = malloc(count * sizeof *x.f32);
    x.f64 = malloc(count * sizeof *x.f64);
    x.gradient = malloc(count * sizeof *x.gradient);
    x.targets = malloc((size_t)n * sizeof *x.targets);
    assert_true(x.f32 && x.f64 && x.gradient && x.targets);
    for (int64_t v = 0; v < vocab; v++)
        for (int64_t c = 0; c < stride; c++) {
            x.f32[v * stride + c] = (float)wave(v, c);
            x.f64[v * stride + c] = (double)x.f32[v * stride + c];
            x.gradient[v * stride + c] = x.f64[v * stride + c];
        }
    for (int64_t c = 0; c < n; c++)
        x.targets[c] = (int32_t)((31 * c + 7) % vocab);
    return x;
}

static void free_columns(columns *x)
{
    free(x->f32);
    free(x->f64);
    free(x->gradient);
    free(x->targets);
}

/*
 * fp32: x - max, exp and the factor round once or twice each, and an error of
 * x - max (at most 12 here) multiplies: 12 x 2^-24 + 6 x 2^-24 < 2e-6 of the
 * scale; fp64 likewise with 2^-53. Columns behind n must stay as they were.
 */
static void check_loss(int64_t vocab, int64_t stride, int64_t n)
{
    const double scale = 1024;
    columns x = make_columns(vocab, stride, n);
    if (n > 3) x.targets[3] = -1;
    define(&x, scale);
    double per = x.nats + 1;
    assert_near(an_loss_only_f32(vocab, stride, n, x.f32, x.targets), x.nats, 0,
                2e-6 * per, "nats", 0);
    assert_near(an_loss_f32(vocab, stride, n, x.f32, x.targets, 1024.0f),
                x.nats, 0, 2e-6 * per, "nats", 1);
    assert_near(an_loss_only_f64(vocab, stride, n, x.f64, x.targets), x.nats, 0,
                1e-14 * per, "nats", 2);
    assert_near(an_loss_f64(vocab, stride, n, x.f64, x.targets, scale), x.nats,
                0, 1e-14 * per, "nats", 3);
    for (int64_t i = 0; i < vocab * stride; i++) {
        bool ours = i % stride < n;
        double expected = x.gradient[i];
        assert_near((double)x.f32[i], expected, ours ? 2e-6 : 0,
                    ours ? 2e-6 * scale * 1e-3 : 0, "dlogits f32", i);
        assert_near(x.f64[i], expected, ours ? 4e-15 : 0,
                    ours ? 4e-15 * scale : 0, "dlogits f64", i);
    }
    free_columns(&x);
}

static void test_loss_by_definition(void **state)
{
    (void)state;
    check_loss(1, 1, 1);
    check_loss(257, 5, 5);
    check_loss(257, 64, 37);
    check_loss(100, 300, 299);
    check_loss(32000, 32, 32);
}

static void test_loss_by_pytorch(void **state)
{
    (void)state;
    static const int64_t rows[] = {0, 7, 100, 131, 256};
    double x[257 * 5];
    int32_t targets[5];
    for (int64_t v = 0; v < 257; v++)
        for (int64_t c = 0; c < 5; c++)
            x[v * 5 + c] = wave(v, c);
    for (int c = 0; c < 5; c++)
        targets[c] = (31 * c + 7) % 257;
    double nats = an_loss_f64(257, 5, 5, x, targets, 1024);
    assert_near(nats, reference_nats[0], 1e-13, 0, "nats", 0);
    for (int r = 0; r < 5; r++)
        for (int c = 0; c < 5; c++)
            assert_near(x[rows[r] * 5 + c], reference_dlogits[r * 5 + c], 1e-12,
                        1e-12, "dlogits", r * 5 + c);
}

/* Central differences with step 1e-5: truncation is of the order of 1e-10,
 * rounding 1e-15 / 1e-5. */
static void test_loss_by_differences(void **state)
{
    (void)state;
    enum { V = 33, N = 9 };
    double x[V * N], gradient[V * N];
    int32_t targets[N] = {0, 32, 5, -1, 7, 8, 31, 16, 2};
    for (int i = 0; i < V * N; i++)
        x[i] = 0.5 * wave(i / N, i % N);
    memcpy(gradient, x, sizeof x);
    an_loss_f64(V, N, N, gradient, targets, 1.0);
    for (int i = 0; i < V * N; i++) {
        double at = x[i], above, below;
        x[i] = at + 1e-5;
        above = an_loss_only_f64(V, N, N, x, targets);
        x[i] = at - 1e-5;
        below = an_loss_only_f64(V, N, N, x, targets);
        x[i] = at;
        assert_near(gradient[i], (above - below) / 2e-5, 0, 2e-8, "difference",
                    i);
    }
}

/* A split into column ranges gives the same bits, whatever the ranges. */
static void test_loss_in_tiles(void **state)
{
    (void)state;
    enum { V = 257, N = 150 };
    columns a = make_columns(V, N, N), b = make_columns(V, N, N);
    an_loss_f32(V, N, N, a.f32, a.targets, 64.0f);
    for (int64_t c = 0, n = 1; c < N; c += n, n = n * 2 + 1)
        an_loss_f32(V, N, n < N - c ? n : N - c, b.f32 + c, b.targets + c,
                    64.0f);
    assert_memory_equal(a.f32, b.f32, V * N * sizeof(float));
    free_columns(&a);
    free_columns(&b);
}

static void test_loss_of_extremes(void **state)
{
    (void)state;
    /* 1e38 apart, equal large ones, far below, and a sum of one */
    float x[2 * 4] = {1e38f, 3e38f, -200.0f, 0.0f, //
                      0.0f,  3e38f, 0.0f,    -88.0f};
    const int32_t targets[4] = {0, 1, 1, 0};
    double nats = an_loss_f32(2, 4, 4, x, targets, 1.0f);
    assert_near(nats, log(2.0), 1e-7, 0, "nats", 0);
    const float expected[2 * 4] = {0, 0.5f, 0, 0, 0, -0.5f, 0, 0};
    for (int i = 0; i < 8; i++)
        assert_near((double)x[i], (double)expected[i], 0, 0, "dlogits", i);
}

/* Every position and kind of a logit that is not finite, in one column. */
static void test_loss_of_non_finite(void **state)
{
    (void)state;
    enum { V = 40, N = 11 };
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int at = 0; at < V * N; at++) {
        float x[V * N];
        int32_t targets[N];
        for (int i = 0; i < V * N; i++)
            x[i] = (float)wave(i, 0);
        for (int c = 0; c < N; c++)
            targets[c] = c;
        x[at] = bad[at % 3];
        assert_true(isnan(an_loss_only_f32(V, N, N, x, targets)));
        assert_true(isnan(an_loss_f32(V, N, N, x, targets, 1.0f)));
        for (int i = 0; i < V * N; i++)
            assert_int_equal(isnan(x[i]) != 0, i % N == at % N);
    }
}

/* A column without a target counts nothing, whatever it holds. */
static void test_loss_without_target(void **state)
{
    (void)state;
    double x[3] = {(double)NAN, 1, HUGE_VAL};
    const int32_t targets[1] = {-1};
    assert_true(an_loss_only_f64(3, 1, 1, x, targets) == 0);
    assert_true(an_loss_f64(3, 1, 1, x, targets, 2.0) == 0);
    for (int i = 0; i < 3; i++)
        assert_true(x[i] == 0);
}

/* ---- AdamW ---- */

enum { SIZE = 12, STEPS = 6 };

static an_adamw options(int step, double decay)
{
    return (an_adamw){.lr = 3e-3,
                      .beta1 = 0.9,
                      .beta2 = 0.95,
                      .epsilon = 1e-8,
                      .decay = decay,
                      .correction1 = 1 - pow(0.9, step),
                      .correction2 = 1 - pow(0.95, step),
                      .grad_factor = 1.0 / 512};
}

/* The scaled gradient of the script's step t. */
static double gradient(int i, int t)
{
    return 512 * sin(0.9 * i + t) * pow(10.0, -(i * 0.75));
}

static void check_f64(double decay, const double *w_end, const double *m_end,
                      const double *v_end)
{
    double w[SIZE], m[SIZE] = {0}, v[SIZE] = {0}, g[SIZE];
    uint16_t half[SIZE];
    for (int i = 0; i < SIZE; i++)
        w[i] = cos(1.7 * i);
    for (int t = 0; t < STEPS; t++) {
        an_adamw o = options(t + 1, decay);
        for (int i = 0; i < SIZE; i++)
            g[i] = gradient(i, t);
        an_adamw_f64(&o, SIZE, w, m, v, g, half);
    }
    for (int i = 0; i < SIZE; i++) {
        /* each step rounds a few times; sums of m may cancel */
        assert_near(w[i], w_end[i], 1e-14, 1e-16, "w", i);
        assert_near(m[i], m_end[i], 1e-13, 0, "m", i);
        assert_near(v[i], v_end[i], 1e-13, 0, "v", i);
        assert_int_equal(half[i], an_half_from_double(w[i]));
    }
}

/* fp32 against the fp64 result: 2^-24 of w, and of m's terms, a step. */
static void check_f32(double decay, const double *w_end, const double *m_end,
                      const double *v_end)
{
    float w[SIZE], m[SIZE] = {0}, v[SIZE] = {0}, g[SIZE];
    uint16_t half[SIZE];
    for (int i = 0; i < SIZE; i++)
        w[i] = (float)cos(1.7 * i);
    for (int t = 0; t < STEPS; t++) {
        an_adamw o = options(t + 1, decay);
        for (int i = 0; i < SIZE; i++)
            g[i] = (float)gradient(i, t);
        an_adamw_f32(&o, SIZE, w, m, v, g, half);
    }
    for (int i = 0; i < SIZE; i++) {
        assert_near((double)w[i], w_end[i], 5e-7, 5e-8, "w", i);
        double largest = pow(10.0, -(i * 0.75)); /* of the gradients */
        assert_near((double)m[i], m_end[i], 0, 3e-7 * largest, "m", i);
        assert_near((double)v[i], v_end[i], 1e-6, 0, "v", i);
        assert_int_equal(half[i], an_half_from_float(w[i]));
    }
}

static void test_adamw_by_pytorch(void **state)
{
    (void)state;
    check_f64(0.0, adamw_plain_w, adamw_plain_m, adamw_plain_v);
    check_f64(0.1, adamw_decay_w, adamw_decay_m, adamw_decay_v);
    check_f32(0.0, adamw_plain_w, adamw_plain_m, adamw_plain_v);
    check_f32(0.1, adamw_decay_w, adamw_decay_m, adamw_decay_v);
}

/* Any length, and the same bits whatever the split; half may be NULL. */
static void test_adamw_in_tiles(void **state)
{
    (void)state;
    enum { N = 3001 };
    static float a[3][N], b[3][N], g[N];
    static uint16_t half[2][N];
    an_adamw o = options(1, 0.1);
    for (int i = 0; i < N; i++) {
        a[0][i] = b[0][i] = (float)cos(i);
        g[i] = (float)gradient(i % 7, i);
    }
    an_adamw_f32(&o, N, a[0], a[1], a[2], g, half[0]);
    for (size_t i = 0, n = 1; i < N; i += n, n += 3) {
        size_t part = n < N - i ? n : N - i;
        an_adamw_f32(&o, part, b[0] + i, b[1] + i, b[2] + i, g + i,
                     half[1] + i);
    }
    assert_memory_equal(a, b, sizeof a);
    assert_memory_equal(half[0], half[1], sizeof half[0]);
    an_adamw_f32(&o, 5, a[0], a[1], a[2], g, NULL);
    an_adamw_f32(&o, 5, b[0], b[1], b[2], g, half[0]);
    assert_memory_equal(a, b, sizeof a);
}

/* ---- sum of squares ---- */

static void test_sum_square(void **state)
{
    (void)state;
    static float f32[1000];
    static double f64[1000];
    for (int i = 0; i < 1000; i++) {
        f32[i] = (float)wave(i, 1);
        f64[i] = (double)f32[i];
    }
    double sum = 0;
    for (size_t n = 0; n < 1000; n++) {
        /* squares of fp32 are exact in fp64, so both types agree */
        double came = an_sum_square_f32(n, f32);
        assert_true(came == an_sum_square_f64(n, f64));
        assert_near(came, sum, 1e-14, 0, "sum", (int64_t)n);
        sum += f64[n] * f64[n];
    }
    f32[999] = NAN;
    assert_true(isnan(an_sum_square_f32(1000, f32)));
    f32[999] = 3e38f;
    assert_true(an_sum_square_f32(1000, f32) > 8e76);
}

/* ---- instruction sets ---- */

#if defined(__x86_64__)
static void test_sets_agree(void **state)
{
    (void)state;
    enum { V = 300, N = 139 };
    if (an_kernels() != &an_kernels_avx2) skip();
    columns a = make_columns(V, N, N), b = make_columns(V, N, N);
    double x = loss_f32_avx2(V, N, N, a.f32, a.targets, 64.0f);
    assert_true(x == loss_f32_portable(V, N, N, b.f32, b.targets, 64.0f));
    x = loss_f64_avx2(V, N, N, a.f64, a.targets, 64.0);
    assert_true(x == loss_f64_portable(V, N, N, b.f64, b.targets, 64.0));
    assert_memory_equal(a.f32, b.f32, V * N * sizeof(float));
    assert_memory_equal(a.f64, b.f64, V * N * sizeof(double));
    x = sum_square_f32_avx2(V * N, a.f32);
    assert_true(x == sum_square_f32_portable(V * N, a.f32));
    x = sum_square_f64_avx2(V * N, a.f64);
    assert_true(x == sum_square_f64_portable(V * N, a.f64));
    an_adamw o = options(3, 0.1);
    enum { THIRD = V / 3 * N }; /* w, m and v; v is not below 0 */
    for (int i = 0; i < THIRD; i++) {
        a.f32[2 * THIRD + i] = b.f32[2 * THIRD + i] = fabsf(a.f32[i]);
        a.f64[2 * THIRD + i] = b.f64[2 * THIRD + i] = fabs(a.f64[i]);
    }
    static float g32[THIRD];
    static double g64[THIRD];
    for (int i = 0; i < THIRD; i++)
        g32[i] = (float)(g64[i] = gradient(i % 7, i));
    adamw_f32_avx2(&o, THIRD, a.f32, a.f32 + THIRD, a.f32 + 2 * THIRD, g32);
    adamw_f32_portable(&o, THIRD, b.f32, b.f32 + THIRD, b.f32 + 2 * THIRD, g32);
    adamw_f64_avx2(&o, THIRD, a.f64, a.f64 + THIRD, a.f64 + 2 * THIRD, g64);
    adamw_f64_portable(&o, THIRD, b.f64, b.f64 + THIRD, b.f64 + 2 * THIRD, g64);
    assert_memory_equal(a.f32, b.f32, V * N * sizeof(float));
    assert_memory_equal(a.f64, b.f64, V * N * sizeof(double));
    free_columns(&a);
    free_columns(&b);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_by_definition),
        cmocka_unit_test(test_loss_by_pytorch),
        cmocka_unit_test(test_loss_by_differences),
        cmocka_unit_test(test_loss_in_tiles),
        cmocka_unit_test(test_loss_of_extremes),
        cmocka_unit_test(test_loss_of_non_finite),
        cmocka_unit_test(test_loss_without_target),
        cmocka_unit_test(test_adamw_by_pytorch),
        cmocka_unit_test(test_adamw_in_tiles),
        cmocka_unit_test(test_sum_square),
#if defined(__x86_64__)
        cmocka_unit_test(test_sets_agree),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
