/*
 * max_pool, avg_pool and l2_pool: x [N, C, D..], windows of kernel_sizes over
 * the spatial axes. Sizes as in conv; with ceil_mode floor((in + before + after
 * - kernel + stride - 1) / stride) + 1, one less where the last window would
 * begin behind x and its front padding. avg divides by the window's elements,
 * with exclude_padding_from_average by those inside x; padding is no candidate
 * of max.
 */
#include "ops/window.h"

#include <math.h>

typedef struct pool_axis {
    int64_t in, kernel, stride, before, out;
} pool_axis;

/* ceil_mode goes with symmetric pads alone, so `before` says both. */
static bool pool_frame(const an_node *node, int i, pool_axis *a)
{
    an_window w = {.in = an_node_shape(node, "x")->dims[2 + i],
                   .extent = an_node_int_at(node, "kernel_sizes", i),
                   .stride = an_node_int_at(node, "strides", i)};
    bool fits = an_window_fit(node, i, &w);
    if (an_node_bool(node, "ceil_mode")) {
        int64_t room = w.in + w.before + w.after - w.extent;
        w.out = room < 0 ? 0 : (room + w.stride - 1) / w.stride + 1;
        if (w.before > 0 && (w.out - 1) * w.stride >= w.in + w.before) w.out--;
    }
    *a = (pool_axis){w.in, w.extent, w.stride, w.before, w.out};
    return fits;
}

static an_status check_ceil(const an_node *node, int axes, an_error *err)
{
    if (!an_node_bool(node, "ceil_mode")) return AN_OK;
    an_str type = an_node_string(node, "pad_type");
    bool even =
        axes <= 2 && !an_str_is(type, "same") && !an_str_is(type, "same_lower");
    for (int i = 0; even && an_str_is(type, "custom") && i < axes; i++)
        even = an_node_int_at(node, "pad", 2 * i) ==
               an_node_int_at(node, "pad", 2 * i + 1);
    if (even) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "ceil_mode is true, expected at most 2 spatial axes "
                        "and symmetric pads");
}

static an_status check_pool(const an_node *node, int n, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 3, 5, err);
    if (s != AN_OK) return s;
    int axes = an_node_shape(node, "x")->rank - 2;
    s = an_rule_choice(node, "pad_type",
                       node->opset > 15 ? "valid same same_lower custom"
                                        : "valid same custom",
                       err);
    if (s == AN_OK) s = an_rule_counts(node, "kernel_sizes", axes, 1, err);
    if (s == AN_OK) s = an_rule_counts(node, "strides", axes, 1, err);
    if (s == AN_OK) s = an_rule_counts(node, "pad", 2 * axes, 0, err);
    return s == AN_OK ? check_ceil(node, axes, err) : s;
}

