/*
 * GGUF, version 3: keys, tensors' heads, then their data, each at a multiple of
 * 32. Matrices have the chosen type, vectors stay fp32. Source: docs/gguf.md of
 * ggml-org/ggml. The tokenizer's keys are given; without them "no_vocab" is
 * llama.cpp's word for a model that takes and gives ids (src/llama-vocab.cpp).
 */
#include "model/export_parts.h"

#include "model/llama.h"

#include <string.h>

enum { ALIGN = 32, VERSION = 3, U32 = 4, F32 = 6, STRING = 8 };

/* ggml's numbers of our types, and general.file_type's. */
static const uint32_t ggml_types[] = {0, 1, 30, 8};
static const uint32_t file_types[] = {0, 1, 32, 7};

typedef struct writer {
    an_export *x;
    an_status status;
    uint64_t at;     /* bytes written */
    uint64_t n_keys; /* written, or, before, counted */
    bool counts;     /* nothing is written yet */
} writer;

static void put(writer *w, const void *data, size_t size)
{
    if (w->counts) return;
    if (w->status == AN_OK) w->status = an_export_put(w->x, data, size);
    w->at += size;
}

static void put_u32(writer *w, uint32_t v)
{
    put(w, &v, sizeof v);
}

static void put_u64(writer *w, uint64_t v)
{
    put(w, &v, sizeof v);
}

static void put_text(writer *w, const char *text)
{
    put_u64(w, strlen(text));
    put(w, text, strlen(text));
}

/* "block_count" is "llama.block_count"; general's and the tokenizer's names are
 * whole. */
static void put_key(writer *w, const char *name, uint32_t type)
{
    char key[96];
    bool whole = strncmp(name, "general.", 8) == 0 ||
                 strncmp(name, "tokenizer.", 10) == 0;
    snprintf(key, sizeof key, "%s.%s",
             an_gguf_architecture(&w->x->model->config), name);
    w->n_keys++;
    put_text(w, whole ? name : key);
    put_u32(w, type);
}

static void key_int(writer *w, const char *name, int64_t v)
{
    put_key(w, name, U32);
    put_u32(w, (uint32_t)v);
}

static void key_real(writer *w, const char *name, double v)
{
    float x = (float)v;
    put_key(w, name, F32);
    put(w, &x, sizeof x);
}

static void key_text(writer *w, const char *name, const char *v)
{
    put_key(w, name, STRING);
    put_text(w, v);
}

/* Llama 3's frequencies are a tensor of what each is divided by. */
static bool has_factors(const an_config *c)
{
    return c->variant && c->rope.kind == AN_ROPE_LLAMA3;
}

static void put_keys(writer *w)
{
    const an_config *c = &w->x->model->config;
    const an_model_facts *f = &c->facts;
    key_text(w, "general.architecture", an_gguf_architecture(c));
    key_int(w, "general.file_type", file_types[w->x->dtype]);
    key_int(w, "context_length", f->sequence);
    key_int(w, "embedding_length", f->width);
    key_int(w, "block_count", f->n_layers);
    key_int(w, "feed_forward_length", f->hidden);
    key_int(w, "attention.head_count", f->n_heads);
    key_int(w, "attention.head_count_kv", f->n_kv_heads);
    key_int(w, "vocab_size", f->vocab_size);
    if (w->x->dtype == AN_EXPORT_Q8_0)
        key_int(w, "general.quantization_version", 2);
    if (w->x->keys) {
        put(w, w->x->keys->data, w->x->keys->size);
        w->n_keys += w->x->keys->n;
    } else {
        key_text(w, "tokenizer.ggml.model", "no_vocab");
    }
    if (!c->variant) {
        key_real(w, "attention.layer_norm_epsilon", c->norm_epsilon);
        return;
    }
    key_int(w, "attention.key_length", f->head_dim);
    key_int(w, "attention.value_length", f->head_dim);
    key_int(w, "rope.dimension_count", f->head_dim);
    key_real(w, "attention.layer_norm_rms_epsilon", c->norm_epsilon);
    key_real(w, "rope.freq_base", c->rope.theta);
    if (c->rope.kind == AN_ROPE_LINEAR) {
        key_text(w, "rope.scaling.type", "linear");
        key_real(w, "rope.scaling.factor", c->rope.factor);
    }
    if (has_factors(c))
        key_int(w, "rope.scaling.original_context_length",
                (int64_t)c->rope.original);
}

/* ---- tensors ---- */

