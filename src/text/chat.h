/*
 * Conversations as the text that chat models are trained on: what the model's
 * own template (chat_form.h) prints for messages of system, user and assistant,
 * its default system message too. Tools are left out. A tokenizer without a
 * template, but with the special tokens of ChatML or Llama 3, has their form.
 */
#ifndef AN_TEXT_CHAT_H
#define AN_TEXT_CHAT_H

#include "text/chat_form.h"
#include "text/tokenizer.h"

/* Whether there is a template or the tokens of a form. */
bool an_chat_has_form(const an_tokenizer *t);
/* AN_EUNSUPPORTED: there is none, or one that is not known. */
an_status an_chat_form_of(const an_tokenizer *t, an_chat_form *out,
                          an_error *err);

/* A piece of a conversation: a text, or an id when text is NULL. */
typedef enum an_share { AN_SHARE_PROMPT, AN_SHARE_ANSWER } an_share;
typedef an_status an_chat_fn(void *ctx, an_share share, const char *text,
                             size_t size, int32_t id, an_error *err);

/* How a conversation ends: with its last message, or with what the assistant's
 * next answer comes behind. */
typedef enum an_chat_end { AN_CHAT_WHOLE, AN_CHAT_ASKS } an_chat_end;

/* Calls put for the pieces of messages[0..n), in order; what the assistant
 * says, and the mark that ends it, are answers. AN_EUNSUPPORTED: no form, or a
 * role or an order that it does not have. */
an_status an_chat_render(const an_tokenizer *t, const an_message *messages,
                         size_t n, an_chat_end end, an_chat_fn *put, void *ctx,
                         an_error *err);

/* The token that ends what the assistant says; -1: none. */
int32_t an_chat_end_id(const an_tokenizer *t);
/* The ids of a conversation that the assistant answers; an_tokens_free. */
an_status an_chat_encode(const an_tokenizer *t, const an_message *messages,
                         size_t n, int32_t **ids, size_t *n_ids, an_error *err);

/*
 * Pieces of a conversation to ids. What belongs to one share is encoded as one
 * text, so that what is masked is known to the id.
 */
typedef struct an_chat_encoder {
    const an_tokenizer *t;
    an_encoder *encoder;
    int32_t *ids;
    an_share *shares; /* of each id */
    size_t n, capacity, cap_shares;
    an_piece piece; /* what the next text is */
    an_buffer held; /* text of one share that is not encoded yet */
    an_share share;
} an_chat_encoder;
/* fini in any case. */
an_status an_chat_encoder_init(an_chat_encoder *e, const an_tokenizer *t,
                               an_error *err);
void an_chat_encoder_fini(an_chat_encoder *e);
/* Begins another conversation; puts a piece (an an_chat_fn); ends it. */
void an_chat_encoder_clear(an_chat_encoder *e);
an_status an_chat_encoder_put(void *encoder, an_share share, const char *text,
                              size_t size, int32_t id, an_error *err);
an_status an_chat_encoder_end(an_chat_encoder *e, an_error *err);

#endif
