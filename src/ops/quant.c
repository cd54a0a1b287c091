/*
 * Quantised constants and tensors. scale and zero_point are one number or one
 * per index of `axis`. The ios16 constexpr forms have their parameters in the
 * attribute block, packed data and the shape apart; those of ios18 are
 * arguments, with sub-byte types.
 */
#include "ops/ops.h"

#include "mil/type.h"

#include <string.h>

static const char constant[] = "its operands are constants";
static const char steps[] =
    "it is piecewise constant: its derivative is 0 wherever there is one";

/* ---- scale and zero point along an axis ---- */

/* A parameter that is one number, or one per element of x's axis. */
static an_status check_per_axis(const an_node *node, const char *param,
                                const an_shape *x, int axis, an_error *err)
{
    if (!an_node_given(node, param)) return AN_OK;
    const an_shape *s = an_node_shape(node, param);
    if (s->rank == 0 ||
        (s->rank == 1 && axis >= 0 && s->dims[0] == x->dims[axis]))
        return AN_OK;
    if (axis < 0)
        return an_node_fail(node, err, AN_ETYPE,
                            "%s is %s, expected one number without an axis",
                            param, AN_SHAPE_STR(s));
    return an_node_fail(node, err, AN_ETYPE,
                        "%s is %s, expected one number or [%lld]", param,
                        AN_SHAPE_STR(s), (long long)x->dims[axis]);
}

/* The quantised axis of `data`, -1: not given. */
static an_status find_axis(const an_node *node, const char *data, int *axis,
                           an_error *err)
{
    *axis = -1;
    if (!an_node_given(node, "axis")) return AN_OK;
    return an_rule_axis(node, "axis", an_node_shape(node, data)->rank, axis,
                        err);
}

static bool is_byte(an_dtype dtype)
{
    return dtype == AN_INT8 || dtype == AN_UINT8;
}

static an_status check_byte(const an_node *node, const char *param,
                            an_error *err)
{
    const an_shape *s = an_node_shape(node, param);
    if (is_byte(s->dtype)) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE, "%s is %s, expected int8 or uint8",
                        param, AN_SHAPE_STR(s));
}

