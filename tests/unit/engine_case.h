/*
 * A function built in C, run on an engine and by the reference kernels node by
 * node, and compared. Shared by the tests of the engine.
 */
#ifndef AN_TESTS_ENGINE_CASE_H
#define AN_TESTS_ENGINE_CASE_H

#include "anemone/engine.h"
#include "base/alloc.h"
#include "base/half.h"
#include "base/rng.h"
#include "engine/soft/numerics.h"
#include "mil/ir.h"
#include "ops/eval.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { CASE_PORTS = 16 };

typedef struct engine_case {
    an_module *module;
    an_builder *b;
    const char *name; /* of the case, for failures */
    double tolerance; /* relative to the largest element of a result */
    double low, high; /* of inputs; both 0: -2 to 2 */
    bool patterns;    /* fp16 inputs: one in four is any bit pattern, one in
                         sixteen is special */
} engine_case;

static inline void case_begin(engine_case *c, const char *name)
{
    *c = (engine_case){.name = name};
    assert_int_equal(an_module_new(&c->module, NULL), AN_OK);
    assert_int_equal(an_build_begin(c->module, "main", 18, &c->b, NULL), AN_OK);
}

static inline void case_store(an_dtype dtype, void *out, size_t i, double x)
{
    switch (dtype) {
    case AN_FP16:
        ((uint16_t *)out)[i] = an_half_from_double(x);
        break;
    case AN_FP32:
        ((float *)out)[i] = (float)x;
        break;
    case AN_FP64:
        ((double *)out)[i] = x;
        break;
    case AN_INT32:
        ((int32_t *)out)[i] = (int32_t)x;
        break;
    default:
        ((uint8_t *)out)[i] = x != 0;
    }
}

static inline double case_load(an_dtype dtype, const void *x, size_t i)
{
    switch (dtype) {
    case AN_FP16:
        return an_hw_load(((const uint16_t *)x)[i]);
    case AN_FP32:
        return (double)((const float *)x)[i];
    case AN_FP64:
        return ((const double *)x)[i];
    case AN_INT32:
        return ((const int32_t *)x)[i];
    default:
        return ((const uint8_t *)x)[i];
    }
}

/* fp16 where rules change: 0, denormals, 2^-14, operands of products that are
 * just lost or not (2^-8, 2^-9), 4096 and the next, the last two below 32768,
 * 32768, 65504, infinity, NaN; of either sign. */
static inline uint16_t case_special(an_rng *rng)
{
    static const uint16_t bits[] = {
        0,      1,      0x3ff,  0x400,  0x1c00, 0x1800, 0x6c00, 0x6c01,
        0x77fe, 0x77ff, 0x7800, 0x7bff, 0x7c00, 0x7c01, 0x7e00, 0x7fff};
    uint64_t i = an_rng_below(rng, 2 * sizeof bits / sizeof *bits);
    return (uint16_t)(bits[i / 2] | (i % 2 ? 0x8000 : 0));
}

/* Values of one tensor, rounded to its type, in both forms. */
typedef struct case_tensor {
    an_shape shape;
    size_t n;
    void *bytes;
    double *values;
} case_tensor;

static inline void case_fill(const engine_case *c, case_tensor *t,
                             const an_shape *shape, uint64_t stream)
{
    an_rng rng = {.seed = 7, .stream = stream};
    double low = c->low, high = c->high;
    if (low == 0 && high == 0) low = -2, high = 2;
    t->shape = *shape;
    t->n = (size_t)an_shape_count(shape);
    t->bytes = an_alloc(t->n * 8 + 8);
    t->values = an_alloc(t->n * 8 + 8);
    for (size_t i = 0; i < t->n; i++) {
        double x = low + (high - low) * an_rng_uniform(&rng);
        if (shape->dtype == AN_BOOL) x = an_rng_uniform(&rng) < 0.5;
        case_store(shape->dtype, t->bytes, i, x);
        uint64_t any = an_rng_below(&rng, 4 << 16);
        if (c->patterns && shape->dtype == AN_FP16 && any < 1 << 16)
            ((uint16_t *)t->bytes)[i] = (uint16_t)any;
        else if (c->patterns && shape->dtype == AN_FP16 && any < 5 << 14)
            ((uint16_t *)t->bytes)[i] = case_special(&rng);
        t->values[i] = case_load(shape->dtype, t->bytes, i);
    }
}

