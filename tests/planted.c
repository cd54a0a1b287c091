/* Fails on purpose: tests/run must see a failing case and a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void passes(void **state)
{
    (void)state;
}

static void fails(void **state)
{
    (void)state;
    assert_int_equal(1, 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes),
        cmocka_unit_test(fails),
    };
    if (argc > 1 && !strcmp(argv[1], "crash")) abort();
    return cmocka_run_group_tests_name("planted", tests, NULL, NULL);
}
