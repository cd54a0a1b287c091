/*
 * Fuzz target: a folder of Hugging Face's. Three files, each ended by a byte 0
 * but the last: config.json, model.safetensors.index.json, one.safetensors
 * (which an index may name). What is accepted is checked against its model; a
 * refusal has a line.
 */
#include "model/weight_file.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_FILES = 3 };
static char paths[N_FILES][112];

static void name_files(void)
{
    static const char *const names[N_FILES] = {
        "config.json", "model.safetensors.index.json", "one.safetensors"};
    for (int i = 0; i < N_FILES; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%s", scratch, names[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_weight_file *f = NULL;
    an_model *m = NULL;
    an_error err = {0};
    if (scratch_begin()) name_files();
    for (int i = 0; i < N_FILES; i++) {
        const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
        bool whole = end == NULL || i == N_FILES - 1;
        size_t n = whole ? size : (size_t)(end - data);
        scratch_put(paths[i], data, n);
        data += whole ? n : n + 1;
        size -= whole ? n : n + 1;
    }
    must_have_line(an_weight_file_open(scratch, &f, &err), &err);
    if (f == NULL) return 0;
    err = (an_error){0};
    an_status s = an_weight_file_model(f, &m, &err);
    must_have_line(s, &err);
    if (s == AN_OK) must_have_line(an_weight_file_check(f, m, &err), &err);
    an_model_free(m);
    an_weight_file_close(f);
    return 0;
}