static inline void case_release(case_tensor *t)
{
    an_free(t->bytes);
    an_free(t->values);
}

static inline void case_check(an_status s, const an_error *err,
                              const engine_case *c)
{
    if (s != AN_OK) fail_msg("%s: %s", c->name, err->text);
}

/* The engine with a chip's numbers and without its rules: cases are about
 * values, of shapes that no chip takes. */
static inline const char *case_engine(const char *engine, char *name,
                                      size_t size)
{
    const char *chip = strcmp(engine, "soft") == 0 ? ":m4" : "";
    const char *off = strncmp(engine, "soft", 4) == 0 ? ",rules=off" : "";
    snprintf(name, size, "%s%s%s", engine, chip, off);
    return name;
}

/* Runs the text once; outputs receive dense bytes of the ports. */
static inline void case_run_text(const engine_case *c, const char *text,
                                 size_t size, const an_engine_options *options,
                                 const case_tensor *in, case_tensor *out)
{
    an_error err = {0};
    an_engine *e = NULL;
    an_program *p = NULL;
    an_request *r = NULL;
    an_surface *surfaces[2][CASE_PORTS] = {{NULL}};
    char name[48];
    an_engine_options o = *options;
    o.name = case_engine(options->name, name, sizeof name);
    case_check(an_engine_open(&o, &e, &err), &err, c);
    an_source source = {.text = text, .size = size, .name = c->name};
    case_check(an_engine_compile(e, &source, &p, &err), &err, c);
    case_check(an_request_new(p, &r, &err), &err, c);
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < an_program_n_ports(p, (an_port_side)side); i++) {
            const an_port *port = an_program_port(p, (an_port_side)side, i);
            an_surface **s = &surfaces[side][i];
            case_check(an_surface_new(e, port->size_bytes, s, &err), &err, c);
            if (side == AN_INPUT)
                case_check(an_surface_put(*s, port, in[i].bytes, &err), &err,
                           c);
            case_check(
                an_request_bind(r, (an_port_side)side, port->name, *s, &err),
                &err, c);
        }
    case_check(an_request_run(r, &err), &err, c);
    case_check(an_request_run(r, &err), &err, c); /* warm: the same again */
    for (int i = 0; i < an_program_n_ports(p, AN_OUTPUT); i++) {
        const an_port *port = an_program_port(p, AN_OUTPUT, i);
        out[i].shape = port->shape;
        out[i].n = (size_t)an_shape_count(&port->shape);
        out[i].bytes = an_alloc(out[i].n * 8 + 8);
        case_check(an_surface_take(surfaces[1][i], port, out[i].bytes, &err),
                   &err, c);
    }
    an_request_free(r);
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < CASE_PORTS; i++)
            an_surface_free(surfaces[side][i]);
    an_program_free(p);
    an_engine_close(e);
}

static inline bool case_near(double got, double want, double allowed)
{
    if (isnan(got) || isnan(want)) return isnan(got) && isnan(want);
    return got == want || fabs(got - want) <= allowed;
}

static inline void case_compare(const engine_case *c, const char *how,
                                const char *result, const case_tensor *out,
                                const double *want)
{
    double largest = 0;
    for (size_t i = 0; i < out->n; i++)
        if (isfinite(want[i]) && fabs(want[i]) > largest)
            largest = fabs(want[i]);
    for (size_t i = 0; i < out->n; i++) {
        double got = case_load(out->shape.dtype, out->bytes, i);
        /* fp16 and fp32 ports round what exact numerics computed */
        double rounded = an_half_to_double(an_half_from_double(want[i]));
        if (out->shape.dtype == AN_FP32) rounded = (double)(float)want[i];
        if (out->shape.dtype != AN_FP16 && out->shape.dtype != AN_FP32)
            rounded = want[i];
        if (!case_near(got, rounded, c->tolerance * largest))
            fail_msg("%s, %s: %s[%zu] is %.9g, expected %.9g", c->name, how,
                     result, i, got, rounded);
    }
}

