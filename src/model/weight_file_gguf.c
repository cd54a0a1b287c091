/*
 * GGUF: architectures llama (RoPE's pairs are neighbours), qwen2, qwen3 (not
 * so) and gpt2. Sources: docs/gguf.md of ggml-org/ggml for the format,
 * gguf-py/gguf/constants.py of ggml-org/llama.cpp for keys and names.
 */
#include "base/gguf.h"
#include "model/export_parts.h"
#include "model/llama.h"
#include "model/weight_file_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- types ---- */

/* ggml's numbers; the names of those that are not read are for errors. */
static const struct ggml_type {
    uint32_t number;
    const char *name;
    an_stored stored; /* OTHER: not read */
} types[] = {
    // clang-format off
    {0, "F32", AN_STORED_F32},    {1, "F16", AN_STORED_F16},
    {2, "Q4_0", AN_STORED_Q4_0},  {3, "Q4_1", AN_STORED_OTHER},
    {6, "Q5_0", AN_STORED_OTHER}, {7, "Q5_1", AN_STORED_OTHER},
    {8, "Q8_0", AN_STORED_Q8_0},  {10, "Q2_K", AN_STORED_OTHER},
    {11, "Q3_K", AN_STORED_OTHER}, {12, "Q4_K", AN_STORED_OTHER},
    {13, "Q5_K", AN_STORED_OTHER}, {14, "Q6_K", AN_STORED_OTHER},
    {30, "BF16", AN_STORED_BF16}, {39, "MXFP4", AN_STORED_OTHER},
    // clang-format on
};
enum { N_TYPES = sizeof types / sizeof types[0] };

static an_status find_type(const an_gguf_tensor *t, an_stored *out,
                           an_error *err)
{
    const char *name = "?";
    for (int i = 0; i < N_TYPES; i++) {
        if (types[i].number != t->type) continue;
        *out = types[i].stored;
        if (*out != AN_STORED_OTHER) return AN_OK;
        name = types[i].name;
    }
    return an_fail(err, AN_EUNSUPPORTED,
                   "%.*s: type %s (%u) is not read: F32, F16, BF16, Q8_0 and "
                   "Q4_0 are",
                   t->name.size < 80 ? (int)t->name.size : 80, t->name.text,
                   name, (unsigned)t->type);
}

/* ---- names ---- */

typedef struct name_row {
    const char *gguf, *hf; /* after "blk.N." and after the layer's prefix */
} name_row;
// clang-format off
static const name_row llama_names[] = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight"},
    {"attn_k.weight", "self_attn.k_proj.weight"},
    {"attn_v.weight", "self_attn.v_proj.weight"},
    {"attn_q.bias", "self_attn.q_proj.bias"},
    {"attn_k.bias", "self_attn.k_proj.bias"},
    {"attn_v.bias", "self_attn.v_proj.bias"},
    {"attn_q_norm.weight", "self_attn.q_norm.weight"},
    {"attn_k_norm.weight", "self_attn.k_norm.weight"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},
    {"ffn_down.weight", "mlp.down_proj.weight"},
    {NULL, NULL},
};
static const name_row llama_ends[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
    {NULL, NULL},
};
static const name_row gpt2_names[] = {
    {"attn_norm.weight", "ln_1.weight"},
    {"attn_norm.bias", "ln_1.bias"},
    {"attn_qkv.weight", "attn.c_attn.weight"},
    {"attn_qkv.bias", "attn.c_attn.bias"},
    {"attn_output.weight", "attn.c_proj.weight"},
    {"attn_output.bias", "attn.c_proj.bias"},
    {"ffn_norm.weight", "ln_2.weight"},
    {"ffn_norm.bias", "ln_2.bias"},
    {"ffn_up.weight", "mlp.c_fc.weight"},
    {"ffn_up.bias", "mlp.c_fc.bias"},
    {"ffn_down.weight", "mlp.c_proj.weight"},
    {"ffn_down.bias", "mlp.c_proj.bias"},
    {NULL, NULL},
};
static const name_row gpt2_ends[] = {
    {"token_embd.weight", "transformer.wte.weight"},
    {"position_embd.weight", "transformer.wpe.weight"},
    {"output_norm.weight", "transformer.ln_f.weight"},
    {"output_norm.bias", "transformer.ln_f.bias"},
    {"output.weight", "lm_head.weight"},
    {NULL, NULL},
};
// clang-format on

