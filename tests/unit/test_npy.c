/*
 * .npy files: headers as NumPy 1.26 writes them, and what is refused.
 */
#include "cli/npy.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A file of the given version with a header and n bytes of elements. */
static size_t file(char *out, int version, const char *header, size_t n)
{
    size_t size = strlen(header), wide = version == 1 ? 2 : 4;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (char)version;
    out[7] = 0;
    for (size_t i = 0; i < wide; i++)
        out[8 + i] = (char)(size >> 8 * i & 0xFF);
    memcpy(out + 8 + wide, header, size);
    memset(out + 8 + wide + size, 7, n);
    return 8 + wide + size + n;
}

static an_status read(int version, const char *header, size_t n, an_npy *npy,
                      an_error *err)
{
    char bytes[1024];
    size_t size = file(bytes, version, header, n);
    an_status s = an_npy_read(bytes, size, "x.npy", npy, err);
    if (s == AN_OK) npy->data = NULL;
    return s;
}

static void reads_what_numpy_writes(void **state)
{
    (void)state;
    an_npy npy = {0};
    an_shape want = AN_TENSOR(AN_FP16, 1, 2, 3);
    for (int version = 1; version <= 3; version++)
        assert_int_equal(read(version,
                              "{'descr': '<f2', 'fortran_order': False, "
                              "'shape': (1, 2, 3), }       \n",
                              12, &npy, NULL),
                         AN_OK);
    assert_true(an_shape_equal(&npy.shape, &want));
    assert_int_equal(npy.size_bytes, 12);
    assert_int_equal(read(1,
                          "{\"shape\": (5,), \"fortran_order\": False, "
                          "\"descr\": \"|b1\"}",
                          5, &npy, NULL),
                     AN_OK);
    assert_int_equal(npy.shape.rank, 1);
    assert_int_equal(npy.shape.dtype, AN_BOOL);
    assert_int_equal(read(1, "{'descr':'<i8','fortran_order':False,'shape':()}",
                          8, &npy, NULL),
                     AN_OK);
    assert_int_equal(npy.shape.rank, 0);
}

static void refuses_what_it_cannot_read(void **state)
{
    (void)state;
    static const struct {
        const char *header, *text;
        size_t n;
        an_status status;
    } cases[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }",
         "elements are '>f4'", 4, AN_EUNSUPPORTED},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
         "elements are '|O'", 8, AN_EUNSUPPORTED},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
         "structured", 4, AN_EUNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }",
         "Fortran order", 16, AN_EUNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
         "7 bytes of elements, its shape needs 8", 7, AN_EFORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
         "9 bytes of elements, its shape needs 8", 9, AN_EFORMAT},
        {"{'descr': '<f4', 'fortran_order': False, "
         "'shape': (9223372036854775807, 4), }",
         "a dimension is no number", 4, AN_EFORMAT},
        {"{'descr': '<f4', 'fortran_order': False, "
         "'shape': (4294967296, 4294967296, 4), }",
         "bytes of elements", 4, AN_EFORMAT},
        {"{'descr': '<f4', 'fortran_order': False, "
         "'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1), }",
         "more than 8 dimensions", 4, AN_EUNSUPPORTED},
        {"{'descr': '<f4', 'shape': (1,), }", "is missing", 4, AN_EFORMAT},
        {"{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }", "twice", 4,
         AN_EFORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
         "a key of no meaning", 4, AN_EFORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} 1",
         "something follows", 4, AN_EFORMAT},
        {"", "no dict", 4, AN_EFORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        an_npy npy = {0};
        an_error err = {0};
        an_status s = read(1, cases[i].header, cases[i].n, &npy, &err);
        if (s != cases[i].status || strstr(err.text, cases[i].text) == NULL)
            fail_msg("case %zu: %s", i, err.text);
    }
}

/* Every prefix of a file is refused, and no byte beyond it is read. */
static void refuses_every_prefix(void **state)
{
    (void)state;
    char bytes[1024];
    size_t size = file(bytes, 2,
                       "{'descr': '<f8', 'fortran_order': False, "
                       "'shape': (2, 1), }\n",
                       16);
    an_npy npy;
    assert_int_equal(an_npy_read(bytes, size, "x", &npy, NULL), AN_OK);
    for (size_t n = 0; n < size; n++)
        assert_int_not_equal(an_npy_read(bytes, n, "x", &npy, NULL), AN_OK);
    bytes[6] = 4;
    assert_int_equal(an_npy_read(bytes, size, "x", &npy, NULL),
                     AN_EUNSUPPORTED);
}

static void reads_what_it_writes(void **state)
{
    (void)state;
    static const an_shape shapes[] = {
        {AN_FP16, 4, {1, 64, 1, 32}},
        {AN_INT32, 0, {0}},
        {AN_BOOL, 1, {3}},
        {AN_FP64, 2, {0, 5}},
        {AN_UINT64, 8, {1, 1, 1, 1, 1, 1, 1, 2}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        char bytes[AN_NPY_HEADER + 8192] = {0};
        size_t header = 0;
        size_t n =
            (size_t)an_shape_count(&shapes[i]) * an_dtype_size(shapes[i].dtype);
        an_npy npy = {0};
        assert_int_equal(an_npy_header(&shapes[i], bytes, &header, NULL),
                         AN_OK);
        assert_int_equal(header % 64, 0);
        assert_int_equal(an_npy_read(bytes, header + n, "x", &npy, NULL),
                         AN_OK);
        assert_true(an_shape_equal(&npy.shape, &shapes[i]));
        assert_ptr_equal(npy.data, bytes + header);
    }
}

/* The 128 bytes that numpy.save writes before numpy.zeros((2, 3), 'f4'). */
static void writes_numpys_bytes(void **state)
{
    (void)state;
    char bytes[AN_NPY_HEADER], want[129];
    size_t n = 0;
    an_shape shape = AN_TENSOR(AN_FP32, 2, 3);
    an_shape bf16 = AN_TENSOR(AN_BF16, 2);
    snprintf(want, sizeof want, "%-117s\n",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
    assert_int_equal(an_npy_header(&shape, bytes, &n, NULL), AN_OK);
    assert_int_equal(n, 128);
    assert_memory_equal(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_memory_equal(bytes + 10, want, 118);
    assert_int_equal(an_npy_header(&bf16, bytes, &n, NULL), AN_EUNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_numpy_writes),
        cmocka_unit_test(refuses_what_it_cannot_read),
        cmocka_unit_test(refuses_every_prefix),
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(writes_numpys_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
