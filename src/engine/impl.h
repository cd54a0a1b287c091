/*
 * What stands behind the engine interface's handles. A kind of engine is one
 * row of functions; engine.c lists the rows. The handles begin with what all
 * kinds share, and a kind's own follows: soft/ and apple/ have structs whose
 * first member is one of these.
 *
 * Shared between threads: an engine's counts and lists, under its mutex.
 * Everything else is ordered by fences (base/pool.h).
 */
#ifndef AN_ENGINE_IMPL_H
#define AN_ENGINE_IMPL_H

#include "anemone/engine.h"
#include "base/arena.h"
#include "base/pool.h"
#include "chip/chips.h"
#include "engine/limits.h"
#include "mil/ir.h"

#include <pthread.h>

typedef struct an_engine_kind an_engine_kind;

struct an_engine {
    const an_engine_kind *kind;
    char name[32]; /* "soft:m4" */
    const an_chip *chip;
    an_pool *pool;
    an_pool *own_pool; /* the same when we opened it, else NULL */
    pthread_mutex_t mutex;
    an_limits limits;
    bool own_numerics; /* those of the options do not count */
    int n_programs;    /* live */
    int n_compiles;    /* since the engine was opened: a process opens one */
};

struct an_surface {
    an_engine *engine;
    void *data;
    size_t size_bytes;
    void *owned; /* the kind's handle of memory that is ours, else NULL */
    an_fence fence;
};

struct an_program {
    an_engine *engine;
    an_arena arena;
    char *text; /* of the source, for a reload */
    size_t text_size;
    char *function_name; /* as asked for; NULL: not named */
    an_module *module;
    an_function *function;
    an_port *ports[2]; /* by an_port_side */
    int n_ports[2];
    an_fence fence; /* evaluations come one after the other */
    double flops;
};

struct an_request {
    an_program *program;
    an_surface **surfaces[2]; /* by side and port; NULL: not bound */
    an_access *access;
    an_job job;
};

struct an_engine_kind {
    size_t engine_bytes, program_bytes, request_bytes;
    bool reload_counts; /* as a compile */
    /* The chip of an engine's name (settings cut off); NULL: not of this kind.
     */
    const an_chip *(*find)(const char *name);
    /* What is shared is filled in. */
    an_status (*open)(an_engine *e, const an_engine_options *o, an_error *err);
    void (*close)(an_engine *e);
    /* The source's text is kept already. After a failure free_program is called
     * as well. */
    an_status (*compile)(an_program *p, const an_source *source, an_error *err);
    void (*free_program)(an_program *p);
    an_status (*reload)(an_program *p, const an_blob *blobs, int n_blobs,
                        an_error *err);
    size_t (*work_bytes)(const an_program *p);
    /* Sets data and owned of a surface of size_bytes. */
    an_status (*make_surface)(an_surface *s, an_error *err);
    void (*free_surface)(an_surface *s);
    an_status (*lock_surface)(an_surface *s, an_lock_mode mode, an_error *err);
    void (*unlock_surface)(an_surface *s, an_lock_mode mode);
    an_status (*make_request)(an_request *r, an_error *err);
    void (*free_request)(an_request *r);
    /* What the pool runs for an evaluation; surfaces are bound. */
    an_work (*work)(an_request *r);
    an_status (*profile)(an_request *r, an_error *err);
    bool (*step)(const an_request *r, int i, an_profiled_step *out);
};

extern const an_engine_kind an_engine_soft, an_engine_apple;
/* Would `apple` open Apple's own framework, not a replica? */
bool an_apple_is_own(void);

/* ---- for kinds: program.c ---- */

/* Parses the text; then chooses the function; then lays out its ports, rows
 * aligned as the chip wants, and counts its arithmetic. */
an_status an_program_parse(an_program *p, const an_source *source,
                           an_error *err);
an_status an_program_choose(an_program *p, const an_source *source,
                            an_error *err);
an_status an_program_lay_out(an_program *p, an_error *err);

/* Takes one of the compiles, or a place among the live programs; fails as the
 * framework does. A place is given back, a compile is not. */
an_status an_engine_take_compile(an_engine *engine, an_error *err);
an_status an_engine_take_place(an_engine *engine, an_error *err);
void an_engine_give_place(an_engine *engine);

/* Memory of a page's alignment for surfaces that are no more than that. */
an_status an_surface_make_plain(an_surface *s, an_error *err);
void an_surface_free_plain(an_surface *s);

#endif
