/*
 * Programs, functions and operations. The parser drives the builder, so a
 * parsed module has passed every check that a built one has. The first error
 * ends it. Memory is a small multiple of the text: names and values are looked
 * up by hash, elements are counted before they are kept.
 */
#include "mil/parse.h"

#include "base/alloc.h"
#include "base/file.h"
#include "mil/number.h"
#include "mil/type.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void an_parse_next(an_parser *p)
{
    p->token = an_lexer_next(&p->lexer);
}

an_token an_parse_peek(const an_parser *p)
{
    an_lexer ahead = p->lexer;
    return an_lexer_next(&ahead);
}

bool an_parse_fail(an_parser *p, const an_token *at, an_status code,
                   const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!at) at = &p->token;
    an_fail_at(&p->err, code, at->line, at->column, "%s", text);
    return false;
}

bool an_parse_expected(an_parser *p, const char *what)
{
    const an_token *t = &p->token;
    int size = t->size < 40 ? (int)t->size : 40;
    if (t->kind == AN_TOKEN_END)
        return an_parse_fail(p, NULL, AN_ESYNTAX,
                             "expected %s, found the end of the text", what);
    if (t->kind == AN_TOKEN_BAD && *t->text == '"')
        return an_parse_fail(p, NULL, AN_ESYNTAX, "a string without end");
    if (t->kind == AN_TOKEN_STRING)
        return an_parse_fail(p, NULL, AN_ESYNTAX,
                             "expected %s, found the string \"%.*s\"", what,
                             size, t->text);
    return an_parse_fail(p, NULL, AN_ESYNTAX, "expected %s, found '%.*s'", what,
                         size, t->text);
}

bool an_parse_accept(an_parser *p, char sign)
{
    if (!an_token_is_sign(&p->token, sign)) return false;
    an_parse_next(p);
    return true;
}

bool an_parse_sign(an_parser *p, char sign)
{
    const char what[] = {'\'', sign, '\'', 0};
    return an_parse_accept(p, sign) || an_parse_expected(p, what);
}

bool an_parse_keyword(an_parser *p, const char *name)
{
    char what[40];
    if (!an_token_is(&p->token, name)) {
        snprintf(what, sizeof what, "'%s'", name);
        return an_parse_expected(p, what);
    }
    an_parse_next(p);
    return true;
}

const char *an_parse_name(an_parser *p, const char *what, an_token *at)
{
    const an_token *t = &p->token;
    if (t->kind != AN_TOKEN_NAME) {
        an_parse_expected(p, what);
        return NULL;
    }
    char *name = an_arena_strndup(&p->module->arena, t->text, t->size);
    if (!name) an_parse_fail(p, NULL, AN_ENOMEM, "no memory");
    if (at) *at = *t;
    an_parse_next(p);
    return name;
}

bool an_parse_enter(an_parser *p)
{
    if (p->depth == AN_MAX_DEPTH)
        return an_parse_fail(p, NULL, AN_EUNSUPPORTED,
                             "nested more than %d deep", AN_MAX_DEPTH);
    p->depth++;
    return true;
}

void an_parse_leave(an_parser *p)
{
    p->depth--;
}

bool an_parse_push(an_parser *p, const void *item, size_t size)
{
    if (p->capacity - p->used < size) {
        size_t more = p->capacity ? 2 * p->capacity : 256;
        char *grown = an_realloc(p->stack, more);
        if (!grown) return an_parse_fail(p, NULL, AN_ENOMEM, "no memory");
        p->stack = grown;
        p->capacity = more;
    }
    memcpy(p->stack + p->used, item, size);
    p->used += size;
    return true;
}

void *an_parse_take(an_parser *p, size_t base)
{
    size_t size = p->used - base;
    void *block = an_arena_alloc(&p->module->arena, size);
    if (!block) {
        an_parse_fail(p, NULL, AN_ENOMEM, "no memory");
        return NULL;
    }
    if (size > 0) memcpy(block, p->stack + base, size);
    p->used = base;
    return block;
}

