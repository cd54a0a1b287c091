/*
 * The tokenizer inside a GGUF: "llama" is SentencePiece's BPE, "gpt2"
 * byte-level BPE whose expression has a name in tokenizer.ggml.pre. Source:
 * src/llama-vocab.cpp of ggml-org/llama.cpp.
 */
#include "text/gguf.h"

#include "base/gguf.h"
#include "text/expressions.h"
#include "text/json_parts.h"
#include "text/pieces.h"

#include <string.h>

static bool is_gguf(const char *path, const unsigned char *data, size_t size)
{
    (void)path;
    return an_gguf_is(data, size);
}

typedef struct lists {
    const an_gguf_value *tokens, *types, *scores, *merges;
} lists;

static bool is_list(const an_gguf_value *v, an_gguf_type type, uint64_t n)
{
    return v && v->is_array && v->type == type && (n == 0 || v->n == n);
}

static an_status find_lists(const an_gguf *g, lists *l, an_error *err)
{
    l->tokens = an_gguf_find(g, "tokenizer.ggml.tokens");
    l->types = an_gguf_find(g, "tokenizer.ggml.token_type");
    l->scores = an_gguf_find(g, "tokenizer.ggml.scores");
    l->merges = an_gguf_find(g, "tokenizer.ggml.merges");
    if (!is_list(l->tokens, AN_GGUF_STRING, 0) || l->tokens->n == 0 ||
        l->tokens->n > AN_MAX_VOCAB)
        return an_fail(err, AN_EFORMAT,
                       "tokenizer.ggml.tokens: expected an array of strings");
    if (l->types && !is_list(l->types, AN_GGUF_I32, l->tokens->n))
        return an_fail(err, AN_EFORMAT,
                       "tokenizer.ggml.token_type: expected an int32 a token");
    if (l->scores && !is_list(l->scores, AN_GGUF_F32, l->tokens->n))
        return an_fail(err, AN_EFORMAT,
                       "tokenizer.ggml.scores: expected a float32 a token");
    if (l->merges && !is_list(l->merges, AN_GGUF_STRING, 0))
        return an_fail(err, AN_EFORMAT,
                       "tokenizer.ggml.merges: expected an array of strings");
    return AN_OK;
}

static an_token_type type_of(const lists *l, uint64_t i)
{
    /* By llama.cpp's numbers, which are SentencePiece's. */
    static const an_token_type types[] = {
        AN_TOKEN_NORMAL, AN_TOKEN_NORMAL, AN_TOKEN_UNKNOWN, AN_TOKEN_CONTROL,
        AN_TOKEN_USER,   AN_TOKEN_UNUSED, AN_TOKEN_BYTE};
    double x = l->types ? an_gguf_number(l->types, i) : 1;
    return x >= 0 && x <= 6 ? types[(int)x] : AN_TOKEN_NORMAL;
}

/* ---- SentencePiece ---- */

static an_status read_pieces(an_tokenizer *t, const an_gguf *g, const lists *l,
                             an_error *err)
{
    const unsigned char *at = l->tokens->data;
    bool prefix = true;
    an_status s = AN_OK;
    t->spelling = AN_SPELLING_CHARACTERS;
    t->byte_fallback = true;
    for (uint64_t i = 0; s == AN_OK && i < l->tokens->n; i++) {
        an_gguf_text text = an_gguf_next(&at);
        double score = l->scores ? an_gguf_number(l->scores, i) : 0;
        if (!(score > -1e30 && score < 1e30))
            return an_fail(err, AN_EFORMAT, "token %llu: score %g",
                           (unsigned long long)i, score);
        if (type_of(l, i) != AN_TOKEN_UNUSED)
            s = an_piece_put(t, (int64_t)i, text.text, text.size, (float)score,
                             type_of(l, i), err);
    }
    if (s == AN_OK) s = an_pieces_index(t, err);
    if (s == AN_OK)
        s = an_gguf_bool(g, "tokenizer.ggml.add_space_prefix", &prefix, err);
    an_pieces_steps(t, prefix);
    return s;
}

/* ---- byte level ---- */

static const an_gguf_pre forms[] = {
    {"gpt-2", an_expression_gpt2, NULL, false, false},
    {"llama-bpe", an_expression_llama3, NULL, false, true},
    {"llama3", an_expression_llama3, NULL, false, true},
    {"llama-v3", an_expression_llama3, NULL, false, true},
    {"qwen2", an_expression_qwen2, NULL, true, false},
    {"smollm", an_expression_digit, an_expression_gpt2, false, false},
    {"gpt-4o", an_expression_o200k, NULL, false, true},
    {"llama4", an_expression_o200k, NULL, false, true},
};

const an_gguf_pre *an_gguf_pre_at(size_t i)
{
    return i < sizeof forms / sizeof forms[0] ? &forms[i] : NULL;
}

static an_status read_form(an_tokenizer *t, const an_gguf *g, an_error *err)
{
    an_gguf_text name = {"default", 7};
    an_status s = an_gguf_string(g, "tokenizer.ggml.pre", &name, err);
    for (size_t i = 0; s == AN_OK && i < sizeof forms / sizeof forms[0]; i++) {
        if (strlen(forms[i].name) != name.size ||
            memcmp(forms[i].name, name.text, name.size) != 0)
            continue;
        t->ignores_merges = forms[i].ignores_merges;
        if (forms[i].composes)
            t->steps[t->n_steps++] =
                (an_step){.kind = AN_STEP_NFC, .from = "", .to = ""};
        s = an_tokenizer_split(t, forms[i].first, AN_CUT_ISOLATED, err);
        if (s == AN_OK && forms[i].then)
            s = an_tokenizer_split(t, forms[i].then, AN_CUT_ISOLATED, err);
        return s;
    }
    return s != AN_OK
               ? s
               : an_fail(err, AN_EUNSUPPORTED,
                         "tokenizer.ggml.pre \"%.*s\" is not read",
                         name.size < 40 ? (int)name.size : 40, name.text);
}

