/*
 * Going on in a new process: the answer to an engine that compiles or loads no
 * more in this one. State is in a file by then; counts go along.
 */
#ifndef AN_CLI_AGAIN_H
#define AN_CLI_AGAIN_H

#include "cli/args.h"

/* What the processes before this one did. */
typedef struct an_past {
    int processes; /* 0: this is the first */
    int compiles;
} an_past;
an_past an_call_past(void);

/* Replaces this process, which compiled that often, by one with the same words
 * but `without` (NULL: all of them). Returns when that failed. */
an_status an_call_again(const an_call *call, const char *without, int compiles,
                        an_error *err);

#endif
