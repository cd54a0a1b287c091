/*
 * Text from a model, one token at a time, by evaluating the whole window again
 * for each: the plain form against which faster ones are checked.
 */
#include "train/placed.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct candidate {
    double weight; /* logit, then probability */
    int32_t id;
} candidate;

typedef struct sampler {
    an_net *net;
    const an_tokenizer *tokenizer;
    const an_sample_options *o;
    int64_t sequence;
    int32_t *ids; /* prompt and what was made */
    size_t n, capacity;
    candidate *list; /* [vocabulary of the tokenizer] */
    int64_t n_list;
    an_rng rng;
} sampler;

an_sample_options an_sample_defaults(void)
{
    return (an_sample_options){
        .tokens = 200, .temperature = 0.8, .top_k = 0, .top_p = 1.0, .seed = 1};
}

static an_status append(sampler *s, int32_t id, an_error *err)
{
    if (!an_grow(&s->ids, &s->capacity, s->n, sizeof *s->ids))
        return an_fail(err, AN_ENOMEM, "sample: no memory");
    s->ids[s->n++] = id;
    return AN_OK;
}

static an_status start(sampler *s, an_error *err)
{
    int32_t *ids = NULL;
    size_t n = 0;
    const char *prompt = s->o->prompt ? s->o->prompt : "";
    s->n_list = an_tokenizer_vocab_size(s->tokenizer);
    s->list = an_alloc_array((size_t)s->n_list, sizeof *s->list);
    if (!s->list) return an_fail(err, AN_ENOMEM, "sample: no memory");
    int32_t first = an_tokenizer_begin_of_text(s->tokenizer);
    if (first < 0) first = an_tokenizer_end_of_text(s->tokenizer);
    an_status status = first >= 0 ? append(s, first, err) : AN_OK;
    if (status == AN_OK)
        status = an_tokenizer_encode(s->tokenizer, prompt, strlen(prompt), &ids,
                                     &n, err);
    for (size_t i = 0; status == AN_OK && i < n; i++)
        status = append(s, ids[i], err);
    an_tokens_free(ids);
    return status;
}

/* Logits after the last token, into the list. */
static an_status next_logits(sampler *s, an_error *err)
{
    an_matrix logits;
    int64_t n = (int64_t)s->n < s->sequence ? (int64_t)s->n : s->sequence;
    const int32_t *window = s->ids + s->n - (size_t)n;
    int32_t *inputs = an_net_inputs(s->net);
    for (int64_t i = 0; i < s->sequence; i++)
        inputs[i] = i < n ? window[i] : 0;
    an_status status = an_net_forward(s->net, &logits, err);
    if (status != AN_OK) return status;
    if (s->n_list > logits.rows) s->n_list = logits.rows;
    for (int64_t v = 0; v < s->n_list; v++) {
        const unsigned char *row =
            (const unsigned char *)logits.data + (size_t)v * logits.row_bytes;
        s->list[v].id = (int32_t)v;
        s->list[v].weight =
            logits.dtype == AN_FP64
                ? ((const double *)(const void *)row)[n - 1]
                : (double)((const float *)(const void *)row)[n - 1];
    }
    return AN_OK;
}

/* Heaviest first; equal ones by id, so that the order is one. */
static int heavier(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Keeps the top_k heaviest, turns logits into probabilities, keeps the fewest
 * that hold top_p of them. Returns how many stay; *total is their sum. */
static int64_t narrow(sampler *s, double *total)
{
    int64_t n = s->n_list;
    double temperature = s->o->temperature, sum = 0;
    if (s->o->top_k > 0 && s->o->top_k < n) n = s->o->top_k;
    double most = s->list[0].weight;
    for (int64_t i = 0; i < n; i++) {
        s->list[i].weight = exp((s->list[i].weight - most) / temperature);
        sum += s->list[i].weight;
    }
    double kept = 0;
    int64_t k = 0;
    while (k < n && (k == 0 || kept < s->o->top_p * sum))
        kept += s->list[k++].weight;
    *total = kept;
    return k;
}

static int32_t choose(sampler *s)
{
    qsort(s->list, (size_t)s->n_list, sizeof *s->list, heavier);
    if (s->o->temperature <= 0) return s->list[0].id;
    double total;
    int64_t n = narrow(s, &total);
    double u = an_rng_uniform(&s->rng) * total;
    int64_t i = 0;
    while (i < n - 1 && u >= s->list[i].weight)
        u -= s->list[i++].weight;
    return s->list[i].id;
}

an_status an_sample_text(an_net *net, const an_tokenizer *tokenizer,
                         int64_t sequence, const an_sample_options *o,
                         an_sample_fn *put, void *ctx, an_error *err)
{
    enum { STREAM = 0x73616d70 }; /* apart from the streams of parameters */
    sampler s = {.net = net,
                 .tokenizer = tokenizer,
                 .o = o,
                 .sequence = sequence,
                 .rng = {.seed = o->seed, .stream = STREAM}};
    an_status status = start(&s, err);
    for (int64_t i = 0; status == AN_OK && i < o->tokens; i++) {
        if ((status = next_logits(&s, err)) != AN_OK) break;
        int32_t id = choose(&s);
        size_t size;
        if (id == an_tokenizer_end_of_text(tokenizer)) break;
        const char *bytes = an_tokenizer_bytes(tokenizer, id, &size);
        if (!put(ctx, bytes, size)) break;
        status = append(&s, id, err);
    }
    an_free(s.ids);
    an_free(s.list);
    return status;
}
