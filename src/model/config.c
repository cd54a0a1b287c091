/*
 * Configurations: presets, and config.json in Hugging Face's form for Llama
 * (transformers, LlamaConfig: key names and defaults). Keys that change the
 * function and are not supported are refused unless they hold the value that
 * changes nothing; keys that do not change it are skipped.
 */
#include "model/model.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct preset {
    const char *name;
    an_config config;
} preset;

// clang-format off
static const preset presets[] = {
    /* The demo: bytes, 0.76 M parameters. */
    {"small", {{.vocab_size = 257, .width = 128, .hidden = 352, .n_layers = 4,
                .n_heads = 4, .n_kv_heads = 2, .head_dim = 32, .sequence = 128,
                .tied = true}, 1e-5, 1e4, 0.02}},
    /* Bytes, 26 M parameters. */
    {"base", {{.vocab_size = 257, .width = 512, .hidden = 1408, .n_layers = 8,
               .n_heads = 8, .n_kv_heads = 8, .head_dim = 64, .sequence = 512,
               .tied = true}, 1e-5, 1e4, 0.02}},
    /* The one-layer experiment of maderix/ANE; its vocabulary is Llama 2's. */
    {"layer768", {{.vocab_size = 32000, .width = 768, .hidden = 2048,
                   .n_layers = 1, .n_heads = 12, .n_kv_heads = 12,
                   .head_dim = 64, .sequence = 512, .tied = true},
                  1e-5, 1e4, 0.02}},
    /* karpathy/llama2.c's stories110M, trained at 256 positions. */
    {"stories110m", {{.vocab_size = 32000, .width = 768, .hidden = 2048,
                      .n_layers = 12, .n_heads = 12, .n_kv_heads = 12,
                      .head_dim = 64, .sequence = 256, .tied = true},
                     1e-5, 1e4, 0.02}},
};

/* Keys that change the function, with the one value (as JSON) that is served;
 * null is served too where `null` is set. */
typedef struct fixed_key {
    const char *key, *value;
    bool null;
} fixed_key;
static const fixed_key fixed_keys[] = {
    {"model_type", "\"llama\"", false},
    {"hidden_act", "\"silu\"", false},
    {"attention_bias", "false", true},
    {"mlp_bias", "false", true},
    {"attention_dropout", "0.0", true},
    {"partial_rotary_factor", "1.0", true},
    {"rope_scaling", "null", true},
    {"rope_parameters", "null", true},
    {"sliding_window", "null", true},
    {"layer_types", "null", true},
    {"quantization_config", "null", true},
    {"final_logit_softcapping", "null", true},
    {"attn_logit_softcapping", "null", true},
};
// clang-format on
enum {
    N_PRESETS = sizeof presets / sizeof presets[0],
    N_FIXED = sizeof fixed_keys / sizeof fixed_keys[0]
};

static bool holds(const json_t *value, const fixed_key *f)
{
    if (json_is_null(value)) return f->null;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        size_t n = strlen(f->value);
        return f->value[0] == '"' && strlen(text) + 2 == n &&
               memcmp(text, f->value + 1, n - 2) == 0;
    }
    if (json_is_boolean(value))
        return strcmp(f->value, json_is_true(value) ? "true" : "false") == 0;
    if (!json_is_number(value)) return false;
    char *end;
    double served = strtod(f->value, &end);
    return *end == 0 && json_number_value(value) == served;
}

static an_status check_fixed(const json_t *file, const char *path,
                             an_error *err)
{
    for (int i = 0; i < N_FIXED; i++) {
        const json_t *value = json_object_get(file, fixed_keys[i].key);
        if (value && !holds(value, &fixed_keys[i]))
            return an_fail(err, AN_EUNSUPPORTED,
                           "%s: '%s' is not supported unless it is %s", path,
                           fixed_keys[i].key, fixed_keys[i].value);
    }
    if (!json_object_get(file, "model_type"))
        return an_fail(err, AN_EFORMAT, "%s: expected the key 'model_type'",
                       path);
    return AN_OK;
}

