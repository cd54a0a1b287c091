/*
 * Evaluates a function node by node with the reference kernels in exact
 * numerics: the slowest and plainest engine, for tests of what builds
 * functions. Failures are cmocka's.
 */
#ifndef INTERPRET_H
#define INTERPRET_H

#include "base/arena.h"
#include "mil/ir.h"
#include "mil/op.h"

typedef struct interpreter {
    an_arena arena; /* all data lives here */
    const an_function *function;
    an_dense *values; /* of the function last run, by id */
} interpreter;

/* Elements of a parameter, row-major. */
typedef struct binding {
    const char *name;
    const double *data;
} binding;

void interpreter_init(interpreter *t);
void interpreter_fini(interpreter *t);
/* n doubles, zeroed. */
double *interpreter_room(interpreter *t, int64_t n);
/* Every parameter of f must be bound; more may be. */
void interpret(interpreter *t, const an_function *f, const binding *bindings,
               int n);
/* A value of the function that ran last. */
const an_dense *interpreter_value(const interpreter *t, const char *name);

#endif
