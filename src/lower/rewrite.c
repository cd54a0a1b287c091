/*
 * Parameters, nodes in order, results.
 */
#include "lower/rewrite.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp((*(an_value *const *)a)->name, (*(an_value *const *)b)->name);
}

/* The values in the order they are to be copied; the caller frees. */
static an_value **ordered(an_value *const *list, int n, bool sort)
{
    an_value **copy = an_alloc_array((size_t)n + 1, sizeof(an_value *));
    if (!copy) return NULL;
    memcpy(copy, list, (size_t)n * sizeof *copy);
    if (sort) qsort(copy, (size_t)n, sizeof *copy, by_name);
    return copy;
}

static void copy_params(an_rewriter *r, const an_function *f,
                        an_value *const *params)
{
    for (int i = 0; i < f->n_params; i++) {
        const an_value *p = params[i];
        r->map[p->id] =
            r->param ? r->param(r, p) : an_build_param_like(r->b, p);
    }
}

static void copy_nodes(an_rewriter *r, const an_function *f)
{
    for (int i = 0; i < f->n_nodes; i++) {
        const an_node *n = f->nodes[i];
        if (r->node && r->node(r, n)) continue;
        if (!an_build_copy(r->b, n, r->map)) return;
    }
}

static void copy_results(an_rewriter *r, const an_function *f,
                         an_value *const *results)
{
    for (int i = 0; i < f->n_results; i++)
        an_build_result(r->b, r->result ? r->result(r, results[i])
                                        : r->map[results[i]->id]);
}

an_status an_rewrite(const an_function *f, an_module *into, const char *name,
                     an_rewriter *r, an_error *err)
{
    an_value **params = ordered(f->params, f->n_params, r->sort_ports);
    an_value **results = ordered(f->results, f->n_results, r->sort_ports);
    an_status s = AN_ENOMEM;
    r->map = an_alloc_array((size_t)f->n_values + 1, sizeof(an_value *));
    if (!r->map || !params || !results) {
        an_fail(err, s, "lower: no memory");
        goto out;
    }
    s = an_build_begin(into, name, f->opset, &r->b, err);
    if (s != AN_OK) goto out;
    copy_params(r, f, params);
    copy_nodes(r, f);
    copy_results(r, f, results);
    s = an_build_end(r->b, err);
out:
    an_free(r->map);
    an_free(params);
    an_free(results);
    return s;
}
