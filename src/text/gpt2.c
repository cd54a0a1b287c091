/*
 * GPT-2's two files: vocab.json (or encoder.json), an object of tokens and ids,
 * and beside it merges.txt (or vocab.bpe), a merge a line behind a line of
 * version.
 * Source: src/encoder.py of openai/gpt-2.
 */
#include "base/alloc.h"
#include "text/expressions.h"
#include "text/gpt2.h"
#include "text/json_parts.h"

#include <stdio.h>
#include <string.h>

enum { MAX_MERGES_BYTES = 1 << 28 };
static const char end_of_text[] = "<|endoftext|>";

static const struct {
    const char *vocab, *merges;
} names[] = {{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}};

static int named(const char *path)
{
    size_t size = strlen(path);
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(names[i].vocab);
        if (size >= n && strcmp(path + size - n, names[i].vocab) == 0) return i;
    }
    return -1;
}

static bool is_gpt2(const char *path, const unsigned char *data, size_t size)
{
    (void)data, (void)size;
    return named(path) >= 0;
}

/* The end of text is in the vocabulary. */
static an_status put_end(an_tokenizer *t, an_error *err)
{
    size_t size = sizeof end_of_text - 1;
    int32_t id = an_vocab_find(&t->vocab, end_of_text, size);
    const an_added a = {
        .text = end_of_text, .size = size, .id = id, .special = true};
    t->end_of_text = id;
    return id >= 0 ? an_added_put(t, &a, err) : AN_OK;
}

static an_status read_merges(an_tokenizer *t, const char *text, size_t size,
                             an_error *err)
{
    size_t lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    an_status s = an_pair_table_init(&t->pairs, lines + 1, err);
    uint32_t rank = 0;
    for (size_t at = 0, n; s == AN_OK && at < size; at += n + 1) {
        const char *line = text + at, *end = memchr(line, '\n', size - at);
        n = end ? (size_t)(end - line) : size - at;
        size_t used = n > 0 && line[n - 1] == '\r' ? n - 1 : n;
        if (used == 0 || (at == 0 && used > 1 && line[0] == '#')) continue;
        const char *cut = memchr(line, ' ', used);
        if (!cut)
            return an_fail(err, AN_EFORMAT, "merge %lu: expected two tokens",
                           (unsigned long)rank);
        s = an_merge_put(t, line, (size_t)(cut - line), cut + 1,
                         used - (size_t)(cut + 1 - line), rank++, err);
    }
    return s;
}

static an_status fill(an_tokenizer *t, const char *vocab, size_t n_vocab,
                      const char *merges, size_t n_merges, an_error *err)
{
    json_t *object = NULL;
    t->spelling = AN_SPELLING_BYTES;
    an_status s = an_json_parse(vocab, n_vocab, "JSON", &object, err);
    if (s == AN_OK) s = an_read_vocab(t, object, err);
    if (s == AN_OK) s = read_merges(t, merges, n_merges, err);
    if (s == AN_OK)
        s = an_tokenizer_split(t, an_expression_gpt2, AN_CUT_ISOLATED, err);
    if (s == AN_OK) s = put_end(t, err);
    json_decref(object);
    return s;
}

an_status an_gpt2_parse(const char *vocab, size_t n_vocab, const char *merges,
                        size_t n_merges, an_tokenizer **out, an_error *err)
{
    an_tokenizer *t = an_tokenizer_new(an_tokenizer_gpt2_row.name);
    if (!t) return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
    an_status s = fill(t, vocab, n_vocab, merges, n_merges, err);
    if (s == AN_OK) s = an_tokenizer_finish(t, err);
    if (s == AN_OK)
        *out = t;
    else
        an_tokenizer_free(t);
    return s;
}

static an_status read_gpt2(an_tokenizer *t, const char *path,
                           const unsigned char *data, size_t size,
                           an_error *err)
{
    int which = named(path);
    size_t stem = strlen(path) - strlen(names[which].vocab), n_merges = 0;
    char *merges = NULL;
    const char *beside = an_arena_printf(&t->arena, "%.*s%s", (int)stem, path,
                                         names[which].merges);
    if (!beside) return an_fail(err, AN_ENOMEM, "no memory");
    an_status s =
        an_file_read(beside, MAX_MERGES_BYTES, &merges, &n_merges, err);
    if (s == AN_OK)
        s = fill(t, (const char *)data, size, merges, n_merges, err);
    an_free(merges);
    return s;
}

const an_tokenizer_row an_tokenizer_gpt2_row = {
    .name = "vocab.json", .is = is_gpt2, .read = read_gpt2};
