/*
 * The list of passes, and the end of it: large constants move to a weight file
 * and the function is printed. An engine gets nothing but the result.
 */
#include "lower/lower.h"

#include "base/alloc.h"
#include "lower/rewrite.h"
#include "mil/blob.h"
#include "mil/op.h"

#include <stdio.h>

static const struct {
    const char *name;
    an_pass_fn *run;
} passes[] = {
    {"bake", an_pass_bake},
    {"pad_ports", an_pass_pad_ports},
    {"fold", an_pass_fold},
};

/* Constants of more elements than this go to the weight file. */
enum { INLINE_ELEMENTS = 16 };
#define BLOB_PATH "@model_path/weights/weight.bin"

typedef struct outline {
    an_blob_writer *blobs;
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
    l.path = (an_str){BLOB_PATH, sizeof BLOB_PATH - 1};
    r->map[v->id] = an_build_literal(r->b, v->name, &l);
    o->n_blobs++;
    return true;
}

/* f as "main" of `into`, ports in order, large constants in out's file. */
static an_status outline_constants(const an_function *f, an_module *into,
                                   an_lowered *out, an_error *err)
{
    outline o = {0};
    an_rewriter r = {.ctx = &o, .node = outline_node, .sort_ports = true};
    an_status s = an_blob_writer_new(&o.blobs, err);
    if (s == AN_OK) s = an_rewrite(f, into, "main", &r, err);
    if (s == AN_OK && o.n_blobs > 0) {
        s = an_blob_writer_take(o.blobs, &out->blob_data, &out->blob.size, err);
        o.blobs = NULL;
        out->blob.data = out->blob_data;
        out->blob.path = BLOB_PATH;
    }
    an_blob_writer_free(o.blobs);
    return s;
}

static an_status finish(const an_function *f, an_lowered *out, an_error *err)
{
    an_module *m = NULL;
    an_lowered l = {0};
    an_status s = an_module_new(&m, err);
    if (s == AN_OK) s = outline_constants(f, m, &l, err);
    if (s == AN_OK) s = an_mil_verify(m, "lower", err);
    if (s == AN_OK) s = an_mil_print(m, &l.text, &l.source.size, err);
    an_module_free(m);
    if (s != AN_OK) {
        an_lowered_free(&l);
        return s;
    }
    *out = l;
    out->source.text = out->text;
    out->source.name = "lowered program";
    out->source.function = "main";
    out->source.blobs = out->blob_data ? &out->blob : NULL;
    out->source.n_blobs = out->blob_data ? 1 : 0;
    return AN_OK;
}

an_status an_lower_function(const an_function *f, const an_lower_options *o,
                            an_lowered *out, an_error *err)
{
    an_module *stage = NULL;
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i < sizeof passes / sizeof *passes; i++) {
        an_module *next = NULL;
        s = an_module_new(&next, err);
        if (s == AN_OK) s = passes[i].run(f, next, "main", o, err);
        if (s == AN_OK) s = an_mil_verify(next, passes[i].name, err);
        an_module_free(stage);
        stage = next;
        if (s == AN_OK) f = an_module_function(stage, "main");
    }
    if (s == AN_OK) s = finish(f, out, err);
    an_module_free(stage);
    return s;
}

void an_lowered_free(an_lowered *l)
{
    an_text_free(l->text);
    an_free(l->blob_data);
    *l = (an_lowered){0};
}
