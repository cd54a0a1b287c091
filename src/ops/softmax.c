/* softmax over one axis. */
#include "ops/ops.h"

static an_status shape_softmax(const an_node *node, an_shape *out, int n,
                               an_error *err)
{
    int axis;
    an_shape x;
    an_status s = an_shape_as_float(node, &x, n, err);
    if (s == AN_OK) s = an_rule_axis(node, "axis", x.rank, &axis, err);
    if (s == AN_OK) out[0] = x;
    return s;
}

const an_op an_op_softmax = {
    .name = "softmax",
    .since = 15,
    .params = "x:t axis:i=-1",
    .cls = AN_CLASS_OTHER,
    .shape = shape_softmax,
    .reduce = AN_REDUCE_SOFTMAX,
};
