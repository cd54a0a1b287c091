/* Programs on the engines `soft` and `cpu`, against the reference kernels. */
#include "engine_case.h"
#include "mil/emit.h"
#include "mil/op.h"

/* fp16 results that sum in fp32 in another order differ by one rounding of the
 * sum: 2^-11 of the largest element, doubled for chains. */
#define HALF_SUM 0x1p-9

static void elements(void **state)
{
    (void)state;
    engine_case c;
    case_begin(&c, "elements");
    an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP16, 2, 3, 5, 33));
    an_value *y = an_build_param(c.b, "y", AN_TENSOR(AN_FP16, 2, 1, 5, 1));
    an_value *s = an_emit_binary(c.b, "add", x, y);
    an_value *g = an_emit_unary(c.b, "sigmoid", s);
    an_value *m = an_emit_binary(c.b, "mul", s, g);
    an_build_result(c.b, an_emit_binary(c.b, "sub", m, x));
    an_build_result(c.b, an_emit_unary(c.b, "square", g));
    case_end(&c);
}

/* Does the op need nothing but tensors? */
static bool only_tensors(const an_op *op)
{
    an_param p;
    for (int i = 0; an_op_param(op, i, &p); i++)
        if (p.required && p.kind != 't') return false;
    return op->cls == AN_CLASS_UNARY || op->cls == AN_CLASS_BINARY;
}

/* A parameter of every type that the op takes; NULL: it does not take it. */
static an_value *apply(engine_case *c, const an_op *op, an_shape x, an_shape y)
{
    an_arg args[4] = {{0}};
    char names[3][8];
    an_param p;
    int n = 0;
    for (int i = 0; an_op_param(op, i, &p); i++) {
        if (p.kind != 't') continue;
        an_shape s = n == 0 ? x : y;
        if (strcmp(op->name, "select") == 0 && n == 0) s.dtype = AN_BOOL;
        memcpy(names[n], p.name, p.name_size);
        names[n][p.name_size] = 0;
        args[n].param = names[n];
        args[n].value = an_build_param(c->b, names[n], s);
        n++;
    }
    return an_build(c->b, op->name, "result", args);
}

/* Every element-wise op on its own, large enough for a table and not; fp16
 * agrees bit for bit, fp32 within 2 ulp of the largest element. */
static void every_scalar_function(void **state)
{
    (void)state;
    static const an_dtype types[] = {AN_FP16, AN_FP32, AN_FP64, AN_INT32,
                                     AN_BOOL};
    for (int i = 0; i < AN_OP_COUNT; i++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            for (int size = 0; size < 2; size++) {
                if (!only_tensors(an_ops[i])) continue;
                engine_case c;
                case_begin(&c, an_ops[i]->name);
                an_shape x = AN_TENSOR(types[t], 3, size ? 40 : 1, 1, 37);
                an_shape y = AN_TENSOR(types[t], 3, 1, 1, size ? 37 : 1);
                an_value *v = apply(&c, an_ops[i], x, y);
                if (!v) {
                    an_build_end(c.b, NULL);
                    an_module_free(c.module);
                    continue;
                }
                an_build_result(c.b, v);
                if (types[t] == AN_FP32) c.tolerance = 0x1p-22;
                case_end(&c);
            }
}

/* Bounds that are no fp16 values, a constant operand, casts between floats,
 * integers and bools, a scalar result. */
static void constants_and_casts(void **state)
{
    (void)state;
    engine_case c;
    case_begin(&c, "constants and casts");
    an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP16, 70, 70));
    an_value *q = an_build(
        c.b, "clip", NULL,
        AN_ARGS({"x", x}, {"alpha", an_build_float(c.b, AN_FP16, -0.7)},
                {"beta", an_build_float(c.b, AN_FP16, 0.7)}));
    an_value *one = an_build_float(c.b, AN_FP16, 1);
    an_value *r = an_emit_binary(c.b, "sub", one, q);
    an_value *e = an_build_float(c.b, AN_FP16, -0.5);
    an_build_result(c.b, an_emit_binary(c.b, "pow", r, e));
    an_value *i = an_emit_cast(c.b, an_emit_scale(c.b, x, 9), AN_INT32);
    an_build_result(c.b, i);
    an_value *nine = an_build_int(c.b, 9);
    an_value *big = an_emit_binary(c.b, "greater", i, nine);
    an_build_result(c.b, an_emit_cast(c.b, big, AN_FP32));
    an_build_result(c.b, an_emit_cast(c.b, i, AN_BOOL));
    case_end(&c);
}

