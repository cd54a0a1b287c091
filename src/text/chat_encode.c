/* Ids of conversations: chat.h. A token is put as it stands; text behind it
 * begins anew where the tokenizer does not find the token in texts. */
#include "text/chat.h"

#include "base/alloc.h"

#include <string.h>

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "chat: no memory");
}

an_status an_chat_encoder_init(an_chat_encoder *e, const an_tokenizer *t,
                               an_error *err)
{
    *e = (an_chat_encoder){.t = t};
    return an_encoder_new(t, SIZE_MAX, &e->encoder, err);
}

void an_chat_encoder_fini(an_chat_encoder *e)
{
    an_encoder_free(e->encoder);
    an_buffer_fini(&e->held);
    an_free(e->ids);
    an_free(e->shares);
    *e = (an_chat_encoder){0};
}

void an_chat_encoder_clear(an_chat_encoder *e)
{
    e->n = 0;
    e->held.n = 0;
    e->piece = AN_PIECE_FIRST;
}

static an_status put_id(an_chat_encoder *e, an_share share, int32_t id,
                        an_error *err)
{
    if (!an_grow(&e->ids, &e->capacity, e->n, sizeof *e->ids) ||
        !an_grow(&e->shares, &e->cap_shares, e->n, sizeof *e->shares))
        return no_memory(err);
    e->ids[e->n] = id;
    e->shares[e->n++] = share;
    return AN_OK;
}

/* What a text behind this id is. */
static an_piece piece_behind(const an_tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->n_added; i++)
        if (t->added[i].id == id)
            return t->added[i].hidden ? AN_PIECE_FIRST : AN_PIECE_BEHIND;
    return AN_PIECE_LATER;
}

an_status an_chat_encoder_end(an_chat_encoder *e, an_error *err)
{
    if (e->held.n == 0) return AN_OK;
    an_encoder_clear(e->encoder);
    an_status s = an_encoder_put(e->encoder, e->piece,
                                 (const char *)e->held.data, e->held.n, err);
    size_t n;
    const int32_t *ids = an_encoder_ids(e->encoder, &n);
    for (size_t i = 0; s == AN_OK && i < n; i++)
        s = put_id(e, e->share, ids[i], err);
    e->held.n = 0;
    e->piece = n > 0 ? piece_behind(e->t, ids[n - 1]) : AN_PIECE_LATER;
    return s;
}

an_status an_chat_encoder_put(void *encoder, an_share share, const char *text,
                              size_t size, int32_t id, an_error *err)
{
    an_chat_encoder *e = encoder;
    an_status s = AN_OK;
    if (!text || share != e->share) s = an_chat_encoder_end(e, err);
    e->share = share;
    if (s != AN_OK) return s;
    if (text) return an_buffer_put(&e->held, text, size, err);
    e->piece = piece_behind(e->t, id);
    return put_id(e, share, id, err);
}

an_status an_chat_encode(const an_tokenizer *t, const an_message *messages,
                         size_t n, int32_t **ids, size_t *n_ids, an_error *err)
{
    an_chat_encoder e;
    an_status s = an_chat_encoder_init(&e, t, err);
    if (s == AN_OK)
        s = an_chat_render(t, messages, n, AN_CHAT_ASKS, an_chat_encoder_put,
                           &e, err);
    if (s == AN_OK) s = an_chat_encoder_end(&e, err);
    if (s == AN_OK) {
        *ids = e.ids;
        *n_ids = e.n;
        e.ids = NULL;
    }
    an_chat_encoder_fini(&e);
    return s;
}
