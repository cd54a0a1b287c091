/*
 * The program that is written has been tried: what its file holds shows the
 * fault.
 */
#include "cli/finding.h"

#include "base/alloc.h"
#include "base/file.h"
#include "cli/args.h"
#include "cli/npy.h"
#include "cli/tensor.h"
#include "lower/repack.h"
#include "mil/ir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATH = 4096 };

typedef struct files {
    const an_finding *f;
    char stem[MAX_PATH]; /* the path without ".mil" */
    size_t folder_size;  /* of the stem: what stands before the last name */
    char *text;
    size_t size;
    void *weights; /* NULL: none of its own */
    size_t weights_size;
    bool keeps_folder; /* weights are those of the whole program */
    an_tensors results;
    an_error *err;
} files;

static an_status set_stem(files *w)
{
    const char *out = w->f->out, *slash = strrchr(out, '/');
    size_t size = strlen(out);
    w->folder_size = slash != NULL ? (size_t)(slash - out) + 1 : 0;
    if (size - w->folder_size > 4 && strcmp(out + size - 4, ".mil") == 0)
        size -= 4;
    if (size + 300 > sizeof w->stem || out[w->folder_size] == '\0')
        return an_fail(w->err, AN_EINVAL, "--out: '%.80s' is no file's name",
                       out);
    memcpy(w->stem, out, size);
    w->stem[size] = '\0';
    return AN_OK;
}

/* "stem.x.npy"; NumPy lacks some types, whose elements stand in a plain file.
 */
static an_status make_name(const files *w, const an_tensor *x,
                           char name[MAX_PATH])
{
    bool numpy = an_npy_dtype(x->shape.dtype) != AN_DTYPE_COUNT;
    int n = snprintf(name, MAX_PATH, "%s.%s.%s", w->stem, x->name,
                     numpy ? "npy" : "bin");
    return n > 0 && n < MAX_PATH
               ? AN_OK
               : an_fail(w->err, AN_EINVAL, "a file's name is too long: %.80s",
                         x->name);
}

/* ---- the text and its weights ---- */

static an_status try_repacked(const files *w, const an_blob *blob, bool *shows)
{
    const an_finding *f = w->f;
    an_trial trial = *f->trial;
    an_fault fault;
    trial.blobs = blob;
    trial.n_blobs = w->weights != NULL ? 1 : 0;
    const an_source source = {
        .text = w->text, .size = w->size, .name = f->fault->program};
    an_status s =
        an_trial_find(&trial, &source, f->fault->kind, &fault, w->err);
    *shows = s == AN_OK && an_fault_is(f->fault, &fault, AN_FAULT_LIKE);
    return s;
}

static void drop_text(files *w)
{
    an_text_free(w->text);
    an_free(w->weights);
    w->text = NULL;
    w->weights = NULL;
}

/* Weights of its own, when the fault shows with them. */
static an_status print_repacked(files *w, bool *well)
{
    char path[MAX_PATH + 32];
    an_error why = {0};
    an_module *m = NULL;
    *well = false;
    snprintf(path, sizeof path, "@model_path/weights/%s.bin",
             w->stem + w->folder_size);
    an_status s = an_module_new_like(w->f->part, &m, w->err);
    if (s != AN_OK) return s;
    s = an_repack(w->f->part->functions[0], m, path, w->f->trial->blobs,
                  w->f->trial->n_blobs, &w->weights, &w->weights_size, &why);
    if (s == AN_OK) s = an_mil_print(m, &w->text, &w->size, &why);
    an_module_free(m);
    if (s != AN_OK)
        return s == AN_ENOMEM ? an_fail(w->err, s, "%s", why.text) : AN_OK;
    const an_blob blob = {path, w->weights, w->weights_size};
    return try_repacked(w, &blob, well);
}

static an_status make_text(files *w)
{
    bool well = false;
    an_status s = print_repacked(w, &well);
    if (s != AN_OK || well) return s;
    drop_text(w);
    w->keeps_folder = true;
    return an_mil_print(w->f->part, &w->text, &w->size, w->err);
}

/* ---- files ---- */