typedef struct kind {
    const char *architecture, *prefix;
    const name_row *names, *ends;
    const char *variant; /* of Llama; NULL: GPT-2 */
    bool pairs;          /* q and k in the order of neighbours */
} kind;
static const kind kinds[] = {
    {"llama", "model.layers", llama_names, llama_ends, "llama", true},
    {"qwen2", "model.layers", llama_names, llama_ends, "qwen2", false},
    {"qwen3", "model.layers", llama_names, llama_ends, "qwen3", false},
    {"gpt2", "transformer.h", gpt2_names, gpt2_ends, NULL, false},
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static const char *find_name(const name_row *rows, const char *name)
{
    while (rows->gguf && strcmp(rows->gguf, name) != 0)
        rows++;
    return rows->hf;
}

/* Hugging Face's name; one that is not known stays as it is. */
static void translate(const kind *k, const char *name, char *out, size_t size)
{
    char *end = NULL;
    long layer = 0;
    const char *hf = find_name(k->ends, name);
    if (hf) {
        snprintf(out, size, "%s", hf);
        return;
    }
    if (strncmp(name, "blk.", 4) == 0 && name[4] >= '0' && name[4] <= '9') {
        layer = strtol(name + 4, &end, 10);
        if (*end == '.') hf = find_name(k->names, end + 1);
    }
    if (hf)
        snprintf(out, size, "%s.%ld.%s", k->prefix, layer, hf);
    else
        snprintf(out, size, "%s", name);
}

/* ---- writing ---- */

static const kind *kind_of(const an_config *c)
{
    const char *variant = c->variant ? c->variant->model_type : NULL;
    if (variant && strcmp(variant, "mistral") == 0) variant = "llama";
    for (int i = 0; i < N_KINDS; i++)
        if (variant ? kinds[i].variant && !strcmp(kinds[i].variant, variant)
                    : !kinds[i].variant)
            return &kinds[i];
    return &kinds[0];
}

const char *an_gguf_architecture(const an_config *c)
{
    return kind_of(c)->architecture;
}

bool an_gguf_has_pairs(const an_config *c)
{
    return kind_of(c)->pairs;
}

bool an_gguf_name(const an_config *c, int layer, const char *hf, char *out,
                  size_t size)
{
    const kind *k = kind_of(c);
    const name_row *rows = layer < 0 ? k->ends : k->names;
    size_t prefix = strlen(k->prefix) + 1;
    if (layer >= 0) {
        hf += prefix;
        hf += strcspn(hf, ".") + 1;
    }
    for (; rows->hf; rows++) {
        if (strcmp(rows->hf, hf) != 0) continue;
        if (layer < 0)
            snprintf(out, size, "%s", rows->gguf);
        else
            snprintf(out, size, "blk.%d.%s", layer, rows->gguf);
        return true;
    }
    return false;
}

/* ---- keys ---- */

typedef struct reader {
    an_weight_file *s;
    an_gguf g;
    const kind *kind;
    an_config c;
    an_error *err;
} reader;

/* "llama.block_count" */
static const char *key_of(const reader *r, const char *name, char *out,
                          size_t size)
{
    snprintf(out, size, "%s.%s", r->kind->architecture, name);
    return out;
}

/* From 1 to `most`; a missing one leaves what is not 0. */
static an_status read_size(const reader *r, const char *name, int64_t most,
                           int64_t *out)
{
    char key[96];
    an_status s =
        an_gguf_int(&r->g, key_of(r, name, key, sizeof key), out, r->err);
    if (s == AN_OK && (*out < 1 || *out > most))
        s = an_fail(r->err, AN_EFORMAT, "GGUF: %s is %lld, expected 1 to %lld",
                    key, (long long)*out, (long long)most);
    return s;
}

static an_status read_sizes(reader *r)
{
    an_model_facts *f = &r->c.facts;
    an_status s = read_size(r, "embedding_length", 65536, &f->width);
    if (s == AN_OK) s = read_size(r, "feed_forward_length", 262144, &f->hidden);
    if (s == AN_OK) s = read_size(r, "block_count", 1024, &f->n_layers);
    if (s == AN_OK) s = read_size(r, "attention.head_count", 1024, &f->n_heads);
    if (s == AN_OK) s = read_size(r, "context_length", 1 << 24, &f->sequence);
    if (s != AN_OK) return s;
    f->n_kv_heads = f->n_heads;
    f->head_dim = f->width / f->n_heads;
    if (f->head_dim == 0) f->head_dim = 1;
    s = read_size(r, "attention.head_count_kv", 1024, &f->n_kv_heads);
    if (s == AN_OK)
        s = read_size(r, "attention.key_length", 4096, &f->head_dim);
    if (s == AN_OK && !r->kind->variant) f->positions = f->sequence;
    return s;
}

static an_status read_real(const reader *r, const char *name, double least,
                           double most, double *out)
{
    char key[96];
    an_status s =
        an_gguf_real(&r->g, key_of(r, name, key, sizeof key), out, r->err);
    if (s == AN_OK && !(*out >= least && *out <= most))
        s = an_fail(r->err, AN_EFORMAT, "GGUF: %s is %g, expected %g to %g",
                    key, *out, least, most);
    return s;
}

/* The decimal that an fp32 was: 1e-5, not 9.99999974737875e-06. */
static double decimal(double x)
{
    char text[32];
    double y = x;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        y = strtod(text, NULL);
        if ((float)y == (float)x) return y;
    }
    return x;
}

