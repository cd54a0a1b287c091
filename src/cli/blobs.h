/*
 * The weight files that a program's BLOBFILE literals name, mapped into
 * memory. "@model_path" stands for a folder; nothing outside it is read.
 */
#ifndef AN_CLI_BLOBS_H
#define AN_CLI_BLOBS_H

#include "anemone/engine.h"
#include "base/file.h"

typedef struct an_blobs {
    an_blob *items; /* paths are the module's */
    an_map *maps;
    int n;
    size_t cap_items, cap_maps;
} an_blobs;

/* Refuses a path that does not start with "@model_path/" or has a component
 * "..". The caller calls an_blobs_close in every case, before the module is
 * freed. */
an_status an_blobs_open(const an_module *module, const char *folder,
                        an_blobs *out, an_error *err);
void an_blobs_close(an_blobs *blobs);

#endif
