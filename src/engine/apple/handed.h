/*
 * What is handed to the framework of a program: the text of one function, and
 * its weight files.
 */
#ifndef AN_ENGINE_APPLE_HANDED_H
#define AN_ENGINE_APPLE_HANDED_H

#include "engine/impl.h"

/* How many weight files a program may come with. */
typedef enum an_weight_files {
    AN_WEIGHT_FILES_ANY,
    AN_WEIGHT_FILES_ONE, /* several are copied into one */
} an_weight_files;

typedef struct an_handed {
    const char *text;
    size_t size;
    const an_blob *blobs;
    int n_blobs;
    /* What was made here, else NULL. */
    char *own_text;
    an_blob own_blob;
    void *own_data;
} an_handed;

/* Borrows p's text and the blobs. After a failure there is nothing to free. */
an_status an_handed_make(const an_program *p, const an_blob *blobs, int n_blobs,
                         an_weight_files files, an_handed *out, an_error *err);
void an_handed_free(an_handed *h);

#endif
