/*
 * The Llama family as MIL: attention, mlp and head, each a function "forward"
 * on x [1, D, 1, N], N = batch x sequence, columns sequence-major; and their
 * parameters. Qwen 2 adds biases to q, k and v; Qwen 3 norms each head of q
 * and k before RoPE.
 *
 * Sources: Touvron et al. 2023 (arXiv:2302.13971) for the architecture;
 * RoFormer (arXiv:2104.09864) for RoPE, in the rotate-half order of Hugging
 * Face's files; Ainslie et al. 2023 (arXiv:2305.13245) for grouped queries;
 * Llama 3's stretched frequencies: meta-llama/llama-models, apply_scaling.
 */
#include "model/llama.h"

#include "model/parts.h"

#include <math.h>

typedef an_block_frame frame;

/* ---- RoPE ---- */

double an_llama_frequency(const an_config *c, int64_t pair)
{
    const an_rope *r = &c->rope;
    double share = 2.0 * (double)pair / (double)c->facts.head_dim;
    double w = pow(r->theta, -share);
    if (r->kind == AN_ROPE_DEFAULT) return w;
    if (r->kind == AN_ROPE_LINEAR) return w / r->factor;
    double waves = r->original * w / (2 * acos(-1.0));
    if (waves > r->high) return w;
    if (waves < r->low) return w / r->factor;
    double smooth = (waves - r->low) / (r->high - r->low);
    return (1 - smooth) * w / r->factor + smooth * w;
}

static double cosine(const an_config *c, int64_t pair, int64_t position)
{
    return cos((double)position * an_llama_frequency(c, pair));
}

static double sine(const an_config *c, int64_t pair, int64_t position)
{
    return sin((double)position * an_llama_frequency(c, pair));
}

static int64_t pairs(const an_config *c)
{
    return c->facts.head_dim / 2;
}

enum { TABLE_COS, TABLE_SIN, N_TABLES };
static const an_table tables[N_TABLES] = {
    [TABLE_COS] = {"cos", pairs, cosine},
    [TABLE_SIN] = {"sin", pairs, sine},
};

/* x [heads, hd, 1, N], rotated: pair i of a head is channels i and i + hd/2. */
static an_value *rope(const frame *f, an_value *x, an_value *cos_table,
                      an_value *sin_table)
{
    an_builder *b = f->b;
    int64_t half = f->config->facts.head_dim / 2;
    an_value *x1 = an_part_channels(f, x, 0, half);
    an_value *x2 = an_part_channels(f, x, half, half);
    an_value *y1 =
        an_emit_binary(b, "sub", an_emit_binary(b, "mul", x1, cos_table),
                       an_emit_binary(b, "mul", x2, sin_table));
    an_value *y2 =
        an_emit_binary(b, "add", an_emit_binary(b, "mul", x2, cos_table),
                       an_emit_binary(b, "mul", x1, sin_table));
    return an_emit_concat(b, 2, (an_value *const[]){y1, y2}, 1);
}

/* ---- blocks ---- */

/* Each head of x over its own channels. */
static an_value *by_heads(const frame *f, an_value *x, int64_t heads)
{
    return an_part_shaped(f, x, heads, f->config->facts.head_dim, 1,
                          f->columns);
}

static an_value *qkv_of(const frame *f, an_value *w, an_value *bias,
                        an_value *xn, int64_t rows)
{
    an_value *product = an_part_project(f, w, xn);
    if (!bias)
        return an_part_as_channels(f, an_part_named(f, product, "qkv"), rows);
    an_value *channels = an_part_as_channels(f, product, rows);
    return an_part_named(f, an_emit_binary(f->b, "add", channels, bias), "qkv");
}

