/* Files are mapped; the pages of what was read are the system's to take back.
 */
#include "text/documents.h"

#include "base/json.h"

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

static an_status read_line(const char *line, size_t size, const char *path,
                           long number, const an_documents_reader *r,
                           an_error *err)
{
    json_t *object = NULL;
    an_error why = {0};
    an_status s = an_json_parse(line, size, "JSON", &object, &why);
    const json_t *text = json_object_get(object, "text");
    if (s != AN_OK)
        s = an_fail(err, s, "%s:%ld: %.300s", path, number, why.text);
    else if (!json_is_string(text))
        s = an_fail(err, AN_EFORMAT,
                    "%s:%ld: expected an object with a \"text\"", path, number);
    else
        s = r->part(r->ctx, AN_PIECE_FIRST, json_string_value(text),
                    json_string_length(text), err);
    json_decref(object);
    return s;
}

static bool is_blank(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r", line[i]) || line[i] == 0) return false;
    return true;
}

static an_status read_lines(const char *text, size_t size, const char *path,
                            const an_documents_reader *r, uint64_t before,
                            an_error *err)
{
    an_status s = AN_OK;
    long number = 1;
    for (size_t at = 0, n; s == AN_OK && at < size; at += n + 1, number++) {
        const char *end = memchr(text + at, '\n', size - at);
        n = end ? (size_t)(end - text) - at : size - at;
        if (!is_blank(text + at, n))
            s = read_line(text + at, n, path, number, r, err);
        if (s == AN_OK && number % 64 == 0) s = stopped(r, before + at, err);
    }
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
        s = an_is_jsonl(files[i])
                ? read_lines(text, map.size, files[i], r, before, err)
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
