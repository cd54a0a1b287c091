/*
 * A run folder's entries: what their names mean, and opening a folder.
 *
 * The lock makes one process the only writer, so whatever temporary name is
 * found after taking it belongs to a dead one. Opening finishes or undoes what
 * that writer began: a link whose target is there is swapped in, a replaced
 * step whose successor is missing comes back, the rest is removed. A fresh
 * start first makes the folder `.fresh`: while it stands the old run is gone,
 * and whoever opens the folder next goes on removing.
 */
#include "train/run.h"

#include "base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static an_status fail_io(an_error *err, const char *path, const char *what)
{
    return an_fail(err, AN_EIO, "%s: cannot %s: %s", path, what,
                   strerror(errno));
}

static an_status fail_memory(an_error *err, const char *path)
{
    return an_fail(err, AN_ENOMEM, "%s: out of memory", path);
}

an_run_path an_run_join(const char *folder, const char *name)
{
    an_run_path path;
    snprintf(path.text, sizeof path.text, "%s/%s", folder, name);
    return path;
}

an_run_path an_run_step_path(const char *folder, int64_t step,
                             const char *suffix)
{
    an_run_path path;
    snprintf(path.text, sizeof path.text, "%s/step-%08" PRId64 "%s", folder,
             step, suffix);
    return path;
}

/* ---- names ---- */

static const struct {
    const char *name;
    an_run_kind kind;
} fixed[] = {
    // clang-format off
    {".lock",             AN_RUN_LOCK},
    {".fresh",            AN_RUN_MARK},
    {"config.json",       AN_RUN_FILE},
    {"tokenizer.json",    AN_RUN_FILE},
    {"tokenizer.model",   AN_RUN_FILE},
    {"chat_template.jinja", AN_RUN_FILE},
    {"metrics.jsonl",     AN_RUN_FILE},
    {"latest",            AN_RUN_LINK},
    {"best",              AN_RUN_LINK},
    {"model.safetensors", AN_RUN_LINK},
    {"adapter_model.safetensors", AN_RUN_LINK},
    {"adapter_config.json", AN_RUN_LINK},
    {"state.safetensors", AN_RUN_LINK},
    // clang-format on
};
enum { N_FIXED = sizeof fixed / sizeof *fixed };

static const char *skip_digits(const char *text)
{
    return text + strspn(text, "0123456789");
}

/* ".tmp-PID-N", as base/file's writer makes them. */
static bool is_writer_suffix(const char *suffix)
{
    if (strncmp(suffix, ".tmp-", 5) != 0) return false;
    const char *pid = suffix + 5, *dash = skip_digits(pid);
    if (dash == pid || *dash != '-') return false;
    const char *end = skip_digits(dash + 1);
    return end > dash + 1 && !*end;
}

static bool classify_step(an_run_entry *e)
{
    const char *digits = e->name + 5, *end;
    if (strncmp(e->name, "step-", 5) != 0) return false;
    end = skip_digits(digits);
    if (end != digits + 8) return false;
    e->step = strtoll(digits, NULL, 10);
    if (!*end)
        e->kind = AN_RUN_STEP;
    else if (!strcmp(end, ".tmp"))
        e->kind = AN_RUN_STEP_TMP;
    else if (!strcmp(end, ".old"))
        e->kind = AN_RUN_STEP_OLD;
    return e->kind != AN_RUN_FOREIGN;
}

static void classify(an_run_entry *e)
{
    e->kind = AN_RUN_FOREIGN;
    if (classify_step(e)) return;
    for (int i = 0; i < N_FIXED; i++) {
        size_t n = strlen(fixed[i].name);
        if (strncmp(e->name, fixed[i].name, n) != 0) continue;
        const char *suffix = e->name + n;
        if (!*suffix)
            e->kind = fixed[i].kind;
        else if (fixed[i].kind == AN_RUN_FILE && is_writer_suffix(suffix))
            e->kind = AN_RUN_FILE_TMP;
        else if (fixed[i].kind == AN_RUN_LINK && !strcmp(suffix, ".tmp"))
            e->kind = AN_RUN_LINK_TMP;
    }
}

