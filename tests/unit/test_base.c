/* Status, memory, arenas, half floats, random numbers and files. */
#include "alloc_fail.h"
#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/half.h"
#include "base/rng.h"
#include "base/sha256.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- status ---- */

static void test_first_error_wins(void **state)
{
    (void)state;
    an_error err = {0};
    assert_int_equal(an_fail(&err, AN_EIO, "%s: gone", "a"), AN_EIO);
    assert_int_equal(an_fail(&err, AN_ETYPE, "later"), AN_ETYPE);
    assert_int_equal(err.code, AN_EIO);
    assert_string_equal(err.text, "a: gone");
    an_fail_context(&err, "reading %d", 7);
    assert_string_equal(err.text, "reading 7: a: gone");
    assert_int_equal(an_fail(NULL, AN_EIO, "nobody listens"), AN_EIO);
}

static void test_position(void **state)
{
    (void)state;
    an_error err = {0};
    an_fail_at(&err, AN_ESYNTAX, 3, 14, "expected '%c'", ';');
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 14);
    assert_string_equal(err.text, "3:14: expected ';'");
}

static void test_text_is_one_line_and_bounded(void **state)
{
    (void)state;
    char longest[2000];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    an_error err = {0};
    an_fail(&err, AN_EIO, "a\nb%s", longest);
    assert_memory_equal(err.text, "a?bx", 4);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    an_fail_context(&err, "here");
    assert_memory_equal(err.text, "here: a?b", 9);
    an_fail_context(&err, "%s", longest);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

/* ---- memory ---- */

static void test_sizes(void **state)
{
    (void)state;
    size_t n = 0;
    assert_true(an_mul_size(1 << 10, 1 << 11, &n));
    assert_int_equal(n, 1 << 21);
    assert_false(an_mul_size(SIZE_MAX / 2, 3, &n));
    assert_null(an_alloc_array(SIZE_MAX / 2, 3));
}

static void test_grow(void **state)
{
    (void)state;
    int *items = NULL;
    size_t capacity = 0;
    for (size_t n = 0; n < 1000; n++) {
        assert_true(an_grow(&items, &capacity, n, sizeof *items));
        items[n] = (int)n;
    }
    assert_int_equal(items[0] + items[999], 999);
    an_free(items);
}

static void test_arena(void **state)
{
    (void)state;
    an_arena arena;
    an_arena_init(&arena);
    for (size_t n = 0; n < 3000; n += 7) {
        unsigned char *block = an_arena_alloc(&arena, n);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(block[i], 0);
        memset(block, 0xff, n);
    }
    assert_string_equal(an_arena_printf(&arena, "%d-%s", 4, "x"), "4-x");
    assert_string_equal(an_arena_strndup(&arena, "abcdef", 3), "abc");
    assert_null(an_arena_array(&arena, SIZE_MAX / 2, 3));
    assert_true(arena.used_bytes > 3000 * 428 / 2);
    an_arena_fini(&arena);
    assert_int_equal(arena.used_bytes, 0);
}

static an_status fill_arena(void *ctx, an_error *err)
{
    (void)ctx;
    an_status s = AN_OK;
    an_arena arena;
    an_arena_init(&arena);
    for (int i = 0; i < 3 && s == AN_OK; i++)
        if (!an_arena_alloc(&arena, 5000))
            s = an_fail(err, AN_ENOMEM, "arena: out of memory");
    an_arena_fini(&arena);
    return s;
}

static an_status leak(void *ctx, an_error *err)
{
    char **kept = ctx;
    *kept = an_strdup("kept");
    return *kept ? AN_OK : an_fail(err, AN_ENOMEM, "out of memory");
}

static an_status ignore_failure(void *ctx, an_error *err)
{
    (void)ctx, (void)err;
    an_free(an_alloc(1));
    return AN_OK;
}

/* The sweep itself must see a leak and a failure that is passed over. */
static void test_allocation_failures(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(fill_arena, NULL), 2);
    char *kept = NULL;
    assert_int_equal(alloc_sweep(leak, &kept), -1);
    an_free(kept);
    assert_int_equal(alloc_sweep(ignore_failure, NULL), -1);
}

