/*
 * Movements of whole blocks between axes: depth_to_space, space_to_depth,
 * pixel_shuffle, pixel_unshuffle, space_to_batch, batch_to_space,
 * sliding_windows. Depth index of the block element (by, bx): (by b + bx) C' +
 * c for depth_to_space (C' channels on the spatial side), c f^2 + by f + bx for
 * pixel_shuffle.
 */
#include "ops/ops.h"

/* Blocks of one axis, at most. */
enum { MAX_BLOCK = 1 << 14 };

/* A float of rank 4 and a positive factor. */
static an_status check_image(const an_node *node, int n, const char *factor,
                             int64_t *out, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 4, 4, err);
    if (s == AN_OK) s = an_rule_int(node, factor, 1, MAX_BLOCK, err);
    if (s == AN_OK) *out = an_node_int(node, factor);
    return s;
}

/* Channels to space by `factor`. */
static an_status spread(const an_node *node, an_shape *out, int n,
                        const char *factor, an_error *err)
{
    int64_t f = 1;
    an_status s = check_image(node, n, factor, &f, err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    if (r.dims[1] % (f * f) != 0)
        return an_node_fail(node, err, AN_ETYPE,
                            "x is %s, expected channels in multiples of %lld",
                            AN_SHAPE_STR(&r), (long long)(f * f));
    r.dims[1] /= f * f;
    r.dims[2] *= f;
    r.dims[3] *= f;
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

/* Space to channels by `factor`. */
static an_status gathered(const an_node *node, an_shape *out, int n,
                          const char *factor, an_error *err)
{
    int64_t f = 1;
    an_status s = check_image(node, n, factor, &f, err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    if (r.dims[2] % f != 0 || r.dims[3] % f != 0)
        return an_node_fail(node, err, AN_ETYPE,
                            "x is %s, expected height and width in multiples "
                            "of %lld",
                            AN_SHAPE_STR(&r), (long long)f);
    r.dims[1] *= f * f;
    r.dims[2] /= f;
    r.dims[3] /= f;
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

static an_status shape_depth_to_space(const an_node *node, an_shape *out, int n,
                                      an_error *err)
{
    return spread(node, out, n, "block_size", err);
}

static an_status shape_space_to_depth(const an_node *node, an_shape *out, int n,
                                      an_error *err)
{
    return gathered(node, out, n, "block_size", err);
}

static an_status shape_pixel_shuffle(const an_node *node, an_shape *out, int n,
                                     an_error *err)
{
    return spread(node, out, n, "upscale_factor", err);
}

static an_status shape_pixel_unshuffle(const an_node *node, an_shape *out,
                                       int n, an_error *err)
{
    return gathered(node, out, n, "downscale_factor", err);
}

/* block_shape [2] of 1 or more, and a [2, 2] of borders of 0 or more, read
 * into borders[axis][side]. */
static an_status check_batch(const an_node *node, int n, const char *borders,
                             int64_t read[2][2], an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 4, 4, err);
    if (s == AN_OK) s = an_rule_counts(node, "block_shape", 2, 1, err);
    if (s == AN_OK) s = an_rule_integers(node, borders, 2, err);
    if (s != AN_OK) return s;
    const an_shape *b = an_node_shape(node, borders);
    const an_literal *l = an_node_value(node, borders)->literal;
    bool fits =
        b->dims[0] == 2 && b->dims[1] == 2 && l && l->kind == AN_LIT_DATA;
    for (size_t i = 0; fits && i < 4; i++) {
        read[i / 2][i % 2] = an_literal_int(l, i);
        fits = read[i / 2][i % 2] >= 0 && read[i / 2][i % 2] <= MAX_BLOCK;
    }
    if (fits) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "%s is %s, expected [2, 2] written out, each 0 to 2^14",
                        borders, AN_SHAPE_STR(b));
}

static an_status shape_space_to_batch(const an_node *node, an_shape *out, int n,
                                      an_error *err)
{
    int64_t pad[2][2];
    an_status s = check_batch(node, n, "paddings", pad, err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    for (int i = 0; i < 2; i++) {
        int64_t block = an_node_int_at(node, "block_shape", i);
        int64_t size = r.dims[2 + i] + pad[i][0] + pad[i][1];
        if (size % block != 0)
            return an_node_fail(node, err, AN_ETYPE,
                                "axis %d has %lld elements when padded, "
                                "expected a multiple of %lld",
                                i + 2, (long long)size, (long long)block);
        r.dims[2 + i] = size / block;
        r.dims[0] *= block;
    }
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

static an_status shape_batch_to_space(const an_node *node, an_shape *out, int n,
                                      an_error *err)
{
    int64_t crop[2][2];
    an_status s = check_batch(node, n, "crops", crop, err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    int64_t area = an_node_int_at(node, "block_shape", 0) *
                   an_node_int_at(node, "block_shape", 1);
    if (r.dims[0] % area != 0)
        return an_node_fail(node, err, AN_ETYPE,
                            "x is %s, expected a batch in multiples of %lld",
                            AN_SHAPE_STR(&r), (long long)area);
    r.dims[0] /= area;
    for (int i = 0; i < 2; i++)
        r.dims[2 + i] = r.dims[2 + i] * an_node_int_at(node, "block_shape", i) -
                        crop[i][0] - crop[i][1];
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

/* (d - size) / stride + 1 windows on the axis, their elements behind it. */
static an_status shape_sliding_windows(const an_node *node, an_shape *out,
                                       int n, an_error *err)
{
    int axis;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_ANY, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 1, AN_MAX_RANK - 1, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    s = an_rule_axis(node, "axis", x->rank, &axis, err);
    if (s == AN_OK) s = an_rule_int(node, "size", 1, x->dims[axis], err);
    if (s == AN_OK) s = an_rule_int(node, "stride", 1, INT32_MAX, err);
    if (s != AN_OK) return s;
    an_shape r = {.dtype = x->dtype};
    int64_t size = an_node_int(node, "size");
    for (int i = 0; i < x->rank; i++) {
        r.dims[r.rank++] =
            i == axis ? (x->dims[i] - size) / an_node_int(node, "stride") + 1
                      : x->dims[i];
        if (i == axis) r.dims[r.rank++] = size;
    }
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

// clang-format off
const an_op an_op_depth_to_space = {
    .name = "depth_to_space", .since = 15, .params = "x:t block_size:i",
    .cls = AN_CLASS_OTHER, .shape = shape_depth_to_space};

const an_op an_op_space_to_depth = {
    .name = "space_to_depth", .since = 15, .params = "x:t block_size:i",
    .cls = AN_CLASS_OTHER, .shape = shape_space_to_depth};

const an_op an_op_pixel_shuffle = {
    .name = "pixel_shuffle", .since = 15, .params = "x:t upscale_factor:i",
    .cls = AN_CLASS_OTHER, .shape = shape_pixel_shuffle};

const an_op an_op_pixel_unshuffle = {
    .name = "pixel_unshuffle", .since = 16, .params = "x:t downscale_factor:i",
    .cls = AN_CLASS_OTHER, .shape = shape_pixel_unshuffle};

const an_op an_op_space_to_batch = {
    .name = "space_to_batch", .since = 15,
    .params = "x:t block_shape:I paddings:c", .cls = AN_CLASS_OTHER,
    .shape = shape_space_to_batch};

const an_op an_op_batch_to_space = {
    .name = "batch_to_space", .since = 15,
    .params = "x:t block_shape:I crops:c", .cls = AN_CLASS_OTHER,
    .shape = shape_batch_to_space};

const an_op an_op_sliding_windows = {
    .name = "sliding_windows", .since = 15,
    .params = "x:t axis:i size:i stride:i=1", .cls = AN_CLASS_OTHER,
    .shape = shape_sliding_windows};
// clang-format on
