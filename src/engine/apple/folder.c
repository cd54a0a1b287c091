/*
 * Locks are files `anemone/lock-NN`: an identifier's lock is one of a few, so
 * that they need no sweeping. A journal is "PID START FOLDER\n"; only a name of
 * the identifier's form below the journal's own parent is ever removed.
 */
#include "engine/apple/folder.h"

#include "base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { N_LOCKS = 64, LOCK_WAIT_MS = 30000, LOCK_LOOK_MS = 20 };

static an_status fail_io(const char *path, const char *what, an_error *err)
{
    return an_fail(err, AN_EIO, "%s: cannot %s: %s", path, what,
                   strerror(errno));
}

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* Every byte, or a failure: a short file would be compiled and cached under the
 * hash of the whole one. */
static an_status write_file(const char *path, const void *data, size_t size,
                            an_error *err)
{
    const unsigned char *at = data;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return fail_io(path, "create", err);
    while (size) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            an_status s = fail_io(path, "write", err);
            close(fd);
            return s;
        }
        at += n;
        size -= (size_t)n;
    }
    return close(fd) == 0 ? AN_OK : fail_io(path, "write", err);
}

/* ---- names ---- */

/* Three groups of 64 upper-case hex digits, or at least only such characters:
 * what the framework names folders by. */
static bool is_identifier(const char *name)
{
    size_t n = strlen(name);
    return n >= 64 && n < 256 && strspn(name, "0123456789ABCDEF_") == n;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static unsigned lock_of(const char *name)
{
    unsigned sum = 0;
    for (; *name; name++)
        sum = sum * 31 + (unsigned char)*name;
    return sum % N_LOCKS;
}

/* ---- locks ---- */

static an_status take_lock(const an_folders *all, const char *name, int wait_ms,
                           an_lock *out, an_error *err)
{
    char path[700];
    snprintf(path, sizeof path, "%s/anemone/lock-%02u", all->parent,
             lock_of(name));
    for (int waited = 0;; waited += LOCK_LOOK_MS) {
        an_error busy = {0};
        an_status s = an_lock_take(path, out, &busy);
        if (s == AN_OK) return s;
        if (waited >= wait_ms) {
            if (err && err->code == AN_OK) *err = busy;
            return s;
        }
        sleep_ms(LOCK_LOOK_MS);
    }
}

/* ---- the journal ---- */

/* "PID START FOLDER\n", FOLDER "-" when there is none. */
static an_status note(const an_folders *all, const char *folder, an_error *err)
{
    char text[800];
    int n = snprintf(text, sizeof text, "%ld %lld %s\n", (long)getpid(),
                     (long long)time(NULL), folder);
    return write_file(all->journal, text, (size_t)n, err);
}

/* Is the folder gone? Not where somebody has its lock. */
static bool sweep_folder(const an_folders *all, const char *name, int *removed)
{
    an_lock lock;
    char path[1100];
    snprintf(path, sizeof path, "%s/%s", all->parent, name);
    if (take_lock(all, name, 0, &lock, NULL) != AN_OK) return false;
    bool was = an_path_is_folder(path);
    bool gone = an_dir_remove(path, NULL) == AN_OK;
    *removed += was && gone;
    an_lock_release(&lock);
    return gone;
}

/* What the journal at `path` names is removed, if its owner is dead; until it
 * is, the journal stays. The number of folders removed. */
static int sweep_one(const an_folders *all, const char *path)
{
    an_lock owner;
    char *text = NULL, folder[512] = "";
    size_t size = 0;
    int removed = 0;
    if (an_lock_take(path, &owner, NULL) != AN_OK) return 0;
    if (an_file_read(path, 4096, &text, &size, NULL) == AN_OK) {
        sscanf(text, "%*d %*d %511s", folder);
        if (!is_identifier(folder) || sweep_folder(all, folder, &removed))
            unlink(path);
    }
    an_free(text);
    an_lock_release(&owner);
    return removed;
}

int an_folders_sweep(an_folders *all)
{
    char folder[600], path[900];
    int n = 0;
    snprintf(folder, sizeof folder, "%s/anemone", all->parent);
    DIR *dir = opendir(folder);
    if (!dir) return 0;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strncmp(e->d_name, "journal-", 8) != 0) continue;
        snprintf(path, sizeof path, "%s/%.200s", folder, e->d_name);
        if (strcmp(path, all->journal) != 0) n += sweep_one(all, path);
    }
    closedir(dir);
    return n;
}

