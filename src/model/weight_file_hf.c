/*
 * Hugging Face's folders: config.json, and model.safetensors, or the files
 * that model.safetensors.index.json names. Source: huggingface_hub and
 * transformers, whose names these are.
 */
#include "model/weight_file_parts.h"

#include "base/alloc.h"

#include <string.h>

static an_status open_file(an_weight_file *s, const char *path, an_error *err)
{
    if (!an_grow(&s->files, &s->cap_files, s->n_files, sizeof *s->files))
        return an_fail(err, AN_ENOMEM, "weights: no memory");
    an_status status = an_st_open(path, &s->files[s->n_files], err);
    if (status != AN_OK) return status;
    return an_weight_file_add_st(s, s->files[s->n_files++], "", err);
}

static an_status open_shard(an_weight_file *s, const char *folder,
                            const char *name, an_error *err)
{
    const char *path = an_arena_printf(&s->arena, "%s/%s", folder, name);
    if (!path) return an_fail(err, AN_ENOMEM, "weights: no memory");
    if (strchr(name, '/') || !*name || strlen(name) > 255)
        return an_fail(err, AN_EFORMAT,
                       "weight_map: expected names of files beside it");
    if (s->n_files == AN_WEIGHT_FILES)
        return an_fail(err, AN_EFORMAT, "weight_map: more than %d files",
                       AN_WEIGHT_FILES);
    return open_file(s, path, err);
}

/* Every file that the index names, once. */
static an_status open_shards(an_weight_file *s, const char *folder,
                             const json_t *index, an_error *err)
{
    json_t *map = json_object_get(index, "weight_map");
    json_t *seen = json_object(), *value;
    const char *key;
    an_status status = AN_OK;
    if (!seen) return an_fail(err, AN_ENOMEM, "weights: no memory");
    if (!json_is_object(map))
        status = an_fail(err, AN_EFORMAT, "expected an object 'weight_map'");
    if (status == AN_OK) {
        json_object_foreach(map, key, value)
        {
            const char *name = json_string_value(value);
            if (status != AN_OK) break;
            if (name && json_object_get(seen, name)) continue;
            status = name ? open_shard(s, folder, name, err)
                          : an_fail(err, AN_EFORMAT,
                                    "weight_map: '%.80s': expected a file's "
                                    "name",
                                    key);
            if (status == AN_OK && json_object_set_new(seen, name, json_true()))
                status = an_fail(err, AN_ENOMEM, "weights: no memory");
        }
    }
    json_decref(seen);
    return status;
}

static an_status open_weights(an_weight_file *s, const char *folder,
                              an_error *err)
{
    an_arena *a = &s->arena;
    const char *whole = an_arena_printf(a, "%s/model.safetensors", folder);
    const char *index =
        an_arena_printf(a, "%s/model.safetensors.index.json", folder);
    const char *pickle = an_arena_printf(a, "%s/pytorch_model.bin", folder);
    if (!whole || !index || !pickle)
        return an_fail(err, AN_ENOMEM, "weights: no memory");
    if (an_path_exists(whole)) return open_file(s, whole, err);
    if (!an_path_exists(index))
        return an_fail(
            err, AN_EUNSUPPORTED, "no model.safetensors there%s",
            an_path_exists(pickle) ? "; pytorch_model.bin is not read" : "");
    json_t *file = NULL;
    an_status status = an_json_load(index, &file, err);
    if (status == AN_OK) status = open_shards(s, folder, file, err);
    json_decref(file);
    return status;
}

/* config.json of the folder, or above a step's folder of a run. */
static an_status read_config(an_weight_file *s, const char *folder,
                             an_error *err)
{
    const char *here = an_arena_printf(&s->arena, "%s/config.json", folder);
    const char *above = an_arena_printf(&s->arena, "%s/../config.json", folder);
    if (!here || !above) return an_fail(err, AN_ENOMEM, "weights: no memory");
    const char *path = an_path_exists(here) ? here : above;
    if (!an_path_exists(path))
        return an_fail(err, AN_EIO, "no config.json there");
    json_t *file = NULL;
    an_status status = an_json_load(path, &file, err);
    if (status == AN_OK)
        status = an_config_read(file, "config.json", &s->config, err);
    json_decref(file);
    s->has_config = status == AN_OK;
    return status;
}

an_status an_weight_file_open_hf(an_weight_file *s, const char *path,
                                 an_error *err)
{
    const char *folder = path;
    bool is_folder = an_path_is_folder(path);
    if (!is_folder) {
        const char *slash = strrchr(path, '/');
        folder = slash ? an_arena_strndup(&s->arena, path,
                                          (size_t)(slash - path) + 1)
                       : ".";
        if (!folder) return an_fail(err, AN_ENOMEM, "weights: no memory");
    }
    an_status status = read_config(s, folder, err);
    if (status != AN_OK) return status;
    return is_folder ? open_weights(s, path, err) : open_file(s, path, err);
}
