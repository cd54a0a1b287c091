/*
 * Values are computed on `cpu`, which takes what a chip's rules refuse, by a
 * program that returns them all.
 */
#include "cli/inside.h"

#include "base/alloc.h"
#include "cli/pairs.h"
#include "cli/tensor.h"
#include "mil/extract.h"
#include "mil/op.h"

#include <string.h>

static bool has_size(const an_value *v)
{
    bool known =
        v->type->kind == AN_TYPE_TENSOR && v->type->shape.dtype != AN_STRING;
    for (int i = 0; i < v->type->shape.rank; i++)
        known = known && v->type->shape.dims[i] >= 0;
    return known;
}

static an_status check_files(const an_inside *in, an_error *err)
{
    const an_words *words = in->files;
    for (int i = 0; i < words->n; i++) {
        bool found = false;
        for (int k = 0; k < in->function->n_params; k++) {
            const char *name = in->function->params[k]->name;
            size_t size = strlen(name);
            found = found || (strncmp(words->items[i], name, size) == 0 &&
                              words->items[i][size] == '=');
        }
        if (!found)
            return an_fail(err, AN_EINVAL,
                           "--input: %s has no such input: '%.80s'",
                           in->function->name, words->items[i]);
    }
    return AN_OK;
}

an_status an_inside_load(const an_inside *in, an_error *err)
{
    an_status s = check_files(in, err);
    an_tensors_free(&in->trial->inputs);
    for (int i = 0; s == AN_OK && i < in->function->n_params; i++) {
        const an_value *p = in->function->params[i];
        const an_port port = {.name = p->name, .shape = p->type->shape};
        void *data = NULL;
        if (!has_size(p)) continue;
        s = an_pairs_load(&port, i, in->files, in->seed, &data, err);
        if (s == AN_OK)
            s = an_tensors_add(&in->trial->inputs, p->name, &port.shape, data,
                               err);
    }
    return s;
}

static an_status run_capture(const an_inside *in, const an_module *m,
                             an_fault *fault, an_error *err)
{
    const an_place *like =
        in->trial->reference ? in->trial->reference : &in->trial->place;
    const an_place cpu = {"cpu", like->numerics == AN_NUMERICS_HW
                                     ? AN_NUMERICS_IEEE
                                     : like->numerics};
    char *text = NULL;
    size_t size = 0;
    an_tensors got = {0};
    an_status s = an_mil_print(m, &text, &size, err);
    const an_source source = {.text = text, .size = size, .name = "program"};
    if (s == AN_OK)
        s = an_trial_run(in->trial, &cpu, &source, &got, fault, err);
    for (size_t i = 0; s == AN_OK && i < got.n; i++) {
        an_tensor *x = &got.items[i];
        if (an_tensors_find(&in->trial->inputs, x->name) != NULL) continue;
        s = an_tensors_add(&in->trial->inputs, x->name, &x->shape, x->data,
                           err);
        x->data = NULL; /* taken */
    }
    an_tensors_free(&got);
    an_text_free(text);
    return s;
}

/* Computes values of the whole function; *fault is why not. */
static an_status capture(const an_inside *in, const char *const *names, int n,
                         an_fault *fault, an_error *err)
{
    an_module *m = NULL;
    *fault = (an_fault){AN_FAULT_NONE};
    if (n == 0) return AN_OK;
    an_status s = an_module_new(&m, err);
    if (s != AN_OK) return s;
    s = an_extract(
        in->function, m,
        &(an_extraction){.name = "main", .results = names, .n_results = n},
        err);
    if (s == AN_OK) s = run_capture(in, m, fault, err);
    an_module_free(m);
    return s;
}

an_status an_inside_capture(const an_inside *in, an_error *err)
{
    const an_function *f = in->function;
    an_fault fault;
    int n = 0;
    const char **names = an_alloc_array((size_t)f->n_values + 1, sizeof *names);
    if (names == NULL) return an_fail(err, AN_ENOMEM, "no memory");
    for (int i = 0; i < f->n_nodes; i++) {
        const an_node *node = f->nodes[i];
        for (int r = 0; r < node->n_results; r++)
            if (node->op->cls != AN_CLASS_CONST && has_size(node->results[r]))
                names[n++] = node->results[r]->name;
    }
    an_status s = capture(in, names, n, &fault, err);
    if (s == AN_OK && fault.kind != AN_FAULT_NONE)
        s = an_fail(err, fault.error.code,
                    "the values inside the program cannot be computed on cpu: "
                    "%s",
                    an_fault_says(&fault));
    an_free(names);
    return s;
}

an_status an_inside_fill(const an_inside *in, const an_function *part,
                         an_error *err)
{
    an_fault fault;
    an_status s = AN_OK;
    int n = 0;
    const char **names =
        an_alloc_array((size_t)part->n_params + 1, sizeof *names);
    if (names == NULL) return an_fail(err, AN_ENOMEM, "no memory");
    for (int i = 0; i < part->n_params; i++) {
        const char *name = part->params[i]->name;
        if (has_size(part->params[i]) &&
            an_tensors_find(&in->trial->inputs, name) == NULL)
            names[n++] = name;
    }
    s = capture(in, names, n, &fault, err);
    for (int i = 0; s == AN_OK && fault.kind != AN_FAULT_NONE && i < n; i++) {
        const an_shape *shape = &an_function_value(part, names[i])->type->shape;
        void *data = NULL;
        s = an_tensor_random(shape, (uint64_t)in->seed, (uint64_t)i, &data,
                             err);
        if (s == AN_OK)
            s = an_tensors_add(&in->trial->inputs, names[i], shape, data, err);
    }
    an_free(names);
    return s;
}
