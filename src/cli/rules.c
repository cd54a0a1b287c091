/*
 * anemone rules: the rows of src/chip, as a list, as JSON, or as the text of
 * docs/rules.md.
 */
#include "cli/commands.h"

#include "cli/manual.h"

#include "base/json.h"
#include "chip/rule.h"

#include <string.h>

typedef struct values {
    const char *id; /* NULL: all */
    int chip;       /* an_generation_name */
    bool json, markdown;
} values;

static const an_option options[] = {
    {.section = "Operands",
     .metavar = "ID",
     .type = AN_OPTION_TEXT,
     .preset = "all rules, a line each",
     AN_AT(values, id),
     .help = "a rule to explain, R-35"},
    {.section = "Options",
     .name = "chip",
     .metavar = "CHIP",
     .type = AN_OPTION_CHOICE,
     .choice = an_generation_name,
     AN_AT(values, chip),
     .help = "only rules that hold on m1 to m6, or all"},
    {.name = "json",
     .type = AN_OPTION_FLAG,
     AN_AT(values, json),
     .help = "print one array with an object per rule"},
    {.name = "markdown",
     .type = AN_OPTION_FLAG,
     AN_AT(values, markdown),
     .help = "print docs/rules.md"},
};

static void defaults(void *v)
{
    *(values *)v = (values){.chip = 6};
}

static void print_line(const an_rule *r)
{
    char on[32];
    printf("%-6s %-5s %-8s %-8s %s\n", r->id, an_severity_name(r->severity),
           an_generation_text(r->chips, on, sizeof on), r->symptom, r->text);
}

static void explain(const an_rule *r)
{
    char on[32];
    printf("%s  %s\n\n", r->id, r->text);
    printf("severity  %s\n", an_severity_name(r->severity));
    printf("chips     %s\n", an_generation_text(r->chips, on, sizeof on));
    for (int i = 0; an_symptom_at(i) != NULL; i++) {
        const an_symptom *s = an_symptom_at(i);
        if (strstr(r->symptom, s->code) != NULL)
            printf("symptom   %s: %s\n", s->code, s->text);
    }
    if (r->rewrite != NULL) printf("rewrite   %s\n", r->rewrite);
    printf("checked   %s\n", r->check ? "anemone check" : r->enforced);
    printf("source    %s\n", r->source);
}

static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static json_t *rule_object(const an_rule *r)
{
    json_t *o = json_object(), *chips = json_array();
    for (int i = 0; 1u << i < AN_GEN_ALL; i++)
        if (r->chips & 1u << i)
            json_array_append_new(chips, json_string(an_generation_name(i)));
    json_object_set_new(o, "id", json_string(r->id));
    json_object_set_new(o, "severity",
                        json_string(an_severity_name(r->severity)));
    json_object_set_new(o, "chips", chips);
    json_object_set_new(o, "symptom", json_string(r->symptom));
    json_object_set_new(o, "text", json_string(r->text));
    json_object_set_new(o, "rewrite", text_or_null(r->rewrite));
    json_object_set_new(o, "source", json_string(r->source));
    json_object_set_new(o, "checked", json_boolean(r->check != NULL));
    json_object_set_new(o, "enforced", text_or_null(r->enforced));
    return o;
}

static bool is_wanted(const values *o, const an_rule *r)
{
    unsigned chips = an_generation_find(an_generation_name(o->chip));
    return (r->chips & chips) != 0 &&
           (o->id == NULL || strcmp(o->id, r->id) == 0);
}

static an_status print_json(const values *o, an_error *err)
{
    json_t *array = json_array();
    for (int i = 0; i < an_rules_count(); i++)
        if (is_wanted(o, an_rules_at(i)))
            json_array_append_new(array, rule_object(an_rules_at(i)));
    int failed = json_dumpf(array, stdout, JSON_INDENT(1));
    json_decref(array);
    if (failed) return an_fail(err, AN_EIO, "cannot write the array");
    putchar('\n');
    return AN_OK;
}

static void print_cell(const char *text)
{
    for (; text != NULL && *text; text++) {
        if (*text == '|') putchar('\\');
        putchar(*text);
    }
    fputs(" | ", stdout);
}

static void print_markdown_row(const an_rule *r)
{
    char on[32];
    fputs("| ", stdout);
    print_cell(r->id);
    print_cell(r->text);
    print_cell(an_severity_name(r->severity));
    print_cell(r->symptom);
    print_cell(an_generation_text(r->chips, on, sizeof on));
    print_cell(r->rewrite);
    print_cell(r->check ? "`anemone check`" : r->enforced);
    printf("%s |\n", r->source);
}

