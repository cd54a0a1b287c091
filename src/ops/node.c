/*
 * A node's arguments by the names of its row's parameters, defaults applied.
 * Kinds and presence were checked before (mil/op.h), so a wrong one here is a
 * bug of ours.
 */
#include "mil/number.h"
#include "mil/op.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const an_operand *an_node_arg(const an_node *n, const char *param)
{
    int i = an_op_param_index(n->op, param, strlen(param));
    assert(i >= 0 && i < n->n_args);
    return &n->args[i];
}

bool an_node_given(const an_node *n, const char *param)
{
    return an_node_arg(n, param)->given;
}

an_value *an_node_value(const an_node *n, const char *param)
{
    const an_operand *arg = an_node_arg(n, param);
    return arg->given ? arg->value : NULL;
}

/* The literal of a constant parameter, NULL when it was not given. */
static const an_literal *literal_of(const an_node *n, const char *param)
{
    const an_value *value = an_node_value(n, param);
    assert(!value || value->literal);
    return value ? value->literal : NULL;
}

static an_param param_of(const an_node *n, const char *param)
{
    an_param p = {0};
    bool found =
        an_op_param(n->op, an_op_param_index(n->op, param, strlen(param)), &p);
    assert(found);
    (void)found;
    return p;
}

/* The default as a number; "true" is 1, "false" 0. */
static double preset_real(const an_node *n, const char *param)
{
    an_param p = param_of(n, param);
    assert(p.preset);
    if (*p.preset == 't') return 1;
    if (*p.preset == 'f') return 0;
    double x = 0;
    bool number = an_number_real(p.preset, p.preset_size, AN_FP64, &x);
    assert(number);
    (void)number;
    return x;
}

int64_t an_node_int_at(const an_node *n, const char *param, int i)
{
    const an_literal *l = literal_of(n, param);
    return l ? an_literal_int(l, (size_t)i) : (int64_t)preset_real(n, param);
}

int64_t an_node_int(const an_node *n, const char *param)
{
    return an_node_int_at(n, param, 0);
}

bool an_node_bool(const an_node *n, const char *param)
{
    return an_node_int(n, param) != 0;
}

double an_node_real(const an_node *n, const char *param)
{
    const an_literal *l = literal_of(n, param);
    return l ? an_literal_real(l, 0) : preset_real(n, param);
}

int an_node_n(const an_node *n, const char *param)
{
    const an_literal *l = literal_of(n, param);
    return l ? (int)l->n : -1;
}

an_str an_node_string(const an_node *n, const char *param)
{
    const an_literal *l = literal_of(n, param);
    if (l) return l->strings[0];
    an_param p = param_of(n, param);
    assert(p.preset);
    return (an_str){p.preset, p.preset_size};
}

bool an_node_axis(const an_node *n, const char *param, int rank, int *out)
{
    int64_t axis = an_node_int(n, param);
    if (axis < -rank || axis >= rank) return false;
    *out = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

/* How many tensors parameter i holds: 0 for other kinds. */
static int tensors_of(const an_node *n, int i, const an_param *p)
{
    if (p->kind == 't' || p->kind == 'c') return 1;
    return p->kind == 'v' ? n->args[i].n : 0;
}

int an_node_n_tensors(const an_node *n)
{
    int count = 0;
    an_param p;
    for (int i = 0; an_op_param(n->op, i, &p); i++)
        count += tensors_of(n, i, &p);
    return count;
}

an_value *an_node_tensor(const an_node *n, int index)
{
    an_param p;
    for (int i = 0; an_op_param(n->op, i, &p); i++) {
        int count = tensors_of(n, i, &p);
        if (index < count) {
            const an_operand *arg = &n->args[i];
            if (p.kind == 'v') return arg->items[index].value;
            return arg->given ? arg->value : NULL;
        }
        index -= count;
    }
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
    if (n->line == 0) return an_fail(err, code, "%s: %s", n->op->name, text);
    return an_fail_at(err, code, n->line, n->column, "%s: %s", n->op->name,
                      text);
}
