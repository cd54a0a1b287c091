/*
 * A template is first flattened: blanks outside of its texts go, "a.content"
 * becomes a["content"], and each text, with its escapes undone, and what stands
 * between tags, is enclosed in bytes 1 (Q below). Then expressions are found as
 * plain strings, however they were quoted and spaced.
 */
#include "text/chat_form.h"

#include "text/buffer.h"

#include <stdio.h>
#include <string.h>

#define Q "\001"
#define CONTENT "[" Q "content" Q "]"
#define MESSAGE "message" CONTENT
enum { MAX_TEMPLATE_BYTES = 1 << 20, MOST_MARKS = 4 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_';
}

/* ---- flattening ---- */

typedef struct cursor {
    const char *at, *end;
    an_buffer *out;
    an_error *err;
} cursor;

static bool sees(const cursor *c, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(c->end - c->at) >= n && memcmp(c->at, text, n) == 0;
}

static an_status put(cursor *c, const char *text)
{
    return an_buffer_put(c->out, text, strlen(text), c->err);
}

/* What stands between tags, unless it is blank. */
static an_status flatten_outside(cursor *c)
{
    const char *from = c->at;
    bool blank = true;
    while (c->at < c->end && !sees(c, "{{") && !sees(c, "{%") && !sees(c, "{#"))
        blank = is_blank(*c->at++) && blank;
    an_status s = AN_OK;
    if (blank) return s;
    s = put(c, Q);
    if (s == AN_OK)
        s = an_buffer_put(c->out, from, (size_t)(c->at - from), c->err);
    return s == AN_OK ? put(c, Q) : s;
}

static an_status flatten_text(cursor *c)
{
    char quote = *c->at++;
    an_status s = put(c, Q);
    while (s == AN_OK && c->at < c->end && *c->at != quote) {
        char x = *c->at++;
        if (x == '\\' && c->at < c->end) {
            x = *c->at++;
            if (x == 'n') x = '\n';
            if (x == 't') x = '\t';
        }
        s = an_buffer_put(c->out, &x, 1, c->err);
    }
    c->at += c->at < c->end;
    return s == AN_OK ? put(c, Q) : s;
}

/* ".content" and ".role" as the index that they are. */
static an_status flatten_member(cursor *c, bool *was)
{
    static const char *const names[][2] = {{".content", CONTENT},
                                           {".role", "[" Q "role" Q "]"}};
    *was = false;
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(names[i][0]);
        if (!sees(c, names[i][0]) || (c->at + n < c->end && is_word(c->at[n])))
            continue;
        *was = true;
        c->at += n;
        return put(c, names[i][1]);
    }
    return AN_OK;
}

static an_status flatten_tag(cursor *c, const char *end)
{
    an_status s = AN_OK;
    bool was = false;
    c->at += 2;
    while (s == AN_OK && c->at < c->end && !sees(c, end)) {
        if (*c->at == '\'' || *c->at == '"') {
            s = flatten_text(c);
            continue;
        }
        s = flatten_member(c, &was);
        if (was) continue;
        if (!is_blank(*c->at)) s = an_buffer_put(c->out, c->at, 1, c->err);
        c->at++;
    }
    c->at += c->at < c->end ? 2 : 0;
    return s == AN_OK ? put(c, ";") : s;
}

static an_status flatten(const char *text, size_t size, an_buffer *out,
                         an_error *err)
{
    cursor c = {.at = text, .end = text + size, .out = out, .err = err};
    an_status s = AN_OK;
    if (size > MAX_TEMPLATE_BYTES || memchr(text, 0, size) ||
        memchr(text, Q[0], size))
        return an_fail(err, AN_EUNSUPPORTED,
                       "chat template: %zu bytes, or control characters in it",
                       size);
    while (s == AN_OK && c.at < c.end) {
        if (sees(&c, "{#")) {
            while (c.at < c.end && !sees(&c, "#}"))
                c.at++;
            c.at += c.at < c.end ? 2 : 0;
        } else if (sees(&c, "{{")) {
            s = flatten_tag(&c, "}}");
        } else if (sees(&c, "{%")) {
            s = flatten_tag(&c, "%}");
        } else {
            s = flatten_outside(&c);
        }
    }
    return s == AN_OK ? an_buffer_put(out, "", 1, err) : s;
}

