/* See export.h. */
#include "model/export_parts.h"

#include "base/alloc.h"
#include "base/half.h"

#include <math.h>
#include <string.h>

static const char *const format_names[] = {"safetensors", "llama2c", "gguf"};
static const char *const dtype_names[] = {"f32", "f16", "bf16", "q8_0"};
enum { BLOCK = 32 }; /* of Q8_0 */

const char *an_export_format_name(an_export_format format)
{
    return format < AN_EXPORT_FORMATS ? format_names[format] : NULL;
}

const char *an_export_dtype_name(an_export_dtype dtype)
{
    return dtype < AN_EXPORT_DTYPES ? dtype_names[dtype] : NULL;
}

/* ---- elements ---- */

size_t an_export_bytes(an_export_dtype dtype, size_t n)
{
    return dtype == AN_EXPORT_F32    ? 4 * n
           : dtype == AN_EXPORT_Q8_0 ? n / BLOCK * (BLOCK + 2)
                                     : 2 * n;
}

/* fp16 d = max |x| / 127, then the 32 nearest multiples of it. */
static void encode_block(const float *x, unsigned char *out)
{
    float largest = 0;
    for (int i = 0; i < BLOCK; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    float d = largest / 127, inverse = d > 0 ? 1 / d : 0;
    uint16_t half = an_half_from_float(d);
    memcpy(out, &half, sizeof half);
    for (int i = 0; i < BLOCK; i++)
        out[2 + i] = (unsigned char)(int8_t)lrintf(x[i] * inverse);
}

void an_export_encode(an_export_dtype dtype, size_t n, const float *x,
                      unsigned char *out)
{
    if (dtype == AN_EXPORT_F32) {
        memcpy(out, x, 4 * n);
        return;
    }
    for (size_t i = 0; dtype == AN_EXPORT_Q8_0 && i < n / BLOCK; i++)
        encode_block(x + i * BLOCK, out + i * (BLOCK + 2));
    for (size_t i = 0; dtype != AN_EXPORT_Q8_0 && i < n; i++) {
        uint16_t h = dtype == AN_EXPORT_F16 ? an_half_from_float(x[i])
                                            : an_bf16_from_float(x[i]);
        memcpy(out + 2 * i, &h, sizeof h);
    }
}

/* ---- parts ---- */

an_status an_export_put(an_export *x, const void *data, size_t size)
{
    return an_writer_put(x->writer, data, size, x->err);
}

/* Row r of pairs is row i or i + hd/2 of halves. */
static int64_t halved_row(int64_t hd, int64_t r)
{
    int64_t k = r % hd;
    return r - k + k / 2 + (k % 2) * (hd / 2);
}

const float *an_export_row(an_export *x, const an_model_param *p,
                           const an_param_part *part, an_export_rope rope,
                           int64_t r)
{
    const an_stored_tensor *t = an_weight_file_use(x->from, part->name);
    if (rope == AN_ROPE_PAIRS)
        r = halved_row(x->model->config.facts.head_dim, r);
    (void)p;
    an_stored_read(t, part->transposed ? AN_STORED_COLUMNS : AN_STORED_ROWS, r,
                   AN_FP32, x->row);
    return x->row;
}

an_status an_export_part(an_export *x, const an_model_param *p,
                         const an_param_part *part, an_export_rope rope,
                         an_export_dtype dtype)
{
    bool vector = part->file_rank == 1;
    int64_t rows = vector ? 1 : part->rows;
    size_t n = (size_t)(vector ? part->rows : p->columns);
    an_status s = AN_OK;
    for (int64_t r = 0; s == AN_OK && r < rows; r++) {
        an_export_encode(dtype, n, an_export_row(x, p, part, rope, r),
                         x->bytes);
        s = an_export_put(x, x->bytes, an_export_bytes(dtype, n));
    }
    an_weight_file_forget(x->from, an_weight_file_use(x->from, part->name));
    return s;
}

const an_param_part *an_export_find(const an_export *x, int layer,
                                    const char *end, const an_model_param **p)
{
    size_t size = strlen(end);
    for (int i = 0; i < x->model->n_params; i++) {
        *p = &x->model->params[i];
        if ((*p)->layer != layer) continue;
        for (int k = 0; k < (*p)->n_parts; k++) {
            const an_param_part *part = &(*p)->parts[k];
            size_t n = strlen(part->name);
            if (n >= size && strcmp(part->name + n - size, end) == 0)
                return part;
        }
    }
    return NULL;
}

/* ---- safetensors ---- */

/* The bytes of a tensor, converted row by row. */
static an_status put_stored(void *ctx, const an_st_tensor *out, an_writer *w,
                            an_error *err)
{
    an_export *x = ctx;
    const an_stored_tensor *t = an_weight_file_use(x->from, out->name);
    int64_t rows = t->rank == 2 ? t->shape[0] : 1;
    size_t n = (size_t)t->shape[t->rank - 1];
    an_status s = AN_OK;
    for (int64_t r = 0; s == AN_OK && r < rows; r++) {
        an_stored_read(t, AN_STORED_ROWS, r, AN_FP32, x->row);
        an_export_encode(x->dtype, n, x->row, x->bytes);
        s = an_writer_put(w, x->bytes, an_export_bytes(x->dtype, n), err);
    }
    an_weight_file_forget(x->from, t);
    return s;
}

/* A tensor in Hugging Face's shape. */
static void describe(an_export *x, const char *name, an_st_tensor *out)
{
    static const an_dtype dtypes[] = {AN_FP32, AN_FP16, AN_BF16};
    const an_stored_tensor *t = an_weight_file_use(x->from, name);
    size_t n = (size_t)t->shape[0] * (size_t)(t->rank == 2 ? t->shape[1] : 1);
    *out = (an_st_tensor){.name = name,
                          .dtype = dtypes[x->dtype],
                          .rank = t->rank,
                          .size_bytes = an_export_bytes(x->dtype, n),
                          .put = put_stored,
                          .ctx = x};
    memcpy(out->shape, t->shape, sizeof out->shape);
}

static an_status export_safetensors(an_export *x, const char *path)
{
    static const char *const metadata[] = {"format", "pt", NULL};
    int n = 0;
    for (int i = 0; i < x->model->n_params; i++)
        n += x->model->params[i].n_parts;
    an_st_tensor *list = an_alloc_array((size_t)n, sizeof *list);
    if (!list) return an_fail(x->err, AN_ENOMEM, "export: no memory");
    n = 0;
    for (int i = 0; i < x->model->n_params; i++)
        for (int k = 0; k < x->model->params[i].n_parts; k++)
            describe(x, x->model->params[i].parts[k].name, &list[n++]);
    an_status s = an_st_save(path, list, n, metadata, x->err);
    an_free(list);
    return s;
}

/* ---- the whole ---- */

static an_status new_rooms(an_export *x)
{
    int64_t longest = 1;
    for (int i = 0; i < x->model->n_params; i++) {
        const an_model_param *p = &x->model->params[i];
        if (p->columns > longest) longest = p->columns;
        if (p->rows > longest) longest = p->rows;
    }
    x->row = an_alloc_array((size_t)longest, sizeof(float));
    x->bytes = an_alloc_array((size_t)longest, sizeof(float));
    return x->row && x->bytes ? AN_OK
                              : an_fail(x->err, AN_ENOMEM, "export: no memory");
}

static an_status write_stream(an_export *x, an_export_format format,
                              const char *path)
{
    an_status s = an_writer_open(path, &x->writer, x->err);
    if (s != AN_OK) return s;
    s = format == AN_EXPORT_GGUF ? an_export_gguf(x) : an_export_llama2c(x);
    if (s == AN_OK) return an_writer_commit(x->writer, x->err);
    an_writer_abort(x->writer);
    return s;
}

an_status an_export_file(an_weight_file *from, const an_model *model,
                         an_export_format format, an_export_dtype dtype,
                         const an_gguf_keys *keys, const char *path,
                         an_error *err)
{
    an_export x = {
        .from = from, .model = model, .dtype = dtype, .keys = keys, .err = err};
    an_status s = an_weight_file_check(from, model, err);
    if (s == AN_OK) s = new_rooms(&x);
    if (s == AN_OK && format == AN_EXPORT_SAFETENSORS)
        s = dtype == AN_EXPORT_Q8_0
                ? an_fail(err, AN_EUNSUPPORTED,
                          "export: safetensors is f32, f16 or bf16")
                : export_safetensors(&x, path);
    else if (s == AN_OK)
        s = write_stream(&x, format, path);
    an_free(x.row);
    an_free(x.bytes);
    return s;
}
