/*
 * What the fast steps need to know about a numerics mode beside its an_num:
 * one row per mode, and nothing else asks which mode it is.
 */
#ifndef AN_ENGINE_SOFT_NUMERICS_H
#define AN_ENGINE_SOFT_NUMERICS_H

#include "anemone/engine.h"
#include "mil/num.h"

typedef struct an_soft_numerics {
    const an_num *num; /* of the reference kernels */
    bool wide;         /* floats are kept and computed in fp64, never rounded
                          but at ports */
} an_soft_numerics;

const an_soft_numerics *an_soft_numerics_of(an_numerics numerics);

#endif
