/*
 * Cutting a function into a chain of programs at named values.
 */
#include "lower/lower.h"

#include "base/alloc.h"
#include "mil/extract.h"

#include <string.h>

typedef struct cutter {
    const an_function *f;
    an_module *into;
    an_arena names;
    const char **known; /* values that earlier programs return */
    int n_known;
    const char **results; /* of the program at hand */
    int n_results;
} cutter;

static bool listed(const char *name, const char *const *list, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0) return true;
    return false;
}

/* Splits "d_a d_b" into c->results. Every name must be a value of f. */
static an_status split_names(cutter *c, const char *cut, an_error *err)
{
    while (*cut) {
        size_t n = strcspn(cut, " ");
        char *name = an_arena_strndup(&c->names, cut, n);
        if (!name) return an_fail(err, AN_ENOMEM, "cut: no memory");
        cut += n + strspn(cut + n, " ");
        if (n == 0) continue;
        if (!an_function_value(c->f, name))
            return an_fail(err, AN_EINVAL, "cut: %s has no value '%s'",
                           c->f->name, name);
        if (c->n_results >= c->f->n_values)
            return an_fail(err, AN_EINVAL, "cut: too many names");
        c->results[c->n_results++] = name;
    }
    return AN_OK;
}

static an_status extract(cutter *c, an_module *into, const char *name,
                         an_error *err)
{
    return an_extract(c->f, into,
                      &(an_extraction){.name = name,
                                       .inputs = c->known,
                                       .n_inputs = c->n_known,
                                       .results = c->results,
                                       .n_results = c->n_results},
                      err);
}

/* Adds f's results that the program computes on its way to the cut. */
static an_status add_on_the_way(cutter *c, an_error *err)
{
    an_module *scratch = NULL;
    an_status s = an_module_new(&scratch, err);
    if (s == AN_OK) s = extract(c, scratch, "part", err);
    for (int i = 0; s == AN_OK && i < c->f->n_results; i++) {
        const char *r = c->f->results[i]->name;
        const an_value *v =
            an_function_value(an_module_function(scratch, "part"), r);
        if (v && v->def && !listed(r, c->known, c->n_known) &&
            !listed(r, c->results, c->n_results))
            c->results[c->n_results++] = r;
    }
    an_module_free(scratch);
    return s;
}

static void add_rest(cutter *c)
{
    for (int i = 0; i < c->f->n_results; i++) {
        const char *r = c->f->results[i]->name;
        if (!listed(r, c->known, c->n_known)) c->results[c->n_results++] = r;
    }
}

static an_status cut_one(cutter *c, const char *name, int i, const char *cut,
                         an_error *err)
{
    c->n_results = 0;
    an_status s = AN_OK;
    if (cut) {
        s = split_names(c, cut, err);
        if (s == AN_OK) s = add_on_the_way(c, err);
    } else {
        add_rest(c);
    }
    const char *full = an_arena_printf(&c->names, "%s_%d", name, i);
    if (s == AN_OK && !full) s = an_fail(err, AN_ENOMEM, "cut: no memory");
    if (s == AN_OK) s = extract(c, c->into, full, err);
    for (int r = 0; s == AN_OK && r < c->n_results; r++)
        if (!listed(c->results[r], c->known, c->n_known))
            c->known[c->n_known++] = c->results[r];
    return s;
}

an_status an_lower_cut(const an_function *f, an_module *into, const char *name,
                       const char *const *cuts, int n_cuts, an_error *err)
{
    cutter c = {.f = f, .into = into};
    size_t most = (size_t)f->n_values + (size_t)f->n_results + 1;
    an_arena_init(&c.names);
    c.known = an_alloc_array(most, sizeof(char *));
    c.results = an_alloc_array(most, sizeof(char *));
    an_status s = c.known && c.results
                      ? AN_OK
                      : an_fail(err, AN_ENOMEM, "cut: no memory");
    for (int i = 0; s == AN_OK && i <= n_cuts; i++)
        s = cut_one(&c, name, i, i < n_cuts ? cuts[i] : NULL, err);
    an_arena_fini(&c.names);
    an_free(c.known);
    an_free(c.results);
    return s;
}
