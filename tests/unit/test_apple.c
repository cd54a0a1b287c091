/* The apple engine without a framework: encodings, the table, folders, the
 * journal, the worker and its watchdog. tests/e2e/apple.sh has the rest. */
#include "alloc_fail.h"
#include "anemone/engine.h"
#include "base/alloc.h"
#include "base/file.h"
#include "engine/apple/bind.h"
#include "engine/apple/folder.h"
#include "engine/apple/values.h"
#include "engine/apple/worker.h"
#include "engine/limits.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- encodings ---- */

static void test_encodings(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        an_types_verdict want;
    } cases[] = {
        {"B36@0:8I16@20^@28", "B36@0:8I16@20^@28", AN_TYPES_SAME},
        {"B36@0:8I16@20^@28", "c32@0:4I8@12^@20", AN_TYPES_SAME},
        {"B16@0:8", "C16@0:8", AN_TYPES_SAME},
        {"@24@0:8r*16", "@24@0:8*16", AN_TYPES_SAME},
        {"v16@0:8", "Vv16@0:8", AN_TYPES_SAME},
        {"@24@0:8^{__IOSurface=}16", "@24@0:8^v16", AN_TYPES_HARMLESS},
        {"B16@0:8I16", "B16@0:8i16", AN_TYPES_HARMLESS},
        {"v24@0:8@?16", "v24@0:8@16", AN_TYPES_HARMLESS},
        {"@24@0:8@16", "@24@0:8@\"NSString\"16", AN_TYPES_HARMLESS},
        {"q16@0:8", "l16@0:8", AN_TYPES_HARMLESS},
        {"B36@0:8I16@20^@28", "B36@0:8Q16@20^@28", AN_TYPES_DIFFERENT},
        {"@24@0:8@16", "@24@0:8q16", AN_TYPES_DIFFERENT},
        {"@24@0:8@16", "@16@0:8", AN_TYPES_DIFFERENT},
        {"@16@0:8", "@24@0:8@16", AN_TYPES_DIFFERENT},
        {"v24@0:8{a=dd}16", "v24@0:8^v16", AN_TYPES_DIFFERENT},
        {"@16@0:8", "", AN_TYPES_DIFFERENT},
        {"@16@0:8", "@16@0:8^", AN_TYPES_DIFFERENT},
        {"@16@0:8", "@16@0:8{", AN_TYPES_DIFFERENT},
        {"@16@0:8", "@16@0:8@\"", AN_TYPES_DIFFERENT},
        {"@16@0:8", "@16@0:8?", AN_TYPES_DIFFERENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (an_types_compare(cases[i].a, cases[i].b) != cases[i].want)
            fail_msg("%s against %s", cases[i].a, cases[i].b);
}

/* As many arguments as the selector has colons, and no row twice. */
static void test_table(void **state)
{
    (void)state;
    for (int i = 0; i < AN_N_NAMES; i++) {
        const an_name_row *row = &an_names[i];
        int colons = 0, arguments = -3; /* result, self, _cmd */
        for (const char *c = row->selector; *c; c++)
            colons += *c == ':';
        for (const char *t = row->types; *t; t++) {
            if (*t == '{') t = strchr(t, '}');
            bool pointed = t > row->types && t[-1] == '^';
            arguments += strchr("@#:*BcIqQv", *t) && !pointed;
            arguments += *t == '^' && t[1] != '@';
            arguments += *t == '@' && pointed;
            if (*t == '^' && t[1] != '{') t++;
        }
        if (strchr(row->types, '^') == NULL && arguments != colons)
            fail_msg("%s: types %s", row->selector, row->types);
        assert_int_equal(an_types_compare(row->types, row->types),
                         AN_TYPES_SAME);
        for (int k = 0; k < i; k++)
            if (strcmp(an_names[k].selector, row->selector) == 0 &&
                strcmp(an_names[k].class_name, row->class_name) == 0)
                fail_msg("%s %s twice", row->class_name, row->selector);
    }
}

/* ---- settings ---- */

static void test_settings(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "apple,qos",     "apple,qos=",         "apple,qos=x",
        "apple,qos=-1",  "apple,live=1x",      "apple,watchdog=0",
        "apple,route=3", "apple,live=1000001", "apple,",
        "apple,x"};
    static const struct {
        const char *name;
        int qos;
    } classes[] = {{"apple", 21},
                   {"apple,qos=real-time", 0},
                   {"apple,qos=background", 9},
                   {"apple,qos=utility", 17},
                   {"apple,qos=default", 21},
                   {"apple,qos=user-initiated", 25},
                   {"apple,live=3,qos=user-interactive", 33},
                   {"apple,qos=9,route=client", 9}};
    const an_chip *chip = an_chip_find("m4");
    an_limits l = {0};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        assert_int_equal(an_limits_read(chip, classes[i].name, &l, NULL),
                         AN_OK);
        assert_int_equal(l.qos, classes[i].qos);
    }
    assert_int_equal(l.route, AN_ROUTE_CLIENT);
    assert_int_equal(l.live, chip->live_limit);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        an_error err = {0};
        if (an_limits_read(chip, bad[i], &l, &err) != AN_EINVAL ||
            strstr(err.text, "is no setting") == NULL)
            fail_msg("%s: %s", bad[i], err.text);
    }
}

