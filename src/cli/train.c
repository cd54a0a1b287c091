/*
 * anemone train: runs the training loop and shows it. SIGINT and SIGTERM end
 * the run after the step that is under way, with a checkpoint; a second one
 * ends the process at once, which never leaves half a file either.
 */
#include "cli/again.h"
#include "cli/due.h"
#include "cli/bar.h"
#include "cli/commands.h"
#include "cli/display.h"
#include "cli/guest.h"

#include "anemone/train.h"
#include "base/alloc.h"
#include "train/checkpoint.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct values {
    an_train_options o;
    an_words data;
    int64_t sample_every; /* -1: a fifth of the run */
    int64_t sample_tokens;
    const char *sample_prompt;
    bool quiet, json, dry_run;
    an_engine_extra extra;
    bool mask_prompt, steps_given;
    an_on_battery on_battery;
} values;

static const char *weights_choice(int i)
{
    return i < AN_WEIGHT_MODE_COUNT ? an_weight_mode_name((an_weight_mode)i)
                                    : NULL;
}

static const char *scaling_choice(int i)
{
    return i < AN_SCALING_COUNT ? an_scaling_name((an_scaling)i) : NULL;
}

static const char *battery_choice(int i)
{
    return i < AN_ON_BATTERY_COUNT ? an_on_battery_name((an_on_battery)i)
                                   : NULL;
}

