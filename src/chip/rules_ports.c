/*
 * Rules about inputs, outputs and types. What a program's text cannot show
 * (surfaces, calls) is enforced by the engines, which name the same ids.
 */
#include "chip/check.h"
#include "chip/spoil.h"

#include <string.h>

static bool is_int(an_dtype d)
{
    return d == AN_INT32 || d == AN_INT64 || d == AN_UINT32 || d == AN_UINT64;
}

static void sorted(an_checker *c, an_value *const *list, int n,
                   const char *what)
{
    for (int i = 1; i < n; i++)
        if (strcmp(list[i - 1]->name, list[i]->name) > 0)
            an_breach_at(c, list[i]->line, list[i]->column,
                         "%s '%s' stands behind '%s'", what, list[i]->name,
                         list[i - 1]->name);
}

static void inputs_are_sorted(an_checker *c)
{
    sorted(c, c->function->params, c->function->n_params, "input");
}

static void outputs_are_sorted(an_checker *c)
{
    sorted(c, c->function->results, c->function->n_results, "output");
}

static int64_t port_bytes(const an_value *v)
{
    const an_shape *s = &v->type->shape;
    return an_shape_count(s) * (int64_t)an_dtype_size(s->dtype);
}

static void equal_sizes(an_checker *c, an_value *const *list, int n,
                        const char *what)
{
    for (int i = 1; i < n; i++) {
        if (!an_check_known(&list[i]->type->shape) ||
            !an_check_known(&list[0]->type->shape) ||
            port_bytes(list[i]) == port_bytes(list[0]))
            continue;
        an_breach_at(c, list[i]->line, list[i]->column,
                     "%s '%s' has %lld bytes, '%s' has %lld", what,
                     list[i]->name, (long long)port_bytes(list[i]),
                     list[0]->name, (long long)port_bytes(list[0]));
    }
}

static void sizes_are_equal(an_checker *c)
{
    equal_sizes(c, c->function->params, c->function->n_params, "input");
    equal_sizes(c, c->function->results, c->function->n_results, "output");
}

static void row_is_whole(an_checker *c, const an_value *v, const char *side)
{
    int64_t bytes =
        an_check_width(v) * (int64_t)an_dtype_size(v->type->shape.dtype);
    if (bytes > 0 && bytes % 64 != 0)
        an_breach_at(c, v->line, v->column,
                     "%s '%s' has rows of %lld bytes, expected a multiple of "
                     "64",
                     side, v->name, (long long)bytes);
}

static void rows_are_whole(an_checker *c)
{
    an_check_ports(c, row_is_whole);
}

static void not_narrow_and_deep(an_checker *c, const an_value *v,
                                const char *side)
{
    const an_shape *s = &v->type->shape;
    if (s->rank == 4 && s->dims[1] > 768 && s->dims[3] >= 0 && s->dims[3] < 32)
        an_breach_at(c, v->line, v->column,
                     "%s '%s' has %lld channels and width %lld", side, v->name,
                     (long long)s->dims[1], (long long)s->dims[3]);
}

static void narrow_is_shallow(an_checker *c)
{
    an_check_ports(c, not_narrow_and_deep);
}

static void wider_than_one(an_checker *c, const an_value *v, const char *side)
{
    if (an_check_width(v) == 1)
        an_breach_at(c, v->line, v->column, "%s '%s' has a last axis of 1",
                     side, v->name);
}

static void lanes_are_many(an_checker *c)
{
    an_check_ports(c, wider_than_one);
}

static void few_inputs(an_checker *c)
{
    const an_function *f = c->function;
    if (f->n_params > 8)
        an_breach_at(c, f->line, f->column, "%d inputs, expected at most 8",
                     f->n_params);
}

static void few_outputs(an_checker *c)
{
    const an_function *f = c->function;
    if (f->n_results > 2)
        an_breach_at(c, f->line, f->column, "%d outputs, expected at most 2",
                     f->n_results);
}

static void port_not_fp32(an_checker *c, const an_value *v, const char *side)
{
    if (v->type->shape.dtype == AN_FP32)
        an_breach_at(c, v->line, v->column, "%s '%s' is fp32", side, v->name);
}

static void ports_not_fp32(an_checker *c)
{
    an_check_ports(c, port_not_fp32);
}

