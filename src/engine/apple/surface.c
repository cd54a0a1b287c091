/*
 * Surfaces: an IOSurface in the flat form that every client uses (width = n
 * bytes, one row), and the framework's object around it. Not smaller than what
 * mechramc/Orion claims to be the least, 48 KB, and whole pages of 16 KB; more
 * bytes than a program needs do no harm (mechramc/Orion).
 */
#include "engine/apple/apple.h"
#include "engine/apple/values.h"

#include "base/alloc.h"

enum { PAGE_BYTES = 16384, LEAST_BYTES = 49152, LOCK_READ_ONLY = 1 };

typedef struct apple_surface {
    an_framework *fw;
    size_t bytes;
    void *surface, *object;
} apple_surface;

static void *properties(const an_objc *o, size_t bytes)
{
    static const char *const names[] = {
        "IOSurfaceWidth",       "IOSurfaceHeight",
        "IOSurfaceBytesPerRow", "IOSurfaceBytesPerElement",
        "IOSurfaceAllocSize",   "IOSurfacePixelFormat"};
    const size_t numbers[] = {bytes, 1, bytes, 1, bytes, 0};
    enum { N = sizeof names / sizeof *names };
    void *keys[N], *values[N];
    for (int i = 0; i < N; i++) {
        keys[i] = an_ns_string(o, names[i]);
        values[i] = an_ns_number(o, (long long)numbers[i]);
        if (!keys[i] || !values[i]) return NULL;
    }
    return an_ns_dictionary(o, values, keys, N);
}

/* All surfaces together are not more than memory. */
static an_status check_memory(const an_framework *fw, size_t bytes,
                              an_error *err)
{
    double needed = (double)fw->surface_bytes + (double)bytes;
    if (fw->memory_bytes <= 0 || needed <= fw->memory_bytes) return AN_OK;
    return an_fail(err, AN_ENOMEM,
                   "surface of %.1f MB: %.1f MB are needed for all, memory has "
                   "%.1f MB",
                   (double)bytes / 1e6, needed / 1e6, fw->memory_bytes / 1e6);
}

static an_status create(apple_surface *a, an_error *err)
{
    an_framework *fw = a->fw;
    const an_objc *o = &fw->objc;
    an_status s = check_memory(fw, a->bytes, err);
    if (s != AN_OK) return s;
    void *about = properties(o, a->bytes);
    if (about) a->surface = o->surface_create(about);
    if (a->surface)
        a->object = an_send(o, AN_SEL_RETAIN,
                            an_send_p(o, AN_SEL_SURFACE,
                                      o->classes[AN_SEL_SURFACE], a->surface));
    if (!a->object) {
        if (a->surface) o->cf_release(a->surface);
        return an_fail(err, AN_ENOMEM,
                       "surface: the system gave none of %zu bytes", a->bytes);
    }
    fw->surface_bytes += a->bytes;
    return AN_OK;
}

static an_status create_in_pool(void *surface, an_error *err)
{
    apple_surface *a = surface;
    void *pool = an_pool_push(&a->fw->objc);
    an_status s = create(a, err);
    an_pool_pop(&a->fw->objc, pool);
    return s;
}

static an_status release(void *surface, an_error *err)
{
    (void)err;
    apple_surface *a = surface;
    const an_objc *o = &a->fw->objc;
    void *pool = an_pool_push(o);
    an_send_void(o, AN_SEL_RELEASE, a->object);
    o->cf_release(a->surface);
    a->fw->surface_bytes -= a->bytes;
    an_pool_pop(o, pool);
    return AN_OK;
}

an_status an_apple_make_surface(an_surface *s, an_error *err)
{
    an_framework *fw = ((an_apple *)s->engine)->fw;
    if (s->size_bytes > SIZE_MAX / 4)
        return an_fail(err, AN_ENOMEM, "surface: %zu bytes", s->size_bytes);
    apple_surface *a = an_alloc(sizeof *a);
    if (!a) return an_fail(err, AN_ENOMEM, "surface: no memory");
    a->fw = fw;
    a->bytes = (s->size_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    if (a->bytes < LEAST_BYTES) a->bytes = LEAST_BYTES;
    an_status status =
        an_worker_do(fw->worker, "surface", create_in_pool, a, err);
    if (status != AN_OK) {
        if (!an_worker_is_dead(fw->worker)) an_free(a);
        return status;
    }
    s->owned = a;
    s->data = fw->objc.surface_base(a->surface);
    return AN_OK;
}

void an_apple_free_surface(an_surface *s)
{
    apple_surface *a = s->owned;
    an_worker *worker = a->fw->worker;
    an_worker_do(worker, "surface", release, a, NULL);
    if (!an_worker_is_dead(worker)) an_free(a); /* else leaked on purpose */
}

an_status an_apple_lock_surface(an_surface *s, an_lock_mode mode, an_error *err)
{
    const apple_surface *a = s->owned;
    if (!a) return AN_OK; /* wrapped memory */
    int failed = a->fw->objc.surface_lock(
        a->surface, mode == AN_LOCK_READ ? LOCK_READ_ONLY : 0, NULL);
    if (!failed) return AN_OK;
    return an_fail(err, AN_EENGINE, "surface: IOSurfaceLock answers %d",
                   failed);
}

void an_apple_unlock_surface(an_surface *s, an_lock_mode mode)
{
    const apple_surface *a = s->owned;
    if (a)
        a->fw->objc.surface_unlock(
            a->surface, mode == AN_LOCK_READ ? LOCK_READ_ONLY : 0, NULL);
}

void *an_apple_surface_object(const an_surface *s, const an_engine *e)
{
    return s->engine == e && s->owned
               ? ((const apple_surface *)s->owned)->object
               : NULL;
}
