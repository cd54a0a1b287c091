/* Constants, casts, copies and filled tensors. */
#include "ops/ops.h"

#include "mil/emit.h"
#include "mil/type.h"

#include <string.h>

/* The type of val. What is no tensor (a list, a tuple) never gets here. */
static an_status shape_const(const an_node *node, an_shape *out, int n,
                             an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) out[0] = *an_node_shape(node, "val");
    return s;
}

/* A cast to one of the types of `names`. */
static an_status shape_to(const an_node *node, an_shape *out, int n,
                          const char *names, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s == AN_OK) s = an_rule_choice(node, "dtype", names, err);
    if (s != AN_OK) return s;
    an_str name = an_node_string(node, "dtype");
    out[0] = *an_node_shape(node, "x");
    (void)an_dtype_find(name.text, name.size, &out[0].dtype);
    return AN_OK;
}

static an_status shape_cast(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    return shape_to(node, out, n, "fp16 fp32 fp64 int32 bool", err);
}

static an_status shape_cast_ios17(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    return shape_to(node, out, n,
                    "fp16 fp32 fp64 int32 bool int8 int16 uint8 uint16", err);
}

/* A tensor of `shape` with one value, of the value's type (fp32 0 when it is
 * not given). */
static an_status shape_fill(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s != AN_OK) return s;
    an_shape r = {.dtype = AN_FP32, .rank = an_node_n(node, "shape")};
    if (r.rank > AN_MAX_RANK)
        return an_node_fail(node, err, AN_ETYPE,
                            "shape has %d elements, expected at most %d",
                            r.rank, AN_MAX_RANK);
    for (int i = 0; i < r.rank; i++) {
        r.dims[i] = an_node_int_at(node, "shape", i);
        if (r.dims[i] < 1)
            return an_node_fail(node, err, AN_ETYPE,
                                "shape[%d] is %lld, expected 1 or more", i,
                                (long long)r.dims[i]);
    }
    if (an_node_given(node, "value")) {
        s = an_rule_domain(node, "value", AN_DOMAIN_ANY, err);
        if (s == AN_OK) s = an_rule_rank(node, "value", 0, 0, err);
        if (s != AN_OK) return s;
        r.dtype = an_node_shape(node, "value")->dtype;
    }
    if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

static an_status shape_fill_like(const an_node *node, an_shape *out, int n,
                                 an_error *err)
{
    an_dtype dtype = AN_FP32;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK && an_node_given(node, "value")) {
        s = an_rule_domain(node, "value", AN_DOMAIN_ANY, err);
        if (s == AN_OK) s = an_rule_rank(node, "value", 0, 0, err);
        dtype = an_node_shape(node, "value")->dtype;
    }
    if (s != AN_OK) return s;
    out[0] = *an_node_shape(node, "ref_tensor");
    out[0].dtype = dtype;
    return AN_OK;
}

static an_status kernel_const(const an_eval *e, an_error *err)
{
    (void)err;
    size_t n = (size_t)an_shape_count(&e->out[0].shape);
    memcpy(e->out[0].data, e->in[0].data, n * sizeof(double));
    return AN_OK;
}

static an_status kernel_fill(const an_eval *e, an_error *err)
{
    (void)err;
    const an_dense *value = an_eval_in(e, "value"), *out = &e->out[0];
    for (int64_t i = 0; i < an_shape_count(&out->shape); i++)
        out->data[i] = value ? value->data[0] : 0;
    return AN_OK;
}

/* y = x in another type: dx = dy in the type of x */
static void grad_cast(an_vjp *v)
{
    an_value *x = an_node_value(v->node, "x");
    an_dtype to = an_value_shape(v->node->results[0])->dtype;
    if (an_dtype_in(to, AN_DOMAIN_FLOAT))
        v->add(v, x, an_emit_cast(v->b, v->dy[0], an_value_shape(x)->dtype));
}

/* y = x */
static void grad_identity(an_vjp *v)
{
    v->add(v, an_node_value(v->node, "x"), v->dy[0]);
}

// clang-format off
const an_op an_op_const = {
    .name = "const", .since = 15, .params = "val:c", .cls = AN_CLASS_CONST,
    .shape = shape_const, .kernel = kernel_const,
    .no_grad = "it has no operand", .cost = an_cost_move,
    .form = AN_FORM_ATTRIBUTES};

/* A cast is the identity in another type: the rounding does the work (floats
 * to integers toward zero, to bool x != 0). */
const an_op an_op_cast = {
    .name = "cast", .since = 15, .params = "x:t dtype:s", .cls = AN_CLASS_UNARY,
    .shape = shape_cast, .kernel = an_kernel_scalar, .grad = grad_cast,
    .cost = an_cost_move, .scalar = AN_SCALAR_identity};

const an_op an_op_cast_ios17 = {
    .name = "cast", .since = 17, .params = "x:t dtype:s", .cls = AN_CLASS_UNARY,
    .shape = shape_cast_ios17, .kernel = an_kernel_scalar, .grad = grad_cast,
    .cost = an_cost_move, .scalar = AN_SCALAR_identity};

const an_op an_op_identity = {
    .name = "identity", .since = 15, .params = "x:t", .cls = AN_CLASS_UNARY,
    .shape = an_shape_as_any, .kernel = an_kernel_scalar, .grad = grad_identity,
    .cost = an_cost_move, .scalar = AN_SCALAR_identity};

const an_op an_op_fill = {
    .name = "fill", .since = 15, .params = "shape:I value:c?",
    .cls = AN_CLASS_OTHER, .shape = shape_fill, .kernel = kernel_fill,
    .no_grad = "its operands are constants", .cost = an_cost_move};

const an_op an_op_fill_like = {
    .name = "fill_like", .since = 16, .params = "ref_tensor:t value:c?",
    .cls = AN_CLASS_OTHER, .shape = shape_fill_like, .kernel = kernel_fill,
    .no_grad = "its result does not depend on the operand's elements",
    .cost = an_cost_move};
// clang-format on