static void build_attention(const frame *f, an_value *x)
{
    const an_model_facts *m = &f->config->facts;
    const an_llama_variant *v = f->config->variant;
    an_builder *b = f->b;
    int64_t n_q = m->n_heads * m->head_dim, n_kv = m->n_kv_heads * m->head_dim;
    int64_t n_qkv = n_q + 2 * n_kv;
    an_value *g = an_part_vector(f, "norm", m->width);
    an_value *w_qkv = an_part_matrix(f, "w_qkv", n_qkv, m->width);
    an_value *w_o = an_part_matrix(f, "w_o", m->width, n_q);
    an_value *bias =
        v->qkv == AN_QKV_BIAS ? an_part_vector(f, "b_qkv", n_qkv) : NULL;
    an_value *xn =
        an_part_named(f, an_part_rms_norm(f, x, g, m->width, "s"), "xn");
    an_value *rows = qkv_of(f, w_qkv, bias, xn, n_qkv);
    an_value *q = by_heads(f, an_part_channels(f, rows, 0, n_q), m->n_heads);
    an_value *k =
        by_heads(f, an_part_channels(f, rows, n_q, n_kv), m->n_kv_heads);
    an_value *value =
        an_part_named(f, an_part_channels(f, rows, n_q + n_kv, n_kv), "v");
    if (v->qk == AN_QK_NORM) {
        int64_t hd = m->head_dim;
        an_value *both = an_part_vector(f, "qk_norm", 2 * hd);
        q = an_part_rms_norm(f, q, an_part_channels(f, both, 0, hd), hd, "s_q");
        k = an_part_rms_norm(f, k, an_part_channels(f, both, hd, hd), hd,
                             "s_k");
    }
    an_value *cos_table = an_part_table(f, &tables[TABLE_COS]);
    an_value *sin_table = an_part_table(f, &tables[TABLE_SIN]);
    an_value *joined =
        an_part_attention(f, rope(f, q, cos_table, sin_table),
                          rope(f, k, cos_table, sin_table), value);
    an_value *o =
        an_part_as_channels(f, an_part_project(f, w_o, joined), m->width);
    an_build_result(b, an_part_named(f, an_emit_binary(b, "add", x, o), "y"));
}

static void build_mlp(const frame *f, an_value *x)
{
    const an_model_facts *m = &f->config->facts;
    an_builder *b = f->b;
    an_value *g = an_part_vector(f, "norm", m->width);
    an_value *w_gate_up =
        an_part_matrix(f, "w_gate_up", 2 * m->hidden, m->width);
    an_value *w_down = an_part_matrix(f, "w_down", m->width, m->hidden);
    an_value *xn =
        an_part_named(f, an_part_rms_norm(f, x, g, m->width, "s"), "xn");
    an_value *gate_up =
        an_part_named(f, an_part_project(f, w_gate_up, xn), "gate_up");
    an_value *rows = an_part_as_channels(f, gate_up, 2 * m->hidden);
    an_value *gate =
        an_part_named(f, an_part_channels(f, rows, 0, m->hidden), "gate");
    an_value *up =
        an_part_named(f, an_part_channels(f, rows, m->hidden, m->hidden), "up");
    an_value *sigmoid =
        an_part_named(f, an_emit_unary(b, "sigmoid", gate), "sigmoid");
    an_value *silu =
        an_part_named(f, an_emit_binary(b, "mul", gate, sigmoid), "silu");
    an_value *act = an_part_named(f, an_emit_binary(b, "mul", silu, up), "act");
    an_value *down =
        an_part_as_channels(f, an_part_project(f, w_down, act), m->width);
    an_build_result(b,
                    an_part_named(f, an_emit_binary(b, "add", x, down), "y"));
}

static void build_head(const frame *f, an_value *x)
{
    const an_model_facts *m = &f->config->facts;
    an_value *g = an_part_vector(f, "norm", m->width);
    an_value *w =
        an_part_matrix(f, m->tied ? "embed" : "head", m->vocab_size, m->width);
    an_value *xn =
        an_part_named(f, an_part_rms_norm(f, x, g, m->width, "s"), "xn");
    an_value *logits =
        an_part_as_channels(f, an_part_project(f, w, xn), m->vocab_size);
    an_build_result(f->b, an_part_named(f, logits, "logits"));
}

static const char *const attention_taps[] = {"xn", "qkv", "attn"};
static const char *const attention_cuts[] = {"d_scores d_v"};
static const char *const mlp_taps[] = {"xn", "gate_up", "act"};
static const char *const head_taps[] = {"xn"};
static const char *const norm_stops[] = {"s", "s_q", "s_k"};

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
static const an_block_row normed_attention =
    {.name = "attention", .build = build_attention,
     .taps = attention_taps, .n_taps = 3,
     .stops = norm_stops, .n_stops = 3,
     .cuts = attention_cuts, .n_cuts = 1};
static const an_block_row head_block =
    {.name = "head", .build = build_head,
     .taps = head_taps, .n_taps = 1,
     .stops = norm_stops, .n_stops = 1};
