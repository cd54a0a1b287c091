/*
 * The printer: Apple's layout (docs/mil.md), arguments and attributes sorted by
 * name, floats in hexadecimal. program(1.0) is printed in the old dialect,
 * where scalars are rank-0 tensors, all others in the new one. A module without
 * a buildInfo block gets one, because the system's compiler demands it.
 */
#include "mil/build.h"

#include "base/alloc.h"
#include "mil/number.h"
#include "mil/type.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The version is one that Apple's compiler has written (macOS 26). */
#define BUILD_KEY "coremlc-version"
#define BUILD_VERSION "3600.25.1"

/* An argument or an attribute on its way out. */
typedef struct entry {
    const char *name;
    size_t size;
    const an_operand *operand; /* or, when NULL, */
    const an_literal *literal;
} entry;

typedef struct printer {
    char *text;
    size_t size, capacity;
    bool old;    /* dialect */
    bool failed; /* without memory */
    entry *entries;
    size_t cap_entries;
} printer;

static void put(printer *p, const char *text, size_t size)
{
    if (p->failed) return;
    if (p->capacity - p->size <= size) {
        size_t more = 2 * p->capacity + size + 256;
        char *grown = an_realloc(p->text, more);
        p->failed = !grown;
        if (!grown) return;
        p->text = grown;
        p->capacity = more;
    }
    if (size > 0) memcpy(p->text + p->size, text, size);
    p->size += size;
    p->text[p->size] = 0;
}

static void say(printer *p, const char *text)
{
    put(p, text, strlen(text));
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
putf(printer *p, const char *format, ...)
{
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    say(p, text);
}

static void put_dim(printer *p, int64_t dim)
{
    if (dim < 0)
        say(p, "?");
    else
        putf(p, "%lld", (long long)dim);
}

static void put_dims(printer *p, int rank, const int64_t *dims)
{
    say(p, "[");
    for (int i = 0; i < rank; i++) {
        say(p, i > 0 ? ", " : "");
        put_dim(p, dims[i]);
    }
    say(p, "]");
}

static void put_tensor_type(printer *p, const an_shape *s)
{
    putf(p, "tensor<%s, ", an_dtype_name(s->dtype));
    put_dims(p, s->rank, s->dims);
    say(p, ">");
}

static void put_scalar_type(printer *p, an_dtype dtype)
{
    if (p->old)
        put_tensor_type(p, &AN_SCALAR(dtype));
    else
        say(p, an_dtype_name(dtype));
}

/* Recursion is bounded by the parser's limit on nesting. */
static void put_type(printer *p, const an_type *t)
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
        say(p, "state<");
        put_tensor_type(p, &t->shape);
        say(p, ">");
        return;
    case AN_TYPE_BUFFER:
        putf(p, "tensor_buffer<%s, shape = ", an_dtype_name(t->shape.dtype));
        put_dims(p, t->shape.rank, t->shape.dims);
        say(p, ", strides = ");
        put_dims(p, t->n_strides, t->strides);
        say(p, ", interleave_factors = ");
        put_dims(p, t->n_interleave, t->interleave);
        say(p, ">");
        return;
    case AN_TYPE_LIST:
    case AN_TYPE_TUPLE:
    case AN_TYPE_DICT:
        say(p, open[t->kind]);
        for (int i = 0; i < t->n_args; i++) {
            say(p, i > 0 ? ", " : "");
            put_type(p, t->args[i]);
        }
        if (t->kind == AN_TYPE_LIST) {
            say(p, ", ");
            put_dim(p, t->length);
        }
        say(p, ">");
        return;
    }
}

static void put_string(printer *p, const an_str *s)
{
    say(p, "\"");
    for (size_t i = 0; i < s->size; i++) {
        char c = s->text[i];
        if (c == '"' || c == '\\') say(p, "\\");
        if (c == '\n' || c == '\t' || c == '\r')
            say(p, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
        else
            put(p, &c, 1);
    }
    say(p, "\"");
}

/* Doubles inside dicts are decimal with 17 digits. */
static void put_decimal(printer *p, double x)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", x);
    for (char *c = text; *c; c++)
        if (!strchr("0123456789+-einfa", *c)) *c = '.';
    say(p, text);
}

