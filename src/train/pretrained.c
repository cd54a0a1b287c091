/* See pretrained.h. */
#include "train/pretrained.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "train/run.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "weights: no memory");
}

/* The folder of a file, the folder itself of a folder. */
static const char *folder_of(an_arena *arena, const char *path)
{
    if (an_path_is_folder(path)) return path;
    const char *slash = strrchr(path, '/');
    return slash ? an_arena_strndup(arena, path, (size_t)(slash - path) + 1)
                 : ".";
}

/* The first of the names that is in the folder, or above a step's folder; NULL
 * when there is none. */
static an_status find_beside(an_arena *arena, const char *folder,
                             const char *const *names, int n, const char **out,
                             an_error *err)
{
    const char *config = an_arena_printf(arena, "%s/config.json", folder);
    if (!config) return no_memory(err);
    bool is_step = !an_path_exists(config);
    *out = NULL;
    for (int up = 0; up < (is_step ? 2 : 1); up++)
        for (int i = 0; i < n; i++) {
            const char *path =
                up ? an_arena_printf(arena, "%s/../%s", folder, names[i])
                   : an_arena_printf(arena, "%s/%s", folder, names[i]);
            if (!path) return no_memory(err);
            if (!an_path_exists(path)) continue;
            *out = path;
            return AN_OK;
        }
    return AN_OK;
}

/* ---- weights ---- */

/* A run folder: the newest whole step of it. */
static an_status open_run(an_arena *arena, const char *path, an_pretrained *p,
                          an_error *err)
{
    const char *config = an_arena_printf(arena, "%s/config.json", path);
    if (!config) return no_memory(err);
    an_status s = an_model_open(config, 0, &p->model, err);
    if (s == AN_OK) s = an_checkpoint_load(path, &p->checkpoint, NULL, err);
    if (s == AN_OK)
        s = an_weight_file_of_st(p->checkpoint, "", NULL, &p->source, err);
    return s;
}

static an_status open_model(an_arena *arena, const char *path, an_pretrained *p,
                            an_error *err)
{
    if (an_checkpoint_is_run(path)) return open_run(arena, path, p, err);
    an_status s = an_weight_file_open(path, &p->source, err);
    return s == AN_OK ? an_weight_file_model(p->source, &p->model, err) : s;
}

/* ---- adapters ---- */

static an_status add_adapters(an_pretrained *p, an_error *err)
{
    p->base = p->source;
    p->source = NULL;
    return an_adapter_merge(p->adapter, p->base, p->model, &p->merged,
                            &p->source, err);
}

/* The model of a folder of adapters; *path becomes its path. */
static an_status open_adapted(an_arena *arena, const char **path,
                              an_pretrained *p, an_error *err)
{
    const char *folder = *path;
    an_status s = an_adapter_file_open(folder, &p->adapter, err);
    if (s != AN_OK) return s;
    *path = p->adapter->base;
    if (!*path || !an_path_exists(*path))
        return an_fail(err, AN_EIO,
                       "%s: adapters of '%.200s', which is no file or folder "
                       "here: give the model's path, and these with --adapter",
                       folder, *path ? *path : "an unnamed model");
    if (an_adapter_file_is(*path))
        return an_fail(err, AN_EUNSUPPORTED,
                       "%s: adapters of a model that is adapters itself",
                       folder);
    s = open_model(arena, *path, p, err);
    return s == AN_OK ? add_adapters(p, err) : s;
}

an_status an_pretrained_adapt(an_pretrained *p, const char *folder,
                              an_error *err)
{
    if (p->adapter)
        return an_fail(err, AN_EINVAL, "%s: the model has adapters already",
                       folder);
    an_status s = an_adapter_file_open(folder, &p->adapter, err);
    return s == AN_OK ? add_adapters(p, err) : s;
}

an_status an_pretrained_locate(const char *path, char *out, size_t size,
                               an_error *err)
{
    char folder[AN_PRETRAINED_PATH] = "", step[AN_RUN_NAME] = "";
    if (*path != '/' && !getcwd(folder, sizeof folder))
        return an_fail(err, AN_EIO, "%s: cannot be located: %s", path,
                       strerror(errno));
    if (an_checkpoint_is_run(path))
        an_run_link_read(path, "latest", step, sizeof step);
    int n = snprintf(out, size, "%s%s%s%s%s", folder, *folder ? "/" : "", path,
                     *step ? "/" : "", step);
    if (n > 0 && (size_t)n < size) return AN_OK;
    return an_fail(err, AN_EINVAL, "%s: path of more than %zu bytes", path,
                   size);
}

/* ---- tokenizer ---- */

/* That of a run of adapters; else *out is left alone. */
static an_status find_of_run(an_arena *arena, const char *path,
                             const char **out, an_error *err)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer.model"};
    const char *above = an_arena_printf(arena, "%s/..", path);
    if (!above) return no_memory(err);
    if (!an_checkpoint_is_run(path) && !an_checkpoint_is_run(above))
        return AN_OK;
    return find_beside(arena, path, names, 2, out, err);
}

static an_status open_tokenizer(an_arena *arena, const char *path,
                                const char *tokenizer, an_pretrained *p,
                                an_error *err)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer.model",
                                        "tokenizer.bin", "vocab.json"};
    const char *folder = folder_of(arena, path);
    an_status s = folder ? AN_OK : no_memory(err);
    if (s == AN_OK && !tokenizer &&
        an_weight_file_has_tokenizer(p->base ? p->base : p->source))
        tokenizer = path;
    if (s == AN_OK && !tokenizer)
        s = find_beside(arena, folder, names, 4, &tokenizer, err);
    if (s != AN_OK || !tokenizer) return s;
    return an_tokenizer_open(tokenizer, &p->tokenizer, err);
}

an_status an_pretrained_open(const char *path, const char *tokenizer,
                             an_pretrained *out, an_error *err)
{
    an_arena arena;
    an_arena_init(&arena);
    *out = (an_pretrained){0};
    an_arena_init(&out->merged);
    an_status s = AN_OK;
    const char *model = path;
    if (!an_path_exists(path))
        s = an_fail(err, AN_EIO, "%s: no such file or folder", path);
    if (s == AN_OK)
        s = an_adapter_file_is(path) ? open_adapted(&arena, &model, out, err)
                                     : open_model(&arena, model, out, err);
    if (s == AN_OK && out->adapter && !tokenizer)
        s = find_of_run(&arena, path, &tokenizer, err);
    if (s == AN_OK) s = open_tokenizer(&arena, model, tokenizer, out, err);
    an_arena_fini(&arena);
    return s;
}

void an_pretrained_close(an_pretrained *p)
{
    an_weight_file_close(p->source);
    an_weight_file_close(p->base);
    an_adapter_file_close(p->adapter);
    an_arena_fini(&p->merged);
    an_st_close(p->checkpoint);
    an_model_free(p->model);
    an_tokenizer_free(p->tokenizer);
    *p = (an_pretrained){0};
}

an_status an_pretrained_load(const an_pretrained *p, const an_model *model,
                             an_weights *w, an_error *err)
{
    return an_weights_load(w, AN_WEIGHTS_MASTER, AN_PARAMS_BASE, model,
                           p->source, err);
}
