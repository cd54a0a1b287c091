/* The number of ids, in the header, is put there last; the file appears under
 * its name when it is whole. */
#include "text/shard.h"

#include "base/alloc.h"
#include "text/documents.h"

#include <string.h>

typedef struct shard {
    const an_encode_options *o;
    an_encoder *encoder;
    an_writer *writer;
    int id_bytes;
    an_encode_report report;
    uint64_t total; /* bytes of the files */
} shard;

int an_document_lead(const an_tokenizer *t, int32_t lead[2])
{
    int n = 0;
    if (t->end_of_text >= 0) lead[n++] = t->end_of_text;
    if (t->begin >= 0 && t->begin != t->end_of_text) lead[n++] = t->begin;
    return n;
}

static an_status put_ids(shard *w, const int32_t *ids, size_t n, an_error *err)
{
    enum { AT_ONCE = 4096 };
    unsigned char bytes[4 * AT_ONCE];
    an_status s = AN_OK;
    w->report.tokens += (int64_t)n;
    while (s == AN_OK && n > 0) {
        size_t k = n < AT_ONCE ? n : AT_ONCE, at = 0;
        for (size_t i = 0; i < k; i++)
            for (int b = 0; b < w->id_bytes; b++)
                bytes[at++] = (unsigned char)((uint32_t)ids[i] >> (8 * b));
        s = an_writer_put(w->writer, bytes, at, err);
        ids += k;
        n -= k;
    }
    return s;
}

static an_status put_part(void *ctx, an_piece piece, const char *text,
                          size_t size, an_error *err)
{
    shard *w = ctx;
    an_status s = AN_OK;
    if (piece == AN_PIECE_FIRST) {
        int32_t lead[2];
        int n = an_document_lead(w->o->tokenizer, lead);
        s = put_ids(w, lead, (size_t)n, err);
        w->report.documents++;
    }
    w->report.text_bytes += (int64_t)size;
    an_encoder_clear(w->encoder);
    if (s == AN_OK) s = an_encoder_put(w->encoder, piece, text, size, err);
    size_t n;
    const int32_t *ids = an_encoder_ids(w->encoder, &n);
    return s == AN_OK ? put_ids(w, ids, n, err) : s;
}

static bool show(void *ctx, uint64_t bytes)
{
    const shard *w = ctx;
    return !w->o->progress ||
           w->o->progress(w->o->ctx,
                          (double)bytes / (double)(w->total ? w->total : 1));
}

/* Zeros, or the header once the number is known. */
static an_status put_header(shard *w, bool final, an_error *err)
{
    unsigned char header[AN_SHARD_HEADER_BYTES] = {0};
    const uint32_t words[3] = {
        w->id_bytes == 2 ? AN_SHARD_MAGIC : AN_SHARD_MAGIC_32,
        w->id_bytes == 2 ? AN_SHARD_VERSION : AN_SHARD_VERSION_32,
        (uint32_t)w->report.tokens};
    if (!final) return an_writer_put(w->writer, header, sizeof header, err);
    if (w->report.tokens > INT32_MAX)
        return an_fail(err, AN_EUNSUPPORTED,
                       "%lld tokens: a shard holds at most %ld; encode the "
                       "files into several",
                       (long long)w->report.tokens, (long)INT32_MAX);
    for (int i = 0; i < 12; i++)
        header[i] = (unsigned char)(words[i / 4] >> (8 * (i % 4)));
    return an_writer_patch(w->writer, 0, header, 12, err);
}

static an_status write_all(shard *w, const an_paths *files, const char *path,
                           an_error *err)
{
    const an_documents_reader r = {
        .part = put_part, .progress = show, .ctx = w};
    an_status s = an_writer_open(path, &w->writer, err);
    if (s == AN_OK) s = put_header(w, false, err);
    if (s == AN_OK)
        s = an_documents_read((const char *const *)files->items, files->n, &r,
                              err);
    if (s == AN_OK) s = put_header(w, true, err);
    if (s == AN_OK)
        s = an_writer_commit(w->writer, err);
    else
        an_writer_abort(w->writer);
    return s;
}

an_status an_data_encode(const an_encode_options *o, const char *path,
                         an_encode_report *report, an_error *err)
{
    shard w = {.o = o};
    an_paths files = {0};
    w.id_bytes = an_tokenizer_vocab_size(o->tokenizer) > 1 << 16 ? 4 : 2;
    an_status s = an_paths_expand(o->paths, o->n_paths, &files, err);
    if (s == AN_OK) s = an_documents_size(&files, &w.total, err);
    if (s == AN_OK) s = an_encoder_new(o->tokenizer, SIZE_MAX, &w.encoder, err);
    if (s == AN_OK) s = write_all(&w, &files, path, err);
    an_encoder_free(w.encoder);
    an_paths_free(&files);
    if (s == AN_OK && report) *report = w.report;
    return s;
}