/* ---- errors ---- */

static void test_meanings(void **state)
{
    (void)state;
    static const char ane[] = "com.apple.appleneuralengine";
    static const char compiler[] = "com.apple.appleneuralengine.compiler";
    static const struct {
        const char *domain;
        long long code;
        const char *text, *want; /* NULL: nothing is known */
    } cases[] = {
        {ane, 6, "loadModel: Program load failure (0x50004)", "too many"},
        {ane, 6, "Program load failure (0x10004)", "too large"},
        {ane, 6, "Program load failure (0x7)", "not loaded"},
        {ane, 8, "status=0x1d : statusType=0x9", "surface"},
        {ane, 8, "status=0x2 : statusType=0x0", "symbol indices"},
        {ane, 8, "status=0x25 : statusType=0x0", "reported a failure"},
        {ane, 9, "", "folder"},
        {ane, 53, "", "no memory"},
        {ane, 99, "", NULL},
        {compiler, 1, "err=(InvalidMILProgram)", "did not parse"},
        {compiler, 7, "err=(CompilationFailure)", "not compilable"},
        {compiler, 1, "err=()", "no reason"},
        {"NSCocoaErrorDomain", 4097, "", "died"},
        {"NSCocoaErrorDomain", 4, "", NULL},
        {"NSPOSIXErrorDomain", 6, "0x50004", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got =
            an_ns_meaning(cases[i].domain, cases[i].code, cases[i].text);
        if (!got != !cases[i].want ||
            (got && strstr(got, cases[i].want) == NULL))
            fail_msg("%s %lld \"%s\": %s", cases[i].domain, cases[i].code,
                     cases[i].text, got ? got : "nothing");
    }
}

static void test_no_framework(void **state)
{
    (void)state;
    an_error err = {0};
    an_engine *e = NULL;
    assert_int_equal(setenv("ANEMONE_FRAMEWORKS", "/nowhere", 1), 0);
    an_engine_options o = {.name = "apple", .threads = 1};
    assert_int_equal(an_engine_open(&o, &e, &err), AN_EUNSUPPORTED);
    assert_null(e);
    assert_non_null(strstr(err.text, "/nowhere"));
    unsetenv("ANEMONE_FRAMEWORKS");
}

/* ---- folders ---- */

static char parent[] = "/tmp/anemone-apple.XXXXXX";
#define IDENTIFIER                                                             \
    "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF_"        \
    "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

static int make_parent(void **state)
{
    (void)state;
    strcpy(parent, "/tmp/anemone-apple.XXXXXX");
    return mkdtemp(parent) == NULL;
}

static int remove_parent(void **state)
{
    (void)state;
    return an_dir_remove(parent, NULL) != AN_OK;
}

static const char *at(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", parent, name);
    return path;
}

static an_status open_folder(an_folders *all, const char *blob, an_folder *f,
                             an_error *err)
{
    char path[1024];
    an_blob b = {.path = blob, .data = "weights", .size = 7};
    snprintf(path, sizeof path, "%s/" IDENTIFIER, parent);
    return an_folder_open(all, path, "text", 4, &b, 1, f, err);
}

static void test_folder(void **state)
{
    (void)state;
    an_folders all;
    an_folder f;
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(an_folders_open(&all, parent, NULL), AN_OK);
    assert_int_equal(open_folder(&all, "@model_path/weights/a/w.bin", &f, NULL),
                     AN_OK);
    assert_int_equal(an_file_read(at(IDENTIFIER "/weights/a/w.bin"), 100, &text,
                                  &size, NULL),
                     AN_OK);
    assert_string_equal(text, "weights");
    an_free(text);
    assert_true(an_path_exists(at(IDENTIFIER "/model.mil")));
    an_folder_close(&f);
    assert_false(an_path_exists(at(IDENTIFIER)));
    an_folders_close(&all);
    assert_false(an_path_exists(all.journal));
}

static void test_folder_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {"@model_path/../x", "@model_path/", "",
                                      "/etc/x", "@model_path/a/../../x"};
    an_folders all;
    an_folder f;
    assert_int_equal(an_folders_open(&all, parent, NULL), AN_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        an_error err = {0};
        assert_int_equal(open_folder(&all, bad[i], &f, &err), AN_EINVAL);
        assert_false(an_path_exists(at(IDENTIFIER)));
    }
    an_error err = {0};
    assert_int_equal(
        an_folder_open(&all, at("Documents"), "", 0, NULL, 0, &f, &err),
        AN_EUNSUPPORTED);
    an_folders_close(&all);
    /* something else has the name of our folder */
    assert_int_equal(an_dir_remove(at("anemone"), NULL), AN_OK);
    assert_int_equal(an_file_write(at("anemone"), "", 0, NULL), AN_OK);
    assert_int_equal(an_folders_open(&all, parent, &err), AN_EIO);
    assert_int_equal(an_folders_open(&all, "", NULL), AN_EUNSUPPORTED);
}

