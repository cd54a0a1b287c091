/*
 * What builder, parser and verifier share: making values and nodes, and the
 * two checks of a node against its row. Private to src/mil.
 */
#ifndef AN_MIL_BUILD_H
#define AN_MIL_BUILD_H

#include "mil/ir.h"
#include "mil/names.h"
#include "mil/op.h"

/* Functions of one module, at most: look-up among them is linear. */
#define AN_MAX_FUNCTIONS 4096
/* Types and values nest at most so deep, which bounds recursion. */
#define AN_MAX_DEPTH 64

/* [A-Za-z_][A-Za-z0-9_@]* */
bool an_is_identifier(const char *text, size_t size);
/* const: the op whose result is its literal. */
bool an_op_is_const(const an_op *op);

/* A deep copy in another module; NULL without memory. */
const an_literal *an_literal_copy(an_module *m, const an_literal *literal);
bool an_literal_equal(const an_literal *a, const an_literal *b);

/* Room for one more pointer in an array of the arena that doubles. */
bool an_ir_push(an_module *m, void *array, size_t *capacity, int n, void *item);

/* Presence and kind of every argument, as the row demands. */
an_status an_node_check(const an_node *n, an_error *err);
/* Types of n->n_results results after an_node_check, into out. *known is false
 * and out unset when an operand has an unknown dimension: the types are then
 * what the text declares. */
an_status an_node_infer(const an_node *n, an_shape *out, bool *known,
                        an_error *err);

typedef struct an_shared {
    uint64_t hash;
    an_value *value; /* NULL: a free slot */
} an_shared;

struct an_builder {
    an_module *module;
    an_function *function;
    an_error err;
    const char *prefix;
    an_names names;    /* name -> an_value */
    an_shared *shared; /* results of const nodes, for sharing */
    size_t n_shared, cap_shared;
};

/* A value of the function, with an id and no name yet; NULL after an error. */
an_value *an_build_value(an_builder *b, const an_type *type);
/* A literal as a value without a name. */
an_value *an_build_inline(an_builder *b, const an_literal *literal);
/* The same of a copy in this module. */
an_value *an_build_inline_copy(an_builder *b, const an_literal *literal);
/* Names a value exactly so; fails when the name is taken or no identifier. */
bool an_build_define(an_builder *b, an_value *value, const char *name);
/* Makes a name free again. */
void an_build_release(an_builder *b, const char *name);
/* Names it `name`, or with a suffix; NULL: prefix and `base`. */
bool an_build_name(an_builder *b, an_value *value, const char *name,
                   const char *base);
/* A parameter of any type; its name is defined already. */
bool an_build_add_param(an_builder *b, an_value *value);
/* Appends a node whose op, args, attrs and results are set. Checks it and
 * gives the results their types, or compares with those they have. */
bool an_build_append(an_builder *b, an_node *node);
/* A node with its op, room for its arguments (all not given) and n results
 * without names; NULL after an error. */
an_node *an_build_node(an_builder *b, const an_op *op, an_operand **args,
                       int n);
/* Names the results, sets the attribute `name`, appends. */
bool an_build_finish(an_builder *b, an_node *node, const char *name,
                     const char *base);
/* False; the builder has run out of memory. */
bool an_build_no_memory(an_builder *b);

/* Every invariant of a function. */
an_status an_function_verify(const an_function *f, an_error *err);

#endif
