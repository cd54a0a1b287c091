/*
 * Reading adapters. Which matrices are adapted, and from which layer on, is
 * told by the tensors' names; the configuration gives rank and scale, and is
 * searched for what would change the function otherwise.
 *
 * Sources: PEFT's LoraConfig and its checkpoint format; mlx_lm/tuner/utils.py,
 * whose lora_a and lora_b are the transposes of PEFT's lora_A and lora_B.
 */
#include "model/adapter_file.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *weights, *a, *b; /* ends of tensors' names */
} formats[AN_ADAPTER_FORMATS] = {
    [AN_ADAPTER_PEFT] = {"peft", "adapter_model.safetensors", ".lora_A.weight",
                         ".lora_B.weight"},
    [AN_ADAPTER_MLX_LM] = {"mlx-lm", "adapters.safetensors", ".lora_a",
                           ".lora_b"},
};
static const char peft_prefix[] = "base_model.model.";

const char *an_adapter_format_name(an_adapter_format format)
{
    return format < AN_ADAPTER_FORMATS ? formats[format].name : NULL;
}

const char *an_adapter_weights_name(an_adapter_format format)
{
    return formats[format].weights;
}

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "adapter: no memory");
}

/* ---- configuration ---- */

/* null, false, "", [] or {}. */
static bool is_empty(const json_t *x)
{
    return !x || json_is_null(x) || json_is_false(x) ||
           (json_is_array(x) && json_array_size(x) == 0) ||
           (json_is_object(x) && json_object_size(x) == 0) ||
           (json_is_string(x) && json_string_length(x) == 0);
}

/* Keys of PEFT's that change the function when they say anything. */
static const char *const refused[] = {
    "use_dora",      "use_qalora",        "use_bdlora",
    "lora_bias",     "modules_to_save",   "rank_pattern",
    "alpha_pattern", "layer_replication", "target_parameters",
    "arrow_config",  "megatron_config",   "alora_invocation_tokens",
    "kasa_config",   "monteclora_config", "trainable_token_indices",
    "velora_config",
};
enum { N_REFUSED = sizeof refused / sizeof refused[0] };

/* Those that begin with another base than the one that is named. */
static bool keeps_base(const json_t *init)
{
    static const char *const plain[] = {"gaussian", "orthogonal", "eva"};
    const char *text = json_string_value(init);
    for (int i = 0; text && i < 3; i++)
        if (strcmp(text, plain[i]) == 0) return true;
    return !text;
}

static an_status check_peft(const json_t *o, an_error *err)
{
    const char *type = "", *bias = "none";
    an_status s = an_json_string(o, "peft_type", &type, err);
    if (s == AN_OK) s = an_json_string(o, "bias", &bias, err);
    if (s != AN_OK) return s;
    if (strcmp(type, "LORA") != 0)
        return an_fail(err, AN_EUNSUPPORTED, "'peft_type' %.40s, expected LORA",
                       type);
    if (strcmp(bias, "none") != 0)
        return an_fail(err, AN_EUNSUPPORTED,
                       "'bias' %.40s is not supported, only none", bias);
    for (int i = 0; i < N_REFUSED; i++)
        if (!is_empty(json_object_get(o, refused[i])))
            return an_fail(err, AN_EUNSUPPORTED, "'%s' is not supported",
                           refused[i]);
    if (!keeps_base(json_object_get(o, "init_lora_weights")))
        return an_fail(
            err, AN_EUNSUPPORTED, "'init_lora_weights' %.40s is not supported",
            json_string_value(json_object_get(o, "init_lora_weights")));
    return AN_OK;
}

