/*
 * Where the time of a program's evaluations goes: medians over repetitions.
 */
#ifndef AN_CLI_PROFILE_H
#define AN_CLI_PROFILE_H

#include "anemone/engine.h"

#include <stdio.h>

typedef struct an_times {
    int n_steps;     /* 0: only whole evaluations are timed */
    int n;           /* evaluations so far */
    int capacity;    /* evaluations */
    double *seconds; /* capacity x (n_steps + 1); the last is the whole */
} an_times;

/* Room for n evaluations; switches the request's profile on when `steps`. The
 * caller calls an_times_close in every case. */
typedef enum an_timing { AN_TIME_WHOLE, AN_TIME_STEPS } an_timing;
an_status an_times_open(an_request *r, an_timing timing, int n, an_times *out,
                        an_error *err);
void an_times_close(an_times *t);
/* Notes the request's last evaluation. */
void an_times_note(an_times *t, const an_request *r);

/* A line for the whole and, when they were timed, a table of the steps, the
 * slowest first. `flops` is the program's. Sorts what is in t. */
an_status an_times_print(FILE *out, an_times *t, const an_request *r,
                         double flops, an_error *err);

#endif
