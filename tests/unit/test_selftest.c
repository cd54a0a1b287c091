/* The self-test's reading of marked data, its verdicts as files, and what the
 * doctor says of machines that are not here. tests/e2e/doctor.sh has the rest.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/half.h"
#include "engine/apple/checkup.h"
#include "engine/apple/selftest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- marked data ---- */

/* Every order in which three surfaces can arrive, against every belief. */
static void test_inputs(void **state)
{
    (void)state;
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int truth = 0; truth < 6; truth++)
        for (int belief = 0; belief < 6; belief++) {
            const int *symbols = orders[truth], *assumed = orders[belief];
            int found[3], read[3] = {0};
            for (int port = 0; port < 3; port++)
                for (int marked = 0; marked < 3; marked++)
                    if (assumed[marked] == symbols[port])
                        read[port] = marked + 1;
            double sum = read[0] + 8 * read[1] + 64 * read[2];
            assert_true(an_selftest_inputs(sum, assumed, found));
            assert_memory_equal(found, symbols, sizeof found);
        }
}

static void test_no_inputs(void **state)
{
    (void)state;
    static const double sums[] = {0,   -1,  1 + 8 + 64, 1 + 8 + 128, 512,
                                  0.5, 1e9, 0.0 / 0.0,  4 + 8 + 128};
    const int assumed[3] = {0, 1, 2};
    int found[3];
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        assert_false(an_selftest_inputs(sums[i], assumed, found));
}

static void test_order(void **state)
{
    (void)state;
    assert_int_equal(an_selftest_order((int[]){2, 0, 1}, 3), AN_ORDER_BY_NAME);
    assert_int_equal(an_selftest_order((int[]){0, 1, 2}, 3), AN_ORDER_DECLARED);
    assert_int_equal(an_selftest_order((int[]){1, 0, 2}, 3), AN_ORDER_OTHER);
    assert_int_equal(an_selftest_order((int[]){1, 0}, 2), AN_ORDER_BY_NAME);
    assert_int_equal(an_selftest_order((int[]){0, 1}, 2), AN_ORDER_DECLARED);
}

/* What an engine leaves that reads rows `from` apart and writes them `to`. */
static an_found_rows rows_of(int from, int to, size_t n)
{
    uint16_t out[256];
    for (int i = 0; i < 256; i++)
        out[i] = 0x7e00;
    for (int r = 0; r < 8; r++)
        for (int i = 0; i < 16; i++)
            out[r * to + i] = an_half_from_double(2.0 * (r * from + i));
    return an_selftest_rows(out, n, 8, 16);
}

static void test_rows(void **state)
{
    (void)state;
    assert_int_equal(rows_of(32, 32, 256), AN_ROWS_ALIGNED);
    assert_int_equal(rows_of(16, 16, 256), AN_ROWS_PACKED);
    assert_int_equal(rows_of(16, 16, 128), AN_ROWS_PACKED);
    assert_int_equal(rows_of(32, 16, 256), AN_ROWS_OTHER);
    assert_int_equal(rows_of(16, 32, 256), AN_ROWS_OTHER);
    assert_int_equal(rows_of(32, 32, 128), AN_ROWS_OTHER);
}

/* ---- files ---- */

static char folder[] = "/tmp/anemone-verdict.XXXXXX";
static an_subject subject = {
    .build = "25D125", .chip = "Apple M4 Pro", .framework = "382.11"};
static const an_findings found = {.inputs = AN_ORDER_DECLARED,
                                  .outputs = AN_ORDER_OTHER,
                                  .table = AN_TABLE_WRONG,
                                  .ports = AN_PORTS_EQUAL,
                                  .rows = AN_ROWS_PACKED,
                                  .files = AN_RELOAD_FAILS,
                                  .weights = AN_RELOAD_OLD,
                                  .slot = AN_SLOT_RELEASE,
                                  .programs = 127,
                                  .compiles = 119,
                                  .seconds = 1.5,
                                  .notes = "narrow rows: no \"reason\""};

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/anemone-verdict.XXXXXX");
    if (!mkdtemp(folder)) return 1;
    snprintf(subject.path, sizeof subject.path, "%s/a/b/engine.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return an_dir_remove(folder, NULL) != AN_OK;
}

