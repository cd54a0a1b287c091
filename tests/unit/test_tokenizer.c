/*
 * Tokenizer files: ids against those of the libraries that the files come from
 * (tests/reference/tokenizers_ids.py), back to text, what is refused.
 */
#include "alloc_fail.h"
#include "anemone/mil.h"
#include "anemone/text.h"

#include "base/file.h"
#include "text/gguf.h"
#include "text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA "tests/data/tokenizers/"

static an_map texts;

static uint32_t u32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static an_tokenizer *open_file(const char *name)
{
    char path[256];
    an_tokenizer *t = NULL;
    an_error err = {0};
    snprintf(path, sizeof path, "%s%s", name[0] == '/' ? "" : DATA, name);
    if (an_tokenizer_open(path, &t, &err) != AN_OK) fail_msg("%s", err.text);
    return t;
}

static void expect_ids(const char *file, int k, const char *text, size_t size,
                       const int32_t *ids, size_t n, const unsigned char *want,
                       size_t n_want)
{
    for (size_t i = 0; i < n || i < n_want; i++) {
        long came = i < n ? ids[i] : -1;
        long expected =
            i < n_want ? want[2 * i] | (long)want[2 * i + 1] << 8 : -1;
        if (came == expected) continue;
        fail_msg("%s: text %d (%.60s, %zu bytes): id %zu is %ld, expected %ld "
                 "(%zu ids, expected %zu)",
                 file, k, text, size, i, came, expected, n, n_want);
    }
}

/* Which texts should come back as they were. SAME_UTF8: those that are UTF-8
 * without U+2581, which is a blank to SentencePiece. */
typedef enum back {
    SAME,
    SAME_UTF8,
    NOT_CHECKED,
    /* Texts with "</s>" are not compared: SentencePiece does not find its
     * control pieces in a text, a tokenizer.json does. */
    NO_MARKS
} back;

static void expect_back(const an_tokenizer *t, const char *file, int k,
                        const char *text, size_t size, const int32_t *ids,
                        size_t n)
{
    char *out = NULL;
    size_t n_out = 0, n_bytes;
    for (size_t i = 0; i < n; i++) {
        an_tokenizer_bytes(t, ids[i], &n_bytes);
        if (n_bytes == 0) return; /* special tokens print nothing */
    }
    assert_int_equal(an_tokenizer_decode(t, ids, n, &out, &n_out, NULL), AN_OK);
    if (n_out != size || memcmp(out, text, size) != 0)
        fail_msg("%s: text %d (%.60s) came back as %.60s", file, k, text, out);
    an_text_free(out);
}

static bool is_utf8(const char *text, size_t size)
{
    return an_utf8_span((const unsigned char *)text, size) == size;
}

static bool has(const char *text, size_t size, const char *part)
{
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= size; i++)
        if (memcmp(text + i, part, n) == 0) return true;
    return false;
}

static void expect_all(const char *file, const char *answers, back wanted)
{
    an_tokenizer *t = open_file(file);
    char path[256];
    an_map ids_map;
    snprintf(path, sizeof path, DATA "%s.ids", answers);
    assert_int_equal(an_map_open(path, &ids_map, NULL), AN_OK);
    const unsigned char *want = ids_map.data, *at = texts.data;
    int k = 0;
    for (; at < texts.data + texts.size; k++) {
        size_t size = u32(at), n = 0;
        const char *text = (const char *)at + 4;
        int32_t *ids = NULL;
        an_error err = {0};
        if (an_tokenizer_encode(t, text, size, &ids, &n, &err) != AN_OK)
            fail_msg("%s: text %d: %s", file, k, err.text);
        uint32_t n_want = u32(want);
        want += 4;
        if (n_want != UINT32_MAX) {
            if (wanted != NO_MARKS || !has(text, size, "</s>"))
                expect_ids(file, k, text, size, ids, n, want, n_want);
            want += 2 * n_want;
        }
        bool same =
            wanted == SAME || (wanted == SAME_UTF8 && is_utf8(text, size) &&
                               !has(text, size, "\xe2\x96\x81"));
        if (same) expect_back(t, file, k, text, size, ids, n);
        an_tokens_free(ids);
        at += 4 + size;
    }
    assert_true(k > 100);
    assert_ptr_equal(want, ids_map.data + ids_map.size);
    an_map_close(&ids_map);
    an_tokenizer_free(t);
}

