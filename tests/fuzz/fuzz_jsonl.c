/*
 * Fuzz target: JSONL as documents. Every part can be read; a refusal has a
 * line. (Samples to fine-tune on: fuzz_samples.)
 */
#include "text/documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    char folder[64], path[80];
} file;

static void remove_file(void)
{
    unlink(file.path);
    rmdir(file.folder);
}

static void make_folder(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(file.folder, sizeof file.folder, "%.40s/fuzz-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(file.folder) == NULL) abort();
    snprintf(file.path, sizeof file.path, "%s/x.jsonl", file.folder);
    atexit(remove_file);
}

static an_status part(void *ctx, an_piece piece, const char *text, size_t size,
                      an_error *err)
{
    (void)piece;
    (void)err;
    size_t *sum = ctx;
    for (size_t i = 0; i < size; i++)
        *sum += (unsigned char)text[i];
    return AN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t sum = 0;
    an_error err = {0};
    if (file.path[0] == '\0') make_folder();
    FILE *f = fopen(file.path, "wb");
    if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    const char *const paths[] = {file.path};
    const an_documents_reader r = {.part = part, .ctx = &sum};
    if (an_documents_read(paths, 1, &r, &err) != AN_OK &&
        (err.text[0] == '\0' || strchr(err.text, '\n') != NULL))
        abort();
    return 0;
}
