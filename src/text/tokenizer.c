/*
 * Tokenizers by name or file: the list of kinds, and calls through their rows.
 */
#include "text/tokenizer.h"

#include "base/alloc.h"
#include "base/file.h"

#include <string.h>

static const an_tokenizer_row *const rows[] = {&an_tokenizer_bytes_row};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

static const an_tokenizer_row *row_named(const char *name)
{
    for (int i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i]->name, name) == 0) return rows[i];
    return NULL;
}

static an_status row_of_file(const char *path, const an_tokenizer_row **out,
                             an_error *err)
{
    json_t *file = NULL;
    an_status s = an_json_load(path, &file, err);
    bool matches = false;
    for (int i = 0; s == AN_OK && !matches && i < N_ROWS; i++) {
        s = rows[i]->match(file, &matches, err);
        if (matches) *out = rows[i];
    }
    json_decref(file);
    if (s == AN_OK && !matches)
        s = an_fail(err, AN_EUNSUPPORTED,
                    "%s: expected a tokenizer of kind bytes as saved here, "
                    "came another",
                    path);
    return s;
}

an_status an_tokenizer_open(const char *name_or_path, an_tokenizer **out,
                            an_error *err)
{
    const an_tokenizer_row *row = row_named(name_or_path);
    if (!row) {
        an_status s = row_of_file(name_or_path, &row, err);
        if (s != AN_OK) return s;
    }
    an_tokenizer *t = an_alloc(sizeof *t);
    if (!t) return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
    t->row = row;
    *out = t;
    return AN_OK;
}

void an_tokenizer_free(an_tokenizer *t)
{
    an_free(t);
}

an_status an_tokenizer_save(const an_tokenizer *t, const char *path,
                            an_error *err)
{
    char *text = NULL;
    size_t size = 0;
    an_status s = t->row->print(t, &text, &size, err);
    if (s == AN_OK) s = an_file_write(path, text, size, err);
    an_free(text);
    return s;
}

int64_t an_tokenizer_vocab_size(const an_tokenizer *t)
{
    return t->row->vocab_size;
}

int32_t an_tokenizer_end_of_text(const an_tokenizer *t)
{
    return t->row->end_of_text;
}

an_status an_tokenizer_encode(const an_tokenizer *t, const char *text,
                              size_t size, int32_t **ids, size_t *n,
                              an_error *err)
{
    return t->row->encode(t, text, size, ids, n, err);
}

void an_tokens_free(int32_t *ids)
{
    an_free(ids);
}

const char *an_tokenizer_bytes(const an_tokenizer *t, int32_t id, size_t *size)
{
    return t->row->bytes(t, id, size);
}
