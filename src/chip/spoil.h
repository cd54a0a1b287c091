/* What hardware computes in the place of a function that breaks a rule: the
 * rows' field `spoil`. */
#ifndef AN_CHIP_SPOIL_H
#define AN_CHIP_SPOIL_H

#include "mil/ir.h"

/* mul of a rounding by a scalar constant is the rounding. */
an_status an_spoil_factor(an_function *f, an_error *err);
/* attention without its mask. */
an_status an_spoil_mask(an_function *f, an_error *err);
/* every result of an op of its own is zeros. */
an_status an_spoil_zeros(an_function *f, an_error *err);
/* surfaces bind in the text's order to ports in the order of their
 * names. */
an_status an_spoil_inputs(an_function *f, an_error *err);
an_status an_spoil_outputs(an_function *f, an_error *err);

#endif
