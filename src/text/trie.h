/* Texts found by their beginnings. */
#ifndef AN_TEXT_TRIE_H
#define AN_TEXT_TRIE_H

#include "text/vocab.h"

typedef struct an_trie {
    an_pair_table edges; /* (node, byte) to node */
    int32_t *values;     /* [nodes]; -1: no text ends here */
    size_t n, capacity;
    bool begins[256]; /* some text begins with this byte */
} an_trie;

/* Room for texts of n_bytes together. */
an_status an_trie_init(an_trie *t, size_t n_bytes, an_error *err);
/* Of equal texts the first counts. Empty texts are left out. */
an_status an_trie_put(an_trie *t, const void *text, size_t size, int32_t value,
                      an_error *err);
/* One byte further from *node (0: the root); false: nothing goes on so. */
bool an_trie_step(const an_trie *t, int32_t *node, unsigned char byte);
/* The longest text that text[0..size) begins with, its length in *length;
 * -1: none. */
int32_t an_trie_longest(const an_trie *t, const unsigned char *text,
                        size_t size, size_t *length);
void an_trie_fini(an_trie *t);

#endif
