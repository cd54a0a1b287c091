/*
 * huggingface/tokenizers' tokenizer.json with a BPE model. Every part that
 * changes ids is read or refused by its name.
 * Source: the serialized forms in tokenizers/src of huggingface/tokenizers.
 */
#include "base/alloc.h"
#include "text/json_parts.h"
#include "text/utf8.h"

#include <string.h>

static bool is_json(const char *path, const unsigned char *data, size_t size)
{
    (void)path;
    size_t i = 0;
    while (i < size && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' ||
                        data[i] == '\t'))
        i++;
    return i < size && data[i] == '{';
}

/* ---- vocabulary ---- */

/* The number in "<0x0A>"; -1: another text. */
int an_byte_token(const char *text, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    const char *high = text[3] ? strchr(digits, text[3]) : NULL;
    const char *low = text[4] ? strchr(digits, text[4]) : NULL;
    return high && low ? (int)((high - digits) * 16 + (low - digits)) : -1;
}

/* What a token of characters decodes to: U+2581 is a blank. */
an_status an_token_set_blanks(an_tokenizer *t, int32_t id, an_error *err)
{
    an_token *k = &t->vocab.tokens[id];
    const unsigned char *at = k->text, *end = k->text + k->size;
    unsigned char *bytes = an_arena_alloc(&t->arena, k->size + 1u);
    if (!bytes) return an_fail(err, AN_ENOMEM, "no memory");
    k->n_bytes = 0;
    k->bytes = bytes;
    while (at < end) {
        bool blank = end - at >= 3 && memcmp(at, AN_BLANK, 3) == 0;
        bytes[k->n_bytes++] = blank ? ' ' : *at;
        at += blank ? 3 : 1;
    }
    return AN_OK;
}

/* "<0x0A>" decodes to its byte. */
an_status an_token_set_byte(an_tokenizer *t, int32_t id, int byte,
                            an_error *err)
{
    unsigned char *bytes = an_arena_alloc(&t->arena, 1);
    if (!bytes) return an_fail(err, AN_ENOMEM, "no memory");
    bytes[0] = (unsigned char)byte;
    t->vocab.tokens[id].bytes = bytes;
    t->vocab.tokens[id].n_bytes = 1;
    t->byte_ids[byte] = id;
    return AN_OK;
}

/* A token as the model's `vocab` has it. */
an_status an_token_put(an_tokenizer *t, const char *text, size_t size,
                       int64_t id, an_error *err)
{
    unsigned char spelled[AN_MAX_TOKEN_BYTES];
    const void *own = text;
    size_t n = size;
    if (t->spelling == AN_SPELLING_BYTES && size <= sizeof spelled) {
        int64_t m = an_byte_unspell((const unsigned char *)text, size, spelled);
        if (m >= 0) own = spelled, n = (size_t)m;
    }
    an_status s =
        an_vocab_put(&t->vocab, &t->arena, id, own, n, AN_TOKEN_NORMAL, 0, err);
    if (s != AN_OK || t->spelling == AN_SPELLING_BYTES) {
        if (s == AN_OK && n == 1 && own == spelled)
            t->byte_ids[spelled[0]] = (int32_t)id;
        return s;
    }
    int byte = t->byte_fallback ? an_byte_token(text, size) : -1;
    if (byte >= 0) return an_token_set_byte(t, (int32_t)id, byte, err);
    return an_token_set_blanks(t, (int32_t)id, err);
}

an_status an_read_vocab(an_tokenizer *t, json_t *vocab, an_error *err)
{
    if (!json_is_object(vocab))
        return an_fail(err, AN_EFORMAT, "vocab: expected an object");
    const char *text;
    json_t *id;
    an_status s = AN_OK;
    json_object_foreach(vocab, text, id)
    {
        if (!json_is_integer(id))
            return an_fail(err, AN_EFORMAT,
                           "vocab: \"%.40s\": expected an integer", text);
        s = an_token_put(t, text, strlen(text), json_integer_value(id), err);
        if (s != AN_OK) return s;
    }
    return an_vocab_index(&t->vocab, err);
}

static int32_t find_spelled(const an_tokenizer *t, const char *text,
                            size_t size)
{
    unsigned char bytes[AN_MAX_TOKEN_BYTES];
    if (t->spelling == AN_SPELLING_BYTES && size <= sizeof bytes) {
        int64_t n = an_byte_unspell((const unsigned char *)text, size, bytes);
        if (n >= 0) return an_vocab_find(&t->vocab, bytes, (size_t)n);
    }
    return an_vocab_find(&t->vocab, text, size);
}

