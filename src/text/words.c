/* Open addressing; the table is made anew when half full. */
#include "text/words.h"

#include "base/alloc.h"
#include "text/vocab.h"

#include <string.h>

enum { MAX_WORDS = 1 << 23, FIRST_SLOTS = 1 << 12 };

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
}

static size_t slot_of(const an_words_table *w, const unsigned char *word,
                      size_t size)
{
    size_t mask = w->n_slots - 1, i = an_hash_bytes(word, size) & mask;
    for (; w->slots[i]; i = (i + 1) & mask) {
        const an_counted *c = &w->list[w->slots[i] - 1];
        if (c->size == size && memcmp(w->bytes + c->at, word, size) == 0) break;
    }
    return i;
}

static an_status rehash(an_words_table *w, size_t n_slots, an_error *err)
{
    uint32_t *slots = an_alloc_array(n_slots, sizeof *slots);
    if (!slots) return no_memory(err);
    an_free(w->slots);
    w->slots = slots;
    w->n_slots = n_slots;
    for (size_t i = 0; i < w->n; i++) {
        const an_counted *c = &w->list[i];
        w->slots[slot_of(w, w->bytes + c->at, c->size)] = (uint32_t)i + 1;
    }
    return AN_OK;
}

static void forget_rare(an_words_table *w)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < w->n; i++) {
        an_counted c = w->list[i];
        if (c.count < 2) continue;
        memmove(w->bytes + at, w->bytes + c.at, c.size);
        c.at = at;
        at += c.size;
        w->list[n++] = c;
    }
    w->n = n;
    w->n_bytes = at;
}

static an_status make_room(an_words_table *w, size_t size, an_error *err)
{
    an_status s = AN_OK;
    if (w->n == MAX_WORDS) {
        forget_rare(w);
        s = rehash(w, w->n_slots, err);
        if (s == AN_OK && w->n == MAX_WORDS)
            s = an_fail(err, AN_EUNSUPPORTED,
                        "tokenizer: more than %d different words", MAX_WORDS);
    }
    if (s == AN_OK && 2 * (w->n + 1) > w->n_slots)
        s = rehash(w, w->n_slots ? 2 * w->n_slots : FIRST_SLOTS, err);
    while (s == AN_OK && w->cap_bytes - w->n_bytes < size)
        if (!an_grow(&w->bytes, &w->cap_bytes, w->cap_bytes, 1))
            s = no_memory(err);
    if (s == AN_OK && !an_grow(&w->list, &w->capacity, w->n, sizeof *w->list))
        s = no_memory(err);
    return s;
}

an_status an_words_count(an_words_table *w, const unsigned char *word,
                         size_t size, size_t *index, an_error *err)
{
    if (w->n_slots > 0) {
        uint32_t found = w->slots[slot_of(w, word, size)];
        if (found) {
            w->list[found - 1].count++;
            if (index) *index = found - 1;
            return AN_OK;
        }
    }
    an_status s = make_room(w, size, err);
    if (s != AN_OK) return s;
    memcpy(w->bytes + w->n_bytes, word, size);
    w->list[w->n] = (an_counted){w->n_bytes, (uint32_t)size, 1};
    w->n_bytes += size;
    if (index) *index = w->n;
    w->slots[slot_of(w, word, size)] = (uint32_t)++w->n;
    return s;
}

void an_words_fini(an_words_table *w)
{
    an_free(w->bytes);
    an_free(w->list);
    an_free(w->slots);
    *w = (an_words_table){0};
}