/* ---- listing ---- */

static an_status read_entries(DIR *dir, const char *folder, an_arena *arena,
                              an_run_entry **list, size_t *n, an_error *err)
{
    size_t capacity = 0;
    struct dirent *d;
    while (errno = 0, (d = readdir(dir))) {
        if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..")) continue;
        if (!an_grow(list, &capacity, *n, sizeof **list))
            return fail_memory(err, folder);
        an_run_entry *e = &(*list)[*n];
        *e = (an_run_entry){
            .name = an_arena_strndup(arena, d->d_name, strlen(d->d_name))};
        if (!e->name) return fail_memory(err, folder);
        classify(e);
        ++*n;
    }
    return errno ? fail_io(err, folder, "read folder") : AN_OK;
}

static int steps_first(const void *a, const void *b)
{
    const an_run_entry *x = a, *y = b;
    bool x_step = x->kind == AN_RUN_STEP, y_step = y->kind == AN_RUN_STEP;
    if (x_step != y_step) return x_step ? -1 : 1;
    if (x_step && x->step != y->step) return x->step > y->step ? -1 : 1;
    return strcmp(x->name, y->name);
}

an_status an_run_list(const char *folder, an_arena *arena, an_run_entry **out,
                      size_t *n, an_error *err)
{
    DIR *dir = opendir(folder);
    if (!dir) return fail_io(err, folder, "open folder");
    an_run_entry *list = NULL, *kept = NULL;
    size_t count = 0;
    an_status s = read_entries(dir, folder, arena, &list, &count, err);
    closedir(dir);
    if (s == AN_OK) {
        kept = an_arena_array(arena, count + 1, sizeof *kept);
        if (!kept) s = fail_memory(err, folder);
    }
    if (s == AN_OK && count > 0) {
        qsort(list, count, sizeof *list, steps_first);
        memcpy(kept, list, count * sizeof *list);
    }
    an_free(list);
    if (s != AN_OK) return s;
    *out = kept;
    *n = count;
    return AN_OK;
}

/* ---- links and steps ---- */

static an_run_path temporary_of(const char *folder, const char *name)
{
    an_run_path path;
    snprintf(path.text, sizeof path.text, "%s/%s.tmp", folder, name);
    return path;
}

an_status an_run_rename(const char *from, const char *to, an_error *err)
{
    return rename(from, to) == 0 ? AN_OK : fail_io(err, to, "rename to");
}

an_status an_run_link_begin(const char *folder, const char *name,
                            const char *target, an_error *err)
{
    an_run_path path = temporary_of(folder, name);
    if (unlink(path.text) != 0 && errno != ENOENT)
        return fail_io(err, path.text, "remove");
    if (symlink(target, path.text) != 0) return fail_io(err, path.text, "link");
    return AN_OK;
}

an_status an_run_link_commit(const char *folder, const char *name,
                             an_error *err)
{
    an_run_path from = temporary_of(folder, name);
    an_run_path to = an_run_join(folder, name);
    return an_run_rename(from.text, to.text, err);
}

bool an_run_link_read(const char *folder, const char *name, char *target,
                      size_t size)
{
    an_run_path path = an_run_join(folder, name);
    ssize_t n = readlink(path.text, target, size - 1);
    if (n < 0) return false;
    target[n] = 0;
    return true;
}

an_status an_run_retire(const char *folder, int64_t step, an_error *err)
{
    an_run_path from = an_run_step_path(folder, step, "");
    an_run_path to = an_run_step_path(folder, step, ".tmp");
    an_status s = an_dir_remove(to.text, err);
    if (s == AN_OK) s = an_run_rename(from.text, to.text, err);
    return s == AN_OK ? an_dir_remove(to.text, err) : s;
}

/* ---- opening ---- */

