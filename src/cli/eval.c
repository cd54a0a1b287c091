/*
 * anemone eval: how well a trained model predicts a text.
 */
#include "cli/commands.h"

#include "anemone/train.h"
#include "base/file.h"
#include "base/host.h"
#include "base/json.h"
#include "cli/npy.h"

#include <math.h>

typedef struct values {
    an_runner_options runner;
    an_words data;
    const char *logits;
    bool json;
    an_engine_extra extra;
} values;

static const an_option options[] = {
    AN_MODEL_ROWS(values, runner),
    {.name = "data",
     .metavar = "FILE...",
     .type = AN_OPTION_WORDS,
     .required = true,
     AN_AT(values, data),
     .help = "text, llm.c .bin shards or raw uint16 tokens; all of it counts"},
    {.name = "batch",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "sequences",
     .min = 1,
     .max = 65536,
     AN_AT(values, runner.batch),
     .help = "how many are evaluated at once"},
    {.name = "seq",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "tokens",
     .preset = "the model's",
     .min = 1,
     .max = 1048576,
     AN_AT(values, runner.sequence),
     .help = "length of a sequence"},
    AN_ENGINE_ROWS(values, runner.engine, extra, runner.numerics,
                   runner.threads),
    {.name = "logits",
     .metavar = "FILE",
     .type = AN_OPTION_TEXT,
     AN_AT(values, logits),
     .help = "write the logits after each token too: .npy, fp32, [tokens, "
             "vocabulary]"},
    {.name = "json",
     .type = AN_OPTION_FLAG,
     AN_AT(values, json),
     .help = "print one JSON object"},
};

static void defaults(void *v)
{
    *(values *)v = (values){.runner = {.engine = "auto", .batch = 1}};
}

static void print_text(const an_eval_report *r)
{
    printf("loss           %.6f nats per token\n", r->loss);
    printf("perplexity     %.4f\n", r->perplexity);
    if (isfinite(r->bits_per_byte))
        printf("bits per byte  %.6f\n", r->bits_per_byte);
    else
        printf("bits per byte  not known: the data is tokens, not text\n");
    printf("tokens         %lld\n", (long long)r->tokens);
}

static an_status print_json(const an_eval_report *r, an_error *err)
{
    json_t *o = json_object();
    json_object_set_new(o, "loss", json_real(r->loss));
    json_object_set_new(o, "perplexity", json_real(r->perplexity));
    if (isfinite(r->bits_per_byte))
        json_object_set_new(o, "bits_per_byte", json_real(r->bits_per_byte));
    json_object_set_new(o, "tokens", json_integer(r->tokens));
    int failed = json_dumpf(o, stdout, JSON_COMPACT);
    json_decref(o);
    if (failed) return an_fail(err, AN_ENOMEM, "no memory for the result");
    putchar('\n');
    return AN_OK;
}

static an_status put_row(void *ctx, const float *logits, int64_t vocab_size,
                         an_error *err)
{
    return an_writer_put(ctx, logits, (size_t)vocab_size * sizeof *logits, err);
}

static an_status write_logits(an_runner *runner, const values *o,
                              const an_eval_report *report, an_error *err)
{
    an_shape shape = {.dtype = AN_FP32,
                      .rank = 2,
                      .dims = {report->tokens, report->vocab_size}};
    char header[AN_NPY_HEADER];
    size_t size = 0;
    an_writer *w = NULL;
    an_status s = an_npy_header(&shape, header, &size, err);
    if (s == AN_OK) s = an_writer_open(o->logits, &w, err);
    if (s == AN_OK) s = an_writer_put(w, header, size, err);
    if (s == AN_OK)
        s = an_runner_logits(runner, o->data.items, o->data.n, put_row, w, err);
    if (s == AN_OK) return an_writer_commit(w, err);
    an_writer_abort(w);
    return s;
}

static int eval(const an_call *call, const void *v)
{
    const values *o = v;
    an_error err = {0};
    an_runner *runner = NULL;
    an_runner_options opened = o->runner;
    char engine[128];
    opened.engine =
        an_engine_text(o->runner.engine, &o->extra, engine, sizeof engine);
    opened.dump = call->dump;
    an_eval_report report = {0};
    an_awake awake = an_host_stay_awake(an_host_here(), "anemone eval");
    an_status s = an_runner_open(&opened, &runner, &err);
    if (s == AN_OK)
        s = an_runner_evaluate(runner, o->data.items, o->data.n, &report, &err);
    if (s == AN_OK && o->logits) s = write_logits(runner, o, &report, &err);
    if (s == AN_OK && o->json)
        s = print_json(&report, &err);
    else if (s == AN_OK)
        print_text(&report);
    an_runner_close(runner);
    an_host_let_sleep(&awake);
    return s == AN_OK ? 0 : an_call_fail(call, &err);
}

const an_command an_command_eval = {
    .name = "eval",
    .summary = "loss, perplexity and bits per byte of a checkpoint on a text",
    .about = "Prints how well a trained model predicts a text.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = eval,
};