an_status an_merge_put(an_tokenizer *t, const char *left, size_t n_left,
                       const char *right, size_t n_right, uint32_t rank,
                       an_error *err)
{
    an_pair p = {.left = find_spelled(t, left, n_left),
                 .right = find_spelled(t, right, n_right),
                 .id = -1,
                 .rank = rank};
    char both[AN_MAX_TOKEN_BYTES];
    if (n_left <= sizeof both && n_right <= sizeof both - n_left) {
        memcpy(both, left, n_left);
        memcpy(both + n_left, right, n_right);
        p.id = find_spelled(t, both, n_left + n_right);
    }
    if (p.left < 0 || p.right < 0 || p.id < 0)
        return an_fail(err, AN_EFORMAT,
                       "merge %lu: \"%.*s\" and \"%.*s\", or what they make, "
                       "are not in the vocabulary",
                       (unsigned long)rank, n_left < 40 ? (int)n_left : 40,
                       left, n_right < 40 ? (int)n_right : 40, right);
    an_pair_table_put(&t->pairs, &p);
    return AN_OK;
}

/* "a b" or ["a", "b"] */
static an_status read_merge(an_tokenizer *t, const json_t *m, uint32_t rank,
                            an_error *err)
{
    if (json_is_string(m)) {
        const char *text = json_string_value(m), *cut = strchr(text, ' ');
        if (cut && cut != text && cut[1])
            return an_merge_put(t, text, (size_t)(cut - text), cut + 1,
                                strlen(cut + 1), rank, err);
    }
    const char *left = json_string_value(json_array_get(m, 0));
    const char *right = json_string_value(json_array_get(m, 1));
    if (!left || !right)
        return an_fail(err, AN_EFORMAT,
                       "model: merge %lu: expected \"a b\" or [\"a\", \"b\"]",
                       (unsigned long)rank);
    return an_merge_put(t, left, strlen(left), right, strlen(right), rank, err);
}

static an_status read_merges(an_tokenizer *t, const json_t *model,
                             an_error *err)
{
    const json_t *merges = json_object_get(model, "merges");
    if (!json_is_array(merges))
        return an_fail(err, AN_EFORMAT, "model: merges: expected an array");
    size_t n = json_array_size(merges);
    an_status s = an_pair_table_init(&t->pairs, n, err);
    for (size_t i = 0; s == AN_OK && i < n; i++)
        s = read_merge(t, json_array_get(merges, i), (uint32_t)i, err);
    return s;
}

/* ---- model ---- */

static an_status refuse_text(const json_t *model, const char *key,
                             an_error *err)
{
    const char *text = "";
    an_status s = an_json_string(model, key, &text, err);
    if (s == AN_OK && text[0])
        s = an_fail(err, AN_EUNSUPPORTED, "model: %s \"%.40s\" is not read",
                    key, text);
    return s;
}

static an_status check_model(const json_t *model, an_error *err)
{
    const char *type = "BPE";
    double dropout = 0;
    an_status s = an_json_string(model, "type", &type, err);
    if (s == AN_OK && strcmp(type, "BPE") != 0)
        return an_fail(err, AN_EUNSUPPORTED, "model of kind %.40s; BPE is read",
                       type);
    if (s == AN_OK) s = refuse_text(model, "continuing_subword_prefix", err);
    if (s == AN_OK) s = refuse_text(model, "end_of_word_suffix", err);
    if (s == AN_OK) s = an_json_real(model, "dropout", &dropout, err);
    if (s == AN_OK && dropout != 0)
        s = an_fail(err, AN_EUNSUPPORTED, "model: dropout %g is not read",
                    dropout);
    return s;
}

static an_status read_model(an_tokenizer *t, const json_t *model, an_error *err)
{
    const char *unknown = NULL;
    an_status s = check_model(model, err);
    if (s == AN_OK)
        s = an_json_bool(model, "byte_fallback", &t->byte_fallback, err);
    if (s == AN_OK) s = an_json_bool(model, "fuse_unk", &t->fuses_unknown, err);
    if (s == AN_OK)
        s = an_json_bool(model, "ignore_merges", &t->ignores_merges, err);
    if (s == AN_OK) s = an_json_string(model, "unk_token", &unknown, err);
    if (s == AN_OK) s = an_read_vocab(t, json_object_get(model, "vocab"), err);
    if (s == AN_OK) s = read_merges(t, model, err);
    if (s == AN_OK && unknown)
        t->unknown = an_vocab_find(&t->vocab, unknown, strlen(unknown));
    return s;
}

