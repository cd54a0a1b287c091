/*
 * The loop: micro-batches, update, and what is due after a step.
 */
#include "train/trainer.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <math.h>
#include <string.h>

/* ---- opening ---- */

/* Adapters to begin with, and the model that they name. */
static an_status open_adapter(an_trainer *t, an_error *err)
{
    if (t->o.lora_rank > 0)
        return an_fail(err, AN_EINVAL,
                       "lora: the adapters to begin with have a rank");
    an_status s = an_adapter_file_open(t->o.adapter, &t->adapter, err);
    if (s == AN_OK && !t->o.init) t->o.init = t->adapter->base;
    return s;
}

/* Adapters, new ones or those to begin with, for a model that is there. */
static an_status adapt(an_trainer *t, an_error *err)
{
    double rank = (double)t->o.lora_rank;
    double alpha = t->o.lora_alpha > 0 ? t->o.lora_alpha : 2 * rank;
    an_lora lora = {.rank = t->o.lora_rank,
                    .scale = alpha / rank,
                    .targets = t->o.lora_targets};
    if (t->adapter) lora = t->adapter->lora;
    if (!t->o.init)
        return an_fail(err, AN_EINVAL,
                       "lora: expected a model to adapt: give it with --init");
    if (t->init.adapter)
        return an_fail(err, AN_EUNSUPPORTED,
                       "lora: %s has adapters itself: export it with --merge "
                       "first, or go on with them (--adapter)",
                       t->o.init);
    if (t->o.freeze)
        return an_fail(err, AN_EINVAL,
                       "freeze: all but the adapters is frozen already");
    an_status s = an_model_adapt(t->placed.model, &lora, err);
    if (s == AN_OK)
        s = an_pretrained_locate(t->o.init, t->base, sizeof t->base, err);
    return s == AN_OK ? an_adapter_config_text(t->placed.model, AN_ADAPTER_PEFT,
                                               t->base, &t->adapter_config, err)
                      : s;
}

/* Model and tokenizer of the weights that the run begins with. */
static an_status open_init(an_trainer *t, an_error *err)
{
    an_pretrained *from = &t->init;
    if (t->o.model)
        return an_fail(err, AN_EINVAL,
                       "model: the weights to begin with have one");
    an_status s = an_pretrained_open(t->o.init, t->o.tokenizer, from, err);
    if (s != AN_OK) return s;
    t->placed.model = from->model;
    t->placed.tokenizer = from->tokenizer;
    from->model = NULL;
    from->tokenizer = NULL;
    return AN_OK;
}

/* First values: the file's, or random ones. */
static an_status init_weights(an_trainer *t, an_error *err)
{
    an_placed *p = &t->placed;
    if (!t->init.source)
        return an_weights_init(p->weights, AN_PARAMS_BASE, p->model, t->o.seed,
                               p->pool, err);
    an_status s = an_pretrained_load(&t->init, p->model, p->weights, err);
    an_pretrained_close(&t->init);
    if (s != AN_OK || !t->adapter_config) return s;
    t->base_digest = an_weights_digest(p->weights);
    return t->adapter ? an_weights_load(p->weights, AN_WEIGHTS_MASTER,
                                        AN_PARAMS_ADAPTERS, p->model,
                                        t->adapter->weights, err)
                      : an_weights_init(p->weights, AN_PARAMS_ADAPTERS,
                                        p->model, t->o.seed, p->pool, err);
}

/* What is not told is taken from the run that is resumed, if it has it. */
static an_status told_or_kept(an_trainer *t, const char *told, const char *name,
                              const char *other, const char **out,
                              an_error *err)
{
    *out = told ? told : other;
    if (told || t->o.fresh || !t->o.out || !an_checkpoint_is_run(t->o.out))
        return AN_OK;
    const char *kept = an_arena_printf(&t->arena, "%s/%s", t->o.out, name);
    if (!kept) return an_fail(err, AN_ENOMEM, "trainer: no memory");
    if (an_path_exists(kept)) *out = kept;
    return AN_OK;
}

