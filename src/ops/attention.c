/*
 * scaled_dot_product_attention: softmax(Q K^T / sqrt(E) + mask) V over query
 * [B.., L, E], key [B.., S, E], value [B.., S, V]; leading axes broadcast. A
 * float mask is added, of a bool mask false shuts a pair out. It decomposes:
 * scores as a product, scaled and masked, a softmax, a product; what
 * stands between is rounded as the numerics say (`inner`).
 */
#include "ops/ops.h"

#include "mil/emit.h"

#include <math.h>

static an_status check_pair(const an_node *node, const char *a, int ia,
                            const char *b, int ib, an_error *err)
{
    const an_shape *sa = an_node_shape(node, a), *sb = an_node_shape(node, b);
    if (sa->dims[sa->rank - ia] == sb->dims[sb->rank - ib]) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "%s is %s and %s is %s, expected axes -%d and -%d to "
                        "be equal",
                        a, AN_SHAPE_STR(sa), b, AN_SHAPE_STR(sb), ia, ib);
}

static an_status check_operand(const an_node *node, const char *param,
                               an_error *err)
{
    an_status s = an_rule_same_type(node, "query", param, err);
    if (s == AN_OK) s = an_rule_rank(node, param, 3, AN_MAX_RANK, err);
    return s;
}

/* The scores' shape [B.., L, S]; B: the three operands' broadcast. */
static an_status find_scores(const an_node *node, an_shape *out, an_error *err)
{
    an_shape lead = *an_node_shape(node, "query");
    int64_t length = lead.dims[lead.rank - 2];
    lead.rank -= 2;
    static const char *const others[] = {"key", "value"};
    for (int i = 0; i < 2; i++) {
        an_shape s = *an_node_shape(node, others[i]);
        s.rank -= 2;
        if (!an_shape_broadcast(&lead, &s))
            return an_node_fail(node, err, AN_ETYPE,
                                "query is %s and %s is %s, expected leading "
                                "axes that broadcast",
                                AN_SHAPE_STR(an_node_shape(node, "query")),
                                others[i],
                                AN_SHAPE_STR(an_node_shape(node, others[i])));
    }
    const an_shape *key = an_node_shape(node, "key");
    lead.dims[lead.rank++] = length;
    lead.dims[lead.rank++] = key->dims[key->rank - 2];
    *out = lead;
    return an_rule_size(node, out, err);
}

static an_status check_mask(const an_node *node, const an_shape *scores,
                            an_error *err)
{
    if (!an_node_given(node, "attn_mask")) return AN_OK;
    const an_shape *mask = an_node_shape(node, "attn_mask");
    an_shape all = *scores;
    if (mask->dtype != AN_BOOL && mask->dtype != scores->dtype)
        return an_node_fail(node, err, AN_ETYPE,
                            "attn_mask is %s, expected bool or query's type",
                            AN_SHAPE_STR(mask));
    if (an_shape_broadcast(&all, mask) && an_shape_equal(&all, scores))
        return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "attn_mask is %s, expected a shape that broadcasts to "
                        "%s",
                        AN_SHAPE_STR(mask), AN_SHAPE_STR(scores));
}

static an_status shape_attention(const an_node *node, an_shape *out, int n,
                                 an_error *err)
{
    an_shape scores;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "query", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = check_operand(node, "query", err);
    if (s == AN_OK) s = check_operand(node, "key", err);
    if (s == AN_OK) s = check_operand(node, "value", err);
    if (s == AN_OK) s = check_pair(node, "query", 1, "key", 1, err);
    if (s == AN_OK) s = check_pair(node, "key", 2, "value", 2, err);
    if (s == AN_OK) s = find_scores(node, &scores, err);
    if (s == AN_OK) s = check_mask(node, &scores, err);
    if (s != AN_OK) return s;
    const an_shape *value = an_node_shape(node, "value");
    scores.dims[scores.rank - 1] = value->dims[value->rank - 1];
    if ((s = an_rule_size(node, &scores, err)) == AN_OK) out[0] = scores;
    return s;
}

/* ---- kernel ---- */

