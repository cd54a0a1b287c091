/*
 * Parsing of command lines; the rows say everything that differs between
 * commands. An option is `--key value` or `--key=value`; the last one wins.
 * A value that starts with "--" must be joined by "=", so that a forgotten
 * value is noticed. "--" alone ends the options.
 */
#include "cli/args.h"

#include "base/alloc.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct parse {
    const an_command *command;
    char **words;
    int n, at; /* at: the next word */
    int operands;
    bool options_ended;
    unsigned char *values;
    bool *seen; /* per row */
    an_error *err;
} parse;

/* "--steps", or an operand's metavar. */
static const char *row_name(const an_option *o, char *text, size_t size)
{
    snprintf(text, size, "%s%s", o->name != NULL ? "--" : "",
             o->name != NULL ? o->name : o->metavar);
    return text;
}

static an_status bad_value(parse *p, const an_option *o, const char *expected,
                           const char *got)
{
    char name[64];
    return an_fail(p->err, AN_EINVAL, "%s: expected %s, got '%.80s'",
                   row_name(o, name, sizeof name), expected, got);
}

static an_status set_int(parse *p, const an_option *o, const char *word)
{
    char expected[96], *end = NULL;
    errno = 0;
    long long x = strtoll(word, &end, 10);
    snprintf(expected, sizeof expected, "an integer from %.0f to %.0f", o->min,
             o->max);
    if (end == word || *end != '\0' || errno != 0 || (double)x < o->min ||
        (double)x > o->max || strchr(" \t\n\v\f\r", word[0]) != NULL)
        return bad_value(p, o, expected, word);
    int32_t narrow = (int32_t)x;
    int64_t wide = x;
    memcpy(p->values + o->offset,
           o->size == sizeof narrow ? (const void *)&narrow : &wide, o->size);
    return AN_OK;
}

static an_status set_real(parse *p, const an_option *o, const char *word)
{
    char expected[96], *end = NULL;
    double x = strtod(word, &end);
    snprintf(expected, sizeof expected, "a number from %g to %g", o->min,
             o->max);
    if (end == word || *end != '\0' || !(x >= o->min && x <= o->max) ||
        strchr(" \t\n\v\f\r", word[0]) != NULL)
        return bad_value(p, o, expected, word);
    memcpy(p->values + o->offset, &x, sizeof x);
    return AN_OK;
}

static an_status set_choice(parse *p, const an_option *o, const char *word)
{
    char expected[128] = "";
    size_t used = 0;
    for (int i = 0; o->choice(i) != NULL; i++) {
        if (strcmp(word, o->choice(i)) == 0) {
            memcpy(p->values + o->offset, &i, sizeof i);
            return AN_OK;
        }
        int n = snprintf(expected + used, sizeof expected - used, "%s%s",
                         i > 0 ? " or " : "", o->choice(i));
        if (n > 0 && (size_t)n < sizeof expected - used) used += (size_t)n;
    }
    return bad_value(p, o, expected, word);
}

static an_status add_word(parse *p, const an_option *o, const char *word)
{
    an_words *list = (an_words *)(void *)(p->values + o->offset);
    if (word[0] == '\0') return bad_value(p, o, "a word", word);
    if (list->items == NULL)
        list->items = an_alloc_array((size_t)p->n, sizeof *list->items);
    if (list->items == NULL) return an_fail(p->err, AN_ENOMEM, "no memory");
    list->items[list->n++] = word;
    return AN_OK;
}

static an_status set_value(parse *p, const an_option *o, const char *word)
{
    const bool given = true;
    if (o->given) memcpy(p->values + o->given, &given, sizeof given);
    switch (o->type) {
    case AN_OPTION_INT:
        return set_int(p, o, word);
    case AN_OPTION_REAL:
        return set_real(p, o, word);
    case AN_OPTION_CHOICE:
        return set_choice(p, o, word);
    case AN_OPTION_WORDS:
        return add_word(p, o, word);
    case AN_OPTION_TEXT:
        memcpy(p->values + o->offset, &word, sizeof word);
        return AN_OK;
    case AN_OPTION_FLAG:
        break;
    }
    return bad_value(p, o, "no value", word);
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

/* Words of a list option after its first. */
static an_status more_words(parse *p, const an_option *o)
{
    an_status s = AN_OK;
    while (s == AN_OK && p->at < p->n && !is_option(p->words[p->at]))
        s = add_word(p, o, p->words[p->at++]);
    return s;
}

static an_status take_option(parse *p, const an_option *o, const char *joined)
{
    if (o->type == AN_OPTION_FLAG && joined == NULL) {
        bool yes = true;
        memcpy(p->values + o->offset, &yes, sizeof yes);
        return AN_OK;
    }
    if (joined != NULL) return set_value(p, o, joined);
    if (p->at == p->n)
        return an_fail(p->err, AN_EINVAL, "--%s: expected %s, got nothing",
                       o->name, o->metavar);
    const char *word = p->words[p->at];
    if (strncmp(word, "--", 2) == 0)
        return an_fail(p->err, AN_EINVAL,
                       "--%s: expected %s, got the option '%.60s'", o->name,
                       o->metavar, word);
    p->at++;
    an_status s = set_value(p, o, word);
    if (s == AN_OK && o->type == AN_OPTION_WORDS) s = more_words(p, o);
    return s;
}

static const char *option_name(const void *ctx, int i)
{
    const an_command *c = ctx;
    for (int k = 0; k < c->n_options; k++)
        if (c->options[k].name != NULL && i-- == 0) return c->options[k].name;
    return NULL;
}

static an_status unknown_option(parse *p, const char *word, size_t size)
{
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)(size < 60 ? size : 60), word + 2);
    const char *near = an_args_near(key, option_name, p->command);
    if (near != NULL)
        return an_fail(p->err, AN_EINVAL,
                       "unknown option '--%s'; did you mean --%s?", key, near);
    return an_fail(p->err, AN_EINVAL, "unknown option '--%s'; see --help", key);
}

