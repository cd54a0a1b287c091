/*
 * Each pair knows its count and the words it may be in; the most frequent one
 * comes from a heap whose entries may be out of date, and are put back with
 * their present count then. A merge touches only the words of its pair.
 */
#include "text/merges.h"

#include "base/alloc.h"

#include <string.h>

enum { FIRST_SLOTS = 1 << 12 };

typedef struct pair {
    int32_t left, right;
    int64_t count;
    uint32_t *words; /* where it came up, some twice */
    size_t n_words, cap_words;
    bool touched; /* by the merge at hand */
} pair;

typedef struct top {
    int64_t count;
    uint32_t pair;
} top;

typedef struct learner {
    const an_words_table *words;
    int32_t *symbols; /* word i at words->list[i].at, -1 behind its end */
    pair *pairs;
    size_t n_pairs, cap_pairs;
    uint32_t *slots; /* pair + 1 */
    size_t n_slots;
    top *heap;
    size_t n_heap, cap_heap;
    uint32_t *touched;
    size_t n_touched, cap_touched;
    an_words_table tokens; /* by id */
    unsigned char *text;   /* of a new token */
    size_t cap_text;
    an_error *err;
} learner;

static an_status no_memory(learner *l)
{
    return an_fail(l->err, AN_ENOMEM, "tokenizer: no memory");
}

/* ---- pairs ---- */

static size_t slot_of(const learner *l, int32_t left, int32_t right)
{
    const int32_t key[2] = {left, right};
    size_t mask = l->n_slots - 1, i = an_hash_bytes(key, sizeof key) & mask;
    for (; l->slots[i]; i = (i + 1) & mask) {
        const pair *p = &l->pairs[l->slots[i] - 1];
        if (p->left == left && p->right == right) break;
    }
    return i;
}

static an_status rehash(learner *l, size_t n_slots)
{
    uint32_t *slots = an_alloc_array(n_slots, sizeof *slots);
    if (!slots) return no_memory(l);
    an_free(l->slots);
    l->slots = slots;
    l->n_slots = n_slots;
    for (size_t i = 0; i < l->n_pairs; i++)
        l->slots[slot_of(l, l->pairs[i].left, l->pairs[i].right)] =
            (uint32_t)i + 1;
    return AN_OK;
}

static an_status find_pair(learner *l, int32_t left, int32_t right, pair **out)
{
    an_status s = AN_OK;
    if (2 * (l->n_pairs + 1) > l->n_slots)
        s = rehash(l, l->n_slots ? 2 * l->n_slots : FIRST_SLOTS);
    if (s != AN_OK) return s;
    size_t slot = slot_of(l, left, right);
    if (!l->slots[slot]) {
        if (l->n_pairs >= UINT32_MAX - 1 ||
            !an_grow(&l->pairs, &l->cap_pairs, l->n_pairs, sizeof *l->pairs))
            return no_memory(l);
        l->pairs[l->n_pairs] = (pair){.left = left, .right = right};
        l->slots[slot] = (uint32_t)++l->n_pairs;
    }
    *out = &l->pairs[l->slots[slot] - 1];
    return s;
}

/* The pair came `count` times more in a word. */
static an_status add_pair(learner *l, int32_t left, int32_t right,
                          int64_t count, uint32_t word)
{
    pair *p = NULL;
    an_status s = find_pair(l, left, right, &p);
    if (s != AN_OK) return s;
    p->count += count;
    if (count < 0) return AN_OK;
    if (p->n_words == 0 || p->words[p->n_words - 1] != word) {
        if (!an_grow(&p->words, &p->cap_words, p->n_words, sizeof *p->words))
            return no_memory(l);
        p->words[p->n_words++] = word;
    }
    if (p->touched) return AN_OK;
    if (!an_grow(&l->touched, &l->cap_touched, l->n_touched,
                 sizeof *l->touched))
        return no_memory(l);
    p->touched = true;
    l->touched[l->n_touched++] = (uint32_t)(p - l->pairs);
    return AN_OK;
}

/* ---- heap ---- */

/* a comes before b. */
static bool before(const learner *l, const top *a, const top *b)
{
    const pair *x = &l->pairs[a->pair], *y = &l->pairs[b->pair];
    if (a->count != b->count) return a->count > b->count;
    if (x->left != y->left) return x->left < y->left;
    return x->right < y->right;
}

static an_status push(learner *l, uint32_t index)
{
    if (l->pairs[index].count <= 0) return AN_OK;
    if (!an_grow(&l->heap, &l->cap_heap, l->n_heap, sizeof *l->heap))
        return no_memory(l);
    top t = {l->pairs[index].count, index};
    size_t i = l->n_heap++;
    for (; i > 0 && before(l, &t, &l->heap[(i - 1) / 2]); i = (i - 1) / 2)
        l->heap[i] = l->heap[(i - 1) / 2];
    l->heap[i] = t;
    return AN_OK;
}

static top pop(learner *l)
{
    top first = l->heap[0], last = l->heap[--l->n_heap];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < l->n_heap) {
        if (child + 1 < l->n_heap &&
            before(l, &l->heap[child + 1], &l->heap[child]))
            child++;
        if (!before(l, &l->heap[child], &last)) break;
        l->heap[i] = l->heap[child];
        i = child;
    }
    l->heap[i] = last;
    return first;
}

static an_status push_touched(learner *l)
{
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i < l->n_touched; i++) {
        l->pairs[l->touched[i]].touched = false;
        s = push(l, l->touched[i]);
    }
    l->n_touched = 0;
    return s;
}

