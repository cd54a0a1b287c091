/*
 * From text to ids. Words that were seen lately are remembered in a table of
 * one entry a hash: text is mostly words that come again.
 */
#include "base/alloc.h"
#include "text/bpe.h"
#include "text/tokenizer.h"
#include "text/unigram.h"
#include "text/utf8.h"

#include <string.h>

enum { ENTRY_TEXT = 30, ENTRY_IDS = 8, MAX_ENTRIES = 1 << 14 };

typedef struct entry {
    unsigned char size, n; /* size 0: free */
    unsigned char text[ENTRY_TEXT];
    int32_t ids[ENTRY_IDS];
} entry;

struct an_encoder {
    const an_tokenizer *t;
    int32_t *ids;
    size_t n, capacity;
    an_word word;
    an_buffer normal, late, work;
    an_cutter *splitter; /* NULL: no splits */
    entry *entries;
    size_t n_entries;  /* a power of two */
    an_place place;    /* of the piece at hand */
    an_word_fn *visit; /* takes the words instead of the model, or NULL */
    void *ctx;
};

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
}

an_status an_encoder_new(const an_tokenizer *t, size_t expected_bytes,
                         an_encoder **out, an_error *err)
{
    an_encoder *e = an_alloc(sizeof *e);
    if (!e) return no_memory(err);
    e->t = t;
    e->n_entries = 16;
    while (e->n_entries < MAX_ENTRIES && e->n_entries < expected_bytes / 8)
        e->n_entries *= 2;
    e->entries = an_alloc_array(e->n_entries, sizeof *e->entries);
    an_status s = e->entries ? AN_OK : no_memory(err);
    if (s == AN_OK && t->n_splits > 0) s = an_cutter_new(&e->splitter, err);
    if (s == AN_OK)
        *out = e;
    else
        an_encoder_free(e);
    return s;
}

void an_encoder_free(an_encoder *e)
{
    if (!e) return;
    an_free(e->ids);
    an_word_fini(&e->word);
    an_buffer_fini(&e->normal);
    an_buffer_fini(&e->late);
    an_buffer_fini(&e->work);
    an_cutter_free(e->splitter);
    an_free(e->entries);
    an_free(e);
}

const int32_t *an_encoder_ids(const an_encoder *e, size_t *n)
{
    *n = e->n;
    return e->ids;
}

void an_encoder_clear(an_encoder *e)
{
    e->n = 0;
}

void an_encoder_visit(an_encoder *e, an_word_fn *visit, void *ctx)
{
    e->visit = visit;
    e->ctx = ctx;
}

static an_status put_id(an_encoder *e, int32_t id, an_error *err)
{
    if (!an_grow(&e->ids, &e->capacity, e->n, sizeof *e->ids))
        return no_memory(err);
    e->ids[e->n++] = id;
    return AN_OK;
}

/* ---- a word ---- */

static bool all_bytes_have_ids(const an_tokenizer *t, const unsigned char *text,
                               size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (t->byte_ids[text[i]] < 0) return false;
    return true;
}

static an_status add_bytes(an_encoder *e, const unsigned char *text,
                           size_t size, an_error *err)
{
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i < size; i++)
        if (e->t->byte_ids[text[i]] >= 0)
            s = an_word_add(&e->word, e->t->byte_ids[text[i]], err);
    return s;
}

/* A character without a token, as one or several unknowns. *pending: one is
 * due before the next known character. */
static an_status add_unknown(an_encoder *e, bool *pending, an_error *err)
{
    an_status s = AN_OK;
    if (e->t->unknown < 0) return s;
    if (*pending && !e->t->fuses_unknown)
        s = an_word_add(&e->word, e->t->unknown, err);
    *pending = true;
    return s;
}

static an_status add_characters(an_encoder *e, const unsigned char *text,
                                size_t size, an_error *err)
{
    const an_tokenizer *t = e->t;
    an_status s = AN_OK;
    bool pending = false;
    for (size_t i = 0, n; s == AN_OK && i < size; i += n) {
        an_utf8_get(text + i, size - i, &n);
        if (n == 0) n = 1;
        int32_t id = an_vocab_find(&t->vocab, text + i, n);
        if (id < 0 && t->byte_fallback && all_bytes_have_ids(t, text + i, n)) {
            s = add_bytes(e, text + i, n, err);
        } else if (id < 0) {
            s = add_unknown(e, &pending, err);
        } else {
            if (pending) s = an_word_add(&e->word, t->unknown, err);
            pending = false;
            if (s == AN_OK) s = an_word_add(&e->word, id, err);
        }
    }
    if (s == AN_OK && pending) s = an_word_add(&e->word, t->unknown, err);
    return s;
}

