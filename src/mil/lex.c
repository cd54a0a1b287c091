/*
 * White space is free, `//` comments run to the end of their line. A number is
 * any run that begins like one; whether it is one depends on the type that
 * wants it.
 */
#include "mil/lex.h"

#include <string.h>

void an_lexer_init(an_lexer *lexer, const char *text, size_t size)
{
    *lexer = (an_lexer){
        .at = text, .end = text + size, .line_start = text, .line = 1};
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(an_lexer *l)
{
    for (; l->at < l->end; l->at++) {
        char c = *l->at;
        if (c == '/' && l->end - l->at > 1 && l->at[1] == '/') {
            const char *newline = memchr(l->at, '\n', (size_t)(l->end - l->at));
            l->at = newline ? newline : l->end;
            if (!newline) return;
            c = '\n';
        }
        if (c == '\n') {
            l->line++;
            l->line_start = l->at + 1;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

static const char *name_end(const an_lexer *l)
{
    const char *p = l->at;
    while (p < l->end && (is_letter(*p) || is_digit(*p) || *p == '@'))
        p++;
    return p;
}

/* A sign belongs to the number behind an exponent's letter. */
static const char *number_end(const an_lexer *l)
{
    const char *p = l->at + (*l->at == '-');
    bool hex = l->end - p > 1 && p[0] == '0' && p[1] == 'x';
    for (; p < l->end; p++) {
        bool sign =
            (*p == '+' || *p == '-') && p > l->at && p[-1] == (hex ? 'p' : 'e');
        if (!is_letter(*p) && !is_digit(*p) && *p != '.' && !sign) break;
    }
    return p;
}

/* Behind the closing quote; NULL: there is none. Counts lines. */
static const char *string_end(an_lexer *l)
{
    for (const char *p = l->at + 1; p < l->end; p++) {
        if (*p == '"') return p + 1;
        if (*p == '\\' && l->end - p > 1) p++;
        if (*p == '\n') {
            l->line++;
            l->line_start = p + 1;
        }
    }
    return NULL;
}

static an_token lex_string(an_lexer *l, an_token token)
{
    const char *end = string_end(l);
    if (!end) {
        token.kind = AN_TOKEN_BAD;
        l->at = l->end;
        return token;
    }
    token.kind = AN_TOKEN_STRING;
    token.text++;
    token.size = (size_t)(end - token.text) - 1;
    l->at = end;
    return token;
}

an_token an_lexer_next(an_lexer *l)
{
    skip_blanks(l);
    an_token token = {.text = l->at,
                      .line = l->line,
                      .column = (int)(l->at - l->line_start) + 1};
    if (l->at == l->end) return token;
    char c = *l->at, next = l->end - l->at > 1 ? l->at[1] : ' ';
    const char *end = l->at + 1;
    if (c == '"') return lex_string(l, token);
    if (is_letter(c)) {
        token.kind = AN_TOKEN_NAME;
        end = name_end(l);
    } else if (is_digit(c) ||
               (c == '-' && (is_digit(next) || is_letter(next)))) {
        token.kind = AN_TOKEN_NUMBER;
        end = number_end(l);
    } else if (c == '-' && next == '>') {
        token.kind = AN_TOKEN_ARROW;
        end = l->at + 2;
    } else {
        token.kind =
            c != 0 && strchr("()[]{}<>,;=?", c) ? AN_TOKEN_SIGN : AN_TOKEN_BAD;
    }
    token.size = (size_t)(end - l->at);
    l->at = end;
    return token;
}

bool an_token_is(const an_token *token, const char *name)
{
    return token->kind == AN_TOKEN_NAME && token->size == strlen(name) &&
           memcmp(token->text, name, token->size) == 0;
}

bool an_token_is_sign(const an_token *token, char sign)
{
    return token->kind == AN_TOKEN_SIGN && *token->text == sign;
}
