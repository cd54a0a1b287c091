/*
 * Tokenizers by name or file: the list of kinds; what all kinds do once they
 * are read; ids back to bytes.
 */
#include "text/tokenizer.h"

#include "base/alloc.h"

#include <string.h>

/* The first that takes a file reads it. */
static const an_tokenizer_row *const rows[] = {
    &an_tokenizer_gpt2_row,          &an_tokenizer_json_row,
    &an_tokenizer_gguf_row,          &an_tokenizer_tiktoken_row,
    &an_tokenizer_sentencepiece_row, &an_tokenizer_llama2c_row};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
}

an_tokenizer *an_tokenizer_new(const char *kind)
{
    an_tokenizer *t = an_alloc(sizeof *t);
    if (!t) return NULL;
    t->kind = kind;
    t->unknown = t->begin = t->end_of_text = -1;
    for (int i = 0; i < 256; i++)
        t->byte_ids[i] = -1;
    an_arena_init(&t->arena);
    return t;
}

void an_tokenizer_free(an_tokenizer *t)
{
    if (!t) return;
    for (int i = 0; i < t->n_splits; i++)
        an_cut_free(t->splits[i].split);
    an_vocab_fini(&t->vocab);
    an_pair_table_fini(&t->pairs);
    an_trie_fini(&t->trie);
    an_trie_fini(&t->raw);
    an_trie_fini(&t->normalized);
    an_trie_fini(&t->kept);
    an_free(t->added);
    an_free(t->source);
    an_arena_fini(&t->arena);
    an_free(t);
}

static an_status read_file(const char *path, an_tokenizer **out, an_error *err)
{
    an_map map;
    an_status s = an_map_open(path, &map, err);
    if (s != AN_OK) return s;
    an_tokenizer *t = NULL;
    s = an_tokenizer_parse(path, (const char *)map.data, map.size, &t, err);
    an_map_close(&map);
    if (s == AN_OK && !t->chat_template)
        s = an_tokenizer_find_template(t, path, err);
    if (s == AN_OK)
        *out = t;
    else
        an_tokenizer_free(t);
    return s;
}

/* The first tokenizer in a model's folder. */
static an_status read_folder(const char *folder, an_tokenizer **out,
                             an_error *err)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer.model",
                                        "vocab.json", "tokenizer.bin"};
    an_arena arena;
    an_arena_init(&arena);
    const char *path = NULL;
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i < sizeof names / sizeof names[0]; i++) {
        path = an_arena_printf(&arena, "%s/%s", folder, names[i]);
        if (!path) s = no_memory(err);
        if (path && an_path_exists(path)) break;
        path = NULL;
    }
    if (s == AN_OK && !path)
        s = an_fail(err, AN_EIO,
                    "%s: no tokenizer.json, tokenizer.model, vocab.json or "
                    "tokenizer.bin there",
                    folder);
    if (s == AN_OK) s = read_file(path, out, err);
    an_arena_fini(&arena);
    return s;
}

an_status an_tokenizer_parse(const char *path, const char *data, size_t size,
                             an_tokenizer **out, an_error *err)
{
    const an_tokenizer_row *row = NULL;
    for (int i = 0; !row && i < N_ROWS; i++)
        if (rows[i]->is(path, (const unsigned char *)data, size)) row = rows[i];
    if (!row)
        return an_fail(err, AN_EUNSUPPORTED,
                       "%s: no kind of tokenizer file that is read here: "
                       "tokenizer.json, vocab.json with merges.txt, GGUF, "
                       "SentencePiece, tiktoken, llama2.c",
                       path);
    an_tokenizer *t = an_tokenizer_new(row->name);
    if (!t) return no_memory(err);
    an_status s = row->read(t, path, (const unsigned char *)data, size, err);
    if (s == AN_OK) s = an_tokenizer_finish(t, err);
    if (s == AN_OK) {
        *out = t;
    } else {
        an_fail_context(err, "%s", path);
        an_tokenizer_free(t);
    }
    return s;
}

an_status an_tokenizer_open(const char *name_or_path, an_tokenizer **out,
                            an_error *err)
{
    if (an_path_is_folder(name_or_path))
        return read_folder(name_or_path, out, err);
    if (strcmp(name_or_path, "bytes") != 0)
        return read_file(name_or_path, out, err);
    an_tokenizer *t = an_tokenizer_new("bytes");
    if (!t) return no_memory(err);
    an_status s = an_tokenizer_bytes_init(t, err);
    if (s == AN_OK) s = an_tokenizer_finish(t, err);
    if (s == AN_OK)
        *out = t;
    else
        an_tokenizer_free(t);
    return s;
}

