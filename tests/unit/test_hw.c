/*
 * The numerics `hw` against what real engines returned: a capture of a
 * backward program, single results, statistics of activation functions. The
 * figures and their sources are in tests/data/hw.
 */
#include "base/half.h"
#include "chip/numerics.h"
#include "mil/op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static an_num num_of(const char *chip)
{
    an_num num;
    const an_chip_numerics *row = an_chip_numerics_find(chip);
    assert_non_null(row);
    an_num_hw_init(&num, row);
    return num;
}

static double apply(const an_num *num, an_scalar fn, double a, double b)
{
    return num->scalar(num, fn, a, b, 0, AN_FP16, AN_FP16);
}

static uint16_t dot_bits(const an_num *num, int64_t n, const double *a,
                         int64_t a_step, const double *b, int64_t b_step,
                         double bias)
{
    return num->store(
        num->dot(num, n, a, a_step, b, b_step, bias, AN_FP16, AN_FP16));
}

/* ---- files: lines of fields between commas ---- */

enum { MAX_FIELDS = 10 };
typedef struct table {
    FILE *file;
    char line[512];
    char *field[MAX_FIELDS];
    int n;
} table;

static void open_table(table *t, const char *path)
{
    t->file = fopen(path, "r");
    if (!t->file) fail_msg("%s: cannot be opened", path);
}

/* The next line that is no comment, cut at its commas. */
static bool next_row(table *t)
{
    do {
        if (!fgets(t->line, sizeof t->line, t->file)) return false;
    } while (t->line[0] == '#');
    t->n = 0;
    t->line[strcspn(t->line, "\r\n")] = 0;
    for (char *p = t->line; p && t->n < MAX_FIELDS;) {
        t->field[t->n++] = p;
        p = strchr(p, ',');
        if (p) *p++ = 0;
    }
    return true;
}

/* ---- the backward capture ---- */

/* dx at one position of the sequence; every channel is the same there. */
static double backward(const an_num *num, int position)
{
    enum { D = 768, H = 2048 };
    float step = 0.005f;
    double x = an_half_to_double(
        an_half_from_float((float)(position % 128 + 1) * step));
    double w = an_half_to_double(an_half_from_float(0.01f));
    double zero = 0;
    double dsilu = num->dot(num, D, &x, 0, &w, 0, zero, AN_FP16, AN_FP16);
    double sig = apply(num, AN_SCALAR_sigmoid, x, 0);
    double oms = apply(num, AN_SCALAR_sub, 1, sig);
    double homs = apply(num, AN_SCALAR_mul, x, oms);
    double brk = apply(num, AN_SCALAR_add, 1, homs);
    double dsd = apply(num, AN_SCALAR_mul, sig, brk);
    double t1 = apply(num, AN_SCALAR_mul, dsilu, x);
    double dh1 = apply(num, AN_SCALAR_mul, t1, dsd);
    double slh = apply(num, AN_SCALAR_mul, x, sig);
    double dh3 = apply(num, AN_SCALAR_mul, dsilu, slh);
    return apply(num, AN_SCALAR_add,
                 num->dot(num, H, &dh1, 0, &w, 0, zero, AN_FP16, AN_FP16),
                 num->dot(num, H, &dh3, 0, &w, 0, zero, AN_FP16, AN_FP16));
}

static void test_backward_capture(void **state)
{
    (void)state;
    an_num num = num_of("m4");
    table t;
    int n = 0, same = 0;
    open_table(&t, "tests/data/hw/ffn_backward_dx.csv");
    while (next_row(&t)) {
        if (strcmp(t.field[0], "spatial_index") == 0) continue;
        int position = atoi(t.field[0]);
        double came = backward(&num, position);
        double wanted = strtod(t.field[1], NULL);
        if (num.store(came) == num.store(wanted))
            same++;
        else
            print_error("dx[%d]: expected %.9g, came %.9g\n", position, wanted,
                        came);
        n++;
    }
    fclose(t.file);
    print_message("# figure: ffn_backward_dx: %d of %d values bit for bit\n",
                  same, n);
    assert_int_equal(n, 128);
    assert_int_equal(same, 128);
}

/* ---- single results ---- */

