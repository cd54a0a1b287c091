/*
 * Completions from the tables: commands, then the options of the command, then
 * the names of a choice. Everything else is a file.
 */
#include "cli/manual.h"

#include <string.h>

/* Single quotes around text that has none. */
static void quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text != '\0'; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    fputc('\'', out);
}

/* The text up to its first semicolon or colon, for a line of description. */
static void brief(FILE *out, const char *text)
{
    char line[80];
    snprintf(line, sizeof line, "%.*s", (int)strcspn(text, ";:[]"), text);
    quoted(out, line);
}

static void choices(FILE *out, const an_option *o)
{
    for (int i = 0; o->choice(i) != NULL; i++)
        fprintf(out, "%s%s", i > 0 ? " " : "", o->choice(i));
}

static void commands_of(FILE *out, const an_command_list *commands)
{
    for (int i = 0; i < commands->n; i++)
        fprintf(out, "%s%s", i > 0 ? " " : "", commands->items[i]->name);
}

/* ---- bash ---- */

static void bash_command(FILE *out, const an_command *c)
{
    fprintf(out, "    %s)\n        case $before in\n", c->name);
    for (int i = 0; i < c->n_options; i++) {
        const an_option *o = &c->options[i];
        if (o->name == NULL || o->type != AN_OPTION_CHOICE) continue;
        fprintf(out, "        --%s) words='", o->name);
        choices(out, o);
        fputs("' ;;\n", out);
    }
    fputs("        *) words='--help", out);
    for (int i = 0; i < c->n_options; i++)
        if (c->options[i].name != NULL)
            fprintf(out, " --%s", c->options[i].name);
    fputs("' ;;\n        esac ;;\n", out);
}

static void bash(FILE *out, const an_command_list *commands)
{
    fputs("# bash completion for anemone\n_anemone() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
          "    local before=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    [ $COMP_CWORD -gt 1 ] || before=\n"
          "    case ${COMP_WORDS[1]}:$COMP_CWORD in\n    *:1) words='",
          out);
    commands_of(out, commands);
    fputs(" help --version' ;;\n    esac\n"
          "    [ $COMP_CWORD -eq 1 ] || case ${COMP_WORDS[1]} in\n",
          out);
    for (int i = 0; i < commands->n; i++)
        bash_command(out, commands->items[i]);
    fputs("    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "    [ ${#COMPREPLY[@]} -gt 0 ] || "
          "COMPREPLY=($(compgen -f -- \"$word\"))\n"
          "}\ncomplete -o filenames -F _anemone anemone\n",
          out);
}

/* ---- zsh ---- */

static void zsh_command(FILE *out, const an_command *c)
{
    fprintf(out, "    %s)\n        _arguments '*:file:_files'", c->name);
    for (int i = 0; i < c->n_options; i++) {
        const an_option *o = &c->options[i];
        if (o->name == NULL) continue;
        fprintf(out, " \\\n            --%s'['", o->name);
        brief(out, o->help);
        fputs("']'", out);
        if (o->type == AN_OPTION_CHOICE) {
            fprintf(out, "':%s:(", o->metavar);
            choices(out, o);
            fputs(")'", out);
        } else if (o->type != AN_OPTION_FLAG) {
            fprintf(out, "':%s:_files'", o->metavar);
        }
    }
    fputs(" ;;\n", out);
}

static void zsh(FILE *out, const an_command_list *commands)
{
    fputs("#compdef anemone\nif (( CURRENT == 2 )); then\n    compadd ", out);
    commands_of(out, commands);
    fputs(" help --version\nelse\n    local command=$words[2]\n"
          "    shift words\n    (( CURRENT-- ))\n    case $command in\n",
          out);
    for (int i = 0; i < commands->n; i++)
        zsh_command(out, commands->items[i]);
    fputs("    esac\nfi\n", out);
}

/* ---- fish ---- */

static void fish(FILE *out, const an_command_list *commands)
{
    fputs("# fish completion for anemone\n", out);
    for (int i = 0; i < commands->n; i++) {
        const an_command *c = commands->items[i];
        fprintf(out, "complete -c anemone -n __fish_use_subcommand -a %s -d ",
                c->name);
        quoted(out, c->summary);
        fputc('\n', out);
        for (int k = 0; k < c->n_options; k++) {
            const an_option *o = &c->options[k];
            if (o->name == NULL) continue;
            fprintf(out,
                    "complete -c anemone -n '__fish_seen_subcommand_from %s' "
                    "-l %s%s",
                    c->name, o->name, o->type != AN_OPTION_FLAG ? " -r" : "");
            if (o->type == AN_OPTION_CHOICE) {
                fputs(" -f -a '", out);
                choices(out, o);
                fputc('\'', out);
            }
            fputs(" -d ", out);
            brief(out, o->help);
            fputc('\n', out);
        }
    }
}

bool an_complete(const an_command_list *commands, const char *shell, FILE *out)
{
    static const struct {
        const char *name;
        void (*print)(FILE *out, const an_command_list *commands);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].print(out, commands);
            return true;
        }
    return false;
}
