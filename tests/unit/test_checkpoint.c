/*
 * Run folders: saving, loading, links, what stays and what is swept, and that
 * a whole checkpoint is found after a failure or a kill at every system call.
 *
 * The system calls that change a folder are defined here in front of libc's:
 * they count, and the n-th one fails or kills the process (a write after half
 * its bytes). fsync only counts.
 */
#include "alloc_fail.h"
#include "base/alloc.h"
#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- system calls ---- */

typedef enum fault { FAULT_NONE, FAULT_FAIL, FAULT_KILL } fault;
static fault planned;
static long calls, fault_at; /* the first is 1 */

static void plan(fault kind, long at)
{
    planned = kind;
    calls = 0;
    fault_at = at;
}

/* Whether this call shall fail; does not return when it shall kill. */
static bool is_due(void)
{
    if (planned == FAULT_NONE || ++calls != fault_at) return false;
    if (planned == FAULT_KILL) kill(getpid(), SIGKILL);
    errno = ENOSPC;
    return true;
}

int rename(const char *from, const char *to)
{
    return is_due() ? -1 : renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int symlink(const char *target, const char *path)
{
    return is_due() ? -1 : symlinkat(target, AT_FDCWD, path);
}

int mkdir(const char *path, mode_t mode)
{
    return is_due() ? -1 : mkdirat(AT_FDCWD, path, mode);
}

int unlink(const char *path)
{
    return is_due() ? -1 : unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return is_due() ? -1 : unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int fsync(int fd)
{
    (void)fd;
    return is_due() ? -1 : 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? (mode_t)va_arg(args, unsigned int) : 0;
    va_end(args);
    return is_due() ? -1 : openat(AT_FDCWD, path, flags, mode);
}

static ssize_t write_bytes(int fd, const void *data, size_t size)
{
    union {
        const void *in;
        void *out;
    } bytes = {data};
    struct iovec part = {bytes.out, size};
    return writev(fd, &part, 1);
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (planned != FAULT_NONE && calls + 1 == fault_at)
        write_bytes(fd, data, size / 2);
    return is_due() ? -1 : write_bytes(fd, data, size);
}

/* ---- folders ---- */

static char root[64]; /* a new folder for each test */

static int set_up(void **state)
{
    (void)state;
    /* thousands of small files: in memory where the system has such a place */
    const char *memory = "/dev/shm";
    snprintf(root, sizeof root, "%s/anemone-run-XXXXXX",
             access(memory, W_OK) == 0 ? memory : "/tmp");
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    plan(FAULT_NONE, 0);
    return an_dir_remove(root, NULL) == AN_OK ? 0 : -1;
}

/* root/text; eight results live at a time. */
static const char *in_root(const char *text)
{
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", root, text);
    return path;
}

static void put_file(const char *name, const char *text)
{
    an_error err = {0};
    if (an_file_write(in_root(name), text, strlen(text), &err) != AN_OK)
        fail_msg("%s", err.text);
}

static int by_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* The entries of root/name, sorted, each with one space behind. */
static const char *list(const char *name)
{
    static char text[2048];
    char *names[64];
    int n = 0;
    DIR *dir = opendir(in_root(name));
    assert_non_null(dir);
    for (struct dirent *d; n < 64 && (d = readdir(dir));)
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            names[n++] = strdup(d->d_name);
    closedir(dir);
    qsort(names, (size_t)n, sizeof *names, by_name);
    *text = 0;
    for (int i = 0; i < n; i++) {
        strcat(strcat(text, names[i]), " ");
        free(names[i]);
    }
    return text;
}

static void assert_link(const char *name, const char *target)
{
    char came[256] = "";
    ssize_t n = readlink(in_root(name), came, sizeof came - 1);
    if (n < 0) fail_msg("%s: no link", name);
    assert_string_equal(came, target);
}

static void assert_file(const char *name, const char *text)
{
    char *data = NULL;
    size_t size = 0;
    an_error err = {0};
    if (an_file_read(in_root(name), 1 << 20, &data, &size, &err) != AN_OK)
        fail_msg("%s", err.text);
    assert_string_equal(data, text);
    an_free(data);
}

/* ---- checkpoints whose contents follow from the step ---- */

enum { BIG = 2000 };
static const char STEP_ENTRIES[] = "model.safetensors state.safetensors ";

static an_status save(an_run *run, int64_t step, int64_t keep, bool best,
                      an_error *err)
{
    static float big[BIG];
    float small[2] = {(float)step, -1.0f};
    char text[24];
    for (int i = 0; i < BIG; i++)
        big[i] = (float)(step * 1000 + i);
    snprintf(text, sizeof text, "%lld", (long long)step);
    const char *metadata[] = {"progress.step", text, NULL};
    an_st_tensor model[] = {
        {"w", AN_FP32, 1, {2}, small, sizeof small},
        {"big", AN_FP32, 2, {BIG / 10, 10}, big, sizeof big}};
    an_st_tensor state[] = {{"m.big", AN_FP32, 1, {BIG}, big, sizeof big}};
    an_checkpoint c = {.step = step,
                       .model = model,
                       .n_model = 2,
                       .state = state,
                       .n_state = 1,
                       .metadata = metadata,
                       .keep = keep,
                       .best = best};
    return an_run_save(run, &c, err);
}

static void must_save(an_run *run, int64_t step, int64_t keep, bool best)
{
    an_error err = {0};
    if (save(run, step, keep, best, &err) != AN_OK) fail_msg("%s", err.text);
}

static an_run *must_open(const char *name, an_run_mode mode)
{
    an_run *run = NULL;
    an_error err = {0};
    if (an_run_open(in_root(name), mode, &run, &err) != AN_OK)
        fail_msg("%s", err.text);
    return run;
}

static void check_contents(int64_t step, const an_st *model, const an_st *state)
{
    const an_st_tensor *w = an_st_find(model, "w");
    const an_st_tensor *big = an_st_find(model, "big");
    const an_st_tensor *m = an_st_find(state, "m.big");
    assert_true(w && big && m);
    assert_true(((const float *)w->data)[0] == (float)step);
    for (int i = 0; i < BIG; i++) {
        assert_true(((const float *)big->data)[i] == (float)(step * 1000 + i));
        assert_true(((const float *)m->data)[i] == (float)(step * 1000 + i));
    }
    assert_int_equal(atoi(an_st_metadata(state, "progress.step")), step);
    assert_string_equal(an_st_metadata(model, "format"), "pt");
}

/* The step of the whole checkpoint that loading finds; -1: none. */
static int64_t load(an_run *run)
{
    an_st *model = NULL, *state = NULL;
    int64_t step = -1;
    an_error err = {0};
    if (an_run_load(run, &step, &model, &state, &err) != AN_OK)
        fail_msg("%s", err.text);
    if (model) check_contents(step, model, state);
    an_st_close(model);
    an_st_close(state);
    return step;
}

/* Every step folder is whole, not only the newest. */
static void check_steps(const char *name)
{
    char names[2048], path[256];
    strcpy(names, list(name));
    for (char *n = strtok(names, " "); n; n = strtok(NULL, " ")) {
        if (strncmp(n, "step-", 5) != 0) continue;
        snprintf(path, sizeof path, "%s/%s", name, n);
        assert_string_equal(list(path), STEP_ENTRIES);
    }
}

/* Opening as the next process would, and what must hold then. */
static int64_t reopen(const char *name)
{
    an_run *run = must_open(name, AN_RUN_RESUME);
    int64_t step = load(run);
    an_run_close(run);
    if (strstr(list(name), ".tmp") || strstr(list(name), ".old") ||
        strstr(list(name), ".fresh"))
        fail_msg("left over: %s", list(name));
    check_steps(name);
    return step;
}

static void assert_refused(an_status s, an_status code, const an_error *err,
                           const char *part)
{
    assert_int_equal(s, code);
    assert_int_equal(err->code, code);
    if (!strstr(err->text, part))
        fail_msg("\"%s\" does not say \"%s\"", err->text, part);
    assert_null(strchr(err->text, '\n'));
}

/* ---- saving and loading ---- */

static void test_save_and_load(void **state)
{
    (void)state;
    an_run *run = must_open("a/b/run", AN_RUN_RESUME);
    assert_string_equal(an_run_folder(run), in_root("a/b/run"));
    assert_int_equal(load(run), -1);
    assert_int_equal(an_run_put(run, "config.json", "{}\n", NULL), AN_OK);
    must_save(run, 12, 2, true);
    assert_int_equal(load(run), 12);
    must_save(run, 20, 2, false);
    an_run_close(run);
    assert_string_equal(list("a/b/run"),
                        ".lock best config.json latest model.safetensors "
                        "state.safetensors step-00000012 step-00000020 ");
    assert_string_equal(list("a/b/run/step-00000020"), STEP_ENTRIES);
    assert_link("a/b/run/latest", "step-00000020");
    assert_link("a/b/run/best", "step-00000012");
    assert_link("a/b/run/model.safetensors", "latest/model.safetensors");
    assert_link("a/b/run/state.safetensors", "latest/state.safetensors");
    assert_file("a/b/run/config.json", "{}\n");
    assert_int_equal(reopen("a/b/run"), 20);
}

static void assert_same_file(const char *a, const char *b)
{
    an_map x, y;
    assert_int_equal(an_map_open(in_root(a), &x, NULL), AN_OK);
    assert_int_equal(an_map_open(in_root(b), &y, NULL), AN_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    an_map_close(&x);
    an_map_close(&y);
}

/* Nothing of the path, of earlier saves or of interruptions is in the files. */
static void test_files_are_reproducible(void **state)
{
    (void)state;
    an_run *run = must_open("a", AN_RUN_RESUME);
    must_save(run, 7, 2, false);
    an_run_close(run);
    run = must_open("another/place", AN_RUN_RESUME);
    must_save(run, 3, 1, true);
    an_run_close(run);
    run = must_open("another/place", AN_RUN_RESUME);
    must_save(run, 7, 2, true);
    an_run_close(run);
    assert_same_file("a/model.safetensors", "another/place/model.safetensors");
    assert_same_file("a/state.safetensors", "another/place/state.safetensors");
}

static void test_keep_and_best(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_RESUME);
    for (int64_t step = 1; step <= 6; step++)
        must_save(run, step, 2, step == 2);
    assert_string_equal(list("r"),
                        ".lock best latest model.safetensors state.safetensors "
                        "step-00000002 step-00000005 step-00000006 ");
    must_save(run, 7, 1, true);
    assert_string_equal(list("r"),
                        ".lock best latest model.safetensors state.safetensors "
                        "step-00000007 ");
    must_save(run, 8, 0, false); /* the newest always stays */
    assert_link("r/latest", "step-00000008");
    assert_link("r/best", "step-00000007");
    an_run_close(run);
    assert_int_equal(reopen("r"), 8);
}

static void test_save_twice(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_RESUME);
    must_save(run, 4, 2, false);
    must_save(run, 4, 2, true);
    must_save(run, 4, 2, true);
    an_run_close(run);
    assert_link("r/best", "step-00000004");
    assert_int_equal(reopen("r"), 4);
}

static void test_step_out_of_range(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_RESUME);
    an_error err = {0};
    an_status s = save(run, 100000000, 2, false, &err);
    assert_refused(s, AN_EINVAL, &err, "step 100000000");
    assert_int_equal(save(run, -1, 2, false, NULL), AN_EINVAL);
    must_save(run, 99999999, 2, false);
    assert_int_equal(load(run), 99999999);
    an_run_close(run);
}

