/*
 * llama2.c's .bin: v0 without magic (its size tells), v1 fp32 and v2 int8 in
 * groups. RoPE's pairs are neighbours; eps is 1e-5, theta 1e4. Source:
 * karpathy/llama2.c, export.py and run.c.
 */
#include "model/weight_file_parts.h"

#include <string.h>

enum { MAGIC = 0x616b3432, INTS = 7, V0_HEADER = 28, HEADER = 256 };

typedef struct header {
    an_model_facts facts;
    int64_t kv;    /* columns of k and v */
    int64_t group; /* of v2; else 0 */
} header;

/* dim, hidden, layers, heads, kv heads, vocabulary, sequence; false when they
 * are no sizes of a model. */
static bool read_ints(const unsigned char *data, size_t at, header *h)
{
    static const int64_t most[INTS] = {65536, 262144,  1024,   1024,
                                       1024,  1 << 24, 1 << 24};
    int64_t x[INTS];
    for (size_t i = 0; i < INTS; i++) {
        x[i] = an_file_int(data + at, i);
        if (i == 5 && x[i] < 0) x[i] = -x[i];
        if (x[i] < 1 || x[i] > most[i]) return false;
    }
    if (x[0] % x[3] != 0 || x[3] % x[4] != 0 || x[0] / x[3] % 2 != 0)
        return false;
    *h = (header){.facts = {.width = x[0],
                            .hidden = x[1],
                            .n_layers = x[2],
                            .n_heads = x[3],
                            .n_kv_heads = x[4],
                            .head_dim = x[0] / x[3],
                            .vocab_size = x[5],
                            .sequence = x[6]}};
    h->kv = h->facts.head_dim * h->facts.n_kv_heads;
    return true;
}

/* ---- tensors ---- */

static an_stored_tensor matrix(int64_t rows, int64_t columns, int64_t group)
{
    return (an_stored_tensor){.stored =
                                  group ? AN_STORED_GROUPS : AN_STORED_F32,
                              .rank = 2,
                              .shape = {rows, columns},
                              .group = group};
}

static an_stored_tensor vector(int64_t rows)
{
    return (an_stored_tensor){
        .stored = AN_STORED_F32, .rank = 1, .shape = {rows}};
}

static void take_norms(an_file_walk *w, const header *h, const char *name)
{
    const an_stored_tensor norm = vector(h->facts.width);
    an_walk_tensors(w, name, h->facts.n_layers, &norm);
}

static void take_matrices(an_file_walk *w, const header *h, const char *name,
                          int64_t rows, int64_t columns, int64_t rope)
{
    an_stored_tensor m = matrix(rows, columns, h->group);
    m.rope = rope;
    an_walk_tensors(w, name, strchr(name, '%') ? h->facts.n_layers : 1, &m);
}

static const char ATT_NORM[] = "model.layers.%d.input_layernorm.weight";
static const char FFN_NORM[] =
    "model.layers.%d.post_attention_layernorm.weight";
static const char FINAL_NORM[] = "model.norm.weight";
static const char EMBED[] = "model.embed_tokens.weight";

static void take_attention(an_file_walk *w, const header *h)
{
    int64_t d = h->facts.width, hd = h->facts.head_dim;
    take_matrices(w, h, "model.layers.%d.self_attn.q_proj.weight", d, d, hd);
    take_matrices(w, h, "model.layers.%d.self_attn.k_proj.weight", h->kv, d,
                  hd);
    take_matrices(w, h, "model.layers.%d.self_attn.v_proj.weight", h->kv, d, 0);
    take_matrices(w, h, "model.layers.%d.self_attn.o_proj.weight", d, d, 0);
}

static void take_mlp(an_file_walk *w, const header *h)
{
    int64_t d = h->facts.width, f = h->facts.hidden;
    take_matrices(w, h, "model.layers.%d.mlp.gate_proj.weight", f, d, 0);
    take_matrices(w, h, "model.layers.%d.mlp.down_proj.weight", d, f, 0);
    take_matrices(w, h, "model.layers.%d.mlp.up_proj.weight", f, d, 0);
}

static void take_final_norm(an_file_walk *w, const header *h)
{
    const an_stored_tensor norm = vector(h->facts.width);
    an_walk_tensors(w, FINAL_NORM, 1, &norm);
}

