/* The apple engine inside this process, on the replica: what it leaves behind
 * after many evaluations, beyond the limits, and when memory runs out.
 *
 *     engine evaluations | live | compiles | refusals | memory
 *
 * The first and `compiles` want ANEMONE_REPLICA=report=exit, `live` and
 * `memory` report=exit,compiles=0: engine.sh. */
#include "alloc_fail.h"
#include "anemone/engine.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    N = 512,             /* elements of x, w and y */
    HEADER = 128,        /* of the weight file, before the elements */
    EVALUATIONS = 1000,  /* as the issue of the proof wants */
    PROGRAMS = 4,        /* that share them */
    ONE = 0x3c00,        /* fp16 */
    TWO = 0x4000,        /* fp16 */
    THREE = 0x4200,      /* fp16 */
    MANY_PROGRAMS = 200, /* more than a chip compiles or holds */
};

#define TENSOR "tensor<fp16, [1, 8, 1, 64]>"
static const char text[] =
    "program(1.3)\n"
    "[buildInfo = dict<string, string>({{\"coremlc-version\", "
    "\"3510.2.1\"}})]\n"
    "{\n"
    "    func main<ios18>(" TENSOR " x) {\n"
    "        " TENSOR " w = const()[name = string(\"w\"), val = " TENSOR
    "(BLOBFILE(path = string(\"@model_path/weights/weight.bin\"), offset = "
    "uint64(64)))];\n"
    "        " TENSOR " y = mul(x = x, y = w)[name = string(\"y\")];\n"
    "    } -> (y);\n"
    "}\n";

/* ---- the replica ---- */

/* Objects alive; 0 before the first engine has opened the library. */
static long objects(char *list, size_t size)
{
    void *at = dlsym(RTLD_DEFAULT, "an_replica_objects");
    long (*count)(char *, size_t) = NULL;
    *list = '\0';
    memcpy(&count, &at, sizeof at);
    return count ? count(list, size) : 0;
}

/* ---- a program, and what it needs ---- */

typedef struct bench {
    an_engine *engine;
    an_program *programs[PROGRAMS];
    an_request *requests[PROGRAMS];
    an_surface *x, *y;
} bench;

/* A weight file of one entry, all of whose elements are `value`. */
static an_blob weights(uint16_t value)
{
    static unsigned char file[HEADER + 2 * N];
    uint64_t size = 2 * N, at = HEADER;
    memset(file, 0, sizeof file);
    file[0] = 1;
    file[4] = 2;
    memcpy(file + 64, "\357\276\255\336\001", 5);
    memcpy(file + 72, &size, sizeof size);
    memcpy(file + 80, &at, sizeof at);
    for (int i = 0; i < N; i++)
        memcpy(file + HEADER + 2 * i, &value, sizeof value);
    return (an_blob){"@model_path/weights/weight.bin", file, sizeof file};
}

/* The n-th text is the program's with a comment behind. */
static an_status compile(an_engine *e, int n, uint16_t weight, an_program **out,
                         an_error *err)
{
    char own[sizeof text + 32];
    an_blob blob = weights(weight);
    int size = snprintf(own, sizeof own, "%s// %d\n", text, n);
    an_source source = {.text = own,
                        .size = (size_t)size,
                        .name = "p",
                        .blobs = &blob,
                        .n_blobs = 1};
    return an_engine_compile(e, &source, out, err);
}

static an_status make_surfaces(bench *b, const an_program *p, an_error *err)
{
    const an_port *in = an_program_port(p, AN_INPUT, 0);
    const an_port *out = an_program_port(p, AN_OUTPUT, 0);
    uint16_t x[N];
    for (int i = 0; i < N; i++)
        x[i] = ONE;
    an_status s = an_surface_new(b->engine, in->size_bytes, &b->x, err);
    if (s == AN_OK) s = an_surface_new(b->engine, out->size_bytes, &b->y, err);
    return s == AN_OK ? an_surface_put(b->x, in, x, err) : s;
}

static an_status make_request(bench *b, int i, an_error *err)
{
    an_request **r = &b->requests[i];
    an_status s = an_request_new(b->programs[i], r, err);
    if (s == AN_OK) s = an_request_bind(*r, AN_INPUT, "x", b->x, err);
    return s == AN_OK ? an_request_bind(*r, AN_OUTPUT, "y", b->y, err) : s;
}

