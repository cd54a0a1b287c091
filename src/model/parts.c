/*
 * See parts.h. Every formula is one that holds in fp16 on a chip: no square
 * overflows or vanishes (norms divide by the largest magnitude first), masks
 * are finite.
 */
#include "model/parts.h"

#include "base/alloc.h"
#include "base/half.h"

#include <math.h>
#include <stdio.h>

typedef an_block_frame frame;

/* ---- constants ---- */

static void store(an_dtype dtype, void *data, int64_t i, double x)
{
    if (dtype == AN_FP16)
        ((uint16_t *)data)[i] = an_half_from_double(x);
    else if (dtype == AN_FP32)
        ((float *)data)[i] = (float)x;
    else
        ((double *)data)[i] = x;
}

/* Rows by columns, the last axis, of what `table` gives for the configuration,
 * row and position: the column in its sequence. */
static an_value *constant(const frame *f, const an_table *table, an_shape shape)
{
    int64_t count = an_shape_count(&shape), columns = shape.dims[3];
    void *data = an_alloc_array((size_t)count, an_dtype_size(f->dtype));
    if (!data)
        return an_build_fail(f->b, AN_ENOMEM, "%s: no memory", table->name);
    for (int64_t i = 0; i < count; i++)
        store(f->dtype, data, i,
              table->value(f->config, i / columns, i % columns % f->sequence));
    an_value *v = an_build_const(f->b, table->name, shape, data);
    an_free(data);
    return v;
}

an_value *an_part_table(const frame *f, const an_table *table)
{
    an_shape shape =
        AN_TENSOR(f->dtype, 1, table->rows(f->config), 1, f->columns);
    return f->form == AN_FORM_DECODE ? an_build_param(f->b, table->name, shape)
                                     : constant(f, table, shape);
}

static double causal_mask(const an_config *c, int64_t query, int64_t key)
{
    (void)c;
    return key > query ? AN_MASKED : 0;
}
static const an_table mask_table = {.name = "mask", .value = causal_mask};

/* ---- shapes and parameters ---- */

an_value *an_part_named(const frame *f, an_value *v, const char *name)
{
    if (v) an_build_rename(f->b, v, name);
    return v;
}

an_value *an_part_shaped(const frame *f, an_value *x, int64_t a, int64_t b,
                         int64_t c, int64_t d)
{
    return an_emit_reshape(f->b, x, 4, (const int64_t[]){a, b, c, d});
}

an_value *an_part_channels(const frame *f, an_value *x, int64_t begin,
                           int64_t size)
{
    if (!x) return NULL;
    const an_shape *s = an_value_shape(x);
    return an_emit_slice(
        f->b, x, (const int64_t[]){0, begin, 0, 0},
        (const int64_t[]){s->dims[0], size, s->dims[2], s->dims[3]});
}

an_value *an_part_vector(const frame *f, const char *name, int64_t rows)
{
    return an_build_param(f->b, name, AN_TENSOR(f->dtype, 1, rows, 1, 1));
}

/* reshape(cast(q) scales). */
static an_value *groups(const frame *f, const char *name, int64_t rows,
                        int64_t columns)
{
    char scales_name[64];
    int64_t n = columns / AN_MATRIX_GROUP;
    snprintf(scales_name, sizeof scales_name, "%s_scales", name);
    an_value *q = an_build_param(
        f->b, name, AN_TENSOR(AN_INT8, 1, rows, n, AN_MATRIX_GROUP));
    an_value *scales =
        an_build_param(f->b, scales_name, AN_TENSOR(f->dtype, 1, rows, n, 1));
    an_value *w =
        an_emit_binary(f->b, "mul", an_emit_cast(f->b, q, f->dtype), scales);
    return an_part_shaped(f, w, 1, 1, rows, columns);
}

an_value *an_part_matrix(const frame *f, const char *name, int64_t rows,
                         int64_t columns)
{
    if (f->matrices == AN_MATRIX_Q8 && columns % AN_MATRIX_GROUP == 0)
        return groups(f, name, rows, columns);
    an_dtype dtype = f->matrices == AN_MATRIX_F16 ? AN_FP16 : f->dtype;
    an_value *w =
        an_build_param(f->b, name, AN_TENSOR(dtype, 1, 1, rows, columns));
    return w ? an_emit_cast(f->b, w, f->dtype) : NULL;
}

an_value *an_part_project(const frame *f, an_value *w, an_value *x)
{
    if (!w) return NULL;
    const an_shape *shape = an_value_shape(w);
    int64_t outputs = shape->dims[2], inputs = shape->dims[3];
    const an_adapter *adapter =
        an_model_adapter(f->model, f->block, an_value_name(w));
    an_value *matrix = an_part_shaped(f, x, 1, 1, inputs, f->columns);
    an_value *y = an_emit_matmul(f->b, w, matrix, false, false);
    if (!adapter) return y;
    an_value *a = an_part_matrix(f, adapter->a, adapter->inner, inputs);
    an_value *b = an_part_matrix(f, adapter->b, outputs, adapter->inner);
    an_value *low =
        an_emit_scale(f->b, an_emit_matmul(f->b, a, matrix, false, false),
                      an_model_lora(f->model)->scale);
    an_part_named(f, low, adapter->low);
    return an_emit_binary(f->b, "add", y,
                          an_emit_matmul(f->b, b, low, false, false));
}

