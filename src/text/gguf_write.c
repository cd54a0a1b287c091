/*
 * "gpt2" is byte-level BPE with merges and a named way to cut words; "llama"
 * SentencePiece's BPE, where any two neighbours whose text is a token merge,
 * the token of the highest score first. What does not fit in one of them
 * exactly is refused. Sources: src/llama-vocab.cpp and convert_hf_to_gguf.py of
 * ggml-org/llama.cpp.
 */
#include "text/gguf.h"

#include "base/alloc.h"
#include "base/gguf.h"
#include "text/chat.h"
#include "text/json_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct writer {
    const an_tokenizer *t;
    size_t n; /* tokens to be written */
    an_buffer *out;
    uint64_t n_keys;
    an_status status; /* the first failure */
    an_error *err;
} writer;

static void put(writer *w, const void *data, size_t size)
{
    if (w->status == AN_OK)
        w->status = an_buffer_put(w->out, data, size, w->err);
}

static void put_u32(writer *w, uint32_t x)
{
    put(w, &x, sizeof x);
}

static void put_text(writer *w, const void *text, size_t size)
{
    const uint64_t n = size;
    put(w, &n, sizeof n);
    put(w, text, size);
}

static void put_key(writer *w, const char *name, an_gguf_type type)
{
    w->n_keys++;
    put_text(w, name, strlen(name));
    put_u32(w, type);
}

static void key_text(writer *w, const char *name, const char *text, size_t size)
{
    put_key(w, name, AN_GGUF_STRING);
    put_text(w, text, size);
}

static void key_bool(writer *w, const char *name, bool x)
{
    const unsigned char byte = x;
    put_key(w, name, AN_GGUF_BOOL);
    put(w, &byte, 1);
}

static void key_id(writer *w, const char *name, int32_t id)
{
    if (id < 0) return;
    put_key(w, name, AN_GGUF_U32);
    put_u32(w, (uint32_t)id);
}

static void key_array(writer *w, const char *name, an_gguf_type type,
                      uint64_t n)
{
    put_key(w, name, AN_GGUF_ARRAY);
    put_u32(w, type);
    put(w, &n, sizeof n);
}

static an_status refuse(const char *what, an_error *err)
{
    return an_fail(err, AN_EUNSUPPORTED,
                   "llama.cpp has no tokenizer like this one: %s", what);
}

/* ---- tokens ---- */

static const an_added *added_of(const an_tokenizer *t, size_t id)
{
    for (size_t i = 0; i < t->n_added; i++)
        if ((size_t)t->added[i].id == id) return &t->added[i];
    return NULL;
}

static bool is_byte(const an_tokenizer *t, size_t id)
{
    const an_token *k = &t->vocab.tokens[id];
    return t->spelling == AN_SPELLING_CHARACTERS && k->n_bytes == 1 &&
           t->byte_ids[k->bytes[0]] == (int32_t)id;
}

/* llama.cpp's numbers: 1 normal, 2 unknown, 3 control, 4 a user's, 5 unused, 6
 * byte. */
static uint32_t type_of(const an_tokenizer *t, size_t id)
{
    if (id >= t->vocab.n || t->vocab.tokens[id].type == AN_TOKEN_HOLE) return 5;
    if ((int32_t)id == t->unknown) return 2;
    if (is_byte(t, id)) return 6;
    switch (t->vocab.tokens[id].type) {
    case AN_TOKEN_CONTROL:
        return 3;
    case AN_TOKEN_USER:
        return 4;
    case AN_TOKEN_UNUSED:
        return 5;
    default:
        break;
    }
    const an_added *a = added_of(t, id);
    return !a ? 1 : a->special ? 3 : 4;
}

/* Bytes of byte-level tokens are spelled as in tokenizer.json. */
static void put_token(writer *w, size_t id)
{
    const an_token *k = &w->t->vocab.tokens[id];
    if (w->t->spelling != AN_SPELLING_BYTES || added_of(w->t, id)) {
        put_text(w, k->text, k->size);
        return;
    }
    unsigned char *spelled = an_alloc(2u * k->size + 1u);
    if (!spelled && w->status == AN_OK)
        w->status = an_fail(w->err, AN_ENOMEM, "no memory");
    if (spelled) put_text(w, spelled, an_byte_spell(k->text, k->size, spelled));
    an_free(spelled);
}

