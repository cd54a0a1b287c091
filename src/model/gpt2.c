/*
 * GPT-2: LayerNorm, learned positions, gelu in its tanh form, biases on all
 * projections of the blocks, classifier tied to the embedding.
 *
 * Source: Radford et al. 2019, "Language Models are Unsupervised Multitask
 * Learners"; names and keys as in transformers' GPT2LMHeadModel, whose
 * matrices of the blocks are stored [inputs, outputs].
 */
#include "model/parts.h"

#include <stdio.h>
#include <string.h>

typedef an_block_frame frame;

/* ---- blocks ---- */

static an_value *norm_ports(const frame *f, an_value *x)
{
    int64_t width = f->config->facts.width;
    an_value *g = an_part_vector(f, "norm", width);
    an_value *bias = an_part_vector(f, "norm_bias", width);
    return an_part_named(f, an_part_layer_norm(f, x, g, bias), "xn");
}

/* W x + b as [1, rows, 1, N], with W and b as parameters. */
static an_value *affine(const frame *f, an_value *x, const char *weight,
                        const char *bias, int64_t rows, int64_t columns)
{
    an_value *w = an_part_matrix(f, weight, rows, columns);
    an_value *b = an_part_vector(f, bias, rows);
    an_value *product = an_part_as_channels(f, an_part_project(f, w, x), rows);
    return an_emit_binary(f->b, "add", product, b);
}

static void build_attention(const frame *f, an_value *x)
{
    int64_t width = f->config->facts.width;
    an_value *xn = norm_ports(f, x);
    an_value *qkv = an_part_named(
        f, affine(f, xn, "w_qkv", "b_qkv", 3 * width, width), "qkv");
    an_value *q = an_part_channels(f, qkv, 0, width);
    an_value *k = an_part_channels(f, qkv, width, width);
    an_value *v =
        an_part_named(f, an_part_channels(f, qkv, 2 * width, width), "v");
    an_value *o =
        affine(f, an_part_attention(f, q, k, v), "w_o", "b_o", width, width);
    an_build_result(f->b,
                    an_part_named(f, an_emit_binary(f->b, "add", x, o), "y"));
}

static void build_mlp(const frame *f, an_value *x)
{
    int64_t width = f->config->facts.width, hidden = f->config->facts.hidden;
    an_builder *b = f->b;
    an_value *xn = norm_ports(f, x);
    an_value *up =
        an_part_named(f, affine(f, xn, "w_up", "b_up", hidden, width), "up");
    an_value *mode = an_build_string(b, "TANH_APPROXIMATION");
    an_value *act =
        an_build(b, "gelu", "act", AN_ARGS({"x", up}, {"mode", mode}));
    an_value *down = affine(f, act, "w_down", "b_down", width, hidden);
    an_build_result(b,
                    an_part_named(f, an_emit_binary(b, "add", x, down), "y"));
}

static void build_head(const frame *f, an_value *x)
{
    const an_model_facts *m = &f->config->facts;
    an_value *xn = norm_ports(f, x);
    an_value *w =
        an_part_matrix(f, m->tied ? "embed" : "head", m->vocab_size, m->width);
    an_value *logits =
        an_part_as_channels(f, an_part_project(f, w, xn), m->vocab_size);
    an_build_result(f->b, an_part_named(f, logits, "logits"));
}

static const char *const attention_taps[] = {"xn", "qkv", "attn"};
static const char *const attention_cuts[] = {"d_scores d_v"};
static const char *const mlp_taps[] = {"xn", "up", "act"};
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
enum {
    BLOCK_ATTENTION,
    BLOCK_MLP,
    N_BLOCKS = sizeof blocks / sizeof blocks[0]
};

static const an_block_row *block_of(const an_config *c, int block)
{
    (void)c;
    if (block == AN_BLOCK_HEAD) return &head_block;
    return block >= 0 && block < N_BLOCKS ? &blocks[block] : NULL;
}

/* ---- parameters ---- */

static void add_vector(an_lister *l, int layer, int block, const char *name,
                       const char *port, double mean, const char *file_name,
                       int64_t rows)
{
    const an_part_spec part = {file_name, rows};
    an_list_vector(l, layer, block, name, port, mean, &part, 1);
}

static void add_matrix(an_lister *l, int layer, int block, const char *port,
                       double std, const char *file_name, int64_t rows,
                       int64_t columns)
{
    const an_part_spec part = {file_name, rows};
    an_list_matrix(l, layer, block, port, columns, std, &part, 1);
}

static void add_layer(an_lister *l, int i)
{
    const an_config *c = l->config;
    int64_t width = c->facts.width, hidden = c->facts.hidden;
    double std = c->initializer_range, residual = an_list_residual_std(c);
    const int a = BLOCK_ATTENTION, m = BLOCK_MLP;
    add_vector(l, i, a, "attention_norm", "norm", 1, "ln_1.weight", width);
    add_vector(l, i, a, "attention_norm_bias", "norm_bias", 0, "ln_1.bias",
               width);
    add_matrix(l, i, a, "w_qkv", std, "attn.c_attn.weight", 3 * width, width);
    add_vector(l, i, a, "b_qkv", "b_qkv", 0, "attn.c_attn.bias", 3 * width);
    add_matrix(l, i, a, "w_o", residual, "attn.c_proj.weight", width, width);
    add_vector(l, i, a, "b_o", "b_o", 0, "attn.c_proj.bias", width);
    add_vector(l, i, m, "mlp_norm", "norm", 1, "ln_2.weight", width);
    add_vector(l, i, m, "mlp_norm_bias", "norm_bias", 0, "ln_2.bias", width);
    add_matrix(l, i, m, "w_up", std, "mlp.c_fc.weight", hidden, width);
    add_vector(l, i, m, "b_up", "b_up", 0, "mlp.c_fc.bias", hidden);
    add_matrix(l, i, m, "w_down", residual, "mlp.c_proj.weight", width, hidden);
    add_vector(l, i, m, "b_down", "b_down", 0, "mlp.c_proj.bias", width);
}

