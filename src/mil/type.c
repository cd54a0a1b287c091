/*
 * Dtypes, shapes and types. Names are MIL's spelling; the one table of dtypes
 * is here. Scalar types are shared by all modules, others live in a module's
 * arena.
 */
#include "mil/type.h"

#include "mil/op.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

typedef enum number_kind {
    KIND_FLOAT,
    KIND_SIGNED,
    KIND_UNSIGNED,
    KIND_OTHER
} number_kind;

typedef struct dtype_row {
    const char *name;
    size_t size;
    int bits;
    number_kind kind;
    an_type scalar;
} dtype_row;

#define ROW(id, name, size, bits, kind)                                        \
    [id] = {name, size, bits, kind, {.shape = {.dtype = (id)}}}
// clang-format off
static const dtype_row dtypes[AN_DTYPE_COUNT] = {
    ROW(AN_FP16,   "fp16",   2, 16, KIND_FLOAT),
    ROW(AN_FP32,   "fp32",   4, 32, KIND_FLOAT),
    ROW(AN_FP64,   "fp64",   8, 64, KIND_FLOAT),
    ROW(AN_BF16,   "bf16",   2, 16, KIND_FLOAT),
    ROW(AN_BOOL,   "bool",   1,  8, KIND_OTHER),
    ROW(AN_STRING, "string", 0,  0, KIND_OTHER),
    ROW(AN_INT4,   "int4",   1,  4, KIND_SIGNED),
    ROW(AN_INT8,   "int8",   1,  8, KIND_SIGNED),
    ROW(AN_INT16,  "int16",  2, 16, KIND_SIGNED),
    ROW(AN_INT32,  "int32",  4, 32, KIND_SIGNED),
    ROW(AN_INT64,  "int64",  8, 64, KIND_SIGNED),
    ROW(AN_UINT1,  "uint1",  1,  1, KIND_UNSIGNED),
    ROW(AN_UINT2,  "uint2",  1,  2, KIND_UNSIGNED),
    ROW(AN_UINT3,  "uint3",  1,  3, KIND_UNSIGNED),
    ROW(AN_UINT4,  "uint4",  1,  4, KIND_UNSIGNED),
    ROW(AN_UINT6,  "uint6",  1,  6, KIND_UNSIGNED),
    ROW(AN_UINT8,  "uint8",  1,  8, KIND_UNSIGNED),
    ROW(AN_UINT16, "uint16", 2, 16, KIND_UNSIGNED),
    ROW(AN_UINT32, "uint32", 4, 32, KIND_UNSIGNED),
    ROW(AN_UINT64, "uint64", 8, 64, KIND_UNSIGNED),
};
// clang-format on

const char *an_dtype_name(an_dtype dtype)
{
    assert(dtype < AN_DTYPE_COUNT);
    return dtypes[dtype].name;
}

size_t an_dtype_size(an_dtype dtype)
{
    assert(dtype < AN_DTYPE_COUNT);
    return dtypes[dtype].size;
}

int an_dtype_bits(an_dtype dtype)
{
    assert(dtype < AN_DTYPE_COUNT);
    return dtypes[dtype].bits;
}

bool an_dtype_is_float(an_dtype dtype)
{
    assert(dtype < AN_DTYPE_COUNT);
    return dtypes[dtype].kind == KIND_FLOAT;
}

bool an_dtype_is_signed(an_dtype dtype)
{
    assert(dtype < AN_DTYPE_COUNT);
    return dtypes[dtype].kind == KIND_SIGNED;
}

bool an_dtype_is_int(an_dtype dtype)
{
    return an_dtype_is_signed(dtype) || dtypes[dtype].kind == KIND_UNSIGNED;
}

bool an_dtype_find(const char *text, size_t size, an_dtype *out)
{
    for (int i = 0; i < AN_DTYPE_COUNT; i++) {
        if (strlen(dtypes[i].name) == size &&
            memcmp(dtypes[i].name, text, size) == 0) {
            *out = (an_dtype)i;
            return true;
        }
    }
    return false;
}

int64_t an_shape_count(const an_shape *shape)
{
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++) {
        assert(shape->dims[i] >= 0);
        n *= shape->dims[i];
    }
    return n;
}