static int compare_attrs(const void *a, const void *b)
{
    return strcmp(((const an_attr *)a)->name, ((const an_attr *)b)->name);
}

/* [ name = literal, .. ], sorted by name */
static bool parse_attributes(an_parser *p, const an_attr **out, int *n)
{
    size_t base = p->used;
    int count = 0;
    an_token open = p->token;
    if (!an_parse_sign(p, '[')) return false;
    while (!an_token_is_sign(&p->token, ']')) {
        an_attr attr = {0};
        if (count > 0 && !an_parse_sign(p, ',')) return false;
        attr.name = an_parse_name(p, "the name of an attribute", NULL);
        if (!attr.name || !an_parse_sign(p, '=')) return false;
        attr.literal = an_parse_literal(p);
        if (!attr.literal || !an_parse_push(p, &attr, sizeof attr))
            return false;
        count++;
    }
    an_parse_next(p);
    an_attr *attrs = an_parse_take(p, base);
    if (!attrs) return false;
    qsort(attrs, (size_t)count, sizeof *attrs, compare_attrs);
    for (int i = 1; i < count; i++)
        if (strcmp(attrs[i - 1].name, attrs[i].name) == 0)
            return an_parse_fail(p, &open, AN_ESYNTAX,
                                 "attribute %s is there twice", attrs[i].name);
    *out = attrs;
    *n = count;
    return true;
}

static bool at_attributes(const an_parser *p)
{
    return an_token_is_sign(&p->token, '[');
}

/* ios18, as a number */
static bool parse_opset(an_parser *p, int *out)
{
    const an_token *t = &p->token;
    int64_t opset = 0;
    bool fits = false;
    if (t->kind != AN_TOKEN_NAME) return an_parse_expected(p, "an opset");
    if (t->size < 4 || memcmp(t->text, "ios", 3) != 0 ||
        !an_number_int(t->text + 3, t->size - 3, AN_UINT8, &opset, &fits) ||
        !fits || opset < 13 || opset > 99 || t->text[3] == '0')
        return an_parse_fail(p, NULL, AN_EUNSUPPORTED,
                             "opset '%.*s' is not known, expected ios15 to "
                             "ios18",
                             t->size < 40 ? (int)t->size : 40, t->text);
    *out = (int)opset;
    an_parse_next(p);
    return true;
}

/* A value by its name. */
static bool parse_reference(an_parser *p, an_operand *out)
{
    an_token t = p->token;
    const an_name *name = an_names_find(&p->builder->names, t.text, t.size);
    bool bare = an_token_is(&t, "true") || an_token_is(&t, "false") ||
                an_token_is(&t, "inf") || an_token_is(&t, "nan");
    if (!name)
        return bare ? an_parse_expected(
                          p, "a name or a typed literal such as bool(true)")
                    : an_parse_fail(p, &t, AN_ESYNTAX, "%.*s is not defined",
                                    t.size < 200 ? (int)t.size : 200, t.text);
    *out = (an_operand){.value = name->value, .given = true};
    an_parse_next(p);
    return true;
}

static bool parse_operand(an_parser *p, an_operand *out);

/* ( operand, .. ) */
static bool parse_tuple(an_parser *p, an_operand *out)
{
    size_t base = p->used;
    int n = 0;
    if (!an_parse_sign(p, '(')) return false;
    while (!an_token_is_sign(&p->token, ')')) {
        an_operand item = {0};
        if (n > 0 && !an_parse_sign(p, ',')) return false;
        if (!parse_operand(p, &item) || !an_parse_push(p, &item, sizeof item))
            return false;
        n++;
    }
    an_parse_next(p);
    const an_operand *items = an_parse_take(p, base);
    *out = (an_operand){.items = items, .n = n, .given = true};
    return items != NULL;
}

static bool parse_inline(an_parser *p, an_operand *out)
{
    const an_literal *literal = an_parse_literal(p);
    an_value *value = literal ? an_build_inline(p->builder, literal) : NULL;
    *out = (an_operand){.value = value, .given = true};
    return value != NULL;
}

