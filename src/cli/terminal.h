/*
 * What the output is connected to, and text that is safe to show there.
 */
#ifndef AN_CLI_TERMINAL_H
#define AN_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct an_terminal {
    bool live;  /* lines may be updated in place */
    bool color; /* live, and NO_COLOR is not set */
    bool utf8;  /* the locale's character set */
} an_terminal;

an_terminal an_terminal_of(FILE *file);
/* Columns right now; 80 when the terminal does not say. */
int an_terminal_width(FILE *file);

/*
 * Model output is any bytes. `clean` passes on valid UTF-8 (across calls too),
 * blanks, tabs and newlines, and puts U+FFFD for everything else: broken
 * sequences, control characters and with them escape sequences. `out` has room
 * for 3 x (size + 4) bytes; returns how many were written. `end` does the same
 * for a sequence that never ended (room for 12 bytes).
 */
typedef struct an_clean {
    unsigned char held[4]; /* the start of a sequence */
    int n_held, n_wanted;
} an_clean;
size_t an_clean_put(an_clean *c, const char *bytes, size_t size, char *out);
size_t an_clean_end(an_clean *c, char *out);
/* Cleans and writes. */
void an_clean_print(an_clean *c, const char *bytes, size_t size, FILE *file);

#endif
