/* Learning merges from counted words. */
#ifndef AN_TEXT_MERGES_H
#define AN_TEXT_MERGES_H

#include "text/vocab.h"
#include "text/words.h"

#include <stdbool.h>

typedef struct an_learning {
    size_t wanted; /* tokens beside the bytes, at most */
    bool (*progress)(void *ctx, size_t n_tokens);
    void *ctx;
} an_learning;

/*
 * Merges in the order in which they are found: at each step the pair of
 * neighbours that comes most often in all words (of equal ones that of lower
 * ids) becomes one symbol: the next id, or that of the token which is written
 * so already. Ids below 256 are bytes. The caller frees *out with an_free.
 */
an_status an_merges_learn(const an_words_table *words, const an_learning *o,
                          an_pair **out, size_t *n, an_error *err);

#endif
