/*
 * Questions and probes: section "first run" of the sources that names.def and
 * docs list; each probe's comment has its own. All values are whole numbers
 * below 2048, exact in fp16 whatever the engine accumulates in.
 */
#include "engine/apple/selftest.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/half.h"
#include "engine/apple/apple.h"
#include "engine/apple/values.h"
#include "engine/session.h"
#include "mil/blob.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HEAD                                                                   \
    "program(1.3)\n[buildInfo = dict<string, string>({{\"coremlc-version\", "  \
    "\"3510.2.1\"}})]\n{\n    func main<ios18>("
#define T(shape) "tensor<fp16, " shape ">"
#define SMALL "[1, 64, 1, 64]"
#define LARGE "[1, 64, 1, 1024]"
#define NAME(n) "[name = string(\"" n "\")];\n        "
/* Constants are ops of their own, as coremltools prints them. */
#define CONST(type, n, value)                                                  \
    type " " n " = const()[name = string(\"" n "\"), val = " value             \
         "];\n        "
#define HALF(n, value) CONST("fp16", n, "fp16(" value ")")

typedef struct test {
    an_engine *engine;
    an_framework *fw;
    an_findings *out;
    an_error *err;
} test;

/* ---- small steps ---- */

static an_status fail_test(test *t, const char *what)
{
    return an_fail(t->err, AN_EENGINE, "self-test: %s", what);
}

/* Did the framework refuse, as against a machine that failed us? */
static bool is_refusal(const test *t, an_status s)
{
    return (s == AN_EENGINE || s == AN_ERULE || s == AN_EUNSUPPORTED) &&
           !an_worker_is_dead(t->fw->worker);
}

/* Keeps the reason of a refusal, for people. */
static void note(const test *t, const char *about, const an_error *refused)
{
    char *notes = t->out->notes;
    size_t used = strlen(notes), size = sizeof t->out->notes;
    if (refused->code != AN_OK && used + 80 < size)
        snprintf(notes + used, size - used, "%s%s: %.240s", used ? "; " : "",
                 about, refused->text);
}

static an_status open_text(const test *t, const char *text, const an_blob *blob,
                           an_session *out, an_error *err)
{
    an_source source = {.text = text,
                        .size = strlen(text),
                        .name = "self-test",
                        .blobs = blob,
                        .n_blobs = blob != NULL};
    return an_session_open(t->engine, &source, out, err);
}

/* Every element of input i gets the value. */
static an_status fill_input(an_session *s, int i, double value, an_error *err)
{
    const an_port *port = an_program_port(s->program, AN_INPUT, i);
    size_t n = (size_t)an_shape_count(&port->shape);
    uint16_t *dense = an_alloc_array(n + 1, sizeof *dense);
    if (!dense) return an_fail(err, AN_ENOMEM, "self-test: no memory");
    for (size_t k = 0; k < n; k++)
        dense[k] = an_half_from_double(value);
    an_status status = an_session_put(s, i, dense, err);
    an_free(dense);
    return status;
}

/* The one value that all elements of output i have; NAN: they differ. */
static an_status read_output(an_session *s, int i, double *value, an_error *err)
{
    const an_port *port = an_program_port(s->program, AN_OUTPUT, i);
    size_t n = (size_t)an_shape_count(&port->shape);
    void *dense = NULL;
    an_status status = an_session_take(s, i, &dense, err);
    if (status != AN_OK) return status;
    const uint16_t *halves = dense;
    *value = an_half_to_double(halves[0]);
    for (size_t k = 1; k < n; k++)
        if (halves[k] != halves[0]) *value = NAN;
    an_free(dense);
    return AN_OK;
}

/* ---- does it run at all? ---- */

/* Rectified values are exact, and 64 KB of width 64 satisfy every claim about
 * sizes at once. */