static const char head[] =
    "# Rules of the hardware\n"
    "\n"
    "Written by `anemone rules --markdown` from the rows in `src/chip`; "
    "`make docs` rewrites it.\n"
    "\n"
    "What Apple's Neural Engine refuses or gets wrong, as public projects "
    "found it; nothing here was measured by us. `anemone check` lists what a "
    "program breaks. The software engine refuses programs that break an "
    "`error` rule of its chip; where hardware would give wrong data without "
    "an error, `--silent-faults` asks for that data.\n"
    "\n"
    "- **error**: several independent reports. **warn**: one report, or "
    "reports that contradict each other; `--strict` fails on them. **note**: "
    "slow, or only worth knowing.\n"
    "- **chips**: by the compiler's targets: m1 is h13 (the generation of "
    "A13), "
    "m2 h14, m3 h15, m4 h16, m5 h17s, m6 h18.\n"
    "- An id with a letter behind it is the same rule with other numbers, or "
    "for other chips; O- ids are reports about single ops.\n"
    "- **checked**: by `anemone check`; or by what, or why not.\n";

static void print_markdown(void)
{
    fputs(head, stdout);
    fputs("\n## Symptoms\n\n| code | what one sees |\n|---|---|\n", stdout);
    for (int i = 0; an_symptom_at(i) != NULL; i++)
        printf("| %s | %s |\n", an_symptom_at(i)->code, an_symptom_at(i)->text);
    fputs("\n## Rules\n\n| id | rule | severity | symptom | chips | rewrite | "
          "checked | source |\n|---|---|---|---|---|---|---|---|\n",
          stdout);
    for (int i = 0; i < an_rules_count(); i++)
        print_markdown_row(an_rules_at(i));
}

static const char *id_at(const void *ctx, int i)
{
    (void)ctx;
    return i < an_rules_count() ? an_rules_at(i)->id : NULL;
}

static an_status check_id(const values *o, an_error *err)
{
    if (o->id == NULL || an_rules_find(o->id) != NULL) return AN_OK;
    const char *near = an_args_near(o->id, id_at, NULL);
    return an_fail(err, AN_EINVAL, "unknown rule '%.40s'%s%s", o->id,
                   near != NULL ? "; did you mean " : "",
                   near != NULL ? near : "");
}

static int rules(const an_call *call, const void *v)
{
    const values *o = v;
    an_error err = {0};
    an_status s = check_id(o, &err);
    if (s == AN_OK && o->markdown)
        print_markdown();
    else if (s == AN_OK && o->json)
        s = print_json(o, &err);
    else if (s == AN_OK && o->id != NULL)
        explain(an_rules_find(o->id));
    else
        for (int i = 0; s == AN_OK && i < an_rules_count(); i++)
            if (is_wanted(o, an_rules_at(i))) print_line(an_rules_at(i));
    return s == AN_OK ? 0 : an_call_fail(call, &err);
}

/* The rows in the manual page. */
static void manual(FILE *out)
{
    char on[32];
    fputs(".SH RULES\n", out);
    for (int i = 0; i < an_rules_count(); i++) {
        const an_rule *r = an_rules_at(i);
        fprintf(out, ".TP\n.B %s\n", r->id);
        an_manual_text(out, r->text);
        fprintf(out, " (%s on %s; %s", an_severity_name(r->severity),
                an_generation_text(r->chips, on, sizeof on), r->symptom);
        if (r->rewrite != NULL) {
            fputs("; rewrite: ", out);
            an_manual_text(out, r->rewrite);
        }
        fputs(")\n", out);
    }
    fputs(".SH SYMPTOMS\n", out);
    for (int i = 0; an_symptom_at(i) != NULL; i++) {
        fprintf(out, ".TP\n.B \\%s%s\n",
                an_symptom_at(i)->code[0] == '-' ? "" : "&",
                an_symptom_at(i)->code);
        an_manual_text(out, an_symptom_at(i)->text);
        fputc('\n', out);
    }
}

const an_command an_command_rules = {
    .name = "rules",
    .summary = "list what the hardware refuses or gets wrong",
    .about = "Lists the rules that `anemone check` and the software engine "
             "know: id, severity, chips, symptom and what must hold. With an "
             "ID: all that is known of it.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = rules,
    .manual = manual,
};
