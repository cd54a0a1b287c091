/*
 * anemone bisect: the smallest part of a program that is still refused, or
 * whose values still differ, as a program of its own. Values inside the program
 * that parts take as inputs are computed once, on `cpu`, which has no rules.
 */
#include "cli/blobs.h"
#include "cli/commands.h"
#include "cli/finding.h"
#include "cli/inside.h"
#include "cli/pairs.h"
#include "cli/source.h"
#include "cli/terminal.h"
#include "cli/trial.h"

#include "base/alloc.h"
#include "base/pool.h"
#include "lower/bisect.h"
#include "lower/cut_text.h"
#include "mil/op.h"

#include <string.h>

typedef struct values {
    const char *program, *model_path, *function, *out;
    const char *engine, *chip, *against;
    an_words inputs;
    an_numerics numerics;
    int against_numerics; /* -1: the same */
    double tolerance;
    int64_t seed;
    int threads;
    an_engine_extra extra;
} values;

static const an_option options[] = {
    {.section = "Operands",
     .metavar = "PROGRAM.mil",
     .type = AN_OPTION_TEXT,
     .required = true,
     AN_AT(values, program),
     .help = "the program with the fault, or a .mlmodelc folder with a "
             "model.mil"},
    {.section = "Options",
     .name = "out",
     .metavar = "FILE.mil",
     .type = AN_OPTION_TEXT,
     .preset = "PROGRAM-bisect.mil, in this folder",
     AN_AT(values, out),
     .help = "the program to write; its inputs are FILE.NAME.npy, its weights "
             "weights/FILE.bin"},
    {.name = "chip",
     .metavar = "CHIP",
     .type = AN_OPTION_TEXT,
     .preset = "the engine's",
     AN_AT(values, chip),
     .help = "m1 to m6: the same as --engine soft:CHIP"},
    {.name = "against",
     .metavar = "ENGINE",
     .type = AN_OPTION_TEXT,
     .preset = "the same engine when --against-numerics is given, else values "
               "are not compared",
     AN_AT(values, against),
     .help = "the engine whose values are right"},
    {.name = "against-numerics",
     .metavar = "MODE",
     .type = AN_OPTION_CHOICE,
     .choice = an_numerics_choice,
     .preset = "that of --numerics",
     AN_AT(values, against_numerics),
     .help = "the numerics whose values are right: ieee, hw or exact"},
    {.name = "tol",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .min = 0,
     .max = 1e300,
     AN_AT(values, tolerance),
     .help = "a value differs when it is off by more than X x max(1, "
             "|expected|), as in anemone run --compare"},
    {.name = "input",
     .metavar = "NAME=FILE...",
     .type = AN_OPTION_WORDS,
     .preset = "random values",
     AN_AT(values, inputs),
     .help = "tensors of the program's inputs: .npy files, or the elements in "
             "the declared type, little-endian, row-major"},
    {.name = "random",
     .metavar = "SEED",
     .type = AN_OPTION_INT,
     .min = 0,
     .max = 9007199254740992.0,
     AN_AT(values, seed),
     .help = "of inputs that are not given; the same as in anemone run"},
    {.name = "function",
     .metavar = "NAME",
     .type = AN_OPTION_TEXT,
     .preset = "the only one, else main; of refusals, the first that is "
               "refused",
     AN_AT(values, function),
     .help = "function with the fault"},
    {.name = "model-path",
     .metavar = "DIR",
     .type = AN_OPTION_TEXT,
     .preset = "the program's folder",
     AN_AT(values, model_path),
     .help = "folder that @model_path stands for in the program"},
    AN_ENGINE_ROWS(values, engine, extra, numerics, threads),
};

static void defaults(void *v)
{
    *(values *)v = (values){.engine = "auto", .against_numerics = -1};
}

enum { MAX_NAME = 128, MAX_PATH = 4096, MAX_LISTED = 12 };

typedef struct bisection {
    const values *o;
    const an_call *call;
    an_source_text source;
    an_module *module;
    an_blobs blobs;
    char folder[MAX_PATH]; /* @model_path */
    char out[MAX_PATH];
    char engine[MAX_NAME], with_rules[MAX_NAME], names[2][MAX_NAME];
    an_place reference;
    an_trial trial;
    an_inside inside;
    const an_function *function;
    an_fault fault; /* of the whole program */
    an_module *part;
    bool is_text;         /* it does not parse: err says why */
    an_terminal terminal; /* stderr */
    an_error err;
} bisection;

/* ---- where and with what ---- */

