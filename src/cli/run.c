/*
 * anemone run: compiles a program on an engine and evaluates it once, with
 * inputs and outputs in files.
 */
#include "cli/blobs.h"
#include "cli/commands.h"
#include "cli/source.h"
#include "cli/tensor.h"

#include "anemone/engine.h"
#include "base/alloc.h"

#include <string.h>

typedef struct values {
    const char *program, *model_path, *function, *engine;
    an_words inputs, outputs;
    an_numerics numerics;
    int64_t seed; /* -1: inputs must be given */
    int threads;
} values;

static const an_option options[] = {
    {.section = "Operands",
     .metavar = "PROGRAM.mil",
     .type = AN_OPTION_TEXT,
     .required = true,
     AN_AT(values, program),
     .help = "the program to run"},
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
    AN_ENGINE_ROWS(values, engine, numerics, threads),
};

static void defaults(void *v)
{
    *(values *)v = (values){.engine = "auto", .seed = -1};
}

/* The file of NAME=FILE when the word is about `name`, or NULL. */
static const char *file_of(const char *word, const char *name)
{
    size_t size = strlen(name);
    return strncmp(word, name, size) == 0 && word[size] == '=' ? word + size + 1
                                                               : NULL;
}

static const char *find_file(const an_words *words, const char *name)
{
    for (int i = 0; i < words->n; i++) {
        const char *file = file_of(words->items[i], name);
        if (file != NULL) return file;
    }
    return NULL;
}

static an_status check_pairs(const char *option, const an_words *words,
                             an_error *err)
{
    for (int i = 0; i < words->n; i++) {
        const char *word = words->items[i], *equals = strchr(word, '=');
        if (equals == NULL || equals == word || equals[1] == '\0')
            return an_fail(err, AN_EINVAL,
                           "--%s: expected NAME=FILE, got '%.80s'", option,
                           word);
        for (int k = 0; k < i; k++)
            if (strncmp(words->items[k], word, (size_t)(equals - word + 1)) ==
                0)
                return an_fail(err, AN_EINVAL, "--%s: %.*s is given twice",
                               option, (int)(equals - word), word);
    }
    return AN_OK;
}

/* One evaluation and all that it needs. */
typedef struct session {
    const values *o;
    const an_call *call;
    an_source_text source;
    an_module *module;
    an_blobs blobs;
    an_engine *engine;
    an_program *program;
    an_request *request;
    an_surface **surfaces; /* inputs, then outputs */
    int n_surfaces;
    an_error err;
} session;

/* Every word must name a port. */
static an_status check_names(session *s, an_port_side side, const char *option,
                             const an_words *words)
{
    int n = an_program_n_ports(s->program, side);
    for (int i = 0; i < words->n; i++) {
        int k = 0;
        while (k < n &&
               file_of(words->items[i],
                       an_program_port(s->program, side, k)->name) == NULL)
            k++;
        if (k < n) continue;
        char known[256] = "none";
        for (int j = 0, used = 0; j < n && used < 200; j++)
            used += snprintf(known + used, sizeof known - (size_t)used,
                             "%s%.60s", j > 0 ? ", " : "",
                             an_program_port(s->program, side, j)->name);
        return an_fail(&s->err, AN_EINVAL,
                       "--%s: the program has no such port: '%.80s'; it has "
                       "%s",
                       option, words->items[i], known);
    }
    return AN_OK;
}

static an_status load_input(session *s, int i, void **data)
{
    const an_port *port = an_program_port(s->program, AN_INPUT, i);
    const char *file = find_file(&s->o->inputs, port->name);
    char text[128];
    if (file != NULL) return an_tensor_load(file, &port->shape, data, &s->err);
    if (s->o->seed >= 0)
        return an_tensor_random(&port->shape, (uint64_t)s->o->seed, (uint64_t)i,
                                data, &s->err);
    return an_fail(&s->err, AN_EINVAL,
                   "input %s, %s, is missing: give --input %s=FILE or "
                   "--random SEED",
                   port->name, an_shape_text(&port->shape, text, sizeof text),
                   port->name);
}

static an_status bind(session *s, an_port_side side, int i)
{
    const an_port *port = an_program_port(s->program, side, i);
    an_surface *surface = NULL;
    an_status status =
        an_surface_new(s->engine, port->size_bytes, &surface, &s->err);
    if (status != AN_OK) return status;
    s->surfaces[s->n_surfaces++] = surface;
    status = an_request_bind(s->request, side, port->name, surface, &s->err);
    if (status != AN_OK || side == AN_OUTPUT) return status;
    void *data = NULL;
    if ((status = load_input(s, i, &data)) != AN_OK) return status;
    status = an_surface_put(surface, port, data, &s->err);
    an_free(data);
    return status;
}

static an_status bind_all(session *s)
{
    int n_in = an_program_n_ports(s->program, AN_INPUT);
    int n_out = an_program_n_ports(s->program, AN_OUTPUT);
    an_status status = AN_OK;
    s->surfaces =
        an_alloc_array((size_t)n_in + (size_t)n_out + 1, sizeof *s->surfaces);
    if (s->surfaces == NULL)
        return an_fail(&s->err, AN_ENOMEM, "no memory for surfaces");
    for (int i = 0; status == AN_OK && i < n_in; i++)
        status = bind(s, AN_INPUT, i);
    for (int i = 0; status == AN_OK && i < n_out; i++)
        status = bind(s, AN_OUTPUT, i);
    return status;
}

