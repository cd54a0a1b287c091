/* Going on in a new process, by execvp. */
#include "cli/again.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Set for the new process: "processes compiles". */
#define AGAIN "ANEMONE_RESTARTED"
enum { MOST = 1000000000 };

static int count(const char *text, char **end)
{
    long n = strtol(text, end, 10);
    return n < 0 || n > MOST ? 0 : (int)n;
}

an_past an_call_past(void)
{
    an_past past = {0};
    const char *text = getenv(AGAIN);
    char *end = NULL;
    if (!text) return past;
    past.processes = count(text, &end);
    past.compiles = count(end, &end);
    return past;
}

static int set_past(int compiles)
{
    char text[32];
    an_past past = an_call_past();
    snprintf(text, sizeof text, "%d %d", past.processes + 1,
             past.compiles + compiles);
    return setenv(AGAIN, text, 1);
}

an_status an_call_again(const an_call *call, const char *without, int compiles,
                        an_error *err)
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
    if (program && name && set_past(compiles) == 0) execvp(program, words);
    an_status s = an_fail(err, AN_EIO,
                          "%s: cannot be started again after the engine's "
                          "limit (%s); the same command goes on",
                          call->program, strerror(errno));
    free(program);
    free(name);
    free(words);
    return s;
}
