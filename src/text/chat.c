/* Sources: chat_template in tokenizer_config.json of
 * Qwen/Qwen2.5-0.5B-Instruct, HuggingFaceTB/SmolLM2-135M-Instruct; ChatFormat
 * in llama/tokenizer.py of meta-llama/llama3; llama/generation.py of
 * meta-llama/llama. */
#include "text/chat.h"

#include <string.h>

typedef struct speaker {
    const an_tokenizer *t;
    an_chat_fn *put;
    void *ctx;
    an_error *err;
} speaker;

static bool has(const an_tokenizer *t, const char *token)
{
    return an_tokenizer_id(t, token, strlen(token)) >= 0;
}

an_chat_form an_chat_form_of(const an_tokenizer *t)
{
    if (has(t, "<|im_start|>") && has(t, "<|im_end|>")) return AN_CHAT_CHATML;
    if (has(t, "<|start_header_id|>") && has(t, "<|eot_id|>"))
        return AN_CHAT_LLAMA3;
    if (t->spelling == AN_SPELLING_CHARACTERS && t->begin >= 0 &&
        t->end_of_text >= 0)
        return AN_CHAT_LLAMA2;
    return AN_CHAT_NONE;
}

static an_status say(const speaker *p, an_share share, const char *text)
{
    return p->put(p->ctx, share, text, strlen(text), -1, p->err);
}

static an_status mark(const speaker *p, an_share share, int32_t id)
{
    return id >= 0 ? p->put(p->ctx, share, NULL, 0, id, p->err) : AN_OK;
}

static bool is_role(const an_message *m, const char *role)
{
    return strcmp(m->role, role) == 0;
}

static an_share share_of(const an_message *m)
{
    return is_role(m, "assistant") ? AN_SHARE_ANSWER : AN_SHARE_PROMPT;
}

/* open ROLE middle CONTENT close tail */
static an_status framed(const speaker *p, const an_message *m, const char *open,
                        const char *middle, const char *close, const char *tail)
{
    an_status s = say(p, AN_SHARE_PROMPT, open);
    if (s == AN_OK) s = say(p, AN_SHARE_PROMPT, m->role);
    if (s == AN_OK) s = say(p, AN_SHARE_PROMPT, middle);
    if (s == AN_OK)
        s = p->put(p->ctx, share_of(m), m->content, m->size, -1, p->err);
    if (s == AN_OK) s = say(p, share_of(m), close);
    return s == AN_OK ? say(p, AN_SHARE_PROMPT, tail) : s;
}

/* <s>[INST] <<SYS>> system <</SYS>> user [/INST] assistant </s> */
static an_status llama2(const speaker *p, const an_message *m, size_t n)
{
    an_status s = AN_OK;
    bool open = false; /* an instruction is */
    for (size_t i = 0; s == AN_OK && i < n; i++) {
        bool answer = is_role(&m[i], "assistant");
        if (!answer && !open) {
            s = mark(p, AN_SHARE_PROMPT, p->t->begin);
            if (s == AN_OK) s = say(p, AN_SHARE_PROMPT, "[INST] ");
        }
        bool system = is_role(&m[i], "system");
        if (s == AN_OK && system) s = say(p, AN_SHARE_PROMPT, "<<SYS>>\n");
        if (s == AN_OK)
            s = p->put(p->ctx, share_of(&m[i]), m[i].content, m[i].size, -1,
                       p->err);
        if (s == AN_OK && system) s = say(p, AN_SHARE_PROMPT, "\n<</SYS>>\n\n");
        if (s == AN_OK && is_role(&m[i], "user"))
            s = say(p, AN_SHARE_PROMPT, " [/INST]");
        if (s == AN_OK && answer)
            s = mark(p, AN_SHARE_ANSWER, p->t->end_of_text);
        open = !answer;
    }
    return s;
}

an_status an_chat_render(const an_tokenizer *t, const an_message *messages,
                         size_t n, an_chat_fn *put, void *ctx, an_error *err)
{
    const speaker p = {t, put, ctx, err};
    an_chat_form form = an_chat_form_of(t);
    if (form == AN_CHAT_NONE)
        return an_fail(err, AN_EUNSUPPORTED,
                       "the tokenizer has the special tokens of no chat form: "
                       "<|im_start|>, <|start_header_id|> or SentencePiece's");
    for (size_t i = 0; i < n; i++)
        if (!is_role(&messages[i], "system") &&
            !is_role(&messages[i], "user") &&
            !is_role(&messages[i], "assistant"))
            return an_fail(err, AN_EUNSUPPORTED,
                           "role \"%.40s\"; system, user and assistant are "
                           "known",
                           messages[i].role);
    if (form == AN_CHAT_LLAMA2) return llama2(&p, messages, n);
    an_status s = AN_OK;
    if (form == AN_CHAT_LLAMA3) s = mark(&p, AN_SHARE_PROMPT, t->begin);
    for (size_t i = 0; s == AN_OK && i < n; i++)
        s = form == AN_CHAT_CHATML
                ? framed(&p, &messages[i], "<|im_start|>", "\n", "<|im_end|>",
                         "\n")
                : framed(&p, &messages[i], "<|start_header_id|>",
                         "<|end_header_id|>\n\n", "<|eot_id|>", "");
    return s;
}