static bool is_text(an_gguf_text t, const char *text)
{
    return t.size == strlen(text) && memcmp(t.text, text, t.size) == 0;
}

static an_status read_rope(reader *r)
{
    char key[96];
    an_gguf_text type = {"none", 4};
    an_rope *rope = &r->c.rope;
    rope->theta = 1e4;
    an_status s = read_real(r, "rope.freq_base", 1, 1e12, &rope->theta);
    if (s == AN_OK)
        s = an_gguf_string(&r->g,
                           key_of(r, "rope.scaling.type", key, sizeof key),
                           &type, r->err);
    if (s != AN_OK || is_text(type, "none")) return s;
    if (!is_text(type, "linear"))
        return an_fail(r->err, AN_EUNSUPPORTED,
                       "GGUF: RoPE's scaling is \"%.*s\", expected linear",
                       type.size < 32 ? (int)type.size : 32, type.text);
    rope->kind = AN_ROPE_LINEAR;
    rope->factor = 1;
    return read_real(r, "rope.scaling.factor", 1, 1e6, &rope->factor);
}

static an_status read_constants(reader *r)
{
    an_config *c = &r->c;
    c->initializer_range = 0.02;
    c->norm_epsilon = 1e-5;
    if (!r->kind->variant) {
        c->architecture = &an_architecture_gpt2;
        return read_real(r, "attention.layer_norm_epsilon", 1e-12, 1,
                         &c->norm_epsilon);
    }
    c->architecture = &an_architecture_llama;
    c->variant = an_llama_variant_find(r->kind->variant);
    an_status s = read_real(r, "attention.layer_norm_rms_epsilon", 1e-12, 1,
                            &c->norm_epsilon);
    return s == AN_OK ? read_rope(r) : s;
}

static an_status find_kind(reader *r)
{
    an_gguf_text name = {"", 0};
    an_status s = an_gguf_string(&r->g, "general.architecture", &name, r->err);
    for (int i = 0; s == AN_OK && i < N_KINDS; i++)
        if (is_text(name, kinds[i].architecture)) r->kind = &kinds[i];
    if (s == AN_OK && !r->kind)
        s = an_fail(r->err, AN_EUNSUPPORTED,
                    "GGUF: architecture \"%.*s\", expected llama, qwen2, qwen3 "
                    "or gpt2",
                    name.size < 32 ? (int)name.size : 32, name.text);
    return s;
}

/* ---- tensors ---- */

/* dims are fastest first; GPT-2's matrices are the transposes of Hugging
 * Face's. */
static void set_shape(const reader *r, const an_gguf_tensor *from,
                      const char *name, an_stored_tensor *t)
{
    t->rank = from->n_dims;
    for (int i = 0; i < t->rank; i++)
        t->shape[i] = (int64_t)from->dims[t->rank - 1 - i];
    t->transposed =
        !r->kind->variant && t->rank == 2 && strncmp(name, "blk.", 4) == 0;
    if (t->transposed) {
        t->shape[0] = (int64_t)from->dims[0];
        t->shape[1] = (int64_t)from->dims[1];
    }
    bool turned =
        strstr(name, ".attn_q.weight") || strstr(name, ".attn_k.weight");
    if (r->kind->pairs && turned) t->rope = r->c.facts.head_dim;
}