static an_status ask_whether_it_runs(test *t)
{
    // clang-format off
    static const char text[] =
        HEAD T("[1, 512, 1, 64]") " x) {\n        "
        T("[1, 512, 1, 64]") " y = relu(x = x)" NAME("y")
        "} -> (y);\n}\n";
    // clang-format on
    an_session s = {0};
    double up = 0, down = 1;
    an_status status = open_text(t, text, NULL, &s, t->err);
    if (status == AN_OK) status = fill_input(&s, 0, 1025, t->err);
    if (status == AN_OK) status = an_request_run(s.request, t->err);
    if (status == AN_OK) status = read_output(&s, 0, &up, t->err);
    if (status == AN_OK) status = fill_input(&s, 0, -3, t->err);
    if (status == AN_OK) status = an_request_run(s.request, t->err);
    if (status == AN_OK) status = read_output(&s, 0, &down, t->err);
    an_session_close(&s);
    if (status != AN_OK) an_fail_context(t->err, "self-test");
    if (status == AN_OK && (up != 1025 || down != 0))
        status = fail_test(t, "relu computes something else");
    return status;
}

/* ---- order of symbols, number of ports ---- */

bool an_selftest_inputs(double element, const int assumed[3], int symbols[3])
{
    if (!(element >= 0 && element < 512) || element != floor(element))
        return false;
    int sum = (int)element, read[3] = {sum % 8, sum / 8 % 8, sum / 64};
    bool seen[4] = {false};
    for (int i = 0; i < 3; i++) {
        if (read[i] < 1 || read[i] > 3 || seen[read[i]]) return false;
        seen[read[i]] = true;
    }
    for (int i = 0; i < 3; i++)
        symbols[i] = assumed[read[i] - 1];
    return true;
}

an_found_order an_selftest_order(const int *symbols, int n)
{
    static const int by_name[][3] = {{1, 0}, {2, 0, 1}}; /* y b; z a m */
    bool named = true, declared = true;
    for (int i = 0; i < n; i++) {
        named = named && symbols[i] == by_name[n - 2][i];
        declared = declared && symbols[i] == i;
    }
    return named      ? AN_ORDER_BY_NAME
           : declared ? AN_ORDER_DECLARED
                      : AN_ORDER_OTHER;
}

static const an_symbol *symbols_of(const an_session *s, an_port_side side)
{
    return ((const an_apple_program *)s->program)->loaded->symbols[side];
}

/* Compares what was computed with what was assumed. */
static an_status judge_order(test *t, const an_session *s, double first,
                             double second)
{
    const an_symbol *in = symbols_of(s, AN_INPUT);
    const an_symbol *out = symbols_of(s, AN_OUTPUT);
    const int assumed[3] = {in[0].index, in[1].index, in[2].index};
    int inputs[3], outputs[2] = {out[0].index, out[1].index};
    bool swapped = first >= 1024;
    double y = swapped ? second : first, b = swapped ? first : second;
    if (b != y + 1024 || !an_selftest_inputs(y, assumed, inputs))
        return fail_test(t, "a sum of three inputs is none of any order");
    if (swapped) {
        outputs[0] = out[1].index;
        outputs[1] = out[0].index;
    }
    t->out->inputs = an_selftest_order(inputs, 3);
    t->out->outputs = an_selftest_order(outputs, 2);
    bool right = !swapped && memcmp(inputs, assumed, sizeof inputs) == 0;
    bool told = in[0].told && out[0].told;
    t->out->table = !told   ? AN_TABLE_SILENT
                    : right ? AN_TABLE_RIGHT
                            : AN_TABLE_WRONG;
    return AN_OK;
}

/* A text of three inputs and two outputs, in the order that is said. */
// clang-format off
#define SUM(x, y_, z_, first, second)                                          \
    HEAD T(SMALL) " " x ", " T(SMALL) " " y_ ", " T(SMALL) " " z_ ") {\n        " \
    HALF("c8", "0x1p+3") HALF("c64", "0x1p+6") HALF("c1024", "0x1p+10")        \
    T(SMALL) " a8 = mul(x = a, y = c8)" NAME("a8")                             \
    T(SMALL) " m64 = mul(x = m, y = c64)" NAME("m64")                          \
    T(SMALL) " za = add(x = z, y = a8)" NAME("za")                             \
    T(SMALL) " y = add(x = za, y = m64)" NAME("y")                             \
    T(SMALL) " b = add(x = y, y = c1024)" NAME("b")                            \
    "} -> (" first ", " second ");\n}\n"
// clang-format on

/* Runs a text of n inputs that hold 1, 2, 3 and two outputs, whose values go to
 * out. A refusal is kept in *refused, and is no failure: *ran is false. */
