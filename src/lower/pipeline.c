/*
 * The list of passes, and the end of it: large constants move to a weight file
 * and the function is printed. An engine gets nothing but the result.
 */
#include "lower/lower.h"

#include "base/alloc.h"
#include "lower/outline.h"

static const struct {
    const char *name;
    an_pass_fn *run;
} passes[] = {
    {"bake", an_pass_bake},
    {"pad_ports", an_pass_pad_ports},
    {"fold", an_pass_fold},
};

#define BLOB_PATH "@model_path/weights/weight.bin"

static an_status finish(const an_function *f, an_lowered *out, an_error *err)
{
    an_module *m = NULL;
    an_lowered l = {0};
    an_status s = an_module_new(&m, err);
    if (s == AN_OK)
        s = an_outline(f, m, BLOB_PATH, &l.blob_data, &l.blob.size, err);
    if (s == AN_OK) s = an_mil_verify(m, "lower", err);
    if (s == AN_OK) s = an_mil_print(m, &l.text, &l.source.size, err);
    an_module_free(m);
    if (s != AN_OK) {
        an_lowered_free(&l);
        return s;
    }
    *out = l;
    out->blob.path = BLOB_PATH;
    out->blob.data = out->blob_data;
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
        if (s == AN_OK)
            s = an_dump_function(o->dump, passes[i].name, o->program, f, err);
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
