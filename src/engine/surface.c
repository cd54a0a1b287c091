/*
 * Surfaces: flat bytes with a fence. Locking waits on the fence, then asks the
 * kind of engine that made the bytes.
 */
#include "engine/impl.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

enum { PAGE_BYTES = 16384, WRAP_ALIGN = 64 };

static an_status make(an_engine *engine, void *data, size_t size_bytes,
                      an_surface **out, an_error *err)
{
    an_surface *s = an_alloc(sizeof *s);
    if (!s) return an_fail(err, AN_ENOMEM, "surface: no memory");
    s->engine = engine;
    s->data = data;
    s->size_bytes = size_bytes;
    *out = s;
    return AN_OK;
}

an_status an_surface_make_plain(an_surface *s, an_error *err)
{
    s->owned = s->data = an_alloc_aligned(PAGE_BYTES, s->size_bytes);
    if (s->data) return AN_OK;
    return an_fail(err, AN_ENOMEM, "surface: no memory for %zu bytes",
                   s->size_bytes);
}

void an_surface_free_plain(an_surface *s)
{
    an_free(s->owned);
}

an_status an_surface_new(an_engine *engine, size_t size_bytes, an_surface **out,
                         an_error *err)
{
    an_surface *surface = NULL;
    if (size_bytes == 0)
        return an_fail(err, AN_EINVAL, "surface: 0 bytes, expected 1 or more");
    an_status s = make(engine, NULL, size_bytes, &surface, err);
    if (s != AN_OK) return s;
    s = engine->kind->make_surface(surface, err);
    if (s == AN_OK)
        *out = surface;
    else
        an_free(surface);
    return s;
}

/* engines make surfaces of whole pages, memory of a caller may be less.
 */
static bool is_too_small(const an_engine *e, size_t size_bytes)
{
    return e->limits.rules != AN_RULES_OFF &&
           an_generation_find(e->chip->name) != 0 && size_bytes < PAGE_BYTES;
}

an_status an_surface_wrap(an_engine *engine, void *data, size_t size_bytes,
                          an_surface **out, an_error *err)
{
    if (!data || (uintptr_t)data % WRAP_ALIGN != 0)
        return an_fail(err, AN_EINVAL,
                       "surface: memory at %p, expected a multiple of %d", data,
                       WRAP_ALIGN);
    if (is_too_small(engine, size_bytes)) {
        char what[64];
        snprintf(what, sizeof what, "memory has %zu bytes", size_bytes);
        return an_rules_fail(an_rules_find("R-34"), "surface", what, err);
    }
    return make(engine, data, size_bytes, out, err);
}

void an_surface_free(an_surface *surface)
{
    if (!surface) return;
    an_fence_wait(surface->engine->pool, &surface->fence, AN_WRITE, NULL);
    if (surface->owned) surface->engine->kind->free_surface(surface);
    an_free(surface);
}

size_t an_surface_size(const an_surface *surface)
{
    return surface->size_bytes;
}

an_status an_surface_lock(an_surface *surface, an_lock_mode mode, void **data,
                          an_error *err)
{
    an_mode access = mode == AN_LOCK_READ ? AN_READ : AN_WRITE;
    an_status s =
        an_fence_wait(surface->engine->pool, &surface->fence, access, err);
    if (s == AN_OK && surface->owned)
        s = surface->engine->kind->lock_surface(surface, mode, err);
    if (s == AN_OK) *data = surface->data;
    return s;
}

void an_surface_unlock(an_surface *surface, an_lock_mode mode)
{
    if (surface->owned) surface->engine->kind->unlock_surface(surface, mode);
}

struct an_fence *an_surface_fence(an_surface *surface)
{
    return &surface->fence;
}

void *an_surface_data(an_surface *surface)
{
    return surface->data;
}

/* Copies rows between dense memory and a surface with the port's strides. */
static void copy_rows(const an_port *port, unsigned char *surface,
                      unsigned char *dense, an_lock_mode direction)
{
    const an_shape *s = &port->shape;
    int64_t columns = s->rank > 0 ? s->dims[s->rank - 1] : 1;
    int64_t rows = s->rank > 1 ? s->dims[s->rank - 2] : 1;
    int64_t planes = an_shape_count(s) / (columns * rows);
    size_t bytes = (size_t)columns * an_dtype_size(s->dtype);
    for (int64_t p = 0; p < planes; p++)
        for (int64_t r = 0; r < rows; r++, dense += bytes) {
            unsigned char *row = surface + (size_t)p * port->plane_bytes +
                                 (size_t)r * port->row_bytes;
            if (direction == AN_LOCK_WRITE)
                memcpy(row, dense, bytes);
            else
                memcpy(dense, row, bytes);
        }
}

static an_status transfer(an_surface *s, const an_port *port, void *dense,
                          an_lock_mode direction, an_error *err)
{
    if (s->size_bytes < port->size_bytes)
        return an_fail(err, AN_EINVAL,
                       "%s: surface has %zu bytes, expected %zu or more",
                       port->name, s->size_bytes, port->size_bytes);
    void *data;
    an_status status = an_surface_lock(s, direction, &data, err);
    if (status != AN_OK) return status;
    copy_rows(port, data, dense, direction);
    an_surface_unlock(s, direction);
    return AN_OK;
}

an_status an_surface_put(an_surface *s, const an_port *port, const void *dense,
                         an_error *err)
{
    union {
        const void *in;
        void *out;
    } memory = {.in = dense}; /* only read when writing the surface */
    return transfer(s, port, memory.out, AN_LOCK_WRITE, err);
}

an_status an_surface_take(an_surface *s, const an_port *port, void *dense,
                          an_error *err)
{
    return transfer(s, port, dense, AN_LOCK_READ, err);
}
