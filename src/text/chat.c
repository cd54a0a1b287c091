/* See chat.h. What each form prints was compared with transformers'
 * apply_chat_template: tests/reference/chat.py. */
#include "text/chat.h"

#include "text/utf8.h"

#include <string.h>

typedef struct speaker {
    const an_tokenizer *t;
    an_chat_form form;
    const an_message *messages;
    size_t n;
    an_chat_fn *put;
    void *ctx;
    an_error *err;
} speaker;

/* ---- which form ---- */

static bool has(const an_tokenizer *t, const char *token)
{
    return an_tokenizer_id(t, token, strlen(token)) >= 0;
}

static bool has_chatml(const an_tokenizer *t)
{
    return has(t, "<|im_start|>") && has(t, "<|im_end|>");
}

static bool has_llama3(const an_tokenizer *t)
{
    return has(t, "<|start_header_id|>") && has(t, "<|eot_id|>");
}

bool an_chat_has_form(const an_tokenizer *t)
{
    return t->chat_template || has_chatml(t) || has_llama3(t);
}

an_status an_chat_form_of(const an_tokenizer *t, an_chat_form *out,
                          an_error *err)
{
    if (t->chat) {
        *out = *t->chat;
    } else if (t->chat_template) {
        return an_fail(err, AN_EUNSUPPORTED, "%s", t->chat_why);
    } else if (has_chatml(t)) {
        *out = (an_chat_form){.kind = AN_CHAT_CHATML};
    } else if (has_llama3(t)) {
        *out = (an_chat_form){
            .kind = AN_CHAT_LLAMA3, .begins = true, .trim = AN_CHAT_TRIM_ALL};
    } else {
        return an_fail(err, AN_EUNSUPPORTED,
                       "the tokenizer has no chat template (tokenizer_config."
                       "json or chat_template.jinja beside it), nor the tokens "
                       "of ChatML or Llama 3");
    }
    return AN_OK;
}

/* ---- texts ---- */

typedef struct span {
    const char *text;
    size_t size;
} span;

static span span_of(const char *text)
{
    return (span){text, strlen(text)};
}

static span trim_right(span x)
{
    while (x.size > 0) {
        size_t at = x.size - 1, n;
        while (at > 0 && ((unsigned char)x.text[at] & 0xc0) == 0x80)
            at--;
        uint32_t code =
            an_utf8_get((const unsigned char *)x.text + at, x.size - at, &n);
        if (n != x.size - at || !an_utf8_is_space(code)) break;
        x.size = at;
    }
    return x;
}

static span trim(span x)
{
    x = trim_right(x);
    for (size_t n; x.size > 0; x.text += n, x.size -= n) {
        uint32_t code = an_utf8_get((const unsigned char *)x.text, x.size, &n);
        if (n == 0 || !an_utf8_is_space(code)) break;
    }
    return x;
}

static span without_lines(span x)
{
    for (; x.size > 0 && x.text[0] == '\n'; x.text++)
        x.size--;
    while (x.size > 0 && x.text[x.size - 1] == '\n')
        x.size--;
    return x;
}

static span without_first_lines(span x)
{
    for (; x.size > 0 && x.text[0] == '\n'; x.text++)
        x.size--;
    return x;
}

/* Where `word` first is; x.size: nowhere. */
static size_t find(span x, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= x.size; i++)
        if (memcmp(x.text + i, word, n) == 0) return i;
    return x.size;
}

/* What is behind the last `word`; x itself when there is none. */
static span behind_last(span x, const char *word)
{
    for (size_t at; (at = find(x, word)) < x.size;) {
        x.text += at + strlen(word);
        x.size -= at + strlen(word);
    }
    return x;
}

static an_status say(const speaker *p, an_share share, span text)
{
    return p->put(p->ctx, share, text.text, text.size, -1, p->err);
}

