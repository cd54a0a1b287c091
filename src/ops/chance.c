/* Random tensors: the shape is written out or known at run time alone, the
 * type is that of the distribution's parameters. */
#include "ops/ops.h"

/* The dimensions that `shape` [rank] holds; -1 where it is computed. */
static an_status read_shape(const an_node *node, an_dtype dtype, an_shape *out,
                            an_error *err)
{
    an_status s = an_rule_integers(node, "shape", 1, err);
    if (s != AN_OK) return s;
    const an_value *v = an_node_value(node, "shape");
    bool known = v->literal && v->literal->kind == AN_LIT_DATA;
    int64_t rank = v->type->shape.dims[0];
    if (rank > AN_MAX_RANK)
        return an_node_fail(node, err, AN_ETYPE,
                            "shape has %lld elements, expected at most %d",
                            (long long)rank, AN_MAX_RANK);
    an_shape r = {.dtype = dtype, .rank = (int)rank};
    for (int i = 0; i < r.rank; i++)
        r.dims[i] = known ? an_literal_int(v->literal, (size_t)i) : -1;
    if (known && (s = an_rule_size(node, &r, err)) != AN_OK) return s;
    *out = r;
    return AN_OK;
}

static an_dtype type_of(const an_node *node, const char *param)
{
    return an_node_given(node, param) ? an_node_shape(node, param)->dtype
                                      : AN_FP32;
}

static an_status shape_bernoulli(const an_node *node, an_shape *out, int n,
                                 an_error *err)
{
    an_shape r;
    double p = an_node_real(node, "prob");
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK && !(p >= 0 && p <= 1))
        s = an_node_fail(node, err, AN_ETYPE, "prob is %g, expected 0 to 1", p);
    if (s == AN_OK) s = read_shape(node, type_of(node, "prob"), &r, err);
    if (s == AN_OK) out[0] = r;
    return s;
}

static an_status shape_pair(const an_node *node, an_shape *out, int n,
                            const char *a, const char *b, an_error *err)
{
    an_shape r;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK && an_node_given(node, a) && an_node_given(node, b))
        s = an_rule_same_type(node, a, b, err);
    an_dtype dtype = type_of(node, an_node_given(node, a) ? a : b);
    if (s == AN_OK) s = read_shape(node, dtype, &r, err);
    if (s == AN_OK) out[0] = r;
    return s;
}

static an_status shape_normal(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    return shape_pair(node, out, n, "mean", "stddev", err);
}

static an_status shape_uniform(const an_node *node, an_shape *out, int n,
                               an_error *err)
{
    return shape_pair(node, out, n, "low", "high", err);
}

/* x [.., categories]: [.., size] */
static an_status shape_categorical(const an_node *node, an_shape *out, int n,
                                   an_error *err)
{
    an_shape r;
    an_status s = an_shape_as_float(node, &r, n, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 1, AN_MAX_RANK, err);
    if (s == AN_OK) s = an_rule_choice(node, "mode", "logits probs", err);
    if (s == AN_OK) s = an_rule_int(node, "size", 1, INT32_MAX, err);
    if (s != AN_OK) return s;
    r.dims[r.rank - 1] = an_node_int(node, "size");
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

// clang-format off
const an_op an_op_random_bernoulli = {
    .name = "random_bernoulli", .since = 15,
    .params = "shape:t prob:f=0.5 seed:i=-1", .cls = AN_CLASS_OTHER,
    .shape = shape_bernoulli};

const an_op an_op_random_categorical = {
    .name = "random_categorical", .since = 15,
    .params = "x:t mode:s=logits size:i=1 seed:i=-1", .cls = AN_CLASS_OTHER,
    .shape = shape_categorical};

const an_op an_op_random_normal = {
    .name = "random_normal", .since = 15,
    .params = "shape:t mean:f=0 stddev:f=1 seed:i=-1", .cls = AN_CLASS_OTHER,
    .shape = shape_normal};

const an_op an_op_random_uniform = {
    .name = "random_uniform", .since = 15,
    .params = "shape:t low:f=0 high:f=1 seed:i=-1", .cls = AN_CLASS_OTHER,
    .shape = shape_uniform};
// clang-format on