static an_status long_option(parse *p, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t size = (equals != NULL ? (size_t)(equals - word) : strlen(word)) - 2;
    for (int i = 0; i < p->command->n_options; i++) {
        const an_option *o = &p->command->options[i];
        if (o->name == NULL || strlen(o->name) != size ||
            memcmp(o->name, word + 2, size) != 0)
            continue;
        p->seen[i] = true;
        return take_option(p, o, equals != NULL ? equals + 1 : NULL);
    }
    return unknown_option(p, word, size);
}

static an_status operand(parse *p, const char *word)
{
    int k = p->operands++;
    for (int i = 0; i < p->command->n_options; i++) {
        const an_option *o = &p->command->options[i];
        if (o->name != NULL || k-- > 0) continue;
        p->seen[i] = true;
        if (o->type == AN_OPTION_WORDS) p->operands--; /* takes the rest too */
        return set_value(p, o, word);
    }
    return an_fail(p->err, AN_EINVAL, "unexpected word '%.80s'; see --help",
                   word);
}

static an_status check_required(parse *p)
{
    char name[64];
    for (int i = 0; i < p->command->n_options; i++) {
        const an_option *o = &p->command->options[i];
        if (o->required && !p->seen[i])
            return an_fail(p->err, AN_EINVAL, "%s%s%s is missing; see --help",
                           row_name(o, name, sizeof name),
                           o->name != NULL ? " " : "",
                           o->name != NULL ? o->metavar : "");
    }
    return AN_OK;
}

static an_status parse_words(parse *p, an_wanted *wanted)
{
    an_status s = AN_OK;
    while (s == AN_OK && p->at < p->n) {
        const char *word = p->words[p->at++];
        if (p->options_ended || !is_option(word)) {
            s = operand(p, word);
        } else if (strcmp(word, "--") == 0) {
            p->options_ended = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            *wanted = AN_WANT_HELP;
            return AN_OK;
        } else if (word[1] == '-') {
            s = long_option(p, word);
        } else {
            s = an_fail(p->err, AN_EINVAL, "unknown option '%.60s'; see --help",
                        word);
        }
    }
    return s == AN_OK ? check_required(p) : s;
}

an_status an_args_parse(const an_call *call, void *values, an_wanted *wanted,
                        an_error *err)
{
    const an_command *command = call->command;
    parse p = {.command = command,
               .words = call->words,
               .n = call->n_words,
               .values = values,
               .err = err};
    *wanted = AN_WANT_RUN;
    p.seen = an_alloc_array((size_t)command->n_options + 1, sizeof *p.seen);
    if (p.seen == NULL) return an_fail(err, AN_ENOMEM, "no memory");
    an_status s = parse_words(&p, wanted);
    an_free(p.seen);
    return s;
}

void an_args_free(const an_command *command, void *values)
{
    for (int i = 0; i < command->n_options; i++) {
        const an_option *o = &command->options[i];
        if (o->type != AN_OPTION_WORDS) continue;
        an_words *list =
            (an_words *)(void *)((unsigned char *)values + o->offset);
        an_free(list->items);
        *list = (an_words){0};
    }
}

/* Insertions, deletions and substitutions that turn a into b. */
static int distance(const char *a, const char *b)
{
    int row[64];
    int n = (int)strlen(b);
    if (n > 62 || strlen(a) > 62) return INT_MAX;
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; a[i - 1] != '\0'; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

const char *an_args_near(const char *word,
                         const char *(*candidate)(const void *ctx, int i),
                         const void *ctx)
{
    const char *best = NULL, *name;
    int least = 3; /* two slips of the finger are near, three are not */
    for (int i = 0; (name = candidate(ctx, i)) != NULL; i++) {
        size_t size = strlen(word);
        bool begins = size >= 3 && strncmp(word, name, size) == 0;
        int d = begins ? 1 : distance(word, name);
        if (d < least && d < (int)strlen(name)) {
            least = d;
            best = name;
        }
    }
    return best;
}

int an_call_fail(const an_call *call, const an_error *err)
{
    fprintf(stderr, "anemone %s: %s\n", call->command->name, err->text);
    return err->code == AN_EINVAL ? 2 : 1;
}

void an_args_quote(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=./:,@%";
    if (word[0] != '\0' && strspn(word, plain) == strlen(word)) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word != '\0'; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    fputc('\'', out);
}
