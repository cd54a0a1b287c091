/*
 * Checkpoints of maderix/ANE ("BLZT"): version 2 of its static trainer, version
 * 4 of its dynamic one, all fp32, moments beside each tensor; and Orion's, with
 * the same magic and version 2 in another order. The two orders have one size;
 * they are told apart by which has norms where norms should be.
 *
 * Version 4's graph adds alpha (W_o ...) and alpha (W_2 ...), alpha =
 * 1 / sqrt(2 L): the factor goes into the weights. RoPE's pairs are neighbours;
 * eps 1e-5, theta 1e4. Sources: training_dynamic/train.m and stories_config.h
 * of maderix/ANE, checkpoint.m of mechramc/Orion.
 */
#include "model/weight_file_parts.h"

#include <math.h>
#include <string.h>

enum { MAGIC = 0x424C5A54, HEADER = 96, TENSORS = 9 };

static bool is_blzt(const unsigned char *data, size_t size)
{
    return size >= HEADER && an_file_int(data, 0) == MAGIC;
}

typedef struct model {
    an_model_facts facts;
    int64_t q; /* rows of Wq */
    double alpha;
} model;

typedef enum tensor { WQ, WK, WV, WO, W1, W2, W3, RMS_ATT, RMS_FFN } tensor;
static const char *const names[TENSORS] = {
    "model.layers.%d.self_attn.q_proj.weight",
    "model.layers.%d.self_attn.k_proj.weight",
    "model.layers.%d.self_attn.v_proj.weight",
    "model.layers.%d.self_attn.o_proj.weight",
    "model.layers.%d.mlp.gate_proj.weight",
    "model.layers.%d.mlp.down_proj.weight",
    "model.layers.%d.mlp.up_proj.weight",
    "model.layers.%d.input_layernorm.weight",
    "model.layers.%d.post_attention_layernorm.weight",
};
static const tensor maderix_order[TENSORS] = {WQ, WK, WV,      WO,     W1,
                                              W2, W3, RMS_ATT, RMS_FFN};
static const tensor orion_order[TENSORS] = {RMS_ATT, WQ, WK, WV, WO,
                                            RMS_FFN, W1, W3, W2};

static an_stored_tensor like(const model *m, tensor t)
{
    const an_model_facts *f = &m->facts;
    int64_t d = f->width, kv = f->n_kv_heads * f->head_dim;
    const int64_t shapes[TENSORS][2] = {
        {m->q, d},      {kv, d},        {kv, d}, {d, m->q}, {f->hidden, d},
        {d, f->hidden}, {f->hidden, d}, {d, 1},  {d, 1}};
    return (an_stored_tensor){.stored = AN_STORED_F32,
                              .rank = t >= RMS_ATT ? 1 : 2,
                              .shape = {shapes[t][0], shapes[t][1]},
                              .rope = t == WQ || t == WK ? f->head_dim : 0,
                              .factor = t == WO || t == W2 ? m->alpha : 1};
}

static an_status read_sizes(const an_weight_file *s, int version, model *m,
                            an_error *err)
{
    static const int64_t most[] = {1024, 1 << 24, 65536, 262144, 1024, 1 << 24};
    int64_t x[6];
    for (size_t i = 0; i < 6; i++) {
        x[i] = an_file_int(s->data, 4 + i);
        if (x[i] < 1 || x[i] > most[i])
            return an_fail(err, AN_EFORMAT, "BLZT header: int %zu is %lld",
                           4 + i, (long long)x[i]);
    }
    m->facts = (an_model_facts){.n_layers = x[0],
                                .vocab_size = x[1],
                                .width = x[2],
                                .hidden = x[3],
                                .n_heads = x[4],
                                .n_kv_heads = x[4],
                                .head_dim = x[2] / x[4],
                                .sequence = x[5],
                                .tied = true};
    if (version == 4) {
        m->facts.n_kv_heads = an_file_int(s->data, 21);
        m->facts.head_dim = an_file_int(s->data, 22);
    }
    if (m->facts.n_kv_heads != m->facts.n_heads)
        return an_fail(err, AN_EUNSUPPORTED,
                       "BLZT: %lld heads share %lld key-value heads in an "
                       "order of their own, which is not read",
                       (long long)x[4], (long long)m->facts.n_kv_heads);
    if (m->facts.head_dim < 2 || m->facts.head_dim > 4096 ||
        m->facts.head_dim % 2 != 0 || (version == 2 && x[2] % x[4] != 0))
        return an_fail(err, AN_EFORMAT, "BLZT header: sizes fit no model");
    m->q = m->facts.n_heads * m->facts.head_dim;
    m->alpha = version == 4 ? 1 / sqrt(2.0 * (double)x[0]) : 1;
    return AN_OK;
}

