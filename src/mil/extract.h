/*
 * Part of a function as a function of its own: the tool of differentiation
 * (dead code), of lowering (cutting programs) and of bisecting.
 */
#ifndef AN_MIL_EXTRACT_H
#define AN_MIL_EXTRACT_H

#include "mil/ir.h"

typedef struct an_extraction {
    const char *name; /* of the new function */
    /* Values of f, by name, that become parameters instead of being computed;
     * one that nothing needs is left out. */
    const char *const *inputs;
    int n_inputs;
    /* Values of f, by name, that it returns. */
    const char *const *results;
    int n_results;
    /* Parameters in byte order of their names (mil.md B1: they bind so), else
     * f's in its order, then the inputs. */
    bool sort_params;
} an_extraction;

/*
 * Adds to `into` a copy of f that computes the given results from f's
 * parameters and the given inputs. Nodes and parameters that no result needs
 * are dropped; the order of the others stays. Names stay.
 */
an_status an_extract(const an_function *f, an_module *into,
                     const an_extraction *e, an_error *err);

/* The operands of a node, tuples flattened: calls `visit` with each value. */
void an_node_operands(const an_node *node,
                      void (*visit)(void *ctx, an_value *value), void *ctx);

#endif