static bool parse_operand(an_parser *p, an_operand *out)
{
    if (an_token_is_sign(&p->token, '(')) {
        if (!an_parse_enter(p)) return false;
        bool well = parse_tuple(p, out);
        an_parse_leave(p);
        return well;
    }
    if (p->token.kind != AN_TOKEN_NAME)
        return an_parse_expected(p,
                                 "a name or a typed literal such as int32(1)");
    an_token next = an_parse_peek(p);
    if (an_token_is_sign(&next, '(') || an_token_is_sign(&next, '<'))
        return parse_inline(p, out);
    return parse_reference(p, out);
}

/* name = operand, into the place that the row gives it */
static bool parse_argument(an_parser *p, const an_node *n, an_operand *args)
{
    an_token at = p->token;
    if (at.kind != AN_TOKEN_NAME)
        return an_parse_expected(p, "the name of a parameter");
    int i = an_op_param_index(n->op, at.text, at.size);
    int size = at.size < 200 ? (int)at.size : 200;
    if (n->op->form == AN_FORM_ATTRIBUTES)
        return an_parse_fail(p, &at, AN_ESYNTAX,
                             "%s: parameters stand in the attribute block",
                             n->op->name);
    if (i < 0 || args[i].given)
        return an_parse_fail(p, &at, AN_ETYPE, "%s: parameter %.*s %s",
                             n->op->name, size, at.text,
                             i < 0 ? "is not known" : "is given twice");
    an_parse_next(p);
    return an_parse_sign(p, '=') && parse_operand(p, &args[i]);
}

static bool parse_arguments(an_parser *p, an_node *n)
{
    n->n_args = an_op_n_params(n->op);
    an_operand *args =
        an_arena_array(&p->module->arena, (size_t)n->n_args, sizeof *args);
    if (!args) return an_parse_fail(p, NULL, AN_ENOMEM, "no memory");
    n->args = args;
    if (!an_parse_sign(p, '(')) return false;
    for (int i = 0; !an_token_is_sign(&p->token, ')'); i++) {
        if (i > 0 && !an_parse_sign(p, ',')) return false;
        if (!parse_argument(p, n, args)) return false;
    }
    an_parse_next(p);
    return true;
}

/* Attributes of a const or a constexpr op that are its parameters. */
static bool move_attributes(an_parser *p, an_node *n)
{
    an_operand *args =
        an_arena_array(&p->module->arena, (size_t)n->n_args, sizeof *args);
    an_attr *rest =
        an_arena_array(&p->module->arena, (size_t)n->n_attrs, sizeof *rest);
    if (!args || !rest) return an_parse_fail(p, NULL, AN_ENOMEM, "no memory");
    int n_rest = 0;
    for (int i = 0; i < n->n_attrs; i++) {
        const an_attr *a = &n->attrs[i];
        int at = an_op_param_index(n->op, a->name, strlen(a->name));
        if (at < 0) {
            rest[n_rest++] = *a;
            continue;
        }
        an_value *value = an_build_inline(p->builder, a->literal);
        if (!value) return false;
        args[at] = (an_operand){.value = value, .given = true};
    }
    n->args = args;
    n->attrs = rest;
    n->n_attrs = n_rest;
    return true;
}

/* type name, .. = */
static bool parse_bindings(an_parser *p, an_node *n)
{
    size_t base = p->used;
    do {
        an_token at;
        if (!an_parse_at_type(p))
            return an_parse_expected(p, "the type of a result");
        const an_type *type = an_parse_type(p);
        const char *name =
            type ? an_parse_name(p, "the name of a result", &at) : NULL;
        an_value *v = name ? an_build_value(p->builder, type) : NULL;
        if (!v || !an_parse_push(p, &v, sizeof v)) return false;
        v->name = name;
        v->line = at.line;
        v->column = at.column;
        n->n_results++;
    } while (an_parse_accept(p, ','));
    n->results = an_parse_take(p, base);
    return n->results && an_parse_sign(p, '=');
}

