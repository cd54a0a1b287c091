/*
 * Directional central differences. The error of the difference is of order
 * h^2 times the third derivative along a unit direction, its rounding of order
 * 1e-16 / h: with h = 1e-4 both are far below 1e-6 for values of order 1.
 */
#include "grad/check.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "mil/ir.h"
#include "ops/eval.h"

#include <math.h>
#include <string.h>

#define STEP 1e-4

/* Values of one function under names: parameters and results. */
typedef struct table {
    const char **names;
    const an_shape **shapes;
    const double **data;
    int n;
} table;

typedef struct check {
    const an_function *f, *forward, *backward;
    const an_gradient *g;
    const an_gradient_probe *probe;
    an_arena arena;
    table values;     /* inputs, results, taps, adjoints */
    double **taps;    /* forward's results, by an_alloc */
    double **adjoint; /* backward's results, by an_alloc */
} check;

static size_t count_of(const an_value *v)
{
    return (size_t)an_shape_count(&v->type->shape);
}

static double dot(size_t n, const double *a, const double *b)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void enter(table *t, const char *name, const an_shape *shape,
                  const double *data)
{
    t->names[t->n] = name;
    t->shapes[t->n] = shape;
    t->data[t->n++] = data;
}

static int find(const table *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->names[i], name) == 0) return i;
    return -1;
}

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "gradient check: no memory");
}

/* ---- the loss: sum over results r of <d_r, r> ---- */

/* L at `inputs`; adjoints are those of the table. */
static an_status loss_of(check *c, const double *const *inputs, double *loss,
                         an_error *err)
{
    double **out =
        an_arena_array(&c->arena, (size_t)c->f->n_results + 1, sizeof *out);
    if (!out) return no_memory(err);
    an_status s = an_eval_function(c->f, &an_num_exact, inputs, out, err);
    if (s != AN_OK) return s;
    double sum = 0;
    for (int i = 0; i < c->f->n_results; i++) {
        const an_value *r = c->f->results[i];
        const char *name = an_arena_printf(&c->arena, "d_%s", r->name);
        int at = name ? find(&c->values, name) : -1;
        if (at >= 0) sum += dot(count_of(r), out[i], c->values.data[at]);
        an_free(out[i]);
    }
    *loss = sum;
    return AN_OK;
}

/* (L(p + h u) - L(p - h u)) / 2h for parameter `at`. */
static an_status difference(check *c, int at, const double *u, double *out,
                            an_error *err)
{
    size_t n = count_of(c->f->params[at]), n_params = (size_t)c->f->n_params;
    double loss[2] = {0};
    const double **inputs = an_arena_array(&c->arena, n_params, sizeof *inputs);
    double *moved = an_arena_array(&c->arena, n, sizeof *moved);
    if (!inputs || !moved) return no_memory(err);
    for (size_t i = 0; i < n_params; i++)
        inputs[i] = c->probe->inputs[i];
    inputs[at] = moved;
    for (int side = 0; side < 2; side++) {
        double h = side ? -STEP : STEP;
        for (size_t i = 0; i < n; i++)
            moved[i] = c->probe->inputs[at][i] + h * u[i];
        an_status s = loss_of(c, inputs, &loss[side], err);
        if (s != AN_OK) return s;
    }
    *out = (loss[0] - loss[1]) / (2 * STEP);
    return AN_OK;
}

/* ---- the gradient under test ---- */

/* Random adjoints of the results that are floats. */
static an_status choose_adjoints(check *c, an_error *err)
{
    an_rng rng = {c->probe->seed, 1, 0};
    for (int i = 0; i < c->f->n_results; i++) {
        const an_value *r = c->f->results[i];
        const char *name = an_arena_printf(&c->arena, "d_%s", r->name);
        double *d = an_arena_array(&c->arena, count_of(r), sizeof *d);
        if (!name || !d) return no_memory(err);
        for (size_t k = 0; k < count_of(r); k++)
            d[k] = an_rng_normal(&rng);
        enter(&c->values, name, &r->type->shape, d);
    }
    return AN_OK;
}

/* Evaluates `f` on values of the table and enters its results. */
static an_status evaluate(check *c, const an_function *f, double **out,
                          an_error *err)
{
    size_t n = (size_t)f->n_params + 1;
    const double **inputs = an_arena_array(&c->arena, n, sizeof *inputs);
    if (!inputs) return no_memory(err);
    for (int i = 0; i < f->n_params; i++) {
        int at = find(&c->values, f->params[i]->name);
        if (at < 0)
            return an_fail(err, AN_EINVAL,
                           "gradient check: %s reads '%s', which is neither an "
                           "input, a result nor an adjoint",
                           f->name, f->params[i]->name);
        inputs[i] = c->values.data[at];
    }
    an_status s = an_eval_function(f, &an_num_exact, inputs, out, err);
    for (int i = 0; i < f->n_results && s == AN_OK; i++)
        enter(&c->values, f->results[i]->name, &f->results[i]->type->shape,
              out[i]);
    return s;
}

/* Element [m, k] of an operand that is a matrix of all its rows, or stored
 * transposed. */
static double element(const an_shape *s, const double *data, bool transposed,
                      int64_t m, int64_t k)
{
    int64_t columns = s->dims[s->rank - 1];
    return transposed ? data[k * columns + m] : data[m * columns + k];
}

