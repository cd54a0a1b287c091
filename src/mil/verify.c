/*
 * Every invariant of a module, checked from scratch: names, order, ids, kinds
 * and types. What the builder guarantees, this finds broken.
 */
#include "mil/build.h"

#include "base/alloc.h"
#include "mil/type.h"

#include <string.h>

/* State of one function's check. */
typedef struct check {
    const an_function *f;
    an_names names;
    const an_value **defined; /* by id */
    an_error *err;
} check;

static an_status fail(const check *c, const char *what, const char *name)
{
    return an_fail(c->err, AN_EINVAL, "%s: %s %s", c->f->name,
                   name ? name : "a value", what);
}

static an_status define(check *c, const an_value *v)
{
    if (!v || !v->name || !v->type ||
        !an_is_identifier(v->name, strlen(v->name)))
        return fail(c, "has no name or type", v ? v->name : NULL);
    if (v->id < 0 || v->id >= c->f->n_values || c->defined[v->id])
        return fail(c, "has an id that is not its own", v->name);
    if (an_names_find(&c->names, v->name, strlen(v->name)))
        return fail(c, "is defined twice", v->name);
    if (!an_names_add(&c->names, v->name, strlen(v->name), NULL))
        return an_fail(c->err, AN_ENOMEM, "%s: no memory", c->f->name);
    c->defined[v->id] = v;
    return AN_OK;
}

static an_status check_literal(const check *c, const an_value *v)
{
    const an_literal *l = v->literal;
    if (!an_type_equal(l->type, v->type))
        return fail(c, "differs in type from its literal", v->name);
    if (v->type->kind == AN_TYPE_TENSOR && l->kind != AN_LIT_BLOB &&
        an_shape_known(&v->type->shape) &&
        l->n != (size_t)an_shape_count(&v->type->shape))
        return fail(c, "has a literal of another size", v->name);
    return AN_OK;
}

/* Tuples that nest are refused by an_node_check. */
static an_status check_operand(const check *c, const an_operand *o)
{
    an_status s = AN_OK;
    for (int i = 0; !o->value && i < o->n && s == AN_OK; i++)
        s = check_operand(c, &o->items[i]);
    const an_value *v = o->value;
    if (!v || s != AN_OK) return s;
    if (!v->name)
        return v->literal ? check_literal(c, v)
                          : fail(c, "has neither name nor literal", NULL);
    if (v->id < 0 || v->id >= c->f->n_values || c->defined[v->id] != v)
        return fail(c, "is not defined before its use", v->name);
    return AN_OK;
}

static an_status check_types(const check *c, const an_node *n)
{
    if (an_op_is_const(n->op))
        return n->n_results == 1 && n->results[0]->literal
                   ? check_literal(c, n->results[0])
                   : fail(c, "is a const without literal", NULL);
    an_shape *shapes = an_alloc_array((size_t)n->n_results + 1, sizeof *shapes);
    if (!shapes) return an_fail(c->err, AN_ENOMEM, "%s: no memory", c->f->name);
    bool known = true;
    an_status s = an_node_infer(n, shapes, &known, c->err);
    for (int i = 0; s == AN_OK && known && i < n->n_results; i++) {
        if (!an_type_admits(n->results[i]->type, &shapes[i]))
            s = an_node_fail(n, c->err, AN_ETYPE,
                             "%s has another type than the op gives",
                             n->results[i]->name);
    }
    an_free(shapes);
    return s;
}

static an_status check_node(check *c, const an_node *n)
{
    an_status s = AN_OK;
    if (n->function != c->f || n->n_args != an_op_n_params(n->op))
        return an_node_fail(n, c->err, AN_EINVAL,
                            "does not belong to %s or lacks arguments",
                            c->f->name);
    for (int i = 0; i < n->n_args && s == AN_OK; i++)
        s = check_operand(c, &n->args[i]);
    for (int i = 0; i < n->n_results && s == AN_OK; i++) {
        const an_value *v = n->results[i];
        s = define(c, v);
        if (s == AN_OK && (v->def != n || v->result != i))
            s = fail(c, "does not know the node that defines it", v->name);
    }
    if (s == AN_OK) s = an_node_check(n, c->err);
    return s == AN_OK ? check_types(c, n) : s;
}

/* Results are defined, and none is there twice. */
static an_status check_results(const check *c)
{
    const an_function *f = c->f;
    for (int i = 0; i < f->n_results; i++) {
        const an_value *v = f->results[i];
        an_name *name =
            v->name ? an_names_find(&c->names, v->name, strlen(v->name)) : NULL;
        if (!name || v->id >= f->n_values || c->defined[v->id] != v)
            return fail(c, "is a result and not defined", v->name);
        if (name->next++ > 0) return fail(c, "is a result twice", v->name);
    }
    return AN_OK;
}

static an_status check_function(check *c)
{
    const an_function *f = c->f;
    an_status s = AN_OK;
    for (int i = 0; i < f->n_params && s == AN_OK; i++)
        s = define(c, f->params[i]);
    for (int i = 0; i < f->n_nodes && s == AN_OK; i++)
        s = check_node(c, f->nodes[i]);
    return s == AN_OK ? check_results(c) : s;
}

an_status an_function_verify(const an_function *f, an_error *err)
{
    check c = {.f = f, .err = err};
    c.defined = an_alloc_array((size_t)f->n_values + 1, sizeof *c.defined);
    if (!c.defined) return an_fail(err, AN_ENOMEM, "%s: no memory", f->name);
    an_status s = check_function(&c);
    an_names_fini(&c.names);
    an_free(c.defined);
    return s;
}

an_status an_mil_verify(const an_module *module, const char *pass,
                        an_error *err)
{
    an_error inner = {0};
    for (int i = 0; i < module->n_functions; i++) {
        const an_function *f = module->functions[i];
        an_status s =
            f->module == module && an_module_function(module, f->name) == f
                ? an_function_verify(f, &inner)
                : an_fail(&inner, AN_EINVAL,
                          "function %s is not the module's own or "
                          "is there twice",
                          f->name);
        if (s == AN_OK) continue;
        an_fail_context(&inner, "%s", pass);
        if (err && err->code == AN_OK) *err = inner;
        return s;
    }
    return AN_OK;
}
