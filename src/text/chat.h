/*
 * Conversations as the text that chat models are trained on.
 *
 * The form follows from the tokenizer's special tokens: ChatML (<|im_start|>),
 * Llama 3 (<|start_header_id|>) or Llama 2 ([INST], for SentencePiece
 * vocabularies). These are what the templates of Qwen 2 and 3, SmolLM, Llama 2
 * and 3 print for messages of system, user and assistant; their defaults (a
 * system message that nobody wrote, tools, dates) are left out.
 */
#ifndef AN_TEXT_CHAT_H
#define AN_TEXT_CHAT_H

#include "text/buffer.h"
#include "text/tokenizer.h"

typedef enum an_chat_form {
    AN_CHAT_NONE,
    AN_CHAT_CHATML,
    AN_CHAT_LLAMA3,
    AN_CHAT_LLAMA2
} an_chat_form;
an_chat_form an_chat_form_of(const an_tokenizer *t);

typedef struct an_message {
    const char *role, *content; /* "system", "user", "assistant" */
    size_t size;                /* of content */
} an_message;

/* A piece of a conversation: a text, or an id when text is NULL. */
typedef enum an_share { AN_SHARE_PROMPT, AN_SHARE_ANSWER } an_share;
typedef an_status an_chat_fn(void *ctx, an_share share, const char *text,
                             size_t size, int32_t id, an_error *err);

/* Calls put for the pieces of messages[0..n), in order; what the assistant
 * says, and the mark that ends it, are answers. AN_EUNSUPPORTED: no form, or a
 * role that it does not have. */
an_status an_chat_render(const an_tokenizer *t, const an_message *messages,
                         size_t n, an_chat_fn *put, void *ctx, an_error *err);

#endif
