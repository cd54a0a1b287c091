/*
 * Files of text to files of tokens, tokenizers from text: parts against the
 * whole, merges counted by hand, what an interruption leaves.
 */
#include "alloc_fail.h"
#include "anemone/text.h"

#include "base/file.h"
#include "text/documents.h"
#include "text/tokens.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/anemone-data-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[8][256];
    static int next;
    char *p = path[next++ % 8];
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

static an_tokenizer *open_tokenizer(const char *path)
{
    an_tokenizer *t = NULL;
    an_error err = {0};
    if (an_tokenizer_open(path, &t, &err) != AN_OK) fail_msg("%s", err.text);
    return t;
}

static an_encode_report encode(const char *const *paths, int n,
                               const an_tokenizer *t, const char *out)
{
    an_encode_options o = {.paths = paths, .n_paths = n, .tokenizer = t};
    an_encode_report r = {0};
    an_error err = {0};
    if (an_data_encode(&o, out, &r, &err) != AN_OK) fail_msg("%s", err.text);
    return r;
}

/* A file is read in parts; the ids are those of the whole. */
static void expect_parts(const char *tokenizer)
{
    enum { SIZE = 5 << 19 };
    static const char piece[] =
        "It was the best of times,  it was 1859;\n\nthe \xc3\xa9 worst\tof\n"
        "  times -- \xe4\xb8\xad\xe6\x96\x87 and so on ... don't we know? ";
    char *text = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        text[i] = piece[i % (sizeof piece - 1)];
    const char *path = put("parts.txt", text, SIZE),
               *out = path_of("parts.bin");
    an_tokenizer *t = open_tokenizer(tokenizer);
    int32_t *ids = NULL;
    size_t n = 0;
    assert_int_equal(an_tokenizer_encode(t, text, SIZE, &ids, &n, NULL), AN_OK);
    an_encode_report r = encode(&path, 1, t, out);
    int lead = an_tokenizer_begin_of_text(t) >= 0 ? 2 : 1;
    an_tokens tokens;
    assert_int_equal(an_tokens_open(out, &tokens, NULL), AN_OK);
    assert_int_equal(tokens.n, (int64_t)n + lead);
    assert_int_equal(r.tokens, tokens.n);
    assert_int_equal(r.documents, 1);
    int32_t *came = malloc((size_t)tokens.n * sizeof *came);
    assert_int_equal(an_tokens_read(&tokens, 0, tokens.n, 1 << 16, came, NULL),
                     AN_OK);
    assert_int_equal(came[0], an_tokenizer_end_of_text(t));
    for (size_t i = 0; i < n; i++)
        if (came[i + (size_t)lead] != ids[i])
            fail_msg("%s: id %zu is %d, expected %d", tokenizer, i,
                     came[i + (size_t)lead], ids[i]);
    an_tokens_close(&tokens);
    an_tokens_free(ids);
    an_tokenizer_free(t);
    free(came);
    free(text);
}

static void test_parts(void **state)
{
    (void)state;
    expect_parts("tests/data/tokenizers/gpt2");
    expect_parts("tests/data/tokenizers/llama3.json");
    expect_parts("tests/data/tokenizers/bpe.model");
    expect_parts("tests/data/tokenizers/bpe_user.model");
}

/* Cuts are where tokenizers cut; without such a place at a line's end. */
static void test_cut(void **state)
{
    (void)state;
    assert_int_equal(an_document_cut("one two", 7, 10), 7);
    assert_int_equal(an_document_cut("aa bb cc dd", 11, 8), 8);
    assert_int_equal(an_document_cut("aa. bb, 12 xx yy", 16, 8), 13);
    enum { LONG = (1 << 24) + 100 };
    char *text = malloc(LONG);
    memset(text, 'x', LONG);
    text[1 << 23] = '\n';
    assert_int_equal(an_document_cut(text, LONG, 1 << 20), (1 << 23) + 1);
    free(text);
}

static void test_folders_and_lines(void **state)
{
    (void)state;
    mkdir(path_of("in"), 0777);
    mkdir(path_of("in/b"), 0777);
    put("in/c.txt", "cc", 2);
    put("in/b/a.txt", "a", 1);
    put("in/.hidden", "zz", 2);
    const char lines[] = "{\"text\": \"x\\ny\"}\n\n {\"text\": \"\"}\n";
    put("in/a.jsonl", lines, sizeof lines - 1);
    const char *in = path_of("in"), *out = path_of("in.bin");
    an_tokenizer *t = open_tokenizer("bytes");
    an_encode_report r = encode(&in, 1, t, out);
    assert_int_equal(r.documents, 4);
    static const int32_t want[] = {256, 'x', '\n', 'y', 256,
                                   256, 'a', 256,  'c', 'c'};
    an_tokens tokens;
    int32_t ids[10];
    assert_int_equal(an_tokens_open(out, &tokens, NULL), AN_OK);
    assert_int_equal(tokens.n, 10);
    assert_int_equal(an_tokens_read(&tokens, 0, 10, 257, ids, NULL), AN_OK);
    assert_memory_equal(ids, want, sizeof want);
    an_tokens_close(&tokens);
    an_tokenizer_free(t);
}

