/*
 * Choosing tokens and ending texts. Expected shares are exact probabilities of
 * the logits; draws are compared with them within four deviations.
 */
#include "train/choose.h"
#include "train/stop.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 6, DRAWS = 20000 };
static const double logits[N] = {1.0, 3.0, 2.0, 3.0, -1.0, 0.0};

static int32_t choose(an_chooser *c, const int32_t *context, size_t n)
{
    for (int i = 0; i < N; i++)
        c->list[i].weight = logits[i];
    return an_choose(c, context, n);
}

static int32_t choose_once(an_sample_options o, const int32_t *context,
                           size_t n)
{
    an_chooser c;
    assert_int_equal(an_chooser_init(&c, N, &o, NULL), AN_OK);
    int32_t id = choose(&c, context, n);
    an_chooser_fini(&c);
    return id;
}

/* Fails when an id's share of the draws is not `share` of the sum. */
static void draws(an_sample_options o, const double share[N])
{
    an_chooser c;
    int count[N] = {0};
    double sum = 0;
    assert_int_equal(an_chooser_init(&c, N, &o, NULL), AN_OK);
    for (int i = 0; i < DRAWS; i++)
        count[choose(&c, NULL, 0)]++;
    an_chooser_fini(&c);
    for (int i = 0; i < N; i++)
        sum += share[i];
    for (int i = 0; i < N; i++) {
        double p = share[i] / sum, want = p * DRAWS;
        double deviation = sqrt(DRAWS * p * (1 - p));
        if (fabs(count[i] - want) > 4 * deviation)
            fail_msg("id %d: drawn %d times, expected %.0f +- %.0f", i,
                     count[i], want, deviation);
    }
}

static void test_most_likely(void **state)
{
    (void)state;
    an_sample_options o = an_sample_defaults();
    o.temperature = 0;
    assert_int_equal(choose_once(o, NULL, 0), 1); /* of 1 and 3 the lower */
}

static void test_temperature(void **state)
{
    (void)state;
    an_sample_options o = an_sample_defaults();
    double share[N];
    o.temperature = 2;
    for (int i = 0; i < N; i++)
        share[i] = exp(logits[i] / 2);
    draws(o, share);
}

static void test_top_k(void **state)
{
    (void)state;
    an_sample_options o = an_sample_defaults();
    o.temperature = 1;
    o.top_k = 3;
    draws(o, (double[N]){0, exp(3), exp(2), exp(3), 0, 0});
}

/* 1 and 3 hold e^3 + e^3 of 51.67: 78 %; with 2 92 %. */
static void test_top_p(void **state)
{
    (void)state;
    an_sample_options o = an_sample_defaults();
    o.temperature = 1;
    o.top_p = 0.8;
    draws(o, (double[N]){0, exp(3), exp(2), exp(3), 0, 0});
    o.top_p = 0.7;
    draws(o, (double[N]){0, exp(3), 0, exp(3), 0, 0});
    o.top_p = 0;
    assert_int_equal(choose_once(o, NULL, 0), 1);
}

/* e^-1 of the largest is 0.37, e^-2 0.14. */
static void test_min_p(void **state)
{
    (void)state;
    an_sample_options o = an_sample_defaults();
    o.temperature = 1;
    o.min_p = 0.2;
    draws(o, (double[N]){0, exp(3), exp(2), exp(3), 0, 0});
    o.min_p = 1;
    draws(o, (double[N]){0, 1, 0, 1, 0, 0});
}

static void test_repetition_penalty(void **state)
{
    (void)state;
    an_sample_options o = an_sample_defaults();
    static const int32_t context[] = {1, 1, 4, 3, 300, -1};
    o.temperature = 0;
    o.repetition_penalty = 2;
    assert_int_equal(choose_once(o, context, 1), 3);
    assert_int_equal(choose_once(o, context, 6), 2); /* 3 / 2 is below 2 */
    o.temperature = 1;
    o.repetition_penalty = 1e6;
    o.top_k = 2;
    an_chooser c;
    assert_int_equal(an_chooser_init(&c, N, &o, NULL), AN_OK);
    for (int i = 0; i < 100; i++) {
        int32_t id = choose(&c, context, 6);
        assert_true(id == 2 || id == 0);
    }
    an_chooser_fini(&c);
}

