/*
 * The machine as Linux tells it: a folder for each power supply and each
 * thermal zone, a file of one line for each of its values.
 *
 * Sources: Documentation/ABI/testing/sysfs-class-power and sysfs-class-thermal
 * of the kernel: temperatures in thousandths of a degree; a trip point of type
 * passive is where the processor is slowed down, hot where it is told that
 * this will not do, critical where the machine is switched off.
 */
#include "base/host_ways.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, LINE_BYTES = 64, MAX_TRIPS = 32 };

/* First line of FOLDER/NAME; false: it cannot be read, or is empty. */
static bool read_line(const char *folder, const char *name,
                      char line[LINE_BYTES])
{
    char path[PATH_BYTES];
    int size = snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd =
        size > 0 && size < PATH_BYTES ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return false;
    ssize_t n = read(fd, line, LINE_BYTES - 1);
    close(fd);
    line[n > 0 ? n : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return line[0] != '\0';
}

static bool read_long(const char *folder, const char *name, long *out)
{
    char line[LINE_BYTES], *end;
    if (!read_line(folder, name, line)) return false;
    *out = strtol(line, &end, 10);
    return end != line && *end == '\0';
}

static bool is_line(const char *folder, const char *name, const char *wanted)
{
    char line[LINE_BYTES];
    return read_line(folder, name, line) && strcmp(line, wanted) == 0;
}

/* Calls `take` with each folder in PLACE/CLASS. */
static void each(an_host host, const char *class,
                 void (*take)(const char *folder, void *ctx), void *ctx)
{
    char path[PATH_BYTES];
    int size = snprintf(path, sizeof path, "%s/%s", host.place, class);
    DIR *dir = size > 0 && size < PATH_BYTES ? opendir(path) : NULL;
    const struct dirent *d;
    while (dir && (d = readdir(dir))) {
        char folder[PATH_BYTES];
        size = snprintf(folder, sizeof folder, "%s/%s", path, d->d_name);
        if (d->d_name[0] != '.' && size > 0 && size < PATH_BYTES)
            take(folder, ctx);
    }
    if (dir) closedir(dir);
}

/* ---- facts ---- */

/* "model name : ..." of /proc/cpuinfo, which arm64 lacks. */
void an_files_facts(an_host_facts *out)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "r");
    for (int i = 0; file && i < 64 && fgets(line, sizeof line, file); i++) {
        const char *name = strchr(line, ':');
        if (!name || strncmp(line, "model name", strlen("model name")) != 0)
            continue;
        name += 1 + strspn(name + 1, " \t");
        snprintf(out->processor, sizeof out->processor, "%.*s",
                 (int)strcspn(name, "\n"), name);
        break;
    }
    if (file) fclose(file);
}

/* ---- power ---- */

typedef struct supplies {
    bool mains, discharging, battery;
    int charge; /* the lowest; -1: none */
} supplies;

static void take_supply(const char *folder, void *ctx)
{
    supplies *s = ctx;
    long x;
    if (is_line(folder, "scope", "Device")) return; /* a mouse's */
    if (is_line(folder, "type", "Battery") || is_line(folder, "type", "UPS")) {
        s->battery = true;
        if (is_line(folder, "status", "Discharging")) s->discharging = true;
        if (read_long(folder, "capacity", &x) && x >= 0 && x <= 100 &&
            (s->charge < 0 || x < s->charge))
            s->charge = (int)x;
    } else if (read_long(folder, "online", &x) && x > 0) {
        s->mains = true;
    }
}

static void read_power(an_host host, an_host_state *out)
{
    supplies s = {.charge = -1};
    each(host, "power_supply", take_supply, &s);
    out->charge = s.charge;
    if (s.discharging && !s.mains)
        out->power = AN_POWER_BATTERY;
    else if (s.mains || s.battery)
        out->power = AN_POWER_MAINS;
}

/* ---- temperature ---- */

static an_thermal step_of(const char *trip)
{
    if (strcmp(trip, "passive") == 0) return AN_THERMAL_FAIR;
    if (strcmp(trip, "hot") == 0) return AN_THERMAL_SERIOUS;
    if (strcmp(trip, "critical") == 0) return AN_THERMAL_CRITICAL;
    return AN_THERMAL_UNKNOWN; /* "active": a fan's */
}

static void take_zone(const char *folder, void *ctx)
{
    an_thermal *highest = ctx;
    long temperature;
    if (!read_long(folder, "temp", &temperature)) return;
    for (int i = 0; i < MAX_TRIPS; i++) {
        char name[32], type[LINE_BYTES];
        long limit;
        snprintf(name, sizeof name, "trip_point_%d_type", i);
        if (!read_line(folder, name, type)) return;
        snprintf(name, sizeof name, "trip_point_%d_temp", i);
        an_thermal step = step_of(type);
        if (step == AN_THERMAL_UNKNOWN || !read_long(folder, name, &limit) ||
            limit <= 0) /* not set */
            continue;
        if (temperature < limit) step = AN_THERMAL_NOMINAL;
        if (step > *highest) *highest = step;
    }
}

void an_files_state(an_host host, an_host_state *out)
{
    read_power(host, out);
    each(host, "thermal", take_zone, &out->thermal);
}
