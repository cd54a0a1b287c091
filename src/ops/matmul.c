/*
 * matmul and linear. Leading axes of matmul broadcast as in numpy; an operand
 * of rank 1 gets a 1, in front for x, behind for y, which the result drops.
 */
#include "ops/ops.h"

#include "mil/emit.h"

/* Operands and result with ranks of at least 2, before transposes. False: the
 * inner dimensions or the leading axes do not fit. */
static bool frame(const an_node *node, an_contract *c)
{
    an_shape a = *an_node_shape(node, "x"), b = *an_node_shape(node, "y");
    if (a.rank == 1) a = (an_shape){a.dtype, 2, {1, a.dims[0]}};
    if (b.rank == 1) b = (an_shape){b.dtype, 2, {b.dims[0], 1}};
    bool ta = an_node_bool(node, "transpose_x");
    bool tb = an_node_bool(node, "transpose_y");
    int64_t m = a.dims[a.rank - (ta ? 1 : 2)];
    int64_t ka = a.dims[a.rank - (ta ? 2 : 1)];
    int64_t kb = b.dims[b.rank - (tb ? 1 : 2)];
    int64_t n = b.dims[b.rank - (tb ? 2 : 1)];
    an_shape out = a, batch = b;
    out.rank -= 2;
    batch.rank -= 2;
    if (ka != kb || !an_shape_broadcast(&out, &batch)) return false;
    out.dims[out.rank++] = m;
    out.dims[out.rank++] = n;
    *c = (an_contract){.a = 0,
                       .b = 1,
                       .transpose_a = ta,
                       .transpose_b = tb,
                       .a_shape = a,
                       .b_shape = b,
                       .out_shape = out,
                       .bias = -1};
    return true;
}

static an_status check_matmul(const an_node *node, int n, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_NUMBER, err);
    if (s == AN_OK) s = an_rule_same_type(node, "x", "y", err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 1, AN_MAX_RANK, err);
    if (s == AN_OK) s = an_rule_rank(node, "y", 1, AN_MAX_RANK, err);
    for (int i = 0; i < 2 && s == AN_OK; i++)
        if (an_node_bool(node, i ? "transpose_y" : "transpose_x"))
            s = an_rule_rank(node, i ? "y" : "x", 2, AN_MAX_RANK, err);
    return s;
}

