/*
 * Requests. An evaluation is a turn of the worker that starts when the pool
 * says that its surfaces are ready, and ends the pool's job.
 */
#include "engine/apple/apple.h"
#include "engine/apple/values.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

struct an_evaluation {
    an_framework *fw;
    an_loaded *program;
    an_turn turn;
    an_pool *pool;
    an_job *job;
    void **objects; /* of surfaces, inputs then outputs, by port */
    void **bound;   /* those of `request` */
    int n[2];
    void *request;       /* _ANERequest, retained; NULL: not made yet */
    an_stats *stats;     /* NULL: not profiled */
    const char *foreign; /* a port whose surface is not the engine's, or NULL */
};
typedef struct an_evaluation evaluation;

/* ---- on the worker's thread ---- */

/* Arrays in the order of the symbols. */
static bool side_arrays(const evaluation *e, an_port_side side, void **objects,
                        void **surfaces, void **indices)
{
    const an_objc *o = &e->fw->objc;
    const an_symbol *symbols = e->program->symbols[side];
    void *const *of = e->objects + (side == AN_OUTPUT ? e->n[AN_INPUT] : 0);
    int n = e->n[side], at = 0;
    for (int index = 0; index < 256 && at < n; index++)
        for (int i = 0; i < n; i++)
            if (symbols[i].index == index) {
                objects[at] = of[i];
                objects[n + at] = an_ns_number(o, index);
                if (!objects[n + at++]) return false;
            }
    if (at < n) return false;
    *surfaces = an_ns_array(o, objects, (size_t)n);
    *indices = an_ns_array(o, objects + n, (size_t)n);
    return *surfaces && *indices;
}

static an_status make_request(evaluation *e, an_error *err)
{
    const an_objc *o = &e->fw->objc;
    size_t n = (size_t)e->n[0] + (size_t)e->n[1];
    void *args[7] = {NULL};
    void **objects = an_alloc_array(2 * n + 1, sizeof *objects);
    if (!objects) return an_fail(err, AN_ENOMEM, "evaluate: no memory");
    bool well = side_arrays(e, AN_INPUT, objects, &args[0], &args[1]) &&
                side_arrays(e, AN_OUTPUT, objects, &args[2], &args[3]);
    an_free(objects);
    args[6] = an_ns_number(o, 0); /* the procedure */
    void *request =
        well ? an_send_p7(o, AN_SEL_REQUEST, o->classes[AN_SEL_REQUEST], args)
             : NULL;
    if (!request)
        return an_fail(err, AN_EENGINE,
                       "evaluate: the framework made no request");
    if (e->request) an_send_void(o, AN_SEL_RELEASE, e->request);
    e->request = an_send(o, AN_SEL_RETAIN, request);
    memcpy(e->bound, e->objects, n * sizeof *e->bound);
    return AN_OK;
}

bool an_apple_has_client(const an_objc *o)
{
    return o->present[AN_SEL_CLIENT] && o->present[AN_SEL_DIRECT] &&
           o->present[AN_SEL_INNER];
}

static bool send(const evaluation *e, an_route route, void **error)
{
    const an_framework *fw = e->fw;
    const an_objc *o = &fw->objc;
    void *model = e->program->object;
    unsigned qos = (unsigned)fw->limits.qos;
    void *options = e->stats ? fw->stats_options : fw->options;
    if (route == AN_ROUTE_CLIENT)
        return an_send_direct(
            o, an_send(o, AN_SEL_CLIENT, o->classes[AN_SEL_CLIENT]),
            an_send(o, AN_SEL_INNER, model), options, e->request, qos, error);
    return an_send_evaluate(o, model, qos, options, e->request, error);
}

static an_status evaluate_by(const evaluation *e, an_route route, an_error *err)
{
    void *error = NULL;
    if (send(e, route, &error)) return AN_OK;
    if (an_worker_is_dead(e->fw->worker)) return AN_EENGINE;
    return an_ns_fail(&e->fw->objc, "evaluate", error, err);
}

/* Of two failures one error, which names the routes. */
static an_status fail_both(const an_error *model, const an_error *client,
                           an_error *err)
{
    if (!err || err->code != AN_OK) return AN_EENGINE;
    *err = *model;
    if (strcmp(model->text, client->text) == 0) {
        an_fail_context(err, "through the model and through the client alike");
        return AN_EENGINE;
    }
    snprintf(err->text, sizeof err->text,
             "through the model: %.230s; through the client: %.230s",
             model->text, client->text);
    return AN_EENGINE;
}

