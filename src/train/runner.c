/*
 * A trained model from a run folder: generation and evaluation.
 */
#include "train/placed.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "train/checkpoint.h"

#include <math.h>

struct an_runner {
    an_placed placed;
    int64_t batch, sequence;
    an_net *sampling;   /* one sequence, made when first used */
    an_net *evaluating; /* `batch` sequences */
};

/* DIR/name, or DIR/../name for a step's folder inside a run folder. */
static an_status find_file(an_arena *arena, const char *folder,
                           const char *name, const char **out, an_error *err)
{
    const char *here = an_arena_printf(arena, "%s/%s", folder, name);
    const char *above = an_arena_printf(arena, "%s/../%s", folder, name);
    if (!here || !above) return an_fail(err, AN_ENOMEM, "runner: no memory");
    *out = here;
    if (an_path_exists(here)) return AN_OK;
    *out = above;
    if (an_path_exists(above)) return AN_OK;
    return an_fail(err, AN_EIO, "%s: no %s there: not a run folder", folder,
                   name);
}

static an_status open_model(an_placed *p, const char *folder, an_error *err)
{
    an_arena arena;
    const char *config = NULL, *tokenizer = NULL;
    an_arena_init(&arena);
    an_status s = find_file(&arena, folder, "config.json", &config, err);
    if (s == AN_OK)
        s = find_file(&arena, folder, "tokenizer.json", &tokenizer, err);
    if (s == AN_OK) s = an_tokenizer_open(tokenizer, &p->tokenizer, err);
    if (s == AN_OK) s = an_model_open(config, 0, &p->model, err);
    an_arena_fini(&arena);
    return s;
}

static an_status load(an_runner *r, const an_runner_options *o, an_error *err)
{
    an_st *st = NULL;
    an_status s = open_model(&r->placed, o->checkpoint, err);
    if (s == AN_OK) s = an_checkpoint_load(o->checkpoint, &st, NULL, err);
    if (s == AN_OK)
        s = an_placed_open(&r->placed, o->engine, o->numerics, o->threads,
                           AN_WEIGHTS_RUN, err);
    if (s == AN_OK && o->dump) s = an_dump_open(o->dump, &r->placed.dump, err);
    if (s == AN_OK)
        s = an_weights_load(r->placed.weights, AN_WEIGHTS_MASTER, "", st, err);
    an_st_close(st);
    return s;
}

an_status an_runner_open(const an_runner_options *options, an_runner **out,
                         an_error *err)
{
    an_runner *r = an_alloc(sizeof *r);
    if (!r) return an_fail(err, AN_ENOMEM, "runner: no memory");
    an_status s = load(r, options, err);
    if (s != AN_OK) {
        an_runner_close(r);
        return s;
    }
    r->batch = options->batch > 0 ? options->batch : 1;
    r->sequence = options->sequence > 0 ? options->sequence
                                        : r->placed.model_facts.sequence;
    *out = r;
    return AN_OK;
}

void an_runner_close(an_runner *r)
{
    if (!r) return;
    an_net_free(r->sampling);
    an_net_free(r->evaluating);
    an_placed_fini(&r->placed);
    an_free(r);
}

an_status an_runner_sample(an_runner *r, const an_sample_options *o,
                           an_sample_fn *put, void *ctx, an_error *err)
{
    an_status s = AN_OK;
    if (!r->sampling)
        s = an_placed_net(&r->placed, 1, r->sequence, AN_NET_FORWARD,
                          AN_WEIGHT_STREAM, 1.0, &r->sampling, err);
    if (s != AN_OK) return s;
    return an_sample_text(r->sampling, r->placed.tokenizer, r->sequence, o, put,
                          ctx, err);
}

an_status an_runner_evaluate(an_runner *r, const char *const *data, int n_data,
                             an_eval_report *out, an_error *err)
{
    an_dataset *d = NULL;
    an_dataset_options o = {.paths = data,
                            .n_paths = n_data,
                            .tokenizer = r->placed.tokenizer,
                            .vocab_size = r->placed.model_facts.vocab_size,
                            .sequence = r->sequence,
                            .validation_share = 1.0};
    an_status s = an_dataset_open(&o, &d, err);
    if (s == AN_OK && !r->evaluating)
        s = an_placed_net(&r->placed, r->batch, r->sequence, AN_NET_FORWARD,
                          AN_WEIGHT_STREAM, 1.0, &r->evaluating, err);
    double loss = 0;
    if (s == AN_OK) {
        int64_t n = an_dataset_windows(d, AN_SPLIT_VALIDATION);
        s = an_evaluate_windows(r->evaluating, d, AN_SPLIT_VALIDATION, n,
                                r->batch, r->sequence, &loss, err);
        if (s == AN_OK) {
            double bytes = an_dataset_bytes_per_token(d);
            *out = (an_eval_report){.loss = loss,
                                    .perplexity = exp(loss),
                                    .bits_per_byte =
                                        bytes > 0 ? loss / (log(2.0) * bytes)
                                                  : (double)NAN,
                                    .tokens = n * r->sequence};
        }
    }
    an_dataset_free(d);
    return s;
}
