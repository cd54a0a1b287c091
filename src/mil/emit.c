/*
 * The short forms: see emit.h. Defaults of a row are written out as constants
 * here, in one place, for the kinds whose size does not depend on an operand.
 */
#include "mil/emit.h"

#include "base/alloc.h"
#include "mil/build.h"
#include "mil/number.h"
#include "mil/type.h"

#include <string.h>

/* Arguments of one op, at most: the longest row has eight parameters. */
#define MAX_ARGS 12

static an_dtype float_type(const an_value *x)
{
    an_dtype dtype = an_value_shape(x)->dtype;
    return an_dtype_is_float(dtype) ? dtype : AN_FP32;
}

/* The constant of a default, NULL for kinds that are not scalar. */
static an_value *preset(an_builder *b, const an_param *p, an_dtype dtype)
{
    char text[64];
    if (!p->preset || p->preset_size >= sizeof text) return NULL;
    memcpy(text, p->preset, p->preset_size);
    text[p->preset_size] = 0;
    double x = 0;
    an_number_real(text, p->preset_size, AN_FP64, &x);
    switch (p->kind) {
    case 'i':
        return an_build_int(b, (int64_t)x);
    case 'b':
        return an_build_bool(b, x != 0 || strcmp(text, "true") == 0);
    case 'f':
        return an_build_float(b, dtype, x);
    case 's':
        return an_build_string(b, text);
    default:
        return NULL;
    }
}

/* op(args) and every scalar default that args leaves out. */
static an_value *emit(an_builder *b, const char *op, const an_value *x,
                      const an_arg *args)
{
    an_arg all[MAX_ARGS + 1] = {{0}};
    an_param p;
    int n = 0;
    const an_op *row = an_op_find(op, strlen(op), an_build_function(b)->opset);
    if (!row) return an_build(b, op, NULL, args);
    for (; args[n].param; n++)
        all[n] = args[n];
    int n_given = n;
    for (int i = 0; an_op_param(row, i, &p) && n < MAX_ARGS; i++) {
        bool given = false;
        for (int j = 0; j < n_given; j++)
            given |= strlen(all[j].param) == p.name_size &&
                     memcmp(all[j].param, p.name, p.name_size) == 0;
        an_value *value = given ? NULL : preset(b, &p, float_type(x));
        if (!value) continue;
        all[n].param =
            an_arena_strndup(&an_build_module(b)->arena, p.name, p.name_size);
        if (!all[n].param) {
            an_build_no_memory(b);
            return NULL;
        }
        all[n++].value = value;
    }
    return an_build(b, op, NULL, all);
}

static bool failed(const an_builder *b)
{
    return an_build_status(b) != AN_OK;
}

an_value *an_emit_unary(an_builder *b, const char *op, an_value *x)
{
    return failed(b) ? NULL : emit(b, op, x, AN_ARGS({"x", x}));
}

an_value *an_emit_binary(an_builder *b, const char *op, an_value *x,
                         an_value *y)
{
    return failed(b) ? NULL : emit(b, op, x, AN_ARGS({"x", x}, {"y", y}));
}

an_value *an_emit_scale(an_builder *b, an_value *x, double scale)
{
    if (failed(b) || scale == 1) return x;
    return an_emit_binary(b, "mul", x, an_build_float(b, float_type(x), scale));
}

an_value *an_emit_add_scalar(an_builder *b, an_value *x, double addend)
{
    if (failed(b) || addend == 0) return x;
    return an_emit_binary(b, "add", x,
                          an_build_float(b, float_type(x), addend));
}

an_value *an_emit_matmul(an_builder *b, an_value *x, an_value *y,
                         bool transpose_x, bool transpose_y)
{
    if (failed(b)) return NULL;
    return an_build(b, "matmul", NULL,
                    AN_ARGS({"transpose_x", an_build_bool(b, transpose_x)},
                            {"transpose_y", an_build_bool(b, transpose_y)},
                            {"x", x}, {"y", y}));
}

an_value *an_emit_reshape(an_builder *b, an_value *x, int rank,
                          const int64_t *dims)
{
    if (failed(b)) return NULL;
    const an_shape *s = an_value_shape(x);
    if (s->rank == rank &&
        memcmp(s->dims, dims, (size_t)rank * sizeof *dims) == 0)
        return x;
    return an_build(b, "reshape", NULL,
                    AN_ARGS({"shape", an_build_ints(b, rank, dims)}, {"x", x}));
}

an_value *an_emit_transpose(an_builder *b, an_value *x, const int *perm)
{
    if (failed(b)) return NULL;
    int64_t order[AN_MAX_RANK];
    int rank = an_value_shape(x)->rank;
    bool same = true;
    for (int i = 0; i < rank; i++) {
        order[i] = perm[i];
        same = same && perm[i] == i;
    }
    if (same) return x;
    return an_build(b, "transpose", NULL,
                    AN_ARGS({"perm", an_build_ints(b, rank, order)}, {"x", x}));
}

an_value *an_emit_cast(an_builder *b, an_value *x, an_dtype dtype)
{
    if (failed(b) || an_value_shape(x)->dtype == dtype)
        return failed(b) ? NULL : x;
    an_value *to = an_build_string(b, an_dtype_name(dtype));
    return an_build(b, "cast", NULL, AN_ARGS({"dtype", to}, {"x", x}));
}

