/* Programs on the engines `soft` and `cpu`, against the reference kernels. */
#include "engine_case.h"
#include "mil/emit.h"

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
        cmocka_unit_test(products),
        cmocka_unit_test(one_surface_is_no_two_ports),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
