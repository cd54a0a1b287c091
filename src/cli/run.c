/*
 * anemone run: compiles a program on an engine and evaluates it, with inputs
 * and outputs in files; compares outputs with stored ones; measures.
 */
#include "cli/blobs.h"
#include "cli/commands.h"
#include "cli/compare.h"
#include "cli/pairs.h"
#include "cli/profile.h"
#include "engine/session.h"
#include "cli/source.h"
#include "cli/tensor.h"

#include "anemone/engine.h"
#include "base/alloc.h"

#include <string.h>

typedef struct values {
    const char *program, *model_path, *function, *engine;
    an_words inputs, outputs, compare;
    an_numerics numerics;
    double tolerance;
    int64_t seed; /* -1: inputs must be given */
    int threads, repeat;
    bool profile;
    an_engine_extra extra;
} values;

static const an_option options[] = {
    {.section = "Operands",
     .metavar = "PROGRAM.mil",
     .type = AN_OPTION_TEXT,
     .required = true,
     AN_AT(values, program),
     .help = "the program to run, or a .mlmodelc folder with a model.mil"},
    {.section = "Options",
     .name = "model-path",
     .metavar = "DIR",
     .type = AN_OPTION_TEXT,
     .preset = "the program's folder",
     AN_AT(values, model_path),
     .help = "folder that @model_path stands for in the program"},
    {.name = "input",
     .metavar = "NAME=FILE...",
     .type = AN_OPTION_WORDS,
     AN_AT(values, inputs),
     .help = "tensors of the program's inputs: .npy files, or the elements in "
             "the declared type, little-endian, row-major"},
    {.name = "output",
     .metavar = "NAME=FILE...",
     .type = AN_OPTION_WORDS,
     .preset = "print a summary of each output",
     AN_AT(values, outputs),
     .help = "where outputs are written, in the same two forms"},
    {.name = "compare",
     .metavar = "NAME=FILE...",
     .type = AN_OPTION_WORDS,
     AN_AT(values, compare),
     .help = "compare outputs with tensors in files, in the same two forms; "
             "FILE alone when the program has one output. Tells how many "
             "values are equal and the worst differences, and where; exit "
             "status 1 when a value is beyond the tolerance"},
    {.name = "tol",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .min = 0,
     .max = 1e300,
     AN_AT(values, tolerance),
     .help = "with --compare: a value may differ by X x max(1, |expected|); "
             "with 0 it must be the same number, where NaN is NaN and -0 is "
             "0"},
    {.name = "random",
     .metavar = "SEED",
     .type = AN_OPTION_INT,
     .preset = "every input must be given",
     .min = 0,
     .max = 9007199254740992.0,
     AN_AT(values, seed),
     .help = "inputs that are not given are random: standard normal for "
             "floats, 0 or 1 for integers and bools; the same SEED gives the "
             "same values, whatever else is given"},
    {.name = "function",
     .metavar = "NAME",
     .type = AN_OPTION_TEXT,
     .preset = "the only one, else main",
     AN_AT(values, function),
     .help = "function to run"},
    {.name = "repeat",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "evaluations",
     .min = 1,
     .max = 1000000,
     AN_AT(values, repeat),
     .help = "evaluate N times and print the median time"},
    {.name = "profile",
     .type = AN_OPTION_FLAG,
     AN_AT(values, profile),
     .help = "print the time of every step of the engine's plan, with the ops "
             "that it computes together: medians of --repeat evaluations, "
             "slowest first. Apple's engine has one step, the program; its "
             "kind says whether its time is the hardware's, a replica's or "
             "wall time"},
    AN_ENGINE_ROWS(values, engine, extra, numerics, threads),
};

static void defaults(void *v)
{
    *(values *)v = (values){.engine = "auto", .seed = -1, .repeat = 1};
}

/* One program and all that it needs. */
typedef struct running {
    const values *o;
    const an_call *call;
    an_source_text source;
    an_module *module;
    an_blobs blobs;
    an_engine *engine;
    an_session session;
    an_error err;
} running;

static const an_port *output_port(const running *r, int i)
{
    return an_program_port(r->session.program, AN_OUTPUT, i);
}

