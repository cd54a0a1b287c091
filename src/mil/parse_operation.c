/*
 * Operations: bindings, arguments in the places that the op's row gives them,
 * attributes. Names are looked up in the builder's table.
 */
#include "mil/parse.h"

#include <string.h>

/* A value by its name. */
bool an_parse_reference(an_parser *p, an_operand *out)
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
    return an_parse_reference(p, out);
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
        (!an_parse_opset(p, &n->opset) || !an_parse_sign(p, '>')))
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
bool an_parse_operation(an_parser *p)
{
    an_node *n = an_arena_alloc(&p->module->arena, sizeof *n);
    if (!n) return an_parse_fail(p, NULL, AN_ENOMEM, "no memory");
    if (an_parse_at_type(p) && !parse_bindings(p, n)) return false;
    if (!parse_op(p, n) || !parse_arguments(p, n)) return false;
    if (an_parse_at_attributes(p) &&
        !an_parse_attributes(p, &n->attrs, &n->n_attrs))
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
