/*
 * Command lines: each kind of value, each way to be wrong, words that a shell
 * reads back, and text that is safe on a terminal.
 */
#include "cli/args.c"
#include "cli/help.c"
#include "cli/terminal.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct sample {
    const char *file, *text;
    bool flag;
    int32_t narrow;
    int64_t wide;
    double real;
    int choice;
    an_words words;
} sample;

static const char *color(int i)
{
    return i == 0 ? "red" : i == 1 ? "green" : NULL;
}

static const an_option rows[] = {
    {.metavar = "FILE",
     .type = AN_OPTION_TEXT,
     .required = true,
     AN_AT(sample, file),
     .help = "what to read"},
    {.name = "text",
     .metavar = "TEXT",
     .type = AN_OPTION_TEXT,
     AN_AT(sample, text),
     .help = "some text"},
    {.name = "flag",
     .type = AN_OPTION_FLAG,
     AN_AT(sample, flag),
     .help = "a flag"},
    {.name = "narrow",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "steps",
     .min = -5,
     .max = 9,
     AN_AT(sample, narrow),
     .help = "four bytes"},
    {.name = "wide",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .max = 9007199254740992.0,
     AN_AT(sample, wide),
     .help = "eight bytes"},
    {.name = "real",
     .metavar = "X",
     .type = AN_OPTION_REAL,
     .preset = "the model's",
     .max = 1,
     AN_AT(sample, real),
     .help = "a number"},
    {.name = "color",
     .metavar = "NAME",
     .type = AN_OPTION_CHOICE,
     .choice = color,
     AN_AT(sample, choice),
     .help = "a choice"},
    {.name = "words",
     .metavar = "WORD...",
     .type = AN_OPTION_WORDS,
     AN_AT(sample, words),
     .help = "several"},
};

static const an_command command = {.name = "sample",
                                   .about = "About.",
                                   .options = rows,
                                   .n_options = AN_COUNT(rows),
                                   .size_bytes = sizeof(sample)};

/* Splits at blanks; "_" stands for an empty word. */
static an_status parse_line(const char *line, sample *values, char *copy,
                            an_error *err)
{
    char *words[32];
    an_call call = {.program = "anemone", .command = &command, .words = words};
    an_wanted wanted;
    strcpy(copy, line);
    for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
        words[call.n_words++] = w;
    an_status s = an_args_parse(&call, values, &wanted, err);
    return s == AN_OK && wanted == AN_WANT_HELP ? AN_EUNSUPPORTED : s;
}

static void reads_every_type(void **state)
{
    (void)state;
    sample v = {0};
    char copy[256];
    assert_int_equal(
        parse_line("--words a b=c --text=x=y --flag --narrow -5 --wide="
                   "9007199254740992 --real 1e-3 --color green --words d -- -f",
                   &v, copy, NULL),
        AN_OK);
    assert_string_equal(v.text, "x=y");
    assert_true(v.flag);
    assert_int_equal(v.narrow, -5);
    assert_true(v.wide == 9007199254740992);
    assert_true(v.real == 1e-3);
    assert_int_equal(v.choice, 1);
    assert_int_equal(v.words.n, 3);
    assert_string_equal(v.words.items[1], "b=c");
    assert_string_equal(v.words.items[2], "d");
    assert_string_equal(v.file, "-f");
    an_args_free(&command, &v);
    assert_null(v.words.items);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"f --narrow x", "--narrow: expected an integer from -5 to 9, got 'x'"},
        {"f --narrow 10",
         "--narrow: expected an integer from -5 to 9, got '10'"},
        {"f --narrow 1.5",
         "--narrow: expected an integer from -5 to 9, got '1.5'"},
        {"f --narrow=", "--narrow: expected an integer from -5 to 9, got ''"},
        {"f --wide 99999999999999999999", "--wide: expected an integer from 0 "
                                          "to 9007199254740992, got "
                                          "'99999999999999999999'"},
        {"f --real nan", "--real: expected a number from 0 to 1, got 'nan'"},
        {"f --real 2", "--real: expected a number from 0 to 1, got '2'"},
        {"f --color blue", "--color: expected red or green, got 'blue'"},
        {"f --flag=1", "--flag: expected no value, got '1'"},
        {"f --text", "--text: expected TEXT, got nothing"},
        {"f --text --flag", "--text: expected TEXT, got the option '--flag'"},
        {"f --words --flag",
         "--words: expected WORD..., got the option '--flag'"},
        {"f --wids 3", "unknown option '--wids'; did you mean --wide?"},
        {"f --nar 3", "unknown option '--nar'; did you mean --narrow?"},
        {"f --elephant", "unknown option '--elephant'; see --help"},
        {"f -x", "unknown option '-x'; see --help"},
        {"f g", "unexpected word 'g'; see --help"},
        {"--flag", "FILE is missing; see --help"},
    };
    for (int i = 0; i < AN_COUNT(cases); i++) {
        sample v = {0};
        an_error err = {0};
        char copy[256];
        assert_int_equal(parse_line(cases[i][0], &v, copy, &err), AN_EINVAL);
        assert_string_equal(err.text, cases[i][1]);
        an_args_free(&command, &v);
    }
}