typedef struct int_key {
    const char *key;
    int64_t most;
    int64_t *out; /* 0: must be in the file */
} int_key;

static an_status read_ints(const json_t *file, const int_key *keys, int n,
                           const char *path, an_error *err)
{
    for (int i = 0; i < n; i++) {
        an_status s =
            an_json_int(file, keys[i].key, 1, keys[i].most, keys[i].out, err);
        if (s != AN_OK) return s;
        if (*keys[i].out == 0)
            return an_fail(err, AN_EFORMAT, "%s: expected the key '%s'", path,
                           keys[i].key);
    }
    return AN_OK;
}

static an_status check_sizes(const an_model_facts *f, const char *path,
                             an_error *err)
{
    if (f->n_heads % f->n_kv_heads != 0)
        return an_fail(err, AN_EFORMAT,
                       "%s: %lld heads do not divide among %lld key-value "
                       "heads",
                       path, (long long)f->n_heads, (long long)f->n_kv_heads);
    if (f->head_dim % 2 != 0)
        return an_fail(err, AN_EFORMAT,
                       "%s: head_dim is %lld, expected an even number", path,
                       (long long)f->head_dim);
    return AN_OK;
}

static an_status read_sizes(const json_t *file, const char *path,
                            an_model_facts *f, an_error *err)
{
    const int_key given[] = {{"hidden_size", 65536, &f->width},
                             {"intermediate_size", 262144, &f->hidden},
                             {"num_hidden_layers", 1024, &f->n_layers},
                             {"num_attention_heads", 1024, &f->n_heads},
                             {"vocab_size", 1 << 24, &f->vocab_size}};
    const int_key derived[] = {
        {"num_key_value_heads", 1024, &f->n_kv_heads},
        {"head_dim", 4096, &f->head_dim},
        {"max_position_embeddings", 1 << 24, &f->sequence}};
    an_status s = read_ints(file, given, 5, path, err);
    if (s != AN_OK) return s;
    bool derive = !json_object_get(file, "head_dim") ||
                  json_is_null(json_object_get(file, "head_dim"));
    f->n_kv_heads = f->n_heads;
    f->sequence = 2048;
    f->head_dim = f->width / f->n_heads;
    if (derive && f->width % f->n_heads != 0)
        return an_fail(err, AN_EFORMAT,
                       "%s: hidden_size %lld does not divide among %lld heads",
                       path, (long long)f->width, (long long)f->n_heads);
    for (int i = 0; s == AN_OK && i < 3; i++)
        if (!json_is_null(json_object_get(file, derived[i].key)))
            s = read_ints(file, &derived[i], 1, path, err);
    return s == AN_OK ? check_sizes(f, path, err) : s;
}

static an_status read_real(const json_t *file, const char *key, double least,
                           double most, const char *path, double *out,
                           an_error *err)
{
    an_status s = an_json_real(file, key, out, err);
    if (s != AN_OK) return s;
    if (*out >= least && *out <= most) return AN_OK;
    return an_fail(err, AN_EFORMAT, "%s: '%s' is %g, expected %g to %g", path,
                   key, *out, least, most);
}

static an_status read_config(const json_t *file, const char *path, an_config *c,
                             an_error *err)
{
    if (!json_is_object(file))
        return an_fail(err, AN_EFORMAT, "%s: expected an object", path);
    *c = (an_config){
        .norm_epsilon = 1e-6, .rope_theta = 1e4, .initializer_range = 0.02};
    an_status s = check_fixed(file, path, err);
    if (s == AN_OK) s = read_sizes(file, path, &c->facts, err);
    if (s == AN_OK)
        s = an_json_bool(file, "tie_word_embeddings", &c->facts.tied, err);
    if (s == AN_OK)
        s = read_real(file, "rms_norm_eps", 1e-12, 1, path, &c->norm_epsilon,
                      err);
    if (s == AN_OK)
        s = read_real(file, "rope_theta", 1, 1e12, path, &c->rope_theta, err);
    if (s == AN_OK)
        s = read_real(file, "initializer_range", 1e-9, 1e3, path,
                      &c->initializer_range, err);
    return s;
}

