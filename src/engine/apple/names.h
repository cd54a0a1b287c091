/*
 * The table of classes and selectors (names.def), and the comparison of method
 * encodings with it.
 */
#ifndef AN_ENGINE_APPLE_NAMES_H
#define AN_ENGINE_APPLE_NAMES_H

#include <stddef.h>

typedef enum an_name {
#define AN_NAME(id, class, kind, selector, types, need, since) AN_SEL_##id,
#include "engine/apple/names.def"
#undef AN_NAME
    AN_N_NAMES
} an_name;

typedef enum an_name_need { AN_NAME_NEED, AN_NAME_WANT } an_name_need;

typedef struct an_name_row {
    const char *class_name;
    char kind; /* '+' of the class, '-' of its instances */
    const char *selector, *types;
    an_name_need need;
    const char *since;
} an_name_row;

extern const an_name_row an_names[AN_N_NAMES];

typedef enum an_types_verdict {
    AN_TYPES_SAME,      /* but for digits, and B, C, c being one */
    AN_TYPES_HARMLESS,  /* other words, the same calling convention */
    AN_TYPES_DIFFERENT, /* count of arguments, or class or width of a type */
} an_types_verdict;

/* Two method encodings, as method_getTypeEncoding gives them. Text that is no
 * encoding is different. */
an_types_verdict an_types_compare(const char *ours, const char *theirs);

#endif
