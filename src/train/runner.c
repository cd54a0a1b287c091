/*
 * A trained model from a run folder or another tool's files: generation and
 * evaluation.
 */
#include "train/predict.h"

#include "base/alloc.h"
#include "train/pretrained.h"

#include <math.h>

struct an_runner {
    an_placed placed;
    int64_t batch, sequence;
    an_cache_use cache;
    an_net *sampling;        /* one sequence, made when first used */
    an_predictor *predictor; /* the same with a cache */
    an_net *evaluating;      /* `batch` sequences */
};

static an_status load(an_runner *r, const an_runner_options *o, an_error *err)
{
    an_pretrained from;
    an_placed *p = &r->placed;
    an_status s = an_pretrained_open(o->checkpoint, o->tokenizer, &from, err);
    if (s == AN_OK) {
        p->model = from.model;
        p->tokenizer = from.tokenizer;
        from.model = NULL;
        from.tokenizer = NULL;
        s = an_placed_open(p, o->engine, o->numerics, o->threads,
                           AN_WEIGHTS_RUN, err);
    }
    if (s == AN_OK && o->dump) s = an_dump_open(o->dump, &p->dump, err);
    if (s == AN_OK) s = an_pretrained_load(&from, p->model, p->weights, err);
    an_pretrained_close(&from);
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
    r->cache = options->cache;
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
    an_predictor_free(r->predictor);
    an_net_free(r->evaluating);
    an_placed_fini(&r->placed);
    an_free(r);
}

an_status an_runner_sample(an_runner *r, const an_sample_options *o,
                           an_sample_fn *put, void *ctx, an_error *err)
{
    an_status s = an_placed_check_tokenizer(&r->placed, err);
    if (s != AN_OK) return s;
    if (r->cache == AN_CACHE_OFF && !r->sampling)
        s = an_placed_net(&r->placed, 1, r->sequence, AN_NET_FORWARD,
                          AN_WEIGHT_STREAM, 1.0, &r->sampling, err);
    if (r->cache == AN_CACHE_ON && !r->predictor)
        s = an_predictor_new(&r->placed, r->sequence, &r->predictor, err);
    if (s != AN_OK) return s;
    an_sample_source from = {
        .net = r->sampling, .predictor = r->predictor, .sequence = r->sequence};
    return an_sample_text(&from, r->placed.tokenizer, o, put, ctx, err);
}

/* All of the data as one split, and the net that evaluates it. */
static an_status open_data(an_runner *r, const char *const *data, int n_data,
                           an_dataset **out, an_error *err)
{
    an_dataset_options o = {.paths = data,
                            .n_paths = n_data,
                            .tokenizer = r->placed.tokenizer,
                            .vocab_size = r->placed.model_facts.vocab_size,
                            .sequence = r->sequence,
                            .validation_share = 1.0};
    an_status s = an_dataset_open(&o, out, err);
    if (s == AN_OK && !r->evaluating)
        s = an_placed_net(&r->placed, r->batch, r->sequence, AN_NET_FORWARD,
                          AN_WEIGHT_STREAM, 1.0, &r->evaluating, err);
    return s;
}

an_status an_runner_evaluate(an_runner *r, const char *const *data, int n_data,
                             an_eval_report *out, an_error *err)
{
    an_dataset *d = NULL;
    double loss = 0;
    an_status s = open_data(r, data, n_data, &d, err);
    if (s == AN_OK) {
        int64_t n = an_dataset_windows(d, AN_SPLIT_VALIDATION);
        s = an_evaluate_windows(r->evaluating, d, AN_SPLIT_VALIDATION, n,
                                r->batch, r->sequence, &loss, err);
        if (s == AN_OK) {
            double bytes = an_dataset_bytes_per_token(d);
            *out = (an_eval_report){
                .loss = loss,
                .perplexity = exp(loss),
                .bits_per_byte =
                    bytes > 0 ? loss / (log(2.0) * bytes) : (double)NAN,
                .tokens = n * r->sequence,
                .vocab_size = r->placed.model_facts.vocab_size};
        }
    }
    an_dataset_free(d);
    return s;
}

/* Columns [0, n) of logits [V, N], each through `row` [V]. */
static an_status put_columns(const an_matrix *logits, int64_t n, float *row,
                             an_logits_fn *put, void *ctx, an_error *err)
{
    an_status s = AN_OK;
    for (int64_t i = 0; i < n && s == AN_OK; i++) {
        for (int64_t v = 0; v < logits->rows; v++) {
            const char *from =
                (const char *)logits->data + (size_t)v * logits->row_bytes;
            row[v] = logits->dtype == AN_FP64 ? (float)((const double *)from)[i]
                                              : ((const float *)from)[i];
        }
        s = put(ctx, row, logits->rows, err);
    }
    return s;
}

an_status an_runner_logits(an_runner *r, const char *const *data, int n_data,
                           an_logits_fn *put, void *ctx, an_error *err)
{
    an_dataset *d = NULL;
    an_status s = open_data(r, data, n_data, &d, err);
    int64_t n = s == AN_OK ? an_dataset_windows(d, AN_SPLIT_VALIDATION) : 0;
    float *row =
        an_alloc_array((size_t)r->placed.model_facts.vocab_size, sizeof *row);
    if (s == AN_OK && !row) s = an_fail(err, AN_ENOMEM, "logits: no memory");
    for (int64_t k = 0; k < n && s == AN_OK; k += r->batch) {
        an_matrix m = {0};
        int64_t windows = n - k < r->batch ? n - k : r->batch;
        s = an_put_windows(r->evaluating, d, AN_SPLIT_VALIDATION, k, n,
                           r->batch, r->sequence, err);
        if (s == AN_OK) s = an_net_forward(r->evaluating, &m, err);
        if (s == AN_OK)
            s = put_columns(&m, windows * r->sequence, row, put, ctx, err);
    }
    an_free(row);
    an_dataset_free(d);
    return s;
}