/* ---- saving ---- */

an_status an_name_beside(const char *path, const char *name, char **out,
                         an_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    *out = an_alloc(n + strlen(name) + 1);
    if (!*out) return no_memory(err);
    memcpy(*out, path, n);
    memcpy(*out + n, name, strlen(name) + 1);
    return AN_OK;
}

static an_status save_source(const an_tokenizer *t, const char *path,
                             an_error *err)
{
    char *beside = NULL;
    bool is_json = strcmp(t->source_name, "tokenizer.json") == 0;
    an_status s =
        is_json ? AN_OK : an_name_beside(path, t->source_name, &beside, err);
    if (s == AN_OK)
        s = an_file_write(is_json ? path : beside, t->source, t->source_size,
                          err);
    an_free(beside);
    return s;
}

an_status an_tokenizer_save(const an_tokenizer *t, const char *path,
                            an_error *err)
{
    char *text = NULL;
    size_t size = 0;
    an_error why = {0};
    an_status s = AN_EUNSUPPORTED;
    bool is_json = t->source && strcmp(t->source_name, "tokenizer.json") == 0;
    if (!is_json) s = an_tokenizer_print(t, &text, &size, &why);
    if (s == AN_OK)
        s = an_file_write(path, text, size, err);
    else if (s == AN_EUNSUPPORTED && t->source)
        s = save_source(t, path, err);
    else
        an_fail(err, s, "%s", why.text);
    an_free(text);
    return s == AN_OK ? an_tokenizer_save_template(t, path, err) : s;
}

/* ---- filling in ---- */

an_status an_tokenizer_keep_source(an_tokenizer *t, const char *name,
                                   const void *data, size_t size, an_error *err)
{
    t->source = an_alloc(size + 1);
    if (!t->source) return no_memory(err);
    memcpy(t->source, data, size);
    t->source_size = size;
    t->source_name = name;
    return AN_OK;
}

an_status an_tokenizer_add(an_tokenizer *t, const an_added *added,
                           an_error *err)
{
    if (!an_grow(&t->added, &t->cap_added, t->n_added, sizeof *t->added))
        return no_memory(err);
    an_added *a = &t->added[t->n_added];
    *a = *added;
    a->text = an_arena_strndup(&t->arena, added->text, added->size);
    if (!a->text) return no_memory(err);
    t->n_added++;
    return AN_OK;
}

an_status an_tokenizer_split(an_tokenizer *t, const char *expression,
                             an_cut_how how, an_error *err)
{
    if (t->n_splits == AN_MAX_SPLITS)
        return an_fail(err, AN_EUNSUPPORTED, "more than %d splits",
                       AN_MAX_SPLITS);
    an_cut_stage *s = &t->splits[t->n_splits];
    s->size = strlen(expression);
    s->how = how;
    s->expression = an_arena_strndup(&t->arena, expression, s->size);
    if (!s->expression) return no_memory(err);
    an_status status = an_cut_new(expression, s->size, how, &s->split, err);
    if (status == AN_OK) t->n_splits++;
    return status;
}

/* The tries of added tokens; normalized ones by what the steps make of them. */
static an_status index_added(an_tokenizer *t, an_error *err)
{
    size_t n_bytes = 16;
    an_buffer text = {0}, work = {0};
    for (size_t i = 0; i < t->n_added; i++)
        n_bytes += 4 * t->added[i].size + 64;
    an_status s = an_trie_init(&t->raw, n_bytes, err);
    if (s == AN_OK) s = an_trie_init(&t->normalized, n_bytes, err);
    for (size_t i = 0; s == AN_OK && i < t->n_added; i++) {
        const an_added *a = &t->added[i];
        const unsigned char *p = (const unsigned char *)a->text;
        if (a->hidden) continue;
        if (a->spelled) {
            s = an_trie_put(&t->normalized, p, a->size, (int32_t)i, err);
            continue;
        }
        if (!a->normalized) {
            s = an_trie_put(&t->raw, p, a->size, (int32_t)i, err);
            continue;
        }
        s = an_normalize(t->steps, t->n_steps, p, a->size, AN_PLACE_FIRST,
                         &text, &work, err);
        if (s == AN_OK && text.n > 4 * a->size + 64)
            s = an_fail(err, AN_EUNSUPPORTED,
                        "added token %ld grows to %zu bytes when normalized",
                        (long)a->id, text.n);
        if (s == AN_OK)
            s = an_trie_put(&t->normalized, text.data, text.n, (int32_t)i, err);
    }
    an_buffer_fini(&text);
    an_buffer_fini(&work);
    return s;
}

