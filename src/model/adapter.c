/*
 * Low-rank adapters as a transformation of a model: which matrices they are
 * for, and the parameters that they add.
 *
 * A parameter of the model may hold several matrices of weight files as rows
 * (q, k, v). Its adapters are two parameters: A [n rank, C] with the n adapted
 * ones' A below each other, and B [O, n rank] with their B as blocks: rows of
 * the part, columns of its A. What is beside the blocks is zero.
 */
#include "model/model.h"

#include <math.h>
#include <string.h>

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "lora: no memory");
}

/* ---- targets ---- */

/* A tensor's name without ".weight". */
static size_t stem_size(const char *name)
{
    static const char end[] = ".weight";
    size_t n = strlen(name), k = sizeof end - 1;
    return n > k && strcmp(name + n - k, end) == 0 ? n - k : n;
}

/* "attn.c_proj" is a target's name for "transformer.h.0.attn.c_proj.weight". */
static bool ends_with(const char *name, const char *target, size_t size)
{
    size_t n = stem_size(name);
    return size > 0 && n >= size &&
           memcmp(name + n - size, target, size) == 0 &&
           (n == size || name[n - size - 1] == '.');
}

static bool is_all(const char *word, size_t size)
{
    static const char all[] = "all-linear";
    return size == sizeof all - 1 && memcmp(word, all, size) == 0;
}

static bool is_target(const an_lora *lora, const an_param_part *part)
{
    if (part->file_rank != 2) return false;
    for (const char *at = lora->targets;;) {
        size_t size = strcspn(at, ",");
        if (is_all(at, size) || ends_with(part->name, at, size)) return true;
        if (!at[size]) return false;
        at += size + 1;
    }
}

/* Whether a layer has a matrix of that name. */
static bool exists(const an_model *m, const char *word, size_t size)
{
    if (is_all(word, size)) return true;
    for (int i = 0; i < m->n_params; i++) {
        const an_model_param *p = &m->params[i];
        for (int k = 0; p->layer >= 0 && k < p->n_parts; k++)
            if (p->parts[k].file_rank == 2 &&
                ends_with(p->parts[k].name, word, size))
                return true;
    }
    return false;
}

static an_status check(const an_model *m, const an_lora *lora, an_error *err)
{
    if (m->lora) return an_fail(err, AN_EINVAL, "lora: the model has adapters");
    if (lora->rank < 1 || lora->rank > AN_LORA_MAX_RANK)
        return an_fail(err, AN_EINVAL, "lora: rank %lld, expected 1 to %d",
                       (long long)lora->rank, AN_LORA_MAX_RANK);
    if (!isfinite(lora->scale) || lora->scale <= 0)
        return an_fail(err, AN_EINVAL, "lora: scale %g, expected more than 0",
                       lora->scale);
    if (lora->first_layer < 0 || lora->first_layer >= m->config.facts.n_layers)
        return an_fail(err, AN_EINVAL, "lora: the model has no layer %lld",
                       (long long)lora->first_layer);
    for (const char *at = lora->targets;;) {
        size_t size = strcspn(at, ",");
        if (!exists(m, at, size))
            return an_fail(err, AN_EINVAL,
                           "lora: no matrix of the layers is called '%.*s'",
                           size > 60 ? 60 : (int)size, at);
        if (!at[size]) return AN_OK;
        at += size + 1;
    }
}

static int count_targets(const an_lora *lora, const an_model_param *p)
{
    int n = 0;
    for (int k = 0; p->layer >= 0 && k < p->n_parts; k++)
        n += is_target(lora, &p->parts[k]);
    return n;
}

/* ---- parameters ---- */

const char *an_adapter_part_name(an_arena *arena, const char *part, char which)
{
    return an_arena_printf(arena, "base_model.model.%.*s.lora_%c.weight",
                           (int)stem_size(part), part, which);
}

/* Parts of A or B (`which`) for the n adapted parts of p. */
static an_param_part *make_parts(an_model *m, const an_model_param *p, int n,
                                 char which)
{
    int64_t rank = m->lora->rank;
    an_param_part *parts = an_arena_array(&m->arena, (size_t)n, sizeof *parts);
    int i = 0;
    for (int k = 0; parts && k < p->n_parts; k++) {
        const an_param_part *of = &p->parts[k];
        if (!is_target(m->lora, of)) continue;
        parts[i] = which == 'A' ? (an_param_part){.row = i * rank,
                                                  .rows = rank,
                                                  .columns = p->columns}
                                : (an_param_part){.row = of->row,
                                                  .rows = of->rows,
                                                  .column = i * rank,
                                                  .columns = rank};
        parts[i].file_rank = 2;
        parts[i].name = an_adapter_part_name(&m->arena, of->name, which);
        if (!parts[i].name) return NULL;
        i++;
    }
    return parts;
}

