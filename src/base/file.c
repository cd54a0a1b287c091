/*
 * Files through POSIX calls. A write goes to "PATH.tmp-PID-N" and is renamed
 * when all of it is on disk, so that a crash leaves the old file or the new
 * one. A path that is no regular file (a terminal, a pipe, /dev/null) is
 * written in place. Locks are flock's: they belong to the open file, so they
 * end with the process and a second one in the same process is refused too.
 */
#define _DEFAULT_SOURCE /* madvise: glibc's posix_madvise frees nothing */
#include "base/file.h"

#include "base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 1 << 16,
    LARGEST_WRITE = 1 << 30, /* macOS refuses more than INT_MAX at once */
    MAX_DEPTH = 32
};

static an_status fail_io(an_error *err, const char *path, const char *what)
{
    return an_fail(err, AN_EIO, "%s: cannot %s: %s", path, what,
                   strerror(errno));
}

static an_status fail_memory(an_error *err, const char *path)
{
    return an_fail(err, AN_ENOMEM, "%s: out of memory", path);
}

an_status an_map_open(const char *path, an_map *out, an_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_io(err, path, "open");
    an_status s = AN_OK;
    an_map map = {.data = (const unsigned char *)""};
    struct stat st;
    if (fstat(fd, &st) != 0) {
        s = fail_io(err, path, "stat");
    } else if (!S_ISREG(st.st_mode)) {
        s = an_fail(err, AN_EIO, "%s: not a regular file", path);
    } else if (st.st_size > 0) {
        map.size = (size_t)st.st_size;
        map.base = mmap(NULL, map.size, PROT_READ, MAP_PRIVATE, fd, 0);
        map.data = map.base;
        if (map.base == MAP_FAILED) s = fail_io(err, path, "map");
    }
    close(fd);
    if (s == AN_OK) *out = map;
    return s;
}

void an_map_close(an_map *map)
{
    if (map->base) munmap(map->base, map->size);
    *map = (an_map){0};
}

void an_map_forget(const an_map *map, const void *at, size_t size)
{
    uintptr_t begin = (uintptr_t)map->data, end = begin + map->size;
    uintptr_t from = (uintptr_t)at, page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (!map->base || from < begin || from > end || size > end - from) return;
    uintptr_t first = (from + page - 1) / page * page;
    uintptr_t last = (from + size) / page * page;
    if (first < last)
        madvise((char *)map->base + (first - begin), last - first,
                MADV_DONTNEED);
}

/* Reads up to the end of the file into *data, which it grows. */
static an_status read_all(int fd, const char *path, size_t limit, char **data,
                          size_t *size, an_error *err)
{
    size_t capacity = 0;
    for (;;) {
        if (!an_grow(data, &capacity, *size + 1, 1))
            return fail_memory(err, path);
        ssize_t n = read(fd, *data + *size, capacity - *size - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_io(err, path, "read");
        if (n == 0) break;
        *size += (size_t)n;
        if (*size > limit)
            return an_fail(err, AN_EFORMAT, "%s: larger than %zu bytes", path,
                           limit);
    }
    (*data)[*size] = 0;
    return AN_OK;
}

an_status an_file_read(const char *path, size_t limit, char **data,
                       size_t *size, an_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_io(err, path, "open");
    char *bytes = NULL;
    size_t n = 0;
    an_status s = read_all(fd, path, limit, &bytes, &n, err);
    close(fd);
    if (s != AN_OK) {
        an_free(bytes);
        return s;
    }
    *data = bytes;
    *size = n;
    return AN_OK;
}

struct an_writer {
    int fd;
    char *path;
    char *temporary; /* NULL when writing in place */
    size_t used;
    unsigned char buffer[BUFFER_BYTES];
};

static void free_writer(an_writer *w)
{
    an_free(w->temporary);
    an_free(w->path);
    an_free(w);
}

/* Opens a file beside w->path that did not exist. */
static an_status open_temporary(an_writer *w, an_error *err)
{
    size_t size = strlen(w->path) + 40;
    w->temporary = an_alloc(size);
    if (!w->temporary) return fail_memory(err, w->path);
    for (int i = 0; i < 1000; i++) {
        snprintf(w->temporary, size, "%s.tmp-%ld-%d", w->path, (long)getpid(),
                 i);
        w->fd =
            open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0 || errno != EEXIST) break;
    }
    return w->fd >= 0 ? AN_OK : fail_io(err, w->path, "create");
}

