/*
 * Rules about weight files, compiling, loading and running. Most cannot be
 * seen in a program's text: the row says who enforces them.
 */
#include "chip/check.h"

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

/* Bytes of a constant in a weight file; types below a byte take one. */
static double blob_bytes(const an_literal *l)
{
    const an_shape *s = &l->type->shape;
    double bytes = (double)an_dtype_size(s->dtype);
    for (int i = 0; i < s->rank; i++)
        bytes *= (double)s->dims[i];
    return bytes;
}

static void blob_is_in_reach(an_checker *c, const an_value *v,
                             const an_literal *l)
{
    double end = (double)l->offset + 64 + blob_bytes(l);
    if (end > 4294967296.0)
        an_breach_at(c, v->line, v->column,
                     "'%s' ends at %.0f of its file, expected at most 4 GiB",
                     v->name, end);
}

static void blobs_are_in_reach(an_checker *c)
{
    each_blob(c, blob_is_in_reach);
}

static void weights_are_few(an_checker *c)
{
    const an_function *f = c->function;
    double bytes = 0;
    for (int i = 0; i < f->n_nodes; i++)
        for (int a = 0; a < f->nodes[i]->n_args; a++) {
            const an_value *v = f->nodes[i]->args[a].value;
            /* Each literal once: where it stands, not where it is read. */
            if (v && v->literal && v->literal->kind == AN_LIT_BLOB &&
                (!v->name || v->def == f->nodes[i]))
                bytes += blob_bytes(v->literal);
        }
    if (bytes > 33554432.0)
        an_breach_at(c, f->line, f->column,
                     "constants of %.1f MB, expected at most 32",
                     bytes / 1048576);
}

static bool is_one_value(const an_value *v)
{
    return an_check_known(&v->type->shape) &&
           an_shape_count(&v->type->shape) == 1;
}

/* int8 data, one scale or one per output channel. */
static void affine_is_simple(an_checker *c, const an_node *n)
{
    an_dtype d = an_node_value(n, "quantized_data")->type->shape.dtype;
    const an_value *scale = an_node_value(n, "scale");
    const an_value *zero = an_node_value(n, "zero_point");
    if (d != AN_INT8)
        an_breach_at(c, n->line, n->column, "%s: data are %s, expected int8",
                     n->op->name, an_dtype_name(d));
    else if (scale->type->shape.rank > 1)
        an_check_fail(c, n, "scale has more than one axis");
    else if (an_node_int(n, "axis") != 0 && !is_one_value(scale))
        an_check_fail(c, n, "axis is not 0");
    else if (!is_one_value(zero) || (an_check_has_data(zero) &&
                                     an_literal_real(zero->literal, 0) != 0))
        an_check_fail(c, n, "zero_point is not 0");
}

/* int8 or int4 data, scale [N, 1, 1, 1], no offset. */
static void blocks_are_rows(an_checker *c, const an_node *n)
{
    an_dtype d = an_node_value(n, "data")->type->shape.dtype;
    const an_shape *s = &an_node_value(n, "scale")->type->shape;
    if (d != AN_INT8 && d != AN_INT4)
        an_breach_at(c, n->line, n->column,
                     "%s: data are %s, expected int8 or int4", n->op->name,
                     an_dtype_name(d));
    if (an_node_given(n, "offset")) an_check_fail(c, n, "has an offset");
    for (int i = 1; i < s->rank; i++)
        if (s->dims[i] != 1) {
            an_check_fail(c, n, "blocks are finer than output channels");
            break;
        }
}