/* --compare FILE: the one output's. */
static bool is_bare(const an_words *words)
{
    return words->n == 1 && strchr(words->items[0], '=') == NULL;
}

static an_status check_compare(running *r)
{
    const an_words *words = &r->o->compare;
    int n = an_program_n_ports(r->session.program, AN_OUTPUT);
    if (!is_bare(words))
        return an_pairs_check_ports(r->session.program, AN_OUTPUT, "compare",
                                    words, &r->err);
    if (n == 1) return AN_OK;
    return an_fail(&r->err, AN_EINVAL,
                   "--compare: expected NAME=FILE, since the program has %d "
                   "outputs, got '%.80s'",
                   n, words->items[0]);
}

static an_status load_inputs(running *r)
{
    an_status status = AN_OK;
    int n = an_program_n_ports(r->session.program, AN_INPUT);
    for (int i = 0; status == AN_OK && i < n; i++) {
        void *data = NULL;
        status = an_pairs_load(an_program_port(r->session.program, AN_INPUT, i),
                               i, &r->o->inputs, r->o->seed, &data, &r->err);
        if (status != AN_OK) break;
        status = an_session_put(&r->session, i, data, &r->err);
        an_free(data);
    }
    return status;
}

/* ---- outputs ---- */

static an_status print_outputs(running *r)
{
    an_status status = AN_OK;
    int n = an_program_n_ports(r->session.program, AN_OUTPUT);
    for (int i = 0; status == AN_OK && i < n; i++) {
        const an_port *port = output_port(r, i);
        void *data = NULL;
        status = an_session_take(&r->session, i, &data, &r->err);
        if (status != AN_OK) break;
        an_tensor_print(stdout, port->name, &port->shape, data);
        an_free(data);
    }
    return status;
}

static an_status write_output(running *r, int i, const char *path,
                              an_writer **writer)
{
    void *data = NULL;
    an_status status = an_writer_open(path, writer, &r->err);
    if (status == AN_OK)
        status = an_session_take(&r->session, i, &data, &r->err);
    if (status == AN_OK)
        status = an_tensor_put(*writer, path, &output_port(r, i)->shape, data,
                               &r->err);
    an_free(data);
    return status;
}

/* No file appears before the bytes of all are written. */
static an_status write_outputs(running *r)
{
    an_status status = AN_OK;
    int n = an_program_n_ports(r->session.program, AN_OUTPUT);
    an_writer **writers = an_alloc_array((size_t)n + 1, sizeof *writers);
    if (writers == NULL) return an_fail(&r->err, AN_ENOMEM, "no memory");
    for (int i = 0; status == AN_OK && i < n; i++) {
        const char *path =
            an_pairs_find(&r->o->outputs, output_port(r, i)->name);
        if (path != NULL) status = write_output(r, i, path, &writers[i]);
    }
    for (int i = 0; i < n; i++) {
        if (status != AN_OK)
            an_writer_abort(writers[i]);
        else if (writers[i] != NULL)
            status = an_writer_commit(writers[i], &r->err);
    }
    an_free(writers);
    return status;
}

/* Adds to *n_beyond the values that are beyond the tolerance. */
static an_status compare_output(running *r, int i, const char *path,
                                int64_t *n_beyond)
{
    const an_port *port = output_port(r, i);
    void *got = NULL, *expected = NULL;
    an_status s = an_tensor_load(path, &port->shape, &expected, &r->err);
    if (s == AN_OK) s = an_session_take(&r->session, i, &got, &r->err);
    if (s == AN_OK) {
        an_difference d;
        an_difference_find(&port->shape, got, expected, r->o->tolerance, &d);
        an_difference_print(stdout, port->name, &port->shape, got, expected,
                            &d);
        *n_beyond += d.n_beyond;
    }
    an_free(got);
    an_free(expected);
    return s;
}

static an_status compare_outputs(running *r)
{
    const an_words *words = &r->o->compare;
    an_status s = AN_OK;
    int64_t n_beyond = 0;
    int n = an_program_n_ports(r->session.program, AN_OUTPUT);
    for (int i = 0; s == AN_OK && i < n; i++) {
        const char *path = is_bare(words)
                               ? words->items[0]
                               : an_pairs_find(words, output_port(r, i)->name);
        if (path != NULL) s = compare_output(r, i, path, &n_beyond);
    }
    if (s == AN_OK && n_beyond > 0)
        s = an_fail(&r->err, AN_EFORMAT, "%lld value%s beyond the tolerance %g",
                    (long long)n_beyond, n_beyond == 1 ? " is" : "s are",
                    r->o->tolerance);
    return s;
}

