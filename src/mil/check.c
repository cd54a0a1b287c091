/*
 * The two checks that every node passes, however it was made: its arguments
 * fit the kinds of its row, and its results have the types of the row's shape
 * rule.
 */
#include "mil/build.h"

#include "mil/type.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

bool an_is_identifier(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool other = (c >= '0' && c <= '9') || c == '@';
        if (!letter && (i == 0 || !other)) return false;
    }
    return size > 0;
}

bool an_op_is_const(const an_op *op)
{
    return op == an_ops[AN_OP_const];
}

static const char *kind_text(char kind)
{
    switch (kind) {
    case 't':
        return "a tensor";
    case 'c':
        return "a tensor known at compile time";
    case 'v':
        return "a tuple of tensors";
    case 'd':
        return "a state";
    case 'i':
        return "an int constant";
    case 'I':
        return "a vector of int constants";
    case 'b':
        return "a bool constant";
    case 'B':
        return "a vector of bool constants";
    case 'f':
        return "a float constant";
    case 'n':
        return "an int or float constant";
    case 'x':
        return "a constant";
    case 'l':
        return "a list";
    case 'u':
        return "a tensor buffer";
    default:
        return "a string constant";
    }
}

static bool is_tensor(const an_value *v)
{
    return v && v->type->kind == AN_TYPE_TENSOR &&
           v->type->shape.dtype != AN_STRING;
}

/* Numbers written out in the text, of the rank, of one of the dtypes. */
static bool is_constant(const an_value *v, int rank, bool dtype_fits(an_dtype))
{
    return v->literal && v->literal->kind == AN_LIT_DATA &&
           v->type->shape.rank == rank && dtype_fits(v->type->shape.dtype);
}

static bool is_bool(an_dtype dtype)
{
    return dtype == AN_BOOL;
}

static bool is_number(an_dtype dtype)
{
    return an_dtype_is_int(dtype) || an_dtype_is_float(dtype);
}

static bool value_fits(const an_value *v, char kind)
{
    if (kind == 'x') return v->literal != NULL;
    if (kind == 'l') return v->type->kind == AN_TYPE_LIST;
    if (kind == 'u') return v->type->kind == AN_TYPE_BUFFER;
    if (kind == 'd') return v->type->kind == AN_TYPE_STATE;
    if (v->type->kind != AN_TYPE_TENSOR) return false;
    switch (kind) {
    case 't':
        return is_tensor(v);
    case 'c':
        return is_tensor(v) &&
               (v->literal || (v->def && v->def->op->cls == AN_CLASS_CONST));
    case 'i':
        return is_constant(v, 0, an_dtype_is_int);
    case 'I':
        return is_constant(v, 1, an_dtype_is_int);
    case 'b':
        return is_constant(v, 0, is_bool);
    case 'B':
        return is_constant(v, 1, is_bool);
    case 'f':
        return is_constant(v, 0, an_dtype_is_float);
    case 'n':
        return is_constant(v, 0, is_number);
    case 's':
        return v->literal && v->literal->kind == AN_LIT_STRINGS &&
               v->type->shape.rank == 0;
    default:
        return false;
    }
}

/* Tuples of tensors; the index of the first misfit, or -1. */
static int tuple_misfit(const an_operand *o)
{
    for (int i = 0; i < o->n; i++)
        if (!is_tensor(o->items[i].value)) return i;
    return -1;
}

/* Keeps every sum and product of shape rules far from overflow. */
static bool ints_fit(const an_literal *l)
{
    for (size_t i = 0; i < l->n; i++) {
        int64_t x = an_literal_int(l, i);
        if (x < INT32_MIN || x > INT32_MAX) return false;
    }
    return true;
}

static an_status fail_kind(const an_node *n, const an_param *p,
                           const an_value *v, an_error *err)
{
    char type[200];
    bool constant = v && !v->literal && strchr("iIbBfscnx", p->kind);
    bool file = v && v->literal && v->literal->kind == AN_LIT_BLOB &&
                strchr("iIbBfsn", p->kind);
    return an_node_fail(
        n, err, AN_ETYPE, "%.*s is %s%s, expected %s", (int)p->name_size,
        p->name, v ? an_type_text(v->type, type, sizeof type) : "a tuple",
        constant ? " computed at run time"
        : file   ? " in a weight file"
                 : "",
        kind_text(p->kind));
}

static an_status check_argument(const an_node *n, const an_param *p,
                                const an_operand *o, an_error *err)
{
    int size = (int)p->name_size;
    if (!o->given)
        return p->required
                   ? an_node_fail(n, err, AN_ETYPE, "parameter %.*s is missing",
                                  size, p->name)
                   : AN_OK;
    if (p->kind == 'v') {
        if (o->value) return fail_kind(n, p, o->value, err);
        int i = tuple_misfit(o);
        if (o->n == 0 || i >= 0)
            return an_node_fail(n, err, AN_ETYPE,
                                "%.*s: item %d of %d is no tensor", size,
                                p->name, i < 0 ? 0 : i, o->n);
        return AN_OK;
    }
    if (!o->value || !value_fits(o->value, p->kind))
        return fail_kind(n, p, o->value, err);
    if ((p->kind == 'i' || p->kind == 'I') && !ints_fit(o->value->literal))
        return an_node_fail(n, err, AN_ETYPE, "%.*s is beyond 32 bits", size,
                            p->name);
    return AN_OK;
}

an_status an_node_check(const an_node *n, an_error *err)
{
    an_param p;
    if (an_op_is_const(n->op)) {
        bool well =
            n->n_args == 1 && n->args[0].value && n->args[0].value->literal;
        return well
                   ? AN_OK
                   : an_node_fail(n, err, AN_ETYPE, "attribute val is missing");
    }
    for (int i = 0; i < n->n_args; i++) {
        bool have = an_op_param(n->op, i, &p);
        assert(have);
        (void)have;
        an_status s = check_argument(n, &p, &n->args[i], err);
        if (s != AN_OK) return s;
        if (n->op->form == AN_FORM_ATTRIBUTES && n->args[i].given &&
            !n->args[i].value->literal)
            return fail_kind(n, &p, n->args[i].value, err);
    }
    return AN_OK;
}

static bool operand_known(const an_operand *o)
{
    if (o->value) return an_shape_known(&o->value->type->shape);
    for (int i = 0; i < o->n; i++)
        if (!operand_known(&o->items[i])) return false;
    return true;
}

an_status an_node_infer(const an_node *n, an_shape *out, bool *known,
                        an_error *err)
{
    *known = true;
    for (int i = 0; i < n->n_args; i++)
        *known = *known && operand_known(&n->args[i]);
    if (!*known) return AN_OK;
    an_status s = n->op->shape(n, out, n->n_results, err);
    if (s != AN_OK) return s;
    for (int i = 0; i < n->n_results; i++)
        if (out[i].rank != AN_RANK_DECLARED && !an_shape_valid(&out[i]))
            return an_node_fail(n, err, AN_ETYPE, "result %d is too large", i);
    return AN_OK;
}
