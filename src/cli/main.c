/*
 * The program `anemone`: finds the command, reads its options, runs it. Exit
 * status 0: done, 1: it failed, one line on stderr says why, 2: usage.
 */
#include "cli/commands.h"
#include "cli/manual.h"

#include "base/alloc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const an_command *const commands[] = {
#define AN_COMMAND(name) &an_command_##name,
#include "cli/commands.def"
#undef AN_COMMAND
};

const char *an_numerics_choice(int i)
{
    return i < AN_NUMERICS_COUNT ? an_numerics_name((an_numerics)i) : NULL;
}

const char *an_engine_text(const char *engine, const an_engine_extra *extra,
                           char *text, size_t size)
{
    if (!extra->silent && !extra->numerics_given) return engine;
    snprintf(text, size, "%s%s%s", engine, extra->silent ? ",rules=silent" : "",
             extra->numerics_given ? ",numerics=asked" : "");
    return text;
}

static void print_commands(const char *program, FILE *out)
{
    fprintf(out, "usage: %s COMMAND [OPTION]...\n\n", program);
    fprintf(out, "Trains transformers through programs for Apple's Neural "
                 "Engine,\non the software Neural Engine.\n\n");
    for (int i = 0; i < AN_COUNT(commands); i++)
        fprintf(out, "  %-11s%s\n", commands[i]->name, commands[i]->summary);
    fprintf(out, "\n  %-11s%s\n", "--version",
            "version, commit, kernels, BLAS");
    fprintf(out, "  %-11s%s\n", "--manual",
            "the manual page, or that of a command");
    fprintf(out, "  --completion SHELL: words for bash, zsh or fish\n");
    fprintf(out,
            "\nANEMONE_DUMP=DIR in the environment: train, generate and eval "
            "save every stage\nof lowering there as numbered programs, for "
            "%s run.\n",
            program);
    fprintf(out, "\n%s COMMAND --help lists a command's options.\n", program);
}

static const an_command *find(const char *name)
{
    for (int i = 0; i < AN_COUNT(commands); i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

static const char *command_name(const void *ctx, int i)
{
    (void)ctx;
    return i < AN_COUNT(commands) ? commands[i]->name : NULL;
}

static int unknown_command(const char *name)
{
    const char *near = an_args_near(name, command_name, NULL);
    if (near != NULL)
        fprintf(stderr, "anemone: unknown command '%.60s'; did you mean %s?\n",
                name, near);
    else
        fprintf(stderr, "anemone: unknown command '%.60s'; see anemone help\n",
                name);
    return 2;
}

static void defaults(const an_command *c, void *values)
{
    memset(values, 0, c->size_bytes);
    c->defaults(values);
}

static int run(const an_call *call)
{
    const an_command *c = call->command;
    an_error err = {0};
    an_wanted wanted = AN_WANT_RUN;
    int status = 0;
    void *values = an_alloc(c->size_bytes);
    if (values == NULL) {
        an_fail(&err, AN_ENOMEM, "no memory");
        return an_call_fail(call, &err);
    }
    defaults(c, values);
    if (an_args_parse(call, values, &wanted, &err) != AN_OK) {
        status = an_call_fail(call, &err);
    } else if (wanted == AN_WANT_RUN) {
        status = c->run(call, values);
    }
    an_args_free(c, values);
    if (wanted == AN_WANT_HELP) {
        defaults(c, values);
        an_args_help(call, values, stdout);
    }
    an_free(values);
    return status;
}

/* --manual [COMMAND], --completion SHELL: for an installation. */
static int print_manual(const char *name)
{
    const an_command_list all = {commands, AN_COUNT(commands)};
    if (name == NULL) {
        an_manual_program(&all, stdout);
        return 0;
    }
    const an_command *c = find(name);
    if (c == NULL) return unknown_command(name);
    void *values = an_alloc(c->size_bytes);
    if (values == NULL) return 1;
    defaults(c, values);
    an_manual_command(c, values, stdout);
    an_free(values);
    return 0;
}

static int print_completion(const char *shell)
{
    const an_command_list all = {commands, AN_COUNT(commands)};
    if (shell != NULL && an_complete(&all, shell, stdout)) return 0;
    fprintf(stderr,
            "anemone: --completion: expected bash, zsh or fish, got "
            "'%.60s'\n",
            shell != NULL ? shell : "");
    return 2;
}

static int dispatch(int argc, char **argv)
{
    const char *program = argc > 0 ? argv[0] : "anemone";
    const char *word = argc > 1 ? argv[1] : "help";
    an_call call = {.program = program, .dump = getenv("ANEMONE_DUMP")};
    if (call.dump != NULL && call.dump[0] == '\0') call.dump = NULL;
    if (strcmp(word, "--version") == 0) {
        an_version_print(stdout);
        return 0;
    }
    const char *next = argc > 2 ? argv[2] : NULL;
    if (strcmp(word, "--manual") == 0) return print_manual(next);
    if (strcmp(word, "--completion") == 0) return print_completion(next);
    bool help = strcmp(word, "help") == 0;
    if (help && argc > 2) {
        static char ask[] = "--help";
        char *words[] = {ask};
        call.command = find(argv[2]);
        call.words = words, call.n_words = 1;
        return call.command != NULL ? run(&call) : unknown_command(argv[2]);
    }
    if (help || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_commands(program, stdout);
        return 0;
    }
    call.command = find(word);
    call.words = argv + 2, call.n_words = argc - 2;
    return call.command != NULL ? run(&call) : unknown_command(word);
}

int main(int argc, char **argv)
{
    /* A reader that goes away is an error of writing, not our death. */
    signal(SIGPIPE, SIG_IGN);
    int status = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "anemone: cannot write the output: %s\n",
                strerror(errno));
        if (status == 0) status = 1;
    }
    return status;
}
