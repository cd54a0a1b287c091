/*
 * Chips: one row per generation of engine, with the source of each fact. The
 * row `cpu` is the executor without a chip.
 */
#ifndef AN_CHIP_CHIPS_H
#define AN_CHIP_CHIPS_H

#include <stddef.h>

/* Does a program that is loaded again with other weight files, without a
 * compile of its own, take them? */
typedef enum an_chip_reload {
    AN_CHIP_RELOAD_HONOURED,
    AN_CHIP_RELOAD_STALE, /* it says so, and keeps the old ones */
} an_chip_reload;

typedef struct an_chip {
    const char *name;
    int cores;          /* as Apple presents them; 0 for cpu */
    size_t row_align;   /* rows of a port start at multiples of it, in bytes */
    const char *source; /* where cores and row_align are known from */
    /* Per process; 0: none. Which of the two limits is real is open:
     * maderix/ANE and Orion count about 119 compiles (M4, M5),
     * True2456/qwen-ane 127 live programs (M5 Max), h3.c-ane 126; the numbers
     * of other chips are M4's. */
    int compile_limit, live_limit;
    an_chip_reload reload; /* not measured on any: honoured */
} an_chip;

/* NULL: no chip of that name (or index). The first is cpu. */
const an_chip *an_chip_find(const char *name);
const an_chip *an_chip_at(int i);

#endif
