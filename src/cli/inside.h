/*
 * The values inside a function, which its parts take as inputs.
 */
#ifndef AN_CLI_INSIDE_H
#define AN_CLI_INSIDE_H

#include "cli/args.h"
#include "cli/trial.h"

/* Values go to trial->inputs. */
typedef struct an_inside {
    an_trial *trial;
    const an_function *function;
    const an_words *files; /* NAME=FILE of its inputs */
    int64_t seed;          /* of inputs without a file */
} an_inside;

/* The function's inputs, in place of what was there. */
an_status an_inside_load(const an_inside *in, an_error *err);

/* All values that ops compute, in the reference's numerics (or the place's),
 * ieee instead of hw. Fails when `cpu` cannot compute them. */
an_status an_inside_capture(const an_inside *in, an_error *err);

/* Those that a refused part takes; random ones when they cannot be computed,
 * for a refusal does not depend on them. */
an_status an_inside_fill(const an_inside *in, const an_function *part,
                         an_error *err);

#endif