static int numbers_of(char *text, double *out, int max)
{
    int n = 0;
    for (char *p = strtok(text, ";"); p && n < max; p = strtok(NULL, ";"))
        out[n++] = strtod(p, NULL);
    return n;
}

static double probe(const table *t)
{
    double x[8], w[8];
    an_num num = num_of(strcmp(t->field[0], "M4") == 0 ? "m4" : "m6");
    int n = numbers_of(t->field[2], x, 8);
    assert_int_equal(n, numbers_of(t->field[3], w, 8));
    if (strcmp(t->field[1], "add") == 0)
        return apply(&num, AN_SCALAR_add, x[0], w[0]);
    if (strcmp(t->field[1], "mul") == 0)
        return apply(&num, AN_SCALAR_mul, x[0], w[0]);
    assert_string_equal(t->field[1], "mac");
    return num.dot(&num, n, x, 1, w, 1, strtod(t->field[4], NULL), AN_FP16,
                   AN_FP16);
}

static void test_probes(void **state)
{
    (void)state;
    table t;
    int n = 0, same = 0;
    open_table(&t, "tests/data/hw/mac_probes.csv");
    while (next_row(&t)) {
        if (strcmp(t.field[0], "chip") == 0) continue;
        double wanted = strtod(t.field[5], NULL), came = probe(&t);
        n++;
        if (came == wanted)
            same++;
        else
            print_error("mac_probes row %d: expected %.9g, came %.9g\n", n,
                        wanted, came);
    }
    fclose(t.file);
    print_message("# figure: mac_probes: %d of %d rows\n", same, n);
    assert_int_equal(n, 113);
    assert_int_equal(same, 113);
}

/* ---- statistics ---- */

typedef struct statistics {
    double max_abs, max_ulp, at, exact, out;
} statistics;

static double spacing_of(double x)
{
    int e;
    (void)frexp(x, &e);
    return ldexp(1, (e < -13 ? -13 : e) - 11);
}

static void take_point(statistics *s, const an_num *num, an_scalar fn, double x)
{
    double epsilon = fn == AN_SCALAR_inverse ? 1e-4 : 0;
    double out = apply(num, fn, x, epsilon),
           exact = an_scalar_exact(fn, x, 0, 0);
    double error = fabs(out - exact), ulp = error / spacing_of(exact);
    if (error > s->max_abs) s->max_abs = error;
    if (ulp <= s->max_ulp) return;
    s->max_ulp = ulp;
    s->at = x;
    s->exact = exact;
    s->out = out;
}

static statistics statistics_of(const an_num *num, an_scalar fn, bool linear,
                                double low, double high)
{
    enum { POINTS = 524288 };
    statistics s = {0};
    double last = (double)NAN;
    for (int i = 0; i < POINTS; i++) {
        double part = (double)i / (POINTS - 1);
        double x =
            linear ? low + (high - low) * part : low * pow(high / low, part);
        x = an_half_to_double(an_half_from_double(x));
        if (x != last) take_point(&s, num, fn, x);
        last = x;
    }
    return s;
}

static an_scalar scalar_of(const char *name)
{
    static const char *const names[AN_SCALAR_COUNT] = {
#define AN_FN(id, n) [AN_SCALAR_##id] = #id,
#include "mil/scalars.def"
#undef AN_FN
    };
    if (strcmp(name, "gelu") == 0) return AN_SCALAR_gelu_exact;
    for (int i = 1; i < AN_SCALAR_COUNT; i++)
        if (strcmp(names[i], name) == 0) return (an_scalar)i;
    fail_msg("no function %s", name);
    return AN_SCALAR_NONE;
}

/* Does x print as the text does? */
static bool prints_as(const char *format_digits, double x, const char *text)
{
    char came[64];
    int digits = atoi(format_digits + 1);
    switch (format_digits[0]) {
    case 'e':
        snprintf(came, sizeof came, "%.*e", digits, x);
        break;
    case 'f':
        snprintf(came, sizeof came, "%.*f", digits, x);
        break;
    default:
        snprintf(came, sizeof came, "%.*g", digits, x);
    }
    return strtod(came, NULL) == strtod(text, NULL);
}

