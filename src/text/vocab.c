/* Open addressing, at most half full, linear probing. */
#include "text/vocab.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0x9E3779B97F4A7C15);
    return x ^ (x >> 29);
}

uint64_t an_hash_bytes(const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    uint64_t hash = size, word;
    for (; size >= sizeof word; size -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        hash = mix(hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
    }
    word = 0;
    if (size) memcpy(&word, p, size);
    return mix(mix(hash ^ word));
}

/* The least power of two that holds n at half full. */
static size_t slots_for(size_t n)
{
    size_t slots = 16;
    while (slots < 2 * n)
        slots *= 2;
    return slots;
}

an_status an_vocab_put(an_vocab *v, an_arena *arena, int64_t id,
                       const void *text, size_t size, an_token_type type,
                       float score, an_error *err)
{
    if (id < 0 || id >= AN_MAX_VOCAB)
        return an_fail(err, AN_EFORMAT, "token id %lld, expected 0 to %d",
                       (long long)id, AN_MAX_VOCAB - 1);
    if (size > AN_MAX_TOKEN_BYTES)
        return an_fail(err, AN_EFORMAT,
                       "token %lld has %zu bytes, expected at most %d",
                       (long long)id, size, AN_MAX_TOKEN_BYTES);
    for (; (int64_t)v->n <= id; v->n++) {
        if (!an_grow(&v->tokens, &v->capacity, v->n, sizeof *v->tokens))
            return no_memory(err);
        v->tokens[v->n] = (an_token){.text = (const unsigned char *)"",
                                     .bytes = (const unsigned char *)""};
    }
    if (v->tokens[id].type != AN_TOKEN_HOLE)
        return an_fail(err, AN_EFORMAT, "token id %lld is given twice",
                       (long long)id);
    char *copy = an_arena_strndup(arena, text, size);
    if (!copy) return no_memory(err);
    v->tokens[id] = (an_token){.text = (unsigned char *)copy,
                               .bytes = (unsigned char *)copy,
                               .size = (uint32_t)size,
                               .n_bytes = (uint32_t)size,
                               .score = score,
                               .type = type};
    return AN_OK;
}

/* The slot of a text, or the free one where it belongs. */
static size_t slot_of(const an_vocab *v, const void *text, size_t size)
{
    size_t mask = v->n_slots - 1, i = an_hash_bytes(text, size) & mask;
    for (; v->slots[i]; i = (i + 1) & mask) {
        const an_token *t = &v->tokens[v->slots[i] - 1];
        if (t->size == size && memcmp(t->text, text, size) == 0) break;
    }
    return i;
}

an_status an_vocab_index(an_vocab *v, an_error *err)
{
    v->n_slots = slots_for(v->n);
    v->slots = an_alloc_array(v->n_slots, sizeof *v->slots);
    if (!v->slots) return no_memory(err);
    for (size_t id = 0; id < v->n; id++) {
        const an_token *t = &v->tokens[id];
        if (t->type != AN_TOKEN_NORMAL && t->type != AN_TOKEN_USER) continue;
        size_t i = slot_of(v, t->text, t->size);
        if (!v->slots[i]) v->slots[i] = (uint32_t)id + 1;
        if (t->size > v->longest) v->longest = t->size;
    }
    return AN_OK;
}

int32_t an_vocab_find(const an_vocab *v, const void *text, size_t size)
{
    if (size > v->longest || !v->slots) return -1;
    return (int32_t)v->slots[slot_of(v, text, size)] - 1;
}

void an_vocab_fini(an_vocab *v)
{
    an_free(v->tokens);
    an_free(v->slots);
    *v = (an_vocab){0};
}

/* ---- pairs ---- */

an_status an_pair_table_init(an_pair_table *p, size_t n, an_error *err)
{
    *p = (an_pair_table){.n_slots = slots_for(n)};
    p->slots = an_alloc_array(p->n_slots, sizeof *p->slots);
    if (!p->slots) return no_memory(err);
    for (size_t i = 0; i < p->n_slots; i++)
        p->slots[i].id = -1;
    return AN_OK;
}

static size_t pair_slot(const an_pair_table *p, int32_t left, int32_t right)
{
    size_t mask = p->n_slots - 1;
    size_t i = mix((uint64_t)(uint32_t)left << 32 | (uint32_t)right) & mask;
    while (p->slots[i].id >= 0 &&
           (p->slots[i].left != left || p->slots[i].right != right))
        i = (i + 1) & mask;
    return i;
}

void an_pair_table_put(an_pair_table *p, const an_pair *pair)
{
    an_pair *slot = &p->slots[pair_slot(p, pair->left, pair->right)];
    if (slot->id < 0) p->n++;
    *slot = *pair;
}

const an_pair *an_pair_table_find(const an_pair_table *p, int32_t left,
                                  int32_t right)
{
    const an_pair *slot = &p->slots[pair_slot(p, left, right)];
    return slot->id >= 0 ? slot : NULL;
}

void an_pair_table_fini(an_pair_table *p)
{
    an_free(p->slots);
    *p = (an_pair_table){0};
}

typedef struct scored {
    float score;
    int32_t id;
} scored;

static int higher_first(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool is_normal(const an_vocab *v, int32_t id)
{
    return id >= 0 && v->tokens[id].type == AN_TOKEN_NORMAL;
}

/* The cuts of one token; p NULL: counts them. */
static size_t cut_token(an_pair_table *p, const an_vocab *v, int32_t id,
                        uint32_t rank)
{
    const an_token *t = &v->tokens[id];
    size_t n = 0;
    for (uint32_t k = 1; k < t->size; k++) {
        int32_t left = an_vocab_find(v, t->text, k);
        if (!is_normal(v, left)) continue;
        int32_t right = an_vocab_find(v, t->text + k, t->size - k);
        if (!is_normal(v, right)) continue;
        n++;
        const an_pair pair = {left, right, id, rank};
        if (p) an_pair_table_put(p, &pair);
    }
    return n;
}

an_status an_pair_table_from_scores(an_pair_table *p, const an_vocab *v,
                                    an_error *err)
{
    scored *order = an_alloc_array(v->n ? v->n : 1, sizeof *order);
    if (!order) return no_memory(err);
    size_t n = 0, cuts = 0;
    for (int32_t id = 0; (size_t)id < v->n; id++) {
        /* Of tokens with one text only the first can be made. */
        const an_token *t = &v->tokens[id];
        if (!is_normal(v, id) || an_vocab_find(v, t->text, t->size) != id)
            continue;
        order[n++] = (scored){t->score, id};
        cuts += cut_token(NULL, v, id, 0);
    }
    qsort(order, n, sizeof *order, higher_first);
    an_status s = an_pair_table_init(p, cuts, err);
    uint32_t rank = 0;
    for (size_t i = 0; s == AN_OK && i < n; i++) {
        if (i > 0 && order[i].score != order[i - 1].score) rank++;
        cut_token(p, v, order[i].id, rank);
    }
    an_free(order);
    return s;
}
