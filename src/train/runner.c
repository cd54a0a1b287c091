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
    an_pretrained from;  /* open: weights are read when they are needed */
    an_matrix_form form; /* of `packed` */
    an_packed *packed;
    int64_t batch, sequence;
    an_cache_use cache;
    an_net *sampling;        /* one sequence, made when first used */
    an_predictor *predictor; /* the same with a cache */
    an_net *evaluating;      /* `batch` sequences */
};

const char *an_run_dtype_name(an_run_dtype dtype)
{
    static const char *const names[AN_RUN_DTYPE_COUNT] = {[AN_RUN_FILE] =
                                                              "file",
                                                          [AN_RUN_F32] = "f32",
                                                          [AN_RUN_F16] = "f16",
                                                          [AN_RUN_Q8] = "q8"};
    return dtype >= 0 && dtype < AN_RUN_DTYPE_COUNT ? names[dtype] : NULL;
}

/* What matrices are held as to be as large as in the file. */
static an_matrix_form form_of_file(const an_weight_file *f)
{
    an_matrix_form form = AN_MATRIX_PLAIN;
    for (int i = 0; i < an_weight_file_count(f); i++) {
        const an_stored_tensor *t = an_weight_file_at(f, i);
        if (t->rank != 2) continue;
        if (t->stored == AN_STORED_Q8_0 || t->stored == AN_STORED_Q4_0 ||
            t->stored == AN_STORED_GROUPS)
            return AN_MATRIX_Q8;
        if (t->stored == AN_STORED_F16 || t->stored == AN_STORED_BF16)
            form = AN_MATRIX_F16;
    }
    return form;
}

static an_status choose_form(an_runner *r, an_run_dtype dtype, an_error *err)
{
    bool exact = r->placed.numerics == AN_NUMERICS_EXACT;
    if (exact && dtype != AN_RUN_FILE && dtype != AN_RUN_F32)
        return an_fail(err, AN_EINVAL,
                       "dtype: exact numerics hold fp64, not %s",
                       an_run_dtype_name(dtype));
    if (dtype == AN_RUN_F16) r->form = AN_MATRIX_F16;
    if (dtype == AN_RUN_Q8) r->form = AN_MATRIX_Q8;
    if (dtype == AN_RUN_FILE && !exact) r->form = form_of_file(r->from.source);
    return AN_OK;
}