static an_status add_param(an_model *m, const an_model_param *p, int n,
                           char which, const char *port, an_error *err)
{
    int64_t inner = n * m->lora->rank;
    bool is_a = which == 'A';
    an_model_param x = {
        .name = an_arena_printf(&m->arena, "layers.%d.%s", p->layer, port),
        .port = port,
        .layer = p->layer,
        .block = p->block,
        .rows = is_a ? inner : p->rows,
        .columns = is_a ? p->columns : inner,
        .trained = p->layer >= m->lora->first_layer,
        .adapter = true,
        .decay = true,
        .parts = make_parts(m, p, n, which),
        .n_parts = n};
    if (!x.name || !x.parts) return no_memory(err);
    if (is_a && x.trained) x.init_bound = 1 / sqrt((double)p->columns);
    x.shape = AN_TENSOR(AN_FP32, 1, 1, x.rows, x.columns);
    m->params[m->n_params++] = x;
    return AN_OK;
}

const an_adapter *an_model_adapter(const an_model *model, int block,
                                   const char *port)
{
    for (int i = 0; i < model->n_adapters; i++)
        if (model->adapters[i].block == block &&
            strcmp(model->adapters[i].port, port) == 0)
            return &model->adapters[i];
    return NULL;
}

/* The names of p's adapters; made at the first layer that has them. */
static an_status add_adapter(an_model *m, const an_model_param *p, int n,
                             an_error *err)
{
    if (an_model_adapter(m, p->block, p->port)) return AN_OK;
    an_arena *a = &m->arena;
    an_adapter x = {.block = p->block,
                    .port = p->port,
                    .a = an_arena_printf(a, "%s_a", p->port),
                    .b = an_arena_printf(a, "%s_b", p->port),
                    .low = an_arena_printf(a, "%s_low", p->port),
                    .inner = n * m->lora->rank};
    if (!x.a || !x.b || !x.low) return no_memory(err);
    m->adapters[m->n_adapters++] = x;
    return AN_OK;
}

/* Behind the model's own, which are frozen. */
static an_status add_params(an_model *m, int n_own, an_error *err)
{
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < n_own; i++) {
        const an_model_param *p = &m->params[i];
        m->params[i].trained = false;
        int n = count_targets(m->lora, p);
        if (n == 0) continue;
        s = add_adapter(m, p, n, err);
        const an_adapter *x = an_model_adapter(m, p->block, p->port);
        if (s == AN_OK) s = add_param(m, p, n, 'A', x->a, err);
        if (s == AN_OK) s = add_param(m, p, n, 'B', x->b, err);
    }
    return s;
}

static an_status add_taps(an_model *m, an_error *err)
{
    int n_blocks = an_model_n_blocks(m);
    m->taps = an_arena_array(&m->arena, (size_t)n_blocks, sizeof *m->taps);
    if (!m->taps) return no_memory(err);
    for (int b = 0; b < n_blocks; b++) {
        const an_block_row *row = m->config.architecture->block(&m->config, b);
        size_t most = (size_t)(row->n_taps + m->n_adapters);
        an_taps *t = &m->taps[b];
        t->names = an_arena_array(&m->arena, most, sizeof *t->names);
        if (!t->names) return no_memory(err);
        for (int i = 0; i < row->n_taps; i++)
            t->names[t->n++] = row->taps[i];
        for (int i = 0; i < m->n_adapters; i++)
            if (m->adapters[i].block == b)
                t->names[t->n++] = m->adapters[i].low;
    }
    return AN_OK;
}

static an_status keep_lora(an_model *m, const an_lora *lora, an_error *err)
{
    an_lora *kept = an_arena_alloc(&m->arena, sizeof *kept);
    char *targets =
        an_arena_strndup(&m->arena, lora->targets, strlen(lora->targets));
    if (!kept || !targets) return no_memory(err);
    *kept = *lora;
    kept->targets = targets;
    m->lora = kept;
    return AN_OK;
}

an_status an_model_adapt(an_model *m, const an_lora *lora, an_error *err)
{
    an_lora l = *lora;
    if (!l.targets) l.targets = m->config.architecture->lora_targets;
    an_status s = check(m, &l, err);
    if (s == AN_OK) s = keep_lora(m, &l, err);
    if (s != AN_OK) return s;
    int n_own = m->n_params;
    an_model_param *own = m->params;
    size_t most = 3 * (size_t)n_own;
    m->params = an_arena_array(&m->arena, most, sizeof *m->params);
    m->adapters = an_arena_array(&m->arena, (size_t)n_own, sizeof *m->adapters);
    if (!m->params || !m->adapters) {
        m->params = own;
        return no_memory(err);
    }
    memcpy(m->params, own, (size_t)n_own * sizeof *own);
    s = add_params(m, n_own, err);
    return s == AN_OK ? add_taps(m, err) : s;
}

const an_lora *an_model_lora(const an_model *model)
{
    return model->lora;
}
