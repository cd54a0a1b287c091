/*
 * anemone generate: continues a text, token by token, as it is made. What goes
 * to a terminal is cleaned (a model may write any bytes); what goes to a file
 * or a pipe is the bytes.
 */
#include "cli/commands.h"
#include "cli/talk.h"
#include "cli/terminal.h"

#include "anemone/train.h"
#include "base/clock.h"

#include <string.h>

typedef struct values {
    an_runner_options runner;
    an_words stops;
    an_engine_extra extra;
    an_sample_options sample;
    bool quiet, uncached, chat;
    const char *system;
} values;

static const char *dtype_choice(int i)
{
    return an_run_dtype_name((an_run_dtype)i);
}

static const an_option options[] = {
    AN_MODEL_ROWS(values, runner),
    {.name = "prompt",
     .metavar = "TEXT",
     .type = AN_OPTION_TEXT,
     .preset = "a new text",
     AN_AT(values, sample.prompt),
     .help = "what the text begins with"},
    {.name = "chat",
     .type = AN_OPTION_FLAG,
     AN_AT(values, chat),
     .help = "answer the prompt, or line after line of the standard input, in "
             "the form of the model's chat template"},
    {.name = "system",
     .metavar = "TEXT",
     .type = AN_OPTION_TEXT,
     .preset = "what the template says",
     AN_AT(values, system),
     .help = "with --chat: what the system tells the model"},
    {.name = "tokens",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "tokens",
     .min = 1,
     .max = 1e9,
     AN_AT(values, sample.tokens),
     .help = "how many to make, at most"},
    {.name = "temperature",
     .metavar = "T",
     .type = AN_OPTION_REAL,
     .min = 0,
     .max = 100,
     AN_AT(values, sample.temperature),
     .help = "divides the logits; 0 takes the most likely token"},
    {.name = "top-k",
     .metavar = "K",
     .type = AN_OPTION_INT,
     .unit = "tokens",
     .min = 0,
     .max = 1e9,
     AN_AT(values, sample.top_k),
     .help = "choose among the K most likely; 0: among all"},
    {.name = "top-p",
     .metavar = "P",
     .type = AN_OPTION_REAL,
     .unit = "share",
     .min = 0,
     .max = 1,
     AN_AT(values, sample.top_p),
     .help = "choose among the most likely that together have probability P"},
    {.name = "min-p",
     .metavar = "P",
     .type = AN_OPTION_REAL,
     .unit = "share",
     .min = 0,
     .max = 1,
     AN_AT(values, sample.min_p),
     .help = "choose among tokens of at least P times the probability of the "
             "most likely one; 0: among all"},
    {.name = "repetition-penalty",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .min = 0.01,
     .max = 100,
     AN_AT(values, sample.repetition_penalty),
     .help = "above 1: tokens that came before are less likely"},
    {.name = "stop",
     .metavar = "TEXT...",
     .type = AN_OPTION_WORDS,
     AN_AT(values, stops),
     .help = "end before the first of these texts"},
    {.name = "seed",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .min = 0,
     .max = 9007199254740992.0,
     AN_AT(values, sample.seed),
     .help = "the same seed makes the same text"},
    {.name = "dtype",
     .metavar = "TYPE",
     .type = AN_OPTION_CHOICE,
     .choice = dtype_choice,
     AN_AT(values, runner.dtype),
     .help = "how matrices are held: f32, f16, q8 (int8 with a scale per 32), "
             "or file, as in the file (bf16 as f16); sums are in fp32"},
    {.name = "no-cache",
     .type = AN_OPTION_FLAG,
     AN_AT(values, uncached),
     .help = "compute all of the text again for each token, on the engine: "
             "slow, to check the cache against"},
    {.name = "quiet",
     .type = AN_OPTION_FLAG,
     AN_AT(values, quiet),
     .help = "write the text and nothing else"},
    AN_ENGINE_ROWS(values, runner.engine, extra, runner.numerics,
                   runner.threads),
};

static void defaults(void *v)
{
    *(values *)v =
        (values){.runner = {.engine = "auto"}, .sample = an_sample_defaults()};
}

typedef struct stream {
    an_terminal terminal;
    an_clean clean;
    char last;
    int64_t pieces; /* tokens that were made */
} stream;

static bool put(void *ctx, const char *bytes, size_t size)
{
    stream *out = ctx;
    out->pieces++;
    if (size == 0) return true;
    if (out->terminal.live)
        an_clean_print(&out->clean, bytes, size, stdout);
    else
        fwrite(bytes, 1, size, stdout);
    out->last = bytes[size - 1];
    return fflush(stdout) == 0 && !ferror(stdout);
}

static void end(stream *out)
{
    char rest[12];
    if (!out->terminal.live) return;
    fwrite(rest, 1, an_clean_end(&out->clean, rest), stdout);
    if (out->last != '\n') putchar('\n');
}

/* To people alone: on stderr, when that is a terminal. */
static void print_speed(const an_runner *r, const stream *out, double seconds)
{
    an_speed speed;
    an_runner_get_speed(r, &speed);
    if (out->pieces < 1 || seconds <= 0 || !an_terminal_of(stderr).live) return;
    if (speed.prompt_tokens == 0 || speed.tokens == 0) {
        fprintf(stderr, "%lld tokens, %.1f tokens/s\n", (long long)out->pieces,
                (double)out->pieces / seconds);
        return;
    }
    fprintf(stderr,
            "prompt: %lld tokens, %.1f tokens/s; text: %lld tokens, "
            "%.1f tokens/s\n",
            (long long)speed.prompt_tokens,
            (double)speed.prompt_tokens / speed.prompt_seconds,
            (long long)speed.tokens, (double)speed.tokens / speed.seconds);
}

static int generate(const an_call *call, const void *v)
{
    const values *o = v;
    an_error err = {0};
    an_runner *runner = NULL;
    an_runner_options opened = o->runner;
    char engine[128];
    opened.engine =
        an_engine_text(o->runner.engine, &o->extra, engine, sizeof engine);
    opened.dump = call->dump;
    opened.cache = o->uncached ? AN_CACHE_OFF : AN_CACHE_ON;
    stream out = {.terminal = an_terminal_of(stdout)};
    const char *prompt = o->sample.prompt;
    an_status s = o->system && !o->chat
                      ? an_fail(&err, AN_EINVAL, "--system goes with --chat")
                      : an_runner_open(&opened, &runner, &err);
    if (s == AN_OK) {
        if (prompt != NULL && !o->chat) put(&out, prompt, strlen(prompt));
        an_sample_options sample = o->sample;
        sample.stops = o->stops.items;
        sample.n_stops = o->stops.n;
        double started = an_clock();
        out.pieces = 0;
        s = o->chat
                ? an_talk(runner, &sample, o->system, stdin, put, &out, &err)
                : an_runner_sample(runner, &sample, put, &out, &err);
        end(&out);
        bool waits = o->chat && prompt == NULL; /* for people to write */
        if (s == AN_OK && !o->quiet && !waits)
            print_speed(runner, &out, an_clock() - started);
    }
    an_runner_close(runner);
    return s == AN_OK ? 0 : an_call_fail(call, &err);
}

const an_command an_command_generate = {
    .name = "generate",
    .summary = "write text with a trained model",
    .about = "Continues a text with a trained model and prints it as it is "
             "made. The engine computes the prompt in one pass, the CPU each "
             "token after it, over a cache of keys and values. A text beyond "
             "the model's sequence goes on from the last half of it and more. "
             "On a terminal, bytes that are no text show as U+FFFD; into a "
             "file or a pipe go the bytes as they are.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = generate,
};
