/* Choosing tokens; sorting makes the order of candidates one. */
#include "train/choose.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM = 0x73616d70 }; /* apart from the streams of parameters */

static an_status check(const an_sample_options *o, an_error *err)
{
    if (!(o->temperature >= 0))
        return an_fail(err, AN_EINVAL, "temperature: %g, expected 0 or more",
                       o->temperature);
    if (!(o->top_p >= 0 && o->top_p <= 1) || !(o->min_p >= 0 && o->min_p <= 1))
        return an_fail(err, AN_EINVAL,
                       "top_p and min_p: %g and %g, expected 0 to 1", o->top_p,
                       o->min_p);
    if (!(o->repetition_penalty > 0))
        return an_fail(err, AN_EINVAL,
                       "repetition_penalty: %g, expected more than 0",
                       o->repetition_penalty);
    return AN_OK;
}

an_status an_chooser_init(an_chooser *c, int64_t n, const an_sample_options *o,
                          an_error *err)
{
    *c = (an_chooser){
        .o = o, .n = n, .rng = {.seed = o->seed, .stream = STREAM}};
    an_status s = check(o, err);
    if (s != AN_OK) return s;
    c->list = an_alloc_array((size_t)n + 1, sizeof *c->list);
    c->seen = an_alloc_array((size_t)n + 1, sizeof *c->seen);
    return c->list && c->seen ? AN_OK
                              : an_fail(err, AN_ENOMEM, "sample: no memory");
}

void an_chooser_fini(an_chooser *c)
{
    an_free(c->list);
    an_free(c->seen);
    *c = (an_chooser){0};
}

static void penalise(an_chooser *c, const int32_t *context, size_t n)
{
    double penalty = c->o->repetition_penalty;
    if (penalty == 1) return;
    memset(c->seen, 0, (size_t)c->n * sizeof *c->seen);
    for (size_t i = 0; i < n; i++) {
        int32_t id = context[i];
        if (id < 0 || id >= c->n || c->seen[id]) continue;
        c->seen[id] = true;
        double *logit = &c->list[id].weight;
        *logit = *logit > 0 ? *logit / penalty : *logit * penalty;
    }
}

/* Heaviest first; equal ones by id. */
static int heavier(const void *a, const void *b)
{
    const an_candidate *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Keeps the top_k heaviest, turns logits into probabilities, keeps those of at
 * least min_p times the largest, and of these the fewest that hold top_p of
 * all. Returns how many stay; *total is their sum. */
static int64_t narrow(an_chooser *c, double *total)
{
    const an_sample_options *o = c->o;
    int64_t n = c->n;
    double sum = 0, most = c->list[0].weight;
    if (o->top_k > 0 && o->top_k < n) n = o->top_k;
    for (int64_t i = 0; i < n; i++) {
        c->list[i].weight = exp((c->list[i].weight - most) / o->temperature);
        sum += c->list[i].weight;
    }
    double kept = 0;
    int64_t k = 0;
    while (k < n &&
           (k == 0 || (kept < o->top_p * sum && c->list[k].weight >= o->min_p)))
        kept += c->list[k++].weight;
    *total = kept;
    return k;
}

int32_t an_choose(an_chooser *c, const int32_t *context, size_t n_context)
{
    for (int64_t i = 0; i < c->n; i++)
        c->list[i].id = (int32_t)i;
    penalise(c, context, n_context);
    qsort(c->list, (size_t)c->n, sizeof *c->list, heavier);
    if (c->o->temperature <= 0) return c->list[0].id;
    double total;
    int64_t n = narrow(c, &total), i = 0;
    double u = an_rng_uniform(&c->rng) * total;
    while (i < n - 1 && u >= c->list[i].weight)
        u -= c->list[i++].weight;
    return c->list[i].id;
}
