/* Folders are read to a bounded depth, so that a circle of links ends. */
#include "text/paths.h"

#include "base/alloc.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 1 << 20, MAX_DEPTH = 16 };

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "data: no memory");
}

/* Takes the path, which an_free frees. */
static an_status put(an_paths *list, char *path, an_error *err)
{
    if (!path) return no_memory(err);
    if (list->n < MAX_FILES &&
        an_grow(&list->items, &list->capacity, list->n, sizeof *list->items)) {
        list->items[list->n++] = path;
        return AN_OK;
    }
    an_free(path);
    return list->n < MAX_FILES ? no_memory(err)
                               : an_fail(err, AN_EUNSUPPORTED,
                                         "data: more than %d files", MAX_FILES);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static an_status list_folder(const char *folder, an_paths *entries,
                             an_error *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return an_fail(err, AN_EIO, "%s: cannot open folder: %s", folder,
                       strerror(errno));
    an_status s = AN_OK;
    const struct dirent *entry;
    while (s == AN_OK && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.') continue;
        size_t size = strlen(folder) + strlen(entry->d_name) + 2;
        char *path = an_alloc(size);
        if (path) snprintf(path, size, "%s/%s", folder, entry->d_name);
        s = put(entries, path, err);
    }
    closedir(dir);
    if (entries->n > 1)
        qsort(entries->items, entries->n, sizeof *entries->items, by_bytes);
    return s;
}

/* Recursion is bounded by MAX_DEPTH. */
static an_status expand(const char *path, int depth, an_paths *out,
                        an_error *err)
{
    if (!an_path_is_folder(path)) return put(out, an_strdup(path), err);
    if (depth == MAX_DEPTH)
        return an_fail(err, AN_EUNSUPPORTED, "%s: more than %d folders deep",
                       path, MAX_DEPTH);
    an_paths entries = {0};
    an_status s = list_folder(path, &entries, err);
    for (size_t i = 0; s == AN_OK && i < entries.n; i++)
        s = expand(entries.items[i], depth + 1, out, err);
    an_paths_free(&entries);
    return s;
}

an_status an_paths_expand(const char *const *paths, int n, an_paths *out,
                          an_error *err)
{
    an_paths list = {0};
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < n; i++)
        s = expand(paths[i], 0, &list, err);
    if (s == AN_OK && list.n == 0)
        s = an_fail(err, AN_EINVAL, "data: no files in what was given");
    if (s == AN_OK)
        *out = list;
    else
        an_paths_free(&list);
    return s;
}

void an_paths_free(an_paths *list)
{
    for (size_t i = 0; i < list->n; i++)
        an_free(list->items[i]);
    an_free(list->items);
    *list = (an_paths){0};
}
