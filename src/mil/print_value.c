/*
 * Types and literals as Apple's compiler prints them: floats in hexadecimal,
 * doubles inside a dict in decimal, brackets as deep as the rank.
 */
#include "mil/print.h"

#include "mil/number.h"
#include "mil/type.h"

#include <stdio.h>
#include <string.h>

static void put_dim(an_printer *p, int64_t dim)
{
    if (dim < 0)
        an_print_text(p, "?");
    else
        an_print_format(p, "%lld", (long long)dim);
}

static void put_dims(an_printer *p, int rank, const int64_t *dims)
{
    an_print_text(p, "[");
    for (int i = 0; i < rank; i++) {
        an_print_text(p, i > 0 ? ", " : "");
        put_dim(p, dims[i]);
    }
    an_print_text(p, "]");
}

static void put_tensor_type(an_printer *p, const an_shape *s)
{
    an_print_format(p, "tensor<%s, ", an_dtype_name(s->dtype));
    put_dims(p, s->rank, s->dims);
    an_print_text(p, ">");
}

static void put_scalar_type(an_printer *p, an_dtype dtype)
{
    if (p->old)
        put_tensor_type(p, &AN_SCALAR(dtype));
    else
        an_print_text(p, an_dtype_name(dtype));
}

/* Recursion is bounded by the parser's limit on nesting. */
void an_print_type(an_printer *p, const an_type *t)
{
    static const char *const open[] = {
        [AN_TYPE_LIST] = "list<",
        [AN_TYPE_TUPLE] = "tuple<",
        [AN_TYPE_DICT] = "dict<",
    };
    switch (t->kind) {
    case AN_TYPE_TENSOR:
        if (t->shape.rank == 0)
            put_scalar_type(p, t->shape.dtype);
        else
            put_tensor_type(p, &t->shape);
        return;
    case AN_TYPE_STATE:
        an_print_text(p, "state<");
        put_tensor_type(p, &t->shape);
        an_print_text(p, ">");
        return;
    case AN_TYPE_BUFFER:
        an_print_format(
            p, "tensor_buffer<%s, shape = ", an_dtype_name(t->shape.dtype));
        put_dims(p, t->shape.rank, t->shape.dims);
        an_print_text(p, ", strides = ");
        put_dims(p, t->n_strides, t->strides);
        an_print_text(p, ", interleave_factors = ");
        put_dims(p, t->n_interleave, t->interleave);
        an_print_text(p, ">");
        return;
    case AN_TYPE_LIST:
    case AN_TYPE_TUPLE:
    case AN_TYPE_DICT:
        an_print_text(p, open[t->kind]);
        for (int i = 0; i < t->n_args; i++) {
            an_print_text(p, i > 0 ? ", " : "");
            an_print_type(p, t->args[i]);
        }
        if (t->kind == AN_TYPE_LIST) {
            an_print_text(p, ", ");
            put_dim(p, t->length);
        }
        an_print_text(p, ">");
        return;
    }
}

static void put_string(an_printer *p, const an_str *s)
{
    an_print_text(p, "\"");
    for (size_t i = 0; i < s->size; i++) {
        char c = s->text[i];
        if (c == '"' || c == '\\') an_print_text(p, "\\");
        if (c == '\n' || c == '\t' || c == '\r')
            an_print_text(p, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
        else
            an_print_bytes(p, &c, 1);
    }
    an_print_text(p, "\"");
}

/* Doubles inside dicts are decimal with 17 digits. */
static void put_decimal(an_printer *p, double x)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", x);
    for (char *c = text; *c; c++)
        if (!strchr("0123456789+-einfa", *c)) *c = '.';
    an_print_text(p, text);
}

