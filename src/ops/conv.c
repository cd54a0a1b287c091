/*
 * conv: cross-correlation of x [N, C, D..] with weight [O, C / groups, K..] and
 * an optional bias [O]. Per spatial axis, with ke = (K - 1) dilation + 1, the
 * result has floor((in + before + after - ke) / stride) + 1 elements. Padding
 * `same` gives ceil(in / stride), its odd element at the end (`same_lower`: at
 * the start); `custom` takes pad as before0, after0, before1, .. The gradient
 * is in conv_grad.c.
 */
#include "ops/conv.h"

#include "ops/window.h"

bool an_window_fit(const an_node *node, int i, an_window *w)
{
    an_str type = an_node_string(node, "pad_type");
    w->before = w->after = 0;
    if (an_str_is(type, "custom")) {
        w->before = an_node_int_at(node, "pad", 2 * i);
        w->after = an_node_int_at(node, "pad", 2 * i + 1);
    } else if (!an_str_is(type, "valid")) {
        int64_t wanted = (w->in + w->stride - 1) / w->stride;
        int64_t total = (wanted - 1) * w->stride + w->extent - w->in;
        if (total < 0) total = 0;
        w->after = an_str_is(type, "same") ? (total + 1) / 2 : total / 2;
        w->before = total - w->after;
    }
    int64_t room = w->in + w->before + w->after - w->extent;
    w->out = room < 0 ? 0 : room / w->stride + 1;
    return room >= 0;
}

bool an_conv_frame(const an_node *node, int i, an_conv_axis *a)
{
    a->in = an_node_shape(node, "x")->dims[2 + i];
    a->kernel = an_node_shape(node, "weight")->dims[2 + i];
    a->stride = an_node_int_at(node, "strides", i);
    a->dilation = an_node_int_at(node, "dilations", i);
    an_window w = {.in = a->in,
                   .extent = (a->kernel - 1) * a->dilation + 1,
                   .stride = a->stride};
    bool fits = an_window_fit(node, i, &w);
    a->before = w.before;
    a->out = w.out;
    return fits;
}

static an_status check_settings(const an_node *node, int axes, an_error *err)
{
    an_status s =
        an_rule_choice(node, "pad_type", "valid same same_lower custom", err);
    if (s == AN_OK) s = an_rule_counts(node, "strides", axes, 1, err);
    if (s == AN_OK) s = an_rule_counts(node, "dilations", axes, 1, err);
    if (s == AN_OK) s = an_rule_counts(node, "pad", 2 * axes, 0, err);
    return s;
}

static an_status check_channels(const an_node *node, an_error *err)
{
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *w = an_node_shape(node, "weight");
    int64_t groups = an_node_int(node, "groups");
    int64_t c = x->dims[1], o = w->dims[0], per_group = w->dims[1];
    if (groups < 1 || c % groups != 0 || o % groups != 0)
        return an_node_fail(node, err, AN_ETYPE,
                            "groups is %lld, expected a divisor of %lld input "
                            "and %lld output channels",
                            (long long)groups, (long long)c, (long long)o);
    if (per_group == c / groups) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "weight is %s, expected %lld input channels (x is %s, "
                        "groups %lld)",
                        AN_SHAPE_STR(w), (long long)(c / groups),
                        AN_SHAPE_STR(x), (long long)groups);
}

static an_status check_operands(const an_node *node, int n, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 3, 5, err);
    if (s == AN_OK) s = an_rule_same_type(node, "x", "weight", err);
    if (s != AN_OK) return s;
    int rank = an_node_shape(node, "x")->rank;
    s = an_rule_rank(node, "weight", rank, rank, err);
    if (s == AN_OK) s = check_settings(node, rank - 2, err);
    if (s == AN_OK) s = check_channels(node, err);
    if (s != AN_OK) return s;
    return an_rule_bias(node, an_node_shape(node, "weight")->dims[0], err);
}