static an_status run_ports(test *t, const char *text, int n, an_session *s,
                           double out[2], bool *ran, const char *about)
{
    an_error refused = {0};
    an_status status = open_text(t, text, NULL, s, &refused);
    for (int i = 0; i < n && status == AN_OK; i++)
        status = fill_input(s, i, i + 1, &refused);
    if (status == AN_OK) status = an_request_run(s->request, &refused);
    for (int i = 0; i < 2 && status == AN_OK; i++)
        status = read_output(s, i, &out[i], &refused);
    *ran = status == AN_OK;
    if (status == AN_OK) return AN_OK;
    note(t, about, &refused);
    if (is_refusal(t, status)) return AN_OK;
    *t->err = refused;
    return status;
}

/* Several inputs give 0x1d (maderix/ANE), or work when all surfaces of a side
 * have one size (mechramc/Orion), or always (tmc/apple, True2456/qwen-ane). The
 * names ascend, so that every claim about order is satisfied. */
static an_status ask_ports(test *t)
{
    // clang-format off
    static const char sizes[] =
        HEAD T(SMALL) " a, " T(LARGE) " b) {\n        "
        T(SMALL) " c = add(x = a, y = a)" NAME("c")
        T(LARGE) " d = add(x = b, y = b)" NAME("d")
        "} -> (c, d);\n}\n";
    static const char equal[] = SUM("a", "m", "z", "b", "y");
    // clang-format on
    an_session s = {0};
    double out[2];
    bool ran = false;
    an_status status =
        run_ports(t, sizes, 2, &s, out, &ran, "ports of two sizes");
    bool told = ran && symbols_of(&s, AN_INPUT)->told;
    an_session_close(&s);
    t->out->table = told ? AN_TABLE_RIGHT : AN_TABLE_SILENT;
    if (status != AN_OK || (ran && out[0] == 2 && out[1] == 4)) return status;
    status = run_ports(t, equal, 3, &s, out, &ran, "three inputs");
    an_session_close(&s);
    bool well = ran && out[1] == 3 + 8 + 128 && out[0] == out[1] + 1024;
    t->out->ports = well ? AN_PORTS_EQUAL : AN_PORTS_ONE;
    return status;
}

/* Alphabetical (mechramc/Orion, of inputs), declared (most clients), or by the
 * program's table (tmc/apple, True2456/qwen-ane). */
static an_status ask_order(test *t)
{
    static const char text[] = SUM("z", "a", "m", "y", "b");
    an_session s = {0};
    double out[2];
    bool ran = false;
    t->out->inputs = t->out->outputs = AN_ORDER_REFUSED;
    if (t->out->ports == AN_PORTS_ONE) return AN_OK;
    an_status status =
        run_ports(t, text, 3, &s, out, &ran, "names that do not ascend");
    if (ran) status = judge_order(t, &s, out[0], out[1]);
    an_session_close(&s);
    return status;
}

/* ---- rows ---- */

static bool are_rows(const uint16_t *out, size_t n, int rows, int width,
                     int from, int to)
{
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < width; i++) {
            size_t at = (size_t)(r * to + i);
            double want = 2.0 * (r * from + i);
            if (at >= n || an_half_to_double(out[at]) != want) return false;
        }
    return true;
}

an_found_rows an_selftest_rows(const uint16_t *out, size_t n, int rows,
                               int width)
{
    int aligned = (width + 31) / 32 * 32;
    if (are_rows(out, n, rows, width, aligned, aligned)) return AN_ROWS_ALIGNED;
    if (are_rows(out, n, rows, width, width, width)) return AN_ROWS_PACKED;
    return AN_ROWS_OTHER;
}

enum { ROWS = 8, WIDTH = 16, NAN_BITS = 0x7e00 };

