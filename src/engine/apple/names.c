/*
 * Encodings are compared type by type: offsets and qualifiers do not count,
 * and of a type only what a call must know: is it a pointer, or how wide an
 * integer. Apple's Objective-C Runtime Programming Guide lists the letters.
 */
#include "engine/apple/names.h"

#include <stdbool.h>
#include <string.h>

const an_name_row an_names[AN_N_NAMES] = {
#define AN_NAME(id, class, kind, selector, types, need, since)                 \
    {class, kind, selector, types, AN_NAME_##need, since},
#include "engine/apple/names.def"
#undef AN_NAME
};

/* After a bracketed type, at its opening bracket; NULL: it does not close. */
static const char *skip_brackets(const char *at)
{
    int depth = 0;
    for (; *at; at++) {
        depth += *at == '{' || *at == '(' || *at == '[';
        depth -= *at == '}' || *at == ')' || *at == ']';
        if (depth == 0) return at + 1;
    }
    return NULL;
}

/* Passes what does not count. */
static const char *skip_noise(const char *at)
{
    return at + strspn(at, "0123456789+-rnNoORVA");
}

/* After one type without qualifiers; NULL: there is none. */
static const char *skip_type(const char *type)
{
    if (*type == '\0') return NULL;
    return strchr("{([", *type) ? skip_brackets(type) : type + 1;
}

/* The calling class of a type, and what follows it; 0, *at unchanged: there is
 * none. */
static char take_type(const char **at)
{
    const char *type = skip_noise(*at);
    bool pointer = *type == '^'; /* to whatever */
    while (*type == '^')
        type = skip_noise(type + 1);
    const char *end = skip_type(type);
    if (!end) return 0;
    if (pointer || strchr("{([", *type)) {
        *at = *end == '?' ? end + 1 : end;
        return pointer ? 'p' : '{';
    }
    const char *start = *at;
    *at = end;
    switch (*type) {
    case '@': /* an object, a block "@?", a named class */
        if (**at == '?') (*at)++;
        if (**at == '"') {
            end = strchr(*at + 1, '"');
            *at = end ? end + 1 : start;
            if (!end) return 0;
        }
        return 'p';
    case '#':
    case ':':
    case '*':
        return 'p';
    case 'B':
    case 'c':
    case 'C':
        return '1';
    case 's':
    case 'S':
        return '2';
    case 'i':
    case 'I':
        return '4';
    case 'l':
    case 'L':
    case 'q':
    case 'Q':
        return '8';
    default:
        if (strchr("fdv", *type)) return *type;
        *at = start;
        return 0;
    }
}

/* The same letters, digits and qualifiers aside? */
static bool same_words(const char *a, const char *b)
{
    for (;; a++, b++) {
        a = skip_noise(a);
        b = skip_noise(b);
        char x = *a == 'c' || *a == 'C' ? 'B' : *a;
        char y = *b == 'c' || *b == 'C' ? 'B' : *b;
        if (x != y) return false;
        if (x == '\0') return true;
    }
}

an_types_verdict an_types_compare(const char *ours, const char *theirs)
{
    const char *a = ours, *b = theirs;
    char x, y;
    do {
        x = take_type(&a);
        y = take_type(&b);
        if (x != y) return AN_TYPES_DIFFERENT;
    } while (x);
    if (*skip_noise(a) || *skip_noise(b)) /* words that are no types */
        return AN_TYPES_DIFFERENT;
    return same_words(ours, theirs) ? AN_TYPES_SAME : AN_TYPES_HARMLESS;
}
