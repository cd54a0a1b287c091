/*
 * Captures as files. Tensors of inputs and weights are named after the digest
 * of their content, so that equal ones are there once; outputs after probe and
 * port. The list of programs is JSON in the metadata, under "programs".
 */
#include "capture/capture.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/sha256.h"

#include <stdlib.h>
#include <string.h>

#define FORMAT "anemone-capture-1"
/* What stands before and behind the digest in the file's header. */
#define DIGEST_KEY "\"sha256\":\""

enum { MAX_PROGRAMS = 10000, NAME_DIGITS = 16 };

static const char *const kinds[] = {"values", "speed", "reload", "rule"};

static const char zeros[AN_SHA256_DIGITS + 1] =
    "0000000000000000000000000000000000000000000000000000000000000000";

/* ---- writing ---- */

typedef struct saver {
    an_arena arena;
    an_st_tensor *list;
    int n;
    json_t *programs;
} saver;

static int most_tensors(const an_capture *c)
{
    return (int)c->n * (AN_PROBE_INPUTS + AN_PROBE_OUTPUTS + 1);
}

static const an_st_tensor *find(const saver *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->list[i].name, name) == 0) return &s->list[i];
    return NULL;
}

/* Enters a tensor; `name` NULL: after its content. Returns its name. */
static const char *enter(saver *s, const char *name, const an_shape *shape,
                         const void *data)
{
    char digest[AN_SHA256_DIGITS + 1];
    an_st_tensor t = {.dtype = shape->dtype, .rank = shape->rank, .data = data};
    memcpy(t.shape, shape->dims, sizeof t.shape);
    t.size_bytes = (size_t)an_shape_count(shape) * an_dtype_size(shape->dtype);
    if (name == NULL) {
        char text[96];
        an_sha256_text(data, t.size_bytes, digest);
        name = an_arena_printf(&s->arena, "%.*s %s", NAME_DIGITS, digest,
                               an_shape_text(shape, text, sizeof text));
        if (name == NULL || find(s, name) != NULL) return name;
    }
    t.name = name;
    s->list[s->n++] = t;
    return name;
}

static json_t *text_of(const char *text)
{
    return json_string(text != NULL ? text : "");
}

static json_t *inputs_of(saver *s, const an_captured *c)
{
    json_t *o = json_object();
    for (int i = 0; i < c->program.n_inputs; i++) {
        const an_probe_tensor *t = &c->program.inputs[i];
        json_object_set_new(o, t->port,
                            text_of(enter(s, NULL, &t->shape, t->data)));
    }
    return o;
}

static json_t *outputs_of(saver *s, const an_captured *c)
{
    json_t *o = json_object();
    for (int i = 0; i < c->n_outputs; i++) {
        const an_probe_tensor *t = &c->outputs[i];
        const char *name =
            an_arena_printf(&s->arena, "out/%s/%s", c->name, t->port);
        if (name != NULL) enter(s, name, &t->shape, t->data);
        json_object_set_new(o, t->port, text_of(name));
    }
    return o;
}

static json_t *error_of(const an_error *e)
{
    json_t *o = json_object();
    json_object_set_new(o, "status", text_of(an_status_name(e->code)));
    json_object_set_new(o, "code", json_integer(e->engine_code));
    json_object_set_new(o, "domain", text_of(e->domain));
    json_object_set_new(o, "text", text_of(e->text));
    return o;
}

static json_t *program_of(saver *s, const an_captured *c)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", text_of(c->name));
    json_object_set_new(o, "kind", text_of(kinds[c->kind]));
    json_object_set_new(o, "asks", text_of(c->asks));
    json_object_set_new(o, "text",
                        json_stringn(c->program.text, c->program.size));
    json_object_set_new(o, "inputs", inputs_of(s, c));
    if (c->program.weights != NULL) {
        an_shape shape = AN_TENSOR(AN_UINT8, (int64_t)c->program.n_weights);
        json_object_set_new(
            o, "weights", text_of(enter(s, NULL, &shape, c->program.weights)));
    }
    json_object_set_new(o, "outputs", outputs_of(s, c));
    if (c->error.code != AN_OK)
        json_object_set_new(o, "error", error_of(&c->error));
    if (c->runs > 0) {
        json_object_set_new(o, "runs", json_integer(c->runs));
        json_object_set_new(o, "best_seconds", json_real(c->best));
        json_object_set_new(o, "median_seconds", json_real(c->median));
    }
    return o;
}

