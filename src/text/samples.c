/* Pieces of a sample are encoded one by one, so that what is masked is known to
 * the id; a tokenizer's blank before a text is put before the first alone. */
#include "text/samples.h"

#include "base/alloc.h"
#include "base/json.h"
#include "text/chat.h"
#include "text/documents.h"

#include <string.h>

enum { MAX_MESSAGES = 4096 };

typedef struct sample {
    const an_tokenizer *t;
    an_encoder *encoder;
    an_mask mask;
    uint32_t *ids;
    size_t n, capacity;
    an_piece piece; /* what the next text is */
    an_buffer held; /* text of one share that is not encoded yet */
    an_share share;
    an_sample_put *put;
    void *ctx;
} sample;

static an_status put_id(sample *x, an_share share, int32_t id, an_error *err)
{
    if (!an_grow(&x->ids, &x->capacity, x->n, sizeof *x->ids))
        return an_fail(err, AN_ENOMEM, "data: no memory");
    bool masked = x->mask == AN_MASK_PROMPT && share == AN_SHARE_PROMPT;
    x->ids[x->n++] = (uint32_t)id | (masked ? AN_SAMPLE_MASK : 0);
    return AN_OK;
}

/* What a text behind this id is: a token that is not found in texts begins a
 * new one. */
static an_piece piece_behind(const an_tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->n_added; i++)
        if (t->added[i].id == id)
            return t->added[i].hidden ? AN_PIECE_FIRST : AN_PIECE_BEHIND;
    return AN_PIECE_LATER;
}

/* Encodes what is held. */
static an_status flush(sample *x, an_error *err)
{
    if (x->held.n == 0) return AN_OK;
    an_encoder_clear(x->encoder);
    an_status s = an_encoder_put(x->encoder, x->piece,
                                 (const char *)x->held.data, x->held.n, err);
    size_t n;
    const int32_t *ids = an_encoder_ids(x->encoder, &n);
    for (size_t i = 0; s == AN_OK && i < n; i++)
        s = put_id(x, x->share, ids[i], err);
    x->held.n = 0;
    x->piece = n > 0 ? piece_behind(x->t, ids[n - 1]) : AN_PIECE_LATER;
    return s;
}

static an_status put_piece(void *ctx, an_share share, const char *text,
                           size_t size, int32_t id, an_error *err)
{
    sample *x = ctx;
    an_status s = AN_OK;
    if (!text || share != x->share) s = flush(x, err);
    x->share = share;
    if (s != AN_OK) return s;
    if (!text) {
        x->piece = piece_behind(x->t, id);
        return put_id(x, share, id, err);
    }
    return an_buffer_put(&x->held, text, size, err);
}

static const char *string_of(const json_t *o, const char *key, size_t *size)
{
    const json_t *value = json_object_get(o, key);
    *size = json_string_length(value);
    return json_string_value(value);
}

static an_status wrong(const char *expected, an_error *err)
{
    return an_fail(err, AN_EFORMAT, "expected %s", expected);
}

static an_status read_messages(sample *x, const json_t *list, an_error *err)
{
    size_t n = json_array_size(list), unused;
    if (n == 0 || n > MAX_MESSAGES)
        return wrong("\"messages\", an array of messages", err);
    an_message *messages = an_alloc_array(n, sizeof *messages);
    if (!messages) return an_fail(err, AN_ENOMEM, "data: no memory");
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i < n; i++) {
        const json_t *m = json_array_get(list, i);
        messages[i].role = string_of(m, "role", &unused);
        messages[i].content = string_of(m, "content", &messages[i].size);
        if (!messages[i].role || !messages[i].content)
            s = wrong("messages with \"role\" and \"content\"", err);
    }
    if (s == AN_OK)
        s = an_chat_render(x->t, messages, n, AN_CHAT_WHOLE, put_piece, x, err);
    an_free(messages);
    return s;
}

static an_status read_pair(sample *x, const json_t *o, an_error *err)
{
    an_message m[2] = {{.role = "user"}, {.role = "assistant"}};
    m[0].content = string_of(o, "prompt", &m[0].size);
    m[1].content = string_of(o, "completion", &m[1].size);
    if (!m[0].content || !m[1].content)
        return wrong("\"prompt\" and \"completion\", or \"messages\"", err);
    if (an_chat_has_form(x->t))
        return an_chat_render(x->t, m, 2, AN_CHAT_WHOLE, put_piece, x, err);
    an_status s = AN_OK;
    if (x->t->begin >= 0)
        s = put_piece(x, AN_SHARE_PROMPT, NULL, 0, x->t->begin, err);
    if (s == AN_OK)
        s = put_piece(x, AN_SHARE_PROMPT, m[0].content, m[0].size, -1, err);
    if (s == AN_OK)
        s = put_piece(x, AN_SHARE_ANSWER, m[1].content, m[1].size, -1, err);
    if (s == AN_OK && x->t->end_of_text >= 0)
        s = put_piece(x, AN_SHARE_ANSWER, NULL, 0, x->t->end_of_text, err);
    return s;
}

static an_status read_object(void *ctx, const json_t *o, an_error *err)
{
    sample *x = ctx;
    x->n = 0;
    x->held.n = 0;
    x->piece = AN_PIECE_FIRST;
    const json_t *messages = json_object_get(o, "messages");
    an_status s =
        messages ? read_messages(x, messages, err) : read_pair(x, o, err);
    if (s == AN_OK) s = flush(x, err);
    return s == AN_OK ? x->put(x->ctx, x->ids, x->n, err) : s;
}

an_status an_samples_read(const char *path, const an_tokenizer *t, an_mask mask,
                          an_sample_put *put, void *ctx, an_error *err)
{
    sample x = {.t = t, .mask = mask, .put = put, .ctx = ctx};
    an_status s = an_encoder_new(t, SIZE_MAX, &x.encoder, err);
    if (s == AN_OK) s = an_jsonl_read(path, read_object, &x, err);
    an_encoder_free(x.encoder);
    an_buffer_fini(&x.held);
    an_free(x.ids);
    return s;
}

static an_status look(void *ctx, const json_t *o, an_error *err)
{
    bool *is_sample = ctx;
    *is_sample = !json_object_get(o, "text");
    return an_fail(err, AN_EINVAL, "one is enough");
}

an_status an_samples_detect(const char *path, bool *out, an_error *err)
{
    bool is_sample = false;
    an_error why = {0};
    an_status s = an_jsonl_read(path, look, &is_sample, &why);
    if (s != AN_OK && s != AN_EINVAL) return an_fail(err, s, "%s", why.text);
    *out = is_sample;
    return AN_OK;
}
