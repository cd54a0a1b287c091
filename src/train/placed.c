/*
 * Engines, pool and weights of a model; evaluation on any net.
 */
#include "train/placed.h"

#include "base/half.h"
#include "chip/numerics.h"

#include <string.h>

/* Where a chip's products end, else fp16. */
static double product_limit(an_numerics numerics, const char *chip)
{
    const an_chip_numerics *row = an_chip_numerics_find(chip);
    return numerics == AN_NUMERICS_HW && row ? row->product_limit : AN_HALF_MAX;
}

an_status an_placed_open(an_placed *p, const char *engine, an_numerics numerics,
                         int threads, an_weights_use use, an_error *err)
{
    an_status s = an_pool_open(threads, &p->pool, err);
    if (s != AN_OK) return s;
    an_engine_options o = {
        .name = engine, .numerics = numerics, .pool = p->pool};
    if ((s = an_engine_open(&o, &p->engine, err)) != AN_OK) return s;
    /* The head is fp32 and always `ieee`, but in exact runs. */
    o.name = "cpu";
    o.numerics = numerics == AN_NUMERICS_EXACT ? numerics : AN_NUMERICS_IEEE;
    if ((s = an_engine_open(&o, &p->cpu, err)) != AN_OK) return s;
    an_engine_get_facts(p->engine, &p->facts);
    if (p->facts.own_numerics) numerics = AN_NUMERICS_HW;
    p->numerics = numerics;
    bool chip = strcmp(p->facts.chip, "cpu") != 0;
    p->columns = chip ? 32 : 1;
    p->product_limit = product_limit(numerics, p->facts.chip);
    p->dtype = numerics == AN_NUMERICS_EXACT ? AN_FP64
               : chip                        ? AN_FP16
                                             : AN_FP32;
    an_model_get_facts(p->model, &p->model_facts);
    if (use == AN_WEIGHTS_NONE) return AN_OK;
    return an_weights_new(p->model,
                          numerics == AN_NUMERICS_EXACT ? AN_FP64 : AN_FP32,
                          use, p->cpu, &p->weights, err);
}

void an_placed_fini(an_placed *p)
{
    an_weights_free(p->weights);
    an_engine_close(p->cpu);
    an_engine_close(p->engine);
    an_pool_close(p->pool);
    an_dump_close(p->dump);
    an_tokenizer_free(p->tokenizer);
    an_model_free(p->model);
    *p = (an_placed){0};
}

an_status an_placed_net(const an_placed *p, int64_t batch, int64_t sequence,
                        an_net_use use, an_weight_mode mode, double loss_scale,
                        an_net **out, an_error *err)
{
    an_net_options o = {.model = p->model,
                        .weights = p->weights,
                        .engine = p->engine,
                        .cpu = p->cpu,
                        .pool = p->pool,
                        .dtype = p->dtype,
                        .columns = p->columns,
                        .dump = p->dump,
                        .batch = batch,
                        .sequence = sequence,
                        .use = use,
                        .mode = mode,
                        .loss_scale = loss_scale,
                        .product_limit = p->product_limit};
    return an_net_new(&o, out, err);
}

an_status an_placed_check_tokenizer(const an_placed *p, an_error *err)
{
    if (!p->tokenizer)
        return an_fail(err, AN_EUNSUPPORTED,
                       "tokenizer: there is none beside the model: give one "
                       "with --tokenizer");
    int64_t n = an_tokenizer_vocab_size(p->tokenizer);
    if (n <= p->model_facts.vocab_size) return AN_OK;
    return an_fail(err, AN_EUNSUPPORTED,
                   "tokenizer: %lld ids, but the model's vocabulary is %lld",
                   (long long)n, (long long)p->model_facts.vocab_size);
}

int64_t an_count_targets(const int32_t *targets, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += targets[i] >= 0;
    return count;
}

an_status an_put_windows(an_net *net, const an_dataset *d, an_split split,
                         int64_t first, int64_t n, int64_t batch,
                         int64_t sequence, an_error *err)
{
    for (int64_t b = 0; b < batch; b++) {
        int32_t *inputs = an_net_inputs(net) + b * sequence;
        int32_t *targets = an_net_targets(net) + b * sequence;
        int64_t window = first + b < n ? first + b : n - 1;
        an_status s =
            an_dataset_window(d, split, (uint64_t)window, inputs, targets, err);
        if (s != AN_OK) return s;
        for (int64_t i = 0; first + b >= n && i < sequence; i++)
            targets[i] = -1;
    }
    return AN_OK;
}

an_status an_evaluate_windows(an_net *net, const an_dataset *d, an_split split,
                              int64_t n, int64_t batch, int64_t sequence,
                              double *loss, an_error *err)
{
    double sum = 0;
    int64_t targets_seen = 0;
    for (int64_t k = 0; k < n; k += batch) {
        double nats;
        an_status s = an_put_windows(net, d, split, k, n, batch, sequence, err);
        if (s == AN_OK) s = an_net_loss(net, &nats, err);
        if (s != AN_OK) return s;
        targets_seen += an_count_targets(an_net_targets(net), batch * sequence);
        sum += nats;
    }
    *loss = targets_seen > 0 ? sum / (double)targets_seen : 0;
    return AN_OK;
}