/* Scale times (data - zero point): the result is `data` in the scale's type. */
static an_status shape_scaled(const an_node *node, const char *data,
                              an_shape *out, int n, an_error *err)
{
    int axis;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = check_byte(node, data, err);
    if (s == AN_OK) s = an_rule_domain(node, "scale", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = find_axis(node, data, &axis, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, data);
    s = check_per_axis(node, "scale", x, axis, err);
    if (s == AN_OK) s = check_per_axis(node, "zero_point", x, axis, err);
    if (s != AN_OK) return s;
    out[0] = *x;
    out[0].dtype = an_node_shape(node, "scale")->dtype;
    return AN_OK;
}

static an_status shape_affine(const an_node *node, an_shape *out, int n,
                              an_error *err)
{
    const an_shape *zero = an_node_shape(node, "zero_point");
    const an_shape *data = an_node_shape(node, "quantized_data");
    if (zero->dtype != data->dtype && zero->dtype != AN_FP32)
        return an_node_fail(node, err, AN_ETYPE,
                            "zero_point is %s and quantized_data %s, expected "
                            "one type, or fp32",
                            AN_SHAPE_STR(zero), AN_SHAPE_STR(data));
    return shape_scaled(node, "quantized_data", out, n, err);
}

static an_status shape_dequantize(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    if (an_node_given(node, "zero_point")) {
        an_status s = an_rule_same_type(node, "input", "zero_point", err);
        if (s != AN_OK) return s;
    }
    return shape_scaled(node, "input", out, n, err);
}

static an_status shape_quantize(const an_node *node, an_shape *out, int n,
                                an_error *err)
{
    int axis;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "input", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = an_rule_same_type(node, "input", "scale", err);
    if (s == AN_OK) s = an_rule_choice(node, "output_dtype", "int8 uint8", err);
    if (s == AN_OK && an_node_given(node, "zero_point"))
        s = check_byte(node, "zero_point", err);
    if (s == AN_OK) s = find_axis(node, "input", &axis, err);
    if (s != AN_OK) return s;
    const an_shape *x = an_node_shape(node, "input");
    s = check_per_axis(node, "scale", x, axis, err);
    if (s == AN_OK) s = check_per_axis(node, "zero_point", x, axis, err);
    if (s != AN_OK) return s;
    out[0] = *x;
    out[0].dtype = an_str_is(an_node_string(node, "output_dtype"), "int8")
                       ? AN_INT8
                       : AN_UINT8;
    return AN_OK;
}

/* Element i of data along the axis picks this element of scale. */
typedef struct along {
    int64_t run, d; /* elements behind one index of the axis; its dimension */
} along;

static along along_axis(const an_node *node, const an_shape *x)
{
    int axis = -1;
    along a = {1, 1};
    if (!an_node_given(node, "axis") ||
        !an_node_axis(node, "axis", x->rank, &axis))
        return a;
    a.d = x->dims[axis];
    for (int i = axis + 1; i < x->rank; i++)
        a.run *= x->dims[i];
    return a;
}

static double pick(const an_dense *p, int64_t i, const along *a)
{
    if (!p) return 0;
    return p->data[p->shape.rank == 0 ? 0 : i / a->run % a->d];
}

/* scale (data - zero_point) */
static an_status kernel_scaled(const an_eval *e, an_error *err)
{
    (void)err;
    const an_dense *x = &e->in[0], *out = &e->out[0];
    const an_dense *scale = an_eval_in(e, "scale");
    const an_dense *zero = an_eval_in(e, "zero_point");
    along a = along_axis(e->node, &x->shape);
    for (int64_t i = 0; i < an_shape_count(&x->shape); i++)
        out->data[i] = e->num->round(
            e->num, pick(scale, i, &a) * (x->data[i] - pick(zero, i, &a)),
            out->shape.dtype);
    return AN_OK;
}

/* round(input / scale) + zero_point, saturated by the rounding to the type */
static an_status kernel_quantize(const an_eval *e, an_error *err)
{
    (void)err;
    const an_dense *x = &e->in[0], *out = &e->out[0];
    const an_dense *scale = an_eval_in(e, "scale");
    const an_dense *zero = an_eval_in(e, "zero_point");
    along a = along_axis(e->node, &x->shape);
    for (int64_t i = 0; i < an_shape_count(&x->shape); i++) {
        double q = e->num->scalar(e->num, AN_SCALAR_round,
                                  x->data[i] / pick(scale, i, &a), 0, 0,
                                  AN_FP64, AN_FP64);
        out->data[i] =
            e->num->round(e->num, q + pick(zero, i, &a), out->shape.dtype);
    }
    return AN_OK;
}

/* ---- shapes given as a constant, packed data (ios16) ---- */

/* The dimensions in a constant vector of uint32. */
static an_status read_shape(const an_node *node, an_dtype dtype, an_shape *out,
                            an_error *err)
{
    int n = an_node_n(node, "shape");
    an_shape r = {.dtype = dtype, .rank = n};
    if (n > AN_MAX_RANK)
        return an_node_fail(node, err, AN_ETYPE,
                            "shape has %d elements, expected at most %d", n,
                            AN_MAX_RANK);
    for (int i = 0; i < n; i++)
        r.dims[i] = an_node_int_at(node, "shape", i);
    an_status s = an_rule_size(node, &r, err);
    if (s == AN_OK) *out = r;
    return s;
}

/* Bits of an index into a table of `entries`, 0: no such table. */
static int index_bits(int64_t entries)
{
    static const int bits[] = {1, 2, 3, 4, 6, 8};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        if (entries == (int64_t)1 << bits[i]) return bits[i];
    return 0;
}

/* uint8 data that holds count fields of `bits`. */
static an_status check_packed(const an_node *node, const char *param,
                              int64_t count, int bits, an_error *err)
{
    an_shape want = {
        .dtype = AN_UINT8, .rank = 1, .dims = {(count * bits + 7) / 8}};
    return an_rule_shape(node, param, &want, err);
}

static an_status fail_table(const an_node *node, an_error *err)
{
    return an_node_fail(node, err, AN_ETYPE,
                        "lut is %s, expected 2^b entries, b of 1, 2, 3, 4, 6 "
                        "or 8",
                        AN_SHAPE_STR(an_node_shape(node, "lut")));
}

static an_status shape_lut_to_dense(const an_node *node, an_shape *out, int n,
                                    an_error *err)
{
    an_shape r;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_rank(node, "lut", 1, 1, err);
    if (s != AN_OK) return s;
    const an_shape *lut = an_node_shape(node, "lut");
    int bits = index_bits(lut->dims[0]);
    if (bits == 0 || bits == 3) return fail_table(node, err);
    s = read_shape(node, lut->dtype, &r, err);
    if (s == AN_OK)
        s = check_packed(node, "indices", an_shape_count(&r), bits, err);
    if (s == AN_OK) out[0] = r;
    return s;
}

static an_status shape_sparse_to_dense(const an_node *node, an_shape *out,
                                       int n, an_error *err)
{
    an_shape r;
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_rank(node, "nonzero_data", 1, 1, err);
    if (s != AN_OK) return s;
    s = read_shape(node, an_node_shape(node, "nonzero_data")->dtype, &r, err);
    if (s == AN_OK) s = check_packed(node, "mask", an_shape_count(&r), 1, err);
    if (s == AN_OK) out[0] = r;
    return s;
}

static an_status shape_constexpr_cast(const an_node *node, an_shape *out, int n,
                                      an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_choice(node, "output_dtype", "fp32", err);
    if (s != AN_OK) return s;
    an_shape r = *an_node_shape(node, "source_val");
    r.dtype = AN_FP16;
    s = an_rule_shape(node, "source_val", &r, err);
    r.dtype = AN_FP32;
    if (s == AN_OK) out[0] = r;
    return s;
}

static an_status kernel_constexpr_cast(const an_eval *e, an_error *err)
{
    (void)err;
    size_t n = (size_t)an_shape_count(&e->out[0].shape);
    memcpy(e->out[0].data, e->in[0].data, n * sizeof(double));
    return AN_OK;
}

/* ---- tables, blocks and masks with types of their own (ios18) ---- */

/* A block form: the dimensions of `part` divide those of x. */
static an_status check_blocks(const an_node *node, const char *part, int lead,
                              const an_shape *x, an_error *err)
{
    const an_shape *p = an_node_shape(node, part);
    bool fits = p->rank == x->rank + lead;
    for (int i = 0; fits && i < x->rank; i++)
        fits = p->dims[i] > 0 && x->dims[i] % p->dims[i] == 0;
    if (fits) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "%s is %s, expected dimensions that divide %s", part,
                        AN_SHAPE_STR(p), AN_SHAPE_STR(x));
}

