/* The rows of mil/numerics.h, one per chip. */
#ifndef AN_CHIP_NUMERICS_H
#define AN_CHIP_NUMERICS_H

#include "mil/numerics.h"

/* "m1" .. "m6"; NULL: no such row. */
const an_chip_numerics *an_chip_numerics_find(const char *chip);

#endif