an_value *an_emit_slice(an_builder *b, an_value *x, const int64_t *begin,
                        const int64_t *size)
{
    if (failed(b)) return NULL;
    int rank = an_value_shape(x)->rank;
    return an_build(b, "slice_by_size", NULL,
                    AN_ARGS({"begin", an_build_ints(b, rank, begin)},
                            {"size", an_build_ints(b, rank, size)}, {"x", x}));
}

an_value *an_emit_concat(an_builder *b, int n, an_value *const *values,
                         int axis)
{
    if (failed(b) || n == 1) return failed(b) ? NULL : values[0];
    return an_build(b, "concat", NULL,
                    AN_ARGS({"axis", an_build_int(b, axis)},
                            {"interleave", an_build_bool(b, false)},
                            {"values", NULL, values, n}));
}

an_value *an_emit_reduce(an_builder *b, const char *op, an_value *x, int n_axes,
                         const int64_t *axes, bool keep_dims)
{
    if (failed(b)) return NULL;
    return an_build(b, op, NULL,
                    AN_ARGS({"axes", an_build_ints(b, n_axes, axes)},
                            {"keep_dims", an_build_bool(b, keep_dims)},
                            {"x", x}));
}

an_value *an_emit_full(an_builder *b, an_shape shape, double x)
{
    size_t size = an_dtype_size(shape.dtype), bytes = 0;
    if (failed(b)) return NULL;
    if (!an_dtype_is_float(shape.dtype) || !an_shape_valid(&shape) ||
        !an_shape_known(&shape))
        return an_build_fail(b, AN_EINVAL, "full: not a shape of floats");
    size_t n = (size_t)an_shape_count(&shape);
    char *data = an_mul_size(n, size, &bytes) ? an_alloc(bytes + 1) : NULL;
    if (!data) return an_build_fail(b, AN_ENOMEM, "full: no memory");
    x = an_number_round(x, shape.dtype);
    for (size_t i = 0; i < n; i++)
        an_number_store_real(data, shape.dtype, i, x);
    an_value *value = an_build_const(b, NULL, shape, data);
    an_free(data);
    return value;
}

/* [N, C, H, W] to [N, 1, H, W] by a 1x1 convolution with ones [1, C, 1, 1]. */
static an_value *sum_channels(an_builder *b, an_value *x)
{
    const an_shape *s = an_value_shape(x);
    an_value *ones =
        an_emit_full(b, AN_TENSOR(s->dtype, 1, s->dims[1], 1, 1), 1);
    an_value *one = AN_INTS(b, 1, 1);
    return an_build(b, "conv", NULL,
                    AN_ARGS({"dilations", one}, {"groups", an_build_int(b, 1)},
                            {"pad", AN_INTS(b, 0, 0, 0, 0)},
                            {"pad_type", an_build_string(b, "valid")},
                            {"strides", one}, {"weight", ones}, {"x", x}));
}

/* [.., N] to [.., 1]: as [1, 1, rows, N] times ones [1, 1, N, 1]. */
static an_value *sum_last(an_builder *b, an_value *x)
{
    an_shape s = *an_value_shape(x);
    int64_t n = s.dims[s.rank - 1];
    s.dims[s.rank - 1] = 1;
    int64_t rows = an_shape_count(&s);
    an_value *flat = an_emit_reshape(b, x, 4, (const int64_t[]){1, 1, rows, n});
    an_value *ones = an_emit_full(b, AN_TENSOR(s.dtype, 1, 1, n, 1), 1);
    an_value *sum = an_emit_matmul(b, flat, ones, false, false);
    return an_emit_reshape(b, sum, s.rank, s.dims);
}

an_value *an_emit_sum(an_builder *b, an_value *x, int n_axes,
                      const int64_t *axes)
{
    if (failed(b)) return NULL;
    const an_shape *s = an_value_shape(x);
    int64_t wide[AN_MAX_RANK];
    int n = 0;
    for (int i = 0; i < n_axes && n < AN_MAX_RANK; i++)
        if (s->dims[axes[i]] != 1) wide[n++] = axes[i];
    if (n == 0) return x;
    bool is_float = an_dtype_is_float(s->dtype);
    if (n == 1 && wide[0] == 1 && s->rank == 4 && is_float)
        return sum_channels(b, x);
    if (n == 1 && wide[0] == s->rank - 1 && is_float) return sum_last(b, x);
    return an_emit_reduce(b, "reduce_sum", x, n, wide, true);
}

an_value *an_emit_unbroadcast(an_builder *b, an_value *x,
                              const an_shape *target)
{
    if (failed(b)) return NULL;
    const an_shape *s = an_value_shape(x);
    int64_t axes[AN_MAX_RANK];
    int n = 0, lead = s->rank - target->rank;
    for (int i = 0; i < s->rank; i++)
        if (i < lead || target->dims[i - lead] == 1) axes[n++] = i;
    an_value *sum = an_emit_sum(b, x, n, axes);
    return an_emit_reshape(b, sum, target->rank, target->dims);
}