/* op or op<opset> */
static bool parse_op(an_parser *p, an_node *n)
{
    an_token at = p->token;
    if (at.kind != AN_TOKEN_NAME) return an_parse_expected(p, "an operation");
    an_parse_next(p);
    if (p->token.kind == AN_TOKEN_NAME)
        return an_parse_fail(p, &at, AN_ESYNTAX, "'%.*s' is no type",
                             at.size < 40 ? (int)at.size : 40, at.text);
    n->line = at.line;
    n->column = at.column;
    n->opset = p->builder->function->opset;
    n->opset_shown = an_parse_accept(p, '<');
    if (n->opset_shown &&
        (!parse_opset(p, &n->opset) || !an_parse_sign(p, '>')))
        return false;
    n->op = an_op_find(at.text, at.size, n->opset);
    return n->op ||
           an_parse_fail(p, &at, AN_EUNSUPPORTED, "op '%.*s' is not known",
                         at.size < 200 ? (int)at.size : 200, at.text);
}

static bool define_results(an_parser *p, const an_node *n)
{
    for (int i = 0; i < n->n_results; i++)
        if (!an_build_define(p->builder, n->results[i], n->results[i]->name))
            return false;
    return true;
}

/* [bindings =] op(args) [attributes] ; */
static bool parse_operation(an_parser *p)
{
    an_node *n = an_arena_alloc(&p->module->arena, sizeof *n);
    if (!n) return an_parse_fail(p, NULL, AN_ENOMEM, "no memory");
    if (an_parse_at_type(p) && !parse_bindings(p, n)) return false;
    if (!parse_op(p, n) || !parse_arguments(p, n)) return false;
    if (at_attributes(p) && !parse_attributes(p, &n->attrs, &n->n_attrs))
        return false;
    if (n->op->form == AN_FORM_ATTRIBUTES && !move_attributes(p, n))
        return false;
    if (an_token_is_sign(&p->token, '{'))
        return an_parse_fail(p, NULL, AN_EUNSUPPORTED,
                             "%s: blocks nested in an operation are not "
                             "supported",
                             n->op->name);
    return an_parse_sign(p, ';') && an_build_append(p->builder, n) &&
           define_results(p, n);
}

/* type name */
static bool parse_parameter(an_parser *p)
{
    an_token at;
    const an_type *type = an_parse_type(p);
    const char *name =
        type ? an_parse_name(p, "the name of a parameter", &at) : NULL;
    an_value *v = name ? an_build_value(p->builder, type) : NULL;
    if (!v) return false;
    v->line = at.line;
    v->column = at.column;
    return an_build_define(p->builder, v, name) &&
           an_build_add_param(p->builder, v);
}

static bool parse_parameters(an_parser *p)
{
    if (!an_parse_sign(p, '(')) return false;
    for (int i = 0; !an_token_is_sign(&p->token, ')'); i++)
        if ((i > 0 && !an_parse_sign(p, ',')) || !parse_parameter(p))
            return false;
    an_parse_next(p);
    return true;
}

static bool parse_result(an_parser *p)
{
    an_token at = p->token;
    an_operand o = {0};
    if (at.kind != AN_TOKEN_NAME)
        return an_parse_expected(p, "the name of a result");
    if (!parse_reference(p, &o)) return false;
    an_name *name = an_names_find(&p->builder->names, at.text, at.size);
    if (name->next++ > 0)
        return an_parse_fail(p, &at, AN_ESYNTAX, "%s is a result twice",
                             o.value->name);
    an_build_result(p->builder, o.value);
    return an_build_status(p->builder) == AN_OK;
}

/* -> ( name, .. ) ; */
static bool parse_results(an_parser *p)
{
    if (p->token.kind != AN_TOKEN_ARROW) return an_parse_expected(p, "'->'");
    an_parse_next(p);
    if (!an_parse_sign(p, '(')) return false;
    for (int i = 0; !an_token_is_sign(&p->token, ')'); i++)
        if ((i > 0 && !an_parse_sign(p, ',')) || !parse_result(p)) return false;
    an_parse_next(p);
    return an_parse_sign(p, ';');
}

