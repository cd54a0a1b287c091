/*
 * Loaded before a client by build/replica/run: dlopen of Apple's frameworks
 * and of its Objective-C runtime opens the replica, whose dependencies have
 * the rest. Everything else goes to the system's dlopen.
 *
 * ANEMONE_REPLICA_LIBRARY names the library (`run` sets it).
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* What a path must contain to be Apple's. A framework's path ends with its
 * name, with or without a version folder before it. */
static const char *const apples[] = {
    "/AppleNeuralEngine.framework/", "/IOSurface.framework/",
    "/Foundation.framework/",        "/CoreFoundation.framework/",
    "/usr/lib/libobjc.A.dylib",      "/usr/lib/libobjc.dylib",
};

static int is_apples(const char *path)
{
    for (size_t i = 0; path && i < sizeof apples / sizeof *apples; i++)
        if (strstr(path, apples[i])) return 1;
    return 0;
}

__attribute__((visibility("default"))) void *dlopen(const char *path, int mode)
{
    static void *(*next)(const char *, int);
    const char *library = getenv("ANEMONE_REPLICA_LIBRARY");
    if (!next) {
        void *found = dlsym(RTLD_NEXT, "dlopen");
        memcpy(&next, &found, sizeof next);
    }
    return next(library && is_apples(path) ? library : path, mode);
}