static void take_classifier(an_file_walk *w, const header *h)
{
    if (!h->facts.tied)
        take_matrices(w, h, "lm_head.weight", h->facts.vocab_size,
                      h->facts.width, 0);
}

/* ---- versions ---- */

static void walk_v0(an_file_walk *w, const header *h)
{
    const an_model_facts *f = &h->facts;
    take_matrices(w, h, EMBED, f->vocab_size, f->width, 0);
    take_norms(w, h, ATT_NORM);
    take_attention(w, h);
    take_norms(w, h, FFN_NORM);
    take_mlp(w, h);
    take_final_norm(w, h);
    /* Tables of cosines and sines, which follow from the sizes. */
    an_walk_take(w, (uint64_t)f->sequence * (uint64_t)f->head_dim, 4,
                 "RoPE tables");
    take_classifier(w, h);
}

static void walk_v12(an_file_walk *w, const header *h)
{
    take_norms(w, h, ATT_NORM);
    take_norms(w, h, FFN_NORM);
    take_final_norm(w, h);
    take_matrices(w, h, EMBED, h->facts.vocab_size, h->facts.width, 0);
    take_attention(w, h);
    take_mlp(w, h);
    take_classifier(w, h);
}

/* Bytes of v0's file, in fp64 since the sizes are anyone's. */
static double v0_bytes(const header *h)
{
    const an_model_facts *f = &h->facts;
    double d = (double)f->width, kv = (double)h->kv;
    double layer = 2 * d + 2 * d * d + 2 * kv * d + 3 * d * (double)f->hidden;
    double embed = (double)f->vocab_size * d * (f->tied ? 1 : 2);
    double tables = (double)f->sequence * (double)f->head_dim;
    return V0_HEADER + 4 * (embed + (double)f->n_layers * layer + d + tables);
}

static bool read_v0(const unsigned char *data, size_t size, header *h)
{
    if (size < V0_HEADER || !read_ints(data, 0, h)) return false;
    h->facts.tied = an_file_int(data, 5) > 0;
    return v0_bytes(h) == (double)size;
}

static bool is_llama2c(const unsigned char *data, size_t size)
{
    header h;
    return size >= HEADER && an_file_int(data, 0) == MAGIC
               ? true
               : read_v0(data, size, &h);
}

static an_status read_header(const an_weight_file *s, int version, header *h,
                             an_error *err)
{
    if (version != 1 && version != 2)
        return an_fail(err, AN_EUNSUPPORTED,
                       "llama2.c version %d, expected 0, 1 or 2", version);
    if (!read_ints(s->data, 8, h))
        return an_fail(err, AN_EFORMAT, "llama2.c header: sizes fit no model");
    h->facts.tied = s->data[36] != 0;
    if (version == 1) return AN_OK;
    h->group = an_file_int(s->data + 37, 0);
    if (h->group < 1 || h->facts.width % h->group != 0 ||
        h->facts.hidden % h->group != 0)
        return an_fail(err, AN_EFORMAT,
                       "llama2.c header: group size is %lld, expected a "
                       "divisor of %lld and %lld",
                       (long long)h->group, (long long)h->facts.width,
                       (long long)h->facts.hidden);
    return AN_OK;
}

static an_status list(an_weight_file *s, an_error *err)
{
    header h = {.group = 0};
    bool v0 = an_file_int(s->data, 0) != MAGIC;
    an_status status = AN_OK;
    if (v0)
        read_v0(s->data, s->size, &h);
    else
        status = read_header(s, an_file_int(s->data, 1), &h, err);
    if (status != AN_OK) return status;
    an_file_walk w = {.s = s, .at = v0 ? V0_HEADER : HEADER, .err = err};
    if (v0)
        walk_v0(&w, &h);
    else
        walk_v12(&w, &h);
    if (w.status == AN_OK && w.at != s->size)
        return an_fail(err, AN_EFORMAT,
                       "%zu bytes, of which the header explains %zu", s->size,
                       w.at);
    an_weight_file_set_llama(s, &h.facts, 1e-5, 1e4);
    return w.status;
}

const an_weight_format an_weight_format_llama2c = {
    .name = "llama2.c", .is = is_llama2c, .list = list};
