/*
 * Bisecting: the smallest part of a function that still shows a fault. What a
 * fault is the caller says, by a test of candidates.
 */
#ifndef AN_LOWER_BISECT_H
#define AN_LOWER_BISECT_H

#include "mil/ir.h"

typedef enum an_likeness {
    AN_FAULT_SAME, /* the very fault, word for word */
    AN_FAULT_LIKE, /* of its kind: the same rule, another number in the text */
} an_likeness;

/* Sets *shows. The candidate is a module with one function, "main", whose
 * values have the names they have in the function; where it is cut open, values
 * are parameters. An error ends the search. */
typedef an_status an_bisect_test(void *ctx, const an_module *candidate,
                                 an_likeness likeness, bool *shows,
                                 an_error *err);

typedef struct an_bisect {
    const an_function *function;
    an_bisect_test *test;
    /* After each test: how many there were, and ops of the smallest part so
     * far. NULL: nobody wants to know. */
    void (*progress)(void *ctx, int tests, int ops);
    void *ctx;
} an_bisect;

/*
 * The first single op that shows the same fault, in the order of the text; when
 * none does, a part that shows one like it and from which neither an op nor a
 * result can be taken: delta debugging over ops, then over results. *out is a
 * candidate as the test gets it; the caller frees it. NULL: not even the whole
 * function shows the fault.
 * Source: Zeller, Hildebrandt, "Simplifying and Isolating Failure-Inducing
 * Input", 2002, section 3.3 (ddmin).
 */
an_status an_bisect_run(const an_bisect *b, an_module **out, an_error *err);

/* Nodes that are no constants. */
int an_count_ops(const an_function *f);

#endif
