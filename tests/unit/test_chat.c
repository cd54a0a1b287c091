/*
 * Chat templates: what is printed for a conversation is what transformers
 * prints (tests/data/chat, by tests/reference/chat.py); templates of unknown
 * forms are refused by what is in them; where templates are found.
 */
#include "alloc_fail.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "text/chat.h"
#include "text/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TEMPLATES "tests/data/chat/"
#define LLAMA2 "tests/data/tokenizers/bpe.model"
#define QWEN "tests/data/tokenizers/qwen2.json"

/* ---- rendering ---- */

typedef struct output {
    const an_tokenizer *t;
    char text[4096];
    char shares[4096]; /* P or A for each byte of the text */
    size_t n;
} output;

static an_status collect(void *ctx, an_share share, const char *text,
                         size_t size, int32_t id, an_error *err)
{
    output *out = ctx;
    (void)err;
    if (!text) {
        text = (const char *)out->t->vocab.tokens[id].text;
        size = out->t->vocab.tokens[id].size;
    }
    assert_true(out->n + size < sizeof out->text);
    memcpy(out->text + out->n, text, size);
    memset(out->shares + out->n, share == AN_SHARE_ANSWER ? 'A' : 'P', size);
    out->n += size;
    out->text[out->n] = 0;
    return AN_OK;
}

static an_tokenizer *with_template(const char *tokenizer, const char *name)
{
    char path[256];
    an_tokenizer *t = NULL;
    an_map map;
    an_error err = {0};
    snprintf(path, sizeof path, "%s%s", TEMPLATES, name);
    if (an_tokenizer_open(tokenizer, &t, &err) != AN_OK ||
        an_map_open(path, &map, &err) != AN_OK ||
        an_tokenizer_set_template(t, (const char *)map.data, map.size, &err) !=
            AN_OK)
        fail_msg("%s", err.text);
    an_map_close(&map);
    return t;
}

static size_t read_messages(const json_t *list, an_message *out)
{
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const json_t *m = json_array_get(list, i);
        const json_t *content = json_object_get(m, "content");
        out[i] = (an_message){json_string_value(json_object_get(m, "role")),
                              json_string_value(content),
                              json_string_length(content)};
    }
    return n;
}

static void check_case(const an_tokenizer *t, const json_t *c, size_t line)
{
    an_message messages[8];
    output out = {.t = t};
    an_error err = {0};
    const char *want = json_string_value(json_object_get(c, "text"));
    an_chat_end end =
        json_is_true(json_object_get(c, "asks")) ? AN_CHAT_ASKS : AN_CHAT_WHOLE;
    size_t n = read_messages(json_object_get(c, "messages"), messages);
    an_status s = an_chat_render(t, messages, n, end, collect, &out, &err);
    if (want && s != AN_OK)
        fail_msg("cases.json:%zu: refused: %s", line, err.text);
    if (want && strcmp(out.text, want) != 0)
        fail_msg("cases.json:%zu: printed\n%s\nexpected\n%s", line, out.text,
                 want);
    if (!want && s != AN_EUNSUPPORTED)
        fail_msg("cases.json:%zu: not refused", line);
}

typedef struct expected {
    const json_t *cases;
    size_t next, to, samples;
} expected;

static an_status compare_ids(void *ctx, const uint32_t *ids, size_t n,
                             an_error *err)
{
    expected *x = ctx;
    const json_t *want;
    (void)err;
    do {
        assert_true(x->next < x->to);
        want = json_object_get(json_array_get(x->cases, x->next++), "ids");
    } while (!want);
    size_t n_want = json_array_size(want);
    x->samples++;
    for (size_t i = 0; i < n || i < n_want; i++) {
        json_int_t id = json_integer_value(json_array_get(want, i));
        if (i == n || i == n_want || (json_int_t)ids[i] != id)
            fail_msg("cases.json:%zu: id %zu of %zu and %zu differs",
                     x->next + 1, i, n, n_want);
    }
    return AN_OK;
}

