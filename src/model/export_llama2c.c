/*
 * llama2.c's files: v0 in fp32, which `run` reads, and v2 in int8 groups, which
 * `runq` reads. Source: karpathy/llama2.c, export.py. It knows one model: RoPE
 * of theta 1e4, eps 1e-5, heads of D / H, no biases, no norms of heads.
 */
#include "model/export_parts.h"

#include "model/llama.h"

#include <math.h>
#include <string.h>

enum { MAGIC = 0x616b3432, HEADER = 256, GROUP = 64 };

static an_status check(const an_export *x)
{
    const an_config *c = &x->model->config;
    const an_model_facts *f = &c->facts;
    const char *what = NULL;
    if (!c->variant || c->variant->qkv != AN_QKV_PLAIN ||
        c->variant->qk != AN_QK_PLAIN)
        what = "another architecture than Llama";
    else if (c->rope.kind != AN_ROPE_DEFAULT || c->rope.theta != 1e4)
        what = "RoPE of another theta than 1e4, or a stretched one";
    else if (fabs(c->norm_epsilon - 1e-5) > 1e-8)
        what = "another epsilon than 1e-5";
    else if (f->head_dim * f->n_heads != f->width)
        what = "a head_dim that is not width / heads";
    else if (x->dtype != AN_EXPORT_F32 && x->dtype != AN_EXPORT_Q8_0)
        what = "other types than f32 and q8_0";
    if (!what) return AN_OK;
    return an_fail(x->err, AN_EUNSUPPORTED, "export: llama2c cannot hold %s",
                   what);
}

static void put_int(unsigned char *to, int64_t x)
{
    int32_t v = (int32_t)x;
    memcpy(to, &v, sizeof v);
}

static void put_sizes(const an_export *x, unsigned char *to, int64_t vocabulary)
{
    const an_model_facts *f = &x->model->config.facts;
    const int64_t sizes[] = {f->width,      f->hidden,  f->n_layers, f->n_heads,
                             f->n_kv_heads, vocabulary, f->sequence};
    for (int i = 0; i < 7; i++)
        put_int(to + 4 * i, sizes[i]);
}

/* ---- values ---- */

/* int8 values of the whole part, then a scale a group. */
static an_status put_groups(an_export *x, const an_model_param *p,
                            const an_param_part *part, an_export_rope rope,
                            int64_t group)
{
    an_status s = AN_OK;
    int64_t groups = p->columns / group;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t r = 0; s == AN_OK && r < part->rows; r++) {
            const float *row = an_export_row(x, p, part, rope, r);
            for (int64_t g = 0; g < groups; g++) {
                float largest = 0;
                for (int64_t i = 0; i < group; i++)
                    largest = fmaxf(largest, fabsf(row[g * group + i]));
                float scale = largest / 127;
                if (pass == 1) memcpy(x->bytes + 4 * g, &scale, sizeof scale);
                for (int64_t i = 0; pass == 0 && i < group; i++)
                    x->bytes[g * group + i] = (unsigned char)(int8_t)lrintf(
                        scale > 0 ? row[g * group + i] / scale : 0);
            }
            s = an_export_put(x, x->bytes,
                              (size_t)(pass ? 4 * groups : p->columns));
        }
    an_weight_file_forget(x->from, an_weight_file_use(x->from, part->name));
    return s;
}

typedef struct item {
    const char *end; /* of the tensor's name */
    an_export_rope rope;
} item;
static const item attention[] = {{"q_proj.weight", AN_ROPE_PAIRS},
                                 {"k_proj.weight", AN_ROPE_PAIRS},
                                 {"v_proj.weight", AN_ROPE_HALVES},
                                 {"o_proj.weight", AN_ROPE_HALVES}};
static const item mlp[] = {{"gate_proj.weight", AN_ROPE_HALVES},
                           {"down_proj.weight", AN_ROPE_HALVES},
                           {"up_proj.weight", AN_ROPE_HALVES}};
static const item att_norm = {"input_layernorm.weight", AN_ROPE_HALVES};
static const item ffn_norm = {"post_attention_layernorm.weight",
                              AN_ROPE_HALVES};