static const an_option options[] = {
    {.section = "Data and model",
     .name = "data",
     .metavar = "FILE...",
     .type = AN_OPTION_WORDS,
     .required = true,
     AN_AT(values, data),
     .help = "files and folders: text, JSONL, llm.c .bin shards, raw uint16 "
             "(.bin without header, .u16) or uint32 (.u32) tokens; or the word "
             "random"},
    {.name = "mask-prompt",
     .type = AN_OPTION_FLAG,
     AN_AT(values, mask_prompt),
     .help = "JSONL with prompt and completion, or messages: the loss is taken "
             "over what is answered alone"},
    {.name = "model",
     .metavar = "NAME",
     .type = AN_OPTION_TEXT,
     .preset = "that of the run, else small",
     AN_AT(values, o.model),
     .help = "small, base, layer768, stories110m, or the path of a config.json "
             "with Hugging Face's keys"},
    {.name = "init",
     .metavar = "PATH",
     .type = AN_OPTION_TEXT,
     .preset = "random weights",
     AN_AT(values, o.init),
     .help = "model whose weights a new run begins with: a folder of Hugging "
             "Face's, a run, or a file (safetensors, GGUF, llama2.c's or "
             "llm.c's .bin, BLZT)"},
    {.name = "lora",
     .metavar = "RANK",
     .type = AN_OPTION_INT,
     .preset = "all weights are trained",
     .min = 1,
     .max = AN_LORA_MAX_RANK,
     AN_AT(values, o.lora_rank),
     .help = "train low-rank adapters of the weights of --init and nothing "
             "else; the run folder has them in PEFT's form"},
    {.name = "lora-alpha",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .preset = "twice the rank",
     .min = 1e-6,
     .max = 1e6,
     AN_AT(values, o.lora_alpha),
     .help = "the adapters' product counts alpha / rank"},
    {.name = "lora-targets",
     .metavar = "NAMES",
     .type = AN_OPTION_TEXT,
     .preset = "q_proj,v_proj, or GPT-2's c_attn",
     AN_AT(values, o.lora_targets),
     .help =
         "matrices that have adapters, separated by commas: q_proj, k_proj, "
         "v_proj, o_proj, gate_proj, up_proj, down_proj; c_attn, c_proj, "
         "c_fc; or all-linear"},
    {.name = "adapter",
     .metavar = "DIR",
     .type = AN_OPTION_TEXT,
     AN_AT(values, o.adapter),
     .help =
         "begin with adapters that are there, of PEFT, mlx-lm or a run, and "
         "train them; their model unless --init says where it is"},
    {.name = "freeze",
     .metavar = "PARTS",
     .type = AN_OPTION_TEXT,
     .preset = "nothing",
     AN_AT(values, o.freeze),
     .help = "what is not trained, separated by commas: embed, head, a layer "
             "(3), layers (0-5), or attention or mlp of every layer; it has no "
             "gradients and moments"},
    {.name = "tokenizer",
     .metavar = "FILE",
     .type = AN_OPTION_TEXT,
     .preset = "that of --init or of the run, else bytes",
     AN_AT(values, o.tokenizer),
     .help = "of the text: a tokenizer's file, or the word bytes"},
    {.name = "seq",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "tokens",
     .preset = "the model's",
     .min = 1,
     .max = 1 << 20,
     AN_AT(values, o.sequence),
     .help = "length of a sequence"},
    {.name = "validation",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .unit = "share",
     .min = 0,
     .max = 0.9,
     AN_AT(values, o.validation),
     .help = "share of the data that is held out"},
    {.section = "Length of the run",
     .name = "steps",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "steps",
     .min = 1,
     .max = 1e9,
     AN_AT(values, o.steps),
     .given = offsetof(values, steps_given),
     .help = "length of the run and of the learning rate's schedule"},
    {.name = "stop-at",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "steps",
     .preset = "at the end",
     .min = 1,
     .max = 1e9,
     AN_AT(values, o.stop_at),
     .help = "stop after this step and change nothing else; the same command "
             "without it goes on"},
    {.name = "tokens",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "tokens",
     .preset = "no limit",
     .min = 1,
     .max = 1e15,
     AN_AT(values, o.tokens),
     .help = "stop once this many tokens were seen"},
    {.name = "minutes",
     .metavar = "M",
     .type = AN_OPTION_REAL,
     .unit = "minutes",
     .preset = "by steps",
     .min = 0.001,
     .max = 1e6,
     AN_AT(values, o.minutes),
     .help = "length of the run in time; such a run is not reproducible bit "
             "for bit"},
    {.name = "battery",
     .metavar = "HOW",
     .type = AN_OPTION_CHOICE,
     .choice = battery_choice,
     AN_AT(values, on_battery),
     .help = "while the machine runs on battery: run, or pause (the state is "
             "saved, and the run goes on by itself with mains power)"},
    {.section = "Optimizer",
     .name = "batch",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "sequences",
     .preset = "the model's",
     .min = 1,
     .max = 65536,
     AN_AT(values, o.batch),
     .help = "sequences of a micro-batch"},
    {.name = "accum",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "micro-batches",
     .min = 1,
     .max = 65536,
     AN_AT(values, o.accum),
     .help = "micro-batches whose gradients make one step"},
    {.name = "lr",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .preset = "the model's",
     .min = 1e-12,
     .max = 100,
     AN_AT(values, o.lr),
     .help = "highest learning rate"},
    {.name = "lr-min",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .unit = "share of --lr",
     .min = 0,
     .max = 1,
     AN_AT(values, o.lr_min),
     .help = "learning rate at the end of the cosine"},
    {.name = "warmup",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "steps",
     .preset = "a tenth of the run",
     .min = 0,
     .max = 1e9,
     AN_AT(values, o.warmup),
     .help = "steps in which the learning rate rises"},
    {.name = "beta1",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .min = 0,
     .max = 0.999999,
     AN_AT(values, o.beta1),
     .help = "decay of AdamW's first moment"},
    {.name = "beta2",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .min = 0,
     .max = 0.999999999,
     AN_AT(values, o.beta2),
     .help = "decay of AdamW's second moment"},
    {.name = "epsilon",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .min = 0,
     .max = 1,
     AN_AT(values, o.epsilon),
     .help = "what AdamW adds to the root of the second moment"},
    {.name = "weight-decay",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .min = 0,
     .max = 100,
     AN_AT(values, o.weight_decay),
     .help = "decoupled weight decay; none on norms"},
    {.name = "clip",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .min = 0,
     .max = 1e9,
     AN_AT(values, o.clip),
     .help = "largest global norm of the gradient; 0: no clipping"},
    {.name = "loss-scale",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .preset = "the numerics'",
     .min = 0,
     .max = 16777216,
     AN_AT(values, o.loss_scale),
     .help = "a power of two that keeps small gradients above fp16's smallest "
             "number, at the start of the run"},
    {.name = "scaling",
     .metavar = "HOW",
     .type = AN_OPTION_CHOICE,
     .choice = scaling_choice,
     AN_AT(values, o.scaling),
     .help = "what the loss scale does then: dynamic (halved at overflow, "
             "doubled after 200 calm updates) or fixed"},
    {.name = "seed",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .min = 0,
     .max = 9007199254740992.0,
     AN_AT(values, o.seed),
     .help = "of initial weights and order of the data"},
    AN_ENGINE_ROWS(values, o.engine, extra, o.numerics, o.threads),
    {.name = "weights",
     .metavar = "HOW",
     .type = AN_OPTION_CHOICE,
     .choice = weights_choice,
     AN_AT(values, o.weights),
     .help = "how weights reach the engine: stream (inputs of programs), mixed "
             "(frozen ones are constants, trained ones inputs; auto is this "
             "where anything is frozen, else stream), bake "
             "(constants, compiled again after each step; the process starts "
             "itself again when the engine's compile limit is reached) or "
             "reload (constants, loaded again)"},
    {.section = "Run folder",
     .name = "out",
     .metavar = "DIR",
     .type = AN_OPTION_TEXT,
     .preset = "runs/MODEL",
     AN_AT(values, o.out),
     .help = "run folder; a run that is there is resumed"},
    {.name = "fresh",
     .type = AN_OPTION_FLAG,
     AN_AT(values, o.fresh),
     .help = "replace the run that is there"},
    {.name = "save-every",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "steps",
     .min = 0,
     .max = 1e9,
     AN_AT(values, o.save_every),
     .help = "checkpoint interval; 0: at the end only"},
    {.name = "keep",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "checkpoints",
     .min = 1,
     .max = 1e6,
     AN_AT(values, o.keep),
     .help = "how many stay, beside the best by validation"},
    {.name = "eval-every",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "steps",
     .min = 0,
     .max = 1e9,
     AN_AT(values, o.eval_every),
     .help = "interval of validation; 0: at the end only"},
    {.name = "eval-windows",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "sequences",
     .min = 1,
     .max = 1e9,
     AN_AT(values, o.eval_windows),
     .help = "held-out sequences of one validation, at most"},
    {.section = "What one sees",
     .name = "sample-every",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "steps",
     .preset = "a fifth of the run",
     .min = 0,
     .max = 1e9,
     AN_AT(values, sample_every),
     .help = "interval of samples of text; 0: none"},
    {.name = "sample-tokens",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "tokens",
     .min = 1,
     .max = 1e6,
     AN_AT(values, sample_tokens),
     .help = "length of a sample"},
    {.name = "sample-prompt",
     .metavar = "TEXT",
     .type = AN_OPTION_TEXT,
     .preset = "a new text",
     AN_AT(values, sample_prompt),
     .help = "what samples begin with"},
    {.name = "quiet",
     .type = AN_OPTION_FLAG,
     AN_AT(values, quiet),
     .help = "print errors only"},
    {.name = "json",
     .type = AN_OPTION_FLAG,
     AN_AT(values, json),
     .help = "print one JSON object a step, and a summary at the end"},
    {.name = "dry-run",
     .type = AN_OPTION_FLAG,
     AN_AT(values, dry_run),
     .help = "print parameters, FLOPs, memory, programs and evaluations per "
             "step, and end"},
};

