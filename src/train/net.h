/*
 * A model placed on engines for one batch and sequence: its programs, the
 * surfaces between them, and the stages of a micro-batch in order.
 *
 * Programs are shared by equal layers, unless weights are constants in them;
 * the backward pass ends at the lowest block that something is trained in or
 * below. Every layer has surfaces of its own for
 * what the backward pass reads, and two sets of surfaces, used in turn, for
 * what passes by. Nothing is allocated after an_net_new.
 */
#ifndef AN_TRAIN_NET_H
#define AN_TRAIN_NET_H

#include "lower/dump.h"
#include "train/stages.h"
#include "train/weights.h"

typedef enum an_net_use { AN_NET_FORWARD, AN_NET_TRAIN } an_net_use;

typedef struct an_net_options {
    const an_model *model;
    an_weights *weights;
    an_engine *engine; /* of the blocks */
    an_engine *cpu;    /* of the head */
    struct an_pool *pool;
    an_dtype dtype; /* of the blocks: fp16, fp32, fp64 */
    int columns;    /* ports are padded to a multiple of this */
    an_dump *dump;  /* NULL: none */
    int64_t batch, sequence;
    an_net_use use;
    an_weight_mode mode;
    double loss_scale; /* TRAIN: of dlogits; changed by an_net_set_scale */
    /* TRAIN: magnitude at which the engine's products saturate. */
    double product_limit;
} an_net_options;

typedef struct an_net an_net;

an_status an_net_new(const an_net_options *options, an_net **out,
                     an_error *err);
void an_net_free(an_net *net);

/* Filled in by the caller before a run: batch x sequence ids, sequence-major.
 * A target below 0 counts nothing. */
int32_t *an_net_inputs(an_net *net);
int32_t *an_net_targets(an_net *net);
void an_net_set_scale(an_net *net, double loss_scale);

/* After the weights changed: programs that hold them as constants are compiled
 * or loaded again; nothing to do for streamed weights. The first reload of a
 * net is checked by value. */
an_status an_net_refresh(an_net *net, an_error *err);
/* How many compiles a refresh takes. */
int an_net_refresh_compiles(const an_net *net);

/* One micro-batch: forward, loss, backward, gradients added to the weights'.
 * *nats is the sum over all targets. */
an_status an_net_step(an_net *net, double *nats, an_error *err);
/* Forward and loss alone. */
an_status an_net_loss(an_net *net, double *nats, an_error *err);
/* Forward alone; the logits stay valid until the next run. */
an_status an_net_forward(an_net *net, an_matrix *logits, an_error *err);

/* Of the last micro-batch: which tensor that came back from the engine was
 * nearest to its limit, among adjoints or among all. tensor NULL: none. */
an_peak an_net_peak(const an_net *net, an_peak_of what);

typedef struct an_net_facts {
    an_weight_mode mode;  /* that came of the options' */
    int programs;         /* compiled */
    int programs_wanted;  /* by the options' mode */
    int evaluations;      /* per micro-batch */
    double flops;         /* per micro-batch, all stages */
    size_t surface_bytes; /* beside the weights' */
    size_t work_bytes;    /* of programs and contractions */
} an_net_facts;
void an_net_get_facts(const an_net *net, an_net_facts *out);

/* The stages of a micro-batch, for progress, trace and cost. */
int an_net_n_stages(const an_net *net);
const an_stage *an_net_stage(const an_net *net, int i);
/* Busy seconds of the stage's last run. */
double an_stage_seconds(const an_stage *s);

#endif