/* No file may be longer than `size`, as on a disk that is full. */
static void limit_files(rlim_t size)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What is not written whole is an error, and nothing of it is left. */
static void test_full_disk(void **state)
{
    (void)state;
    static const char blob[1000];
    an_blob b = {.path = "@model_path/w", .data = blob, .size = sizeof blob};
    an_folders all;
    an_folder f;
    an_error err = {0};
    char path[1024];
    snprintf(path, sizeof path, "%s/" IDENTIFIER, parent);
    limit_files(0);
    an_status none = an_folders_open(&all, parent, &err);
    limit_files(RLIM_INFINITY);
    assert_int_equal(none, AN_EIO);
    assert_non_null(strstr(err.text, "cannot write"));
    assert_int_equal(an_folders_open(&all, parent, NULL), AN_OK);
    limit_files(sizeof IDENTIFIER +
                40); /* the journal fits, the blob does not */
    an_status part = an_folder_open(&all, path, "text", 4, &b, 1, &f, NULL);
    limit_files(RLIM_INFINITY);
    an_folders_close(&all);
    assert_false(an_path_exists(at(IDENTIFIER)));
    assert_int_equal(part, AN_EIO);
}

/* A process that opens a folder and ends, or waits, without closing it. */
static pid_t owner(int pipe_in, int pipe_out)
{
    pid_t pid = fork();
    if (pid != 0) return pid;
    an_folders all;
    an_folder f;
    char c = 0;
    bool well = an_folders_open(&all, parent, NULL) == AN_OK &&
                open_folder(&all, "@model_path/w", &f, NULL) == AN_OK;
    if (write(pipe_out, well ? "+" : "-", 1) != 1 || read(pipe_in, &c, 1) < 0)
        _exit(2);
    _exit(0);
}