/* The first route that works is kept. */
static an_status find_route(const evaluation *e, an_error *err)
{
    an_framework *fw = e->fw;
    an_error model = {0}, client = {0};
    if (!an_apple_has_client(&fw->objc)) {
        fw->route = AN_ROUTE_MODEL;
        return evaluate_by(e, AN_ROUTE_MODEL, err);
    }
    an_status s = evaluate_by(e, AN_ROUTE_MODEL, &model);
    if (s == AN_OK) fw->route = AN_ROUTE_MODEL;
    if (s == AN_OK || an_worker_is_dead(fw->worker)) return s;
    s = evaluate_by(e, AN_ROUTE_CLIENT, &client);
    if (s == AN_OK) fw->route = AN_ROUTE_CLIENT;
    if (s == AN_OK || an_worker_is_dead(fw->worker)) return s;
    return fail_both(&model, &client, err);
}

static an_status evaluate(evaluation *e, an_error *err)
{
    size_t n = (size_t)e->n[0] + (size_t)e->n[1];
    if (e->foreign)
        return an_fail(err, AN_EINVAL,
                       "\"%.64s\": the surface is not this engine's",
                       e->foreign);
    if (!e->request ||
        memcmp(e->bound, e->objects, n * sizeof *e->bound) != 0) {
        an_status s = make_request(e, err);
        if (s != AN_OK) return s;
    }
    an_status woken = an_live_wake(e->program, err);
    if (woken != AN_OK) return woken;
    return e->fw->route == AN_ROUTE_AUTO ? find_route(e, err)
                                         : evaluate_by(e, e->fw->route, err);
}

static an_status run(void *ctx, an_error *err)
{
    evaluation *e = ctx;
    const an_objc *o = &e->fw->objc;
    e->job->started = an_clock();
    void *pool = an_pool_push(o);
    an_status s = evaluate(e, err);
    if (s == AN_OK && e->stats) an_stats_take(e->stats, o, e->request);
    an_pool_pop(o, pool);
    return s;
}

static void ended(an_turn *turn, an_status s, const an_error *err)
{
    const evaluation *e = turn->ctx;
    an_pool_finish(e->pool, e->job, s, err);
}

static an_status drop_request(void *ctx, an_error *err)
{
    (void)err;
    const evaluation *e = ctx;
    const an_objc *o = &e->fw->objc;
    void *pool = an_pool_push(o);
    an_send_void(o, AN_SEL_RELEASE, e->request);
    an_pool_pop(o, pool);
    return AN_OK;
}

/* ---- the interface ---- */

static void free_evaluation(evaluation *e)
{
    an_free(e->objects);
    an_free(e->bound);
    an_free(e->stats);
    an_free(e);
}

an_status an_apple_make_request(an_request *r, an_error *err)
{
    const an_program *p = r->program;
    size_t n = (size_t)p->n_ports[0] + (size_t)p->n_ports[1];
    evaluation *e = an_alloc(sizeof *e);
    if (!e) return an_fail(err, AN_ENOMEM, "request: no memory");
    e->objects = an_alloc_array(n + 1, sizeof *e->objects);
    e->bound = an_alloc_array(n + 1, sizeof *e->bound);
    if (!e->objects || !e->bound) {
        free_evaluation(e);
        return an_fail(err, AN_ENOMEM, "request: no memory");
    }
    e->fw = ((an_apple *)p->engine)->fw;
    e->pool = p->engine->pool;
    e->job = &r->job;
    for (int side = 0; side < 2; side++)
        e->n[side] = p->n_ports[side];
    e->turn =
        (an_turn){.what = "evaluate", .run = run, .ended = ended, .ctx = e};
    ((an_apple_request *)r)->e = e;
    return AN_OK;
}

void an_apple_free_request(an_request *r)
{
    evaluation *e = ((an_apple_request *)r)->e;
    if (!e) return;
    an_worker *worker = e->fw->worker;
    if (e->request) an_worker_do(worker, "evaluate", drop_request, e, NULL);
    if (!an_worker_is_dead(worker)) free_evaluation(e);
}

static void start(void *ctx)
{
    evaluation *e = ctx;
    an_worker_post(e->fw->worker, &e->turn);
}

an_work an_apple_work(an_request *r)
{
    evaluation *e = ((an_apple_request *)r)->e;
    const an_program *p = r->program;
    int at = 0;
    e->program = ((const an_apple_program *)p)->loaded;
    e->foreign = NULL;
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < p->n_ports[side]; i++) {
            void *object =
                an_apple_surface_object(r->surfaces[side][i], p->engine);
            if (!object) e->foreign = p->ports[side][i].name;
            e->objects[at++] = object;
        }
    return (an_work){.ctx = e, .start = start};
}

an_status an_apple_profile(an_request *r, an_error *err)
{
    evaluation *e = ((an_apple_request *)r)->e;
    if (!e->stats) e->stats = an_stats_new(r->program);
    return e->stats ? AN_OK : an_fail(err, AN_ENOMEM, "profile: no memory");
}

bool an_apple_step(const an_request *r, int i, an_profiled_step *out)
{
    return an_stats_step(((const an_apple_request *)r)->e->stats, r, i, out);
}
