/*
 * Parts and repetitions of a tensor: slice_by_size, slice_by_index,
 * slice_update, reverse, crop, pad, tile.
 */
#include "ops/ops.h"

#include "mil/emit.h"

/* Elements begin, begin + stride, .. of one axis. */
typedef struct span {
    int64_t begin, stride, length;
    bool squeezed;
} span;

static an_status fail_span(const an_node *node, int axis, an_error *err)
{
    return an_node_fail(node, err, AN_ETYPE,
                        "expected at least one element inside x (%s) on axis "
                        "%d",
                        AN_SHAPE_STR(an_node_shape(node, "x")), axis);
}

/* slice_by_size: a negative begin adds the dimension, size -1 goes to the end.
 * False: out of x. */
static bool size_span(const an_node *node, int i, span *out)
{
    int64_t d = an_node_shape(node, "x")->dims[i];
    int64_t begin = an_node_int_at(node, "begin", i);
    int64_t size = an_node_int_at(node, "size", i);
    *out = (span){begin, 1, size, false};
    if (begin < -d || begin >= d) return false;
    if (begin < 0) out->begin = begin + d;
    if (size == -1) out->length = d - out->begin;
    return out->length > 0 && out->length <= d - out->begin;
}

static an_status shape_slice_by_size(const an_node *node, an_shape *out, int n,
                                     an_error *err)
{
    an_shape r;
    an_status s = an_shape_as_any(node, &r, n, err);
    if (s != AN_OK) return s;
    s = an_rule_count(node, "begin", r.rank, err);
    if (s == AN_OK) s = an_rule_count(node, "size", r.rank, err);
    for (int i = 0; i < r.rank && s == AN_OK; i++) {
        span p;
        if (!size_span(node, i, &p)) return fail_span(node, i, err);
        r.dims[i] = p.length;
    }
    if (s == AN_OK) out[0] = r;
    return s;
}

static bool view_slice_by_size(const an_node *node, an_view *out)
{
    *out = (an_view){.kind = AN_VIEW_SLICE};
    for (int i = 0; i < an_node_shape(node, "x")->rank; i++) {
        span p;
        size_span(node, i, &p);
        out->begin[i] = p.begin;
        out->stride[i] = p.stride;
        out->length[i] = p.length;
    }
    return true;
}

/* A begin or end of a Python slice over d elements. */
static int64_t clamp_bound(int64_t at, int64_t d, int64_t stride)
{
    int64_t low = stride < 0 ? -1 : 0, high = stride < 0 ? d - 1 : d;
    if (at < 0) at = at < -d ? -d - 1 : at;
    if (at < 0) at += d;
    return at < low ? low : at > high ? high : at;
}

/*
 * slice_by_index on an axis of d >= 0 elements: Python's begin:end:stride. A
 * masked begin is the first element (the last for a negative stride), a masked
 * end goes on to the other end. Squeezed: the element begin alone.
 */
static bool index_span(const an_node *node, int i, span *out)
{
    int64_t d = an_node_shape(node, "x")->dims[i];
    int64_t begin = an_node_int_at(node, "begin", i);
    int64_t end = an_node_int_at(node, "end", i);
    int64_t stride = an_node_int_at(node, "stride", i);
    if (stride == 0) return false;
    if (an_node_int_at(node, "squeeze_mask", i)) {
        *out = (span){begin < 0 ? begin + d : begin, 1, 1, true};
        return begin >= -d && begin < d;
    }
    begin = clamp_bound(begin, d, stride);
    end = clamp_bound(end, d, stride);
    if (an_node_int_at(node, "begin_mask", i)) begin = stride < 0 ? d - 1 : 0;
    if (an_node_int_at(node, "end_mask", i)) end = stride < 0 ? -1 : d;
    int64_t extent = stride < 0 ? begin - end : end - begin;
    int64_t step = stride < 0 ? -stride : stride;
    *out =
        (span){begin, stride, extent <= 0 ? 0 : (extent - 1) / step + 1, false};
    return extent > 0;
}

static an_status check_slice_by_index(const an_node *node, int rank,
                                      an_error *err)
{
    static const char *const params[] = {
        "begin", "end", "stride", "begin_mask", "end_mask", "squeeze_mask"};
    for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
        an_status s = an_rule_count(node, params[i], rank, err);
        if (s != AN_OK) return s;
    }
    return AN_OK;
}

static an_status shape_slice_by_index(const an_node *node, an_shape *out, int n,
                                      an_error *err)
{
    an_shape x, r = {0};
    an_status s = an_shape_as_any(node, &x, n, err);
    if (s != AN_OK) return s;
    r.dtype = x.dtype;
    s = check_slice_by_index(node, x.rank, err);
    if (s != AN_OK) return s;
    for (int i = 0; i < x.rank; i++) {
        span p;
        if (!index_span(node, i, &p)) return fail_span(node, i, err);
        if (!p.squeezed) r.dims[r.rank++] = p.length;
    }
    out[0] = r;
    return AN_OK;
}