static void defaults(void *v)
{
    *(values *)v = (values){
        .o = an_train_defaults(), .sample_every = -1, .sample_tokens = 100};
}

/* The one piece of state a signal handler may touch. */
static volatile sig_atomic_t stop_wanted;

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    stop_wanted = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop,
                               .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

typedef struct session {
    const an_call *call;
    const values *v;
    an_train_options o;
    char folder[512], model[64]; /* defaults and names made here */
    an_trainer *trainer;
    an_train_plan plan;
    an_display display;
    an_guest guest;
    int64_t sample_every;
    bool restart; /* the engine takes no more programs in this process */
    bool saved;   /* a checkpoint, by this process */
    an_error err;
} session;

/* "small", or of a path the file's or its folder's name. */
static void name_model(session *s)
{
    bool resumed =
        s->o.out != NULL && !s->o.fresh && an_checkpoint_is_run(s->o.out);
    const char *path = s->o.model != NULL     ? s->o.model
                       : s->o.init != NULL    ? s->o.init
                       : s->o.adapter != NULL ? s->o.adapter
                       : resumed              ? s->o.out
                                              : "small";
    const char *end = path + strlen(path), *slash = strrchr(path, '/');
    if (slash != NULL && strcmp(slash, "/config.json") == 0) end = slash;
    const char *start = end;
    while (start > path && start[-1] != '/')
        start--;
    size_t size = (size_t)(end - start);
    if (size > 5 && strncmp(end - 5, ".json", 5) == 0) size -= 5;
    snprintf(s->model, sizeof s->model, "%.*s", (int)(size < 60 ? size : 60),
             start);
    if (s->model[0] == '\0') snprintf(s->model, sizeof s->model, "model");
}