static int figures_equal(const table *t, const statistics *s)
{
    return prints_as("e3", s->max_abs, t->field[4]) +
           prints_as("f1", s->max_ulp, t->field[5]) +
           prints_as("g4", s->at, t->field[6]) +
           prints_as("g3", s->exact, t->field[7]) +
           prints_as("g3", s->out, t->field[8]);
}

static void test_statistics(void **state)
{
    (void)state;
    an_num num = num_of("m6");
    table t;
    int n = 0, same = 0;
    open_table(&t, "tests/data/hw/activation_stats.csv");
    while (next_row(&t)) {
        if (strcmp(t.field[0], "function") == 0) continue;
        bool is_sin = strcmp(t.field[0], "sin") == 0; /* max_abs only */
        statistics s = statistics_of(
            &num, scalar_of(t.field[0]), strcmp(t.field[1], "linear") == 0,
            strtod(t.field[2], NULL), strtod(t.field[3], NULL));
        int equal = is_sin ? 4 + prints_as("e3", s.max_abs, t.field[4])
                           : figures_equal(&t, &s);
        print_message(
            "# figure: %-8s max_abs %.3e (%s)  max_ulp %.1f (%s)  at %.4g (%s)"
            "  exact %.3g (%s)  out %.3g (%s)%s\n",
            t.field[0], s.max_abs, t.field[4], s.max_ulp, t.field[5], s.at,
            t.field[6], s.exact, t.field[7], s.out, t.field[8],
            is_sin ? "  max_abs only" : "");
        n++;
        same += equal == 5;
    }
    fclose(t.file);
    print_message(
        "# figure: activation_stats: %d of %d functions as published\n", same,
        n);
    assert_int_equal(n, 11);
    assert_int_equal(same, 11);
}

/* ---- rules without a capture ---- */

static uint16_t one_product(const an_num *num, uint16_t x, uint16_t w)
{
    double a = num->load(x), b = num->load(w);
    return dot_bits(num, 1, &a, 1, &b, 1, 0);
}

static void test_exponent_31_is_a_number_in_products(void **state)
{
    (void)state;
    an_num num = num_of("m4");
    uint16_t unit = 0x0400;                                    /* 2^-14 */
    assert_int_equal(one_product(&num, 0x7c00, unit), 0x4400); /* 4 */
    assert_int_equal(one_product(&num, 0xfe00, unit), 0xc600); /* -6 */
    assert_int_equal(one_product(&num, 0x7fff, unit),
                     an_half_from_double_away(131008 * 0x1p-14));
    assert_int_equal(one_product(&num, 0x7c01, unit), 0x4401); /* signalling */
    assert_int_equal(one_product(&num, 0x7c00, 0x3c00), 0x7c00);
    assert_int_equal(one_product(&num, 0x7c00, 0), 0);
}

static void test_patterns_survive_moves(void **state)
{
    (void)state;
    an_num num = num_of("m4");
    for (uint32_t i = 0; i < 0x10000; i++) {
        double x = num.load((uint16_t)i);
        double y =
            num.scalar(&num, AN_SCALAR_identity, x, 0, 0, AN_FP16, AN_FP16);
        if (num.store(y) != i)
            fail_msg("identity of 0x%04x is 0x%04x", i, num.store(y));
    }
    double nan = num.load(0x7d23);
    assert_int_equal(num.store(apply(&num, AN_SCALAR_maximum, nan, 1)), 0x7d23);
    assert_int_equal(num.store(apply(&num, AN_SCALAR_minimum, nan, 1)), 0x3c00);
    assert_int_equal(num.store(apply(&num, AN_SCALAR_add, nan, 1)), 0x7c00);
    assert_int_equal(num.store(apply(&num, AN_SCALAR_relu, nan, 0)), 0x7c00);
}

