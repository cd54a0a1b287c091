/*
 * From differentiated functions to programs that an engine accepts: passes,
 * each from a function to a function, and the text with its weight file at the
 * end.
 */
#ifndef AN_LOWER_LOWER_H
#define AN_LOWER_LOWER_H

#include "anemone/engine.h"
#include "anemone/grad.h"
#include "lower/dump.h"
#include "mil/ir.h"

/* A parameter that becomes a constant. */
typedef struct an_baked {
    const char *param;
    const void *data; /* dense, row-major, of the parameter's type */
} an_baked;

typedef struct an_lower_options {
    /* Ports' last axis is widened to a multiple of this; 1: left alone.
     * Hardware: 32, rows of 64 bytes in fp16 (mil.md S6, five projects). */
    int columns;
    const an_baked *baked;
    int n_baked;
    an_dump *dump;       /* every stage goes there; NULL: nowhere */
    const char *program; /* its name there */
} an_lower_options;

/* A program ready for an_engine_compile: owns its text and weight file. */
typedef struct an_lowered {
    an_source source;
    an_blob blob;
    char *text;
    void *blob_data;
} an_lowered;

/* All passes over one function, then its text, as function "main". */
an_status an_lower_function(const an_function *f, const an_lower_options *o,
                            an_lowered *out, an_error *err);
void an_lowered_free(an_lowered *l);

/*
 * Cuts a function into a chain of programs: cuts[i] names values, separated by
 * blanks, that end program i and are inputs of the later ones. A result is
 * returned by the first program that computes it. Adds n_cuts + 1 functions to
 * `into`, "<name>_0", "<name>_1", ...; without cuts one, "<name>_0".
 */
an_status an_lower_cut(const an_function *f, an_module *into, const char *name,
                       const char *const *cuts, int n_cuts, an_error *err);

/* The passes, for their tests: each adds a function `name` to `into`. */
typedef an_status an_pass_fn(const an_function *f, an_module *into,
                             const char *name, const an_lower_options *o,
                             an_error *err);
/* Baked parameters become constants, products with them convolutions. */
an_pass_fn an_pass_bake;
/* Inputs are sliced, outputs padded with zeros, to o->columns; both are put in
 * byte order of their names. */
an_pass_fn an_pass_pad_ports;
/* Moves of constants become constants. */
an_pass_fn an_pass_fold;

#endif
