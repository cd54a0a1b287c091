/*
 * How much memory a model of 84 MB takes: the most that the process ever had
 * (getrusage), before and after. Converting it takes about its largest tensor,
 * loading it no more than the weights in memory, though the file is mapped.
 */
#include "model/export.h"
#include "train/placed.h"
#include "train/pretrained.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

/* llama2.c's v0, all zeros but for the header: a file with holes. */
enum { D = 512, F = 1024, L = 8, H = 8, V = 512, T = 32 };
enum {
    LAYER = 2 * D + 4 * D * D + 3 * D * F,
    TABLES = T * (D / H), /* cos and sin */
    FLOATS = V * D + L * LAYER + D + TABLES
};
static const double file_mb = (28 + 4.0 * FLOATS) / 1e6;
/* Buffers, a pool, a tensor at a time, what malloc keeps. */
static const double slack_mb = 12;

static double most_mb(void)
{
    struct rusage u;
    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
#ifdef __APPLE__
    return (double)u.ru_maxrss / 1e6; /* in bytes there */
#else
    return (double)u.ru_maxrss * 1024 / 1e6;
#endif
}

static void must(an_status s, const an_error *err)
{
    if (s != AN_OK) fail_msg("%s", err->text);
}

static char path[64], out[80];

static int make_file(void **state)
{
    const int32_t header[] = {D, F, L, H, H, V, T};
    (void)state;
    snprintf(path, sizeof path, "/tmp/anemone-memory-XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0) return -1;
    snprintf(out, sizeof out, "%s.out", path);
    bool ok = write(fd, header, sizeof header) == (ssize_t)sizeof header &&
              ftruncate(fd, 28 + 4 * (off_t)FLOATS) == 0;
    close(fd);
    return ok ? 0 : -1;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(path);
    unlink(out);
    return 0;
}

static void check_export(an_export_format format, an_export_dtype dtype)
{
    an_error err = {0};
    an_pretrained p;
    double before = most_mb();
    must(an_pretrained_open(path, NULL, &p, &err), &err);
    must(an_export_file(p.source, p.model, format, dtype, NULL, out, &err),
         &err);
    an_pretrained_close(&p);
    double grown = most_mb() - before;
    printf("# figure: %.0f MB to %s %s: %.1f MB of memory\n", file_mb,
           an_export_format_name(format), an_export_dtype_name(dtype), grown);
    assert_true(grown <= slack_mb);
}

static void test_exports(void **state)
{
    (void)state;
    check_export(AN_EXPORT_SAFETENSORS, AN_EXPORT_BF16);
    check_export(AN_EXPORT_GGUF, AN_EXPORT_Q8_0);
    check_export(AN_EXPORT_LLAMA2C, AN_EXPORT_Q8_0);
}

static void test_loads(void **state)
{
    (void)state;
    an_error err = {0};
    an_pretrained from;
    an_placed p = {0};
    double before = most_mb();
    must(an_pretrained_open(path, NULL, &from, &err), &err);
    p.model = from.model;
    from.model = NULL;
    must(an_placed_open(&p, "cpu", AN_NUMERICS_IEEE, 1, AN_WEIGHTS_RUN, &err),
         &err);
    must(an_pretrained_load(&from, p.model, p.weights, &err), &err);
    an_pretrained_close(&from);
    double grown = most_mb() - before;
    printf("# figure: %.0f MB loaded: %.1f MB of memory\n", file_mb, grown);
    assert_true(grown <= file_mb + slack_mb);
    an_placed_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exports),
        cmocka_unit_test(test_loads),
    };
    return cmocka_run_group_tests(tests, make_file, remove_files);
}
