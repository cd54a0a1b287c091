/*
 * The help of a command, from its table: a line of usage, what it does, and
 * per option its argument, meaning, unit and default.
 */
#include "cli/args.h"

#include <string.h>

enum { WIDTH = 79, COLUMN = 25 };

/* Prints words from column `column` on, broken at WIDTH. */
static void print_wrapped(FILE *out, const char *text, int column)
{
    int x = column;
    while (*text != '\0') {
        int size = (int)strcspn(text, " ");
        if (x > column && x + 1 + size > WIDTH) {
            fprintf(out, "\n%*s", column, "");
            x = column;
        }
        if (x > column) {
            fputc(' ', out);
            x++;
        }
        fwrite(text, 1, (size_t)size, out);
        x += size;
        text += size;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void an_option_default(const an_option *o, const void *defaults, char *text,
                       size_t size)
{
    const unsigned char *at = (const unsigned char *)defaults + o->offset;
    int32_t narrow = 0;
    int64_t wide = 0;
    double real = 0;
    const char *words = NULL;
    text[0] = '\0';
    if (o->preset != NULL) {
        snprintf(text, size, "%s", o->preset);
        return;
    }
    switch (o->type) {
    case AN_OPTION_INT:
        if (o->size == sizeof narrow) {
            memcpy(&narrow, at, sizeof narrow);
            wide = narrow;
        } else {
            memcpy(&wide, at, sizeof wide);
        }
        snprintf(text, size, "%lld", (long long)wide);
        break;
    case AN_OPTION_REAL:
        memcpy(&real, at, sizeof real);
        snprintf(text, size, "%g", real);
        break;
    case AN_OPTION_TEXT:
        memcpy(&words, at, sizeof words);
        snprintf(text, size, "%s", words != NULL ? words : "none");
        break;
    case AN_OPTION_CHOICE:
        memcpy(&narrow, at, sizeof narrow);
        snprintf(text, size, "%s", o->choice(narrow));
        break;
    case AN_OPTION_WORDS:
        snprintf(text, size, "none");
        break;
    case AN_OPTION_FLAG:
        snprintf(text, size, "off");
        break;
    }
}

static void print_option(FILE *out, const an_option *o,
                         const unsigned char *values)
{
    char head[80], text[512], preset[128];
    snprintf(head, sizeof head, "  %s%s%s%s", o->name != NULL ? "--" : "",
             o->name != NULL ? o->name : "",
             o->name != NULL && o->metavar != NULL ? " " : "",
             o->metavar != NULL ? o->metavar : "");
    int n = fprintf(out, "%s", head);
    if (n + 2 > COLUMN)
        fprintf(out, "\n%*s", COLUMN, "");
    else
        fprintf(out, "%*s", COLUMN - n, "");
    an_option_default(o, values, preset, sizeof preset);
    const char *unit = o->unit != NULL ? o->unit : "";
    snprintf(text, sizeof text, "%s [%s%s%s%s]", o->help, unit,
             unit[0] != '\0' ? "; " : "",
             o->required ? "" : "default: ", o->required ? "required" : preset);
    print_wrapped(out, text, COLUMN);
}

static void print_usage(FILE *out, const an_call *call)
{
    const an_command *c = call->command;
    fprintf(out, "usage: %s %s", call->program, c->name);
    for (int i = 0; i < c->n_options; i++)
        if (c->options[i].name == NULL)
            fprintf(out, " %s", c->options[i].metavar);
    for (int i = 0; i < c->n_options; i++)
        if (c->options[i].name != NULL && c->options[i].required)
            fprintf(out, " --%s %s", c->options[i].name, c->options[i].metavar);
    fprintf(out, " [OPTION]...\n");
}

void an_args_help(const an_call *call, const void *defaults, FILE *out)
{
    const an_command *c = call->command;
    print_usage(out, call);
    fputc('\n', out);
    print_wrapped(out, c->about, 0);
    for (int i = 0; i < c->n_options; i++) {
        if (c->options[i].section != NULL)
            fprintf(out, "\n%s\n", c->options[i].section);
        print_option(out, &c->options[i], defaults);
    }
    fprintf(out, "  --help%*sthis text\n", COLUMN - 8, "");
}
