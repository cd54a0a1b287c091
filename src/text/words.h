/* How often each word came. */
#ifndef AN_TEXT_WORDS_H
#define AN_TEXT_WORDS_H

#include "anemone/status.h"

#include <stddef.h>

typedef struct an_counted {
    size_t at; /* of its bytes, in `bytes` */
    uint32_t size;
    int64_t count;
} an_counted;

typedef struct an_words_table {
    unsigned char *bytes;
    size_t n_bytes, cap_bytes;
    an_counted *list; /* in the order of first appearance */
    size_t n, capacity;
    uint32_t *slots; /* index + 1; 0: free */
    size_t n_slots;
} an_words_table;

/* Counts a word once more; *index (may be NULL) is its place in the list.
 * Beyond a limit of different words those that came once are forgotten. */
an_status an_words_count(an_words_table *w, const unsigned char *word,
                         size_t size, size_t *index, an_error *err);
void an_words_fini(an_words_table *w);

#endif