/* Indices of `indices` shape into tables: every index becomes V elements along
 * vector_axis. */
static an_status apply_table(const an_node *node, const an_shape *indices,
                             an_dtype index_type, an_shape *out, an_error *err)
{
    int axis = -1;
    an_status s = check_blocks(node, "lut", 2, indices, err);
    if (s != AN_OK) return s;
    const an_shape *lut = an_node_shape(node, "lut");
    int64_t vector = lut->dims[lut->rank - 1];
    int bits = index_bits(lut->dims[lut->rank - 2]);
    if (bits == 0 || bits != an_dtype_bits(index_type) ||
        an_dtype_is_signed(index_type) || !an_dtype_is_int(index_type))
        return an_node_fail(node, err, AN_ETYPE,
                            "lut is %s and indices are %s, expected uintb and "
                            "2^b entries",
                            AN_SHAPE_STR(lut), an_dtype_name(index_type));
    *out = *indices;
    out->dtype = lut->dtype;
    if (vector == 1 && !an_node_given(node, "vector_axis")) return AN_OK;
    if (!an_node_given(node, "vector_axis"))
        return an_node_fail(node, err, AN_ETYPE,
                            "lut is %s, expected a vector_axis for vectors",
                            AN_SHAPE_STR(lut));
    s = an_rule_axis(node, "vector_axis", indices->rank, &axis, err);
    if (s != AN_OK) return s;
    out->dims[axis] *= vector;
    return an_rule_size(node, out, err);
}

static an_status shape_lut_to_dense_ios18(const an_node *node, an_shape *out,
                                          int n, an_error *err)
{
    an_shape r;
    an_status s = an_rule_results(node, n, 1, err);
    if (s != AN_OK) return s;
    const an_shape *indices = an_node_shape(node, "indices");
    s = apply_table(node, indices, indices->dtype, &r, err);
    if (s == AN_OK) out[0] = r;
    return s;
}

