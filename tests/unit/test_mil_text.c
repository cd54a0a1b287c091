/*
 * Golden texts: each tests/mil/x.mil parses and prints as x.out, or fails with
 * the line in x.err. What is printed is a fixed point and verifies. With
 * ANEMONE_BLESS set the files are rewritten instead of compared.
 */
#include "anemone/mil.h"
#include "base/alloc.h"
#include "base/file.h"
#include "alloc_fail.h"
#include "mil/op.h"

#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER "tests/mil/"
#define MAX_CASES 512

typedef struct text {
    char *data;
    size_t size;
} text;

static bool read_text(const char *stem, const char *ending, text *out)
{
    char path[512];
    snprintf(path, sizeof path, FOLDER "%s%s", stem, ending);
    return an_file_read(path, (size_t)1 << 24, &out->data, &out->size, NULL) ==
           AN_OK;
}

/* Compares with the golden file, or writes it. */
static bool check(const char *stem, const char *ending, const char *data,
                  size_t size)
{
    char path[512];
    text want = {0};
    if (getenv("ANEMONE_BLESS")) {
        snprintf(path, sizeof path, FOLDER "%s%s", stem, ending);
        return an_file_write(path, data, size, NULL) == AN_OK;
    }
    bool well = read_text(stem, ending, &want) && want.size == size &&
                memcmp(want.data, data, size) == 0;
    if (!well)
        print_error(FOLDER "%s%s: expected\n%s\ncame\n%.*s\n", stem, ending,
                    want.data ? want.data : "(no file)", (int)size, data);
    an_free(want.data);
    return well;
}

static bool check_printed(const char *stem, an_module *m)
{
    an_error err = {0};
    text once = {0}, twice = {0};
    an_module *again = NULL;
    bool well =
        an_mil_verify(m, "test", &err) == AN_OK &&
        an_mil_print(m, &once.data, &once.size, &err) == AN_OK &&
        an_mil_parse(once.data, once.size, stem, &again, &err) == AN_OK &&
        an_mil_print(again, &twice.data, &twice.size, &err) == AN_OK;
    if (!well) print_error("%s\n", err.text);
    if (well && (once.size != twice.size ||
                 memcmp(once.data, twice.data, once.size) != 0)) {
        print_error("%s: no fixed point\n%s\n%s\n", stem, once.data,
                    twice.data);
        well = false;
    }
    well = well && check(stem, ".out", once.data, once.size);
    an_text_free(once.data);
    an_text_free(twice.data);
    an_module_free(again);
    return well;
}

static bool run_case(const char *stem)
{
    an_error err = {0};
    text in = {0};
    an_module *m = NULL;
    if (!read_text(stem, ".mil", &in)) return false;
    an_status s = an_mil_parse(in.data, in.size, "", &m, &err);
    an_free(in.data);
    if (s == AN_OK) {
        bool well = check_printed(stem, m);
        an_module_free(m);
        return well;
    }
    char line[sizeof err.text + 1];
    int n = snprintf(line, sizeof line, "%s\n", err.text);
    return s == err.code && err.line > 0 &&
           check(stem, ".err", line, (size_t)n);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Stems of all *.mil, sorted. */
static int list_cases(char *stems[MAX_CASES])
{
    DIR *dir = opendir(FOLDER);
    int n = 0;
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) && n < MAX_CASES;) {
        size_t size = strlen(e->d_name);
        if (size < 5 || strcmp(e->d_name + size - 4, ".mil") != 0) continue;
        stems[n] = an_strdup(e->d_name);
        stems[n++][size - 4] = 0;
    }
    closedir(dir);
    qsort(stems, (size_t)n, sizeof *stems, compare);
    return n;
}

static void test_golden(void **state)
{
    (void)state;
    char *stems[MAX_CASES];
    int n = list_cases(stems), failures = 0;
    for (int i = 0; i < n; i++) {
        if (!run_case(stems[i])) {
            print_error(FOLDER "%s.mil failed\n", stems[i]);
            failures++;
        }
        an_free(stems[i]);
    }
    assert_true(n > 40);
    assert_int_equal(failures, 0);
}

/* Marks the rows that a golden text uses. */
static void mark_rows(const char *stem, bool seen[AN_OP_COUNT])
{
    text in = {0};
    an_module *m = NULL;
    if (!read_text(stem, ".mil", &in)) return;
    an_status s = an_mil_parse(in.data, in.size, "", &m, NULL);
    for (int i = 0; s == AN_OK && i < m->n_functions; i++)
        for (int k = 0; k < m->functions[i]->n_nodes; k++)
            for (int r = 0; r < AN_OP_COUNT; r++)
                if (m->functions[i]->nodes[k]->op == an_ops[r]) seen[r] = true;
    an_free(in.data);
    an_module_free(m);
}

/* Every row of the op table stands in a golden text: it parses, verifies and
 * prints. */
static void test_every_row(void **state)
{
    (void)state;
    char *stems[MAX_CASES];
    bool seen[AN_OP_COUNT] = {false};
    int n = list_cases(stems), missing = 0;
    for (int i = 0; i < n; i++) {
        mark_rows(stems[i], seen);
        an_free(stems[i]);
    }
    for (int r = 0; r < AN_OP_COUNT; r++) {
        if (seen[r]) continue;
        print_error("%s of ios%d is in no file of " FOLDER "\n",
                    an_ops[r]->name, an_ops[r]->since);
        missing++;
    }
    assert_int_equal(missing, 0);
}

