/*
 * anemone check: parses and verifies a program, then runs a chip's rules over
 * it. What is wrong is told in one line that is complete in itself, as
 * compilers do, then shown in the source. All breaches are told.
 */
#include "cli/commands.h"
#include "cli/source.h"

#include "base/alloc.h"
#include "base/json.h"
#include "chip/rule.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *program;
    int chip; /* an_generation_name */
    bool strict, json;
} values;

static const an_option options[] = {
    {.section = "Operands",
     .metavar = "PROGRAM.mil",
     .type = AN_OPTION_TEXT,
     .required = true,
     AN_AT(values, program),
     .help = "text in either dialect, program(1.0) to program(1.3), or a "
             ".mlmodelc folder with a model.mil"},
    {.section = "Options",
     .name = "chip",
     .metavar = "CHIP",
     .type = AN_OPTION_CHOICE,
     .choice = an_generation_name,
     AN_AT(values, chip),
     .help = "whose rules: m1 to m6, or all"},
    {.name = "strict",
     .type = AN_OPTION_FLAG,
     AN_AT(values, strict),
     .help = "warnings fail the check too"},
    {.name = "json",
     .type = AN_OPTION_FLAG,
     AN_AT(values, json),
     .help = "print one array with an object per breach"},
};

static void defaults(void *v)
{
    *(values *)v = (values){.chip = 3};
}

/* ---- breaches in the order of the text ---- */

typedef struct found {
    an_breach breach;
    char *text; /* of the breach, ours */
} found;

typedef struct breaches {
    found *list;
    size_t n, capacity;
    int count[3]; /* by severity */
    bool failed;  /* without memory */
} breaches;

static void collect(void *ctx, const an_breach *b)
{
    breaches *all = ctx;
    char *text = an_strdup(b->text);
    if (text == NULL ||
        !an_grow(&all->list, &all->capacity, all->n + 1, sizeof *all->list)) {
        an_free(text);
        all->failed = true;
        return;
    }
    all->list[all->n] = (found){*b, text};
    all->list[all->n++].breach.text = text;
    all->count[b->rule->severity]++;
}

static void free_breaches(breaches *all)
{
    for (size_t i = 0; i < all->n; i++)
        an_free(all->list[i].text);
    an_free(all->list);
}

static int by_place(const void *a, const void *b)
{
    const an_breach *x = &((const found *)a)->breach;
    const an_breach *y = &((const found *)b)->breach;
    if (x->line != y->line) return x->line < y->line ? -1 : 1;
    if (x->column != y->column) return x->column < y->column ? -1 : 1;
    if (x->rule != y->rule) return strcmp(x->rule->id, y->rule->id);
    return strcmp(x->text, y->text);
}

static void find(const an_module *module, unsigned chips, breaches *all)
{
    an_rules_check(module, chips, AN_CHECK_CHIP, collect, all);
    if (all->n > 0) qsort(all->list, all->n, sizeof *all->list, by_place);
}

/* ---- printing ---- */

static void show(const an_source_text *source, const an_breach *b,
                 unsigned chips)
{
    const an_rule *r = b->rule;
    char on[32];
    fprintf(stderr, "%s:%d:%d: %s %s: %s (", source->path, b->line, b->column,
            an_severity_name(r->severity), r->id, b->text);
    if ((chips & ~r->chips) != 0)
        fprintf(stderr, "on %s; ", an_generation_text(r->chips, on, sizeof on));
    fputs(r->symptom, stderr);
    if (r->rewrite != NULL) fprintf(stderr, "; rewrite: %s", r->rewrite);
    fputs(")\n", stderr);
    an_source_show(source, b->line, b->column);
}

static void print_count(FILE *out, int n, const char *one, const char *end)
{
    fprintf(out, "%d %s%s%s", n, one, n == 1 ? "" : "s", end);
}

static void print_found(FILE *out, const breaches *all)
{
    if (all->count[AN_ERROR] > 0)
        print_count(out, all->count[AN_ERROR], "error", "");
    if (all->count[AN_WARN] > 0) {
        if (all->count[AN_ERROR] > 0) fputs(", ", out);
        print_count(out, all->count[AN_WARN], "warning", "");
    }
}

static void print_ok(const char *path, const an_module *m, const breaches *all)
{
    int ops = 0, params = 0;
    for (int i = 0; i < m->n_functions; i++) {
        ops += m->functions[i]->n_nodes;
        params += m->functions[i]->n_params;
    }
    printf("%s: ok, ", path);
    print_count(stdout, m->n_functions, "function", ", ");
    print_count(stdout, ops, "op", ", ");
    print_count(stdout, params, "parameter", "");
    if (all->count[AN_WARN] > 0) {
        fputs(", ", stdout);
        print_found(stdout, all);
    }
    putchar('\n');
}

