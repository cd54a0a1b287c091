/*
 * Tokenizer "bytes" and datasets: detection, windows, errors, order.
 */
#include "alloc_fail.h"
#include "anemone/text.h"

#include "base/file.h"
#include "text/permute.h"
#include "text/tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/anemone-text-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[4][256];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static const char *put(const char *name, const void *data, size_t size)
{
    const char *path = path_of(name);
    an_error err = {0};
    if (an_file_write(path, data, size, &err) != AN_OK)
        fail_msg("%s", err.text);
    return path;
}

/* A shard of n ids 0, 1, 2, ... in a buffer of 1024 + 2 n bytes. */
static size_t make_shard(unsigned char *data, int n)
{
    memset(data, 0, 1024);
    const uint32_t header[3] = {20240520, 1, (uint32_t)n};
    for (int i = 0; i < 3; i++)
        for (int b = 0; b < 4; b++)
            data[4 * i + b] = (unsigned char)(header[i] >> (8 * b));
    for (int i = 0; i < n; i++) {
        data[1024 + 2 * i] = (unsigned char)i;
        data[1025 + 2 * i] = (unsigned char)(i >> 8);
    }
    return 1024 + 2 * (size_t)n;
}

static an_tokenizer *bytes_tokenizer(void)
{
    an_tokenizer *t = NULL;
    assert_int_equal(an_tokenizer_open("bytes", &t, NULL), AN_OK);
    return t;
}

static void test_bytes(void **state)
{
    (void)state;
    an_tokenizer *t = bytes_tokenizer();
    assert_int_equal(an_tokenizer_vocab_size(t), 257);
    assert_int_equal(an_tokenizer_end_of_text(t), 256);
    int32_t *ids = NULL;
    size_t n = 0, size = 9;
    assert_int_equal(an_tokenizer_encode(t, "a\0\xff", 3, &ids, &n, NULL),
                     AN_OK);
    assert_int_equal(an_tokenizer_encode(t, "z", 1, &ids, &n, NULL), AN_OK);
    const int32_t want[] = {'a', 0, 255, 'z'};
    assert_int_equal(n, 4);
    assert_memory_equal(ids, want, sizeof want);
    for (int i = 0; i < 256; i++) {
        const char *byte = an_tokenizer_bytes(t, i, &size);
        assert_int_equal(size, 1);
        assert_int_equal((unsigned char)*byte, i);
    }
    an_tokenizer_bytes(t, 256, &size);
    assert_int_equal(size, 0);
    an_tokenizer_bytes(t, -1, &size);
    assert_int_equal(size, 0);
    an_tokens_free(ids);
    an_tokenizer_free(t);
}

static void test_tokenizer_file(void **state)
{
    (void)state;
    an_tokenizer *t = bytes_tokenizer(), *again = NULL;
    const char *path = path_of("tokenizer.json");
    assert_int_equal(an_tokenizer_save(t, path, NULL), AN_OK);
    assert_int_equal(an_tokenizer_open(path, &again, NULL), AN_OK);
    assert_int_equal(an_tokenizer_vocab_size(again), 257);
    an_tokenizer_free(again);
    an_tokenizer_free(t);

    an_error err = {0};
    again = NULL;
    path = put("other.json", "{\"version\": \"1.0\"}", 18);
    assert_int_equal(an_tokenizer_open(path, &again, &err), AN_EFORMAT);
    assert_null(again);
    assert_non_null(strstr(err.text, "other.json"));
    assert_int_not_equal(an_tokenizer_open(path_of("none"), &again, NULL),
                         AN_OK);
}

/* Bijective for every size up to 300, and different for other keys. */
static void test_permute(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 300; n++) {
        bool seen[300] = {false};
        for (uint64_t i = 0; i < n; i++) {
            uint64_t j = an_permute(7, 3, n, i);
            assert_true(j < n);
            assert_false(seen[j]);
            seen[j] = true;
        }
    }
    int same_seed = 0, same_epoch = 0, fixed = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t j = an_permute(7, 3, 1000, i);
        fixed += j == i;
        same_seed += j == an_permute(8, 3, 1000, i);
        same_epoch += j == an_permute(7, 4, 1000, i);
    }
    /* One is expected of a random permutation. */
    assert_true(fixed < 10 && same_seed < 10 && same_epoch < 10);
    uint64_t most = UINT64_C(1) << 62;
    assert_true(an_permute(1, 2, most - 5, most - 6) < most - 5);
    /* tests/reference/windows.py prints these. */
    const uint64_t want[] = {475, 559, 126, 428, 513, 627, 245, 959};
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(an_permute(1, 2, 1000, i), want[i]);
}

