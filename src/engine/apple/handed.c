/*
 * The framework takes a program of one function, and a system that verifies
 * files by their hashes one weight file: it writes all of them under the one
 * name "data", so that of several only the last would have its hash. Then the
 * text is parsed anew, its constants are pointed at one new file, and it is
 * printed. Source of the names: the strings of framework 382.11 (ipsw).
 */
#include "engine/apple/handed.h"

#include "base/alloc.h"
#include "mil/blob.h"

#include <string.h>

typedef struct merge {
    an_module *module;
    const an_blob *blobs;
    int n_blobs;
    an_blob_writer *writer;
} merge;

static const char merged_path[] = "@model_path/weights/weight.bin";

/* ---- one weight file ---- */

static const an_blob *find_blob(const merge *m, const an_literal *l)
{
    for (int i = 0; i < m->n_blobs; i++)
        if (strcmp(m->blobs[i].path, l->path.text) == 0) return &m->blobs[i];
    return NULL;
}

static an_status copy_record(const merge *m, const an_literal *from,
                             uint64_t *offset, an_error *err)
{
    const an_blob *b = find_blob(m, from);
    const an_dtype dtype = from->type->shape.dtype;
    const int64_t n = an_shape_count(&from->type->shape);
    an_blob_record record;
    if (!b)
        return an_fail(err, AN_EFORMAT, "there is no weight file %.200s",
                       from->path.text);
    an_status s = an_blob_read(b->data, b->size, b->path, from->offset, dtype,
                               n, &record, err);
    if (s != AN_OK) return s;
    void *data = an_alloc_array((size_t)n + 1, an_dtype_size(dtype));
    if (!data) return an_fail(err, AN_ENOMEM, "weight files: no memory");
    an_blob_unpack(&record, dtype, n, data);
    s = an_blob_writer_add(m->writer, dtype, n, data, offset, err);
    an_free(data);
    return s;
}

/* A constant or an inline literal that is a record: of the new file now. */
static an_status merge_value(const merge *m, an_value *v, an_error *err)
{
    const an_literal *from = v->literal;
    if (!from || from->kind != AN_LIT_BLOB || from->path.text == merged_path)
        return AN_OK;
    an_literal *to = an_arena_array(&m->module->arena, 1, sizeof *to);
    if (!to) return an_fail(err, AN_ENOMEM, "weight files: no memory");
    *to = *from;
    to->path = (an_str){merged_path, sizeof merged_path - 1};
    an_status s = copy_record(m, from, &to->offset, err);
    if (s == AN_OK) v->literal = to;
    return s;
}

/* The parser bounds the depth of tuples. */
static an_status merge_operand(const merge *m, const an_operand *o,
                               an_error *err)
{
    an_status s = AN_OK;
    if (o->value) return o->value->name ? s : merge_value(m, o->value, err);
    for (int i = 0; i < o->n && s == AN_OK; i++)
        if (o->items[i].value && !o->items[i].value->name)
            s = merge_value(m, o->items[i].value, err);
    return s;
}

static an_status merge_function(const merge *m, const an_function *f,
                                an_error *err)
{
    an_status s = AN_OK;
    for (int i = 0; i < f->n_nodes; i++) {
        const an_node *n = f->nodes[i];
        for (int k = 0; k < n->n_args && s == AN_OK; k++)
            s = merge_operand(m, &n->args[k], err);
        for (int k = 0; k < n->n_results && s == AN_OK; k++)
            s = merge_value(m, n->results[k], err);
    }
    return s;
}

static an_status merge_files(an_module *module, const an_function *f,
                             an_handed *h, an_error *err)
{
    merge m = {.module = module, .blobs = h->blobs, .n_blobs = h->n_blobs};
    an_status s = an_blob_writer_new(&m.writer, err);
    if (s == AN_OK) s = merge_function(&m, f, err);
    if (s == AN_OK) {
        h->own_blob.path = merged_path;
        s = an_blob_writer_take(m.writer, &h->own_data, &h->own_blob.size, err);
        m.writer = NULL;
        h->own_blob.data = h->own_data;
        h->blobs = &h->own_blob;
        h->n_blobs = 1;
    }
    an_blob_writer_free(m.writer);
    return s;
}

/* ---- the text ---- */

static an_status rewrite(const an_program *p, an_weight_files files,
                         an_handed *h, an_error *err)
{
    an_module *m = NULL;
    an_status s = an_mil_parse(p->text, p->text_size, "program", &m, err);
    if (s != AN_OK) return s;
    an_function *f = an_module_function(m, p->function->name);
    if (files == AN_WEIGHT_FILES_ONE && h->n_blobs > 1)
        s = merge_files(m, f, h, err);
    m->functions[0] = f;
    m->n_functions = 1;
    if (s == AN_OK) s = an_mil_print(m, &h->own_text, &h->size, err);
    h->text = h->own_text;
    an_module_free(m);
    return s;
}

an_status an_handed_make(const an_program *p, const an_blob *blobs, int n_blobs,
                         an_weight_files files, an_handed *out, an_error *err)
{
    *out = (an_handed){.text = p->text,
                       .size = p->text_size,
                       .blobs = blobs,
                       .n_blobs = n_blobs};
    if (p->module->n_functions == 1 &&
        (n_blobs <= 1 || files == AN_WEIGHT_FILES_ANY))
        return AN_OK;
    an_status s = rewrite(p, files, out, err);
    if (s != AN_OK) an_handed_free(out);
    return s;
}

void an_handed_free(an_handed *h)
{
    an_text_free(h->own_text);
    an_free(h->own_data);
    *h = (an_handed){0};
}