// clang-format on
enum {
    BLOCK_ATTENTION,
    BLOCK_MLP,
    N_BLOCKS = sizeof blocks / sizeof blocks[0]
};

static const an_block_row *block_of(const an_config *c, int block)
{
    if (block == AN_BLOCK_HEAD) return &head_block;
    if (block == BLOCK_ATTENTION && c->variant->qk == AN_QK_NORM)
        return &normed_attention;
    return block >= 0 && block < N_BLOCKS ? &blocks[block] : NULL;
}

/* ---- parameters ---- */

static void add_attention(an_lister *l, int layer)
{
    const an_config *c = l->config;
    const an_model_facts *f = &c->facts;
    int64_t q = f->n_heads * f->head_dim, kv = f->n_kv_heads * f->head_dim;
    const an_part_spec norm = {"input_layernorm.weight", f->width};
    const an_part_spec qkv[] = {{"self_attn.q_proj.weight", q},
                                {"self_attn.k_proj.weight", kv},
                                {"self_attn.v_proj.weight", kv}};
    const an_part_spec biases[] = {{"self_attn.q_proj.bias", q},
                                   {"self_attn.k_proj.bias", kv},
                                   {"self_attn.v_proj.bias", kv}};
    const an_part_spec qk_norm[] = {{"self_attn.q_norm.weight", f->head_dim},
                                    {"self_attn.k_norm.weight", f->head_dim}};
    const an_part_spec o = {"self_attn.o_proj.weight", f->width};
    an_list_vector(l, layer, BLOCK_ATTENTION, "attention_norm", "norm", 1,
                   &norm, 1);
    an_list_matrix(l, layer, BLOCK_ATTENTION, "w_qkv", f->width,
                   c->initializer_range, qkv, 3);
    if (c->variant->qkv == AN_QKV_BIAS)
        an_list_vector(l, layer, BLOCK_ATTENTION, "b_qkv", "b_qkv", 0, biases,
                       3);
    if (c->variant->qk == AN_QK_NORM)
        an_list_vector(l, layer, BLOCK_ATTENTION, "qk_norm", "qk_norm", 1,
                       qk_norm, 2);
    an_list_matrix(l, layer, BLOCK_ATTENTION, "w_o", q, an_list_residual_std(c),
                   &o, 1);
}

static void add_mlp(an_lister *l, int layer)
{
    const an_config *c = l->config;
    const an_model_facts *f = &c->facts;
    const an_part_spec norm = {"post_attention_layernorm.weight", f->width};
    const an_part_spec gate_up[] = {{"mlp.gate_proj.weight", f->hidden},
                                    {"mlp.up_proj.weight", f->hidden}};
    const an_part_spec down = {"mlp.down_proj.weight", f->width};
    an_list_vector(l, layer, BLOCK_MLP, "mlp_norm", "norm", 1, &norm, 1);
    an_list_matrix(l, layer, BLOCK_MLP, "w_gate_up", f->width,
                   c->initializer_range, gate_up, 2);
    an_list_matrix(l, layer, BLOCK_MLP, "w_down", f->hidden,
                   an_list_residual_std(c), &down, 1);
}

static void list_params(an_lister *l)
{
    const an_config *c = l->config;
    const an_model_facts *f = &c->facts;
    const an_part_spec embed = {"model.embed_tokens.weight", f->vocab_size};
    const an_part_spec norm = {"model.norm.weight", f->width};
    const an_part_spec head = {"lm_head.weight", f->vocab_size};
    l->layer_prefix = "model.layers";
    an_list_matrix(l, -1, AN_BLOCK_EMBED, "embed", f->width,
                   c->initializer_range, &embed, 1);
    for (int i = 0; i < f->n_layers; i++) {
        add_attention(l, i);
        add_mlp(l, i);
    }
    an_list_vector(l, -1, AN_BLOCK_HEAD, "final_norm", "norm", 1, &norm, 1);
    if (!f->tied)
        an_list_matrix(l, -1, AN_BLOCK_HEAD, "head", f->width,
                       c->initializer_range, &head, 1);
}

static bool serves(const char *model_type)
{
    return an_llama_variant_find(model_type) != NULL;
}

const an_architecture an_architecture_llama = {
    .serves = serves,
    .read_config = an_llama_read_config,
    .write_config = an_llama_write_config,
    .list_params = list_params,
    .block = block_of,
    .lora_targets = "q_proj,v_proj",
    .tables = tables,
    .n_tables = N_TABLES,
};