static void test_text_windows(void **state)
{
    (void)state;
    const char *paths[2];
    paths[0] = put("a.txt", "abcde", 5);
    paths[1] = put("b.txt", "fghijkl", 7);
    an_tokenizer *t = bytes_tokenizer();
    an_dataset *d = NULL;
    an_dataset_options o = {.paths = paths,
                            .n_paths = 2,
                            .tokenizer = t,
                            .vocab_size = 257,
                            .sequence = 4,
                            .seed = 1,
                            .validation_share = 0.3};
    assert_int_equal(an_dataset_open(&o, &d, NULL), AN_OK);
    assert_int_equal(an_dataset_tokens(d), 14);
    assert_int_equal(an_dataset_windows(d, AN_SPLIT_TRAIN), 2);
    assert_int_equal(an_dataset_windows(d, AN_SPLIT_VALIDATION), 1);
    assert_float_equal(an_dataset_bytes_per_token(d), 12.0 / 14, 1e-15);
    int32_t x[4], y[4];
    const int32_t last_x[] = {'g', 'h', 'i', 'j'};
    const int32_t last_y[] = {'h', 'i', 'j', 'k'};
    assert_int_equal(an_dataset_window(d, AN_SPLIT_VALIDATION, 0, x, y, NULL),
                     AN_OK);
    assert_memory_equal(x, last_x, sizeof x);
    assert_memory_equal(y, last_y, sizeof y);
    assert_int_equal(an_dataset_window(d, AN_SPLIT_VALIDATION, 1, x, y, NULL),
                     AN_EINVAL);
    /* Each epoch has both windows; the second crosses from file to file. */
    const int32_t first_x[] = {256, 'a', 'b', 'c'};
    const int32_t second_x[] = {'d', 'e', 256, 'f'};
    const int32_t second_y[] = {'e', 256, 'f', 'g'};
    for (uint64_t epoch = 0; epoch < 8; epoch++) {
        int first = 0, second = 0;
        for (uint64_t k = 2 * epoch; k < 2 * epoch + 2; k++) {
            assert_int_equal(
                an_dataset_window(d, AN_SPLIT_TRAIN, k, x, y, NULL), AN_OK);
            first += memcmp(x, first_x, sizeof x) == 0;
            if (memcmp(x, second_x, sizeof x) == 0) {
                second++;
                assert_memory_equal(y, second_y, sizeof y);
            }
        }
        assert_true(first == 1 && second == 1);
    }
    an_dataset_free(d);
    an_tokenizer_free(t);
}

static void test_shards(void **state)
{
    (void)state;
    static unsigned char data[1024 + 2 * 600];
    const char *paths[3];
    size_t size = make_shard(data, 600);
    paths[0] = put("shard.bin", data, size);
    paths[1] = put("raw.u16", data + 1024, 20);
    paths[2] = put("empty.bin", "", 0);
    an_dataset *d = NULL;
    an_dataset_options o = {.paths = paths,
                            .n_paths = 3,
                            .vocab_size = 600,
                            .sequence = 300,
                            .validation_share = 0.5};
    assert_int_equal(an_dataset_open(&o, &d, NULL), AN_OK);
    assert_int_equal(an_dataset_tokens(d), 610);
    assert_float_equal(an_dataset_bytes_per_token(d), 0, 0);
    static int32_t x[300], y[300];
    assert_int_equal(an_dataset_window(d, AN_SPLIT_VALIDATION, 0, x, y, NULL),
                     AN_OK);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(x[i], 300 + i);
        assert_int_equal(y[i], (301 + i) % 600);
    }
    an_dataset_free(d);

    /* The vocabulary ends at id 580: in byte 1024 + 1160 of the file. */
    an_error err = {0};
    o.vocab_size = 580;
    assert_int_equal(an_dataset_open(&o, &d, NULL), AN_OK);
    assert_int_equal(an_dataset_window(d, AN_SPLIT_VALIDATION, 0, x, y, &err),
                     AN_EFORMAT);
    assert_non_null(strstr(err.text, "shard.bin: byte 2184: id 580"));
    an_dataset_free(d);
}

