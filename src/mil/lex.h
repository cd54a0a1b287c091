/*
 * Tokens of MIL text. The lexer allocates nothing; tokens point into the text,
 * which need not end in 0. Grammar: docs/mil.md.
 */
#ifndef AN_MIL_LEX_H
#define AN_MIL_LEX_H

#include <stdbool.h>
#include <stddef.h>

typedef enum an_token_kind {
    AN_TOKEN_END,
    AN_TOKEN_NAME,
    AN_TOKEN_NUMBER, /* as written, not checked yet; "-inf" too */
    AN_TOKEN_STRING, /* what stands between the quotes, escapes and all */
    AN_TOKEN_SIGN,   /* one character */
    AN_TOKEN_ARROW,  /* -> */
    AN_TOKEN_BAD,    /* a byte of no token, a string without end */
} an_token_kind;

typedef struct an_token {
    an_token_kind kind;
    const char *text;
    size_t size;
    int line, column; /* from 1; columns count bytes */
} an_token;

typedef struct an_lexer {
    const char *at, *end, *line_start;
    int line;
} an_lexer;

/* size is at most INT_MAX, so that lines and columns fit. */
void an_lexer_init(an_lexer *lexer, const char *text, size_t size);
an_token an_lexer_next(an_lexer *lexer);
bool an_token_is(const an_token *token, const char *name);
bool an_token_is_sign(const an_token *token, char sign);

#endif
