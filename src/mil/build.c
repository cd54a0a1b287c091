/*
 * The builder: the one way to make functions, for programs, passes and the
 * parser. It keeps its first error and does nothing after it. A function
 * enters its module when the builder ends without one.
 */
#include "mil/build.h"

#include "base/alloc.h"
#include "mil/type.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

an_value *an_build_fail(an_builder *b, an_status code, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    an_fail(&b->err, code, "%s", text);
    return NULL;
}

bool an_build_no_memory(an_builder *b)
{
    an_build_fail(b, AN_ENOMEM, "%s: no memory", b->function->name);
    return false;
}

an_function *an_build_function(an_builder *b)
{
    return b->function;
}

an_module *an_build_module(an_builder *b)
{
    return b->module;
}

an_status an_build_status(const an_builder *b)
{
    return b->err.code;
}

bool an_ir_push(an_module *m, void *array, size_t *capacity, int n, void *item)
{
    void ***items = array;
    if ((size_t)n == *capacity) {
        size_t more = n > 0 ? 2 * (size_t)n : 4;
        void **grown = an_arena_array(&m->arena, more, sizeof *grown);
        if (!grown) return false;
        if (n > 0) memcpy(grown, *items, (size_t)n * sizeof *grown);
        *items = grown;
        *capacity = more;
    }
    (*items)[n] = item;
    return true;
}

static an_status check_function(const an_module *m, const char *name, int opset,
                                an_error *err)
{
    if (!name || !an_is_identifier(name, strlen(name)))
        return an_fail(err, AN_EINVAL, "'%s' is no name for a function",
                       name ? name : "");
    if (opset < 13 || opset > 99)
        return an_fail(err, AN_EINVAL, "%s: opset is %d, expected 15 to 18",
                       name, opset);
    if (m->n_functions >= AN_MAX_FUNCTIONS)
        return an_fail(err, AN_EUNSUPPORTED, "more than %d functions",
                       AN_MAX_FUNCTIONS);
    if (an_module_function(m, name))
        return an_fail(err, AN_EINVAL, "function %s is there already", name);
    return AN_OK;
}

an_status an_build_begin(an_module *module, const char *function, int opset,
                         an_builder **out, an_error *err)
{
    an_status s = check_function(module, function, opset, err);
    if (s != AN_OK) return s;
    an_function *f = an_arena_alloc(&module->arena, sizeof *f);
    char *name = an_arena_strndup(&module->arena, function, strlen(function));
    an_builder *b = an_alloc(sizeof *b);
    if (!f || !name || !b) {
        an_free(b);
        return an_fail(err, AN_ENOMEM, "%s: no memory", function);
    }
    f->name = name;
    f->opset = opset;
    f->module = module;
    b->module = module;
    b->function = f;
    b->prefix = "";
    *out = b;
    return AN_OK;
}

static void enter_function(an_builder *b)
{
    an_module *m = b->module;
    const an_function *f = b->function;
    if (check_function(m, f->name, f->opset, &b->err) != AN_OK ||
        an_function_verify(f, &b->err) != AN_OK)
        return;
    if (an_ir_push(m, &m->functions, &m->cap_functions, m->n_functions,
                   b->function))
        m->n_functions++;
    else
        an_build_no_memory(b);
}

an_status an_build_end(an_builder *b, an_error *err)
{
    if (!b) return an_fail(err, AN_EINVAL, "no builder");
    if (b->err.code == AN_OK) enter_function(b);
    an_status s = b->err.code;
    if (s != AN_OK && err && err->code == AN_OK) *err = b->err;
    an_names_fini(&b->names);
    an_free(b->shared);
    an_free(b);
    return s;
}

void an_build_prefix(an_builder *b, const char *prefix)
{
    b->prefix = prefix ? prefix : "";
}

an_value *an_build_value(an_builder *b, const an_type *type)
{
    if (b->err.code != AN_OK) return NULL;
    an_value *v = an_arena_alloc(&b->module->arena, sizeof *v);
    if (!v) {
        an_build_no_memory(b);
        return NULL;
    }
    v->type = type;
    v->id = b->function->n_values++;
    return v;
}