static an_status open_bench(bench *b, const char *engine, int n, an_error *err)
{
    an_engine_options o = {.name = engine, .threads = 1};
    *b = (bench){0};
    an_status s = an_engine_open(&o, &b->engine, err);
    for (int i = 0; i < n && s == AN_OK; i++) {
        s = compile(b->engine, i, TWO, &b->programs[i], err);
        if (s == AN_OK && i == 0) s = make_surfaces(b, b->programs[0], err);
        if (s == AN_OK) s = make_request(b, i, err);
    }
    return s;
}

static void close_bench(bench *b)
{
    for (int i = 0; i < PROGRAMS; i++)
        an_request_free(b->requests[i]);
    an_surface_free(b->x);
    an_surface_free(b->y);
    for (int i = 0; i < PROGRAMS; i++)
        an_program_free(b->programs[i]);
    an_engine_close(b->engine);
}

/* Runs program i; its y is 1 times the weight. */
static an_status run(bench *b, int i, uint16_t weight, an_error *err)
{
    uint16_t y[N];
    const an_port *out = an_program_port(b->programs[i], AN_OUTPUT, 0);
    an_status s = an_request_run(b->requests[i], err);
    if (s == AN_OK) s = an_surface_take(b->y, out, y, err);
    for (int k = 0; k < N && s == AN_OK; k++)
        if (y[k] != weight)
            return an_fail(err, AN_EENGINE, "y[%d] is %04x, expected %04x", k,
                           y[k], weight);
    return s;
}

/* ---- cases ---- */

static void check(an_status s, const an_error *err)
{
    if (s != AN_OK) fail_msg("%s: %s", an_status_name(s), err->text);
}

/* What one engine leaves; `floor` are the objects that the first one left. */
static void expect_floor(const char *floor, const char *when)
{
    char list[2048];
    objects(list, sizeof list);
    if (strcmp(list, floor) != 0)
        fail_msg("%s: objects alive are %s, before: %s", when, list, floor);
}

static void warm(char *floor, size_t size)
{
    bench b;
    an_error err = {0};
    check(open_bench(&b, "apple", 1, &err), &err);
    check(run(&b, 0, TWO, &err), &err);
    close_bench(&b);
    if (objects(floor, size) == 0) fail_msg("the replica counts no objects");
}

static void evaluate_often(const char *engine)
{
    char floor[2048], list[2048];
    bench b;
    an_error err = {0};
    warm(floor, sizeof floor);
    long blocks = alloc_live();
    check(open_bench(&b, engine, PROGRAMS, &err), &err);
    for (int i = 0; i < PROGRAMS; i++)
        check(run(&b, i, TWO, &err), &err);
    long first = objects(list, sizeof list), requests = alloc_requests();
    for (int i = 0; i < EVALUATIONS; i++)
        check(run(&b, i % PROGRAMS, TWO, &err), &err);
    assert_int_equal(alloc_requests(), requests);
    if (objects(list, sizeof list) != first)
        fail_msg("%ld objects before %d evaluations, now %s", first,
                 EVALUATIONS, list);
    close_bench(&b);
    assert_int_equal(alloc_live(), blocks);
    expect_floor(floor, engine);
    printf("# figure: %s: %d evaluations of %d programs: %ld objects before "
           "and after\n",
           engine, EVALUATIONS, PROGRAMS, first);
}

static void test_evaluations(void **state)
{
    (void)state;
    evaluate_often("apple");
    evaluate_often("apple,route=client");
}

/* More programs than the framework has places for, by the engine's count or by
 * the framework's refusal. */
static void crowd(const char *engine)
{
    char floor[2048];
    static an_program *programs[MANY_PROGRAMS];
    bench b;
    an_error err = {0};
    warm(floor, sizeof floor);
    check(open_bench(&b, engine, 1, &err), &err);
    for (int i = 0; i < MANY_PROGRAMS; i++)
        check(compile(b.engine, 100 + i, TWO, &programs[i], &err), &err);
    check(run(&b, 0, TWO, &err), &err); /* it had made room */
    for (int i = 0; i < MANY_PROGRAMS; i++)
        an_program_free(programs[i]);
    check(run(&b, 0, TWO, &err), &err);
    close_bench(&b);
    expect_floor(floor, engine);
    printf("# figure: %s: %d programs at a time\n", engine, MANY_PROGRAMS + 1);
}

static void test_live_limit(void **state)
{
    (void)state;
    crowd("apple,compiles=0");
    crowd("apple,compiles=0,live=0");
}

