/*
 * Programs and functions. The parser drives the builder, so a parsed module has
 * passed every check that a built one has. The first error ends it. Memory is a
 * small multiple of the text: names and values are looked up by hash, elements
 * are counted before they are kept.
 */
#include "mil/parse.h"

#include "base/alloc.h"

#include <limits.h>
#include <stdio.h>

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
    if (!an_parse_reference(p, &o)) return false;
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
    if (an_parse_at_attributes(p) &&
        !an_parse_attributes(p, &f->attrs, &f->n_attrs))
        return false;
    if (!an_parse_sign(p, '{')) return false;
    while (!an_token_is_sign(&p->token, '}'))
        if (!an_parse_operation(p)) return false;
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
    if (!name || !an_parse_sign(p, '<') || !an_parse_opset(p, &opset) ||
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
        !an_parse_attributes(p, &m->attrs, &m->n_attrs) ||
        !an_parse_sign(p, '{'))
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
