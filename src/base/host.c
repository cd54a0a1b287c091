/* The machine, by whichever way it is asked; see host.h. */
#include "base/host.h"

#include "base/clock.h"
#include "base/host_ways.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const double look_seconds = 2;

an_host an_host_here(void)
{
    const char *place = getenv("ANEMONE_HOST");
    struct stat st;
    if (place && *place && stat(place, &st) == 0)
        return (an_host){
            S_ISDIR(st.st_mode) ? AN_HOST_FILES : AN_HOST_FRAMEWORKS, place};
#if defined(__APPLE__)
    return (an_host){AN_HOST_FRAMEWORKS, NULL};
#else
    return (an_host){AN_HOST_FILES, "/sys/class"};
#endif
}

bool an_host_find(an_host host, const char *image, const char *name, void *out)
{
    bool asked = host.way == AN_HOST_FRAMEWORKS;
    void *handle =
        asked ? dlopen(host.place ? host.place : image, RTLD_LAZY | RTLD_LOCAL)
              : NULL;
    void *at = handle ? dlsym(handle, name) : NULL;
    memcpy(out, &at, sizeof at);
    return at != NULL;
}

/* "m4" of "Apple M4 Pro". */
static void name_chip(an_host_facts *f)
{
    static const char family[] = "Apple M";
    const char *digits = f->processor + strlen(family);
    if (strncmp(f->processor, family, strlen(family)) != 0) return;
    int n = (int)strspn(digits, "0123456789");
    if (n > 0 && n < 4) snprintf(f->chip, sizeof f->chip, "m%.*s", n, digits);
}

an_host_facts an_host_get_facts(an_host host)
{
    an_host_facts facts = {0};
    long cores = sysconf(_SC_NPROCESSORS_ONLN), page = sysconf(_SC_PAGESIZE);
    long pages = sysconf(_SC_PHYS_PAGES);
    facts.cores = cores > 0 ? (int)cores : 1;
    facts.page_bytes = page > 0 ? (size_t)page : 4096;
    if (pages > 0) facts.memory_bytes = (uint64_t)pages * facts.page_bytes;
    if (host.way == AN_HOST_FRAMEWORKS)
        an_frameworks_facts(host, &facts);
    else
        an_files_facts(&facts);
    name_chip(&facts);
    return facts;
}

const char *an_power_name(an_power power)
{
    static const char *const names[] = {NULL, "mains", "battery"};
    return names[power];
}

const char *an_thermal_name(an_thermal thermal)
{
    static const char *const names[] = {NULL, "nominal", "fair", "serious",
                                        "critical"};
    return names[thermal];
}

an_host_state an_host_get_state(an_host host)
{
    an_host_state state = {.charge = -1};
    if (host.way == AN_HOST_FRAMEWORKS)
        an_frameworks_state(host, &state);
    else
        an_files_state(host, &state);
    return state;
}

an_host_state an_host_look(an_host_watch *watch)
{
    double now = an_clock();
    if (watch->asked > 0 && now - watch->asked < look_seconds)
        return watch->state;
    watch->asked = now;
    watch->state = an_host_get_state(watch->host);
    return watch->state;
}

void an_host_favour_thread(an_host host)
{
    if (host.way == AN_HOST_FRAMEWORKS) an_frameworks_favour_thread(host);
}

an_awake an_host_stay_awake(an_host host, const char *reason)
{
    an_awake awake = {.host = host};
    if (host.way == AN_HOST_FRAMEWORKS)
        awake.held = an_frameworks_stay_awake(host, reason, &awake.id);
    return awake;
}

void an_host_let_sleep(an_awake *awake)
{
    if (awake->held) an_frameworks_let_sleep(awake->host, awake->id);
    awake->held = false;
}