static void test_no_nan_is_made(void **state)
{
    (void)state;
    an_num num = num_of("m4");
    double inf = HUGE_VAL;
    assert_true(apply(&num, AN_SCALAR_sub, inf, inf) == 0);
    assert_true(apply(&num, AN_SCALAR_mul, 0, inf) == 0);
    assert_true(apply(&num, AN_SCALAR_sqrt, -1, 0) == 0);
    assert_true(apply(&num, AN_SCALAR_rsqrt, -1, 0) == 0);
    assert_true(apply(&num, AN_SCALAR_log, -1, 0) == 0);
    assert_true(apply(&num, AN_SCALAR_real_div, 0, 0) == 0);
    assert_true(apply(&num, AN_SCALAR_pow, -1, 0.5) == 0);
    assert_true(apply(&num, AN_SCALAR_log, 0, 0) == -45440);
    assert_true(apply(&num, AN_SCALAR_inverse, 0, 0) == inf);
    assert_true(apply(&num, AN_SCALAR_rsqrt, 0, 0) == inf);
    for (int fn = 1; fn < AN_SCALAR_COUNT; fn++)
        for (uint32_t i = 0; i < 0x10000; i += i == 0x7c00 ? 1 : 31) {
            if (fn == AN_SCALAR_identity || fn == AN_SCALAR_select ||
                fn == AN_SCALAR_maximum || fn == AN_SCALAR_minimum)
                continue;
            double y = apply(&num, (an_scalar)fn, num.load((uint16_t)i), 0);
            if (isnan(y)) fail_msg("function %d of 0x%04x is NaN", fn, i);
        }
}

static void test_wider_types(void **state)
{
    (void)state;
    an_num num = num_of("m4");
    /* 2049: nearest even at a host surface, ties away inside. */
    assert_true(num.scalar(&num, AN_SCALAR_identity, 2049, 0, 0, AN_FP32,
                           AN_FP16) == 2048);
    assert_true(num.scalar(&num, AN_SCALAR_identity, 2049, 0, 0, AN_INT32,
                           AN_FP16) == 2050);
    assert_true(num.scalar(&num, AN_SCALAR_identity, -2.75, 0, 0, AN_FP16,
                           AN_INT32) == -2);
    double a[2] = {0x1p15, 0x1p15}, b[2] = {0x1p15, 0x1p15};
    assert_true(num.dot(&num, 1, a, 1, b, 1, 0, AN_INT8, AN_FP64) == 0x1p30);
    assert_true(isinf(num.dot(&num, 2, a, 1, b, 1, 0, AN_INT8, AN_FP16)));
    double x = 3, y = 5;
    assert_true(num.dot(&num, 1, &x, 1, &y, 1, 2, AN_INT8, AN_INT32) == 17);
}

static void test_saturation_is_sticky(void **state)
{
    (void)state;
    an_num num = num_of("m4");
    double one = 1, x[3] = {16384, 16384, -32000};
    assert_int_equal(dot_bits(&num, 3, x, 1, &one, 0, 0), 0x7c00);
    x[0] = -32000, x[2] = 16384;
    assert_int_equal(dot_bits(&num, 3, x, 1, &one, 0, 0),
                     an_half_from_double(768));
    assert_int_equal(dot_bits(&num, 3, x, 1, &one, 0, -32768), 0xfc00);
    x[0] = 32752, x[1] = 8;
    assert_int_equal(dot_bits(&num, 2, x, 1, &one, 0, 0), 0x7800); /* 32768 */
}

static void test_reductions(void **state)
{
    (void)state;
    an_num num = num_of("m4");
    double x[4] = {40000, 1, 20000, 8};
    assert_true(num.reduce(&num, AN_REDUCE_SUM, 4, x, 1, AN_FP16) == 60000);
    assert_true(num.reduce(&num, AN_REDUCE_MEAN, 4, x, 1, AN_FP16) == 15000);
    assert_true(num.reduce(&num, AN_REDUCE_MAX, 4, x, 1, AN_FP16) == 40000);
    x[1] = 20000;
    assert_true(isinf(num.reduce(&num, AN_REDUCE_SUM, 4, x, 1, AN_FP16)));
    double y[2] = {2048, 1};
    assert_true(num.reduce(&num, AN_REDUCE_SUM, 2, y, 1, AN_FP16) == 2050);
}