/* Adds one deferred contraction to d [M, N]. */
static an_status contract(check *c, const an_contraction *p,
                          const an_shape *param, double *d, an_error *err)
{
    int l = find(&c->values, p->left), r = find(&c->values, p->right);
    if (l < 0 || r < 0)
        return an_fail(err, AN_EINVAL,
                       "gradient check: '%s' and '%s' are no ports", p->left,
                       p->right);
    const an_shape *ls = c->values.shapes[l], *rs = c->values.shapes[r];
    int64_t m = param->dims[param->rank - 2], n = param->dims[param->rank - 1];
    int64_t inner = an_shape_count(ls) / m;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t k = 0; k < inner; k++)
                d[i * n + j] +=
                    element(ls, c->values.data[l], p->transpose_left, i, k) *
                    element(rs, c->values.data[r], p->transpose_right, k, j);
    return AN_OK;
}

/* d_p, from the backward function and the deferred contractions. */
static an_status gradient_of(check *c, const an_value *param, double **out,
                             an_error *err)
{
    size_t n = count_of(param);
    double *d = an_arena_array(&c->arena, n, sizeof *d);
    const char *name = an_arena_printf(&c->arena, "d_%s", param->name);
    if (!d || !name) return no_memory(err);
    int at = find(&c->values, name), parts = at >= 0;
    if (at >= 0) memcpy(d, c->values.data[at], n * sizeof *d);
    for (int i = 0; i < c->g->n_contractions; i++) {
        if (strcmp(c->g->contractions[i].param, param->name) != 0) continue;
        parts++;
        an_status s =
            contract(c, &c->g->contractions[i], &param->type->shape, d, err);
        if (s != AN_OK) return s;
    }
    if (parts == 0)
        return an_fail(err, AN_EINVAL, "gradient check: no gradient of '%s'",
                       param->name);
    *out = d;
    return AN_OK;
}

/* ---- the comparison ---- */

static void choose_direction(an_rng *rng, size_t n, double *u)
{
    for (size_t i = 0; i < n; i++)
        u[i] = an_rng_normal(rng);
    double norm = sqrt(dot(n, u, u));
    for (size_t i = 0; i < n; i++)
        u[i] /= norm;
}

static an_status check_param(check *c, int at, double *worst, an_error *err)
{
    const an_value *param = c->f->params[at];
    size_t n = count_of(param);
    an_rng rng = {c->probe->seed, 2 + (uint64_t)at, 0};
    double *d = NULL, *u = an_arena_array(&c->arena, n, sizeof *u);
    if (!u) return no_memory(err);
    an_status s = gradient_of(c, param, &d, err);
    if (s != AN_OK) return s;
    double size = sqrt(dot(n, d, d));
    for (int i = 0; i < c->probe->directions; i++) {
        double want = 0;
        choose_direction(&rng, n, u);
        if ((s = difference(c, at, u, &want, err)) != AN_OK) return s;
        double came = dot(n, d, u);
        double scale = fmax(fmax(fabs(want), fabs(came)), size / 10);
        double error = scale > 0 ? fabs(want - came) / scale : 0;
        if (isnan(error) || error > *worst) *worst = error; /* NaN stays */
    }
    return AN_OK;
}

static int param_index(const an_function *f, const char *name)
{
    for (int i = 0; i < f->n_params; i++)
        if (strcmp(f->params[i]->name, name) == 0) return i;
    return -1;
}

static an_status run_check(check *c, double *worst, an_error *err)
{
    for (int i = 0; i < c->f->n_params; i++)
        enter(&c->values, c->f->params[i]->name, &c->f->params[i]->type->shape,
              c->probe->inputs[i]);
    an_status s = choose_adjoints(c, err);
    if (s == AN_OK) s = evaluate(c, c->forward, c->taps, err);
    if (s == AN_OK) s = evaluate(c, c->backward, c->adjoint, err);
    for (int i = 0; i < c->probe->n_wrt && s == AN_OK; i++) {
        int at = param_index(c->f, c->probe->wrt[i]);
        if (at < 0)
            return an_fail(err, AN_EINVAL, "gradient check: no parameter '%s'",
                           c->probe->wrt[i]);
        s = check_param(c, at, worst, err);
    }
    return s;
}

static bool init_check(check *c)
{
    size_t most = (size_t)c->f->n_params + (size_t)c->f->n_results +
                  (size_t)c->forward->n_results +
                  (size_t)c->backward->n_results + 1;
    c->values.names = an_arena_array(&c->arena, most, sizeof(char *));
    c->values.shapes = an_arena_array(&c->arena, most, sizeof(an_shape *));
    c->values.data = an_arena_array(&c->arena, most, sizeof(double *));
    c->taps = an_arena_array(&c->arena, (size_t)c->forward->n_results + 1,
                             sizeof(double *));
    c->adjoint = an_arena_array(&c->arena, (size_t)c->backward->n_results + 1,
                                sizeof(double *));
    return c->values.names && c->values.shapes && c->values.data && c->taps &&
           c->adjoint;
}

static void fini_check(check *c)
{
    for (int i = 0; c->taps && i < c->forward->n_results; i++)
        an_free(c->taps[i]);
    for (int i = 0; c->adjoint && i < c->backward->n_results; i++)
        an_free(c->adjoint[i]);
    an_arena_fini(&c->arena);
}

an_status an_gradient_error(const an_module *module, const char *function,
                            const an_gradient *g,
                            const an_gradient_probe *probe, double *worst,
                            an_error *err)
{
    check c = {.f = an_module_function(module, function),
               .forward = an_module_function(g->module, "forward"),
               .backward = an_module_function(g->module, "backward"),
               .g = g,
               .probe = probe};
    if (!c.f || !c.forward || !c.backward)
        return an_fail(err, AN_EINVAL, "gradient check: no function '%s'",
                       c.f ? "forward or backward" : function);
    double error = 0;
    an_arena_init(&c.arena);
    an_status s = init_check(&c) ? run_check(&c, &error, err) : no_memory(err);
    fini_check(&c);
    if (s == AN_OK) *worst = error;
    return s;
}