/* A uint1 mask; the data holds its ones (how many the rule cannot know). */
static an_status check_mask(const an_node *node, const char *mask,
                            const char *data, an_error *err)
{
    const an_shape *m = an_node_shape(node, mask);
    an_shape want = *m;
    want.dtype = AN_UINT1;
    an_status s = an_rule_shape(node, mask, &want, err);
    if (s == AN_OK) s = an_rule_rank(node, data, 1, 1, err);
    if (s != AN_OK) return s;
    const an_shape *d = an_node_shape(node, data);
    if (d->dims[0] <= an_shape_count(m)) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "%s is %s and %s %s, expected one element per 1 of the "
                        "mask",
                        data, AN_SHAPE_STR(d), mask, AN_SHAPE_STR(m));
}

static an_status shape_sparse_to_dense_ios18(const an_node *node, an_shape *out,
                                             int n, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = check_mask(node, "mask", "nonzero_data", err);
    if (s != AN_OK) return s;
    out[0] = *an_node_shape(node, "mask");
    out[0].dtype = an_node_shape(node, "nonzero_data")->dtype;
    return AN_OK;
}

/* Two results: the mask, and the data of its ones. */
static an_status shape_lut_to_sparse(const an_node *node, an_shape *out, int n,
                                     an_error *err)
{
    an_shape mask;
    an_status s = an_rule_results(node, n, 2, err);
    if (s == AN_OK)
        s = check_mask(node, "indices_mask", "indices_nonzero_data", err);
    if (s != AN_OK) return s;
    const an_shape *data = an_node_shape(node, "indices_nonzero_data");
    s = apply_table(node, an_node_shape(node, "indices_mask"), data->dtype,
                    &mask, err);
    if (s != AN_OK) return s;
    const an_shape *lut = an_node_shape(node, "lut");
    out[1] = (an_shape){.dtype = lut->dtype,
                        .rank = 1,
                        .dims = {data->dims[0] * lut->dims[lut->rank - 1]}};
    mask.dtype = AN_UINT1;
    out[0] = mask;
    return AN_OK;
}

/* scale, and offset when given, by blocks of x. */
static an_status check_shift_scale(const an_node *node, const an_shape *x,
                                   an_error *err)
{
    an_status s = an_rule_domain(node, "scale", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = check_blocks(node, "scale", 0, x, err);
    if (s != AN_OK || !an_node_given(node, "offset")) return s;
    an_shape want = *an_node_shape(node, "scale");
    want.dtype = an_node_shape(node, "offset")->dtype;
    return an_rule_shape(node, "offset", &want, err);
}

static an_status shape_blockwise(const an_node *node, an_shape *out, int n,
                                 an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "data", AN_DOMAIN_NUMBER, err);
    const an_shape *x = an_node_shape(node, "data");
    if (s == AN_OK) s = check_shift_scale(node, x, err);
    if (s != AN_OK) return s;
    out[0] = *x;
    out[0].dtype = an_node_shape(node, "scale")->dtype;
    return AN_OK;
}

/* scale (data - offset), the block of an element by its index per axis */
static an_status kernel_blockwise(const an_eval *e, an_error *err)
{
    (void)err;
    const an_dense *x = &e->in[0], *scale = &e->in[1], *offset = &e->in[2];
    int64_t step[AN_MAX_RANK], block[AN_MAX_RANK];
    int64_t n = an_shape_count(&x->shape);
    an_dense_steps(&scale->shape, step);
    for (int i = 0; i < x->shape.rank; i++)
        block[i] = x->shape.dims[i] / scale->shape.dims[i];
    an_walk w;
    an_walk_init(&w, x->shape.rank, x->shape.dims);
    for (int64_t k = 0; k < n; k++, an_walk_next(&w)) {
        int64_t at = 0;
        for (int i = 0; i < w.rank; i++)
            at += w.index[i] / block[i] * step[i];
        double shift = offset->data ? offset->data[at] : 0;
        e->out[0].data[k] =
            e->num->round(e->num, scale->data[at] * (x->data[k] - shift),
                          e->out[0].shape.dtype);
    }
    return AN_OK;
}

