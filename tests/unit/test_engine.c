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

/* W [1, 1, O, C] with x [1, C, 1, N], its backward forms, odd sizes. */
static void streamed_linear(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {
        {40, 24, 50}, {300, 1100, 5}, {7, 5, 600}};
    for (size_t i = 0; i < 3; i++) {
        engine_case c;
        case_begin(&c, "linear");
        c.tolerance = HALF_SUM;
        int64_t m = sizes[i][0], k = sizes[i][1], n = sizes[i][2];
        an_value *w = an_build_param(c.b, "w", AN_TENSOR(AN_FP16, 1, 1, m, k));
        an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP16, 1, k, 1, n));
        an_value *d = an_build_param(c.b, "d", AN_TENSOR(AN_FP16, 1, m, 1, n));
        x = an_emit_reshape(c.b, x, 4, (int64_t[]){1, 1, k, n});
        d = an_emit_reshape(c.b, d, 4, (int64_t[]){1, 1, m, n});
        an_value *y = an_emit_matmul(c.b, w, x, false, false);
        an_build_result(c.b,
                        an_emit_reshape(c.b, y, 4, (int64_t[]){1, m, 1, n}));
        an_build_result(c.b, an_emit_matmul(c.b, w, d, true, false));
        an_build_result(c.b, an_emit_matmul(c.b, d, x, false, true));
        case_end(&c);
    }
}

/* Batched products on head views, results placed back as channels; grouped
 * queries broadcast. */
static void attention(void **state)
{
    (void)state;
    engine_case c;
    case_begin(&c, "attention");
    c.tolerance = HALF_SUM;
    enum { B = 2, H = 3, D = 8, S = 19 };
    an_value *heads[3];
    for (int i = 0; i < 3; i++) {
        char name[2] = {"qkv"[i], 0};
        an_value *x =
            an_build_param(c.b, name, AN_TENSOR(AN_FP16, 1, H * D, 1, B * S));
        x = an_emit_reshape(c.b, x, 4, (int64_t[]){H, D, B, S});
        heads[i] = an_emit_transpose(c.b, x, (int[]){2, 0, 1, 3});
    }
    an_value *p = an_emit_matmul(c.b, heads[0], heads[1], true, false);
    p = an_emit_scale(c.b, p, 0.25);
    an_build_result(c.b, p);
    an_value *o = an_emit_matmul(c.b, heads[2], p, false, true);
    o = an_emit_transpose(c.b, o, (int[]){1, 2, 0, 3});
    an_build_result(
        c.b, an_emit_reshape(c.b, o, 4, (int64_t[]){1, H * D, 1, B * S}));
    an_value *few = an_emit_slice(c.b, heads[1], (int64_t[]){0, 1, 0, 0},
                                  (int64_t[]){B, 1, D, S});
    an_value *g = an_emit_matmul(c.b, few, heads[0], true, false);
    an_build_result(c.b, an_emit_transpose(c.b, g, (int[]){0, 1, 3, 2}));
    case_end(&c);
}

/* Pointwise convolutions with bias and batch, linear, vectors, fp32, fp64. */
static void other_products(void **state)
{
    (void)state;
    static const an_dtype types[] = {AN_FP16, AN_FP32, AN_FP64, AN_INT32};
    for (size_t i = 0; i < 4; i++) {
        engine_case c;
        case_begin(&c, an_dtype_name(types[i]));
        c.tolerance = i == 0 ? HALF_SUM : i == 1 ? 0x1p-18 : 1e-12;
        an_value *x =
            an_build_param(c.b, "x", AN_TENSOR(types[i], 2, 9, 3, 11));
        an_value *v = an_build_param(c.b, "v", AN_TENSOR(types[i], 11));
        an_build_result(c.b, an_emit_matmul(c.b, x, v, false, false));
        an_build_result(c.b, an_emit_matmul(c.b, x, x, true, false));
        an_value *t = an_emit_transpose(c.b, x, (int[]){3, 0, 1, 2});
        an_build_result(c.b, an_emit_matmul(c.b, t, t, false, true));
        if (types[i] != AN_INT32) {
            an_value *w =
                an_build_param(c.b, "w", AN_TENSOR(types[i], 300, 9, 1, 1));
            an_value *bias =
                an_build_param(c.b, "bias", AN_TENSOR(types[i], 300));
            an_build_result(c.b, an_build(c.b, "conv", NULL,
                                          AN_ARGS({"x", x}, {"weight", w},
                                                  {"bias", bias})));
            an_value *m = an_build_param(c.b, "m", AN_TENSOR(types[i], 5, 11));
            an_build_result(c.b, an_build(c.b, "linear", NULL,
                                          AN_ARGS({"x", x}, {"weight", m})));
        }
        case_end(&c);
    }
}

