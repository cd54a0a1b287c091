/* The software engine's own part of an engine. */
#ifndef AN_ENGINE_SOFT_ENGINE_H
#define AN_ENGINE_SOFT_ENGINE_H

#include "engine/impl.h"
#include "engine/soft/numerics.h"

typedef struct an_soft_engine {
    an_engine base;
    an_soft_numerics numerics;
    struct an_table *tables; /* of fp16 functions, see table.h */
    double *exponentials;    /* of all fp16 values, see table.h */
} an_soft_engine;

/* Frees an engine's tables (table.c). */
void an_tables_free(an_soft_engine *engine);

#endif