/* One row of scores, replaced by its softmax; all shut out: 0. */
static void softmax_row(const an_num *num, int64_t n, double *x, an_dtype type)
{
    double max = num->reduce(num, AN_REDUCE_MAX, n, x, 1, AN_FP64);
    if (isinf(max) && max < 0) max = 0;
    for (int64_t j = 0; j < n; j++)
        x[j] =
            num->scalar(num, AN_SCALAR_exp, num->inner(num, x[j] - max, type),
                        0, 0, type, AN_FP64);
    double sum = num->reduce(num, AN_REDUCE_SUM, n, x, 1, AN_FP64);
    for (int64_t j = 0; j < n && sum != 0; j++)
        x[j] = num->inner(num, x[j] / sum, type);
}

/* Steps of the last two axes 0: the walk goes over the planes. */
static void walk_planes(an_walk *w, const an_shape *scores,
                        const an_dense *const *operands, int n)
{
    an_shape lead = *scores;
    lead.rank -= 2;
    an_walk_init(w, lead.rank, lead.dims);
    for (int k = 0; k < n; k++) {
        int64_t step[AN_MAX_RANK] = {0}, own[AN_MAX_RANK];
        const an_shape *s = &operands[k]->shape;
        int missing = lead.rank - (s->rank - 2);
        an_dense_steps(s, own);
        for (int i = 0; i < s->rank - 2; i++)
            step[missing + i] = s->dims[i] == 1 ? 0 : own[i];
        an_walk_add(w, step, 0);
    }
}

/* The mask's element at [i, j] of the plane at `at`. */
static double masked(const an_num *num, const an_dense *mask, int64_t at,
                     int64_t i, int64_t j, double x, an_dtype type)
{
    const an_shape *s = &mask->shape;
    int64_t columns = s->rank > 0 ? s->dims[s->rank - 1] : 1;
    int64_t rows = s->rank > 1 ? s->dims[s->rank - 2] : 1;
    double m =
        mask->data[at + (rows == 1 ? 0 : i * columns) + (columns == 1 ? 0 : j)];
    if (s->dtype == AN_BOOL) return m != 0 ? x : -(double)INFINITY;
    return num->inner(num, x + m, type);
}

/* A mask of rank below 2 has no leading axes. */
static an_dense with_rows(const an_dense *mask)
{
    an_dense m = *mask;
    while (m.shape.rank < 2) {
        m.shape.dims[1] = m.shape.rank == 1 ? m.shape.dims[0] : 1;
        m.shape.dims[0] = 1;
        m.shape.rank++;
    }
    return m;
}

/* One plane of the operands, as pointers to its matrices. */
typedef struct plane {
    const double *q, *k, *v;
    const an_dense *mask; /* NULL: none */
    int64_t mask_at, width, n, depth;
    an_dtype type;
} plane;

/* Row i of the scores, then of the probabilities, then of the result. */
static void attend(const an_num *num, const plane *p, int64_t i, double *row,
                   double *out)
{
    double scale = 1 / sqrt((double)p->width);
    for (int64_t j = 0; j < p->n; j++) {
        double x = num->dot(num, p->width, p->q + i * p->width, 1,
                            p->k + j * p->width, 1, 0, p->type, AN_FP64);
        x = num->inner(num, num->inner(num, x, p->type) * scale, p->type);
        row[j] =
            p->mask ? masked(num, p->mask, p->mask_at, i, j, x, p->type) : x;
    }
    softmax_row(num, p->n, row, p->type);
    for (int64_t c = 0; c < p->depth; c++)
        out[c] = num->dot(num, p->n, row, 1, p->v + c, p->depth, 0, p->type,
                          p->type);
}

static an_status kernel_attention(const an_eval *e, an_error *err)
{
    const an_dense *q = &e->in[0], *k = &e->in[1], *v = &e->in[2];
    an_dense mask = with_rows(&e->in[3]);
    const an_dense *operands[] = {q, k, v, &mask};
    an_shape scores;
    double *row, *out = e->out[0].data;
    an_status s = find_scores(e->node, &scores, err);
    if (s != AN_OK) return s;
    int64_t rows = scores.dims[scores.rank - 2];
    int64_t n = scores.dims[scores.rank - 1];
    int64_t planes = an_shape_count(&scores) / (rows * n);
    if ((s = an_eval_doubles(e, n, &row, err)) != AN_OK) return s;
    plane p = {.mask = mask.data ? &mask : NULL,
               .width = q->shape.dims[q->shape.rank - 1],
               .n = n,
               .depth = v->shape.dims[v->shape.rank - 1],
               .type = q->shape.dtype};
    an_walk w;
    walk_planes(&w, &scores, operands, p.mask ? 4 : 3);
    for (int64_t c = 0; c < planes; c++, an_walk_next(&w)) {
        p.q = q->data + w.at[0];
        p.k = k->data + w.at[1];
        p.v = v->data + w.at[2];
        p.mask_at = w.at[3];
        for (int64_t i = 0; i < rows; i++, out += p.depth)
            attend(e->num, &p, i, row, out);
    }
    return AN_OK;
}

