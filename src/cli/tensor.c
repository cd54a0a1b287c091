/*
 * Dense tensors: files in and out, random ones, a summary. Elements have
 * an_dtype_size bytes; hosts are little-endian, so files are memory as it is.
 */
#include "cli/tensor.h"

#include "base/alloc.h"
#include "base/half.h"
#include "base/rng.h"
#include "cli/npy.h"
#include "mil/element.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MAX_NPY_HEADER = 1 << 16, N_SHOWN = 6 };

static bool is_npy(const char *path)
{
    size_t size = strlen(path);
    return size > 4 && strcmp(path + size - 4, ".npy") == 0;
}

/* False on overflow or an unknown dimension. */
static bool dense_bytes(const an_shape *shape, size_t *out)
{
    size_t n = an_dtype_size(shape->dtype);
    for (int i = 0; i < shape->rank; i++)
        if (shape->dims[i] < 0 || !an_mul_size(n, (size_t)shape->dims[i], &n))
            return false;
    *out = n;
    return n <= SIZE_MAX / 2;
}

static an_status check_npy(const char *path, const an_npy *npy,
                           const an_shape *shape, an_error *err)
{
    char want[128], got[128];
    an_shape stored = *shape;
    stored.dtype = an_npy_dtype(shape->dtype);
    if (an_shape_equal(&npy->shape, &stored)) return AN_OK;
    return an_fail(err, AN_ETYPE, "%s: expected %s, got %s", path,
                   stored.dtype == AN_DTYPE_COUNT
                       ? "raw elements, for NumPy lacks the type"
                       : an_shape_text(&stored, want, sizeof want),
                   an_shape_text(&npy->shape, got, sizeof got));
}

static an_status check_raw(const char *path, size_t size, size_t wanted,
                           const an_shape *shape, an_error *err)
{
    char text[128];
    if (size == wanted) return AN_OK;
    return an_fail(err, AN_EFORMAT, "%s: expected %zu bytes for %s, got %s%zu",
                   path, wanted, an_shape_text(shape, text, sizeof text),
                   size > wanted ? "at least " : "", size);
}

an_status an_tensor_load(const char *path, const an_shape *shape, void **data,
                         an_error *err)
{
    char *bytes = NULL;
    size_t size = 0, wanted = 0;
    an_npy npy = {0};
    bool numpy = is_npy(path);
    if (!dense_bytes(shape, &wanted))
        return an_fail(err, AN_EUNSUPPORTED, "%s: the port has no fixed size",
                       path);
    an_status s =
        an_file_read(path, wanted + MAX_NPY_HEADER, &bytes, &size, err);
    if (s != AN_OK) return s;
    if (numpy) {
        s = an_npy_read(bytes, size, path, &npy, err);
        if (s == AN_OK) s = check_npy(path, &npy, shape, err);
    } else {
        s = check_raw(path, size, wanted, shape, err);
    }
    if (s != AN_OK) {
        an_free(bytes);
        return s;
    }
    if (numpy) memmove(bytes, npy.data, wanted);
    *data = bytes;
    return AN_OK;
}

an_status an_tensor_put(an_writer *w, const char *path, const an_shape *shape,
                        const void *data, an_error *err)
{
    size_t size = 0, header_bytes = 0;
    char header[AN_NPY_HEADER];
    an_status s = AN_OK;
    if (!dense_bytes(shape, &size))
        return an_fail(err, AN_EUNSUPPORTED, "%s: the port has no fixed size",
                       path);
    if (is_npy(path)) {
        if ((s = an_npy_header(shape, header, &header_bytes, err)) == AN_OK)
            s = an_writer_put(w, header, header_bytes, err);
    }
    if (s == AN_OK) s = an_writer_put(w, data, size, err);
    return s;
}

static void put_element(an_dtype dtype, void *data, size_t i, double x)
{
    switch (dtype) {
    case AN_FP16:
        ((uint16_t *)data)[i] = an_half_from_double(x);
        break;
    case AN_BF16:
        ((uint16_t *)data)[i] = an_bf16_from_float((float)x);
        break;
    case AN_FP32:
        ((float *)data)[i] = (float)x;
        break;
    case AN_FP64:
        ((double *)data)[i] = x;
        break;
    case AN_INT16:
    case AN_UINT16:
        ((uint16_t *)data)[i] = (uint16_t)x;
        break;
    case AN_INT32:
    case AN_UINT32:
        ((uint32_t *)data)[i] = (uint32_t)x;
        break;
    case AN_INT64:
    case AN_UINT64:
        ((uint64_t *)data)[i] = (uint64_t)x;
        break;
    default:
        ((uint8_t *)data)[i] = (uint8_t)x;
        break;
    }
}

static bool is_float(an_dtype dtype)
{
    return dtype == AN_FP16 || dtype == AN_FP32 || dtype == AN_FP64 ||
           dtype == AN_BF16;
}

an_status an_tensor_random(const an_shape *shape, uint64_t seed,
                           uint64_t stream, void **data, an_error *err)
{
    size_t size = 0;
    an_rng rng = {.seed = seed, .stream = stream};
    if (!dense_bytes(shape, &size) || shape->dtype == AN_STRING)
        return an_fail(err, AN_EUNSUPPORTED, "no random values for this port");
    void *out = an_alloc(size > 0 ? size : 1);
    if (out == NULL) return an_fail(err, AN_ENOMEM, "no memory for an input");
    size_t n = size / an_dtype_size(shape->dtype);
    for (size_t i = 0; i < n; i++)
        put_element(shape->dtype, out, i,
                    is_float(shape->dtype) ? an_rng_normal(&rng)
                                           : (double)an_rng_below(&rng, 2));
    *data = out;
    return AN_OK;
}

void an_tensor_print(FILE *out, const char *name, const an_shape *shape,
                     const void *data)
{
    char text[128];
    double least = (double)INFINITY, most = -(double)INFINITY, sum = 0;
    size_t n = (size_t)an_shape_count(shape), strange = 0;
    for (size_t i = 0; i < n; i++) {
        double x = an_element(shape->dtype, data, i);
        if (!isfinite(x)) strange++;
        if (x < least) least = x;
        if (x > most) most = x;
        sum += x;
    }
    fprintf(out, "%s  %s\n", name, an_shape_text(shape, text, sizeof text));
    if (n == 0) return;
    fprintf(out, "  min %.6g  max %.6g  mean %.6g", least, most,
            sum / (double)n);
    if (strange > 0) fprintf(out, "  not finite %zu", strange);
    fprintf(out, "  first");
    for (size_t i = 0; i < n && i < N_SHOWN; i++)
        fprintf(out, " %.6g", an_element(shape->dtype, data, i));
    fprintf(out, "%s\n", n > N_SHOWN ? " ..." : "");
}
