/*
 * Configurations: presets, and config.json in Hugging Face's form. Keys that
 * change the function and are not supported are refused unless they hold the
 * value that changes nothing; keys that do not change it are skipped. Which
 * keys there are is for the architecture to say.
 */
#include "model/llama.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Presets are Llamas. */
typedef struct preset {
    const char *name;
    an_model_facts facts;
} preset;

// clang-format off
static const preset presets[] = {
    /* The demo: bytes, 0.76 M parameters. */
    {"small", {.vocab_size = 257, .width = 128, .hidden = 352, .n_layers = 4,
                .n_heads = 4, .n_kv_heads = 2, .head_dim = 32, .sequence = 128,
                .tied = true}},
    /* Bytes, 26 M parameters. */
    {"base", {.vocab_size = 257, .width = 512, .hidden = 1408, .n_layers = 8,
               .n_heads = 8, .n_kv_heads = 8, .head_dim = 64, .sequence = 512,
               .tied = true}},
    /* The one-layer experiment of maderix/ANE; its vocabulary is Llama 2's. */
    {"layer768", {.vocab_size = 32000, .width = 768, .hidden = 2048,
                   .n_layers = 1, .n_heads = 12, .n_kv_heads = 12,
                   .head_dim = 64, .sequence = 512, .tied = true}},
    /* karpathy/llama2.c's stories110M, trained at 256 positions. */
    {"stories110m", {.vocab_size = 32000, .width = 768, .hidden = 2048,
                      .n_layers = 12, .n_heads = 12, .n_kv_heads = 12,
                      .head_dim = 64, .sequence = 256, .tied = true}},
};

// clang-format on
static const an_architecture *const architectures[] = {&an_architecture_llama,
                                                       &an_architecture_gpt2};
enum {
    N_PRESETS = sizeof presets / sizeof presets[0],
    N_ARCHITECTURES = sizeof architectures / sizeof architectures[0]
};

static bool holds(const json_t *value, const an_fixed_key *f)
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

an_status an_config_fixed(const json_t *file, const an_fixed_key *keys, int n,
                          const char *path, an_error *err)
{
    for (int i = 0; i < n; i++) {
        const json_t *value = json_object_get(file, keys[i].key);
        if (value && !holds(value, &keys[i]))
            return an_fail(err, AN_EUNSUPPORTED,
                           "%s: '%s' is not supported unless it is %s", path,
                           keys[i].key, keys[i].value);
    }
    return AN_OK;
}

an_status an_config_ints(const json_t *file, const an_int_key *keys, int n,
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

an_status an_config_sizes(const an_model_facts *f, const char *path,
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

an_status an_config_real(const json_t *file, const char *key, double least,
                         double most, const char *path, double *out,
                         an_error *err)
{
    an_status s = an_json_real(file, key, out, err);
    if (s != AN_OK) return s;
    if (*out >= least && *out <= most) return AN_OK;
    return an_fail(err, AN_EFORMAT, "%s: '%s' is %g, expected %g to %g", path,
                   key, *out, least, most);
}

an_status an_config_read(const json_t *file, const char *path, an_config *out,
                         an_error *err)
{
    const char *type = NULL;
    if (!json_is_object(file))
        return an_fail(err, AN_EFORMAT, "%s: expected an object", path);
    an_status s = an_json_string(file, "model_type", &type, err);
    if (s != AN_OK) return s;
    if (!type)
        return an_fail(err, AN_EFORMAT, "%s: expected the key 'model_type'",
                       path);
    for (int i = 0; i < N_ARCHITECTURES; i++) {
        if (!architectures[i]->serves(type)) continue;
        an_config c = {.architecture = architectures[i],
                       .initializer_range = 0.02};
        s = architectures[i]->read_config(file, path, &c, err);
        if (s == AN_OK)
            s = an_config_real(file, "initializer_range", 1e-9, 1e3, path,
                               &c.initializer_range, err);
        if (s == AN_OK) *out = c;
        return s;
    }
    return an_fail(err, AN_EUNSUPPORTED,
                   "%s: 'model_type' is \"%.32s\", expected llama, mistral, "
                   "qwen2, qwen3 or gpt2",
                   path, type);
}

static an_status load_config(const char *path, an_config *out, an_error *err)
{
    size_t size = strlen(path);
    char inside[4096];
    bool is_path = strchr(path, '/') != NULL ||
                   (size > 5 && strcmp(path + size - 5, ".json") == 0);
    if (!an_path_exists(path) && !is_path)
        return an_fail(err, AN_EINVAL,
                       "model '%s': expected small, base, layer768, "
                       "stories110m, a folder with a config.json or its path",
                       path);
    if (an_path_is_folder(path)) {
        int n = snprintf(inside, sizeof inside, "%s/config.json", path);
        if (n < 0 || (size_t)n >= sizeof inside)
            return an_fail(err, AN_EINVAL, "model: path of %zu bytes", size);
        path = inside;
    }
    json_t *file = NULL;
    an_status s = an_json_load(path, &file, err);
    if (s == AN_OK) s = an_config_read(file, path, out, err);
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
        c = (an_config){.architecture = &an_architecture_llama,
                        .facts = presets[i].facts,
                        .norm_epsilon = 1e-5,
                        .initializer_range = 0.02,
                        .rope = {.theta = 1e4},
                        .variant = an_llama_variant_find("llama")};
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

an_real_text an_config_real_text(double x)
{
    an_real_text t;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(t.text, sizeof t.text, "%.*g", digits, x);
        if (strtod(t.text, NULL) == x) break;
    }
    if (!strpbrk(t.text, ".e"))
        strncat(t.text, ".0", sizeof t.text - strlen(t.text) - 1);
    return t;
}

an_status an_model_config_text(const an_model *model, char **text,
                               an_error *err)
{
    char *out = an_alloc(AN_CONFIG_ROOM);
    if (!out) return an_fail(err, AN_ENOMEM, "config.json: no memory");
    model->config.architecture->write_config(&model->config, out,
                                             AN_CONFIG_ROOM);
    *text = out;
    return AN_OK;
}
