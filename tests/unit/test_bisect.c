/*
 * Bisecting with planted faults: the part that comes back is the smallest that
 * holds them, whatever the shape of the program around.
 */
#include "lower/bisect.h"

#include "alloc_fail.h"
#include "base/alloc.h"
#include "describe.h"
#include "lower/cut_text.h"

/* A fault that shows when a candidate computes all of `ops` and returns all of
 * `results`, names separated by blanks. */
typedef struct planted {
    const char *ops, *results;
    an_status fails; /* of the test itself */
    int tests, told, ops_left;
} planted;

/* Is the name among the first n values of a list? */
static bool among(const char *name, size_t size, an_value *const *list, int n)
{
    for (int i = 0; i < n; i++)
        if (strlen(list[i]->name) == size &&
            strncmp(list[i]->name, name, size) == 0)
            return true;
    return false;
}

static bool computes(const an_function *f, const char *name, size_t size)
{
    for (int i = 0; i < f->n_nodes; i++)
        if (among(name, size, f->nodes[i]->results, f->nodes[i]->n_results))
            return true;
    return false;
}

static bool has_all(const an_function *f, const planted *p)
{
    bool all = true;
    size_t n;
    for (const char *at = p->ops; *at; at += n + strspn(at + n, " ")) {
        n = strcspn(at, " ");
        all = all && computes(f, at, n);
    }
    for (const char *at = p->results; *at; at += n + strspn(at + n, " ")) {
        n = strcspn(at, " ");
        all = all && among(at, n, f->results, f->n_results);
    }
    return all;
}

static an_status test(void *ctx, const an_module *candidate,
                      an_likeness likeness, bool *shows, an_error *err)
{
    planted *p = ctx;
    (void)likeness;
    p->tests++;
    assert_int_equal(candidate->n_functions, 1);
    assert_string_equal(candidate->functions[0]->name, "main");
    if (p->fails != AN_OK) return an_fail(err, p->fails, "the test failed");
    *shows = has_all(candidate->functions[0], p);
    return AN_OK;
}

static void progress(void *ctx, int tests, int ops)
{
    planted *p = ctx;
    p->told = tests;
    p->ops_left = ops;
}

static an_status bisect(const an_module *m, planted *p, an_module **out,
                        an_error *err)
{
    return an_bisect_run(&(an_bisect){.function = m->functions[0],
                                      .test = test,
                                      .progress = progress,
                                      .ctx = p},
                         out, err);
}

/* v0 = exp(x), v1 = exp(v0), ..; every tenth is a result. */
static an_module *chain(int n)
{
    sketch k = sketch_begin();
    an_value *v = an_build_param(k.b, "x", AN_TENSOR(AN_FP16, 1, 4));
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "v%d", i);
        v = sketch_name(&k, an_emit_unary(k.b, "exp", v), name);
        if (i % 10 == 9 && i + 1 < n) an_build_result(k.b, v);
    }
    return sketch_end(&k, v);
}

static an_module *parsed(const char *text)
{
    an_error err = {0};
    an_module *m = NULL;
    if (an_mil_parse(text, strlen(text), "test", &m, &err) != AN_OK)
        fail_msg("%s", err.text);
    return m;
}

static void expect_smallest(const an_module *m, planted p, const char *want)
{
    an_error err = {0};
    an_module *out = NULL;
    if (bisect(m, &p, &out, &err) != AN_OK) fail_msg("%s", err.text);
    assert_non_null(out);
    expect_function(out->functions[0], want);
    if (an_mil_verify(out, "bisect", &err) != AN_OK) fail_msg("%s", err.text);
    assert_int_equal(p.told, p.tests);
    assert_int_equal(p.ops_left, an_count_ops(out->functions[0]));
    an_module_free(out);
}

static void test_one_op(void **state)
{
    (void)state;
    an_module *m = chain(60);
    expect_smallest(m, (planted){"v30", ""},
                    "main(v29) -> (v30)\nexp(v29) -> v30\n");
    expect_smallest(m, (planted){"v0", ""}, "main(x) -> (v0)\nexp(x) -> v0\n");
    expect_smallest(m, (planted){"v59", "v59"},
                    "main(v58) -> (v59)\nexp(v58) -> v59\n");
    an_module_free(m);
}

