/*
 * The parameters of a model: names, shapes, the tensors of weight files that
 * they are made of, and their first values.
 *
 * Initialisation: normal of standard deviation initializer_range; matrices
 * whose product is added to the residual stream (w_o, w_down) divided by
 * sqrt(2 L) (Radford et al. 2019, GPT-2, section 2.3); norms one.
 */
#include "model/model.h"

#include "base/rng.h"

#include <assert.h>
#include <math.h>

/* Stream of parameter i: this plus i ("init"). */
static const uint64_t init_stream = UINT64_C(0x696e6974) << 32;

enum { PARAMS_PER_LAYER = 6, BLOCK_ATTENTION = 0, BLOCK_MLP = 1 };

typedef struct lister {
    an_model *model;
    bool failed; /* no memory */
} lister;

/* A tensor of a weight file: its name after the layer's, and its rows. */
typedef struct part_spec {
    const char *name;
    int64_t rows;
} part_spec;

/* prefix, layer, name: "layers.3.w_o"; the name alone without a layer. */
static const char *full_name(lister *l, const char *prefix, int layer,
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
static void add(lister *l, an_model_param p, const part_spec *specs, int n,
                int file_rank)
{
    an_param_part *parts =
        an_arena_array(&l->model->arena, (size_t)n, sizeof *parts);
    if (!parts) {
        l->failed = true;
        return;
    }
    for (int i = 0; i < n; i++) {
        const char *name = full_name(l, "model.layers", p.layer, specs[i].name);
        parts[i] = (an_param_part){.name = name,
                                   .row = p.rows,
                                   .rows = specs[i].rows,
                                   .file_rank = file_rank};
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

static void add_norm(lister *l, int layer, int block, const char *name,
                     const char *file_name)
{
    const part_spec part = {file_name, l->model->config.facts.width};
    add(l,
        (an_model_param){.name = name,
                         .port = "norm",
                         .layer = layer,
                         .block = block,
                         .columns = 1},
        &part, 1, 1);
}

static void add_matrix(lister *l, int layer, int block, const char *port,
                       int64_t columns, double std, const part_spec *parts,
                       int n_parts)
{
    add(l,
        (an_model_param){.name = port,
                         .port = port,
                         .layer = layer,
                         .block = block,
                         .columns = columns,
                         .decay = true,
                         .init_std = std},
        parts, n_parts, 2);
}

static void add_layer(lister *l, int layer)
{
    const an_config *c = &l->model->config;
    const an_model_facts *f = &c->facts;
    int64_t q = f->n_heads * f->head_dim, kv = f->n_kv_heads * f->head_dim;
    double std = c->initializer_range;
    double residual_std = std / sqrt(2.0 * (double)f->n_layers);
    const part_spec qkv[] = {{"self_attn.q_proj.weight", q},
                             {"self_attn.k_proj.weight", kv},
                             {"self_attn.v_proj.weight", kv}};
    const part_spec o = {"self_attn.o_proj.weight", f->width};
    const part_spec gate_up[] = {{"mlp.gate_proj.weight", f->hidden},
                                 {"mlp.up_proj.weight", f->hidden}};
    const part_spec down = {"mlp.down_proj.weight", f->width};
    add_norm(l, layer, BLOCK_ATTENTION, "attention_norm",
             "input_layernorm.weight");
    add_matrix(l, layer, BLOCK_ATTENTION, "w_qkv", f->width, std, qkv, 3);
    add_matrix(l, layer, BLOCK_ATTENTION, "w_o", q, residual_std, &o, 1);
    add_norm(l, layer, BLOCK_MLP, "mlp_norm",
             "post_attention_layernorm.weight");
    add_matrix(l, layer, BLOCK_MLP, "w_gate_up", f->width, std, gate_up, 2);
    add_matrix(l, layer, BLOCK_MLP, "w_down", f->hidden, residual_std, &down,
               1);
}

an_status an_model_list_params(an_model *model, an_error *err)
{
    const an_model_facts *f = &model->config.facts;
    double std = model->config.initializer_range;
    const part_spec embed = {"model.embed_tokens.weight", f->vocab_size};
    const part_spec head = {"lm_head.weight", f->vocab_size};
    size_t most = (size_t)f->n_layers * PARAMS_PER_LAYER + 3;
    lister l = {.model = model};
    model->config.facts.n_params = 0;
    model->params = an_arena_array(&model->arena, most, sizeof *model->params);
    if (!model->params) return an_fail(err, AN_ENOMEM, "model: no memory");
    add_matrix(&l, -1, AN_BLOCK_EMBED, "embed", f->width, std, &embed, 1);
    for (int i = 0; i < f->n_layers; i++)
        add_layer(&l, i);
    add_norm(&l, -1, AN_BLOCK_HEAD, "final_norm", "model.norm.weight");
    if (!f->tied)
        add_matrix(&l, -1, AN_BLOCK_HEAD, "head", f->width, std, &head, 1);
    return l.failed ? an_fail(err, AN_ENOMEM, "model: no memory") : AN_OK;
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
    /* A normal number takes two of the counter. */
    an_rng rng = {seed, init_stream + (uint64_t)i, 2 * (uint64_t)begin};
    for (int64_t k = 0; k < n; k++)
        out[k] = p->init_std == 0 ? 1.0F
                                  : (float)(p->init_std * an_rng_normal(&rng));
}