static void expect_parse(const char *path, const void *data, size_t size,
                         an_status want, const char *message)
{
    an_error err = {0};
    an_tokens t;
    an_status s = an_tokens_parse(path, data, size, &t, &err);
    if (s != want || !strstr(err.text, message))
        fail_msg("status %s, '%s', expected %s, '%s'", an_status_name(s),
                 err.text, an_status_name(want), message);
}

static void test_bad_shards(void **state)
{
    (void)state;
    static unsigned char data[1024 + 20];
    size_t size = make_shard(data, 10);
    expect_parse("x", data, size, AN_OK, "");
    expect_parse("x", data, size - 1, AN_EFORMAT, "x: byte 8: header says 10");
    expect_parse("x", data, size - 2, AN_EFORMAT, "18 bytes");
    expect_parse("x", data, 100, AN_EFORMAT, "takes 1024 bytes");
    data[8] = 9;
    expect_parse("x", data, size, AN_EFORMAT, "header says 9");
    data[11] = 0xff;
    expect_parse("x", data, size, AN_EFORMAT, "byte 8");
    data[4] = 2;
    expect_parse("x", data, size, AN_EFORMAT,
                 "version of the token shard is 2");
    data[0] = 20240801 & 0xff, data[1] = 20240801 >> 8 & 0xff;
    expect_parse("x", data, size, AN_EFORMAT, "is 2, expected 7");
    expect_parse("x.bin", data + 1024, 3, AN_EFORMAT, "3 bytes");
    expect_parse("x.txt", data + 1024, 3, AN_OK, "");
}

static void expect_open(const an_dataset_options *o, an_status want,
                        const char *message)
{
    an_error err = {0};
    an_dataset *d = NULL;
    an_status s = an_dataset_open(o, &d, &err);
    if (s != want || !strstr(err.text, message) || d)
        fail_msg("status %s, '%s', expected %s, '%s'", an_status_name(s),
                 err.text, an_status_name(want), message);
}

static void test_refused(void **state)
{
    (void)state;
    an_tokenizer *t = bytes_tokenizer();
    const char *paths[2];
    paths[0] = put("c.txt", "0123456789", 10);
    paths[1] = put("c.bin", "01234567", 8);
    const an_dataset_options good = {.paths = paths,
                                     .n_paths = 1,
                                     .tokenizer = t,
                                     .vocab_size = 257,
                                     .sequence = 6,
                                     .validation_share = 0.1};
    an_dataset_options o = good;
    expect_open(&o, AN_EINVAL, "too small: 11 tokens make 1 windows of 6 + 1");
    o.sequence = 0;
    expect_open(&o, AN_EINVAL, "sequence is 0");
    o = good, o.vocab_size = 256;
    expect_open(&o, AN_EINVAL, "the tokenizer has 257 ids");
    o = good, o.tokenizer = NULL;
    expect_open(&o, AN_EINVAL, "c.txt: text needs a tokenizer");
    o = good, o.n_paths = 2;
    expect_open(&o, AN_EINVAL, "cannot be mixed");
    o = good, o.n_paths = 0;
    expect_open(&o, AN_EINVAL, "expected 1 to");
    o = good, o.validation_share = 1.5;
    expect_open(&o, AN_EINVAL, "validation share");
    const char *missing = path_of("missing.txt");
    o = good, o.paths = &missing;
    expect_open(&o, AN_EIO, "missing.txt");
    an_tokenizer_free(t);
}

static void test_random(void **state)
{
    (void)state;
    const char *paths[] = {"random"};
    an_data_kind kind;
    assert_int_equal(an_data_detect(paths, 1, &kind, NULL), AN_OK);
    assert_int_equal(kind, AN_DATA_RANDOM);
    an_dataset *d = NULL, *other = NULL;
    an_dataset_options o = {.paths = paths,
                            .n_paths = 1,
                            .vocab_size = 50,
                            .sequence = 64,
                            .seed = 3,
                            .validation_share = 0.1};
    assert_int_equal(an_dataset_open(&o, &d, NULL), AN_OK);
    o.seed = 4;
    assert_int_equal(an_dataset_open(&o, &other, NULL), AN_OK);
    int32_t x[64], y[64], x2[64], y2[64];
    int seen[50] = {0};
    for (uint64_t k = 0; k < 100; k++) {
        an_dataset_window(d, AN_SPLIT_TRAIN, k, x, y, NULL);
        an_dataset_window(d, AN_SPLIT_TRAIN, k, x2, y2, NULL);
        assert_memory_equal(x, x2, sizeof x);
        assert_memory_equal(x + 1, y, sizeof x - sizeof *x);
        for (int i = 0; i < 64; i++) {
            assert_true(x[i] >= 0 && x[i] < 50);
            seen[x[i]]++;
        }
    }
    /* 128 expected of each; 11.3 is the deviation of a fair draw. */
    for (int i = 0; i < 50; i++)
        assert_in_range(seen[i], 128 - 57, 128 + 57);
    an_dataset_window(other, AN_SPLIT_TRAIN, 99, x2, y2, NULL);
    assert_memory_not_equal(x, x2, sizeof x);
    an_dataset_free(d);
    an_dataset_free(other);
}