static bool parse_body(an_parser *p)
{
    an_function *f = an_build_function(p->builder);
    if (!parse_parameters(p)) return false;
    if (at_attributes(p) && !parse_attributes(p, &f->attrs, &f->n_attrs))
        return false;
    if (!an_parse_sign(p, '{')) return false;
    while (!an_token_is_sign(&p->token, '}'))
        if (!parse_operation(p)) return false;
    an_parse_next(p);
    return parse_results(p);
}

/* func name<opset>( .. ) [attributes] { .. } -> ( .. ) ; */
static bool parse_function(an_parser *p)
{
    an_token at;
    int opset = 0;
    an_error inner = {0};
    if (!an_parse_keyword(p, "func")) return false;
    const char *name = an_parse_name(p, "the name of a function", &at);
    if (!name || !an_parse_sign(p, '<') || !parse_opset(p, &opset) ||
        !an_parse_sign(p, '>'))
        return false;
    an_status s = an_build_begin(p->module, name, opset, &p->builder, &inner);
    if (s != AN_OK) return an_parse_fail(p, &at, s, "%s", inner.text);
    an_build_function(p->builder)->line = at.line;
    an_build_function(p->builder)->column = at.column;
    parse_body(p);
    /* The parser's own error wins; the builder's is taken over. */
    s = an_build_end(p->builder, &p->err);
    p->builder = NULL;
    return s == AN_OK && p->err.code == AN_OK;
}

/* ( digits . digit ) */
static bool parse_version(an_parser *p)
{
    const an_token *t = &p->token;
    if (!an_parse_sign(p, '(')) return false;
    if (t->kind != AN_TOKEN_NUMBER || t->size != 3 || t->text[0] != '1' ||
        t->text[1] != '.' || t->text[2] < '0' || t->text[2] > '3')
        return an_parse_expected(p, "a version from 1.0 to 1.3");
    p->module->major = 1;
    p->module->minor = t->text[2] - '0';
    an_parse_next(p);
    return an_parse_sign(p, ')');
}

static bool parse_program(an_parser *p)
{
    an_module *m = p->module;
    if (!an_parse_keyword(p, "program") || !parse_version(p) ||
        !parse_attributes(p, &m->attrs, &m->n_attrs) || !an_parse_sign(p, '{'))
        return false;
    while (!an_token_is_sign(&p->token, '}'))
        if (!parse_function(p)) return false;
    an_parse_next(p);
    return p->token.kind == AN_TOKEN_END ||
           an_parse_expected(p, "the end of the text");
}

/* "name:line:column: ..", or "name: .." where there is no position. */
static an_status report(const an_error *inner, const char *name, an_error *err)
{
    if (!err || err->code != AN_OK) return inner->code;
    *err = *inner;
    const char *blank = inner->line > 0 ? "" : " ";
    int n = name && *name ? snprintf(err->text, sizeof err->text, "%.200s:%s",
                                     name, blank)
                          : 0;
    snprintf(err->text + n, sizeof err->text - (size_t)n, "%s", inner->text);
    return inner->code;
}

an_status an_mil_parse(const char *text, size_t size, const char *name,
                       an_module **out, an_error *err)
{
    an_parser p = {0};
    if (size > INT_MAX)
        an_fail(&p.err, AN_EUNSUPPORTED, "text of more than 2 GB");
    else if (an_module_new(&p.module, &p.err) == AN_OK) {
        an_lexer_init(&p.lexer, text, size);
        an_parse_next(&p);
        parse_program(&p);
    }
    an_free(p.stack);
    if (p.err.code == AN_OK) {
        *out = p.module;
        return AN_OK;
    }
    an_module_free(p.module);
    return report(&p.err, name, err);
}

an_status an_mil_load(const char *path, an_module **out, an_error *err)
{
    an_map map;
    an_status s = an_map_open(path, &map, err);
    if (s != AN_OK) return s;
    s = an_mil_parse((const char *)map.data, map.size, path, out, err);
    an_map_close(&map);
    return s;
}