/* Results that are parameters, listed twice, read inside, views of inputs. */
static void results_of_every_kind(void **state)
{
    (void)state;
    engine_case c;
    case_begin(&c, "results");
    an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP16, 1, 6, 2, 20));
    an_value *y = an_emit_unary(c.b, "square", x);
    an_value *z = an_emit_binary(c.b, "add", y, x);
    an_value *t = an_emit_transpose(c.b, x, (int[]){0, 3, 1, 2});
    an_value *f = an_emit_reshape(c.b, t, 2, (int64_t[]){20, 12});
    an_build_result(c.b, x);
    an_build_result(c.b, y);
    an_build_result(c.b, z);
    an_build_result(c.b, t);
    an_build_result(c.b, f);
    an_value *g = an_emit_reshape(c.b, y, 3, (int64_t[]){4, 3, 20});
    an_build_result(c.b, an_emit_transpose(c.b, g, (int[]){2, 0, 1}));
    case_end(&c);
}

/* Heads out of channels and back, slices joined again, a part twice. */
static void views_of_views(void **state)
{
    (void)state;
    engine_case c;
    case_begin(&c, "views");
    an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP16, 1, 24, 1, 21));
    an_value *h = an_emit_reshape(c.b, x, 4, (int64_t[]){3, 8, 3, 7});
    h = an_emit_transpose(c.b, h, (int[]){2, 0, 1, 3});
    an_value *s = an_emit_unary(c.b, "square", h);
    an_value *a =
        an_emit_slice(c.b, s, (int64_t[]){0, 0, 4, 0}, (int64_t[]){3, 3, 4, 7});
    an_value *b =
        an_emit_slice(c.b, s, (int64_t[]){0, 0, 0, 0}, (int64_t[]){3, 3, 4, 7});
    an_value *n = an_emit_scale(c.b, a, -1);
    an_value *parts[] = {n, b, n, h};
    an_value *j = an_emit_concat(c.b, 4, parts, 2);
    j = an_emit_transpose(c.b, j, (int[]){1, 2, 0, 3});
    an_build_result(c.b, an_emit_reshape(c.b, j, 4, (int64_t[]){1, 60, 1, 21}));
    an_build_result(c.b, n);
    case_end(&c);
}

static void products(void **state)
{
    (void)state;
    engine_case c;
    case_begin(&c, "products");
    c.tolerance = HALF_SUM;
    an_value *w = an_build_param(c.b, "w", AN_TENSOR(AN_FP16, 1, 1, 40, 24));
    an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP16, 1, 24, 1, 50));
    an_value *flat = an_emit_reshape(c.b, x, 4, (int64_t[]){1, 1, 24, 50});
    an_value *y = an_emit_matmul(c.b, w, flat, false, false);
    an_build_result(c.b, y);
    an_build_result(c.b, an_emit_matmul(c.b, y, flat, false, true));
    case_end(&c);
}

static void one_surface_is_no_two_ports(void **state)
{
    (void)state;
    an_error err = {0};
    engine_case c;
    case_begin(&c, "alone");
    an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP16, 1, 1, 1, 32));
    an_build_result(c.b, an_build(c.b, "square", "y", AN_ARGS({"x", x})));
    assert_int_equal(an_build_end(c.b, NULL), AN_OK);
    char *text;
    size_t size;
    assert_int_equal(an_mil_print(c.module, &text, &size, NULL), AN_OK);
    an_engine *e;
    an_program *p;
    an_request *r;
    an_surface *s, *small;
    assert_int_equal(
        an_engine_open(&(an_engine_options){.name = "soft"}, &e, NULL), AN_OK);
    assert_int_equal(an_engine_compile(
                         e, &(an_source){.text = text, .size = size}, &p, NULL),
                     AN_OK);
    assert_int_equal(an_request_new(p, &r, NULL), AN_OK);
    assert_int_equal(an_surface_new(e, 64, &s, NULL), AN_OK);
    assert_int_equal(an_surface_new(e, 63, &small, NULL), AN_OK);
    assert_int_equal(an_request_submit(r, NULL), AN_EINVAL);
    assert_int_equal(an_request_bind(r, AN_INPUT, "x", small, NULL), AN_EINVAL);
    assert_int_equal(an_request_bind(r, AN_INPUT, "y", s, NULL), AN_EINVAL);
    assert_int_equal(an_request_bind(r, AN_INPUT, "x", s, NULL), AN_OK);
    assert_int_equal(an_request_bind(r, AN_OUTPUT, "y", s, NULL), AN_OK);
    assert_int_equal(an_request_submit(r, &err), AN_EINVAL);
    assert_string_equal(err.text,
                        "output \"y\" and input \"x\" have one surface");
    an_request_free(r);
    an_surface_free(s);
    an_surface_free(small);
    an_program_free(p);
    an_engine_close(e);
    an_text_free(text);
    an_module_free(c.module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements),
        cmocka_unit_test(every_scalar_function),
        cmocka_unit_test(constants_and_casts),
        cmocka_unit_test(results_of_every_kind),
        cmocka_unit_test(views_of_views),
        cmocka_unit_test(products),
        cmocka_unit_test(one_surface_is_no_two_ports),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