/* ---- running ---- */

static an_status compile(running *r)
{
    const values *o = r->o;
    char folder[4096];
    char name[128];
    an_engine_options engine = {
        .name = an_engine_text(o->engine, &o->extra, name, sizeof name),
        .numerics = o->numerics,
        .threads = o->threads};
    an_status s = an_source_folder(&r->source, folder, sizeof folder, &r->err);
    if (s == AN_OK)
        s = an_blobs_open(r->module,
                          o->model_path != NULL ? o->model_path : folder,
                          &r->blobs, &r->err);
    if (s == AN_OK) s = an_engine_open(&engine, &r->engine, &r->err);
    if (s != AN_OK) return s;
    an_source source = {.text = r->source.text,
                        .size = r->source.size,
                        .name = r->source.path,
                        .function = o->function,
                        .blobs = r->blobs.items,
                        .n_blobs = r->blobs.n};
    return an_session_open(r->engine, &source, &r->session, &r->err);
}

static an_status evaluate(running *r, an_times *times)
{
    an_request *request = r->session.request;
    an_status s =
        an_times_open(request, r->o->profile ? AN_TIME_STEPS : AN_TIME_WHOLE,
                      r->o->repeat, times, &r->err);
    for (int i = 0; s == AN_OK && i < r->o->repeat; i++) {
        s = an_request_run(request, &r->err);
        if (s == AN_OK) an_times_note(times, request);
    }
    return s;
}

/* All that is told about the outputs and the time. */
static an_status report(running *r, an_times *times)
{
    const values *o = r->o;
    an_status s = AN_OK;
    if (o->outputs.n > 0)
        s = write_outputs(r);
    else if (o->compare.n == 0)
        s = print_outputs(r);
    if (s == AN_OK && (o->profile || o->repeat > 1))
        s = an_times_print(stdout, times, r->session.request,
                           an_program_flops(r->session.program), &r->err);
    return s == AN_OK && o->compare.n > 0 ? compare_outputs(r) : s;
}

static an_status run_program(running *r)
{
    an_times times = {0};
    an_status s = an_pairs_check_ports(r->session.program, AN_INPUT, "input",
                                       &r->o->inputs, &r->err);
    if (s == AN_OK)
        s = an_pairs_check_ports(r->session.program, AN_OUTPUT, "output",
                                 &r->o->outputs, &r->err);
    if (s == AN_OK) s = check_compare(r);
    if (s == AN_OK) s = load_inputs(r);
    if (s == AN_OK) s = evaluate(r, &times);
    if (s == AN_OK) s = report(r, &times);
    an_times_close(&times);
    return s;
}

static int run(const an_call *call, const void *v)
{
    running r = {.o = v, .call = call};
    an_status s = an_pairs_check("input", &r.o->inputs, &r.err);
    if (s == AN_OK) s = an_pairs_check("output", &r.o->outputs, &r.err);
    if (s == AN_OK && !is_bare(&r.o->compare))
        s = an_pairs_check("compare", &r.o->compare, &r.err);
    if (s == AN_OK)
        s = an_source_open(r.o->program, &r.source, &r.module, &r.err);
    if (s == AN_OK) s = compile(&r);
    if (s == AN_OK) s = run_program(&r);
    int code = s == AN_OK ? 0 : an_source_fail(call, &r.source, &r.err);
    an_session_close(&r.session);
    an_engine_close(r.engine);
    an_blobs_close(&r.blobs);
    an_module_free(r.module);
    an_source_close(&r.source);
    return code;
}

const an_command an_command_run = {
    .name = "run",
    .summary = "run a MIL program on an engine, compare, measure",
    .about = "Compiles PROGRAM.mil, reads its inputs from files, evaluates it "
             "and writes its outputs, compares them with stored ones, or "
             "prints a summary of them.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = run,
};