static an_status shape_conv(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    an_status s = check_operands(node, n, err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    const an_shape *w = an_node_shape(node, "weight");
    r.dims[1] = w->dims[0];
    for (int i = 0; i + 2 < r.rank; i++) {
        an_conv_axis a;
        if (!an_conv_frame(node, i, &a))
            return an_node_fail(node, err, AN_ETYPE,
                                "weight is %s, expected a kernel that fits "
                                "into the padded x (%s) on axis %d",
                                AN_SHAPE_STR(w),
                                AN_SHAPE_STR(an_node_shape(node, "x")), i + 2);
        r.dims[2 + i] = a.out;
    }
    if ((s = an_rule_size(node, &r, err)) != AN_OK) return s;
    out[0] = r;
    return AN_OK;
}

/* 1 x 1, one group, nothing skipped, nothing padded: a matrix product. */
bool an_conv_is_pointwise(const an_node *node)
{
    if (an_node_int(node, "groups") != 1) return false;
    for (int i = 0; i + 2 < an_node_shape(node, "x")->rank; i++) {
        an_conv_axis a;
        an_conv_frame(node, i, &a);
        if (a.kernel != 1 || a.out != a.in || a.before != 0 || a.stride != 1)
            return false;
    }
    return true;
}

/* out [N, O, P] = weight [O, C] . x [N, C, P], P = product of the spatial
 * dimensions. */
static bool contract_conv(const an_node *node, an_contract *out)
{
    if (!an_conv_is_pointwise(node)) return false;
    const an_shape *x = an_node_shape(node, "x");
    int64_t o = an_node_shape(node, "weight")->dims[0], points = 1;
    int64_t n = x->dims[0], c = x->dims[1];
    for (int i = 2; i < x->rank; i++)
        points *= x->dims[i];
    *out = (an_contract){.a = 1,
                         .b = 0,
                         .a_shape = {x->dtype, 2, {o, c}},
                         .b_shape = {x->dtype, 3, {n, c, points}},
                         .out_shape = {x->dtype, 3, {n, o, points}},
                         .bias = an_node_given(node, "bias") ? 2 : -1};
    return true;
}

/* ---- kernel ---- */

/* The input elements and weights under one result of one group: pairs of
 * offsets from the group's first input channel and from an output channel's
 * weights. What lies in the padding is left out. */
typedef struct taps {
    int64_t *x, *weight;
    int64_t n;
    double *a, *b; /* the values, gathered */
} taps;

typedef struct conv_sizes {
    int spatial;
    an_conv_axis axis[3];
    int64_t n, groups, in_channels, out_channels; /* channels of a group */
    int64_t in_points, out_points, kernel_points;
} conv_sizes;

static conv_sizes sizes_of(const an_node *node)
{
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *w = an_node_shape(node, "weight");
    conv_sizes z = {.spatial = x->rank - 2,
                    .n = x->dims[0],
                    .groups = an_node_int(node, "groups"),
                    .in_channels = w->dims[1],
                    .in_points = 1,
                    .out_points = 1,
                    .kernel_points = 1};
    z.out_channels = w->dims[0] / z.groups;
    for (int i = 0; i < z.spatial; i++) {
        (void)an_conv_frame(node, i, &z.axis[i]);
        z.in_points *= z.axis[i].in;
        z.out_points *= z.axis[i].out;
        z.kernel_points *= z.axis[i].kernel;
    }
    return z;
}

/* Position of the input under kernel index k of output index p, both by axis;
 * -1: in the padding. */
static int64_t input_point(const conv_sizes *z, const int64_t *p,
                           const int64_t *k)
{
    int64_t at = 0;
    for (int i = 0; i < z->spatial; i++) {
        const an_conv_axis *a = &z->axis[i];
        int64_t from = p[i] * a->stride + k[i] * a->dilation - a->before;
        if (from < 0 || from >= a->in) return -1;
        at = at * a->in + from;
    }
    return at;
}

/* Fills t for output index p: channels ascending, then kernel positions. */
static void find_taps(const conv_sizes *z, const int64_t *p, taps *t)
{
    int64_t dims[3] = {1, 1, 1};
    an_walk k;
    for (int i = 0; i < z->spatial; i++)
        dims[i] = z->axis[i].kernel;
    t->n = 0;
    for (int64_t c = 0; c < z->in_channels; c++) {
        an_walk_init(&k, z->spatial, dims);
        for (int64_t i = 0; i < z->kernel_points; i++, an_walk_next(&k)) {
            int64_t at = input_point(z, p, k.index);
            if (at < 0) continue;
            t->x[t->n] = c * z->in_points + at;
            t->weight[t->n++] = c * z->kernel_points + i;
        }
    }
}

/* All output channels of one group at one point. */
static void convolve(const an_eval *e, const conv_sizes *z, const taps *t,
                     int64_t image, int64_t group, int64_t point)
{
    const an_dense *x = &e->in[0], *w = &e->in[1], *bias = &e->in[2];
    int64_t from = (image * z->groups + group) * z->in_channels * z->in_points;
    for (int64_t i = 0; i < t->n; i++)
        t->a[i] = x->data[from + t->x[i]];
    for (int64_t c = 0; c < z->out_channels; c++) {
        int64_t o = group * z->out_channels + c;
        const double *row = w->data + o * z->in_channels * z->kernel_points;
        for (int64_t i = 0; i < t->n; i++)
            t->b[i] = row[t->weight[i]];
        int64_t to =
            (image * z->groups * z->out_channels + o) * z->out_points + point;
        e->out[0].data[to] = e->num->dot(e->num, t->n, t->a, 1, t->b, 1,
                                         bias->data ? bias->data[o] : 0,
                                         x->shape.dtype, e->out[0].shape.dtype);
    }
}

static an_status make_taps(const an_eval *e, int64_t n, taps *t, an_error *err)
{
    size_t bytes = (size_t)n * sizeof(int64_t);
    an_status s = an_eval_doubles(e, n, &t->a, err);
    if (s == AN_OK) s = an_eval_doubles(e, n, &t->b, err);
    if (s != AN_OK) return s;
    t->x = e->scratch(e, bytes);
    t->weight = e->scratch(e, bytes);
    if (t->x && t->weight) return AN_OK;
    return an_node_fail(e->node, err, AN_ENOMEM,
                        "no memory for the kernel's "
                        "positions");
}

static an_status kernel_conv(const an_eval *e, an_error *err)
{
    taps t;
    int64_t dims[3] = {1, 1, 1};
    conv_sizes z = sizes_of(e->node);
    an_status s = make_taps(e, z.in_channels * z.kernel_points, &t, err);
    if (s != AN_OK) return s;
    an_walk p;
    for (int i = 0; i < z.spatial; i++)
        dims[i] = z.axis[i].out;
    an_walk_init(&p, z.spatial, dims);
    for (int64_t point = 0; point < z.out_points; point++, an_walk_next(&p)) {
        find_taps(&z, p.index, &t);
        for (int64_t image = 0; image < z.n; image++)
            for (int64_t group = 0; group < z.groups; group++)
                convolve(e, &z, &t, image, group, point);
    }
    return AN_OK;
}

/* Two operations per weight of a result. */
static void cost_conv(const an_node *node, an_cost *out)
{
    const an_shape *w = an_node_shape(node, "weight");
    an_cost_result(node, out);
    for (int i = 1; i < w->rank; i++)
        out->flops *= (double)w->dims[i];
    out->flops *= 2;
}

// clang-format off
const an_op an_op_conv = {
    .name = "conv", .since = 15,
    .params = "x:t weight:t bias:c? strides:I=1 pad_type:s=valid pad:I=0 "
              "dilations:I=1 groups:i=1",
    .cls = AN_CLASS_CONTRACTION, .shape = shape_conv, .kernel = kernel_conv,
    .grad = an_grad_conv, .cost = cost_conv, .contract = contract_conv};

/* Weight and bias may be computed at run time. */
const an_op an_op_conv_ios17 = {
    .name = "conv", .since = 17,
    .params = "x:t weight:t bias:t? strides:I=1 pad_type:s=valid pad:I=0 "
              "dilations:I=1 groups:i=1",
    .cls = AN_CLASS_CONTRACTION, .shape = shape_conv, .kernel = kernel_conv,
    .grad = an_grad_conv, .cost = cost_conv, .contract = contract_conv};
// clang-format on
