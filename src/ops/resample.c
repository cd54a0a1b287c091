/*
 * Resampling of images, height and width last: resize, upsample, crop_resize,
 * affine, resample. Known, not core: shapes and settings alone.
 */
#include "ops/ops.h"

#include <math.h>

static const char *const sampling =
    "STRICT_ALIGN_CORNERS ALIGN_CORNERS DEFAULT OFFSET_CORNERS UNALIGN_CORNERS";

static an_status check_image(const an_node *node, int n, int min, int max,
                             an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    return s == AN_OK ? an_rule_rank(node, "x", min, max, err) : s;
}

/* x with another height and width. */
static an_status with_size(const an_node *node, double height, double width,
                           an_shape *out, an_error *err)
{
    an_shape r = *an_node_shape(node, "x");
    if (!(height >= 1 && width >= 1 && height <= INT32_MAX &&
          width <= INT32_MAX))
        return an_node_fail(node, err, AN_ETYPE,
                            "result would have height %g and width %g, "
                            "expected 1 or more",
                            height, width);
    r.dims[r.rank - 2] = (int64_t)height;
    r.dims[r.rank - 1] = (int64_t)width;
    an_status s = an_rule_size(node, &r, err);
    if (s == AN_OK) *out = r;
    return s;
}

static an_status shape_upsample(const an_node *node, an_shape *out, int n,
                                an_error *err)
{
    an_status s = check_image(node, n, 3, AN_MAX_RANK, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    double height = (double)x->dims[x->rank - 2];
    double width = (double)x->dims[x->rank - 1];
    return with_size(
        node, floor(height * an_node_real(node, "scale_factor_height")),
        floor(width * an_node_real(node, "scale_factor_width")), out, err);
}

static an_status shape_resize_to(const an_node *node, an_shape *out, int n,
                                 an_error *err)
{
    an_status s = check_image(node, n, 3, AN_MAX_RANK, err);
    if (s != AN_OK) return s;
    return with_size(node, (double)an_node_int(node, "target_size_height"),
                     (double)an_node_int(node, "target_size_width"), out, err);
}

static an_status shape_resize_bilinear(const an_node *node, an_shape *out,
                                       int n, an_error *err)
{
    an_status s = an_rule_choice(node, "sampling_mode", sampling, err);
    return s == AN_OK ? shape_resize_to(node, out, n, err) : s;
}

/* The last resized_dims entries of shape replace x's last axes; 0 keeps. */
static an_status shape_resize(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_NUMBER, err);
    if (s == AN_OK) s = an_rule_integers(node, "shape", 1, err);
    if (s == AN_OK)
        s = an_rule_choice(node, "interpolation_mode",
                           "LINEAR NEAREST_NEIGHBOR", err);
    if (s == AN_OK) s = an_rule_choice(node, "sampling_mode", sampling, err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "x");
    int64_t given = an_node_shape(node, "shape")->dims[0];
    const an_literal *l = an_node_value(node, "shape")->literal;
    s = an_rule_int(node, "resized_dims", 1, given < r.rank ? given : r.rank,
                    err);
    if (s != AN_OK) return s;
    int64_t count = an_node_int(node, "resized_dims");
    for (int64_t i = 1; i <= count; i++) {
        bool known = l && l->kind == AN_LIT_DATA;
        int64_t d = known ? an_literal_int(l, (size_t)(given - i)) : -1;
        if (known && d < 0)
            return an_node_fail(node, err, AN_ETYPE,
                                "shape[%lld] is %lld, expected 0 or more",
                                (long long)(given - i), (long long)d);
        if (d != 0) r.dims[r.rank - i] = d;
        if (!known) r.dims[r.rank - i] = -1;
    }
    out[0] = r;
    return AN_OK;
}

