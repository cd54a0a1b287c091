/*
 * Marks what the results need, from the last node to the first, and copies
 * what is marked. Inputs stop the walk.
 */
#include "mil/extract.h"

#include "base/alloc.h"
#include "mil/op.h"

#include <stdlib.h>
#include <string.h>

static void visit_operand(const an_operand *o,
                          void (*visit)(void *ctx, an_value *value), void *ctx)
{
    if (o->value)
        visit(ctx, o->value);
    else
        for (int i = 0; i < o->n; i++)
            visit_operand(&o->items[i], visit, ctx);
}

void an_node_operands(const an_node *node,
                      void (*visit)(void *ctx, an_value *value), void *ctx)
{
    for (int i = 0; i < node->n_args; i++)
        if (node->args[i].given) visit_operand(&node->args[i], visit, ctx);
}

typedef struct extract {
    const an_function *f;
    an_builder *b;
    bool *needed; /* by value id */
    bool *input;  /* by value id: becomes a parameter */
    an_value **map;
} extract;

static void mark(void *ctx, an_value *value)
{
    extract *x = ctx;
    if (value->name) x->needed[value->id] = true; /* not an inline literal */
}

static void mark_needed(extract *x)
{
    for (int i = x->f->n_nodes - 1; i >= 0; i--) {
        const an_node *n = x->f->nodes[i];
        bool live = false;
        for (int r = 0; r < n->n_results; r++) {
            int id = n->results[r]->id;
            live = live || (x->needed[id] && !x->input[id]);
        }
        if (live) an_node_operands(n, mark, x);
    }
}

/* Is some result of n needed and not given as an input? */
static bool node_live(const extract *x, const an_node *n)
{
    for (int r = 0; r < n->n_results; r++) {
        int id = n->results[r]->id;
        if (x->needed[id] && !x->input[id]) return true;
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(an_value *const *)a)->name, (*(an_value *const *)b)->name);
}

/* Parameters of f, then inputs; what nobody needs is left out. */
static an_status copy_params(extract *x, const an_extraction *e, an_error *err)
{
    size_t n = 0, most = (size_t)x->f->n_params + (size_t)e->n_inputs;
    an_value **list = an_alloc_array(most + 1, sizeof *list);
    if (!list) return an_fail(err, AN_ENOMEM, "extract: no memory");
    for (int i = 0; i < x->f->n_params; i++)
        list[n++] = x->f->params[i];
    for (int i = 0; i < e->n_inputs; i++)
        list[n++] = an_function_value(x->f, e->inputs[i]);
    if (e->sort_params) qsort(list, n, sizeof *list, by_name);
    for (size_t i = 0; i < n; i++)
        if (x->needed[list[i]->id] && !x->map[list[i]->id])
            x->map[list[i]->id] = an_build_param_like(x->b, list[i]);
    an_free(list);
    return AN_OK;
}

static void copy_nodes(extract *x)
{
    for (int i = 0; i < x->f->n_nodes; i++) {
        const an_node *n = x->f->nodes[i];
        if (!node_live(x, n)) continue;
        /* A result that is an input keeps its parameter. */
        an_value *kept[1] = {NULL};
        if (n->n_results == 1) kept[0] = x->map[n->results[0]->id];
        if (!kept[0] && !an_build_copy(x->b, n, x->map)) return;
    }
}

static an_status find_names(extract *x, const an_extraction *e, an_error *err)
{
    for (int i = 0; i < e->n_inputs + e->n_results; i++) {
        bool in = i < e->n_inputs;
        const char *name = in ? e->inputs[i] : e->results[i - e->n_inputs];
        an_value *v = an_function_value(x->f, name);
        if (!v)
            return an_fail(err, AN_EINVAL, "%s: no value is called '%s'",
                           x->f->name, name);
        if (in)
            x->input[v->id] = true;
        else
            x->needed[v->id] = true;
    }
    return AN_OK;
}

an_status an_extract(const an_function *f, an_module *into,
                     const an_extraction *e, an_error *err)
{
    size_t n = (size_t)f->n_values;
    extract x = {.f = f};
    an_status s;
    x.needed = an_alloc_array(n + 1, sizeof(bool));
    x.input = an_alloc_array(n + 1, sizeof(bool));
    x.map = an_alloc_array(n + 1, sizeof(an_value *));
    if (!x.needed || !x.input || !x.map) {
        s = an_fail(err, AN_ENOMEM, "extract: no memory");
        goto out;
    }
    if ((s = find_names(&x, e, err)) != AN_OK) goto out;
    mark_needed(&x);
    s = an_build_begin(into, e->name, f->opset, &x.b, err);
    if (s != AN_OK) goto out;
    s = copy_params(&x, e, err);
    copy_nodes(&x);
    for (int i = 0; i < e->n_results; i++)
        an_build_result(x.b, x.map[an_function_value(f, e->results[i])->id]);
    if (s == AN_OK)
        s = an_build_end(x.b, err);
    else
        an_build_end(x.b, NULL);
out:
    an_free(x.needed);
    an_free(x.input);
    an_free(x.map);
    return s;
}