static an_status open_model(an_trainer *t, an_error *err)
{
    an_placed *p = &t->placed;
    const char *tokenizer = NULL, *model = NULL;
    an_status s = told_or_kept(t, t->o.tokenizer, "tokenizer.model", "bytes",
                               &tokenizer, err);
    if (s == AN_OK)
        s = told_or_kept(t, t->o.tokenizer, "tokenizer.json", tokenizer,
                         &tokenizer, err);
    if (s == AN_OK)
        s = told_or_kept(t, t->o.model, "config.json", "small", &model, err);
    if (s == AN_OK && t->o.adapter) s = open_adapter(t, err);
    if (s == AN_OK && t->o.init) s = open_init(t, err);
    if (s == AN_OK && !p->tokenizer)
        s = an_tokenizer_open(tokenizer, &p->tokenizer, err);
    if (s == AN_OK && !p->model) s = an_model_open(model, 0, &p->model, err);
    if (s == AN_OK && (t->o.lora_rank > 0 || t->adapter))
        s = adapt(t, err);
    else if (s == AN_OK && t->o.freeze)
        s = an_model_freeze(p->model, t->o.freeze, err);
    if (s == AN_OK)
        s = an_placed_open(p, t->o.engine, t->o.numerics, t->o.threads,
                           AN_WEIGHTS_TRAIN, err);
    if (s == AN_OK && t->o.dump) s = an_dump_open(t->o.dump, &p->dump, err);
    if (s == AN_OK) s = an_train_resolve(&t->o, &p->model_facts, p->dtype, err);
    return s;
}

/* Ids of text are kept beside the run: DIR.tokens. */
static an_status cache_path(an_trainer *t, const char **out, an_error *err)
{
    size_t n = t->o.out ? strlen(t->o.out) : 0;
    while (n > 1 && t->o.out[n - 1] == '/')
        n--;
    if (n == 0) return AN_OK;
    *out = an_arena_printf(&t->arena, "%.*s.tokens", (int)n, t->o.out);
    return *out ? AN_OK : an_fail(err, AN_ENOMEM, "trainer: no memory");
}

static an_status open_data(an_trainer *t, an_error *err)
{
    const char *cache = NULL;
    an_status s = cache_path(t, &cache, err);
    if (s != AN_OK) return s;
    an_dataset_options o = {.cache = cache,
                            .mask = t->o.mask,
                            .progress = t->o.encoding,
                            .ctx = t->o.encoding_ctx,
                            .paths = t->o.data,
                            .n_paths = t->o.n_data,
                            .tokenizer = t->placed.tokenizer,
                            .vocab_size = t->placed.model_facts.vocab_size,
                            .sequence = t->o.sequence,
                            .seed = t->o.seed,
                            .validation_share = t->o.validation};
    if (t->o.n_data < 1)
        return an_fail(err, AN_EINVAL, "data: expected files or 'random'");
    return an_dataset_open(&o, &t->data, err);
}

/* Takes the run folder and what it holds. */
static an_status open_run(an_trainer *t, an_error *err)
{
    an_status s = an_run_open(
        t->o.out, t->o.fresh ? AN_RUN_FRESH : AN_RUN_RESUME, &t->run, err);
    return s == AN_OK ? an_trainer_resume(t, err) : s;
}

/* A run that is there is read before programs are made, since they may hold
 * its weights; a new one is written to after all that can fail. */
static bool opens_early(const an_trainer *t)
{
    return t->o.out && !t->o.fresh && an_path_exists(t->o.out);
}

static an_status begin_run(an_trainer *t, an_error *err)
{
    an_status s = AN_OK;
    if (!t->o.out) return s;
    if (!t->run) s = open_run(t, err);
    if (s == AN_OK && t->saved_step < 0) s = an_trainer_describe(t, err);
    /* A pending step has no line yet. */
    int64_t lines = t->progress.step - (t->pending ? 1 : 0);
    return s == AN_OK ? an_run_metrics_open(t->run, lines, err) : s;
}

