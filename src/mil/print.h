/*
 * The printer's state: a text that grows. Failing for memory is sticky.
 */
#ifndef AN_MIL_PRINT_H
#define AN_MIL_PRINT_H

#include "mil/ir.h"

/* An argument or an attribute on its way out. */
typedef struct an_print_entry {
    const char *name;
    size_t size;
    const an_operand *operand; /* or, when NULL, */
    const an_literal *literal;
} an_print_entry;

typedef struct an_printer {
    char *text;
    size_t size, capacity;
    bool old;    /* dialect */
    bool failed; /* without memory */
    an_print_entry *entries;
    size_t cap_entries;
} an_printer;

void an_print_bytes(an_printer *p, const char *text, size_t size);
void an_print_text(an_printer *p, const char *text);
/* Up to 199 characters. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void an_print_format(an_printer *p, const char *format, ...);

/* print_value.c */
void an_print_type(an_printer *p, const an_type *type);
/* TYPE(VALUE) */
void an_print_literal(an_printer *p, const an_literal *literal);

#endif