static void port_not_int8(an_checker *c, const an_value *v, const char *side)
{
    an_dtype d = v->type->shape.dtype;
    if (d == AN_INT8 || d == AN_UINT8)
        an_breach_at(c, v->line, v->column, "%s '%s' is %s", side, v->name,
                     an_dtype_name(d));
}

static void ports_not_int8(an_checker *c)
{
    an_check_ports(c, port_not_int8);
}

/* An integer result that nobody reads, as topk's indices, is no data. */
static bool is_read(const an_function *f, const an_value *v)
{
    return !v->def || an_check_is_result(f, v) || an_check_uses(f, v) > 0;
}

static void is_data(an_checker *c, const an_value *v, const char *what)
{
    an_dtype d = v->type->shape.dtype;
    bool refused = is_int(d) || d == AN_BF16 || d == AN_INT4 || d == AN_UINT4 ||
                   (d == AN_FP64 && c->mode != AN_CHECK_EXACT);
    if (refused && is_read(c->function, v))
        an_breach_at(c, v->line, v->column, "%s '%s' is %s", what, v->name,
                     an_dtype_name(d));
}

static void not_bool(an_checker *c, const an_value *v, const char *side)
{
    if (v->type->shape.dtype == AN_BOOL && v->def)
        an_breach_at(c, v->line, v->column, "%s '%s' is bool", side, v->name);
}

static void data_is_float(an_checker *c)
{
    an_check_tensors(c, is_data);
    an_check_ports(c, not_bool);
}

static bool is_float(an_dtype d)
{
    return d == AN_FP16 || d == AN_FP32 || d == AN_FP64 || d == AN_BF16;
}

static void operands_are_alike(an_checker *c, const an_node *n)
{
    an_dtype first = AN_DTYPE_COUNT;
    for (int t = 0; t < an_node_n_tensors(n); t++) {
        const an_value *v = an_node_tensor(n, t);
        an_dtype d = v ? v->type->shape.dtype : AN_DTYPE_COUNT;
        if (!v || !is_float(d)) continue;
        if (first == AN_DTYPE_COUNT) first = d;
        if (d != first)
            an_breach_at(c, n->line, n->column, "%s: operands are %s and %s",
                         n->op->name, an_dtype_name(first), an_dtype_name(d));
    }
}

static void epsilon_is_alike(an_checker *c, const an_node *n)
{
    const an_value *e = an_node_value(n, "epsilon");
    an_dtype x = an_node_value(n, "x")->type->shape.dtype;
    if (e && e->type->shape.dtype != x)
        an_breach_at(c, n->line, n->column,
                     "layer_norm: epsilon is %s, x is %s",
                     an_dtype_name(e->type->shape.dtype), an_dtype_name(x));
}

static void floats_are_alike(an_checker *c)
{
    for (int i = 0; i < c->function->n_nodes; i++)
        if (!an_check_is_const(c->function->nodes[i]))
            operands_are_alike(c, c->function->nodes[i]);
    an_check_each(c, &an_op_layer_norm, epsilon_is_alike);
}