static an_status load_config(const char *path, an_config *out, an_error *err)
{
    size_t size = strlen(path);
    bool is_path = strchr(path, '/') != NULL ||
                   (size > 5 && strcmp(path + size - 5, ".json") == 0);
    if (!an_path_exists(path) && !is_path)
        return an_fail(err, AN_EINVAL,
                       "model '%s': expected small, base, layer768, "
                       "stories110m or the path of a config.json",
                       path);
    json_t *file = NULL;
    an_status s = an_json_load(path, &file, err);
    an_config c;
    if (s == AN_OK) s = read_config(file, path, &c, err);
    if (s == AN_OK) *out = c;
    json_decref(file);
    return s;
}

an_status an_config_open(const char *preset_or_path, int64_t vocab_size,
                         an_config *out, an_error *err)
{
    an_config c;
    an_status s = AN_OK;
    int i = 0;
    while (i < N_PRESETS && strcmp(presets[i].name, preset_or_path) != 0)
        i++;
    if (i < N_PRESETS)
        c = presets[i].config;
    else
        s = load_config(preset_or_path, &c, err);
    if (s != AN_OK) return s;
    if (vocab_size > 1 << 24)
        return an_fail(err, AN_EINVAL,
                       "model: vocabulary is %lld, expected at most %d",
                       (long long)vocab_size, 1 << 24);
    if (vocab_size > 0) c.facts.vocab_size = vocab_size;
    *out = c;
    return AN_OK;
}

/* The shortest decimal that reads back to x, with a point or an exponent. */
static const char *real_text(double x, char *text, size_t size)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    if (!strpbrk(text, ".e")) strncat(text, ".0", size - strlen(text) - 1);
    return text;
}

an_status an_model_config_text(const an_model *model, char **text,
                               an_error *err)
{
    const an_config *c = &model->config;
    const an_model_facts *f = &c->facts;
    char epsilon[32], theta[32], range[32];
    enum { ROOM = 1024 };
    char *out = an_alloc(ROOM);
    if (!out) return an_fail(err, AN_ENOMEM, "config.json: no memory");
    snprintf(out, ROOM,
             "{\n"
             "  \"architectures\": [\"LlamaForCausalLM\"],\n"
             "  \"model_type\": \"llama\",\n"
             "  \"hidden_act\": \"silu\",\n"
             "  \"hidden_size\": %lld,\n"
             "  \"intermediate_size\": %lld,\n"
             "  \"num_hidden_layers\": %lld,\n"
             "  \"num_attention_heads\": %lld,\n"
             "  \"num_key_value_heads\": %lld,\n"
             "  \"head_dim\": %lld,\n"
             "  \"vocab_size\": %lld,\n"
             "  \"max_position_embeddings\": %lld,\n"
             "  \"tie_word_embeddings\": %s,\n"
             "  \"rms_norm_eps\": %s,\n"
             "  \"rope_theta\": %s,\n"
             "  \"initializer_range\": %s\n"
             "}\n",
             (long long)f->width, (long long)f->hidden, (long long)f->n_layers,
             (long long)f->n_heads, (long long)f->n_kv_heads,
             (long long)f->head_dim, (long long)f->vocab_size,
             (long long)f->sequence, f->tied ? "true" : "false",
             real_text(c->norm_epsilon, epsilon, sizeof epsilon),
             real_text(c->rope_theta, theta, sizeof theta),
             real_text(c->initializer_range, range, sizeof range));
    *text = out;
    return AN_OK;
}