/* By steps, or by minutes: shares of the whole run. */
static void plan_schedule(an_trainer *t)
{
    double steps = (double)t->o.steps;
    t->schedule.lr = t->o.lr;
    t->schedule.lr_min = t->o.lr_min;
    t->schedule.warmup = t->o.warmup < 0 ? 0.1 : (double)t->o.warmup / steps;
}

static an_status open_all(an_trainer *t, an_error *err)
{
    an_status s = open_model(t, err);
    if (s == AN_OK) s = open_data(t, err);
    if (s == AN_OK) s = init_weights(t, err);
    if (s != AN_OK) return s;
    t->progress =
        (an_progress){.scale = {.value = t->o.loss_scale}, .best = INFINITY};
    if (opens_early(t)) s = open_run(t, err);
    if (s != AN_OK) return s;
    s = an_placed_net(&t->placed, t->o.batch, t->o.sequence, AN_NET_TRAIN,
                      t->o.weights, t->o.loss_scale, &t->net, err);
    if (s == AN_OK) s = an_update_new(t->placed.weights, &t->update, err);
    if (s == AN_OK) s = begin_run(t, err);
    if (s == AN_OK) {
        an_net_set_scale(t->net, t->progress.scale.value);
        plan_schedule(t);
    }
    return s;
}

an_status an_trainer_open(const an_train_options *options, an_trainer **out,
                          an_error *err)
{
    an_trainer *t = an_alloc(sizeof *t);
    if (!t) return an_fail(err, AN_ENOMEM, "trainer: no memory");
    t->o = *options;
    t->asked_scale = options->loss_scale;
    t->saved_step = -1;
    t->val_loss = NAN;
    t->started = an_clock();
    t->machine.host = an_host_here();
    an_arena_init(&t->arena);
    an_status s = open_all(t, err);
    if (s != AN_OK) {
        an_trainer_close(t);
        return s;
    }
    *out = t;
    return AN_OK;
}

void an_trainer_close(an_trainer *t)
{
    if (!t) return;
    an_update_free(t->update);
    an_net_free(t->sampling);
    an_net_free(t->net);
    an_dataset_free(t->data);
    an_run_close(t->run);
    an_free(t->model_tensors);
    an_free(t->state_tensors);
    an_arena_fini(&t->arena);
    an_pretrained_close(&t->init);
    an_adapter_file_close(t->adapter);
    an_text_free(t->adapter_config);
    an_placed_fini(&t->placed);
    an_free(t);
}

/* ---- a step ---- */

static int64_t tokens_per_step(const an_trainer *t)
{
    return t->o.batch * t->o.accum * t->o.sequence;
}

/* The run has its full length. */
static bool is_complete(const an_trainer *t)
{
    const an_progress *p = &t->progress;
    return t->o.minutes > 0 ? p->seconds >= t->o.minutes * 60
                            : p->step >= t->o.steps;
}

/* Complete, or stopped early by a limit that changes nothing else. */
static bool is_finished(const an_trainer *t)
{
    const an_progress *p = &t->progress;
    return is_complete(t) || (t->o.stop_at > 0 && p->step >= t->o.stop_at) ||
           (t->o.tokens > 0 && p->tokens >= t->o.tokens);
}

/* Busy time of the stages that just ran. */
static void add_busy(const an_trainer *t, an_step_report *r)
{
    for (int i = 0; i < an_net_n_stages(t->net); i++) {
        const an_stage *s = an_net_stage(t->net, i);
        *(s->kind == AN_STAGE_PROGRAM && s->layer >= 0 ? &r->engine_ms
                                                       : &r->cpu_ms) +=
            1000 * an_stage_seconds(s);
    }
}

