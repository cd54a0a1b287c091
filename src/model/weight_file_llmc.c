/*
 * llm.c's GPT-2: 256 ints, then every tensor for all layers, in fp32 (version
 * 3) or bf16 (5); matrices [outputs, inputs]; the embedding has rows beyond the
 * vocabulary, which are left out. Source: karpathy/llm.c, train_gpt2.py.
 */
#include "model/weight_file_parts.h"

#include <string.h>

enum { MAGIC = 20240326, HEADER = 1024 };

static bool is_llmc(const unsigned char *data, size_t size)
{
    return size >= HEADER && an_file_int(data, 0) == MAGIC;
}

typedef struct model {
    an_model_facts facts;
    int64_t padded; /* rows of the embedding */
    an_stored stored;
} model;

static an_status read_header(const an_weight_file *s, model *m, an_error *err)
{
    static const int64_t most[] = {1 << 24, 1 << 24, 1024,
                                   1024,    65536,   1 << 24};
    int64_t x[6];
    int version = an_file_int(s->data, 1);
    if (version != 3 && version != 5)
        return an_fail(err, AN_EUNSUPPORTED,
                       "llm.c version %d, expected 3 (fp32) or 5 (bf16)",
                       version);
    for (size_t i = 0; i < 6; i++) {
        x[i] = an_file_int(s->data, 2 + i);
        if (x[i] < 1 || x[i] > most[i])
            return an_fail(err, AN_EFORMAT, "llm.c header: int %zu is %lld",
                           2 + i, (long long)x[i]);
    }
    if (x[4] % x[3] != 0 || x[5] < x[1])
        return an_fail(err, AN_EFORMAT, "llm.c header: sizes fit no model");
    m->facts = (an_model_facts){.positions = x[0],
                                .sequence = x[0],
                                .vocab_size = x[1],
                                .n_layers = x[2],
                                .n_heads = x[3],
                                .n_kv_heads = x[3],
                                .width = x[4],
                                .head_dim = x[4] / x[3],
                                .hidden = 4 * x[4],
                                .tied = true};
    m->padded = x[5];
    m->stored = version == 3 ? AN_STORED_F32 : AN_STORED_BF16;
    return AN_OK;
}

static void take_vector(an_file_walk *w, const model *m, const char *name,
                        int64_t rows)
{
    const an_stored_tensor t = {
        .stored = m->stored, .rank = 1, .shape = {rows}};
    an_walk_tensors(w, name, strchr(name, '%') ? m->facts.n_layers : 1, &t);
}

/* W [rows, columns], whose shape in Hugging Face's file is the transpose. */
static void take_matrix(an_file_walk *w, const model *m, const char *name,
                        int64_t rows, int64_t columns)
{
    const an_stored_tensor t = {.stored = m->stored,
                                .rank = 2,
                                .shape = {columns, rows},
                                .transposed = true};
    an_walk_tensors(w, name, m->facts.n_layers, &t);
}

static void take_embeddings(an_file_walk *w, const model *m)
{
    const an_model_facts *f = &m->facts;
    an_stored_tensor t = {
        .stored = m->stored, .rank = 2, .shape = {f->vocab_size, f->width}};
    an_walk_tensors(w, "transformer.wte.weight", 1, &t);
    an_walk_take(w, (uint64_t)((m->padded - f->vocab_size) * f->width),
                 m->stored == AN_STORED_F32 ? 4 : 2, "rows of padding");
    t.shape[0] = f->positions;
    an_walk_tensors(w, "transformer.wpe.weight", 1, &t);
}

static void walk(an_file_walk *w, const model *m)
{
    int64_t c = m->facts.width;
    take_embeddings(w, m);
    take_vector(w, m, "transformer.h.%d.ln_1.weight", c);
    take_vector(w, m, "transformer.h.%d.ln_1.bias", c);
    take_matrix(w, m, "transformer.h.%d.attn.c_attn.weight", 3 * c, c);
    take_vector(w, m, "transformer.h.%d.attn.c_attn.bias", 3 * c);
    take_matrix(w, m, "transformer.h.%d.attn.c_proj.weight", c, c);
    take_vector(w, m, "transformer.h.%d.attn.c_proj.bias", c);
    take_vector(w, m, "transformer.h.%d.ln_2.weight", c);
    take_vector(w, m, "transformer.h.%d.ln_2.bias", c);
    take_matrix(w, m, "transformer.h.%d.mlp.c_fc.weight", 4 * c, c);
    take_vector(w, m, "transformer.h.%d.mlp.c_fc.bias", 4 * c);
    take_matrix(w, m, "transformer.h.%d.mlp.c_proj.weight", c, 4 * c);
    take_vector(w, m, "transformer.h.%d.mlp.c_proj.bias", c);
    take_vector(w, m, "transformer.ln_f.weight", c);
    take_vector(w, m, "transformer.ln_f.bias", c);
}

static an_status list(an_weight_file *s, an_error *err)
{
    model m = {.padded = 0};
    an_status status = read_header(s, &m, err);
    if (status != AN_OK) return status;
    an_file_walk w = {.s = s, .at = HEADER, .err = err};
    walk(&w, &m);
    if (w.status == AN_OK && w.at != s->size)
        return an_fail(err, AN_EFORMAT,
                       "%zu bytes, of which the header explains %zu", s->size,
                       w.at);
    s->config = (an_config){.architecture = &an_architecture_gpt2,
                            .facts = m.facts,
                            .norm_epsilon = 1e-5,
                            .initializer_range = 0.02};
    s->has_config = true;
    return w.status;
}

const an_weight_format an_weight_format_llmc = {
    .name = "llm.c", .is = is_llmc, .list = list};
