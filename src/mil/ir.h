/*
 * The IR: modules of functions of nodes over values. Everything lives in the
 * module's arena; pointers stay valid until an_module_free. Nodes stand in
 * topological order. A pass makes a new function (or module) and copies what
 * stays; nothing is edited in place after verification.
 */
#ifndef AN_MIL_IR_H
#define AN_MIL_IR_H

#include "anemone/mil.h"
#include "base/arena.h"

typedef struct an_op an_op;
typedef struct an_node an_node;
typedef struct an_function an_function;

typedef enum an_type_kind {
    AN_TYPE_TENSOR, /* rank 0: a scalar */
    AN_TYPE_LIST,   /* args[0]; length, -1 unknown */
    AN_TYPE_TUPLE,  /* args[0..n_args) */
    AN_TYPE_DICT,   /* args[0] key, args[1] value */
    AN_TYPE_STATE,  /* args[0] the tensor */
    AN_TYPE_BUFFER, /* shape, strides, interleave */
} an_type_kind;

typedef struct an_type {
    an_type_kind kind;
    an_shape shape; /* TENSOR, BUFFER; STATE: a copy of its tensor's */
    int n_args;
    const struct an_type *const *args;
    int64_t length;
    int64_t strides[AN_MAX_RANK], interleave[AN_MAX_RANK];
    int n_strides, n_interleave;
} an_type;

typedef enum an_literal_kind {
    AN_LIT_DATA,    /* numbers and bools, `data` */
    AN_LIT_STRINGS, /* `strings` */
    AN_LIT_BLOB,    /* `path`, `offset`: a record of a weight file */
    AN_LIT_ITEMS,   /* list, tuple: items; dict: key, value, key, value */
} an_literal_kind;

typedef struct an_str {
    const char *text; /* ends in 0 as well; may hold any byte */
    size_t size;
} an_str;

typedef struct an_literal {
    an_literal_kind kind;
    const an_type *type;
    size_t n;         /* elements, strings or items */
    const void *data; /* row-major, an_dtype_size bytes each */
    const an_str *strings;
    an_str path;
    uint64_t offset;
    const struct an_literal *const *items;
    int line, column;
} an_literal;

/* A named constant of an attribute block. */
typedef struct an_attr {
    const char *name;
    const an_literal *literal;
} an_attr;

struct an_value {
    const char *name; /* unique in its function; NULL: an inline literal */
    const an_type *type;
    const an_node *def;        /* NULL: a parameter or an inline literal */
    int result;                /* index among the results of def */
    int id;                    /* dense in its function, for side tables */
    const an_literal *literal; /* known at compile time: results of const,
                                  inline literals; else NULL */
    int line, column;
};

/* What an op's parameter is bound to: nothing, a value, or a tuple. */
typedef struct an_operand {
    an_value *value;
    const struct an_operand *items; /* tuple when value is NULL */
    int n;                          /* of items */
    bool given;
} an_operand;

struct an_node {
    const an_op *op;
    int opset;        /* written at the op, else the function's */
    bool opset_shown; /* it was written at the op */
    /* One per parameter of the row, in the row's order. */
    const an_operand *args;
    int n_args;
    an_value *const *results;
    int n_results;
    const an_attr *attrs; /* as written, without what is in args; `name` too */
    int n_attrs;
    const an_function *function;
    int line, column;
};

struct an_function {
    const char *name;
    int opset; /* 15, 16, 17, 18 */
    an_value **params;
    int n_params;
    an_node **nodes;
    int n_nodes;
    an_value **results;
    int n_results;
    const an_attr *attrs;
    int n_attrs;
    int n_values; /* ids are below */
    an_module *module;
    int line, column;
    size_t cap_params, cap_nodes, cap_results;
};

struct an_module {
    an_arena arena;
    int major, minor; /* 1.0: the old dialect */
    const an_attr *attrs;
    int n_attrs;
    an_function **functions;
    int n_functions;
    size_t cap_functions;
};

/* Without functions, with the dialect and the attributes of another. */
an_status an_module_new_like(const an_module *like, an_module **out,
                             an_error *err);
/* NULL when there is none. */
an_function *an_module_function(const an_module *m, const char *name);
an_value *an_function_value(const an_function *f, const char *name);

const an_type *an_type_tensor(an_module *m, const an_shape *shape);
bool an_type_equal(const an_type *a, const an_type *b);

/* Elements of a number or bool literal as double or int64; i is checked by an
 * assert. */
double an_literal_real(const an_literal *l, size_t i);
int64_t an_literal_int(const an_literal *l, size_t i);

/* The builder's innards, for passes that rebuild functions: */
an_function *an_build_function(an_builder *b);
an_module *an_build_module(an_builder *b);
an_status an_build_status(const an_builder *b);
/* Records an error in the builder, printf style. Returns NULL. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
an_value *
an_build_fail(an_builder *b, an_status code, const char *format, ...);
/* A copy of `node` of another function (or module), its values replaced by
 * map[value->id]; results are entered into map. Inline literals and constants
 * are copied. False after an error. */
bool an_build_copy(an_builder *b, const an_node *node, an_value **map);
/* A parameter with the name and the type, whatever its kind, of a value of
 * another function (or module). */
an_value *an_build_param_like(an_builder *b, const an_value *value);
/* Gives a value of this function another name; it gets a suffix when taken. */
void an_build_rename(an_builder *b, an_value *value, const char *name);
/* Names that the builder makes up start with `prefix` (borrowed). */
void an_build_prefix(an_builder *b, const char *prefix);
/* A const node with a literal of any kind (blobs too); literal is copied into
 * this module. */
an_value *an_build_literal(an_builder *b, const char *name,
                           const an_literal *literal);

#endif
