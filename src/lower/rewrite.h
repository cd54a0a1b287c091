/*
 * The frame of a pass: a function is copied into a module, and hooks make
 * another value of what the pass changes.
 */
#ifndef AN_LOWER_REWRITE_H
#define AN_LOWER_REWRITE_H

#include "mil/ir.h"

typedef struct an_rewriter {
    an_builder *b;  /* of the new function; set by an_rewrite */
    an_value **map; /* by the old value's id: the new one */
    void *ctx;      /* the pass's own */
    /* Each may be NULL: a plain copy. An error goes to the builder. */
    an_value *(*param)(struct an_rewriter *r, const an_value *p);
    /* False: not mine, copy the node. True: its results are in the map. */
    bool (*node)(struct an_rewriter *r, const an_node *n);
    an_value *(*result)(struct an_rewriter *r, const an_value *v);
    /* Ports in byte order of their names (mil.md B1: they bind so). */
    bool sort_ports;
} an_rewriter;

an_status an_rewrite(const an_function *f, an_module *into, const char *name,
                     an_rewriter *r, an_error *err);

#endif