static void put_tokens(writer *w)
{
    key_array(w, "tokenizer.ggml.tokens", AN_GGUF_STRING, w->n);
    for (size_t id = 0; id < w->n; id++) {
        char pad[32];
        if (id < w->t->vocab.n &&
            w->t->vocab.tokens[id].type != AN_TOKEN_HOLE) {
            put_token(w, id);
            continue;
        }
        int size = snprintf(pad, sizeof pad, "[PAD%zu]", id);
        put_text(w, pad, (size_t)size);
    }
    key_array(w, "tokenizer.ggml.token_type", AN_GGUF_I32, w->n);
    for (size_t id = 0; id < w->n; id++)
        put_u32(w, type_of(w->t, id));
}

/* ---- merges in order ---- */

static int by_rank(const void *a, const void *b)
{
    const an_pair *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    return x->right < y->right ? -1 : x->right > y->right;
}

/* The caller frees. */
static an_pair *pairs_by_rank(const an_tokenizer *t)
{
    const an_pair_table *p = &t->pairs;
    an_pair *list = an_alloc_array(p->n ? p->n : 1, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; list && i < p->n_slots; i++)
        if (p->slots[i].id >= 0) list[n++] = p->slots[i];
    if (list) qsort(list, n, sizeof *list, by_rank);
    return list;
}

/* ---- byte level ---- */

static const char *pre_of(const an_tokenizer *t)
{
    const an_gguf_pre *f;
    bool composes = t->n_steps == 1 && t->steps[0].kind == AN_STEP_NFC;
    if (t->n_late > 0 || (t->n_steps > 0 && !composes)) return NULL;
    for (size_t i = 0; (f = an_gguf_pre_at(i)) != NULL; i++) {
        bool same = f->composes == composes &&
                    f->ignores_merges == t->ignores_merges &&
                    t->n_splits == (f->then ? 2 : 1);
        for (int k = 0; same && k < t->n_splits; k++)
            same = t->splits[k].how == AN_CUT_ISOLATED &&
                   strcmp(t->splits[k].expression, k ? f->then : f->first) == 0;
        if (same) return f->name;
    }
    return NULL;
}

static void put_byte_level(writer *w)
{
    const char *pre = pre_of(w->t);
    an_pair *list = pairs_by_rank(w->t);
    if (!pre || !list) {
        w->status = pre ? an_fail(w->err, AN_ENOMEM, "no memory")
                        : refuse("how it cuts texts into words", w->err);
        an_free(list);
        return;
    }
    key_text(w, "tokenizer.ggml.model", "gpt2", 4);
    key_text(w, "tokenizer.ggml.pre", pre, strlen(pre));
    put_tokens(w);
    key_array(w, "tokenizer.ggml.merges", AN_GGUF_STRING, w->t->pairs.n);
    for (size_t i = 0; i < w->t->pairs.n && w->status == AN_OK; i++) {
        const an_token *k = w->t->vocab.tokens;
        const an_token *l = &k[list[i].left], *r = &k[list[i].right];
        unsigned char *both = an_alloc(2u * (l->size + r->size) + 1u);
        if (!both) {
            w->status = an_fail(w->err, AN_ENOMEM, "no memory");
            break;
        }
        size_t n = an_byte_spell(l->text, l->size, both);
        both[n++] = ' ';
        n += an_byte_spell(r->text, r->size, both + n);
        put_text(w, both, n);
        an_free(both);
    }
    an_free(list);
}

/* ---- SentencePiece ---- */

/* Whether texts begin with a blank that they do not have; false: other steps
 * than those are taken. */
static bool read_steps(const an_tokenizer *t, bool *prefix)
{
    const an_step *st[2 * AN_MAX_STEPS];
    int n = 0;
    bool blanks = false;
    *prefix = false;
    for (int i = 0; i < t->n_steps; i++)
        st[n++] = &t->steps[i];
    for (int i = 0; i < t->n_late; i++)
        st[n++] = &t->late[i];
    for (int i = 0; i < n; i++) {
        const an_step *x = st[i];
        bool is_blank = x->to_size == 3 && memcmp(x->to, AN_BLANK, 3) == 0;
        if (x->kind == AN_STEP_SENTENCEPIECE) {
            *prefix = x->rules.dummy_prefix;
            blanks = x->rules.escape;
            if (x->rules.n_units > 0 || x->rules.remove_extra) return false;
        } else if (x->kind == AN_STEP_REPLACE) {
            blanks = is_blank && x->from_size == 1 && x->from[0] == ' ';
            if (!blanks) return false;
        } else if (x->kind == AN_STEP_NFC) {
            return false;
        } else {
            *prefix = is_blank || (x->to_size == 1 && x->to[0] == ' ');
            if (!*prefix) return false;
        }
    }
    return blanks;
}

/* Scores of the tokens' own, or by the rank of the first merge that makes them;
 * the caller frees. */