an_status an_writer_open(const char *path, an_writer **out, an_error *err)
{
    an_writer *w = an_alloc(sizeof *w);
    if (!w) return fail_memory(err, path);
    w->path = an_strdup(path);
    an_status s = w->path ? AN_OK : fail_memory(err, path);
    struct stat st;
    if (s != AN_OK) {
        ;
    } else if (stat(path, &st) != 0 || S_ISREG(st.st_mode)) {
        s = open_temporary(w, err);
    } else {
        w->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (w->fd < 0) s = fail_io(err, path, "write");
    }
    if (s == AN_OK)
        *out = w;
    else
        free_writer(w);
    return s;
}

static an_status write_all(an_writer *w, const void *data, size_t size,
                           an_error *err)
{
    const char *bytes = data;
    while (size > 0) {
        size_t part = size < LARGEST_WRITE ? size : LARGEST_WRITE;
        ssize_t n = write(w->fd, bytes, part);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_io(err, w->path, "write");
        bytes += n;
        size -= (size_t)n;
    }
    return AN_OK;
}

static an_status flush(an_writer *w, an_error *err)
{
    size_t n = w->used;
    w->used = 0;
    return write_all(w, w->buffer, n, err);
}

an_status an_writer_put(an_writer *w, const void *data, size_t size,
                        an_error *err)
{
    an_status s;
    if (size > BUFFER_BYTES - w->used && (s = flush(w, err)) != AN_OK) return s;
    if (size >= BUFFER_BYTES) return write_all(w, data, size, err);
    if (size) memcpy(w->buffer + w->used, data, size);
    w->used += size;
    return AN_OK;
}

an_status an_writer_patch(an_writer *w, size_t offset, const void *data,
                          size_t size, an_error *err)
{
    an_status s = flush(w, err);
    ssize_t n = s == AN_OK ? pwrite(w->fd, data, size, (off_t)offset) : 0;
    if (s == AN_OK && n != (ssize_t)size) s = fail_io(err, w->path, "write");
    return s;
}

/* To the disk, not only to its cache. */
static int sync_fd(int fd)
{
#ifdef __APPLE__
    if (fcntl(fd, F_FULLFSYNC) == 0) return 0; /* not on every file system */
#endif
    return fsync(fd);
}

