/*
 * A framework that is not as the apple engine wants it, for the refusals of
 * its opening: the functions of the runtime over the engine's own table.
 * ODD_LACKS names classes or selectors, with commas behind each, that are
 * missing; ODD_TYPES a selector whose types differ. Every message answers nil.
 */
#include "engine/apple/names.h"

#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static const char *const types[] = {
#define AN_NAME(id, class, kind, selector, types, need, since) types,
#include "engine/apple/names.def"
#undef AN_NAME
};
static const char *const selectors[] = {
#define AN_NAME(id, class, kind, selector, types, need, since) selector,
#include "engine/apple/names.def"
#undef AN_NAME
};

static int is_listed(const char *variable, const char *name)
{
    const char *list = getenv(variable);
    size_t n = strlen(name);
    while (list && (list = strstr(list, name)) != NULL) {
        if (list[n] == ',') return 1;
        list += n;
    }
    return 0;
}

/* Classes and selectors are their names. */
EXPORT const char *objc_getClass(const char *name);
const char *objc_getClass(const char *name)
{
    return is_listed("ODD_LACKS", name) ? NULL : name;
}

EXPORT const char *sel_registerName(const char *name);
const char *sel_registerName(const char *name)
{
    return name;
}

/* A method is its types. */
EXPORT const char *class_getClassMethod(void *class_, const char *selector);
const char *class_getClassMethod(void *class_, const char *selector)
{
    (void)class_;
    if (is_listed("ODD_LACKS", selector)) return NULL;
    if (is_listed("ODD_TYPES", selector)) return "{odd=dd}16@0:8";
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++)
        if (strcmp(selectors[i], selector) == 0) return types[i];
    return NULL;
}

EXPORT const char *class_getInstanceMethod(void *class_, const char *selector);
const char *class_getInstanceMethod(void *class_, const char *selector)
{
    return class_getClassMethod(class_, selector);
}

EXPORT const char *method_getTypeEncoding(const char *method);
const char *method_getTypeEncoding(const char *method)
{
    return method;
}

static void *answer(void)
{
    return NULL;
}

/* What is only looked for, or is a message and answers nil. */
#define NIL(name)                                                              \
    EXPORT void *name(void);                                                   \
    void *name(void)                                                           \
    {                                                                          \
        return answer();                                                       \
    }
NIL(class_respondsToSelector)
NIL(object_getClass)
NIL(IOSurfaceCreate)
NIL(IOSurfaceLock)
NIL(IOSurfaceUnlock)
NIL(IOSurfaceGetBaseAddress)
NIL(IOSurfaceGetAllocSize)
NIL(CFRelease)
NIL(NSTemporaryDirectory)
#ifndef ODD_NO_SEND
NIL(objc_msgSend)
#endif
