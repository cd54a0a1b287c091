/*
 * Evaluations: the same bits for every number of threads, nothing allocated
 * when warm, failures that reach who waits, weight files, random programs,
 * running out of memory.
 */
#include "alloc_fail.h"
#include "engine_case.h"
#include "mil/blob.h"
#include "mil/emit.h"

/* ---- one layer of a transformer, large enough for several tiles ---- */

enum { D = 192, H = 6, B = 2, S = 96, N = B * S, F = 320 };

static an_value *norm(engine_case *c, an_value *x)
{
    an_value *a = an_emit_unary(c->b, "abs", x);
    an_value *s =
        an_emit_reduce(c->b, "reduce_max", a, 1, (int64_t[]){1}, true);
    an_value *u = an_emit_binary(c->b, "real_div", x, s);
    an_value *m =
        an_emit_sum(c->b, an_emit_binary(c->b, "mul", u, u), 1, (int64_t[]){1});
    m = an_emit_add_scalar(c->b, an_emit_scale(c->b, m, 1.0 / D), 1e-3);
    an_value *r =
        an_emit_binary(c->b, "pow", m, an_build_float(c->b, AN_FP16, -0.5));
    return an_emit_binary(c->b, "mul", u, r);
}

static an_value *linear(engine_case *c, const char *name, an_value *x,
                        int64_t out)
{
    int64_t in = an_value_shape(x)->dims[1];
    an_value *w = an_build_param(c->b, name, AN_TENSOR(AN_FP16, 1, 1, out, in));
    x = an_emit_reshape(c->b, x, 4, (int64_t[]){1, 1, in, N});
    an_value *y = an_emit_matmul(c->b, w, x, false, false);
    return an_emit_reshape(c->b, y, 4, (int64_t[]){1, out, 1, N});
}

static an_value *heads(engine_case *c, an_value *qkv, int i)
{
    an_value *h = an_emit_slice(c->b, qkv, (int64_t[]){0, i * D, 0, 0},
                                (int64_t[]){1, D, 1, N});
    h = an_emit_reshape(c->b, h, 4, (int64_t[]){H, D / H, B, S});
    return an_emit_transpose(c->b, h, (int[]){2, 0, 1, 3});
}

static void build_layer(engine_case *c)
{
    case_begin(c, "layer");
    an_value *x = an_build_param(c->b, "x", AN_TENSOR(AN_FP16, 1, D, 1, N));
    an_value *qkv = linear(c, "w_qkv", norm(c, x), 3 * D);
    an_value *p =
        an_emit_matmul(c->b, heads(c, qkv, 0), heads(c, qkv, 1), true, false);
    p = an_build(c->b, "softmax", NULL,
                 AN_ARGS({"x", an_emit_scale(c->b, p, 0.1)}));
    an_value *o = an_emit_matmul(c->b, heads(c, qkv, 2), p, false, true);
    o = an_emit_transpose(c->b, o, (int[]){1, 2, 0, 3});
    o = an_emit_reshape(c->b, o, 4, (int64_t[]){1, D, 1, N});
    x = an_emit_binary(c->b, "add", x, linear(c, "w_o", o, D));
    an_value *g = linear(c, "w_gate", norm(c, x), F);
    g = an_emit_binary(c->b, "mul", g, an_emit_unary(c->b, "sigmoid", g));
    an_build_result(c->b, g);
    an_build_result(c->b,
                    an_emit_binary(c->b, "add", x, linear(c, "w_down", g, D)));
    c->low = -0.5, c->high = 0.5;
    an_error err = {0};
    case_check(an_build_end(c->b, &err), &err, c);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 7};
    for (int numerics = 0; numerics < AN_NUMERICS_COUNT; numerics++) {
        engine_case c;
        an_error err = {0};
        char *text;
        size_t size;
        build_layer(&c);
        case_check(an_mil_print(c.module, &text, &size, &err), &err, &c);
        const an_function *f = c.module->functions[0];
        case_tensor in[CASE_PORTS], out[4][CASE_PORTS];
        for (int i = 0; i < f->n_params; i++)
            case_fill(&c, &in[i], &f->params[i]->type->shape, (uint64_t)i);
        for (int k = 0; k < 4; k++) {
            an_engine_options o = {.name = "soft,rules=off",
                                   .numerics = (an_numerics)numerics,
                                   .threads = threads[k]};
            case_run_text(&c, text, size, &o, in, out[k]);
            for (int i = 0; i < f->n_results; i++)
                assert_memory_equal(out[k][i].bytes, out[0][i].bytes,
                                    out[0][i].n *
                                        an_dtype_size(out[0][i].shape.dtype));
        }
        for (int k = 0; k < 4; k++)
            for (int i = 0; i < f->n_results; i++)
                an_free(out[k][i].bytes);
        for (int i = 0; i < f->n_params; i++)
            case_release(&in[i]);
        an_text_free(text);
        an_module_free(c.module);
    }
}