/* The same conversations as samples of JSONL. */
static void check_ids(const an_tokenizer *t, const json_t *cases, size_t from,
                      size_t to)
{
    char path[] = "/tmp/anemone-chat-XXXXXX", name[64];
    expected x = {.cases = cases, .next = from, .to = to};
    an_error err = {0};
    size_t n = 0;
    FILE *f = fdopen(mkstemp(path), "w");
    for (size_t i = from; i < to; i++) {
        const json_t *c = json_array_get(cases, i);
        if (!json_object_get(c, "ids")) continue;
        n++;
        json_t *line =
            json_pack("{s:O}", "messages", json_object_get(c, "messages"));
        assert_int_equal(json_dumpf(line, f, JSON_COMPACT), 0);
        fputc('\n', f);
        json_decref(line);
    }
    fclose(f);
    snprintf(name, sizeof name, "%s.jsonl", path);
    assert_int_equal(rename(path, name), 0);
    if (an_samples_read(name, t, AN_MASK_NOTHING, compare_ids, &x, &err) !=
        AN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(x.samples, n);
    remove(name);
}

/* The cases of one template, in turn. */
static void check_template(const json_t *cases, size_t from, size_t to)
{
    char path[256];
    const json_t *c = json_array_get(cases, from);
    snprintf(path, sizeof path, "tests/data/tokenizers/%s.json",
             json_string_value(json_object_get(c, "tokenizer")));
    an_tokenizer *t =
        with_template(path, json_string_value(json_object_get(c, "template")));
    for (size_t i = from; i < to; i++)
        check_case(t, json_array_get(cases, i), i + 2);
    check_ids(t, cases, from, to);
    an_tokenizer_free(t);
}

static void test_as_transformers(void **state)
{
    (void)state;
    json_t *cases = NULL;
    assert_int_equal(an_json_load(TEMPLATES "cases.json", &cases, NULL), AN_OK);
    size_t n = json_array_size(cases), from = 0, templates = 0;
    for (size_t i = 1; i <= n; i++) {
        const json_t *was = json_array_get(cases, from);
        const json_t *c = json_array_get(cases, i);
        if (c && json_equal(json_object_get(c, "template"),
                            json_object_get(was, "template")))
            continue;
        check_template(cases, from, i);
        from = i;
        templates++;
    }
    assert_int_equal(templates, 11);
    json_decref(cases);
}

static void expect_shares(const char *template, const char *want)
{
    static const an_message m[] = {{"system", "S", 1},
                                   {"user", "U", 1},
                                   {"assistant", "a", 1},
                                   {"user", "V", 1},
                                   {"assistant", "b", 1}};
    an_tokenizer *t = with_template(LLAMA2, template);
    output out = {.t = t};
    char answers[256] = "";
    assert_int_equal(
        an_chat_render(t, m, 5, AN_CHAT_WHOLE, collect, &out, NULL), AN_OK);
    for (size_t i = 0, n = 0; i < out.n; i++)
        if (out.shares[i] == 'A') {
            if (n > 0 && out.shares[i - 1] == 'P') answers[n++] = '~';
            answers[n++] = out.text[i];
        }
    assert_string_equal(answers, want);
    an_tokenizer_free(t);
}

/* What is learned: answers and the marks that end them. */
static void test_shares(void **state)
{
    (void)state;
    expect_shares("smollm2.jinja", "a<|im_end|>~b<|im_end|>");
    expect_shares("qwen3.jinja",
                  "a<|im_end|>~<think>\n\n</think>\n\nb<|im_end|>");
    expect_shares("llama3.jinja", "a<|eot_id|>~b<|eot_id|>");
    expect_shares("llama2.jinja", " a </s>~ b </s>");
    expect_shares("mistral3.jinja", " a</s>~ b</s>");
    expect_shares("zephyr.jinja", "a</s>~b</s>");
}

/* ---- refusals ---- */

static void expect_refused(const char *template, const char *words)
{
    an_tokenizer *t = NULL;
    an_chat_form form;
    an_error err = {0};
    assert_int_equal(an_tokenizer_open(LLAMA2, &t, NULL), AN_OK);
    assert_int_equal(
        an_tokenizer_set_template(t, template, strlen(template), NULL), AN_OK);
    assert_true(an_chat_has_form(t));
    assert_int_equal(an_chat_form_of(t, &form, &err), AN_EUNSUPPORTED);
    if (!strstr(err.text, words)) fail_msg("%s; expected %s", err.text, words);
    an_tokenizer_free(t);
}

static void test_refused(void **state)
{
    (void)state;
    expect_refused("{{'<start_of_turn>' + message.role + '<end_of_turn>'}}",
                   "its marks are <start_of_turn>, <end_of_turn>");
    expect_refused("", "its marks are none");
    expect_refused("{{ 'USER: ' + message.content }", "its marks are none");
    expect_refused("{{'<|im_start|>' + message.role + '<|im_sep|>'}}"
                   "{{message.content + '<|im_end|>\n'}}",
                   "the mark <|im_sep|> beside <|im_start|>");
    expect_refused("{{'<|im_start|>'+role}}{{content+'<|im_end|>'}}",
                   "<|im_end|> without the end of a line");
    expect_refused("{{'<|im_start|>assistant\\n<think>\\n<|im_end|>\\n'}}",
                   "what it does with <think>");
    expect_refused("{{'[INST]  ' + message.content + ' [/INST]'}}",
                   "what is around [INST]");
    expect_refused("{{'[SYSTEM_PROMPT]'}}{{'[INST]' + message.content + "
                   "'[/INST]' + eos_token}}",
                   "[SYSTEM_PROMPT]");
    expect_refused("{{'<|start_header_id|>'}}<|eot_id|>"
                   "{{'Cutting Knowledge Date: June 2030\\n'}}",
                   "what it says of dates");
    expect_refused("{{'<|user|>' + message.content}}{{'<|assistant|>'}}",
                   "what is around <|user|>");
    expect_refused("\001", "control characters");
}

static void test_roles(void **state)
{
    (void)state;
    an_tokenizer *t = with_template(LLAMA2, "smollm2.jinja");
    const an_message bad = {"tool", "x", 1};
    an_error err = {0};
    assert_int_equal(
        an_chat_render(t, &bad, 1, AN_CHAT_WHOLE, collect, NULL, &err),
        AN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "role \"tool\""));
    an_tokenizer_free(t);
}