/* soft or auto with --chip is soft:CHIP, settings behind stay. */
static an_status choose_engine(bisection *b, const char **out)
{
    const char *engine = b->o->engine, *chip = b->o->chip;
    size_t n = strcspn(engine, ",");
    bool open = (n == 4 && strncmp(engine, "soft", n) == 0) ||
                (n == 4 && strncmp(engine, "auto", n) == 0);
    *out = engine;
    if (chip == NULL) return AN_OK;
    if (!open)
        return an_fail(&b->err, AN_EINVAL,
                       "--chip: expected --engine soft, got '%.60s'", engine);
    int size =
        snprintf(b->engine, sizeof b->engine, "soft:%s%s", chip, engine + n);
    *out = b->engine;
    return size > 0 && (size_t)size < sizeof b->engine
               ? AN_OK
               : an_fail(&b->err, AN_EINVAL, "--chip: '%.60s' is no chip",
                         chip);
}

static an_status choose_places(bisection *b)
{
    const values *o = b->o;
    const char *engine = NULL;
    an_status s = choose_engine(b, &engine);
    if (s != AN_OK) return s;
    b->trial.place.engine =
        an_engine_text(engine, &o->extra, b->with_rules, sizeof b->with_rules);
    b->trial.place.numerics = o->numerics;
    b->trial.tolerance = o->tolerance;
    if (o->against == NULL && o->against_numerics < 0) return AN_OK;
    b->reference = b->trial.place;
    if (o->against != NULL) b->reference.engine = o->against;
    if (o->against_numerics >= 0)
        b->reference.numerics = (an_numerics)o->against_numerics;
    b->trial.reference = &b->reference;
    return AN_OK;
}

/* A wrong name is told before anything is computed; "auto" gets the name of
 * what it is. */
static an_status check_place(bisection *b, an_place *place, char name[MAX_NAME])
{
    an_engine *engine = NULL;
    an_engine_facts facts;
    an_engine_options wanted = {.name = place->engine,
                                .numerics = place->numerics,
                                .pool = b->trial.pool};
    an_status s = an_engine_open(&wanted, &engine, &b->err);
    if (s != AN_OK) return s;
    an_engine_get_facts(engine, &facts);
    if (strchr(place->engine, ',') == NULL) {
        snprintf(name, MAX_NAME, "%s", facts.name);
        place->engine = name;
    }
    an_engine_close(engine);
    return AN_OK;
}

/* "dir/x.mil" and "dir/x.mlmodelc/model.mil" are both x. */
static an_status choose_out(bisection *b)
{
    const char *path = b->o->program, *end = path + strlen(path);
    if (b->o->out != NULL) {
        size_t size = strlen(b->o->out);
        if (size >= sizeof b->out)
            return an_fail(&b->err, AN_EINVAL, "--out: the path is too long");
        memcpy(b->out, b->o->out, size + 1);
        return AN_OK;
    }
    while (end > path + 1 && end[-1] == '/')
        end--;
    const char *name = end;
    while (name > path && name[-1] != '/')
        name--;
    size_t size = (size_t)(end - name), stem = size;
    while (stem > 0 && name[stem - 1] != '.')
        stem--;
    size = stem > 1 ? stem - 1 : size;
    if (size > 200) size = 200;
    snprintf(b->out, sizeof b->out, "%.*s-bisect.mil", (int)size, name);
    return AN_OK;
}

static an_status open_program(bisection *b)
{
    const values *o = b->o;
    an_status s = an_source_open(o->program, &b->source, &b->module, &b->err);
    b->is_text = s != AN_OK && s != AN_ENOMEM && b->err.line > 0;
    if (s == AN_OK && o->model_path == NULL)
        s = an_source_folder(&b->source, b->folder, sizeof b->folder, &b->err);
    else if (s == AN_OK && (size_t)snprintf(b->folder, sizeof b->folder, "%s",
                                            o->model_path) >= sizeof b->folder)
        s = an_fail(&b->err, AN_EINVAL, "--model-path: the path is too long");
    if (s == AN_OK) s = an_blobs_open(b->module, b->folder, &b->blobs, &b->err);
    b->trial.blobs = b->blobs.items;
    b->trial.n_blobs = b->blobs.n;
    return s;
}

static an_status open_places(bisection *b)
{
    an_status s = choose_places(b);
    if (s == AN_OK) s = an_pool_open(b->o->threads, &b->trial.pool, &b->err);
    if (s == AN_OK) s = check_place(b, &b->trial.place, b->names[0]);
    if (s == AN_OK && b->trial.reference != NULL)
        s = check_place(b, &b->reference, b->names[1]);
    return s;
}

/* ---- the search ---- */

static an_status test_part(void *ctx, const an_module *candidate,
                           an_likeness likeness, bool *shows, an_error *err)
{
    bisection *b = ctx;
    an_fault fault;
    char *text = NULL;
    size_t size = 0;
    an_status s = an_mil_print(candidate, &text, &size, err);
    const an_source source = {.text = text, .size = size, .name = "program"};
    if (s == AN_OK)
        s = an_trial_find(&b->trial, &source, b->fault.kind, &fault, err);
    *shows = s == AN_OK && an_fault_is(&b->fault, &fault, likeness);
    an_text_free(text);
    return s;
}

