/*
 * Packing; see packed.h. A group of Q8 has the scale max |x| / 127, which gives
 * back groups of GGUF's Q8_0 as they were: their largest element is 127 times
 * their scale, and the division is exact.
 */
#include "train/packed.h"

#include "base/alloc.h"
#include "base/half.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

static an_status no_memory(const an_packed_tensor *t, an_error *err)
{
    return an_fail(err, AN_ENOMEM, "%s: no memory", t->param->name);
}

/* ---- rows ---- */

static void pack_q8(int64_t n, const float *x, int8_t *q, float *scales)
{
    for (int64_t g = 0; g < n / AN_MATRIX_GROUP; g++) {
        const float *at = x + g * AN_MATRIX_GROUP;
        float largest = 0;
        for (int i = 0; i < AN_MATRIX_GROUP; i++)
            if (fabsf(at[i]) > largest) largest = fabsf(at[i]);
        scales[g] = largest / 127;
        for (int i = 0; i < AN_MATRIX_GROUP; i++)
            q[g * AN_MATRIX_GROUP + i] =
                (int8_t)(scales[g] > 0 ? lrintf(at[i] / scales[g]) : 0);
    }
}

static an_status pack_f16(const an_packed_tensor *t, int64_t n, const float *x,
                          uint16_t *out, an_error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (fabsf(x[i]) > (float)AN_HALF_MAX)
            return an_fail(err, AN_EUNSUPPORTED,
                           "%s: %g is beyond fp16: use --dtype f32",
                           t->param->name, (double)x[i]);
    an_convert_float_to_half((size_t)n, x, out);
    return AN_OK;
}

/* Rows [part->row, + rows) of a matrix, or of a vector. */
static an_status pack_part(an_packed *p, const an_packed_tensor *t,
                           const an_param_part *part,
                           const an_packed_options *o, an_error *err)
{
    int64_t n = t->param->columns;
    size_t size = an_dtype_size(p->dtype);
    unsigned char *data = an_surface_data(t->data);
    if (part->file_rank == 1) {
        o->read(o->ctx, t->param, part, 0, p->dtype,
                data + (size_t)part->row * size);
        return AN_OK;
    }
    an_status s = AN_OK;
    for (int64_t r = 0; s == AN_OK && r < part->rows; r++) {
        int64_t at = (part->row + r) * n;
        void *plain = data + (size_t)at * size;
        o->read(o->ctx, t->param, part, r, p->dtype,
                t->form == AN_MATRIX_PLAIN ? plain : p->row);
        if (t->form == AN_MATRIX_F16)
            s = pack_f16(t, n, p->row, (uint16_t *)(void *)data + at, err);
        if (t->form == AN_MATRIX_Q8)
            pack_q8(n, p->row, (int8_t *)data + at,
                    (float *)an_surface_data(t->scales) + at / AN_MATRIX_GROUP);
    }
    return s;
}

/* ---- tensors ---- */

static bool is_matrix(const an_model_param *p)
{
    return p->parts[0].file_rank == 2;
}

static an_status new_tensor(an_packed *p, an_packed_tensor *t,
                            const an_packed_options *o, an_error *err)
{
    size_t n, bytes;
    bool fits = t->param->columns % AN_MATRIX_GROUP == 0;
    if (is_matrix(t->param) && (p->form != AN_MATRIX_Q8 || fits))
        t->form = p->form;
    size_t size = t->form == AN_MATRIX_F16  ? sizeof(uint16_t)
                  : t->form == AN_MATRIX_Q8 ? sizeof(int8_t)
                                            : an_dtype_size(p->dtype);
    if (!an_mul_size((size_t)t->param->rows, (size_t)t->param->columns, &n) ||
        !an_mul_size(n, size, &bytes))
        return no_memory(t, err);
    an_engine *engine = t->form == AN_MATRIX_F16 ? o->engine : o->cpu;
    an_status s = an_surface_new(engine, bytes, &t->data, err);
    if (s == AN_OK && t->form == AN_MATRIX_Q8)
        s = an_surface_new(o->cpu, n / AN_MATRIX_GROUP * sizeof(float),
                           &t->scales, err);
    for (int k = 0; s == AN_OK && k < t->param->n_parts; k++)
        s = pack_part(p, t, &t->param->parts[k], o, err);
    return s;
}

static an_status build(an_packed *p, const an_packed_options *o, an_error *err)
{
    int n = an_model_n_params(o->model);
    int64_t longest = 1;
    for (int i = 0; i < n; i++) {
        const an_model_param *param = an_model_param_at(o->model, i);
        if (param->columns > longest) longest = param->columns;
    }
    p->row = an_alloc_array((size_t)longest, sizeof *p->row);
    p->list = an_alloc_array((size_t)n, sizeof *p->list);
    if (!p->row || !p->list)
        return an_fail(err, AN_ENOMEM, "weights: no memory");
    an_status s = AN_OK;
    for (; s == AN_OK && p->n < n; p->n++) {
        p->list[p->n].param = an_model_param_at(o->model, p->n);
        s = new_tensor(p, &p->list[p->n], o, err);
    }
    return s;
}

