/*
 * A plan: what a program does at every evaluation, decided once.
 *
 * Buffers are pieces of memory: a port's surface, a constant, or a part of the
 * program's workspace that lives from its first step to its last. Every value
 * has a place in a buffer; views share their operand's, and producers write
 * where consumers want the result (place.c). Steps run one after the other;
 * each has phases, each phase a number of tiles that follows from shapes.
 *
 * All memory of a plan is its program's arena.
 */
#ifndef AN_ENGINE_SOFT_PLAN_H
#define AN_ENGINE_SOFT_PLAN_H

#include "engine/soft/engine.h"
#include "engine/soft/layout.h"
#include "engine/soft/numerics.h"

typedef enum an_buffer_kind {
    AN_BUFFER_INPUT,  /* port's surface, read */
    AN_BUFFER_OUTPUT, /* port's surface, written */
    AN_BUFFER_CONST,  /* data */
    AN_BUFFER_WORK,   /* workspace + offset */
} an_buffer_kind;

typedef struct an_buffer {
    an_buffer_kind kind;
    int port;
    const void *data;
    size_t size_bytes; /* WORK; CONST: of a weight file's tensor, else 0 */
    size_t offset;     /* WORK */
    int first, last;   /* WORK: steps of its life; first -1: unused */
} an_buffer;

/* Memory of one evaluation, as tiles see it. */
typedef struct an_exec {
    unsigned char *const *bases; /* per buffer */
    unsigned char *scratch;      /* of worker 0 */
    size_t scratch_bytes;        /* per worker */
} an_exec;

enum { AN_STEP_PHASES = 3 };
typedef struct an_step an_step;
typedef an_status an_step_run(const an_step *step, const an_exec *exec,
                              int phase, int tile, int worker, an_error *err);
struct an_step {
    an_step_run *run;
    const char *kind; /* for traces and tests: "chain", "product", ... */
    int n_phases, tiles[AN_STEP_PHASES];
    size_t scratch_bytes; /* per worker */
    bool moves;           /* moves elements, computes nothing */
    /* What it computes; set by an_plan_append. None: a copy to a result. */
    const an_node *const *nodes;
    int n_nodes;
};

typedef struct an_plan {
    an_arena *arena;
    an_soft_engine *engine;
    const an_function *function;
    const an_source *source; /* of weight files; NULL after the build */
    struct an_cache *caches; /* of reference steps, see reference.c */
    const an_soft_numerics *numerics;
    an_buffer *buffers;
    int n_buffers;
    size_t cap_buffers;
    an_step **steps;
    int n_steps;
    size_t cap_steps;
    const an_node *const *nodes; /* of the steps being added */
    int n_nodes;
    an_place *places; /* by value id; buffer -1: none yet */
    int *n_readers;   /* by value id: of live nodes, and of results */
    bool *skipped;    /* by value id: never made, see narrow.h */
    size_t work_bytes, scratch_bytes;
} an_plan;

/*
 * Plans a verified function whose places of parameters (input buffers) are
 * set, and whose results are to be stored at `results`.
 */
an_status an_plan_build(an_plan *plan, const an_place *results, an_error *err);
/* Frees the growing arrays; the arena is the caller's. */
void an_plan_fini(an_plan *plan);

/* ---- for the files that make steps ---- */

/* Elements of `dtype` of a new work buffer; -1 without memory. */
int an_plan_buffer(an_plan *plan, an_dtype dtype, int64_t count);
/* A new buffer of another kind; -1 without memory. */
int an_plan_add_buffer(an_plan *plan, an_buffer buffer);
/* Notes that the coming step touches a buffer. */
void an_plan_touch(an_plan *plan, int buffer);
/* Allocates a step of `bytes`; NULL without memory. */
void *an_plan_alloc(an_plan *plan, size_t bytes);
/* Appends a step for the plan's current nodes; false without memory. */
bool an_plan_append(an_plan *plan, an_step *step);
an_status an_plan_no_memory(an_error *err);

/* How a value is stored: its own type, or what the numerics widen it to. */
an_dtype an_plan_dtype(const an_plan *plan, an_dtype dtype);
/* Where an operand is: a computed value or a constant. */
an_status an_plan_operand(an_plan *plan, const an_value *v, an_place *out,
                          an_error *err);
/* Where a result shall be written: as decided before, else a dense buffer. */
an_status an_plan_result(an_plan *plan, const an_value *v, an_place *out,
                         an_error *err);

/* place.c: decides places from the results backwards. */
an_status an_plan_place(an_plan *plan, const an_place *results, an_error *err);
/* place.c: does this node only move elements? Then *out says how. */
bool an_plan_view(const an_plan *plan, const an_node *node, an_view *out);
an_status an_plan_add_view(an_plan *plan, const an_node *node,
                           const an_view *view, an_error *err);

/* copy.c: elements of one place to another of the same dimensions. */
an_status an_plan_add_copy(an_plan *plan, const an_place *from,
                           const an_place *to, an_error *err);
/* The same through a slice of the numerics' chip (an_hw_slice). */
an_status an_plan_add_slice(an_plan *plan, const an_place *from,
                            const an_place *to, an_error *err);
/* reference.c: the row's kernel on dense doubles. */
an_status an_plan_add_reference(an_plan *plan, const an_node *node,
                                an_error *err);
void an_caches_free(struct an_cache *caches);
/* Each of the following may find that it is not for this node: *done stays
 * false. */
an_status an_plan_add_product(an_plan *plan, const an_node *node, bool *done,
                              an_error *err);
an_status an_plan_add_rows(an_plan *plan, const an_node *node, bool *done,
                           an_error *err);
/* Can this node be part of a chain of element-wise operations? */
bool an_plan_chains(const an_plan *plan, const an_node *node);
/* chain.c: nodes of one shape, in order, as one pass. */
an_status an_plan_add_chain(an_plan *plan, const an_node *const *nodes, int n,
                            an_error *err);
#endif