static void put_element(an_printer *p, const an_literal *l, size_t i,
                        bool in_dict)
{
    char text[AN_NUMBER_TEXT];
    an_dtype dtype = l->type->shape.dtype;
    if (l->kind == AN_LIT_STRINGS) {
        put_string(p, &l->strings[i]);
    } else if (dtype == AN_BOOL) {
        an_print_text(p, an_literal_int(l, i) ? "true" : "false");
    } else if (!an_dtype_is_float(dtype)) {
        int64_t x = an_literal_int(l, i);
        if (an_dtype_is_signed(dtype))
            an_print_format(p, "%lld", (long long)x);
        else
            an_print_format(p, "%llu", (unsigned long long)x);
    } else if (dtype == AN_FP64 && in_dict &&
               an_literal_real(l, i) == an_literal_real(l, i)) {
        put_decimal(p, an_literal_real(l, i));
    } else {
        an_number_print(an_literal_real(l, i), text);
        an_print_text(p, text);
    }
}

/* Brackets of one axis; *i is the next element. */
static void put_level(an_printer *p, const an_literal *l, const an_shape *s,
                      int axis, size_t *i, bool in_dict)
{
    an_print_text(p, "[");
    for (int64_t k = 0; k < s->dims[axis] && !p->failed; k++) {
        an_print_text(p, k > 0 ? ", " : "");
        if (axis + 1 < s->rank)
            put_level(p, l, s, axis + 1, i, in_dict);
        else
            put_element(p, l, (*i)++, in_dict);
    }
    an_print_text(p, "]");
}

/* The dimension that the type leaves open follows from the count. */
static an_shape shape_of(const an_literal *l)
{
    an_shape s = l->type->shape;
    int open = -1;
    size_t others = 1;
    for (int i = 0; i < s.rank; i++)
        if (s.dims[i] < 0)
            open = i;
        else
            others *= (size_t)s.dims[i];
    if (open >= 0) s.dims[open] = others > 0 ? (int64_t)(l->n / others) : 0;
    return s;
}

static void put_tensor(an_printer *p, const an_literal *l, bool in_dict)
{
    an_shape s = shape_of(l);
    size_t i = 0;
    if (s.rank == 0)
        put_element(p, l, 0, in_dict);
    else if (l->n == 0)
        an_print_text(p, "[]");
    else
        put_level(p, l, &s, 0, &i, in_dict);
}

static void put_blob(an_printer *p, const an_literal *l)
{
    an_print_text(p, "BLOBFILE(path = ");
    put_scalar_type(p, AN_STRING);
    an_print_text(p, "(");
    put_string(p, &l->path);
    an_print_text(p, "), offset = ");
    put_scalar_type(p, AN_UINT64);
    an_print_format(p, "(%llu))", (unsigned long long)l->offset);
}

static void put_value(an_printer *p, const an_literal *l, bool in_dict);

static void put_items(an_printer *p, const an_literal *l, bool in_dict)
{
    an_type_kind kind = l->type->kind;
    bool dict = kind == AN_TYPE_DICT;
    an_print_text(p, dict ? "{" : kind == AN_TYPE_LIST ? "[" : "(");
    for (size_t i = 0; i < l->n; i++) {
        an_print_text(p, i > 0 ? ", " : "");
        an_print_text(p, dict && i % 2 == 0 ? "{" : "");
        put_value(p, l->items[i], dict || in_dict);
        an_print_text(p, dict && i % 2 == 1 ? "}" : "");
    }
    an_print_text(p, dict ? "}" : kind == AN_TYPE_LIST ? "]" : ")");
}

static void put_value(an_printer *p, const an_literal *l, bool in_dict)
{
    if (l->kind == AN_LIT_ITEMS)
        put_items(p, l, in_dict);
    else if (l->kind == AN_LIT_BLOB)
        put_blob(p, l);
    else
        put_tensor(p, l, in_dict);
}

void an_print_literal(an_printer *p, const an_literal *l)
{
    an_print_type(p, l->type);
    an_print_text(p, "(");
    put_value(p, l, false);
    an_print_text(p, ")");
}