static void test_compile_limit(void **state)
{
    (void)state;
    char floor[2048];
    bench b;
    an_error err = {0};
    int n = 0;
    warm(floor, sizeof floor);
    check(open_bench(&b, "apple,compiles=0,live=0", 1, &err), &err);
    for (; n < MANY_PROGRAMS; n++) {
        an_program *p = NULL;
        if (compile(b.engine, 1000 + n, TWO, &p, &err) != AN_OK) break;
        an_program_free(p);
    }
    assert_int_equal(err.code, AN_EENGINE);
    assert_non_null(strstr(err.text, "err=()"));
    for (int i = 0; i < 10; i++) { /* and on */
        an_program *p = NULL;
        an_error again = {0};
        assert_int_equal(compile(b.engine, 2000 + i, TWO, &p, &again),
                         AN_EENGINE);
    }
    err = (an_error){0};
    check(run(&b, 0, TWO, &err), &err);
    close_bench(&b);
    expect_floor(floor, "compile limit");
    printf("# figure: %d programs compiled, the next was refused\n", n + 2);
}

/* Everything that an engine does, once. */
static an_status everything(void *ctx, an_error *err)
{
    const char *engine = ctx;
    bench b;
    an_blob blob = weights(THREE);
    an_status s = open_bench(&b, engine, 1, err);
    if (s == AN_OK) s = run(&b, 0, TWO, err);
    blob = weights(THREE);
    if (s == AN_OK) s = an_program_reload(b.programs[0], &blob, 1, err);
    if (s == AN_OK) s = run(&b, 0, THREE, err);
    close_bench(&b);
    return s;
}

/* The same, and no object is left. */
static an_status without_rest(void *ctx, an_error *err)
{
    char before[2048], after[2048];
    objects(before, sizeof before);
    an_status s = everything(ctx, err);
    objects(after, sizeof after);
    if (strcmp(before, after) != 0)
        fail_msg("%s (%s): objects before %s, after %s", an_status_name(s),
                 err->text, before, after);
    return s;
}

static void test_memory(void **state)
{
    (void)state;
    static char engines[][32] = {"apple,compiles=0",
                                 "apple,compiles=0,route=client"};
    char floor[2048];
    warm(floor, sizeof floor);
    for (int i = 0; i < 2; i++) {
        long n = alloc_sweep(without_rest, engines[i]);
        assert_true(n > 0);
        printf("# figure: %s: each of %ld requests for memory failed in turn\n",
               engines[i], n);
    }
}

static void expect(an_status s, an_status want, an_error *err, const char *part)
{
    if (s != want || !strstr(err->text, part))
        fail_msg("%s: %s; expected %s: %s", an_status_name(s), err->text,
                 an_status_name(want), part);
    *err = (an_error){0};
}

/* What no setting of the replica's leads to. */
static void test_refusals(void **state)
{
    (void)state;
    static _Alignas(64) unsigned char memory[65536];
    bench b;
    an_error err = {0};
    an_surface *s = NULL;
    an_engine *other = NULL;
    check(open_bench(&b, "apple", 1, &err), &err);
    expect(an_surface_new(b.engine, (size_t)1 << 50, &s, &err), AN_ENOMEM, &err,
           "are needed for all");
    expect(an_surface_new(b.engine, SIZE_MAX / 2, &s, &err), AN_ENOMEM, &err,
           "surface: ");
    check(an_surface_wrap(b.engine, memory, sizeof memory, &s, &err), &err);
    check(an_request_bind(b.requests[0], AN_INPUT, "x", s, &err), &err);
    expect(an_request_run(b.requests[0], &err), AN_EINVAL, &err,
           "\"x\": the surface is not this engine's");
    /* the replica has begun to compute in ieee */
    an_engine_options o = {
        .name = "apple", .threads = 1, .numerics = AN_NUMERICS_HW};
    expect(an_engine_open(&o, &other, &err), AN_EINVAL, &err,
           "the replica does not take numerics=hw");
    check(an_request_bind(b.requests[0], AN_INPUT, "x", b.x, &err), &err);
    check(run(&b, 0, TWO, &err), &err);
    an_surface_free(s);
    close_bench(&b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        {"evaluations", test_evaluations, NULL, NULL, NULL},
        {"live", test_live_limit, NULL, NULL, NULL},
        {"compiles", test_compile_limit, NULL, NULL, NULL},
        {"refusals", test_refusals, NULL, NULL, NULL},
        {"memory", test_memory, NULL, NULL, NULL},
    };
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