/* Survivors of 16 triples +B, -B, +1, in both orders: the guide's table. */
static void test_m1(void **state)
{
    (void)state;
    static const double big[] = {1024, 3000, 4090, 4096, 8000, 16000, 30000};
    an_num num = num_of("m1");
    double one = 1, x[1025];
    for (int i = 0; i < 7; i++) {
        double wanted = big[i] < 4096 ? 16 : 4;
        for (int order = 0; order < 2; order++) {
            for (int k = 0; k < 16; k++) {
                x[3 * k] = big[i];
                x[3 * k + 1] = order ? 1 : -big[i];
                x[3 * k + 2] = order ? -big[i] : 1;
            }
            assert_int_equal(dot_bits(&num, 48, x, 1, &one, 0, 0),
                             num.store(wanted));
        }
    }
    x[0] = 4096;
    for (int i = 1; i < 1025; i++)
        x[i] = 1;
    assert_int_equal(dot_bits(&num, 1025, x, 1, &one, 0, 0), num.store(5116));
    double pair[2] = {2048, 1};
    assert_int_equal(dot_bits(&num, 2, pair, 1, &one, 0, 0), 0x6800);
    double denormal = 0x1p-15;
    assert_int_equal(dot_bits(&num, 1, &denormal, 1, &one, 0, 0), 0);
    assert_true(apply(&num, AN_SCALAR_mul, denormal, 1) == denormal);
    assert_int_equal(num.store(apply(&num, AN_SCALAR_silu, 0, 0)), 0x9528);
    assert_int_equal(an_hw_slice(num.chip, num.store(4094)), num.store(4094));
    assert_int_equal(an_hw_slice(num.chip, num.store(-4096)), 0xfc00);
}

static void test_m5_flushes(void **state)
{
    (void)state;
    an_num m4 = num_of("m4"), m5 = num_of("m5");
    double tiny = an_half_to_double(an_half_from_double(1e-6));
    assert_true(apply(&m5, AN_SCALAR_add, 0, tiny) == 0);
    assert_true(apply(&m4, AN_SCALAR_add, 0, tiny) == tiny);
    assert_true(an_hw_literal(m5.chip, 1e-6) == 0);
    assert_true(an_hw_literal(m4.chip, 1e-6) == 1e-6);
    double one = 1, x = 0x1p-16;
    assert_int_equal(dot_bits(&m5, 1, &x, 1, &one, 1, 0), m5.store(x));
}

/* ---- fusion ---- */

typedef enum readers { ONE_READER, TWO_READERS, IS_RESULT } readers;

/* x sigmoid(x), or sigmoid(x) x; is it found to be silu(x)? */
static bool fuses(readers how, bool swapped)
{
    an_module *m = NULL;
    an_builder *b = NULL;
    an_error err = {0};
    int count[16];
    an_value *silu[16];
    assert_int_equal(an_module_new(&m, &err), AN_OK);
    assert_int_equal(an_build_begin(m, "main", 18, &b, &err), AN_OK);
    an_value *x = an_build_param(b, "x", AN_TENSOR(AN_FP16, 4));
    an_value *s = an_build(b, "sigmoid", "s", AN_ARGS({"x", x}));
    an_value *y = an_build(
        b, "mul", "y", AN_ARGS({"x", swapped ? s : x}, {"y", swapped ? x : s}));
    an_build_result(b, y);
    if (how == IS_RESULT) an_build_result(b, s);
    if (how == TWO_READERS)
        an_build_result(b, an_build(b, "square", "z", AN_ARGS({"x", s})));
    assert_int_equal(an_build_end(b, &err), AN_OK);
    const an_function *f = an_module_function(m, "main");
    assert_in_range(f->n_values, 3, 16);
    an_hw_find_silu(f, count, silu);
    bool found = silu[y->id] == x;
    assert_true(found || silu[y->id] == NULL);
    an_module_free(m);
    return found;
}

static void test_fusion(void **state)
{
    (void)state;
    for (int swapped = 0; swapped < 2; swapped++) {
        assert_true(fuses(ONE_READER, swapped));
        assert_false(fuses(TWO_READERS, swapped));
        assert_false(fuses(IS_RESULT, swapped));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backward_capture),
        cmocka_unit_test(test_probes),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_exponent_31_is_a_number_in_products),
        cmocka_unit_test(test_patterns_survive_moves),
        cmocka_unit_test(test_no_nan_is_made),
        cmocka_unit_test(test_wider_types),
        cmocka_unit_test(test_saturation_is_sticky),
        cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_m1),
        cmocka_unit_test(test_m5_flushes),
        cmocka_unit_test(test_fusion),
    };
    return cmocka_run_group_tests_name("hw", tests, NULL, NULL);
}