// clang-format off
const an_rule an_rules_ports[] = {
    {"R-30", "inputs stand in byte order of their names: they bind in that order",
     "W", AN_ERROR, AN_GEN_ALL, "rename or reorder", "Orion, h3.c-ane, Espresso, vMLX, True2456/qwen-ane", inputs_are_sorted, NULL, an_spoil_inputs},
    {"R-31", "outputs stand in byte order of their names: they bind in that order",
     "W", AN_ERROR, AN_GEN_ALL, "rename or reorder; ask the loaded model", "Orion, Espresso, h3.c-ane; imperatormk/ane-train saw order by size (M1)", outputs_are_sorted, NULL, an_spoil_outputs},
    {"R-32", "symbols of outputs end in @output",
     "E3", AN_ERROR, AN_GEN_ALL, NULL, "ironmill, ane-infer, qwen-ane", NULL, "not checked: of the loaded model, no part of the text"},
    {"R-33", "inputs have one size in bytes, and outputs have one",
     "E1", AN_WARN, AN_GEN_M4, "allocate the largest, data at the front", "Orion (M4 Max); h3.c-ane and qwen-ane mix sizes with success", sizes_are_equal, NULL},
    {"R-34", "a surface has at least 16 KB, better 48 KB, in steps of 16 KB",
     "E1", AN_ERROR, AN_GEN_ALL, "allocate more", "Orion, Espresso, ANEtransformers 48 KB; ironmill, vMLX 16 KB", NULL, "soft: its own surfaces are whole pages; smaller memory of a caller is refused"},
    {"R-35", "rows (last axis) are multiples of 64 bytes",
     "Z E1 W", AN_ERROR, AN_GEN_ALL, "pad the last axis, slice inside", "skyfallsin, qwen-ane, ANEtransformers, h3.c-ane, vMLX, ironmill, tmc/apple", rows_are_whole, NULL, an_spoil_zeros},
    {"R-36", "the host writes rows shorter than 64 bytes at multiples of 64",
     "W", AN_ERROR, AN_GEN_ALL, "R-35", "ANEDVD (A18 Pro), ironmill (h14g); Orion reads packed rows (M4 Max)", NULL, "soft: ports have such strides; R-35 refuses short rows"},
    {"R-37", "a port with more than 768 channels is at least 32 wide",
     "E1", AN_WARN, AN_GEN_ALL, "transpose roles", "ironmill (h14g)", narrow_is_shallow, NULL},
    {"R-38", "a port's last axis is not 1",
     "E1 E2", AN_ERROR, AN_GEN_ALL, "pad to 32", "Espresso", lanes_are_many, NULL},
    {"R-39", "a program has at most 8 inputs; 1 is always safe",
     "E1", AN_WARN, AN_GEN_ALL, "pack inputs side by side", "mixed: h3.c-ane caps at 8, ane-train ran 98, some OS builds fail at 2", few_inputs, NULL},
    {"R-40", "a program has at most 2 outputs",
     "W", AN_WARN, AN_GEN_ALL, "concat into one", "ANEtransformers (M5); Orion 3, Espresso 3 to 6 are right", few_outputs, NULL},
    {"R-41", "the result of every call is checked: a failed evaluation leaves old data",
     "Z", AN_ERROR, AN_GEN_ALL, NULL, "an M3 Max trainer's notes, iPhone reports", NULL, "engine.h: every call returns a status, readers of a failed output fail"},
    {"R-42", "a surface belongs to one loaded program, a request keeps its surfaces",
     "E2", AN_WARN, AN_GEN_ALL, "a new request for other surfaces", "Espresso; ane-train and ANEForge share surfaces with success", NULL, "not checked: reports differ; sharing works here"},
    {"R-43", "inputs are finite",
     "W", AN_WARN, AN_GEN_ALL, "clamp on the host", "751K study", NULL, "not checked: a matter of values; numerics hw computes what comes out"},
    {"R-45", "fp16 inputs and outputs are legal everywhere",
     "-", AN_NOTE, AN_GEN_ALL, NULL, "all projects", NULL, "not checked: it forbids nothing"},
    {"R-46", "inputs and outputs are not fp32",
     "C1", AN_WARN, AN_GEN_M1 | AN_GEN_M2 | AN_GEN_M5, "fp16 surfaces", "ANEgpt, maderix/ANE PR 6 (M1, M2); qwen-ane (M5 Max, macOS 27)", ports_not_fp32, NULL},
    {"R-47", "inputs and outputs are not int8",
     "C1", AN_WARN, AN_GEN_ALL, "cast on the host", "qwen-ane; ironmill contradicts itself; ANEForge: e5rt takes int8, uint8, int16, uint16", ports_not_int8, NULL},
    {"R-48", "int32, int64, bf16, fp64 and 4-bit integers are no data; bool is no output",
     "C1", AN_ERROR, AN_GEN_ALL, "fp16: integers are exact to 2048", "751K study, ANEForge, ironmill", data_is_float, NULL},
    {"R-49", "nothing is fp8",
     "C1", AN_WARN, AN_GEN_ALL & ~(unsigned)AN_GEN_M6, "fp16", "ANEForge (h18 alone has it)", NULL, "parser: no type of that name"},
    {"R-49a", "float operands of one operation have one type",
     "C1 C2", AN_ERROR, AN_GEN_ALL, "cast", "dev-erik/ANE, coremltools", floats_are_alike, NULL},
    {NULL},
};
// clang-format on