static an_status sweep_step(const char *folder, const an_run_entry *e,
                            an_error *err)
{
    an_run_path path = an_run_join(folder, e->name);
    an_run_path step = an_run_step_path(folder, e->step, "");
    if (e->kind == AN_RUN_STEP_OLD && !an_path_exists(step.text))
        return an_run_rename(path.text, step.text, err);
    return an_dir_remove(path.text, err);
}

static an_status sweep_link(const char *folder, const an_run_entry *e,
                            an_error *err)
{
    an_run_path path = an_run_join(folder, e->name);
    if (an_path_exists(path.text)) { /* follows the link */
        an_run_path to = path;
        to.text[strlen(to.text) - strlen(".tmp")] = 0;
        return an_run_rename(path.text, to.text, err);
    }
    return an_dir_remove(path.text, err);
}

/* Leftovers of a dead writer: steps first, since links depend on them. */
static an_status sweep(const char *folder, const an_run_entry *list, size_t n,
                       an_error *err)
{
    an_status s = AN_OK;
    for (size_t i = 0; i < n && s == AN_OK; i++)
        if (list[i].kind == AN_RUN_STEP_TMP || list[i].kind == AN_RUN_STEP_OLD)
            s = sweep_step(folder, &list[i], err);
    for (size_t i = 0; i < n && s == AN_OK; i++) {
        an_run_path path = an_run_join(folder, list[i].name);
        if (list[i].kind == AN_RUN_LINK_TMP)
            s = sweep_link(folder, &list[i], err);
        else if (list[i].kind == AN_RUN_FILE_TMP)
            s = an_dir_remove(path.text, err);
    }
    return s;
}

/* Removes everything that a run writes but the lock; the mark goes last. */
static an_status clear(const char *folder, const an_run_entry *list, size_t n,
                       an_error *err)
{
    an_status s = AN_OK;
    for (size_t i = 0; i < n && s == AN_OK; i++) {
        an_run_kind kind = list[i].kind;
        if (kind == AN_RUN_FOREIGN || kind == AN_RUN_LOCK ||
            kind == AN_RUN_MARK)
            continue;
        an_run_path path = an_run_join(folder, list[i].name);
        s = an_dir_remove(path.text, err);
    }
    if (s == AN_OK) s = an_dir_sync(folder, err);
    an_run_path mark = an_run_join(folder, ".fresh");
    return s == AN_OK ? an_dir_remove(mark.text, err) : s;
}

static const an_run_entry *find_kind(const an_run_entry *list, size_t n,
                                     an_run_kind kind)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].kind == kind) return &list[i];
    return NULL;
}

static bool has_type_of_kind(mode_t mode, an_run_kind kind)
{
    switch (kind) {
    case AN_RUN_FOREIGN:
        return true;
    case AN_RUN_LOCK:
    case AN_RUN_FILE:
    case AN_RUN_FILE_TMP:
        return S_ISREG(mode);
    case AN_RUN_LINK:
    case AN_RUN_LINK_TMP:
        return S_ISLNK(mode);
    case AN_RUN_MARK:
    case AN_RUN_STEP:
    case AN_RUN_STEP_TMP:
    case AN_RUN_STEP_OLD:
        return S_ISDIR(mode);
    }
    return false;
}

/* An entry with a run's name must be what a run makes of it. */
static an_status check_type(const char *folder, const an_run_entry *e,
                            an_error *err)
{
    an_run_path path = an_run_join(folder, e->name);
    struct stat st;
    if (e->kind == AN_RUN_FOREIGN) return AN_OK;
    if (lstat(path.text, &st) != 0) return fail_io(err, path.text, "stat");
    if (has_type_of_kind(st.st_mode, e->kind)) return AN_OK;
    return an_fail(err, AN_EINVAL, "%s: not what a run puts there", path.text);
}

/* Refuses a folder that holds what this run would overwrite or remove and no
 * run wrote. */
