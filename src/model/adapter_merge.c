/*
 * Adapters added to the weights that they are for: W + scale B A, each row
 * summed in double and rounded to fp32 once.
 */
#include "model/adapter_file.h"

#include "base/alloc.h"

#include <string.h>

typedef struct merger {
    const an_adapter_file *f;
    an_weight_file *base;
    const an_model *model; /* base's */
    an_arena *arena;
    an_stored_tensor *list; /* all of base's */
    double *row;            /* room for a row of W, and behind it one of B */
    an_error *err;
} merger;

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "merge: no memory");
}

static an_stored_tensor *find(const merger *m, const an_stored_tensor *of)
{
    for (int i = 0; i < an_weight_file_count(m->base); i++)
        if (an_weight_file_at(m->base, i) == of) return &m->list[i];
    return NULL;
}

/* A [rank, n] as doubles; an_free. */
static double *read_a(const an_stored_tensor *a, int64_t rank, int64_t n)
{
    double *out = an_alloc_array((size_t)(rank * n), sizeof *out);
    for (int64_t r = 0; out && r < rank; r++)
        an_stored_read(a, AN_STORED_ROWS, r, AN_FP64, out + r * n);
    return out;
}

/* Row r of W + scale B A. */
static void merge_row(const merger *m, const an_param_part *part,
                      const an_stored_tensor *w, const an_stored_tensor *b,
                      const double *a, int64_t r, float *out)
{
    int64_t n = part->columns, rank = m->f->lora.rank;
    double *row = m->row, *b_row = m->row + n;
    an_stored_read(w, part->transposed ? AN_STORED_COLUMNS : AN_STORED_ROWS, r,
                   AN_FP64, row);
    an_stored_read(b, AN_STORED_ROWS, r, AN_FP64, b_row);
    for (int64_t k = 0; k < rank; k++) {
        double factor = m->f->lora.scale * b_row[k];
        for (int64_t c = 0; c < n; c++)
            row[c] += factor * a[k * n + c];
    }
    for (int64_t c = 0; c < n; c++)
        out[c] = (float)row[c];
}

/* The part's tensor becomes one in memory, [rows, columns]. */
static an_status merge_part(merger *m, const an_param_part *part,
                            const an_stored_tensor *a,
                            const an_stored_tensor *b)
{
    const an_stored_tensor *w = an_weight_file_use(m->base, part->name);
    size_t count = (size_t)(part->rows * part->columns);
    float *out = an_arena_array(m->arena, count, sizeof *out);
    double *factors = read_a(a, m->f->lora.rank, part->columns);
    an_free(m->row);
    m->row = an_alloc_array((size_t)(part->columns + m->f->lora.rank),
                            sizeof *m->row);
    an_status s = out && factors && m->row ? AN_OK : no_memory(m->err);
    for (int64_t r = 0; s == AN_OK && r < part->rows; r++)
        merge_row(m, part, w, b, factors, r, out + r * part->columns);
    an_free(factors);
    if (s != AN_OK) return s;
    an_stored_tensor merged = {.name = w->name,
                               .stored = AN_STORED_F32,
                               .rank = 2,
                               .data = (const unsigned char *)out,
                               .transposed = part->transposed,
                               .factor = 1};
    memcpy(merged.shape, w->shape, sizeof merged.shape);
    *find(m, w) = merged;
    return AN_OK;
}

static an_status merge_param(merger *m, const an_model_param *p)
{
    for (int k = 0; k < p->n_parts; k++) {
        const an_param_part *part = &p->parts[k];
        const char *a = an_adapter_part_name(m->arena, part->name, 'A');
        const char *b = an_adapter_part_name(m->arena, part->name, 'B');
        if (!a || !b) return no_memory(m->err);
        const an_stored_tensor *a_tensor = an_weight_file_use(m->f->weights, a);
        const an_stored_tensor *b_tensor = an_weight_file_use(m->f->weights, b);
        if (!a_tensor || !b_tensor) continue;
        an_status s = merge_part(m, part, a_tensor, b_tensor);
        if (s != AN_OK) return s;
    }
    return AN_OK;
}

static an_status merge_all(merger *m)
{
    an_status s = AN_OK;
    size_t n = (size_t)an_weight_file_count(m->base);
    m->list = an_arena_array(m->arena, n + 1, sizeof *m->list);
    if (!m->list) return no_memory(m->err);
    for (size_t i = 0; i < n; i++)
        m->list[i] = *an_weight_file_at(m->base, (int)i);
    for (int i = 0; s == AN_OK && i < m->model->n_params; i++)
        s = merge_param(m, &m->model->params[i]);
    return s;
}

an_status an_adapter_merge(const an_adapter_file *f, an_weight_file *base,
                           const an_model *model, an_arena *arena,
                           an_weight_file **out, an_error *err)
{
    an_model *adapted = NULL;
    merger m = {
        .f = f, .base = base, .model = model, .arena = arena, .err = err};
    /* The adapted model says which tensors the adapters must have. */
    an_status s = an_weight_file_check(base, model, err);
    if (s == AN_OK) s = an_model_new(&model->config, &adapted, err);
    if (s == AN_OK) s = an_model_adapt(adapted, &f->lora, err);
    if (s == AN_OK)
        s = an_weight_file_check_set(f->weights, adapted, AN_PARAMS_ADAPTERS,
                                     err);
    an_model_free(adapted);
    if (s == AN_OK) s = merge_all(&m);
    an_free(m.row);
    size_t n = (size_t)an_weight_file_count(base);
    return s == AN_OK
               ? an_weight_file_of_list(m.list, n, "merged weights", out, err)
               : s;
}
