/* Manual pages from the tables. */
#include "cli/manual.h"

#include "anemone/status.h"

#include <ctype.h>

void an_manual_text(FILE *out, const char *text)
{
    for (bool first = true; *text != '\0'; text++, first = false) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else if (first && (*text == '.' || *text == '\''))
            fprintf(out, "\\&%c", *text);
        else
            fputc(*text, out);
    }
}

static void title(FILE *out, const char *command)
{
    fputs(".TH ANEMONE", out);
    if (command != NULL) {
        fputs("\\-", out);
        for (const char *p = command; *p != '\0'; p++)
            fputc(toupper((unsigned char)*p), out);
    }
    fprintf(out, " 1 \"\" \"anemone %s\"\n", AN_VERSION);
}

static void section(FILE *out, const char *name)
{
    fputs(".SH ", out);
    for (const char *p = name; *p != '\0'; p++)
        fputc(toupper((unsigned char)*p), out);
    fputc('\n', out);
}

static void paragraph(FILE *out, const char *text)
{
    an_manual_text(out, text);
    fputc('\n', out);
}

static void statuses(FILE *out)
{
    section(out, "exit status");
    fputs(".TP\n0\ndone\n.TP\n1\nit failed; one line on stderr says where, "
          "what was expected, what came\n.TP\n2\nusage\n",
          out);
}

void an_manual_program(const an_command_list *commands, FILE *out)
{
    title(out, NULL);
    section(out, "name");
    fputs("anemone \\- train transformers through programs for Apple's Neural "
          "Engine\n",
          out);
    section(out, "synopsis");
    fputs(".B anemone\n.I COMMAND\n[\\fIOPTION\\fR]...\n", out);
    section(out, "commands");
    for (int i = 0; i < commands->n; i++) {
        fprintf(out, ".TP\n.BR anemone\\-%s (1)\n", commands->items[i]->name);
        paragraph(out, commands->items[i]->summary);
    }
    section(out, "environment");
    fputs(".TP\n.B ANEMONE_DUMP\na folder in which train, generate and eval "
          "save every stage of lowering as numbered programs that\n"
          ".BR anemone\\-run (1)\nruns\n",
          out);
    statuses(out);
}

static void synopsis(const an_command *c, FILE *out)
{
    section(out, "synopsis");
    fprintf(out, ".B anemone %s\n", c->name);
    for (int i = 0; i < c->n_options; i++)
        if (c->options[i].name == NULL) {
            fprintf(out, "%s\\fI", c->options[i].required ? "" : "[");
            an_manual_text(out, c->options[i].metavar);
            fprintf(out, "\\fR%s\n", c->options[i].required ? "" : "]");
        }
    for (int i = 0; i < c->n_options; i++)
        if (c->options[i].name != NULL && c->options[i].required) {
            fputs("\\fB\\-\\-", out);
            an_manual_text(out, c->options[i].name);
            fputs("\\fR \\fI", out);
            an_manual_text(out, c->options[i].metavar);
            fputs("\\fR\n", out);
        }
    fputs("[\\fIOPTION\\fR]...\n", out);
}

static void option(const an_option *o, const void *defaults, FILE *out)
{
    char text[128];
    fputs(".TP\n", out);
    if (o->name != NULL) {
        fputs("\\fB\\-\\-", out);
        an_manual_text(out, o->name);
        fputs(o->metavar != NULL ? "\\fR " : "\\fR", out);
    }
    if (o->metavar != NULL) {
        fputs("\\fI", out);
        an_manual_text(out, o->metavar);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    paragraph(out, o->help);
    an_option_default(o, defaults, text, sizeof text);
    fputc('[', out);
    if (o->unit != NULL && o->unit[0] != '\0') {
        an_manual_text(out, o->unit);
        fputs("; ", out);
    }
    if (!o->required) fputs("default: ", out);
    an_manual_text(out, o->required ? "required" : text);
    fputs("]\n", out);
}

void an_manual_command(const an_command *c, const void *defaults, FILE *out)
{
    title(out, c->name);
    section(out, "name");
    fprintf(out, "anemone\\-%s \\- ", c->name);
    paragraph(out, c->summary);
    synopsis(c, out);
    section(out, "description");
    paragraph(out, c->about);
    for (int i = 0; i < c->n_options; i++) {
        if (c->options[i].section != NULL) section(out, c->options[i].section);
        option(&c->options[i], defaults, out);
    }
    if (c->manual != NULL) c->manual(out);
    statuses(out);
    section(out, "see also");
    fputs(".BR anemone (1)\n", out);
}
