/*
 * What a checkpoint holds, and what must be the same when it is continued.
 *
 * The state file's metadata has one entry per setting and per counter; numbers
 * are printed so that they read back to the same bits.
 */
#include "train/trainer.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRIES = 40, TEXT = 256 };

typedef struct entry {
    const char *key;
    bool optional; /* "" is not saved */
    char text[TEXT];
} entry;

typedef struct entries {
    entry list[MAX_ENTRIES];
    int n;
} entries;

static void put_int(entries *e, const char *key, int64_t x)
{
    e->list[e->n].key = key;
    snprintf(e->list[e->n++].text, TEXT, "%" PRId64, x);
}

static void put_real(entries *e, const char *key, double x)
{
    e->list[e->n].key = key;
    snprintf(e->list[e->n++].text, TEXT, "%.17g", x);
}

static void put_text(entries *e, const char *key, const char *text)
{
    e->list[e->n].key = key;
    e->list[e->n].optional = true;
    snprintf(e->list[e->n++].text, TEXT, "%s", text ? text : "");
}

/* Of a LoRA run: the shape of the adapters, and the weights under them. */
static void put_lora(entries *e, const an_trainer *t)
{
    const an_lora *l = an_model_lora(t->placed.model);
    char text[TEXT] = "", base[TEXT] = "";
    if (l) {
        snprintf(text, sizeof text, "rank %" PRId64 ", scale %.17g, %s",
                 l->rank, l->scale, l->targets);
        snprintf(base, sizeof base, "weights %016" PRIx64, t->base_digest);
    }
    put_text(e, "lora", text);
    put_text(e, "base", base);
}

/* Settings that a continued run must share. `steps` may differ. */
static void put_settings(entries *e, const an_trainer *t)
{
    const an_train_options *o = &t->o;
    put_int(e, "data", (int64_t)an_dataset_digest(t->data));
    put_int(e, "seed", (int64_t)o->seed);
    put_int(e, "seq", o->sequence);
    put_int(e, "batch", o->batch);
    put_int(e, "accum", o->accum);
    put_real(e, "lr", o->lr);
    put_real(e, "lr-min", o->lr_min);
    put_int(e, "warmup", o->warmup);
    put_real(e, "beta1", o->beta1);
    put_real(e, "beta2", o->beta2);
    put_real(e, "epsilon", o->epsilon);
    put_real(e, "weight-decay", o->weight_decay);
    put_real(e, "clip", o->clip);
    put_real(e, "loss-scale", t->asked_scale); /* defaults are engines' */
    put_int(e, "scaling", o->scaling);
    put_real(e, "validation", o->validation);
    put_real(e, "minutes", o->minutes);
    put_int(e, "numerics", t->placed.weights->dtype == AN_FP64);
    put_text(e, "freeze", o->freeze);
    put_lora(e, t);
}

static void put_progress(entries *e, const an_trainer *t)
{
    const an_progress *p = &t->progress;
    put_int(e, "steps", t->o.steps);
    put_int(e, "progress.step", p->step);
    put_int(e, "progress.updates", p->updates);
    put_int(e, "progress.tokens", p->tokens);
    put_real(e, "progress.loss_scale", p->scale.value);
    put_int(e, "progress.calm", p->scale.calm);
    put_real(e, "progress.best", p->best);
    if (t->o.minutes > 0) put_real(e, "progress.seconds", p->seconds);
    if (!t->pending) return;
    put_real(e, "pending.loss", t->last.loss);
    put_real(e, "pending.lr", t->last.lr);
    put_real(e, "pending.grad_norm", t->last.grad_norm);
    put_real(e, "pending.loss_scale", t->last.loss_scale);
    put_real(e, "pending.ms", t->last.ms);
}

static an_status read_int(const an_st *st, const char *key, int64_t *out,
                          an_error *err)
{
    const char *text = an_st_metadata(st, key);
    char *end = NULL;
    long long x = text ? strtoll(text, &end, 10) : 0;
    if (!text || end == text || *end || x < 0)
        return an_fail(err, AN_EFORMAT, "state: '%s' is missing or no number",
                       key);
    *out = x;
    return AN_OK;
}

