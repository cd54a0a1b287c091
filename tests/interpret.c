/* See interpret.h. */
#include "interpret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_RESULTS = 8 };

void interpreter_init(interpreter *t)
{
    *t = (interpreter){0};
    an_arena_init(&t->arena);
}

void interpreter_fini(interpreter *t)
{
    an_arena_fini(&t->arena);
}

static void *need(void *block)
{
    assert_non_null(block);
    return block;
}

double *interpreter_room(interpreter *t, int64_t n)
{
    return need(an_arena_array(&t->arena, (size_t)n + 1, sizeof(double)));
}

static void *scratch(const an_eval *e, size_t bytes)
{
    interpreter *t = e->owner;
    return an_arena_alloc(&t->arena, bytes);
}

static an_dense dense_of(interpreter *t, const an_value *v)
{
    an_dense d = {.data = NULL};
    if (!v) return d;
    if (!v->literal) return t->values[v->id];
    d.shape = v->type->shape;
    d.data = interpreter_room(t, an_shape_count(&d.shape));
    for (size_t i = 0; i < v->literal->n; i++)
        d.data[i] = an_literal_real(v->literal, i);
    return d;
}

static void run_node(interpreter *t, const an_node *n)
{
    if (n->op->cls == AN_CLASS_CONST) return;
    int n_in = an_node_n_tensors(n);
    an_dense *in =
        need(an_arena_array(&t->arena, (size_t)n_in + 1, sizeof *in));
    for (int i = 0; i < n_in; i++)
        in[i] = dense_of(t, an_node_tensor(n, i));
    an_dense out[MAX_RESULTS];
    assert_true(n->n_results <= MAX_RESULTS);
    for (int i = 0; i < n->n_results; i++) {
        out[i].shape = n->results[i]->type->shape;
        out[i].data = interpreter_room(t, an_shape_count(&out[i].shape));
        t->values[n->results[i]->id] = out[i];
    }
    an_error err = {0};
    const an_eval e = {.node = n,
                       .num = &an_num_exact,
                       .in = in,
                       .out = out,
                       .scratch = scratch,
                       .owner = t};
    if (n->op->kernel(&e, &err) != AN_OK)
        fail_msg("%s: %s", n->op->name, err.text);
}

static const double *find(const binding *bindings, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(bindings[i].name, name) == 0) return bindings[i].data;
    fail_msg("parameter %s is not bound", name);
    return NULL;
}

void interpret(interpreter *t, const an_function *f, const binding *bindings,
               int n)
{
    t->function = f;
    t->values = need(
        an_arena_array(&t->arena, (size_t)f->n_values + 1, sizeof *t->values));
    for (int i = 0; i < f->n_params; i++) {
        an_dense *d = &t->values[f->params[i]->id];
        d->shape = f->params[i]->type->shape;
        int64_t count = an_shape_count(&d->shape);
        d->data = interpreter_room(t, count);
        memcpy(d->data, find(bindings, n, f->params[i]->name),
               (size_t)count * sizeof(double));
    }
    for (int i = 0; i < f->n_nodes; i++)
        run_node(t, f->nodes[i]);
}

const an_dense *interpreter_value(const interpreter *t, const char *name)
{
    const an_value *v = an_function_value(t->function, name);
    if (!v) fail_msg("no value %s", name);
    return &t->values[v->id];
}
