/*
 * The parser's state and the parts that its files share. Functions that
 * return bool or a pointer have recorded an error when it is false or NULL.
 */
#ifndef AN_MIL_PARSE_H
#define AN_MIL_PARSE_H

#include "mil/build.h"
#include "mil/lex.h"

typedef struct an_parser {
    an_module *module;
    an_builder *builder; /* of the current function */
    an_lexer lexer;
    an_token token; /* the current one */
    an_error err;
    int depth;
    /* A stack of bytes: what is counted before it is known how many there are
     * is collected here and then taken into the arena. */
    char *stack;
    size_t used, capacity;
    /* Scalars met lately, by hash: equal ones share a literal, so that a long
     * list of them costs pointers only. */
    const an_literal *scalars[256];
} an_parser;

void an_parse_next(an_parser *p);
an_token an_parse_peek(const an_parser *p);
/* Fails at a token (NULL: the current one); false. */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
bool an_parse_fail(an_parser *p, const an_token *at, an_status code,
                   const char *format, ...);
/* "expected WHAT, found ..." at the current token; false. */
bool an_parse_expected(an_parser *p, const char *what);
bool an_parse_sign(an_parser *p, char sign);
/* Takes the sign if it is there. */
bool an_parse_accept(an_parser *p, char sign);
bool an_parse_keyword(an_parser *p, const char *name);
/* A name, copied; `what` is said when there is none. */
const char *an_parse_name(an_parser *p, const char *what, an_token *at);
/* Nesting of types, values and tuples: false when it is too deep. */
bool an_parse_enter(an_parser *p);
void an_parse_leave(an_parser *p);

bool an_parse_push(an_parser *p, const void *item, size_t size);
/* Everything above `base` as an arena block; the stack shrinks to base. */
void *an_parse_take(an_parser *p, size_t base);

/* [ name = literal, .. ], sorted by name. */
bool an_parse_at_attributes(const an_parser *p);
bool an_parse_attributes(an_parser *p, const an_attr **out, int *n);
/* ios18, as a number. */
bool an_parse_opset(an_parser *p, int *out);

/* parse_operation.c: a value by its name; one operation. */
bool an_parse_reference(an_parser *p, an_operand *out);
bool an_parse_operation(an_parser *p);

/* parse_type.c */
const an_type *an_parse_type(an_parser *p);
/* The current token begins a type, and what follows fits. */
bool an_parse_at_type(const an_parser *p);

/* parse_literal.c: TYPE(VALUE) */
const an_literal *an_parse_literal(an_parser *p);

#endif
