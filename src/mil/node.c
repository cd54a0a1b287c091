/*
 * Nodes of the builder: arguments by name, results with their inferred types,
 * copies from other functions, new names.
 */
#include "mil/build.h"

#include "base/alloc.h"
#include "mil/type.h"

#include <stdio.h>
#include <string.h>

static bool set_type(an_builder *b, an_node *n, int i, const an_shape *shape)
{
    an_value *v = n->results[i];
    char declared[200], inferred[200];
    if (!v->type && shape->rank == AN_RANK_DECLARED)
        return an_node_fail(n, &b->err, AN_EUNSUPPORTED,
                            "result %d has no declared type", i) == AN_OK;
    if (!v->type) {
        v->type = an_type_tensor(b->module, shape);
        return v->type || an_build_no_memory(b);
    }
    if (an_type_admits(v->type, shape)) return true;
    an_node_fail(n, &b->err, AN_ETYPE, "%s is declared as %s, it is %s",
                 v->name ? v->name : "result",
                 an_type_text(v->type, declared, sizeof declared),
                 an_shape_text(shape, inferred, sizeof inferred));
    return false;
}

/* A const's result is its literal, of any type. */
static bool type_const(an_builder *b, an_node *n)
{
    char declared[200], inferred[200];
    if (n->n_results != 1)
        return an_node_fail(n, &b->err, AN_ETYPE, "%d results, expected 1",
                            n->n_results) == AN_OK;
    an_value *v = n->results[0];
    v->literal = n->args[0].value->literal;
    if (!v->type) v->type = v->literal->type;
    if (an_type_equal(v->type, v->literal->type)) return true;
    an_type_text(v->type, declared, sizeof declared);
    an_type_text(v->literal->type, inferred, sizeof inferred);
    an_node_fail(n, &b->err, AN_ETYPE, "%s is declared as %s, it is %s",
                 v->name ? v->name : "result", declared, inferred);
    return false;
}

/* Where a dimension is unknown, the declared types are all there is. */
static bool trust_types(an_builder *b, const an_node *n)
{
    for (int i = 0; i < n->n_results; i++) {
        const an_type *t = n->results[i]->type;
        if (!t || t->kind != AN_TYPE_TENSOR) {
            an_node_fail(n, &b->err, AN_EUNSUPPORTED,
                         "an operand has an unknown dimension");
            return false;
        }
    }
    return true;
}

static bool type_results(an_builder *b, an_node *n)
{
    if (an_op_is_const(n->op)) return type_const(b, n);
    an_shape *shapes = an_alloc_array((size_t)n->n_results + 1, sizeof *shapes);
    if (!shapes) return an_build_no_memory(b);
    bool known = true;
    bool well = an_node_infer(n, shapes, &known, &b->err) == AN_OK;
    if (well && !known) well = trust_types(b, n);
    for (int i = 0; well && known && i < n->n_results; i++)
        well = set_type(b, n, i, &shapes[i]);
    an_free(shapes);
    return well;
}

bool an_build_append(an_builder *b, an_node *node)
{
    if (b->err.code != AN_OK) return false;
    an_function *f = b->function;
    node->function = f;
    for (int i = 0; i < node->n_results; i++) {
        node->results[i]->def = node;
        node->results[i]->result = i;
    }
    if (an_node_check(node, &b->err) != AN_OK || !type_results(b, node))
        return false;
    if (!an_ir_push(b->module, &f->nodes, &f->cap_nodes, f->n_nodes, node))
        return an_build_no_memory(b);
    f->n_nodes++;
    return true;
}

static bool bind_tuple(an_builder *b, an_operand *to, const an_arg *arg)
{
    an_operand *items =
        an_arena_array(&b->module->arena, (size_t)arg->n, sizeof *items);
    if (!items) return an_build_no_memory(b);
    for (int i = 0; i < arg->n; i++) {
        items[i].value = arg->values[i];
        items[i].given = true;
    }
    *to = (an_operand){.items = items, .n = arg->n, .given = true};
    return true;
}

