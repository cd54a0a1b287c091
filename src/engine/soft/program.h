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

struct an_program {
    an_engine *engine;
    char *text; /* of the source, for a reload */
    size_t text_size;
    char *function; /* NULL: not named */
    an_module *module;
    an_arena arena;
    an_plan plan;
    an_port *ports[2]; /* by an_port_side */
    int n_ports[2];
    an_phase *phases;
    int n_phases;
    unsigned char *work, *scratch;
    an_fence fence; /* of work and scratch */
    double flops;
};

/* Of a request whose evaluations are timed. */
typedef struct an_profile {
    an_profiled_step *steps; /* of the plan, seconds not set */
    an_profiled_op *ops;
    double *marks; /* when each phase began, and the end */
} an_profile;

struct an_request {
    an_program *program;
    an_surface **surfaces[2]; /* by side and port; NULL: not bound */
    unsigned char **bases;    /* per buffer of the plan */
    an_access *access;
    an_exec exec;
    an_job job;
    an_profile *profile; /* NULL: not timed */
};

/* profile.c; NULL is allowed. */
void an_profile_free(an_profile *profile);

#endif
