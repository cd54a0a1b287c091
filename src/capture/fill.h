/*
 * What the tensors of probes hold: a fill by name, with an argument behind a
 * colon. Element i of a tensor is a pure function of fill, argument and i.
 */
#ifndef AN_CAPTURE_FILL_H
#define AN_CAPTURE_FILL_H

#include "anemone/mil.h"

/*
 * Writes the shape's elements, in its dtype (fp16, int8, int32), into `out`:
 *     bits         every fp16 pattern, NaN and infinities included, in order
 *     special_x    each of 256 chosen values 256 times
 *     special_y    all 256 chosen values, 256 times
 *     normal:S     normal of deviation S; the tensor's name is its seed
 *     ramp         0, 1, 2, ... modulo 128
 *     full:V       V
 *     list:A,B,..  the numbers, over and over
 *     put:A,B,..   the numbers, then zeros
 *     diagonal:V   V on the diagonal of square matrices, else 0
 * AN_EINVAL: no such fill.
 */
an_status an_fill(const char *fill, const char *name, const an_shape *shape,
                  void *out, an_error *err);

#endif
