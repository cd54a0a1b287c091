/*
 * The parameters of a model: names, shapes, the tensors of weight files that
 * they are made of, and their first values.
 *
 * Initialisation: normal of standard deviation initializer_range; matrices
 * whose product is added to the residual stream divided by sqrt(2 L) (Radford
 * et al. 2019, GPT-2, section 2.3); norms one, biases zero.
 */
#include "model/model.h"

#include "base/rng.h"

#include <assert.h>
#include <math.h>

/* Stream of parameter i: this plus i ("init"). */
static const uint64_t init_stream = UINT64_C(0x696e6974) << 32;

/* The most that any architecture has. */
enum { PARAMS_PER_LAYER = 12, PARAMS_OF_NO_LAYER = 6 };

/* prefix, layer, name: "layers.3.w_o"; the name alone without a layer. */
static const char *full_name(an_lister *l, const char *prefix, int layer,
                             const char *name)
{
    an_arena *arena = &l->model->arena;
    const char *text =
        layer < 0 ? an_arena_printf(arena, "%s", name)
                  : an_arena_printf(arena, "%s.%d.%s", prefix, layer, name);
    if (!text) l->failed = true;
    return text;
}

/* Appends `p` with the parts; fills names, rows and counts. */
static void add(an_lister *l, an_model_param p, const an_part_spec *specs,
                int n, int file_rank)
{
    an_param_part *parts =
        an_arena_array(&l->model->arena, (size_t)n, sizeof *parts);
    assert(l->model->n_params < l->capacity);
    if (!parts) {
        l->failed = true;
        return;
    }
    for (int i = 0; i < n; i++) {
        const char *name =
            full_name(l, l->layer_prefix, p.layer, specs[i].name);
        parts[i] =
            (an_param_part){.name = name,
                            .row = p.rows,
                            .rows = specs[i].rows,
                            .columns = p.columns,
                            .file_rank = file_rank,
                            .transposed = file_rank == 2 && p.layer >= 0 &&
                                          l->order == AN_COLUMNS_FIRST};
        p.rows += specs[i].rows;
    }
    p.name = full_name(l, "layers", p.layer, p.name);
    p.parts = parts;
    p.n_parts = n;
    p.shape = file_rank == 1 ? AN_TENSOR(AN_FP32, 1, p.rows, 1, 1)
                             : AN_TENSOR(AN_FP32, 1, 1, p.rows, p.columns);
    l->model->config.facts.n_params += p.rows * p.columns;
    l->model->params[l->model->n_params++] = p;
}

void an_list_vector(an_lister *l, int layer, int block, const char *name,
                    const char *port, double mean, const an_part_spec *parts,
                    int n_parts)
{
    add(l,
        (an_model_param){.name = name,
                         .port = port,
                         .layer = layer,
                         .block = block,
                         .columns = 1,
                         .trained = true,
                         .init_mean = mean},
        parts, n_parts, 1);
}

void an_list_matrix(an_lister *l, int layer, int block, const char *port,
                    int64_t columns, double std, const an_part_spec *parts,
                    int n_parts)
{
    add(l,
        (an_model_param){.name = port,
                         .port = port,
                         .layer = layer,
                         .block = block,
                         .columns = columns,
                         .trained = true,
                         .decay = true,
                         .init_std = std},
        parts, n_parts, 2);
}

double an_list_residual_std(const an_config *c)
{
    return c->initializer_range / sqrt(2.0 * (double)c->facts.n_layers);
}

an_status an_model_list_params(an_model *model, an_error *err)
{
    const an_model_facts *f = &model->config.facts;
    size_t most = (size_t)f->n_layers * PARAMS_PER_LAYER + PARAMS_OF_NO_LAYER;
    an_lister l = {
        .config = &model->config, .model = model, .capacity = (int)most};
    model->config.facts.n_params = 0;
    model->params = an_arena_array(&model->arena, most, sizeof *model->params);
    if (!model->params) return an_fail(err, AN_ENOMEM, "model: no memory");
    model->config.architecture->list_params(&l);
    return l.failed ? an_fail(err, AN_ENOMEM, "model: no memory") : AN_OK;
}

bool an_param_in(const an_model_param *p, an_param_set set)
{
    if (set == AN_PARAMS_BASE) return !p->adapter;
    return p->trained && (p->adapter || set == AN_PARAMS_TRAINED);
}

int an_model_n_params(const an_model *model)
{
    return model->n_params;
}

const an_model_param *an_model_param_at(const an_model *model, int i)
{
    assert(i >= 0 && i < model->n_params);
    return &model->params[i];
}

void an_model_init_param(const an_model *model, int i, uint64_t seed,
                         int64_t begin, int64_t n, float *out)
{
    const an_model_param *p = an_model_param_at(model, i);
    if (p->init_bound > 0) {
        an_rng uniform = {seed, init_stream + (uint64_t)i, (uint64_t)begin};
        for (int64_t k = 0; k < n; k++)
            out[k] =
                (float)(p->init_bound * (2 * an_rng_uniform(&uniform) - 1));
        return;
    }
    /* A normal number takes two of the counter. */
    an_rng rng = {seed, init_stream + (uint64_t)i, 2 * (uint64_t)begin};
    for (int64_t k = 0; k < n; k++)
        out[k] = p->init_std == 0 ? (float)p->init_mean
                                  : (float)(p->init_std * an_rng_normal(&rng));
}
