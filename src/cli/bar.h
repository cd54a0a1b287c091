/* A bar on stderr for what takes a while before there is anything else to say;
 * nothing where that is no terminal. */
#ifndef AN_CLI_BAR_H
#define AN_CLI_BAR_H

#include <stdbool.h>

typedef struct an_bar {
    const char *what;
    bool live, drawn;
    double started, last; /* seconds */
} an_bar;

typedef enum an_bar_use { AN_BAR_SHOWN, AN_BAR_HIDDEN } an_bar_use;
an_bar an_bar_of(const char *what, an_bar_use use);
/* Draws the share that is done; always true. `bar` is an an_bar. */
bool an_bar_show(void *bar, double share);
void an_bar_clear(an_bar *bar);

#endif