static an_status shape_matmul(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    an_contract c;
    an_status s = check_matmul(node, n, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *y = an_node_shape(node, "y");
    if (!frame(node, &c))
        return an_node_fail(
            node, err, AN_ETYPE,
            "x is %s%s and y is %s%s, expected equal inner dimensions and "
            "leading axes that broadcast",
            AN_SHAPE_STR(x),
            an_node_bool(node, "transpose_x") ? " transposed" : "",
            AN_SHAPE_STR(y),
            an_node_bool(node, "transpose_y") ? " transposed" : "");
    an_shape r = c.out_shape;
    if (x->rank == 1) {
        r.dims[r.rank - 2] = r.dims[r.rank - 1];
        r.rank--;
    }
    if (y->rank == 1) r.rank--;
    if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

static bool contract_matmul(const an_node *node, an_contract *out)
{
    return frame(node, out);
}

/* y[.., o] = sum over i of x[.., i] weight[o, i] + bias[o] */
static an_status shape_linear(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 1, AN_MAX_RANK, err);
    if (s == AN_OK) s = an_rule_same_type(node, "x", "weight", err);
    if (s == AN_OK) s = an_rule_rank(node, "weight", 2, 2, err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    const an_shape *w = an_node_shape(node, "weight");
    if (r.dims[r.rank - 1] != w->dims[1])
        return an_node_fail(node, err, AN_ETYPE,
                            "x is %s and weight %s, expected one inner "
                            "dimension",
                            AN_SHAPE_STR(&r), AN_SHAPE_STR(w));
    r.dims[r.rank - 1] = w->dims[0];
    if ((s = an_rule_bias(node, w->dims[0], err)) != AN_OK) return s;
    if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

/* x [rows, I] times the transpose of weight [O, I]. A bias would lie along the
 * columns of the product, which an_contract does not have. */
static bool contract_linear(const an_node *node, an_contract *out)
{
    if (an_node_given(node, "bias")) return false;
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *w = an_node_shape(node, "weight");
    int64_t rows = 1, inner = w->dims[1];
    for (int i = 0; i + 1 < x->rank; i++)
        rows *= x->dims[i];
    *out = (an_contract){.a = 0,
                         .b = 1,
                         .transpose_b = true,
                         .a_shape = {x->dtype, 2, {rows, inner}},
                         .b_shape = *w,
                         .out_shape = {x->dtype, 2, {rows, w->dims[0]}},
                         .bias = -1};
    return true;
}

/* ---- kernels ---- */

/* One product of matrices: out[m, n] = sum over k of a[m, k] b[k, n]. */
static void product(const an_eval *e, const an_contract *c, const double *a,
                    const double *b, double *out)
{
    const an_shape *as = &c->a_shape, *os = &c->out_shape;
    int64_t m = os->dims[os->rank - 2], n = os->dims[os->rank - 1];
    int64_t k = as->dims[as->rank - (c->transpose_a ? 2 : 1)];
    int64_t a_row = c->transpose_a ? 1 : k, a_step = c->transpose_a ? m : 1;
    int64_t b_column = c->transpose_b ? k : 1, b_step = c->transpose_b ? 1 : n;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            out[i * n + j] =
                e->num->dot(e->num, k, a + i * a_row, a_step, b + j * b_column,
                            b_step, 0, as->dtype, e->out[0].shape.dtype);
}

/* Elements of the last two axes. */
static int64_t plane(const an_shape *s)
{
    return s->dims[s->rank - 1] * s->dims[s->rank - 2];
}

/* The leading axes of s, whose elements are planes. */
static an_shape leading(const an_shape *s)
{
    an_shape r = *s;
    r.rank -= 2;
    return r;
}

static an_status kernel_matmul(const an_eval *e, an_error *err)
{
    an_contract c;
    if (!frame(e->node, &c))
        return an_node_fail(e->node, err, AN_ETYPE, "shapes do not fit");
    an_shape out = leading(&c.out_shape), a = leading(&c.a_shape);
    an_shape b = leading(&c.b_shape);
    int64_t n = an_shape_count(&out);
    an_walk w;
    an_walk_init(&w, out.rank, out.dims);
    an_walk_add_broadcast(&w, &a);
    an_walk_add_broadcast(&w, &b);
    for (int64_t i = 0; i < n; i++, an_walk_next(&w))
        product(e, &c, e->in[0].data + w.at[0] * plane(&c.a_shape),
                e->in[1].data + w.at[1] * plane(&c.b_shape),
                e->out[0].data + i * plane(&c.out_shape));
    return AN_OK;
}

static an_status kernel_linear(const an_eval *e, an_error *err)
{
    (void)err;
    const an_dense *x = &e->in[0], *w = &e->in[1], *bias = &e->in[2];
    int64_t n_out = w->shape.dims[0], n_in = w->shape.dims[1];
    int64_t rows = an_shape_count(&x->shape) / n_in;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < n_out; o++)
            e->out[0].data[r * n_out + o] = e->num->dot(
                e->num, n_in, x->data + r * n_in, 1, w->data + o * n_in, 1,
                bias->data ? bias->data[o] : 0, x->shape.dtype,
                e->out[0].shape.dtype);
    return AN_OK;
}

/* ---- gradients ---- */

/* Is s one matrix, [1.., M, N]? Then its adjoint may stay a contraction. */
static bool is_matrix(const an_shape *s)
{
    if (s->rank < 2) return false;
    for (int i = 0; i + 2 < s->rank; i++)
        if (s->dims[i] != 1) return false;
    return true;
}

/* One operand of a product, and its partner, with ranks of 2 at least. */
typedef struct side {
    const an_value *operand;
    const an_shape *shape, *partner_shape;
} side;

/* The adjoint `p` of an operand: deferred where somebody takes it, else the
 * product, summed over the axes along which the operand was repeated. */
static void add_product(an_vjp *v, side own, an_product p)
{
    const an_shape *target = an_value_shape(own.operand);
    if (!v->wants(v, own.operand)) return;
    bool plain = an_value_shape(p.forward)->rank >= 2 && is_matrix(target);
    if (plain && v->defer(v, own.operand, &p)) return;
    an_value *partner =
        an_vjp_reshape_as(v, v->get(v, p.forward), own.partner_shape);
    an_value *left = p.adjoint_left ? p.adjoint : partner;
    an_value *right = p.adjoint_left ? partner : p.adjoint;
    an_value *full =
        an_emit_matmul(v->b, left, right, p.transpose_left, p.transpose_right);
    full = an_emit_unbroadcast(v->b, full, own.shape);
    v->add(v, own.operand, an_vjp_reshape_as(v, full, target));
}

/*
 * out = A B with A = x or x^T, B = y or y^T; D the adjoint of out:
 * dA = D B^T, dB = A^T D; a transposed operand gets the transpose of that,
 * B D^T or D^T A. Stored forms enter the products directly.
 */
static void grad_matmul(an_vjp *v)
{
    an_contract c;
    an_value *x = an_node_value(v->node, "x");
    an_value *y = an_node_value(v->node, "y");
    if (!frame(v->node, &c)) return;
    /* an operand of rank 1 has lost its axis in dy */
    an_value *dy = an_vjp_reshape_as(v, v->dy[0], &c.out_shape);
    an_product dx = {.adjoint_left = !c.transpose_a,
                     .adjoint = dy,
                     .forward = y,
                     .transpose_left = c.transpose_a && c.transpose_b,
                     .transpose_right = c.transpose_a || !c.transpose_b};
    an_product dw = {.adjoint_left = c.transpose_b,
                     .adjoint = dy,
                     .forward = x,
                     .transpose_left = c.transpose_b || !c.transpose_a,
                     .transpose_right = c.transpose_a && c.transpose_b};
    add_product(v, (side){x, &c.a_shape, &c.b_shape}, dx);
    add_product(v, (side){y, &c.b_shape, &c.a_shape}, dw);
}

/* y = x W^T + bias: dx = dy W, dW = dy^T x, dbias = sum of dy */
static void grad_linear(an_vjp *v)
{
    an_value *x = an_node_value(v->node, "x");
    an_value *weight = an_node_value(v->node, "weight");
    an_value *bias = an_node_value(v->node, "bias");
    an_shape rows = *an_value_shape(x), out = rows;
    if (rows.rank == 1) rows = (an_shape){rows.dtype, 2, {1, rows.dims[0]}};
    out = rows;
    out.dims[out.rank - 1] = an_value_shape(weight)->dims[0];
    an_value *dy = an_vjp_reshape_as(v, v->dy[0], &out);
    an_product dw = {.adjoint_left = true,
                     .adjoint = dy,
                     .forward = x,
                     .transpose_left = true};
    if (v->wants(v, x))
        v->add(v, x,
               an_vjp_reshape_as(
                   v, an_emit_matmul(v->b, dy, v->get(v, weight), false, false),
                   an_value_shape(x)));
    add_product(v, (side){weight, an_value_shape(weight), &rows}, dw);
    if (bias) an_vjp_add_broadcast(v, bias, v->dy[0]);
}

/* ---- counts ---- */

/* Two operations per multiply-accumulate. */
static void cost_matmul(const an_node *node, an_cost *out)
{
    an_contract c;
    double inner = 0;
    an_cost_result(node, out);
    if (frame(node, &c))
        inner =
            (double)c.a_shape.dims[c.a_shape.rank - (c.transpose_a ? 2 : 1)];
    out->flops *= 2 * inner;
}

static void cost_linear(const an_node *node, an_cost *out)
{
    an_cost_result(node, out);
    out->flops *= 2 * (double)an_node_shape(node, "weight")->dims[1];
}

/*
 * The two products that einsum knows: nchw,nwhu->nchu and chw,whr->chr. The
 * last axis of x is summed with axis -3 of y; the others must agree or be 1.
 */
static an_status shape_einsum(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s != AN_OK) return s;
    an_str text = an_node_string(node, "equation");
    int rank = an_str_is(text, "nchw,nwhu->nchu") ? 4
               : an_str_is(text, "chw,whr->chr")  ? 3
                                                  : 0;
    if (rank == 0)
        return an_node_fail(node, err, AN_ETYPE,
                            "equation is \"%.*s\", expected one of: "
                            "nchw,nwhu->nchu chw,whr->chr",
                            (int)(text.size < 32 ? text.size : 32), text.text);
    bool fits = an_node_n_tensors(node) == 2;
    const an_shape *x = &an_node_tensor(node, 0)->type->shape;
    const an_shape *y = fits ? &an_node_tensor(node, 1)->type->shape : x;
    fits = fits && x->rank == rank && y->rank == rank && x->dtype == y->dtype &&
           an_dtype_in(x->dtype, AN_DOMAIN_NUMBER) &&
           x->dims[rank - 1] == y->dims[rank - 3];
    an_shape r = *x, lead = {.dtype = x->dtype, .rank = 1};
    r.dims[rank - 1] = fits ? y->dims[rank - 1] : 1;
    for (int i = 0; fits && i < rank; i++) {
        if (i != rank - 2 && (rank == 3 || i != 0)) continue;
        an_shape other = {.dtype = x->dtype, .rank = 1, .dims = {y->dims[i]}};
        lead.dims[0] = x->dims[i];
        fits = an_shape_broadcast(&lead, &other);
        r.dims[i] = lead.dims[0];
    }
    if (!fits)
        return an_node_fail(node, err, AN_ETYPE,
                            "values are %s and %s, expected two tensors that "
                            "fit %.*s",
                            AN_SHAPE_STR(x), AN_SHAPE_STR(y), (int)text.size,
                            text.text);
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

// clang-format off
const an_op an_op_matmul = {
    .name = "matmul", .since = 15,
    .params = "x:t y:t transpose_x:b=false transpose_y:b=false",
    .cls = AN_CLASS_CONTRACTION, .shape = shape_matmul, .kernel = kernel_matmul,
    .grad = grad_matmul, .cost = cost_matmul, .contract = contract_matmul};

/* CoreML wants weight and bias constant; before lowering they are parameters,
 * so that their gradients can be asked for. */
const an_op an_op_linear = {
    .name = "linear", .since = 15, .params = "x:t weight:t bias:t?",
    .cls = AN_CLASS_CONTRACTION, .shape = shape_linear, .kernel = kernel_linear,
    .grad = grad_linear, .cost = cost_linear, .contract = contract_linear};

const an_op an_op_einsum = {
    .name = "einsum", .since = 15, .params = "values:v equation:s",
    .cls = AN_CLASS_OTHER, .shape = shape_einsum};
// clang-format on
