/*
 * Probes as MIL: a reader of the short form over the builder. Forms are ours,
 * so its errors are for whoever adds a probe.
 */
#include "capture/probe.h"

#include "base/alloc.h"
#include "capture/fill.h"
#include "lower/outline.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_WORD = 80,
    MAX_ARGS = 12,
    MAX_LIST = 16,
    OPSET = 18,
    MAX_INPUT = 1 << 18 /* elements, of programs in MIL */
};

typedef struct reader {
    const char *at;
    const an_probe *probe;
    an_arena *arena;
    an_builder *b;
    an_probe_program *out;
    an_value *last;
    bool has_results;
    an_error *err;
    an_status status;
} reader;

static bool fail(reader *r, const char *why)
{
    if (r->status == AN_OK)
        r->status = an_fail(r->err, AN_EINVAL, "probe %s: %s at '%.24s'",
                            r->probe->name, why, r->at);
    return false;
}

static void blanks(reader *r)
{
    r->at += strspn(r->at, " \n");
}

static bool take(reader *r, char c)
{
    blanks(r);
    if (*r->at != c) return false;
    r->at++;
    return true;
}

/* Letters, digits and what stands in fills. */
static bool word(reader *r, char out[MAX_WORD])
{
    blanks(r);
    size_t n = strspn(r->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
                             "UVWXYZ_0123456789:.,+-");
    if (n > 0 && r->at[n - 1] == ',') n--; /* separates, as in "a, b" */
    if (n == 0 || n >= MAX_WORD) return fail(r, "expected a word");
    memcpy(out, r->at, n);
    out[n] = '\0';
    r->at += n;
    return true;
}

static bool name(reader *r, char out[MAX_WORD])
{
    blanks(r);
    size_t n = 0;
    while (isalnum((unsigned char)r->at[n]) || r->at[n] == '_')
        n++;
    if (n == 0 || n >= MAX_WORD) return fail(r, "expected a name");
    memcpy(out, r->at, n);
    out[n] = '\0';
    r->at += n;
    return true;
}

static an_value *value(reader *r, const char *id)
{
    an_value *v = an_function_value(an_build_function(r->b), id);
    if (v == NULL) fail(r, "no such value");
    return v;
}

/* ---- tensors ---- */

static bool dims(reader *r, an_shape *shape)
{
    char *end;
    shape->rank = 0;
    for (blanks(r); isdigit((unsigned char)*r->at); blanks(r)) {
        if (shape->rank == AN_MAX_RANK) return fail(r, "too many axes");
        shape->dims[shape->rank++] = strtoll(r->at, &end, 10);
        r->at = end;
    }
    return true;
}

/* "in NAME FILL DIMS" and "const NAME FILL DIMS". */
static bool tensor(reader *r, bool is_input)
{
    char id[MAX_WORD], fill[MAX_WORD];
    an_shape shape = {.dtype = AN_FP16};
    if (!name(r, id) || !word(r, fill) || !dims(r, &shape)) return false;
    const char *what = fill;
    if (strncmp(fill, "int8:", 5) == 0) shape.dtype = AN_INT8, what += 5;
    if (strncmp(fill, "int32:", 6) == 0) shape.dtype = AN_INT32, what += 6;
    void *data =
        an_arena_array(r->arena, (size_t)an_shape_count(&shape), sizeof(float));
    if (data == NULL) return fail(r, "no memory");
    r->status = an_fill(what, id, &shape, data, r->err);
    if (r->status != AN_OK) return false;
    if (!is_input) {
        r->last = an_build_const(r->b, id, shape, data);
        return r->last != NULL;
    }
    if (r->out->n_inputs == AN_PROBE_INPUTS) return fail(r, "too many inputs");
    an_value *v = an_build_param(r->b, id, shape);
    if (v == NULL) return false;
    r->out->inputs[r->out->n_inputs++] = (an_probe_tensor){
        an_arena_strndup(r->arena, id, strlen(id)), shape, data};
    return true;
}

/* ---- arguments ---- */

