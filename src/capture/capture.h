/*
 * Captures: what an engine returned for the suite's probes, in one safetensors
 * file. Tensors are inputs (equal ones once), weight files and raw outputs;
 * the metadata holds the programs as text, what each asks, errors and times,
 * the chip, the system, and the file's own SHA-256, which is taken with its 64
 * digits read as zeros.
 *
 *     an_capture c;
 *     an_capture_init(&c);
 *     an_capture_describe(&c, engine, "hw", &err);
 *     for (int i = 0; (p = an_probe_at(i)) != NULL; i++)
 *         an_capture_add(&c, engine, p, &err);
 *     an_capture_save(&c, "m4.safetensors", &err);
 *     an_capture_fini(&c);
 */
#ifndef AN_CAPTURE_CAPTURE_H
#define AN_CAPTURE_CAPTURE_H

#include "base/arena.h"
#include "base/json.h"
#include "base/safetensors.h"
#include "capture/probe.h"

enum { AN_PROBE_OUTPUTS = 8 };

/* What one probe gave. */
typedef struct an_captured {
    an_probe_kind kind;
    const char *name, *asks;
    an_probe_program program;
    an_probe_tensor outputs[AN_PROBE_OUTPUTS];
    int n_outputs;
    an_error error;      /* code AN_OK: it ran; else there are no outputs */
    double best, median; /* seconds of an evaluation, of `runs` */
    int runs;
} an_captured;

typedef struct an_capture {
    an_arena arena;
    const char *engine;   /* "soft:m4" */
    const char *chip;     /* "m4" */
    const char *numerics; /* "ieee", "hw", "exact"; "": the hardware's own */
    const char *system;   /* "Linux 6.1 x86_64" */
    const char *version;  /* of the software that captured */
    an_captured *list;
    size_t n, capacity;
    an_st *file;      /* of a capture that was opened: its tensors */
    json_t *programs; /* and its texts */
} an_capture;

void an_capture_init(an_capture *c);
void an_capture_fini(an_capture *c);

/* Who captures, and where. `numerics` and `version` are borrowed. */
an_status an_capture_describe(an_capture *c, an_engine *engine,
                              const char *numerics, const char *version,
                              an_error *err);
const an_captured *an_capture_find(const an_capture *c, const char *name);

/* Runs a probe and appends what came. An engine that refuses or fails is an
 * answer, not an error. */
an_status an_capture_add(an_capture *c, an_engine *engine,
                         const an_probe *probe, an_error *err);

/* Whole or not at all. */
an_status an_capture_save(const an_capture *c, const char *path, an_error *err);
/* Checks the digest first, then everything else; AN_EFORMAT. The caller calls
 * an_capture_fini in every case. */
an_status an_capture_open(an_capture *c, const char *path, an_error *err);
/* The part behind the digest: reads c->file, which is open. */
an_status an_capture_read(an_capture *c, const char *path, an_error *err);

typedef enum an_verdict_kind {
    AN_SAME,       /* every value: bits, zeros of either sign equal */
    AN_DIFFERENT,  /* at least one value */
    AN_REFUSED,    /* by both: the rule is confirmed */
    AN_ONLY_THERE, /* refused when captured, runs here */
    AN_ONLY_HERE,  /* ran when captured, refused here */
} an_verdict_kind;

typedef struct an_verdict {
    an_verdict_kind kind;
    int64_t n, equal; /* values */
    double worst;     /* largest difference, in steps of fp16 */
    const char *port; /* where it is */
    int64_t at;       /* which element */
    double came, captured;
    an_error error; /* ONLY_HERE, REFUSED: of this engine */
} an_verdict;

/* Runs a captured program on an engine and compares. */
an_status an_capture_replay(const an_captured *captured, an_engine *engine,
                            an_verdict *out, an_error *err);

typedef enum an_rule_answer {
    AN_RULE_CONFIRMED,
    AN_RULE_LOUDER,    /* refused, where the row expects wrong data */
    AN_RULE_REFUTED,   /* it ran, with the right values */
    AN_RULE_UNSEEN,    /* the same of a row that only warns */
    AN_RULE_ABSENT,    /* the same on a chip that the row is not of */
    AN_RULE_ELSEWHERE, /* refused on such a chip */
    AN_RULE_OPEN,      /* it ran, with values that nobody expected */
    AN_RULE_ANSWERS
} an_rule_answer;
const char *an_rule_answer_text(an_rule_answer answer);

/* Of a captured program of kind RULE; `chip` is the capture's. What ran there
 * is run on an engine without rules, and *verdict says how it compared. */
an_status an_capture_judge(const an_captured *captured, const char *chip,
                           an_engine *without_rules, an_rule_answer *out,
                           an_verdict *verdict, an_error *err);

/* ---- shared by record and replay ---- */

/* Compiles and evaluates once; outputs (dense) go to the arena. What the
 * engine answers is in *answer. */
an_status an_capture_run(const an_probe_program *program, const char *name,
                         an_engine *engine, an_arena *arena, an_captured *out,
                         an_error *err);

#endif
