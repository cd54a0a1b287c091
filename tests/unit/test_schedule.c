/* Learning rate over a run. */
#include "train/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static double at_step(const an_schedule *s, int step, int steps)
{
    return an_schedule_lr(s, (step - 1.0) / steps, 1.0 / steps);
}

static void assert_lr(double came, double expected)
{
    if (!(fabs(came - expected) <= 1e-15))
        fail_msg("%.17g != %.17g", came, expected);
}

static void test_warmup_is_linear(void **state)
{
    (void)state;
    const an_schedule s = {.lr = 1e-3, .lr_min = 0.1, .warmup = 0.1};
    for (int step = 1; step <= 10; step++)
        assert_lr(at_step(&s, step, 100), 1e-4 * step);
}

static void test_cosine_ends_at_the_minimum(void **state)
{
    (void)state;
    const an_schedule s = {.lr = 1e-3, .lr_min = 0.1, .warmup = 0.1};
    assert_lr(at_step(&s, 55, 100), 0.55e-3); /* halfway */
    assert_lr(at_step(&s, 100, 100), 1e-4);
    /* a third of the way: (1 + cos 60) / 2 = 3/4 */
    assert_lr(at_step(&s, 40, 100), 1e-4 + 0.75 * 9e-4);
    for (int step = 11; step < 100; step++)
        assert_true(at_step(&s, step + 1, 100) < at_step(&s, step, 100));
}

static void test_edges(void **state)
{
    (void)state;
    const an_schedule none = {.lr = 2, .lr_min = 0, .warmup = 0};
    assert_lr(at_step(&none, 1, 1), 0);
    assert_lr(an_schedule_lr(&none, 0, 0), 2);
    assert_true(at_step(&none, 1, 1000) < 2);
    const an_schedule all = {.lr = 2, .lr_min = 0.5, .warmup = 1};
    assert_lr(at_step(&all, 7, 10), 1.4);
    assert_lr(at_step(&all, 10, 10), 2);
    const an_schedule more = {.lr = 2, .lr_min = 0.5, .warmup = 2};
    assert_lr(at_step(&more, 10, 10), 1);
    const an_schedule constant = {.lr = 3, .lr_min = 1, .warmup = 0};
    assert_lr(at_step(&constant, 4, 9), 3);
}

/* By time a step may end behind the end of the run. */
static void test_beyond_the_end(void **state)
{
    (void)state;
    const an_schedule s = {.lr = 1, .lr_min = 0.25, .warmup = 0.1};
    assert_lr(an_schedule_lr(&s, 0.99, 0.05), 0.25);
    assert_lr(an_schedule_lr(&s, 1.0, 0.05), 0.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warmup_is_linear),
        cmocka_unit_test(test_cosine_ends_at_the_minimum),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_beyond_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
