/*
 * tiktoken's rank files: a line each of base64 and rank, which is the id; what
 * merges is what has a rank, the lowest first. The expression and the special
 * tokens are not in the file: the number of ranks tells which published file it
 * is. Any other is read with Llama 3's expression and "<|endoftext|>" behind
 * the last rank.
 * Sources: tiktoken/load.py and tiktoken_ext/openai_public.py of
 * openai/tiktoken; llama/tokenizer.py of meta-llama/llama3.
 */
#include "text/expressions.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST_LINE = 4096, LLAMA3_SPECIALS = 256 };

typedef struct published {
    size_t n_ranks;
    const char *expression;
    struct {
        int32_t id;
        const char *text;
    } specials[6]; /* the first ends a text */
} published;

// clang-format off
static const published files[] = {
    {50256,  an_expression_gpt2, {{50256, "<|endoftext|>"}}}, /* r50k */
    {50280,  an_expression_gpt2, {{50256, "<|endoftext|>"}}}, /* p50k */
    {100256, an_expression_llama3, /* cl100k */
     {{100257, "<|endoftext|>"}, {100258, "<|fim_prefix|>"}, {100259, "<|fim_middle|>"},
      {100260, "<|fim_suffix|>"}, {100276, "<|endofprompt|>"}}},
    {151643, an_expression_qwen2,
     {{151643, "<|endoftext|>"}, {151644, "<|im_start|>"}, {151645, "<|im_end|>"}}},
    {199998, an_expression_o200k, {{199999, "<|endoftext|>"}, {200018, "<|endofprompt|>"}}},
};
// clang-format on
enum { LLAMA3_RANKS = 128000 };

/* The value of a base64 character; -1: none. */
static int digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes a line's base64; -1: it is none. */
static int64_t decode(const unsigned char *text, size_t size,
                      unsigned char *out)
{
    int64_t n = 0;
    uint32_t bits = 0;
    int n_bits = 0;
    while (size > 0 && text[size - 1] == '=')
        size--;
    for (size_t i = 0; i < size; i++) {
        int d = digit(text[i]);
        if (d < 0) return -1;
        bits = bits << 6 | (uint32_t)d;
        n_bits += 6;
        if (n_bits < 8) continue;
        n_bits -= 8;
        out[n++] = (unsigned char)(bits >> n_bits);
        bits &= (1u << n_bits) - 1;
    }
    return n;
}

/* One line into token and rank; false: it is none. */
static bool parse_line(const unsigned char *line, size_t size,
                       unsigned char *token, size_t *n_token, int64_t *rank)
{
    const unsigned char *blank = memchr(line, ' ', size);
    if (!blank || blank == line || size > LONGEST_LINE) return false;
    int64_t n = decode(line, (size_t)(blank - line), token), r = 0;
    size_t digits = 0;
    for (const unsigned char *p = blank + 1; p < line + size; p++, digits++) {
        if (*p < '0' || *p > '9' || digits > 9) return false;
        r = 10 * r + (*p - '0');
    }
    *n_token = n > 0 ? (size_t)n : 0;
    *rank = r;
    return n > 0 && digits > 0;
}

static size_t line_size(const unsigned char *data, size_t size)
{
    const unsigned char *end = memchr(data, '\n', size);
    return end ? (size_t)(end - data) : size;
}

static bool is_tiktoken(const char *path, const unsigned char *data,
                        size_t size)
{
    unsigned char token[LONGEST_LINE];
    size_t n;
    int64_t rank;
    (void)path;
    return parse_line(data, line_size(data, size), token, &n, &rank);
}