static char *programs_of(saver *s, const an_capture *c)
{
    s->programs = json_array();
    for (size_t i = 0; i < c->n; i++)
        if (json_array_append_new(s->programs, program_of(s, &c->list[i])) != 0)
            return NULL;
    return json_dumps(s->programs, JSON_COMPACT | JSON_ENSURE_ASCII);
}

/* Where the digest's digits are in a file's bytes, or NULL. */
static const char *find_digits(const an_map *map)
{
    const size_t n = sizeof DIGEST_KEY - 1;
    const char *at = (const char *)map->data, *end = at + map->size;
    while ((size_t)(end - at) > n + AN_SHA256_DIGITS) {
        at = memchr(at, '"', (size_t)(end - at) - n - AN_SHA256_DIGITS);
        if (at == NULL) return NULL;
        if (memcmp(at, DIGEST_KEY, n) == 0) return at + n;
        at++;
    }
    return NULL;
}

/* The digest of the bytes with the digits at `digits` read as zeros. */
static void digest(const an_map *map, const char *digits,
                   char out[AN_SHA256_DIGITS + 1])
{
    an_sha256 s;
    size_t before = (size_t)(digits - (const char *)map->data);
    size_t behind = before + AN_SHA256_DIGITS;
    an_sha256_init(&s);
    an_sha256_put(&s, map->data, before);
    an_sha256_put(&s, zeros, AN_SHA256_DIGITS);
    an_sha256_put(&s, map->data + behind, map->size - behind);
    an_sha256_end_text(&s, out);
}

/* Copies the file at `from` to `to` with its digest written in. */
static an_status seal(const char *from, const char *to, an_error *err)
{
    an_map map;
    an_writer *w = NULL;
    char digits[AN_SHA256_DIGITS + 1];
    an_status s = an_map_open(from, &map, err);
    if (s != AN_OK) return s;
    const char *at = find_digits(&map);
    if (at == NULL) {
        an_map_close(&map);
        return an_fail(err, AN_EFORMAT, "%s: no place for the digest", from);
    }
    size_t before = (size_t)(at - (const char *)map.data);
    digest(&map, at, digits);
    s = an_writer_open(to, &w, err);
    if (s == AN_OK) s = an_writer_put(w, map.data, before, err);
    if (s == AN_OK) s = an_writer_put(w, digits, AN_SHA256_DIGITS, err);
    if (s == AN_OK)
        s = an_writer_put(w, map.data + before + AN_SHA256_DIGITS,
                          map.size - before - AN_SHA256_DIGITS, err);
    if (s == AN_OK)
        s = an_writer_commit(w, err);
    else
        an_writer_abort(w);
    an_map_close(&map);
    return s;
}

static an_status write_file(const an_capture *c, saver *s, const char *programs,
                            const char *path, an_error *err)
{
    /* The digest first: it is found in the header's beginning. */
    const char *const metadata[] = {
        "sha256",  zeros,      "format",   FORMAT,    "engine",   c->engine,
        "chip",    c->chip,    "system",   c->system, "numerics", c->numerics,
        "version", c->version, "programs", programs,  NULL};
    const char *unsealed = an_arena_printf(&s->arena, "%s.unsealed", path);
    if (unsealed == NULL) return an_fail(err, AN_ENOMEM, "capture: no memory");
    an_status status = an_st_save(unsealed, s->list, s->n, metadata, err);
    if (status != AN_OK) return status;
    status = seal(unsealed, path, err);
    remove(unsealed);
    return status;
}

