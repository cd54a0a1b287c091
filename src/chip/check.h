/*
 * What the checks of several rules ask about a function. Rules speak of ops by
 * name, so a check takes an op for all its forms (an_op_is_form).
 */
#ifndef AN_CHIP_CHECK_H
#define AN_CHIP_CHECK_H

#include "chip/rule.h"
#include "mil/op.h"

/* Is the node one of `ops`, a list that ends in NULL? */
bool an_check_is(const an_node *n, const an_op *const *ops);
/* The same of the node that computes v; false for NULL and parameters. */
bool an_check_made_by(const an_value *v, const an_op *const *ops);
/* Calls `visit` with every node of one op. */
typedef void an_check_node_fn(an_checker *c, const an_node *n);
void an_check_each(an_checker *c, const an_op *op, an_check_node_fn *visit);
/* Calls `visit` with every tensor that is no constant: inputs and results. */
typedef void an_check_value_fn(an_checker *c, const an_value *v,
                               const char *what);
void an_check_tensors(an_checker *c, an_check_value_fn *visit);
/* Calls `visit` with every input and output. */
void an_check_ports(an_checker *c, an_check_value_fn *visit);

/* the rounding whose product with a scalar constant n is; NULL: it is
 * none. */
an_value *an_check_dropped_factor(const an_node *n);

/* How often nodes of f read v. */
int an_check_uses(const an_function *f, const an_value *v);
bool an_check_is_result(const an_function *f, const an_value *v);
bool an_check_is_const(const an_node *n);
/* Numbers that stand in the text. */
bool an_check_has_data(const an_value *v);
/* Known when the program is compiled: a literal, or made by a constexpr op. */
bool an_check_is_constant(const an_value *v);
/* Is every dimension known? */
bool an_check_known(const an_shape *s);
/* Extent of the last axis; 1 for a scalar. */
int64_t an_check_width(const an_value *v);
/* Reports at the node: "mul: WHAT". */
void an_check_fail(an_checker *c, const an_node *n, const char *what);

/* Ends in NULL: all reductions that add, or take an extreme. */
extern const an_op *const an_check_reductions[];

enum {
    /* A13 to A15, and the tier of A16: the families of the shape rules. */
    AN_GEN_OLD = AN_GEN_M1 | AN_GEN_M2 | AN_GEN_M3,
    AN_GEN_NEW = AN_GEN_M4 | AN_GEN_M5 | AN_GEN_M6,
};
/* The row in hand is one that holds on the old families only. */
bool an_check_is_old(const an_checker *c);

#endif