/* ---- reading without a lock ---- */

static void check_reader(const char *name, int64_t step)
{
    an_st *model = NULL, *state = NULL;
    an_error err = {0};
    if (an_checkpoint_load(in_root(name), &model, &state, &err) != AN_OK)
        fail_msg("%s: %s", name, err.text);
    check_contents(step, model, state);
    an_st_close(model);
    an_st_close(state);
    model = NULL;
    assert_int_equal(an_checkpoint_load(in_root(name), &model, NULL, NULL),
                     AN_OK);
    an_st_close(model);
}

static void test_reader(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_RESUME);
    must_save(run, 1, 2, true);
    must_save(run, 2, 2, false);
    check_reader("r", 2); /* while another process has the lock */
    check_reader("r/step-00000001", 1);
    check_reader("r/best", 1);
    check_reader("r/latest", 2);
    an_run_close(run);
    /* a cache of downloaded models has links */
    assert_int_equal(mkdir(in_root("cache"), 0777), 0);
    assert_int_equal(symlink("../r/step-00000001/model.safetensors",
                             in_root("cache/model.safetensors")),
                     0);
    an_st *model = NULL;
    an_error err = {0};
    assert_int_equal(an_checkpoint_load(in_root("cache"), &model, NULL, &err),
                     AN_OK);
    an_st_close(model);
    model = NULL;
    assert_refused(an_checkpoint_load(in_root("no"), &model, NULL, &err),
                   AN_EIO, &err, "/no: ");
    err = (an_error){0};
    assert_refused(an_checkpoint_load(root, &model, NULL, &err), AN_EFORMAT,
                   &err, "no checkpoint");
    assert_null(model);
}