static an_status micro_batch(an_trainer *t, int64_t micro, double *nats,
                             an_error *err)
{
    int64_t first = (t->progress.step * t->o.accum + micro) * t->o.batch;
    for (int64_t b = 0; b < t->o.batch; b++) {
        int64_t at = b * t->o.sequence;
        an_status s = an_dataset_window(
            t->data, AN_SPLIT_TRAIN, (uint64_t)(first + b),
            an_net_inputs(t->net) + at, an_net_targets(t->net) + at, err);
        if (s != AN_OK) return s;
    }
    t->targets +=
        an_count_targets(an_net_targets(t->net), t->o.batch * t->o.sequence);
    return an_net_step(t->net, nats, err);
}

static double step_lr(const an_trainer *t)
{
    double all = t->o.minutes > 0 ? t->o.minutes * 60 : (double)t->o.steps;
    double done =
        t->o.minutes > 0 ? t->progress.seconds : (double)t->progress.step;
    /* The first step's length is not known yet: a thousandth of the run. */
    double one = t->o.minutes <= 0     ? 1.0
                 : t->last_seconds > 0 ? t->last_seconds
                                       : all / 1000;
    double progress = done / all < 1.0 ? done / all : 1.0;
    return an_schedule_lr(&t->schedule, progress, one / all);
}

/* The worst of all micro-batches so far: once over the limit, it stays. */
static void watch_peak(an_trainer *t, an_step_report *r)
{
    an_peak all = an_net_peak(t->net, AN_PEAK_ALL);
    an_peak adjoint = an_net_peak(t->net, AN_PEAK_ADJOINTS);
    if (!t->peak.tensor ||
        (adjoint.tensor &&
         adjoint.largest / adjoint.limit > t->peak.largest / t->peak.limit))
        t->peak = adjoint;
    if (r->overflow[0] || !an_peak_overflows(&all)) return;
    snprintf(r->overflow, sizeof r->overflow,
             "layers.%d %s: %s (%s) reached %g, limit %g", all.layer, all.block,
             all.tensor, all.op, all.largest, all.limit);
}

/* Numbers of the next step's dlogits. */
static void step_scale(an_trainer *t, an_step_report *r)
{
    if (r->skipped && !r->overflow[0])
        snprintf(r->overflow, sizeof r->overflow,
                 "the norm of the gradients is not finite");
    an_scale_step(&t->progress.scale, t->o.scaling, r->skipped, &t->peak);
    an_net_set_scale(t->net, t->progress.scale.value);
    t->peak = (an_peak){0};
}

static an_status run_update(an_trainer *t, an_step_report *r, an_error *err)
{
    an_update_step u = {.adamw = {.lr = step_lr(t),
                                  .beta1 = t->o.beta1,
                                  .beta2 = t->o.beta2,
                                  .epsilon = t->o.epsilon,
                                  .decay = t->o.weight_decay},
                        .divisor = t->progress.scale.value * (double)t->targets,
                        .clip = t->o.clip,
                        .updates = t->progress.updates,
                        .overflow = r->overflow[0] != 0};
    an_status s = an_update_run(t->update, t->placed.pool, &u, err);
    if (s != AN_OK) return s;
    r->lr = u.adamw.lr;
    r->grad_norm = u.grad_norm;
    r->skipped = u.skipped;
    r->cpu_ms += 1000 * u.seconds;
    r->loss_scale = t->progress.scale.value;
    if (!u.skipped) t->progress.updates++;
    return AN_OK;
}

/* Every N steps; 0: never. */
static bool is_turn(const an_trainer *t, int64_t every)
{
    return every > 0 && t->progress.step % every == 0;
}