/* The layer is right as well: about ten roundings to fp16 in a row. */
static void layer_is_right(void **state)
{
    (void)state;
    engine_case c;
    build_layer(&c);
    c.tolerance = 10 * 0x1p-11;
    case_compare_with(&c, "soft", AN_NUMERICS_IEEE, 2);
    c.tolerance = 1e-11;
    case_compare_with(&c, "cpu", AN_NUMERICS_EXACT, 2);
    case_compare_with(&c, "soft", AN_NUMERICS_HW, 2);
    an_module_free(c.module);
}

/* ---- a small program with everything that can fail or wait ---- */

typedef struct session {
    an_engine *engine;
    an_program *program;
    an_request *request;
    an_surface *x, *y, *z;
} session;

static const char small_text[] =
    "program(1.3)\n[buildInfo = dict<string, string>({{\"coremlc-version\", "
    "\"3600.25.1\"}})]\n{\n"
    "    func main<ios18>(tensor<fp16, [4]> x) {\n"
    "        tensor<fp16, [4]> y = layer_norm(x = x)[name = string(\"y\")];\n"
    "        tensor<fp16, [4]> z = square(x = y)[name = string(\"z\")];\n"
    "    } -> (y, z);\n}\n";

static void close_session(session *s)
{
    an_request_free(s->request);
    an_surface_free(s->x);
    an_surface_free(s->y);
    an_surface_free(s->z);
    an_program_free(s->program);
    an_engine_close(s->engine);
}

static an_status open_session(session *s, an_error *err)
{
    *s = (session){.engine = NULL};
    an_engine_options o = {.name = "soft,rules=off", .threads = 2};
    an_source source = {.text = small_text, .size = sizeof small_text - 1};
    an_status st = an_engine_open(&o, &s->engine, err);
    if (st == AN_OK)
        st = an_engine_compile(s->engine, &source, &s->program, err);
    if (st == AN_OK) st = an_request_new(s->program, &s->request, err);
    if (st == AN_OK) st = an_surface_new(s->engine, 64, &s->x, err);
    if (st == AN_OK) st = an_surface_new(s->engine, 64, &s->y, err);
    if (st == AN_OK) st = an_surface_new(s->engine, 64, &s->z, err);
    if (st == AN_OK) st = an_request_bind(s->request, AN_INPUT, "x", s->x, err);
    if (st == AN_OK)
        st = an_request_bind(s->request, AN_OUTPUT, "y", s->y, err);
    if (st == AN_OK)
        st = an_request_bind(s->request, AN_OUTPUT, "z", s->z, err);
    return st;
}

static an_status whole_session(void *ctx, an_error *err)
{
    (void)ctx;
    session s;
    an_status st = open_session(&s, err);
    if (st == AN_OK) st = an_request_profile(s.request, err);
    if (st == AN_OK) st = an_request_run(s.request, err);
    close_session(&s);
    return st;
}

static void running_out_of_memory(void **state)
{
    (void)state;
    assert_true(alloc_sweep(whole_session, NULL) > 20);
}

/* A kernel that gets no scratch fails the evaluation, and with it who reads
 * the outputs; program and surfaces work again afterwards. */
static void failures_reach_their_readers(void **state)
{
    (void)state;
    session s;
    an_error err = {0};
    void *data;
    assert_int_equal(open_session(&s, &err), AN_OK);
    alloc_fail_after(1);
    assert_int_equal(an_request_submit(s.request, &err), AN_OK);
    assert_int_equal(an_request_wait(s.request, &err), AN_ENOMEM);
    alloc_fail_after(0);
    assert_int_equal(an_surface_lock(s.z, AN_LOCK_READ, &data, NULL),
                     AN_ENOMEM);
    assert_int_equal(an_request_run(s.request, NULL), AN_OK);
    assert_int_equal(an_surface_lock(s.z, AN_LOCK_READ, &data, NULL), AN_OK);
    an_surface_unlock(s.z, AN_LOCK_READ);
    close_session(&s);
}

