/* JSON bounds and typed reads; safetensors files, well and malformed. */
#include "alloc_fail.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
    json_t *root = NULL;
    assert_int_equal(an_json_parse(text, strlen(text), "t", &root, NULL),
                     AN_OK);
    return root;
}

static void test_parse_errors(void **state)
{
    (void)state;
    json_t *root = NULL;
    an_error err = {0};
    const char *text = "{\n\"a\": }";
    assert_int_equal(an_json_parse(text, strlen(text), "x.json", &root, &err),
                     AN_EFORMAT);
    assert_memory_equal(err.text, "x.json: line 2: ", 16);
    assert_int_equal(an_json_parse("", 0, "x", &root, NULL), AN_EFORMAT);
    text = "{\"a\": 1, \"a\": 2}";
    assert_int_equal(an_json_parse(text, strlen(text), "x", &root, NULL),
                     AN_EFORMAT);
    assert_null(root);
    assert_int_equal(an_json_load("/nowhere/x", &root, NULL), AN_EIO);
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    char text[200];
    for (size_t depth = 60; depth < 70; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        json_t *root = NULL;
        an_status s = an_json_parse(text, 2 * depth, "x", &root, NULL);
        assert_int_equal(s, depth <= 64 ? AN_OK : AN_EFORMAT);
        json_decref(root);
    }
    memset(text, '[', sizeof text);
    memcpy(text, "[\"\\\"", 4);
    memcpy(text + sizeof text - 2, "\"]", 2);
    json_t *root = NULL; /* brackets in a string are no depth */
    assert_int_equal(an_json_parse(text, sizeof text, "x", &root, NULL), AN_OK);
    json_decref(root);
}

static void test_typed_reads(void **state)
{
    (void)state;
    json_t *o = parse("{\"i\": 7, \"r\": 2.5, \"b\": true, \"s\": \"x\","
                      " \"n\": null}");
    int64_t i = -1;
    double r = -1;
    bool b = false;
    const char *s = "default";
    assert_int_equal(an_json_int(o, "none", 0, 9, &i, NULL), AN_OK);
    assert_int_equal(an_json_int(o, "n", 0, 9, &i, NULL), AN_OK);
    assert_int_equal(i, -1);
    assert_int_equal(an_json_int(o, "i", 0, 9, &i, NULL), AN_OK);
    assert_int_equal(i, 7);
    assert_int_equal(an_json_real(o, "i", &r, NULL), AN_OK);
    assert_true(r == 7);
    assert_int_equal(an_json_real(o, "r", &r, NULL), AN_OK);
    assert_true(r == 2.5);
    assert_int_equal(an_json_bool(o, "b", &b, NULL), AN_OK);
    assert_true(b);
    assert_int_equal(an_json_string(o, "s", &s, NULL), AN_OK);
    assert_string_equal(s, "x");

    an_error err = {0};
    assert_int_equal(an_json_int(o, "i", 8, 9, &i, &err), AN_EFORMAT);
    assert_string_equal(err.text, "\"i\": expected 8 to 9, found 7");
    err = (an_error){0};
    assert_int_equal(an_json_int(o, "r", 0, 9, &i, &err), AN_EFORMAT);
    assert_string_equal(err.text, "\"r\": expected an integer, found a number");
    assert_int_equal(an_json_real(o, "s", &r, NULL), AN_EFORMAT);
    assert_int_equal(an_json_bool(o, "i", &b, NULL), AN_EFORMAT);
    assert_int_equal(an_json_string(o, "b", &s, NULL), AN_EFORMAT);
    json_decref(o);
}

/* ---- safetensors ---- */

static char path[] = "/tmp/anemone-test-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : 0;
}

static int remove_file(void **state)
{
    (void)state;
    return remove(path);
}

static const float numbers[6] = {1, 2, 3, 4, 5, 6};
static const uint8_t odd[3] = {7, 8, 9};
static const an_st_tensor sample[] = {
    {.name = "odd", AN_UINT8, 1, {3}, odd, 3},
    {.name = "a \"b\" \xc3\xa9", AN_FP32, 2, {2, 3}, numbers, 24},
    {.name = "none", AN_FP16, 2, {0, 5}, numbers, 0},
    {.name = "scalar", AN_FP32, 0, {0}, numbers + 5, 4},
};
static const char *const sample_metadata[] = {"format", "pt", "k\n", "v", NULL};

