/*
 * Functions in a form short enough to compare by eye: "exp(x) -> b" a node,
 * without constants; scalars that are known stand as numbers. For tests of
 * what builds functions.
 */
#ifndef AN_TESTS_DESCRIBE_H
#define AN_TESTS_DESCRIBE_H

#include "mil/emit.h"
#include "mil/ir.h"
#include "mil/op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct description {
    char text[4096];
    size_t n;
} description;

static inline void describe_add(description *d, const char *text)
{
    size_t n = strlen(text);
    assert_true(d->n + n < sizeof d->text);
    memcpy(d->text + d->n, text, n + 1);
    d->n += n;
}

static inline void describe_value(description *d, const an_value *v)
{
    char text[40];
    if (v->literal && v->literal->kind == AN_LIT_DATA && v->literal->n == 1) {
        snprintf(text, sizeof text, "%g", an_literal_real(v->literal, 0));
        describe_add(d, text);
    } else {
        describe_add(d, v->name);
    }
}

static inline void describe_list(description *d, an_value *const *list, int n)
{
    for (int i = 0; i < n; i++) {
        if (i > 0) describe_add(d, ", ");
        describe_value(d, list[i]);
    }
}

static inline void describe_node(description *d, const an_node *n)
{
    if (n->op->cls == AN_CLASS_CONST) return;
    describe_add(d, n->op->name);
    describe_add(d, "(");
    for (int i = 0; i < an_node_n_tensors(n); i++) {
        if (!an_node_tensor(n, i)) continue;
        if (i > 0) describe_add(d, ", ");
        describe_value(d, an_node_tensor(n, i));
    }
    describe_add(d, ") -> ");
    describe_list(d, n->results, n->n_results);
    describe_add(d, "\n");
}

/* "f(x, y) -> (z)" and a line for each node. */
static inline void describe(description *d, const an_function *f)
{
    *d = (description){.n = 0};
    describe_add(d, f->name);
    describe_add(d, "(");
    describe_list(d, f->params, f->n_params);
    describe_add(d, ") -> (");
    describe_list(d, f->results, f->n_results);
    describe_add(d, ")\n");
    for (int i = 0; i < f->n_nodes; i++)
        describe_node(d, f->nodes[i]);
}

static inline void expect_function(const an_function *f, const char *want)
{
    description d;
    assert_non_null(f);
    describe(&d, f);
    if (strcmp(d.text, want) != 0)
        fail_msg("came:\n%s\nexpected:\n%s", d.text, want);
}

/* A module with one function "f", under construction. */
typedef struct sketch {
    an_module *m;
    an_builder *b;
} sketch;

static inline sketch sketch_begin(void)
{
    sketch k = {.m = NULL};
    assert_int_equal(an_module_new(&k.m, NULL), AN_OK);
    assert_int_equal(an_build_begin(k.m, "f", 18, &k.b, NULL), AN_OK);
    return k;
}

static inline an_value *sketch_name(const sketch *k, an_value *v,
                                    const char *name)
{
    if (v) an_build_rename(k->b, v, name);
    return v;
}

/* Ends with one result more. */
static inline an_module *sketch_end(const sketch *k, an_value *result)
{
    an_error err = {0};
    an_build_result(k->b, result);
    if (an_build_end(k->b, &err) != AN_OK) fail_msg("%s", err.text);
    return k->m;
}

#endif
