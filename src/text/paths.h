/* Files and folders as a list of files. */
#ifndef AN_TEXT_PATHS_H
#define AN_TEXT_PATHS_H

#include "anemone/status.h"

#include <stddef.h>

typedef struct an_paths {
    char **items;
    size_t n, capacity;
} an_paths;

/* Each file as it is named; for a folder its files and those of its folders, in
 * the order of their names' bytes; names that begin with a dot are left out. */
an_status an_paths_expand(const char *const *paths, int n, an_paths *out,
                          an_error *err);
void an_paths_free(an_paths *list);

#endif
