/*
 * Which of the common forms a model's chat template has. A template is a
 * program in Jinja; none is run here: what its texts and expressions say tells
 * the form, and with it how conversations are printed (chat.h). A template
 * that is not known to the letter that matters is refused, never guessed.
 *
 * Sources: the templates in tokenizer_config.json of Qwen2, Qwen2.5, Qwen3,
 * SmolLM2, Llama 2, 3, 3.1 and 3.2, Mistral 0.1 to 0.3 and Nemo, Zephyr and
 * TinyLlama, as transformers prints them.
 */
#ifndef AN_TEXT_CHAT_FORM_H
#define AN_TEXT_CHAT_FORM_H

#include "base/arena.h"

#include <stdbool.h>

typedef enum an_chat_kind {
    AN_CHAT_CHATML, /* <|im_start|>role, content <|im_end|> */
    AN_CHAT_QWEN3,  /* the same, with what was thought in the last turn alone */
    AN_CHAT_LLAMA3, /* <|start_header_id|>role<|end_header_id|> <|eot_id|> */
    AN_CHAT_ZEPHYR, /* <|role|>, content, end of text */
    AN_CHAT_LLAMA2, /* [INST] <<SYS>> */
    AN_CHAT_MISTRAL, /* [INST], the system's words before a user's */
} an_chat_kind;

/* Which user's turn a system message is put before. */
typedef enum an_chat_place {
    AN_CHAT_NOWHERE, /* a system message is refused */
    AN_CHAT_FIRST_TURN,
    AN_CHAT_LAST_USER,
    AN_CHAT_LAST_MESSAGE, /* and only if that is a user's */
} an_chat_place;

typedef enum an_chat_trim {
    AN_CHAT_AS_IS,
    AN_CHAT_TRIM_ANSWERS, /* no blanks around them */
    AN_CHAT_TRIM_ALL,
} an_chat_trim;

typedef struct an_chat_form {
    an_chat_kind kind;
    bool begins;       /* the begin of text is before the first message */
    bool begins_turns; /* before every instruction (LLAMA2) */
    an_chat_trim trim;
    const char *system;   /* said when no message of the system is; or NULL */
    const char *preamble; /* before what the system says, or NULL */
    /* [INST] forms: around an instruction; around an answer, whose end of text
     * comes between the two last. */
    const char *open, *close, *before, *after, *behind;
    an_chat_place place;
} an_chat_form;

/* AN_EUNSUPPORTED names what was found; out's texts are in the arena. */
an_status an_chat_form_read(const char *text, size_t size, an_arena *arena,
                            an_chat_form *out, an_error *err);

#endif