static void warm_evaluations_allocate_nothing(void **state)
{
    (void)state;
    session s;
    assert_int_equal(open_session(&s, NULL), AN_OK);
    assert_int_equal(an_request_run(s.request, NULL), AN_OK);
    long before = alloc_requests();
    for (int k = 0; k < 3; k++)
        assert_int_equal(an_request_run(s.request, NULL), AN_OK);
    assert_int_equal(alloc_requests(), before);
    assert_true(an_request_seconds(s.request) > 0);
    close_session(&s);
}

/* Steps name every op but views, in order, and their times are the whole. */
static void evaluations_are_timed_by_step(void **state)
{
    (void)state;
    session s;
    an_profiled_step step;
    assert_int_equal(open_session(&s, NULL), AN_OK);
    assert_false(an_request_step(s.request, 0, &step));
    assert_int_equal(an_request_profile(s.request, NULL), AN_OK);
    assert_true(an_request_step(s.request, 0, &step));
    assert_true(step.seconds == 0);
    assert_int_equal(an_request_run(s.request, NULL), AN_OK);
    long before = alloc_requests();
    assert_int_equal(an_request_run(s.request, NULL), AN_OK);
    assert_int_equal(alloc_requests(), before);
    double sum = 0, flops = 0;
    char ops[256] = "";
    for (int i = 0; an_request_step(s.request, i, &step); i++) {
        assert_true(step.seconds > 0);
        sum += step.seconds;
        flops += step.flops;
        for (int k = 0; k < step.n_ops; k++)
            snprintf(ops + strlen(ops), sizeof ops - strlen(ops), "%s %s, ",
                     step.ops[k].op, step.ops[k].result);
    }
    assert_string_equal(ops, "layer_norm y, square z, ");
    assert_true(sum <= an_request_seconds(s.request));
    assert_true(flops == an_program_flops(s.program));
    close_session(&s);
}

/* Two programs over the same surfaces, submitted many times without waiting:
 * x += 1 through a second surface, in order. */
static void submissions_keep_their_order(void **state)
{
    (void)state;
    an_error err = {0};
    engine_case c;
    case_begin(&c, "order");
    an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP32, 1, 64));
    an_build_result(c.b, an_emit_add_scalar(c.b, x, 1));
    case_check(an_build_end(c.b, &err), &err, &c);
    char *text;
    size_t size;
    case_check(an_mil_print(c.module, &text, &size, &err), &err, &c);
    an_engine *e;
    an_surface *s[2];
    case_check(an_engine_open(&(an_engine_options){.name = "cpu", .threads = 3},
                              &e, &err),
               &err, &c);
    an_program *p[2];
    an_request *r[2];
    for (int i = 0; i < 2; i++) {
        case_check(an_surface_new(e, 256, &s[i], &err), &err, &c);
        case_check(an_engine_compile(e,
                                     &(an_source){.text = text, .size = size},
                                     &p[i], &err),
                   &err, &c);
        case_check(an_request_new(p[i], &r[i], &err), &err, &c);
    }
    const char *out = an_program_port(p[0], AN_OUTPUT, 0)->name;
    for (int i = 0; i < 2; i++) {
        case_check(an_request_bind(r[i], AN_INPUT, "x", s[i], &err), &err, &c);
        case_check(an_request_bind(r[i], AN_OUTPUT, out, s[!i], &err), &err,
                   &c);
    }
    for (int k = 0; k < 200; k++)
        case_check(an_request_submit(r[k % 2], &err), &err, &c);
    float *data;
    void *memory;
    case_check(an_surface_lock(s[0], AN_LOCK_READ, &memory, &err), &err, &c);
    data = memory;
    for (int i = 0; i < 64; i++)
        assert_true(data[i] == 200.0f);
    for (int i = 0; i < 2; i++) {
        an_request_free(r[i]);
        an_program_free(p[i]);
    }
    for (int i = 0; i < 2; i++)
        an_surface_free(s[i]);
    an_engine_close(e);
    an_text_free(text);
    an_module_free(c.module);
}