static json_t *chips_array(unsigned chips)
{
    json_t *list = json_array();
    for (int i = 0; 1u << i < AN_GEN_ALL; i++)
        if (chips & 1u << i)
            json_array_append_new(list, json_string(an_generation_name(i)));
    return list;
}

static json_t *breach_object(const char *path, const an_breach *b)
{
    const an_rule *r = b->rule;
    json_t *o = json_object();
    json_object_set_new(o, "file", json_string(path));
    json_object_set_new(o, "line", json_integer(b->line));
    json_object_set_new(o, "column", json_integer(b->column));
    json_object_set_new(o, "severity",
                        json_string(an_severity_name(r->severity)));
    json_object_set_new(o, "id", json_string(r->id));
    json_object_set_new(o, "text", json_string(b->text));
    json_object_set_new(o, "rule", json_string(r->text));
    json_object_set_new(o, "symptom", json_string(r->symptom));
    json_object_set_new(o, "rewrite",
                        r->rewrite ? json_string(r->rewrite) : json_null());
    json_object_set_new(o, "chips", chips_array(r->chips));
    return o;
}

/* A program that does not parse breaks one rule that has no id. */
static json_t *error_object(const char *path, const an_error *e)
{
    json_t *o = json_object();
    json_object_set_new(o, "file", json_string(path));
    json_object_set_new(o, "line", json_integer(e->line));
    json_object_set_new(o, "column", json_integer(e->column));
    json_object_set_new(o, "severity", json_string("error"));
    json_object_set_new(o, "id", json_string(an_status_name(e->code)));
    json_object_set_new(o, "text", json_string(e->text));
    return o;
}

static an_status dump(json_t *array, an_error *err)
{
    int failed = json_dumpf(array, stdout, JSON_INDENT(1));
    json_decref(array);
    if (failed) return an_fail(err, AN_EIO, "cannot write the array");
    putchar('\n');
    return AN_OK;
}

static an_status print_json(const char *path, const breaches *all,
                            an_error *err)
{
    json_t *array = json_array();
    for (size_t i = 0; i < all->n; i++)
        json_array_append_new(array, breach_object(path, &all->list[i].breach));
    return dump(array, err);
}

static void print_text(const an_source_text *source, const an_module *module,
                       const breaches *all, unsigned chips)
{
    for (size_t i = 0; i < all->n; i++)
        show(source, &all->list[i].breach, chips);
    if (all->count[AN_ERROR] == 0) {
        print_ok(source->path, module, all);
        return;
    }
    fprintf(stderr, "%s: ", source->path);
    print_found(stderr, all);
    fputc('\n', stderr);
}

static int check_rules(const an_call *call, const values *o,
                       const an_source_text *source, const an_module *module)
{
    an_error err = {0};
    breaches all = {0};
    unsigned chips = an_generation_find(an_generation_name(o->chip));
    find(module, chips, &all);
    an_status s = AN_OK;
    if (all.failed)
        s = an_fail(&err, AN_ENOMEM, "no memory for the breaches");
    else if (o->json)
        s = print_json(source->path, &all, &err);
    else
        print_text(source, module, &all, chips);
    bool failed =
        all.count[AN_ERROR] > 0 || (o->strict && all.count[AN_WARN] > 0);
    free_breaches(&all);
    return s == AN_OK ? failed : an_call_fail(call, &err);
}

static int fail_to_parse(const an_call *call, const values *o,
                         const an_source_text *source, const an_error *err)
{
    if (!o->json || err->line <= 0) return an_source_fail(call, source, err);
    an_error failed = {0};
    json_t *array = json_array();
    json_array_append_new(array, error_object(source->path, err));
    return dump(array, &failed) == AN_OK ? 1 : an_call_fail(call, &failed);
}

static int check(const an_call *call, const void *v)
{
    const values *o = v;
    an_error err = {0};
    an_source_text source = {0};
    an_module *module = NULL;
    int status;
    if (an_source_open(o->program, &source, &module, &err) == AN_OK)
        status = check_rules(call, o, &source, module);
    else
        status = fail_to_parse(call, o, &source, &err);
    an_module_free(module);
    an_source_close(&source);
    return status;
}

const an_command an_command_check = {
    .name = "check",
    .summary = "check a MIL program against the rules of a chip",
    .about =
        "Parses PROGRAM.mil, checks names, types and shapes against the op "
        "table, then what is known that the hardware refuses or gets wrong, "
        "and lists every breach. The exit status is 1 when one is an error. "
        "`anemone rules ID` explains a rule.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = check,
};
