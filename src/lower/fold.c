/*
 * Constants: moves of constants (reshape, transpose, slice, concat) are carried
 * out, so that what an engine wants constant is a constant. Nothing is
 * computed: folding never changes a rounding.
 */
#include "lower/lower.h"

#include "lower/rewrite.h"
#include "mil/number.h"
#include "mil/op.h"

/* The operand's data when it is known by now, or NULL. */
static const an_literal *known(const an_rewriter *r, const an_value *v)
{
    const an_literal *l = v->name ? r->map[v->id]->literal : v->literal;
    return l && l->kind == AN_LIT_DATA ? l : NULL;
}

/* A view with one result whose tensors are all known. */
static bool can_fold(const an_rewriter *r, const an_node *n)
{
    if (n->op->cls != AN_CLASS_VIEW || n->n_results != 1) return false;
    for (int i = 0; i < an_node_n_tensors(n); i++) {
        const an_value *v = an_node_tensor(n, i);
        if (v && !known(r, v)) return false;
    }
    return an_node_n_tensors(n) > 0;
}

static void *scratch(const an_eval *e, size_t bytes)
{
    return an_arena_alloc(e->owner, bytes ? bytes : 1);
}

static bool load(const an_rewriter *r, const an_node *n, an_arena *arena,
                 an_dense *in)
{
    for (int i = 0; i < an_node_n_tensors(n); i++) {
        const an_value *v = an_node_tensor(n, i);
        if (!v) continue;
        const an_literal *l = known(r, v);
        in[i].shape = v->type->shape;
        in[i].data = an_arena_array(arena, l->n + 1, sizeof(double));
        if (!in[i].data) return false;
        for (size_t k = 0; k < l->n; k++)
            in[i].data[k] = an_literal_real(l, k);
    }
    return true;
}

/* Moved elements keep their values, so storing them back is exact. */
static an_value *store(an_rewriter *r, const an_node *n, an_arena *arena,
                       const an_dense *y)
{
    an_dtype dtype = y->shape.dtype;
    size_t count = (size_t)an_shape_count(&y->shape);
    void *data = an_arena_array(arena, count + 1, an_dtype_size(dtype));
    if (!data) return an_build_fail(r->b, AN_ENOMEM, "fold: no memory");
    for (size_t i = 0; i < count; i++)
        an_number_store_real(data, dtype, i, y->data[i]);
    return an_build_const(r->b, n->results[0]->name, y->shape, data);
}

static an_value *fold(an_rewriter *r, const an_node *n, an_arena *arena)
{
    an_error err = {0};
    an_dense out = {.shape = n->results[0]->type->shape};
    size_t n_in = (size_t)an_node_n_tensors(n);
    an_dense *in = an_arena_array(arena, n_in, sizeof *in);
    out.data = an_arena_array(arena, (size_t)an_shape_count(&out.shape) + 1,
                              sizeof(double));
    if (!in || !out.data || !load(r, n, arena, in))
        return an_build_fail(r->b, AN_ENOMEM, "fold: no memory");
    an_eval e = {.node = n,
                 .num = &an_num_exact,
                 .in = in,
                 .out = &out,
                 .scratch = scratch,
                 .owner = arena};
    if (n->op->kernel(&e, &err) != AN_OK)
        return an_build_fail(r->b, err.code, "%s", err.text);
    return store(r, n, arena, &out);
}

static bool fold_node(an_rewriter *r, const an_node *n)
{
    an_arena arena;
    if (an_build_status(r->b) != AN_OK || !can_fold(r, n)) return false;
    an_arena_init(&arena);
    r->map[n->results[0]->id] = fold(r, n, &arena);
    an_arena_fini(&arena);
    return true;
}

an_status an_pass_fold(const an_function *f, an_module *into, const char *name,
                       const an_lower_options *o, an_error *err)
{
    (void)o;
    return an_rewrite(f, into, name, &(an_rewriter){.node = fold_node}, err);
}
