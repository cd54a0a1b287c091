/*
 * The Llama family as MIL: attention, mlp and head, each a function "forward"
 * on x [1, D, 1, N], N = batch x sequence, columns sequence-major.
 *
 * Sources: Touvron et al. 2023 (arXiv:2302.13971) for the architecture;
 * RoFormer (arXiv:2104.09864) for RoPE, in the rotate-half order of Hugging
 * Face's files; Ainslie et al. 2023 (arXiv:2305.13245) for grouped queries:
 * query head h reads key-value head h div (H / KV).
 */
#include "base/alloc.h"
#include "base/half.h"
#include "mil/emit.h"
#include "mil/ir.h"
#include "model/model.h"

#include <math.h>

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

/* A constant tensor whose element (row, column) of [rows, columns] is
 * fn(f, row, column). */
static an_value *constant(const frame *f, const char *name, an_shape shape,
                          double (*fn)(const frame *f, int64_t row,
                                       int64_t column))
{
    int64_t count = an_shape_count(&shape), columns = shape.dims[3];
    void *data = an_alloc_array((size_t)count, an_dtype_size(f->dtype));
    if (!data) return an_build_fail(f->b, AN_ENOMEM, "%s: no memory", name);
    for (int64_t i = 0; i < count; i++)
        store(f->dtype, data, i, fn(f, i / columns, i % columns));
    an_value *v = an_build_const(f->b, name, shape, data);
    an_free(data);
    return v;
}

static double angle(const frame *f, int64_t pair, int64_t column)
{
    double share = 2.0 * (double)pair / (double)f->config->facts.head_dim;
    return (double)(column % f->sequence) * pow(f->config->rope_theta, -share);
}

static double cosine(const frame *f, int64_t pair, int64_t column)
{
    return cos(angle(f, pair, column));
}

static double sine(const frame *f, int64_t pair, int64_t column)
{
    return sin(angle(f, pair, column));
}

/* Finite, so that no arithmetic makes NaN of it; exp(-1e4) is 0. */
static double causal_mask(const frame *f, int64_t query, int64_t key)
{
    (void)f;
    return key > query ? -1e4 : 0;
}

/* ---- parts ---- */

static an_value *named(const frame *f, an_value *v, const char *name)
{
    if (v) an_build_rename(f->b, v, name);
    return v;
}

static an_value *shaped(const frame *f, an_value *x, int64_t a, int64_t b,
                        int64_t c, int64_t d)
{
    return an_emit_reshape(f->b, x, 4, (const int64_t[]){a, b, c, d});
}

/* Channels [begin, begin + size) of axis 1, all of the others. */
static an_value *channels(const frame *f, an_value *x, int64_t begin,
                          int64_t size)
{
    if (!x) return NULL;
    const an_shape *s = an_value_shape(x);
    return an_emit_slice(
        f->b, x, (const int64_t[]){0, begin, 0, 0},
        (const int64_t[]){s->dims[0], size, s->dims[2], s->dims[3]});
}

static an_value *vector_port(const frame *f, const char *name)
{
    return an_build_param(f->b, name,
                          AN_TENSOR(f->dtype, 1, f->config->facts.width, 1, 1));
}

static an_value *matrix_port(const frame *f, const char *name, int64_t rows,
                             int64_t columns)
{
    return an_build_param(f->b, name, AN_TENSOR(f->dtype, 1, 1, rows, columns));
}

/* W x: [1,1,O,C] by [1,C,1,N] to [1,1,O,N]. */
static an_value *project(const frame *f, an_value *w, an_value *x)
{
    if (!w) return NULL;
    int64_t inputs = an_value_shape(w)->dims[3];
    an_value *matrix = shaped(f, x, 1, 1, inputs, f->columns);
    return an_emit_matmul(f->b, w, matrix, false, false);
}

/* [1,1,C,N] as [1,C,1,N]. */
static an_value *as_channels(const frame *f, an_value *x, int64_t n_channels)
{
    return shaped(f, x, 1, n_channels, 1, f->columns);
}

/*
 * y = x g / sqrt(mean(x^2) + eps) over channels, with x divided by its largest
 * magnitude first so that fp16 squares neither overflow nor vanish:
 *     s = max(max |x|, 2^-10), u = x / s, m = sum(u u) / D
 *     y = u (m + (sqrt(eps) / s)^2)^-1/2 g
 * The result does not depend on s: s is a stop of differentiation.
 */