static an_status write_ramp(an_session *s, an_error *err)
{
    void *in = NULL, *out = NULL;
    an_status status = an_surface_lock(s->surfaces[0], AN_LOCK_WRITE, &in, err);
    if (status != AN_OK) return status;
    uint16_t *halves = in;
    for (size_t i = 0; i < an_surface_size(s->surfaces[0]) / 2; i++)
        halves[i] = an_half_from_double((double)(i % 1024));
    an_surface_unlock(s->surfaces[0], AN_LOCK_WRITE);
    status = an_surface_lock(s->surfaces[1], AN_LOCK_WRITE, &out, err);
    if (status != AN_OK) return status;
    halves = out;
    for (size_t i = 0; i < an_surface_size(s->surfaces[1]) / 2; i++)
        halves[i] = NAN_BITS;
    an_surface_unlock(s->surfaces[1], AN_LOCK_WRITE);
    return AN_OK;
}

/* Rows at multiples of 64 bytes (tmc/apple, jafreck/ironmill), packed
 * (mechramc/Orion), or refused (skyfallsin's guide, christopherkarani). */
static an_status ask_rows(test *t)
{
    // clang-format off
    static const char text[] =
        HEAD T("[1, 8, 1, 16]") " x) {\n        "
        T("[1, 8, 1, 16]") " y = add(x = x, y = x)" NAME("y")
        "} -> (y);\n}\n";
    // clang-format on
    an_session s = {0};
    an_error refused = {0};
    void *out = NULL;
    an_status status = open_text(t, text, NULL, &s, &refused);
    if (status == AN_OK) status = write_ramp(&s, &refused);
    if (status == AN_OK) status = an_request_run(s.request, &refused);
    if (status == AN_OK)
        status = an_surface_lock(s.surfaces[1], AN_LOCK_READ, &out, &refused);
    if (status == AN_OK) {
        t->out->rows = an_selftest_rows(out, an_surface_size(s.surfaces[1]) / 2,
                                        ROWS, WIDTH);
        an_surface_unlock(s.surfaces[1], AN_LOCK_READ);
    } else if (is_refusal(t, status)) {
        note(t, "narrow rows", &refused);
        t->out->rows = AN_ROWS_REFUSED;
        status = AN_OK;
    } else {
        *t->err = refused;
    }
    an_session_close(&s);
    return status;
}

/* ---- reload ---- */

#define WEIGHTS "@model_path/weights/weight.bin"
#define KERNEL T("[64, 64, 1, 1]")
// clang-format off
static const char reload_text[] =
    HEAD T(SMALL) " x) {\n        "
    CONST(KERNEL, "w", KERNEL "(BLOBFILE(path = string(\"" WEIGHTS "\"), "
          "offset = uint64(64)))")
    CONST("tensor<int32, [2]>", "ones", "tensor<int32, [2]>([1, 1])")
    CONST("tensor<int32, [4]>", "pad", "tensor<int32, [4]>([0, 0, 0, 0])")
    CONST("int32", "groups", "int32(1)")
    CONST("string", "pad_type", "string(\"valid\")")
    T(SMALL) " y = conv(dilations = ones, groups = groups, pad = pad, "
    "pad_type = pad_type, strides = ones, weight = w, x = x)" NAME("y")
    "} -> (y);\n}\n";
// clang-format on
enum { CHANNELS = 64 };

/* A file of equal weights; the caller frees it with an_free. */
static an_status make_weights(double weight, void **out, size_t *size,
                              an_error *err)
{
    enum { N = CHANNELS * CHANNELS };
    uint16_t values[N];
    uint64_t offset;
    an_blob_writer *w = NULL;
    for (int i = 0; i < N; i++)
        values[i] = an_half_from_double(weight);
    an_status s = an_blob_writer_new(&w, err);
    if (s == AN_OK) s = an_blob_writer_add(w, AN_FP16, N, values, &offset, err);
    if (s == AN_OK) return an_blob_writer_take(w, out, size, err);
    an_blob_writer_free(w);
    return s;
}

/* For the worker's thread: the loaded object, unloaded, its folder written
 * again with another file, loaded. */
typedef struct again {
    an_framework *fw;
    void *object;
    const an_blob *blob;
    bool folder_told, loaded;
} again;