static an_value *number(reader *r)
{
    char *end;
    size_t n = strcspn(r->at, ",); ]");
    bool real = memchr(r->at, '.', n) != NULL;
    double x = strtod(r->at, &end);
    if (end == r->at) return fail(r, "expected a number"), NULL;
    r->at = end;
    return real ? an_build_float(r->b, AN_FP16, x)
                : an_build_int(r->b, (int64_t)x);
}

static an_value *integers(reader *r)
{
    int64_t list[MAX_LIST];
    int n = 0;
    while (!take(r, ']')) {
        char *end;
        if (n == MAX_LIST) return fail(r, "too many numbers"), NULL;
        take(r, ',');
        list[n++] = strtoll(r->at, &end, 10);
        if (end == r->at) return fail(r, "expected a number"), NULL;
        r->at = end;
    }
    return an_build_ints(r->b, n, list);
}

static an_value *text(reader *r)
{
    size_t n = strcspn(r->at, "'");
    const char *copy = an_arena_strndup(r->arena, r->at, n);
    if (copy == NULL || r->at[n] != '\'')
        return fail(r, "expected a string's end"), NULL;
    r->at += n + 1;
    return an_build_string(r->b, copy);
}

static bool tuple(reader *r, an_arg *arg, an_value **list)
{
    char id[MAX_WORD];
    while (!take(r, ')')) {
        take(r, ',');
        if (arg->n == MAX_LIST) return fail(r, "too many values");
        if (!name(r, id) || (list[arg->n++] = value(r, id)) == NULL)
            return false;
    }
    arg->values = list;
    return true;
}

static bool argument(reader *r, an_arg *arg, an_value **list)
{
    char id[MAX_WORD];
    if (take(r, '(')) return tuple(r, arg, list);
    if (take(r, '['))
        arg->value = integers(r);
    else if (take(r, '\''))
        arg->value = text(r);
    else if (blanks(r), strchr("-.0123456789", *r->at) != NULL)
        arg->value = number(r);
    else if (!name(r, id))
        return false;
    else if (strcmp(id, "true") == 0 || strcmp(id, "false") == 0)
        arg->value = an_build_bool(r->b, id[0] == 't');
    else
        arg->value = value(r, id);
    return arg->value != NULL;
}

/* "a, b = op(x = y, ...)"; the first result's name was read. */
static bool operation(reader *r, const char *first)
{
    char results[4][MAX_WORD], op[MAX_WORD], params[MAX_ARGS][MAX_WORD];
    an_arg args[MAX_ARGS + 1] = {0};
    an_value *lists[MAX_LIST], *values[4];
    int n_results = 1, n = 0;
    memcpy(results[0], first, MAX_WORD);
    while (take(r, ','))
        if (n_results == 4 || !name(r, results[n_results++])) return false;
    if (!take(r, '=') || !name(r, op) || !take(r, '('))
        return fail(r, "expected = op(");
    while (!take(r, ')')) {
        take(r, ',');
        if (n == MAX_ARGS || !name(r, params[n]) || !take(r, '='))
            return fail(r, "expected a parameter");
        args[n].param = params[n];
        if (!argument(r, &args[n], lists)) return false;
        n++;
    }
    if (!an_build_n(r->b, op, results[0], args, values, n_results))
        return false;
    for (int i = 1; i < n_results; i++)
        an_build_rename(r->b, values[i], results[i]);
    r->last = values[0];
    return true;
}

static bool results(reader *r)
{
    char id[MAX_WORD];
    r->has_results = true;
    for (blanks(r); *r->at != ';' && *r->at != '\0'; blanks(r)) {
        an_value *v = name(r, id) ? value(r, id) : NULL;
        if (v == NULL) return false;
        an_build_result(r->b, v);
    }
    return true;
}

static bool statement(reader *r)
{
    char id[MAX_WORD];
    if (!name(r, id)) return false;
    blanks(r);
    bool declares = *r->at != '=' && *r->at != ',';
    if (declares && strcmp(id, "in") == 0) return tensor(r, true);
    if (declares && strcmp(id, "const") == 0) return tensor(r, false);
    if (declares && strcmp(id, "out") == 0) return results(r);
    return operation(r, id);
}

static void statements(reader *r)
{
    do {
        if (!statement(r)) return;
        blanks(r);
    } while (take(r, ';'));
    if (*r->at != '\0') fail(r, "expected ;");
    if (!r->has_results && r->last != NULL) an_build_result(r->b, r->last);
}

