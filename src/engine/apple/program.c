/*
 * Programs: what the text says of ports, what the loaded program says of their
 * strides, and the counts of compiles and of live objects.
 */
#include "engine/apple/apple.h"

#include "base/alloc.h"
#include "chip/check.h"

#include <string.h>

static an_framework *framework_of(const an_program *p)
{
    return ((an_apple *)p->engine)->fw;
}

/* ---- strides ---- */

static an_status fail_strides(const an_port *port, const an_symbol *s,
                              an_error *err)
{
    return an_fail(err, AN_EUNSUPPORTED,
                   "%s: the engine's strides are row %zu, plane %zu, %zu bytes "
                   "in all, where row %zu, plane %zu, %zu bytes were expected",
                   port->name, s->row_bytes, s->plane_bytes, s->size_bytes,
                   port->row_bytes, port->plane_bytes, port->size_bytes);
}

/* The loaded program's strides are the port's, if a tensor fits in them. */
static an_status take_strides(an_port *port, const an_symbol *s, an_error *err)
{
    const an_shape *shape = &port->shape;
    int64_t columns = 1, rows = 1;
    if (!s->row_bytes || !s->plane_bytes || !s->size_bytes) return AN_OK;
    if (shape->rank > 0) columns = shape->dims[shape->rank - 1];
    if (shape->rank > 1) rows = shape->dims[shape->rank - 2];
    size_t row = (size_t)columns * an_dtype_size(shape->dtype), plane, size;
    size_t planes = (size_t)(an_shape_count(shape) / (columns * rows));
    if (!an_mul_size(s->row_bytes, (size_t)rows, &plane) ||
        !an_mul_size(s->plane_bytes, planes, &size) || s->row_bytes < row ||
        s->plane_bytes < plane || s->size_bytes < size)
        return fail_strides(port, s, err);
    port->row_bytes = s->row_bytes;
    port->plane_bytes = s->plane_bytes;
    port->size_bytes = s->size_bytes;
    return AN_OK;
}

static an_status take_layout(an_program *p, const an_loaded *l, an_error *err)
{
    an_status s = AN_OK;
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < p->n_ports[side] && s == AN_OK; i++)
            s = take_strides(&p->ports[side][i], &l->symbols[side][i], err);
    return s;
}

/* ---- loading ---- */

static an_status load(an_program *p, an_load_way way, const an_blob *blobs,
                      int n_blobs, an_loaded **out, an_error *err)
{
    an_framework *fw = framework_of(p);
    an_loaded *l =
        an_loaded_new(fw, p->n_ports[AN_INPUT], p->n_ports[AN_OUTPUT]);
    an_loading *loading = an_alloc(sizeof *loading);
    an_status s = AN_OK;
    if (l && loading) {
        *loading =
            (an_loading){.out = l,
                         .way = way,
                         .ports = {p->ports[AN_INPUT], p->ports[AN_OUTPUT]}};
        s = an_handed_make(p, blobs, n_blobs,
                           fw->objc.present[AN_SEL_FILE_HASHES]
                               ? AN_WEIGHT_FILES_ONE
                               : AN_WEIGHT_FILES_ANY,
                           &loading->handed, err);
    } else {
        s = an_fail(err, AN_ENOMEM, "program: no memory");
    }
    if (s == AN_OK)
        s = an_worker_do(fw->worker,
                         way == AN_LOAD_COMPILED ? "compile" : "reload",
                         an_loaded_make, loading, err);
    if (s == AN_OK) *out = l;
    if (!an_worker_is_dead(fw->worker)) {
        if (s != AN_OK) an_loaded_free(l);
        if (loading) an_handed_free(&loading->handed);
        an_free(loading);
    }
    return s;
}

static void drop(an_loaded *l)
{
    an_framework *fw = l->fw;
    an_worker_do(fw->worker, "unload", an_loaded_drop, l, NULL);
    if (!an_worker_is_dead(fw->worker)) an_loaded_free(l);
}

/* ---- the interface ---- */

/* What the chip refuses, unless its compiler is to be asked. */
static an_status refuse(const an_program *p, const an_source *source,
                        an_error *err)
{
    const an_engine *e = p->engine;
    if (e->limits.rules != AN_RULES_REFUSE) return AN_OK;
    return an_rules_refuse(p->module, source->name ? source->name : "program",
                           e->chip->name, AN_CHECK_CHIP, AN_RULES_REFUSE, err);
}

an_status an_apple_compile(an_program *p, const an_source *source,
                           an_error *err)
{
    an_apple_program *a = (an_apple_program *)p;
    an_status s = an_program_parse(p, source, err);
    if (s == AN_OK) s = refuse(p, source, err);
    if (s == AN_OK) s = an_program_choose(p, source, err);
    if (s == AN_OK) s = an_program_lay_out(p, err);
    if (s == AN_OK)
        s = an_findings_allow(&framework_of(p)->found, p->ports, p->n_ports,
                              err);
    if (s == AN_OK) s = an_engine_take_compile(p->engine, err);
    if (s == AN_OK) s = an_engine_take_place(p->engine, err);
    a->counted = s == AN_OK;
    if (s != AN_OK) return s;
    s = load(p, AN_LOAD_COMPILED, source->blobs, source->n_blobs, &a->loaded,
             err);
    if (s == AN_OK) s = take_layout(p, a->loaded, err);
    if (s != AN_OK)
        an_fail_context(err, "%s", source->name ? source->name : "program");
    return s;
}

void an_apple_free_program(an_program *p)
{
    an_apple_program *a = (an_apple_program *)p;
    if (a->loaded) drop(a->loaded);
    if (a->counted) an_engine_give_place(p->engine);
}

an_status an_apple_reload(an_program *p, const an_blob *blobs, int n_blobs,
                          an_error *err)
{
    an_apple_program *a = (an_apple_program *)p;
    an_loaded *fresh = NULL;
    an_status s = an_findings_allow_reload(&framework_of(p)->found, err);
    if (s == AN_OK) s = an_engine_take_compile(p->engine, err);
    if (s != AN_OK) return s;
    s = load(p, AN_LOAD_ALONE, blobs, n_blobs, &fresh, err);
    if (s != AN_OK) return s;
    an_fence_wait(p->engine->pool, &p->fence, AN_WRITE, NULL);
    an_loaded *old = a->loaded;
    a->loaded = fresh;
    drop(old);
    return AN_OK;
}