static an_status read_real(const an_st *st, const char *key, double *out,
                           an_error *err)
{
    const char *text = an_st_metadata(st, key);
    char *end = NULL;
    double x = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end)
        return an_fail(err, AN_EFORMAT, "state: '%s' is missing or no number",
                       key);
    *out = x;
    return AN_OK;
}

static an_status check_settings(const an_trainer *t, const an_st *st,
                                an_error *err)
{
    entries e = {.n = 0};
    put_settings(&e, t);
    for (int i = 0; i < e.n; i++) {
        const char *was = an_st_metadata(st, e.list[i].key);
        const char *now = e.list[i].text;
        if (!was && e.list[i].optional) was = "";
        if (!was)
            return an_fail(err, AN_EFORMAT, "state: '%s' is missing",
                           e.list[i].key);
        if (strcmp(was, now) != 0)
            return an_fail(err, AN_EINVAL,
                           "%s: the run in %s has %s, got %s (--fresh starts "
                           "anew)",
                           e.list[i].key, an_run_folder(t->run),
                           *was ? was : "nothing", *now ? now : "nothing");
    }
    return AN_OK;
}

static an_status check_model(const an_trainer *t, an_error *err)
{
    char *now = NULL, *was = NULL;
    size_t size = 0;
    an_arena arena;
    an_arena_init(&arena);
    char *path =
        an_arena_printf(&arena, "%s/config.json", an_run_folder(t->run));
    an_status s = path ? an_model_config_text(t->placed.model, &now, err)
                       : an_fail(err, AN_ENOMEM, "resume: no memory");
    if (s == AN_OK) s = an_file_read(path, 1 << 20, &was, &size, err);
    if (s == AN_OK && strcmp(now, was) != 0)
        s = an_fail(err, AN_EINVAL,
                    "model: the run in %s has another configuration (--fresh "
                    "starts anew)",
                    an_run_folder(t->run));
    an_text_free(now);
    an_free(was);
    an_arena_fini(&arena);
    return s;
}

static an_status read_progress(an_trainer *t, const an_st *st, an_error *err)
{
    an_progress *p = &t->progress;
    an_status s = read_int(st, "progress.step", &p->step, err);
    if (s == AN_OK) s = read_int(st, "progress.updates", &p->updates, err);
    if (s == AN_OK) s = read_int(st, "progress.tokens", &p->tokens, err);
    if (s == AN_OK)
        s = read_real(st, "progress.loss_scale", &p->scale.value, err);
    if (s == AN_OK) s = read_int(st, "progress.calm", &p->scale.calm, err);
    if (s == AN_OK) s = read_real(st, "progress.best", &p->best, err);
    if (s == AN_OK && t->o.minutes > 0)
        s = read_real(st, "progress.seconds", &p->seconds, err);
    if (s == AN_OK) s = read_int(st, "steps", &t->planned_steps, err);
    return s;
}

static an_status read_pending(an_trainer *t, const an_st *st, an_error *err)
{
    an_step_report *r = &t->last;
    if (!an_st_metadata(st, "pending.loss")) return AN_OK;
    *r = (an_step_report){.step = t->progress.step,
                          .tokens = t->progress.tokens};
    t->pending = true;
    an_status s = read_real(st, "pending.loss", &r->loss, err);
    if (s == AN_OK) s = read_real(st, "pending.lr", &r->lr, err);
    if (s == AN_OK) s = read_real(st, "pending.grad_norm", &r->grad_norm, err);
    if (s == AN_OK)
        s = read_real(st, "pending.loss_scale", &r->loss_scale, err);
    if (s == AN_OK) s = read_real(st, "pending.ms", &r->ms, err);
    return s;
}

static an_status load_kind(an_trainer *t, an_weights_what what,
                           an_param_set set, const char *prefix,
                           const an_st *st, an_error *err)
{
    an_weight_file *source = NULL;
    an_status s = an_weight_file_of_st(st, prefix, NULL, &source, err);
    if (s == AN_OK)
        s = an_weights_load(t->placed.weights, what, set, t->placed.model,
                            source, err);
    an_weight_file_close(source);
    return s;
}

/* What the model's file of a checkpoint has. */
static an_param_set saved_set(const an_trainer *t)
{
    return t->adapter_config ? AN_PARAMS_ADAPTERS : AN_PARAMS_BASE;
}

