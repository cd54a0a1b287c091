/*
 * The machine as macOS tells it. Nothing is linked: each function is found at
 * run time, and what is absent is not told. Core Foundation's rule of names
 * says who releases: what a Create or Copy returned is ours, what a Get
 * returned is not.
 *
 * Sources: sysctl(3) and its names of Apple silicon; pthread/qos.h
 * (QOS_CLASS_USER_INITIATED is 0x19); IOPMLib.h, IOPowerSources.h, IOPSKeys.h;
 * notify(3) with libkern/OSThermalNotification.h, whose levels on macOS are 0
 * nominal, 1 moderate, 2 heavy, 3 trapping, 4 sleeping. Not run on a Mac.
 */
#include "base/host_ways.h"

#include <string.h>

enum {
    USER_INITIATED = 0x19,
    ASSERTION_ON = 255,
    UTF8 = 0x08000100,
    NUMBER_IS_INT = 9, /* kCFNumberIntType */
};

static const char libsystem[] = "/usr/lib/libSystem.B.dylib";
static const char iokit[] = "/System/Library/Frameworks/IOKit.framework/IOKit";
static const char foundation[] =
    "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation";

/* ---- facts ---- */

typedef int sysctl_fn(const char *name, void *out, size_t *size, void *new_data,
                      size_t new_size);

void an_frameworks_facts(an_host host, an_host_facts *out)
{
    sysctl_fn *read = NULL;
    if (!an_host_find(host, libsystem, "sysctlbyname", &read)) return;
    size_t size = sizeof out->processor - 1;
    if (read("machdep.cpu.brand_string", out->processor, &size, NULL, 0) != 0)
        out->processor[0] = '\0';
    int cores = 0;
    size = sizeof cores;
    if (read("hw.perflevel0.physicalcpu", &cores, &size, NULL, 0) == 0 &&
        cores > 0)
        out->performance_cores = cores;
    uint64_t memory = 0;
    size = sizeof memory;
    if (read("hw.memsize", &memory, &size, NULL, 0) == 0 && memory > 0)
        out->memory_bytes = memory;
}

/* ---- Core Foundation ---- */

typedef const void *object; /* a CFTypeRef */

typedef struct foundation_functions {
    object (*string)(object allocator, const char *text, uint32_t encoding);
    unsigned char (*text)(object string, char *out, long size,
                          uint32_t encoding);
    object (*value)(object dictionary, object key);
    unsigned char (*number)(object number, long type, void *out);
    long (*count)(object array);
    object (*at)(object array, long i);
    void (*release)(object o);
} foundation_functions;

static bool find_foundation(an_host host, foundation_functions *f)
{
    return an_host_find(host, foundation, "CFStringCreateWithCString",
                        &f->string) &&
           an_host_find(host, foundation, "CFStringGetCString", &f->text) &&
           an_host_find(host, foundation, "CFDictionaryGetValue", &f->value) &&
           an_host_find(host, foundation, "CFNumberGetValue", &f->number) &&
           an_host_find(host, foundation, "CFArrayGetCount", &f->count) &&
           an_host_find(host, foundation, "CFArrayGetValueAtIndex", &f->at) &&
           an_host_find(host, foundation, "CFRelease", &f->release);
}

/* Borrowed from the dictionary; NULL: it has no such key. */
static object look_up(const foundation_functions *f, object dictionary,
                      const char *name)
{
    object key = f->string(NULL, name, UTF8);
    if (!key) return NULL;
    object value = f->value(dictionary, key);
    f->release(key);
    return value;
}

static bool is_text(const foundation_functions *f, object string,
                    const char *wanted)
{
    char text[64];
    return string && f->text(string, text, sizeof text, UTF8) &&
           strcmp(text, wanted) == 0;
}

static bool get_int(const foundation_functions *f, object dictionary,
                    const char *name, int *out)
{
    object number = look_up(f, dictionary, name);
    return number && f->number(number, NUMBER_IS_INT, out);
}

/* ---- state ---- */