static void show_progress(void *ctx, int tests, int ops)
{
    const bisection *b = ctx;
    if (!b->terminal.live) return;
    fprintf(stderr, "\r%d of %d op%s, %d programs tried\033[K", ops,
            an_count_ops(b->function), ops == 1 ? "" : "s", tests);
    fflush(stderr);
}

/* b->part stays NULL when the fault is not the function's. */
static an_status search(bisection *b)
{
    const an_bisect bisect = {b->function, test_part, show_progress, b};
    an_status s = AN_OK;
    if (b->fault.kind != AN_FAULT_COMPILE)
        s = an_inside_capture(&b->inside, &b->err);
    if (s == AN_OK) s = an_bisect_run(&bisect, &b->part, &b->err);
    if (b->terminal.live) fputs("\r\033[K", stderr);
    if (s == AN_OK && b->part != NULL && b->fault.kind == AN_FAULT_COMPILE)
        s = an_inside_fill(&b->inside, b->part->functions[0], &b->err);
    return s;
}

static an_status find_fault(bisection *b)
{
    const an_source source = {.text = b->source.text,
                              .size = b->source.size,
                              .name = b->source.path,
                              .function = b->function->name};
    return an_trial_find(&b->trial, &source, AN_FAULT_VALUES, &b->fault,
                         &b->err);
}

/* Function i in the order in which they are looked at: the chosen one, or what
 * an engine would choose and then the others. NULL: no more. */
static const an_function *function_at(const bisection *b, int i)
{
    const an_module *m = b->module;
    const char *name = b->o->function != NULL ? b->o->function : "main";
    const an_function *first = an_module_function(m, name);
    if (b->o->function != NULL || i == 0) {
        if (first == NULL && b->o->function == NULL && m->n_functions > 0)
            first = m->functions[0];
        return i == 0 ? first : NULL;
    }
    if (first == NULL) first = m->functions[0];
    for (int k = 0; k < m->n_functions; k++)
        if (m->functions[k] != first && --i == 0) return m->functions[k];
    return NULL;
}

static an_status choose_function(bisection *b, int i)
{
    b->function = function_at(b, i);
    if (b->function == NULL)
        return an_fail(&b->err, AN_EINVAL, "%s has no function '%.64s'",
                       b->source.path,
                       b->o->function != NULL ? b->o->function : "main");
    b->inside = (an_inside){&b->trial, b->function, &b->o->inputs, b->o->seed};
    return an_inside_load(&b->inside, &b->err);
}

static an_status bisect_program(bisection *b)
{
    an_status s = choose_function(b, 0);
    if (s == AN_OK) s = find_fault(b);
    if (s != AN_OK || b->fault.kind == AN_FAULT_NONE) return s;
    s = search(b);
    /* An engine checks all functions of a program. */
    for (int i = 1;
         s == AN_OK && b->part == NULL && b->fault.kind == AN_FAULT_COMPILE &&
         function_at(b, i) != NULL;
         i++)
        if ((s = choose_function(b, i)) == AN_OK) s = search(b);
    return s;
}

/* ---- what is told ---- */

static void print_place(const an_place *place)
{
    printf("%s in %s", place->engine, an_numerics_name(place->numerics));
}

static void print_fault(const bisection *b)
{
    printf("%s: ", b->source.path);
    if (b->fault.kind == AN_FAULT_VALUES) {
        print_place(&b->trial.place);
        printf(" differs from ");
        print_place(b->trial.reference);
        printf(" beyond the tolerance %g\n", b->trial.tolerance);
        return;
    }
    print_place(&b->fault.place);
    printf(" %s\n    %s\n",
           b->fault.kind == AN_FAULT_COMPILE ? "refuses it" : "fails",
           an_fault_says(&b->fault));
}

/* "    c = concat(a, b)" */
static void print_op(const an_node *n)
{
    bool first = true;
    printf("    %s = %s(", n->n_results > 0 ? n->results[0]->name : "",
           n->op->name);
    for (int i = 0; i < an_node_n_tensors(n); i++) {
        const an_value *x = an_node_tensor(n, i);
        if (x == NULL || x->name == NULL) continue;
        printf("%s%s", first ? "" : ", ", x->name);
        first = false;
    }
    printf(")\n");
}

static void print_part(const bisection *b)
{
    const an_function *f = b->part->functions[0];
    int n = an_count_ops(f), all = an_count_ops(b->function), listed = 0;
    if (n == 0)
        printf("none of %d ops is needed to show it\n", all);
    else
        printf("%d of %d op%s still %s it:\n", n, all, all == 1 ? "" : "s",
               n == 1 ? "shows" : "show");
    for (int i = 0; i < f->n_nodes && listed < MAX_LISTED; i++) {
        if (f->nodes[i]->op->cls == AN_CLASS_CONST) continue;
        print_op(f->nodes[i]);
        listed++;
    }
    if (n > listed) printf("    and %d more\n", n - listed);
}

