/* Tables of fp16 functions; see table.h. */
#include "engine/soft/table.h"

#include "base/alloc.h"

#include <string.h>

enum { N_HALVES = 65536, MAX_TABLES = 64 };

typedef struct an_table {
    struct an_table *next;
    an_scalar fn;
    double constants[2];
    uint16_t bits[N_HALVES];
} an_table;

void an_tables_free(an_soft_engine *engine)
{
    for (an_table *t = engine->tables, *next; t; t = next) {
        next = t->next;
        an_free(t);
    }
    an_free(engine->exponentials);
}

static void fill(an_table *t, const an_num *num)
{
    for (int i = 0; i < N_HALVES; i++) {
        double x = num->load((uint16_t)i);
        double y = num->scalar(num, t->fn, x, t->constants[0], t->constants[1],
                               AN_FP16, AN_FP16);
        t->bits[i] = num->store(y);
    }
}

static const uint16_t *find(an_soft_engine *e, const an_num *num, an_scalar fn,
                            const double constants[2])
{
    int n = 0;
    for (an_table *t = e->tables; t; t = t->next, n++)
        if (t->fn == fn &&
            memcmp(t->constants, constants, sizeof t->constants) == 0)
            return t->bits;
    if (n == MAX_TABLES) return NULL;
    an_table *t = an_alloc(sizeof *t);
    if (!t) return NULL;
    t->fn = fn;
    memcpy(t->constants, constants, sizeof t->constants);
    fill(t, num);
    t->next = e->tables;
    e->tables = t;
    return t->bits;
}

static double *new_exponentials(const an_num *num)
{
    double *e = an_alloc_array(N_HALVES, sizeof *e);
    for (int i = 0; e && i < N_HALVES; i++)
        e[i] = num->scalar(num, AN_SCALAR_exp, num->load((uint16_t)i), 0, 0,
                           AN_FP16, AN_FP64);
    return e;
}

const double *an_table_exponentials(const an_plan *plan)
{
    an_soft_engine *engine = plan->engine;
    pthread_mutex_lock(&engine->base.mutex);
    if (!engine->exponentials)
        engine->exponentials = new_exponentials(&plan->numerics->num);
    const double *e = engine->exponentials;
    pthread_mutex_unlock(&engine->base.mutex);
    return e;
}

const uint16_t *an_table_get(const an_plan *plan, an_scalar fn, double b,
                             double c)
{
    double constants[2] = {b, c};
    pthread_mutex_lock(&plan->engine->base.mutex);
    const uint16_t *bits =
        find(plan->engine, &plan->numerics->num, fn, constants);
    pthread_mutex_unlock(&plan->engine->base.mutex);
    return bits;
}
