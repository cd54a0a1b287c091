/*
 * config.json of Llama's kin: the keys and defaults of transformers'
 * LlamaConfig, MistralConfig, Qwen2Config and Qwen3Config. RoPE comes in two
 * spellings: rope_theta with rope_scaling, and from transformers 5 on
 * rope_parameters with all of it; the first one is written, which both read.
 */
#include "model/llama.h"

#include <stdio.h>
#include <string.h>

// clang-format off
static const an_llama_variant variants[] = {
    {"llama",   "LlamaForCausalLM",   AN_QKV_PLAIN, AN_QK_PLAIN},
    {"mistral", "MistralForCausalLM", AN_QKV_PLAIN, AN_QK_PLAIN},
    {"qwen2",   "Qwen2ForCausalLM",   AN_QKV_BIAS,  AN_QK_PLAIN},
    {"qwen3",   "Qwen3ForCausalLM",   AN_QKV_PLAIN, AN_QK_NORM},
};
static const an_fixed_key fixed_keys[] = {
    {"hidden_act", "\"silu\"", false},
    {"attention_bias", "false", true},
    {"mlp_bias", "false", true},
    {"attention_dropout", "0.0", true},
    {"partial_rotary_factor", "1.0", true},
    {"quantization_config", "null", true},
    {"final_logit_softcapping", "null", true},
    {"attn_logit_softcapping", "null", true},
};
// clang-format on
enum {
    N_VARIANTS = sizeof variants / sizeof variants[0],
    N_FIXED = sizeof fixed_keys / sizeof fixed_keys[0]
};

const an_llama_variant *an_llama_variant_find(const char *model_type)
{
    for (int i = 0; i < N_VARIANTS; i++)
        if (strcmp(variants[i].model_type, model_type) == 0)
            return &variants[i];
    return NULL;
}

/* ---- reading ---- */

/* A window that is not in use, or not smaller than the model's sequence. */
static an_status check_window(const json_t *file, const char *path,
                              const an_model_facts *f, an_error *err)
{
    bool uses = true;
    int64_t window = f->sequence;
    an_status s = an_json_bool(file, "use_sliding_window", &uses, err);
    if (s == AN_OK && uses)
        s = an_json_int(file, "sliding_window", 1, INT64_MAX, &window, err);
    if (s == AN_OK && uses && window < f->sequence)
        s = an_fail(err, AN_EUNSUPPORTED,
                    "%s: 'sliding_window' of %lld in %lld positions is not "
                    "supported",
                    path, (long long)window, (long long)f->sequence);
    const json_t *types = json_object_get(file, "layer_types");
    for (size_t i = 0; s == AN_OK && i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (!type || strcmp(type, "full_attention") != 0)
            s = an_fail(err, AN_EUNSUPPORTED,
                        "%s: 'layer_types' has \"%.32s\", expected "
                        "full_attention",
                        path, type ? type : "?");
    }
    return s;
}

static an_status read_sizes(const json_t *file, const char *path,
                            an_model_facts *f, an_error *err)
{
    const an_int_key given[] = {{"hidden_size", 65536, &f->width},
                                {"intermediate_size", 262144, &f->hidden},
                                {"num_hidden_layers", 1024, &f->n_layers},
                                {"num_attention_heads", 1024, &f->n_heads},
                                {"vocab_size", 1 << 24, &f->vocab_size}};
    const an_int_key derived[] = {
        {"num_key_value_heads", 1024, &f->n_kv_heads},
        {"head_dim", 4096, &f->head_dim},
        {"max_position_embeddings", 1 << 24, &f->sequence}};
    an_status s = an_config_ints(file, given, 5, path, err);
    if (s != AN_OK) return s;
    const json_t *head_dim = json_object_get(file, "head_dim");
    f->n_kv_heads = f->n_heads;
    f->sequence = 2048;
    f->head_dim = f->width / f->n_heads;
    if ((!head_dim || json_is_null(head_dim)) && f->width % f->n_heads != 0)
        return an_fail(err, AN_EFORMAT,
                       "%s: hidden_size %lld does not divide among %lld heads",
                       path, (long long)f->width, (long long)f->n_heads);
    if (f->head_dim == 0) f->head_dim = 1; /* then the file says */
    s = an_config_ints(file, derived, 3, path, err);
    return s == AN_OK ? an_config_sizes(f, path, err) : s;
}

static an_status read_stretch(const json_t *object, const char *path,
                              an_rope *r, an_error *err)
{
    an_status s =
        an_config_real(object, "factor", 1, 1e6, path, &r->factor, err);
    if (s == AN_OK && r->factor == 0)
        s = an_fail(err, AN_EFORMAT, "%s: expected the key 'factor'", path);
    if (s != AN_OK || r->kind == AN_ROPE_LINEAR) return s;
    s = an_config_real(object, "low_freq_factor", 1e-6, 1e6, path, &r->low,
                       err);
    if (s == AN_OK)
        s = an_config_real(object, "high_freq_factor", 1e-6, 1e6, path,
                           &r->high, err);
    if (s == AN_OK)
        s = an_config_real(object, "original_max_position_embeddings", 1, 1e9,
                           path, &r->original, err);
    if (s == AN_OK && !(r->high > r->low))
        s = an_fail(err, AN_EFORMAT,
                    "%s: high_freq_factor is %g, expected more than %g", path,
                    r->high, r->low);
    return s;
}

