/*
 * The folders in which programs are handed to the framework. Their names are
 * hashes of the contents, so two processes may use one: a lock is held from
 * writing to the end of the load, after which the files are not needed (source:
 * h3.c-ane, maderix/ANE) and the folder goes.
 *
 * Each process has a journal, `anemone/journal-PID` beside the folders, locked
 * for its life, with the folder in use. The next one that opens an engine finds
 * journals that nobody holds, removes what they name, and nothing else.
 */
#ifndef AN_ENGINE_APPLE_FOLDER_H
#define AN_ENGINE_APPLE_FOLDER_H

#include "anemone/engine.h"
#include "base/file.h"

typedef struct an_folders {
    char parent[512]; /* without a final '/' */
    char journal[700];
    an_lock lock; /* of the journal */
} an_folders;

typedef struct an_folder {
    an_folders *all;
    char path[768];
    an_lock lock; /* of its identifier */
} an_folder;

/* `parent` must exist. Sweeps. The journal is locked until closed. */
an_status an_folders_open(an_folders *all, const char *parent, an_error *err);
void an_folders_close(an_folders *all);
/* Removes what dead owners left; the number of folders removed. */
int an_folders_sweep(an_folders *all);

/* Takes the lock, notes the folder in the journal, makes it anew and writes
 * model.mil and the blobs. `path` is parent/IDENTIFIER. On failure nothing is
 * left. */
an_status an_folder_open(an_folders *all, const char *path, const char *text,
                         size_t size, const an_blob *blobs, int n_blobs,
                         an_folder *out, an_error *err);
/* Removes the folder and gives the lock back. */
void an_folder_close(an_folder *f);

#endif
