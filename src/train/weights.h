/*
 * A model's tensors: masters, and of the trained ones gradients and moments
 * (float, or double in exact runs), each in the parameter's shape, and the
 * copies that engines read.
 *
 * A master is a surface over its memory, so that programs whose port has the
 * master's type and layout (the head on `cpu`) read it in place; for others
 * there is one placed copy in the port's type and strides, which the optimizer
 * keeps equal to the rounded master.
 */
#ifndef AN_TRAIN_WEIGHTS_H
#define AN_TRAIN_WEIGHTS_H

#include "anemone/engine.h"
#include "anemone/model.h"
#include "base/pool.h"
#include "base/arena.h"
#include "base/safetensors.h"
#include "model/weight_file.h"

typedef enum an_weights_use {
    AN_WEIGHTS_RUN,
    AN_WEIGHTS_TRAIN,
    AN_WEIGHTS_NONE, /* made later, if at all */
} an_weights_use;

typedef struct an_weight {
    const an_model_param *param;
    size_t n;           /* rows x columns */
    void *master;       /* [rows, columns] */
    an_surface *shared; /* over master; its fence orders the master */
    void *grad, *m, *v; /* the same shape; NULL when frozen or not training */
    an_fence grad_fence;
    an_surface *placed; /* NULL: engines read `shared` */
    an_port port;       /* layout of `placed` */
} an_weight;

typedef struct an_weights {
    an_dtype dtype; /* AN_FP32 or AN_FP64 */
    an_engine *cpu; /* owner of the shared surfaces */
    an_weight *list;
    int n;
} an_weights;

an_status an_weights_new(const an_model *model, an_dtype dtype,
                         an_weights_use use, an_engine *cpu, an_weights **out,
                         an_error *err);
void an_weights_free(an_weights *w);
size_t an_weights_bytes(const an_weights *w); /* masters and placed copies */
/* Gradients and moments; and the elements that are trained, as files count
 * them. */
size_t an_weights_optimizer_bytes(const an_weights *w);
int64_t an_weights_trained(const an_weights *w);

/* First values of a set, as the model says; fp32 values in fp64 runs too. */
an_status an_weights_init(an_weights *w, an_param_set set,
                          const an_model *model, uint64_t seed,
                          struct an_pool *pool, an_error *err);

/* The surface to bind at `port` of a program of `engine`: the master's, or a
 * copy made now in the port's layout. */
an_status an_weight_surface(an_weights *w, int i, an_engine *engine,
                            const an_port *port, an_surface **out,
                            an_error *err);
/* Writes rows [begin, end) of the placed copy, if there is one, from the
 * master. */
void an_weight_publish(const an_weights *w, int i, int64_t begin, int64_t end);
void an_weights_publish(an_weights *w); /* all of it */
/* The gradient is zero where rows [begin, end) are of no part. */
void an_weight_clear_gaps(const an_weights *w, int i, int64_t begin,
                          int64_t end);
/* The whole master, rounded to `dtype`, dense. */
void an_weight_copy(const an_weights *w, int i, an_dtype dtype, void *to);

/* A number that follows from all bits of the model's own masters. */
uint64_t an_weights_digest(const an_weights *w);

/* The tensors of a weight file: parts of every parameter, in an order fixed by
 * the model. The caller frees the list with an_free; data is borrowed. */
typedef enum an_weights_what {
    AN_WEIGHTS_MASTER,
    AN_WEIGHTS_M,
    AN_WEIGHTS_V,
} an_weights_what;
/* Names get `prefix` in front, kept in `arena`. Appends to list. */
an_status an_weights_tensors(const an_weights *w, an_weights_what what,
                             an_param_set set, const char *prefix,
                             an_arena *arena, an_st_tensor *list, int *n,
                             an_error *err);
int an_weights_n_tensors(const an_weights *w, an_param_set set);
/* Reads all parts of the set: every tensor must be there with the right shape,
 * and no other; elements are converted. */
an_status an_weights_load(an_weights *w, an_weights_what what, an_param_set set,
                          const an_model *model, an_weight_file *from,
                          an_error *err);

#endif