/* ---- opening ---- */

static void test_lock(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_RESUME), *second = NULL;
    an_error err = {0};
    an_status s = an_run_open(in_root("r"), AN_RUN_RESUME, &second, &err);
    assert_refused(s, AN_EIO, &err, "in use by another process");
    err = (an_error){0};
    must_save(run, 1, 2, false);
    s = an_run_open(in_root("r"), AN_RUN_FRESH, &second, &err);
    assert_refused(s, AN_EIO, &err, "in use by another process");
    assert_int_equal(load(run), 1);
    an_run_close(run);
    assert_int_equal(reopen("r"), 1);
}

static void test_leftovers_and_nothing_else(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_RESUME);
    must_save(run, 5, 2, false);
    an_run_close(run);
    static const char *const folders[] = {
        "r/step-00000009.tmp", "r/step-00000005.old", "r/step-9.tmp",
        "r/step-000000009", "r/step-00000009.tmp2"};
    for (int i = 0; i < 5; i++)
        assert_int_equal(mkdir(in_root(folders[i]), 0777), 0);
    put_file("r/step-00000009.tmp/model.safetensors.tmp-1-0", "x");
    put_file("r/config.json.tmp-123-0", "x");
    put_file("r/config.json.tmp-123", "x");
    put_file("r/config.json.tmp-12-0x", "x");
    put_file("r/notes.txt.tmp-12-0", "x");
    assert_int_equal(symlink("step-00000077", in_root("r/latest.tmp")), 0);
    assert_int_equal(symlink("gone", in_root("r/model.safetensors.tmp")), 0);
    assert_int_equal(symlink("gone", in_root("r/mine.tmp")), 0);
    run = must_open("r", AN_RUN_RESUME);
    assert_string_equal(
        list("r"), ".lock config.json.tmp-12-0x config.json.tmp-123 latest "
                   "mine.tmp model.safetensors notes.txt.tmp-12-0 "
                   "state.safetensors step-000000009 step-00000005 "
                   "step-00000009.tmp2 step-9.tmp ");
    assert_int_equal(load(run), 5);
    an_run_close(run);
}