static bool bind(an_builder *b, const an_op *op, an_operand *args,
                 const an_arg *arg)
{
    int i = an_op_param_index(op, arg->param, strlen(arg->param));
    if (i < 0 || args[i].given) {
        an_build_fail(b, AN_EINVAL, "%s: parameter %s %s", op->name, arg->param,
                      i < 0 ? "is not known" : "is given twice");
        return false;
    }
    if (arg->value)
        args[i] = (an_operand){.value = arg->value, .given = true};
    else if (arg->values)
        return bind_tuple(b, &args[i], arg);
    return true;
}

an_node *an_build_node(an_builder *b, const an_op *op, an_operand **args, int n)
{
    an_arena *arena = &b->module->arena;
    an_node *node = an_arena_alloc(arena, sizeof *node);
    int n_args = an_op_n_params(op);
    *args = an_arena_array(arena, (size_t)n_args, sizeof **args);
    an_value **results = an_arena_array(arena, (size_t)n, sizeof *results);
    if (!node || !*args || !results) {
        an_build_no_memory(b);
        return NULL;
    }
    for (int i = 0; i < n; i++)
        if (!(results[i] = an_build_value(b, NULL))) return NULL;
    *node = (an_node){.op = op,
                      .opset = b->function->opset,
                      .args = *args,
                      .n_args = n_args,
                      .results = results,
                      .n_results = n};
    return node;
}

/* The attribute block [name = string("..")]; NULL without memory. */
static an_attr *name_attribute(an_module *m, const char *name)
{
    static const an_type string = {.shape = {.dtype = AN_STRING}};
    an_attr *attr = an_arena_alloc(&m->arena, sizeof *attr);
    an_str text = {name, strlen(name)};
    an_literal literal = {
        .kind = AN_LIT_STRINGS, .type = &string, .n = 1, .strings = &text};
    if (!attr) return NULL;
    attr->name = "name";
    attr->literal = an_literal_copy(m, &literal);
    return attr->literal ? attr : NULL;
}

bool an_build_finish(an_builder *b, an_node *node, const char *name,
                     const char *base)
{
    for (int i = 0; i < node->n_results; i++)
        if (!an_build_name(b, node->results[i], name, base)) return false;
    const char *text = node->n_results > 0 ? node->results[0]->name : name;
    if (text && node->n_attrs == 0) {
        node->attrs = name_attribute(b->module, text);
        if (!node->attrs) return an_build_no_memory(b);
        node->n_attrs = 1;
    }
    return an_build_append(b, node);
}

bool an_build_n(an_builder *b, const char *op, const char *name,
                const an_arg *args, an_value **results, int n)
{
    if (b->err.code != AN_OK) return false;
    const an_op *row = an_op_find(op, strlen(op), b->function->opset);
    if (!row) {
        an_build_fail(b, AN_EUNSUPPORTED, "op '%s' is not known", op);
        return false;
    }
    an_operand *operands = NULL;
    an_node *node = an_build_node(b, row, &operands, n);
    for (; node && args->param; args++)
        if (!bind(b, row, operands, args)) return false;
    if (!node || !an_build_finish(b, node, name, op)) return false;
    for (int i = 0; i < n; i++)
        results[i] = node->results[i];
    return true;
}

an_value *an_build(an_builder *b, const char *op, const char *name,
                   const an_arg *args)
{
    an_value *result = NULL;
    return an_build_n(b, op, name, args, &result, 1) ? result : NULL;
}

/* The value that stands for `v` of another function. */
static an_value *map_value(an_builder *b, const an_value *v, an_value **map)
{
    if (!v->name) return an_build_inline_copy(b, v->literal);
    if (!map[v->id] && v->literal)
        map[v->id] = an_build_literal(b, v->name, v->literal);
    if (!map[v->id])
        an_build_fail(b, AN_EINVAL, "copy: operand %s has no counterpart",
                      v->name);
    return map[v->id];
}

/* Tuples do not nest in a verified node. */
static bool map_operand(an_builder *b, const an_operand *from, an_operand *to,
                        an_value **map)
{
    *to = (an_operand){.given = from->given, .n = from->n};
    if (from->value) {
        to->value = map_value(b, from->value, map);
        return to->value != NULL;
    }
    an_operand *items =
        an_arena_array(&b->module->arena, (size_t)from->n, sizeof *items);
    if (!items) return an_build_no_memory(b);
    for (int i = 0; i < from->n; i++) {
        items[i].given = true;
        items[i].value = map_value(b, from->items[i].value, map);
        if (!items[i].value) return false;
    }
    to->items = items;
    return true;
}