/* ---- marks ---- */

/* The next "<...>" or "[...]" of letters that stands for something; its size,
 * 0 at the end. */
static size_t next_mark(const char **at)
{
    enum { LONGEST = 40 };
    for (const char *p = *at; *p; p++) {
        if (*p != '<' && *p != '[') continue;
        char close = *p == '<' ? '>' : ']';
        size_t n = 1;
        bool capitals = true;
        while (n < LONGEST && (is_word(p[n]) || p[n] == '|' || p[n] == '/')) {
            capitals = capitals && !(p[n] >= 'a' && p[n] <= 'z') &&
                       !(p[n] >= '0' && p[n] <= '9');
            n++;
        }
        if (p[n] != close || n < 3 || (close == ']' && !capitals)) continue;
        *at = p;
        return n + 1;
    }
    return 0;
}

static an_status unknown_form(const char *flat, an_error *err)
{
    char marks[256] = "";
    size_t used = 0;
    const char *at = flat, *seen[MOST_MARKS];
    int n_seen = 0;
    for (size_t n; n_seen < MOST_MARKS && (n = next_mark(&at)) > 0; at += n) {
        bool again = false;
        for (int i = 0; i < n_seen; i++)
            again = again || strncmp(seen[i], at, n) == 0;
        if (again) continue;
        seen[n_seen++] = at;
        used += (size_t)snprintf(marks + used, sizeof marks - used, "%s%.*s",
                                 used ? ", " : "", (int)n, at);
    }
    return an_fail(err, AN_EUNSUPPORTED,
                   "the chat template has no known form (ChatML, Qwen 3, Llama "
                   "2 and 3, Mistral, Zephyr); its marks are %s",
                   n_seen ? marks : "none");
}

/* Every "<|...|>" of the template must be one of these. */
static an_status check_marks(const char *flat, const char *const *known,
                             an_error *err)
{
    const char *at = flat;
    for (size_t n; (n = next_mark(&at)) > 0; at += n) {
        bool is = at[1] != '|';
        for (int i = 0; known[i] && !is; i++)
            is = strlen(known[i]) == n && memcmp(known[i], at, n) == 0;
        if (!is)
            return an_fail(err, AN_EUNSUPPORTED,
                           "the chat template has the mark %.*s beside %s",
                           (int)n, at, known[0]);
    }
    return AN_OK;
}

static an_status unknown_part(const char *form, const char *part, an_error *err)
{
    return an_fail(err, AN_EUNSUPPORTED,
                   "the chat template is %s's, but %s is not known", form,
                   part);
}

/* ---- what the forms share ---- */

static bool has(const char *flat, const char *text)
{
    return strstr(flat, text) != NULL;
}

