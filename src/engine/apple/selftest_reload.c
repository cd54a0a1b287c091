/* Other weights: the same object with other files, and a new object. */
#include "engine/apple/selftest_parts.h"

#include "base/alloc.h"
#include "base/half.h"
#include "engine/apple/values.h"
#include "mil/blob.h"

#include <math.h>

#define WEIGHTS "@model_path/weights/weight.bin"
#define KERNEL AN_MIL_T("[64, 64, 1, 1]")
// clang-format off
static const char reload_text[] =
    AN_MIL_HEAD AN_MIL_SMALL " x) {\n        "
    AN_MIL_CONST(KERNEL, "w", KERNEL "(BLOBFILE(path = string(\"" WEIGHTS "\"), "
          "offset = uint64(64)))")
    AN_MIL_CONST("tensor<int32, [2]>", "ones", "tensor<int32, [2]>([1, 1])")
    AN_MIL_CONST("tensor<int32, [4]>", "pad", "tensor<int32, [4]>([0, 0, 0, 0])")
    AN_MIL_CONST("int32", "groups", "int32(1)")
    AN_MIL_CONST("string", "pad_type", "string(\"valid\")")
    AN_MIL_SMALL " y = conv(dilations = ones, groups = groups, pad = pad, "
    "pad_type = pad_type, strides = ones, weight = w, x = x)" AN_MIL_NAME("y")
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
static an_status evaluate(const an_test *t, an_session *s, double *value)
{
    an_error refused = {0};
    *value = NAN;
    an_status status = an_request_run(s->request, &refused);
    if (status == AN_OK) status = an_test_read(s, 0, value, &refused);
    if (an_test_refused(t, status)) return AN_OK;
    if (status != AN_OK) *t->err = refused;
    return status;
}

/* mechramc/Orion: new files take effect; maderix/ANE: they do not. A new
 * descriptor has another identifier, for which the daemon compiles. */
static an_status ask_files(an_test *t, an_session *s, const an_blob *second)
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

static an_status ask_weights(an_test *t, an_session *s, const an_blob *third)
{
    an_error refused = {0};
    double value = NAN;
    an_status status = an_program_reload(s->program, third, 1, &refused);
    t->out->weights = AN_RELOAD_FAILS;
    an_test_note(t, "other weights", &refused);
    if (an_test_refused(t, status)) return AN_OK;
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

static an_status ask_both(an_test *t, const an_blob blobs[3])
{
    an_session s = {0};
    double value = 0;
    an_status status = an_test_open(t, reload_text, blobs, &s, t->err);
    if (status == AN_OK) status = an_test_fill(&s, 0, 1, t->err);
    if (status == AN_OK) status = evaluate(t, &s, &value);
    if (status == AN_OK && value != 64)
        status = an_test_fail(t, "a convolution computes something else");
    if (status == AN_OK) status = ask_files(t, &s, &blobs[1]);
    if (status == AN_OK) status = ask_weights(t, &s, &blobs[2]);
    an_session_close(&s);
    return status;
}

an_status an_ask_reload(an_test *t)
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
