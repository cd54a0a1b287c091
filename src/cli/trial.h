/*
 * Trying programs: is one refused, does its evaluation fail, do its values
 * differ between two places? Tensors that go in and come out have names.
 */
#ifndef AN_CLI_TRIAL_H
#define AN_CLI_TRIAL_H

#include "anemone/engine.h"
#include "lower/bisect.h"

typedef struct an_tensor {
    char *name;
    an_shape shape;
    void *data; /* dense */
} an_tensor;

typedef struct an_tensors {
    an_tensor *items;
    size_t n, capacity;
} an_tensors;

/* Takes data in every case; the name is copied. */
an_status an_tensors_add(an_tensors *list, const char *name,
                         const an_shape *shape, void *data, an_error *err);
/* NULL: there is none. */
const an_tensor *an_tensors_find(const an_tensors *list, const char *name);
void an_tensors_free(an_tensors *list);

/* Where programs run. */
typedef struct an_place {
    const char *engine;
    an_numerics numerics;
} an_place;

typedef enum an_fault_kind {
    AN_FAULT_NONE,
    AN_FAULT_COMPILE, /* the engine refuses the text */
    AN_FAULT_RUN,     /* the evaluation fails */
    AN_FAULT_VALUES,  /* results differ beyond the tolerance */
} an_fault_kind;

typedef struct an_fault {
    an_fault_kind kind;
    an_error error;      /* COMPILE, RUN */
    const char *program; /* its name in the error */
    an_place place;      /* that reports it */
} an_fault;

/* What is wrong, without the name and the position that an error starts with.
 */
const char *an_fault_says(const an_fault *fault);
/* Is b the fault a, or one like it? Like: the same rule, whatever it says. */
bool an_fault_is(const an_fault *a, const an_fault *b, an_likeness likeness);

typedef struct an_trial {
    an_place place;
    const an_place *reference; /* its results are right; NULL: no values are
                                  compared */
    double tolerance;          /* as an_difference_find */
    struct an_pool *pool;
    const an_blob *blobs;
    int n_blobs;
    an_tensors inputs; /* what may be an input, by name */
} an_trial;

/* Compiles and evaluates a program at one place, with inputs of the trial. What
 * the engine objects to is *fault; an error is a failure of ours. */
an_status an_trial_run(const an_trial *t, const an_place *place,
                       const an_source *source, an_tensors *results,
                       an_fault *fault, an_error *err);

/* The first fault of a program, of a kind up to `last`: refused at t->place,
 * evaluation failing there, then values. That the reference refuses what the
 * place takes is a fault too, reported by the reference. */
an_status an_trial_find(const an_trial *t, const an_source *source,
                        an_fault_kind last, an_fault *fault, an_error *err);

#endif
