/*
 * Stop strings: text goes on to the reader up to the first of them. What could
 * be the beginning of one is held back until it is none.
 */
#ifndef AN_TRAIN_STOP_H
#define AN_TRAIN_STOP_H

#include "anemone/train.h"

typedef struct an_stop {
    const char *const *strings; /* none is empty */
    int n_strings;
    an_sample_fn *put;
    void *ctx;
    char *held; /* the longest end of the text that begins a stop string */
    size_t n_held, capacity;
    bool stopped; /* one came, or the reader wants no more */
} an_stop;

/* AN_EINVAL: an empty string. */
an_status an_stop_init(an_stop *s, const char *const *strings, int n_strings,
                       an_sample_fn *put, void *ctx, an_error *err);
an_status an_stop_put(an_stop *s, const char *bytes, size_t size,
                      an_error *err);
/* What was held back goes to the reader; frees. */
void an_stop_end(an_stop *s);

#endif
