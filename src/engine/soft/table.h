/*
 * Functions of one fp16 value as tables of all 65,536 results, computed by the
 * numerics' own scalar function. An engine keeps those it has built.
 */
#ifndef AN_ENGINE_SOFT_TABLE_H
#define AN_ENGINE_SOFT_TABLE_H

#include "engine/soft/plan.h"

/* fp16 bits of fn(x, b, c) by the bits of x; valid until the engine is closed.
 * NULL: no memory, or the engine has many already. */
const uint16_t *an_table_get(const an_plan *plan, an_scalar fn, double b,
                             double c);

/* exp of every fp16 value, not rounded: what softmax keeps. NULL: no memory. */
const double *an_table_exponentials(const an_plan *plan);

#endif
