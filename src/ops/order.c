/*
 * What depends on order or place of elements: band_part, cumsum, argsort, topk,
 * reduce_argmax, reduce_argmin, one_hot, non_zero, shape, range_1d.
 */
#include "ops/ops.h"

#include "mil/type.h"

#include <math.h>
#include <string.h>

static an_status shape_band_part(const an_node *node, an_shape *out, int n,
                                 an_error *err)
{
    an_status s = an_rule_rank(node, "x", 2, AN_MAX_RANK, err);
    return s == AN_OK ? an_shape_as_any(node, out, n, err) : s;
}

static an_status shape_along(const an_node *node, an_shape *out, int n,
                             int *axis, an_error *err)
{
    an_shape r;
    an_status s = an_shape_as_number(node, &r, n, err);
    if (s == AN_OK) s = an_rule_axis(node, "axis", r.rank, axis, err);
    if (s == AN_OK) out[0] = r;
    return s;
}

static an_status shape_cumsum(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    int axis;
    return shape_along(node, out, n, &axis, err);
}

static an_status shape_argsort(const an_node *node, an_shape *out, int n,
                               an_error *err)
{
    int axis;
    an_status s = shape_along(node, out, n, &axis, err);
    if (s == AN_OK) out[0].dtype = AN_INT32;
    return s;
}

/* The type that `param` names, int32 in forms without it. */
static an_status index_type(const an_node *node, const char *param,
                            an_dtype *out, an_error *err)
{
    *out = AN_INT32;
    if (an_op_param_index(node->op, param, strlen(param)) < 0) return AN_OK;
    an_status s =
        an_rule_choice(node, param, "int32 uint16 int16 int8 uint8", err);
    an_str name = an_node_string(node, param);
    if (s == AN_OK) (void)an_dtype_find(name.text, name.size, out);
    return s;
}