static an_status shape_sparse_blockwise(const an_node *node, an_shape *out,
                                        int n, an_error *err)
{
    an_status s = an_rule_results(node, n, 2, err);
    if (s == AN_OK) s = check_mask(node, "data_mask", "nonzero_data", err);
    const an_shape *mask = an_node_shape(node, "data_mask");
    if (s == AN_OK) s = check_shift_scale(node, mask, err);
    if (s != AN_OK) return s;
    out[0] = *mask;
    out[1] = *an_node_shape(node, "nonzero_data");
    out[1].dtype = an_node_shape(node, "scale")->dtype;
    return AN_OK;
}

// clang-format off
const an_op an_op_constexpr_affine_dequantize = {
    .name = "constexpr_affine_dequantize", .since = 16,
    .params = "quantized_data:c scale:c zero_point:c axis:i",
    .cls = AN_CLASS_CONST, .form = AN_FORM_ATTRIBUTES, .shape = shape_affine,
    .kernel = kernel_scaled, .no_grad = constant, .cost = an_cost_result};

const an_op an_op_constexpr_cast = {
    .name = "constexpr_cast", .since = 16,
    .params = "source_val:c output_dtype:s", .cls = AN_CLASS_CONST,
    .form = AN_FORM_ATTRIBUTES, .shape = shape_constexpr_cast,
    .kernel = kernel_constexpr_cast, .no_grad = constant,
    .cost = an_cost_move};

const an_op an_op_constexpr_cast_ios18 = {
    .name = "constexpr_cast", .since = 18,
    .params = "source_val:c output_dtype:s", .cls = AN_CLASS_CONST,
    .shape = shape_constexpr_cast, .kernel = kernel_constexpr_cast,
    .no_grad = constant, .cost = an_cost_move};

const an_op an_op_constexpr_lut_to_dense = {
    .name = "constexpr_lut_to_dense", .since = 16,
    .params = "indices:c lut:c shape:I", .cls = AN_CLASS_CONST,
    .form = AN_FORM_ATTRIBUTES, .shape = shape_lut_to_dense};

const an_op an_op_constexpr_lut_to_dense_ios18 = {
    .name = "constexpr_lut_to_dense", .since = 18,
    .params = "indices:c lut:c vector_axis:i?", .cls = AN_CLASS_CONST,
    .shape = shape_lut_to_dense_ios18};

const an_op an_op_constexpr_sparse_to_dense = {
    .name = "constexpr_sparse_to_dense", .since = 16,
    .params = "nonzero_data:c mask:c shape:I", .cls = AN_CLASS_CONST,
    .form = AN_FORM_ATTRIBUTES, .shape = shape_sparse_to_dense};

const an_op an_op_constexpr_sparse_to_dense_ios18 = {
    .name = "constexpr_sparse_to_dense", .since = 18,
    .params = "nonzero_data:c mask:c", .cls = AN_CLASS_CONST,
    .shape = shape_sparse_to_dense_ios18};

const an_op an_op_constexpr_blockwise_shift_scale = {
    .name = "constexpr_blockwise_shift_scale", .since = 18,
    .params = "data:c scale:c offset:c?", .cls = AN_CLASS_CONST,
    .shape = shape_blockwise, .kernel = kernel_blockwise,
    .no_grad = constant, .cost = an_cost_result};

const an_op an_op_constexpr_lut_to_sparse = {
    .name = "constexpr_lut_to_sparse", .since = 18,
    .params = "indices_mask:c indices_nonzero_data:c lut:c vector_axis:i?",
    .cls = AN_CLASS_CONST, .shape = shape_lut_to_sparse};

const an_op an_op_constexpr_sparse_blockwise_shift_scale = {
    .name = "constexpr_sparse_blockwise_shift_scale", .since = 18,
    .params = "data_mask:c nonzero_data:c scale:c offset:c?",
    .cls = AN_CLASS_CONST, .shape = shape_sparse_blockwise};

const an_op an_op_quantize = {
    .name = "quantize", .since = 17,
    .params = "input:t scale:c zero_point:c? axis:i? output_dtype:s",
    .cls = AN_CLASS_OTHER, .shape = shape_quantize, .kernel = kernel_quantize,
    .no_grad = steps, .cost = an_cost_result};

const an_op an_op_dequantize = {
    .name = "dequantize", .since = 17,
    .params = "input:t scale:c zero_point:c? axis:i?", .cls = AN_CLASS_OTHER,
    .shape = shape_dequantize, .kernel = kernel_scaled,
    .no_grad = "its operand is an integer", .cost = an_cost_result};
// clang-format on