static void test_two_ops(void **state)
{
    (void)state;
    an_module *m = chain(60);
    expect_smallest(m, (planted){"v17 v44", ""},
                    "main(v16, v43) -> (v17, v44)\n"
                    "exp(v16) -> v17\nexp(v43) -> v44\n");
    expect_smallest(m, (planted){"v30 v31", ""},
                    "main(v29) -> (v31)\n"
                    "exp(v29) -> v30\nexp(v30) -> v31\n");
    an_module_free(m);
}

static void test_several_results(void **state)
{
    (void)state;
    an_module *m = chain(60);
    expect_smallest(m, (planted){"", "v19 v39 v59"},
                    "main(v18, v38, v58) -> (v19, v39, v59)\n"
                    "exp(v18) -> v19\nexp(v38) -> v39\nexp(v58) -> v59\n");
    an_module_free(m);
}

/* All ops are needed: nothing goes but the results. */
static void test_whole(void **state)
{
    (void)state;
    an_module *m = chain(12);
    expect_smallest(m, (planted){"v0 v1 v2 v3 v4 v5 v6 v7 v8 v9 v10 v11", ""},
                    "main(x) -> (v11)\n"
                    "exp(x) -> v0\nexp(v0) -> v1\nexp(v1) -> v2\n"
                    "exp(v2) -> v3\nexp(v3) -> v4\nexp(v4) -> v5\n"
                    "exp(v5) -> v6\nexp(v6) -> v7\nexp(v7) -> v8\n"
                    "exp(v8) -> v9\nexp(v9) -> v10\nexp(v10) -> v11\n");
    an_module_free(m);
}

static void test_no_fault(void **state)
{
    (void)state;
    an_error err = {0};
    an_module *m = chain(5), *out = NULL;
    planted p = {"elsewhere", ""};
    assert_int_equal(bisect(m, &p, &out, &err), AN_OK);
    assert_null(out);
    assert_int_equal(p.tests, 4);
    an_module_free(m);
}

/* An error of the test ends the search. */
static void test_fails(void **state)
{
    (void)state;
    an_error err = {0};
    an_module *m = chain(5), *out = NULL;
    planted p = {"v3", "", .fails = AN_EIO};
    assert_int_equal(bisect(m, &p, &out, &err), AN_EIO);
    assert_string_equal(err.text, "the test failed");
    assert_null(out);
    an_module_free(m);
}

#define HEAD                                                                   \
    "program(1.0)\n[buildInfo = dict<tensor<string, []>, tensor<string, "      \
    "[]>>({{\"coremlc-version\", \"1\"}})]\n{\n"

/* A constant goes with its reader, a result of a split without the other, an
 * op that nobody reads is a result, and the dialect stays. */
static void test_odd_programs(void **state)
{
    (void)state;
    an_module *m = parsed(
        HEAD "func main<ios16>(tensor<fp16, [1, 4]> x) {\n"
             "tensor<int32, []> n = const()[name = tensor<string, []>(\"n\"), "
             "val = tensor<int32, []>(2)];\n"
             "tensor<int32, []> axis = const()[name = tensor<string, "
             "[]>(\"axis\"), val = tensor<int32, []>(1)];\n"
             "tensor<fp16, [1, 2]> a, tensor<fp16, [1, 2]> b = split(axis = "
             "axis, num_splits = n, x = x)[name = tensor<string, "
             "[]>(\"ab\")];\n"
             "tensor<fp16, [1, 2]> c = exp(x = a)[name = tensor<string, "
             "[]>(\"c\")];\n"
             "tensor<fp16, [1, 2]> d = exp(x = b)[name = tensor<string, "
             "[]>(\"d\")];\n"
             "} -> (d);\n}");
    expect_smallest(m, (planted){"a", ""},
                    "main(x) -> (a)\nsplit(x) -> a, b\n");
    expect_smallest(m, (planted){"a d", ""},
                    "main(x) -> (d)\nsplit(x) -> a, b\nexp(b) -> d\n");
    expect_smallest(m, (planted){"c", ""}, "main(a) -> (c)\nexp(a) -> c\n");
    planted p = {"c", ""};
    an_module *out = NULL;
    assert_int_equal(bisect(m, &p, &out, NULL), AN_OK);
    assert_int_equal(out->minor, 0);
    assert_int_equal(out->n_attrs, 1);
    an_module_free(out);
    an_module_free(m);
}

