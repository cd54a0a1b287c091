/*
 * Comparing what came with what was captured, element by element. fp16 values
 * lie on a line of steps: a difference is how many lie between.
 */
#include "capture/capture.h"

#include "base/half.h"
#include "mil/element.h"

#include <stdlib.h>
#include <string.h>

/* Steps of fp16 from one element to the other; 0: they are equal (any NaN is as
 * good as another: x86-64 and arm64 make different ones). */
static double distance(an_dtype dtype, const void *a, const void *b, size_t i)
{
    if (an_element_equal(dtype, a, b, i)) return 0;
    uint16_t x, y;
    if (dtype == AN_FP16) {
        x = ((const uint16_t *)a)[i];
        y = ((const uint16_t *)b)[i];
    } else {
        x = an_half_from_double(an_element(dtype, a, i));
        y = an_half_from_double(an_element(dtype, b, i));
    }
    int steps = abs(an_half_rank(x) - an_half_rank(y));
    return steps > 0 ? steps : 1;
}

static void compare(const an_probe_tensor *captured,
                    const an_probe_tensor *came, an_verdict *v)
{
    int64_t n = an_shape_count(&captured->shape);
    an_dtype dtype = captured->shape.dtype;
    v->n += n;
    for (int64_t i = 0; i < n; i++) {
        double d = distance(dtype, captured->data, came->data, (size_t)i);
        if (d == 0) v->equal++;
        if (d <= v->worst) continue;
        v->worst = d;
        v->port = captured->port;
        v->at = i;
        v->captured = an_element(dtype, captured->data, (size_t)i);
        v->came = an_element(dtype, came->data, (size_t)i);
    }
}

static const an_probe_tensor *find(const an_captured *c, const char *port)
{
    for (int i = 0; i < c->n_outputs; i++)
        if (strcmp(c->outputs[i].port, port) == 0) return &c->outputs[i];
    return NULL;
}

static an_status compare_all(const an_captured *captured,
                             const an_captured *here, an_verdict *v,
                             an_error *err)
{
    if (captured->n_outputs != here->n_outputs)
        return an_fail(err, AN_EFORMAT, "%s: %d outputs, expected %d",
                       captured->name, captured->n_outputs, here->n_outputs);
    for (int i = 0; i < captured->n_outputs; i++) {
        const an_probe_tensor *a = &captured->outputs[i], *b;
        b = find(here, a->port);
        if (b == NULL || !an_shape_equal(&a->shape, &b->shape))
            return an_fail(err, AN_EFORMAT, "%s: output %s does not fit",
                           captured->name, a->port);
        compare(a, b, v);
    }
    v->kind = v->equal == v->n ? AN_SAME : AN_DIFFERENT;
    return AN_OK;
}

an_status an_capture_replay(const an_captured *captured, an_engine *engine,
                            an_verdict *out, an_error *err)
{
    bool reloads = captured->kind == AN_PROBE_RELOAD;
    an_captured here = {.kind = reloads ? AN_PROBE_RELOAD : AN_PROBE_VALUES,
                        .name = captured->name};
    an_arena arena;
    an_arena_init(&arena);
    *out = (an_verdict){0};
    an_status s = an_capture_run(&captured->program, captured->name, engine,
                                 &arena, &here, err);
    bool ran_there = captured->error.code == AN_OK;
    bool ran_here = here.error.code == AN_OK;
    out->error = here.error;
    if (s == AN_OK && ran_there && ran_here)
        s = compare_all(captured, &here, out, err);
    else if (ran_there != ran_here)
        out->kind = ran_here ? AN_ONLY_THERE : AN_ONLY_HERE;
    else
        out->kind = AN_REFUSED;
    an_arena_fini(&arena);
    return s;
}
