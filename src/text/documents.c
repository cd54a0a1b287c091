/* Files are mapped; the pages of what was read are the system's to take back.
 */
#include "text/documents.h"

#include <string.h>

enum { PART_BYTES = 1 << 20, LONGEST_PART = 1 << 24 };

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool cuts_at(const char *text, size_t i)
{
    return text[i] == ' ' && is_letter(text[i - 1]) && is_letter(text[i + 1]);
}

size_t an_document_cut(const char *text, size_t size, size_t wanted)
{
    if (size <= wanted) return size;
    for (size_t i = wanted; i > wanted / 2 && i + 1 < size; i--)
        if (cuts_at(text, i)) return i;
    size_t end = size < LONGEST_PART ? size : LONGEST_PART;
    for (size_t i = wanted; i + 1 < end; i++)
        if (cuts_at(text, i)) return i;
    if (end == size) return size;
    for (size_t i = end; i > wanted; i--)
        if (text[i - 1] == '\n') return i;
    while (end > wanted && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    return end;
}

bool an_is_jsonl(const char *path)
{
    size_t n = strlen(path);
    return n >= 6 && strcmp(path + n - 6, ".jsonl") == 0;
}

static an_status stopped(const an_documents_reader *r, uint64_t bytes,
                         an_error *err)
{
    return !r->progress || r->progress(r->ctx, bytes)
               ? AN_OK
               : an_fail(err, AN_EIO, "stopped");
}

static an_status read_text(const char *text, size_t size,
                           const an_documents_reader *r, uint64_t before,
                           an_error *err)
{
    an_piece piece = AN_PIECE_FIRST;
    an_status s = AN_OK;
    for (size_t at = 0; s == AN_OK && (at < size || at == 0);) {
        size_t n = an_document_cut(text + at, size - at, PART_BYTES);
        s = r->part(r->ctx, piece, text + at, n, err);
        at += n;
        piece = AN_PIECE_LATER;
        if (s == AN_OK) s = stopped(r, before + at, err);
        if (size == 0) break;
    }
    return s;
}

/* ---- lines of objects ---- */

static bool is_blank(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') return false;
    return true;
}

typedef struct lines {
    const char *path;
    an_object_fn *fn;
    void *ctx;
    /* After every 64th line, with the bytes so far; may be NULL. */
    const an_documents_reader *r;
    uint64_t before;
} lines;

static an_status read_line(const lines *l, const char *line, size_t size,
                           long number, an_error *err)
{
    json_t *object = NULL;
    an_error why = {0};
    an_status s = an_json_parse(line, size, "JSON", &object, &why);
    if (s == AN_OK && !json_is_object(object))
        s = an_fail(&why, AN_EFORMAT, "expected an object");
    if (s == AN_OK) s = l->fn(l->ctx, object, &why);
    json_decref(object);
    return s == AN_OK
               ? s
               : an_fail(err, s, "%s:%ld: %.300s", l->path, number, why.text);
}

static an_status read_lines(const lines *l, const char *text, size_t size,
                            an_error *err)
{
    an_status s = AN_OK;
    long number = 1;
    for (size_t at = 0, n; s == AN_OK && at < size; at += n + 1, number++) {
        const char *end = memchr(text + at, '\n', size - at);
        n = end ? (size_t)(end - text) - at : size - at;
        if (!is_blank(text + at, n))
            s = read_line(l, text + at, n, number, err);
        if (s == AN_OK && l->r && number % 64 == 0)
            s = stopped(l->r, l->before + at, err);
    }
    return s;
}

static an_status read_text_object(void *ctx, const json_t *object,
                                  an_error *err)
{
    const an_documents_reader *r = ctx;
    const json_t *text = json_object_get(object, "text");
    if (!json_is_string(text))
        return an_fail(err, AN_EFORMAT, "expected an object with a \"text\"");
    return r->part(r->ctx, AN_PIECE_FIRST, json_string_value(text),
                   json_string_length(text), err);
}

an_status an_jsonl_parse(const char *path, const char *text, size_t size,
                         an_object_fn *fn, void *ctx, an_error *err)
{
    const lines l = {.path = path, .fn = fn, .ctx = ctx};
    return read_lines(&l, text, size, err);
}

an_status an_jsonl_read(const char *path, an_object_fn *fn, void *ctx,
                        an_error *err)
{
    an_map map;
    an_status s = an_map_open(path, &map, err);
    if (s != AN_OK) return s;
    s = an_jsonl_parse(path, (const char *)map.data, map.size, fn, ctx, err);
    an_map_close(&map);
    return s;
}

an_status an_documents_read(const char *const *files, size_t n,
                            const an_documents_reader *r, an_error *err)
{
    uint64_t before = 0;
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i < n; i++) {
        an_map map;
        if ((s = an_map_open(files[i], &map, err)) != AN_OK) break;
        const char *text = (const char *)map.data;
        an_documents_reader own = *r;
        const lines l = {files[i], read_text_object, &own, r, before};
        s = an_is_jsonl(files[i]) ? read_lines(&l, text, map.size, err)
                                  : read_text(text, map.size, r, before, err);
        before += map.size;
        an_map_close(&map);
        if (s == AN_OK) s = stopped(r, before, err);
    }
    return s;
}

an_status an_documents_size(const an_paths *files, uint64_t *out, an_error *err)
{
    uint64_t total = 0;
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i < files->n; i++) {
        an_map map;
        if ((s = an_map_open(files->items[i], &map, err)) != AN_OK) break;
        total += map.size;
        an_map_close(&map);
    }
    if (s == AN_OK) *out = total;
    return s;
}