static an_status say_text(const speaker *p, an_share share, const char *text)
{
    return text ? say(p, share, span_of(text)) : AN_OK;
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

static span content_of(const speaker *p, const an_message *m)
{
    span x = {m->content, m->size};
    bool trims =
        p->form.trim == AN_CHAT_TRIM_ALL ||
        (p->form.trim == AN_CHAT_TRIM_ANSWERS && is_role(m, "assistant"));
    return trims ? trim(x) : x;
}

/* ---- forms that frame each message ---- */

/* open ROLE middle CONTENT close tail; the end of text in place of close when
 * that is NULL. */
typedef struct frame {
    const char *open, *middle, *close, *tail;
} frame;

static const frame frames[] = {
    [AN_CHAT_CHATML] = {"<|im_start|>", "\n", "<|im_end|>", "\n"},
    [AN_CHAT_QWEN3] = {"<|im_start|>", "\n", "<|im_end|>", "\n"},
    [AN_CHAT_LLAMA3] = {"<|start_header_id|>", "<|end_header_id|>\n\n",
                        "<|eot_id|>", ""},
    [AN_CHAT_ZEPHYR] = {"<|", "|>\n", NULL, "\n"},
};

static an_status say_head(const speaker *p, const char *role)
{
    const frame *f = &frames[p->form.kind];
    an_status s = say_text(p, AN_SHARE_PROMPT, f->open);
    if (s == AN_OK) s = say_text(p, AN_SHARE_PROMPT, role);
    return s == AN_OK ? say_text(p, AN_SHARE_PROMPT, f->middle) : s;
}

static an_status say_tail(const speaker *p, an_share share)
{
    const frame *f = &frames[p->form.kind];
    an_status s = f->close ? say_text(p, share, f->close)
                           : mark(p, share, p->t->end_of_text);
    return s == AN_OK ? say_text(p, AN_SHARE_PROMPT, f->tail) : s;
}

/* The last message of a user that is no tool's answer; the last of all when
 * there is none. */
static size_t last_query(const speaker *p)
{
    static const char open[] = "<tool_response>", close[] = "</tool_response>";
    for (size_t i = p->n; i-- > 0;) {
        const an_message *m = &p->messages[i];
        bool tool = m->size >= strlen(open) + strlen(close) &&
                    memcmp(m->content, open, strlen(open)) == 0 &&
                    memcmp(m->content + m->size - strlen(close), close,
                           strlen(close)) == 0;
        if (is_role(m, "user") && !tool) return i;
    }
    return p->n - 1;
}

/* Qwen 3 keeps what was thought behind the last question alone. */
static an_status say_thoughtful(const speaker *p, size_t i)
{
    span x = {p->messages[i].content, p->messages[i].size}, thought = {"", 0};
    size_t end = find(x, "</think>");
    if (end < x.size) {
        thought = (span){x.text, end};
        while (thought.size > 0 && thought.text[thought.size - 1] == '\n')
            thought.size--;
        thought = without_lines(behind_last(thought, "<think>"));
        x = without_first_lines(behind_last(x, "</think>"));
    }
    bool keeps = i > last_query(p) && (i + 1 == p->n || thought.size > 0);
    an_status s = AN_OK;
    if (!keeps) return say(p, AN_SHARE_ANSWER, x);
    s = say_text(p, AN_SHARE_ANSWER, "<think>\n");
    if (s == AN_OK) s = say(p, AN_SHARE_ANSWER, thought);
    if (s == AN_OK) s = say_text(p, AN_SHARE_ANSWER, "\n</think>\n\n");
    return s == AN_OK ? say(p, AN_SHARE_ANSWER, without_first_lines(x)) : s;
}

static an_status say_framed(const speaker *p, size_t i)
{
    const an_message *m = &p->messages[i];
    an_status s = say_head(p, m->role);
    if (s == AN_OK && i == 0 && is_role(m, "system"))
        s = say_text(p, AN_SHARE_PROMPT, p->form.preamble);
    if (s != AN_OK) return s;
    s = p->form.kind == AN_CHAT_QWEN3 && is_role(m, "assistant")
            ? say_thoughtful(p, i)
            : say(p, share_of(m), content_of(p, m));
    return s == AN_OK ? say_tail(p, share_of(m)) : s;
}

static an_status render_framed(const speaker *p, an_chat_end end)
{
    an_status s = AN_OK;
    if ((p->form.system || p->form.preamble) &&
        !(p->n > 0 && is_role(&p->messages[0], "system"))) {
        s = say_head(p, "system");
        if (s == AN_OK) s = say_text(p, AN_SHARE_PROMPT, p->form.preamble);
        if (s == AN_OK) s = say_text(p, AN_SHARE_PROMPT, p->form.system);
        if (s == AN_OK) s = say_tail(p, AN_SHARE_PROMPT);
    }
    for (size_t i = 0; s == AN_OK && i < p->n; i++)
        s = say_framed(p, i);
    return s == AN_OK && end == AN_CHAT_ASKS ? say_head(p, "assistant") : s;
}

/* ---- forms of instructions ---- */

/* <<SYS>> system <</SYS>>, or the system's words and an empty line. */
static an_status say_system(const speaker *p, const char *text, size_t size)
{
    bool llama2 = p->form.kind == AN_CHAT_LLAMA2;
    an_status s = AN_OK;
    if (llama2) s = say_text(p, AN_SHARE_PROMPT, "<<SYS>>\n");
    if (s == AN_OK) s = say(p, AN_SHARE_PROMPT, (span){text, size});
    return s == AN_OK ? say_text(p, AN_SHARE_PROMPT,
                                 llama2 ? "\n<</SYS>>\n\n" : "\n\n")
                      : s;
}

/* Before which message the system's words come; n: before none. */
static size_t system_turn(const speaker *p, size_t first)
{
    if (p->form.place == AN_CHAT_FIRST_TURN) return first;
    if (p->form.place == AN_CHAT_LAST_MESSAGE)
        return p->n > first && is_role(&p->messages[p->n - 1], "user")
                   ? p->n - 1
                   : p->n;
    size_t i = p->n;
    while (i > first && !is_role(&p->messages[i - 1], "user"))
        i--;
    return i > first ? i - 1 : p->n;
}

static an_status say_instruction(const speaker *p, size_t i, span system)
{
    span x = content_of(p, &p->messages[i]);
    an_status s = AN_OK;
    if (p->form.begins_turns) s = mark(p, AN_SHARE_PROMPT, p->t->begin);
    if (s == AN_OK) s = say_text(p, AN_SHARE_PROMPT, p->form.open);
    if (s == AN_OK && system.text) {
        s = say_system(p, system.text, system.size);
        /* The template trims the two as one text. */
        x = (span){p->messages[i].content, p->messages[i].size};
        if (p->form.trim == AN_CHAT_TRIM_ALL) x = trim_right(x);
    }
    if (s == AN_OK) s = say(p, AN_SHARE_PROMPT, x);
    return s == AN_OK ? say_text(p, AN_SHARE_PROMPT, p->form.close) : s;
}

static an_status say_answer(const speaker *p, size_t i)
{
    an_status s = say_text(p, AN_SHARE_ANSWER, p->form.before);
    if (s == AN_OK) s = say(p, AN_SHARE_ANSWER, content_of(p, &p->messages[i]));
    if (s == AN_OK) s = say_text(p, AN_SHARE_ANSWER, p->form.after);
    if (s == AN_OK) s = mark(p, AN_SHARE_ANSWER, p->t->end_of_text);
    return s == AN_OK ? say_text(p, AN_SHARE_PROMPT, p->form.behind) : s;
}

/* User and assistant in turn, behind what the system says. */
static an_status check_turns(const speaker *p, size_t first)
{
    if (first && p->form.place == AN_CHAT_NOWHERE)
        return an_fail(p->err, AN_EUNSUPPORTED,
                       "the model's chat template has no system messages");
    for (size_t i = first; i < p->n; i++)
        if (!is_role(&p->messages[i], (i - first) % 2 ? "assistant" : "user"))
            return an_fail(p->err, AN_EUNSUPPORTED,
                           "message %zu is the %s's; the model's chat template "
                           "has user and assistant in turn",
                           i + 1, p->messages[i].role);
    return AN_OK;
}

static an_status render_instructions(const speaker *p)
{
    span system = {p->form.system, 0};
    size_t first = p->n > 0 && is_role(&p->messages[0], "system");
    if (system.text) system.size = strlen(system.text);
    if (first) system = (span){p->messages[0].content, p->messages[0].size};
    size_t turn = system_turn(p, first);
    an_status s = check_turns(p, first);
    for (size_t i = first; s == AN_OK && i < p->n; i++)
        s = is_role(&p->messages[i], "assistant")
                ? say_answer(p, i)
                : say_instruction(p, i, i == turn ? system : (span){NULL, 0});
    return s;
}

/* ---- all ---- */

int32_t an_chat_end_id(const an_tokenizer *t)
{
    an_chat_form form;
    if (an_chat_form_of(t, &form, NULL) != AN_OK) return -1;
    const char *close = form.kind < sizeof frames / sizeof frames[0]
                            ? frames[form.kind].close
                            : NULL;
    return close ? an_tokenizer_id(t, close, strlen(close)) : t->end_of_text;
}

an_status an_chat_render(const an_tokenizer *t, const an_message *messages,
                         size_t n, an_chat_end end, an_chat_fn *put, void *ctx,
                         an_error *err)
{
    speaker p = {.t = t,
                 .messages = messages,
                 .n = n,
                 .put = put,
                 .ctx = ctx,
                 .err = err};
    an_status s = an_chat_form_of(t, &p.form, err);
    for (size_t i = 0; s == AN_OK && i < n; i++)
        if (!is_role(&messages[i], "system") &&
            !is_role(&messages[i], "user") &&
            !is_role(&messages[i], "assistant"))
            s = an_fail(err, AN_EUNSUPPORTED,
                        "role \"%.40s\"; system, user and assistant are known",
                        messages[i].role);
    if (s == AN_OK && p.form.begins) s = mark(&p, AN_SHARE_PROMPT, t->begin);
    if (s != AN_OK) return s;
    return p.form.kind == AN_CHAT_LLAMA2 || p.form.kind == AN_CHAT_MISTRAL
               ? render_instructions(&p)
               : render_framed(&p, end);
}
