/* The self-test of a system build, before its first training. */
#ifndef AN_CLI_DUE_H
#define AN_CLI_DUE_H

#include "cli/args.h"

/*
 * Where `engine` is Apple's and its self-test is due, runs it in a process of
 * its own (`anemone doctor --test`) and waits; says so on stdout unless quiet.
 * The error is the test's.
 */
an_status an_call_test(const an_call *call, const char *engine, bool quiet,
                       an_error *err);

#endif
