/*
 * The machine as it is told, through files and through the functions of macOS:
 * those of tests/host_stub.c, which lies beside this program's folder.
 */
#include "base/file.h"
#include "base/host.h"
#include "base/pool.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/anemone-host-XXXXXX";
static char library[1024]; /* the stub */

static void put(const char *name, const char *text)
{
    char path[256], folder[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(an_dir_make(folder, NULL), AN_OK);
    assert_int_equal(an_file_write(path, text, strlen(text), NULL), AN_OK);
}

static void expect(an_host host, an_power power, int charge, an_thermal thermal)
{
    an_host_state s = an_host_get_state(host);
    assert_int_equal(s.power, power);
    assert_int_equal(s.charge, charge);
    assert_int_equal(s.thermal, thermal);
}

/* ---- files ---- */

static an_host fresh_files(void)
{
    assert_int_equal(an_dir_remove(root, NULL), AN_OK);
    assert_int_equal(an_dir_make(root, NULL), AN_OK);
    return (an_host){AN_HOST_FILES, root};
}

static void test_nothing_is_unknown(void **state)
{
    (void)state;
    expect(fresh_files(), AN_POWER_UNKNOWN, -1, AN_THERMAL_UNKNOWN);
    expect((an_host){AN_HOST_FILES, "/nowhere"}, AN_POWER_UNKNOWN, -1,
           AN_THERMAL_UNKNOWN);
    assert_null(an_power_name(AN_POWER_UNKNOWN));
    assert_null(an_thermal_name(AN_THERMAL_UNKNOWN));
}

static void test_battery_files(void **state)
{
    (void)state;
    an_host host = fresh_files();
    put("power_supply/AC/type", "Mains\n");
    put("power_supply/AC/online", "1\n");
    expect(host, AN_POWER_MAINS, -1, AN_THERMAL_UNKNOWN);
    put("power_supply/BAT0/type", "Battery\n");
    put("power_supply/BAT0/status", "Charging\n");
    put("power_supply/BAT0/capacity", "43\n");
    put("power_supply/mouse/type", "Battery\n");
    put("power_supply/mouse/scope", "Device\n");
    put("power_supply/mouse/status", "Discharging\n");
    put("power_supply/mouse/capacity", "3\n");
    expect(host, AN_POWER_MAINS, 43, AN_THERMAL_UNKNOWN);
    put("power_supply/AC/online", "0\n");
    put("power_supply/BAT0/status", "Discharging\n");
    expect(host, AN_POWER_BATTERY, 43, AN_THERMAL_UNKNOWN);
    /* A charger that is too weak: the battery helps, but will not last. */
    put("power_supply/AC/online", "1\n");
    expect(host, AN_POWER_MAINS, 43, AN_THERMAL_UNKNOWN);
    put("power_supply/BAT0/capacity", "430\n");
    put("power_supply/AC/online", "yes\n");
    expect(host, AN_POWER_BATTERY, -1, AN_THERMAL_UNKNOWN);
    assert_string_equal(an_power_name(AN_POWER_BATTERY), "battery");
}

static void test_thermal_files(void **state)
{
    (void)state;
    static const struct {
        const char *temperature;
        an_thermal want;
    } cases[] = {{"40000", AN_THERMAL_NOMINAL},
                 {"80000", AN_THERMAL_FAIR},
                 {"90000", AN_THERMAL_SERIOUS},
                 {"101000", AN_THERMAL_CRITICAL},
                 {"warm", AN_THERMAL_NOMINAL}};
    an_host host = fresh_files();
    put("thermal/cooling_device0/type", "Fan\n");
    put("thermal/thermal_zone1/temp", "99000\n"); /* no trip: says nothing */
    expect(host, AN_POWER_UNKNOWN, -1, AN_THERMAL_UNKNOWN);
    put("thermal/thermal_zone2/temp", "20000\n");
    put("thermal/thermal_zone2/trip_point_0_type", "critical\n");
    put("thermal/thermal_zone2/trip_point_0_temp", "100000\n");
    put("thermal/thermal_zone0/trip_point_0_type", "active\n");
    put("thermal/thermal_zone0/trip_point_0_temp", "30000\n");
    put("thermal/thermal_zone0/trip_point_1_type", "hot\n");
    put("thermal/thermal_zone0/trip_point_1_temp", "90000\n");
    put("thermal/thermal_zone0/trip_point_2_type", "critical\n");
    put("thermal/thermal_zone0/trip_point_2_temp", "100000\n");
    put("thermal/thermal_zone0/trip_point_3_type", "passive\n");
    put("thermal/thermal_zone0/trip_point_3_temp", "80000\n");
    put("thermal/thermal_zone0/trip_point_4_type", "hot\n");
    put("thermal/thermal_zone0/trip_point_4_temp", "-274000\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("thermal/thermal_zone0/temp", cases[i].temperature);
        expect(host, AN_POWER_UNKNOWN, -1, cases[i].want);
    }
}

static void test_files_keep_nothing_awake(void **state)
{
    (void)state;
    an_awake awake = an_host_stay_awake(fresh_files(), "test");
    assert_false(awake.held);
    an_host_let_sleep(&awake);
    an_host_favour_thread(awake.host);
}

/* ---- the functions of macOS ---- */

static an_host stub(const char *words)
{
    char path[64];
    fresh_files();
    put("mac", words);
    snprintf(path, sizeof path, "%s/mac", root);
    setenv("HOST_STUB", path, 1);
    return (an_host){AN_HOST_FRAMEWORKS, library};
}

static void assert_nothing_alive(void)
{
    int (*count)(void);
    void *handle = dlopen(library, RTLD_LAZY);
    void *at = handle ? dlsym(handle, "host_stub_alive") : NULL;
    assert_non_null(at);
    memcpy(&count, &at, sizeof at);
    assert_int_equal(count(), 0);
}

/* Lines of the stub's log that begin so. */
static int count_lines(const char *with)
{
    char path[64], line[256];
    int n = 0;
    snprintf(path, sizeof path, "%s/mac.log", root);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        n += strncmp(line, with, strlen(with)) == 0;
    if (file) fclose(file);
    return n;
}

static void test_mac_facts(void **state)
{
    (void)state;
    an_host_facts f =
        an_host_get_facts(stub("generation=4 cores=6 gigabytes=48"));
    assert_string_equal(f.processor, "Apple M4 Pro");
    assert_string_equal(f.chip, "m4");
    assert_int_equal(f.performance_cores, 6);
    assert_int_equal(f.memory_bytes, (uint64_t)48 << 30);
    f = an_host_get_facts(stub("nothing=1"));
    assert_string_equal(f.processor, "");
    assert_string_equal(f.chip, "");
    assert_int_equal(f.performance_cores, 0);
    assert_true(f.cores >= 1 && f.memory_bytes > 0);
    assert_int_equal(f.page_bytes, sysconf(_SC_PAGESIZE));
}

static void test_mac_state(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        an_power power;
        int charge;
        an_thermal thermal;
    } cases[] = {
        {"power=ac charge=100 thermal=0", AN_POWER_MAINS, 100,
         AN_THERMAL_NOMINAL},
        {"power=battery charge=43 thermal=1", AN_POWER_BATTERY, 43,
         AN_THERMAL_FAIR},
        {"power=ups thermal=2", AN_POWER_BATTERY, -1, AN_THERMAL_SERIOUS},
        {"power=ac thermal=3", AN_POWER_MAINS, -1, AN_THERMAL_CRITICAL},
        {"thermal=4", AN_POWER_UNKNOWN, -1, AN_THERMAL_CRITICAL},
        {"thermal=5", AN_POWER_UNKNOWN, -1, AN_THERMAL_UNKNOWN},
        {"nothing=1", AN_POWER_UNKNOWN, -1, AN_THERMAL_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(stub(cases[i].words), cases[i].power, cases[i].charge,
               cases[i].thermal);
    assert_nothing_alive();
}

static void test_mac_stays_awake(void **state)
{
    (void)state;
    an_awake awake = an_host_stay_awake(stub(""), "anemone train");
    assert_true(awake.held);
    assert_int_equal(
        count_lines("awake PreventUserIdleSystemSleep anemone train\n"), 1);
    assert_int_equal(count_lines("asleep"), 0);
    an_host_let_sleep(&awake);
    an_host_let_sleep(&awake);
    assert_int_equal(count_lines("asleep 42"), 1);
    assert_nothing_alive();
}

static void test_a_library_without_them(void **state)
{
    (void)state;
    static const char *const libraries[] = {"/nowhere.so", "libm.so.6"};
    for (int i = 0; i < 2; i++) {
        an_host host = {AN_HOST_FRAMEWORKS, libraries[i]};
        expect(host, AN_POWER_UNKNOWN, -1, AN_THERMAL_UNKNOWN);
        assert_int_equal(an_host_get_facts(host).performance_cores, 0);
        assert_false(an_host_stay_awake(host, "test").held);
        an_host_favour_thread(host);
    }
}

/* ---- who uses it ---- */

static void test_pool_of_a_mac(void **state)
{
    (void)state;
    an_pool *pool = NULL;
    an_host host = stub("cores=3");
    setenv("ANEMONE_HOST", host.place, 1);
    assert_int_equal(an_pool_open(0, &pool, NULL), AN_OK);
    assert_int_equal(an_pool_threads(pool), 3);
    an_pool_close(pool);
    assert_int_equal(count_lines("qos 25 0"), 3);
    assert_int_equal(an_pool_open(2, &pool, NULL), AN_OK);
    assert_int_equal(an_pool_threads(pool), 2);
    an_pool_close(pool);
    unsetenv("ANEMONE_HOST");
}

static void test_here(void **state)
{
    (void)state;
    an_host usual = an_host_here();
    fresh_files();
    setenv("ANEMONE_HOST", root, 1);
    assert_int_equal(an_host_here().way, AN_HOST_FILES);
    assert_string_equal(an_host_here().place, root);
    setenv("ANEMONE_HOST", library, 1);
    assert_int_equal(an_host_here().way, AN_HOST_FRAMEWORKS);
    setenv("ANEMONE_HOST", "/nowhere", 1);
    assert_int_equal(an_host_here().way, usual.way);
    unsetenv("ANEMONE_HOST");
}

/* Asked a second time at once, the answer is the first. */
static void test_watch(void **state)
{
    (void)state;
    an_host_watch watch = {.host = stub("thermal=1")};
    assert_int_equal(an_host_look(&watch).thermal, AN_THERMAL_FAIR);
    put("mac", "thermal=2");
    assert_int_equal(an_host_look(&watch).thermal, AN_THERMAL_FAIR);
    watch.asked -= 3;
    assert_int_equal(an_host_look(&watch).thermal, AN_THERMAL_SERIOUS);
}

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return an_dir_remove(root, NULL) == AN_OK ? 0 : -1;
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *slash = strrchr(argv[0], '/');
    snprintf(library, sizeof library, "%.*s/../libhost.so",
             slash ? (int)(slash - argv[0]) : 1, slash ? argv[0] : ".");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_unknown),
        cmocka_unit_test(test_battery_files),
        cmocka_unit_test(test_thermal_files),
        cmocka_unit_test(test_files_keep_nothing_awake),
        cmocka_unit_test(test_mac_facts),
        cmocka_unit_test(test_mac_state),
        cmocka_unit_test(test_mac_stays_awake),
        cmocka_unit_test(test_a_library_without_them),
        cmocka_unit_test(test_pool_of_a_mac),
        cmocka_unit_test(test_here),
        cmocka_unit_test(test_watch),
    };
    return cmocka_run_group_tests_name("host", tests, make_root, remove_root);
}