bool an_shape_valid(const an_shape *shape)
{
    if (shape->dtype >= AN_DTYPE_COUNT || shape->rank < 0 ||
        shape->rank > AN_MAX_RANK)
        return false;
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++) {
        int64_t d = shape->dims[i];
        if (d < -1 || d > INT32_MAX) return false;
        n *= d > 1 ? d : 1;
        if (n > AN_MAX_COUNT) return false;
    }
    return true;
}

bool an_shape_known(const an_shape *shape)
{
    for (int i = 0; i < shape->rank; i++)
        if (shape->dims[i] < 0) return false;
    return true;
}

bool an_shape_equal(const an_shape *a, const an_shape *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

const char *an_shape_text(const an_shape *s, char *text, size_t size)
{
    char buffer[32 + 24 * AN_MAX_RANK];
    int at = snprintf(buffer, sizeof buffer, "%s", an_dtype_name(s->dtype));
    for (int i = 0; i < s->rank; i++) {
        const char *before = i == 0 ? " [" : ", ";
        size_t room = sizeof buffer - (size_t)at;
        if (s->dims[i] < 0)
            at += snprintf(buffer + at, room, "%s?", before);
        else
            at += snprintf(buffer + at, room, "%s%lld", before,
                           (long long)s->dims[i]);
    }
    snprintf(text, size, "%s%s", buffer, s->rank > 0 ? "]" : "");
    return text;
}

const an_type *an_type_tensor(an_module *m, const an_shape *shape)
{
    if (shape->rank == 0) return &dtypes[shape->dtype].scalar;
    an_type *type = an_arena_alloc(&m->arena, sizeof *type);
    if (type) type->shape = *shape;
    return type;
}

static bool dims_equal(int n, const int64_t *a, int m, const int64_t *b)
{
    return n == m && memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

/* Recursion is bounded by the parser's limit on nesting. */
bool an_type_equal(const an_type *a, const an_type *b)
{
    if (a == b) return true;
    if (a->kind != b->kind || a->n_args != b->n_args || a->length != b->length)
        return false;
    if (!an_shape_equal(&a->shape, &b->shape)) return false;
    if (!dims_equal(a->n_strides, a->strides, b->n_strides, b->strides) ||
        !dims_equal(a->n_interleave, a->interleave, b->n_interleave,
                    b->interleave))
        return false;
    for (int i = 0; i < a->n_args; i++)
        if (!an_type_equal(a->args[i], b->args[i])) return false;
    return true;
}

const char *an_type_text(const an_type *type, char *text, size_t size)
{
    char shape[160];
    an_shape_text(&type->shape, shape, sizeof shape);
    switch (type->kind) {
    case AN_TYPE_TENSOR:
        snprintf(text, size, "%s", shape);
        break;
    case AN_TYPE_LIST:
        snprintf(text, size, "a list");
        break;
    case AN_TYPE_TUPLE:
        snprintf(text, size, "a tuple");
        break;
    case AN_TYPE_DICT:
        snprintf(text, size, "a dict");
        break;
    case AN_TYPE_STATE:
        snprintf(text, size, "a state of %s", shape);
        break;
    case AN_TYPE_BUFFER:
        snprintf(text, size, "a tensor_buffer of %s", shape);
        break;
    }
    return text;
}

bool an_type_admits(const an_type *type, const an_shape *shape)
{
    if (shape->rank == AN_RANK_DECLARED) return true;
    const an_shape *s = &type->shape;
    if (type->kind != AN_TYPE_TENSOR || s->dtype != shape->dtype ||
        s->rank != shape->rank)
        return false;
    for (int i = 0; i < s->rank; i++)
        if (shape->dims[i] != -1 && s->dims[i] != shape->dims[i]) return false;
    return true;
}

const an_type *an_type_copy(an_module *m, const an_type *type)
{
    if (type->kind == AN_TYPE_TENSOR) return an_type_tensor(m, &type->shape);
    an_type *copy = an_arena_alloc(&m->arena, sizeof *copy);
    const an_type **args =
        an_arena_array(&m->arena, (size_t)type->n_args, sizeof *args);
    if (!copy || !args) return NULL;
    for (int i = 0; i < type->n_args; i++)
        if (!(args[i] = an_type_copy(m, type->args[i]))) return NULL;
    *copy = *type;
    copy->args = args;
    return copy;
}
