/*
 * The builder: inference, shared constants, made-up names, the first error,
 * copies, renaming, and the short forms of emit.h.
 */
#include "mil/build.h"
#include "mil/emit.h"
#include "mil/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    an_module *m;
    an_builder *b;
} fixture;

static fixture begin(void)
{
    fixture f = {0};
    assert_int_equal(an_module_new(&f.m, NULL), AN_OK);
    assert_int_equal(an_build_begin(f.m, "main", 18, &f.b, NULL), AN_OK);
    return f;
}

static void end_well(fixture *f)
{
    an_error err = {0};
    if (an_build_end(f->b, &err) != AN_OK) fail_msg("%s", err.text);
    an_module_free(f->m);
}

static void end_badly(fixture *f, an_status code, const char *text)
{
    an_error err = {0};
    assert_int_equal(an_build_end(f->b, &err), code);
    assert_string_equal(err.text, text);
    assert_int_equal(f->m->n_functions, 0);
    an_module_free(f->m);
}

static void assert_shape(const an_value *v, an_shape expected)
{
    char text[100], want[100];
    assert_non_null(v);
    an_shape_text(an_value_shape(v), text, sizeof text);
    assert_string_equal(text, an_shape_text(&expected, want, sizeof want));
}

static void test_infer(void **state)
{
    (void)state;
    fixture f = begin();
    an_value *x = an_build_param(f.b, "x", AN_TENSOR(AN_FP16, 1, 64, 1, 32));
    an_value *y = an_build(f.b, "mul", "y", AN_ARGS({"x", x}, {"y", x}));
    assert_shape(y, AN_TENSOR(AN_FP16, 1, 64, 1, 32));
    assert_string_equal(an_value_name(y), "y");
    an_value *parts[2];
    assert_true(
        an_build_n(f.b, "split", "s",
                   AN_ARGS({"x", y}, {"num_splits", an_build_int(f.b, 2)},
                           {"axis", an_build_int(f.b, 1)}),
                   parts, 2));
    assert_shape(parts[1], AN_TENSOR(AN_FP16, 1, 32, 1, 32));
    assert_string_equal(an_value_name(parts[0]), "s");
    assert_string_equal(an_value_name(parts[1]), "s_1");
    an_build_result(f.b, parts[1]);
    end_well(&f);
}

static void test_shared_constants(void **state)
{
    (void)state;
    fixture f = begin();
    an_value *one = an_build_int(f.b, 1);
    assert_ptr_equal(one, an_build_int(f.b, 1));
    assert_ptr_not_equal(one, an_build_ints(f.b, 1, (const int64_t[]){1}));
    assert_ptr_equal(an_build_string(f.b, "valid"),
                     an_build_string(f.b, "valid"));
    assert_ptr_equal(an_build_bool(f.b, true), an_build_bool(f.b, true));
    assert_ptr_not_equal(an_build_float(f.b, AN_FP16, 0.0),
                         an_build_float(f.b, AN_FP16, -0.0));
    assert_ptr_not_equal(an_build_float(f.b, AN_FP16, 0.0),
                         an_build_float(f.b, AN_FP32, 0.0));
    for (int i = 0; i < 1000; i++)
        assert_non_null(an_build_int(f.b, i));
    assert_ptr_equal(one, an_build_int(f.b, 1));
    end_well(&f);
}

static void test_names(void **state)
{
    (void)state;
    fixture f = begin();
    an_value *x = an_build_param(f.b, "x", AN_TENSOR(AN_FP16, 4));
    an_value *a = an_build(f.b, "relu", "x", AN_ARGS({"x", x}));
    assert_string_equal(an_value_name(a), "x_1");
    an_build_prefix(f.b, "d_");
    an_value *c = an_build(f.b, "relu", NULL, AN_ARGS({"x", a}));
    an_value *d = an_build(f.b, "relu", NULL, AN_ARGS({"x", a}));
    assert_string_equal(an_value_name(c), "d_relu");
    assert_string_equal(an_value_name(d), "d_relu_1");
    an_build_rename(f.b, d, "out");
    an_build_rename(f.b, c, "x");
    assert_string_equal(an_value_name(d), "out");
    assert_string_equal(an_value_name(c), "x_2");
    assert_string_equal(d->def->attrs[0].literal->strings[0].text, "out");
    an_build_result(f.b, d);
    end_well(&f);
}

static void test_first_error(void **state)
{
    (void)state;
    fixture f = begin();
    an_value *x = an_build_param(f.b, "x", AN_TENSOR(AN_FP16, 4));
    assert_null(an_build(f.b, "relu", "y", AN_ARGS({"z", x})));
    assert_null(an_build(f.b, "nonsense", "y", AN_ARGS({"x", x})));
    assert_null(an_emit_scale(f.b, NULL, 2));
    assert_int_equal(an_value_shape(NULL)->dims[3], 1);
    an_build_result(f.b, NULL);
    end_badly(&f, AN_EINVAL, "relu: parameter z is not known");

    f = begin();
    assert_null(an_build(f.b, "neg", "y", AN_ARGS({"x", NULL})));
    end_badly(&f, AN_EUNSUPPORTED, "op 'neg' is not known");

    f = begin();
    x = an_build_param(f.b, "x", AN_TENSOR(AN_FP16, 4));
    assert_null(an_build(f.b, "softmax", "y", AN_ARGS({"x", x}, {"axis", x})));
    end_badly(&f, AN_ETYPE,
              "softmax: axis is fp16 [4] computed at run time, expected an int "
              "constant");

    f = begin();
    assert_null(an_build_param(f.b, "no good", AN_TENSOR(AN_FP16, 4)));
    end_badly(&f, AN_EINVAL, "'no good' is no name");
}