static an_chat_trim trim_of(const char *flat)
{
    static const char *const all[] = {CONTENT "|trim", "content|trim",
                                      CONTENT ".strip()", "content.strip()"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (has(flat, all[i])) return AN_CHAT_TRIM_ALL;
    return AN_CHAT_AS_IS;
}

/* The text that follows `head`, up to `tail`, when the whole is one text. */
static an_status text_between(const char *flat, const char *head,
                              const char *tail, an_arena *arena,
                              const char **out, an_error *err)
{
    for (const char *p = flat; (p = strstr(p, head)) != NULL;) {
        p += strlen(head);
        size_t n = strcspn(p, Q);
        const char *end = strstr(p, tail);
        if (!end || end == p || (size_t)(end - p) > n) continue;
        *out = an_arena_strndup(arena, p, (size_t)(end - p));
        return *out ? AN_OK : an_fail(err, AN_ENOMEM, "no memory");
    }
    return AN_OK;
}

/* What is said for a system that says nothing, unless it is switched off. */
static an_status find_system(const char *flat, const char *head,
                             an_arena *arena, an_chat_form *out, an_error *err)
{
    if (has(flat, "false==true")) return AN_OK;
    an_status s = AN_OK;
    if (head)
        s = text_between(flat, head, "<|im_end|>", arena, &out->system, err);
    if (s == AN_OK && !out->system)
        s = text_between(flat, "setsystem_message=" Q, Q, arena, &out->system,
                         err);
    return s;
}

/* ---- the forms ---- */

static an_status read_chatml(const char *flat, an_arena *arena,
                             an_chat_form *out, an_error *err)
{
    static const char *const known[] = {"<|im_start|>", "<|im_end|>",
                                        "<|endoftext|>", NULL};
    an_status s = check_marks(flat, known, err);
    if (s != AN_OK) return s;
    bool thinks = has(flat, "think>");
    if (thinks && !has(flat, "ifloop.lastor(notloop.lastandreasoning_content)"))
        return unknown_part("ChatML", "what it does with <think>", err);
    if (has(flat, Q "<|im_start|>assistant\n<think>"))
        return unknown_part("ChatML", "an answer that begins with <think>",
                            err);
    if (!has(flat, "<|im_end|>\n") && !has(flat, "<|im_end|>" Q "+" Q "\n"))
        return unknown_part("ChatML", "<|im_end|> without the end of a line",
                            err);
    out->kind = thinks ? AN_CHAT_QWEN3 : AN_CHAT_CHATML;
    if (!thinks) out->trim = trim_of(flat);
    return find_system(flat, Q "<|im_start|>system\n", arena, out, err);
}

static an_status read_llama3(const char *flat, an_arena *arena,
                             an_chat_form *out, an_error *err)
{
    static const char *const known[] = {
        "<|start_header_id|>", "<|end_header_id|>",
        "<|eot_id|>",          "<|begin_of_text|>",
        "<|end_of_text|>",     "<|python_tag|>",
        "<|eom_id|>",          NULL};
    (void)arena;
    an_status s = check_marks(flat, known, err);
    if (s != AN_OK) return s;
    out->kind = AN_CHAT_LLAMA3;
    out->trim = trim_of(flat);
    if (!has(flat, "Cutting Knowledge Date")) return AN_OK;
    if (!has(flat, Q "Cutting Knowledge Date: December 2023\n" Q) ||
        !has(flat, Q "Today Date: " Q "+date_string+" Q "\n\n" Q) ||
        !has(flat, "setdate_string=" Q "26 Jul 2024" Q))
        return unknown_part("Llama 3", "what it says of dates", err);
    /* The date that the template takes where it cannot ask for one. */
    out->preamble = "Cutting Knowledge Date: December 2023\n"
                    "Today Date: 26 Jul 2024\n\n";
    return AN_OK;
}

/* The texts that hold the mark are all one of `known`; NULL: they are not. */
static const char *text_with(const char *flat, const char *mark,
                             const char *const *known, int n_known)
{
    const char *found = NULL;
    for (const char *p = flat; (p = strstr(p, mark)) != NULL; p++) {
        const char *from = p, *is = NULL;
        while (from > flat && from[-1] != Q[0])
            from--;
        size_t n = strcspn(from, Q);
        for (int i = 0; i < n_known; i++)
            if (strlen(known[i]) == n && memcmp(known[i], from, n) == 0)
                is = known[i];
        if (!is || (found && found != is)) return NULL;
        found = is;
    }
    return found;
}

static an_status read_instructions(const char *flat, an_chat_form *out,
                                   an_error *err)
{
    static const char *const opens[] = {"[INST] ", "[INST]", " [INST] "};
    static const char *const closes[] = {" [/INST]", "[/INST]"};
    out->open = text_with(flat, "[INST]", opens, 3);
    out->close = text_with(flat, "[/INST]", closes, 2);
    if (!out->open || !out->close)
        return unknown_part("Llama 2 or Mistral", "what is around [INST]", err);
    bool blank =
        has(flat, Q " " Q "+" MESSAGE) || has(flat, Q " " Q "+content");
    out->before = blank ? " " : "";
    out->after = has(flat, "+" Q " " Q "+eos_token") ? " " : "";
    out->behind = has(flat, "+eos_token+" Q " " Q) ? " " : "";
    if (!has(flat, "eos_token"))
        return unknown_part("Llama 2 or Mistral", "the end of an answer", err);
    return AN_OK;
}

static an_status read_llama2(const char *flat, an_arena *arena,
                             an_chat_form *out, an_error *err)
{
    an_status s = read_instructions(flat, out, err);
    if (s != AN_OK) return s;
    if (!has(flat, Q "<<SYS>>\n" Q "+system_message+" Q "\n<</SYS>>\n\n" Q))
        return unknown_part("Llama 2", "what is around <<SYS>>", err);
    out->kind = AN_CHAT_LLAMA2;
    out->trim = trim_of(flat);
    out->place = AN_CHAT_FIRST_TURN;
    out->begins_turns = has(flat, "bos_token+" Q "[INST]");
    return find_system(flat, NULL, arena, out, err);
}

static an_status read_mistral(const char *flat, an_arena *arena,
                              an_chat_form *out, an_error *err)
{
    (void)arena;
    an_status s = read_instructions(flat, out, err);
    if (s != AN_OK) return s;
    out->kind = AN_CHAT_MISTRAL;
    if (has(flat, "[SYSTEM_PROMPT]"))
        return unknown_part("Mistral", "[SYSTEM_PROMPT]", err);
    if (has(flat, MESSAGE "|trim+eos_token")) out->trim = AN_CHAT_TRIM_ANSWERS;
    if (!has(flat, "system_message+" Q "\n\n" Q "+" MESSAGE)) {
        out->place = AN_CHAT_NOWHERE;
        return has(flat, "system_message")
                   ? unknown_part("Mistral", "where the system speaks", err)
                   : AN_OK;
    }
    out->place = has(flat, "loop.firstandsystem_message") ? AN_CHAT_FIRST_TURN
                 : has(flat, "loop.lastandsystem_message")
                     ? AN_CHAT_LAST_MESSAGE
                     : AN_CHAT_LAST_USER;
    return out->place != AN_CHAT_LAST_USER || has(flat, "user_messages[-1]")
               ? AN_OK
               : unknown_part("Mistral", "where the system speaks", err);
}

static an_status read_zephyr(const char *flat, an_arena *arena,
                             an_chat_form *out, an_error *err)
{
    static const char *const known[] = {"<|user|>", "<|system|>",
                                        "<|assistant|>", NULL};
    static const char *const parts[] = {
        Q "<|user|>\n" Q "+" MESSAGE "+eos_token",
        Q "<|system|>\n" Q "+" MESSAGE "+eos_token",
        Q "<|assistant|>\n" Q "+" MESSAGE "+eos_token",
    };
    (void)arena;
    an_status s = check_marks(flat, known, err);
    for (size_t i = 0; s == AN_OK && i < 3; i++)
        if (!has(flat, parts[i]))
            s = unknown_part("Zephyr", "what is around <|user|>", err);
    out->kind = AN_CHAT_ZEPHYR;
    return s;
}

/* The first whose marks are there. */
static const struct {
    const char *marks[2];
    an_status (*read)(const char *flat, an_arena *arena, an_chat_form *out,
                      an_error *err);
} forms[] = {
    {{"<|im_start|>", "<|im_end|>"}, read_chatml},
    {{"<|start_header_id|>", "<|eot_id|>"}, read_llama3},
    {{"<<SYS>>", "[/INST]"}, read_llama2},
    {{"[INST]", "[/INST]"}, read_mistral},
    {{"<|user|>", "<|assistant|>"}, read_zephyr},
};

an_status an_chat_form_read(const char *text, size_t size, an_arena *arena,
                            an_chat_form *out, an_error *err)
{
    an_buffer flat = {0};
    an_status s = flatten(text, size, &flat, err);
    const char *f = (const char *)flat.data;
    an_chat_form form = {0};
    bool found = false;
    for (size_t i = 0; s == AN_OK && !found && i < sizeof forms / sizeof *forms;
         i++) {
        found = has(f, forms[i].marks[0]) && has(f, forms[i].marks[1]);
        if (found) s = forms[i].read(f, arena, &form, err);
    }
    if (s == AN_OK && !found) s = unknown_form(f, err);
    if (s == AN_OK) {
        form.begins = !form.begins_turns && has(f, "bos_token");
        *out = form;
    }
    an_buffer_fini(&flat);
    return s;
}