/* Bit for bit, for numerics that define every bit. */
static inline void case_compare_bits(const engine_case *c, const char *how,
                                     const char *result, const case_tensor *out,
                                     const double *want)
{
    size_t size = an_dtype_size(out->shape.dtype);
    for (size_t i = 0; i < out->n; i++) {
        uint64_t came = 0, expected = 0;
        memcpy(&came, (const char *)out->bytes + i * size, size);
        case_store(out->shape.dtype, &expected, 0, want[i]);
        if (out->shape.dtype == AN_FP16) expected = an_hw_store(want[i]);
        if (came != expected)
            fail_msg("%s, %s: %s[%zu] is %.9g (%#llx), expected %.9g (%#llx)",
                     c->name, how, result, i,
                     case_load(out->shape.dtype, out->bytes, i),
                     (unsigned long long)came, want[i],
                     (unsigned long long)expected);
    }
}

/* The numerics of an engine, for the reference kernels. */
static inline an_soft_numerics case_numerics(const char *engine,
                                             an_numerics numerics)
{
    an_soft_numerics n;
    const char *chip = strncmp(engine, "soft:", 5) == 0 ? engine + 5 : "m4";
    assert_int_equal(an_soft_numerics_of(numerics, chip, &n, NULL), AN_OK);
    return n;
}

/* Ends the function, runs it on `engine` in one numerics and compares. */
static inline void case_compare_with(const engine_case *c, const char *engine,
                                     an_numerics numerics, int threads)
{
    an_error err = {0};
    char *text = NULL, how[64];
    size_t size = 0;
    an_function *f = c->module->functions[0];
    case_tensor in[CASE_PORTS] = {{.n = 0}}, out[CASE_PORTS] = {{.n = 0}};
    const double *inputs[CASE_PORTS] = {NULL};
    double *want[CASE_PORTS] = {NULL};
    snprintf(how, sizeof how, "%s %s %d threads", engine,
             an_numerics_name(numerics), threads);
    for (int i = 0; i < f->n_params; i++) {
        case_fill(c, &in[i], &f->params[i]->type->shape, (uint64_t)i);
        inputs[i] = in[i].values;
    }
    case_check(an_mil_print(c->module, &text, &size, &err), &err, c);
    an_soft_numerics n = case_numerics(engine, numerics);
    case_check(an_soft_rewrite(&n, f, &err), &err, c);
    case_check(an_eval_function(f, &n.num, inputs, want, &err), &err, c);
    an_engine_options o = {
        .name = engine, .numerics = numerics, .threads = threads};
    case_run_text(c, text, size, &o, in, out);
    for (int i = 0; i < f->n_results; i++) {
        if (numerics == AN_NUMERICS_HW)
            case_compare_bits(c, how, f->results[i]->name, &out[i], want[i]);
        else
            case_compare(c, how, f->results[i]->name, &out[i], want[i]);
        an_free(want[i]);
        case_release(&out[i]);
    }
    for (int i = 0; i < f->n_params; i++)
        case_release(&in[i]);
    an_text_free(text);
}

/* Every engine and numerics; the tolerance is for ieee, exact gets 1e-12. */
static inline void case_end(engine_case *c)
{
    an_error err = {0};
    case_check(an_build_end(c->b, &err), &err, c);
    case_compare_with(c, "cpu", AN_NUMERICS_IEEE, 2);
    case_compare_with(c, "soft", AN_NUMERICS_IEEE, 1);
    c->tolerance = 1e-12;
    case_compare_with(c, "cpu", AN_NUMERICS_EXACT, 2);
    case_compare_with(c, "soft", AN_NUMERICS_EXACT, 3);
    static const char *const chips[] = {"soft", "soft:m1", "soft:m5"};
    for (int i = 0; i < 6; i++) {
        c->patterns = i >= 3;
        case_compare_with(c, chips[i % 3], AN_NUMERICS_HW, 2);
    }
    an_module_free(c->module);
}

#endif