static an_status read_peft(an_adapter_file *f, const json_t *o, an_error *err)
{
    double alpha = 8;
    bool by_root = false;
    an_status s = check_peft(o, err);
    if (s == AN_OK)
        s = an_json_int(o, "r", 1, AN_LORA_MAX_RANK, &f->lora.rank, err);
    if (s == AN_OK) s = an_json_real(o, "lora_alpha", &alpha, err);
    if (s == AN_OK) s = an_json_bool(o, "use_rslora", &by_root, err);
    double rank = (double)f->lora.rank;
    f->lora.scale = alpha / (by_root ? sqrt(rank) : rank);
    return s;
}

static an_status read_mlx(an_adapter_file *f, const json_t *o, an_error *err)
{
    const json_t *p = json_object_get(o, "lora_parameters");
    const char *type = "lora";
    an_status s = an_json_string(o, "fine_tune_type", &type, err);
    if (s != AN_OK) return s;
    if (strcmp(type, "lora") != 0)
        return an_fail(err, AN_EUNSUPPORTED,
                       "'fine_tune_type' %.40s is not supported, only lora",
                       type);
    if (!json_is_object(p))
        return an_fail(err, AN_EFORMAT,
                       "expected 'peft_type' or an object 'lora_parameters'");
    f->lora.scale = 20;
    s = an_json_int(p, "rank", 1, AN_LORA_MAX_RANK, &f->lora.rank, err);
    return s == AN_OK ? an_json_real(p, "scale", &f->lora.scale, err) : s;
}

static an_status read_config(an_adapter_file *f, const json_t *o, an_error *err)
{
    bool peft = json_object_get(o, "peft_type") != NULL;
    const char *base = NULL;
    f->format = peft ? AN_ADAPTER_PEFT : AN_ADAPTER_MLX_LM;
    f->lora.rank = 8;
    an_status s = peft ? read_peft(f, o, err) : read_mlx(f, o, err);
    if (s == AN_OK)
        s = an_json_string(o, peft ? "base_model_name_or_path" : "model", &base,
                           err);
    if (s != AN_OK || !base) return s;
    f->base = an_arena_strndup(&f->arena, base, strlen(base));
    return f->base ? AN_OK : no_memory(err);
}

/* ---- tensors ---- */

/* What stands behind ".N." of a layer; NULL: no layer. */
static const char *behind_layer(const char *name, int64_t *layer)
{
    for (const char *at = strchr(name, '.'); at; at = strchr(at + 1, '.')) {
        size_t n = strspn(at + 1, "0123456789");
        if (n == 0 || n > 9 || at[1 + n] != '.') continue;
        *layer = strtoll(at + 1, NULL, 10);
        return at + n + 2;
    }
    return NULL;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return n > k && strcmp(name + n - k, end) == 0;
}

static bool lists(const char *words, const char *word, size_t size)
{
    for (const char *at = words; *at; at += strspn(at, ",")) {
        size_t n = strcspn(at, ",");
        if (n == size && memcmp(at, word, n) == 0) return true;
        at += n;
    }
    return false;
}

/* Layer and target of a tensor, whose name ends in `end`. */
static an_status note_target(an_adapter_file *f, const char *name,
                             const char *end, bool first, an_error *err)
{
    int64_t layer = 0;
    const char *part = behind_layer(name, &layer);
    if (!part || strlen(part) <= strlen(end))
        return an_fail(err, AN_EUNSUPPORTED,
                       "'%.80s': adapters are of the layers' matrices only",
                       name);
    size_t size = strlen(part) - strlen(end);
    if (first || layer < f->lora.first_layer) f->lora.first_layer = layer;
    if (!first && lists(f->lora.targets, part, size)) return AN_OK;
    f->lora.targets =
        an_arena_printf(&f->arena, "%s%s%.*s", first ? "" : f->lora.targets,
                        first ? "" : ",", (int)size, part);
    return f->lora.targets ? AN_OK : no_memory(err);
}

/* PEFT's name for an mlx-lm tensor: its GPT-2 says "model.h" for
 * "transformer.h". */
