/*
 * Binding. Apple's framework has no file (it is in the system's shared cache),
 * so it is opened, never looked for. Source: maderix/ANE, tmc/apple.
 */
#include "engine/apple/bind.h"

#include "engine/impl.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAMEWORK                                                              \
    "/System/Library/PrivateFrameworks/AppleNeuralEngine.framework/"           \
    "AppleNeuralEngine"

#if defined(__APPLE__)
#define REPLICA_FILE "libAppleNeuralEngine.dylib"
#else
#define REPLICA_FILE "libAppleNeuralEngine.so"
#endif

/* ---- opening ---- */

void an_objc_find(char *path, size_t size)
{
    const char *folder = getenv("ANEMONE_FRAMEWORKS");
    if (folder && *folder) {
        snprintf(path, size, "%s/" REPLICA_FILE, folder);
        return;
    }
    snprintf(path, size, "%s", FRAMEWORK);
#if !defined(__APPLE__)
    char self[400];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 1) return;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) *slash = '\0';
    snprintf(path, size, "%s/replica/" REPLICA_FILE, self);
#endif
}

bool an_apple_is_own(void)
{
#if defined(__APPLE__)
    const char *folder = getenv("ANEMONE_FRAMEWORKS");
    return !folder || !*folder;
#else
    return false;
#endif
}

static an_status open_image(an_objc *o, const char *path, an_error *err)
{
    void *image = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!image) {
        const char *why = dlerror();
        return an_fail(err, AN_EUNSUPPORTED,
                       "engine apple cannot be opened: %.300s",
                       why ? why : path);
    }
    o->images[o->n_images++] = image;
    return AN_OK;
}

void *an_objc_symbol(const an_objc *o, const char *name)
{
    for (int i = 0; i < o->n_images; i++) {
        void *at = dlsym(o->images[i], name);
        if (at) return at;
    }
    return NULL;
}

/* A function pointer in C's terms; `out` is a pointer to one. */
static bool find(const an_objc *o, const char *name, void *out)
{
    void *at = an_objc_symbol(o, name);
    memcpy(out, &at, sizeof at);
    return at != NULL;
}

static an_status bind_functions(an_objc *o, an_error *err)
{
    const struct {
        const char *name;
        void *out;
        bool needed;
    } functions[] = {
        {"objc_getClass", &o->get_class, true},
        {"sel_registerName", &o->register_name, true},
        {"object_getClass", &o->class_of, false},
        {"class_respondsToSelector", &o->responds, true},
        {"class_getClassMethod", &o->class_method, true},
        {"class_getInstanceMethod", &o->instance_method, true},
        {"method_getTypeEncoding", &o->encoding, true},
        {"IOSurfaceCreate", &o->surface_create, true},
        {"IOSurfaceLock", &o->surface_lock, true},
        {"IOSurfaceUnlock", &o->surface_unlock, true},
        {"IOSurfaceGetBaseAddress", &o->surface_base, true},
        {"IOSurfaceGetAllocSize", &o->surface_bytes, true},
        {"CFRelease", &o->cf_release, true},
        {"objc_msg_lookup", &o->lookup, false},
        {"objc_msgSend", &o->send, false},
        {"NSTemporaryDirectory", &o->temporary_folder, true},
        {"NSSetUncaughtExceptionHandler", &o->set_handler, false},
        {"GSRegisterCurrentThread", &o->enter_thread, false},
        {"GSUnregisterCurrentThread", &o->leave_thread, false},
        {"an_replica_configure", &o->configure, false},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!find(o, functions[i].name, functions[i].out) &&
            functions[i].needed)
            return an_fail(err, AN_EUNSUPPORTED,
                           "engine apple: function %s is missing",
                           functions[i].name);
    if (!o->lookup && !o->send)
        return an_fail(
            err, AN_EUNSUPPORTED,
            "engine apple: neither objc_msgSend nor objc_msg_lookup");
    o->replica = o->configure != NULL;
    return AN_OK;
}

an_status an_objc_open(an_objc *o, an_error *err)
{
    an_status s = AN_OK;
    an_objc_find(o->path, sizeof o->path);
#if defined(__APPLE__)
    s = open_image(
        o, "/System/Library/Frameworks/Foundation.framework/Foundation", err);
    if (s == AN_OK)
        s = open_image(
            o, "/System/Library/Frameworks/IOSurface.framework/IOSurface", err);
#endif
    if (s == AN_OK) s = open_image(o, o->path, err);
    return s == AN_OK ? bind_functions(o, err) : s;
}

/* ---- the table ---- */