static uint64_t digest_of(const char *path, const an_tokenizer *t)
{
    an_dataset *d = NULL;
    an_dataset_options o = {.paths = &path,
                            .n_paths = 1,
                            .tokenizer = t,
                            .vocab_size = 257,
                            .sequence = 2,
                            .validation_share = 0.5};
    assert_int_equal(an_dataset_open(&o, &d, NULL), AN_OK);
    uint64_t digest = an_dataset_digest(d);
    an_dataset_free(d);
    return digest;
}

static void test_digest(void **state)
{
    (void)state;
    an_tokenizer *t = bytes_tokenizer();
    static char text[5000];
    memset(text, 'x', sizeof text);
    uint64_t first = digest_of(put("d1.txt", text, sizeof text), t);
    assert_int_equal(first, digest_of(put("d2.txt", text, sizeof text), t));
    assert_int_not_equal(first,
                         digest_of(put("d3.txt", text, sizeof text - 1), t));
    text[sizeof text - 1] = 'y';
    assert_int_not_equal(first, digest_of(put("d4.txt", text, sizeof text), t));
    an_tokenizer_free(t);
}

static an_status open_data(void *ctx, an_error *err)
{
    an_tokenizer *t = NULL;
    an_dataset *d = NULL;
    an_dataset_options o = {.paths = ctx,
                            .n_paths = 2,
                            .vocab_size = 257,
                            .sequence = 2,
                            .validation_share = 0.5};
    an_status s = an_tokenizer_open(path_of("sweep.json"), &t, err);
    o.tokenizer = t;
    if (s == AN_OK) s = an_tokenizer_save(t, path_of("sweep.json"), err);
    if (s == AN_OK) s = an_dataset_open(&o, &d, err);
    int32_t *ids = NULL;
    size_t n = 0;
    if (s == AN_OK) s = an_tokenizer_encode(t, "abc", 3, &ids, &n, err);
    an_tokens_free(ids);
    an_dataset_free(d);
    an_tokenizer_free(t);
    return s;
}

static void test_no_memory(void **state)
{
    (void)state;
    const char *paths[2] = {put("s1.txt", "abcdef", 6), put("s2.txt", "x", 1)};
    an_tokenizer *t = bytes_tokenizer();
    assert_int_equal(an_tokenizer_save(t, path_of("sweep.json"), NULL), AN_OK);
    an_tokenizer_free(t);
    /* path_of has four texts: these must outlive the sweep. */
    char first[256], second[256];
    snprintf(first, sizeof first, "%s", paths[0]);
    snprintf(second, sizeof second, "%s", paths[1]);
    paths[0] = first, paths[1] = second;
    assert_true(alloc_sweep(open_data, paths) > 0);
}

static void test_window_allocates_nothing(void **state)
{
    (void)state;
    const char *path = put("w.txt", "0123456789abcdef", 16);
    an_tokenizer *t = bytes_tokenizer();
    an_dataset *d = NULL;
    an_dataset_options o = {.paths = &path,
                            .n_paths = 1,
                            .tokenizer = t,
                            .vocab_size = 257,
                            .sequence = 3,
                            .validation_share = 0.2};
    assert_int_equal(an_dataset_open(&o, &d, NULL), AN_OK);
    int32_t x[3], y[3];
    long before = alloc_requests();
    for (uint64_t k = 0; k < 10; k++)
        assert_int_equal(an_dataset_window(d, AN_SPLIT_TRAIN, k, x, y, NULL),
                         AN_OK);
    assert_int_equal(alloc_requests(), before);
    an_dataset_free(d);
    an_tokenizer_free(t);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state)
{
    (void)state;
    return an_dir_remove(folder, NULL) == AN_OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_tokenizer_file),
        cmocka_unit_test(test_permute),
        cmocka_unit_test(test_text_windows),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_bad_shards),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_window_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