/* ---- added tokens ---- */

static an_status read_added_flags(const json_t *o, an_added *a, an_error *err)
{
    bool single_word = false;
    a->normalized = true;
    an_status s = an_json_bool(o, "special", &a->special, err);
    if (s == AN_OK) a->normalized = !a->special;
    if (s == AN_OK) s = an_json_bool(o, "normalized", &a->normalized, err);
    if (s == AN_OK) s = an_json_bool(o, "lstrip", &a->eats_left, err);
    if (s == AN_OK) s = an_json_bool(o, "rstrip", &a->eats_right, err);
    if (s == AN_OK) s = an_json_bool(o, "single_word", &single_word, err);
    if (s == AN_OK && single_word)
        s = an_fail(err, AN_EUNSUPPORTED,
                    "added token \"%.40s\": single_word is not read", a->text);
    return s;
}

/* Its id may be one of the model's: then it prints as before unless special. */
an_status an_added_put(an_tokenizer *t, const an_added *a, an_error *err)
{
    an_vocab *v = &t->vocab;
    an_status s = AN_OK;
    bool known = (size_t)a->id < v->n && v->tokens[a->id].type != AN_TOKEN_HOLE;
    an_token_type type = a->special ? AN_TOKEN_CONTROL : AN_TOKEN_USER;
    if (!known)
        s = an_vocab_put(v, &t->arena, a->id, a->text, a->size, type, 0, err);
    else if (a->special)
        v->tokens[a->id].type = AN_TOKEN_CONTROL;
    return s == AN_OK ? an_tokenizer_add(t, a, err) : s;
}

static an_status read_added(an_tokenizer *t, const json_t *list, an_error *err)
{
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        an_added a = {0};
        int64_t id = -1;
        s = an_json_string(o, "content", &a.text, err);
        if (s == AN_OK) s = an_json_int(o, "id", 0, AN_MAX_VOCAB - 1, &id, err);
        if (s == AN_OK && (!a.text || !a.text[0] || id < 0))
            s = an_fail(err, AN_EFORMAT,
                        "added token %zu: expected content and id", i);
        if (s == AN_OK) s = read_added_flags(o, &a, err);
        if (s != AN_OK) break;
        a.id = (int32_t)id;
        a.size = strlen(a.text);
        s = an_added_put(t, &a, err);
    }
    return s;
}

/* The id of the first of these names that is an added token. */
void an_find_marks(an_tokenizer *t)
{
    static const char *const ends[] = {"<|endoftext|>", "<|end_of_text|>",
                                       "</s>",          "<eos>",
                                       "<|im_end|>",    "<|eot_id|>"};
    for (size_t i = 0; t->end_of_text < 0 && i < sizeof ends / sizeof ends[0];
         i++)
        t->end_of_text = an_tokenizer_id(t, ends[i], strlen(ends[i]));
}

static an_status read_parts(an_tokenizer *t, const json_t *file, an_error *err)
{
    const json_t *added = json_object_get(file, "added_tokens");
    an_status s =
        an_read_pre_tokenizer(t, json_object_get(file, "pre_tokenizer"), err);
    if (s == AN_OK)
        s = an_read_normalizer(t, json_object_get(file, "normalizer"), err);
    if (s == AN_OK) s = read_model(t, json_object_get(file, "model"), err);
    if (s == AN_OK) s = read_added(t, added, err);
    if (s == AN_OK)
        s = an_read_post_processor(t, json_object_get(file, "post_processor"),
                                   err);
    if (s == AN_OK)
        s = an_read_decoder(t, json_object_get(file, "decoder"), err);
    if (s == AN_OK) an_find_marks(t);
    return s;
}

static an_status read_json(an_tokenizer *t, const char *path,
                           const unsigned char *data, size_t size,
                           an_error *err)
{
    json_t *file = NULL;
    (void)path;
    an_status s = an_json_parse((const char *)data, size, "JSON", &file, err);
    if (s == AN_OK) s = read_parts(t, file, err);
    json_decref(file);
    return s == AN_OK
               ? an_tokenizer_keep_source(t, "tokenizer.json", data, size, err)
               : s;
}

const an_tokenizer_row an_tokenizer_json_row = {
    .name = "tokenizer.json", .is = is_json, .read = read_json};