/* ---- text ---- */

static an_status keep(an_arena *arena, void *data, size_t size,
                      const void **out, an_error *err)
{
    void *copy = an_arena_alloc(arena, size + 1);
    if (copy != NULL && size > 0) memcpy(copy, data, size);
    *out = copy;
    return copy != NULL ? AN_OK : an_fail(err, AN_ENOMEM, "probe: no memory");
}

static an_status print(an_module *m, an_arena *arena, an_probe_program *out,
                       an_error *err)
{
    an_module *main_module = NULL;
    void *weights = NULL;
    char *printed = NULL;
    const void *kept = NULL;
    an_status s = an_module_new(&main_module, err);
    if (s == AN_OK)
        s = an_outline(an_module_function(m, "probe"), main_module,
                       AN_PROBE_WEIGHTS, &weights, &out->n_weights, err);
    if (s == AN_OK && weights != NULL)
        s = keep(arena, weights, out->n_weights, &out->weights, err);
    if (s == AN_OK) s = an_mil_print(main_module, &printed, &out->size, err);
    if (s == AN_OK) s = keep(arena, printed, out->size, &kept, err);
    out->text = kept;
    an_text_free(printed);
    an_free(weights);
    an_module_free(main_module);
    return s;
}

/* ---- programs in MIL ---- */

/* Its elements; 0: no tensor, or too many. */
static int64_t count_input(const an_value *v)
{
    int64_t n = v->type->kind == AN_TYPE_TENSOR;
    for (int i = 0; n > 0 && i < v->type->shape.rank; i++) {
        int64_t dim = v->type->shape.dims[i];
        n = dim < 1 || dim > MAX_INPUT / n ? 0 : n * dim;
    }
    return n;
}

static an_status text_input(const an_value *v, an_arena *arena,
                            an_probe_program *out, an_error *err)
{
    const an_shape *shape = &v->type->shape;
    if (out->n_inputs == AN_PROBE_INPUTS)
        return an_fail(err, AN_EINVAL, "more than %d inputs", AN_PROBE_INPUTS);
    int64_t n = count_input(v);
    if (n == 0)
        return an_fail(err, AN_EINVAL, "input %s: not a tensor of up to %d",
                       v->name, MAX_INPUT);
    void *data = an_arena_array(arena, (size_t)n, sizeof(double));
    const char *port = an_arena_strndup(arena, v->name, strlen(v->name));
    if (data == NULL || port == NULL)
        return an_fail(err, AN_ENOMEM, "probe: no memory");
    out->inputs[out->n_inputs++] = (an_probe_tensor){port, *shape, data};
    return an_fill("normal:1", port, shape, data, err);
}

static an_status make_text(const an_probe *probe, an_arena *arena,
                           an_probe_program *out, an_error *err)
{
    an_module *m = NULL;
    out->text = probe->form;
    out->size = strlen(probe->form);
    an_status s = an_mil_parse(out->text, out->size, probe->name, &m, err);
    for (int i = 0; s == AN_OK && i < m->functions[0]->n_params; i++)
        s = text_input(m->functions[0]->params[i], arena, out, err);
    an_module_free(m);
    return s;
}

an_status an_probe_make(const an_probe *probe, an_arena *arena,
                        an_probe_program *out, an_error *err)
{
    *out = (an_probe_program){0};
    if (strncmp(probe->form, "program(", 8) == 0)
        return make_text(probe, arena, out, err);
    reader r = {.at = probe->form,
                .probe = probe,
                .arena = arena,
                .out = out,
                .err = err};
    an_module *m = NULL;
    an_status s = an_module_new(&m, err);
    if (s == AN_OK) s = an_build_begin(m, "probe", OPSET, &r.b, err);
    if (s == AN_OK) {
        statements(&r);
        /* What the builder refuses is told here, what the reader does there. */
        s = an_build_end(r.b, err);
        if (r.status != AN_OK) s = r.status;
    }
    if (s == AN_OK) s = print(m, arena, out, err);
    if (s != AN_OK) an_fail_context(err, "probe %s", probe->name);
    an_module_free(m);
    return s;
}
