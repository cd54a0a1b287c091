/*
 * Weight files: the published worked example byte for byte, packing of types
 * below a byte, the hand-written forms, and refusals that name the offset.
 */
#include "mil/blob.h"
#include "base/alloc.h"
#include "alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct file {
    unsigned char *data;
    size_t size;
} file;

static void add(an_blob_writer *w, an_dtype dtype, int64_t n, const void *data,
                uint64_t expected)
{
    uint64_t offset = 0;
    assert_int_equal(an_blob_writer_add(w, dtype, n, data, &offset, NULL),
                     AN_OK);
    assert_int_equal(offset, expected);
}

static file take(an_blob_writer *w)
{
    void *data = NULL;
    file f = {0};
    assert_int_equal(an_blob_writer_take(w, &data, &f.size, NULL), AN_OK);
    f.data = data;
    return f;
}

static const uint16_t halves[] = {0x3C00, 0xC000, 0x3800, 0x7BFF};

static file example(void)
{
    an_blob_writer *w = NULL;
    assert_int_equal(an_blob_writer_new(&w, NULL), AN_OK);
    add(w, AN_FP16, 4, halves, 64);
    return take(w);
}

/* 1.0, -2.0, 0.5, 65504 as apple/coremltools' writer stores them. */
static void test_worked_example(void **state)
{
    (void)state;
    unsigned char want[136] = {1, 0, 0, 0, 2};
    static const unsigned char record[] = {
        0xEF, 0xBE, 0xAD, 0xDE, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0};
    static const unsigned char data[] = {0x00, 0x3C, 0x00, 0xC0,
                                         0x00, 0x38, 0xFF, 0x7B};
    memcpy(want + 64, record, sizeof record);
    memcpy(want + 128, data, sizeof data);
    file f = example();
    assert_int_equal(f.size, sizeof want);
    assert_memory_equal(f.data, want, sizeof want);
    an_blob_record r;
    assert_int_equal(
        an_blob_read(f.data, f.size, "w", 64, AN_FP16, 4, &r, NULL), AN_OK);
    assert_ptr_equal(r.data, f.data + 128);
    assert_int_equal(r.next, 192);
    assert_int_equal(r.dtype, AN_FP16);
    an_free(f.data);
}

typedef struct packing {
    an_dtype dtype;
    int64_t n;
    int8_t elements[8];
    unsigned char bytes[4];
    size_t size;
} packing;

static const packing packings[] = {
    {AN_INT4, 5, {-8, 7, 1, -1, 3}, {0x78, 0xF1, 0x03}, 3},
    {AN_UINT1, 5, {1, 0, 1, 1, 0}, {0x0D}, 1},
    {AN_UINT2, 5, {1, 0, 3, 2, 1}, {0xB1, 0x01}, 2},
    {AN_UINT3, 5, {1, 2, 3, 4, 5}, {0xD1, 0x58}, 2},
    {AN_UINT4, 5, {1, 2, 3, 4, 15}, {0x21, 0x43, 0x0F}, 3},
    {AN_UINT6, 5, {1, 2, 3, 33, 63}, {0x81, 0x30, 0x84, 0x3F}, 4},
};

static void test_packing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof packings / sizeof *packings; i++) {
        const packing *p = &packings[i];
        static const int bits[] = {4, 1, 2, 3, 4, 6};
        an_blob_writer *w = NULL;
        assert_int_equal(an_blob_writer_new(&w, NULL), AN_OK);
        add(w, p->dtype, p->n, p->elements, 64);
        file f = take(w);
        assert_int_equal(f.size, 128 + p->size);
        assert_memory_equal(f.data + 128, p->bytes, p->size);
        assert_int_equal(f.data[64 + 24], (8 - 5 * bits[i] % 8) % 8);
        an_blob_record r;
        int8_t back[8] = {0};
        an_error err = {0};
        if (an_blob_read(f.data, f.size, "w", 64, p->dtype, p->n, &r, &err) !=
            AN_OK)
            fail_msg("%s", err.text);
        an_blob_unpack(&r, p->dtype, p->n, back);
        assert_memory_equal(back, p->elements, (size_t)p->n);
        f.data[64 + 24] ^= 1;
        assert_int_equal(
            an_blob_read(f.data, f.size, "w", 64, p->dtype, p->n, &r, NULL),
            AN_EFORMAT);
        an_free(f.data);
    }
}

static void test_several(void **state)
{
    (void)state;
    static const float singles[] = {1, 2, 3};
    static const int8_t bytes[] = {-1, 0, 1, 2, 3};
    an_blob_writer *w = NULL;
    assert_int_equal(an_blob_writer_new(&w, NULL), AN_OK);
    add(w, AN_FP16, 4, halves, 64);
    add(w, AN_FP32, 3, singles, 192);
    add(w, AN_INT8, 5, bytes, 320);
    file f = take(w);
    assert_int_equal(f.size, 320 + 64 + 5);
    assert_int_equal(f.data[0], 3);
    an_blob_record r;
    assert_int_equal(
        an_blob_read(f.data, f.size, "w", 192, AN_FP32, 3, &r, NULL), AN_OK);
    assert_memory_equal(r.data, singles, sizeof singles);
    assert_int_equal(r.next, 320);
    float back[3];
    an_blob_unpack(&r, AN_FP32, 3, back);
    assert_memory_equal(back, singles, sizeof singles);
    /* Reserved fields and padding may hold anything (files of old tools). */
    memset(f.data + 192 + 24, 0xA5, 40);
    assert_int_equal(
        an_blob_read(f.data, f.size, "w", 192, AN_FP32, 3, &r, NULL), AN_OK);
    an_free(f.data);
}

