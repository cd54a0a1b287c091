/* Windows that slide over spatial axes: what conv, its transpose and pooling
 * share. */
#ifndef AN_OPS_WINDOW_H
#define AN_OPS_WINDOW_H

#include "ops/ops.h"

/* One spatial axis; `extent` is what a window covers, (kernel - 1) dilation + 1
 * for conv. */
typedef struct an_window {
    int64_t in, extent, stride;
    int64_t before, after, out; /* set by an_window_fit */
} an_window;

/* Pads and the number of windows of spatial axis i, from the node's pad_type
 * and pad. False: the padded input is shorter than the window. */
bool an_window_fit(const an_node *node, int i, an_window *w);

#endif
