/*
 * The one place that knows the version. AN_COMMIT comes from the Makefile.
 */
#include "cli/commands.h"

#include "kernels/kernels.h"

#ifndef AN_COMMIT
#define AN_COMMIT "unknown"
#endif

void an_version_print(FILE *out)
{
    fprintf(out, "anemone 0.1.0\n");
    fprintf(out, "commit   %s\n", AN_COMMIT);
    fprintf(out, "kernels  %s\n", an_kernels_name());
    fprintf(out, "blas     %s\n", an_blas_name());
}