static an_status load_again(void *ctx, an_error *err)
{
    again *a = ctx;
    an_framework *fw = a->fw;
    const an_objc *o = &fw->objc;
    void *error = NULL, *pool = an_pool_push(o);
    an_folder folder;
    const char *path = an_ns_text(o, an_send(o, AN_SEL_FOLDER, a->object));
    an_status s = AN_OK;
    unsigned qos = (unsigned)fw->limits.qos;
    a->folder_told = *path != '\0' && fw->folders.journal[0] != '\0';
    if (a->folder_told) {
        an_send_unload(o, a->object, qos, &error);
        s = an_folder_open(&fw->folders, path, reload_text,
                           sizeof reload_text - 1, a->blob, 1, &folder, err);
    }
    if (a->folder_told && s == AN_OK) {
        a->loaded = an_send_qos(o, AN_SEL_LOAD, a->object, qos,
                                an_ns_dictionary(o, NULL, NULL, 0), &error);
        an_folder_close(&folder);
    }
    an_pool_pop(o, pool);
    return s;
}

static an_found_reload judge_reload(double value, double old, double new)
{
    return value == new   ? AN_RELOAD_NEW
           : value == old ? AN_RELOAD_OLD
                          : AN_RELOAD_FAILS;
}

/* What the program computes now; NAN where it refuses. */
static an_status evaluate(const test *t, an_session *s, double *value)
{
    an_error refused = {0};
    *value = NAN;
    an_status status = an_request_run(s->request, &refused);
    if (status == AN_OK) status = read_output(s, 0, value, &refused);
    if (is_refusal(t, status)) return AN_OK;
    if (status != AN_OK) *t->err = refused;
    return status;
}

/* mechramc/Orion: new files take effect; maderix/ANE: they do not. A new
 * descriptor has another identifier, for which the daemon compiles. */
static an_status ask_files(test *t, an_session *s, const an_blob *second)
{
    again *a = an_alloc(sizeof *a);
    double value;
    if (!a) return an_fail(t->err, AN_ENOMEM, "self-test: no memory");
    *a = (again){.fw = t->fw,
                 .object = ((an_apple_program *)s->program)->loaded->object,
                 .blob = second};
    an_status status =
        an_worker_do(t->fw->worker, "self-test", load_again, a, t->err);
    bool loaded = status == AN_OK && a->folder_told && a->loaded;
    if (!an_worker_is_dead(t->fw->worker)) an_free(a);
    t->out->files = AN_RELOAD_FAILS;
    if (!loaded) return status;
    status = evaluate(t, s, &value);
    t->out->files = judge_reload(value, 64, 128);
    return status;
}

static an_status ask_weights(test *t, an_session *s, const an_blob *third)
{
    an_error refused = {0};
    double value = NAN;
    an_status status = an_program_reload(s->program, third, 1, &refused);
    t->out->weights = AN_RELOAD_FAILS;
    note(t, "other weights", &refused);
    if (is_refusal(t, status)) return AN_OK;
    if (status != AN_OK) {
        *t->err = refused;
        return status;
    }
    status = evaluate(t, s, &value);
    t->out->weights = value == 256                  ? AN_RELOAD_NEW
                      : value == 64 || value == 128 ? AN_RELOAD_OLD
                                                    : AN_RELOAD_FAILS;
    return status;
}

static an_status ask_both(test *t, const an_blob blobs[3])
{
    an_session s = {0};
    double value = 0;
    an_status status = open_text(t, reload_text, blobs, &s, t->err);
    if (status == AN_OK) status = fill_input(&s, 0, 1, t->err);
    if (status == AN_OK) status = evaluate(t, &s, &value);
    if (status == AN_OK && value != 64)
        status = fail_test(t, "a convolution computes something else");
    if (status == AN_OK) status = ask_files(t, &s, &blobs[1]);
    if (status == AN_OK) status = ask_weights(t, &s, &blobs[2]);
    an_session_close(&s);
    return status;
}

static an_status ask_reload(test *t)
{
    void *files[3] = {NULL};
    an_blob blobs[3];
    an_status s = AN_OK;
    for (int i = 0; i < 3 && s == AN_OK; i++) {
        blobs[i].path = WEIGHTS;
        s = make_weights(1 << i, &files[i], &blobs[i].size, t->err);
        blobs[i].data = files[i];
    }
    if (s == AN_OK) s = ask_both(t, blobs);
    for (int i = 0; i < 3 && !an_worker_is_dead(t->fw->worker); i++)
        an_free(files[i]);
    return s;
}

/* ---- places ---- */