/* One tensor of layer i, and with `copies` its moments behind it. */
static void take(an_file_walk *w, const char *name, int64_t i,
                 const an_stored_tensor *t, uint64_t copies)
{
    char text[128];
    const char *mark = strstr(name, "%d");
    if (mark)
        snprintf(text, sizeof text, "%.*s%lld%s", (int)(mark - name), name,
                 (long long)i, mark + 2);
    else
        snprintf(text, sizeof text, "%s", name);
    an_walk_tensors(w, text, 1, t);
    an_walk_take(w, copies * an_stored_bytes(t), 1, text);
}

static void take_layer(an_file_walk *w, const model *m, int64_t i,
                       const tensor *order, uint64_t copies)
{
    for (int k = 0; k < TENSORS; k++) {
        const an_stored_tensor t = like(m, order[k]);
        take(w, names[order[k]], i, &t, copies);
    }
}

static void take_ends(an_file_walk *w, const model *m, bool norm_first,
                      uint64_t copies)
{
    const an_stored_tensor norm = {
        .stored = AN_STORED_F32, .rank = 1, .shape = {m->facts.width}};
    const an_stored_tensor embed = {
        .stored = AN_STORED_F32,
        .rank = 2,
        .shape = {m->facts.vocab_size, m->facts.width}};
    if (norm_first) take(w, "model.norm.weight", 0, &norm, copies);
    take(w, "model.embed_tokens.weight", 0, &embed, copies);
    if (!norm_first) take(w, "model.norm.weight", 0, &norm, copies);
}

static uint64_t layer_bytes(const model *m)
{
    uint64_t bytes = 0;
    for (int k = 0; k < TENSORS; k++) {
        const an_stored_tensor t = like(m, (tensor)k);
        bytes += an_stored_bytes(&t);
    }
    return bytes;
}

/* Mean magnitude of D floats at an offset of the file. */
static double magnitude(const an_weight_file *s, const model *m, uint64_t at)
{
    double sum = 0;
    size_t d = (size_t)m->facts.width;
    if (at > s->size || 4 * d > s->size - at) return 0;
    for (size_t i = 0; i < d; i++)
        sum += fabs((double)an_file_float(s->data + at, i));
    return sum / (double)d;
}

/* Where each order has the first norm, the other one has part of a matrix:
 * norms stay near 1, elements of matrices are small. */
static bool is_orion(const an_weight_file *s, const model *m)
{
    uint64_t norms = 2 * (uint64_t)m->facts.width * 4;
    double first = magnitude(s, m, HEADER);
    double ninth = magnitude(s, m, HEADER + 3 * (layer_bytes(m) - norms));
    return first > ninth;
}

static an_status list(an_weight_file *s, an_error *err)
{
    model m = {.q = 0};
    int version = an_file_int(s->data, 1);
    if (version != 2 && version != 4)
        return an_fail(err, AN_EUNSUPPORTED, "BLZT version %d, expected 2 or 4",
                       version);
    an_status status = read_sizes(s, version, &m, err);
    if (status != AN_OK) return status;
    bool orion = version == 2 && is_orion(s, &m);
    const tensor *order = orion ? orion_order : maderix_order;
    an_file_walk w = {.s = s, .at = HEADER, .err = err};
    for (int64_t i = 0; i < m.facts.n_layers && w.status == AN_OK; i++)
        take_layer(&w, &m, i, order, orion ? 0 : 2);
    if (orion) {
        an_walk_take(&w, 2 * layer_bytes(&m), (uint64_t)m.facts.n_layers,
                     "moments");
        take_ends(&w, &m, false, 0);
        an_walk_take(&w,
                     2 * (uint64_t)m.facts.width *
                         (uint64_t)(m.facts.vocab_size + 1),
                     4, "moments");
    } else {
        take_ends(&w, &m, true, 2);
    }
    if (w.status == AN_OK && w.at != s->size)
        return an_fail(err, AN_EFORMAT,
                       "%zu bytes, of which the header explains %zu", s->size,
                       w.at);
    an_weight_file_set_llama(s, &m.facts, 1e-5, 1e4);
    return w.status;
}

const an_weight_format an_weight_format_blzt = {
    .name = "BLZT", .is = is_blzt, .list = list};