/* Some token has a blank behind something else. */
static bool crosses_blanks(const an_tokenizer *t)
{
    size_t n = strlen(t->blank);
    for (size_t id = 0; id < t->vocab.n; id++) {
        const an_token *k = &t->vocab.tokens[id];
        bool inside = false;
        if (k->type != AN_TOKEN_NORMAL) continue;
        for (size_t i = 0; i < k->size; i++) {
            bool blank = k->size - i >= n && !memcmp(k->text + i, t->blank, n);
            if (blank && inside) return true;
            if (blank)
                i += n - 1;
            else
                inside = true;
        }
    }
    return false;
}

/* The ids are the bytes, and nothing is done to a text. */
static bool are_bytes(const an_tokenizer *t)
{
    bool are = t->spelling == AN_SPELLING_BYTES && t->pairs.n == 0 &&
               t->n_steps == 0 && t->n_late == 0;
    for (int i = 0; i < 256; i++)
        are = are && t->byte_ids[i] == i;
    return are;
}

an_status an_tokenizer_finish(an_tokenizer *t, an_error *err)
{
    an_status s = index_added(t, err);
    if (s != AN_OK) return s;
    if (t->vocab.n == 0) return an_fail(err, AN_EFORMAT, "no tokens");
    if (!t->pairs.slots && (s = an_pair_table_init(&t->pairs, 0, err)) != AN_OK)
        return s;
    if (t->blank && (t->ignores_merges || t->model == AN_MODEL_UNIGRAM ||
                     crosses_blanks(t) ||
                     an_vocab_find(&t->vocab, t->blank, strlen(t->blank)) < 0))
        t->blank = NULL;
    t->ids_are_bytes = are_bytes(t);
    return AN_OK;
}

/* ---- facts, and ids to bytes ---- */

const char *an_tokenizer_kind(const an_tokenizer *t)
{
    return t->kind;
}

int64_t an_tokenizer_vocab_size(const an_tokenizer *t)
{
    return (int64_t)t->vocab.n;
}

int32_t an_tokenizer_end_of_text(const an_tokenizer *t)
{
    return t->end_of_text;
}

int32_t an_tokenizer_begin_of_text(const an_tokenizer *t)
{
    return t->begin;
}

int32_t an_tokenizer_id(const an_tokenizer *t, const char *token, size_t size)
{
    for (size_t i = 0; i < t->n_added; i++)
        if (t->added[i].size == size && !memcmp(t->added[i].text, token, size))
            return t->added[i].id;
    return an_vocab_find(&t->vocab, token, size);
}

void an_tokens_free(int32_t *ids)
{
    an_free(ids);
}

const char *an_tokenizer_bytes(const an_tokenizer *t, int32_t id, size_t *size)
{
    *size = 0;
    if (id < 0 || (size_t)id >= t->vocab.n) return "";
    const an_token *k = &t->vocab.tokens[id];
    if (k->type == AN_TOKEN_CONTROL || k->type == AN_TOKEN_UNKNOWN) return "";
    *size = k->n_bytes;
    return (const char *)k->bytes;
}

const char *an_decoder_next(an_decoder *d, const an_tokenizer *t, int32_t id,
                            size_t *size)
{
    const char *bytes = an_tokenizer_bytes(t, id, size);
    if (*size == 0 && id == t->begin) d->inside = false;
    if (*size == 0 || d->inside) return bytes;
    d->inside = true;
    if (!t->drops_first_space || bytes[0] != ' ') return bytes;
    *size -= 1;
    return bytes + 1;
}

an_status an_tokenizer_decode(const an_tokenizer *t, const int32_t *ids,
                              size_t n, char **text, size_t *size,
                              an_error *err)
{
    an_buffer out = {0};
    an_status s = an_buffer_put(&out, "", 1, err); /* never NULL */
    out.n = 0;
    an_decoder d = {0};
    for (size_t i = 0; s == AN_OK && i < n; i++) {
        size_t n_bytes;
        const char *bytes = an_decoder_next(&d, t, ids[i], &n_bytes);
        s = an_buffer_put(&out, bytes, n_bytes, err);
    }
    if (s == AN_OK) {
        *text = (char *)out.data;
        *size = out.n;
    } else {
        an_buffer_fini(&out);
    }
    return s;
}
