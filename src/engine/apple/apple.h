/*
 * The engine that drives Apple's private framework, or the replica of it. The
 * in-memory path: descriptor, model, a folder with model.mil and weights,
 * compile, load, evaluate, unload, purge.
 *
 * What a call to the framework may touch is in structs of its own, apart from
 * the interface's handles, because a dead engine (worker.h) never frees them.
 */
#ifndef AN_ENGINE_APPLE_APPLE_H
#define AN_ENGINE_APPLE_APPLE_H

#include "engine/apple/bind.h"
#include "engine/apple/folder.h"
#include "engine/apple/handed.h"
#include "engine/apple/verdict.h"
#include "engine/apple/worker.h"
#include "engine/impl.h"

typedef struct an_framework {
    an_objc objc;
    an_worker *worker;
    an_folders folders; /* journal "" before the first program */
    an_limits limits;
    double memory_bytes; /* for surfaces; 0: not told */
    /* Of evaluations, and of those that are profiled; retained. */
    void *options, *stats_options;
    an_findings found; /* of the self-test; zeros: it was not run */
    /* The worker's. */
    an_route route;             /* AN_ROUTE_AUTO: not found yet */
    size_t surface_bytes;       /* of all surfaces */
    struct an_loaded *programs; /* that are not dropped */
    unsigned long clock;        /* of their uses */
} an_framework;

typedef struct an_apple {
    an_engine base;
    an_framework *fw;
} an_apple;

/* How a program's symbol is bound and laid out. */
typedef struct an_symbol {
    int index;
    bool told;                                 /* by the loaded program */
    size_t row_bytes, plane_bytes, size_bytes; /* 0: not told */
} an_symbol;

/* A program of the framework: loaded, or parked and compiled. */
typedef struct an_loaded {
    an_framework *fw;
    struct an_loaded *next;
    void *object; /* _ANEInMemoryModel, retained; NULL: nothing is loaded */
    char identifier[256];
    bool parked;           /* unloaded to make room */
    unsigned long used;    /* the clock at its last use */
    an_symbol *symbols[2]; /* by an_port_side, in the order of the text */
    int n_symbols[2];
} an_loaded;

typedef enum an_load_way { AN_LOAD_COMPILED, AN_LOAD_ALONE } an_load_way;

/* What is to be loaded; all of it borrowed until the call has ended. */
typedef struct an_loading {
    an_loaded *out;
    an_load_way way;
    an_handed handed;
    const an_port *ports[2];
} an_loading;

/* For the worker's thread (an_worker_do): load.c. */
an_status an_loaded_make(void *loading, an_error *err);
/* Unloads, has the system forget the compiled form, releases. */
an_status an_loaded_drop(void *loaded, an_error *err);
an_loaded *an_loaded_new(an_framework *fw, int n_in, int n_out);
void an_loaded_free(an_loaded *l); /* memory only */

/* live.c: compile and load with patience, other programs making room. */
an_status an_live_compile(an_framework *fw, void *model, an_error *err);
an_status an_live_load(an_framework *fw, void *model, an_error *err);
void an_live_add(an_loaded *l);
void an_live_remove(an_loaded *l);
/* Unloads the model and has the system forget its compiled form. */
void an_live_discard(an_loaded *l, void *model);
/* Before each evaluation: loads again what made room. */
an_status an_live_wake(an_loaded *l, an_error *err);

/* attributes.c: the symbols' order and strides as the loaded program tells
 * them; by name where it tells nothing. */
an_status an_loaded_read_symbols(an_loaded *l, const an_port *const ports[2],
                                 an_error *err);

/* stats.c: time on the engine. */
typedef struct an_stats an_stats;
/* Options of an evaluation that is to have it; of the pool that is open. */
void *an_stats_options(const an_objc *o);
an_stats *an_stats_new(const an_program *p); /* an_free; NULL: no memory */
/* After an evaluation, on the worker's thread. */
void an_stats_take(an_stats *stats, const an_objc *o, void *request);
bool an_stats_step(const an_stats *stats, const an_request *r, int i,
                   an_profiled_step *out);

/* The rows of the kind, file by file. */
an_status an_apple_compile(an_program *p, const an_source *source,
                           an_error *err);
void an_apple_free_program(an_program *p);
an_status an_apple_reload(an_program *p, const an_blob *blobs, int n_blobs,
                          an_error *err);
an_status an_apple_make_surface(an_surface *s, an_error *err);
void an_apple_free_surface(an_surface *s);
an_status an_apple_lock_surface(an_surface *s, an_lock_mode mode,
                                an_error *err);
void an_apple_unlock_surface(an_surface *s, an_lock_mode mode);
/* The _ANEIOSurfaceObject; NULL: not a surface of this engine. */
void *an_apple_surface_object(const an_surface *s, const an_engine *e);
an_status an_apple_make_request(an_request *r, an_error *err);
void an_apple_free_request(an_request *r);
an_work an_apple_work(an_request *r);
an_status an_apple_profile(an_request *r, an_error *err);
bool an_apple_step(const an_request *r, int i, an_profiled_step *out);
/* Can evaluations go through the client? */
bool an_apple_has_client(const an_objc *o);

typedef struct an_apple_program {
    an_program base;
    an_loaded *loaded;
    bool counted; /* among the live programs */
} an_apple_program;

typedef struct an_apple_request {
    an_request base;
    struct an_evaluation *e;
} an_apple_request;

#endif