static void constants_are_plain(an_checker *c)
{
    static const an_op *const others[] = {
        &an_op_constexpr_lut_to_dense, &an_op_constexpr_lut_to_sparse,
        &an_op_constexpr_sparse_blockwise_shift_scale, &an_op_constexpr_cast,
        NULL};
    an_check_each(c, &an_op_constexpr_affine_dequantize, affine_is_simple);
    an_check_each(c, &an_op_constexpr_blockwise_shift_scale, blocks_are_rows);
    for (int i = 0; i < c->function->n_nodes; i++)
        if (an_check_is(c->function->nodes[i], others))
            an_check_fail(c, c->function->nodes[i],
                          "is not proven to be honoured");
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
    {"R-84", "the dictionary of weight files is there, empty when there are none",
     "C2", AN_WARN, AN_GEN_ALL, "try an empty one and none", "Orion; ane-train saw the reverse (M1)", NULL, "not checked: of the call, no part of the text"},
    {"R-85", "other weights have another digest or name",
     "W", AN_ERROR, AN_GEN_ALL, "a digest of the content in the path", "ANEDVD (A18 Pro), qwen-ane (M5 Max), ANEtransformers", NULL, "not checked: of the system's cache; soft has none"},
    {"R-86", "a program has at most 16 weight files",
     "C1", AN_WARN, AN_GEN_M5, "one file for all", "qwen-ane (24 failed); Espresso ran 17 and 18", files, NULL},
    {"R-87", "a weight file has at most 4 GiB",
     "C1 L1", AN_ERROR, AN_GEN_ALL, "split", "qwen-ane: offsets of 32 bits", blobs_are_in_reach, NULL},
    {"R-87a", "a program's constants take at most 32 MB",
     "S", AN_NOTE, AN_GEN_ALL, "split", "mixed: ironmill 8 MB, ANEtransformers 352 MB, ANEForge 2 GB", weights_are_few, NULL},
    {"R-88", "constants are frozen when compiled",
     "W", AN_ERROR, AN_GEN_ALL, "weights as inputs, or compile again", "maderix/ANE, ANEtransformers (M5)", NULL, "soft: programs hold copies of their constants"},
    {"R-89", "quantised constants are int8 with one scale, or one per output channel",
     "C1 C2 W", AN_WARN, AN_GEN_ALL, "fp16", "h3.c-ane (M4), qwen-ane and DeepSeek study (M5 Max); refused on other systems", constants_are_plain, NULL},
    {"R-90", "a process compiles about 119 programs",
     "C1", AN_ERROR, AN_GEN_ALL, "a new process; weights as inputs", "maderix/ANE, Orion, ANEtransformers, ANEForge", NULL, "soft: the limits of its chip's row (compiles=N, live=N)"},
    {"R-91", "about 127 programs are loaded at once",
     "L1", AN_ERROR, AN_GEN_ALL, "unload and release", "qwen-ane 127, h3.c-ane 126, others 55 to 239", NULL, "soft: the limits of its chip's row (compiles=N, live=N)"},
    {"R-92", "the machine has room for another program: the limit is shared by processes",
     "L1", AN_WARN, AN_GEN_ALL, "retry after a pause", "ANEDVD (A18 Pro): status 0x5", NULL, "not checked: of the machine"},
    {"R-93", "equal text, weights and options are one program",
     "-", AN_NOTE, AN_GEN_ALL, "vary a name for a state of its own", "qwen-ane (M5 Max), ANEtransformers", NULL, "not checked: it forbids nothing"},
    {"R-94", "one function in a program",
     "E3 W", AN_WARN, AN_GEN_ALL, "one program a function", "qwen-ane (M5 Max)", one_function, NULL},
    {"R-95", "a request's symbol indices are 0 to n - 1 in binding order",
     "E3", AN_ERROR, AN_GEN_ALL, "R-31", "qwen-ane", NULL, "engine.h: ports are bound by name"},
    {"R-96", "at most 127 evaluations wait in the queue",
     "-", AN_NOTE, AN_GEN_ALL, NULL, "qwen-ane (M5 Max)", NULL, "not checked: soft's queue has no limit"},
    {"R-97", "no chaining, no real-time calls",
     "E1", AN_WARN, AN_GEN_ALL, "plain evaluation", "Orion, maderix/ANE (M4): code 15, code 2", NULL, "engine.h: offers neither"},
    {"R-98", "after a failed compile the next ones may be refused",
     "C1", AN_NOTE, AN_GEN_ALL, "wait 15 s", "ANEForge (e5rt)", NULL, "not checked: of the compile service"},
    {"R-99", "no states",
     "C1 E1", AN_ERROR, AN_GEN_ALL, "an input and an output on one surface", "ANEForge, coremltools issue 2553", state, NULL},
    {"R-99a", "an object that was made proves nothing, only compiling does",
     "-", AN_NOTE, AN_GEN_ALL, NULL, "qwen-ane", NULL, "not checked: it forbids nothing"},
    {"R-99b", "an application of CoreML falls back to other processors without an error",
     "S", AN_NOTE, AN_GEN_ALL, "take a failed compile as failure", "coreai-models issues 138, 205", NULL, "engine.h: a refused program is an error"},
    {"R-99c", "the target takes MIL: M1 (h13) and later",
     "C1", AN_NOTE, AN_GEN_ALL, NULL, "ane-guide", NULL, "not checked: the chips here all do"},
    {NULL},
};
// clang-format on
