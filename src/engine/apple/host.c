/*
 * Sources: pthread/qos.h (QOS_CLASS_USER_INITIATED is 0x19), IOPMLib.h, sysctl
 * names of the system's manual.
 */
#include "engine/apple/host.h"

#include <stdio.h>
#include <string.h>

#if defined(__APPLE__)
#include <dlfcn.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/sysctl.h>

enum { USER_INITIATED = 0x19, LEVEL_ON = 255, UTF8 = 0x08000100 };

static bool system_function(const char *image, const char *name, void *out)
{
    void *handle = dlopen(image, RTLD_LAZY);
    void *at = handle ? dlsym(handle, name) : NULL;
    memcpy(out, &at, sizeof at);
    return at != NULL;
}

bool an_host_chip(char *name, size_t size)
{
    char brand[128] = "";
    size_t n = sizeof brand - 1;
    int generation = 0;
    if (sysctlbyname("machdep.cpu.brand_string", brand, &n, NULL, 0) != 0)
        return false;
    if (sscanf(brand, "Apple M%d", &generation) != 1) return false;
    snprintf(name, size, "m%d", generation);
    return true;
}

void an_host_favour_thread(void)
{
    int (*set)(unsigned, int);
    if (system_function("/usr/lib/libSystem.B.dylib",
                        "pthread_set_qos_class_self_np", &set))
        set(USER_INITIATED, 0);
}

void an_host_stay_awake(void)
{
    static const char iokit[] =
        "/System/Library/Frameworks/IOKit.framework/IOKit";
    static const char cf[] = "/System/Library/Frameworks/"
                             "CoreFoundation.framework/CoreFoundation";
    const void *(*string)(const void *, const char *, uint32_t);
    int (*create)(const void *, uint32_t, const void *, uint32_t *);
    uint32_t assertion = 0;
    if (!system_function(cf, "CFStringCreateWithCString", &string) ||
        !system_function(iokit, "IOPMAssertionCreateWithName", &create))
        return;
    create(string(NULL, "PreventUserIdleSystemSleep", UTF8), LEVEL_ON,
           string(NULL, "anemone", UTF8), &assertion);
}

#else

bool an_host_chip(char *name, size_t size)
{
    (void)name, (void)size;
    return false;
}

void an_host_favour_thread(void)
{
}

void an_host_stay_awake(void)
{
}
#endif