static void refuse_open(const char *name, an_run_mode mode, an_status code,
                        const char *part)
{
    an_run *run = NULL;
    an_error err = {0};
    an_status s = an_run_open(in_root(name), mode, &run, &err);
    assert_refused(s, code, &err, part);
    assert_null(run);
}

static void test_fresh(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_FRESH);
    assert_int_equal(an_run_put(run, "config.json", "1", NULL), AN_OK);
    assert_int_equal(an_run_put(run, "tokenizer.json", "2", NULL), AN_OK);
    assert_int_equal(an_run_metrics_open(run, 0, NULL), AN_OK);
    must_save(run, 1, 5, true);
    must_save(run, 2, 5, false);
    an_run_close(run);
    put_file("r/notes.txt", "keep me");
    refuse_open("r", AN_RUN_FRESH, AN_EINVAL, "notes.txt");
    assert_int_equal(reopen("r"), 2);
    assert_int_equal(unlink(in_root("r/notes.txt")), 0);
    run = must_open("r", AN_RUN_FRESH);
    assert_string_equal(list("r"), ".lock ");
    assert_int_equal(load(run), -1);
    must_save(run, 1, 5, true);
    an_run_close(run);
    assert_int_equal(reopen("r"), 1);
}

/* A folder with a model of somebody else's is not touched. */
static void test_foreign_folder(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_root("hf"), 0777), 0);
    put_file("hf/config.json", "theirs");
    refuse_open("hf", AN_RUN_FRESH, AN_EINVAL, "no run");
    refuse_open("hf", AN_RUN_RESUME, AN_EINVAL, "no run");
    assert_string_equal(list("hf"), "config.json ");
    assert_int_equal(mkdir(in_root("x"), 0777), 0);
    put_file("x/model.safetensors", "theirs");
    refuse_open("x", AN_RUN_FRESH, AN_EINVAL, "x/model.safetensors");
    refuse_open("x", AN_RUN_RESUME, AN_EINVAL, "x/model.safetensors");
    assert_string_equal(list("x"), "model.safetensors ");
}

