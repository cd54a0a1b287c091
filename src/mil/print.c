/*
 * The printer: Apple's layout (docs/mil.md), arguments and attributes sorted by
 * name, floats in hexadecimal. program(1.0) is printed in the old dialect,
 * where scalars are rank-0 tensors, all others in the new one. A module without
 * a buildInfo block gets one, because the system's compiler demands it.
 */
#include "mil/print.h"

#include "base/alloc.h"
#include "mil/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any version that Apple's compiler has had will do. */
#define BUILD_KEY "coremlc-version"
#define BUILD_VERSION "3600.25.1"

void an_print_bytes(an_printer *p, const char *text, size_t size)
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

void an_print_text(an_printer *p, const char *text)
{
    an_print_bytes(p, text, strlen(text));
}

void an_print_format(an_printer *p, const char *format, ...)
{
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    an_print_text(p, text);
}

/* Tuples do not nest in a verified node. */
static void put_operand(an_printer *p, const an_operand *o)
{
    if (!o->value) {
        an_print_text(p, "(");
        for (int i = 0; i < o->n; i++) {
            an_print_text(p, i > 0 ? ", " : "");
            put_operand(p, &o->items[i]);
        }
        an_print_text(p, ")");
    } else if (o->value->name) {
        an_print_text(p, o->value->name);
    } else {
        an_print_literal(p, o->value->literal);
    }
}

static int compare_entries(const void *a, const void *b)
{
    const an_print_entry *x = a, *y = b;
    size_t size = x->size < y->size ? x->size : y->size;
    int order = memcmp(x->name, y->name, size);
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

static void add_entry(an_printer *p, size_t *n, an_print_entry e)
{
    if (!p->failed && !an_grow(&p->entries, &p->cap_entries, *n, sizeof e))
        p->failed = true;
    if (!p->failed) p->entries[(*n)++] = e;
}

static void add_attrs(an_printer *p, size_t *n, int n_attrs,
                      const an_attr *attrs)
{
    for (int i = 0; i < n_attrs; i++)
        add_entry(p, n,
                  (an_print_entry){attrs[i].name, strlen(attrs[i].name), NULL,
                                   attrs[i].literal});
}

static void add_args(an_printer *p, size_t *n, const an_node *node)
{
    an_param param;
    for (int i = 0; i < node->n_args; i++)
        if (node->args[i].given && an_op_param(node->op, i, &param))
            add_entry(
                p, n,
                (an_print_entry){
                    param.name, param.name_size, &node->args[i],
                    node->args[i].value ? node->args[i].value->literal : NULL});
}

/* name = value, .. sorted; as literals where names would not do. */
static void put_entries(an_printer *p, size_t n, bool literals)
{
    if (n > 1) qsort(p->entries, n, sizeof *p->entries, compare_entries);
    for (size_t i = 0; i < n; i++) {
        const an_print_entry *e = &p->entries[i];
        an_print_text(p, i > 0 ? ", " : "");
        an_print_bytes(p, e->name, e->size);
        an_print_text(p, " = ");
        if (e->operand && !literals)
            put_operand(p, e->operand);
        else
            an_print_literal(p, e->literal);
    }
}

static void put_block(an_printer *p, size_t n)
{
    an_print_text(p, "[");
    put_entries(p, n, true);
    an_print_text(p, "]");
}

static void put_node(an_printer *p, const an_node *node)
{
    bool attributes = node->op->form == AN_FORM_ATTRIBUTES;
    size_t n = 0;
    an_print_text(p, "            ");
    for (int i = 0; i < node->n_results; i++) {
        an_print_text(p, i > 0 ? ", " : "");
        an_print_type(p, node->results[i]->type);
        an_print_text(p, " ");
        an_print_text(p, node->results[i]->name);
    }
    an_print_text(p, node->n_results > 0 ? " = " : "");
    an_print_text(p, node->op->name);
    if (node->opset_shown) an_print_format(p, "<ios%d>", node->opset);
    an_print_text(p, "(");
    if (!attributes) {
        add_args(p, &n, node);
        put_entries(p, n, false);
        n = 0;
    }
    an_print_text(p, ")");
    if (attributes) add_args(p, &n, node);
    add_attrs(p, &n, node->n_attrs, node->attrs);
    if (n > 0) put_block(p, n);
    an_print_text(p, ";\n");
}

static void put_function(an_printer *p, const an_function *f)
{
    size_t n = 0;
    an_print_text(p, "    func ");
    an_print_text(p, f->name);
    an_print_format(p, "<ios%d>(", f->opset);
    for (int i = 0; i < f->n_params; i++) {
        an_print_text(p, i > 0 ? ", " : "");
        an_print_type(p, f->params[i]->type);
        an_print_text(p, " ");
        an_print_text(p, f->params[i]->name);
    }
    an_print_text(p, ") ");
    add_attrs(p, &n, f->n_attrs, f->attrs);
    if (n > 0) {
        put_block(p, n);
        an_print_text(p, " ");
    }
    an_print_text(p, "{\n");
    for (int i = 0; i < f->n_nodes && !p->failed; i++)
        put_node(p, f->nodes[i]);
    an_print_text(p, "        } -> (");
    for (int i = 0; i < f->n_results; i++) {
        an_print_text(p, i > 0 ? ", " : "");
        an_print_text(p, f->results[i]->name);
    }
    an_print_text(p, ");\n");
}

static bool has_build_info(const an_module *m)
{
    for (int i = 0; i < m->n_attrs; i++)
        if (strcmp(m->attrs[i].name, "buildInfo") == 0) return true;
    return false;
}

static void put_module(an_printer *p, const an_module *m)
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
    an_print_format(p, "program(%d.%d)\n", m->major, m->minor);
    add_attrs(p, &n, m->n_attrs, m->attrs);
    if (!has_build_info(m))
        add_entry(p, &n, (an_print_entry){"buildInfo", 9, NULL, &info});
    put_block(p, p->failed ? 0 : n);
    an_print_text(p, "\n{\n");
    for (int i = 0; i < m->n_functions && !p->failed; i++)
        put_function(p, m->functions[i]);
    an_print_text(p, "}\n");
}

an_status an_mil_print(const an_module *module, char **text, size_t *size,
                       an_error *err)
{
    an_printer p = {0};
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