static an_status check_owner(const char *folder, an_run_mode mode,
                             const an_run_entry *list, size_t n, an_error *err)
{
    const an_run_entry *file = find_kind(list, n, AN_RUN_FILE);
    if (file && !find_kind(list, n, AN_RUN_LOCK) &&
        !find_kind(list, n, AN_RUN_STEP))
        return an_fail(err, AN_EINVAL,
                       "%s: holds a %s but no run: choose another folder",
                       folder, file->name);
    const an_run_entry *foreign = find_kind(list, n, AN_RUN_FOREIGN);
    if (mode == AN_RUN_FRESH && foreign)
        return an_fail(err, AN_EINVAL,
                       "%s: holds %s, which no run wrote: not removed", folder,
                       foreign->name);
    return AN_OK;
}

static an_status begin_fresh(const char *folder, an_error *err)
{
    an_run_path mark = an_run_join(folder, ".fresh");
    an_status s = an_dir_make(mark.text, err);
    return s == AN_OK ? an_dir_sync(folder, err) : s;
}

static an_status clean(an_run *run, an_run_mode mode, an_error *err)
{
    an_arena arena;
    an_arena_init(&arena);
    an_run_entry *list = NULL;
    size_t n = 0;
    an_status s = mode == AN_RUN_FRESH ? begin_fresh(run->folder, err) : AN_OK;
    if (s == AN_OK) s = an_run_list(run->folder, &arena, &list, &n, err);
    if (s == AN_OK)
        s = find_kind(list, n, AN_RUN_MARK) ? clear(run->folder, list, n, err)
                                            : sweep(run->folder, list, n, err);
    if (s == AN_OK) s = an_dir_sync(run->folder, err);
    an_arena_fini(&arena);
    return s;
}

/* The folder, made when missing; its contents are looked at before anything
 * is written into it. */
static an_status prepare(const char *folder, an_run_mode mode, an_error *err)
{
    bool existed = an_path_exists(folder);
    an_status s = an_dir_make(folder, err);
    if (s != AN_OK) return s;
    if (!existed) {
        an_run_path parent = an_run_join(folder, "..");
        return an_dir_sync(parent.text, err);
    }
    an_arena arena;
    an_arena_init(&arena);
    an_run_entry *list = NULL;
    size_t n = 0;
    s = an_run_list(folder, &arena, &list, &n, err);
    if (s == AN_OK) s = check_owner(folder, mode, list, n, err);
    for (size_t i = 0; i < n && s == AN_OK; i++)
        s = check_type(folder, &list[i], err);
    an_arena_fini(&arena);
    return s;
}

an_status an_run_open(const char *folder, an_run_mode mode, an_run **out,
                      an_error *err)
{
    if (!*folder || strlen(folder) >= sizeof((an_run *)0)->folder)
        return an_fail(err, AN_EINVAL,
                       "run folder: expected a path of 1 to %d bytes",
                       AN_RUN_PATH - AN_RUN_NAME - 1);
    an_status s = prepare(folder, mode, err);
    if (s != AN_OK) return s;
    an_run *run = an_alloc(sizeof *run);
    if (!run) return fail_memory(err, folder);
    strcpy(run->folder, folder);
    run->metrics = run->lock.fd = -1;
    an_run_path lock = an_run_join(folder, ".lock");
    s = an_lock_take(lock.text, &run->lock, err);
    if (s == AN_OK) s = clean(run, mode, err);
    if (s == AN_OK)
        *out = run;
    else
        an_run_close(run);
    return s;
}

void an_run_close(an_run *run)
{
    if (!run) return;
    if (run->metrics >= 0) close(run->metrics);
    an_lock_release(&run->lock);
    an_free(run);
}

const char *an_run_folder(const an_run *run)
{
    return run->folder;
}

an_status an_run_put(an_run *run, const char *name, const char *text,
                     an_error *err)
{
    an_run_path path = an_run_join(run->folder, name);
    return an_file_write(path.text, text, strlen(text), err);
}
