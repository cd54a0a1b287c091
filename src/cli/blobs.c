/*
 * Walks a module for BLOBFILE literals: constants, inline arguments and the
 * attributes of modules, functions and ops. The parser bounds the depth of
 * nested literals; MAX_DEPTH here is only a second fence.
 */
#include "cli/blobs.h"

#include "base/alloc.h"
#include "mil/ir.h"

#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 64, MAX_FILES = 1024, MAX_PATH = 4096 };

typedef struct walk {
    an_blobs *out;
    const char *folder;
    an_error *err;
} walk;

static const char root[] = "@model_path/";

/* Does a component of the path lead upwards? */
static bool escapes(const char *path)
{
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        if (*at == '/') at++;
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
            return true;
    }
    return false;
}

static an_status refuse(walk *w, const an_literal *l, const char *why)
{
    return an_fail_at(w->err, AN_EFORMAT, l->line, l->column,
                      "weight file '%.200s' %s", l->path.text, why);
}

static an_status add_file(walk *w, const an_literal *l)
{
    char path[MAX_PATH];
    an_blobs *b = w->out;
    const char *name = l->path.text;
    for (int i = 0; i < b->n; i++)
        if (strcmp(b->items[i].path, name) == 0) return AN_OK;
    if (strncmp(name, root, sizeof root - 1) != 0 ||
        strlen(name) != l->path.size)
        return refuse(w, l, "does not start with @model_path/");
    if (escapes(name)) return refuse(w, l, "leads out of the model's folder");
    if (b->n == MAX_FILES) return refuse(w, l, "is one file too many");
    int n =
        snprintf(path, sizeof path, "%s/%s", w->folder, name + sizeof root - 1);
    if (n < 0 || (size_t)n >= sizeof path) return refuse(w, l, "is too long");
    if (!an_grow(&b->items, &b->cap_items, (size_t)b->n, sizeof *b->items) ||
        !an_grow(&b->maps, &b->cap_maps, (size_t)b->n, sizeof *b->maps))
        return an_fail(w->err, AN_ENOMEM, "no memory for weight files");
    an_status s = an_map_open(path, &b->maps[b->n], w->err);
    if (s != AN_OK) return s;
    b->items[b->n] = (an_blob){name, b->maps[b->n].data, b->maps[b->n].size};
    b->n++;
    return AN_OK;
}

static an_status walk_literal(walk *w, const an_literal *l, int depth)
{
    an_status s = AN_OK;
    if (l == NULL) return AN_OK;
    if (l->kind == AN_LIT_BLOB) return add_file(w, l);
    if (l->kind != AN_LIT_ITEMS) return AN_OK;
    if (depth == MAX_DEPTH) return refuse(w, l, "is nested too deeply");
    for (size_t i = 0; s == AN_OK && i < l->n; i++)
        s = walk_literal(w, l->items[i], depth + 1);
    return s;
}

static an_status walk_attrs(walk *w, const an_attr *attrs, int n)
{
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < n; i++)
        s = walk_literal(w, attrs[i].literal, 0);
    return s;
}

static an_status walk_operand(walk *w, const an_operand *o, int depth)
{
    an_status s = AN_OK;
    if (o->value != NULL) return walk_literal(w, o->value->literal, 0);
    for (int i = 0; s == AN_OK && i < o->n && depth < MAX_DEPTH; i++)
        s = walk_operand(w, &o->items[i], depth + 1);
    return s;
}

static an_status walk_node(walk *w, const an_node *n)
{
    an_status s = walk_attrs(w, n->attrs, n->n_attrs);
    for (int i = 0; s == AN_OK && i < n->n_args; i++)
        s = walk_operand(w, &n->args[i], 0);
    for (int i = 0; s == AN_OK && i < n->n_results; i++)
        s = walk_literal(w, n->results[i]->literal, 0);
    return s;
}

static an_status walk_function(walk *w, const an_function *f)
{
    an_status s = walk_attrs(w, f->attrs, f->n_attrs);
    for (int i = 0; s == AN_OK && i < f->n_nodes; i++)
        s = walk_node(w, f->nodes[i]);
    return s;
}

an_status an_blobs_open(const an_module *module, const char *folder,
                        an_blobs *out, an_error *err)
{
    walk w = {out, folder, err};
    an_status s = walk_attrs(&w, module->attrs, module->n_attrs);
    for (int i = 0; s == AN_OK && i < module->n_functions; i++)
        s = walk_function(&w, module->functions[i]);
    return s;
}

void an_blobs_close(an_blobs *blobs)
{
    for (int i = 0; i < blobs->n; i++)
        an_map_close(&blobs->maps[i]);
    an_free(blobs->items);
    an_free(blobs->maps);
    *blobs = (an_blobs){0};
}