static void test_folder_that_cannot_be(void **state)
{
    (void)state;
    put_file("file", "");
    refuse_open("file", AN_RUN_RESUME, AN_EIO, "/file: ");
    refuse_open("file/run", AN_RUN_RESUME, AN_EIO, "/file");
    if (geteuid() != 0) { /* root may write anywhere */
        assert_int_equal(mkdir(in_root("mine"), 0555), 0);
        refuse_open("mine", AN_RUN_RESUME, AN_EIO, "Permission denied");
        refuse_open("mine/run", AN_RUN_RESUME, AN_EIO, "Permission denied");
    }
    an_run *run = NULL;
    char longest[5000];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(an_run_open(longest, AN_RUN_RESUME, &run, NULL),
                     AN_EINVAL);
    assert_int_equal(an_run_open("", AN_RUN_RESUME, &run, NULL), AN_EINVAL);
    an_st *model = NULL;
    assert_int_equal(an_checkpoint_load(longest, &model, NULL, NULL),
                     AN_EINVAL);
}

/* ---- damage ---- */

static void test_damaged_newest(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_RESUME);
    must_save(run, 1, 3, false);
    must_save(run, 2, 3, false);
    must_save(run, 3, 3, false);
    an_run_close(run);
    assert_int_equal(truncate(in_root("r/step-00000003/state.safetensors"), 99),
                     0);
    assert_int_equal(unlink(in_root("r/step-00000002/model.safetensors")), 0);
    run = must_open("r", AN_RUN_RESUME);
    assert_int_equal(load(run), 1);
    assert_link("r/latest", "step-00000001");
    /* damaged ones neither count for keep nor outlive the next save */
    must_save(run, 2, 2, false);
    assert_string_equal(list("r"),
                        ".lock latest model.safetensors state.safetensors "
                        "step-00000001 step-00000002 ");
    an_run_close(run);
    assert_int_equal(reopen("r"), 2);
}

static void test_all_damaged(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_RESUME);
    must_save(run, 1, 2, false);
    assert_int_equal(truncate(in_root("r/step-00000001/model.safetensors"), 99),
                     0);
    an_st *model = NULL, *states = NULL;
    int64_t step = -1;
    an_error err = {0};
    an_status s = an_run_load(run, &step, &model, &states, &err);
    assert_refused(s, AN_EFORMAT, &err, "step-00000001/model.safetensors");
    an_run_close(run);
    assert_string_equal(list("r/step-00000001"), STEP_ENTRIES);
}

/* ---- failures and kills at every system call ---- */

/* What is done to a folder that holds checkpoints 1 and 2. */
typedef enum action { SAVE, SAVE_AGAIN, FRESH, RESUME } action;

static an_status act(action what, an_error *err)
{
    an_run *run = NULL;
    an_status s = an_run_open(
        in_root("r"), what == FRESH ? AN_RUN_FRESH : AN_RUN_RESUME, &run, err);
    an_st *model = NULL, *states = NULL;
    int64_t step = 0;
    if (s == AN_OK) s = an_run_metrics_open(run, 1, err);
    if (s == AN_OK && what == RESUME) {
        s = an_run_load(run, &step, &model, &states, err);
        an_st_close(model);
        an_st_close(states);
    }
    if (s == AN_OK && what != RESUME)
        s = save(run, what == SAVE ? 3 : what == FRESH ? 1 : 2, 2, true, err);
    an_run_close(run);
    return s;
}

