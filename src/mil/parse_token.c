/*
 * What all parts of the parser stand on: the current token, failing at it, the
 * stack of things that are counted before they are kept, attribute blocks.
 */
#include "mil/parse.h"

#include "base/alloc.h"
#include "mil/number.h"

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
bool an_parse_attributes(an_parser *p, const an_attr **out, int *n)
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

bool an_parse_at_attributes(const an_parser *p)
{
    return an_token_is_sign(&p->token, '[');
}

/* ios18, as a number */
bool an_parse_opset(an_parser *p, int *out)
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