/* ---- merging ---- */

static an_status start(learner *l)
{
    const an_words_table *w = l->words;
    an_status s = AN_OK;
    l->symbols =
        an_alloc_array(w->n_bytes ? w->n_bytes : 1, sizeof *l->symbols);
    if (!l->symbols) return no_memory(l);
    for (size_t i = 0; i < w->n_bytes; i++)
        l->symbols[i] = w->bytes[i];
    for (size_t k = 0; s == AN_OK && k < w->n; k++) {
        const an_counted *c = &w->list[k];
        for (size_t i = 1; s == AN_OK && i < c->size; i++)
            s = add_pair(l, l->symbols[c->at + i - 1], l->symbols[c->at + i],
                         c->count, (uint32_t)k);
    }
    return s == AN_OK ? push_touched(l) : s;
}

static an_status count_word(learner *l, const int32_t *s, size_t n,
                            int64_t count, uint32_t word)
{
    an_status status = AN_OK;
    for (size_t i = 1; status == AN_OK && i < n; i++)
        status = add_pair(l, s[i - 1], s[i], count, word);
    return status;
}

/* Takes the word's pairs away, merges, counts those that are left. */
static an_status merge_word(learner *l, uint32_t word, int32_t left,
                            int32_t right, int32_t id)
{
    const an_counted *c = &l->words->list[word];
    int32_t *s = l->symbols + c->at;
    size_t n = 0, m = 0;
    bool has = false;
    for (; n < c->size && s[n] >= 0; n++)
        has = has || (n > 0 && s[n - 1] == left && s[n] == right);
    if (!has) return AN_OK;
    an_status status = count_word(l, s, n, -c->count, word);
    for (size_t i = 0; i < n; i++) {
        bool joins = i + 1 < n && s[i] == left && s[i + 1] == right;
        s[m++] = joins ? id : s[i];
        i += joins;
    }
    if (m < n) s[m] = -1;
    return status == AN_OK ? count_word(l, s, m, c->count, word) : status;
}

static an_status merge(learner *l, uint32_t index, int32_t id)
{
    /* The list of pairs may move while words are merged. */
    pair p = l->pairs[index];
    l->pairs[index].words = NULL;
    l->pairs[index].n_words = l->pairs[index].cap_words = 0;
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i < p.n_words; i++)
        s = merge_word(l, p.words[i], p.left, p.right, id);
    an_free(p.words);
    return s == AN_OK ? push_touched(l) : s;
}

/* The most frequent pair; false: none is left. */
static an_status best(learner *l, uint32_t *out, bool *found)
{
    an_status s = AN_OK;
    *found = false;
    while (s == AN_OK && l->n_heap > 0) {
        top t = pop(l);
        if (l->pairs[t.pair].count == t.count) {
            *out = t.pair;
            *found = true;
            break;
        }
        s = push(l, t.pair);
    }
    return s;
}

static an_status put_byte_tokens(learner *l)
{
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < 256; i++) {
        const unsigned char byte = (unsigned char)i;
        s = an_words_count(&l->tokens, &byte, 1, NULL, l->err);
    }
    return s;
}

/* The token that two make, a new one or not. */
static an_status join_tokens(learner *l, int32_t left, int32_t right,
                             int32_t *id)
{
    an_counted a = l->tokens.list[left], b = l->tokens.list[right];
    while (l->cap_text < (size_t)a.size + b.size)
        if (!an_grow(&l->text, &l->cap_text, l->cap_text, 1))
            return no_memory(l);
    memcpy(l->text, l->tokens.bytes + a.at, a.size);
    memcpy(l->text + a.size, l->tokens.bytes + b.at, b.size);
    size_t index = 0;
    an_status s = an_words_count(&l->tokens, l->text, (size_t)a.size + b.size,
                                 &index, l->err);
    *id = (int32_t)index;
    return s;
}

static void fini(learner *l)
{
    an_words_fini(&l->tokens);
    an_free(l->text);
    for (size_t i = 0; i < l->n_pairs; i++)
        an_free(l->pairs[i].words);
    an_free(l->pairs);
    an_free(l->slots);
    an_free(l->heap);
    an_free(l->touched);
    an_free(l->symbols);
}

an_status an_merges_learn(const an_words_table *words, const an_learning *o,
                          an_pair **out, size_t *n, an_error *err)
{
    learner l = {.words = words, .err = err};
    an_pair *list = NULL;
    size_t k = 0, capacity = 0;
    bool found = true;
    an_status s = put_byte_tokens(&l);
    if (s == AN_OK) s = start(&l);
    while (s == AN_OK && l.tokens.n < 256 + o->wanted && found) {
        uint32_t index = 0;
        int32_t id = 0;
        s = best(&l, &index, &found);
        if (s != AN_OK || !found) break;
        if (!an_grow(&list, &capacity, k, sizeof *list)) {
            s = no_memory(&l);
            break;
        }
        int32_t left = l.pairs[index].left, right = l.pairs[index].right;
        s = join_tokens(&l, left, right, &id);
        list[k] = (an_pair){left, right, id, (uint32_t)k};
        k++;
        if (s == AN_OK) s = merge(&l, index, id);
        if (s == AN_OK && o->progress && !o->progress(o->ctx, l.tokens.n - 256))
            s = an_fail(err, AN_EIO, "stopped");
    }
    fini(&l);
    if (s == AN_OK) {
        *out = list;
        *n = k;
    } else {
        an_free(list);
    }
    return s;
}