static void test_save_and_open(void **state)
{
    (void)state;
    an_st *st = NULL;
    an_error err = {0};
    assert_int_equal(an_st_save(path, sample, 4, sample_metadata, &err), AN_OK);
    assert_int_equal(an_st_open(path, &st, &err), AN_OK);
    assert_int_equal(an_st_count(st), 4);
    assert_string_equal(an_st_at(st, 0)->name, "odd");
    assert_string_equal(an_st_metadata(st, "k\n"), "v");
    assert_null(an_st_metadata(st, "v"));
    assert_null(an_st_find(st, "a"));
    for (int i = 0; i < 4; i++) {
        const an_st_tensor *t = an_st_find(st, sample[i].name);
        assert_non_null(t);
        assert_int_equal(t->dtype, sample[i].dtype);
        assert_int_equal(t->rank, sample[i].rank);
        assert_int_equal(t->size_bytes, sample[i].size_bytes);
        if (t->size_bytes)
            assert_memory_equal(t->data, sample[i].data, t->size_bytes);
        if (t->dtype == AN_FP32) /* at byte 3 of the file's data */
            assert_int_equal((uintptr_t)t->data % 4, 0);
    }
    an_st_close(st);
    an_st_close(NULL);
}

static void test_same_input_same_bytes(void **state)
{
    (void)state;
    an_map map;
    assert_int_equal(an_st_save(path, sample, 4, sample_metadata, NULL), AN_OK);
    char *first = NULL;
    size_t size = 0;
    assert_int_equal(an_file_read(path, 1 << 20, &first, &size, NULL), AN_OK);
    assert_int_equal(an_st_save(path, sample, 4, sample_metadata, NULL), AN_OK);
    assert_int_equal(an_map_open(path, &map, NULL), AN_OK);
    assert_int_equal(map.size, size);
    assert_memory_equal(map.data, first, size);
    assert_int_equal((size - 3 - 24 - 4) % 64, 0);
    an_map_close(&map);
    an_free(first);
}

static void test_save_refuses(void **state)
{
    (void)state;
    an_st_tensor t[2] = {sample[0], sample[0]};
    assert_int_equal(an_st_save(path, t, 2, NULL, NULL), AN_EINVAL);
    t[0].name = "__metadata__";
    assert_int_equal(an_st_save(path, t, 1, NULL, NULL), AN_EINVAL);
    static const char *const bad[] = {"\xff", "\xc0\x80", "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80", "\xc3"};
    for (int i = 0; i < 5; i++) {
        t[0].name = bad[i];
        assert_int_equal(an_st_save(path, t, 1, NULL, NULL), AN_EINVAL);
        const char *const pair[] = {"k", bad[i], NULL};
        assert_int_equal(an_st_save(path, t + 1, 1, pair, NULL), AN_EINVAL);
    }
    t[1].size_bytes = 4;
    assert_int_equal(an_st_save(path, t + 1, 1, NULL, NULL), AN_EINVAL);
    t[1].dtype = AN_STRING;
    assert_int_equal(an_st_save(path, t + 1, 1, NULL, NULL), AN_EINVAL);
}

struct file {
    unsigned char bytes[1000];
    size_t size;
};

static struct file file_of(const char *header, size_t data_bytes)
{
    struct file f = {.size = 8 + strlen(header) + data_bytes};
    f.bytes[0] = (unsigned char)strlen(header);
    f.bytes[1] = (unsigned char)(strlen(header) >> 8);
    memcpy(f.bytes + 8, header, strlen(header));
    return f;
}

static an_status open_file(const struct file *f, an_error *err)
{
    an_st *st = NULL;
    an_status s = an_st_open_bytes(f->bytes, f->size, "f", &st, err);
    an_st_close(st);
    return s;
}

#define U8(name, shape, range)                                                 \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":" shape                          \
    ",\"data_offsets\":" range "}"

