/* See samples.h. */
#include "text/samples.h"

#include "base/alloc.h"
#include "base/json.h"
#include "text/chat.h"
#include "text/documents.h"

#include <string.h>

enum { MAX_MESSAGES = 4096 };

typedef struct sample {
    an_chat_encoder pieces;
    an_mask mask;
    uint32_t *ids;
    size_t capacity;
    an_sample_put *put;
    void *ctx;
} sample;

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
        s = an_chat_render(x->pieces.t, messages, n, AN_CHAT_WHOLE,
                           an_chat_encoder_put, &x->pieces, err);
    an_free(messages);
    return s;
}

/* A prompt and its completion without a form. */
static an_status join(an_chat_encoder *e, const an_message m[2], an_error *err)
{
    const an_tokenizer *t = e->t;
    an_status s = AN_OK;
    if (t->begin >= 0)
        s = an_chat_encoder_put(e, AN_SHARE_PROMPT, NULL, 0, t->begin, err);
    for (int i = 0; s == AN_OK && i < 2; i++)
        s = an_chat_encoder_put(e, i ? AN_SHARE_ANSWER : AN_SHARE_PROMPT,
                                m[i].content, m[i].size, -1, err);
    if (s == AN_OK && t->end_of_text >= 0)
        s = an_chat_encoder_put(e, AN_SHARE_ANSWER, NULL, 0, t->end_of_text,
                                err);
    return s;
}

static an_status read_pair(sample *x, const json_t *o, an_error *err)
{
    an_message m[2] = {{.role = "user"}, {.role = "assistant"}};
    m[0].content = string_of(o, "prompt", &m[0].size);
    m[1].content = string_of(o, "completion", &m[1].size);
    if (!m[0].content || !m[1].content)
        return wrong("\"prompt\" and \"completion\", or \"messages\"", err);
    const an_tokenizer *t = x->pieces.t;
    return an_chat_has_form(t)
               ? an_chat_render(t, m, 2, AN_CHAT_WHOLE, an_chat_encoder_put,
                                &x->pieces, err)
               : join(&x->pieces, m, err);
}

/* The ids with the mask in them. */
static an_status pass(sample *x, an_error *err)
{
    const an_chat_encoder *e = &x->pieces;
    if (e->n > x->capacity) {
        an_free(x->ids);
        x->ids = an_alloc_array(e->capacity, sizeof *x->ids);
        x->capacity = x->ids ? e->capacity : 0;
        if (!x->ids) return an_fail(err, AN_ENOMEM, "data: no memory");
    }
    for (size_t i = 0; i < e->n; i++) {
        bool masked =
            x->mask == AN_MASK_PROMPT && e->shares[i] == AN_SHARE_PROMPT;
        x->ids[i] = (uint32_t)e->ids[i] | (masked ? AN_SAMPLE_MASK : 0);
    }
    return x->put(x->ctx, x->ids, e->n, err);
}

static an_status read_object(void *ctx, const json_t *o, an_error *err)
{
    sample *x = ctx;
    an_chat_encoder_clear(&x->pieces);
    const json_t *messages = json_object_get(o, "messages");
    an_status s =
        messages ? read_messages(x, messages, err) : read_pair(x, o, err);
    if (s == AN_OK) s = an_chat_encoder_end(&x->pieces, err);
    return s == AN_OK ? pass(x, err) : s;
}

an_status an_samples_parse(const char *path, const char *text, size_t size,
                           const an_tokenizer *t, an_mask mask,
                           an_sample_put *put, void *ctx, an_error *err)
{
    sample x = {.mask = mask, .put = put, .ctx = ctx};
    an_status s = an_chat_encoder_init(&x.pieces, t, err);
    if (s == AN_OK) s = an_jsonl_parse(path, text, size, read_object, &x, err);
    an_chat_encoder_fini(&x.pieces);
    an_free(x.ids);
    return s;
}

an_status an_samples_read(const char *path, const an_tokenizer *t, an_mask mask,
                          an_sample_put *put, void *ctx, an_error *err)
{
    an_map map;
    an_status s = an_map_open(path, &map, err);
    if (s != AN_OK) return s;
    s = an_samples_parse(path, (const char *)map.data, map.size, t, mask, put,
                         ctx, err);
    an_map_close(&map);
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
