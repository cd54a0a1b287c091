/*
 * Fuzz target: a folder of Hugging Face's. Three files, each ended by a byte 0
 * but the last: config.json, model.safetensors.index.json, one.safetensors
 * (which an index may name). What is accepted is checked against its model; a
 * refusal has a line.
 */
#include "base/file.h"
#include "model/weight_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_FILES = 3 };
static char folder[64], paths[N_FILES][112];

static void remove_folder(void)
{
    an_dir_remove(folder, NULL);
}

static void make_folder(void)
{
    static const char *const names[N_FILES] = {
        "config.json", "model.safetensors.index.json", "one.safetensors"};
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/fuzz-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(folder) == NULL) abort();
    for (int i = 0; i < N_FILES; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
    atexit(remove_folder);
}

static void put(const char *path, const uint8_t *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
}

static void check(an_status s, const an_error *err)
{
    if (s != AN_OK && (err->text[0] == '\0' || strchr(err->text, '\n') != NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_weight_file *f = NULL;
    an_model *m = NULL;
    an_error err = {0};
    if (folder[0] == '\0') make_folder();
    for (int i = 0; i < N_FILES; i++) {
        const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
        bool whole = end == NULL || i == N_FILES - 1;
        size_t n = whole ? size : (size_t)(end - data);
        put(paths[i], data, n);
        data += whole ? n : n + 1;
        size -= whole ? n : n + 1;
    }
    check(an_weight_file_open(folder, &f, &err), &err);
    if (f == NULL) return 0;
    err = (an_error){0};
    an_status s = an_weight_file_model(f, &m, &err);
    check(s, &err);
    if (s == AN_OK) check(an_weight_file_check(f, m, &err), &err);
    an_model_free(m);
    an_weight_file_close(f);
    return 0;
}