static void help_wins_over_what_follows(void **state)
{
    (void)state;
    sample v = {0};
    char copy[256];
    assert_int_equal(parse_line("--help --no-such", &v, copy, NULL),
                     AN_EUNSUPPORTED);
    assert_int_equal(parse_line("-h", &v, copy, NULL), AN_EUNSUPPORTED);
}

static void read_back(FILE *f, char *text, size_t size)
{
    rewind(f);
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
}

static void help_names_default_and_unit(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "usage: anemone sample FILE [OPTION]...",
        "  FILE                   what to read [required]",
        "  --narrow N             four bytes [steps; default: 4]",
        "  --real X               a number [default: the model's]",
        "  --color NAME           a choice [default: green]",
    };
    char text[4096];
    sample v = {.narrow = 4, .choice = 1};
    an_call call = {.program = "anemone", .command = &command};
    FILE *f = tmpfile();
    assert_non_null(f);
    an_args_help(&call, &v, f);
    read_back(f, text, sizeof text);
    for (int i = 0; i < AN_COUNT(lines); i++)
        if (strstr(text, lines[i]) == NULL) fail_msg("%s", lines[i]);
}

static void quotes_for_a_shell(void **state)
{
    (void)state;
    char text[256];
    FILE *f = tmpfile();
    assert_non_null(f);
    static const char *const words[] = {"--out=runs/x", "a b", "it's", "",
                                        "$HOME",        "~"};
    for (int i = 0; i < AN_COUNT(words); i++) {
        an_args_quote(f, words[i]);
        fputc(' ', f);
    }
    read_back(f, text, sizeof text);
    assert_string_equal(text, "--out=runs/x 'a b' 'it'\\''s' '' '$HOME' '~' ");
}

static void cleans_what_a_terminal_obeys(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a\tb\n", "a\tb\n"},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80",
         "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"\x1B[31m", "\xEF\xBF\xBD[31m"},
        {"\x7F\r", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xC2\x9B", "\xEF\xBF\xBD"},             /* C1 control */
        {"\xFFx", "\xEF\xBF\xBDx"},               /* no sequence */
        {"\xE2\x82x", "\xEF\xBF\xBDx"},           /* cut short */
        {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"}, /* overlong */
        {"\xE0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"}, /* overlong */
        {"\xED\xA0", "\xEF\xBF\xBD\xEF\xBF\xBD"}, /* surrogate */
        {"\xF4\x90", "\xEF\xBF\xBD\xEF\xBF\xBD"}, /* above U+10FFFF */
        {"\xE2\x82", "\xEF\xBF\xBD"},             /* never ended */
    };
    for (int i = 0; i < AN_COUNT(cases); i++) {
        an_clean c = {0};
        char out[64];
        size_t n = 0;
        for (const char *at = cases[i][0]; *at != '\0'; at++)
            n += an_clean_put(&c, at, 1, out + n);
        n += an_clean_end(&c, out + n);
        out[n] = '\0';
        assert_string_equal(out, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(help_wins_over_what_follows),
        cmocka_unit_test(help_names_default_and_unit),
        cmocka_unit_test(quotes_for_a_shell),
        cmocka_unit_test(cleans_what_a_terminal_obeys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
