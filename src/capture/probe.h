/*
 * Probes: small programs whose results on real hardware answer a question. One
 * probe, one row of the suite; its program is written in a short form that the
 * builder turns into MIL:
 *
 *     in x normal:2 1 64 1 32
 *         a parameter, fp16 [1, 64, 1, 32], and what it holds (fill.h)
 *     const w ones 64 64 1 1
 *         a constant; above 256 elements in the weight file. int8:ramp makes
 *         it int8
 *     y = conv(x = x, weight = w)
 *         an op; arguments are names, numbers (1, 1.0), [1, 1], true, 'text',
 *         (a, b)
 *     a, b = split(x = y, ...)
 *         an op with several results
 *     out y a
 *         results; without it the last op's
 *
 * Statements are separated by semicolons. A form that begins with "program(" is
 * MIL text as it stands, without weight files; its inputs are normal:1.
 */
#ifndef AN_CAPTURE_PROBE_H
#define AN_CAPTURE_PROBE_H

#include "anemone/engine.h"
#include "base/arena.h"

typedef enum an_probe_kind {
    AN_PROBE_VALUES,
    AN_PROBE_SPEED, /* evaluated many times; the values count as well */
    /* Loaded again with its weights negated: the values are those after it. The
     * program has one constant in the weight file, of fp16. */
    AN_PROBE_RELOAD,
    AN_PROBE_RULE, /* breaks the rule that `asks` names: is it refused? */
} an_probe_kind;

typedef struct an_probe {
    an_probe_kind kind;
    const char *name; /* "table/sigmoid"; unique */
    const char *asks; /* the question, a line; RULE: the rule's id */
    const char *form; /* the short form */
} an_probe;

/* The suite, in its order; NULL: no probe i. */
const an_probe *an_probe_at(int i);

typedef struct an_probe_tensor {
    const char *port;
    an_shape shape;
    const void *data; /* dense, in the shape's dtype */
} an_probe_tensor;

enum { AN_PROBE_INPUTS = 4 };

/* A probe as an engine takes it; all of it lives in the arena. */
typedef struct an_probe_program {
    const char *text;
    size_t size;
    an_probe_tensor inputs[AN_PROBE_INPUTS];
    int n_inputs;
    const void *weights; /* the weight file, NULL: none */
    size_t n_weights;    /* bytes */
} an_probe_program;

/* AN_EINVAL: the form is wrong, with the place. */
an_status an_probe_make(const an_probe *probe, an_arena *arena,
                        an_probe_program *out, an_error *err);

/* The path under which programs name the weight file. */
#define AN_PROBE_WEIGHTS "@model_path/weights/weight.bin"

#endif