static an_status write_weights(const files *w)
{
    char path[MAX_PATH + 32];
    if (w->weights == NULL) return AN_OK;
    snprintf(path, sizeof path, "%.*sweights", (int)w->folder_size, w->stem);
    an_status s = an_dir_make(path, w->err);
    snprintf(path, sizeof path, "%.*sweights/%s.bin", (int)w->folder_size,
             w->stem, w->stem + w->folder_size);
    return s == AN_OK ? an_file_write(path, w->weights, w->weights_size, w->err)
                      : s;
}

static an_status write_tensor(const files *w, const an_tensor *x)
{
    char path[MAX_PATH];
    an_writer *writer = NULL;
    an_status s = make_name(w, x, path);
    if (s == AN_OK) s = an_writer_open(path, &writer, w->err);
    if (s != AN_OK) return s;
    s = an_tensor_put(writer, path, &x->shape, x->data, w->err);
    if (s == AN_OK) return an_writer_commit(writer, w->err);
    an_writer_abort(writer);
    return s;
}

/* The inputs that are known; n: how many the function has. */
static const an_tensor *input_at(const files *w, int i)
{
    const an_function *f = w->f->part->functions[0];
    return an_tensors_find(&w->f->trial->inputs, f->params[i]->name);
}

static int n_inputs(const files *w)
{
    return w->f->part->functions[0]->n_params;
}

static an_status write_files(const files *w)
{
    an_status s = write_weights(w);
    for (int i = 0; s == AN_OK && i < n_inputs(w); i++)
        if (input_at(w, i) != NULL) s = write_tensor(w, input_at(w, i));
    for (size_t i = 0; s == AN_OK && i < w->results.n; i++)
        s = write_tensor(w, &w->results.items[i]);
    return s == AN_OK ? an_file_write(w->f->out, w->text, w->size, w->err) : s;
}

/* What the reference makes of the part. */
static an_status compute_results(files *w)
{
    const an_finding *f = w->f;
    an_fault fault;
    char *text = NULL;
    size_t size = 0;
    if (f->fault->kind != AN_FAULT_VALUES) return AN_OK;
    an_status s = an_mil_print(f->part, &text, &size, w->err);
    const an_source source = {.text = text, .size = size, .name = "part"};
    if (s == AN_OK)
        s = an_trial_run(f->trial, f->trial->reference, &source, &w->results,
                         &fault, w->err);
    an_text_free(text);
    return s;
}

/* ---- the command ---- */

static void print_pair(const files *w, const an_tensor *x)
{
    char path[MAX_PATH];
    if (make_name(w, x, path) != AN_OK) return;
    printf(" %s=", x->name);
    an_args_quote(stdout, path);
}

static void print_inputs(const files *w)
{
    bool first = true;
    for (int i = 0; i < n_inputs(w); i++) {
        if (input_at(w, i) == NULL) continue;
        if (first) printf(" --input");
        first = false;
        print_pair(w, input_at(w, i));
    }
}

/* In no more digits than it takes to read it back. */
static void print_real(double x)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    fputs(text, stdout);
}

static void print_command(const files *w)
{
    const an_finding *f = w->f;
    const an_place *place = &f->fault->place;
    printf("    ");
    an_args_quote(stdout, f->anemone);
    printf(" run ");
    an_args_quote(stdout, f->out);
    printf(" --engine ");
    an_args_quote(stdout, place->engine);
    printf(" --numerics %s", an_numerics_name(place->numerics));
    if (w->keeps_folder) {
        printf(" --model-path ");
        an_args_quote(stdout, f->folder);
    }
    print_inputs(w);
    if (w->results.n > 0) {
        printf(" --compare");
        for (size_t i = 0; i < w->results.n; i++)
            print_pair(w, &w->results.items[i]);
        printf(" --tol ");
        print_real(f->trial->tolerance);
    }
    printf("\n");
}

an_status an_finding_write(const an_finding *f, an_error *err)
{
    files w = {.f = f, .err = err};
    an_status s = set_stem(&w);
    if (s == AN_OK) s = make_text(&w);
    if (s == AN_OK) s = compute_results(&w);
    if (s == AN_OK) s = write_files(&w);
    if (s == AN_OK) print_command(&w);
    an_tensors_free(&w.results);
    drop_text(&w);
    return s;
}
