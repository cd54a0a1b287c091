/*
 * How far two tensors of one dtype and shape are apart.
 */
#ifndef AN_CLI_COMPARE_H
#define AN_CLI_COMPARE_H

#include "anemone/mil.h"

#include <stdint.h>
#include <stdio.h>

/* The element that is worst by one measure. */
typedef struct an_worst {
    double by; /* 0: all are equal */
    int64_t at;
} an_worst;

typedef struct an_difference {
    int64_t n, n_equal, n_beyond;
    an_worst absolute; /* |got - expected| */
    an_worst relative; /* the same over |expected| */
    an_worst steps;    /* fp16: representable numbers from one to the other */
} an_difference;

/*
 * Elements are equal as numbers: -0 is 0, NaN is NaN. One is beyond the
 * tolerance when |got - expected| > tolerance x max(1, |expected|); a NaN or
 * an infinity on one side alone always is. Against NaN all measures are
 * infinite.
 */
void an_difference_find(const an_shape *shape, const void *got,
                        const void *expected, double tolerance,
                        an_difference *out);

/* One line when all is equal, else one more per measure. */
void an_difference_print(FILE *out, const char *name, const an_shape *shape,
                         const void *got, const void *expected,
                         const an_difference *d);

#endif
