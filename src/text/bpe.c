/* Neighbours in a linked list, candidates in a binary heap; a candidate whose
 * symbols have changed since is passed over when it comes up. */
#include "text/bpe.h"

#include "base/alloc.h"

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
}

an_status an_word_add(an_word *w, int32_t id, an_error *err)
{
    if (w->n >= INT32_MAX)
        return an_fail(err, AN_EUNSUPPORTED,
                       "tokenizer: a word of more than %ld symbols",
                       (long)INT32_MAX);
    if (!an_grow(&w->symbols, &w->cap_symbols, w->n, sizeof *w->symbols))
        return no_memory(err);
    w->symbols[w->n++].id = id;
    return AN_OK;
}

static void sift_up(an_candidate *heap, size_t i)
{
    an_candidate c = heap[i];
    for (; i > 0 && heap[(i - 1) / 2].key > c.key; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = c;
}

static an_candidate pop(an_word *w)
{
    an_candidate top = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < w->n_heap) {
        if (child + 1 < w->n_heap &&
            w->heap[child + 1].key < w->heap[child].key)
            child++;
        if (w->heap[child].key >= last.key) break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

/* Enters symbol `at` and its right neighbour, if they may merge. */
static an_status consider(an_word *w, const an_pair_table *pairs, int32_t at,
                          an_error *err)
{
    int32_t next = w->symbols[at].next;
    if (next < 0) return AN_OK;
    const an_pair *p =
        an_pair_table_find(pairs, w->symbols[at].id, w->symbols[next].id);
    if (!p) return AN_OK;
    if (!an_grow(&w->heap, &w->cap_heap, w->n_heap, sizeof *w->heap))
        return no_memory(err);
    w->heap[w->n_heap] = (an_candidate){(uint64_t)p->rank << 32 | (uint32_t)at,
                                        p->left, p->right, p->id};
    sift_up(w->heap, w->n_heap++);
    return AN_OK;
}

/* Merges symbol `at` with its right neighbour. */
static an_status join(an_word *w, const an_pair_table *pairs, int32_t at,
                      int32_t id, an_error *err)
{
    an_symbol *s = &w->symbols[at], *right = &w->symbols[s->next];
    s->id = id;
    s->next = right->next;
    right->id = -1;
    if (s->next >= 0) w->symbols[s->next].prev = at;
    an_status status = consider(w, pairs, at, err);
    if (status == AN_OK && s->prev >= 0)
        status = consider(w, pairs, s->prev, err);
    return status;
}

static void compact(an_word *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        if (w->symbols[i].id >= 0) w->symbols[n++] = w->symbols[i];
    w->n = n;
}

an_status an_word_merge(an_word *w, const an_pair_table *pairs, an_error *err)
{
    an_status s = AN_OK;
    int32_t n = (int32_t)w->n;
    w->n_heap = 0;
    for (int32_t i = 0; i < n; i++) {
        w->symbols[i].prev = i - 1;
        w->symbols[i].next = i + 1 < n ? i + 1 : -1;
    }
    for (int32_t i = 0; s == AN_OK && i + 1 < n; i++)
        s = consider(w, pairs, i, err);
    while (s == AN_OK && w->n_heap > 0) {
        an_candidate c = pop(w);
        int32_t at = (int32_t)(uint32_t)c.key, next = w->symbols[at].next;
        if (w->symbols[at].id == c.left && next >= 0 &&
            w->symbols[next].id == c.right)
            s = join(w, pairs, at, c.id, err);
    }
    if (s == AN_OK) compact(w);
    return s;
}

void an_word_fini(an_word *w)
{
    an_free(w->symbols);
    an_free(w->heap);
    *w = (an_word){0};
}
