/*
 * A part of a function is a set of its ops. Values that these read and others
 * compute are its parameters; values that these compute and others read, or
 * that nobody reads, are its results, as are the function's. Constants belong
 * to whoever reads them.
 */
#include "lower/bisect.h"

#include "base/alloc.h"
#include "mil/extract.h"
#include "mil/op.h"

#include <stdlib.h>
#include <string.h>

/* Where a value stands with regard to a part; bits. */
enum { IS_INPUT = 1, IS_READ_INSIDE = 2, IS_READ_OUTSIDE = 4 };

/* Which ports are put in byte order of their names; bits. */
enum { SORTS_PARAMS = 1, SORTS_RESULTS = 2, SORTS_ALL = 3 };

typedef struct search {
    const an_bisect *b;
    const an_function *f;
    int *ops; /* the part: indices of nodes, ascending */
    int n_ops;
    int *trial;     /* the part that is tried */
    bool *inside;   /* by node: is it in the part that is tried? */
    unsigned *role; /* by value id */
    const char **inputs, **results;
    int n_inputs, n_results;
    unsigned sorted; /* ports in the order of their names */
    int tests;
    an_module *best; /* the smallest that shows the fault */
    an_error *err;
} search;

static bool is_op(const an_node *n)
{
    return n->op->cls != AN_CLASS_CONST;
}

int an_count_ops(const an_function *f)
{
    int n = 0;
    for (int i = 0; i < f->n_nodes; i++)
        n += is_op(f->nodes[i]);
    return n;
}

/* ---- candidates ---- */

typedef struct reading {
    search *s;
    bool inside; /* is the reader? */
} reading;

static void note_read(void *ctx, an_value *v)
{
    const reading *r = ctx;
    if (v->name)
        r->s->role[v->id] |= r->inside ? IS_READ_INSIDE : IS_READ_OUTSIDE;
}

static void note_roles(search *s)
{
    const an_function *f = s->f;
    memset(s->role, 0, (size_t)f->n_values * sizeof *s->role);
    for (int i = 0; i < f->n_nodes; i++) {
        reading r = {s, s->inside[i]};
        if (is_op(f->nodes[i])) an_node_operands(f->nodes[i], note_read, &r);
    }
    for (int i = 0; i < f->n_results; i++)
        s->role[f->results[i]->id] |= IS_READ_OUTSIDE;
}

static bool is_inside(const search *s, const an_value *v)
{
    for (int i = 0; i < s->f->n_nodes; i++)
        if (s->f->nodes[i] == v->def) return s->inside[i];
    return false;
}

/* The function's results in its order (and as often as it returns them), unless
 * ports are sorted anyway. */
static void list_own_results(search *s)
{
    for (int i = 0; i < s->f->n_results; i++) {
        const an_value *v = s->f->results[i];
        if ((s->sorted & SORTS_RESULTS) || !v->def || !is_op(v->def) ||
            !is_inside(s, v))
            continue;
        s->results[s->n_results++] = v->name;
        s->role[v->id] = IS_READ_INSIDE; /* listed */
    }
}

/* Values between the part and the rest, in the order of the text. */
static void list_borders(search *s)
{
    note_roles(s);
    s->n_inputs = s->n_results = 0;
    list_own_results(s);
    for (int i = 0; i < s->f->n_nodes; i++) {
        const an_node *n = s->f->nodes[i];
        for (int r = 0; is_op(n) && r < n->n_results; r++) {
            const an_value *v = n->results[r];
            unsigned role = s->role[v->id];
            if (s->inside[i] && role != IS_READ_INSIDE)
                s->results[s->n_results++] = v->name;
            else if (!s->inside[i] && (role & IS_READ_INSIDE))
                s->inputs[s->n_inputs++] = v->name;
        }
    }
}

