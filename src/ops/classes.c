/*
 * Reference kernels and counts that whole classes of ops share: element-wise
 * functions by the row's `scalar`, movements by the row's `view`.
 */
#include "ops/ops.h"

#include "mil/numerics.h"

#include <string.h>

/* ---- element-wise ---- */

/* The float constants behind the tensors, into v[n_tensors..3). */
static void read_constants(const an_node *node, int n_tensors, double v[3])
{
    an_param p;
    for (int i = 0, k = n_tensors; k < 3 && an_op_param(node->op, i, &p); i++) {
        char name[32] = {0};
        if (p.kind != 'f' || p.name_size >= sizeof name) continue;
        memcpy(name, p.name, p.name_size);
        v[k++] = an_node_real(node, name);
    }
}

void an_eval_scalar(const an_eval *e, an_scalar fn)
{
    const an_dense *out = &e->out[0];
    int n = an_node_n_tensors(e->node);
    an_dtype of = e->in[n - 1].shape.dtype; /* select's cond comes first */
    double v[3] = {0};
    int64_t count = an_shape_count(&out->shape);
    an_walk w;
    an_walk_init(&w, out->shape.rank, out->shape.dims);
    for (int k = 0; k < n; k++)
        an_walk_add_broadcast(&w, &e->in[k].shape);
    read_constants(e->node, n, v);
    for (int64_t i = 0; i < count; i++, an_walk_next(&w)) {
        for (int k = 0; k < n; k++)
            v[k] = e->in[k].data[w.at[k]];
        out->data[i] =
            e->num->scalar(e->num, fn, v[0], v[1], v[2], of, out->shape.dtype);
    }
}

an_status an_kernel_scalar(const an_eval *e, an_error *err)
{
    (void)err;
    an_eval_scalar(e, e->node->op->scalar);
    return AN_OK;
}

/* ---- views ---- */

/* out = the elements of x that `step` from `at` reaches, over `dims`. */
static void copy_strided(const an_dense *x, int rank, const int64_t *dims,
                         const int64_t *step, int64_t at, double *out)
{
    int64_t n = 1;
    an_walk w;
    an_walk_init(&w, rank, dims);
    an_walk_add(&w, step, at);
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    for (int64_t i = 0; i < n; i++, an_walk_next(&w))
        out[i] = x->data[w.at[0]];
}

static void copy_transposed(const an_dense *x, const an_view *v,
                            const an_dense *out)
{
    int64_t own[AN_MAX_RANK], step[AN_MAX_RANK];
    an_dense_steps(&x->shape, own);
    for (int i = 0; i < x->shape.rank; i++)
        step[i] = own[v->perm[i]];
    copy_strided(x, out->shape.rank, out->shape.dims, step, 0, out->data);
}

static void copy_slice(const an_dense *x, const an_view *v, const an_dense *out)
{
    int64_t step[AN_MAX_RANK], at = 0;
    an_dense_steps(&x->shape, step);
    for (int i = 0; i < x->shape.rank; i++) {
        at += v->begin[i] * step[i];
        step[i] *= v->stride[i];
    }
    copy_strided(x, x->shape.rank, v->length, step, at, out->data);
}

/* Elements of one index of the axes up to and including `axis`. */
static int64_t run_length(const an_shape *s, int axis)
{
    int64_t n = 1;
    for (int i = axis; i < s->rank; i++)
        n *= s->dims[i];
    return n;
}

typedef enum direction { JOIN, CUT } direction;

/* Copies between a whole and its parts along an axis. */
static void copy_parts(const an_dense *whole, const an_dense *parts, int n,
                       int axis, direction way)
{
    int64_t row = run_length(&whole->shape, axis), at = 0;
    int64_t n_rows = an_shape_count(&whole->shape) / row;
    for (int p = 0; p < n; p++) {
        int64_t run = run_length(&parts[p].shape, axis);
        size_t bytes = (size_t)run * sizeof(double);
        for (int64_t i = 0; i < n_rows; i++) {
            double *w = whole->data + i * row + at;
            double *part = parts[p].data + i * run;
            memcpy(way == JOIN ? w : part, way == JOIN ? part : w, bytes);
        }
        at += run;
    }
}

/* What a chip's slices do to elements that leave their range. */
static void gain(const an_chip_numerics *chip, const an_dense *out)
{
    int64_t n = an_shape_count(&out->shape);
    for (int64_t i = 0; i < n; i++) {
        uint16_t bits = an_hw_slice(chip, an_hw_store(out->data[i]));
        if ((bits & 0x7fff) == 0x7c00) out->data[i] = an_hw_load(bits);
    }
}

an_status an_kernel_view(const an_eval *e, an_error *err)
{
    an_view v;
    const an_dense *x = &e->in[0], *out = &e->out[0];
    if (!e->node->op->view(e->node, &v))
        return an_node_fail(e->node, err, AN_EUNSUPPORTED, "this is no view");
    switch (v.kind) {
    case AN_VIEW_RESHAPE:
        memcpy(out->data, x->data,
               (size_t)an_shape_count(&x->shape) * sizeof(double));
        break;
    case AN_VIEW_TRANSPOSE:
        copy_transposed(x, &v, out);
        break;
    case AN_VIEW_SLICE:
        copy_slice(x, &v, out);
        if (an_hw_slice_has_gain(e->num->chip, &x->shape, &v))
            gain(e->num->chip, out);
        break;
    case AN_VIEW_CONCAT:
        copy_parts(out, e->in, an_node_n_tensors(e->node), v.axis, JOIN);
        break;
    case AN_VIEW_SPLIT:
        copy_parts(x, e->out, e->node->n_results, v.axis, CUT);
        break;
    }
    return AN_OK;
}

/* ---- counts ---- */

double an_shape_elements(const an_shape *shape)
{
    double n = 1;
    for (int i = 0; i < shape->rank; i++)
        n *= (double)shape->dims[i];
    return n;
}

static double bytes_of(const an_value *value)
{
    const an_shape *s = &value->type->shape;
    return an_shape_elements(s) * (double)an_dtype_size(s->dtype);
}

double an_cost_bytes(const an_node *node)
{
    double bytes = 0;
    for (int i = 0; i < an_node_n_tensors(node); i++) {
        const an_value *value = an_node_tensor(node, i);
        if (value) bytes += bytes_of(value);
    }
    for (int i = 0; i < node->n_results; i++)
        bytes += bytes_of(node->results[i]);
    return bytes;
}

void an_cost_move(const an_node *node, an_cost *out)
{
    *out = (an_cost){.flops = 0, .bytes = an_cost_bytes(node)};
}

void an_cost_result(const an_node *node, an_cost *out)
{
    *out = (an_cost){
        .flops = an_shape_elements(&node->results[0]->type->shape),
        .bytes = an_cost_bytes(node),
    };
}

void an_cost_operand(const an_node *node, an_cost *out)
{
    *out = (an_cost){
        .flops = an_shape_elements(&an_node_tensor(node, 0)->type->shape),
        .bytes = an_cost_bytes(node),
    };
}
