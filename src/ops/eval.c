/* The interpreter: every value is a dense array of doubles in one arena. */
#include "ops/eval.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "mil/op.h"
#include "mil/type.h"

#include <assert.h>
#include <string.h>

typedef struct run {
    const an_num *num;
    double **values; /* by id; NULL: not computed */
    an_arena arena;  /* of the values */
    an_arena work;   /* of one node */
} run;

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "evaluation: no memory");
}

static bool is_numeric(const an_type *type)
{
    return type->kind == AN_TYPE_TENSOR && type->shape.dtype != AN_STRING;
}

/* Elements of a literal in the text. */
static an_status read_literal(run *r, const an_literal *l, double **out,
                              an_error *err)
{
    if (l->kind != AN_LIT_DATA || !is_numeric(l->type))
        return an_fail_at(err, AN_EUNSUPPORTED, l->line, l->column,
                          "evaluation: a constant is no tensor in the text");
    double *data = an_arena_array(&r->work, l->n, sizeof *data);
    if (!data) return no_memory(err);
    bool fractional = an_dtype_is_float(l->type->shape.dtype);
    const uint16_t *halves = l->type->shape.dtype == AN_FP16 ? l->data : NULL;
    for (size_t i = 0; i < l->n; i++)
        data[i] = halves       ? r->num->load(halves[i])
                  : fractional ? an_literal_real(l, i)
                               : (double)an_literal_int(l, i);
    *out = data;
    return AN_OK;
}

static an_status read_operand(run *r, const an_value *v, an_dense *out,
                              an_error *err)
{
    *out = (an_dense){0};
    if (!v) return AN_OK;
    out->shape = v->type->shape;
    if (v->name && r->values[v->id]) {
        out->data = r->values[v->id];
        return AN_OK;
    }
    assert(v->literal);
    return read_literal(r, v->literal, &out->data, err);
}

static an_status make_value(run *r, const an_value *v, an_error *err)
{
    size_t n = (size_t)an_shape_count(&v->type->shape);
    r->values[v->id] = an_arena_array(&r->arena, n, sizeof(double));
    return r->values[v->id] ? AN_OK : no_memory(err);
}

static void *scratch(const an_eval *e, size_t bytes)
{
    run *r = e->owner;
    return an_arena_alloc(&r->work, bytes);
}

static an_status run_kernel(run *r, const an_node *node, an_error *err)
{
    int n_in = an_node_n_tensors(node);
    an_dense *in = an_arena_array(&r->work, (size_t)n_in + 1, sizeof *in);
    an_dense *out =
        an_arena_array(&r->work, (size_t)node->n_results, sizeof *out);
    if (!in || !out) return no_memory(err);
    for (int i = 0; i < n_in; i++) {
        an_status s = read_operand(r, an_node_tensor(node, i), &in[i], err);
        if (s != AN_OK) return s;
    }
    for (int i = 0; i < node->n_results; i++) {
        const an_value *v = node->results[i];
        an_status s = make_value(r, v, err);
        if (s != AN_OK) return s;
        out[i] = (an_dense){v->type->shape, r->values[v->id]};
    }
    an_eval e = {node, r->num, in, out, scratch, r};
    return node->op->kernel(&e, err);
}

static an_status run_node(run *r, const an_node *node, an_error *err)
{
    if (node->op == &an_op_const) return AN_OK; /* read where used */
    if (!node->op->kernel)
        return an_node_fail(node, err, AN_EUNSUPPORTED, "it has no kernel");
    an_status s = run_kernel(r, node, err);
    an_arena_fini(&r->work);
    an_arena_init(&r->work);
    return s;
}

/* A copy for the caller. */
static an_status take_output(run *r, const an_value *v, double **out,
                             an_error *err)
{
    an_dense d;
    an_status s = read_operand(r, v, &d, err);
    if (s != AN_OK) return s;
    assert(d.data);
    size_t n = (size_t)an_shape_count(&d.shape);
    double *copy = an_alloc_array(n, sizeof *copy);
    if (!copy) return no_memory(err);
    memcpy(copy, d.data, n * sizeof *copy);
    *out = copy;
    return AN_OK;
}

static an_status run_function(run *r, const an_function *f,
                              const double *const *inputs, double **outputs,
                              an_error *err)
{
    an_status s = AN_OK;
    for (int i = 0; i < f->n_params && s == AN_OK; i++) {
        const an_value *p = f->params[i];
        size_t n = (size_t)an_shape_count(&p->type->shape);
        s = make_value(r, p, err);
        if (s == AN_OK) memcpy(r->values[p->id], inputs[i], n * sizeof(double));
    }
    for (int i = 0; i < f->n_nodes && s == AN_OK; i++)
        s = run_node(r, f->nodes[i], err);
    for (int i = 0; i < f->n_results && s == AN_OK; i++)
        s = take_output(r, f->results[i], &outputs[i], err);
    return s;
}

an_status an_eval_function(const an_function *f, const an_num *num,
                           const double *const *inputs, double **outputs,
                           an_error *err)
{
    run r = {.num = num};
    an_arena_init(&r.arena);
    an_arena_init(&r.work);
    for (int i = 0; i < f->n_results; i++)
        outputs[i] = NULL;
    r.values = an_alloc_array((size_t)f->n_values + 1, sizeof *r.values);
    an_status s =
        r.values ? run_function(&r, f, inputs, outputs, err) : no_memory(err);
    for (int i = 0; i < f->n_results && s != AN_OK; i++) {
        an_free(outputs[i]);
        outputs[i] = NULL;
    }
    an_free(r.values);
    an_arena_fini(&r.work);
    an_arena_fini(&r.arena);
    return s;
}