/* ---- where templates are ---- */

static void copy(const char *from, const char *folder, const char *name)
{
    char path[256];
    an_map map;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(an_map_open(from, &map, NULL), AN_OK);
    assert_int_equal(an_file_write(path, map.data, map.size, NULL), AN_OK);
    an_map_close(&map);
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(an_file_write(path, text, strlen(text), NULL), AN_OK);
}

static void expect_kind(const char *path, an_chat_kind kind, const char *system)
{
    an_tokenizer *t = NULL;
    an_chat_form form;
    an_error err = {0};
    if (an_tokenizer_open(path, &t, &err) != AN_OK ||
        an_chat_form_of(t, &form, &err) != AN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(form.kind, kind);
    if (!system) assert_null(form.system);
    if (system) assert_string_equal(form.system, system);
    an_tokenizer_free(t);
}

static void test_beside(void **state)
{
    (void)state;
    char folder[] = "/tmp/anemone-chat-XXXXXX", path[256];
    assert_non_null(mkdtemp(folder));
    copy(QWEN, folder, "tokenizer.json");
    expect_kind(folder, AN_CHAT_CHATML, NULL); /* by its tokens */
    put(folder, "tokenizer_config.json",
        "{\"chat_template\": [{\"name\": \"tools\", \"template\": \"x\"}, "
        "{\"name\": \"default\", \"template\": \"{{'<|im_start|>system\\nHi."
        "<|im_end|>\\n'}}\"}]}");
    expect_kind(folder, AN_CHAT_CHATML, "Hi.");
    put(folder, "tokenizer_config.json", "{\"chat_template\": \"Bye\"}");
    copy(TEMPLATES "smollm2.jinja", folder, "chat_template.jinja");
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    static const char system[] = "You are a helpful AI assistant named SmolLM, "
                                 "trained by Hugging Face";
    expect_kind(path, AN_CHAT_CHATML, system);
    /* A saved tokenizer keeps it. */
    an_tokenizer *t = NULL;
    assert_int_equal(an_tokenizer_open(folder, &t, NULL), AN_OK);
    assert_int_equal(an_dir_remove(folder, NULL), AN_OK);
    assert_int_equal(an_dir_make(folder, NULL), AN_OK);
    assert_int_equal(an_tokenizer_save(t, path, NULL), AN_OK);
    an_tokenizer_free(t);
    expect_kind(path, AN_CHAT_CHATML, system);
    put(folder, "tokenizer_config.json", "{");
    assert_int_equal(
        unlink((snprintf(path, sizeof path, "%s/chat_template.jinja", folder),
                path)),
        0);
    an_error err = {0};
    assert_int_equal(an_tokenizer_open(folder, &t, &err), AN_EFORMAT);
    assert_non_null(strstr(err.text, "tokenizer_config.json"));
    assert_int_equal(an_dir_remove(folder, NULL), AN_OK);
}

/* ---- memory ---- */

static an_status sweep(void *ctx, an_error *err)
{
    static const an_message m[] = {{"system", " S ", 3}, {"user", "U", 1}};
    const an_tokenizer *own = ctx;
    an_tokenizer *t = an_tokenizer_new("test");
    output out = {.t = own};
    if (!t) return an_fail(err, AN_ENOMEM, "no memory");
    an_status s = an_tokenizer_set_template(t, own->chat_template,
                                            own->chat_template_size, err);
    if (s == AN_OK)
        s = an_chat_render(t, m, 2, AN_CHAT_ASKS, collect, &out, err);
    an_tokenizer_free(t);
    return s;
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"qwen25.jinja", "llama32.jinja",
                                        "llama2.jinja", "zephyr.jinja"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        an_tokenizer *t = with_template(LLAMA2, names[i]);
        assert_true(alloc_sweep(sweep, t) > 0);
        an_tokenizer_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_transformers),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_beside),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