static void put_element(printer *p, const an_literal *l, size_t i, bool in_dict)
{
    char text[AN_NUMBER_TEXT];
    an_dtype dtype = l->type->shape.dtype;
    if (l->kind == AN_LIT_STRINGS) {
        put_string(p, &l->strings[i]);
    } else if (dtype == AN_BOOL) {
        say(p, an_literal_int(l, i) ? "true" : "false");
    } else if (!an_dtype_is_float(dtype)) {
        int64_t x = an_literal_int(l, i);
        if (an_dtype_is_signed(dtype))
            putf(p, "%lld", (long long)x);
        else
            putf(p, "%llu", (unsigned long long)x);
    } else if (dtype == AN_FP64 && in_dict &&
               an_literal_real(l, i) == an_literal_real(l, i)) {
        put_decimal(p, an_literal_real(l, i));
    } else {
        an_number_print(an_literal_real(l, i), text);
        say(p, text);
    }
}

/* Brackets of one axis; *i is the next element. */
static void put_level(printer *p, const an_literal *l, const an_shape *s,
                      int axis, size_t *i, bool in_dict)
{
    say(p, "[");
    for (int64_t k = 0; k < s->dims[axis] && !p->failed; k++) {
        say(p, k > 0 ? ", " : "");
        if (axis + 1 < s->rank)
            put_level(p, l, s, axis + 1, i, in_dict);
        else
            put_element(p, l, (*i)++, in_dict);
    }
    say(p, "]");
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

static void put_tensor(printer *p, const an_literal *l, bool in_dict)
{
    an_shape s = shape_of(l);
    size_t i = 0;
    if (s.rank == 0)
        put_element(p, l, 0, in_dict);
    else if (l->n == 0)
        say(p, "[]");
    else
        put_level(p, l, &s, 0, &i, in_dict);
}

static void put_blob(printer *p, const an_literal *l)
{
    say(p, "BLOBFILE(path = ");
    put_scalar_type(p, AN_STRING);
    say(p, "(");
    put_string(p, &l->path);
    say(p, "), offset = ");
    put_scalar_type(p, AN_UINT64);
    putf(p, "(%llu))", (unsigned long long)l->offset);
}

static void put_value(printer *p, const an_literal *l, bool in_dict);

static void put_items(printer *p, const an_literal *l, bool in_dict)
{
    an_type_kind kind = l->type->kind;
    bool dict = kind == AN_TYPE_DICT;
    say(p, dict ? "{" : kind == AN_TYPE_LIST ? "[" : "(");
    for (size_t i = 0; i < l->n; i++) {
        say(p, i > 0 ? ", " : "");
        say(p, dict && i % 2 == 0 ? "{" : "");
        put_value(p, l->items[i], dict || in_dict);
        say(p, dict && i % 2 == 1 ? "}" : "");
    }
    say(p, dict ? "}" : kind == AN_TYPE_LIST ? "]" : ")");
}

static void put_value(printer *p, const an_literal *l, bool in_dict)
{
    if (l->kind == AN_LIT_ITEMS)
        put_items(p, l, in_dict);
    else if (l->kind == AN_LIT_BLOB)
        put_blob(p, l);
    else
        put_tensor(p, l, in_dict);
}

static void put_literal(printer *p, const an_literal *l)
{
    put_type(p, l->type);
    say(p, "(");
    put_value(p, l, false);
    say(p, ")");
}

/* Tuples do not nest in a verified node. */
static void put_operand(printer *p, const an_operand *o)
{
    if (!o->value) {
        say(p, "(");
        for (int i = 0; i < o->n; i++) {
            say(p, i > 0 ? ", " : "");
            put_operand(p, &o->items[i]);
        }
        say(p, ")");
    } else if (o->value->name) {
        say(p, o->value->name);
    } else {
        put_literal(p, o->value->literal);
    }
}

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    size_t size = x->size < y->size ? x->size : y->size;
    int order = memcmp(x->name, y->name, size);
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

static void add_entry(printer *p, size_t *n, entry e)
{
    if (!p->failed && !an_grow(&p->entries, &p->cap_entries, *n, sizeof e))
        p->failed = true;
    if (!p->failed) p->entries[(*n)++] = e;
}

static void add_attrs(printer *p, size_t *n, int n_attrs, const an_attr *attrs)
{
    for (int i = 0; i < n_attrs; i++)
        add_entry(p, n,
                  (entry){attrs[i].name, strlen(attrs[i].name), NULL,
                          attrs[i].literal});
}

static void add_args(printer *p, size_t *n, const an_node *node)
{
    an_param param;
    for (int i = 0; i < node->n_args; i++)
        if (node->args[i].given && an_op_param(node->op, i, &param))
            add_entry(p, n,
                      (entry){param.name, param.name_size, &node->args[i],
                              node->args[i].value ? node->args[i].value->literal
                                                  : NULL});
}

/* name = value, .. sorted; as literals where names would not do. */
static void put_entries(printer *p, size_t n, bool literals)
{
    if (n > 1) qsort(p->entries, n, sizeof *p->entries, compare_entries);
    for (size_t i = 0; i < n; i++) {
        const entry *e = &p->entries[i];
        say(p, i > 0 ? ", " : "");
        put(p, e->name, e->size);
        say(p, " = ");
        if (e->operand && !literals)
            put_operand(p, e->operand);
        else
            put_literal(p, e->literal);
    }
}

static void put_block(printer *p, size_t n)
{
    say(p, "[");
    put_entries(p, n, true);
    say(p, "]");
}

static void put_node(printer *p, const an_node *node)
{
    bool attributes = node->op->form == AN_FORM_ATTRIBUTES;
    size_t n = 0;
    say(p, "            ");
    for (int i = 0; i < node->n_results; i++) {
        say(p, i > 0 ? ", " : "");
        put_type(p, node->results[i]->type);
        say(p, " ");
        say(p, node->results[i]->name);
    }
    say(p, node->n_results > 0 ? " = " : "");
    say(p, node->op->name);
    if (node->opset_shown) putf(p, "<ios%d>", node->opset);
    say(p, "(");
    if (!attributes) {
        add_args(p, &n, node);
        put_entries(p, n, false);
        n = 0;
    }
    say(p, ")");
    if (attributes) add_args(p, &n, node);
    add_attrs(p, &n, node->n_attrs, node->attrs);
    if (n > 0) put_block(p, n);
    say(p, ";\n");
}

static void put_function(printer *p, const an_function *f)
{
    size_t n = 0;
    say(p, "    func ");
    say(p, f->name);
    putf(p, "<ios%d>(", f->opset);
    for (int i = 0; i < f->n_params; i++) {
        say(p, i > 0 ? ", " : "");
        put_type(p, f->params[i]->type);
        say(p, " ");
        say(p, f->params[i]->name);
    }
    say(p, ") ");
    add_attrs(p, &n, f->n_attrs, f->attrs);
    if (n > 0) {
        put_block(p, n);
        say(p, " ");
    }
    say(p, "{\n");
    for (int i = 0; i < f->n_nodes && !p->failed; i++)
        put_node(p, f->nodes[i]);
    say(p, "        } -> (");
    for (int i = 0; i < f->n_results; i++) {
        say(p, i > 0 ? ", " : "");
        say(p, f->results[i]->name);
    }
    say(p, ");\n");
}

static bool has_build_info(const an_module *m)
{
    for (int i = 0; i < m->n_attrs; i++)
        if (strcmp(m->attrs[i].name, "buildInfo") == 0) return true;
    return false;
}

static void put_module(printer *p, const an_module *m)
{
    static const an_type string = {.shape = {.dtype = AN_STRING}};
    static const an_type *const strings[] = {&string, &string};
    static const an_type dict = {
        .kind = AN_TYPE_DICT, .n_args = 2, .args = strings};
    const an_str texts[] = {{BUILD_KEY, strlen(BUILD_KEY)},
                            {BUILD_VERSION, strlen(BUILD_VERSION)}};
    const an_literal pair[] = {
        {.kind = AN_LIT_STRINGS, .type = &string, .n = 1, .strings = &texts[0]},
        {.kind = AN_LIT_STRINGS, .type = &string, .n = 1, .strings = &texts[1]},
    };
    const an_literal *items[] = {&pair[0], &pair[1]};
    const an_literal info = {
        .kind = AN_LIT_ITEMS, .type = &dict, .n = 2, .items = items};
    size_t n = 0;
    p->old = m->major == 1 && m->minor == 0;
    putf(p, "program(%d.%d)\n", m->major, m->minor);
    add_attrs(p, &n, m->n_attrs, m->attrs);
    if (!has_build_info(m))
        add_entry(p, &n, (entry){"buildInfo", 9, NULL, &info});
    put_block(p, p->failed ? 0 : n);
    say(p, "\n{\n");
    for (int i = 0; i < m->n_functions && !p->failed; i++)
        put_function(p, m->functions[i]);
    say(p, "}\n");
}

an_status an_mil_print(const an_module *module, char **text, size_t *size,
                       an_error *err)
{
    printer p = {0};
    put_module(&p, module);
    an_free(p.entries);
    if (p.failed) {
        an_free(p.text);
        return an_fail(err, AN_ENOMEM, "print: no memory");
    }
    *text = p.text;
    *size = p.size;
    return AN_OK;
}

void an_text_free(char *text)
{
    an_free(text);
}