/* Element type left at 1; size and data offset as junk; the data offset of
 * another record. */
static void test_hand_written(void **state)
{
    (void)state;
    unsigned char f[64 + 2 * 128] = {1, 0, 0, 0, 2};
    static const unsigned char sentinel[] = {0xEF, 0xBE, 0xAD, 0xDE};
    an_blob_record r;
    for (int i = 0; i < 2; i++) {
        memcpy(f + 64 + 128 * i, sentinel, 4);
        memset(f + 128 + 128 * i, i + 1, 64);
    }
    assert_int_equal(an_blob_read(f, sizeof f, "w", 192, AN_INT8, 64, &r, NULL),
                     AN_OK);
    assert_ptr_equal(r.data, f + 256);
    assert_int_equal(r.next, 320);
    memset(f + 192 + 4, 0xCC, 60);
    assert_int_equal(an_blob_read(f, sizeof f, "w", 192, AN_INT8, 64, &r, NULL),
                     AN_OK);
    assert_ptr_equal(r.data, f + 256);
    memset(f + 192 + 4, 0, 60);
    f[192 + 4] = 1;
    f[192 + 8] = 64;
    f[192 + 16] = 128;
    assert_int_equal(an_blob_read(f, sizeof f, "w", 192, AN_INT8, 64, &r, NULL),
                     AN_OK);
    assert_ptr_equal(r.data, f + 128);
}

static void refuse(const file *f, uint64_t offset, an_dtype dtype, int64_t n,
                   an_status code, const char *text)
{
    an_error err = {0};
    an_blob_record r = {.next = 77};
    /* A block of the exact size, so that a sanitizer sees an overrun. */
    unsigned char *exact = an_alloc(f->size + 1);
    assert_non_null(exact);
    memcpy(exact + 1, f->data, f->size);
    assert_int_equal(
        an_blob_read(exact + 1, f->size, "w", offset, dtype, n, &r, &err),
        code);
    assert_string_equal(err.text, text);
    assert_int_equal(r.next, 77);
    an_free(exact);
}

static void test_refusals(void **state)
{
    (void)state;
    file f = example(), whole = f;
    refuse(&f, 0, AN_FP16, 4, AN_EFORMAT,
           "w: record at 0: expected a multiple of 64 from 64");
    refuse(&f, 72, AN_FP16, 4, AN_EFORMAT,
           "w: record at 72: expected a multiple of 64 from 64");
    refuse(&f, 128, AN_FP16, 4, AN_EFORMAT,
           "w: record at 128: the file has 136 bytes");
    refuse(&f, UINT64_MAX - 63, AN_FP16, 4, AN_EFORMAT,
           "w: record at 18446744073709551552: the file has 136 bytes");
    refuse(&f, 64, AN_FP16, 5, AN_EFORMAT,
           "w: record at 64: 10 bytes of data at 128, the file has 136 bytes");
    refuse(&f, 64, AN_FP16, 3, AN_EFORMAT,
           "w: record at 64: 8 bytes, 3 elements of fp16 take 6");
    refuse(&f, 64, AN_FP64, 1, AN_EUNSUPPORTED, "weight files hold no fp64");
    refuse(&f, 64, AN_FP16, -1, AN_EINVAL, "weight file: -1 elements");
    f.size = 135;
    refuse(&f, 64, AN_FP16, 4, AN_EFORMAT,
           "w: record at 64: 8 bytes of data at 128, the file has 135 bytes");
    f.size = 100;
    refuse(&f, 64, AN_FP16, 4, AN_EFORMAT,
           "w: record at 64: the file has 100 bytes");
    f.size = 10;
    refuse(&f, 64, AN_FP16, 4, AN_EFORMAT,
           "w: no weight file of version 2 (10 bytes)");
    f.size = 136;
    f.data[68] = 2;
    refuse(&f, 64, AN_FP16, 4, AN_EFORMAT,
           "w: record at 64: type 2, expected 1 for fp16");
    f.data[64] = 0;
    refuse(&f, 64, AN_FP16, 4, AN_EFORMAT,
           "w: record at 64: no sentinel, found deadbe00");
    f.data[4] = 1;
    refuse(&f, 64, AN_FP16, 4, AN_EFORMAT,
           "w: no weight file of version 2 (136 bytes)");
    an_free(whole.data);
}

static an_status sweep(void *ctx, an_error *err)
{
    (void)ctx;
    an_blob_writer *w = NULL;
    void *data = NULL;
    size_t size = 0;
    uint64_t offset = 0;
    an_status s = an_blob_writer_new(&w, err);
    for (int i = 0; i < 8 && s == AN_OK; i++)
        s = an_blob_writer_add(w, AN_FP16, 4, halves, &offset, err);
    if (s != AN_OK) {
        an_blob_writer_free(w);
        return s;
    }
    s = an_blob_writer_take(w, &data, &size, err);
    an_free(data);
    return s;
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_true(alloc_sweep(sweep, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_hand_written),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests_name("mil_blob", tests, NULL, NULL);
}