static an_value *rms_norm(const frame *f, an_value *x, an_value *g)
{
    an_builder *b = f->b;
    const int64_t channel_axis = 1;
    double width = (double)f->config->facts.width;
    an_value *largest = an_emit_reduce(
        b, "reduce_max", an_emit_unary(b, "abs", x), 1, &channel_axis, true);
    an_value *floor = an_build_float(b, f->dtype, 0x1p-10);
    an_value *s = named(f, an_emit_binary(b, "maximum", largest, floor), "s");
    an_value *u = named(f, an_emit_binary(b, "real_div", x, s), "u");
    an_value *sum =
        an_emit_sum(b, an_emit_binary(b, "mul", u, u), 1, &channel_axis);
    an_value *mean = an_emit_scale(b, sum, 1 / width);
    an_value *root_epsilon =
        an_build_float(b, f->dtype, sqrt(f->config->norm_epsilon));
    an_value *epsilon = an_emit_unary(
        b, "square", an_emit_binary(b, "real_div", root_epsilon, s));
    an_value *power = an_build_float(b, f->dtype, -0.5);
    an_value *r =
        named(f,
              an_emit_binary(b, "pow", an_emit_binary(b, "add", mean, epsilon),
                             power),
              "r");
    an_value *normal = an_emit_binary(b, "mul", u, r);
    return named(f, an_emit_binary(b, "mul", normal, g), "xn");
}

/* x [1, heads hd, 1, N], rotated, as [heads, hd, 1, N]: pair i of a head is
 * channels i and i + hd/2. */
static an_value *rope(const frame *f, an_value *x, int64_t heads,
                      an_value *cos_table, an_value *sin_table)
{
    an_builder *b = f->b;
    int64_t half = f->config->facts.head_dim / 2;
    x = shaped(f, x, heads, 2 * half, 1, f->columns);
    an_value *x1 = channels(f, x, 0, half), *x2 = channels(f, x, half, half);
    an_value *y1 =
        an_emit_binary(b, "sub", an_emit_binary(b, "mul", x1, cos_table),
                       an_emit_binary(b, "mul", x2, sin_table));
    an_value *y2 =
        an_emit_binary(b, "add", an_emit_binary(b, "mul", x2, cos_table),
                       an_emit_binary(b, "mul", x1, sin_table));
    return an_emit_concat(b, 2, (an_value *const[]){y1, y2}, 1);
}

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
        x = shaped(f, x, heads, hd, f->batch, f->sequence);
        x = an_emit_transpose(f->b, x, (const int[]){2, 0, 1, 3});
    }
    return shaped(f, x, lead, group, hd, f->sequence);
}

/* The inverse: [.., .., hd, S] to H hd channels of N columns. */
static an_value *join_heads(const frame *f, an_value *x)
{
    int64_t heads = f->config->facts.n_heads, hd = f->config->facts.head_dim;
    if (f->batch == 1) return as_channels(f, x, heads * hd);
    x = shaped(f, x, f->batch, heads, hd, f->sequence);
    x = an_emit_transpose(f->b, x, (const int[]){1, 2, 0, 3});
    return as_channels(f, x, heads * hd);
}

/* softmax(q^T k / sqrt(hd) + mask): [.., .., S queries, S keys]. */
static an_value *probabilities(const frame *f, an_value *q, an_value *k)
{
    an_builder *b = f->b;
    double hd = (double)f->config->facts.head_dim;
    an_value *scores = named(f, an_emit_matmul(b, q, k, true, false), "scores");
    an_value *mask =
        constant(f, "mask", AN_TENSOR(f->dtype, 1, 1, f->sequence, f->sequence),
                 causal_mask);
    an_value *masked =
        an_emit_binary(b, "add", an_emit_scale(b, scores, 1 / sqrt(hd)), mask);
    an_value *axis = an_build_int(b, -1);
    return an_build(b, "softmax", "p", AN_ARGS({"x", masked}, {"axis", axis}));
}

/* ---- blocks ---- */

static an_value *attend(const frame *f, an_value *q, an_value *k, an_value *v)
{
    const an_model_facts *m = &f->config->facts;
    int64_t group = m->n_heads / m->n_kv_heads, half = m->head_dim / 2;
    an_shape table = AN_TENSOR(f->dtype, 1, half, 1, f->columns);
    an_value *cos_table = constant(f, "cos", table, cosine);
    an_value *sin_table = constant(f, "sin", table, sine);
    q = rope(f, q, m->n_heads, cos_table, sin_table);
    k = rope(f, k, m->n_kv_heads, cos_table, sin_table);
    /* Without groups [B, H, hd, S], else [B KV, G, hd, S], G broadcast. */
    int64_t lead = group == 1 ? f->batch : f->batch * m->n_kv_heads;
    int64_t kv_group = group == 1 ? m->n_heads : 1;
    q = split_heads(f, q, m->n_heads, lead, group == 1 ? m->n_heads : group);
    k = split_heads(f, k, m->n_kv_heads, lead, kv_group);
    v = split_heads(f, v, m->n_kv_heads, lead, kv_group);
    an_value *p = probabilities(f, q, k);
    return an_emit_matmul(f->b, v, p, false, true);
}