/* Leaves the word's ids in e->word. */
static an_status make_word(an_encoder *e, const unsigned char *text,
                           size_t size, an_error *err)
{
    const an_tokenizer *t = e->t;
    e->word.n = 0;
    if (t->model == AN_MODEL_UNIGRAM)
        return an_unigram_encode(t, text, size, &e->word, &e->work, err);
    if (t->ignores_merges) {
        int32_t id = an_vocab_find(&t->vocab, text, size);
        if (id >= 0) return an_word_add(&e->word, id, err);
    }
    an_status s = t->spelling == AN_SPELLING_BYTES
                      ? add_bytes(e, text, size, err)
                      : add_characters(e, text, size, err);
    return s == AN_OK ? an_word_merge(&e->word, &t->pairs, err) : s;
}

static an_status put_word(an_encoder *e, const unsigned char *text, size_t size,
                          an_error *err)
{
    an_status s = AN_OK;
    entry *x = NULL;
    if (e->visit) return e->visit(e->ctx, text, size, err);
    if (size <= ENTRY_TEXT) {
        x = &e->entries[an_hash_bytes(text, size) & (e->n_entries - 1)];
        if (x->size == size && memcmp(x->text, text, size) == 0) {
            for (size_t i = 0; s == AN_OK && i < x->n; i++)
                s = put_id(e, x->ids[i], err);
            return s;
        }
    }
    s = make_word(e, text, size, err);
    for (size_t i = 0; s == AN_OK && i < e->word.n; i++)
        s = put_id(e, e->word.symbols[i].id, err);
    if (s != AN_OK || !x || e->word.n > ENTRY_IDS) return s;
    x->size = (unsigned char)size;
    x->n = (unsigned char)e->word.n;
    memcpy(x->text, text, size);
    for (size_t i = 0; i < e->word.n; i++)
        x->ids[i] = e->word.symbols[i].id;
    return s;
}

/* ---- from pieces to words ---- */

/* Where the word that begins at `from` ends: before a blank behind something
 * else. */
static size_t word_end(const an_tokenizer *t, const unsigned char *text,
                       size_t size, size_t from)
{
    size_t n = strlen(t->blank);
    bool inside = false;
    for (size_t i = from; i < size; i++) {
        bool blank = text[i] == (unsigned char)t->blank[0] && size - i >= n &&
                     memcmp(text + i, t->blank, n) == 0;
        if (blank && inside) return i;
        if (blank)
            i += n - 1;
        else
            inside = true;
    }
    return size;
}

static an_status put_words(an_encoder *e, const unsigned char *text,
                           size_t size, an_error *err)
{
    if (!e->t->blank) return put_word(e, text, size, err);
    an_status s = AN_OK;
    for (size_t i = 0, end; s == AN_OK && i < size; i = end) {
        end = word_end(e->t, text, size, i);
        s = put_word(e, text + i, end - i, err);
    }
    return s;
}

/* Recursion is as deep as there are splits. */
static an_status put_split(an_encoder *e, int stage, const unsigned char *text,
                           size_t size, an_error *err)
{
    if (size == 0) return AN_OK;
    if (stage == e->t->n_splits) return put_words(e, text, size, err);
    an_pieces p = {.text = (const char *)text, .size = size};
    bool found = true;
    an_status s = AN_OK;
    while (s == AN_OK && found) {
        s = an_cut_next(e->t->splits[stage].split, e->splitter, &p, &found,
                        err);
        if (s == AN_OK && found)
            s = put_split(e, stage + 1, text + p.begin, p.end - p.begin, err);
    }
    return s;
}

static an_status put_late(an_encoder *e, const unsigned char *text, size_t size,
                          an_error *err)
{
    const an_tokenizer *t = e->t;
    if (t->n_late == 0) return put_split(e, 0, text, size, err);
    an_status s = an_normalize(t->late, t->n_late, text, size, e->place,
                               &e->late, &e->work, err);
    return s == AN_OK ? put_split(e, 0, e->late.data, e->late.n, err) : s;
}

/* ---- added tokens ---- */

static size_t blanks_before(const unsigned char *text, size_t from, size_t at)
{
    while (at > from) {
        size_t k = at - 1, n;
        while (k > from && (text[k] & 0xc0) == 0x80)
            k--;
        uint32_t code = an_utf8_get(text + k, at - k, &n);
        if (n == 0 || !an_utf8_is_space(code)) break;
        at = k;
    }
    return at;
}

static size_t blanks_after(const unsigned char *text, size_t size, size_t at)
{
    size_t n;
    while (at < size) {
        uint32_t code = an_utf8_get(text + at, size - at, &n);
        if (n == 0 || !an_utf8_is_space(code)) break;
        at += n;
    }
    return at;
}

