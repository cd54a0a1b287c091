/*
 * Settings: defaults, and what follows from the model.
 */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

an_train_options an_train_defaults(void)
{
    return (an_train_options){.engine = "auto",
                              .steps = 1000,
                              .accum = 1,
                              .lr_min = 0.1,
                              .warmup = -1,
                              .beta1 = 0.9,
                              .beta2 = 0.95,
                              .epsilon = 1e-8,
                              .weight_decay = 0.1,
                              .clip = 1.0,
                              .validation = 0.1,
                              .seed = 1,
                              .eval_every = 100,
                              .eval_windows = 64,
                              .save_every = 100,
                              .keep = 2};
}

const char *an_weight_mode_name(an_weight_mode mode)
{
    static const char *const names[AN_WEIGHT_MODE_COUNT] = {
        "auto", "stream", "mixed", "bake", "reload"};
    unsigned i = (unsigned)mode;
    return i < AN_WEIGHT_MODE_COUNT ? names[i] : "unknown";
}

enum { FREEZE_ROOM = 200 }; /* bytes, as the state file keeps it */

typedef struct int_range {
    const char *key;
    int64_t value, min, max;
} int_range;

typedef struct real_range {
    const char *key;
    double value, min, max;
} real_range;

static an_status check_ranges(const an_train_options *o, an_error *err)
{
    const int_range ints[] = {
        {"steps", o->steps, 1, (int64_t)1 << 40},
        {"stop-at", o->stop_at, 0, (int64_t)1 << 40},
        {"tokens", o->tokens, 0, (int64_t)1 << 60},
        {"batch", o->batch, 1, 65536},
        {"accum", o->accum, 1, 65536},
        {"seq", o->sequence, 2, 65536},
        {"warmup", o->warmup, -1, (int64_t)1 << 40},
        {"threads", o->threads, 0, 1024},
        {"eval-every", o->eval_every, 0, (int64_t)1 << 40},
        {"save-every", o->save_every, 0, (int64_t)1 << 40},
        {"keep", o->keep, 1, 1000000},
    };
    const real_range reals[] = {
        {"minutes", o->minutes, 0, 1e7},
        {"lr", o->lr, 0, 10},
        {"lr-min", o->lr_min, 0, 1},
        {"beta1", o->beta1, 0, 0.999999},
        {"beta2", o->beta2, 0, 0.9999999},
        {"epsilon", o->epsilon, 0, 1},
        {"weight-decay", o->weight_decay, 0, 10},
        {"clip", o->clip, 0, 1e9},
        {"loss-scale", o->loss_scale, 0x1p-24, 0x1p+24},
        {"validation", o->validation, 0, 0.9},
    };
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        if (ints[i].value < ints[i].min || ints[i].value > ints[i].max)
            return an_fail(err, AN_EINVAL,
                           "%s: expected %lld to %lld, got %lld", ints[i].key,
                           (long long)ints[i].min, (long long)ints[i].max,
                           (long long)ints[i].value);
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        if (!(reals[i].value >= reals[i].min && reals[i].value <= reals[i].max))
            return an_fail(err, AN_EINVAL, "%s: expected %g to %g, got %g",
                           reals[i].key, reals[i].min, reals[i].max,
                           reals[i].value);
    if (o->freeze && strlen(o->freeze) > FREEZE_ROOM)
        return an_fail(err, AN_EINVAL, "freeze: longer than %d bytes",
                       FREEZE_ROOM);
    if (o->lora_rank == 0 && (o->lora_targets || o->lora_alpha > 0))
        return an_fail(err, AN_EINVAL,
                       "%s: is of new adapters, which --lora RANK makes",
                       o->lora_targets ? "lora-targets" : "lora-alpha");
    int exponent;
    if (frexp(o->loss_scale, &exponent) != 0.5)
        return an_fail(err, AN_EINVAL,
                       "loss-scale: expected a power of two, got %g",
                       o->loss_scale);
    return AN_OK;
}

an_status an_train_resolve(an_train_options *o, const an_model_facts *m,
                           an_dtype dtype, an_error *err)
{
    /* Tokens of a default micro-batch: enough columns for the engine's
     * contractions, little enough that activations stay small. */
    enum { MICRO_TOKENS = 1024 };
    if (o->sequence == 0) o->sequence = m->sequence;
    if (o->batch == 0) {
        o->batch = o->sequence > 0 ? MICRO_TOKENS / o->sequence : 1;
        if (o->batch < 1) o->batch = 1;
    }
    /* 5e-4 at width 768 (llama2.c's reference runs), inverse in the width. */
    if (o->lr == 0) o->lr = 5e-4 * 768.0 / (double)m->width;
    if (o->loss_scale == 0) o->loss_scale = dtype == AN_FP16 ? 64.0 : 1.0;
    if (o->warmup < 0) o->warmup = -1;
    return check_ranges(o, err);
}