static void prepare(void)
{
    an_dir_remove(in_root("r"), NULL);
    an_run *run = must_open("r", AN_RUN_RESUME);
    must_save(run, 1, 2, true);
    must_save(run, 2, 2, false);
    an_run_close(run);
    put_file("r/metrics.jsonl", "{\"step\":1}\n{\"step\":2}\n");
    /* and the leftovers of a killed save of step 3 */
    assert_int_equal(mkdir(in_root("r/step-00000003.tmp"), 0777), 0);
    put_file("r/step-00000003.tmp/model.safetensors", "torn");
    assert_int_equal(symlink("step-00000003", in_root("r/latest.tmp")), 0);
}

/* The whole state after the next opening, by what was being done. */
static void check_after(action what, long at)
{
    int64_t step = reopen("r");
    bool well = what == SAVE         ? step == 2 || step == 3
                : what == SAVE_AGAIN ? step == 2
                : what == RESUME     ? step == 2
                                     : step == 2 || step == -1 || step == 1;
    if (!well) fail_msg("call %ld: found step %lld", at, (long long)step);
    const char *entries = list("r");
    if (what == FRESH && step == 1 && strstr(entries, "step-00000002"))
        fail_msg("call %ld: a mixture: %s", at, entries);
    if (what == FRESH && step == -1 && strcmp(entries, ".lock ") != 0 &&
        strcmp(entries, ".lock metrics.jsonl ") != 0)
        fail_msg("call %ld: a mixture: %s", at, entries);
    if (step < 0) return;
    char latest[32];
    snprintf(latest, sizeof latest, "step-%08lld", (long long)step);
    assert_link("r/latest", latest);
    assert_link("r/model.safetensors", "latest/model.safetensors");
    assert_true(an_path_exists(in_root("r/state.safetensors")));
    assert_true(an_path_exists(in_root("r/best/model.safetensors")));
    if (what == SAVE && step == 3) assert_link("r/best", "step-00000003");
}

/* Number of calls until the action met no fault. */
static long fail_everywhere(action what)
{
    for (long at = 1;; at++) {
        an_error err = {0};
        prepare();
        long before = alloc_live();
        plan(FAULT_FAIL, at);
        an_status s = act(what, &err);
        bool met = calls >= fault_at;
        plan(FAULT_NONE, 0);
        assert_int_equal(alloc_live(), before);
        if (!met) {
            assert_int_equal(s, AN_OK);
            return at;
        }
        if (s != AN_OK && !strstr(err.text, "No space left"))
            fail_msg("call %ld: \"%s\"", at, err.text);
        check_after(what, at);
        assert_int_equal(act(what, &err), AN_OK);
    }
}

static void test_every_call_fails(void **state)
{
    (void)state;
    assert_true(fail_everywhere(SAVE) > 30);
    assert_true(fail_everywhere(SAVE_AGAIN) > 30);
    assert_true(fail_everywhere(FRESH) > 30);
    assert_true(fail_everywhere(RESUME) > 10);
}

/* A child is killed at its n-th call; false when it came to its end. */
static bool killed_at(action what, long at)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        plan(FAULT_KILL, at);
        _exit(act(what, NULL) == AN_OK ? 0 : 1);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    if (WIFSIGNALED(how)) return true;
    assert_int_equal(WEXITSTATUS(how), 0);
    return false;
}

static long kill_everywhere(action what)
{
    for (long at = 1;; at++) {
        prepare();
        if (!killed_at(what, at)) return at;
        /* opening may be killed as well, and again */
        bool open_killed = killed_at(RESUME, at % 7 + 1);
        check_after(what, at);
        assert_true(open_killed);
    }
}

static void test_kill_at_every_call(void **state)
{
    (void)state;
    assert_true(kill_everywhere(SAVE) > 30);
    assert_true(kill_everywhere(SAVE_AGAIN) > 30);
    assert_true(kill_everywhere(FRESH) > 30);
    assert_true(kill_everywhere(RESUME) > 10);
}

