/*
 * By posix_spawn: a process that has opened the framework must not fork, and
 * one that has tested has no compiles left. The test's standard error comes
 * back through a pipe.
 */
#include "cli/due.h"

#include "base/alloc.h"
#include "engine/apple/selftest.h"

#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static an_status fail_start(const an_call *call, int code, an_error *err)
{
    return an_fail(err, AN_EIO, "%s: the self-test cannot be started: %s",
                   call->program, strerror(code));
}

/* The environment, with these settings of a replica. The caller frees it. */
static char **environment(char *settings)
{
    static const char key[] = "ANEMONE_REPLICA=";
    size_t n = 0;
    while (environ[n] != NULL)
        n++;
    char **copy = an_alloc_array(n + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < n; i++) {
        bool is_key = strncmp(environ[i], key, sizeof key - 1) == 0;
        copy[i] = is_key ? settings : environ[i];
    }
    return copy;
}

/* Starts it with `out` as its standard error. Faults of a replica are for the
 * run that follows. */
static an_status start(const an_call *call, const char *engine, int out,
                       pid_t *pid, an_error *err)
{
    char settings[600] = "ANEMONE_REPLICA=";
    char doctor[] = "doctor", test[] = "--test", quiet[] = "--quiet",
         option[] = "--engine", name[128], program[1024];
    char *words[] = {program, doctor, test, quiet, option, name, NULL};
    posix_spawn_file_actions_t actions;
    snprintf(name, sizeof name, "%s", engine);
    snprintf(program, sizeof program, "%s", call->program);
    size_t n = strlen(settings);
    an_replica_settings(settings + n, sizeof settings - n);
    char **variables = environment(settings);
    if (variables == NULL) return fail_start(call, ENOMEM, err);
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) {
        an_free(variables);
        return fail_start(call, code, err);
    }
    code = posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
    if (code == 0)
        code = posix_spawnp(pid, program, &actions, NULL, words, variables);
    posix_spawn_file_actions_destroy(&actions);
    an_free(variables);
    return code == 0 ? AN_OK : fail_start(call, code, err);
}

/* The first line; the rest is read and dropped. */
static void read_line(int from, char *line, size_t size)
{
    char piece[256];
    size_t used = 0;
    ssize_t n;
    while ((n = read(from, piece, sizeof piece)) > 0 ||
           (n < 0 && errno == EINTR))
        for (ssize_t i = 0; i < n && used + 1 < size; i++)
            line[used++] = piece[i];
    line[used] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

static an_status run_test(const an_call *call, const char *engine, char *line,
                          size_t size, an_error *err)
{
    int ends[2];
    pid_t pid = 0;
    if (pipe(ends) != 0) return fail_start(call, errno, err);
    an_status s = start(call, engine, ends[1], &pid, err);
    close(ends[1]);
    if (s == AN_OK) read_line(ends[0], line, size);
    close(ends[0]);
    while (s == AN_OK && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return s;
}

an_status an_call_test(const an_call *call, const char *engine, bool quiet,
                       an_error *err)
{
    static const char prefix[] = "anemone doctor: ";
    char line[400];
    if (!an_selftest_is_due(engine)) return AN_OK;
    if (!quiet) {
        printf("The engine of this system build is tested first, once.\n");
        fflush(stdout);
    }
    an_status s = run_test(call, engine, line, sizeof line, err);
    if (s != AN_OK || !an_selftest_is_due(engine)) return s;
    bool named = strncmp(line, prefix, sizeof prefix - 1) == 0;
    const char *why = named ? line + sizeof prefix - 1 : line;
    return an_fail(err, AN_EENGINE, "the engine's self-test failed: %s",
                   *why ? why : "it ended without a word");
}
