/*
 * Text and samples through any tokenizer: streams joined by end of text, chats
 * as their templates print them, masks, padding, and the cache between runs.
 */
#include "alloc_fail.h"
#include "anemone/text.h"

#include "base/file.h"
#include "text/token_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define QWEN "tests/data/tokenizers/qwen2.json"

static char folder[] = "/tmp/anemone-samples-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[8][256];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static const char *put(const char *name, const char *text)
{
    const char *path = path_of(name);
    assert_int_equal(an_file_write(path, text, strlen(text), NULL), AN_OK);
    return path;
}

static an_tokenizer *open_tokenizer(const char *path)
{
    an_tokenizer *t = NULL;
    an_error err = {0};
    if (an_tokenizer_open(path, &t, &err) != AN_OK) fail_msg("%s", err.text);
    return t;
}

static an_dataset *open_data(const char *path, const an_tokenizer *t,
                             int64_t sequence, an_mask mask, const char *cache)
{
    an_dataset *d = NULL;
    an_error err = {0};
    const an_dataset_options o = {.paths = &path,
                                  .n_paths = 1,
                                  .tokenizer = t,
                                  .vocab_size = 1000,
                                  .sequence = sequence,
                                  .validation_share = 1,
                                  .mask = mask,
                                  .cache = cache};
    if (an_dataset_open(&o, &d, &err) != AN_OK) fail_msg("%s", err.text);
    return d;
}

/* The targets of window k that count, as text. */
static void expect_targets(const an_dataset *d, const an_tokenizer *t,
                           uint64_t k, int n, const char *want)
{
    int32_t x[64], y[64], ids[64];
    size_t n_ids = 0;
    char text[256] = "";
    assert_int_equal(an_dataset_window(d, AN_SPLIT_VALIDATION, k, x, y, NULL),
                     AN_OK);
    for (int i = 0; i < n; i++) {
        if (y[i] >= 0) ids[n_ids++] = y[i];
        if (y[i] >= 0 && i + 1 < n) assert_int_equal(x[i + 1], y[i]);
    }
    for (size_t i = 0; i < n_ids; i++) {
        size_t size;
        const char *bytes = an_tokenizer_bytes(t, ids[i], &size);
        if (size == 0) bytes = "#", size = 1;
        strncat(text, bytes, size);
    }
    assert_string_equal(text, want);
}

static void test_samples(void **state)
{
    (void)state;
    const char *path =
        put("chat.jsonl", "{\"prompt\": \"hi\", \"completion\": \"yo\"}\n"
                          "{\"messages\": [{\"role\": \"user\", \"content\": "
                          "\"a\"}, {\"role\": \"assistant\", \"content\": "
                          "\"b\"}]}\n");
    an_tokenizer *t = open_tokenizer(QWEN);
    an_dataset *d = open_data(path, t, 48, AN_MASK_NOTHING, NULL);
    assert_int_equal(an_dataset_windows(d, AN_SPLIT_VALIDATION), 2);
    /* The first id is no target. */
    expect_targets(d, t, 0, 48, "user\nhi#\n#assistant\nyo#\n");
    expect_targets(d, t, 1, 48, "user\na#\n#assistant\nb#\n");
    assert_int_equal(an_dataset_truncated(d), 0);
    an_dataset_free(d);
    d = open_data(path, t, 48, AN_MASK_PROMPT, NULL);
    expect_targets(d, t, 0, 48, "yo#");
    expect_targets(d, t, 1, 48, "b#");
    an_dataset_free(d);
    d = open_data(path, t, 4, AN_MASK_NOTHING, NULL);
    assert_int_equal(an_dataset_truncated(d), 2);
    an_dataset_free(d);
    an_tokenizer_free(t);
}

static void test_stream(void **state)
{
    (void)state;
    const char *path = put("stream.jsonl", "{\"text\": \"hello world\"}\n"
                                           "{\"text\": \"hello\"}\n");
    an_tokenizer *t = open_tokenizer(QWEN);
    int32_t want[64], x[64], y[64], *ids = NULL;
    size_t n = 0;
    an_tokenizer_encode(t, "<|endoftext|>hello world<|endoftext|>hello", 42,
                        &ids, &n, NULL);
    memcpy(want, ids, n * sizeof *want);
    an_tokens_free(ids);
    an_dataset *d = open_data(path, t, (int64_t)n - 1, AN_MASK_NOTHING, NULL);
    assert_int_equal(an_dataset_tokens(d), (int64_t)n);
    assert_int_equal(an_dataset_windows(d, AN_SPLIT_VALIDATION), 1);
    assert_true(an_dataset_bytes_per_token(d) == 16.0 / (double)n);
    assert_int_equal(an_dataset_window(d, AN_SPLIT_VALIDATION, 0, x, y, NULL),
                     AN_OK);
    assert_memory_equal(x, want, (n - 1) * sizeof *x);
    assert_memory_equal(y, want + 1, (n - 1) * sizeof *y);
    an_dataset_free(d);
    an_tokenizer_free(t);
}