/* ---- half floats ---- */

static void test_half_round_trip(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 65536; b++) {
        double x = an_half_to_double((uint16_t)b);
        uint16_t quiet = isnan(x) ? 0x200 : 0;
        assert_int_equal(an_half_from_double(x), b | quiet);
        assert_int_equal(an_half_from_double_away(x), b | quiet);
        assert_int_equal(an_half_from_float(an_half_to_float((uint16_t)b)),
                         b | quiet);
    }
    assert_true(an_half_to_double(0x0001) == 0x1p-24);
    assert_true(an_half_to_double(0x3c00) == 1);
    assert_true(an_half_to_double(0x7bff) == 65504);
    assert_true(an_half_to_double(0xfc00) == (double)-INFINITY);
}

/* Between each two neighbours: just below, at and just above the middle. */
static void test_half_rounding(void **state)
{
    (void)state;
    for (uint16_t b = 0; b < 0x7c00; b++) {
        double low = an_half_to_double(b);
        double high = b + 1 == 0x7c00 ? 65536 : an_half_to_double(b + 1);
        double middle = (low + high) / 2;
        uint16_t even = (uint16_t)(b + (b & 1));
        assert_int_equal(an_half_from_double(middle), even);
        assert_int_equal(an_half_from_double(-middle), even | 0x8000);
        assert_int_equal(an_half_from_float((float)middle), even);
        assert_int_equal(an_half_from_double_away(middle), b + 1);
        assert_int_equal(an_half_from_double(nextafter(middle, 0)), b);
        assert_int_equal(an_half_from_double_away(nextafter(middle, 0)), b);
        assert_int_equal(an_half_from_double(nextafter(middle, 1e9)), b + 1);
    }
    assert_int_equal(an_half_from_double(1e300), 0x7c00);
    assert_int_equal(an_half_from_double(-5e-324), 0x8000);
}

static void test_half_is_not_rounded_twice(void **state)
{
    (void)state;
    double x = 1 + 0x1p-11 + 0x1p-40; /* fp32 would drop the last term */
    assert_int_equal(an_half_from_double(x), 0x3c01);
    assert_int_equal(an_half_from_float((float)x), 0x3c00);
}

static void test_bf16(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 65536; b++) {
        float x = an_bf16_to_float((uint16_t)b);
        assert_int_equal(an_bf16_from_float(x),
                         b | (isnan((double)x) ? 0x40 : 0));
    }
    assert_int_equal(an_bf16_from_float(1 + 0x1p-8f), 0x3f80);
    assert_int_equal(an_bf16_from_float(1 + 3 * 0x1p-8f), 0x3f82);
    assert_int_equal(an_bf16_from_float(3.4e38f), 0x7f80);
}

/* ---- random numbers ---- */

/* Zero: Random123 1.14, tests/kat_vectors; the others: reference/philox.py. */
static void test_philox_known_answers(void **state)
{
    (void)state;
    an_rng zero = {0};
    assert_true(an_rng_u64(&zero) == 0xe169c58d6627e8d5);
    assert_true(an_rng_u64(&zero) == 0x9b00dbd8bc57ac4c);
    assert_int_equal(zero.counter, 2);
    an_rng pi = {.seed = 0x299f31d0a4093822,
                 .stream = 0x0370734413198a2e,
                 .counter = 0x123456789abcdef0};
    assert_true(an_rng_u64(&pi) == 0xc376d42760eb54dd);
    assert_true(an_rng_u64(&pi) == 0x2390ab40a1cc49b6);
}

static void test_distributions(void **state)
{
    (void)state;
    enum { N = 100000 };
    an_rng rng = {.seed = 1, .stream = 2};
    double sum = 0, square = 0, uniform = 0;
    int counts[5] = {0};
    for (int i = 0; i < N; i++) {
        double x = an_rng_normal(&rng), u = an_rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
        sum += x, square += x * x, uniform += u;
        counts[an_rng_below(&rng, 5)]++;
    }
    /* five standard errors each */
    double root = sqrt((double)N);
    assert_true(fabs(sum / N) < 5 / root);
    assert_true(fabs(square / N - 1) < 5 * sqrt(2.0) / root);
    assert_true(fabs(uniform / N - 0.5) < 5 * sqrt(1.0 / 12) / root);
    for (int i = 0; i < 5; i++)
        assert_true(fabs(counts[i] / (double)N - 0.2) < 5 * 0.4 / root);
}

