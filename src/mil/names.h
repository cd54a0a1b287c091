/*
 * A hash table from names to pointers. Names are borrowed and must outlive the
 * table. `next` is for its user: the builder counts suffixes with it.
 */
#ifndef AN_MIL_NAMES_H
#define AN_MIL_NAMES_H

#include <stddef.h>
#include <stdint.h>

typedef struct an_name {
    const char *text; /* NULL: a free slot */
    size_t size;
    uint64_t hash;
    void *value;
    int next;
} an_name;

/* Zeroed: an empty table. */
typedef struct an_names {
    an_name *slots;
    size_t n, capacity;
} an_names;

void an_names_fini(an_names *names);
/* NULL: not there. Valid until the next add. */
an_name *an_names_find(const an_names *names, const char *text, size_t size);
/* Adds a name that is not there yet; NULL without memory. */
an_name *an_names_add(an_names *names, const char *text, size_t size,
                      void *value);

/* FNV-1a over bytes, continued from `hash`; begin with AN_HASH_BEGIN. */
#define AN_HASH_BEGIN 14695981039346656037u
uint64_t an_hash(uint64_t hash, const void *data, size_t size);

#endif
