/* What conv and its gradient share. */
#ifndef AN_OPS_CONV_H
#define AN_OPS_CONV_H

#include "ops/ops.h"

typedef struct an_conv_axis {
    int64_t in, kernel, stride, dilation, before, out;
} an_conv_axis;

/* Spatial axis i of a conv node. False: the padded input is shorter than the
 * kernel. */
bool an_conv_frame(const an_node *node, int i, an_conv_axis *a);
/* 1 x 1, one group, nothing skipped, nothing padded: a matrix product. */
bool an_conv_is_pointwise(const an_node *node);

an_grad_fn an_grad_conv;

#endif