static void test_hugging_face(void **state)
{
    (void)state;
    expect_all("gpt2.json", "gpt2", SAME);
    expect_all("llama3.json", "llama3", SAME);
    expect_all("smollm.json", "smollm", SAME);
    expect_all("qwen2.json", "qwen2", NOT_CHECKED); /* it composes */
    expect_all("metaspace.json", "metaspace", NOT_CHECKED);
}

static void test_sentencepiece(void **state)
{
    (void)state;
    expect_all("bpe.model", "bpe", SAME_UTF8);
    expect_all("bpe_user.model", "bpe_user", NOT_CHECKED);
    expect_all("unigram.model", "unigram", NOT_CHECKED);
    expect_all("unigram_user.model", "unigram_user", NOT_CHECKED);
}

static void test_other_files(void **state)
{
    (void)state;
    expect_all("ranks.tiktoken", "ranks", SAME);
    expect_all("gpt2/vocab.json", "gpt2", SAME);
    expect_all("bpe.bin", "bpe_utf8", SAME_UTF8);
    expect_all("bpe.gguf", "bpe_utf8", SAME_UTF8);
    expect_all("smollm.gguf", "smollm", SAME);
}

/* What other tools get: the same tokenizer as a tokenizer.json. */
static void expect_saved(const char *file, const char *answers, back wanted)
{
    char path[] = "/tmp/anemone-tokenizer-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    an_tokenizer *t = open_file(file);
    an_error err = {0};
    if (an_tokenizer_save(t, path, &err) != AN_OK) fail_msg("%s", err.text);
    an_tokenizer_free(t);
    expect_all(path, answers, wanted);
    unlink(path);
}

static void test_saved(void **state)
{
    (void)state;
    expect_saved("qwen2.json", "qwen2", NOT_CHECKED);
    expect_saved("ranks.tiktoken", "ranks", SAME);
    expect_saved("gpt2", "gpt2", SAME); /* a folder */
    expect_saved("bpe.model", "bpe_utf8", NO_MARKS);
    expect_saved("bpe.bin", "bpe_utf8", NO_MARKS);
    expect_saved("smollm.gguf", "smollm", SAME);
}

/* What no tokenizer.json can say is saved as it was, in the same folder. */
static void test_saved_model(void **state)
{
    (void)state;
    static const char *const files[] = {"unigram", "unigram_user", "bpe_user"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char folder[] = "/tmp/anemone-tokenizer-XXXXXX", path[64], name[64];
        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof path, "%s/tokenizer.json", folder);
        snprintf(name, sizeof name, "%s.model", files[i]);
        an_tokenizer *t = open_file(name);
        assert_int_equal(an_tokenizer_save(t, path, NULL), AN_OK);
        an_tokenizer_free(t);
        assert_false(an_path_exists(path));
        snprintf(path, sizeof path, "%s/tokenizer.model", folder);
        expect_all(path, files[i], NOT_CHECKED);
        expect_all(folder, files[i], NOT_CHECKED);
        assert_int_equal(an_dir_remove(folder, NULL), AN_OK);
    }
}

/* A GGUF of nothing but the tokenizer. */
static an_status write_gguf(const an_tokenizer *t, int64_t vocab_size,
                            const char *path, an_error *err)
{
    an_buffer head = {0}, keys = {0};
    uint64_t n_keys = 0;
    const uint32_t version = 3;
    const uint64_t n_tensors = 0;
    an_status s = an_tokenizer_gguf(t, vocab_size, &keys, &n_keys, err);
    if (s == AN_OK) s = an_buffer_put(&head, "GGUF", 4, err);
    if (s == AN_OK) s = an_buffer_put(&head, &version, 4, err);
    if (s == AN_OK) s = an_buffer_put(&head, &n_tensors, 8, err);
    if (s == AN_OK) s = an_buffer_put(&head, &n_keys, 8, err);
    if (s == AN_OK) s = an_buffer_put(&head, keys.data, keys.n, err);
    if (s == AN_OK) s = an_file_write(path, head.data, head.n, err);
    an_buffer_fini(&head);
    an_buffer_fini(&keys);
    return s;
}

