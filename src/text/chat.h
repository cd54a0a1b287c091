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

typedef struct an_message {
    const char *role, *content; /* "system", "user", "assistant" */
    size_t size;                /* of content */
} an_message;

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

#endif
