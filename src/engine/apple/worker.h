/*
 * One thread that talks to the framework, and one that watches it. Every
 * message is sent by the first: calls run one after the other, in the order
 * they were posted, while the CPU computes. A call that takes longer than the
 * limit makes the engine dead: it and all calls after it fail, and what the
 * call may still use is never freed.
 */
#ifndef AN_ENGINE_APPLE_WORKER_H
#define AN_ENGINE_APPLE_WORKER_H

#include "anemone/status.h"

#include <stdbool.h>

typedef struct an_worker an_worker;
typedef struct an_turn an_turn;

/* A call. Its memory must stay valid until `ended` was called; all that `run`
 * touches forever when the engine is dead. */
struct an_turn {
    const char *what; /* "compile", for errors */
    an_status (*run)(void *ctx, an_error *err);
    /* On the worker's or the watching thread, once. */
    void (*ended)(an_turn *turn, an_status s, const an_error *err);
    void *ctx;
    an_turn *next; /* the worker's */
};

/* What a thread does first and last; NULL: nothing. */
typedef struct an_worker_hooks {
    void (*enter)(void *ctx);
    void (*leave)(void *ctx);
    void *ctx;
} an_worker_hooks;

an_status an_worker_open(double limit_seconds, an_worker_hooks hooks,
                         an_worker **out, an_error *err);
/* Waits for all calls. A dead worker is left as it is. */
void an_worker_close(an_worker *w);
bool an_worker_is_dead(an_worker *w);

/* Allocates nothing; does not block. */
void an_worker_post(an_worker *w, an_turn *turn);
/* Runs and waits; allocates nothing. When the engine is dead afterwards, ctx
 * must not be freed. */
an_status an_worker_do(an_worker *w, const char *what,
                       an_status (*run)(void *ctx, an_error *err), void *ctx,
                       an_error *err);

#endif
