/*
 * Wrong data, as hardware makes it without an error: each function changes one
 * that breaks a rule into what the engine computes in its stead. The module is
 * the caller's own, parsed for this.
 */
#include "chip/check.h"
#include "chip/spoil.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static an_arena *memory(const an_function *f)
{
    return &f->module->arena;
}

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "no memory for wrong values");
}

/* The node becomes op(value), one parameter given. */
static an_status replace(an_node *n, const an_op *op, an_value *value,
                         an_error *err)
{
    int n_params = an_op_n_params(op);
    an_operand *args =
        an_arena_array(memory(n->function), (size_t)n_params + 1, sizeof *args);
    if (!args) return no_memory(err);
    args[0] = (an_operand){.value = value, .given = true};
    n->op = op;
    n->args = args;
    n->n_args = n_params;
    return AN_OK;
}

an_status an_spoil_factor(an_function *f, an_error *err)
{
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < f->n_nodes; i++) {
        an_node *n = f->nodes[i];
        an_value *x = an_check_dropped_factor(n);
        if (x != NULL) s = replace(n, &an_op_identity, x, err);
    }
    return s;
}

an_status an_spoil_mask(an_function *f, an_error *err)
{
    for (int i = 0; i < f->n_nodes; i++) {
        an_node *n = f->nodes[i];
        int mask = an_op_param_index(n->op, "attn_mask", 9);
        if (mask < 0 || !n->args[mask].given) continue;
        an_operand *args =
            an_arena_array(memory(f), (size_t)n->n_args + 1, sizeof *args);
        if (!args) return no_memory(err);
        memcpy(args, n->args, (size_t)n->n_args * sizeof *args);
        args[mask] = (an_operand){0};
        n->args = args;
    }
    return AN_OK;
}

/* int32 [n] as an inline literal. */
static an_value *shape_literal(an_function *f, const an_shape *s)
{
    an_arena *a = memory(f);
    an_shape is = {AN_INT32, 1, {s->rank}};
    an_value *v = an_arena_alloc(a, sizeof *v);
    an_literal *l = an_arena_alloc(a, sizeof *l);
    int32_t *data = an_arena_array(a, (size_t)s->rank + 1, sizeof *data);
    const an_type *type = an_type_tensor(f->module, &is);
    if (!v || !l || !data || !type) return NULL;
    for (int i = 0; i < s->rank; i++)
        data[i] = (int32_t)s->dims[i];
    *l = (an_literal){
        .kind = AN_LIT_DATA, .type = type, .n = (size_t)s->rank, .data = data};
    *v = (an_value){.type = type, .id = f->n_values++, .literal = l};
    return v;
}

an_status an_spoil_zeros(an_function *f, an_error *err)
{
    for (int i = 0; i < f->n_results; i++) {
        an_value *v = f->results[i];
        for (int k = 0; k < f->n_nodes; k++) {
            an_node *n = f->nodes[k];
            if (n != v->def || n->n_results != 1) continue;
            an_value *shape = shape_literal(f, &v->type->shape);
            if (!shape) return no_memory(err);
            an_status s = replace(n, &an_op_fill, shape, err);
            if (s != AN_OK) return s;
        }
    }
    return AN_OK;
}

static int by_name(const void *a, const void *b)
{
    const an_value *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* Surface i is called as the i-th in the text, and is the i-th by name. */
static an_status sort(an_value **list, int n, an_error *err)
{
    const char **names = an_alloc_array((size_t)n + 1, sizeof *names);
    if (!names) return no_memory(err);
    for (int i = 0; i < n; i++)
        names[i] = list[i]->name;
    qsort(list, (size_t)n, sizeof(an_value *), by_name);
    for (int i = 0; i < n; i++)
        list[i]->name = names[i];
    an_free(names);
    return AN_OK;
}

an_status an_spoil_inputs(an_function *f, an_error *err)
{
    return sort(f->params, f->n_params, err);
}

an_status an_spoil_outputs(an_function *f, an_error *err)
{
    return sort(f->results, f->n_results, err);
}