static void test_kept(void **state)
{
    (void)state;
    an_findings back = {0};
    an_error err = {0};
    assert_int_equal(an_verdict_load(&subject, &back, &err), AN_EIO);
    assert_int_equal(an_verdict_save(&subject, &found, NULL), AN_OK);
    assert_int_equal(an_verdict_load(&subject, &back, NULL), AN_OK);
    assert_memory_equal(&back, &found, sizeof found);
    assert_int_equal(an_verdict_save(&subject, &(an_findings){0}, NULL), AN_OK);
    assert_int_equal(an_verdict_load(&subject, &back, NULL), AN_OK);
    assert_int_equal(back.programs, 0);
    assert_string_equal(back.notes, "");
}

static void expect_bad(const char *text, const char *what)
{
    an_findings back = {.programs = 7};
    an_error err = {0};
    assert_int_equal(an_file_write(subject.path, text, strlen(text), NULL),
                     AN_OK);
    if (an_verdict_load(&subject, &back, &err) != AN_EFORMAT)
        fail_msg("well read: %s", text);
    if (!strstr(err.text, what)) fail_msg("%s: %s", what, err.text);
    assert_int_equal(back.programs, 7);
}

/* The file that is written, changed in one place. */
static void change(const char *from, const char *to, char *out, size_t size)
{
    char *text = NULL;
    size_t n;
    assert_int_equal(an_verdict_save(&subject, &found, NULL), AN_OK);
    assert_int_equal(an_file_read(subject.path, 65536, &text, &n, NULL), AN_OK);
    char *at = strstr(text, from);
    assert_non_null(at);
    snprintf(out, size, "%.*s%s%s", (int)(at - text), text, to,
             at + strlen(from));
    an_free(text);
}

static void test_broken(void **state)
{
    (void)state;
    static const char *const changes[][3] = {
        {"\"test\": 1", "\"test\": 2", "another test"},
        {"\"test\": 1", "\"test\": \"1\"", "test"},
        {"25D125", "25D126", "another system"},
        {"M4 Pro", "M4 Max", "another system"},
        {"382.11", "382.12", "another system"},
        {"as declared", "backwards", "no answer"},
        {"\"rows\"", "\"r\"", "rows"},
        {"\"programs\": 127", "\"programs\": -1", "programs"},
        {"\"compiles\": 119", "\"compiles\": 1e99", "compiles"},
        {"\"seconds\": 1.5", "\"seconds\": []", "seconds"},
        {"}", "", "line"},
    };
    char text[2048];
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        change(changes[i][0], changes[i][1], text, sizeof text);
        expect_bad(text, changes[i][2]);
    }
    expect_bad("", "engine.json");
    expect_bad("[]", "expected an object");
    expect_bad("\xff\xfe", "engine.json");
}

static void test_large(void **state)
{
    (void)state;
    size_t n = 100000;
    an_findings back;
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, ' ', n);
    assert_int_equal(an_verdict_save(&subject, &found, NULL), AN_OK);
    assert_int_equal(an_file_write(subject.path, text, n, NULL), AN_OK);
    free(text);
    assert_int_not_equal(an_verdict_load(&subject, &back, NULL), AN_OK);
}

static void test_cache_folder(void **state)
{
    (void)state;
    char path[300], small[8];
    setenv("XDG_CACHE_HOME", "/somewhere", 1);
    assert_int_equal(an_cache_folder(path, sizeof path, NULL), AN_OK);
    assert_string_equal(path, "/somewhere/anemone");
    assert_int_equal(an_cache_folder(small, sizeof small, NULL), AN_EIO);
    setenv("XDG_CACHE_HOME", "relative", 1);
    setenv("HOME", "/home/me", 1);
    assert_int_equal(an_cache_folder(path, sizeof path, NULL), AN_OK);
#if defined(__APPLE__)
    assert_string_equal(path, "/home/me/Library/Caches/anemone");
#else
    assert_string_equal(path, "/home/me/.cache/anemone");
#endif
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    assert_int_equal(an_cache_folder(path, sizeof path, NULL), AN_EIO);
}