static bool stop(void *ctx, double share)
{
    (void)share;
    return --*(int *)ctx > 0;
}

static int count_entries(const char *path)
{
    int n = 0;
    DIR *dir = opendir(path);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void test_bad_lines_leave_nothing(void **state)
{
    (void)state;
    const char bad[] = "{\"text\": \"x\"}\n{\"txt\": \"x\"}\n";
    const char *path = put("bad.jsonl", bad, sizeof bad - 1);
    const char *out = path_of("bad.bin");
    an_tokenizer *t = open_tokenizer("bytes");
    int before = count_entries(folder), calls = 1;
    an_encode_options o = {.paths = &path, .n_paths = 1, .tokenizer = t};
    an_error err = {0};
    assert_int_equal(an_data_encode(&o, out, NULL, &err), AN_EFORMAT);
    assert_non_null(strstr(err.text, "bad.jsonl:2: expected an object"));
    const char *text = put("stop.txt", "some text", 9);
    o = (an_encode_options){&text, 1, t, stop, &calls};
    assert_int_equal(an_data_encode(&o, out, NULL, NULL), AN_EIO);
    assert_int_equal(count_entries(folder), before + 1);
    an_tokenizer_free(t);
}

static void test_wide_shard(void **state)
{
    (void)state;
    unsigned char data[1024 + 8] = {0};
    const uint32_t head[3] = {20240801, 7, 2}, body[2] = {70000, 3};
    for (int i = 0; i < 12; i++)
        data[i] = (unsigned char)(head[i / 4] >> (8 * (i % 4)));
    for (int i = 0; i < 8; i++)
        data[1024 + i] = (unsigned char)(body[i / 4] >> (8 * (i % 4)));
    an_tokens t;
    int32_t ids[2];
    an_error err = {0};
    assert_int_equal(an_tokens_parse("x", data, sizeof data, &t, NULL), AN_OK);
    assert_int_equal(an_tokens_read(&t, 0, 2, 70001, ids, NULL), AN_OK);
    assert_int_equal(ids[0], 70000);
    assert_int_equal(an_tokens_read(&t, 0, 2, 70000, ids, &err), AN_EFORMAT);
    assert_non_null(strstr(err.text, "byte 1024: id 70000"));
    assert_int_equal(an_tokens_parse("x.u32", data + 1024, 8, &t, NULL), AN_OK);
    assert_int_equal(t.n, 2);
    assert_int_equal(an_tokens_parse("x.u32", data + 1024, 7, &t, NULL),
                     AN_EFORMAT);
}

/* "ab" comes 5 times, then "abc" 3 times and " ab" twice. */
static void test_training(void **state)
{
    (void)state;
    const char text[] = "abc\nabc\nabc\n ab\n ab";
    const char *path = put("train.txt", text, sizeof text - 1);
    an_tokenizer_training o = {
        .paths = &path, .n_paths = 1, .vocab_size = 256 + 3 + 1};
    an_tokenizer *t = NULL, *again = NULL;
    assert_int_equal(an_tokenizer_train(&o, &t, NULL), AN_OK);
    assert_int_equal(an_tokenizer_vocab_size(t), 260);
    assert_int_equal(an_tokenizer_id(t, "ab", 2), 256);
    assert_int_equal(an_tokenizer_id(t, "abc", 3), 257);
    assert_int_equal(an_tokenizer_id(t, " ab", 3), 258);
    assert_int_equal(an_tokenizer_end_of_text(t), 259);
    const char *saved = path_of("trained.json");
    assert_int_equal(an_tokenizer_save(t, saved, NULL), AN_OK);
    again = open_tokenizer(saved);
    int32_t *ids = NULL;
    size_t n = 0;
    assert_int_equal(
        an_tokenizer_encode(again, "abc ab<|endoftext|>", 19, &ids, &n, NULL),
        AN_OK);
    static const int32_t want[] = {257, 258, 259};
    assert_int_equal(n, 3);
    assert_memory_equal(ids, want, sizeof want);
    an_tokens_free(ids);
    an_tokenizer_free(again);
    an_tokenizer_free(t);
    o.vocab_size = 256;
    assert_int_equal(an_tokenizer_train(&o, &t, NULL), AN_EINVAL);
}

static an_status train(void *ctx, an_error *err)
{
    const char *path = ctx;
    an_tokenizer *t = NULL;
    an_tokenizer_training o = {.paths = &path, .n_paths = 1, .vocab_size = 270};
    an_status s = an_tokenizer_train(&o, &t, err);
    an_encode_options e = {.paths = &path, .n_paths = 1, .tokenizer = t};
    if (s == AN_OK) s = an_data_encode(&e, path_of("sweep.bin"), NULL, err);
    an_tokenizer_free(t);
    return s;
}

static void test_no_memory(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s",
             put("sweep.txt", "abc abc abd abd abe bcd", 23));
    assert_true(alloc_sweep(train, path) > 50);
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
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_folders_and_lines),
        cmocka_unit_test(test_bad_lines_leave_nothing),
        cmocka_unit_test(test_wide_shard),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
