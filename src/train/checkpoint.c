/*
 * Checkpoints of a run folder. A save is a sequence of steps each of which
 * leaves a folder that opens at the old checkpoint or at the new one:
 *
 *     step-N.tmp/ written and synced      latest.tmp, best.tmp -> step-N
 *     step-N.tmp renamed to step-N        (the save counts from here)
 *     latest.tmp renamed to latest, best.tmp to best
 *     older steps renamed to step-M.tmp and removed
 *
 * What a kill leaves behind is finished or undone by opening (run.c). The
 * newest checkpoint is found by the folders' numbers, not through `latest`.
 */
#include "train/run.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static const char MODEL[] = "model.safetensors";
static const char STATE[] = "state.safetensors";
static const char ADAPTER[] = "adapter_model.safetensors";
static const char ADAPTER_CONFIG[] = "adapter_config.json";
/* Readers of the transformers library refuse a file without it. */
static const char *const MODEL_METADATA[] = {"format", "pt", NULL};

/* ---- loading ---- */

static bool has(const char *folder, const char *name)
{
    return an_path_exists(an_run_join(folder, name).text);
}

/* The file of the weights in a step's folder. */
static const char *model_name(const char *folder)
{
    return has(folder, ADAPTER) ? ADAPTER : MODEL;
}

/* Whether folder/name is the link to the newest step's file. */
static bool is_link(const char *folder, const char *name)
{
    char target[AN_RUN_NAME] = "";
    an_run_link_read(folder, name, target, sizeof target);
    return strncmp(target, "latest/", 7) == 0 && strcmp(target + 7, name) == 0;
}

static an_status open_part(const char *folder, const char *name, an_st **out,
                           an_error *err)
{
    an_run_path path = an_run_join(folder, name);
    if (!an_path_exists(path.text))
        return an_fail(err, AN_EFORMAT, "%s: missing", path.text);
    return an_st_open(path.text, out, err);
}

/* AN_EFORMAT when the folder does not hold a whole checkpoint. */
static an_status open_parts(const char *folder, an_st **model, an_st **state,
                            an_error *err)
{
    an_st *first = NULL;
    an_status s = open_part(folder, model_name(folder), &first, err);
    if (s == AN_OK && state) s = open_part(folder, STATE, state, err);
    if (s == AN_OK)
        *model = first;
    else
        an_st_close(first);
    return s;
}

/*
 * The newest whole checkpoint of a run folder: older ones count when newer
 * ones are damaged. *step is -1, and the models are untouched, in a folder
 * without any; when all are damaged the newest one's error is returned.
 */
static an_status load_newest(const char *folder, int64_t *step, an_st **model,
                             an_st **state, an_error *err)
{
    an_arena arena;
    an_arena_init(&arena);
    an_run_entry *list = NULL;
    size_t n = 0;
    an_error damage = {0};
    an_run_path mark = an_run_join(folder, ".fresh");
    an_status s = an_run_list(folder, &arena, &list, &n, err);
    *step = -1;
    if (s == AN_OK && an_path_exists(mark.text)) n = 0;
    for (size_t i = 0; s == AN_OK && *step < 0; i++) {
        if (i == n || list[i].kind != AN_RUN_STEP) {
            if (i > 0) s = an_fail(err, AN_EFORMAT, "%s", damage.text);
            break;
        }
        an_run_path path = an_run_step_path(folder, list[i].step, "");
        an_error failure = {0};
        s = open_parts(path.text, model, state, &failure);
        if (s == AN_OK) {
            *step = list[i].step;
        } else if (s == AN_EFORMAT) {
            an_fail(&damage, s, "%s", failure.text);
            s = AN_OK;
        } else {
            an_fail(err, s, "%s", failure.text);
        }
    }
    an_arena_fini(&arena);
    return s;
}

static an_status check_length(const char *folder, an_error *err)
{
    if (strlen(folder) < AN_RUN_PATH - AN_RUN_NAME) return AN_OK;
    return an_fail(err, AN_EINVAL,
                   "checkpoint: path of %zu bytes, expected "
                   "at most %d",
                   strlen(folder), AN_RUN_PATH - AN_RUN_NAME - 1);
}

