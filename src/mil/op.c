/*
 * The op table as its readers see it: parameter strings, look-up by name and
 * opset, arguments of a node by name with the row's defaults.
 */
#include "mil/op.h"

#include "mil/build.h"
#include "mil/number.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool an_op_is_const(const an_op *op)
{
    return op == an_ops[AN_OP_const];
}

const an_op *an_op_find(const char *name, size_t size, int opset)
{
    const an_op *newest = NULL, *oldest = NULL;
    for (int i = 0; i < AN_OP_COUNT; i++) {
        const an_op *op = an_ops[i];
        if (strlen(op->name) != size || memcmp(op->name, name, size) != 0)
            continue;
        if (op->since <= opset && (!newest || op->since > newest->since))
            newest = op;
        if (!oldest || op->since < oldest->since) oldest = op;
    }
    return newest ? newest : oldest;
}

/* Reads the parameter at *at and moves behind it; false at the end. */
static bool next_param(const char **at, an_param *out)
{
    const char *p = *at + strspn(*at, " ");
    if (*p == 0) return false;
    size_t size = strcspn(p, " ");
    const char *colon = memchr(p, ':', size);
    assert(colon && colon + 1 < p + size);
    const char *preset =
        colon + 2 < p + size && colon[2] == '=' ? colon + 3 : NULL;
    *out = (an_param){.name = p,
                      .name_size = (size_t)(colon - p),
                      .kind = colon[1],
                      .required = colon + 2 == p + size,
                      .preset = preset,
                      .preset_size = preset ? (size_t)(p + size - preset) : 0};
    *at = p + size;
    return true;
}

int an_op_n_params(const an_op *op)
{
    const char *at = op->params;
    an_param p;
    int n = 0;
    while (next_param(&at, &p))
        n++;
    return n;
}

bool an_op_param(const an_op *op, int i, an_param *out)
{
    const char *at = op->params;
    an_param p;
    do {
        if (!next_param(&at, &p)) return false;
    } while (i-- > 0);
    *out = p;
    return true;
}

static int find_param(const an_op *op, const char *name, size_t size,
                      an_param *out)
{
    const char *at = op->params;
    for (int i = 0; next_param(&at, out); i++)
        if (out->name_size == size && memcmp(out->name, name, size) == 0)
            return i;
    return -1;
}

int an_op_param_index(const an_op *op, const char *name, size_t size)
{
    an_param p;
    return find_param(op, name, size, &p);
}

/* The argument and its parameter; the row must have it. */
static const an_operand *argument(const an_node *n, const char *param,
                                  an_param *p)
{
    int i = find_param(n->op, param, strlen(param), p);
    assert(i >= 0 && i < n->n_args);
    return &n->args[i];
}

const an_operand *an_node_arg(const an_node *n, const char *param)
{
    an_param p;
    return argument(n, param, &p);
}

an_value *an_node_value(const an_node *n, const char *param)
{
    return an_node_arg(n, param)->value;
}

bool an_node_given(const an_node *n, const char *param)
{
    return an_node_arg(n, param)->given;
}

/* The number that a row gives as default; a bool is 0 or 1. */
static double preset_real(const an_param *p)
{
    assert(p->preset);
    if (p->preset_size == 4 && memcmp(p->preset, "true", 4) == 0) return 1;
    if (p->preset_size == 5 && memcmp(p->preset, "false", 5) == 0) return 0;
    double x = 0;
    bool well = an_number_real(p->preset, p->preset_size, AN_FP64, &x);
    assert(well);
    (void)well;
    return x;
}

int64_t an_node_int(const an_node *n, const char *param)
{
    return an_node_int_at(n, param, 0);
}

bool an_node_bool(const an_node *n, const char *param)
{
    return an_node_int_at(n, param, 0) != 0;
}

double an_node_real(const an_node *n, const char *param)
{
    an_param p;
    const an_operand *arg = argument(n, param, &p);
    return arg->given ? an_literal_real(arg->value->literal, 0)
                      : preset_real(&p);
}

int an_node_n(const an_node *n, const char *param)
{
    const an_operand *arg = an_node_arg(n, param);
    return arg->given ? (int)arg->value->literal->n : -1;
}

int64_t an_node_int_at(const an_node *n, const char *param, int i)
{
    an_param p;
    const an_operand *arg = argument(n, param, &p);
    return arg->given ? an_literal_int(arg->value->literal, (size_t)i)
                      : (int64_t)preset_real(&p);
}

an_str an_node_string(const an_node *n, const char *param)
{
    an_param p;
    const an_operand *arg = argument(n, param, &p);
    if (arg->given) return arg->value->literal->strings[0];
    assert(p.preset);
    return (an_str){p.preset, p.preset_size};
}

bool an_node_string_is(const an_node *n, const char *param, const char *text)
{
    an_str s = an_node_string(n, param);
    return s.size == strlen(text) && memcmp(s.text, text, s.size) == 0;
}

bool an_node_axis(const an_node *n, const char *param, int rank, int *out)
{
    int64_t axis = an_node_int(n, param);
    if (axis < -rank || axis >= rank) return false;
    *out = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

static bool is_tensor_kind(char kind)
{
    return kind == 't' || kind == 'c' || kind == 'v';
}

int an_node_n_tensors(const an_node *n)
{
    const char *at = n->op->params;
    an_param p;
    int count = 0;
    for (int i = 0; next_param(&at, &p); i++)
        if (is_tensor_kind(p.kind)) count += p.kind == 'v' ? n->args[i].n : 1;
    return count;
}

an_value *an_node_tensor(const an_node *n, int index)
{
    const char *at = n->op->params;
    an_param p;
    for (int i = 0; next_param(&at, &p); i++) {
        if (!is_tensor_kind(p.kind)) continue;
        int count = p.kind == 'v' ? n->args[i].n : 1;
        if (index < count)
            return p.kind == 'v' ? n->args[i].items[index].value
                                 : n->args[i].value;
        index -= count;
    }
    assert(index < 0); /* out of range */
    return NULL;
}

an_status an_node_fail(const an_node *n, an_error *err, an_status code,
                       const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n->line > 0)
        return an_fail_at(err, code, n->line, n->column, "%s: %s", n->op->name,
                          text);
    const char *name = n->n_results > 0 ? an_value_name(n->results[0]) : "";
    if (!*name) return an_fail(err, code, "%s: %s", n->op->name, text);
    return an_fail(err, code, "%s = %s: %s", name, n->op->name, text);
}
