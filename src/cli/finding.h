/*
 * What bisecting found, as files: a program that runs, its weights, its inputs
 * and what should come out; and the command that shows the fault.
 */
#ifndef AN_CLI_FINDING_H
#define AN_CLI_FINDING_H

#include "cli/trial.h"

typedef struct an_finding {
    const an_trial *trial; /* has the part's inputs; those that it has not are
                              no files */
    const an_module *part; /* one function, "main" */
    const an_fault *fault; /* of the part */
    const char *out;       /* FILE.mil; the other files stand beside it */
    const char *folder;    /* @model_path's of the whole program */
    const char *anemone;   /* how this program was called */
} an_finding;

/*
 * Writes FILE.mil, FILE.NAME.npy for each input and, of values that differ, for
 * each result of the reference, and weights/FILE.bin; prints the command. The
 * part's weights stay where they are, and the command says where, when they
 * cannot be taken out of their files.
 */
an_status an_finding_write(const an_finding *f, an_error *err);

#endif