/* ---- files ---- */

static char folder[] = "/tmp/anemone-test-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return an_dir_remove(folder, NULL) == AN_OK ? 0 : -1;
}

static const char *in_folder(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static void test_write_and_read(void **state)
{
    (void)state;
    char path[100];
    in_folder(path, sizeof path, "file");
    an_error err = {0};
    assert_int_equal(an_file_write(path, "old", 3, &err), AN_OK);

    size_t size = 300000;
    char *data = an_alloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * i >> 3);
    an_writer *w = NULL;
    assert_int_equal(an_writer_open(path, &w, &err), AN_OK);
    assert_int_equal(an_writer_put(w, data, 5, &err), AN_OK);
    assert_int_equal(an_writer_put(w, data + 5, 200000, &err), AN_OK);
    assert_int_equal(an_writer_put(w, data + 200005, size - 200005, &err),
                     AN_OK);
    an_map map;
    assert_int_equal(an_map_open(path, &map, &err), AN_OK);
    assert_int_equal(map.size, 3); /* not visible yet */
    an_map_close(&map);
    assert_int_equal(an_writer_commit(w, &err), AN_OK);

    assert_int_equal(an_map_open(path, &map, &err), AN_OK);
    assert_int_equal(map.size, size);
    assert_memory_equal(map.data, data, size);
    an_map_close(&map);

    char *read = NULL;
    size_t n = 0;
    assert_int_equal(an_file_read(path, size, &read, &n, &err), AN_OK);
    assert_int_equal(n, size);
    assert_memory_equal(read, data, size);
    assert_int_equal(read[n], 0);
    an_free(read);
    assert_int_equal(an_file_read(path, size - 1, &read, &n, &err), AN_EFORMAT);
    an_free(data);
}

static void test_abort_leaves_nothing(void **state)
{
    (void)state;
    char path[100], command[300];
    in_folder(path, sizeof path, "never");
    an_writer *w = NULL;
    assert_int_equal(an_writer_open(path, &w, NULL), AN_OK);
    an_writer_abort(w);
    an_writer_abort(NULL);
    snprintf(command, sizeof command, "! ls %s | grep never >/dev/null",
             folder);
    assert_int_equal(system(command), 0);
}

static void test_file_errors(void **state)
{
    (void)state;
    char path[100];
    an_error err = {0};
    an_map map = {0};
    an_writer *w = NULL;
    in_folder(path, sizeof path, "missing/file");
    assert_int_equal(an_map_open(path, &map, &err), AN_EIO);
    assert_non_null(strstr(err.text, "missing/file"));
    assert_int_equal(an_writer_open(path, &w, NULL), AN_EIO);
    assert_null(w);
    assert_int_equal(an_map_open(folder, &map, NULL), AN_EIO);
    assert_int_equal(an_file_write(folder, "", 0, NULL), AN_EIO);
    assert_int_equal(an_file_write("/dev/null", "x", 1, NULL), AN_OK);
    assert_int_equal(an_dir_make("/dev/null/x", NULL), AN_EIO);
}

static void test_empty_file(void **state)
{
    (void)state;
    char path[100];
    an_map map;
    in_folder(path, sizeof path, "empty");
    assert_int_equal(an_file_write(path, NULL, 0, NULL), AN_OK);
    assert_int_equal(an_map_open(path, &map, NULL), AN_OK);
    assert_int_equal(map.size, 0);
    assert_non_null(map.data);
    an_map_close(&map);
}

