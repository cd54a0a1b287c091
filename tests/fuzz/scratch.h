/*
 * For targets of readers that take paths: a folder of the process's own, gone
 * when it ends, and files in it. What cannot be had aborts.
 */
#ifndef AN_FUZZ_SCRATCH_H
#define AN_FUZZ_SCRATCH_H

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch[64]; /* "": not made yet */

static void scratch_remove(void)
{
    an_dir_remove(scratch, NULL);
}

/* Makes it at the first call; true then. */
static inline bool scratch_begin(void)
{
    const char *tmp = getenv("TMPDIR");
    if (scratch[0] != '\0') return false;
    snprintf(scratch, sizeof scratch, "%.40s/fuzz-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(scratch) == NULL) abort();
    atexit(scratch_remove);
    return true;
}

static inline void scratch_put(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
}

/* A refusal has one line. */
static inline void must_have_line(an_status s, const an_error *err)
{
    if (s != AN_OK && (err->text[0] == '\0' || strchr(err->text, '\n') != NULL))
        abort();
}

#endif
