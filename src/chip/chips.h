/*
 * Chips: one row per generation of engine, with the source of each fact. The
 * row `cpu` is the executor without a chip.
 */
#ifndef AN_CHIP_CHIPS_H
#define AN_CHIP_CHIPS_H

#include <stddef.h>

typedef struct an_chip {
    const char *name;
    int cores;          /* as Apple presents them; 0 for cpu */
    size_t row_align;   /* rows of a port start at multiples of it, in bytes */
    const char *source; /* where cores and row_align are known from */
} an_chip;

/* NULL: no chip of that name (or index). The first is cpu. */
const an_chip *an_chip_find(const char *name);
const an_chip *an_chip_at(int i);

#endif
