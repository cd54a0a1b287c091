/*
 * The training loop as a library: open (which resumes), step, evaluate, save.
 *
 *     an_train_options o = an_train_defaults();
 *     o.data = files, o.n_data = 1, o.out = "runs/demo";
 *     an_trainer *t = NULL;
 *     an_trainer_open(&o, &t, &err);
 *     an_step_report r = {0};
 *     while (!r.finished && an_trainer_step(t, &r, &err) == AN_OK)
 *         printf("%lld %.4f\n", (long long)r.step, r.loss);
 *     an_trainer_save(t, &err);
 *     an_trainer_close(t);
 */
#ifndef ANEMONE_TRAIN_H
#define ANEMONE_TRAIN_H

#include "anemone/engine.h"
#include "anemone/model.h"
#include "anemone/text.h"

/* What the loss scale does after the start. */
typedef enum an_scaling {
    AN_SCALING_DYNAMIC, /* halved at overflow, doubled after a calm while */
    AN_SCALING_FIXED,
    AN_SCALING_COUNT
} an_scaling;
AN_API const char *an_scaling_name(an_scaling scaling);

/* How weights reach the programs of the blocks. */
typedef enum an_weight_mode {
    AN_WEIGHT_AUTO,   /* MIXED where weights are frozen, else STREAM */
    AN_WEIGHT_STREAM, /* inputs: nothing compiles after the start */
    AN_WEIGHT_MIXED,  /* frozen ones constants, trained ones inputs: the same;
                         STREAM where the engine cannot compile a program for
                         every layer */
    AN_WEIGHT_BAKE,   /* constants: compiled again after every update */
    AN_WEIGHT_RELOAD, /* constants: loaded again with new weight files */
    AN_WEIGHT_MODE_COUNT
} an_weight_mode;
AN_API const char *an_weight_mode_name(an_weight_mode mode);

typedef struct an_train_options {
    const char *const *data; /* files, or the one word "random" */
    int n_data;
    an_mask mask;       /* of samples: what the loss is taken over */
    const char *model;  /* preset or config.json; NULL: init's, or that of the
                           run which is resumed, else "small" */
    const char *init;   /* run folder, or another tool's model, whose weights a
                           new run begins with; NULL: random ones */
    const char *freeze; /* what is not trained, in the words of
                           an_model_freeze; NULL: nothing */
    /* LoRA: adapters of the weights that `init` has, and nothing else, are
     * trained. rank 0: all are. alpha 0: twice the rank. Targets as in
     * an_lora; NULL: the family's. */
    int64_t lora_rank;
    double lora_alpha;
    const char *lora_targets;
    /* The same beginning with adapters in a folder of PEFT's, mlx-lm's or of a
     * run, whose rank, scale and targets these are. `init` NULL: the model that
     * they name. */
    const char *adapter;
    const char *tokenizer; /* of text; NULL: init's, or that of the run which is
                              resumed, else "bytes" */
    /* Gets the share of the text that is encoded; NULL: nobody is told. False
     * stops. */
    bool (*encoding)(void *ctx, double share);
    void *encoding_ctx;
    const char *engine; /* "auto", "soft", "soft:m4", "cpu" */
    an_numerics numerics;
    const char *out;  /* run folder; NULL: nothing is written */
    bool fresh;       /* a run that is there is replaced, not resumed */
    int64_t steps;    /* length of run and schedule */
    int64_t stop_at;  /* stop after this step; 0: at the end */
    int64_t tokens;   /* stop when this many tokens were seen; 0: no limit */
    double minutes;   /* length of the run in time; 0: by steps */
    int64_t batch;    /* sequences per micro-batch; 0: the model's default */
    int64_t accum;    /* micro-batches per step */
    int64_t sequence; /* 0: the model's */
    double lr;        /* peak; 0: the model's default */
    double lr_min;    /* end of the cosine, as a share of the peak: 0.1 */
    int64_t warmup;   /* steps; -1: a tenth of the run */
    double beta1, beta2, epsilon, weight_decay;
    double clip; /* global norm; 0: none */
    double
        loss_scale; /* a power of two, at the start; 0: the numerics' default */
    an_scaling scaling;
    an_weight_mode weights;
    double validation; /* share of the data held out: 0.1 */
    uint64_t seed;
    int threads;          /* 0: one per processor */
    int64_t eval_every;   /* steps; 0: at the end only */
    int64_t eval_windows; /* validation windows per evaluation, at most */
    int64_t save_every;   /* steps; 0: at the end only */
    int64_t keep;         /* checkpoints that stay: 2 */
    const char *dump;     /* folder for every stage of lowering, as runnable
                             programs; NULL: none */
} an_train_options;
AN_API an_train_options an_train_defaults(void);

