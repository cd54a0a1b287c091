/*
 * Rules about weight files, compiling, loading and running. Most cannot be
 * seen in a program's text: the row says who enforces them.
 */
#include "chip/rule.h"

#include "mil/op.h"

#include <string.h>

/* Calls `check` for every constant that names a weight file. */
static void each_blob(an_checker *c,
                      void (*check)(an_checker *c, const an_value *v,
                                    const an_literal *l))
{
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        for (int a = 0; a < n->n_args; a++) {
            const an_value *v = n->args[a].value;
            if (v && v->literal && v->literal->kind == AN_LIT_BLOB &&
                n->op->form == AN_FORM_ATTRIBUTES)
                check(c, n->results[0], v->literal);
        }
    }
}

static void offset_is_record(an_checker *c, const an_value *v,
                             const an_literal *l)
{
    if (l->offset == 0 || l->offset % 64 != 0)
        an_breach_at(c, v->line, v->column,
                     "'%s' is at offset %llu, expected a multiple of 64 from "
                     "64 on",
                     v->name, (unsigned long long)l->offset);
}

static void offsets(an_checker *c)
{
    each_blob(c, offset_is_record);
}

static void path_is_model(an_checker *c, const an_value *v, const an_literal *l)
{
    if (strncmp(l->path.text, "@model_path/", 12) != 0)
        an_breach_at(c, v->line, v->column,
                     "'%s' is in '%s', expected @model_path/...", v->name,
                     l->path.text);
}

static void paths(an_checker *c)
{
    each_blob(c, path_is_model);
}

typedef struct path_scan {
    const char *seen[17];
    int n;
} path_scan;

static void files(an_checker *c)
{
    path_scan s = {.n = 0};
    for (int i = 0; i < c->function->n_nodes; i++) {
        const an_node *n = c->function->nodes[i];
        for (int a = 0; a < n->n_args && s.n < 17; a++) {
            const an_value *v = n->args[a].value;
            if (!v || !v->literal || v->literal->kind != AN_LIT_BLOB) continue;
            bool known = false;
            for (int k = 0; k < s.n; k++)
                known = known || strcmp(s.seen[k], v->literal->path.text) == 0;
            if (!known) s.seen[s.n++] = v->literal->path.text;
        }
    }
    if (s.n > 16)
        an_breach_at(c, c->function->line, c->function->column,
                     "more than 16 weight files");
}

static void state(an_checker *c)
{
    for (int i = 0; i < c->function->n_params; i++)
        if (c->function->params[i]->type->kind == AN_TYPE_STATE)
            an_breach_at(
                c, c->function->params[i]->line, c->function->params[i]->column,
                "parameter '%s' is a state", c->function->params[i]->name);
}

static void one_function(an_checker *c)
{
    if (c->module->n_functions > 1 && c->function == c->module->functions[1])
        an_breach_at(c, c->function->line, c->function->column,
                     "%d functions in one program", c->module->n_functions);
}

// clang-format off
const an_rule an_rules_runtime[] = {
    {"R-80", "a BLOBFILE offset is the position of a 64-byte record, a multiple of 64",
     "C2 W", AN_ERROR, AN_GEN_ALL, NULL, "all projects; Orion: 0, 32 and 128 give garbage", offsets, NULL},
    {"R-81", "a record says where its data is, as an absolute position",
     "W", AN_ERROR, AN_GEN_ALL, "align64(record + 64)", "ANEDVD (A18 Pro), qwen-ane (M5 Max)", NULL, "blob reader: the field is used when plausible"},
    {"R-82", "header count, version 2, sentinel, element type and size are true",
     "C2", AN_WARN, AN_GEN_ALL, "write true fields", "coremltools StorageFormat", NULL, "blob reader: sentinel and size are checked"},
    {"R-83", "a weight file's path starts with @model_path/",
     "C2", AN_ERROR, AN_GEN_ALL, NULL, "qwen-ane, vMLX, maderix/ANE", paths, NULL},
    {"R-86", "a program has at most 16 weight files",
     "C1", AN_WARN, AN_GEN_M5, "one file for all", "qwen-ane (24 failed); Espresso ran 17 and 18", files, NULL},
    {"R-88", "constants are frozen when compiled",
     "W", AN_ERROR, AN_GEN_ALL, "weights as inputs, or compile again", "maderix/ANE, ANEtransformers (M5)", NULL, "soft: programs hold copies of their constants"},
    {"R-90", "a process compiles about 119 programs",
     "C1", AN_ERROR, AN_GEN_ALL, "a new process; weights as inputs", "maderix/ANE, Orion, ANEtransformers, ANEForge", NULL, "soft: the chip's compile limit"},
    {"R-91", "about 127 programs are loaded at once",
     "L1", AN_ERROR, AN_GEN_ALL, "unload and release", "qwen-ane 127, h3.c-ane 126, others 55 to 239", NULL, "soft: the chip's live limit"},
    {"R-94", "one function in a program",
     "E3 W", AN_WARN, AN_GEN_ALL, "one program a function", "qwen-ane (M5 Max)", one_function, NULL},
    {"R-99", "no states",
     "C1 E1", AN_ERROR, AN_GEN_ALL, "an input and an output on one surface", "ANEForge, coremltools issue 2553", state, NULL},
    {NULL},
};
// clang-format on
