/*
 * Shared between threads, under the one mutex: the queue, the running call,
 * dead and stop. A dead worker is abandoned with its threads.
 */
#include "engine/apple/worker.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { STACK_BYTES = 8 << 20, LOOK_MS = 100 };

struct an_worker {
    pthread_mutex_t mutex;
    pthread_cond_t work, tick, done;
    pthread_t thread, watch;
    an_worker_hooks hooks;
    an_turn *first, *last, *running;
    double since, limit;
    bool stop, dead;
    char dead_text[128];
};

static an_turn *pop(an_worker *w)
{
    an_turn *t = w->first;
    w->first = t->next;
    if (!w->first) w->last = NULL;
    return t;
}

static void end_dead(const an_worker *w, an_turn *t)
{
    an_error err = {0};
    an_fail(&err, AN_EENGINE, "%s: the engine is dead: %s", t->what,
            w->dead_text);
    t->ended(t, AN_EENGINE, &err);
}

/* Runs a call without the mutex; false: the engine died meanwhile, and nothing
 * of the call may be touched, which is why it is copied. */
static bool run_one(an_worker *w, an_turn *t)
{
    an_error err = {0};
    const an_turn call = *t;
    w->running = t;
    w->since = an_clock();
    pthread_mutex_unlock(&w->mutex);
    an_status s = call.run(call.ctx, &err);
    pthread_mutex_lock(&w->mutex);
    if (w->dead) return false;
    w->running = NULL;
    pthread_mutex_unlock(&w->mutex);
    t->ended(t, s, &err);
    pthread_mutex_lock(&w->mutex);
    return !w->dead;
}

static void *work(void *arg)
{
    an_worker *w = arg;
    bool lives = true;
    if (w->hooks.enter) w->hooks.enter(w->hooks.ctx);
    pthread_mutex_lock(&w->mutex);
    while (lives && (w->first || !w->stop)) {
        if (w->first)
            lives = run_one(w, pop(w));
        else
            pthread_cond_wait(&w->work, &w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    if (lives && w->hooks.leave) w->hooks.leave(w->hooks.ctx);
    return NULL;
}

/* The running call and all that wait fail. */
static void die(an_worker *w)
{
    an_turn *hung = w->running;
    w->dead = true;
    w->running = NULL;
    size_t n = sizeof w->dead_text;
    snprintf(w->dead_text, n, "%s did not return within %g s", hung->what,
             w->limit);
    pthread_mutex_unlock(&w->mutex);
    end_dead(w, hung);
    pthread_mutex_lock(&w->mutex);
    while (w->first) {
        an_turn *t = pop(w);
        pthread_mutex_unlock(&w->mutex);
        end_dead(w, t);
        pthread_mutex_lock(&w->mutex);
    }
}

static void *watch(void *arg)
{
    an_worker *w = arg;
    pthread_mutex_lock(&w->mutex);
    while (!w->stop && !w->dead) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&w->tick, &w->mutex, &until);
        if (w->running && an_clock() - w->since > w->limit) die(w);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static int start(an_worker *w)
{
    pthread_attr_t attr;
    int failed = pthread_attr_init(&attr);
    if (failed) return failed;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    failed = pthread_create(&w->thread, &attr, work, w);
    pthread_attr_destroy(&attr);
    if (failed) return failed;
    failed = pthread_create(&w->watch, NULL, watch, w);
    if (!failed) return 0;
    pthread_mutex_lock(&w->mutex);
    w->stop = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    return failed;
}

static void destroy(an_worker *w)
{
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->tick);
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->mutex);
    an_free(w);
}

an_status an_worker_open(double limit_seconds, an_worker_hooks hooks,
                         an_worker **out, an_error *err)
{
    an_worker *w = an_alloc(sizeof *w);
    if (!w) return an_fail(err, AN_ENOMEM, "engine: no memory");
    w->limit = limit_seconds;
    w->hooks = hooks;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->tick, NULL);
    pthread_cond_init(&w->done, NULL);
    int failed = start(w);
    if (failed) {
        destroy(w);
        return an_fail(err, AN_ENOMEM, "engine: no thread: %s",
                       strerror(failed));
    }
    *out = w;
    return AN_OK;
}

void an_worker_close(an_worker *w)
{
    if (!w) return;
    pthread_mutex_lock(&w->mutex);
    bool dead = w->dead;
    w->stop = true;
    pthread_cond_signal(&w->work);
    pthread_cond_signal(&w->tick);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->watch, NULL);
    if (dead || an_worker_is_dead(w)) {
        pthread_detach(w->thread);
        return;
    }
    pthread_join(w->thread, NULL);
    destroy(w);
}

bool an_worker_is_dead(an_worker *w)
{
    pthread_mutex_lock(&w->mutex);
    bool dead = w->dead;
    pthread_mutex_unlock(&w->mutex);
    return dead;
}

void an_worker_post(an_worker *w, an_turn *turn)
{
    turn->next = NULL;
    pthread_mutex_lock(&w->mutex);
    bool dead = w->dead;
    if (!dead) {
        if (w->last)
            w->last->next = turn;
        else
            w->first = turn;
        w->last = turn;
        pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->mutex);
    if (dead) end_dead(w, turn);
}

/* ---- calls that are waited for ---- */

typedef struct waited {
    an_turn turn; /* first: `ended` gets its address */
    an_worker *worker;
    an_status status;
    an_error error;
    bool done;
} waited;

static void end_waited(an_turn *turn, an_status s, const an_error *err)
{
    waited *c = (waited *)turn;
    an_worker *w = c->worker;
    pthread_mutex_lock(&w->mutex);
    c->status = s;
    c->error = *err;
    c->done = true;
    pthread_cond_broadcast(&w->done);
    pthread_mutex_unlock(&w->mutex);
}

an_status an_worker_do(an_worker *w, const char *what,
                       an_status (*run)(void *ctx, an_error *err), void *ctx,
                       an_error *err)
{
    waited c = {
        .turn = {.what = what, .run = run, .ended = end_waited, .ctx = ctx},
        .worker = w};
    an_worker_post(w, &c.turn);
    pthread_mutex_lock(&w->mutex);
    while (!c.done)
        pthread_cond_wait(&w->done, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
    if (c.status != AN_OK && err && err->code == AN_OK) *err = c.error;
    return c.status;
}