typedef struct an_trainer an_trainer;

/* Builds everything, or fails before anything is written. A run folder with a
 * checkpoint is resumed; settings that must match are checked, and a mismatch
 * is AN_EINVAL naming the key. */
AN_API an_status an_trainer_open(const an_train_options *options,
                                 an_trainer **out, an_error *err);
AN_API void an_trainer_close(an_trainer *t);

/* What a run will be, for people and for --dry-run. */
typedef struct an_train_plan {
    an_model_facts model;
    int64_t trained; /* parameters that are not frozen, or the adapters' */
    bool lora;       /* adapters are trained */
    int64_t batch, accum, sequence, tokens_per_step, steps, first_step;
    double flops_per_step; /* forward, backward, weight gradients */
    size_t memory_bytes;   /* parameters, moments, surfaces, work */
    size_t parameter_bytes, optimizer_bytes, surface_bytes, work_bytes;
    int programs, evaluations_per_step;
    an_weight_mode weights; /* STREAM, MIXED, BAKE or RELOAD */
    int programs_wanted;    /* more than `programs`: what MIXED would take */
    const char *engine, *numerics; /* as opened: "soft:m4", "ieee" */
    int compiles;                  /* so far, in this process */
    double lr, loss_scale;
    int64_t warmup;
    int64_t steps_before; /* length that a resumed run had; 0: not resumed */
    bool resumed;
    bool finished; /* the run was complete already */
} an_train_plan;
AN_API void an_trainer_get_plan(const an_trainer *t, an_train_plan *out);

typedef struct an_step_report {
    int64_t step;   /* steps done, this one included */
    int64_t tokens; /* so far */
    double loss;    /* mean nats per token of this step's batch */
    double lr, grad_norm;
    double val_loss;              /* NAN when not measured in this step */
    double ms, engine_ms, cpu_ms; /* wall time; sums of busy time by kind */
    double loss_scale;            /* of this step */
    /* The engine compiles or loads no more programs in this process: the state
     * is saved, the step's report comes when the run is opened again, in a new
     * process. */
    bool restart;
    bool skipped;       /* overflow: the update was discarded */
    char overflow[128]; /* then: "layers.3 attention: d_qkv (matmul) reached
                           inf, limit 65504", or that a norm is not finite */
    /* The machine's state; NULL, -1, NULL: not told. */
    const char *power;   /* "mains", "battery" */
    int charge;          /* of the battery, percent */
    const char *thermal; /* "nominal", "fair", "serious", "critical" */
    bool saved;          /* a checkpoint was written */
    bool finished;       /* the run is complete, or a limit was reached */
} an_step_report;
/* One optimizer step with all that is due after it (evaluation, metrics line,
 * checkpoint). After the run's last step it does nothing and reports
 * `finished`. */
AN_API an_status an_trainer_step(an_trainer *t, an_step_report *out,
                                 an_error *err);
/* Mean nats per token over the validation windows. */
AN_API an_status an_trainer_evaluate(an_trainer *t, double *loss,
                                     an_error *err);
/* Writes a checkpoint of the last step, unless it is there already. */
AN_API an_status an_trainer_save(an_trainer *t, an_error *err);