an_status an_folders_open(an_folders *all, const char *parent, an_error *err)
{
    char folder[600];
    *all = (an_folders){.lock = {-1}};
    size_t n = strlen(parent);
    while (n > 1 && parent[n - 1] == '/')
        n--;
    if (n == 0 || n >= sizeof all->parent)
        return an_fail(err, AN_EUNSUPPORTED,
                       "engine apple: temporary folder \"%.200s\"", parent);
    memcpy(all->parent, parent, n);
    snprintf(folder, sizeof folder, "%s/anemone", all->parent);
    an_status s = an_dir_make(folder, err);
    if (s != AN_OK) return s;
    /* Several engines of one process each have a journal. */
    for (int i = 0; i < 64; i++) {
        snprintf(all->journal, sizeof all->journal, "%s/journal-%ld-%d", folder,
                 (long)getpid(), i);
        s = an_lock_take(all->journal, &all->lock, NULL);
        if (s == AN_OK) break;
    }
    if (s != AN_OK) return fail_io(all->journal, "lock", err);
    s = note(all, "-", err);
    if (s == AN_OK)
        an_folders_sweep(all);
    else
        an_folders_close(all);
    return s;
}

void an_folders_close(an_folders *all)
{
    if (all->lock.fd < 0 || !all->journal[0]) return;
    unlink(all->journal);
    an_lock_release(&all->lock);
    all->lock.fd = -1;
}

/* ---- folders ---- */

static an_status make_parents(char *path, size_t from, an_error *err)
{
    for (char *slash = strchr(path + from, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int failed = mkdir(path, 0755) != 0 && errno != EEXIST;
        if (failed) fail_io(path, "create", err);
        *slash = '/';
        if (failed) return AN_EIO;
    }
    return AN_OK;
}

static an_status write_blob(const an_folder *f, const an_blob *b, an_error *err)
{
    static const char prefix[] = "@model_path/";
    char path[1024];
    const char *name = b->path;
    if (strncmp(name, prefix, sizeof prefix - 1) == 0)
        name += sizeof prefix - 1;
    int n = snprintf(path, sizeof path, "%s/%s", f->path, name);
    if (*name == '/' || *name == '\0' || strstr(name, "..") ||
        n >= (int)sizeof path)
        return an_fail(
            err, AN_EINVAL,
            "weight file \"%.200s\" is not inside the model's folder", b->path);
    an_status s = make_parents(path, strlen(f->path) + 1, err);
    return s == AN_OK ? write_file(path, b->data, b->size, err) : s;
}

static an_status fill(const an_folder *f, const char *text, size_t size,
                      const an_blob *blobs, int n_blobs, an_error *err)
{
    char path[1024];
    an_status s = an_dir_remove(f->path, err);
    if (s == AN_OK && mkdir(f->path, 0755) != 0)
        s = fail_io(f->path, "create", err);
    snprintf(path, sizeof path, "%s/model.mil", f->path);
    if (s == AN_OK) s = write_file(path, text, size, err);
    for (int i = 0; i < n_blobs && s == AN_OK; i++)
        s = write_blob(f, &blobs[i], err);
    return s;
}

an_status an_folder_open(an_folders *all, const char *path, const char *text,
                         size_t size, const an_blob *blobs, int n_blobs,
                         an_folder *out, an_error *err)
{
    an_folder f = {.all = all};
    const char *name = name_of(path);
    if (!is_identifier(name) || strlen(path) >= sizeof f.path)
        return an_fail(err, AN_EUNSUPPORTED,
                       "engine apple: folder \"%.300s\" is not named by an "
                       "identifier",
                       path);
    snprintf(f.path, sizeof f.path, "%s", path);
    an_status s = take_lock(all, name, LOCK_WAIT_MS, &f.lock, err);
    if (s != AN_OK) return s;
    s = note(all, name, err);
    if (s == AN_OK) s = fill(&f, text, size, blobs, n_blobs, err);
    if (s == AN_OK)
        *out = f;
    else
        an_folder_close(&f);
    return s;
}

void an_folder_close(an_folder *f)
{
    /* else the journal keeps its name for the next sweep */
    if (an_dir_remove(f->path, NULL) == AN_OK) note(f->all, "-", NULL);
    an_lock_release(&f->lock);
}