an_value *an_part_as_channels(const frame *f, an_value *x, int64_t n_channels)
{
    return an_part_shaped(f, x, 1, n_channels, 1, f->columns);
}

/* ---- norms ---- */

static const int64_t channel_axis = 1;

/* s = max(max |x|, 2^-10) over channels, called `stop`; returns x / s. */
static an_value *scaled_down(const frame *f, an_value *x, const char *stop,
                             an_value **s)
{
    an_builder *b = f->b;
    an_value *largest = an_emit_reduce(
        b, "reduce_max", an_emit_unary(b, "abs", x), 1, &channel_axis, true);
    an_value *floor = an_build_float(b, f->dtype, 0x1p-10);
    *s = an_part_named(f, an_emit_binary(b, "maximum", largest, floor), stop);
    return an_emit_binary(b, "real_div", x, *s);
}

/* (sum(u u) / width + (sqrt(eps) / s)^2)^-1/2 */
static an_value *inverse_root(const frame *f, an_value *u, an_value *s,
                              int64_t width)
{
    an_builder *b = f->b;
    an_value *sum =
        an_emit_sum(b, an_emit_binary(b, "mul", u, u), 1, &channel_axis);
    an_value *mean = an_emit_scale(b, sum, 1 / (double)width);
    an_value *root_epsilon =
        an_build_float(b, f->dtype, sqrt(f->config->norm_epsilon));
    an_value *epsilon = an_emit_unary(
        b, "square", an_emit_binary(b, "real_div", root_epsilon, s));
    an_value *power = an_build_float(b, f->dtype, -0.5);
    return an_emit_binary(b, "pow", an_emit_binary(b, "add", mean, epsilon),
                          power);
}

/*
 * With x divided by its largest magnitude first:
 *     u = x / s, y = u (mean(u u) + (sqrt(eps) / s)^2)^-1/2 g
 * The result does not depend on s: s is a stop of differentiation.
 */
an_value *an_part_rms_norm(const frame *f, an_value *x, an_value *g,
                           int64_t width, const char *stop)
{
    an_value *s = NULL;
    an_value *u = scaled_down(f, x, stop, &s);
    an_value *r = inverse_root(f, u, s, width);
    an_value *normal = an_emit_binary(f->b, "mul", u, r);
    return an_emit_binary(f->b, "mul", normal, g);
}

/*
 * The same with the mean taken off: u = x / s, c = u - mean(u),
 *     y = c (mean(c c) + (sqrt(eps) / s)^2)^-1/2 g + bias
 */
an_value *an_part_layer_norm(const frame *f, an_value *x, an_value *g,
                             an_value *bias)
{
    an_builder *b = f->b;
    int64_t width = f->config->facts.width;
    an_value *s = NULL;
    an_value *u = scaled_down(f, x, "s", &s);
    an_value *mean = an_emit_scale(b, an_emit_sum(b, u, 1, &channel_axis),
                                   1 / (double)width);
    an_value *c = an_emit_binary(b, "sub", u, mean);
    an_value *normal =
        an_emit_binary(b, "mul", c, inverse_root(f, c, s, width));
    return an_emit_binary(b, "add", an_emit_binary(b, "mul", normal, g), bias);
}

/* ---- attention ---- */

/*
 * heads hd channels of N columns as [lead, group, hd, S], lead x group =
 * batch x heads: by way of [heads, hd, B, S] and [B, heads, hd, S], which at
 * B = 1 is a reshape.
 */
static an_value *split_heads(const frame *f, an_value *x, int64_t heads,
                             int64_t lead, int64_t group)
{
    int64_t hd = f->config->facts.head_dim;
    if (f->batch > 1) {
        x = an_part_shaped(f, x, heads, hd, f->batch, f->sequence);
        x = an_emit_transpose(f->b, x, (const int[]){2, 0, 1, 3});
    }
    return an_part_shaped(f, x, lead, group, hd, f->sequence);
}

/* The inverse: [.., .., hd, S] to H hd channels of N columns. */
static an_value *join_heads(const frame *f, an_value *x)
{
    int64_t heads = f->config->facts.n_heads, hd = f->config->facts.head_dim;
    if (f->batch == 1) return an_part_as_channels(f, x, heads * hd);
    x = an_part_shaped(f, x, f->batch, heads, hd, f->sequence);
    x = an_emit_transpose(f->b, x, (const int[]){1, 2, 0, 3});
    return an_part_as_channels(f, x, heads * hd);
}