static an_status read_ranks(an_tokenizer *t, const unsigned char *data,
                            size_t size, an_error *err)
{
    unsigned char token[LONGEST_LINE];
    an_status s = AN_OK;
    size_t n_token;
    int64_t rank;
    long line = 1;
    for (size_t at = 0, n; s == AN_OK && at < size; at += n + 1, line++) {
        n = line_size(data + at, size - at);
        if (n == 0 || (n == 1 && data[at] == '\r')) continue;
        size_t used = data[at + n - 1] == '\r' ? n - 1 : n;
        if (!parse_line(data + at, used, token, &n_token, &rank))
            return an_fail(err, AN_EFORMAT,
                           "line %ld: expected base64, a blank and a rank",
                           line);
        s = an_vocab_put(&t->vocab, &t->arena, rank, token, n_token,
                         AN_TOKEN_NORMAL, -(float)rank, err);
        if (n_token == 1) t->byte_ids[token[0]] = (int32_t)rank;
    }
    return s;
}

static an_status put_special(an_tokenizer *t, int32_t id, const char *text,
                             an_error *err)
{
    const an_added a = {
        .text = text, .size = strlen(text), .id = id, .special = true};
    an_status s = an_vocab_put(&t->vocab, &t->arena, id, text, a.size,
                               AN_TOKEN_CONTROL, 0, err);
    return s == AN_OK ? an_tokenizer_add(t, &a, err) : s;
}

static an_status put_llama3(an_tokenizer *t, an_error *err)
{
    static const struct {
        int at;
        const char *text;
    } named[] = {{0, "<|begin_of_text|>"},
                 {1, "<|end_of_text|>"},
                 {6, "<|start_header_id|>"},
                 {7, "<|end_header_id|>"},
                 {9, "<|eot_id|>"}};
    an_status s = AN_OK;
    size_t next = 0;
    int reserved = 0;
    for (int i = 0; s == AN_OK && i < LLAMA3_SPECIALS; i++) {
        char text[48];
        if (next < sizeof named / sizeof named[0] && named[next].at == i)
            snprintf(text, sizeof text, "%s", named[next++].text);
        else
            snprintf(text, sizeof text, "<|reserved_special_token_%d|>",
                     reserved++);
        s = put_special(t, LLAMA3_RANKS + i, text, err);
    }
    t->begin = LLAMA3_RANKS;
    t->end_of_text = LLAMA3_RANKS + 1;
    return s == AN_OK ? an_tokenizer_split(t, an_expression_llama3,
                                           AN_CUT_ISOLATED, err)
                      : s;
}

static an_status put_published(an_tokenizer *t, const published *f,
                               an_error *err)
{
    an_status s = an_tokenizer_split(t, f->expression, AN_CUT_ISOLATED, err);
    for (size_t i = 0;
         s == AN_OK && i < sizeof f->specials / sizeof f->specials[0]; i++)
        if (f->specials[i].text)
            s = put_special(t, f->specials[i].id, f->specials[i].text, err);
    t->end_of_text = f->specials[0].id;
    return s;
}

static an_status read_tiktoken(an_tokenizer *t, const char *path,
                               const unsigned char *data, size_t size,
                               an_error *err)
{
    (void)path;
    t->spelling = AN_SPELLING_BYTES;
    t->ignores_merges = true;
    an_status s = read_ranks(t, data, size, err);
    if (s == AN_OK) s = an_vocab_index(&t->vocab, err);
    if (s == AN_OK) s = an_pair_table_from_scores(&t->pairs, &t->vocab, err);
    if (s != AN_OK) return s;
    size_t n = 0;
    for (size_t i = 0; i < t->vocab.n; i++)
        n += t->vocab.tokens[i].type == AN_TOKEN_NORMAL;
    if (n == LLAMA3_RANKS) return put_llama3(t, err);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (files[i].n_ranks == n) return put_published(t, &files[i], err);
    const published other = {
        n, an_expression_llama3, {{(int32_t)t->vocab.n, "<|endoftext|>"}}};
    return put_published(t, &other, err);
}

const an_tokenizer_row an_tokenizer_tiktoken_row = {
    .name = "tiktoken", .is = is_tiktoken, .read = read_tiktoken};
