/*
 * Fuzz target: JSONL as documents. Every part can be read; a refusal has a
 * line. (Samples to fine-tune on: fuzz_samples.)
 */
#include "scratch.h"
#include "text/documents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    static char path[80];
    if (scratch_begin()) snprintf(path, sizeof path, "%s/x.jsonl", scratch);
    scratch_put(path, data, size);
    const char *const paths[] = {path};
    const an_documents_reader r = {.part = part, .ctx = &sum};
    must_have_line(an_documents_read(paths, 1, &r, &err), &err);
    return 0;
}