typedef struct power_functions {
    object (*copy_info)(void);
    object (*copy_list)(object info);
    object (*providing)(object info);
    object (*description)(object info, object source);
} power_functions;

static bool find_power(an_host host, power_functions *p)
{
    return an_host_find(host, iokit, "IOPSCopyPowerSourcesInfo",
                        &p->copy_info) &&
           an_host_find(host, iokit, "IOPSCopyPowerSourcesList",
                        &p->copy_list) &&
           an_host_find(host, iokit, "IOPSGetProvidingPowerSourceType",
                        &p->providing) &&
           an_host_find(host, iokit, "IOPSGetPowerSourceDescription",
                        &p->description);
}

/* Of the first battery that is built in; mice have batteries too. */
static int charge_of(const foundation_functions *f, const power_functions *p,
                     object info, object list)
{
    for (long i = 0, n = f->count(list); i < n; i++) {
        object source = p->description(info, f->at(list, i));
        int now, most;
        if (source &&
            is_text(f, look_up(f, source, "Type"), "InternalBattery") &&
            get_int(f, source, "Current Capacity", &now) &&
            get_int(f, source, "Max Capacity", &most) && most > 0 && now >= 0)
            return (int)(100.0 * now / most + 0.5);
    }
    return -1;
}

static void read_power(an_host host, an_host_state *out)
{
    foundation_functions f;
    power_functions p;
    if (!find_foundation(host, &f) || !find_power(host, &p)) return;
    object info = p.copy_info();
    if (!info) return;
    object from = p.providing(info);
    if (is_text(&f, from, "AC Power")) out->power = AN_POWER_MAINS;
    if (is_text(&f, from, "Battery Power") || is_text(&f, from, "UPS Power"))
        out->power = AN_POWER_BATTERY;
    object list = p.copy_list(info);
    if (list) {
        out->charge = charge_of(&f, &p, info, list);
        f.release(list);
    }
    f.release(info);
}

static void read_thermal(an_host host, an_host_state *out)
{
    static const an_thermal steps[] = {AN_THERMAL_NOMINAL, AN_THERMAL_FAIR,
                                       AN_THERMAL_SERIOUS, AN_THERMAL_CRITICAL,
                                       AN_THERMAL_CRITICAL};
    uint32_t (*start)(const char *, int *), (*get)(int, uint64_t *),
        (*cancel)(int);
    int token = 0;
    uint64_t level = 0;
    if (!an_host_find(host, libsystem, "notify_register_check", &start) ||
        !an_host_find(host, libsystem, "notify_get_state", &get) ||
        !an_host_find(host, libsystem, "notify_cancel", &cancel) ||
        start("com.apple.system.thermalpressurelevel", &token) != 0)
        return;
    if (get(token, &level) == 0 && level < sizeof steps / sizeof *steps)
        out->thermal = steps[level];
    cancel(token);
}

void an_frameworks_state(an_host host, an_host_state *out)
{
    read_power(host, out);
    read_thermal(host, out);
}

/* ---- what is asked for ---- */

void an_frameworks_favour_thread(an_host host)
{
    int (*set)(unsigned quality, int relative);
    if (an_host_find(host, libsystem, "pthread_set_qos_class_self_np", &set))
        set(USER_INITIATED, 0);
}

bool an_frameworks_stay_awake(an_host host, const char *reason, uint32_t *id)
{
    foundation_functions f;
    int (*create)(object, uint32_t, object, uint32_t *);
    if (!find_foundation(host, &f) ||
        !an_host_find(host, iokit, "IOPMAssertionCreateWithName", &create))
        return false;
    object type = f.string(NULL, "PreventUserIdleSystemSleep", UTF8);
    object name = f.string(NULL, reason, UTF8);
    bool held = type && name && create(type, ASSERTION_ON, name, id) == 0;
    if (type) f.release(type);
    if (name) f.release(name);
    return held;
}

void an_frameworks_let_sleep(an_host host, uint32_t id)
{
    int (*release)(uint32_t);
    if (an_host_find(host, iokit, "IOPMAssertionRelease", &release))
        release(id);
}
