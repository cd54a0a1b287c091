/*
 * Evaluates functions node by node with the reference kernels: what a function
 * means, and the measure for everything that is faster.
 */
#ifndef AN_OPS_EVAL_H
#define AN_OPS_EVAL_H

#include "mil/ir.h"
#include "mil/num.h"

/*
 * inputs[i] has the elements of parameter i, as values of its type, row-major.
 * outputs[i] is allocated here, in the same form, for result i; the caller
 * frees each with an_free. Constants in weight files, lists and strings as
 * tensors, and ops without a kernel are AN_EUNSUPPORTED.
 */
an_status an_eval_function(const an_function *f, const an_num *num,
                           const double *const *inputs, double **outputs,
                           an_error *err);

#endif
