/*
 * What a trainer and a runner have in common: the engines, the pool, the model
 * with its weights, and the tokenizer.
 */
#ifndef AN_TRAIN_PLACED_H
#define AN_TRAIN_PLACED_H

#include "anemone/train.h"
#include "train/net.h"

typedef struct an_placed {
    struct an_pool *pool;
    an_engine *engine; /* of the blocks */
    an_engine *cpu;    /* of the head */
    an_engine_facts facts;
    an_numerics numerics;
    an_model *model;
    an_model_facts model_facts;
    an_tokenizer *tokenizer;
    an_weights *weights; /* NULL with AN_WEIGHTS_NONE */
    an_dump *dump;       /* of the stages of lowering; NULL: none */
    an_dtype dtype; /* of the blocks: fp16 on a chip, fp32 on `cpu`, fp64 in
                       `exact` */
    int columns;    /* ports' last axis: 32 on a chip, 1 on `cpu` */
    double product_limit; /* magnitude at which products saturate */
} an_placed;

/* Opens engines and pool, and makes weights (values zero) for a model and
 * tokenizer that p has already. an_placed_fini frees all, also after errors. */
an_status an_placed_open(an_placed *p, const char *engine, an_numerics numerics,
                         int threads, an_weights_use use, an_error *err);
void an_placed_fini(an_placed *p);

an_status an_placed_net(const an_placed *p, int64_t batch, int64_t sequence,
                        an_net_use use, an_weight_mode mode, double loss_scale,
                        an_net **out, an_error *err);

/* Whether text can be made: AN_EUNSUPPORTED without a tokenizer, and with one
 * that has more ids than the model. */
an_status an_placed_check_tokenizer(const an_placed *p, an_error *err);

/* What gives logits: a net of one sequence, or a predictor. */
struct an_predictor;
typedef struct an_sample_source {
    an_net *net;
    struct an_predictor *predictor; /* NULL: the net */
    int64_t sequence;               /* the longest window */
} an_sample_source;
an_status an_sample_text(const an_sample_source *from,
                         const an_tokenizer *tokenizer,
                         const an_sample_options *o, an_sample_fn *put,
                         void *ctx, an_error *err);

/* Targets that count: those below 0 do not. */
int64_t an_count_targets(const int32_t *targets, int64_t n);
/* The net's inputs and targets from windows [first, first + batch) of a split's
 * n; beyond the last the last again, with targets that count nothing. */
an_status an_put_windows(an_net *net, const an_dataset *d, an_split split,
                         int64_t first, int64_t n, int64_t batch,
                         int64_t sequence, an_error *err);
/* Mean nats per token over windows [0, n) of a split. */
an_status an_evaluate_windows(an_net *net, const an_dataset *d, an_split split,
                              int64_t n, int64_t batch, int64_t sequence,
                              double *loss, an_error *err);

#endif