static an_status check_crop(const an_node *node, an_error *err)
{
    an_status s = an_rule_choice(
        node, "box_coordinate_mode",
        "CORNERS_HEIGHT_FIRST CORNERS_WIDTH_FIRST CENTER_SIZE_HEIGHT_FIRST "
        "CENTER_SIZE_WIDTH_FIRST",
        err);
    if (s == AN_OK) s = an_rule_choice(node, "sampling_mode", sampling, err);
    if (s == AN_OK) s = an_rule_int(node, "target_height", 1, INT32_MAX, err);
    if (s == AN_OK) s = an_rule_int(node, "target_width", 1, INT32_MAX, err);
    return s;
}

/* roi [N, 1, 4, 1, 1], or with an image's index [N, 1, 5, 1, 1]: the result is
 * [N, B, C, target_height, target_width]. */
static an_status shape_crop_resize(const an_node *node, an_shape *out, int n,
                                   an_error *err)
{
    an_status s = check_image(node, n, 4, 4, err);
    if (s == AN_OK) s = check_crop(node, err);
    if (s == AN_OK) s = an_rule_rank(node, "roi", 5, 5, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    const an_shape *roi = an_node_shape(node, "roi");
    if (roi->dims[1] != 1 || (roi->dims[2] != 4 && roi->dims[2] != 5) ||
        roi->dims[3] != 1 || roi->dims[4] != 1)
        return an_node_fail(node, err, AN_ETYPE,
                            "roi is %s, expected [N, 1, 4 or 5, 1, 1]",
                            AN_SHAPE_STR(roi));
    an_shape r = AN_TENSOR(x->dtype, roi->dims[0], x->dims[0], x->dims[1],
                           an_node_int(node, "target_height"),
                           an_node_int(node, "target_width"));
    if ((s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

/* boxes [N, 4], box_indices [N]: [N, C, target_height, target_width]. */
static an_status shape_crop_resize_ios17(const an_node *node, an_shape *out,
                                         int n, an_error *err)
{
    an_status s = check_image(node, n, 4, 4, err);
    if (s == AN_OK) s = check_crop(node, err);
    if (s == AN_OK) s = an_rule_rank(node, "boxes", 2, 2, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "x");
    an_shape boxes = *an_node_shape(node, "boxes");
    boxes.dims[1] = 4;
    s = an_rule_shape(node, "boxes", &boxes, err);
    if (s == AN_OK) s = an_rule_integers(node, "box_indices", 1, err);
    if (s != AN_OK) return s;
    an_shape r = AN_TENSOR(x->dtype, boxes.dims[0], x->dims[1],
                           an_node_int(node, "target_height"),
                           an_node_int(node, "target_width"));
    if (an_node_given(node, "box_indices")) {
        an_shape want =
            AN_TENSOR(an_node_shape(node, "box_indices")->dtype, boxes.dims[0]);
        s = an_rule_shape(node, "box_indices", &want, err);
    }
    if (s == AN_OK && (s = an_rule_size(node, &r, err)) == AN_OK) out[0] = r;
    return s;
}

static an_status check_sampler(const an_node *node, const char *modes,
                               an_error *err)
{
    an_status s =
        an_rule_choice(node, "sampling_mode", "bilinear nearest", err);
    if (s == AN_OK)
        s = an_rule_choice(node, "padding_mode",
                           "constant border reflection symmetric", err);
    return s == AN_OK ? an_rule_choice(node, "coordinates_mode", modes, err)
                      : s;
}

static const char *const coordinates =
    "unnormalized normalized_minus_one_to_one normalized_zero_to_one";

static an_status shape_affine(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    an_status s = check_image(node, n, 4, 4, err);
    if (s == AN_OK) s = check_sampler(node, coordinates, err);
    if (s == AN_OK) s = an_rule_rank(node, "transform_matrix", 2, 2, err);
    if (s != AN_OK) return s;
    an_shape matrix = *an_node_shape(node, "transform_matrix");
    if (matrix.dims[0] != 1) matrix.dims[0] = an_node_shape(node, "x")->dims[0];
    matrix.dims[1] = 6;
    s = an_rule_shape(node, "transform_matrix", &matrix, err);
    if (s != AN_OK) return s;
    return with_size(node, (double)an_node_int(node, "output_height"),
                     (double)an_node_int(node, "output_width"), out, err);
}

/* coordinates [N, H, W, 2] */
static an_status shape_resample(const an_node *node, an_shape *out, int n,
                                an_error *err)
{
    an_status s = check_image(node, n, 4, 4, err);
    if (s == AN_OK) s = check_sampler(node, coordinates, err);
    if (s == AN_OK) s = an_rule_rank(node, "coordinates", 4, 4, err);
    if (s != AN_OK) return s;
    an_shape want = *an_node_shape(node, "coordinates");
    want.dims[0] = an_node_shape(node, "x")->dims[0];
    want.dims[3] = 2;
    s = an_rule_shape(node, "coordinates", &want, err);
    if (s != AN_OK) return s;
    return with_size(node, (double)want.dims[1], (double)want.dims[2], out,
                     err);
}

#define SAMPLER                                                                \
    "sampling_mode:s padding_mode:s padding_value:f coordinates_mode:s "       \
    "align_corners:b"
#define CROP                                                                   \
    "target_height:i=1 target_width:i=1 normalized_coordinates:b=false "       \
    "spatial_scale:f=1 box_coordinate_mode:s=CORNERS_HEIGHT_FIRST "            \
    "sampling_mode:s=DEFAULT"

// clang-format off
const an_op an_op_upsample_nearest_neighbor = {
    .name = "upsample_nearest_neighbor", .since = 15,
    .params = "x:t scale_factor_height:n=1 scale_factor_width:n=1",
    .cls = AN_CLASS_OTHER, .shape = shape_upsample};

const an_op an_op_upsample_bilinear = {
    .name = "upsample_bilinear", .since = 15,
    .params = "x:t scale_factor_height:n=1 scale_factor_width:n=1 "
              "align_corners:b=true",
    .cls = AN_CLASS_OTHER, .shape = shape_upsample};

const an_op an_op_upsample_bilinear_ios16 = {
    .name = "upsample_bilinear", .since = 16,
    .params = "x:t scale_factor_height:n=1 scale_factor_width:n=1 "
              "align_corners:b=true half_pixel_centers:b?",
    .cls = AN_CLASS_OTHER, .shape = shape_upsample};

const an_op an_op_resize_nearest_neighbor = {
    .name = "resize_nearest_neighbor", .since = 15,
    .params = "x:t target_size_height:i target_size_width:i",
    .cls = AN_CLASS_OTHER, .shape = shape_resize_to};

const an_op an_op_resize_bilinear = {
    .name = "resize_bilinear", .since = 15,
    .params = "x:t target_size_height:i=1 target_size_width:i=1 "
              "sampling_mode:s=DEFAULT",
    .cls = AN_CLASS_OTHER, .shape = shape_resize_bilinear};

const an_op an_op_resize = {
    .name = "resize", .since = 17,
    .params = "x:t shape:t resized_dims:i interpolation_mode:s=LINEAR "
              "sampling_mode:s=DEFAULT",
    .cls = AN_CLASS_OTHER, .shape = shape_resize};

const an_op an_op_crop_resize = {
    .name = "crop_resize", .since = 15, .params = "x:t roi:t " CROP,
    .cls = AN_CLASS_OTHER, .shape = shape_crop_resize};

const an_op an_op_crop_resize_ios16 = {
    .name = "crop_resize", .since = 16,
    .params = "x:t roi:t " CROP " pad_value:f=0", .cls = AN_CLASS_OTHER,
    .shape = shape_crop_resize};

const an_op an_op_crop_resize_ios17 = {
    .name = "crop_resize", .since = 17,
    .params = "x:t boxes:t box_indices:t? " CROP " pad_value:f=0",
    .cls = AN_CLASS_OTHER, .shape = shape_crop_resize_ios17};

const an_op an_op_affine = {
    .name = "affine", .since = 15,
    .params = "x:t transform_matrix:t output_height:i output_width:i " SAMPLER,
    .cls = AN_CLASS_OTHER, .shape = shape_affine};

const an_op an_op_resample = {
    .name = "resample", .since = 15, .params = "x:t coordinates:t " SAMPLER,
    .cls = AN_CLASS_OTHER, .shape = shape_resample};
// clang-format on