static bool view_slice_by_index(const an_node *node, an_view *out)
{
    *out = (an_view){.kind = AN_VIEW_SLICE};
    for (int i = 0; i < an_node_shape(node, "x")->rank; i++) {
        span p;
        index_span(node, i, &p);
        out->begin[i] = p.begin;
        out->stride[i] = p.stride;
        out->length[i] = p.length;
    }
    return true;
}

/* update has the shape of the slice, squeezed axes gone. */
static an_status shape_slice_update(const an_node *node, an_shape *out, int n,
                                    an_error *err)
{
    an_shape slice;
    an_status s = shape_slice_by_index(node, &slice, n, err);
    if (s == AN_OK) s = an_rule_shape(node, "update", &slice, err);
    if (s == AN_OK) out[0] = *an_node_shape(node, "x");
    return s;
}

static an_status shape_reverse(const an_node *node, an_shape *out, int n,
                               an_error *err)
{
    an_shape r;
    bool marked[AN_MAX_RANK];
    an_status s = an_shape_as_any(node, &r, n, err);
    if (s == AN_OK) s = an_rule_axes(node, "axes", r.rank, marked, err);
    if (s == AN_OK) out[0] = r;
    return s;
}

static bool view_reverse(const an_node *node, an_view *out)
{
    const an_shape *x = an_node_shape(node, "x");
    bool marked[AN_MAX_RANK];
    (void)an_rule_axes(node, "axes", x->rank, marked, NULL);
    *out = (an_view){.kind = AN_VIEW_SLICE};
    for (int i = 0; i < x->rank; i++) {
        out->begin[i] = marked[i] ? x->dims[i] - 1 : 0;
        out->stride[i] = marked[i] ? -1 : 1;
        out->length[i] = x->dims[i];
    }
    return true;
}

/* crop_height and crop_width: elements off both ends of the last two axes. */
static bool crop_view(const an_node *node, an_view *out)
{
    static const char *const params[] = {"crop_height", "crop_width"};
    const an_shape *x = an_node_shape(node, "x");
    bool fits = true;
    *out = (an_view){.kind = AN_VIEW_SLICE};
    for (int i = 0; i < x->rank; i++) {
        int at = i - (x->rank - 2);
        int64_t first = at < 0 ? 0 : an_node_int_at(node, params[at], 0);
        int64_t last = at < 0 ? 0 : an_node_int_at(node, params[at], 1);
        out->begin[i] = first;
        out->stride[i] = 1;
        out->length[i] = x->dims[i] - first - last;
        fits = fits && first >= 0 && last >= 0 && out->length[i] > 0;
    }
    return fits;
}

static an_status shape_crop(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    an_view v;
    an_shape r;
    an_status s = an_shape_as_float(node, &r, n, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 3, AN_MAX_RANK, err);
    if (s == AN_OK) s = an_rule_count(node, "crop_height", 2, err);
    if (s == AN_OK) s = an_rule_count(node, "crop_width", 2, err);
    if (s != AN_OK) return s;
    if (!crop_view(node, &v))
        return an_node_fail(node, err, AN_ETYPE,
                            "x is %s, expected crops of 0 or more that leave "
                            "an element",
                            AN_SHAPE_STR(&r));
    for (int i = 0; i < r.rank; i++)
        r.dims[i] = v.length[i];
    out[0] = r;
    return AN_OK;
}

/* Elements before and after axis i; pad lists the last axes. */
static void pad_of(const an_node *node, int rank, int i, int64_t *before,
                   int64_t *after)
{
    int at = i - (rank - an_node_n(node, "pad") / 2);
    *before = at < 0 ? 0 : an_node_int_at(node, "pad", 2 * at);
    *after = at < 0 ? 0 : an_node_int_at(node, "pad", 2 * at + 1);
}

/* The most that a mode can add on one side of d elements. */
static int64_t pad_limit(const an_node *node, int64_t d)
{
    an_str mode = an_node_string(node, "mode");
    if (an_str_is(mode, "constant")) return INT32_MAX;
    return an_str_is(mode, "reflect") ? d - 1 : d;
}

static an_status check_pad(const an_node *node, int rank, an_error *err)
{
    an_str mode = an_node_string(node, "mode");
    int n = an_node_n(node, "pad");
    if (!an_str_is(mode, "constant") && !an_str_is(mode, "reflect") &&
        !an_str_is(mode, "replicate"))
        return an_node_fail(
            node, err, AN_ETYPE,
            "mode is \"%.*s\", expected constant, reflect or replicate",
            (int)(mode.size < 32 ? mode.size : 32), mode.text);
    if (n % 2 == 0 && n <= 2 * rank) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "pad has %d elements, expected an even number up to %d",
                        n, 2 * rank);
}