static bool copy_attributes(an_builder *b, const an_node *from, an_node *to)
{
    an_attr *attrs =
        an_arena_array(&b->module->arena, (size_t)from->n_attrs, sizeof *attrs);
    if (!attrs) return an_build_no_memory(b);
    for (int i = 0; i < from->n_attrs; i++) {
        const char *name = from->attrs[i].name;
        attrs[i].name = an_arena_strndup(&b->module->arena, name, strlen(name));
        attrs[i].literal = an_literal_copy(b->module, from->attrs[i].literal);
        if (!attrs[i].name || !attrs[i].literal) return an_build_no_memory(b);
    }
    to->attrs = attrs;
    to->n_attrs = from->n_attrs;
    return true;
}

/* Can a shape rule give this type, or only a declaration? */
static bool only_declared(const an_type *type)
{
    bool declared = type->kind != AN_TYPE_TENSOR;
    for (int i = 0; i < type->shape.rank; i++)
        declared = declared || type->shape.dims[i] == -1;
    return declared;
}

static bool copy_declared_types(an_builder *b, const an_node *from, an_node *to)
{
    for (int i = 0; i < from->n_results; i++) {
        const an_type *type = from->results[i]->type;
        if (!only_declared(type)) continue;
        to->results[i]->type = an_type_copy(b->module, type);
        if (!to->results[i]->type) return an_build_no_memory(b);
    }
    return true;
}

bool an_build_copy(an_builder *b, const an_node *node, an_value **map)
{
    if (b->err.code != AN_OK) return false;
    if (an_op_is_const(node->op))
        return map_value(b, node->results[0], map) != NULL;
    an_operand *args = NULL;
    an_node *copy = an_build_node(b, node->op, &args, node->n_results);
    if (!copy || !copy_attributes(b, node, copy) ||
        !copy_declared_types(b, node, copy))
        return false;
    copy->opset = node->opset;
    copy->opset_shown = node->opset_shown || node->opset != b->function->opset;
    for (int i = 0; i < node->n_args; i++)
        if (!map_operand(b, &node->args[i], &args[i], map)) return false;
    for (int i = 0; i < node->n_results; i++)
        if (!an_build_name(b, copy->results[i], node->results[i]->name, NULL))
            return false;
    if (!an_build_append(b, copy)) return false;
    for (int i = 0; i < node->n_results; i++)
        map[node->results[i]->id] = copy->results[i];
    return true;
}

static bool is_name_of(const an_attr *attr, const char *name)
{
    const an_literal *l = attr->literal;
    return strcmp(attr->name, "name") == 0 && l->kind == AN_LIT_STRINGS &&
           l->n == 1 && l->strings[0].size == strlen(name) &&
           memcmp(l->strings[0].text, name, l->strings[0].size) == 0;
}

/* The node's name attribute follows when it was the value's name. */
static bool rename_node(an_builder *b, an_node *n, const char *from,
                        const char *to)
{
    an_attr *attrs =
        an_arena_array(&b->module->arena, (size_t)n->n_attrs, sizeof *attrs);
    if (!attrs) return an_build_no_memory(b);
    for (int i = 0; i < n->n_attrs; i++) {
        attrs[i] = n->attrs[i];
        if (!is_name_of(&attrs[i], from)) continue;
        const an_attr *renamed = name_attribute(b->module, to);
        if (!renamed) return an_build_no_memory(b);
        attrs[i] = *renamed;
    }
    n->attrs = attrs;
    return true;
}

void an_build_rename(an_builder *b, an_value *value, const char *name)
{
    if (b->err.code != AN_OK || !value || strcmp(value->name, name) == 0)
        return;
    const char *old = value->name;
    if (!an_build_name(b, value, name, NULL)) return;
    an_build_release(b, old);
    if (!value->def) return;
    an_function *f = b->function;
    for (int i = f->n_nodes - 1; i >= 0; i--)
        if (f->nodes[i] == value->def) {
            rename_node(b, f->nodes[i], old, value->name);
            return;
        }
}
