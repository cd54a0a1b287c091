/*
 * A stage is written whole: the weight file first, so that a program is never
 * there without it.
 */
#include "lower/dump.h"

#include "base/alloc.h"
#include "base/file.h"
#include "lower/outline.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PATH = 4096, MAX_NAME = 128 };

struct an_dump {
    char *folder;
    int n; /* stages so far */
};

an_status an_dump_open(const char *folder, an_dump **out, an_error *err)
{
    an_status s = an_dir_make(folder, err);
    if (s != AN_OK) return s;
    an_dump *d = an_alloc(sizeof *d);
    if (d) d->folder = an_strdup(folder);
    if (!d || !d->folder) {
        an_free(d);
        return an_fail(err, AN_ENOMEM, "dump: no memory");
    }
    *out = d;
    return AN_OK;
}

void an_dump_close(an_dump *dump)
{
    if (!dump) return;
    an_free(dump->folder);
    an_free(dump);
}

/* Blocks' and functions' names, in letters that every file system takes. */
static void make_name(const an_dump *d, const char *stage, const char *program,
                      char name[MAX_NAME])
{
    snprintf(name, MAX_NAME, "%03d-%s-%s", d->n, stage, program);
    for (char *c = name; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                    "0123456789-_.",
                    *c))
            *c = '_';
}

static an_status write_file(const an_dump *d, const char *folder,
                            const char *name, const char *suffix,
                            const void *data, size_t size, an_error *err)
{
    char path[MAX_PATH];
    int n = snprintf(path, sizeof path, "%s/%s", d->folder, folder);
    if (n < 0 || (size_t)n + MAX_NAME + 8 > sizeof path)
        return an_fail(err, AN_EINVAL, "dump: the folder's name is too long");
    an_status s = an_dir_make(path, err);
    snprintf(path + n, sizeof path - (size_t)n, "/%s%s", name, suffix);
    return s == AN_OK ? an_file_write(path, data, size, err) : s;
}

static an_status write_stage(const an_dump *d, const char *name,
                             const an_function *f, an_error *err)
{
    char path[MAX_NAME + 32], *text = NULL;
    void *weights = NULL;
    size_t size = 0, text_size = 0;
    an_module *m = NULL;
    snprintf(path, sizeof path, "@model_path/weights/%s.bin", name);
    an_status s = an_module_new(&m, err);
    if (s == AN_OK) s = an_outline(f, m, path, &weights, &size, err);
    if (s == AN_OK) s = an_mil_print(m, &text, &text_size, err);
    if (s == AN_OK && weights)
        s = write_file(d, "weights", name, ".bin", weights, size, err);
    if (s == AN_OK) s = write_file(d, ".", name, ".mil", text, text_size, err);
    an_text_free(text);
    an_free(weights);
    an_module_free(m);
    return s;
}

an_status an_dump_function(an_dump *dump, const char *stage,
                           const char *program, const an_function *f,
                           an_error *err)
{
    char name[MAX_NAME];
    if (!dump) return AN_OK;
    make_name(dump, stage, program, name);
    an_status s = write_stage(dump, name, f, err);
    if (s != AN_OK) an_fail_context(err, "dump %s", name);
    dump->n += s == AN_OK;
    return s;
}
