/*
 * Text from a model, one token at a time: with a cache of keys and values, or
 * by evaluating the whole window again for each, the plain form against which
 * the other one is checked.
 *
 * The window: a text that is longer than the model's sequence S goes on from
 * its last tokens, which stand at positions 0, 1, ... of a new window. It moves
 * on by S / 2 at a time, so that the cache is made anew only then.
 */
#include "train/choose.h"
#include "train/predict.h"
#include "train/stop.h"

#include "base/alloc.h"
#include "text/chat.h"

#include <string.h>

typedef struct sampler {
    const an_sample_source *from;
    const an_tokenizer *tokenizer;
    const an_sample_options *o;
    size_t cached; /* where the window of the predictor's tokens begins;
                      SIZE_MAX: they are another text's */
    int32_t *ids;  /* prompt and what was made */
    size_t n, capacity;
    an_chooser chooser;
    an_stop stop;
    int32_t end; /* of an answer; -1: none */
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
    if (status == AN_OK && s->o->n_messages == 0)
        status = append(s, an_tokenizer_end_of_text(s->tokenizer), err);
    if (status == AN_OK)
        status = s->o->n_messages > 0
                     ? an_chat_encode(s->tokenizer, s->o->messages,
                                      (size_t)s->o->n_messages, &ids, &n, err)
                     : an_tokenizer_encode(s->tokenizer, prompt, strlen(prompt),
                                           &ids, &n, err);
    for (size_t i = 0; status == AN_OK && i < n; i++)
        status = append(s, ids[i], err);
    an_tokens_free(ids);
    return status;
}

/* Where the window of n tokens begins. */
static size_t window_of(size_t n, size_t sequence)
{
    size_t half = sequence > 1 ? sequence / 2 : 1;
    return n <= sequence ? 0 : (n - sequence + half - 1) / half * half;
}

/* The whole window again; its last column is *column of the logits. */
static an_status run_window(sampler *s, const int32_t *window, int64_t n,
                            an_matrix *logits, int64_t *column, an_error *err)
{
    an_net *net = s->from->net;
    int32_t *inputs = an_net_inputs(net);
    for (int64_t i = 0; i < s->from->sequence; i++)
        inputs[i] = i < n ? window[i] : 0;
    *column = n - 1;
    return an_net_forward(net, logits, err);
}

/* The tokens that the predictor has not seen yet. */
static an_status decode(sampler *s, size_t begin, int64_t n, an_matrix *logits,
                        an_error *err)
{
    an_predictor *d = s->from->predictor;
    const int32_t *window = s->ids + begin;
    an_status status = begin == s->cached && an_predictor_length(d) == n - 1
                           ? an_predictor_step(d, window[n - 1], err)
                           : an_predictor_prompt(d, window, n, err);
    s->cached = begin;
    *logits = an_predictor_logits(d);
    return status;
}

/* Logits after the last token, into the list. */
static an_status next_logits(sampler *s, an_error *err)
{
    an_matrix logits;
    size_t begin = window_of(s->n, (size_t)s->from->sequence);
    int64_t n = (int64_t)(s->n - begin), column = 0;
    an_status status = s->from->predictor ? decode(s, begin, n, &logits, err)
                                          : run_window(s, s->ids + begin, n,
                                                       &logits, &column, err);
    if (status != AN_OK) return status;
    an_chooser *c = &s->chooser;
    if (c->n > logits.rows) c->n = logits.rows;
    for (int64_t v = 0; v < c->n; v++)
        c->list[v].weight = an_matrix_get(&logits, v, column);
    return AN_OK;
}

an_status an_sample_text(const an_sample_source *from,
                         const an_tokenizer *tokenizer,
                         const an_sample_options *o, an_sample_fn *put,
                         void *ctx, an_error *err)
{
    sampler s = {.from = from,
                 .tokenizer = tokenizer,
                 .o = o,
                 .cached = SIZE_MAX,
                 .end = o->n_messages > 0 ? an_chat_end_id(tokenizer) : -1};
    an_status status =
        an_stop_init(&s.stop, o->stops, o->n_stops, put, ctx, err);
    if (status == AN_OK) status = start(&s, err);
    for (int64_t i = 0; status == AN_OK && i < o->tokens && !s.stop.stopped;
         i++) {
        if ((status = next_logits(&s, err)) != AN_OK) break;
        int32_t id = an_choose(&s.chooser, s.ids, s.n);
        size_t size;
        if (id == an_tokenizer_end_of_text(tokenizer) || id == s.end) break;
        const char *bytes = an_tokenizer_bytes(tokenizer, id, &size);
        status = an_stop_put(&s.stop, bytes, size, err);
        if (status == AN_OK) status = append(&s, id, err);
    }
    an_stop_end(&s.stop);
    an_chooser_fini(&s.chooser);
    an_free(s.ids);
    return status;
}