/* Every reduction over the last axis, an inner one, a leading one, two that
 * are no neighbours, all; of dense and of transposed operands. In fp32 at most
 * 14,700 sums round by 2^-24 each, in another order than the reference. */
static void reductions(void **state)
{
    (void)state;
    static const int64_t axes[][2] = {{3, 3}, {1, 1}, {0, 0}, {1, 3}, {0, 2}};
    static const an_dtype types[] = {AN_FP16, AN_FP32, AN_FP64, AN_INT32};
    for (int i = 0; i < AN_OP_COUNT; i++)
        for (int t = 0; t < 4; t++) {
            if (an_ops[i]->cls != AN_CLASS_REDUCTION) continue;
            if (types[t] == AN_INT32 &&
                an_ops[i]->reduce == AN_REDUCE_LOG_SUM_EXP)
                continue;
            engine_case c;
            case_begin(&c, an_ops[i]->name);
            c.tolerance = t == 0 ? HALF_SUM : t == 1 ? 0x1p-10 : 1e-12;
            an_value *x =
                an_build_param(c.b, "x", AN_TENSOR(types[t], 2, 35, 3, 70));
            an_value *y = an_emit_transpose(c.b, x, (int[]){0, 2, 3, 1});
            for (int k = 0; k < 5; k++) {
                int n = axes[k][0] == axes[k][1] ? 1 : 2;
                an_build_result(c.b, an_emit_reduce(c.b, an_ops[i]->name, x, n,
                                                    axes[k], k % 2));
                an_build_result(c.b, an_emit_reduce(c.b, an_ops[i]->name, y, n,
                                                    axes[k], !(k % 2)));
            }
            int64_t all[] = {0, 1, 2, 3};
            an_build_result(
                c.b, an_emit_reduce(c.b, an_ops[i]->name, x, 4, all, false));
            case_end(&c);
        }
}

static void softmax_over_any_axis(void **state)
{
    (void)state;
    static const an_dtype types[] = {AN_FP16, AN_FP32, AN_FP64};
    for (int t = 0; t < 3; t++) {
        engine_case c;
        case_begin(&c, "softmax");
        c.tolerance = t == 0 ? 0x1p-10 : t == 1 ? 0x1p-20 : 1e-12;
        an_value *x =
            an_build_param(c.b, "x", AN_TENSOR(types[t], 2, 5, 7, 70));
        for (int axis = -1; axis < 3; axis++) {
            an_value *a = an_build_int(c.b, axis);
            an_build_result(c.b, an_build(c.b, "softmax", NULL,
                                          AN_ARGS({"x", x}, {"axis", a})));
        }
        case_end(&c);
    }
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
        an_engine_open(&(an_engine_options){.name = "soft,rules=off"}, &e,
                       NULL),
        AN_OK);
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
        cmocka_unit_test(streamed_linear),
        cmocka_unit_test(attention),
        cmocka_unit_test(other_products),
        cmocka_unit_test(reductions),
        cmocka_unit_test(softmax_over_any_axis),
        cmocka_unit_test(one_surface_is_no_two_ports),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
