/*
 * The CPU's stages of a training step, as jobs of the pool: what is not MIL.
 * Each is set up once over fixed memory and submitted every step.
 */
#ifndef AN_TRAIN_STAGES_H
#define AN_TRAIN_STAGES_H

#include "anemone/engine.h"
#include "base/pool.h"
#include "train/scale.h"

/* Rows of elements in memory: a port's surface, or a tensor of the trainer. */
typedef struct an_matrix {
    void *data;
    an_dtype dtype; /* fp16, fp32, fp64 */
    int64_t rows, columns;
    size_t row_bytes;
} an_matrix;

double an_matrix_get(const an_matrix *m, int64_t row, int64_t column);
/* Rounded once to the matrix's type. */
void an_matrix_put(const an_matrix *m, int64_t row, int64_t column, double x);

enum { AN_STAGE_ACCESSES = 4 };

/* A tensor that comes back from an engine. */
typedef struct an_watch {
    const char *tensor; /* NULL: not watched */
    const char *op;     /* that made it */
    const char *block;
    int layer;
    double limit; /* magnitude at which that op saturates */
    bool adjoint;
} an_watch;

typedef enum an_stage_kind {
    AN_STAGE_PROGRAM,   /* an evaluation of an engine */
    AN_STAGE_EMBED,     /* x0 = E[token] (+ P[position]), into columns */
    AN_STAGE_LOSS,      /* loss, and logits become dlogits */
    AN_STAGE_LOSS_ONLY, /* loss; logits stay */
    AN_STAGE_CONTRACT,  /* dW += L R */
    AN_STAGE_ADD,       /* dw += a program's small gradient */
    AN_STAGE_SCATTER,   /* dE[token] += dx0 */
} an_stage_kind;

typedef struct an_stage {
    an_stage_kind kind;
    const char *name;    /* of the block, or of the kind */
    int layer;           /* -1: none */
    an_request *request; /* PROGRAM */
    an_job job;          /* the others */
    an_access access[AN_STAGE_ACCESSES];
    double flops;
    /* Operands by kind:
     *   EMBED     a = E [V, D], b = P [P, D] or no data, out = x0 [D, N]
     *   LOSS      out = logits [V, N]
     *   CONTRACT  a = L, b = R, out = dW [M, N] of the trainer
     *   ADD       a = the gradient [M, N], out = dW [M, N]
     *   SCATTER   a = dx0 [D, N], out = dE [V, D], or dP by positions */
    an_matrix a, b, out;
    bool transpose_a, transpose_b;
    const int32_t *tokens;    /* EMBED, SCATTER: [N]; LOSS: targets */
    const int32_t *positions; /* EMBED with b: [N] */
    double scale;             /* LOSS: of dlogits */
    double *partial;          /* LOSS: nats per tile */
    /* CONTRACT, ADD, SCATTER over fp16: the largest magnitudes of a and b as
     * bits, two per worker, and who they are. */
    int16_t *peaks;
    int n_workers;
    an_watch watch_a, watch_b;
    /* CONTRACT: fp32 room for the right operand, and per worker for a tile of
     * the left one. */
    float *right, *left;
    size_t left_size; /* floats per worker */
} an_stage;

/* Tiles of a LOSS stage: how long `partial` is. */
int an_stage_loss_tiles(int64_t columns);
/* Floats per worker that a CONTRACT stage over K columns needs. */
size_t an_stage_left_size(int64_t k);

/* Sets up the job with accesses to the fences (NULL entries are left out). */
void an_stage_init(an_stage *s, struct an_fence *const *fences,
                   const an_mode *modes, int n);

/* The operand of the stage's last run that came nearest to its limit replaces
 * *peak when it is nearer. */
typedef enum an_peak_of { AN_PEAK_ADJOINTS, AN_PEAK_ALL } an_peak_of;
void an_stage_peak(const an_stage *s, an_peak_of what, an_peak *peak);

/* Adds up a LOSS stage's partial sums, in order. */
double an_stage_loss(const an_stage *s);

#endif