an_status an_checkpoint_load(const char *folder, an_st **model, an_st **state,
                             an_error *err)
{
    int64_t step;
    an_status s = check_length(folder, err);
    if (s != AN_OK) return s;
    const char *name = model_name(folder);
    if (!is_link(folder, name) && has(folder, name))
        return open_parts(folder, model, state, err); /* no run's folder */
    s = load_newest(folder, &step, model, state, err);
    if (s == AN_OK && step < 0)
        s = an_fail(err, AN_EFORMAT, "%s: no checkpoint", folder);
    return s;
}

bool an_checkpoint_is_run(const char *folder)
{
    if (!an_path_is_folder(folder) ||
        strlen(folder) >= AN_RUN_PATH - AN_RUN_NAME)
        return false;
    return is_link(folder, MODEL) || is_link(folder, ADAPTER) ||
           has(folder, ".lock");
}

/* ---- links ---- */

static void name_step(int64_t step, char *name, size_t size)
{
    snprintf(name, size, "step-%08" PRId64, step);
}

/* Makes `name` point to `target` unless it does. */
static an_status ensure_link(const char *folder, const char *name,
                             const char *target, an_error *err)
{
    char now[AN_RUN_NAME];
    if (an_run_link_read(folder, name, now, sizeof now) && !strcmp(now, target))
        return AN_OK;
    an_status s = an_run_link_begin(folder, name, target, err);
    return s == AN_OK ? an_run_link_commit(folder, name, err) : s;
}

/* name -> latest/name */
static an_status ensure_through(const char *folder, const char *name,
                                an_error *err)
{
    char target[AN_RUN_NAME];
    snprintf(target, sizeof target, "latest/%s", name);
    return ensure_link(folder, name, target, err);
}

/* `latest` and the links through it. */
static an_status ensure_links(const char *folder, int64_t step, an_error *err)
{
    char name[AN_RUN_NAME];
    name_step(step, name, sizeof name);
    an_status s = ensure_link(folder, "latest", name, err);
    const char *model = model_name(an_run_step_path(folder, step, "").text);
    if (s == AN_OK) s = ensure_through(folder, model, err);
    if (s == AN_OK && model == ADAPTER)
        s = ensure_through(folder, ADAPTER_CONFIG, err);
    return s == AN_OK ? ensure_through(folder, STATE, err) : s;
}

an_status an_run_load(an_run *run, int64_t *step, an_st **model, an_st **state,
                      an_error *err)
{
    int64_t newest;
    an_st *parts[2] = {NULL, NULL};
    an_status s = load_newest(run->folder, &newest, &parts[0], &parts[1], err);
    if (s == AN_OK && newest >= 0) s = ensure_links(run->folder, newest, err);
    if (s != AN_OK) {
        an_st_close(parts[0]);
        an_st_close(parts[1]);
        return s;
    }
    *model = parts[0];
    *state = parts[1];
    if (newest >= 0) *step = newest;
    return AN_OK;
}

/* ---- saving ---- */

static an_status write_parts(const char *folder, const an_checkpoint *c,
                             an_error *err)
{
    an_run_path model =
        an_run_join(folder, c->adapter_config ? ADAPTER : MODEL);
    an_run_path config = an_run_join(folder, ADAPTER_CONFIG);
    an_run_path state = an_run_join(folder, STATE);
    an_status s = an_dir_remove(folder, err);
    if (s == AN_OK) s = an_dir_make(folder, err);
    if (s == AN_OK)
        s = an_st_save(model.text, c->model, c->n_model, MODEL_METADATA, err);
    if (s == AN_OK && c->adapter_config)
        s = an_file_write(config.text, c->adapter_config,
                          strlen(c->adapter_config), err);
    if (s == AN_OK)
        s = an_st_save(state.text, c->state, c->n_state, c->metadata, err);
    return s == AN_OK ? an_dir_sync(folder, err) : s;
}

static an_status begin_links(const char *folder, const an_checkpoint *c,
                             an_error *err)
{
    char name[AN_RUN_NAME];
    name_step(c->step, name, sizeof name);
    an_status s = an_run_link_begin(folder, "latest", name, err);
    if (s == AN_OK && c->best) s = an_run_link_begin(folder, "best", name, err);
    return s == AN_OK ? an_dir_sync(folder, err) : s;
}