static void test_folders(void **state)
{
    (void)state;
    char path[100], link[100], kept[100];
    in_folder(path, sizeof path, "a/b//c/");
    assert_int_equal(an_dir_make(path, NULL), AN_OK);
    assert_int_equal(an_dir_make(path, NULL), AN_OK);
    assert_int_equal(an_dir_sync(path, NULL), AN_OK);
    in_folder(kept, sizeof kept, "kept");
    in_folder(link, sizeof link, "a/link");
    assert_int_equal(an_file_write(kept, "", 0, NULL), AN_OK);
    assert_int_equal(symlink(kept, link), 0);
    in_folder(path, sizeof path, "a");
    assert_int_equal(an_dir_remove(path, NULL), AN_OK);
    assert_int_equal(an_dir_remove(path, NULL), AN_OK);
    assert_false(an_path_exists(path));
    assert_true(an_path_exists(kept));
}

static void test_lock(void **state)
{
    (void)state;
    char path[100];
    in_folder(path, sizeof path, "lock");
    an_lock lock, other;
    assert_int_equal(an_lock_take(path, &lock, NULL), AN_OK);
    assert_int_equal(an_lock_take(path, &other, NULL), AN_EIO);
    an_lock_release(&lock);
    /* A process that dies lets go. */
    pid_t child = fork();
    if (child == 0) _exit(an_lock_take(path, &other, NULL) == AN_OK ? 0 : 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(an_lock_take(path, &lock, NULL), AN_OK);
    an_lock_release(&lock);
}

static an_status write_and_read(void *ctx, an_error *err)
{
    (void)ctx;
    char path[100], *data = NULL;
    size_t size = 0;
    in_folder(path, sizeof path, "swept/a");
    an_status s = an_file_write(path, "x", 1, err);
    if (s == AN_OK) s = an_file_read(path, 9, &data, &size, err);
    an_free(data);
    in_folder(path, sizeof path, "swept/b/c");
    if (s == AN_OK) s = an_dir_make(path, err);
    in_folder(path, sizeof path, "swept/b");
    long requests = alloc_requests();
    if (s == AN_OK) s = an_dir_remove(path, err);
    assert_int_equal(alloc_requests(), requests);
    return s;
}

static void test_file_allocation_failures(void **state)
{
    (void)state;
    char path[100];
    in_folder(path, sizeof path, "swept");
    assert_int_equal(an_dir_make(path, NULL), AN_OK);
    assert_true(alloc_sweep(write_and_read, NULL) > 5);
}

static void test_clock(void **state)
{
    (void)state;
    double before = an_clock();
    assert_true(an_clock() >= before);
}

/* ---- SHA-256 ---- */

/* The examples of FIPS 180-4 and its implementation notes: "", "abc", two
 * blocks, a million times "a"; and pieces of every size. */
static void test_sha256(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"",
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char came[AN_SHA256_DIGITS + 1];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        an_sha256_text(cases[i].text, strlen(cases[i].text), came);
        assert_string_equal(came, cases[i].want);
    }
    static char many[1000000];
    memset(many, 'a', sizeof many);
    an_sha256_text(many, sizeof many, came);
    assert_string_equal(
        came,
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    unsigned char whole[AN_SHA256_BYTES], pieces[AN_SHA256_BYTES];
    an_sha256 s;
    an_sha256_init(&s);
    an_sha256_put(&s, many, 20100);
    an_sha256_end(&s, whole);
    an_sha256_init(&s);
    for (size_t n = 0, at = 0; at < 20100; at += n++)
        an_sha256_put(&s, many + at, n);
    an_sha256_put(&s, many, 0);
    an_sha256_end(&s, pieces);
    assert_memory_equal(whole, pieces, sizeof whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_error_wins),
        cmocka_unit_test(test_position),
        cmocka_unit_test(test_text_is_one_line_and_bounded),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_half_round_trip),
        cmocka_unit_test(test_half_rounding),
        cmocka_unit_test(test_half_is_not_rounded_twice),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_abort_leaves_nothing),
        cmocka_unit_test(test_file_errors),
        cmocka_unit_test(test_empty_file),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_file_allocation_failures),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_sha256),
    };
    return cmocka_run_group_tests_name("base", tests, make_folder,
                                       remove_folder);
}