static an_status fail_row(const an_name_row *row, const char *what,
                          an_error *err)
{
    return an_fail(err, AN_EUNSUPPORTED,
                   "engine apple: %c[%s %s] %.200s (known since: %s)",
                   row->kind, row->class_name, row->selector, what, row->since);
}

static void note(an_objc *o, const an_name_row *row, const char *types)
{
    size_t used = strlen(o->notes);
    if (used + 80 < sizeof o->notes)
        snprintf(o->notes + used, sizeof o->notes - used, "%s%s: %.40s",
                 used ? "; " : "", row->selector, types);
}

an_row_state an_objc_row(const an_objc *o, an_name name, const char **types)
{
    const an_name_row *row = &an_names[name];
    void *class_ = o->get_class(row->class_name), *method = NULL;
    void *selector = o->register_name(row->selector);
    *types = "";
    if (!class_) return AN_ROW_NO_CLASS;
    method = row->kind == '+' ? o->class_method(class_, selector)
                              : o->instance_method(class_, selector);
    if (!method) return AN_ROW_MISSING;
    const char *theirs = o->encoding(method);
    *types = theirs ? theirs : "none";
    switch (an_types_compare(row->types, *types)) {
    case AN_TYPES_SAME:
        return AN_ROW_HOLDS;
    case AN_TYPES_HARMLESS:
        return AN_ROW_HARMLESS;
    default:
        return AN_ROW_DIFFERS;
    }
}

/* A row that is wanted, not needed, may lack. */
static an_status check_row(an_objc *o, an_name name, an_error *err)
{
    const an_name_row *row = &an_names[name];
    const char *types;
    char what[200];
    an_row_state state = an_objc_row(o, name, &types);
    o->present[name] = state == AN_ROW_HOLDS || state == AN_ROW_HARMLESS;
    if (state == AN_ROW_HARMLESS) note(o, row, types);
    if (o->present[name]) {
        o->classes[name] = o->get_class(row->class_name);
        o->selectors[name] = o->register_name(row->selector);
        return AN_OK;
    }
    if (row->need == AN_NAME_WANT) return AN_OK;
    snprintf(what, sizeof what, "has types %.80s, expected %.80s", types,
             row->types);
    return fail_row(row,
                    state == AN_ROW_NO_CLASS  ? "has no class"
                    : state == AN_ROW_MISSING ? "is missing"
                                              : what,
                    err);
}

an_status an_objc_check(an_objc *o, an_error *err)
{
    an_status s = AN_OK;
    for (int i = 0; i < AN_N_NAMES; i++) {
        an_status row = check_row(o, (an_name)i, err);
        if (s == AN_OK) s = row;
    }
    return s;
}

/* In GNU's runtime this is no function: an object begins with its class. */
void *an_objc_class_of(const an_objc *o, void *object)
{
    void *class_ = NULL;
    if (o->class_of) return o->class_of(object);
    memcpy(&class_, object, sizeof class_);
    return class_;
}

an_code *an_objc_method(const an_objc *o, an_name name, void *self)
{
    void *selector = o->selectors[name];
    if (!self || !o->present[name] ||
        !o->responds(an_objc_class_of(o, self), selector))
        return NULL;
    return o->lookup ? o->lookup(self, selector) : o->send;
}

/* ---- pools ---- */

void *an_pool_push(const an_objc *o)
{
    void *pool = an_send(o, AN_SEL_POOL_ALLOC, o->classes[AN_SEL_POOL_ALLOC]);
    return an_send(o, AN_SEL_POOL_INIT, pool);
}

void an_pool_pop(const an_objc *o, void *pool)
{
    an_send_void(o, AN_SEL_POOL_END, pool);
}

/* ---- sending ---- */

void *an_send(const an_objc *o, an_name name, void *self)
{
    an_code *m = an_objc_method(o, name, self);
    return m ? ((void *(*)(void *, void *))m)(self, o->selectors[name]) : NULL;
}

void *an_send_p(const an_objc *o, an_name name, void *self, const void *a)
{
    an_code *m = an_objc_method(o, name, self);
    return m ? ((void *(*)(void *, void *, const void *))m)(
                   self, o->selectors[name], a)
             : NULL;
}

void *an_send_pp(const an_objc *o, an_name name, void *self, void *a, void *b)
{
    an_code *m = an_objc_method(o, name, self);
    return m ? ((void *(*)(void *, void *, void *, void *))m)(
                   self, o->selectors[name], a, b)
             : NULL;
}