/* softmax(scores / sqrt(hd) + mask) over the last axis. */
static an_value *probabilities(const frame *f, an_value *scores, an_value *mask)
{
    an_builder *b = f->b;
    double hd = (double)f->config->facts.head_dim;
    an_part_named(f, scores, "scores");
    an_value *masked =
        an_emit_binary(b, "add", an_emit_scale(b, scores, 1 / sqrt(hd)), mask);
    an_value *axis = an_build_int(b, -1);
    return an_build(b, "softmax", "p", AN_ARGS({"x", masked}, {"axis", axis}));
}

static an_value *full_attention(const frame *f, an_value *q, an_value *k,
                                an_value *v)
{
    const an_model_facts *m = &f->config->facts;
    int64_t group = m->n_heads / m->n_kv_heads;
    /* Without groups [B, H, hd, S], else [B KV, G, hd, S], G broadcast. */
    int64_t lead = group == 1 ? f->batch : f->batch * m->n_kv_heads;
    int64_t kv_group = group == 1 ? m->n_heads : 1;
    q = split_heads(f, q, m->n_heads, lead, group == 1 ? m->n_heads : group);
    k = split_heads(f, k, m->n_kv_heads, lead, kv_group);
    v = split_heads(f, v, m->n_kv_heads, lead, kv_group);
    an_value *scores = an_emit_matmul(f->b, q, k, true, false);
    an_value *mask = constant(
        f, &mask_table, AN_TENSOR(f->dtype, 1, 1, f->sequence, f->sequence));
    an_value *heads =
        an_emit_matmul(f->b, v, probabilities(f, scores, mask), false, true);
    /* The name goes to the value that is the operand of w_o's gradient: at
     * B = 1 the heads themselves, which join by a reshape. */
    if (f->batch == 1) an_part_named(f, heads, "attn");
    an_value *joined = join_heads(f, heads);
    if (f->batch > 1) an_part_named(f, joined, "attn");
    return joined;
}

/*
 * One column over P earlier ones, with G queries a key-value head, as rows:
 *     scores [1, KV, G, P + 1] = [q k_cache^T, q k^T]
 *     heads [1, KV, G, hd] = p[.., :P] v_cache^T + p[.., P] v
 * so the cache is read where it lies, each product along its last axis.
 */
static an_value *decode_attention(const frame *f, an_value *q, an_value *k,
                                  an_value *v)
{
    const an_model_facts *m = &f->config->facts;
    an_builder *b = f->b;
    int64_t kv = m->n_kv_heads, group = m->n_heads / kv, hd = m->head_dim;
    int64_t past = f->capacity;
    an_value *k_cache =
        an_build_param(b, "k_cache", AN_TENSOR(f->dtype, 1, kv, past, hd));
    an_value *v_cache =
        an_build_param(b, "v_cache", AN_TENSOR(f->dtype, 1, kv, hd, past));
    an_value *mask =
        an_build_param(b, "mask", AN_TENSOR(f->dtype, 1, 1, 1, past + 1));
    q = an_part_shaped(f, q, 1, kv, group, hd);
    k = an_part_shaped(f, k, 1, kv, 1, hd);
    v = an_part_shaped(f, v, 1, kv, 1, hd);
    an_value *scores[] = {an_emit_matmul(b, q, k_cache, false, true),
                          an_emit_matmul(b, q, k, false, true)};
    an_value *p = probabilities(f, an_emit_concat(b, 2, scores, 3), mask);
    an_value *p_past = an_emit_slice(b, p, (const int64_t[]){0, 0, 0, 0},
                                     (const int64_t[]){1, kv, group, past});
    an_value *p_self = an_emit_slice(b, p, (const int64_t[]){0, 0, 0, past},
                                     (const int64_t[]){1, kv, group, 1});
    an_value *heads = an_emit_binary(
        b, "add", an_emit_matmul(b, p_past, v_cache, false, true),
        an_emit_binary(b, "mul", p_self, v));
    return an_part_named(f, an_part_as_channels(f, heads, m->n_heads * hd),
                         "attn");
}

/* A result of [1, KV hd, 1, N]. */
static void give(const frame *f, an_value *x, const char *name)
{
    int64_t rows = f->config->facts.n_kv_heads * f->config->facts.head_dim;
    an_value *y = an_part_named(f, an_part_as_channels(f, x, rows), name);
    if (y) an_build_result(f->b, y);
}

an_value *an_part_attention(const frame *f, an_value *q, an_value *k,
                            an_value *v)
{
    if (f->form != AN_FORM_FULL) {
        give(f, k, "k");
        give(f, v, "v");
    }
    return f->form == AN_FORM_DECODE ? decode_attention(f, q, k, v)
                                     : full_attention(f, q, k, v);
}