static an_status shape_pool(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    an_status s = check_pool(node, n, err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    for (int i = 0; i + 2 < r.rank; i++) {
        pool_axis a;
        if (!pool_frame(node, i, &a))
            return an_node_fail(node, err, AN_ETYPE,
                                "kernel_sizes[%d] is %lld, expected a window "
                                "that fits into the padded x (%s)",
                                i, (long long)a.kernel,
                                AN_SHAPE_STR(an_node_shape(node, "x")));
        if (a.before >= a.kernel)
            return an_node_fail(node, err, AN_ETYPE,
                                "pad is %lld on axis %d, expected less than "
                                "the window's %lld",
                                (long long)a.before, i + 2,
                                (long long)a.kernel);
        r.dims[2 + i] = a.out;
    }
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

static an_status shape_l2_pool(const an_node *node, an_shape *out, int n,
                               an_error *err)
{
    an_status s = an_rule_rank(node, "x", 3, 4, err);
    return s == AN_OK ? shape_pool(node, out, n, err) : s;
}

/* ---- kernel ---- */

/* One window's elements inside x, one after the other. */
typedef struct window {
    int axes;
    pool_axis axis[3];
    int64_t dims[3]; /* of the window */
    double *values;
    int64_t n;
} window;

/* Collects the window of result index p from the plane x. */
static void collect(window *w, const int64_t *p, const double *x)
{
    an_walk k;
    int64_t size = 1;
    an_walk_init(&k, w->axes, w->dims);
    for (int i = 0; i < w->axes; i++)
        size *= w->dims[i];
    w->n = 0;
    for (int64_t j = 0; j < size; j++, an_walk_next(&k)) {
        int64_t at = 0;
        for (int i = 0; i < w->axes && at >= 0; i++) {
            const pool_axis *a = &w->axis[i];
            int64_t from = p[i] * a->stride + k.index[i] - a->before;
            at = from < 0 || from >= a->in ? -1 : at * a->in + from;
        }
        if (at >= 0) w->values[w->n++] = x[at];
    }
}

typedef double pool_fn(const an_eval *e, const window *w, int64_t size,
                       an_dtype to);

static double pool_max(const an_eval *e, const window *w, int64_t size,
                       an_dtype to)
{
    (void)size;
    if (w->n == 0) return -(double)INFINITY;
    return e->num->reduce(e->num, AN_REDUCE_MAX, w->n, w->values, 1, to);
}

static double pool_avg(const an_eval *e, const window *w, int64_t size,
                       an_dtype to)
{
    bool inside = an_node_bool(e->node, "exclude_padding_from_average");
    int64_t by = inside && w->n > 0 ? w->n : size;
    if (w->n == by)
        return e->num->reduce(e->num, AN_REDUCE_MEAN, w->n, w->values, 1, to);
    double sum =
        e->num->reduce(e->num, AN_REDUCE_SUM, w->n, w->values, 1, AN_FP64);
    return e->num->round(e->num, sum / (double)by, to);
}

static double pool_l2(const an_eval *e, const window *w, int64_t size,
                      an_dtype to)
{
    (void)size;
    double sum = e->num->reduce(e->num, AN_REDUCE_SUM_SQUARE, w->n, w->values,
                                1, AN_FP64);
    return e->num->round(e->num, sqrt(sum), to);
}

static an_status pool(const an_eval *e, pool_fn *fn, an_error *err)
{
    const an_dense *x = &e->in[0], *out = &e->out[0];
    window w = {.axes = x->shape.rank - 2};
    int64_t in = 1, size = 1, planes = x->shape.dims[0] * x->shape.dims[1];
    for (int i = 0; i < w.axes; i++) {
        (void)pool_frame(e->node, i, &w.axis[i]);
        w.dims[i] = w.axis[i].kernel;
        in *= w.axis[i].in;
        size *= w.dims[i];
    }
    /* no window holds more of x than there is */
    an_status s = an_eval_doubles(e, size < in ? size : in, &w.values, err);
    if (s != AN_OK) return s;
    int64_t points = an_shape_count(&out->shape) / planes;
    for (int64_t c = 0; c < planes; c++) {
        an_walk p;
        an_walk_init(&p, w.axes, out->shape.dims + 2);
        for (int64_t i = 0; i < points; i++, an_walk_next(&p)) {
            collect(&w, p.index, x->data + c * in);
            out->data[c * points + i] = fn(e, &w, size, out->shape.dtype);
        }
    }
    return AN_OK;
}

static an_status kernel_max_pool(const an_eval *e, an_error *err)
{
    return pool(e, pool_max, err);
}

static an_status kernel_avg_pool(const an_eval *e, an_error *err)
{
    return pool(e, pool_avg, err);
}

static an_status kernel_l2_pool(const an_eval *e, an_error *err)
{
    return pool(e, pool_l2, err);
}

/* One operation per element of a window. */
static void cost_pool(const an_node *node, an_cost *out)
{
    an_cost_result(node, out);
    for (int i = 0; i < an_node_n(node, "kernel_sizes"); i++)
        out->flops *= (double)an_node_int_at(node, "kernel_sizes", i);
}

static const char windows[] =
    "windows overlap, and summing them back takes a scatter, which the engine "
    "does not have; strided slices and reductions have gradients";

// clang-format off
const an_op an_op_max_pool = {
    .name = "max_pool", .since = 15,
    .params = "x:t kernel_sizes:I strides:I=1 pad_type:s pad:I=0 "
              "ceil_mode:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_pool, .kernel = kernel_max_pool,
    .no_grad = windows, .cost = cost_pool};

const an_op an_op_avg_pool = {
    .name = "avg_pool", .since = 15,
    .params = "x:t kernel_sizes:I strides:I=1 pad_type:s pad:I=0 "
              "exclude_padding_from_average:b=false ceil_mode:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_pool, .kernel = kernel_avg_pool,
    .no_grad = windows, .cost = cost_pool};

const an_op an_op_l2_pool = {
    .name = "l2_pool", .since = 15,
    .params = "x:t kernel_sizes:I strides:I=1 pad_type:s pad:I=0 "
              "ceil_mode:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_l2_pool, .kernel = kernel_l2_pool,
    .no_grad = windows, .cost = cost_pool};
// clang-format on
