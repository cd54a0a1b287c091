/* layer_norm: (x - mean) / sqrt(var + epsilon) * gamma + beta. */
#include "ops/ops.h"

/* gamma, beta: the shape of x along the axes, in order. */
static an_status check_affine(const an_node *node, const char *param,
                              const bool on[AN_MAX_RANK], an_error *err)
{
    if (!an_node_given(node, param)) return AN_OK;
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *p = an_node_shape(node, param);
    an_shape want = {.dtype = x->dtype};
    for (int i = 0; i < x->rank; i++)
        if (on[i]) want.dims[want.rank++] = x->dims[i];
    bool fits = p->dtype == want.dtype && p->rank == want.rank;
    for (int i = 0; fits && i < p->rank; i++)
        fits = an_dims_fit(p->dims[i], want.dims[i]);
    if (fits) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE, "%s is %s, expected %s", param,
                        AN_SHAPE_STR(p), AN_SHAPE_STR(&want));
}

static an_status shape_layer_norm(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    bool on[AN_MAX_RANK];
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    s = an_rule_axes(node, "axes", x->rank, on, err);
    if (s == AN_OK) s = check_affine(node, "gamma", on, err);
    if (s == AN_OK) s = check_affine(node, "beta", on, err);
    if (s == AN_OK) out[0] = *x;
    return s;
}

const an_op an_op_layer_norm = {
    .name = "layer_norm",
    .since = 15,
    .params = "x:t axes:I? gamma:t? beta:t? epsilon:f=1e-5",
    .cls = AN_CLASS_OTHER,
    .shape = shape_layer_norm,
};