static an_status write_metrics(an_trainer *t, const an_step_report *r,
                               an_error *err)
{
    an_host_state m = t->machine.state;
    const an_metric list[] = {
        {"step", (double)r->step},
        {"loss", r->loss},
        {"lr", r->lr},
        {"grad_norm", r->grad_norm},
        {"tokens", (double)r->tokens},
        {"ms", r->ms},
        {"loss_scale", r->loss_scale},
        {"val_loss", r->val_loss},
        {"skipped", r->skipped ? 1 : NAN},
        {"on_battery",
         m.power == AN_POWER_UNKNOWN ? NAN : m.power == AN_POWER_BATTERY},
        {"charge", m.charge < 0 ? (double)NAN : m.charge},
        {"thermal",
         m.thermal == AN_THERMAL_UNKNOWN ? (double)NAN : (int)m.thermal - 1}};
    return an_run_metrics_add(t->run, list, sizeof list / sizeof *list, err);
}

static void look_at_machine(an_trainer *t, an_step_report *r)
{
    an_host_state state = an_host_look(&t->machine);
    r->power = an_power_name(state.power);
    r->charge = state.charge;
    r->thermal = an_thermal_name(state.thermal);
}

static an_status after_step(an_trainer *t, an_step_report *r, an_error *err)
{
    an_status s = AN_OK;
    bool best = false;
    look_at_machine(t, r);
    t->val_loss = NAN;
    if (t->o.validation > 0 &&
        (is_complete(t) || is_turn(t, t->o.eval_every))) {
        s = an_trainer_evaluate(t, &t->val_loss, err);
        best = t->val_loss < t->progress.best;
        if (best) t->progress.best = t->val_loss;
    }
    r->val_loss = t->val_loss;
    r->finished = is_finished(t);
    if (s != AN_OK || !t->run) return s;
    s = write_metrics(t, r, err);
    if (s == AN_OK && (best || is_finished(t) || is_turn(t, t->o.save_every))) {
        s = an_trainer_save(t, err);
        r->saved = s == AN_OK;
    }
    return s;
}

static bool compiles_suffice(const an_trainer *t)
{
    an_engine_facts facts;
    an_engine_get_facts(t->placed.engine, &facts);
    return facts.compiles_left < 0 ||
           facts.compiles_left >= an_net_refresh_compiles(t->net);
}

/* Weights have changed: gives them to the programs, or finds that this process
 * cannot and saves what is needed to go on in another. */
static an_status refresh(an_trainer *t, an_step_report *r, an_error *err)
{
    an_error failed = {0};
    if (compiles_suffice(t)) {
        an_status s = an_net_refresh(t->net, &failed);
        if (s == AN_OK) return s;
        if (!t->run || !an_error_is_full(&failed)) {
            if (err && err->code == AN_OK) *err = failed;
            return s;
        }
    }
    if (!t->run)
        return an_fail(err, AN_EINVAL,
                       "weights: the engine compiles no more in this process, "
                       "and without a run folder nothing can go on in another");
    r->restart = true;
    t->pending = true;
    t->last = *r;
    return an_trainer_checkpoint(t, err);
}

static an_status finish_pending(an_trainer *t, an_step_report *out,
                                an_error *err)
{
    an_step_report r = t->last;
    r.restart = false;
    t->pending = false;
    t->saved_step = -1; /* what is saved is not the whole of the step */
    an_status s = after_step(t, &r, err);
    if (s == AN_OK) *out = r;
    return s;
}