/* What llama.cpp gets: the same tokenizer in a GGUF, with more rows in the
 * model than tokens. */
static void expect_gguf(const char *file, const char *answers, back wanted)
{
    char path[] = "/tmp/anemone-tokenizer-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    an_tokenizer *t = open_file(file), *other = NULL;
    an_error err = {0};
    int64_t n = an_tokenizer_vocab_size(t);
    if (write_gguf(t, n + 3, path, &err) != AN_OK)
        fail_msg("%s: %s", file, err.text);
    if (an_tokenizer_open(path, &other, &err) != AN_OK)
        fail_msg("%s: %s", file, err.text);
    assert_int_equal(other->begin, t->begin);
    assert_int_equal(other->end_of_text, t->end_of_text);
    assert_int_equal(an_tokenizer_vocab_size(other), n);
    an_tokenizer_free(other);
    an_tokenizer_free(t);
    expect_all(path, answers, wanted);
    unlink(path);
}

static void expect_no_gguf(const char *file, const char *words)
{
    an_tokenizer *t = open_file(file);
    an_error err = {0};
    assert_int_equal(write_gguf(t, 2000, "/nowhere", &err), AN_EUNSUPPORTED);
    if (!strstr(err.text, words)) fail_msg("%s; expected %s", err.text, words);
    an_tokenizer_free(t);
}

static an_status list_keys(void *ctx, an_error *err)
{
    an_buffer keys = {0};
    uint64_t n = 0;
    an_status s = an_tokenizer_gguf(ctx, 1000, &keys, &n, err);
    an_buffer_fini(&keys);
    return s;
}

static void sweep_keys(const char *file)
{
    an_tokenizer *t = open_file(file);
    assert_true(alloc_sweep(list_keys, t) > 10);
    an_tokenizer_free(t);
}

static void test_gguf(void **state)
{
    (void)state;
    expect_gguf("gpt2.json", "gpt2", SAME);
    expect_gguf("llama3.json", "llama3", SAME);
    expect_gguf("smollm.json", "smollm", SAME);
    expect_gguf("smollm.gguf", "smollm", SAME);
    expect_gguf("ranks.tiktoken", "ranks", SAME);
    expect_gguf("bpe.model", "bpe_utf8", NO_MARKS);
    expect_gguf("bpe.bin", "bpe_utf8", NO_MARKS);
    expect_gguf("bpe.gguf", "bpe_utf8", NO_MARKS);
    expect_no_gguf("qwen2.json", "the blanks beside them");
    expect_no_gguf("metaspace.json", "follow from scores");
    expect_no_gguf("unigram.model", "unigram");
    sweep_keys("smollm.json");
    sweep_keys("bpe.model");
}

static void expect_refused(const char *name, const char *data, an_status want,
                           const char *words)
{
    an_tokenizer *t = NULL;
    an_error err = {0};
    an_status s = an_tokenizer_parse(name, data, strlen(data), &t, &err);
    if (s != want || !strstr(err.text, words))
        fail_msg("%.80s: status %d, %s; expected %d, %s", data, s, err.text,
                 want, words);
    assert_null(t);
}

/* A tokenizer.json of one part and a small model. */
static const char *with(const char *part)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "{%s%s\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, "
             "\"b\": 1}, \"merges\": []}}",
             part, part[0] ? ", " : "");
    return text;
}

