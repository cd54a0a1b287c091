/*
 * What the fast steps need to know about a numerics mode beside its an_num:
 * one row per mode, and nothing else asks which mode it is.
 */
#ifndef AN_ENGINE_SOFT_NUMERICS_H
#define AN_ENGINE_SOFT_NUMERICS_H

#include "anemone/engine.h"
#include "mil/numerics.h"

typedef struct an_soft_numerics {
    an_num num; /* of the reference kernels */
    bool wide;  /* floats are kept and computed in fp64, never rounded but at
                   ports */
    /* The arithmetic is this chip's: fp16 tensors hold its bit patterns, other
     * floats its values in fp64. NULL: IEEE 754's. */
    const an_chip_numerics *chip;
} an_soft_numerics;

/* AN_EINVAL: the mode needs a chip, and `chip` (a name) is none. */
an_status an_soft_numerics_of(an_numerics numerics, const char *chip,
                              an_soft_numerics *out, an_error *err);

/* How tensors of a declared type are stored. */
an_dtype an_soft_stored(const an_soft_numerics *n, an_dtype declared);
/* Does identity or a cast between the types leave stored elements alone? */
bool an_soft_keeps(const an_soft_numerics *n, an_dtype from, an_dtype to);

/*
 * Rewrites a function as the numerics see it, before it is planned: on a chip
 * mul(x, sigmoid(x)) becomes silu(x) where an_hw_find_silu says so, and small
 * literals become 0 where an_hw_literal does. Memory is the module's.
 */
an_status an_soft_rewrite(const an_soft_numerics *n, an_function *f,
                          an_error *err);

#endif
