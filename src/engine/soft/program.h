/*
 * Programs and requests of the software engine. A program is a plan with its
 * memory; it runs one evaluation at a time, in the order of submission: its
 * workspace has a fence like every other memory.
 */
#ifndef AN_ENGINE_SOFT_PROGRAM_H
#define AN_ENGINE_SOFT_PROGRAM_H

#include "engine/soft/plan.h"

/* One phase of one step: what the pool sees as a phase. */
typedef struct an_phase {
    const an_step *step;
    int phase, tiles;
} an_phase;

typedef struct an_soft_program {
    an_program base; /* its fence is that of work and scratch */
    bool placed;     /* counted among the live programs */
    an_plan plan;
    an_phase *phases;
    int n_phases;
    unsigned char *work, *scratch;
} an_soft_program;

/* Of a request whose evaluations are timed. */
typedef struct an_profile {
    an_profiled_step *steps; /* of the plan, seconds not set */
    an_profiled_op *ops;
    double *marks; /* when each phase began, and the end */
} an_profile;

typedef struct an_soft_request {
    an_request base;
    unsigned char **bases; /* per buffer of the plan */
    an_exec exec;
    an_profile *profile; /* NULL: not timed */
} an_soft_request;

/* The functions of an_engine_soft that are not in engine.c. */
an_status an_soft_compile(an_program *p, const an_source *source,
                          an_error *err);
void an_soft_free_program(an_program *p);
an_status an_soft_reload(an_program *p, const an_blob *blobs, int n_blobs,
                         an_error *err);
size_t an_soft_work_bytes(const an_program *p);
an_status an_soft_make_request(an_request *r, an_error *err);
void an_soft_free_request(an_request *r);
an_work an_soft_work(an_request *r);
an_status an_soft_profile(an_request *r, an_error *err);
bool an_soft_step(const an_request *r, int i, an_profiled_step *out);
/* profile.c; NULL is allowed. */
void an_profile_free(an_profile *profile);

#endif