static an_status load_weights(an_trainer *t, const an_st *model,
                              const an_st *state, an_error *err)
{
    an_status s = load_kind(t, AN_WEIGHTS_MASTER, saved_set(t), "", model, err);
    if (s == AN_OK)
        s = load_kind(t, AN_WEIGHTS_M, AN_PARAMS_TRAINED, "m.", state, err);
    if (s == AN_OK)
        s = load_kind(t, AN_WEIGHTS_V, AN_PARAMS_TRAINED, "v.", state, err);
    if (s == AN_OK) an_weights_publish(t->placed.weights);
    return s;
}

an_status an_trainer_resume(an_trainer *t, an_error *err)
{
    an_st *model = NULL, *state = NULL;
    int64_t step = 0;
    an_status s = an_run_load(t->run, &step, &model, &state, err);
    if (s == AN_OK && model) {
        s = check_model(t, err);
        if (s == AN_OK) s = check_settings(t, state, err);
        if (s == AN_OK) s = read_progress(t, state, err);
        if (s == AN_OK) s = read_pending(t, state, err);
        if (s == AN_OK) s = load_weights(t, model, state, err);
        if (s == AN_OK) t->saved_step = t->first_step = t->progress.step;
    }
    an_st_close(model);
    an_st_close(state);
    return s;
}

an_status an_trainer_describe(an_trainer *t, an_error *err)
{
    char *config = NULL;
    an_arena arena;
    an_arena_init(&arena);
    char *path =
        an_arena_printf(&arena, "%s/tokenizer.json", an_run_folder(t->run));
    an_status s = path ? an_model_config_text(t->placed.model, &config, err)
                       : an_fail(err, AN_ENOMEM, "trainer: no memory");
    if (s == AN_OK) s = an_run_put(t->run, "config.json", config, err);
    if (s == AN_OK) s = an_tokenizer_save(t->placed.tokenizer, path, err);
    an_text_free(config);
    an_arena_fini(&arena);
    return s;
}

/* Lists the tensors of both files once; their data stays where it is. */
static an_status list_tensors(an_trainer *t, an_error *err)
{
    const an_weights *w = t->placed.weights;
    size_t n = (size_t)an_weights_n_tensors(w, AN_PARAMS_TRAINED);
    size_t all = (size_t)an_weights_n_tensors(w, saved_set(t));
    t->model_tensors = an_alloc_array(all, sizeof *t->model_tensors);
    t->state_tensors = an_alloc_array(2 * n, sizeof *t->state_tensors);
    if (!t->model_tensors || !t->state_tensors)
        return an_fail(err, AN_ENOMEM, "checkpoint: no memory");
    an_status s =
        an_weights_tensors(w, AN_WEIGHTS_MASTER, saved_set(t), "", &t->arena,
                           t->model_tensors, &t->n_model_tensors, err);
    if (s == AN_OK)
        s = an_weights_tensors(w, AN_WEIGHTS_M, AN_PARAMS_TRAINED, "m.",
                               &t->arena, t->state_tensors, &t->n_state_tensors,
                               err);
    if (s == AN_OK)
        s = an_weights_tensors(w, AN_WEIGHTS_V, AN_PARAMS_TRAINED, "v.",
                               &t->arena, t->state_tensors, &t->n_state_tensors,
                               err);
    return s;
}

an_status an_trainer_checkpoint(an_trainer *t, an_error *err)
{
    entries e = {.n = 0};
    const char *metadata[2 * MAX_ENTRIES + 1];
    an_status s = t->model_tensors ? AN_OK : list_tensors(t, err);
    if (s != AN_OK) return s;
    put_settings(&e, t);
    put_progress(&e, t);
    int n = 0;
    for (int i = 0; i < e.n; i++) {
        if (!e.list[i].text[0]) continue;
        metadata[n++] = e.list[i].key;
        metadata[n++] = e.list[i].text;
    }
    metadata[n] = NULL;
    an_checkpoint c = {.step = t->progress.step,
                       .adapter_config = t->adapter_config,
                       .model = t->model_tensors,
                       .n_model = t->n_model_tensors,
                       .state = t->state_tensors,
                       .n_state = t->n_state_tensors,
                       .metadata = metadata,
                       .keep = t->o.keep,
                       .best = t->val_loss == t->progress.best};
    s = an_run_save(t->run, &c, err);
    if (s == AN_OK) t->saved_step = t->progress.step;
    return s;
}