an_status an_capture_save(const an_capture *c, const char *path, an_error *err)
{
    saver s = {.list = an_alloc_array((size_t)most_tensors(c) + 1,
                                      sizeof(an_st_tensor))};
    an_arena_init(&s.arena);
    char *programs = s.list != NULL ? programs_of(&s, c) : NULL;
    an_status status =
        programs != NULL
            ? write_file(c, &s, programs, path, err)
            : an_fail(err, AN_ENOMEM, "%s: no memory for the capture", path);
    free(programs);
    json_decref(s.programs);
    an_free(s.list);
    an_arena_fini(&s.arena);
    return status;
}

/* ---- reading ---- */

typedef struct loader {
    an_capture *c;
    const char *path;
    an_error *err;
} loader;

static an_status malformed(const loader *l, const char *name, const char *what)
{
    return an_fail(l->err, AN_EFORMAT, "%s: program '%.80s': %s", l->path, name,
                   what);
}

static an_status check_digest(const char *path, an_error *err)
{
    an_map map;
    char digits[AN_SHA256_DIGITS + 1];
    an_status s = an_map_open(path, &map, err);
    if (s != AN_OK) return s;
    const char *at = find_digits(&map);
    if (at == NULL)
        s = an_fail(err, AN_EFORMAT, "%s: not a capture: no sha256 in it",
                    path);
    if (s == AN_OK) {
        digest(&map, at, digits);
        if (memcmp(at, digits, AN_SHA256_DIGITS) != 0)
            s = an_fail(err, AN_EFORMAT,
                        "%s: changed since it was written: its SHA-256 is "
                        "%.16s..., expected %.16s...",
                        path, digits, at);
    }
    an_map_close(&map);
    return s;
}

/* A string of the metadata, "" when it is not there. */
static const char *meta(const loader *l, const char *key)
{
    const char *text = an_st_metadata(l->c->file, key);
    return text != NULL ? text : "";
}

static an_status tensor(const loader *l, const char *program, const char *name,
                        an_probe_tensor *out)
{
    const an_st_tensor *t = name != NULL ? an_st_find(l->c->file, name) : NULL;
    if (t == NULL) return malformed(l, program, "a tensor is not there");
    out->shape.dtype = t->dtype;
    out->shape.rank = t->rank;
    memcpy(out->shape.dims, t->shape, sizeof out->shape.dims);
    out->data = t->data;
    return AN_OK;
}

static an_status tensors(const loader *l, const char *program, json_t *object,
                         an_probe_tensor *list, int max, int *n)
{
    const char *key;
    json_t *value;
    an_status s = AN_OK;
    json_object_foreach(object, key, value)
    {
        if (*n == max) return malformed(l, program, "too many ports");
        list[*n].port = key;
        s = tensor(l, program, json_string_value(value), &list[*n]);
        if (s != AN_OK) return s;
        (*n)++;
    }
    return s;
}

static an_status error_from(const loader *l, const char *program,
                            const json_t *o, an_error *out)
{
    const char *domain = "", *text = "", *name = "";
    int64_t code = 0;
    an_status s = an_json_string(o, "text", &text, l->err);
    if (s == AN_OK) s = an_json_string(o, "domain", &domain, l->err);
    if (s == AN_OK) s = an_json_string(o, "status", &name, l->err);
    if (s == AN_OK)
        s = an_json_int(o, "code", INT64_MIN, INT64_MAX, &code, l->err);
    if (s != AN_OK) return s;
    an_status status = AN_OK;
    for (int i = AN_ENOMEM; i <= AN_EUNSUPPORTED; i++)
        if (strcmp(an_status_name((an_status)i), name) == 0)
            status = (an_status)i;
    if (status == AN_OK) return malformed(l, program, "no status of its error");
    an_fail(out, status, "%s", text);
    out->engine_code = code;
    snprintf(out->domain, sizeof out->domain, "%s", domain);
    return AN_OK;
}