static void test_settings(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"chip=m4", "chip=m4,"},
        {"fault=eval:3,compile:2=hang,order=declared", "order=declared,"},
        {"order=declared,,fault=load:1=0x50004", "order=declared,"},
        {"eval:17", ""},
        {"reload=stale,map:1,slot=release", "reload=stale,slot=release,"},
    };
    char out[100];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("ANEMONE_REPLICA", cases[i][0], 1);
        an_replica_settings(out, sizeof out);
        assert_string_equal(out, cases[i][1]);
    }
    an_replica_settings(out, 4); /* no room: left out, not cut */
    assert_string_equal(out, "");
    unsetenv("ANEMONE_REPLICA");
    an_replica_settings(out, sizeof out);
    assert_string_equal(out, "");
}

/* ---- what follows ---- */

static an_port port(const char *name, int64_t width)
{
    an_port p = {.name = name, .shape = AN_TENSOR(AN_FP16, 1, 8, 1, width)};
    p.size_bytes = (size_t)(16 * width);
    return p;
}

static void expect_allowed(const an_findings *f, an_port *in, int n,
                           const char *refusal)
{
    an_port out = port("y", 64);
    an_port *const ports[2] = {in, &out};
    const int counts[2] = {n, 1};
    an_error err = {0};
    an_status s = an_findings_allow(f, ports, counts, &err);
    assert_int_equal(s, refusal ? AN_EUNSUPPORTED : AN_OK);
    if (refusal && !strstr(err.text, refusal)) fail_msg("%s", err.text);
}

static void test_allowed(void **state)
{
    (void)state;
    an_port one[] = {port("x", 64)}, narrow[] = {port("x", 16)};
    an_port two[] = {port("a", 64), port("b", 64)};
    an_port mixed[] = {port("a", 64), port("b", 128)};
    an_port falling[] = {port("b", 64), port("a", 64)};
    an_findings f = {0};
    expect_allowed(&f, narrow, 1, NULL);
    expect_allowed(&f, mixed, 2, NULL);
    f.ports = AN_PORTS_EQUAL;
    expect_allowed(&f, two, 2, NULL);
    expect_allowed(&f, mixed, 2, "different sizes");
    f.ports = AN_PORTS_ONE;
    expect_allowed(&f, one, 1, NULL);
    expect_allowed(&f, two, 2, "one input");
    f = (an_findings){.inputs = AN_ORDER_OTHER, .table = AN_TABLE_WRONG};
    expect_allowed(&f, two, 2, NULL);
    expect_allowed(&f, falling, 2, "order");
    f.table = AN_TABLE_RIGHT;
    expect_allowed(&f, falling, 2, NULL);
    f = (an_findings){.rows = AN_ROWS_PACKED};
    expect_allowed(&f, one, 1, NULL);
    expect_allowed(&f, narrow, 1, "rows");
    assert_int_equal(an_findings_allow_reload(&f, NULL), AN_OK);
    f.weights = AN_RELOAD_OLD;
    assert_int_equal(an_findings_allow_reload(&f, NULL), AN_EUNSUPPORTED);
}

static void test_told(void **state)
{
    (void)state;
    const char *key, *question;
    char answer[80];
    int n = 0;
    while (an_findings_tell(&found, n, &key, &question, answer, sizeof answer))
        n++;
    assert_int_equal(n, 9);
    assert_string_equal(answer, "119, the next one failed");
    assert_false(
        an_findings_tell(&found, -1, &key, &question, answer, sizeof answer));
}

/* ---- the doctor ---- */

typedef struct patient {
    an_machine machine;
    an_findings found;
    an_condition condition;
} patient;

