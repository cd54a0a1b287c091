/*
 * Text from a model, one token at a time, by evaluating the whole window again
 * for each: the plain form against which faster ones are checked.
 */
#include "train/choose.h"
#include "train/placed.h"
#include "train/stop.h"

#include "base/alloc.h"

#include <string.h>

typedef struct sampler {
    an_net *net;
    const an_tokenizer *tokenizer;
    const an_sample_options *o;
    int64_t sequence;
    int32_t *ids; /* prompt and what was made */
    size_t n, capacity;
    an_chooser chooser;
    an_stop stop;
} sampler;

an_sample_options an_sample_defaults(void)
{
    return (an_sample_options){.tokens = 200,
                               .temperature = 0.8,
                               .top_p = 1,
                               .repetition_penalty = 1,
                               .seed = 1};
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
    an_status status = an_chooser_init(
        &s->chooser, an_tokenizer_vocab_size(s->tokenizer), s->o, err);
    if (status == AN_OK)
        status = append(s, an_tokenizer_end_of_text(s->tokenizer), err);
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
    an_chooser *c = &s->chooser;
    if (c->n > logits.rows) c->n = logits.rows;
    for (int64_t v = 0; v < c->n; v++) {
        const unsigned char *row =
            (const unsigned char *)logits.data + (size_t)v * logits.row_bytes;
        c->list[v].weight =
            logits.dtype == AN_FP64
                ? ((const double *)(const void *)row)[n - 1]
                : (double)((const float *)(const void *)row)[n - 1];
    }
    return AN_OK;
}

an_status an_sample_text(an_net *net, const an_tokenizer *tokenizer,
                         int64_t sequence, const an_sample_options *o,
                         an_sample_fn *put, void *ctx, an_error *err)
{
    sampler s = {
        .net = net, .tokenizer = tokenizer, .o = o, .sequence = sequence};
    an_status status =
        an_stop_init(&s.stop, o->stops, o->n_stops, put, ctx, err);
    if (status == AN_OK) status = start(&s, err);
    for (int64_t i = 0; status == AN_OK && i < o->tokens && !s.stop.stopped;
         i++) {
        if ((status = next_logits(&s, err)) != AN_OK) break;
        int32_t id = an_choose(&s.chooser, s.ids, s.n);
        size_t size;
        if (id == an_tokenizer_end_of_text(tokenizer)) break;
        const char *bytes = an_tokenizer_bytes(tokenizer, id, &size);
        status = an_stop_put(&s.stop, bytes, size, err);
        if (status == AN_OK) status = append(&s, id, err);
    }
    an_stop_end(&s.stop);
    an_chooser_fini(&s.chooser);
    an_free(s.ids);
    return status;
}