static an_export_dtype type_of(const writer *w, const an_param_part *part)
{
    return part->file_rank == 1 ? AN_EXPORT_F32 : w->x->dtype;
}

static uint64_t bytes_of(const writer *w, const an_model_param *p,
                         const an_param_part *part)
{
    return an_export_bytes(type_of(w, part), (size_t)(part->rows * p->columns));
}

static void put_head(writer *w, const an_model_param *p,
                     const an_param_part *part, uint64_t *offset)
{
    char name[128];
    bool vector = part->file_rank == 1;
    an_gguf_name(&w->x->model->config, p->layer, part->name, name, sizeof name);
    put_text(w, name);
    put_u32(w, vector ? 1 : 2);
    put_u64(w, (uint64_t)(vector ? part->rows : p->columns));
    if (!vector) put_u64(w, (uint64_t)part->rows);
    put_u32(w, ggml_types[type_of(w, part)]);
    put_u64(w, *offset);
    *offset += (bytes_of(w, p, part) + ALIGN - 1) / ALIGN * ALIGN;
}

static void pad(writer *w)
{
    static const char zeros[ALIGN] = {0};
    put(w, zeros, (size_t)((ALIGN - w->at % ALIGN) % ALIGN));
}

static void put_data(writer *w, const an_model_param *p,
                     const an_param_part *part)
{
    bool turned =
        strstr(part->name, ".q_proj.") || strstr(part->name, ".k_proj.");
    an_export_rope rope = turned && an_gguf_has_pairs(&w->x->model->config)
                              ? AN_ROPE_PAIRS
                              : AN_ROPE_HALVES;
    if (w->status == AN_OK)
        w->status = an_export_part(w->x, p, part, rope, type_of(w, part));
    w->at += bytes_of(w, p, part);
    pad(w);
}

static an_status check(const an_export *x, uint64_t *n)
{
    const an_config *c = &x->model->config;
    char name[128];
    *n = has_factors(c);
    for (int i = 0; i < x->model->n_params; i++) {
        const an_model_param *p = &x->model->params[i];
        for (int k = 0; k < p->n_parts; k++, ++*n) {
            const an_param_part *part = &p->parts[k];
            if (!an_gguf_name(c, p->layer, part->name, name, sizeof name))
                return an_fail(x->err, AN_EUNSUPPORTED,
                               "export: gguf has no name for %s", part->name);
            if (x->dtype == AN_EXPORT_Q8_0 && part->file_rank == 2 &&
                p->columns % 32 != 0)
                return an_fail(x->err, AN_EUNSUPPORTED,
                               "export: %s: rows of %lld, q8_0 needs a "
                               "multiple of 32",
                               part->name, (long long)p->columns);
        }
    }
    return AN_OK;
}

static void put_factors_head(writer *w, uint64_t *offset)
{
    int64_t n = w->x->model->config.facts.head_dim / 2;
    put_text(w, "rope_freqs.weight");
    put_u32(w, 1);
    put_u64(w, (uint64_t)n);
    put_u32(w, ggml_types[AN_EXPORT_F32]);
    put_u64(w, *offset);
    *offset += ((uint64_t)n * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
}

static void put_factors(writer *w)
{
    const an_config *c = &w->x->model->config;
    for (int64_t i = 0; i < c->facts.head_dim / 2; i++) {
        float x = (float)an_rope_factor(c, i);
        put(w, &x, sizeof x);
    }
    pad(w);
}

an_status an_export_gguf(an_export *x)
{
    writer count = {.x = x, .counts = true}, w = {.x = x};
    const an_model *m = x->model;
    uint64_t n_tensors = 0, offset = 0;
    an_status s = check(x, &n_tensors);
    if (s != AN_OK) return s;
    put_keys(&count);
    put(&w, "GGUF", 4);
    put_u32(&w, VERSION);
    put_u64(&w, n_tensors);
    put_u64(&w, count.n_keys);
    put_keys(&w);
    if (has_factors(&m->config)) put_factors_head(&w, &offset);
    for (int i = 0; i < m->n_params; i++)
        for (int k = 0; k < m->params[i].n_parts; k++)
            put_head(&w, &m->params[i], &m->params[i].parts[k], &offset);
    pad(&w);
    if (has_factors(&m->config)) put_factors(&w);
    for (int i = 0; i < m->n_params; i++)
        for (int k = 0; k < m->params[i].n_parts; k++)
            put_data(&w, &m->params[i], &m->params[i].parts[k]);
    return w.status;
}