/* A Mac on which all is well. */
static void healthy(patient *p)
{
    *p = (patient){.machine = {.system = "macOS",
                               .version = "26.3",
                               .build = "25D125",
                               .model = "Mac16,10",
                               .host = {.processor = "Apple M4",
                                        .chip = "m4",
                                        .cores = 10,
                                        .memory_bytes = 16000000000},
                               .processor = "arm64",
                               .guest = AN_NO,
                               .sandboxed = AN_NO,
                               .root = AN_NO,
                               .remote = AN_NO,
                               .service = AN_NO,
                               .screen = AN_YES}};
    p->condition = (an_condition){.machine = &p->machine,
                                  .wants_apple = true,
                                  .open = true,
                                  .error = "",
                                  .version = "382.11",
                                  .rows = 39,
                                  .engine = AN_YES,
                                  .guest = AN_NO,
                                  .cores = 16,
                                  .free_bytes = 100000000000,
                                  .found = &p->found};
}

/* The grade of a check, its text in *text; -1: it was not made. */
static int grade_of(const patient *p, const char *key, const char *text)
{
    an_check checks[AN_MAX_CHECKS];
    int n = an_checkup(&p->condition, checks);
    for (int i = 0; i < n; i++)
        if (strcmp(checks[i].key, key) == 0) {
            if (!strstr(checks[i].text, text))
                fail_msg("%s: no '%s' in '%s'", key, text, checks[i].text);
            if ((checks[i].grade == AN_GRADE_NO) && !checks[i].next)
                fail_msg("%s: no, and nothing to do", key);
            return (int)checks[i].grade;
        }
    return -1;
}

static void test_healthy(void **state)
{
    (void)state;
    patient p;
    an_check checks[AN_MAX_CHECKS];
    healthy(&p);
    int n = an_checkup(&p.condition, checks);
    assert_int_equal(n, 12);
    for (int i = 0; i < n; i++)
        if (checks[i].grade != AN_GRADE_OK)
            fail_msg("%s: %s", checks[i].key, checks[i].text);
}

/* Nothing that stands in the way of training, but worth a word. */
static void test_power_and_heat(void **state)
{
    (void)state;
    patient p;
    healthy(&p);
    assert_int_equal(grade_of(&p, "power", ""), -1);
    assert_int_equal(grade_of(&p, "heat", ""), -1);
    assert_int_equal(grade_of(&p, "products", ""), -1);
    p.machine.state = (an_host_state){AN_POWER_MAINS, -1, AN_THERMAL_FAIR};
    assert_int_equal(grade_of(&p, "power", "mains"), AN_GRADE_OK);
    assert_int_equal(grade_of(&p, "heat", "fair"), AN_GRADE_OK);
    p.machine.state = (an_host_state){AN_POWER_BATTERY, 43, AN_THERMAL_SERIOUS};
    p.condition.free_blas = "Accelerate (with threads of its own)";
    assert_int_equal(grade_of(&p, "power", "battery, charge 43%"),
                     AN_GRADE_WARNING);
    assert_int_equal(grade_of(&p, "heat", "serious"), AN_GRADE_WARNING);
    assert_int_equal(grade_of(&p, "products", "threads of its own"),
                     AN_GRADE_WARNING);
}