typedef struct an_sample_options {
    const char *prompt; /* NULL or "": end of text alone */
    /* Or a conversation that the assistant answers, in the form of the model's
     * chat template; the answer ends with the template's mark. */
    const an_message *messages;
    int n_messages;
    int64_t tokens;
    double temperature; /* 0: the most likely token */
    int64_t top_k;      /* 0: all */
    double top_p;       /* 1: all */
    double min_p;       /* of the most likely token's probability; 0: all */
    double repetition_penalty; /* above 1: tokens that came before are less
                                  likely */
    const char *const *stops;  /* texts that end the sample, not part of it */
    int n_stops;
    uint64_t seed;
} an_sample_options;
AN_API an_sample_options an_sample_defaults(void);
/* Called with each piece of text as it is made; false stops. */
typedef bool an_sample_fn(void *ctx, const char *bytes, size_t size);
AN_API an_status an_trainer_sample(an_trainer *t, const an_sample_options *o,
                                   an_sample_fn *put, void *ctx, an_error *err);

/* A trained model, for generation and evaluation. */
typedef struct an_runner an_runner;
/* How text is made. ON: the engine computes the prompt in one pass, the CPU
 * what follows, token by token, in fp32, over a cache of keys and values. OFF:
 * the engine computes the whole window again for every token. */
typedef enum an_cache_use { AN_CACHE_ON, AN_CACHE_OFF } an_cache_use;
/* How matrices are held while text is made. Sums are in fp32 in any case. */
typedef enum an_run_dtype {
    AN_RUN_FILE, /* q8 for a file with quantised matrices, f16 for one with fp16
                    or bf16, else f32; F32 on `exact` numerics */
    AN_RUN_F32,
    AN_RUN_F16, /* refused when an element is beyond 65504 */
    AN_RUN_Q8,  /* int8 with an fp32 scale per 32 elements of a row; f32 where
                   rows are no multiple of 32 */
    AN_RUN_DTYPE_COUNT
} an_run_dtype;
AN_API const char *an_run_dtype_name(an_run_dtype dtype); /* "file", "f32" */
typedef struct an_runner_options {
    /* A run folder, or a step's folder in it; a folder of Hugging Face's; a
     * file: safetensors beside its config.json, GGUF, llama2.c's, llm.c's GPT-2
     * or maderix's BLZT. */
    const char *checkpoint;
    const char *adapter;   /* a folder of adapters to be added; NULL: none */
    const char *tokenizer; /* NULL: the one beside it */
    const char *engine;
    an_numerics numerics;
    int threads;
    int64_t batch, sequence; /* 0: 1, and the model's */
    an_cache_use cache;
    an_run_dtype dtype;
    const char *dump; /* as an_train_options.dump */
} an_runner_options;
AN_API an_status an_runner_open(const an_runner_options *options,
                                an_runner **out, an_error *err);
AN_API void an_runner_close(an_runner *r);
/* A text that is longer than the sequence goes on from its last tokens. */
AN_API an_status an_runner_sample(an_runner *r, const an_sample_options *o,
                                  an_sample_fn *put, void *ctx, an_error *err);
/* Of all texts so far, with a cache: prompts (making their programs included),
 * and single tokens. */
typedef struct an_speed {
    int64_t prompt_tokens, tokens;
    double prompt_seconds, seconds;
} an_speed;
AN_API void an_runner_get_speed(const an_runner *r, an_speed *out);
typedef struct an_eval_report {
    double loss, perplexity, bits_per_byte; /* bits NAN when not known */
    int64_t tokens, vocab_size;
} an_eval_report;
AN_API an_status an_runner_evaluate(an_runner *r, const char *const *data,
                                    int n_data, an_eval_report *out,
                                    an_error *err);
/* Called with the logits [V] after each of those tokens, in their order;
 * whatever is not AN_OK ends it, as its result. */
typedef an_status an_logits_fn(void *ctx, const float *logits,
                               int64_t vocab_size, an_error *err);
AN_API an_status an_runner_logits(an_runner *r, const char *const *data,
                                  int n_data, an_logits_fn *put, void *ctx,
                                  an_error *err);

#endif