an_status an_packed_new(const an_packed_options *o, an_packed **out,
                        an_error *err)
{
    an_packed *p = an_alloc(sizeof *p);
    if (!p) return an_fail(err, AN_ENOMEM, "weights: no memory");
    p->dtype = o->dtype;
    p->form = o->form;
    an_status s = build(p, o, err);
    if (s == AN_OK)
        *out = p;
    else
        an_packed_free(p);
    return s;
}

void an_packed_free(an_packed *p)
{
    if (!p) return;
    for (int i = 0; i < p->n; i++) {
        an_surface_free(p->list[i].data);
        an_surface_free(p->list[i].scales);
        an_surface_free(p->list[i].placed);
    }
    an_free(p->list);
    an_free(p->row);
    an_free(p);
}

size_t an_packed_bytes(const an_packed *p)
{
    size_t bytes = 0;
    for (int i = 0; i < p->n; i++) {
        const an_packed_tensor *t = &p->list[i];
        bytes += an_surface_size(t->data);
        if (t->scales) bytes += an_surface_size(t->scales);
        if (t->placed) bytes += an_surface_size(t->placed);
    }
    return bytes;
}

/* ---- reading ---- */

double an_packed_get(const an_packed *p, int i, int64_t row, int64_t column)
{
    const an_packed_tensor *t = &p->list[i];
    int64_t at = row * t->param->columns + column;
    const void *data = an_surface_data(t->data);
    if (t->form == AN_MATRIX_F16)
        return an_half_to_double(((const uint16_t *)data)[at]);
    if (t->form == AN_MATRIX_Q8) {
        const float *scales = an_surface_data(t->scales);
        float x =
            (float)((const int8_t *)data)[at] * scales[at / AN_MATRIX_GROUP];
        return (double)x;
    }
    return p->dtype == AN_FP64 ? ((const double *)data)[at]
                               : (double)((const float *)data)[at];
}

static int find(const an_packed *p, int layer, int block, const char *port,
                size_t size)
{
    for (int i = 0; i < p->n; i++) {
        const an_model_param *x = p->list[i].param;
        if (x->layer == layer && x->block == block && x->port &&
            strlen(x->port) == size && memcmp(x->port, port, size) == 0)
            return i;
    }
    return -1;
}

static const char scales_end[] = "_scales";

/* Length of a port's name without that end. */
static size_t name_size(const char *port)
{
    size_t n = strlen(port), end = sizeof scales_end - 1;
    return n > end && strcmp(port + n - end, scales_end) == 0 ? n - end : n;
}

int an_packed_find(const an_packed *p, int layer, int block, const char *port)
{
    size_t n = name_size(port);
    int i = find(p, layer, block, port, n);
    return i < 0 && block == AN_BLOCK_HEAD
               ? find(p, -1, AN_BLOCK_EMBED, port, n)
               : i;
}

static an_dtype stored_dtype(const an_packed *p, const an_packed_tensor *t)
{
    return t->form == AN_MATRIX_F16  ? AN_FP16
           : t->form == AN_MATRIX_Q8 ? AN_INT8
                                     : p->dtype;
}

static an_status place(const an_packed *p, int i, an_engine *engine,
                       const an_port *port, an_surface **out, an_error *err)
{
    const an_packed_tensor *t = &p->list[i];
    an_surface *copy = NULL;
    if (port->size_bytes / port->row_bytes < (size_t)t->param->rows)
        return an_fail(err, AN_EINVAL, "%s: not the layout of its port",
                       t->param->name);
    an_status s = an_surface_new(engine, port->size_bytes, &copy, err);
    if (s != AN_OK) return s;
    an_matrix m = {.data = an_surface_data(copy),
                   .dtype = port->shape.dtype,
                   .rows = t->param->rows,
                   .columns = t->param->columns,
                   .row_bytes = port->row_bytes};
    for (int64_t r = 0; r < m.rows; r++)
        for (int64_t c = 0; c < m.columns; c++)
            an_matrix_put(&m, r, c, an_packed_get(p, i, r, c));
    *out = copy;
    return AN_OK;
}

an_status an_packed_surface(an_packed *p, int i, an_engine *engine,
                            const an_port *port, an_surface **out,
                            an_error *err)
{
    an_packed_tensor *t = &p->list[i];
    if (port->name[name_size(port->name)] != 0) {
        *out = t->scales;
        return AN_OK;
    }
    size_t bytes = (size_t)(t->param->rows * t->param->columns) *
                   an_dtype_size(port->shape.dtype);
    if (port->shape.dtype == stored_dtype(p, t) && port->size_bytes == bytes) {
        *out = t->data;
        return AN_OK;
    }
    bool same = t->placed && t->port.size_bytes == port->size_bytes &&
                t->port.row_bytes == port->row_bytes;
    an_status s = AN_OK;
    if (!same) {
        an_surface *copy = NULL;
        s = place(p, i, engine, port, &copy, err);
        if (s != AN_OK) return s;
        an_surface_free(t->placed);
        t->placed = copy;
        t->port = *port;
    }
    *out = t->placed;
    return s;
}