/* The folder of `path` in memory of the caller's, or NULL without memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return an_strdup(".");
    char *folder = an_strdup(path);
    if (folder) folder[slash == path ? 1 : slash - path] = 0;
    return folder;
}

static an_status sync_folder_of(const char *path, an_error *err)
{
    char *folder = folder_of(path);
    an_status s = folder ? an_dir_sync(folder, err) : fail_memory(err, path);
    an_free(folder);
    return s;
}

an_status an_writer_commit(an_writer *w, an_error *err)
{
    an_status s = flush(w, err);
    if (s == AN_OK && w->temporary && sync_fd(w->fd) != 0)
        s = fail_io(err, w->path, "sync");
    if (close(w->fd) != 0 && s == AN_OK) s = fail_io(err, w->path, "close");
    if (s == AN_OK && w->temporary && rename(w->temporary, w->path) != 0)
        s = fail_io(err, w->path, "rename to");
    if (s != AN_OK && w->temporary) unlink(w->temporary);
    if (s == AN_OK && w->temporary) s = sync_folder_of(w->path, err);
    free_writer(w);
    return s;
}

void an_writer_abort(an_writer *w)
{
    if (!w) return;
    close(w->fd);
    if (w->temporary) unlink(w->temporary);
    free_writer(w);
}

an_status an_file_write(const char *path, const void *data, size_t size,
                        an_error *err)
{
    an_writer *w = NULL;
    an_status s = an_writer_open(path, &w, err);
    if (s != AN_OK) return s;
    if ((s = an_writer_put(w, data, size, err)) != AN_OK) {
        an_writer_abort(w);
        return s;
    }
    return an_writer_commit(w, err);
}

static an_status make_one(const char *path, an_error *err)
{
    struct stat st;
    if (mkdir(path, 0777) == 0) return AN_OK;
    if (errno != EEXIST) return fail_io(err, path, "create folder");
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return AN_OK;
    return an_fail(err, AN_EIO, "%s: exists and is no folder", path);
}

an_status an_dir_make(const char *path, an_error *err)
{
    char *part = an_strdup(path);
    if (!part) return fail_memory(err, path);
    an_status s = AN_OK;
    for (char *p = part + 1; s == AN_OK && *part && *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        s = make_one(part, err);
        *p = '/';
    }
    if (s == AN_OK) s = make_one(part, err);
    an_free(part);
    return s;
}

an_status an_dir_sync(const char *path, an_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail_io(err, path, "open folder");
    an_status s = AN_OK;
    /* EINVAL: a file system that cannot sync folders */
    if (sync_fd(fd) != 0 && errno != EINVAL) s = fail_io(err, path, "sync");
    close(fd);
    return s;
}

static an_status remove_at(int parent, const char *name, int depth,
                           an_error *err);

static an_status remove_entries(DIR *dir, int depth, an_error *err)
{
    an_status s = AN_OK;
    struct dirent *entry;
    while (s == AN_OK && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        s = remove_at(dirfd(dir), entry->d_name, depth + 1, err);
    }
    return s;
}

static an_status remove_folder(int parent, const char *name, int depth,
                               an_error *err)
{
    int fd =
        openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        an_status s = fail_io(err, name, "open folder");
        if (fd >= 0) close(fd);
        return s;
    }
    an_status s = remove_entries(dir, depth, err);
    closedir(dir);
    if (s != AN_OK || unlinkat(parent, name, AT_REMOVEDIR) == 0) return s;
    return fail_io(err, name, "remove");
}

/* Links are removed, not followed. `name` is in the folder `parent`. */
static an_status remove_at(int parent, const char *name, int depth,
                           an_error *err)
{
    struct stat st;
    if (depth > MAX_DEPTH)
        return an_fail(err, AN_EIO, "%s: more than %d folders deep", name,
                       MAX_DEPTH);
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? AN_OK : fail_io(err, name, "stat");
    if (S_ISDIR(st.st_mode)) return remove_folder(parent, name, depth, err);
    if (unlinkat(parent, name, 0) == 0) return AN_OK;
    return fail_io(err, name, "remove");
}

an_status an_dir_remove(const char *path, an_error *err)
{
    an_error inside = {0};
    an_status s = remove_at(AT_FDCWD, path, 0, &inside);
    if (s == AN_OK) return s;
    return an_fail(err, s, "%s: cannot be removed: %s", path, inside.text);
}

bool an_path_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool an_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

an_status an_lock_take(const char *path, an_lock *out, an_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return fail_io(err, path, "open");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        an_status s =
            errno == EWOULDBLOCK
                ? an_fail(err, AN_EIO, "%s: in use by another process", path)
                : fail_io(err, path, "lock");
        close(fd);
        return s;
    }
    out->fd = fd;
    return AN_OK;
}

void an_lock_release(an_lock *lock)
{
    if (lock->fd >= 0) close(lock->fd);
    lock->fd = -1;
}