static ino_t inode(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static ino_t inode_after_open(const char *path, const an_tokenizer *t,
                              const char *cache)
{
    an_dataset_free(open_data(path, t, 2, AN_MASK_NOTHING, cache));
    return inode(cache);
}

static void set_time(const char *path, time_t when)
{
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void test_cache(void **state)
{
    (void)state;
    const char *path = put("cached.txt", "hello world and more");
    const char *cache = path_of("run.tokens");
    an_tokenizer *t = open_tokenizer(QWEN);
    an_tokenizer *other = open_tokenizer("tests/data/tokenizers/gpt2.json");
    ino_t first = inode_after_open(path, t, cache);
    assert_int_equal(inode_after_open(path, t, cache), first);
    set_time(path, 1000); /* another time, the same text */
    assert_int_equal(inode_after_open(path, t, cache), first);
    path = put("cached.txt", "hello world and less"); /* the same size */
    ino_t second = inode_after_open(path, t, cache);
    assert_int_not_equal(second, first);
    ino_t third = inode_after_open(path, other, cache);
    assert_int_not_equal(third, second);
    assert_int_equal(inode_after_open(path, other, cache), third);
    /* One that is cut is made again. */
    assert_int_equal(truncate(cache, 70), 0);
    an_dataset *d = open_data(path, other, 2, AN_MASK_NOTHING, cache);
    assert_true(an_dataset_tokens(d) > 4);
    an_dataset_free(d);
    an_tokenizer_free(t);
    an_tokenizer_free(other);
}

static void expect_refused(const char *path, const char *words)
{
    an_tokenizer *t = open_tokenizer(QWEN);
    an_dataset *d = NULL;
    an_error err = {0};
    const an_dataset_options o = {.paths = &path,
                                  .n_paths = 1,
                                  .tokenizer = t,
                                  .vocab_size = 1000,
                                  .sequence = 4,
                                  .validation_share = 1};
    assert_int_not_equal(an_dataset_open(&o, &d, &err), AN_OK);
    if (!strstr(err.text, words)) fail_msg("%s; expected %s", err.text, words);
    an_tokenizer_free(t);
}

static void test_refused(void **state)
{
    (void)state;
    expect_refused(put("a.jsonl", "{\"prompt\": \"x\"}\n"),
                   "a.jsonl:1: expected \"prompt\" and \"completion\"");
    expect_refused(put("b.jsonl", "{\"text\": \"x\"}\n[1]\n"),
                   "b.jsonl:2: expected an object");
    expect_refused(put("c.jsonl", "{\"messages\": [{\"role\": \"user\"}]}\n"),
                   "c.jsonl:1: expected messages with");
    expect_refused(put("d.jsonl", "{\"text\": \"x\"\n"), "d.jsonl:1: JSON");
}

/* ---- memory ---- */

static an_status open_once(void *ctx, an_error *err)
{
    static an_tokenizer *t; /* read before requests fail */
    const char *path = ctx, *cache = path_of("swept.tokens");
    an_dataset *d = NULL;
    if (!t) t = open_tokenizer(QWEN);
    if (!path) {
        an_tokenizer_free(t);
        t = NULL;
        return AN_OK;
    }
    unlink(cache);
    const an_dataset_options o = {.paths = &path,
                                  .n_paths = 1,
                                  .tokenizer = t,
                                  .vocab_size = 1000,
                                  .sequence = 4,
                                  .validation_share = 1,
                                  .cache = cache};
    an_status s = an_dataset_open(&o, &d, err);
    an_dataset_free(d);
    return s;
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char *const files[][2] = {
        {"sweep.jsonl",
         "{\"prompt\": \"hi\", \"completion\": \"yo\"}\n{\"messages\": "
         "[{\"role\": \"user\", \"content\": \"a\"}]}\n"},
        {"sweep2.jsonl", "{\"text\": \"hello\"}\n{\"text\": \"you\"}\n"},
        {"sweep.txt", "hello world"}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s", put(files[i][0], files[i][1]));
        open_once(path, NULL);
        assert_true(alloc_sweep(open_once, path) > 10);
    }
    open_once(NULL, NULL);
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
        cmocka_unit_test(test_samples),   cmocka_unit_test(test_stream),
        cmocka_unit_test(test_cache),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
