/*
 * What stands behind the engine interface's handles. The one engine so far is
 * the software one; programs and their plans are in engine/soft/.
 *
 * Shared between threads: an engine's table list and program count, under its
 * mutex. Everything else is ordered by fences (base/pool.h).
 */
#ifndef AN_ENGINE_IMPL_H
#define AN_ENGINE_IMPL_H

#include "anemone/engine.h"
#include "base/pool.h"
#include "chip/chips.h"
#include "engine/limits.h"
#include "engine/soft/numerics.h"

#include <pthread.h>

struct an_engine {
    char name[32]; /* "soft:m4" */
    const an_chip *chip;
    an_soft_numerics numerics;
    an_pool *pool;
    an_pool *own_pool; /* the same when we opened it, else NULL */
    pthread_mutex_t mutex;
    struct an_table *tables; /* of fp16 functions, see soft/table.h */
    an_limits limits;
    double *exponentials; /* of all fp16 values, see soft/table.h */
    int n_programs;       /* live */
    int n_compiles;       /* since the engine was opened: a process opens one */
};

struct an_surface {
    an_engine *engine;
    void *data;
    size_t size_bytes;
    void *owned; /* data when it is ours, else NULL */
    an_fence fence;
};

/* Frees an engine's tables (soft/table.c). */
void an_tables_free(an_engine *engine);

#endif