static an_status report(bisection *b)
{
    const an_finding finding = {.trial = &b->trial,
                                .part = b->part,
                                .fault = &b->fault,
                                .out = b->out,
                                .folder = b->folder,
                                .anemone = b->call->program};
    print_fault(b);
    print_part(b);
    printf("\nWritten to %s. It shows with\n\n", b->out);
    return an_finding_write(&finding, &b->err);
}

static an_status fail_without_part(bisection *b)
{
    if (b->fault.kind != AN_FAULT_NONE)
        return an_fail(&b->err, b->fault.error.code,
                       "%s: no part of the program shows the fault: %.300s",
                       b->source.path, an_fault_says(&b->fault));
    return an_fail(&b->err, AN_EFORMAT,
                   "%s: no fault: %s takes it%s; nothing is written",
                   b->source.path, b->trial.place.engine,
                   b->trial.reference != NULL
                       ? ", and no value is beyond the tolerance"
                       : " and it runs; --against or --against-numerics "
                         "compares values");
}

/* ---- a program that does not parse ---- */

static bool is_refused_so(const bisection *b, const char *text)
{
    an_fault whole = {AN_FAULT_COMPILE, b->err, b->source.path, {0}};
    an_fault part = {AN_FAULT_COMPILE, {0}, b->source.path, {0}};
    an_module *m = NULL;
    bool refused = an_mil_parse(text, strlen(text), b->source.path, &m,
                                &part.error) != AN_OK;
    an_module_free(m);
    return refused && an_fault_is(&whole, &part, AN_FAULT_SAME);
}

static void print_text(const bisection *b)
{
    const an_fault fault = {AN_FAULT_COMPILE, b->err, b->source.path, {0}};
    printf("%s: it does not parse\n    %s\n", b->source.path,
           an_fault_says(&fault));
    printf("the op at line %d still shows it\n\n", b->err.line);
    printf("Written to %s. It shows with\n\n    ", b->out);
    an_args_quote(stdout, b->call->program);
    printf(" run ");
    an_args_quote(stdout, b->out);
    printf(" --engine ");
    an_args_quote(stdout, b->trial.place.engine);
    printf(" --numerics %s\n", an_numerics_name(b->trial.place.numerics));
}

/* The op at the error. When it alone is well, the error stays the program's. */
static an_status bisect_text(bisection *b)
{
    char *text = NULL;
    an_error err = {0};
    an_status s = an_cut_text(b->source.text, b->source.size, b->err.line,
                              b->err.column, &text, &err);
    if (s == AN_OK && (text == NULL || !is_refused_so(b, text))) {
        an_free(text);
        return b->err.code;
    }
    if (s == AN_OK) s = an_file_write(b->out, text, strlen(text), &err);
    an_free(text);
    if (s == AN_OK)
        print_text(b);
    else
        b->err = err;
    return s;
}

static an_status bisect_module(bisection *b)
{
    an_status s = bisect_program(b);
    if (s != AN_OK) return s;
    return b->part != NULL ? report(b) : fail_without_part(b);
}

static void close_bisection(bisection *b)
{
    an_tensors_free(&b->trial.inputs);
    an_module_free(b->part);
    an_pool_close(b->trial.pool);
    an_blobs_close(&b->blobs);
    an_module_free(b->module);
    an_source_close(&b->source);
}

static int bisect(const an_call *call, const void *v)
{
    bisection b = {.o = v, .call = call, .terminal = an_terminal_of(stderr)};
    an_status s = an_pairs_check("input", &b.o->inputs, &b.err);
    if (s == AN_OK) s = choose_out(&b);
    if (s == AN_OK) s = open_places(&b);
    if (s == AN_OK) s = open_program(&b);
    if (b.is_text)
        s = bisect_text(&b);
    else if (s == AN_OK)
        s = bisect_module(&b);
    int code = s == AN_OK ? 0 : an_source_fail(call, &b.source, &b.err);
    close_bisection(&b);
    return code;
}

const an_command an_command_bisect = {
    .name = "bisect",
    .summary = "find the smallest part of a program that is refused or wrong",
    .about =
        "Finds the smallest part of PROGRAM.mil that the engine still refuses, "
        "or whose values still differ from another engine's or other "
        "numerics', and writes it as a program with its inputs. Prints the "
        "`anemone run` that shows the fault. Of a text that does not parse "
        "the part is the op at the error. The exit status is 0 when a part "
        "was written, 1 when the program shows no fault.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = bisect,
};
