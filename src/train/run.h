/*
 * What the files that make up run folders share: the open run, the names of
 * its entries, links and step folders. For src/train only.
 */
#ifndef AN_TRAIN_RUN_H
#define AN_TRAIN_RUN_H

#include "base/arena.h"
#include "base/file.h"
#include "train/checkpoint.h"

#include <sys/types.h>

enum {
    AN_RUN_PATH = 4096,
    AN_RUN_NAME = 300,         /* room behind the folder: a name and a suffix */
    AN_RUN_MAX_STEP = 99999999 /* eight digits */
};

struct an_run {
    char folder[AN_RUN_PATH - AN_RUN_NAME];
    an_lock lock;
    int metrics;        /* file descriptor, -1 when not open */
    off_t metrics_size; /* behind the last whole line */
};

typedef struct an_run_path {
    char text[AN_RUN_PATH];
} an_run_path;

/* folder/name of a folder that fits; "folder/step-00000012" with a suffix. */
an_run_path an_run_join(const char *folder, const char *name);
an_run_path an_run_step_path(const char *folder, int64_t step,
                             const char *suffix);

typedef enum an_run_kind {
    AN_RUN_FOREIGN, /* nothing that a run writes */
    AN_RUN_LOCK,
    AN_RUN_MARK,     /* .fresh: everything here is being removed */
    AN_RUN_FILE,     /* config.json ... */
    AN_RUN_FILE_TMP, /* config.json.tmp-12-0, of base/file's writer */
    AN_RUN_LINK,     /* latest ... */
    AN_RUN_LINK_TMP, /* latest.tmp: becomes latest when its target is there */
    AN_RUN_STEP,
    AN_RUN_STEP_TMP, /* step-00000012.tmp: being written, or being removed */
    AN_RUN_STEP_OLD, /* step-00000012.old: makes room for a newer one */
} an_run_kind;

typedef struct an_run_entry {
    const char *name;
    an_run_kind kind;
    int64_t step; /* of the step kinds */
} an_run_entry;

/* The folder's entries in the arena: steps, newest first, before all others.
 * Kinds follow from names alone. */
an_status an_run_list(const char *folder, an_arena *arena, an_run_entry **out,
                      size_t *n, an_error *err);

/* Records that `name` shall point to `target` (name.tmp), and makes it so by
 * rename. */
an_status an_run_link_begin(const char *folder, const char *name,
                            const char *target, an_error *err);
an_status an_run_link_commit(const char *folder, const char *name,
                             an_error *err);
/* Where a link points; false when there is none. */
bool an_run_link_read(const char *folder, const char *name, char *target,
                      size_t size);
/* rename(2) with an error text. */
an_status an_run_rename(const char *from, const char *to, an_error *err);
/* Removes a step's folder: renamed first, so that no half one is ever seen. */
an_status an_run_retire(const char *folder, int64_t step, an_error *err);

#endif