static an_status read_tokens(an_tokenizer *t, const lists *l, an_error *err)
{
    const unsigned char *at = l->tokens->data;
    an_status s = AN_OK;
    for (uint64_t i = 0; s == AN_OK && i < l->tokens->n; i++) {
        an_gguf_text text = an_gguf_next(&at);
        an_token_type type = type_of(l, i);
        if (type == AN_TOKEN_NORMAL || type == AN_TOKEN_BYTE) {
            s = an_token_put(t, text.text, text.size, (int64_t)i, err);
        } else if (type != AN_TOKEN_UNUSED && text.size > 0) {
            const an_added a = {.text = text.text,
                                .size = text.size,
                                .id = (int32_t)i,
                                .special = type != AN_TOKEN_USER};
            s = an_added_put(t, &a, err);
        }
    }
    return s == AN_OK ? an_vocab_index(&t->vocab, err) : s;
}

static an_status read_merges(an_tokenizer *t, const lists *l, an_error *err)
{
    if (!l->merges) return an_fail(err, AN_EFORMAT, "no tokenizer.ggml.merges");
    const unsigned char *at = l->merges->data;
    an_status s = an_pair_table_init(&t->pairs, (size_t)l->merges->n, err);
    for (uint64_t i = 0; s == AN_OK && i < l->merges->n; i++) {
        an_gguf_text m = an_gguf_next(&at);
        const char *cut = m.size ? memchr(m.text, ' ', m.size) : NULL;
        if (!cut)
            return an_fail(err, AN_EFORMAT, "merge %llu: expected two tokens",
                           (unsigned long long)i);
        size_t n = (size_t)(cut - m.text);
        s = an_merge_put(t, m.text, n, cut + 1, m.size - n - 1, (uint32_t)i,
                         err);
    }
    return s;
}

static an_status read_byte_level(an_tokenizer *t, const an_gguf *g,
                                 const lists *l, an_error *err)
{
    t->spelling = AN_SPELLING_BYTES;
    an_status s = read_form(t, g, err);
    if (s == AN_OK) s = read_tokens(t, l, err);
    return s == AN_OK ? read_merges(t, l, err) : s;
}

/* ---- marks ---- */

static an_status read_mark(const an_tokenizer *t, const an_gguf *g,
                           const char *key, int32_t *out, an_error *err)
{
    int64_t id = -1;
    an_status s = an_gguf_int(g, key, &id, err);
    if (s == AN_OK && (id < -1 || id >= (int64_t)t->vocab.n))
        s = an_fail(err, AN_EFORMAT, "%s is %lld of %zu tokens", key,
                    (long long)id, t->vocab.n);
    if (s == AN_OK && id >= 0) *out = (int32_t)id;
    return s;
}

static an_status read_marks(an_tokenizer *t, const an_gguf *g, bool begins,
                            an_error *err)
{
    an_status s =
        read_mark(t, g, "tokenizer.ggml.eos_token_id", &t->end_of_text, err);
    if (s == AN_OK)
        s = an_gguf_bool(g, "tokenizer.ggml.add_bos_token", &begins, err);
    if (s == AN_OK && begins)
        s = read_mark(t, g, "tokenizer.ggml.bos_token_id", &t->begin, err);
    if (s == AN_OK)
        s = read_mark(t, g, "tokenizer.ggml.unknown_token_id", &t->unknown,
                      err);
    return s;
}

static an_status read_gguf(an_tokenizer *t, const char *path,
                           const unsigned char *data, size_t size,
                           an_error *err)
{
    an_gguf g = {0};
    lists l = {0};
    an_gguf_text model = {"", 0};
    (void)path;
    an_status s = an_gguf_parse(data, size, &g, err);
    if (s == AN_OK) s = an_gguf_string(&g, "tokenizer.ggml.model", &model, err);
    bool pieces = model.size == 5 && memcmp(model.text, "llama", 5) == 0;
    bool bytes = model.size == 4 && memcmp(model.text, "gpt2", 4) == 0;
    if (s == AN_OK && !pieces && !bytes)
        s = an_fail(err, AN_EUNSUPPORTED,
                    "tokenizer.ggml.model \"%.*s\"; llama and gpt2 are read",
                    model.size < 40 ? (int)model.size : 40, model.text);
    if (s == AN_OK) s = find_lists(&g, &l, err);
    if (s == AN_OK)
        s = pieces ? read_pieces(t, &g, &l, err)
                   : read_byte_level(t, &g, &l, err);
    /* What llama.cpp does without the key. */
    bool begins = pieces || t->ignores_merges;
    if (s == AN_OK) s = read_marks(t, &g, begins, err);
    an_gguf_text chat = {NULL, 0};
    if (s == AN_OK)
        s = an_gguf_string(&g, "tokenizer.chat_template", &chat, err);
    if (s == AN_OK && chat.text)
        s = an_tokenizer_set_template(t, chat.text, chat.size, err);
    an_gguf_fini(&g);
    return s;
}

const an_tokenizer_row an_tokenizer_gguf_row = {
    .name = "GGUF", .is = is_gguf, .read = read_gguf};