/* More than any source claims as the limit of distinct programs (119 compiles:
 * maderix/ANE; 126, 127 places: h3.c-ane, True2456/qwen-ane). */
enum { PROGRAMS = 140 };

typedef struct places {
    an_framework *fw;
    an_port ports[2];
    char text[768];
    an_loading loading;
    an_loaded *loaded[PROGRAMS + 1]; /* unloaded, their objects kept */
    int n;
} places;

/* Texts differ: programs of one text may share a place (qwen-ane). */
static void next_text(places *p)
{
    // clang-format off
    snprintf(p->text, sizeof p->text,
             HEAD T(SMALL) " x) {\n        " HALF("c", "0x%xp+0")
             T(SMALL) " y = mul(x = x, y = c)" NAME("y")
             "} -> (y);\n}\n", (unsigned)p->n + 2);
    // clang-format on
}

static an_status load_next(void *ctx, an_error *err)
{
    places *p = ctx;
    const an_objc *o = &p->fw->objc;
    next_text(p);
    p->loading =
        (an_loading){.out = p->loaded[p->n],
                     .way = AN_LOAD_COMPILED,
                     .handed = {.text = p->text, .size = strlen(p->text)},
                     .ports = {&p->ports[0], &p->ports[1]}};
    an_status s = an_loaded_make(&p->loading, err);
    if (s != AN_OK) return s;
    void *error = NULL, *pool = an_pool_push(o);
    void *object = p->loaded[p->n]->object;
    an_send_unload(o, object, (unsigned)p->fw->limits.qos, &error);
    an_send_void(o, AN_SEL_PURGE, object);
    an_live_remove(p->loaded[p->n]); /* it makes no room for others */
    an_pool_pop(o, pool);
    return AN_OK;
}

/* What the engine does to make room: an unloaded model keeps its program. */
static an_status let_programs_go(void *ctx, an_error *err)
{
    places *p = ctx;
    const an_objc *o = &p->fw->objc;
    void *pool = an_pool_push(o);
    (void)err;
    for (int i = 0; i < p->n; i++)
        an_send_void_p(o, AN_SEL_SET_PROGRAM, p->loaded[i]->object, NULL);
    an_pool_pop(o, pool);
    return AN_OK;
}

static an_status release_all(void *ctx, an_error *err)
{
    places *p = ctx;
    const an_objc *o = &p->fw->objc;
    void *pool = an_pool_push(o);
    (void)err;
    for (int i = 0; i < p->n; i++)
        an_send_void(o, AN_SEL_RELEASE, p->loaded[i]->object);
    an_pool_pop(o, pool);
    return AN_OK;
}

static an_status load_one(test *t, places *p, an_error *err)
{
    p->loaded[p->n] = an_loaded_new(p->fw, 1, 1);
    if (!p->loaded[p->n])
        return an_fail(err, AN_ENOMEM, "self-test: no memory");
    an_status s = an_worker_do(p->fw->worker, "self-test", load_next, p, err);
    if (s == AN_OK)
        p->n++;
    else if (!an_worker_is_dead(t->fw->worker)) {
        an_loaded_free(p->loaded[p->n]);
        p->loaded[p->n] = NULL;
    }
    return s;
}

static void free_loaded(places *p)
{
    for (int i = 0; i < p->n; i++)
        an_loaded_free(p->loaded[i]);
    p->n = 0;
}

/* After a program too many: does a place come back by this? */
static an_status retry_after(test *t, places *p,
                             an_status (*give)(void *ctx, an_error *err),
                             bool *came)
{
    an_error full = {0};
    an_status s = an_worker_do(t->fw->worker, "self-test", give, p, t->err);
    if (s != AN_OK) return s;
    if (give == release_all) free_loaded(p);
    s = load_one(t, p, &full);
    *came = s == AN_OK;
    if (s == AN_OK || is_refusal(t, s)) return AN_OK;
    *t->err = full;
    return s;
}

static an_status ask_what_gives_back(test *t, places *p)
{
    bool came = false;
    an_status s = retry_after(t, p, let_programs_go, &came);
    t->out->slot = came ? AN_SLOT_PROGRAM : AN_SLOT_KEPT;
    if (s != AN_OK || came) return s;
    s = retry_after(t, p, release_all, &came);
    if (came) t->out->slot = AN_SLOT_RELEASE;
    return s;
}