static void choose_folder(session *s)
{
    name_model(s);
    if (s->o.out == NULL) {
        bool lora = s->o.lora_rank > 0 || s->o.adapter != NULL;
        snprintf(s->folder, sizeof s->folder, "runs/%s%s", s->model,
                 lora ? "-lora" : "");
        s->o.out = s->folder;
    }
    if (s->v->dry_run) s->o.out = NULL;
}

/* The last step that this process can do. */
static int64_t last_step(const session *s)
{
    int64_t last = s->plan.steps, per_step = s->plan.tokens_per_step;
    if (s->o.stop_at > 0 && s->o.stop_at < last) last = s->o.stop_at;
    if (s->o.tokens > 0 && per_step > 0) {
        int64_t by_tokens = (s->o.tokens + per_step - 1) / per_step;
        if (by_tokens < last) last = by_tokens;
    }
    return last;
}

static an_display_mode choose_mode(const values *v)
{
    if (v->json) return AN_DISPLAY_JSON;
    if (v->quiet) return AN_DISPLAY_QUIET;
    return an_terminal_of(stdout).live ? AN_DISPLAY_LIVE : AN_DISPLAY_PLAIN;
}

/* Ctrl-C ends it too. */
static bool encoding(void *bar, double share)
{
    return an_bar_show(bar, share) && !stop_wanted;
}

static an_status open_session(session *s)
{
    choose_folder(s);
    s->o.dump = s->call->dump;
    an_bar bar = an_bar_of("encoding", choose_mode(s->v) == AN_DISPLAY_QUIET
                                           ? AN_BAR_HIDDEN
                                           : AN_BAR_SHOWN);
    s->o.encoding = encoding;
    s->o.encoding_ctx = &bar;
    an_status status = an_trainer_open(&s->o, &s->trainer, &s->err);
    an_bar_clear(&bar);
    if (status != AN_OK) return status;
    an_trainer_get_plan(s->trainer, &s->plan);
    an_run_facts facts = {.model = s->model,
                          .data = &s->v->data,
                          .folder = s->o.out,
                          .minutes = s->o.minutes,
                          .last_step = last_step(s)};
    an_display_init(&s->display, choose_mode(s->v), &facts, &s->plan);
    s->sample_every = s->v->sample_every;
    if (s->sample_every < 0)
        s->sample_every =
            s->plan.steps >= 5 ? s->plan.steps / 5 : s->plan.steps;
    return AN_OK;
}

