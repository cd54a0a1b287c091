/*
 * Fuzz target: JSONL with text, or with samples to fine-tune on. The first byte
 * chooses the tokenizer (even: bytes; odd: ChatML's tokens) and the mask;
 * whatever a line becomes are ids of the tokenizer; a refusal has a line.
 */
#include "text/documents.h"
#include "text/samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    char folder[64], path[80];
    an_tokenizer *tokenizer[2];
} files;

static void remove_files(void)
{
    unlink(files.path);
    rmdir(files.folder);
    an_tokenizer_free(files.tokenizer[0]);
    an_tokenizer_free(files.tokenizer[1]);
}

static void make_files(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(files.folder, sizeof files.folder, "%.40s/fuzz-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(files.folder) == NULL) abort();
    snprintf(files.path, sizeof files.path, "%s/x.jsonl", files.folder);
    static const char chatml[] =
        "{\"added_tokens\":["
        "{\"id\":256,\"content\":\"<|im_start|>\",\"special\":true},"
        "{\"id\":257,\"content\":\"<|im_end|>\",\"special\":true}],"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},"
        "\"merges\":[],\"unk_token\":\"a\"}}";
    if (an_tokenizer_open("bytes", &files.tokenizer[0], NULL) != AN_OK ||
        an_tokenizer_parse("x.json", chatml, sizeof chatml - 1,
                           &files.tokenizer[1], NULL) != AN_OK)
        abort();
    atexit(remove_files);
}

static an_status put(void *ctx, const uint32_t *ids, size_t n, an_error *err)
{
    (void)err;
    int64_t vocabulary = an_tokenizer_vocab_size(ctx);
    for (size_t i = 0; i < n; i++)
        if ((ids[i] & ~AN_SAMPLE_MASK) >= vocabulary) abort();
    return AN_OK;
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

static void check(an_status s, const an_error *err)
{
    if (s != AN_OK && (err->text[0] == '\0' || strchr(err->text, '\n') != NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool samples = false;
    size_t sum = 0;
    an_error err = {0};
    if (size == 0) return 0;
    if (files.path[0] == '\0') make_files();
    FILE *f = fopen(files.path, "wb");
    if (f == NULL || fwrite(data + 1, 1, size - 1, f) != size - 1 ||
        fclose(f) != 0)
        abort();
    an_tokenizer *t = files.tokenizer[data[0] % 2];
    an_mask mask = data[0] & 2 ? AN_MASK_PROMPT : AN_MASK_NOTHING;
    check(an_samples_detect(files.path, &samples, &err), &err);
    const char *const paths[] = {files.path};
    const an_documents_reader r = {.part = part, .ctx = &sum};
    err = (an_error){0};
    check(an_documents_read(paths, 1, &r, &err), &err);
    err = (an_error){0};
    check(an_samples_read(files.path, t, mask, put, t, &err), &err);
    return 0;
}