static an_status check_bytes(const reader *r, const an_gguf_tensor *from,
                             const an_stored_tensor *t, const char *name)
{
    const uint64_t most = UINT64_C(1) << 40;
    uint64_t n = 1;
    bool blocks = t->stored == AN_STORED_Q8_0 || t->stored == AN_STORED_Q4_0;
    for (int i = 0; i < from->n_dims; i++) {
        if (from->dims[i] < 1 || from->dims[i] > most / n)
            return an_fail(r->err, AN_EFORMAT, "%s: dimension %d is %llu", name,
                           i, (unsigned long long)from->dims[i]);
        n *= from->dims[i];
    }
    if (blocks && from->dims[0] % 32 != 0)
        return an_fail(r->err, AN_EFORMAT,
                       "%s: rows of %llu, expected a multiple of 32", name,
                       (unsigned long long)from->dims[0]);
    if (t->rope > 0 && t->shape[0] % t->rope != 0)
        return an_fail(r->err, AN_EFORMAT,
                       "%s: %lld rows, expected a multiple of %lld", name,
                       (long long)t->shape[0], (long long)t->rope);
    if (an_stored_bytes(t) <= r->s->size - from->offset) return AN_OK;
    return an_fail(r->err, AN_EFORMAT, "%s: ends behind the file's end", name);
}

/* rope_freqs.weight is no parameter, but how RoPE is stretched. */
static an_status read_factors(reader *r, const an_gguf_tensor *from,
                              const an_stored_tensor *t)
{
    char key[96];
    float factors[2048];
    double original = 0;
    int64_t n = r->c.facts.head_dim / 2;
    if (t->stored != AN_STORED_F32 || t->rank != 1 || t->shape[0] != n ||
        n > 2048)
        return an_fail(r->err, AN_EFORMAT,
                       "rope_freqs.weight: expected %lld values of fp32",
                       (long long)n);
    memcpy(factors, r->s->data + from->offset, (size_t)n * sizeof *factors);
    int64_t context = 0;
    an_status s = an_gguf_int(
        &r->g,
        key_of(r, "rope.scaling.original_context_length", key, sizeof key),
        &context, r->err);
    if (s == AN_OK && context > 0 && context < 1 << 24)
        original = (double)context;
    return s == AN_OK ? an_rope_from_factors(&r->c, factors, original, r->err)
                      : s;
}

static an_status add_tensor(reader *r, const an_gguf_tensor *from)
{
    char name[112], hf[160];
    an_stored_tensor t = {.data = r->s->data + from->offset};
    if (from->name.size >= sizeof name)
        return an_fail(r->err, AN_EFORMAT, "GGUF: a name of %zu bytes",
                       from->name.size);
    memcpy(name, from->name.text, from->name.size);
    name[from->name.size] = 0;
    an_status s = find_type(from, &t.stored, r->err);
    if (s == AN_OK) set_shape(r, from, name, &t);
    if (s == AN_OK) s = check_bytes(r, from, &t, name);
    if (s != AN_OK) return s;
    if (r->kind->variant && strcmp(name, "rope_freqs.weight") == 0)
        return read_factors(r, from, &t);
    translate(r->kind, name, hf, sizeof hf);
    if (strcmp(hf, "lm_head.weight") == 0) r->c.facts.tied = false;
    if (strcmp(name, "token_embd.weight") == 0 && t.rank == 2)
        r->c.facts.vocab_size = t.shape[0];
    return an_weight_file_add(r->s, &t, hf, r->err);
}

static an_status add_tensors(reader *r)
{
    an_status s = AN_OK;
    r->c.facts.tied = true;
    for (size_t i = 0; s == AN_OK && i < r->g.n_tensors; i++)
        s = add_tensor(r, &r->g.tensors[i]);
    if (s == AN_OK &&
        (r->c.facts.vocab_size < 1 || r->c.facts.vocab_size > 1 << 24))
        s = an_fail(r->err, AN_EFORMAT, "GGUF: no token_embd.weight");
    return s;
}

static bool is_gguf(const unsigned char *data, size_t size)
{
    return an_gguf_is(data, size);
}

static an_status list(an_weight_file *file, an_error *err)
{
    reader r = {.s = file, .err = err};
    an_status s = an_gguf_parse(file->data, file->size, &r.g, err);
    if (s != AN_OK) return s;
    s = find_kind(&r);
    if (s == AN_OK) s = read_sizes(&r);
    if (s == AN_OK) s = read_constants(&r);
    if (s == AN_OK) s = an_config_sizes(&r.c.facts, "GGUF", err);
    if (s == AN_OK) s = add_tensors(&r);
    r.c.norm_epsilon = decimal(r.c.norm_epsilon);
    r.c.rope.theta = decimal(r.c.rope.theta);
    file->config = r.c;
    file->has_config = true;
    file->has_tokenizer = an_gguf_find(&r.g, "tokenizer.ggml.tokens") != NULL;
    an_gguf_fini(&r.g);
    return s;
}

const an_weight_format an_weight_format_gguf = {
    .name = "GGUF", .is = is_gguf, .list = list};
