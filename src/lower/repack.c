/*
 * A copy of the function in which each constant that names a record names its
 * copy in the new file.
 */
#include "lower/repack.h"

#include "base/alloc.h"
#include "lower/rewrite.h"
#include "mil/blob.h"

#include <string.h>

typedef struct repack {
    const an_blob *blobs;
    int n_blobs;
    an_blob_writer *writer;
    an_str path; /* of the new file */
    int n_records;
} repack;

static const an_blob *find_blob(const repack *p, const an_literal *l)
{
    for (int i = 0; i < p->n_blobs; i++)
        if (strcmp(p->blobs[i].path, l->path.text) == 0) return &p->blobs[i];
    return NULL;
}

static an_status copy_record(repack *p, const an_literal *from, an_literal *to,
                             an_error *err)
{
    const an_blob *b = find_blob(p, from);
    const an_dtype dtype = from->type->shape.dtype;
    const int64_t n = an_shape_count(&from->type->shape);
    an_blob_record record;
    if (!b)
        return an_fail(err, AN_EFORMAT, "there is no file %s", from->path.text);
    an_status s = an_blob_read(b->data, b->size, b->path, from->offset, dtype,
                               n, &record, err);
    if (s != AN_OK) return s;
    void *data = an_alloc_array((size_t)n + 1, an_dtype_size(dtype));
    if (!data) return an_fail(err, AN_ENOMEM, "repack: no memory");
    an_blob_unpack(&record, dtype, n, data);
    s = an_blob_writer_add(p->writer, dtype, n, data, &to->offset, err);
    an_free(data);
    return s;
}

/* Does an argument hold a record that is no constant's? */
static bool names_record(const an_operand *o)
{
    if (o->value)
        return !o->value->name && o->value->literal &&
               o->value->literal->kind == AN_LIT_BLOB;
    bool names = false;
    for (int i = 0; i < o->n; i++)
        names = names || names_record(&o->items[i]);
    return names;
}

static bool is_record(const an_node *n)
{
    const an_literal *l = n->n_results == 1 ? n->results[0]->literal : NULL;
    return l && l->kind == AN_LIT_BLOB;
}

static bool repack_node(an_rewriter *r, const an_node *n)
{
    repack *p = r->ctx;
    an_error err = {0};
    if (!is_record(n)) {
        for (int i = 0; i < n->n_args; i++)
            if (names_record(&n->args[i]))
                an_build_fail(r->b, AN_EUNSUPPORTED,
                              "%s names a record of a weight file itself",
                              n->n_results > 0 ? n->results[0]->name : "an op");
        return false;
    }
    const an_value *v = n->results[0];
    an_literal copy = *v->literal;
    copy.path = p->path;
    if (copy_record(p, v->literal, &copy, &err) != AN_OK)
        an_build_fail(r->b, err.code, "%s", err.text);
    else
        r->map[v->id] = an_build_literal(r->b, v->name, &copy);
    p->n_records++;
    return true;
}

an_status an_repack(const an_function *f, an_module *into, const char *path,
                    const an_blob *blobs, int n_blobs, void **data,
                    size_t *size, an_error *err)
{
    repack p = {
        .blobs = blobs, .n_blobs = n_blobs, .path = {path, strlen(path)}};
    an_rewriter r = {.ctx = &p, .node = repack_node};
    an_status s = an_blob_writer_new(&p.writer, err);
    if (s == AN_OK) s = an_rewrite(f, into, "main", &r, err);
    if (s == AN_OK && p.n_records > 0) {
        s = an_blob_writer_take(p.writer, data, size, err);
        p.writer = NULL;
    }
    an_blob_writer_free(p.writer);
    return s;
}