static const struct {
    const char *header;
    size_t data_bytes;
    an_status status;
    const char *text; /* in the error */
} files[] = {
    // clang-format off
    {"{}", 0, AN_OK, ""},
    {"{}   ", 0, AN_OK, ""},
    {"{" U8("a", "[2]", "[0,2]") "}", 2, AN_OK, ""},
    {"{" U8("a", "[2]", "[1,3]") "," U8("b", "[]", "[0,1]") "}", 3, AN_OK, ""},
    {"{" U8("a", "[0]", "[2,2]") "," U8("b", "[2]", "[0,2]") "}", 2, AN_OK, ""},
    {"{" U8("a", "[0]", "[0,0]") "," U8("b", "[0]", "[0,0]") "}", 0, AN_OK, ""},
    {" {}", 0, AN_EFORMAT, "'{'"},
    {"", 0, AN_EFORMAT, "'{'"},
    {"[]", 0, AN_EFORMAT, "'{'"},
    {"{", 0, AN_EFORMAT, "line 1"},
    {"{} x", 0, AN_EFORMAT, "line 1"},
    {"{}", 1, AN_EFORMAT, "end at 0 of 1"},
    {"{" U8("a", "[2]", "[0,2]") "}", 1, AN_EFORMAT, "a: expected data_off"},
    {"{" U8("a", "[2]", "[1,3]") "}", 3, AN_EFORMAT, "a: starts at 1"},
    {"{" U8("a", "[2]", "[0,2]") "," U8("b", "[2]", "[1,3]") "}", 3, AN_EFORMAT,
     "b: starts at 1, expected 2"},
    {"{" U8("a", "[2]", "[0,2]") "," U8("b", "[2]", "[0,2]") "}", 2, AN_EFORMAT,
     "starts at 0, expected 2"},
    {"{" U8("a", "[2]", "[0,2]") "," U8("b", "[1]", "[3,4]") "}", 4, AN_EFORMAT,
     "b: starts at 3, expected 2"},
    {"{" U8("a", "[2]", "[0,2]") "," U8("a", "[2]", "[2,4]") "}", 4, AN_EFORMAT,
     "duplicate"},
    {"{" U8("a", "[2]", "[2,0]") "}", 2, AN_EFORMAT, "data_offsets"},
    {"{" U8("a", "[2]", "[-2,0]") "}", 2, AN_EFORMAT, "data_offsets"},
    {"{" U8("a", "[2]", "[0]") "}", 2, AN_EFORMAT, "data_offsets"},
    {"{" U8("a", "[2]", "[0,2,4]") "}", 2, AN_EFORMAT, "data_offsets"},
    {"{" U8("a", "[2]", "[0,2.0]") "}", 2, AN_EFORMAT, "data_offsets"},
    {"{" U8("a", "[2]", "7") "}", 2, AN_EFORMAT, "data_offsets"},
    {"{" U8("a", "[2]", "[0,9223372036854775807]") "}", 2, AN_EFORMAT, "a:"},
    {"{" U8("a", "[2]", "[0,99999999999999999999]") "}", 2, AN_EFORMAT, ""},
    {"{" U8("a", "[3]", "[0,2]") "}", 2, AN_EFORMAT, "fit the shape"},
    {"{" U8("a", "[-2,-1]", "[0,2]") "}", 2, AN_EFORMAT, "a shape"},
    {"{" U8("a", "2", "[0,2]") "}", 2, AN_EFORMAT, "a shape"},
    {"{" U8("a", "[\"2\"]", "[0,2]") "}", 2, AN_EFORMAT, "a shape"},
    {"{" U8("a", "[1,1,1,1,1,1,1,1,2]", "[0,2]") "}", 2, AN_EFORMAT, "a shape"},
    {"{" U8("a", "[4294967296,4294967296]", "[0,0]") "}", 0, AN_EFORMAT,
     "fit the shape"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1,
     AN_EUNSUPPORTED, "F4"},
    {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,1]}}", 1, AN_EFORMAT, "dtype"},
    {"{\"a\":[]}", 0, AN_EFORMAT, "a: expected a dtype"},
    {"{\"__metadata__\":{\"k\":1}}", 0, AN_EFORMAT, "strings only"},
    {"{\"__metadata__\":[\"k\"]}", 0, AN_EFORMAT, "strings only"},
    // clang-format on
};

static void test_malformed_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct file f = file_of(files[i].header, files[i].data_bytes);
        an_error err = {0};
        an_status s = open_file(&f, &err);
        if (s != files[i].status || !strstr(err.text, files[i].text))
            fail_msg("%s: %s: %s", files[i].header, an_status_name(s),
                     err.text);
    }
}

static void test_every_truncation(void **state)
{
    (void)state;
    struct file f = file_of("{" U8("a", "[2]", "[0,2]") "}", 2);
    size_t size = f.size;
    for (f.size = 0; f.size < size; f.size++)
        assert_int_equal(open_file(&f, NULL), AN_EFORMAT);
    assert_int_equal(open_file(&f, NULL), AN_OK);
    f.bytes[7] = 0x80; /* a header of 2^63 bytes */
    assert_int_equal(open_file(&f, NULL), AN_EFORMAT);
    assert_int_equal(an_st_open("/nowhere/x", NULL, NULL), AN_EIO);
}

/* ---- allocation failure ---- */

static an_status save(void *ctx, an_error *err)
{
    (void)ctx;
    return an_st_save(path, sample, 4, sample_metadata, err);
}

static an_status open_saved(void *ctx, an_error *err)
{
    (void)ctx;
    an_st *st = NULL;
    an_status s = an_st_open(path, &st, err);
    an_st_close(st);
    return s;
}

/* jansson 2.14 reports some failed allocations of its parser as syntax errors,
 * so only writing is swept with its allocations counted. */
static void test_allocation_failures(void **state)
{
    (void)state;
    assert_true(alloc_sweep(save, NULL) > 5);
    assert_true(alloc_sweep(open_saved, NULL) > 3);
    alloc_count_jansson();
    assert_true(alloc_sweep(save, NULL) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_errors),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_typed_reads),
        cmocka_unit_test(test_save_and_open),
        cmocka_unit_test(test_same_input_same_bytes),
        cmocka_unit_test(test_save_refuses),
        cmocka_unit_test(test_malformed_files),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests_name("json", tests, make_file, remove_file);
}
