/*
 * MIL: Apple's model intermediate language, as text and as a data structure.
 *
 * Build a program and print it:
 *
 *     an_module *m = NULL;
 *     an_builder *b = NULL;
 *     an_module_new(&m, NULL);
 *     an_build_begin(m, "main", 18, &b, NULL);
 *     an_value *x = an_build_param(b, "x", AN_TENSOR(AN_FP16, 1, 64, 1, 32));
 *     an_value *y = an_build(b, "mul", "y", AN_ARGS({"x", x}, {"y", x}));
 *     an_build_result(b, y);
 *     an_build_end(b, &err);               // first error of all the calls
 *     an_mil_print(m, &text, &size, &err); // an_text_free(text)
 *     an_module_free(m);
 *
 * Source of the grammar and the operators: texts printed by Apple's compiler
 * and the open sources of apple/coremltools; see docs/mil.md.
 */
#ifndef ANEMONE_MIL_H
#define ANEMONE_MIL_H

#include "anemone/status.h"

#include <stdbool.h>
#include <stddef.h>

#define AN_MAX_RANK 8

typedef enum an_dtype {
    AN_FP16,
    AN_FP32,
    AN_FP64,
    AN_BF16,
    AN_BOOL,
    AN_STRING,
    AN_INT4,
    AN_INT8,
    AN_INT16,
    AN_INT32,
    AN_INT64,
    AN_UINT1,
    AN_UINT2,
    AN_UINT3,
    AN_UINT4,
    AN_UINT6,
    AN_UINT8,
    AN_UINT16,
    AN_UINT32,
    AN_UINT64,
    AN_DTYPE_COUNT
} an_dtype;

/* MIL's spelling: "fp16", "int32", ... */
AN_API const char *an_dtype_name(an_dtype dtype);
/* Bytes of one element in memory; types below a byte take one; strings 0. */
AN_API size_t an_dtype_size(an_dtype dtype);

/* Dtype and shape of a tensor; rank 0 is a scalar. A dimension of -1 is
 * unknown at compile time ("?"). */
typedef struct an_shape {
    an_dtype dtype;
    int rank;
    int64_t dims[AN_MAX_RANK];
} an_shape;

#define AN_COUNT_DIMS(...)                                                     \
    ((int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))
/* AN_TENSOR(AN_FP16, 1, 64, 1, 32) */
#define AN_TENSOR(dtype, ...)                                                  \
    ((an_shape){(dtype), AN_COUNT_DIMS(__VA_ARGS__), {__VA_ARGS__}})
#define AN_SCALAR(dtype) ((an_shape){(dtype), 0, {0}})

/* Number of elements; dimensions must be known. */
AN_API int64_t an_shape_count(const an_shape *shape);
AN_API bool an_shape_equal(const an_shape *a, const an_shape *b);
/* Writes "fp16 [1, 64, 1, 32]" or "fp16" into text (cut to size). */
AN_API const char *an_shape_text(const an_shape *s, char *text, size_t size);

typedef struct an_module an_module;
typedef struct an_value an_value; /* owned by its module */
typedef struct an_builder an_builder;

AN_API an_status an_module_new(an_module **out, an_error *err);
AN_API void an_module_free(an_module *module);

/*
 * Parses a program and verifies it: types, shapes and names are checked
 * against the op table. `name` (a path) is used in errors, which carry line
 * and column. The text need not end in 0.
 */
AN_API an_status an_mil_parse(const char *text, size_t size, const char *name,
                              an_module **out, an_error *err);

/*
 * Prints a module the way Apple's compiler lays text out; print(parse(x)) is a
 * fixed point. The text ends in 0, which `size` does not count; free it with
 * an_text_free.
 */
AN_API an_status an_mil_print(const an_module *module, char **text,
                              size_t *size, an_error *err);
AN_API void an_text_free(char *text);

/* Checks every invariant of a module; `pass` is named in errors. */
AN_API an_status an_mil_verify(const an_module *module, const char *pass,
                               an_error *err);

/* Reads and parses PATH: a .mil file, or a compiled model's folder
 * (.mlmodelc), whose model.mil is read. */
AN_API an_status an_mil_load(const char *path, an_module **out, an_error *err);

/*
 * Building. A builder remembers its first error: calls after it return NULL
 * and do nothing, an_build_end reports it. Values carry their inferred type.
 * A name that is taken gets a suffix "_1", "_2", ...; NULL makes one up.
 */
AN_API an_status an_build_begin(an_module *module, const char *function,
                                int opset, an_builder **out, an_error *err);
/* Verifies the function, frees the builder, reports the first error. */
AN_API an_status an_build_end(an_builder *b, an_error *err);

typedef struct an_arg {
    const char *param; /* name of the op's parameter */
    an_value *value;   /* or, when NULL, the tuple below */
    an_value *const *values;
    int n;
} an_arg;
#define AN_ARGS(...) ((const an_arg[]){__VA_ARGS__, {0}})

AN_API an_value *an_build_param(an_builder *b, const char *name,
                                an_shape shape);
/* One op with one result. `args` ends with a zeroed entry. */
AN_API an_value *an_build(an_builder *b, const char *op, const char *name,
                          const an_arg *args);
/* One op with n results, written to results[0..n). False after an error. */
AN_API bool an_build_n(an_builder *b, const char *op, const char *name,
                       const an_arg *args, an_value **results, int n);
AN_API void an_build_result(an_builder *b, an_value *value);

/* Constants. Equal small ones are shared. Data is row-major in the dtype's
 * memory form and copied. */
AN_API an_value *an_build_const(an_builder *b, const char *name, an_shape shape,
                                const void *data);
AN_API an_value *an_build_float(an_builder *b, an_dtype dtype, double x);
AN_API an_value *an_build_int(an_builder *b, int64_t x);
AN_API an_value *an_build_ints(an_builder *b, int n, const int64_t *x);
AN_API an_value *an_build_bool(an_builder *b, bool x);
AN_API an_value *an_build_string(an_builder *b, const char *text);
#define AN_INTS(b, ...)                                                        \
    an_build_ints((b), AN_COUNT_DIMS(__VA_ARGS__),                             \
                  (const int64_t[]){__VA_ARGS__})

AN_API const an_shape *an_value_shape(const an_value *value);
AN_API const char *an_value_name(const an_value *value);

#endif