static void test_foreign_value(void **state)
{
    (void)state;
    fixture f = begin(), g = begin();
    an_value *x = an_build_param(f.b, "x", AN_TENSOR(AN_FP16, 4));
    an_build_param(g.b, "y", AN_TENSOR(AN_FP16, 4));
    an_build_result(g.b, an_build(g.b, "relu", "z", AN_ARGS({"x", x})));
    end_badly(&g, AN_EINVAL, "main: x is not defined before its use");
    end_well(&f);
}

static void test_copy(void **state)
{
    (void)state;
    fixture f = begin(), g = begin();
    an_value *x = an_build_param(f.b, "x", AN_TENSOR(AN_FP16, 1, 4));
    an_value *y = an_emit_concat(f.b, 2, (an_value *[]){x, x}, 1);
    an_value *z = an_emit_scale(f.b, y, 0.5);
    const an_function *from = an_build_function(f.b);
    an_value *map[32] = {NULL};
    map[x->id] = an_build_param(g.b, "input", AN_TENSOR(AN_FP16, 1, 4));
    for (int i = 0; i < from->n_nodes; i++)
        assert_true(an_build_copy(g.b, from->nodes[i], map));
    assert_shape(map[z->id], AN_TENSOR(AN_FP16, 1, 8));
    an_build_result(g.b, map[z->id]);
    end_well(&f);
    end_well(&g);
}

static void test_sums(void **state)
{
    (void)state;
    fixture f = begin();
    an_value *x = an_build_param(f.b, "x", AN_TENSOR(AN_FP16, 2, 6, 1, 8));
    an_value *c = an_emit_sum(f.b, x, 2, (const int64_t[]){1, 2});
    assert_shape(c, AN_TENSOR(AN_FP16, 2, 1, 1, 8));
    assert_string_equal(c->def->op->name, "conv");
    an_value *l = an_emit_sum(f.b, x, 1, (const int64_t[]){3});
    assert_shape(l, AN_TENSOR(AN_FP16, 2, 6, 1, 1));
    assert_string_equal(l->def->op->name, "reshape");
    an_value *r = an_emit_sum(f.b, x, 1, (const int64_t[]){0});
    assert_shape(r, AN_TENSOR(AN_FP16, 1, 6, 1, 8));
    assert_string_equal(r->def->op->name, "reduce_sum");
    assert_ptr_equal(an_emit_sum(f.b, x, 1, (const int64_t[]){2}), x);
    an_shape target = AN_TENSOR(AN_FP16, 6, 1, 1);
    assert_shape(an_emit_unbroadcast(f.b, x, &target), target);
    assert_shape(an_emit_unbroadcast(f.b, x, &AN_SCALAR(AN_FP16)),
                 AN_SCALAR(AN_FP16));
    an_build_result(f.b, c);
    end_well(&f);
}

static void test_short_forms(void **state)
{
    (void)state;
    fixture f = begin();
    an_value *x = an_build_param(f.b, "x", AN_TENSOR(AN_FP16, 1, 6, 1, 8));
    an_value *g = an_emit_unary(f.b, "gelu", x);
    assert_true(an_node_given(g->def, "mode"));
    assert_true(an_node_given(an_emit_unary(f.b, "log", x)->def, "epsilon"));
    assert_ptr_equal(an_emit_cast(f.b, x, AN_FP16), x);
    assert_shape(an_emit_cast(f.b, x, AN_FP32), AN_TENSOR(AN_FP32, 1, 6, 1, 8));
    assert_shape(an_emit_transpose(f.b, x, (const int[]){0, 3, 2, 1}),
                 AN_TENSOR(AN_FP16, 1, 8, 1, 6));
    assert_shape(an_emit_matmul(f.b, x, x, true, false),
                 AN_TENSOR(AN_FP16, 1, 6, 8, 8));
    assert_shape(an_emit_slice(f.b, x, (const int64_t[]){0, 2, 0, 0},
                               (const int64_t[]){1, 3, 1, 8}),
                 AN_TENSOR(AN_FP16, 1, 3, 1, 8));
    assert_ptr_equal(an_emit_add_scalar(f.b, x, 0), x);
    an_build_result(f.b, g);
    end_well(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_infer),
        cmocka_unit_test(test_shared_constants),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_first_error),
        cmocka_unit_test(test_foreign_value),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_short_forms),
    };
    return cmocka_run_group_tests_name("mil_build", tests, NULL, NULL);
}