/* Results that are parameters or constants belong to no op. */
static void list_plain_results(search *s)
{
    for (int i = 0; i < s->f->n_results; i++) {
        const an_value *v = s->f->results[i];
        if (!v->def || !is_op(v->def)) s->results[s->n_results++] = v->name;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* NULL without an error: this part is no program. */
static an_status cut(search *s, an_module **out)
{
    an_error why = {0};
    an_module *m = NULL;
    const an_extraction e = {.name = "main",
                             .inputs = s->inputs,
                             .n_inputs = s->n_inputs,
                             .results = s->results,
                             .n_results = s->n_results,
                             .sort_params = s->sorted & SORTS_PARAMS};
    if ((s->sorted & SORTS_RESULTS) && s->n_results > 1)
        qsort(s->results, (size_t)s->n_results, sizeof *s->results, by_name);
    an_status status = an_module_new_like(s->f->module, &m, s->err);
    if (status != AN_OK) return status;
    status = an_extract(s->f, m, &e, &why);
    if (status == AN_OK) {
        *out = m;
        return AN_OK;
    }
    an_module_free(m);
    return status == AN_ENOMEM ? an_fail(s->err, status, "%s", why.text)
                               : AN_OK;
}

static void tell(const search *s)
{
    if (s->b->progress)
        s->b->progress(s->b->ctx, s->tests,
                       s->best ? an_count_ops(s->best->functions[0])
                               : an_count_ops(s->f));
}

/* Tries the part between s->inputs and s->results; the best so far when it
 * shows the fault. */
static an_status try_cut(search *s, an_likeness likeness, bool *shows)
{
    an_module *m = NULL;
    *shows = false;
    an_status status = cut(s, &m);
    if (status != AN_OK || !m) return status;
    status = s->b->test(s->b->ctx, m, likeness, shows, s->err);
    s->tests++;
    if (status == AN_OK && *shows) {
        an_module *worse = s->best;
        s->best = m;
        m = worse;
    }
    an_module_free(m);
    if (status == AN_OK) tell(s);
    return status;
}

static void set_inside(search *s, const int *ops, int n)
{
    memset(s->inside, 0, (size_t)s->f->n_nodes * sizeof *s->inside);
    for (int i = 0; i < n; i++)
        s->inside[ops[i]] = true;
    list_borders(s);
}

/* Tries a set of ops, which replaces the part when it shows the fault. */
static an_status try_ops(search *s, const int *ops, int n, an_likeness likeness,
                         bool *shows)
{
    set_inside(s, ops, n);
    an_status status = try_cut(s, likeness, shows);
    if (status == AN_OK && *shows) {
        memmove(s->ops, ops, (size_t)n * sizeof *ops);
        s->n_ops = n;
    }
    return status;
}

/* ---- the search over ops ---- */

/* An engine wants ports in the order of their names, and a part that is refused
 * for their order shows no other fault: they are sorted unless the order is the
 * fault. */
static an_status try_whole(search *s, bool *shows)
{
    static const unsigned ways[] = {SORTS_ALL, SORTS_PARAMS, SORTS_RESULTS, 0};
    an_status status = AN_OK;
    for (int i = 0; status == AN_OK && !*shows && i < 4; i++) {
        s->sorted = ways[i];
        set_inside(s, s->ops, s->n_ops);
        list_plain_results(s);
        status = try_cut(s, AN_FAULT_SAME, shows);
    }
    return status;
}

static an_status try_singles(search *s, bool *shows)
{
    an_status status = AN_OK;
    int n = s->n_ops;
    *shows = n <= 1;
    for (int i = 0; status == AN_OK && !*shows && i < n; i++) {
        int op = s->ops[i];
        status = try_ops(s, &op, 1, AN_FAULT_SAME, shows);
    }
    return status;
}

/* A fault like that of the ports' order would be of a part's own making. */
static an_likeness likeness(const search *s)
{
    return s->sorted == SORTS_ALL ? AN_FAULT_LIKE : AN_FAULT_SAME;
}

/* The ops without s->ops[from..to). */
static int complement(search *s, int from, int to)
{
    int rest = s->n_ops - to;
    memcpy(s->trial, s->ops, (size_t)from * sizeof *s->trial);
    memcpy(s->trial + from, s->ops + to, (size_t)rest * sizeof *s->trial);
    return from + rest;
}

/* Tries each of the n chunks alone, or everything but it, until one shows the
 * fault. */
static an_status try_chunks(search *s, int n, bool alone, bool *shows)
{
    an_status status = AN_OK;
    int n_ops = s->n_ops;
    *shows = false;
    for (int i = 0; status == AN_OK && !*shows && i < n; i++) {
        int from = (int)((int64_t)n_ops * i / n);
        int to = (int)((int64_t)n_ops * (i + 1) / n);
        if (alone) {
            status = try_ops(s, s->ops + from, to - from, likeness(s), shows);
        } else {
            int rest = complement(s, from, to);
            status = try_ops(s, s->trial, rest, likeness(s), shows);
        }
    }
    return status;
}

static an_status shrink(search *s)
{
    int n = 2;
    while (s->n_ops >= 2) {
        bool shows = false;
        an_status status = try_chunks(s, n, true, &shows);
        if (status != AN_OK) return status;
        if (shows) {
            n = 2;
            continue;
        }
        status = n > 2 ? try_chunks(s, n, false, &shows) : AN_OK;
        if (status != AN_OK) return status;
        if (shows)
            n = n > 3 ? n - 1 : 2;
        else if (n < s->n_ops)
            n = 2 * n < s->n_ops ? 2 * n : s->n_ops;
        else
            return AN_OK;
        if (n > s->n_ops) n = s->n_ops;
    }
    return AN_OK;
}

/* ---- the search over results ---- */

/* The best part's results and inputs, as names of the function. */
static void list_best(search *s)
{
    const an_function *best = s->best->functions[0];
    s->n_inputs = s->n_results = 0;
    for (int i = 0; i < best->n_params; i++) {
        const an_value *v = an_function_value(s->f, best->params[i]->name);
        if (v->def) s->inputs[s->n_inputs++] = v->name;
    }
    for (int i = 0; i < best->n_results; i++)
        s->results[s->n_results++] =
            an_function_value(s->f, best->results[i]->name)->name;
}

/* Takes away results one by one, from the last on, until none can go. */
static an_status drop_results(search *s, an_likeness likeness)
{
    list_best(s);
    for (int i = s->n_results - 1; i >= 0 && s->n_results > 1; i--) {
        const char *name = s->results[i];
        size_t after = (size_t)(s->n_results - 1 - i) * sizeof *s->results;
        bool shows = false;
        memmove(s->results + i, s->results + i + 1, after);
        s->n_results--;
        an_status status = try_cut(s, likeness, &shows);
        if (status != AN_OK) return status;
        if (shows) {
            list_best(s);
            i = s->n_results;
            continue;
        }
        memmove(s->results + i + 1, s->results + i, after);
        s->results[i] = name;
        s->n_results++;
    }
    return AN_OK;
}

/* ---- */

static an_status open_search(search *s)
{
    size_t nodes = (size_t)s->f->n_nodes + 1;
    size_t values = (size_t)s->f->n_values + (size_t)s->f->n_results + 1;
    s->ops = an_alloc_array(nodes, sizeof *s->ops);
    s->trial = an_alloc_array(nodes, sizeof *s->trial);
    s->inside = an_alloc_array(nodes, sizeof *s->inside);
    s->role = an_alloc_array(values, sizeof *s->role);
    s->inputs = an_alloc_array(values, sizeof *s->inputs);
    s->results = an_alloc_array(values, sizeof *s->results);
    if (!s->ops || !s->trial || !s->inside || !s->role || !s->inputs ||
        !s->results)
        return an_fail(s->err, AN_ENOMEM, "bisect: no memory");
    for (int i = 0; i < s->f->n_nodes; i++)
        if (is_op(s->f->nodes[i])) s->ops[s->n_ops++] = i;
    return AN_OK;
}

static void close_search(search *s)
{
    an_module_free(s->best);
    an_free(s->ops);
    an_free(s->trial);
    an_free(s->inside);
    an_free(s->role);
    an_free(s->inputs);
    an_free(s->results);
}

static an_status minimize(search *s)
{
    bool shows = false;
    an_status status = try_whole(s, &shows);
    if (status != AN_OK || !shows) return status;
    status = try_singles(s, &shows);
    if (status == AN_OK && shows) return drop_results(s, AN_FAULT_SAME);
    if (status == AN_OK) status = shrink(s);
    return status == AN_OK ? drop_results(s, likeness(s)) : status;
}

an_status an_bisect_run(const an_bisect *b, an_module **out, an_error *err)
{
    an_error own = {0};
    search s = {.b = b, .f = b->function, .err = err ? err : &own};
    an_status status = open_search(&s);
    if (status == AN_OK) status = minimize(&s);
    if (status == AN_OK) {
        *out = s.best;
        s.best = NULL;
    }
    close_search(&s);
    return status;
}
