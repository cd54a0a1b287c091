/*
 * Open addressing with linear probing; the table doubles when half full.
 */
#include "mil/names.h"

#include "base/alloc.h"

#include <string.h>

uint64_t an_hash(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ p[i]) * 1099511628211u;
    return hash;
}

void an_names_fini(an_names *names)
{
    an_free(names->slots);
    *names = (an_names){0};
}

/* The slot that holds the name, or the free one where it belongs. */
static an_name *probe(an_name *slots, size_t capacity, uint64_t hash,
                      const char *text, size_t size)
{
    size_t i = (size_t)hash & (capacity - 1);
    while (slots[i].text && (slots[i].hash != hash || slots[i].size != size ||
                             memcmp(slots[i].text, text, size) != 0))
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

an_name *an_names_find(const an_names *names, const char *text, size_t size)
{
    if (names->capacity == 0) return NULL;
    an_name *slot = probe(names->slots, names->capacity,
                          an_hash(AN_HASH_BEGIN, text, size), text, size);
    return slot->text ? slot : NULL;
}

static an_name *grow(an_names *names)
{
    size_t capacity = names->capacity ? 2 * names->capacity : 64;
    an_name *slots = an_alloc_array(capacity, sizeof *slots);
    if (!slots) return NULL;
    for (size_t i = 0; i < names->capacity; i++) {
        const an_name *old = &names->slots[i];
        if (old->text)
            *probe(slots, capacity, old->hash, old->text, old->size) = *old;
    }
    an_free(names->slots);
    names->slots = slots;
    names->capacity = capacity;
    return slots;
}

an_name *an_names_add(an_names *names, const char *text, size_t size,
                      void *value)
{
    if (2 * names->n >= names->capacity && !grow(names)) return NULL;
    uint64_t hash = an_hash(AN_HASH_BEGIN, text, size);
    an_name *slot = probe(names->slots, names->capacity, hash, text, size);
    *slot = (an_name){text, size, hash, value, 0};
    names->n++;
    return slot;
}