/* The output's elements; the caller frees them. */
static an_status take(session *s, int i, void **data)
{
    const an_port *port = an_program_port(s->program, AN_OUTPUT, i);
    int first = an_program_n_ports(s->program, AN_INPUT);
    void *out = an_alloc((size_t)an_shape_count(&port->shape) *
                             an_dtype_size(port->shape.dtype) +
                         1);
    if (out == NULL)
        return an_fail(&s->err, AN_ENOMEM, "no memory for %s", port->name);
    an_status status =
        an_surface_take(s->surfaces[first + i], port, out, &s->err);
    if (status == AN_OK)
        *data = out;
    else
        an_free(out);
    return status;
}

static an_status print_outputs(session *s)
{
    an_status status = AN_OK;
    int n = an_program_n_ports(s->program, AN_OUTPUT);
    for (int i = 0; status == AN_OK && i < n; i++) {
        const an_port *port = an_program_port(s->program, AN_OUTPUT, i);
        void *data = NULL;
        if ((status = take(s, i, &data)) != AN_OK) break;
        an_tensor_print(stdout, port->name, &port->shape, data);
        an_free(data);
    }
    return status;
}

static an_status write_output(session *s, int i, const char *path,
                              an_writer **writer)
{
    const an_port *port = an_program_port(s->program, AN_OUTPUT, i);
    void *data = NULL;
    an_status status = an_writer_open(path, writer, &s->err);
    if (status == AN_OK) status = take(s, i, &data);
    if (status == AN_OK)
        status = an_tensor_put(*writer, path, &port->shape, data, &s->err);
    an_free(data);
    return status;
}

/* No file appears before the bytes of all are written. */
static an_status write_outputs(session *s)
{
    an_status status = AN_OK;
    int n = an_program_n_ports(s->program, AN_OUTPUT);
    an_writer **writers = an_alloc_array((size_t)n + 1, sizeof *writers);
    if (writers == NULL) return an_fail(&s->err, AN_ENOMEM, "no memory");
    for (int i = 0; status == AN_OK && i < n; i++) {
        const an_port *port = an_program_port(s->program, AN_OUTPUT, i);
        const char *path = find_file(&s->o->outputs, port->name);
        if (path != NULL) status = write_output(s, i, path, &writers[i]);
    }
    for (int i = 0; i < n; i++) {
        if (status != AN_OK)
            an_writer_abort(writers[i]);
        else if (writers[i] != NULL)
            status = an_writer_commit(writers[i], &s->err);
    }
    an_free(writers);
    return status;
}

static an_status open_blobs(session *s)
{
    char folder[4096] = ".";
    const char *path = s->o->model_path, *slash;
    if (path == NULL && (slash = strrchr(s->o->program, '/')) != NULL) {
        size_t size = (size_t)(slash - s->o->program) + 1;
        if (size >= sizeof folder)
            return an_fail(&s->err, AN_EINVAL,
                           "the program's path is too "
                           "long");
        memcpy(folder, s->o->program, size);
        folder[size] = '\0';
    }
    return an_blobs_open(s->module, path != NULL ? path : folder, &s->blobs,
                         &s->err);
}

static an_status compile(session *s)
{
    const values *o = s->o;
    an_engine_options engine = {
        .name = o->engine, .numerics = o->numerics, .threads = o->threads};
    an_status status = an_engine_open(&engine, &s->engine, &s->err);
    if (status != AN_OK) return status;
    an_source source = {.text = s->source.text,
                        .size = s->source.size,
                        .name = o->program,
                        .function = o->function,
                        .blobs = s->blobs.items,
                        .n_blobs = s->blobs.n};
    return an_engine_compile(s->engine, &source, &s->program, &s->err);
}

static an_status evaluate(session *s)
{
    an_status status = check_names(s, AN_INPUT, "input", &s->o->inputs);
    if (status == AN_OK)
        status = check_names(s, AN_OUTPUT, "output", &s->o->outputs);
    if (status == AN_OK)
        status = an_request_new(s->program, &s->request, &s->err);
    if (status == AN_OK) status = bind_all(s);
    if (status == AN_OK) status = an_request_run(s->request, &s->err);
    if (status != AN_OK) return status;
    return s->o->outputs.n > 0 ? write_outputs(s) : print_outputs(s);
}

static void close_session(session *s)
{
    an_request_free(s->request);
    for (int i = 0; i < s->n_surfaces; i++)
        an_surface_free(s->surfaces[i]);
    an_free(s->surfaces);
    an_program_free(s->program);
    an_engine_close(s->engine);
    an_blobs_close(&s->blobs);
    an_module_free(s->module);
    an_source_close(&s->source);
}

static int run(const an_call *call, const void *v)
{
    session s = {.o = v, .call = call};
    an_status status = check_pairs("input", &s.o->inputs, &s.err);
    if (status == AN_OK) status = check_pairs("output", &s.o->outputs, &s.err);
    if (status == AN_OK)
        status = an_source_open(s.o->program, &s.source, &s.module, &s.err);
    if (status == AN_OK) status = open_blobs(&s);
    if (status == AN_OK) status = compile(&s);
    if (status == AN_OK) status = evaluate(&s);
    int code = status == AN_OK ? 0 : an_source_fail(call, &s.source, &s.err);
    close_session(&s);
    return code;
}

const an_command an_command_run = {
    .name = "run",
    .summary = "run a MIL program once on an engine",
    .about = "Compiles PROGRAM.mil, reads its inputs from files, evaluates it "
             "once and writes its outputs, or prints a summary of them.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = run,
};
