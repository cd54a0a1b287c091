/*
 * How weights reach a program: parameters that are baked become constants, and
 * products with them 1x1 convolutions, the form that hardware takes with
 * constant weights:
 *
 *     matmul(W [1,1,O,C], x [1,1,C,N])    conv(W [O,C,1,1], x [1,C,1,N])
 *     matmul(W^T, y [1,1,O,N])            conv(W^T [C,O,1,1], y [1,O,1,N])
 *
 * The bytes of W and the order of each sum stay the same.
 */
#include "lower/lower.h"

#include "base/alloc.h"
#include "lower/rewrite.h"
#include "mil/emit.h"
#include "mil/extract.h"
#include "mil/op.h"

#include <string.h>

static const an_baked *find(const an_rewriter *r, const an_value *v)
{
    const an_lower_options *o = r->ctx;
    for (int i = 0; v && v->name && !v->def && i < o->n_baked; i++)
        if (strcmp(o->baked[i].param, v->name) == 0) return &o->baked[i];
    return NULL;
}

static an_value *bake_param(an_rewriter *r, const an_value *p)
{
    const an_baked *baked = find(r, p);
    if (!baked) return an_build_param(r->b, p->name, p->type->shape);
    return an_build_const(r->b, p->name, p->type->shape, baked->data);
}

/* [O, C] as the weight of a convolution, or its transpose. */
static an_value *conv_weight(an_rewriter *r, const an_value *p,
                             const an_baked *baked, bool transpose)
{
    const an_shape *s = &p->type->shape;
    int64_t rows = s->dims[s->rank - 2], columns = s->dims[s->rank - 1];
    size_t size = an_dtype_size(s->dtype);
    an_shape w = {s->dtype, 4, {rows, columns, 1, 1}};
    if (!transpose) return an_build_const(r->b, "weight", w, baked->data);
    unsigned char *data = an_alloc_array((size_t)(rows * columns), size);
    if (!data) return an_build_fail(r->b, AN_ENOMEM, "bake: no memory");
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < columns; k++)
            memcpy(data + (size_t)(k * rows + i) * size,
                   (const unsigned char *)baked->data +
                       (size_t)(i * columns + k) * size,
                   size);
    w.dims[0] = columns;
    w.dims[1] = rows;
    an_value *v = an_build_const(r->b, "weight", w, data);
    an_free(data);
    return v;
}

static bool is_product(const an_rewriter *r, const an_node *n,
                       const an_baked **baked)
{
    if (n->op != &an_op_matmul || an_node_bool(n, "transpose_y")) return false;
    const an_shape *x = &an_node_tensor(n, 1)->type->shape;
    *baked = find(r, an_node_tensor(n, 0));
    return *baked && x->rank == 4 && x->dims[0] == 1 && x->dims[1] == 1;
}

static bool bake_node(an_rewriter *r, const an_node *n)
{
    const an_baked *baked;
    if (!is_product(r, n, &baked)) return false;
    an_builder *b = r->b;
    const an_value *w = an_node_tensor(n, 0), *x = an_node_tensor(n, 1);
    const an_shape *in = &x->type->shape, *out = &n->results[0]->type->shape;
    int64_t dims[4] = {1, in->dims[2], 1, in->dims[3]};
    an_value *flat = an_emit_reshape(b, r->map[x->id], 4, dims);
    an_value *y = an_build(
        b, "conv", NULL,
        AN_ARGS({"x", flat},
                {"weight",
                 conv_weight(r, w, baked, an_node_bool(n, "transpose_x"))},
                {"strides", AN_INTS(b, 1, 1)},
                {"pad_type", an_build_string(b, "valid")},
                {"pad", AN_INTS(b, 0, 0, 0, 0)},
                {"dilations", AN_INTS(b, 1, 1)},
                {"groups", an_build_int(b, 1)}));
    an_value *result = an_emit_reshape(b, y, out->rank, out->dims);
    if (result) an_build_rename(b, result, n->results[0]->name);
    r->map[n->results[0]->id] = result;
    return true;
}

/* The copy without what nothing reads any more: constants of products. */
static an_status drop_dead(an_module *from, an_module *into, const char *name,
                           an_error *err)
{
    const an_function *f = an_module_function(from, name);
    const char **results =
        an_alloc_array((size_t)f->n_results + 1, sizeof *results);
    if (!results) return an_fail(err, AN_ENOMEM, "bake: no memory");
    for (int i = 0; i < f->n_results; i++)
        results[i] = f->results[i]->name;
    an_status s = an_extract(f, into,
                             &(an_extraction){.name = name,
                                              .results = results,
                                              .n_results = f->n_results},
                             err);
    an_free(results);
    return s;
}

an_status an_pass_bake(const an_function *f, an_module *into, const char *name,
                       const an_lower_options *o, an_error *err)
{
    an_lower_options options = *o;
    an_rewriter r = {.ctx = &options, .param = bake_param, .node = bake_node};
    an_module *baked = NULL;
    if (o->n_baked == 0) return an_rewrite(f, into, name, &r, err);
    an_status s = an_module_new(&baked, err);
    if (s == AN_OK) s = an_rewrite(f, baked, name, &r, err);
    if (s == AN_OK) s = drop_dead(baked, into, name, err);
    an_module_free(baked);
    return s;
}
