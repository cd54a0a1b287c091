/* Going on in a new process, by execvp. */
#include "cli/again.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Set for the new process. */
#define AGAIN "ANEMONE_RESTARTED"

an_status an_call_again(const an_call *call, const char *without, an_error *err)
{
    char **words = calloc((size_t)call->n_words + 3, sizeof *words);
    int n = 0;
    if (words == NULL) return an_fail(err, AN_ENOMEM, "restart: no memory");
    char *program = strdup(call->program), *name = strdup(call->command->name);
    words[n++] = program;
    words[n++] = name;
    for (int i = 0; i < call->n_words; i++)
        if (without == NULL || strcmp(call->words[i], without) != 0)
            words[n++] = call->words[i];
    fflush(NULL);
    if (program && name && setenv(AGAIN, "1", 1) == 0) execvp(program, words);
    an_status s = an_fail(err, AN_EIO,
                          "%s: cannot be started again after the engine's "
                          "compile limit (%s); the same command goes on",
                          call->program, strerror(errno));
    free(program);
    free(name);
    free(words);
    return s;
}

bool an_call_is_again(void)
{
    return getenv(AGAIN) != NULL;
}