static bool put_sample(void *ctx, const char *bytes, size_t size)
{
    return an_display_sample_put(ctx, bytes, size) && !stop_wanted;
}

/* Data that is tokens has no text: then there are no samples. */
static an_status sample(session *s)
{
    an_display *p = &s->display;
    an_sample_options o = an_sample_defaults();
    if (p->mode == AN_DISPLAY_QUIET || s->sample_every == 0 ||
        strcmp(s->o.data[0], "random") == 0)
        return AN_OK;
    o.prompt = s->v->sample_prompt;
    o.tokens = s->v->sample_tokens;
    o.seed = s->o.seed;
    an_display_sample_begin(p);
    if (o.prompt != NULL) put_sample(p, o.prompt, strlen(o.prompt));
    an_error err = {0};
    an_status status = an_trainer_sample(s->trainer, &o, put_sample, p, &err);
    an_display_sample_end(p);
    if (status == AN_EUNSUPPORTED) {
        s->sample_every = 0;
        return AN_OK;
    }
    if (status != AN_OK) s->err = err;
    return status;
}

/* Between steps: saves and waits when the machine is on battery. */
static an_status pause_on_battery(session *s)
{
    an_host_state state;
    if (s->display.step >= s->display.facts.last_step ||
        !an_guest_must_wait(&s->guest, &state))
        return AN_OK;
    an_status status = an_trainer_save(s->trainer, &s->err);
    if (status == AN_OK)
        status = an_display_pause(&s->display, state.charge, &s->err);
    if (status != AN_OK) return status;
    double waited = an_guest_wait(&s->guest, &stop_wanted);
    return stop_wanted ? AN_OK : an_display_go_on(&s->display, waited, &s->err);
}

/* Steps until the end, a limit or a signal. *finished: the run is complete. */
static an_status train_steps(session *s, bool *finished)
{
    an_step_report r = {.step = s->plan.first_step};
    an_status status = AN_OK;
    while (status == AN_OK && !stop_wanted && !r.finished) {
        int64_t before = r.step;
        status = pause_on_battery(s);
        if (status != AN_OK || stop_wanted) break;
        status = an_trainer_step(s->trainer, &r, &s->err);
        s->restart = status == AN_OK && r.restart;
        s->saved = s->saved || (status == AN_OK && r.saved);
        if (status != AN_OK || r.step == before || s->restart) break;
        an_display_step(&s->display, &r);
        if (s->sample_every > 0 &&
            (r.step % s->sample_every == 0 || r.step == s->plan.steps) &&
            !stop_wanted)
            status = sample(s);
        if (status == AN_OK)
            status = an_display_step_end(&s->display, &r, &s->err);
    }
    *finished = r.finished || r.step >= s->plan.steps;
    return status;
}

/* Options that the command that goes on must not repeat. */
static int words_to_skip(const session *s, const char *word, bool interrupted)
{
    static const char *const limits[] = {"--stop-at", "--tokens"};
    if (strcmp(word, "--fresh") == 0) return 1;
    for (int i = 0; i < AN_COUNT(limits) && !interrupted; i++) {
        size_t size = strlen(limits[i]);
        if (strncmp(word, limits[i], size) != 0) continue;
        if (word[size] == '=') return 1;
        if (word[size] == '\0') return 2;
    }
    (void)s;
    return 0;
}

static void print_resume(const session *s, bool interrupted)
{
    const an_call *c = s->call;
    printf("  ");
    an_args_quote(stdout, c->program);
    printf(" %s", c->command->name);
    for (int i = 0; i < c->n_words; i++) {
        int skip = words_to_skip(s, c->words[i], interrupted);
        if (skip > 0) {
            i += skip - 1;
            continue;
        }
        putchar(' ');
        an_args_quote(stdout, c->words[i]);
    }
    putchar('\n');
}