static an_status shape_pad(const an_node *node, an_shape *out, int n,
                           an_error *err)
{
    an_shape r;
    an_status s = an_shape_as_any(node, &r, n, err);
    if (s != AN_OK) return s;
    if ((s = check_pad(node, r.rank, err)) != AN_OK) return s;
    for (int i = 0; i < r.rank; i++) {
        int64_t before, after, most = pad_limit(node, r.dims[i]);
        pad_of(node, r.rank, i, &before, &after);
        if (before < 0 || after < 0 || before > most || after > most)
            return an_node_fail(node, err, AN_ETYPE,
                                "pad is %lld and %lld on axis %d, expected 0 "
                                "to %lld",
                                (long long)before, (long long)after, i,
                                (long long)most);
        r.dims[i] += before + after;
    }
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

static an_status shape_tile(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    an_shape r;
    an_status s = an_shape_as_any(node, &r, n, err);
    if (s != AN_OK) return s;
    if ((s = an_rule_count(node, "reps", r.rank, err)) != AN_OK) return s;
    for (int i = 0; i < r.rank; i++) {
        int64_t reps = an_node_int_at(node, "reps", i);
        if (reps < 1)
            return an_node_fail(node, err, AN_ETYPE,
                                "reps[%d] is %lld, expected 1 or more", i,
                                (long long)reps);
        r.dims[i] *= reps;
    }
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

/* ---- kernels of what is no view ---- */

/* The index of x under index `at` of the padded axis; -1: in the padding. */
static int64_t pad_source(an_str mode, int64_t at, int64_t d)
{
    if (at >= 0 && at < d) return at;
    if (an_str_is(mode, "replicate")) return at < 0 ? 0 : d - 1;
    if (an_str_is(mode, "reflect")) return at < 0 ? -at : 2 * (d - 1) - at;
    return -1;
}

static an_status kernel_pad(const an_eval *e, an_error *err)
{
    (void)err;
    const an_dense *x = &e->in[0], *out = &e->out[0];
    an_str mode = an_node_string(e->node, "mode");
    double value = an_node_real(e->node, "constant_val");
    int64_t step[AN_MAX_RANK], before[AN_MAX_RANK], after;
    int64_t n = an_shape_count(&out->shape);
    an_dense_steps(&x->shape, step);
    for (int i = 0; i < x->shape.rank; i++)
        pad_of(e->node, x->shape.rank, i, &before[i], &after);
    an_walk w;
    an_walk_init(&w, out->shape.rank, out->shape.dims);
    for (int64_t k = 0; k < n; k++, an_walk_next(&w)) {
        int64_t at = 0;
        for (int i = 0; i < w.rank && at >= 0; i++) {
            int64_t from =
                pad_source(mode, w.index[i] - before[i], x->shape.dims[i]);
            at = from < 0 ? -1 : at + from * step[i];
        }
        out->data[k] = at < 0 ? value : x->data[at];
    }
    return AN_OK;
}

static an_status kernel_tile(const an_eval *e, an_error *err)
{
    (void)err;
    const an_dense *x = &e->in[0], *out = &e->out[0];
    int64_t step[AN_MAX_RANK], n = an_shape_count(&out->shape);
    an_dense_steps(&x->shape, step);
    an_walk w;
    an_walk_init(&w, out->shape.rank, out->shape.dims);
    for (int64_t k = 0; k < n; k++, an_walk_next(&w)) {
        int64_t at = 0;
        for (int i = 0; i < w.rank; i++)
            at += w.index[i] % x->shape.dims[i] * step[i];
        out->data[k] = x->data[at];
    }
    return AN_OK;
}

/* ---- gradients ---- */

/* Undoes stride along an axis: zeros between the elements of dy, whose first
 * then belongs to p.begin; cut where x ends. */
static an_value *unstride(an_vjp *v, an_value *dy, int axis, span *p, int64_t d)
{
    bool flips[AN_MAX_RANK] = {0};
    int64_t begin[AN_MAX_RANK] = {0}, size[AN_MAX_RANK];
    if (p->stride < 0) {
        flips[axis] = true;
        dy = an_vjp_flip(v, dy, flips);
        p->begin += (p->length - 1) * p->stride;
        p->stride = -p->stride;
    }
    dy = an_vjp_stretch(v, dy, axis, p->stride);
    if (!dy) return NULL;
    const an_shape *s = an_value_shape(dy);
    for (int i = 0; i < s->rank; i++)
        size[i] = s->dims[i];
    if (size[axis] > d - p->begin) size[axis] = d - p->begin;
    return an_emit_slice(v->b, dy, begin, size);
}

/* y = x[view]: dx = dy where it came from, zeros elsewhere */
static void grad_slice(an_vjp *v)
{
    an_view view;
    an_value *x = an_node_value(v->node, "x"), *dy;
    const an_shape *s = an_value_shape(x);
    int64_t before[AN_MAX_RANK];
    if (!v->node->op->view(v->node, &view)) return;
    dy = an_emit_reshape(v->b, v->dy[0], s->rank, view.length);
    for (int i = 0; i < s->rank; i++) {
        span p = {view.begin[i], view.stride[i], view.length[i], false};
        if (p.stride != 1 && p.length > 1)
            dy = unstride(v, dy, i, &p, s->dims[i]);
        if (!dy) return;
        before[i] = p.begin;
    }
    v->add_part(v, x, dy, before);
}

/* y = x with constants around: dx = the middle of dy */
static void grad_pad(an_vjp *v)
{
    an_value *x = an_node_value(v->node, "x");
    const an_shape *s = an_value_shape(x);
    int64_t before[AN_MAX_RANK], after;
    if (!an_str_is(an_node_string(v->node, "mode"), "constant")) {
        an_build_fail(v->b, AN_EUNSUPPORTED,
                      "pad: only mode constant has a gradient");
        return;
    }
    for (int i = 0; i < s->rank; i++)
        pad_of(v->node, s->rank, i, &before[i], &after);
    v->add(v, x, an_emit_slice(v->b, v->dy[0], before, s->dims));
}

/* y = x, reps[i] times along axis i: dx = the sum of the copies */
static void grad_tile(an_vjp *v)
{
    an_value *x = an_node_value(v->node, "x"), *sum = v->dy[0];
    an_shape s = *an_value_shape(v->node->results[0]);
    for (int i = 0; i < s.rank; i++) {
        int64_t reps = an_node_int_at(v->node, "reps", i), outer = 1, inner;
        if (reps == 1) continue;
        s.dims[i] /= reps;
        for (int k = 0; k < i; k++)
            outer *= s.dims[k];
        inner = s.dims[i];
        for (int k = i + 1; k < s.rank; k++)
            inner *= s.dims[k];
        sum = an_emit_reshape(v->b, sum, 3,
                              (const int64_t[]){outer, reps, inner});
        sum = an_emit_sum(v->b, sum, 1, (const int64_t[]){1});
    }
    v->add(v, x, an_vjp_reshape_as(v, sum, an_value_shape(x)));
}

// clang-format off
const an_op an_op_slice_by_size = {
    .name = "slice_by_size", .since = 15, .params = "x:t begin:I size:I",
    .cls = AN_CLASS_VIEW, .shape = shape_slice_by_size,
    .kernel = an_kernel_view, .grad = grad_slice, .cost = an_cost_move,
    .view = view_slice_by_size};

const an_op an_op_slice_by_index = {
    .name = "slice_by_index", .since = 15,
    .params = "x:t begin:I end:I stride:I=1 begin_mask:B=false "
              "end_mask:B=false squeeze_mask:B=false",
    .cls = AN_CLASS_VIEW, .shape = shape_slice_by_index,
    .kernel = an_kernel_view, .grad = grad_slice, .cost = an_cost_move,
    .view = view_slice_by_index};

const an_op an_op_slice_update = {
    .name = "slice_update", .since = 18,
    .params = "x:t update:t begin:I end:I stride:I=1 begin_mask:B=false "
              "end_mask:B=false squeeze_mask:B=false",
    .cls = AN_CLASS_OTHER, .shape = shape_slice_update};

const an_op an_op_reverse = {
    .name = "reverse", .since = 15, .params = "x:t axes:I?",
    .cls = AN_CLASS_VIEW, .shape = shape_reverse, .kernel = an_kernel_view,
    .grad = grad_slice, .cost = an_cost_move, .view = view_reverse};

const an_op an_op_crop = {
    .name = "crop", .since = 15, .params = "x:t crop_height:I crop_width:I",
    .cls = AN_CLASS_VIEW, .shape = shape_crop, .kernel = an_kernel_view,
    .grad = grad_slice, .cost = an_cost_move, .view = crop_view};

const an_op an_op_pad = {
    .name = "pad", .since = 15,
    .params = "x:t pad:I mode:s=constant constant_val:f=0",
    .cls = AN_CLASS_OTHER, .shape = shape_pad, .kernel = kernel_pad,
    .grad = grad_pad, .cost = an_cost_move};

const an_op an_op_tile = {
    .name = "tile", .since = 15, .params = "x:t reps:I", .cls = AN_CLASS_OTHER,
    .shape = shape_tile, .kernel = kernel_tile, .grad = grad_tile,
    .cost = an_cost_move};
// clang-format on
