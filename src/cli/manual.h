/*
 * What an installation needs beside the program, made from the tables of
 * commands and options: manual pages and completions for shells.
 */
#ifndef AN_CLI_MANUAL_H
#define AN_CLI_MANUAL_H

#include "cli/args.h"

typedef struct an_command_list {
    const an_command *const *items;
    int n;
} an_command_list;

/* The page of the program, or, with a command, of the command: roff with the
 * man macros. */
void an_manual_program(const an_command_list *commands, FILE *out);
void an_manual_command(const an_command *command, const void *defaults,
                       FILE *out);
/* Text as roff shows it unchanged. */
void an_manual_text(FILE *out, const char *text);

/* False: `shell` is not bash, zsh or fish. */
bool an_complete(const an_command_list *commands, const char *shell, FILE *out);

#endif