void *an_send_ppp(const an_objc *o, an_name name, void *self, void *a, void *b,
                  void *c)
{
    an_code *m = an_objc_method(o, name, self);
    return m ? ((void *(*)(void *, void *, void *, void *, void *))m)(
                   self, o->selectors[name], a, b, c)
             : NULL;
}

void *an_send_p7(const an_objc *o, an_name name, void *self,
                 void *const args[7])
{
    an_code *m = an_objc_method(o, name, self);
    return m ? ((void *(*)(void *, void *, void *, void *, void *, void *,
                           void *, void *, void *))m)(
                   self, o->selectors[name], args[0], args[1], args[2], args[3],
                   args[4], args[5], args[6])
             : NULL;
}

void *an_send_pu(const an_objc *o, an_name name, void *self, const void *a,
                 size_t n)
{
    an_code *m = an_objc_method(o, name, self);
    return m ? ((void *(*)(void *, void *, const void *, size_t))m)(
                   self, o->selectors[name], a, n)
             : NULL;
}

void *an_send_ppu(const an_objc *o, an_name name, void *self, void *const *a,
                  void *const *b, size_t n)
{
    an_code *m = an_objc_method(o, name, self);
    return m ? ((void *(*)(void *, void *, void *const *, void *const *,
                           size_t))m)(self, o->selectors[name], a, b, n)
             : NULL;
}

void *an_send_u(const an_objc *o, an_name name, void *self, size_t n)
{
    an_code *m = an_objc_method(o, name, self);
    return m ? ((void *(*)(void *, void *, size_t))m)(self, o->selectors[name],
                                                      n)
             : NULL;
}

void *an_send_number(const an_objc *o, an_name name, void *self, long long n)
{
    an_code *m = an_objc_method(o, name, self);
    return m ? ((void *(*)(void *, void *, long long))m)(self,
                                                         o->selectors[name], n)
             : NULL;
}

void an_send_void(const an_objc *o, an_name name, void *self)
{
    an_code *m = an_objc_method(o, name, self);
    if (m) ((void (*)(void *, void *))m)(self, o->selectors[name]);
}

void an_send_void_p(const an_objc *o, an_name name, void *self, void *a)
{
    an_code *m = an_objc_method(o, name, self);
    if (m) ((void (*)(void *, void *, void *))m)(self, o->selectors[name], a);
}

bool an_send_bool(const an_objc *o, an_name name, void *self)
{
    an_code *m = an_objc_method(o, name, self);
    return m && ((bool (*)(void *, void *))m)(self, o->selectors[name]);
}

bool an_send_bool_p(const an_objc *o, an_name name, void *self, void *a)
{
    an_code *m = an_objc_method(o, name, self);
    return m &&
           ((bool (*)(void *, void *, void *))m)(self, o->selectors[name], a);
}

long long an_send_long(const an_objc *o, an_name name, void *self)
{
    an_code *m = an_objc_method(o, name, self);
    return m ? ((long long (*)(void *, void *))m)(self, o->selectors[name]) : 0;
}

unsigned an_send_int(const an_objc *o, an_name name, void *self)
{
    an_code *m = an_objc_method(o, name, self);
    return m ? ((unsigned (*)(void *, void *))m)(self, o->selectors[name]) : 0;
}

bool an_send_qos(const an_objc *o, an_name name, void *self, unsigned qos,
                 void *options, void **error)
{
    an_code *m = an_objc_method(o, name, self);
    return m && ((bool (*)(void *, void *, unsigned, void *, void **))m)(
                    self, o->selectors[name], qos, options, error);
}

bool an_send_evaluate(const an_objc *o, void *self, unsigned qos, void *options,
                      void *request, void **error)
{
    an_code *m = an_objc_method(o, AN_SEL_EVALUATE, self);
    return m && ((bool (*)(void *, void *, unsigned, void *, void *,
                           void **))m)(self, o->selectors[AN_SEL_EVALUATE], qos,
                                       options, request, error);
}

bool an_send_direct(const an_objc *o, void *self, void *model, void *options,
                    void *request, unsigned qos, void **error)
{
    an_code *m = an_objc_method(o, AN_SEL_DIRECT, self);
    return m && ((bool (*)(void *, void *, void *, void *, void *, unsigned,
                           void **))m)(self, o->selectors[AN_SEL_DIRECT], model,
                                       options, request, qos, error);
}

bool an_send_unload(const an_objc *o, void *self, unsigned qos, void **error)
{
    an_code *m = an_objc_method(o, AN_SEL_UNLOAD, self);
    return m && ((bool (*)(void *, void *, unsigned, void **))m)(
                    self, o->selectors[AN_SEL_UNLOAD], qos, error);
}
