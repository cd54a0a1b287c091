/* See step_model.h. */
#include "step_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The finalizer of MurmurHash3. */
static uint32_t fmix32(uint32_t x)
{
    x = (x ^ x >> 16) * 0x85ebca6bU;
    x = (x ^ x >> 13) * 0xc2b2ae35U;
    return x ^ x >> 16;
}

static double *make_weights(step_model *s, int i)
{
    const an_model_param *p = an_model_param_at(s->model, i);
    int64_t n = p->rows * p->columns;
    double *w = an_arena_array(&s->arena, (size_t)n, sizeof *w);
    assert_non_null(w);
    for (int64_t k = 0; k < n; k++) {
        double u = fmix32(((uint32_t)i << 20) + (uint32_t)k) / 0x1p31 - 1;
        w[k] = p->columns == 1 ? 1 + 0.5 * u : 0.3 * u;
    }
    return w;
}

void step_model_open(step_model *s, const char *kind)
{
    char path[128];
    an_error err = {0};
    *s = (step_model){0};
    an_arena_init(&s->arena);
    snprintf(path, sizeof path, "tests/reference/step_%s.json", kind);
    if (an_model_open(path, 0, &s->model, &err) != AN_OK)
        fail_msg("%s", err.text);
    snprintf(path, sizeof path, "tests/reference/step_%s.safetensors", kind);
    if (an_st_open(path, &s->stored, &err) != AN_OK) fail_msg("%s", err.text);
    an_model_get_facts(s->model, &s->facts);
    int n = an_model_n_params(s->model);
    s->weights = an_arena_array(&s->arena, (size_t)n, sizeof *s->weights);
    assert_non_null(s->weights);
    for (int i = 0; i < n; i++)
        s->weights[i] = make_weights(s, i);
}

void step_model_close(step_model *s)
{
    an_arena_fini(&s->arena);
    an_st_close(s->stored);
    an_model_free(s->model);
}

const void *step_model_tensor(const step_model *s, const char *name,
                              an_dtype dtype)
{
    const an_st_tensor *tensor = an_st_find(s->stored, name);
    if (!tensor) fail_msg("no tensor %s", name);
    assert_int_equal(tensor->dtype, dtype);
    return tensor->data;
}

int step_model_param(const step_model *s, int layer, int block,
                     const char *port)
{
    for (int i = 0; i < an_model_n_params(s->model); i++) {
        const an_model_param *p = an_model_param_at(s->model, i);
        bool here = p->layer == layer && p->block == block;
        bool tied = block == AN_BLOCK_HEAD && p->block == AN_BLOCK_EMBED;
        if ((here || tied) && strcmp(p->port, port) == 0) return i;
    }
    fail_msg("no parameter for port %s", port);
    return -1;
}

double step_model_error(const char *name, const double *came,
                        const double *want, int64_t n, double tolerance)
{
    double largest = 0, worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(want[i]));
        if (!(fabs(came[i] - want[i]) <= worst)) {
            worst = fabs(came[i] - want[i]);
            at = i;
        }
    }
    if (!(worst <= tolerance * largest))
        print_message("%s: element %lld is %.17g, expected %.17g (largest "
                      "%g)\n",
                      name, (long long)at, came[at], want[at], largest);
    return worst / largest;
}
