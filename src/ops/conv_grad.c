/*
 * The gradient of conv, y[n, o, p] = sum over c, k of
 * w[o, c, k] x[n, c, p stride + k dilation - before] + bias[o], as more
 * convolutions, group by group:
 *
 *     dx    = conv(dy with stride - 1 zeros after each element, w turned
 *             around with its channel axes exchanged), same dilation
 *     dw    = conv(x, dy) with batch and channels exchanged, stride and
 *             dilation too; 1 x 1: the matrix product dy x^T
 *     dbias = sum of dy over all axes but the channels
 *
 * dx of a 1 x 1 convolution is a 1 x 1 convolution with the transposed weight,
 * the form in which both directions can be baked. dw of one is not offered for
 * deferral: an_product takes operands [.., M, K], and x is [N, C, D..].
 */
#include "ops/conv.h"

#include "mil/emit.h"

/* Beyond this the backward function would be all slices. */
enum { LIMIT_GROUPS = 64 };

/* One convolution to emit: settings per spatial axis. */
typedef struct settings {
    int spatial;
    int64_t stride[3], dilation[3], pad[6];
} settings;

static an_value *emit_conv(an_vjp *v, an_value *x, an_value *weight,
                           const settings *s)
{
    an_builder *b = v->b;
    if (!x || !weight) return NULL;
    bool padded = false;
    for (int i = 0; i < 2 * s->spatial; i++)
        padded = padded || s->pad[i] != 0;
    return an_build(
        b, "conv", NULL,
        AN_ARGS({"x", x}, {"weight", weight},
                {"strides", an_build_ints(b, s->spatial, s->stride)},
                {"pad_type", an_build_string(b, padded ? "custom" : "valid")},
                {"pad", an_build_ints(b, 2 * s->spatial, s->pad)},
                {"dilations", an_build_ints(b, s->spatial, s->dilation)},
                {"groups", an_build_int(b, 1)}));
}

/* x with its first two axes exchanged. */
static an_value *exchange(an_vjp *v, an_value *x)
{
    int perm[AN_MAX_RANK] = {1, 0, 2, 3, 4, 5, 6, 7};
    return an_emit_transpose(v->b, x, perm);
}

/* x along `axis` cut or filled with zeros at its ends. */
static an_value *fit(an_vjp *v, an_value *x, int axis, int64_t before,
                     int64_t after)
{
    int64_t zeros[2][AN_MAX_RANK] = {{0}}, begin[AN_MAX_RANK] = {0};
    int64_t size[AN_MAX_RANK];
    if (!x) return NULL;
    const an_shape *s = an_value_shape(x);
    for (int i = 0; i < s->rank; i++)
        size[i] = s->dims[i];
    zeros[0][axis] = before > 0 ? before : 0;
    zeros[1][axis] = after > 0 ? after : 0;
    begin[axis] = before < 0 ? -before : 0;
    size[axis] += (before < 0 ? before : 0) + (after < 0 ? after : 0);
    x = an_emit_slice(v->b, x, begin, size);
    return an_vjp_pad(v, x, zeros[0], zeros[1]);
}

/* dx of one group; dy and weight are the group's. */
static an_value *dx_of(an_vjp *v, an_value *dy, an_value *weight, int spatial)
{
    settings s = {.spatial = spatial};
    bool flips[AN_MAX_RANK] = {0};
    for (int i = 0; i < spatial; i++) {
        an_conv_axis a;
        (void)an_conv_frame(v->node, i, &a);
        int64_t reach = (a.kernel - 1) * a.dilation;
        int64_t before = reach - a.before;
        int64_t stretched = (a.out - 1) * a.stride + 1;
        int64_t after = a.in + reach - stretched - before;
        dy = an_vjp_stretch(v, dy, 2 + i, a.stride);
        /* the last element has its zeros too */
        after -= a.stride - 1;
        if (before < 0 || after < 0) dy = fit(v, dy, 2 + i, before, after);
        s.pad[2 * i] = before < 0 || after < 0 ? 0 : before;
        s.pad[2 * i + 1] = before < 0 || after < 0 ? 0 : after;
        s.stride[i] = 1;
        s.dilation[i] = a.dilation;
        flips[2 + i] = true;
    }
    return emit_conv(v, dy, an_vjp_flip(v, exchange(v, weight), flips), &s);
}

/* dw of one group by a convolution of x [C, N, D..] with dy [O, N, P..]; the
 * result [C, O, K..] is cut where the input has a rest. */