static void build_attention(const frame *f, an_value *x)
{
    const an_model_facts *m = &f->config->facts;
    int64_t n_q = m->n_heads * m->head_dim, n_kv = m->n_kv_heads * m->head_dim;
    an_value *g = vector_port(f, "norm");
    an_value *w_qkv = matrix_port(f, "w_qkv", n_q + 2 * n_kv, m->width);
    an_value *w_o = matrix_port(f, "w_o", m->width, n_q);
    an_value *xn = rms_norm(f, x, g);
    an_value *qkv = named(f, project(f, w_qkv, xn), "qkv");
    an_value *rows = as_channels(f, qkv, n_q + 2 * n_kv);
    an_value *q = named(f, channels(f, rows, 0, n_q), "q");
    an_value *k = named(f, channels(f, rows, n_q, n_kv), "k");
    an_value *v = named(f, channels(f, rows, n_q + n_kv, n_kv), "v");
    an_value *heads = attend(f, q, k, v);
    /* The name goes to the value that is the operand of w_o's gradient: at
     * B = 1 the heads themselves, which join by a reshape. */
    if (f->batch == 1) named(f, heads, "attn");
    an_value *joined = join_heads(f, heads);
    if (f->batch > 1) named(f, joined, "attn");
    an_value *o = as_channels(f, project(f, w_o, joined), m->width);
    an_build_result(f->b, named(f, an_emit_binary(f->b, "add", x, o), "y"));
}

static void build_mlp(const frame *f, an_value *x)
{
    const an_model_facts *m = &f->config->facts;
    an_builder *b = f->b;
    an_value *g = vector_port(f, "norm");
    an_value *w_gate_up = matrix_port(f, "w_gate_up", 2 * m->hidden, m->width);
    an_value *w_down = matrix_port(f, "w_down", m->width, m->hidden);
    an_value *xn = rms_norm(f, x, g);
    an_value *gate_up = named(f, project(f, w_gate_up, xn), "gate_up");
    an_value *rows = as_channels(f, gate_up, 2 * m->hidden);
    an_value *gate = named(f, channels(f, rows, 0, m->hidden), "gate");
    an_value *up = named(f, channels(f, rows, m->hidden, m->hidden), "up");
    an_value *sigmoid = named(f, an_emit_unary(b, "sigmoid", gate), "sigmoid");
    an_value *silu = named(f, an_emit_binary(b, "mul", gate, sigmoid), "silu");
    an_value *act = named(f, an_emit_binary(b, "mul", silu, up), "act");
    an_value *down = as_channels(f, project(f, w_down, act), m->width);
    an_build_result(b, named(f, an_emit_binary(b, "add", x, down), "y"));
}

static void build_head(const frame *f, an_value *x)
{
    const an_model_facts *m = &f->config->facts;
    an_value *g = vector_port(f, "norm");
    an_value *w =
        matrix_port(f, m->tied ? "embed" : "head", m->vocab_size, m->width);
    an_value *product = project(f, w, rms_norm(f, x, g));
    an_value *logits = as_channels(f, product, m->vocab_size);
    an_build_result(f->b, named(f, logits, "logits"));
}

static const char *const attention_taps[] = {"xn", "qkv", "attn"};
static const char *const attention_cuts[] = {"d_scores d_v"};
static const char *const mlp_taps[] = {"xn", "gate_up", "act"};
static const char *const head_taps[] = {"xn"};
static const char *const norm_stops[] = {"s"};

// clang-format off
static const an_block_row blocks[] = {
    {.name = "attention", .build = build_attention,
     .taps = attention_taps, .n_taps = 3,
     .stops = norm_stops, .n_stops = 1,
     .cuts = attention_cuts, .n_cuts = 1},
    {.name = "mlp", .build = build_mlp,
     .taps = mlp_taps, .n_taps = 3,
     .stops = norm_stops, .n_stops = 1},
};
static const an_block_row head_block =
    {.name = "head", .build = build_head,
     .taps = head_taps, .n_taps = 1,
     .stops = norm_stops, .n_stops = 1};
// clang-format on
enum { N_BLOCKS = sizeof blocks / sizeof blocks[0] };

const an_block_row *an_llama_block(int block)
{
    if (block == AN_BLOCK_HEAD) return &head_block;
    return block >= 0 && block < N_BLOCKS ? &blocks[block] : NULL;
}