an_value *an_build_inline(an_builder *b, const an_literal *literal)
{
    an_value *v = an_build_value(b, literal->type);
    if (v) {
        v->literal = literal;
        v->line = literal->line;
        v->column = literal->column;
    }
    return v;
}

/* The entry of a name that a value has now; a name given up has none. */
static an_name *taken_name(const an_builder *b, const char *name)
{
    an_name *entry = an_names_find(&b->names, name, strlen(name));
    return entry && entry->value ? entry : NULL;
}

static bool take_name(an_builder *b, const char *name, an_value *value)
{
    an_name *entry = an_names_find(&b->names, name, strlen(name));
    if (!entry) return an_names_add(&b->names, name, strlen(name), value);
    entry->value = value;
    return true;
}

void an_build_release(an_builder *b, const char *name)
{
    an_name *entry = taken_name(b, name);
    if (entry) entry->value = NULL;
}

bool an_build_define(an_builder *b, an_value *value, const char *name)
{
    if (b->err.code != AN_OK) return false;
    size_t size = strlen(name);
    an_error *err = &b->err;
    int line = value->line, column = value->column;
    if (!an_is_identifier(name, size))
        return an_fail(err, AN_EINVAL, "'%s' is no name", name) == AN_OK;
    if (taken_name(b, name)) {
        if (line > 0)
            an_fail_at(err, AN_ESYNTAX, line, column, "%s is defined twice",
                       name);
        else
            an_fail(err, AN_EINVAL, "%s is defined twice", name);
        return false;
    }
    if (!take_name(b, name, value)) return an_build_no_memory(b);
    value->name = name;
    return true;
}

bool an_build_name(an_builder *b, an_value *value, const char *name,
                   const char *base)
{
    if (b->err.code != AN_OK) return false;
    an_arena *arena = &b->module->arena;
    char *text = name ? an_arena_strndup(arena, name, strlen(name))
                      : an_arena_printf(arena, "%s%s", b->prefix, base);
    if (!text) return an_build_no_memory(b);
    an_name *taken = taken_name(b, text);
    const char *stem = text;
    while (taken && taken_name(b, text)) {
        text = an_arena_printf(arena, "%s_%d", stem, ++taken->next);
        if (!text) return an_build_no_memory(b);
    }
    return an_build_define(b, value, text);
}

bool an_build_add_param(an_builder *b, an_value *value)
{
    an_function *f = b->function;
    if (!an_ir_push(b->module, &f->params, &f->cap_params, f->n_params, value))
        return an_build_no_memory(b);
    f->n_params++;
    return true;
}

an_value *an_build_param(an_builder *b, const char *name, an_shape shape)
{
    if (b->err.code != AN_OK) return NULL;
    if (!an_shape_valid(&shape))
        return an_build_fail(b, AN_EINVAL, "%s: shape is out of range",
                             name ? name : "parameter");
    const an_type *type = an_type_tensor(b->module, &shape);
    an_value *v = an_build_value(b, type);
    if (!v || !type) {
        an_build_no_memory(b);
        return NULL;
    }
    if (!an_build_name(b, v, name, "x") || !an_build_add_param(b, v))
        return NULL;
    return v;
}

an_value *an_build_param_like(an_builder *b, const an_value *value)
{
    if (b->err.code != AN_OK) return NULL;
    const an_type *type = an_type_copy(b->module, value->type);
    an_value *v = an_build_value(b, type);
    if (!v || !type) {
        an_build_no_memory(b);
        return NULL;
    }
    if (!an_build_name(b, v, value->name, NULL) || !an_build_add_param(b, v))
        return NULL;
    return v;
}

void an_build_result(an_builder *b, an_value *value)
{
    if (b->err.code != AN_OK) return;
    an_function *f = b->function;
    if (!value)
        an_build_fail(b, AN_EINVAL, "%s: result %d is missing", f->name,
                      f->n_results);
    else if (an_ir_push(b->module, &f->results, &f->cap_results, f->n_results,
                        value))
        f->n_results++;
    else
        an_build_no_memory(b);
}
