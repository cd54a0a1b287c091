/*
 * Command lines from tables: a command's options are rows, and parsing, help,
 * errors (and whatever else needs the list) read the rows and nothing else.
 *
 * Values go into the command's own struct, which its `defaults` function has
 * filled before: a row says where its value lies, and the default that help
 * shows is read from there unless the row has words for it.
 */
#ifndef AN_CLI_ARGS_H
#define AN_CLI_ARGS_H

#include "anemone/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum an_option_type {
    AN_OPTION_FLAG,   /* bool; no argument */
    AN_OPTION_INT,    /* an integer of 4 or 8 bytes */
    AN_OPTION_REAL,   /* double */
    AN_OPTION_TEXT,   /* const char *, borrowed from argv */
    AN_OPTION_CHOICE, /* an enum of 4 bytes, named by `choice` */
    AN_OPTION_WORDS,  /* an_words: every word up to the next option */
} an_option_type;

typedef struct an_words {
    const char **items; /* words borrowed from argv */
    int n;
} an_words;

typedef struct an_option {
    const char *section; /* starts a section of the help, or NULL */
    const char *name;    /* "steps"; NULL: an operand, in the row's order */
    const char *metavar; /* "N", "DIR"; NULL for a flag */
    an_option_type type;
    bool required;
    const char *unit;   /* of the value, "" when it has none */
    const char *preset; /* the default in words; NULL: the value itself */
    double min, max;    /* INT, REAL: both included, up to 2^53 */
    /* CHOICE: the name of value i, NULL after the last. */
    const char *(*choice)(int i);
    size_t offset, size; /* AN_AT(struct, field) */
    size_t given; /* where a bool is that is set with the value; 0: nowhere */
    const char *help;
} an_option;
#define AN_AT(type, field)                                                     \
    .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)

typedef struct an_command an_command;

/* What was typed, for errors and for what to type next. */
typedef struct an_call {
    const char *program; /* argv[0] */
    const an_command *command;
    char **words; /* after the command's name */
    int n_words;
    const char *dump; /* ANEMONE_DUMP: a folder, or NULL */
} an_call;

struct an_command {
    const char *name;
    const char *summary; /* one line for the list of commands */
    const char *about;   /* the first paragraph of its help */
    const an_option *options;
    int n_options;
    size_t size_bytes; /* of the values' struct */
    void (*defaults)(void *values);
    int (*run)(const an_call *call, const void *values); /* exit status */
    void (*manual)(FILE *out); /* sections of its own, in roff, or NULL */
};
#define AN_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

typedef enum an_wanted { AN_WANT_RUN, AN_WANT_HELP } an_wanted;

/*
 * Reads the words into values, which hold the defaults. Fails with AN_EINVAL:
 * "--steps: expected an integer from 1 to 9, got 'x'". *wanted is HELP at the
 * first --help or -h. The caller calls an_args_free in every case.
 */
an_status an_args_parse(const an_call *call, void *values, an_wanted *wanted,
                        an_error *err);
void an_args_free(const an_command *command, void *values);

/* Every option with its default and its unit; `defaults` is the command's
 * struct as its `defaults` function left it. */
void an_args_help(const an_call *call, const void *defaults, FILE *out);

/* The default as help shows it, cut to size. */
void an_option_default(const an_option *o, const void *defaults, char *text,
                       size_t size);

/* Prints "anemone train: text" on stderr; the exit status: 2 for AN_EINVAL (a
 * malformed value), 1 for everything else. */
int an_call_fail(const an_call *call, const an_error *err);

/* The candidate nearest to a mistyped word, or NULL when none is near.
 * `candidate` returns NULL after the last. */
const char *an_args_near(const char *word,
                         const char *(*candidate)(const void *ctx, int i),
                         const void *ctx);

/* Prints a word so that a POSIX shell reads it back unchanged. */
void an_args_quote(FILE *out, const char *word);

#endif