static an_status weights_from(const loader *l, const json_t *o, an_captured *c)
{
    const char *name = NULL;
    an_probe_tensor t;
    an_status s = an_json_string(o, "weights", &name, l->err);
    if (s != AN_OK || name == NULL) return s;
    s = tensor(l, c->name, name, &t);
    if (s != AN_OK) return s;
    if (t.shape.dtype != AN_UINT8 || t.shape.rank != 1)
        return malformed(l, c->name, "weights are not uint8 [n]");
    c->program.weights = t.data;
    c->program.n_weights = (size_t)t.shape.dims[0];
    return AN_OK;
}

static an_status times_from(const loader *l, const json_t *o, an_captured *c)
{
    int64_t runs = 0;
    an_status s = an_json_int(o, "runs", 0, INT32_MAX, &runs, l->err);
    if (s == AN_OK) s = an_json_real(o, "best_seconds", &c->best, l->err);
    if (s == AN_OK) s = an_json_real(o, "median_seconds", &c->median, l->err);
    c->runs = (int)runs;
    return s;
}

static an_status program_from(const loader *l, const json_t *o, an_captured *c)
{
    const char *kind = "", *text = "";
    c->name = c->asks = "";
    an_status s = an_json_string(o, "name", &c->name, l->err);
    if (s == AN_OK) s = an_json_string(o, "asks", &c->asks, l->err);
    if (s == AN_OK) s = an_json_string(o, "kind", &kind, l->err);
    if (s == AN_OK) s = an_json_string(o, "text", &text, l->err);
    if (s != AN_OK) return s;
    int k = 0;
    while (k < AN_PROBE_RULE && strcmp(kinds[k], kind) != 0)
        k++;
    if (strcmp(kinds[k], kind) != 0)
        return malformed(l, c->name,
                         "expected kind values, speed, reload or rule");
    c->kind = (an_probe_kind)k;
    c->program.text = text;
    c->program.size = strlen(text);
    s = tensors(l, c->name, json_object_get(o, "inputs"), c->program.inputs,
                AN_PROBE_INPUTS, &c->program.n_inputs);
    if (s == AN_OK)
        s = tensors(l, c->name, json_object_get(o, "outputs"), c->outputs,
                    AN_PROBE_OUTPUTS, &c->n_outputs);
    if (s == AN_OK) s = weights_from(l, o, c);
    if (s == AN_OK) s = times_from(l, o, c);
    const json_t *error = json_object_get(o, "error");
    if (s == AN_OK && error != NULL)
        s = error_from(l, c->name, error, &c->error);
    return s;
}

static an_status programs_from(const loader *l, const json_t *list)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > MAX_PROGRAMS)
        return an_fail(l->err, AN_EFORMAT,
                       "%s: expected a list of at most %d programs", l->path,
                       MAX_PROGRAMS);
    l->c->list = an_alloc_array(n + 1, sizeof *l->c->list);
    if (l->c->list == NULL)
        return an_fail(l->err, AN_ENOMEM, "%s: no memory", l->path);
    l->c->capacity = n + 1;
    for (size_t i = 0; i < n; i++) {
        an_status s = program_from(l, json_array_get(list, i), &l->c->list[i]);
        if (s != AN_OK) return s;
        l->c->n++;
    }
    return AN_OK;
}

an_status an_capture_read(an_capture *c, const char *path, an_error *err)
{
    loader l = {c, path, err};
    if (strcmp(meta(&l, "format"), FORMAT) != 0)
        return an_fail(err, AN_EFORMAT, "%s: expected format %s, came '%.40s'",
                       path, FORMAT, meta(&l, "format"));
    c->engine = meta(&l, "engine");
    c->chip = meta(&l, "chip");
    c->system = meta(&l, "system");
    c->numerics = meta(&l, "numerics");
    c->version = meta(&l, "version");
    const char *programs = meta(&l, "programs");
    an_status s =
        an_json_parse(programs, strlen(programs), path, &c->programs, err);
    return s == AN_OK ? programs_from(&l, c->programs) : s;
}

an_status an_capture_open(an_capture *c, const char *path, an_error *err)
{
    an_capture_init(c);
    an_status s = check_digest(path, err);
    if (s == AN_OK) s = an_st_open(path, &c->file, err);
    return s == AN_OK ? an_capture_read(c, path, err) : s;
}
