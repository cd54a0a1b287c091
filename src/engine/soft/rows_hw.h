/* Rows in a chip's arithmetic, faster than by its an_num and the same bits. */
#ifndef AN_ENGINE_SOFT_ROWS_HW_H
#define AN_ENGINE_SOFT_ROWS_HW_H

#include "engine/soft/move.h"

/* Is this node a softmax of fp16 that an_softmax_hw computes on the chip (NULL:
 * none)? */
bool an_softmax_hw_fits(const an_chip_numerics *chip, const an_node *node);
/* x, n fp16 values, becomes its softmax; exponentials: an_table_exponentials.
 * False, x untouched: there are NaN patterns in it. */
bool an_softmax_hw(const an_chip_numerics *chip, const double *exponentials,
                   int64_t n, double *x);

#endif
