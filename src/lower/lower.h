/*
 * From functions to programs that an engine accepts: a list of passes, each
 * from a function to a function, and the text with its weight file at the end.
 */
#ifndef AN_LOWER_LOWER_H
#define AN_LOWER_LOWER_H

#include "anemone/engine.h"
#include "mil/ir.h"

/*
 * A copy of `f` in `into`, named `name`, that computes `results` (values of f
 * by name) from f's parameters and from `inputs` (values of f that become
 * parameters). Nodes that no result needs are dropped, and so are parameters.
 */
an_status an_lower_extract(const an_function *f, an_module *into,
                           const char *name, const char *const *inputs,
                           int n_inputs, const char *const *results,
                           int n_results, an_error *err);

/*
 * Ports whose last axis is not a multiple of 32 are widened to one: inputs are
 * sliced, outputs padded with zeros. Source of the rule: mil.md S6 (rows of 64
 * bytes), stated for all types.
 */
an_status an_lower_pad_ports(const an_function *f, an_module *into,
                             const char *name, an_error *err);

/* A program ready for an_engine_compile, owner of its text and weight file. */
typedef struct an_lowered {
    an_source source;
    an_blob blob;
    char *text;
    void *blob_data;
} an_lowered;

/* All passes over one function of a module, then the text; constants of more
 * than 16 elements go to the weight file (but fp64, which blobs lack). */
an_status an_lower_program(const an_function *f, an_lowered *out,
                           an_error *err);
void an_lowered_free(an_lowered *l);

#endif