/* No op at all: the function is its smallest part. */
static void test_no_ops(void **state)
{
    (void)state;
    an_module *m =
        parsed(HEAD "func main<ios16>(tensor<fp16, [1, 4]> x, tensor<fp16, [1, "
                    "4]> y) {\n} -> (x, y);\n}");
    expect_smallest(m, (planted){"", "y"}, "main(y) -> (y)\n");
    an_module_free(m);
}

/* ---- texts ---- */

static const char broken[] =
    "program(1.3)\n[buildInfo = dict<string, string>({{\"a\", \"{;\"}})]\n{\n"
    "func one<ios18>(tensor<fp16, [1, 4]> x) {\n"
    "tensor<fp16, [1, 4]> y = exp(x = x)[name = string(\"y\")];\n"
    "} -> (y);\n"
    "func two<ios18>(tensor<fp16, [1, 4]> x, tensor<fp16, [1, 4]> unread) "
    "{\n"
    "int32 n = const()[name = string(\"n\"), val = int32(2)];\n"
    "tensor<fp16, [1, 2]> a, tensor<fp16, [1, 2]> b = split(num_splits = n, "
    "axis = int32(1), x = x)[name = string(\"a; b\")];\n"
    "tensor<fp16, [1, 4]> c = cat(axis = n, values = (a, b))"
    "[name = string(\"c\")];\n"
    "} -> (c);\n}\n";
enum { BROKEN_LINE = 10, BROKEN_COLUMN = 26 };

static void test_text(void **state)
{
    (void)state;
    char *out = NULL;
    an_error err = {0};
    if (an_cut_text(broken, strlen(broken), BROKEN_LINE, BROKEN_COLUMN, &out,
                    &err) != AN_OK)
        fail_msg("%s", err.text);
    assert_non_null(out);
    assert_string_equal(
        out, "program(1.3)\n[buildInfo = dict<string, string>({{\"a\", "
             "\"{;\"}})]\n{\n"
             "func two<ios18>(tensor<fp16, [1, 2]> a, tensor<fp16, [1, 2]> b) "
             "{\n"
             "            int32 n = const()[name = string(\"n\"), val = "
             "int32(2)];\n"
             "            tensor<fp16, [1, 4]> c = cat(axis = n, values = (a, "
             "b))[name = string(\"c\")];\n"
             "        } -> (c);\n}\n");
    an_free(out);
}

/* Whatever is cut off or asked for, there is an answer. */
static void test_any_text(void **state)
{
    (void)state;
    int n_cut = 0;
    for (size_t size = 0; size <= strlen(broken); size++) {
        char *copy = an_alloc(size + 1);
        memcpy(copy, broken, size);
        for (int line = 0; line <= 12; line++) {
            char *out = NULL;
            assert_int_equal(an_cut_text(copy, size, line, 3, &out, NULL),
                             AN_OK);
            n_cut += out != NULL;
            an_free(out);
        }
        an_free(copy);
    }
    assert_true(n_cut > 0);
}

static an_status cut_once(void *ctx, an_error *err)
{
    char *out = NULL;
    (void)ctx;
    an_status s = an_cut_text(broken, strlen(broken), BROKEN_LINE,
                              BROKEN_COLUMN, &out, err);
    an_free(out);
    return s;
}

static an_status bisect_once(void *ctx, an_error *err)
{
    planted p = {"v1 v3", ""};
    an_module *out = NULL;
    an_status s = bisect(ctx, &p, &out, err);
    an_module_free(out);
    return s;
}

static void test_memory(void **state)
{
    (void)state;
    an_module *m = chain(5);
    assert_true(alloc_sweep(bisect_once, m) > 0);
    an_module_free(m);
    assert_true(alloc_sweep(cut_once, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_op),
        cmocka_unit_test(test_two_ops),
        cmocka_unit_test(test_several_results),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_no_fault),
        cmocka_unit_test(test_fails),
        cmocka_unit_test(test_odd_programs),
        cmocka_unit_test(test_no_ops),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_any_text),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
