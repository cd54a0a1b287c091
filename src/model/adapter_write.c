/*
 * Writing adapters: PEFT's files and mlx-lm's, from an open file of adapters.
 */
#include "model/adapter_file.h"

#include "base/alloc.h"

#include <string.h>

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "adapter: no memory");
}

/* ---- configuration ---- */

/* "self_attn.q_proj" of "base_model.model.model.layers.3.self_attn.q_proj.
 * lora_A.weight"; NULL without memory. */
static json_t *target_name(const char *name, int layer)
{
    char mark[16];
    snprintf(mark, sizeof mark, ".%d.", layer);
    const char *begin = strstr(name, mark) + strlen(mark);
    const char *end = strstr(begin, ".lora_");
    return json_stringn(begin, (size_t)(end - begin));
}

/* The adapted matrices of a layer, as an array of names. */
static json_t *target_names(const an_model *m)
{
    json_t *list = json_array();
    int layer = (int)m->config.facts.n_layers - 1;
    bool ok = list != NULL;
    for (int i = 0; ok && i < m->n_params; i++) {
        const an_model_param *p = &m->params[i];
        bool is_a = p->adapter && p->init_bound > 0;
        for (int k = 0; ok && is_a && p->layer == layer && k < p->n_parts; k++)
            ok = json_array_append_new(
                     list, target_name(p->parts[k].name, layer)) == 0;
    }
    if (ok) return list;
    json_decref(list);
    return NULL;
}

/* first, first + 1, ... up to the last layer; null when it is all of them. */
static json_t *layer_numbers(const an_model *m)
{
    if (m->lora->first_layer == 0) return json_null();
    json_t *list = json_array();
    for (int64_t i = m->lora->first_layer; list && i < m->config.facts.n_layers;
         i++)
        if (json_array_append_new(list, json_integer(i)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* The matrices of GPT-2's blocks are stored [inputs, outputs]. */
static bool has_transposed(const an_model *m)
{
    for (int i = 0; i < m->n_params; i++)
        if (m->params[i].parts[0].transposed) return true;
    return false;
}

static json_t *peft_config(const an_model *m, const char *base)
{
    const an_lora *l = m->lora;
    return json_pack(
        "{s:s, s:s, s:s, s:s?, s:I, s:f, s:f, s:o, s:o, s:b, s:b, s:b, s:b}",
        "peft_type", "LORA", "task_type", "CAUSAL_LM", "bias", "none",
        "base_model_name_or_path", base, "r", (json_int_t)l->rank, "lora_alpha",
        l->scale * (double)l->rank, "lora_dropout", 0.0, "target_modules",
        target_names(m), "layers_to_transform", layer_numbers(m),
        "fan_in_fan_out", has_transposed(m), "inference_mode", 1, "use_rslora",
        0, "use_dora", 0);
}

static json_t *mlx_config(const an_model *m, const char *base)
{
    const an_lora *l = m->lora;
    return json_pack("{s:s, s:s?, s:I, s:{s:I, s:f, s:f, s:o}}",
                     "fine_tune_type", "lora", "model", base, "num_layers",
                     (json_int_t)(m->config.facts.n_layers - l->first_layer),
                     "lora_parameters", "rank", (json_int_t)l->rank, "scale",
                     l->scale, "dropout", 0.0, "keys", target_names(m));
}

an_status an_adapter_config_text(const an_model *model,
                                 an_adapter_format format, const char *base,
                                 char **text, an_error *err)
{
    const size_t flags = JSON_INDENT(2) | JSON_SORT_KEYS;
    json_t *o = format == AN_ADAPTER_PEFT ? peft_config(model, base)
                                          : mlx_config(model, base);
    size_t n = o ? json_dumpb(o, NULL, 0, flags) : 0;
    char *out = n ? an_alloc(n + 2) : NULL;
    if (out) {
        json_dumpb(o, out, n, flags);
        memcpy(out + n, "\n", 2);
    }
    json_decref(o);
    *text = out;
    return out ? AN_OK : no_memory(err);
}

/* ---- tensors ---- */

/* "model.layers.0.x.lora_a" of "base_model.model.model.layers.0.x.lora_A.
 * weight"; its GPT-2 says "model.h" for "transformer.h". */
static const char *mlx_name(an_arena *arena, const char *peft)
{
    static const char prefix[] = "base_model.model.", gpt2[] = "transformer.";
    const char *at = peft + sizeof prefix - 1, *end = strstr(at, ".lora_");
    bool is_gpt2 = strncmp(at, gpt2, sizeof gpt2 - 1) == 0;
    if (is_gpt2) at += sizeof gpt2 - 1;
    return an_arena_printf(arena, "%s%.*s.lora_%c", is_gpt2 ? "model." : "",
                           (int)(end - at), at, end[6] == 'A' ? 'a' : 'b');
}

/* A tensor in fp32; mlx-lm's are the transposes. */
static an_status convert(const an_stored_tensor *t, an_adapter_format format,
                         an_arena *arena, an_st_tensor *out, an_error *err)
{
    bool mlx = format == AN_ADAPTER_MLX_LM;
    int64_t rows = t->shape[0], columns = t->shape[1];
    float *data = an_arena_array(arena, (size_t)(rows * columns), sizeof *data);
    const char *name = mlx ? mlx_name(arena, t->name) : t->name;
    if (!data || !name) return no_memory(err);
    for (int64_t r = 0; r < rows; r++)
        an_stored_read(t, AN_STORED_ROWS, r, AN_FP32, data + r * columns);
    *out = (an_st_tensor){.name = name,
                          .dtype = AN_FP32,
                          .rank = 2,
                          .shape = {mlx ? columns : rows, mlx ? rows : columns},
                          .data = data,
                          .size_bytes = (size_t)(rows * columns) * sizeof *data,
                          .transposed = mlx};
    return AN_OK;
}

static an_status write_tensors(const an_model *model, an_weight_file *from,
                               an_adapter_format format, const char *path,
                               an_error *err)
{
    static const char *const metadata[] = {"format", "pt", NULL};
    an_arena arena;
    an_arena_init(&arena);
    size_t most = (size_t)an_weight_file_count(from);
    int n = 0;
    an_st_tensor *list = an_arena_array(&arena, most + 1, sizeof *list);
    an_status s = list ? AN_OK : no_memory(err);
    for (int i = 0; s == AN_OK && i < model->n_params; i++) {
        const an_model_param *p = &model->params[i];
        bool here = an_param_in(p, AN_PARAMS_ADAPTERS);
        for (int k = 0; s == AN_OK && here && k < p->n_parts; k++)
            s = convert(an_weight_file_use(from, p->parts[k].name), format,
                        &arena, &list[n++], err);
    }
    if (s == AN_OK) s = an_st_save(path, list, n, metadata, err);
    an_arena_fini(&arena);
    return s;
}

an_status an_adapter_write(const an_model *model, an_weight_file *from,
                           an_adapter_format format, const char *base,
                           const char *folder, an_error *err)
{
    char path[4096];
    char *text = NULL;
    an_status s =
        an_weight_file_check_set(from, model, AN_PARAMS_ADAPTERS, err);
    if (s == AN_OK) s = an_adapter_config_text(model, format, base, &text, err);
    if (s == AN_OK) {
        snprintf(path, sizeof path, "%s/%s", folder, AN_ADAPTER_CONFIG);
        s = an_file_write(path, text, strlen(text), err);
    }
    if (s == AN_OK) {
        snprintf(path, sizeof path, "%s/%s", folder,
                 an_adapter_weights_name(format));
        s = write_tensors(model, from, format, path, err);
    }
    an_text_free(text);
    return s;
}
