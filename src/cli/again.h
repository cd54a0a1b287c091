/*
 * Going on in a new process: the answer to an engine that compiles no more in
 * this one. State is in a file by then.
 */
#ifndef AN_CLI_AGAIN_H
#define AN_CLI_AGAIN_H

#include "cli/args.h"

/* Replaces this process by one with the same words but `without` (NULL: all of
 * them). Returns when that failed. */
an_status an_call_again(const an_call *call, const char *without,
                        an_error *err);
/* Was this process started so? */
bool an_call_is_again(void);

#endif
