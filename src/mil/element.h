/* Elements of dense tensors of any dtype, an_dtype_size bytes each. */
#ifndef AN_MIL_ELEMENT_H
#define AN_MIL_ELEMENT_H

#include "anemone/mil.h"

/* Element i as a number; of 64-bit integers the nearest double. */
double an_element(an_dtype dtype, const void *data, size_t i);
/* Equal as numbers: -0 is 0, NaN is NaN. Integers by their bits, since doubles
 * do not hold all of 64. */
bool an_element_equal(an_dtype dtype, const void *a, const void *b, size_t i);

#endif