/* ---- weight files ---- */

static an_status compile_with(an_engine *e, const an_source *source,
                              an_error *err)
{
    an_program *p = NULL;
    an_status s = an_engine_compile(e, source, &p, err);
    an_program_free(p);
    return s;
}

static void weight_files(void **state)
{
    (void)state;
    static const char text[] =
        "program(1.3)\n[buildInfo = dict<string, "
        "string>({{\"coremlc-version\", \"3600.25.1\"}})]\n{\n"
        "    func main<ios18>(tensor<fp16, [4]> x) {\n"
        "        tensor<fp16, [4]> w = const()[name = string(\"w\"), val = "
        "tensor<fp16, [4]>(BLOBFILE(path = string(\"@model_path/w.bin\"), "
        "offset = uint64(64)))];\n"
        "        tensor<fp16, [4]> y = mul(x = x, y = w)[name = "
        "string(\"y\")];\n    } -> (y);\n}\n";
    uint16_t w[4] = {0x3c00, 0x4000, 0x4200, 0x4400}, out[4];
    an_blob_writer *writer;
    void *file;
    size_t file_size;
    uint64_t offset;
    an_error err = {0};
    assert_int_equal(an_blob_writer_new(&writer, NULL), AN_OK);
    assert_int_equal(an_blob_writer_add(writer, AN_FP16, 4, w, &offset, NULL),
                     AN_OK);
    assert_int_equal(an_blob_writer_take(writer, &file, &file_size, NULL),
                     AN_OK);
    an_blob blob = {"@model_path/w.bin", file, file_size};
    an_source source = {.text = text, .size = sizeof text - 1, .blobs = &blob};
    an_engine *e;
    an_program *p;
    an_request *r;
    an_surface *x, *y;
    assert_int_equal(
        an_engine_open(&(an_engine_options){.name = "soft,rules=off"}, &e,
                       NULL),
        AN_OK);
    assert_int_equal(compile_with(e, &source, &err), AN_EINVAL);
    assert_non_null(strstr(err.text, "no weight file"));
    source.n_blobs = 1;
    blob.size = 130;
    assert_int_equal(compile_with(e, &source, NULL), AN_EFORMAT);
    blob.size = file_size;
    assert_int_equal(an_engine_compile(e, &source, &p, NULL), AN_OK);
    an_free(file);
    assert_int_equal(an_request_new(p, &r, NULL), AN_OK);
    assert_int_equal(an_surface_new(e, 64, &x, NULL), AN_OK);
    assert_int_equal(an_surface_new(e, 64, &y, NULL), AN_OK);
    assert_int_equal(
        an_surface_put(x, an_program_port(p, AN_INPUT, 0), w, NULL), AN_OK);
    assert_int_equal(an_request_bind(r, AN_INPUT, "x", x, NULL), AN_OK);
    assert_int_equal(an_request_bind(r, AN_OUTPUT, "y", y, NULL), AN_OK);
    assert_int_equal(an_request_run(r, NULL), AN_OK);
    assert_int_equal(
        an_surface_take(y, an_program_port(p, AN_OUTPUT, 0), out, NULL), AN_OK);
    for (int i = 0; i < 4; i++)
        assert_true(an_half_to_float(out[i]) == (float)((i + 1) * (i + 1)));
    an_request_free(r);
    an_surface_free(x);
    an_surface_free(y);
    an_program_free(p);
    an_engine_close(e);
}

/* ---- names ---- */

static void names_of_engines(void **state)
{
    (void)state;
    static const char *const good[][2] = {{"cpu", "cpu"},
                                          {"soft", "soft:m4"},
                                          {"soft:m1", "soft:m1"},
                                          {"auto", "soft:m4"}};
    an_error err = {0};
    an_engine *e;
    an_engine_facts facts;
    for (size_t i = 0; i < 4; i++) {
        an_engine_options o = {.name = good[i][0], .threads = 1};
        assert_int_equal(an_engine_open(&o, &e, NULL), AN_OK);
        an_engine_get_facts(e, &facts);
        assert_string_equal(facts.name, good[i][1]);
        an_engine_close(e);
    }
    static const char *const bad[] = {"soft:cpu", "soft:", "m4", ""};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(
            an_engine_open(&(an_engine_options){.name = bad[i]}, &e, NULL),
            AN_EINVAL);
    an_numerics n;
    assert_int_equal(an_numerics_find("fast", &n, &err), AN_EINVAL);
    assert_string_equal(err.text,
                        "numerics is \"fast\", expected ieee, hw or exact");
}

