/*
 * Viterbi from left to right. The sums are fp32, as
 * SentencePiece's, so that near ties fall the same way.
 * Source: EncodeOptimized in src/unigram_model.cc of google/sentencepiece.
 */
#include "text/unigram.h"
#include "text/utf8.h"

static const float unknown_penalty = 10.0f;

/* The best path that ends here. */
typedef struct node {
    float score;
    int32_t id;
    int64_t from; /* -1: none yet */
} node;

static void offer(node *n, float score, int32_t id, size_t from)
{
    if (n->from >= 0 && !(score > n->score)) return;
    *n = (node){score, id, (int64_t)from};
}

/* A user's piece is better than anything that the model could make. */
static float score_of(const an_tokenizer *t, int32_t id, size_t length)
{
    const an_token *k = &t->vocab.tokens[id];
    if (k->type == AN_TOKEN_USER) return (float)length * t->score_max - 0.1f;
    return k->score;
}

/* Offers every piece that begins at `from`. */
static void extend(const an_tokenizer *t, const unsigned char *text,
                   size_t size, size_t from, node *best)
{
    float here = best[from].score;
    size_t one;
    bool has_one = false;
    int32_t at = 0;
    an_utf8_get(text + from, size - from, &one);
    if (one == 0) one = 1;
    for (size_t i = from; i < size && an_trie_step(&t->trie, &at, text[i]);
         i++) {
        int32_t id = t->trie.values[at];
        if (id < 0) continue;
        size_t length = i + 1 - from;
        offer(&best[i + 1], score_of(t, id, length) + here, id, from);
        if (length == one) has_one = true;
    }
    if (!has_one)
        offer(&best[from + one], t->score_min - unknown_penalty + here,
              t->unknown, from);
}

static an_status put_unknown(const an_tokenizer *t, const unsigned char *text,
                             size_t size, an_word *out, an_error *err)
{
    an_status s = AN_OK;
    if (!t->byte_fallback) {
        bool fused = out->n > 0 && out->symbols[out->n - 1].id == t->unknown;
        return fused ? s : an_word_add(out, t->unknown, err);
    }
    for (size_t i = 0; s == AN_OK && i < size; i++)
        if (t->byte_ids[text[i]] >= 0)
            s = an_word_add(out, t->byte_ids[text[i]], err);
    return s;
}

/* The path backwards, its nodes linked forwards, then put out. */
static an_status put_path(const an_tokenizer *t, const unsigned char *text,
                          size_t size, node *best, an_word *out, an_error *err)
{
    an_status s = AN_OK;
    int64_t next = -1, at = (int64_t)size;
    while (at > 0) {
        int64_t from = best[at].from;
        best[at].from = next; /* where the piece after this one ends */
        next = at;
        at = from;
    }
    for (int64_t begin = 0; s == AN_OK && next > 0; next = best[next].from) {
        int32_t id = best[next].id;
        s = id == t->unknown
                ? put_unknown(t, text + begin, (size_t)(next - begin), out, err)
                : an_word_add(out, id, err);
        begin = next;
    }
    return s;
}

an_status an_unigram_encode(const an_tokenizer *t, const unsigned char *text,
                            size_t size, an_word *out, an_buffer *work,
                            an_error *err)
{
    const node none = {.from = -1};
    an_status s = AN_OK;
    work->n = 0;
    for (size_t i = 0; s == AN_OK && i <= size; i++)
        s = an_buffer_put(work, &none, sizeof none, err);
    if (s != AN_OK || size == 0) return s;
    node *best = (node *)(void *)work->data;
    for (size_t i = 0, n; i < size; i += n) {
        extend(t, text, size, i, best);
        an_utf8_get(text + i, size - i, &n);
        if (n == 0) n = 1;
    }
    return put_path(t, text, size, best, out, err);
}
