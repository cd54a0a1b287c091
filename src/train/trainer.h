/*
 * The trainer's innards, shared by the loop (trainer.c), what is saved
 * (resume.c) and the settings' defaults (options.c).
 */
#ifndef AN_TRAIN_TRAINER_H
#define AN_TRAIN_TRAINER_H

#include "base/arena.h"
#include "base/host.h"
#include "train/checkpoint.h"
#include "train/placed.h"
#include "train/pretrained.h"
#include "train/schedule.h"
#include "train/update.h"

/* What changes from step to step and is saved. */
typedef struct an_progress {
    int64_t step;    /* done */
    int64_t updates; /* Adam's count: steps that were not skipped */
    int64_t tokens;
    an_scale scale; /* of the loss */
    double best;    /* lowest validation loss, INFINITY before the first */
    double seconds; /* of --minutes runs: time spent so far */
} an_progress;

struct an_trainer {
    an_train_options o; /* defaults filled in */
    double asked_scale; /* loss scale in the options, 0: the default */
    an_placed placed;
    an_pretrained init; /* open between opening the model and its weights */
    an_adapter_file *adapter;      /* the same; adapters to begin with */
    char base[AN_PRETRAINED_PATH]; /* of a LoRA run's model */
    char *adapter_config;          /* its text; NULL: no LoRA run */
    uint64_t base_digest;
    an_dataset *data;
    an_net *net;
    an_net *sampling; /* one sequence, made when first used */
    an_update *update;
    an_schedule schedule;
    an_run *run; /* NULL: nothing is written */
    an_progress progress;
    /* A step whose update is done and whose rest (validation, metrics) waits
     * for programs with the new weights, in the next process. */
    bool pending;
    an_step_report last;
    an_peak peak;          /* of the adjoints of the step at hand */
    int64_t targets;       /* of the step at hand, that count */
    int64_t first_step;    /* where this process began */
    int64_t saved_step;    /* -1: none */
    int64_t planned_steps; /* of the checkpoint; 0: none */
    double val_loss;       /* of the last step, NAN when not measured */
    an_host_watch machine;
    double started; /* clock at open */
    double last_seconds;
    an_arena arena; /* names of saved tensors */
    an_st_tensor *model_tensors, *state_tensors;
    int n_model_tensors, n_state_tensors;
};

/* Fills zeros with what the model suggests, and checks ranges: AN_EINVAL with
 * the option's name. */
an_status an_train_resolve(an_train_options *o, const an_model_facts *m,
                           an_dtype dtype, an_error *err);

/* Loads the run's newest checkpoint, if there is one: settings must match,
 * else AN_EINVAL naming the key. */
an_status an_trainer_resume(an_trainer *t, an_error *err);
/* Writes config.json and tokenizer.json of a new run. */
an_status an_trainer_describe(an_trainer *t, an_error *err);
an_status an_trainer_checkpoint(an_trainer *t, an_error *err);

#endif