static const char *peft_name(an_arena *arena, const char *name, bool is_a)
{
    static const char gpt2[] = "model.h.";
    size_t skip = strncmp(name, gpt2, sizeof gpt2 - 1) == 0 ? 5 : 0;
    size_t n = strlen(name) - skip - strlen(formats[AN_ADAPTER_MLX_LM].a);
    return an_arena_printf(arena, "%s%s%.*s%s", peft_prefix,
                           skip ? "transformer" : "", (int)n, name + skip,
                           is_a ? formats[AN_ADAPTER_PEFT].a
                                : formats[AN_ADAPTER_PEFT].b);
}

/* One tensor as the model's adapters have it. */
static an_status list_tensor(an_adapter_file *f, const an_st_tensor *t,
                             bool first, an_stored_tensor *out, an_error *err)
{
    bool is_a = ends_with(t->name, formats[f->format].a);
    const char *end = is_a ? formats[f->format].a : formats[f->format].b;
    if (!ends_with(t->name, end) || t->rank != 2)
        return an_fail(err, AN_EUNSUPPORTED,
                       "'%.80s' is no matrix of an adapter", t->name);
    an_status s = note_target(f, t->name, end, first, err);
    if (s != AN_OK) return s;
    bool mlx = f->format == AN_ADAPTER_MLX_LM;
    *out = (an_stored_tensor){
        .name = mlx ? peft_name(&f->arena, t->name, is_a) : t->name,
        .stored = an_stored_of(t->dtype),
        .rank = 2,
        .shape = {t->shape[mlx ? 1 : 0], t->shape[mlx ? 0 : 1]},
        .data = t->data,
        .transposed = mlx};
    return out->name ? AN_OK : no_memory(err);
}

static an_status list_tensors(an_adapter_file *f, const char *path,
                              an_error *err)
{
    int n = an_st_count(f->st);
    an_stored_tensor *list = an_arena_array(&f->arena, (size_t)n, sizeof *list);
    an_status s = list ? AN_OK : no_memory(err);
    if (n == 0) return an_fail(err, AN_EFORMAT, "no tensors");
    for (int i = 0; s == AN_OK && i < n; i++)
        s = list_tensor(f, an_st_at(f->st, i), i == 0, &list[i], err);
    return s == AN_OK
               ? an_weight_file_of_list(list, (size_t)n, path, &f->weights, err)
               : s;
}

/* ---- opening ---- */

bool an_adapter_file_is(const char *folder)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", folder, AN_ADAPTER_CONFIG);
    return n > 0 && (size_t)n < sizeof path && an_path_exists(path);
}

static an_status open_all(an_adapter_file *f, const char *folder, an_error *err)
{
    json_t *config = NULL;
    const char *path =
        an_arena_printf(&f->arena, "%s/%s", folder, AN_ADAPTER_CONFIG);
    if (!path) return no_memory(err);
    an_status s = an_json_load(path, &config, err);
    if (s == AN_OK && (s = read_config(f, config, err)) != AN_OK)
        an_fail_context(err, "%s", path);
    json_decref(config);
    if (s != AN_OK) return s;
    path =
        an_arena_printf(&f->arena, "%s/%s", folder, formats[f->format].weights);
    if (!path) return no_memory(err);
    s = an_st_open(path, &f->st, err);
    if (s == AN_OK && (s = list_tensors(f, path, err)) != AN_OK)
        an_fail_context(err, "%s", path);
    return s;
}

an_status an_adapter_file_open(const char *folder, an_adapter_file **out,
                               an_error *err)
{
    an_adapter_file *f = an_alloc(sizeof *f);
    if (!f) return no_memory(err);
    an_arena_init(&f->arena);
    an_status s = open_all(f, folder, err);
    if (s == AN_OK)
        *out = f;
    else
        an_adapter_file_close(f);
    return s;
}

void an_adapter_file_close(an_adapter_file *f)
{
    if (!f) return;
    an_weight_file_close(f->weights);
    an_st_close(f->st);
    an_arena_fini(&f->arena);
    an_free(f);
}