/* rope_scaling or rope_parameters. */
static an_status read_rope_object(const json_t *file, const char *key,
                                  const char *path, an_rope *r, an_error *err)
{
    static const char *const names[] = {"default", "linear", "llama3"};
    const json_t *object = json_object_get(file, key);
    const char *type = "default";
    if (!object || json_is_null(object)) return AN_OK;
    if (!json_is_object(object))
        return an_fail(err, AN_EFORMAT, "%s: '%s': expected an object", path,
                       key);
    an_status s = an_json_string(object, "type", &type, err); /* once */
    if (s == AN_OK) s = an_json_string(object, "rope_type", &type, err);
    if (s == AN_OK)
        s = an_config_real(object, "rope_theta", 1, 1e12, path, &r->theta, err);
    for (int i = 0; s == AN_OK && i < 3; i++) {
        if (strcmp(type, names[i]) != 0) continue;
        r->kind = (an_rope_kind)i;
        return i == AN_ROPE_DEFAULT ? AN_OK
                                    : read_stretch(object, path, r, err);
    }
    if (s != AN_OK) return s;
    return an_fail(err, AN_EUNSUPPORTED,
                   "%s: '%s' of type \"%.32s\" is not supported, only linear "
                   "and llama3",
                   path, key, type);
}

static an_status read_rope(const json_t *file, const char *path, an_rope *r,
                           an_error *err)
{
    *r = (an_rope){.theta = 1e4, .low = 1, .high = 4, .original = 8192};
    an_status s =
        an_config_real(file, "rope_theta", 1, 1e12, path, &r->theta, err);
    if (s == AN_OK) s = read_rope_object(file, "rope_scaling", path, r, err);
    if (s == AN_OK) s = read_rope_object(file, "rope_parameters", path, r, err);
    return s;
}

an_status an_llama_read_config(const json_t *file, const char *path,
                               an_config *c, an_error *err)
{
    const char *type = json_string_value(json_object_get(file, "model_type"));
    c->variant = an_llama_variant_find(type);
    c->norm_epsilon = 1e-6;
    an_status s = an_config_fixed(file, fixed_keys, N_FIXED, path, err);
    if (s == AN_OK) s = read_sizes(file, path, &c->facts, err);
    if (s == AN_OK) s = check_window(file, path, &c->facts, err);
    if (s == AN_OK)
        s = an_json_bool(file, "tie_word_embeddings", &c->facts.tied, err);
    if (s == AN_OK)
        s = an_config_real(file, "rms_norm_eps", 1e-12, 1, path,
                           &c->norm_epsilon, err);
    return s == AN_OK ? read_rope(file, path, &c->rope, err) : s;
}

/* ---- writing ---- */

static void put_scaling(const an_rope *r, char *out, size_t size)
{
    out[0] = 0;
    if (r->kind == AN_ROPE_LINEAR)
        snprintf(out, size,
                 "  \"rope_scaling\": {\"rope_type\": \"linear\", "
                 "\"factor\": %s},\n",
                 an_config_real_text(r->factor).text);
    else if (r->kind == AN_ROPE_LLAMA3)
        snprintf(out, size,
                 "  \"rope_scaling\": {\"rope_type\": \"llama3\", "
                 "\"factor\": %s, \"low_freq_factor\": %s, "
                 "\"high_freq_factor\": %s, "
                 "\"original_max_position_embeddings\": %lld},\n",
                 an_config_real_text(r->factor).text,
                 an_config_real_text(r->low).text,
                 an_config_real_text(r->high).text, (long long)r->original);
}

void an_llama_write_config(const an_config *c, char *out, size_t size)
{
    const an_model_facts *f = &c->facts;
    char scaling[512];
    put_scaling(&c->rope, scaling, sizeof scaling);
    snprintf(
        out, size,
        "{\n"
        "  \"architectures\": [\"%s\"],\n"
        "  \"model_type\": \"%s\",\n"
        "  \"hidden_act\": \"silu\",\n"
        "  \"hidden_size\": %lld,\n"
        "  \"intermediate_size\": %lld,\n"
        "  \"num_hidden_layers\": %lld,\n"
        "  \"num_attention_heads\": %lld,\n"
        "  \"num_key_value_heads\": %lld,\n"
        "  \"head_dim\": %lld,\n"
        "  \"vocab_size\": %lld,\n"
        "  \"max_position_embeddings\": %lld,\n"
        "%s"
        "  \"tie_word_embeddings\": %s,\n"
        "  \"rms_norm_eps\": %s,\n"
        "  \"rope_theta\": %s,\n"
        "%s"
        "  \"initializer_range\": %s\n"
        "}\n",
        c->variant->class_name, c->variant->model_type, (long long)f->width,
        (long long)f->hidden, (long long)f->n_layers, (long long)f->n_heads,
        (long long)f->n_kv_heads, (long long)f->head_dim,
        (long long)f->vocab_size, (long long)f->sequence,
        strcmp(c->variant->model_type, "mistral") == 0
            ? "  \"sliding_window\": null,\n"
            : "",
        f->tied ? "true" : "false", an_config_real_text(c->norm_epsilon).text,
        an_config_real_text(c->rope.theta).text, scaling,
        an_config_real_text(c->initializer_range).text);
}