/* Saves until killed, telling through a pipe what it has finished. */
static void save_for_ever(int report)
{
    an_run *run = NULL;
    if (an_run_open(in_root("r"), AN_RUN_RESUME, &run, NULL) != AN_OK) _exit(1);
    int64_t step = load(run);
    if (an_run_metrics_open(run, step, NULL) != AN_OK) _exit(1);
    for (step = step < 0 ? 1 : step + 1;; step++) {
        an_metric m = {"step", (double)step};
        if (an_run_metrics_add(run, &m, 1, NULL) != AN_OK) _exit(1);
        if (save(run, step, 2, step % 3 == 0, NULL) != AN_OK) _exit(1);
        if (write(report, &step, sizeof step) != sizeof step) _exit(1);
    }
}

static void check_metrics(int64_t step)
{
    char *text = NULL;
    size_t size = 0;
    an_run *run = must_open("r", AN_RUN_RESUME);
    assert_int_equal(an_run_metrics_open(run, step, NULL), AN_OK);
    an_run_close(run);
    assert_int_equal(
        an_file_read(in_root("r/metrics.jsonl"), 1 << 20, &text, &size, NULL),
        AN_OK);
    const char *at = text;
    for (int64_t i = 1; i <= step; i++) {
        char line[48];
        snprintf(line, sizeof line, "{\"step\":%lld}\n", (long long)i);
        if (strncmp(at, line, strlen(line)) != 0)
            fail_msg("expected %s, got %.40s", line, at);
        at += strlen(line);
    }
    assert_int_equal(*at, 0);
    an_free(text);
}

static void test_kill_at_any_time(void **state)
{
    (void)state;
    int64_t done = -1; /* the last step that a child reported */
    for (long i = 0; i < 25; i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) save_for_ever(ends[1]);
        close(ends[1]);
        struct timespec wait = {.tv_nsec = 300000 + 717171 * i % 9000000};
        nanosleep(&wait, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        for (int64_t step; read(ends[0], &step, sizeof step) == sizeof step;)
            done = step;
        close(ends[0]);
        int64_t found = reopen("r");
        if (found != done && found != done + 1 && !(done < 0 && found == 1))
            fail_msg("finished %lld, found %lld", (long long)done,
                     (long long)found);
        if (found > 0) check_metrics(found);
        done = found;
    }
    assert_true(done > 0);
}

/* A limit on the size of files stands for a full disk. */
static void test_full_disk(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_RESUME);
    must_save(run, 1, 2, false);
    assert_int_equal(an_run_metrics_open(run, 1, NULL), AN_OK);
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 5000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    an_error err = {0};
    an_status s = save(run, 2, 2, false, &err);
    an_status m = AN_OK;
    an_error metrics_err = {0};
    an_metric line = {"step", 2};
    for (int i = 0; i < 600 && m == AN_OK; i++)
        m = an_run_metrics_add(run, &line, 1, &metrics_err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_refused(s, AN_EIO, &err, "model.safetensors: cannot write");
    assert_refused(m, AN_EIO, &metrics_err, "metrics.jsonl: cannot write");
    assert_string_equal(list("r"),
                        ".lock latest metrics.jsonl model.safetensors "
                        "state.safetensors step-00000001 ");
    struct stat st;
    assert_int_equal(stat(in_root("r/metrics.jsonl"), &st), 0);
    assert_int_equal(st.st_size % 11, 0); /* whole lines {"step":2} */
    assert_int_equal(load(run), 1);
    must_save(run, 2, 2, false);
    an_run_close(run);
    assert_int_equal(reopen("r"), 2);
}

/* ---- metrics ---- */

static void test_metrics(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_RESUME);
    const an_metric first[] = {{"step", 1},
                               {"loss", 0.1},
                               {"lr", 3e-4},
                               {"tokens", 9007199254740991.0},
                               {"val_loss", (double)NAN}};
    const an_metric second[] = {
        {"loss", HUGE_VAL}, {"step", 2}, {"third", 1.0 / 3}};
    an_error err = {0};
    assert_refused(an_run_metrics_add(run, first, 5, &err), AN_EINVAL, &err,
                   "not open");
    assert_int_equal(an_run_metrics_open(run, 0, NULL), AN_OK);
    long before = alloc_requests();
    assert_int_equal(an_run_metrics_add(run, first, 5, NULL), AN_OK);
    assert_int_equal(an_run_metrics_add(run, second, 3, NULL), AN_OK);
    assert_int_equal(an_run_metrics_add(run, NULL, 0, NULL), AN_OK);
    assert_int_equal(alloc_requests(), before);
    an_run_close(run);
    assert_file("r/metrics.jsonl",
                "{\"step\":1,\"loss\":0.10000000000000001,"
                "\"lr\":0.00029999999999999997,\"tokens\":9007199254740991}\n"
                "{\"step\":2,\"third\":0.33333333333333331}\n{}\n");
}

