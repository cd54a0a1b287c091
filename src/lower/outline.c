/*
 * Outlining: a copy of the function whose large constants name records of a
 * weight file, which is written on the way.
 */
#include "lower/outline.h"

#include "lower/rewrite.h"
#include "mil/blob.h"
#include "mil/op.h"

#include <string.h>

/* Constants of more elements than this go to the weight file. */
enum { INLINE_ELEMENTS = 16 };

typedef struct outline {
    an_blob_writer *blobs;
    an_str path;
    int n_blobs;
} outline;

static bool goes_to_blob(const an_literal *l)
{
    return l->kind == AN_LIT_DATA && l->n > INLINE_ELEMENTS &&
           l->type->shape.dtype != AN_FP64; /* blobs have no fp64 */
}

static bool outline_node(an_rewriter *r, const an_node *n)
{
    outline *o = r->ctx;
    an_error err = {0};
    an_value *v = n->results[0];
    if (n->n_results != 1 || !v->literal || !goes_to_blob(v->literal))
        return false;
    an_literal l = *v->literal;
    if (an_blob_writer_add(o->blobs, l.type->shape.dtype, (int64_t)l.n, l.data,
                           &l.offset, &err) != AN_OK) {
        an_build_fail(r->b, err.code, "%s", err.text);
        return true;
    }
    l.kind = AN_LIT_BLOB;
    l.path = o->path;
    r->map[v->id] = an_build_literal(r->b, v->name, &l);
    o->n_blobs++;
    return true;
}

an_status an_outline(const an_function *f, an_module *into, const char *path,
                     void **data, size_t *size, an_error *err)
{
    outline o = {.path = {path, strlen(path)}};
    an_rewriter r = {.ctx = &o, .node = outline_node};
    an_status s = an_blob_writer_new(&o.blobs, err);
    if (s == AN_OK) s = an_rewrite(f, into, "main", &r, err);
    if (s == AN_OK && o.n_blobs > 0) {
        s = an_blob_writer_take(o.blobs, data, size, err);
        o.blobs = NULL;
    }
    an_blob_writer_free(o.blobs);
    return s;
}