/* Calls put for what stands between added tokens, and puts their ids. */
static an_status put_around(
    an_encoder *e, const an_trie *trie, const unsigned char *text, size_t size,
    an_status (*put)(an_encoder *, const unsigned char *, size_t, an_error *),
    an_error *err)
{
    an_status s = AN_OK;
    size_t from = 0, length = 0;
    for (size_t i = 0; trie->n > 1 && s == AN_OK && i < size; i++) {
        if (!trie->begins[text[i]]) continue;
        int32_t index = an_trie_longest(trie, text + i, size - i, &length);
        if (index < 0) continue;
        const an_added *a = &e->t->added[index];
        size_t begin = a->eats_left ? blanks_before(text, from, i) : i;
        if (begin > from) s = put(e, text + from, begin - from, err);
        if (s == AN_OK) s = put_id(e, a->id, err);
        e->place = AN_PLACE_INSIDE;
        from = i + length;
        if (a->eats_right) from = blanks_after(text, size, from);
        i = from - 1;
    }
    if (s == AN_OK && from < size) s = put(e, text + from, size - from, err);
    e->place = AN_PLACE_INSIDE;
    return s;
}

static an_status put_gap(an_encoder *e, const unsigned char *text, size_t size,
                         an_error *err)
{
    const an_tokenizer *t = e->t;
    if (t->n_steps == 0)
        return put_around(e, &t->normalized, text, size, put_late, err);
    an_status s = an_normalize(t->steps, t->n_steps, text, size, e->place,
                               &e->normal, &e->work, err);
    if (s != AN_OK) return s;
    return put_around(e, &t->normalized, e->normal.data, e->normal.n, put_late,
                      err);
}

/* Bytes that are no UTF-8 are words of their own: expressions cannot see them.
 */
static an_status put_broken(an_encoder *e, const unsigned char *text,
                            size_t size, an_error *err)
{
    e->word.n = 0;
    e->place = AN_PLACE_INSIDE;
    an_status s = AN_OK;
    if (e->t->spelling == AN_SPELLING_BYTES || e->t->byte_fallback)
        s = add_bytes(e, text, size, err);
    else if (e->t->unknown >= 0)
        s = an_word_add(&e->word, e->t->unknown, err);
    if (s == AN_OK && e->t->spelling == AN_SPELLING_BYTES)
        s = an_word_merge(&e->word, &e->t->pairs, err);
    for (size_t i = 0; s == AN_OK && i < e->word.n; i++)
        s = put_id(e, e->word.symbols[i].id, err);
    return s;
}

static size_t broken_span(const unsigned char *text, size_t size)
{
    size_t i = 0, n = 0;
    for (; i < size && n == 0; i++)
        an_utf8_get(text + i, size - i, &n);
    return n > 0 ? i - 1 : i;
}

an_status an_encoder_put(an_encoder *e, an_piece piece, const char *text,
                         size_t size, an_error *err)
{
    const unsigned char *p = (const unsigned char *)text;
    an_status s = AN_OK;
    e->place = piece == AN_PIECE_FIRST    ? AN_PLACE_FIRST
               : piece == AN_PIECE_BEHIND ? AN_PLACE_INSIDE
                                          : AN_PLACE_CONTINUED;
    if (e->t->takes_any_bytes)
        return size > 0 ? put_around(e, &e->t->raw, p, size, put_gap, err) : s;
    for (size_t i = 0, n; s == AN_OK && i < size; i += n) {
        n = an_utf8_span(p + i, size - i);
        if (n > 0) {
            s = put_around(e, &e->t->raw, p + i, n, put_gap, err);
        } else {
            n = broken_span(p + i, size - i);
            s = put_broken(e, p + i, n, err);
        }
    }
    return s;
}

an_status an_tokenizer_encode(const an_tokenizer *t, const char *text,
                              size_t size, int32_t **ids, size_t *n,
                              an_error *err)
{
    an_encoder *e = NULL;
    an_status s = an_encoder_new(t, size, &e, err);
    if (s == AN_OK) s = an_encoder_put(e, AN_PIECE_FIRST, text, size, err);
    size_t used = *ids ? *n : 0, bytes;
    if (s == AN_OK && !an_mul_size(used + e->n, sizeof **ids, &bytes))
        s = no_memory(err);
    int32_t *grown = s == AN_OK ? an_realloc(*ids, bytes) : NULL;
    if (s == AN_OK && !grown) s = no_memory(err);
    if (s == AN_OK) {
        if (e->n) memcpy(grown + used, e->ids, e->n * sizeof *grown);
        *ids = grown;
        *n = used + e->n;
    }
    an_encoder_free(e);
    return s;
}