static an_value *dw_of(an_vjp *v, an_value *dy, an_value *x, int spatial)
{
    settings s = {.spatial = spatial};
    an_value *xs = exchange(v, x);
    for (int i = 0; i < spatial; i++) {
        an_conv_axis a;
        (void)an_conv_frame(v->node, i, &a);
        int64_t needed = (a.kernel - 1) * a.dilation + (a.out - 1) * a.stride;
        xs = fit(v, xs, 2 + i, a.before, needed + 1 - a.in - a.before);
        s.stride[i] = a.dilation;
        s.dilation[i] = a.stride;
    }
    return exchange(v, emit_conv(v, xs, exchange(v, dy), &s));
}

/* The pointwise form: dw [O, C] = sum over n, p of dy[n, o, p] x[n, c, p]. */
static an_value *dw_pointwise(an_vjp *v, an_value *dy, an_value *x,
                              const an_shape *weight)
{
    if (!dy || !x) return NULL;
    const an_shape *s = an_value_shape(x);
    int64_t points = an_shape_count(s) / (s->dims[0] * s->dims[1]);
    an_shape matrix = {s->dtype, 2, {weight->dims[0], weight->dims[1]}};
    dy = an_emit_reshape(
        v->b, dy, 3, (const int64_t[]){s->dims[0], weight->dims[0], points});
    x = an_emit_reshape(v->b, x, 3,
                        (const int64_t[]){s->dims[0], s->dims[1], points});
    an_value *dw = an_emit_matmul(v->b, dy, x, false, true);
    dw = an_emit_unbroadcast(v->b, dw, &matrix);
    return an_vjp_reshape_as(v, dw, weight);
}

/* Group g of `groups` along an axis. */
static an_value *group_of(an_vjp *v, an_value *x, int axis, int64_t g,
                          int64_t groups)
{
    if (!x) return NULL;
    int64_t size = an_value_shape(x)->dims[axis] / groups;
    return fit(v, x, axis, -g * size, (g + 1 - groups) * size);
}

static void add_dx(an_vjp *v, int spatial, int64_t groups)
{
    an_value *x = an_node_value(v->node, "x"), *parts[LIMIT_GROUPS];
    an_value *weight = v->get(v, an_node_value(v->node, "weight"));
    for (int64_t g = 0; g < groups; g++)
        parts[g] = dx_of(v, group_of(v, v->dy[0], 1, g, groups),
                         group_of(v, weight, 0, g, groups), spatial);
    v->add(v, x, an_emit_concat(v->b, (int)groups, parts, 1));
}

static void add_dw(an_vjp *v, int spatial, int64_t groups)
{
    an_value *weight = an_node_value(v->node, "weight");
    an_value *x = an_vjp_x(v), *parts[LIMIT_GROUPS];
    if (an_conv_is_pointwise(v->node)) {
        v->add(v, weight, dw_pointwise(v, v->dy[0], x, an_value_shape(weight)));
        return;
    }
    for (int64_t g = 0; g < groups; g++)
        parts[g] = dw_of(v, group_of(v, v->dy[0], 1, g, groups),
                         group_of(v, x, 1, g, groups), spatial);
    v->add(v, weight, an_emit_concat(v->b, (int)groups, parts, 0));
}

static void add_dbias(an_vjp *v, const an_value *bias)
{
    int64_t axes[AN_MAX_RANK];
    int n = 0;
    for (int i = 0; i < an_value_shape(v->dy[0])->rank; i++)
        if (i != 1) axes[n++] = i;
    v->add(v, bias,
           an_vjp_reshape_as(v, an_emit_sum(v->b, v->dy[0], n, axes),
                             an_value_shape(bias)));
}

void an_grad_conv(an_vjp *v)
{
    an_value *x = an_node_value(v->node, "x");
    an_value *weight = an_node_value(v->node, "weight");
    an_value *bias = an_node_value(v->node, "bias");
    int spatial = an_value_shape(x)->rank - 2;
    int64_t groups = an_node_int(v->node, "groups");
    if (groups > LIMIT_GROUPS) {
        an_build_fail(v->b, AN_EUNSUPPORTED,
                      "conv: groups is %lld, a gradient has at most %d",
                      (long long)groups, LIMIT_GROUPS);
        return;
    }
    if (!v->dy[0]) return;
    if (bias && v->wants(v, bias)) add_dbias(v, bias);
    if (v->wants(v, x)) add_dx(v, spatial, groups);
    if (v->wants(v, weight)) add_dw(v, spatial, groups);
}
