/*
 * Files: read-only maps, and writes that are whole or not there.
 */
#ifndef AN_BASE_FILE_H
#define AN_BASE_FILE_H

#include "anemone/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct an_map {
    const unsigned char *data; /* never NULL after a successful map */
    size_t size;
    void *base; /* what munmap takes; NULL when there is nothing to unmap */
} an_map;

/* Maps a regular file read-only; an empty file maps to size 0. */
an_status an_map_open(const char *path, an_map *out, an_error *err);
void an_map_close(an_map *map);
/* Bytes of the map that are not needed for now: their pages leave memory where
 * the system does so, and come back from the file when they are read again.
 * Bytes that are not the map's are left alone. */
void an_map_forget(const an_map *map, const void *at, size_t size);

/* Reads a whole file (a pipe too) of at most `limit` bytes, plus a final 0
 * byte that `size` does not count. The caller frees with an_free. */
an_status an_file_read(const char *path, size_t limit, char **data,
                       size_t *size, an_error *err);

/* Writes under a temporary name beside `path`, syncs, renames. */
an_status an_file_write(const char *path, const void *data, size_t size,
                        an_error *err);

/* The same in pieces. */
typedef struct an_writer an_writer;
an_status an_writer_open(const char *path, an_writer **out, an_error *err);
an_status an_writer_put(an_writer *w, const void *data, size_t size,
                        an_error *err);
/* Replaces bytes that were put, at `offset`; not for pipes and terminals. */
an_status an_writer_patch(an_writer *w, size_t offset, const void *data,
                          size_t size, an_error *err);
/* Syncs and renames; frees w in every case. */
an_status an_writer_commit(an_writer *w, an_error *err);
/* Removes the temporary file; frees w. NULL is allowed. */
void an_writer_abort(an_writer *w);

/* mkdir -p. */
an_status an_dir_make(const char *path, an_error *err);
/* Syncs a folder's entries to disk (F_FULLFSYNC on macOS). */
an_status an_dir_sync(const char *path, an_error *err);
/* Removes a folder and what is in it; a missing one is well. Allocates nothing,
 * so that what cleans up can. */
an_status an_dir_remove(const char *path, an_error *err);
bool an_path_exists(const char *path);
bool an_path_is_folder(const char *path);

/* An exclusive lock on `path` (created when missing), held until released or
 * until the process ends, however it ends. AN_EIO when another holds it. */
typedef struct an_lock {
    int fd;
} an_lock;
an_status an_lock_take(const char *path, an_lock *out, an_error *err);
void an_lock_release(an_lock *lock);

#endif