static void list_params(an_lister *l)
{
    const an_config *c = l->config;
    const an_model_facts *f = &c->facts;
    double std = c->initializer_range;
    l->layer_prefix = "transformer.h";
    l->order = AN_COLUMNS_FIRST;
    add_matrix(l, -1, AN_BLOCK_EMBED, "embed", std, "transformer.wte.weight",
               f->vocab_size, f->width);
    add_matrix(l, -1, AN_BLOCK_EMBED, "positions", std,
               "transformer.wpe.weight", f->positions, f->width);
    for (int i = 0; i < f->n_layers; i++)
        add_layer(l, i);
    add_vector(l, -1, AN_BLOCK_HEAD, "final_norm", "norm", 1,
               "transformer.ln_f.weight", f->width);
    add_vector(l, -1, AN_BLOCK_HEAD, "final_norm_bias", "norm_bias", 0,
               "transformer.ln_f.bias", f->width);
    if (!f->tied)
        add_matrix(l, -1, AN_BLOCK_HEAD, "head", std, "lm_head.weight",
                   f->vocab_size, f->width);
}

/* ---- config.json ---- */

// clang-format off
static const an_fixed_key fixed_keys[] = {
    {"scale_attn_weights", "true", true},
    {"scale_attn_by_inverse_layer_idx", "false", true},
    {"add_cross_attention", "false", true},
    {"quantization_config", "null", true},
};
// clang-format on
enum { N_FIXED = sizeof fixed_keys / sizeof fixed_keys[0] };

static bool serves(const char *model_type)
{
    return strcmp(model_type, "gpt2") == 0;
}

static an_status read_sizes(const json_t *file, const char *path,
                            an_model_facts *f, an_error *err)
{
    const an_int_key given[] = {{"n_embd", 65536, &f->width},
                                {"n_layer", 1024, &f->n_layers},
                                {"n_head", 1024, &f->n_heads},
                                {"n_positions", 1 << 24, &f->positions},
                                {"vocab_size", 1 << 24, &f->vocab_size}};
    an_status s = an_config_ints(file, given, 5, path, err);
    if (s != AN_OK) return s;
    f->hidden = 4 * f->width;
    f->tied = true;
    const an_int_key inner = {"n_inner", 262144, &f->hidden};
    s = an_config_ints(file, &inner, 1, path, err);
    if (s == AN_OK)
        s = an_json_bool(file, "tie_word_embeddings", &f->tied, err);
    f->sequence = f->positions;
    f->n_kv_heads = f->n_heads;
    f->head_dim = f->width / f->n_heads;
    if (s == AN_OK && f->width % f->n_heads != 0)
        s = an_fail(err, AN_EFORMAT,
                    "%s: n_embd %lld does not divide among %lld heads", path,
                    (long long)f->width, (long long)f->n_heads);
    return s;
}

static an_status read_config(const json_t *file, const char *path, an_config *c,
                             an_error *err)
{
    const char *act = "gelu_new";
    c->norm_epsilon = 1e-5;
    an_status s = an_config_fixed(file, fixed_keys, N_FIXED, path, err);
    if (s == AN_OK) s = an_json_string(file, "activation_function", &act, err);
    if (s == AN_OK && strcmp(act, "gelu_new") != 0 &&
        strcmp(act, "gelu_pytorch_tanh") != 0) /* the same formula */
        s = an_fail(err, AN_EUNSUPPORTED,
                    "%s: 'activation_function' is not supported unless it is "
                    "\"gelu_new\"",
                    path);
    if (s == AN_OK) s = read_sizes(file, path, &c->facts, err);
    if (s == AN_OK)
        s = an_config_real(file, "layer_norm_epsilon", 1e-12, 1, path,
                           &c->norm_epsilon, err);
    return s;
}

static void write_config(const an_config *c, char *out, size_t size)
{
    const an_model_facts *f = &c->facts;
    snprintf(out, size,
             "{\n"
             "  \"architectures\": [\"GPT2LMHeadModel\"],\n"
             "  \"model_type\": \"gpt2\",\n"
             "  \"activation_function\": \"gelu_new\",\n"
             "  \"n_embd\": %lld,\n"
             "  \"n_inner\": %lld,\n"
             "  \"n_layer\": %lld,\n"
             "  \"n_head\": %lld,\n"
             "  \"n_positions\": %lld,\n"
             "  \"vocab_size\": %lld,\n"
             "  \"tie_word_embeddings\": %s,\n"
             "  \"layer_norm_epsilon\": %s,\n"
             "  \"initializer_range\": %s\n"
             "}\n",
             (long long)f->width, (long long)f->hidden, (long long)f->n_layers,
             (long long)f->n_heads, (long long)f->positions,
             (long long)f->vocab_size, f->tied ? "true" : "false",
             an_config_real_text(c->norm_epsilon).text,
             an_config_real_text(c->initializer_range).text);
}

const an_architecture an_architecture_gpt2 = {
    .serves = serves,
    .read_config = read_config,
    .write_config = write_config,
    .list_params = list_params,
    .block = block_of,
    .lora_targets = "c_attn",
};