static void test_metrics_are_cut_back(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after; /* opened at step 2 */
    } cases[] = {
        {"", ""},
        {"{\"step\":1}\n{\"step\":2}\n", "{\"step\":1}\n{\"step\":2}\n"},
        {"{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"step\":4}\n",
         "{\"step\":1}\n{\"step\":2}\n"},
        {"{\"step\":1}\n{\"step\":2", "{\"step\":1}\n"},
        {"{\"step\":1}\n{\"step\":2}", "{\"step\":1}\n"}, /* no line yet */
        {"{\"step\":3}\n", ""},
        {"x\n{}\n{\"step\":\"1\"}\n\n{\"loss\":1,\"step\":2}\n",
         "{\"loss\":1,\"step\":2}\n"},
    };
    an_run *run = must_open("r", AN_RUN_RESUME);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_file("r/metrics.jsonl", cases[i].before);
        assert_int_equal(an_run_metrics_open(run, 2, NULL), AN_OK);
        assert_file("r/metrics.jsonl", cases[i].after);
    }
    an_metric m = {"step", 3};
    assert_int_equal(an_run_metrics_add(run, &m, 1, NULL), AN_OK);
    assert_file("r/metrics.jsonl", "{\"loss\":1,\"step\":2}\n{\"step\":3}\n");
    an_run_close(run);
}

static void test_metrics_line_too_long(void **state)
{
    (void)state;
    an_run *run = must_open("r", AN_RUN_RESUME);
    an_metric m[200];
    for (int i = 0; i < 200; i++)
        m[i] = (an_metric){"a_rather_long_key", 1.0 / (i + 3)};
    assert_int_equal(an_run_metrics_open(run, 0, NULL), AN_OK);
    an_error err = {0};
    assert_refused(an_run_metrics_add(run, m, 200, &err), AN_EINVAL, &err,
                   "4096");
    an_run_close(run);
    assert_file("r/metrics.jsonl", "");
}

/* ---- allocation ---- */

static an_status all_calls(void *ctx, an_error *err)
{
    (void)ctx;
    an_run *run = NULL;
    an_st *model = NULL, *states = NULL;
    int64_t step;
    an_status s = an_run_open(in_root("r"), AN_RUN_RESUME, &run, err);
    if (s != AN_OK) return s;
    s = an_run_load(run, &step, &model, &states, err);
    if (s == AN_OK) s = an_run_metrics_open(run, 1, err);
    if (s == AN_OK) s = an_run_put(run, "config.json", "{}", err);
    if (s == AN_OK) s = save(run, 3, 2, true, err);
    an_st_close(model);
    an_st_close(states);
    an_run_close(run);
    return s;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    prepare();
    assert_true(alloc_sweep(all_calls, NULL) > 20);
    assert_int_equal(reopen("r"), 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_save_and_load),
        TEST(test_files_are_reproducible),
        TEST(test_keep_and_best),
        TEST(test_save_twice),
        TEST(test_step_out_of_range),
        TEST(test_reader),
        TEST(test_lock),
        TEST(test_leftovers_and_nothing_else),
        TEST(test_fresh),
        TEST(test_foreign_folder),
        TEST(test_folder_that_cannot_be),
        TEST(test_damaged_newest),
        TEST(test_all_damaged),
        TEST(test_every_call_fails),
        TEST(test_kill_at_every_call),
        TEST(test_kill_at_any_time),
        TEST(test_full_disk),
        TEST(test_metrics),
        TEST(test_metrics_are_cut_back),
        TEST(test_metrics_line_too_long),
        TEST(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