static float *scores_of(const an_tokenizer *t, const an_pair *list)
{
    float *scores = an_alloc_array(t->vocab.n, sizeof *scores);
    bool any = false;
    for (size_t id = 0; scores && id < t->vocab.n; id++) {
        scores[id] = t->vocab.tokens[id].score;
        any = any || scores[id] != 0;
    }
    for (size_t i = t->pairs.n; scores && !any && i-- > 0;)
        scores[list[i].id] = -(float)list[i].rank;
    return scores;
}

/* Merging by scores is merging by these merges. */
static an_status check_scores(const an_tokenizer *t, const an_pair *list,
                              const float *scores, an_error *err)
{
    static const char why[] = "its merges do not follow from scores of tokens";
    an_vocab v = t->vocab;
    an_pair_table p = {0};
    v.tokens = an_alloc_array(v.n, sizeof *v.tokens);
    if (!v.tokens) return an_fail(err, AN_ENOMEM, "no memory");
    for (size_t id = 0; id < v.n; id++) {
        v.tokens[id] = t->vocab.tokens[id];
        v.tokens[id].score = scores[id];
    }
    an_status s = an_pair_table_from_scores(&p, &v, err);
    if (s == AN_OK && p.n != t->pairs.n) s = refuse(why, err);
    for (size_t i = 0; s == AN_OK && i < t->pairs.n; i++)
        if (!an_pair_table_find(&p, list[i].left, list[i].right) ||
            (i > 0 && scores[list[i].id] > scores[list[i - 1].id]))
            s = refuse(why, err);
    an_pair_table_fini(&p);
    an_free(v.tokens);
    return s;
}

static void put_pieces(writer *w)
{
    const an_tokenizer *t = w->t;
    bool prefix = false;
    if (!read_steps(t, &prefix) || t->ignores_merges || !t->byte_fallback) {
        w->status = refuse("what it does to texts before words", w->err);
        return;
    }
    an_pair *list = pairs_by_rank(t);
    float *scores = list ? scores_of(t, list) : NULL;
    w->status = scores ? check_scores(t, list, scores, w->err)
                       : an_fail(w->err, AN_ENOMEM, "no memory");
    key_text(w, "tokenizer.ggml.model", "llama", 5);
    key_text(w, "tokenizer.ggml.pre", "default", 7);
    put_tokens(w);
    key_array(w, "tokenizer.ggml.scores", AN_GGUF_F32, w->n);
    for (size_t id = 0; id < w->n && scores; id++) {
        const float score = id < t->vocab.n ? scores[id] : -1e4F;
        put(w, &score, sizeof score);
    }
    key_bool(w, "tokenizer.ggml.add_space_prefix", prefix);
    an_free(scores);
    an_free(list);
}

/* ---- the whole ---- */

static void put_marks(writer *w)
{
    const an_tokenizer *t = w->t;
    int32_t end = an_chat_end_id(t);
    key_id(w, "tokenizer.ggml.bos_token_id",
           t->begin >= 0 ? t->begin : t->end_of_text);
    key_id(w, "tokenizer.ggml.eos_token_id", t->end_of_text);
    key_id(w, "tokenizer.ggml.unknown_token_id", t->unknown);
    if (end != t->end_of_text) key_id(w, "tokenizer.ggml.eot_token_id", end);
    key_bool(w, "tokenizer.ggml.add_bos_token", t->begin >= 0);
    key_bool(w, "tokenizer.ggml.add_eos_token", false);
    if (t->chat_template)
        key_text(w, "tokenizer.chat_template", t->chat_template,
                 t->chat_template_size);
}

an_status an_tokenizer_gguf(const an_tokenizer *t, int64_t vocab_size,
                            an_buffer *out, uint64_t *n_keys, an_error *err)
{
    writer w = {.t = t, .n = (size_t)vocab_size, .out = out, .err = err};
    if (t->model != AN_MODEL_BPE)
        return refuse("unigram models are not written", err);
    if ((int64_t)t->vocab.n > vocab_size)
        return an_fail(err, AN_EUNSUPPORTED,
                       "the tokenizer has %zu tokens, the model %lld",
                       t->vocab.n, (long long)vocab_size);
    for (size_t i = 0; i < t->n_added; i++)
        if (t->added[i].eats_left || t->added[i].eats_right)
            return refuse("tokens that take the blanks beside them", err);
    if (t->spelling == AN_SPELLING_BYTES)
        put_byte_level(&w);
    else
        put_pieces(&w);
    put_marks(&w);
    *n_keys = w.n_keys;
    return w.status;
}