static an_status load(an_runner *r, const an_runner_options *o, an_error *err)
{
    an_placed *p = &r->placed;
    an_status s =
        an_pretrained_open(o->checkpoint, o->tokenizer, &r->from, err);
    if (s == AN_OK && o->adapter)
        s = an_pretrained_adapt(&r->from, o->adapter, err);
    if (s != AN_OK) return s;
    p->model = r->from.model;
    p->tokenizer = r->from.tokenizer;
    r->from.model = NULL;
    r->from.tokenizer = NULL;
    s = an_placed_open(p, o->engine, o->numerics, o->threads, AN_WEIGHTS_NONE,
                       err);
    if (s == AN_OK && o->dump) s = an_dump_open(o->dump, &p->dump, err);
    if (s == AN_OK) s = an_weight_file_check(r->from.source, p->model, err);
    return s == AN_OK ? choose_form(r, o->dtype, err) : s;
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

/* ---- weights, when they are needed ---- */

/* The part that is being read: its pages leave memory after it. */
typedef struct reader {
    an_weight_file *file;
    const an_param_part *part;
    const an_stored_tensor *tensor;
} reader;

static void read_part(void *ctx, const an_model_param *p,
                      const an_param_part *part, int64_t row, an_dtype dtype,
                      void *out)
{
    (void)p;
    reader *r = ctx;
    if (part != r->part) {
        if (r->tensor) an_weight_file_forget(r->file, r->tensor);
        r->part = part;
        r->tensor = an_weight_file_use(r->file, part->name);
    }
    an_stored_read(r->tensor,
                   part->transposed ? AN_STORED_COLUMNS : AN_STORED_ROWS, row,
                   dtype, out);
}

static an_dtype plain_dtype(const an_runner *r)
{
    return r->placed.numerics == AN_NUMERICS_EXACT ? AN_FP64 : AN_FP32;
}

static an_status pack(an_runner *r, an_packed **out, an_error *err)
{
    reader from = {.file = r->from.source};
    an_packed_options o = {.model = r->placed.model,
                           .engine = r->placed.engine,
                           .cpu = r->placed.cpu,
                           .dtype = plain_dtype(r),
                           .form = r->form,
                           .read = read_part,
                           .ctx = &from};
    return an_packed_new(&o, out, err);
}

/* Masters of the values that the packed ones have: for texts without a cache,
 * which are to be the same. */
static an_status unpack(an_runner *r, an_error *err)
{
    an_packed *packed = NULL;
    an_status s = pack(r, &packed, err);
    if (s != AN_OK) return s;
    for (int i = 0; i < packed->n; i++) {
        const an_weight *w = &r->placed.weights->list[i];
        for (int64_t row = 0; row < w->param->rows; row++)
            for (int64_t k = 0; k < w->param->columns; k++)
                ((float *)w->master)[row * w->param->columns + k] =
                    (float)an_packed_get(packed, i, row, k);
    }
    an_packed_free(packed);
    return AN_OK;
}

/* A net, of one sequence or the runner's batch. */
static an_status make_net(an_runner *r, int64_t batch, an_net **out,
                          an_error *err)
{
    an_placed *p = &r->placed;
    an_status s = AN_OK;
    if (*out) return AN_OK;
    if (!p->weights) {
        s = an_weights_new(p->model, plain_dtype(r), AN_WEIGHTS_RUN, p->cpu,
                           &p->weights, err);
        bool as_file = r->form == AN_MATRIX_PLAIN || r->cache == AN_CACHE_ON;
        if (s == AN_OK && as_file)
            s = an_pretrained_load(&r->from, p->model, p->weights, err);
        else if (s == AN_OK)
            s = unpack(r, err);
    }
    return s == AN_OK ? an_placed_net(p, batch, r->sequence, AN_NET_FORWARD,
                                      AN_WEIGHT_STREAM, 1.0, out, err)
                      : s;
}

static an_status make_predictor(an_runner *r, an_error *err)
{
    an_status s = r->packed ? AN_OK : pack(r, &r->packed, err);
    return s == AN_OK && !r->predictor
               ? an_predictor_new(&r->placed, r->packed, r->sequence,
                                  &r->predictor, err)
               : s;
}

void an_runner_close(an_runner *r)
{
    if (!r) return;
    an_net_free(r->sampling);
    an_predictor_free(r->predictor);
    an_packed_free(r->packed);
    an_pretrained_close(&r->from);
    an_net_free(r->evaluating);
    an_placed_fini(&r->placed);
    an_free(r);
}

an_status an_runner_sample(an_runner *r, const an_sample_options *o,
                           an_sample_fn *put, void *ctx, an_error *err)
{
    an_status s = an_placed_check_tokenizer(&r->placed, err);
    if (s != AN_OK) return s;
    s = r->cache == AN_CACHE_OFF ? make_net(r, 1, &r->sampling, err)
                                 : make_predictor(r, err);
    if (s != AN_OK) return s;
    an_sample_source from = {
        .net = r->sampling, .predictor = r->predictor, .sequence = r->sequence};
    return an_sample_text(&from, r->placed.tokenizer, o, put, ctx, err);
}

void an_runner_get_speed(const an_runner *r, an_speed *out)
{
    *out = (an_speed){.tokens = 0};
    if (r->predictor) an_predictor_get_speed(r->predictor, out);
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
    return s == AN_OK ? make_net(r, r->batch, &r->evaluating, err) : s;
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