/* docs/mil.md names every row. */
static void test_documented(void **state)
{
    (void)state;
    text doc = {0};
    int missing = 0;
    assert_int_equal(
        an_file_read("docs/mil.md", 1 << 20, &doc.data, &doc.size, NULL),
        AN_OK);
    for (int r = 0; r < AN_OP_COUNT; r++) {
        char name[80];
        snprintf(name, sizeof name, "`%s`", an_ops[r]->name);
        if (strstr(doc.data, name)) continue;
        print_error("docs/mil.md does not name %s\n", name);
        missing++;
    }
    an_free(doc.data);
    assert_int_equal(missing, 0);
}

/* Positions and the name in front of the first line. */
static void test_error_line(void **state)
{
    (void)state;
    static const char source[] = "program(1.3)[]\n{ func main<ios18>() {\n"
                                 "  fp16 y = relu(x = z);\n } -> (y); }";
    an_error err = {0};
    an_module *m = NULL;
    assert_int_equal(an_mil_parse(source, strlen(source), "a/b.mil", &m, &err),
                     AN_ESYNTAX);
    assert_string_equal(err.text, "a/b.mil:3:21: z is not defined");
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 21);
    assert_null(m);
    assert_int_equal(an_mil_parse(source, strlen(source), NULL, &m, NULL),
                     AN_ESYNTAX);
    err = (an_error){0};
    assert_int_equal(an_mil_load("no/such.mil", &m, &err), AN_EIO);
}

/* A compiled model's folder stands for the model.mil in it. */
static void test_folder(void **state)
{
    (void)state;
    an_error err = {0};
    an_module *m = NULL;
    an_status s = an_mil_load(FOLDER "folder.mlmodelc", &m, &err);
    if (s != AN_OK) print_error("%s\n", err.text);
    assert_int_equal(s, AN_OK);
    an_module_free(m);
    m = NULL;
    assert_int_equal(an_mil_load(FOLDER "folder.mlmodelc//", &m, &err), AN_OK);
    an_module_free(m);
    m = NULL;
    assert_int_equal(an_mil_load(FOLDER, &m, &err), AN_EIO);
    assert_non_null(strstr(err.text, FOLDER "model.mil"));
}

/* Every prefix of a text is refused, and none reads beyond its end. */
static void test_prefixes(void **state)
{
    (void)state;
    text in = {0};
    assert_true(read_text("apple_new", ".mil", &in));
    size_t last = in.size;
    while (last > 0 && in.data[last - 1] == '\n')
        last--;
    for (size_t size = 0; size < last; size++) {
        an_module *m = NULL;
        char *exact = an_alloc(size + 1);
        assert_non_null(exact);
        char *end = memcpy(exact + 1, in.data, size);
        assert_int_not_equal(an_mil_parse(end, size, "", &m, NULL), AN_OK);
        an_free(exact);
    }
    an_free(in.data);
}

/* A text of many equal lines between a head and a tail. */
static char *repeat(const char *head, const char *line, size_t n,
                    const char *tail, size_t *size)
{
    size_t h = strlen(head), l = strlen(line), t = strlen(tail);
    char *data = an_alloc(h + n * l + t + 1);
    assert_non_null(data);
    memcpy(data, head, h);
    for (size_t i = 0; i < n; i++)
        memcpy(data + h + i * l, line, l);
    memcpy(data + h + n * l, tail, t + 1);
    *size = h + n * l + t;
    return data;
}

/* Nesting without end is refused, not recursed into. */
static void test_depth(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "program(1.3)[a = ",
        "program(1.3)[]{func f<ios18>(",
        "program(1.3)[]{func f<ios18>(fp16 x){fp16 y = relu(x = ",
        "program(1.3)[a = tensor<fp16, [1, 1]>(",
        "program(1.3)[a = fp16(",
    };
    static const char *const lines[] = {"tuple<", "list<dict<", "(", "[",
                                        "BLOBFILE(path = fp16("};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t size = 0;
        an_module *m = NULL;
        char *data = repeat(heads[i], lines[i], 1000000, "", &size);
        assert_int_not_equal(an_mil_parse(data, size, "", &m, NULL), AN_OK);
        an_free(data);
    }
}

/* 100,000 operations take time and memory in proportion. */
static void test_many_operations(void **state)
{
    (void)state;
    size_t n = 100000, room = n * 60 + 200, at = 0;
    char *data = an_alloc(room);
    assert_non_null(data);
    at += (size_t)snprintf(data, room,
                           "program(1.3)[]{func f<ios18>("
                           "tensor<fp16, [1]> v0){");
    for (size_t i = 1; i <= n; i++)
        at += (size_t)snprintf(data + at, room - at,
                               "tensor<fp16,[1]>v%zu=relu(x=v%zu);", i, i - 1);
    at += (size_t)snprintf(data + at, room - at, "}->(v%zu);}", n);
    an_error err = {0};
    an_module *m = NULL;
    an_status s = an_mil_parse(data, at, "", &m, &err);
    if (s != AN_OK) print_error("%s\n", err.text);
    assert_int_equal(s, AN_OK);
    an_module_free(m);
    an_free(data);
}

static an_status sweep_case(void *ctx, an_error *err)
{
    const text *in = ctx;
    an_module *m = NULL;
    char *printed = NULL;
    size_t size = 0;
    an_status s = an_mil_parse(in->data, in->size, "sweep", &m, err);
    if (s == AN_OK) s = an_mil_print(m, &printed, &size, err);
    an_text_free(printed);
    an_module_free(m);
    return s;
}

static void test_without_memory(void **state)
{
    (void)state;
    static const char *const stems[] = {"apple_new", "apple_old", "e5",
                                        "flexible"};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        text in = {0};
        assert_true(read_text(stems[i], ".mil", &in));
        assert_true(alloc_sweep(sweep_case, &in) > 0);
        an_free(in.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_documented),
        cmocka_unit_test(test_error_line),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_many_operations),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests_name("mil_text", tests, NULL, NULL);
}
