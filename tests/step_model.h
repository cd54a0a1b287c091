/*
 * The models, weights and results of tests/reference/step.py: two layers,
 * "untied" or "tied", one batch of 2 x 32 ids. Failures are cmocka's.
 */
#ifndef STEP_MODEL_H
#define STEP_MODEL_H

#include "anemone/model.h"

#include "base/arena.h"
#include "base/safetensors.h"

enum { STEP_BATCH = 2, STEP_SEQUENCE = 32, STEP_COLUMNS = 64 };

typedef struct step_model {
    an_model *model;
    an_model_facts facts;
    an_st *stored;    /* results; the list stands in step.py */
    double **weights; /* by parameter, as step.py makes them */
    an_arena arena;
} step_model;

void step_model_open(step_model *s, const char *kind);
void step_model_close(step_model *s);
/* The bytes of a stored tensor of this type. */
const void *step_model_tensor(const step_model *s, const char *name,
                              an_dtype dtype);
/* The parameter that a block's port takes; a tied head's is the embedding. */
int step_model_param(const step_model *s, int layer, int block,
                     const char *port);
/* The largest difference, as a share of the largest magnitude of `want`. One
 * above `tolerance` is printed. */
double step_model_error(const char *name, const double *came,
                        const double *want, int64_t n, double tolerance);

#endif