static void print_command(const session *s, const char *command,
                          const char *rest)
{
    printf("  ");
    an_args_quote(stdout, s->call->program);
    printf(" %s --checkpoint ", command);
    an_args_quote(stdout, s->o.out);
    printf("%s\n", rest);
}

static void print_next(const session *s, bool interrupted, bool complete)
{
    an_display_mode mode = s->display.mode;
    if (mode == AN_DISPLAY_JSON) return;
    if (!complete && (mode != AN_DISPLAY_QUIET || interrupted)) {
        printf("\nResume with\n\n");
        print_resume(s, interrupted);
    }
    if (mode == AN_DISPLAY_QUIET) return;
    printf("\nNext\n\n");
    print_command(s, "generate", "");
    print_command(s, "eval", " --data FILE");
    printf("\n");
}

/* The engine is full in the middle of a step: the last checkpoint is gone on
 * from, if it is of this process, so that every process gets further. */
static an_status restart_at_checkpoint(session *s)
{
    s->restart = true;
    s->err = (an_error){0};
    return AN_OK;
}

static an_status train_to_end(session *s)
{
    bool finished = false;
    an_display *p = &s->display;
    if (an_call_past().processes == 0) an_display_header(p); /* it was shown */
    an_status status = train_steps(s, &finished);
    if (s->saved && !stop_wanted && an_error_is_full(&s->err))
        return restart_at_checkpoint(s);
    if (s->restart && !stop_wanted) return AN_OK;
    if (status == AN_OK) status = an_trainer_save(s->trainer, &s->err);
    an_display_clear(p);
    if (status != AN_OK) return status;
    bool complete = p->step >= s->plan.steps ||
                    (s->o.minutes > 0 && finished && !stop_wanted);
    bool interrupted = stop_wanted && !complete;
    an_trainer_get_plan(s->trainer, &s->plan);
    an_past past = an_call_past();
    p->facts.processes = past.processes + 1;
    p->facts.compiles = past.compiles + s->plan.compiles;
    status = an_display_summary(p, interrupted, complete, &s->err);
    if (status == AN_OK) print_next(s, interrupted, complete);
    return status;
}

static int train(const an_call *call, const void *v)
{
    session s = {.call = call, .v = v};
    char engine[128];
    s.o = s.v->o;
    s.o.engine = an_engine_text(s.o.engine, &s.v->extra, engine, sizeof engine);
    s.o.data = s.v->data.items;
    s.o.n_data = s.v->data.n;
    s.o.mask = s.v->mask_prompt ? AN_MASK_PROMPT : AN_MASK_NOTHING;
    if (s.v->steps_given && s.o.minutes > 0) {
        an_fail(&s.err, AN_EINVAL,
                "--minutes: --steps says how long the run is; --stop-at ends "
                "it earlier");
        return an_call_fail(call, &s.err);
    }
    catch_signals();
    an_guest_begin(&s.guest, s.v->on_battery);
    an_status status =
        s.v->dry_run
            ? AN_OK
            : an_call_test(call, s.o.engine, s.v->quiet || s.v->json, &s.err);
    if (status == AN_OK) status = open_session(&s);
    if (status == AN_OK && s.v->dry_run)
        status = an_plan_print(&s.display, &s.err);
    else if (status == AN_OK)
        status = train_to_end(&s);
    an_guest_end(&s.guest);
    an_display_fini(&s.display);
    if (s.trainer != NULL) an_trainer_get_plan(s.trainer, &s.plan);
    an_trainer_close(s.trainer);
    if (status == AN_OK && s.restart && !stop_wanted)
        status = an_call_again(call, "--fresh", s.plan.compiles, &s.err);
    return status == AN_OK ? 0 : an_call_fail(call, &s.err);
}

const an_command an_command_train = {
    .name = "train",
    .summary = "train a model on text; goes on where it was stopped",
    .about = "Trains a model and keeps everything in a run folder. A run that "
             "is there goes on where it was stopped, bit for bit; Ctrl-C "
             "ends it after the current step.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = train,
};
