/*
 * Byte-pair encoding of one word: of all neighbours that may merge, the pair of
 * lowest rank does, the leftmost of equal ones, until none may.
 */
#ifndef AN_TEXT_BPE_H
#define AN_TEXT_BPE_H

#include "text/vocab.h"

typedef struct an_symbol {
    int32_t id;         /* -1: merged into its left neighbour */
    int32_t prev, next; /* -1: none */
} an_symbol;

typedef struct an_candidate {
    uint64_t key; /* rank, then position */
    int32_t left, right, id;
} an_candidate;

/* A word under work; zero to begin with. */
typedef struct an_word {
    an_symbol *symbols;
    an_candidate *heap;
    size_t n, cap_symbols, n_heap, cap_heap;
} an_word;

an_status an_word_add(an_word *w, int32_t id, an_error *err);
/* Merges the n symbols: what is left stands in symbols[0..n) afterwards.
 * O(n log n) time. */
an_status an_word_merge(an_word *w, const an_pair_table *pairs, an_error *err);
void an_word_fini(an_word *w);

#endif
