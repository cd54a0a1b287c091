/*
 * The version is AN_VERSION of anemone/status.h; AN_COMMIT comes from the
 * Makefile.
 */
#include "cli/commands.h"

#include "kernels/kernels.h"

#ifndef AN_COMMIT
#define AN_COMMIT "unknown"
#endif

void an_version_print(FILE *out)
{
    fprintf(out, "anemone " AN_VERSION "\n");
    fprintf(out, "commit   %s\n", AN_COMMIT);
    fprintf(out, "kernels  %s\n", an_kernels_name());
    fprintf(out, "blas     %s\n", an_blas_name());
}
