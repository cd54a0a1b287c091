/*
 * Can one train here? Facts of a machine in, one line per check out. Nothing is
 * asked of the system here, so that every machine can be judged in a test.
 */
#ifndef AN_ENGINE_APPLE_CHECKUP_H
#define AN_ENGINE_APPLE_CHECKUP_H

#include "engine/apple/machine.h"
#include "engine/apple/verdict.h"

typedef struct an_condition {
    const an_machine *machine;
    bool wants_apple; /* the question is about Apple's engine, or its replica */
    bool open;        /* the framework opens */
    bool replica;
    const char *error;   /* why it does not */
    const char *version; /* of the framework, or "" */
    int rows,
        bad_rows; /* of names.def; those that are needed and do not hold */
    const char *bad_row;     /* the first of them */
    const char *free_blas;   /* a BLAS that takes more threads than its caller's
                                and cannot be told otherwise; NULL: it is held */
    an_answer engine, guest; /* as the framework tells */
    int cores;
    uint64_t free_bytes; /* for programs that are compiled; 0: not told */
    an_status kept;      /* of an_selftest_recall */
    const char *kept_error;
    const an_findings *found; /* when kept is AN_OK */
} an_condition;

typedef enum an_grade { AN_GRADE_OK, AN_GRADE_WARNING, AN_GRADE_NO } an_grade;
const char *an_grade_name(an_grade g);

typedef struct an_check {
    const char *key; /* "system", "chip", ... */
    an_grade grade;
    char text[400];
    const char *next; /* the next thing to do, or NULL */
} an_check;

enum { AN_MAX_CHECKS = 16 };

/* The number of checks. One can train where none is AN_GRADE_NO. */
int an_checkup(const an_condition *c, an_check out[AN_MAX_CHECKS]);

#endif
