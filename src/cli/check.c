/*
 * anemone check: parses and verifies a program. What is wrong is told in one
 * line that is complete in itself, as compilers do, then shown in the source.
 */
#include "cli/commands.h"
#include "cli/source.h"

#include "anemone/mil.h"
#include "base/alloc.h"
#include "base/file.h"
#include "mil/ir.h"

typedef struct values {
    const char *program;
} values;

static const an_option options[] = {
    {.section = "Operands",
     .metavar = "PROGRAM.mil",
     .type = AN_OPTION_TEXT,
     .required = true,
     AN_AT(values, program),
     .help = "text in either dialect, program(1.0) to program(1.3), or a "
             ".mlmodelc folder with a model.mil"},
};

static void defaults(void *v)
{
    *(values *)v = (values){0};
}

static void print_count(int n, const char *one, const char *end)
{
    printf("%d %s%s%s", n, one, n == 1 ? "" : "s", end);
}

static void print_summary(const char *path, const an_module *m)
{
    int ops = 0, params = 0;
    for (int i = 0; i < m->n_functions; i++) {
        ops += m->functions[i]->n_nodes;
        params += m->functions[i]->n_params;
    }
    printf("%s: ok, ", path);
    print_count(m->n_functions, "function", ", ");
    print_count(ops, "op", ", ");
    print_count(params, "parameter", "\n");
}

static int check(const an_call *call, const void *v)
{
    const values *o = v;
    an_error err = {0};
    an_source_text source = {0};
    an_module *module = NULL;
    int status = 0;
    if (an_source_open(o->program, &source, &module, &err) == AN_OK)
        print_summary(o->program, module);
    else
        status = an_source_fail(call, &source, &err);
    an_module_free(module);
    an_source_close(&source);
    return status;
}

const an_command an_command_check = {
    .name = "check",
    .summary = "parse and verify a MIL program",
    .about =
        "Parses PROGRAM.mil, checks names, types and shapes against the op "
        "table, and prints how many functions, ops and parameters it has.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = check,
};