/* Values and indices; one result where return_indices is false. */
static an_status shape_topk(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    int axis;
    an_dtype type;
    bool both = an_op_param_index(node->op, "return_indices", 14) < 0 ||
                an_node_bool(node, "return_indices");
    an_status s = an_rule_results(node, n, both ? 2 : 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_NUMBER, err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    s = an_rule_axis(node, "axis", r.rank, &axis, err);
    if (s == AN_OK) s = an_rule_int(node, "k", 1, r.dims[axis], err);
    if (s == AN_OK) s = index_type(node, "output_indices_dtype", &type, err);
    if (s != AN_OK) return s;
    r.dims[axis] = an_node_int(node, "k");
    out[0] = r;
    r.dtype = type;
    if (both) out[1] = r;
    return AN_OK;
}

static an_status shape_reduce_arg(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    int axis;
    an_dtype type;
    an_shape x, r = {0};
    an_status s = shape_along(node, &x, n, &axis, err);
    if (s == AN_OK) s = index_type(node, "output_dtype", &type, err);
    if (s != AN_OK) return s;
    r.dtype = type;
    for (int i = 0; i < x.rank; i++)
        if (i != axis)
            r.dims[r.rank++] = x.dims[i];
        else if (an_node_bool(node, "keep_dims"))
            r.dims[r.rank++] = 1;
    out[0] = r;
    return AN_OK;
}

/* The first extreme along the axis; a NaN is none. */
static an_status pick_first(const an_eval *e, an_scalar better)
{
    const an_dense *x = &e->in[0], *out = &e->out[0];
    int axis = 0;
    int64_t inner = 1, n = an_shape_count(&out->shape);
    (void)an_node_axis(e->node, "axis", x->shape.rank, &axis);
    for (int i = axis + 1; i < x->shape.rank; i++)
        inner *= x->shape.dims[i];
    int64_t d = x->shape.dims[axis];
    for (int64_t k = 0; k < n; k++) {
        const double *row = x->data + k / inner * d * inner + k % inner;
        int64_t best = 0;
        for (int64_t i = 1; i < d; i++)
            if (an_scalar_exact(better, row[i * inner], row[best * inner], 0) !=
                0)
                best = i;
        out->data[k] = e->num->round(e->num, (double)best, out->shape.dtype);
    }
    return AN_OK;
}

static an_status kernel_argmax(const an_eval *e, an_error *err)
{
    (void)err;
    return pick_first(e, AN_SCALAR_greater);
}

static an_status kernel_argmin(const an_eval *e, an_error *err)
{
    (void)err;
    return pick_first(e, AN_SCALAR_less);
}

/* The value of a scalar operand that is written out; false: run time. */
static bool known_number(const an_node *node, const char *param, double *out)
{
    const an_literal *l = an_node_value(node, param)->literal;
    if (!l || l->kind != AN_LIT_DATA || l->n != 1) return false;
    *out = an_literal_real(l, 0);
    return true;
}

/* indices with a new axis of one_hot_vector_size, which may be unknown. */
static an_status shape_one_hot(const an_node *node, an_shape *out, int n,
                               an_error *err)
{
    int axis;
    an_dtype type = AN_INT32;
    double size = -1;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_integers(node, "indices", -1, err);
    if (s == AN_OK) s = an_rule_integers(node, "one_hot_vector_size", 0, err);
    if (s == AN_OK) s = an_rule_rank(node, "indices", 0, AN_MAX_RANK - 1, err);
    if (s != AN_OK) return s;
    static const char *const values[] = {"on_value", "off_value"};
    for (int i = 0; i < 2; i++) {
        if (!an_node_given(node, values[i])) continue;
        if ((s = an_rule_rank(node, values[i], 0, 0, err)) != AN_OK) return s;
        type = an_node_shape(node, values[i])->dtype;
    }
    if (an_node_given(node, "on_value") && an_node_given(node, "off_value"))
        s = an_rule_same_type(node, "on_value", "off_value", err);
    const an_shape *indices = an_node_shape(node, "indices");
    if (s == AN_OK)
        s = an_rule_axis(node, "axis", indices->rank + 1, &axis, err);
    if (s != AN_OK) return s;
    if (known_number(node, "one_hot_vector_size", &size) &&
        !(size >= 1 && size <= INT32_MAX))
        return an_node_fail(node, err, AN_ETYPE,
                            "one_hot_vector_size is %g, expected 1 or more",
                            size);
    an_shape r = {.dtype = type, .rank = indices->rank + 1};
    for (int i = 0, from = 0; i < r.rank; i++)
        r.dims[i] = i == axis ? (int64_t)size : indices->dims[from++];
    if (size > 0 && (s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

/* [elements that are not 0, rank]: their number is not known before. */
static an_status shape_non_zero(const an_node *node, an_shape *out, int n,
                                an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s == AN_OK)
        out[0] = AN_TENSOR(AN_INT32, -1, an_node_shape(node, "x")->rank);
    return s;
}

static an_status shape_shape(const an_node *node, an_shape *out, int n,
                             an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 1, AN_MAX_RANK, err);
    if (s == AN_OK)
        out[0] = AN_TENSOR(AN_INT32, an_node_shape(node, "x")->rank);
    return s;
}

/* ceil((end - start) / step) elements, unknown where an operand is. */
static an_status shape_range_1d(const an_node *node, an_shape *out, int n,
                                an_error *err)
{
    static const char *const params[] = {"end", "start", "step"};
    double v[3];
    bool known = true;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "start", AN_DOMAIN_NUMBER, err);
    for (int i = 0; i < 3 && s == AN_OK; i++) {
        s = an_rule_same_type(node, "start", params[i], err);
        if (s == AN_OK) s = an_rule_rank(node, params[i], 0, 0, err);
        if (s == AN_OK) known = known_number(node, params[i], &v[i]) && known;
    }
    if (s != AN_OK) return s;
    double count = known ? ceil((v[0] - v[1]) / v[2]) : -1;
    if (known && !(count >= 1 && count <= INT32_MAX))
        return an_node_fail(node, err, AN_ETYPE,
                            "%g to %g by %g has no elements or too many", v[1],
                            v[0], v[2]);
    out[0] = AN_TENSOR(an_node_shape(node, "start")->dtype, (int64_t)count);
    return AN_OK;
}

static const char flat[] =
    "it is piecewise constant: its derivative is 0 wherever there is one";

// clang-format off
const an_op an_op_band_part = {
    .name = "band_part", .since = 15, .params = "x:t lower:i=-1 upper:i=-1",
    .cls = AN_CLASS_OTHER, .shape = shape_band_part};

const an_op an_op_cumsum = {
    .name = "cumsum", .since = 15,
    .params = "x:t axis:i=0 exclusive:b=false reverse:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_cumsum};

const an_op an_op_argsort = {
    .name = "argsort", .since = 15, .params = "x:t axis:i=-1 ascending:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_argsort};

const an_op an_op_topk = {
    .name = "topk", .since = 15,
    .params = "x:t k:i=1 axis:i=-1 ascending:b=false", .cls = AN_CLASS_OTHER,
    .shape = shape_topk};

const an_op an_op_topk_ios16 = {
    .name = "topk", .since = 16,
    .params = "x:t k:i=1 axis:i=-1 ascending:b=false sort:b=true "
              "return_indices:b=true",
    .cls = AN_CLASS_OTHER, .shape = shape_topk};

const an_op an_op_topk_ios17 = {
    .name = "topk", .since = 17,
    .params = "x:t k:i=1 axis:i=-1 ascending:b=false sort:b=true "
              "return_indices:b=true output_indices_dtype:s=int32",
    .cls = AN_CLASS_OTHER, .shape = shape_topk};

const an_op an_op_reduce_argmax = {
    .name = "reduce_argmax", .since = 15,
    .params = "x:t axis:i=-1 keep_dims:b=false", .cls = AN_CLASS_OTHER,
    .shape = shape_reduce_arg, .kernel = kernel_argmax, .no_grad = flat,
    .cost = an_cost_operand};

const an_op an_op_reduce_argmax_ios17 = {
    .name = "reduce_argmax", .since = 17,
    .params = "x:t axis:i=-1 keep_dims:b=false output_dtype:s=int32",
    .cls = AN_CLASS_OTHER, .shape = shape_reduce_arg, .kernel = kernel_argmax,
    .no_grad = flat, .cost = an_cost_operand};

const an_op an_op_reduce_argmin = {
    .name = "reduce_argmin", .since = 15,
    .params = "x:t axis:i=-1 keep_dims:b=false", .cls = AN_CLASS_OTHER,
    .shape = shape_reduce_arg, .kernel = kernel_argmin, .no_grad = flat,
    .cost = an_cost_operand};

const an_op an_op_reduce_argmin_ios17 = {
    .name = "reduce_argmin", .since = 17,
    .params = "x:t axis:i=-1 keep_dims:b=false output_dtype:s=int32",
    .cls = AN_CLASS_OTHER, .shape = shape_reduce_arg, .kernel = kernel_argmin,
    .no_grad = flat, .cost = an_cost_operand};

const an_op an_op_one_hot = {
    .name = "one_hot", .since = 15,
    .params = "indices:t one_hot_vector_size:t axis:i=-1 on_value:c? "
              "off_value:c?",
    .cls = AN_CLASS_OTHER, .shape = shape_one_hot};

const an_op an_op_non_zero = {
    .name = "non_zero", .since = 15, .params = "x:t", .cls = AN_CLASS_OTHER,
    .shape = shape_non_zero};

const an_op an_op_shape = {
    .name = "shape", .since = 15, .params = "x:t", .cls = AN_CLASS_OTHER,
    .shape = shape_shape};

const an_op an_op_range_1d = {
    .name = "range_1d", .since = 15, .params = "end:t start:t step:t",
    .cls = AN_CLASS_OTHER, .shape = shape_range_1d};
// clang-format on
