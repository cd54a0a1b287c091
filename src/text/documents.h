/*
 * Documents of text files and JSONL files, in parts of bounded size.
 *
 * A text file is one document. A file whose name ends in .jsonl has one a line,
 * an object with "text". Parts end where tokenizers cut words anyway: before a
 * blank between two letters, or, where a long stretch has none, at the end of a
 * line or character.
 */
#ifndef AN_TEXT_DOCUMENTS_H
#define AN_TEXT_DOCUMENTS_H

#include "base/json.h"
#include "text/paths.h"
#include "text/tokenizer.h"

typedef struct an_documents_reader {
    an_status (*part)(void *ctx, an_piece piece, const char *text, size_t size,
                      an_error *err);
    /* Bytes of all files behind us; may be NULL. False ends the reading. */
    bool (*progress)(void *ctx, uint64_t bytes);
    void *ctx;
} an_documents_reader;

/* The files one after another. AN_EFORMAT names file and line. */
an_status an_documents_read(const char *const *files, size_t n,
                            const an_documents_reader *r, an_error *err);
/* Bytes of all files. */
an_status an_documents_size(const an_paths *files, uint64_t *out,
                            an_error *err);
/* Every object of a JSONL file; what fn fails with gets file and line. */
typedef an_status an_object_fn(void *ctx, const json_t *object, an_error *err);
an_status an_jsonl_read(const char *path, an_object_fn *fn, void *ctx,
                        an_error *err);
/* The same for its bytes; `path` is the name they go by. */
an_status an_jsonl_parse(const char *path, const char *text, size_t size,
                         an_object_fn *fn, void *ctx, an_error *err);
bool an_is_jsonl(const char *path);
/* Where a part of text[0..size) may end, past half of `wanted`. */
size_t an_document_cut(const char *text, size_t size, size_t wanted);

#endif