static an_status fill_places(test *t, places *p)
{
    an_error refused = {0};
    an_status s = AN_OK;
    int before = t->engine->n_compiles;
    while (p->n < PROGRAMS && s == AN_OK)
        s = load_one(t, p, &refused);
    t->out->programs = p->n;
    if (s == AN_OK) {
        t->out->slot = AN_SLOT_UNLOAD;
        return AN_OK;
    }
    if (an_error_is_full(&refused)) return ask_what_gives_back(t, p);
    if (is_refusal(t, s)) {
        note(t, "one program more", &refused);
        t->out->compiles = before + p->n;
        return AN_OK;
    }
    *t->err = refused;
    return s;
}

/* The place goes with unload (4rg0naut, iOS), only with unload and release (a
 * fork of h3.c-ane), or the process has only so many compiles. */
static an_status ask_places(test *t)
{
    places *p = an_alloc(sizeof *p);
    if (!p) return an_fail(t->err, AN_ENOMEM, "self-test: no memory");
    p->fw = t->fw;
    p->ports[0].name = "x";
    p->ports[1].name = "y";
    an_status s = fill_places(t, p);
    if (an_worker_is_dead(t->fw->worker)) return s; /* leaked on purpose */
    an_worker_do(t->fw->worker, "self-test", release_all, p, NULL);
    free_loaded(p);
    an_free(p);
    return s;
}

/* ---- the test ---- */

static an_status subject_of(void *ctx, an_error *err)
{
    void *const *both = ctx;
    const an_objc *o = both[0];
    void *pool = an_pool_push(o);
    an_status s = an_subject_of(o, both[1], err);
    an_pool_pop(o, pool);
    return s;
}

static an_status ask_all(test *t)
{
    static an_status (*const asks[])(test *) = {
        ask_whether_it_runs, ask_ports, ask_order, ask_rows,
        ask_reload,          ask_places};
    an_status s = AN_OK;
    for (size_t i = 0; i < sizeof asks / sizeof *asks && s == AN_OK; i++)
        s = asks[i](t);
    return s;
}

an_status an_selftest(const char *engine, an_findings *out, an_subject *subject,
                      an_error *err)
{
    char name[160];
    an_findings findings = {0};
    test t = {.out = &findings, .err = err};
    double started = an_clock();
    snprintf(name, sizeof name, "%.100s,rules=off,compiles=0,live=0", engine);
    an_engine_options options = {
        .name = name, .numerics = AN_NUMERICS_IEEE, .threads = 1};
    an_status s = an_engine_open(&options, &t.engine, err);
    if (s != AN_OK) return s;
    t.fw = ((an_apple *)t.engine)->fw;
    t.fw->found = findings; /* a verdict of before is not believed */
    void *both[] = {&t.fw->objc, subject};
    s = subject_of(both, err);
    if (s == AN_OK) s = ask_all(&t);
    an_engine_close(t.engine);
    findings.seconds = an_clock() - started;
    if (s == AN_OK) s = an_verdict_save(subject, &findings, err);
    if (s == AN_OK) *out = findings;
    return s;
}

static bool is_apple(const char *engine)
{
    size_t n = strcspn(engine, ",");
    return (n == 5 && strncmp(engine, "apple", 5) == 0) ||
           (n == 4 && strncmp(engine, "auto", 4) == 0 && an_apple_is_own());
}

an_status an_selftest_recall(an_findings *out, an_subject *subject,
                             an_error *err)
{
    an_objc *o = an_alloc(sizeof *o);
    void *both[] = {o, subject};
    if (!o) return an_fail(err, AN_ENOMEM, "self-test: no memory");
    an_status s = an_objc_open(o, err);
    if (s == AN_OK) s = an_objc_check(o, err);
    if (s == AN_OK) s = subject_of(both, err);
    if (s == AN_OK) s = an_verdict_load(subject, out, err);
    an_free(o);
    return s;
}

bool an_selftest_is_due(const char *engine)
{
    an_subject subject;
    an_findings f;
    if (!is_apple(engine)) return false;
    an_status s = an_selftest_recall(&f, &subject, NULL);
    return s == AN_EIO || s == AN_EFORMAT;
}