static const item final_norm = {"model.norm.weight", AN_ROPE_HALVES};
static const item embed = {"embed_tokens.weight", AN_ROPE_HALVES};
static const item classifier = {"lm_head.weight", AN_ROPE_HALVES};

static an_status put_one(an_export *x, int layer, const item *what,
                         int64_t group)
{
    const an_model_param *p = NULL;
    const an_param_part *part = an_export_find(x, layer, what->end, &p);
    if (!part) /* the model was checked */
        return an_fail(x->err, AN_EUNSUPPORTED, "export: no %s", what->end);
    return group > 0 && part->file_rank == 2
               ? put_groups(x, p, part, what->rope, group)
               : an_export_part(x, p, part, what->rope, AN_EXPORT_F32);
}

/* The same tensors of all layers, one after the other. */
static an_status put_layers(an_export *x, const item *items, int n,
                            int64_t group)
{
    an_status s = AN_OK;
    for (int i = 0; i < n; i++)
        for (int l = 0; s == AN_OK && l < x->model->config.facts.n_layers; l++)
            s = put_one(x, l, &items[i], group);
    return s;
}

/* cos, then sin, [T, hd / 2]; run does not read them. */
static an_status put_tables(an_export *x)
{
    const an_model_facts *f = &x->model->config.facts;
    an_status s = AN_OK;
    for (int sine = 0; sine < 2; sine++)
        for (int64_t t = 0; s == AN_OK && t < f->sequence; t++) {
            for (int64_t i = 0; i < f->head_dim / 2; i++) {
                double share = 2.0 * (double)i / (double)f->head_dim;
                double a = (double)t * pow(1e4, -share);
                x->row[i] = (float)(sine ? sin(a) : cos(a));
            }
            s = an_export_put(x, x->row, 4 * (size_t)(f->head_dim / 2));
        }
    return s;
}

/* ---- versions ---- */

static an_status export_v0(an_export *x)
{
    const an_model_facts *f = &x->model->config.facts;
    unsigned char header[28];
    put_sizes(x, header, f->tied ? f->vocab_size : -f->vocab_size);
    an_status s = an_export_put(x, header, sizeof header);
    if (s == AN_OK) s = put_one(x, -1, &embed, 0);
    if (s == AN_OK) s = put_layers(x, &att_norm, 1, 0);
    if (s == AN_OK) s = put_layers(x, attention, 4, 0);
    if (s == AN_OK) s = put_layers(x, &ffn_norm, 1, 0);
    if (s == AN_OK) s = put_layers(x, mlp, 3, 0);
    if (s == AN_OK) s = put_one(x, -1, &final_norm, 0);
    if (s == AN_OK) s = put_tables(x);
    if (s == AN_OK && !f->tied) s = put_one(x, -1, &classifier, 0);
    return s;
}

/* The largest group of at most 64 that divides all rows. */
static int64_t group_of(const an_model_facts *f)
{
    int64_t g = GROUP;
    while (g > 1 &&
           (f->width % g || f->hidden % g || f->n_heads * f->head_dim % g))
        g /= 2;
    return g;
}

static an_status export_v2(an_export *x)
{
    const an_model_facts *f = &x->model->config.facts;
    unsigned char header[HEADER] = {0};
    int64_t group = group_of(f);
    put_int(header, MAGIC);
    put_int(header + 4, 2);
    put_sizes(x, header + 8, f->vocab_size);
    header[36] = f->tied;
    put_int(header + 37, group);
    an_status s = an_export_put(x, header, sizeof header);
    if (s == AN_OK) s = put_layers(x, &att_norm, 1, 0);
    if (s == AN_OK) s = put_layers(x, &ffn_norm, 1, 0);
    if (s == AN_OK) s = put_one(x, -1, &final_norm, 0);
    if (s == AN_OK) s = put_one(x, -1, &embed, group);
    if (s == AN_OK) s = put_layers(x, attention, 4, group);
    if (s == AN_OK) s = put_layers(x, mlp, 3, group);
    if (s == AN_OK && !f->tied) s = put_one(x, -1, &classifier, group);
    return s;
}

an_status an_export_llama2c(an_export *x)
{
    an_status s = check(x);
    if (s != AN_OK) return s;
    return x->dtype == AN_EXPORT_F32 ? export_v0(x) : export_v2(x);
}