static void test_refused(void **state)
{
    (void)state;
    expect_refused("x.json", "{\"model\": {\"type\": \"WordPiece\"}}",
                   AN_EUNSUPPORTED, "x.json: model of kind WordPiece");
    expect_refused("x.json", with("\"normalizer\": {\"type\": \"NFKD\"}"),
                   AN_EUNSUPPORTED, "normalizer of kind NFKD");
    expect_refused("x.json",
                   with("\"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}"),
                   AN_EUNSUPPORTED, "pre-tokenizer of kind BertPreTokenizer");
    expect_refused("x.json", with("\"decoder\": {\"type\": \"CTC\"}"),
                   AN_EUNSUPPORTED, "decoder of kind CTC");
    expect_refused("x.json", with("\"normalizer\": 3"), AN_EFORMAT,
                   "normalizer: expected an object");
    expect_refused("x.json",
                   with("\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": "
                        "{\"Regex\": \"a(b\"}, \"behavior\": \"Isolated\"}"),
                   AN_EFORMAT, "split expression: byte 3: missing");
    expect_refused("x.json",
                   "{\"model\": {\"vocab\": {\"a\": 0, \"b\": 0}, "
                   "\"merges\": []}}",
                   AN_EFORMAT, "token id 0 is given twice");
    expect_refused("x.json",
                   "{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": "
                   "[\"a a\"]}}",
                   AN_EFORMAT, "merge 0: \"a\" and \"a\"");
    expect_refused("x.json", "{\"model\": {\"vocab\": {\"a\": 99999999}}}",
                   AN_EFORMAT, "token id 99999999, expected 0 to 4194303");
    expect_refused("x.txt", "nothing known", AN_EUNSUPPORTED,
                   "no kind of tokenizer file");
    an_tokenizer *t = NULL;
    assert_int_equal(
        an_tokenizer_parse("x", with(""), strlen(with("")), &t, NULL), AN_OK);
    an_tokenizer_free(t);
}

/* Expressions that back-track without end are an error, not a hang. */
static void test_runaway_expression(void **state)
{
    (void)state;
    const char *json =
        with("\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": "
             "{\"Regex\": \"(a+a+)+[bc]\"}, \"behavior\": \"Isolated\"}");
    an_tokenizer *t = NULL;
    an_error err = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    assert_int_equal(an_tokenizer_parse("x", json, strlen(json), &t, NULL),
                     AN_OK);
    assert_int_equal(
        an_tokenizer_encode(t, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                            46, &ids, &n, &err),
        AN_EFORMAT);
    assert_non_null(strstr(err.text, "match limit"));
    assert_null(ids);
    an_tokenizer_free(t);
}

/* A million equal characters take as long as a million others. */
static void test_equal_characters(void **state)
{
    (void)state;
    enum { N = 1000000 };
    static const char *const files[] = {"gpt2.json", "metaspace.json"};
    static const char letters[] = {'a', ' ', '\n', '!', '7', '\xff'};
    char *text = malloc(N);
    for (int f = 0; f < 2; f++) {
        an_tokenizer *t = open_file(files[f]);
        for (size_t i = 0; i < sizeof letters; i++) {
            int32_t *ids = NULL;
            size_t n = 0;
            memset(text, letters[i], N);
            assert_int_equal(an_tokenizer_encode(t, text, N, &ids, &n, NULL),
                             AN_OK);
            assert_in_range(n, 1, N + 1);
            an_tokens_free(ids);
        }
        an_tokenizer_free(t);
    }
    free(text);
}

static an_status read_and_use(void *ctx, an_error *err)
{
    const an_map *file = ctx;
    an_tokenizer *t = NULL;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t n = 0, size;
    const char *hard = "one e\xcc\x81 \xff two<think> 12345";
    an_status s =
        an_tokenizer_parse("f", (const char *)file->data, file->size, &t, err);
    if (s == AN_OK)
        s = an_tokenizer_encode(t, hard, strlen(hard), &ids, &n, err);
    if (s == AN_OK) s = an_tokenizer_decode(t, ids, n, &text, &size, err);
    an_text_free(text);
    an_tokens_free(ids);
    an_tokenizer_free(t);
    return s;
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char *const files[] = {"tests/fuzz/fuzz_tokenizer/byte_level",
                                        "tests/fuzz/fuzz_tokenizer/metaspace"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        an_map map;
        assert_int_equal(an_map_open(files[i], &map, NULL), AN_OK);
        an_map file = {.data = map.data + 1, .size = map.size - 1};
        assert_true(alloc_sweep(read_and_use, &file) > 10);
        an_map_close(&map);
    }
}

static int open_texts(void **state)
{
    (void)state;
    return an_map_open(DATA "texts.bin", &texts, NULL) == AN_OK ? 0 : 1;
}

static int close_texts(void **state)
{
    (void)state;
    an_map_close(&texts);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hugging_face),
        cmocka_unit_test(test_sentencepiece),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_saved),
        cmocka_unit_test(test_saved_model),
        cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_runaway_expression),
        cmocka_unit_test(test_equal_characters),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, open_texts, close_texts);
}