/* ---- random programs ---- */

/* A value of this shape or one that broadcasts to it, out of those there are.
 */
static an_value *pick(an_rng *rng, an_value **values, int n)
{
    return values[an_rng_below(rng, (uint64_t)n)];
}

static an_value *random_op(an_rng *rng, engine_case *c, an_value *x,
                           an_value *y)
{
    static const char *const unary[] = {"relu", "abs", "tanh", "square"};
    static const char *const binary[] = {"add", "sub", "mul", "maximum"};
    const an_shape *s = an_value_shape(x);
    int64_t begin[4] = {0}, size[4];
    for (int i = 0; i < 4; i++)
        size[i] = s->dims[i];
    switch (an_rng_below(rng, 7)) {
    case 0:
        return an_emit_unary(c->b, unary[an_rng_below(rng, 4)], x);
    case 1:
        return an_emit_transpose(c->b, x, (int[]){0, 2, 1, 3});
    case 2:
        return an_emit_reshape(c->b, x, 4,
                               (int64_t[]){size[0], size[2], size[1], size[3]});
    case 3:
        if (size[1] < 2) return x;
        begin[1] = 1, size[1] -= 1;
        return an_emit_slice(c->b, x, begin, size);
    case 4:
        return an_emit_concat(c->b, 2, (an_value *[]){x, x},
                              (int)an_rng_below(rng, 4));
    case 5:
        return an_emit_reduce(c->b, "reduce_max", x, 1,
                              (int64_t[]){(int64_t)an_rng_below(rng, 4)}, true);
    default:
        for (int i = 0; i < 4; i++) {
            int64_t other = an_value_shape(y)->dims[i];
            if (other != size[i] && other != 1 && size[i] != 1) return x;
        }
        return an_emit_binary(c->b, binary[an_rng_below(rng, 4)], x, y);
    }
}

/* Exact operations only, so fp16 agrees bit for bit. */
static void random_programs(void **state)
{
    (void)state;
    enum { PROGRAMS = 150, OPS = 12 };
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        an_rng rng = {.seed = 99, .stream = seed};
        engine_case c;
        char name[32];
        snprintf(name, sizeof name, "random %d", (int)seed);
        case_begin(&c, name);
        an_value *values[OPS + 2];
        int n = 2;
        values[0] = an_build_param(c.b, "x", AN_TENSOR(AN_FP16, 2, 3, 4, 5));
        values[1] = an_build_param(c.b, "y", AN_TENSOR(AN_FP16, 1, 4, 1, 5));
        while (n < OPS + 2) {
            an_value *v = random_op(&rng, &c, pick(&rng, values, n),
                                    pick(&rng, values, n));
            bool fresh = an_shape_count(an_value_shape(v)) < 5000;
            for (int i = 0; i < n; i++)
                fresh = fresh && values[i] != v;
            if (fresh) values[n++] = v;
        }
        for (int i = 0; i < 3; i++)
            an_build_result(c.b, values[n - 1 - i * 3]);
        an_error err = {0};
        case_check(an_build_end(c.b, &err), &err, &c);
        case_compare_with(&c, "soft", AN_NUMERICS_IEEE, 1);
        case_compare_with(&c, "cpu", AN_NUMERICS_EXACT, 1);
        c.patterns = seed % 2;
        case_compare_with(&c, "soft", AN_NUMERICS_HW, 1);
        an_module_free(c.module);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(layer_is_right),
        cmocka_unit_test(running_out_of_memory),
        cmocka_unit_test(failures_reach_their_readers),
        cmocka_unit_test(warm_evaluations_allocate_nothing),
        cmocka_unit_test(evaluations_are_timed_by_step),
        cmocka_unit_test(submissions_keep_their_order),
        cmocka_unit_test(weight_files),
        cmocka_unit_test(names_of_engines),
        cmocka_unit_test(random_programs),
    };
    return cmocka_run_group_tests_name("engine run", tests, NULL, NULL);
}