an_status an_trainer_step(an_trainer *t, an_step_report *out, an_error *err)
{
    if (t->pending) return finish_pending(t, out, err);
    an_step_report r = {.step = t->progress.step,
                        .tokens = t->progress.tokens,
                        .val_loss = NAN,
                        .charge = -1};
    if (is_finished(t)) {
        r.finished = true;
        *out = r;
        return AN_OK;
    }
    double start = an_clock(), nats = 0;
    t->targets = 0;
    for (int64_t i = 0; i < t->o.accum; i++) {
        double part;
        an_status s = micro_batch(t, i, &part, err);
        if (s != AN_OK) return s;
        nats += part;
        add_busy(t, &r);
        watch_peak(t, &r);
    }
    /* Where nothing counts there is no gradient either. */
    if (t->targets == 0) t->targets = 1;
    an_status s = run_update(t, &r, err);
    if (s != AN_OK) return s;
    step_scale(t, &r);
    t->last_seconds = an_clock() - start;
    t->progress.seconds += t->last_seconds;
    r.loss = nats / (double)t->targets;
    r.step = ++t->progress.step;
    r.tokens = t->progress.tokens += tokens_per_step(t);
    r.ms = 1000 * t->last_seconds;
    if (!r.skipped) s = refresh(t, &r, err);
    if (s == AN_OK && !r.restart) s = after_step(t, &r, err);
    if (s == AN_OK) *out = r;
    return s;
}

an_status an_trainer_evaluate(an_trainer *t, double *loss, an_error *err)
{
    int64_t n = an_dataset_windows(t->data, AN_SPLIT_VALIDATION);
    if (t->o.eval_windows > 0 && n > t->o.eval_windows) n = t->o.eval_windows;
    if (n == 0) {
        *loss = NAN;
        return AN_OK;
    }
    return an_evaluate_windows(t->net, t->data, AN_SPLIT_VALIDATION, n,
                               t->o.batch, t->o.sequence, loss, err);
}

an_status an_trainer_save(an_trainer *t, an_error *err)
{
    if (!t->run || t->saved_step == t->progress.step) return AN_OK;
    return an_trainer_checkpoint(t, err);
}

an_status an_trainer_sample(an_trainer *t, const an_sample_options *o,
                            an_sample_fn *put, void *ctx, an_error *err)
{
    an_status s = an_placed_check_tokenizer(&t->placed, err);
    if (s == AN_OK && !t->sampling)
        s = an_placed_net(&t->placed, 1, t->o.sequence, AN_NET_FORWARD,
                          AN_WEIGHT_STREAM, 1.0, &t->sampling, err);
    if (s != AN_OK) return s;
    an_sample_source from = {.net = t->sampling, .sequence = t->o.sequence};
    return an_sample_text(&from, t->placed.tokenizer, o, put, ctx, err);
}

void an_trainer_get_plan(const an_trainer *t, an_train_plan *out)
{
    an_net_facts net;
    an_engine_facts engine;
    an_net_get_facts(t->net, &net);
    an_engine_get_facts(t->placed.engine, &engine);
    const an_weights *w = t->placed.weights;
    size_t parameters = an_weights_bytes(w);
    size_t optimizer = an_weights_optimizer_bytes(w);
    *out = (an_train_plan){
        .model = t->placed.model_facts,
        .trained = an_weights_trained(w),
        .lora = t->adapter_config != NULL,
        .batch = t->o.batch,
        .accum = t->o.accum,
        .sequence = t->o.sequence,
        .tokens_per_step = tokens_per_step(t),
        .steps = t->o.steps,
        .first_step = t->first_step - (t->pending ? 1 : 0),
        .flops_per_step = net.flops * (double)t->o.accum,
        .parameter_bytes = parameters,
        .optimizer_bytes = optimizer,
        .surface_bytes = net.surface_bytes,
        .work_bytes = net.work_bytes,
        .memory_bytes =
            parameters + optimizer + net.surface_bytes + net.work_bytes,
        .programs = net.programs,
        .programs_wanted = net.programs_wanted,
        .weights = net.mode,
        .evaluations_per_step = net.evaluations * (int)t->o.accum,
        .engine = t->placed.facts.name,
        .numerics = an_numerics_name(t->placed.numerics),
        .compiles = engine.compiles,
        .lr = t->o.lr,
        .loss_scale = t->progress.scale.value,
        .warmup = t->o.warmup < 0 ? t->o.steps / 10 : t->o.warmup,
        .steps_before = t->planned_steps,
        .resumed = t->first_step > 0,
        .finished = is_finished(t) && !t->pending};
}