static void test_sweep(void **state)
{
    (void)state;
    int in[2], out[2];
    char c = 0;
    an_folders all;
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid_t pid = owner(in[0], out[1]);
    assert_int_equal(read(out[0], &c, 1), 1);
    assert_int_equal(c, '+');
    assert_int_equal(an_dir_make(at("Documents"), NULL), AN_OK);
    assert_int_equal(an_folders_open(&all, parent, NULL), AN_OK);
    /* it lives, whatever another journal, of a dead owner, says */
    assert_int_equal(an_file_write(at("anemone/journal-1-1"),
                                   "1 1 " IDENTIFIER "\n",
                                   strlen("1 1 " IDENTIFIER "\n"), NULL),
                     AN_OK);
    assert_int_equal(an_folders_sweep(&all), 0);
    assert_true(an_path_exists(at(IDENTIFIER)));
    assert_true(an_path_exists(at("anemone/journal-1-1")));
    assert_int_equal(write(in[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    /* it is dead */
    assert_int_equal(an_folders_sweep(&all), 1);
    assert_false(an_path_exists(at(IDENTIFIER)));
    assert_false(an_path_exists(at("anemone/journal-1-1")));
    /* a journal that names something else */
    assert_int_equal(
        an_file_write(at("anemone/journal-1-0"), "1 1 Documents\n", 14, NULL),
        AN_OK);
    assert_int_equal(an_folders_sweep(&all), 0);
    assert_true(an_path_exists(at("Documents")));
    assert_false(an_path_exists(at("anemone/journal-1-0")));
    an_folders_close(&all);
    for (int i = 0; i < 2; i++) {
        close(in[i]);
        close(out[i]);
    }
}

/* ---- the worker ---- */

static an_status add_one(void *ctx, an_error *err)
{
    int *n = ctx;
    if (++*n == 3) return an_fail(err, AN_EINVAL, "three");
    return AN_OK;
}

static void test_worker(void **state)
{
    (void)state;
    an_worker *w = NULL;
    an_error err = {0};
    int n = 0;
    assert_int_equal(an_worker_open(60, (an_worker_hooks){0}, &w, NULL), AN_OK);
    /* what frees asks for no memory, which might not be there */
    long requests = alloc_requests();
    assert_int_equal(an_worker_do(w, "a", add_one, &n, &err), AN_OK);
    assert_int_equal(alloc_requests(), requests);
    assert_int_equal(an_worker_do(w, "b", add_one, &n, &err), AN_OK);
    assert_int_equal(an_worker_do(w, "c", add_one, &n, &err), AN_EINVAL);
    assert_string_equal(err.text, "three");
    assert_int_equal(an_worker_do(w, "d", add_one, &n, NULL), AN_OK);
    assert_int_equal(n, 4);
    assert_false(an_worker_is_dead(w));
    an_worker_close(w);
}

/* Sleeps until it is told to end, which a hung call is not. */
static an_status hang(void *ctx, an_error *err)
{
    (void)err;
    int fd = *(int *)ctx;
    char c;
    return read(fd, &c, 1) < 0 ? AN_EIO : AN_OK;
}

static int ended_badly; /* by the worker, before the call returns */
static void count_end(an_turn *turn, an_status s, const an_error *err)
{
    (void)turn;
    ended_badly += s == AN_EENGINE && strstr(err->text, "dead") != NULL;
}

static void test_watchdog(void **state)
{
    (void)state;
    static int fds[2];
    static an_turn queued; /* both outlive the test: the call is never over */
    an_worker *w = NULL;
    an_error err = {0};
    int n = 0;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(an_worker_open(0.2, (an_worker_hooks){0}, &w, NULL),
                     AN_OK);
    assert_int_equal(an_worker_do(w, "compile", hang, &fds[0], &err),
                     AN_EENGINE);
    assert_non_null(strstr(err.text, "compile"));
    assert_non_null(strstr(err.text, "0.2 s"));
    assert_true(an_worker_is_dead(w));
    queued = (an_turn){.what = "load", .run = add_one, .ended = count_end};
    an_worker_post(w, &queued);
    assert_int_equal(ended_badly, 1);
    assert_int_equal(an_worker_do(w, "evaluate", add_one, &n, NULL),
                     AN_EENGINE);
    assert_int_equal(n, 0);
    an_worker_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_meanings),
        cmocka_unit_test(test_no_framework),
        cmocka_unit_test_setup_teardown(test_folder, make_parent,
                                        remove_parent),
        cmocka_unit_test_setup_teardown(test_folder_refusals, make_parent,
                                        remove_parent),
        cmocka_unit_test_setup_teardown(test_full_disk, make_parent,
                                        remove_parent),
        cmocka_unit_test_setup_teardown(test_sweep, make_parent, remove_parent),
        cmocka_unit_test(test_worker),
        cmocka_unit_test(test_watchdog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
