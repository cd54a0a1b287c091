/*
 * Words NAME=FILE of the command line, where NAME is a port of a program.
 */
#ifndef AN_CLI_PAIRS_H
#define AN_CLI_PAIRS_H

#include "anemone/engine.h"
#include "cli/args.h"

/* Every word must be a pair, and every name different. */
an_status an_pairs_check(const char *option, const an_words *words,
                         an_error *err);
/* Every name must be a port's; the error lists the ports. */
an_status an_pairs_check_ports(const an_program *p, an_port_side side,
                               const char *option, const an_words *words,
                               an_error *err);

/* The file that a name is paired with, or NULL. */
const char *an_pairs_find(const an_words *words, const char *name);

/* The elements of input i: of its file, or, when seed is 0 or more, random
 * ones (stream i of the seed). The caller frees *data with an_free. */
an_status an_pairs_load(const an_port *port, int i, const an_words *inputs,
                        int64_t seed, void **data, an_error *err);

#endif