/* ---- gradient ---- */

static an_value *forward(an_vjp *v, const char *param)
{
    return v->get(v, an_node_value(v->node, param));
}

/* The probabilities again: softmax(q k^T / sqrt(E) + mask); what a bool mask
 * shuts out is finite, as hardware wants it. */
static an_value *probabilities(an_vjp *v, double scale)
{
    an_builder *b = v->b;
    an_value *x =
        an_emit_matmul(b, forward(v, "query"), forward(v, "key"), false, true);
    x = an_emit_scale(b, x, scale);
    if (an_node_given(v->node, "attn_mask")) {
        an_value *mask = forward(v, "attn_mask");
        if (!mask || !x) return NULL;
        if (an_value_shape(mask)->dtype == AN_BOOL)
            x = an_vjp_select(v, mask, x, an_vjp_scalar(v, -1e4));
        else
            x = an_emit_binary(b, "add", x, mask);
    }
    return an_emit_unary(b, "softmax", x);
}

/* y = p v, p = softmax(z), z = c q k^T + mask:
 * dv = p^T dy, dp = dy v^T, dz = p (dp - sum of dp p),
 * dq = c dz k, dk = c dz^T q, dmask = dz */
static void grad_attention(an_vjp *v)
{
    an_builder *b = v->b;
    an_value *q = an_node_value(v->node, "query");
    an_value *k = an_node_value(v->node, "key");
    an_value *value = an_node_value(v->node, "value");
    an_value *mask = an_node_value(v->node, "attn_mask");
    const an_shape *s = an_value_shape(q);
    double c = 1 / sqrt((double)s->dims[s->rank - 1]);
    an_value *p = probabilities(v, c);
    if (v->wants(v, value))
        an_vjp_add_broadcast(v, value,
                             an_emit_matmul(b, p, v->dy[0], true, false));
    if (!p) return;
    an_value *dp =
        an_emit_matmul(b, v->dy[0], forward(v, "value"), false, true);
    an_value *sum = an_emit_sum(b, an_emit_binary(b, "mul", dp, p), 1,
                                (const int64_t[]){an_value_shape(p)->rank - 1});
    an_value *dz =
        an_emit_binary(b, "mul", p, an_emit_binary(b, "sub", dp, sum));
    if (mask && an_value_shape(mask)->dtype != AN_BOOL)
        an_vjp_add_broadcast(v, mask, dz);
    dz = an_emit_scale(b, dz, c);
    if (v->wants(v, q))
        an_vjp_add_broadcast(
            v, q, an_emit_matmul(b, dz, forward(v, "key"), false, false));
    if (v->wants(v, k))
        an_vjp_add_broadcast(
            v, k, an_emit_matmul(b, dz, forward(v, "query"), true, false));
}

/* Two products; five operations per score for scale and softmax. */
static void cost_attention(const an_node *node, an_cost *out)
{
    an_shape scores = {0};
    (void)find_scores(node, &scores, NULL);
    const an_shape *q = an_node_shape(node, "query");
    const an_shape *v = an_node_shape(node, "value");
    double per_score =
        2 * (double)q->dims[q->rank - 1] + 2 * (double)v->dims[v->rank - 1] + 6;
    *out = (an_cost){.flops = an_shape_elements(&scores) * per_score,
                     .bytes = an_cost_bytes(node)};
}

// clang-format off
const an_op an_op_scaled_dot_product_attention = {
    .name = "scaled_dot_product_attention", .since = 18,
    .params = "query:t key:t value:t attn_mask:t?", .cls = AN_CLASS_OTHER,
    .shape = shape_attention, .kernel = kernel_attention,
    .grad = grad_attention, .cost = cost_attention};
// clang-format on