static void undo(const char *folder, int64_t step)
{
    an_run_path tmp = an_run_step_path(folder, step, ".tmp");
    an_run_path latest = an_run_join(folder, "latest.tmp");
    an_run_path best = an_run_join(folder, "best.tmp");
    an_dir_remove(latest.text, NULL);
    an_dir_remove(best.text, NULL);
    an_dir_remove(tmp.text, NULL);
}

/* step-N.tmp becomes step-N; one that is there makes room, and comes back
 * when this fails. */
static an_status publish(const char *folder, int64_t step, an_error *err)
{
    an_run_path tmp = an_run_step_path(folder, step, ".tmp");
    an_run_path old = an_run_step_path(folder, step, ".old");
    an_run_path now = an_run_step_path(folder, step, "");
    bool replaces = an_path_exists(now.text);
    an_status s = AN_OK;
    if (replaces) s = an_dir_remove(old.text, err);
    if (s == AN_OK && replaces) s = an_run_rename(now.text, old.text, err);
    if (s != AN_OK) return s;
    s = an_run_rename(tmp.text, now.text, err);
    if (s != AN_OK && replaces) an_run_rename(old.text, now.text, NULL);
    return s;
}

static an_status finish_links(const char *folder, const an_checkpoint *c,
                              an_error *err)
{
    an_run_path old = an_run_step_path(folder, c->step, ".old");
    an_status s = an_dir_sync(folder, err);
    if (s == AN_OK) s = an_run_link_commit(folder, "latest", err);
    if (s == AN_OK && c->best) s = an_run_link_commit(folder, "best", err);
    if (s == AN_OK) s = ensure_links(folder, c->step, err);
    if (s == AN_OK) s = an_dir_sync(folder, err);
    return s == AN_OK ? an_dir_remove(old.text, err) : s;
}

/* Keeps the newest up to this step and the best; later steps are damaged ones
 * that the run went back behind. */
static an_status prune(const char *folder, const an_checkpoint *c,
                       an_error *err)
{
    an_arena arena;
    an_arena_init(&arena);
    an_run_entry *list = NULL;
    size_t n = 0;
    int64_t kept = 0, keep = c->keep > 1 ? c->keep : 1;
    char best[AN_RUN_NAME] = "";
    an_status s = an_run_list(folder, &arena, &list, &n, err);
    an_run_link_read(folder, "best", best, sizeof best);
    for (size_t i = 0; s == AN_OK && i < n && list[i].kind == AN_RUN_STEP;
         i++) {
        bool stays = list[i].step <= c->step && kept < keep;
        kept += stays;
        if (!stays && strcmp(list[i].name, best) != 0)
            s = an_run_retire(folder, list[i].step, err);
    }
    an_arena_fini(&arena);
    return s;
}

/* Lines of the steps so far reach the disk before the checkpoint does. */
static an_status sync_metrics(an_run *run, an_error *err)
{
    if (run->metrics < 0 || fsync(run->metrics) == 0) return AN_OK;
    return an_fail(err, AN_EIO, "%s/metrics.jsonl: cannot sync: %s",
                   run->folder, strerror(errno));
}

an_status an_run_save(an_run *run, const an_checkpoint *c, an_error *err)
{
    if (c->step < 0 || c->step > AN_RUN_MAX_STEP)
        return an_fail(err, AN_EINVAL,
                       "checkpoint: step %" PRId64 ", expected 0 to %d",
                       c->step, AN_RUN_MAX_STEP);
    an_run_path tmp = an_run_step_path(run->folder, c->step, ".tmp");
    an_status s = sync_metrics(run, err);
    if (s == AN_OK) s = write_parts(tmp.text, c, err);
    if (s == AN_OK) s = begin_links(run->folder, c, err);
    if (s == AN_OK) s = publish(run->folder, c->step, err);
    if (s != AN_OK) {
        undo(run->folder, c->step);
        return s;
    }
    s = finish_links(run->folder, c, err);
    return s == AN_OK ? prune(run->folder, c, err) : s;
}