static void test_bad_options(void **state)
{
    (void)state;
    an_chooser c;
    an_sample_options o = an_sample_defaults();
    o.temperature = (double)NAN;
    assert_int_equal(an_chooser_init(&c, N, &o, NULL), AN_EINVAL);
    o = an_sample_defaults();
    o.repetition_penalty = 0;
    assert_int_equal(an_chooser_init(&c, N, &o, NULL), AN_EINVAL);
    o = an_sample_defaults();
    o.min_p = 1.5;
    assert_int_equal(an_chooser_init(&c, N, &o, NULL), AN_EINVAL);
}

/* ---- stop strings ---- */

typedef struct reader {
    char text[200];
    size_t n;
    int calls;
} reader;

static bool put(void *ctx, const char *bytes, size_t size)
{
    reader *r = ctx;
    assert_true(r->n + size < sizeof r->text);
    memcpy(r->text + r->n, bytes, size);
    r->n += size;
    r->calls++;
    return true;
}

/* Puts `text` in pieces of `step` bytes. */
static bool stops(const char *const *strings, int n, const char *text,
                  size_t step, const char *want)
{
    an_stop s;
    reader r = {.n = 0};
    assert_int_equal(an_stop_init(&s, strings, n, put, &r, NULL), AN_OK);
    for (size_t at = 0, size = strlen(text); at < size; at += step)
        assert_int_equal(an_stop_put(&s, text + at,
                                     size - at < step ? size - at : step, NULL),
                         AN_OK);
    bool stopped = s.stopped;
    an_stop_end(&s);
    r.text[r.n] = '\0';
    if (strcmp(r.text, want) != 0)
        fail_msg("'%s' in pieces of %zu: '%s', expected '%s'", text, step,
                 r.text, want);
    return stopped;
}

static void test_stop_strings(void **state)
{
    (void)state;
    static const char *const strings[] = {"\n\n", "User:", "aab"};
    for (size_t step = 1; step < 9; step++) {
        assert_true(stops(strings, 3, "Hello\n\nUser: x", step, "Hello"));
        assert_true(stops(strings, 3, "a\nUser: x", step, "a\n"));
        assert_true(stops(strings, 3, "aaaab", step, "aa"));
        assert_false(stops(strings, 3, "Us\nUse User", step, "Us\nUse User"));
        assert_false(stops(strings, 0, "any text", step, "any text"));
        assert_true(stops(strings, 3, "User:", step, ""));
    }
}

/* Without a stop string in sight a piece goes on whole, at once. */
static void test_pieces_pass(void **state)
{
    (void)state;
    static const char *const strings[] = {"END"};
    an_stop s;
    reader r = {.n = 0};
    assert_int_equal(an_stop_init(&s, strings, 1, put, &r, NULL), AN_OK);
    assert_int_equal(an_stop_put(&s, "hello", 5, NULL), AN_OK);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.n, 5);
    assert_int_equal(an_stop_put(&s, " wE", 3, NULL), AN_OK);
    assert_int_equal(r.n, 7);
    an_stop_end(&s);
    assert_int_equal(r.n, 8);
    static const char *const empty[] = {""};
    assert_int_equal(an_stop_init(&s, empty, 1, put, &r, NULL), AN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_most_likely),
        cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_top_k),
        cmocka_unit_test(test_top_p),
        cmocka_unit_test(test_min_p),
        cmocka_unit_test(test_repetition_penalty),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_stop_strings),
        cmocka_unit_test(test_pieces_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