static void test_sick(void **state)
{
    (void)state;
    patient p;
    healthy(&p);
    strcpy(p.machine.version, "12.7.1");
    assert_int_equal(grade_of(&p, "system", "12.7.1"), AN_GRADE_NO);
    healthy(&p);
    strcpy(p.machine.processor, "x86_64");
    assert_int_equal(grade_of(&p, "chip", "Apple silicon"), AN_GRADE_NO);
    healthy(&p);
    strcpy(p.machine.host.processor, "Apple A18 Pro");
    p.machine.host.chip[0] = '\0';
    assert_int_equal(grade_of(&p, "chip", "taken to be m4"), AN_GRADE_WARNING);
    healthy(&p);
    p.machine.guest = AN_YES;
    assert_int_equal(grade_of(&p, "machine", "virtual"), AN_GRADE_NO);
    healthy(&p);
    p.condition.guest = AN_YES;
    assert_int_equal(grade_of(&p, "machine", "virtual"), AN_GRADE_NO);
    healthy(&p);
    p.condition.open = false;
    p.condition.error = "it does not open";
    assert_int_equal(grade_of(&p, "framework", "does not open"), AN_GRADE_NO);
    assert_int_equal(grade_of(&p, "table", ""), -1);
    healthy(&p);
    p.condition.bad_rows = 2;
    p.condition.bad_row = "-[A b], which differs";
    assert_int_equal(grade_of(&p, "table", "-[A b]"), AN_GRADE_NO);
    healthy(&p);
    p.condition.engine = AN_NO;
    assert_int_equal(grade_of(&p, "engine", "none"), AN_GRADE_NO);
    p.condition.engine = AN_UNKNOWN;
    assert_int_equal(grade_of(&p, "engine", "not tell"), AN_GRADE_WARNING);
}

static void test_process(void **state)
{
    (void)state;
    patient p;
    healthy(&p);
    p.machine.sandboxed = AN_YES;
    p.machine.root = AN_YES;
    p.machine.service = AN_YES;
    assert_int_equal(grade_of(&p, "sandbox", "sandbox"), AN_GRADE_WARNING);
    assert_int_equal(grade_of(&p, "user", "root"), AN_GRADE_WARNING);
    assert_int_equal(grade_of(&p, "session", "launchd"), AN_GRADE_WARNING);
    healthy(&p);
    p.machine.remote = AN_YES;
    p.machine.screen = AN_NO;
    assert_int_equal(grade_of(&p, "session", "SSH (not measured), without"),
                     AN_GRADE_OK);
    p.machine.host.memory_bytes = 4000000000;
    assert_int_equal(grade_of(&p, "memory", "4.0 GB"), AN_GRADE_WARNING);
    p.condition.free_bytes = 4000000000;
    assert_int_equal(grade_of(&p, "disk", "4.0 GB"), AN_GRADE_WARNING);
    p.condition.free_bytes = 400000000;
    assert_int_equal(grade_of(&p, "disk", "0.4 GB"), AN_GRADE_NO);
}

static void test_verdicts(void **state)
{
    (void)state;
    patient p;
    healthy(&p);
    p.condition.kept = AN_EIO;
    assert_int_equal(grade_of(&p, "self-test", "first training"),
                     AN_GRADE_WARNING);
    p.condition.kept = AN_EFORMAT;
    p.condition.kept_error = "it is of another test";
    assert_int_equal(grade_of(&p, "self-test", "another test"),
                     AN_GRADE_WARNING);
    p.condition.kept = AN_OK;
    p.found.ports = AN_PORTS_ONE;
    assert_int_equal(grade_of(&p, "self-test", "one input"), AN_GRADE_NO);
}

static void test_elsewhere(void **state)
{
    (void)state;
    patient p;
    healthy(&p);
    p.machine = (an_machine){.system = "Linux", .version = "6.1"};
    p.condition.wants_apple = false;
    assert_int_equal(grade_of(&p, "system", "--engine soft"), AN_GRADE_OK);
    assert_int_equal(grade_of(&p, "replica", "there"), AN_GRADE_OK);
    assert_int_equal(grade_of(&p, "chip", ""), -1);
    assert_int_equal(grade_of(&p, "session", ""), -1);
    p.condition.open = false;
    assert_int_equal(grade_of(&p, "replica", "make replica"), AN_GRADE_OK);
    p.condition.wants_apple = true;
    p.condition.error = "no such file";
    assert_int_equal(grade_of(&p, "framework", "no such file"), AN_GRADE_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_no_inputs),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_rows),
        cmocka_unit_test_setup_teardown(test_kept, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_broken, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_large, make_folder, remove_folder),
        cmocka_unit_test(test_cache_folder),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_told),
        cmocka_unit_test(test_healthy),
        cmocka_unit_test(test_power_and_heat),
        cmocka_unit_test(test_sick),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
