/*
 * The file is JSON: the test's number, the system it is of, and one word or
 * number per question. Fields are rows of one table.
 */
#include "engine/apple/verdict.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "engine/apple/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Counted up when a question, or the way to ask it, changes. */
enum { TEST = 1, MAX_FILE = 65536, MAX_WORDS = 5 };

/* An enum of the findings. */
typedef struct question {
    const char *key, *text;
    size_t offset;
    const char *words[MAX_WORDS + 1];
} question;

#define FOUND "engine apple: the self-test found that "
#define ONE_PORT "programs have one input and one output, and this needs more"
#define EQUAL_PORTS "surfaces of different sizes are refused, and this has such"
#define NO_ORDER                                                               \
    "ports are bound in an order that cannot be told; name them in ascending " \
    "order"
#define NARROW_ROWS                                                            \
    "rows that are no multiple of 64 bytes lie elsewhere; pad the last axis"

#define AT(field) offsetof(an_findings, field)
// clang-format off
static const question questions[] = {
    {"ports", "several inputs and outputs", AT(ports),
     {"of any sizes", "of equal sizes only", "refused"}},
    {"inputs", "symbols of inputs", AT(inputs),
     {"by name", "as declared", "neither by name nor as declared", "not settled: refused unless names ascend"}},
    {"outputs", "symbols of outputs", AT(outputs),
     {"by name", "as declared", "neither by name nor as declared", "not settled: refused unless names ascend"}},
    {"table", "the program's own table of symbols", AT(table),
     {"right", "wrong", "absent"}},
    {"rows", "rows of 32 bytes", AT(rows),
     {"start at multiples of 64", "are packed", "refused", "are elsewhere"}},
    {"files", "other weight files, the same object loaded", AT(files),
     {"new weights", "old weights", "fails"}},
    {"weights", "other weights, a new object loaded", AT(weights),
     {"new weights", "old weights", "fails"}},
    {"slot", "a program's place is given back by", AT(slot),
     {"not settled: compiles ended first", "unload", "unload, and no program left in the model",
      "unload and release", "nothing"}},
};
// clang-format on
enum { N_QUESTIONS = sizeof questions / sizeof *questions };

static int get(const an_findings *f, const question *q)
{
    int value;
    memcpy(&value, (const char *)f + q->offset, sizeof value);
    return value;
}

bool an_findings_tell(const an_findings *f, int i, const char **key,
                      const char **text, char *answer, size_t size)
{
    if (i < 0 || i > N_QUESTIONS) return false;
    if (i < N_QUESTIONS) {
        *key = questions[i].key;
        *text = questions[i].text;
        snprintf(answer, size, "%s", questions[i].words[get(f, &questions[i])]);
        return true;
    }
    *key = "compiles";
    *text = "compiles of a process";
    if (f->compiles)
        snprintf(answer, size, "%d, the next one failed", f->compiles);
    else
        snprintf(answer, size, "%d programs and more", f->programs);
    return true;
}

/* ---- what it means ---- */

void an_findings_refusal(const an_findings *f, char *text, size_t size)
{
    const char *why = f->ports == AN_PORTS_ONE     ? ONE_PORT
                      : f->ports == AN_PORTS_EQUAL ? EQUAL_PORTS
                                                   : "";
    snprintf(text, size, "%s%s", *why ? FOUND : "", why);
}

/* Are they in the order of their names? Programs whose names ascend are right
 * by every account, and were tried. */
static bool do_ascend(const an_port *ports, int n)
{
    for (int i = 1; i < n; i++)
        if (strcmp(ports[i - 1].name, ports[i].name) > 0) return false;
    return true;
}

static bool has_order(const an_findings *f)
{
    return f->table == AN_TABLE_RIGHT ||
           (f->inputs != AN_ORDER_OTHER && f->outputs != AN_ORDER_OTHER);
}

static bool are_equal(const an_port *ports, int n)
{
    for (int i = 1; i < n; i++)
        if (ports[i].size_bytes != ports[0].size_bytes) return false;
    return true;
}

static bool are_wide(const an_port *ports, int n)
{
    for (int i = 0; i < n; i++) {
        const an_shape *s = &ports[i].shape;
        int64_t width = s->rank > 0 ? s->dims[s->rank - 1] : 1;
        if (width * (int64_t)an_dtype_size(s->dtype) % 64 != 0) return false;
    }
    return true;
}

an_status an_findings_allow(const an_findings *f, an_port *const ports[2],
                            const int n[2], an_error *err)
{
    bool several = n[0] > 1 || n[1] > 1;
    bool equal = are_equal(ports[0], n[0]) && are_equal(ports[1], n[1]);
    bool wide = are_wide(ports[0], n[0]) && are_wide(ports[1], n[1]);
    bool ordered = has_order(f) ||
                   (do_ascend(ports[0], n[0]) && do_ascend(ports[1], n[1]));
    bool aligned = f->rows == AN_ROWS_ALIGNED || f->rows == AN_ROWS_REFUSED;
    const char *why = several && f->ports == AN_PORTS_ONE    ? ONE_PORT
                      : !equal && f->ports == AN_PORTS_EQUAL ? EQUAL_PORTS
                      : !ordered                             ? NO_ORDER
                      : !wide && !aligned                    ? NARROW_ROWS
                                                             : NULL;
    return why ? an_fail(err, AN_EUNSUPPORTED, FOUND "%s", why) : AN_OK;
}

an_status an_findings_allow_reload(const an_findings *f, an_error *err)
{
    if (f->weights == AN_RELOAD_NEW) return AN_OK;
    return an_fail(err, AN_EUNSUPPORTED,
                   FOUND "other weights do not take effect without a compile; "
                         "use --weights stream or bake");
}

/* ---- where ---- */

an_status an_cache_folder(char *path, size_t size, an_error *err)
{
    const char *base = getenv("XDG_CACHE_HOME"), *below = "";
    if (!base || *base != '/') {
        base = getenv("HOME");
#if defined(__APPLE__)
        below = "/Library/Caches";
#else
        below = "/.cache";
#endif
    }
    if (!base || *base != '/')
        return an_fail(err, AN_EIO,
                       "there is no cache folder: set XDG_CACHE_HOME or HOME "
                       "to an absolute path");
    int n = snprintf(path, size, "%s%s/anemone", base, below);
    if (n >= 0 && (size_t)n < size) return AN_OK;
    return an_fail(err, AN_EIO, "the cache folder's path is too long: %.80s...",
                   base);
}

void an_replica_settings(char *out, size_t size)
{
    const char *at = getenv("ANEMONE_REPLICA");
    size_t used = 0;
    *out = '\0';
    while (at && *at) {
        size_t n = strcspn(at, ",");
        size_t colon = strcspn(at, ":"), equals = strcspn(at, "=");
        bool fault =
            strncmp(at, "fault=", 6) == 0 || (colon < n && colon < equals);
        if (n && !fault && used + n + 2 < size)
            used +=
                (size_t)snprintf(out + used, size - used, "%.*s,", (int)n, at);
        at += n + (at[n] == ',');
    }
}

/* What makes one replica another: the library and its settings. */
static void name_replica(const an_objc *o, an_subject *out)
{
    char text[2048], settings[512], digits[AN_SHA256_DIGITS + 1];
    struct stat st = {0};
    an_replica_settings(settings, sizeof settings);
    stat(o->path, &st);
    snprintf(text, sizeof text, "%s %lld %lld %s", o->path,
             (long long)st.st_size, (long long)st.st_mtime, settings);
    an_sha256_text(text, strlen(text), digits);
    snprintf(out->build, sizeof out->build, "replica-%.16s", digits);
    snprintf(out->chip, sizeof out->chip, "replica");
}

/* Letters, digits, '.', '-'; whatever else becomes '-'. */
static void append(char *path, size_t size, const char *text)
{
    size_t n = strlen(path);
    if (n + 1 < size) path[n++] = '-';
    for (; *text && n + 1 < size; text++) {
        bool plain = strchr("0123456789.abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                            *text) != NULL;
        path[n++] = plain ? *text : '-';
    }
    path[n] = '\0';
}

an_status an_subject_of(const an_objc *o, an_subject *out, an_error *err)
{
    an_machine machine;
    an_status s = an_cache_folder(out->path, sizeof out->path - 300, err);
    if (s != AN_OK) return s;
    an_machine_look(&machine);
    snprintf(out->build, sizeof out->build, "%s", machine.build);
    snprintf(out->chip, sizeof out->chip, "%s", machine.host.processor);
    an_framework_version(o, out->framework, sizeof out->framework);
    if (o->replica) name_replica(o, out);
    size_t n = strlen(out->path);
    snprintf(out->path + n, sizeof out->path - n, "/engine");
    append(out->path, sizeof out->path - 8, out->build);
    append(out->path, sizeof out->path - 8, out->chip);
    append(out->path, sizeof out->path - 8, out->framework);
    strcat(out->path, ".json");
    return AN_OK;
}

/* ---- reading ---- */

static an_status fail_verdict(const an_subject *s, const char *what,
                              an_error *err)
{
    return an_fail(err, AN_EFORMAT, "%s: %s", s->path, what);
}

static an_status read_question(const json_t *o, const question *q,
                               an_findings *out, an_error *err)
{
    const char *word = "";
    an_status s = an_json_string(o, q->key, &word, err);
    for (int i = 0; s == AN_OK && q->words[i]; i++)
        if (strcmp(word, q->words[i]) == 0) {
            memcpy((char *)out + q->offset, &i, sizeof i);
            return AN_OK;
        }
    if (s != AN_OK) return s;
    return an_fail(err, AN_EFORMAT, "%s: '%.40s' is no answer", q->key, word);
}

static an_status read_number(const json_t *o, const char *key, int *out,
                             an_error *err)
{
    int64_t n = *out;
    an_status s = an_json_int(o, key, 0, 1000000, &n, err);
    *out = (int)n;
    return s;
}

static bool is_text(const json_t *o, const char *key, const char *text)
{
    const char *word = NULL;
    return an_json_string(o, key, &word, NULL) == AN_OK && word &&
           strcmp(word, text) == 0;
}

static an_status read_verdict(const json_t *o, const an_subject *subject,
                              an_findings *out, an_error *err)
{
    int test = 0;
    an_findings f = {0};
    if (!json_is_object(o))
        return fail_verdict(subject, "expected an object", err);
    an_status s = read_number(o, "test", &test, err);
    if (s == AN_OK && test != TEST)
        return fail_verdict(subject, "it is of another test", err);
    if (s == AN_OK && (!is_text(o, "build", subject->build) ||
                       !is_text(o, "chip", subject->chip) ||
                       !is_text(o, "framework", subject->framework)))
        return fail_verdict(subject, "it is of another system", err);
    for (int i = 0; i < N_QUESTIONS && s == AN_OK; i++)
        s = read_question(o, &questions[i], &f, err);
    if (s == AN_OK) s = read_number(o, "programs", &f.programs, err);
    if (s == AN_OK) s = read_number(o, "compiles", &f.compiles, err);
    if (s == AN_OK) s = an_json_real(o, "seconds", &f.seconds, err);
    const char *notes = "";
    if (s == AN_OK) s = an_json_string(o, "notes", &notes, err);
    snprintf(f.notes, sizeof f.notes, "%s", notes);
    if (s == AN_OK) *out = f;
    return s;
}

an_status an_verdict_load(const an_subject *subject, an_findings *out,
                          an_error *err)
{
    char *text = NULL;
    size_t size = 0;
    json_t *o = NULL;
    an_status s = an_file_read(subject->path, MAX_FILE, &text, &size, err);
    if (s != AN_OK) return s;
    s = an_json_parse(text, size, subject->path, &o, err);
    if (s == AN_OK) s = read_verdict(o, subject, out, err);
    json_decref(o);
    an_free(text);
    return s;
}

/* ---- writing ---- */

static json_t *verdict_object(const an_subject *s, const an_findings *f)
{
    json_t *o = json_object();
    json_object_set_new(o, "test", json_integer(TEST));
    json_object_set_new(o, "build", json_string(s->build));
    json_object_set_new(o, "chip", json_string(s->chip));
    json_object_set_new(o, "framework", json_string(s->framework));
    for (int i = 0; i < N_QUESTIONS; i++)
        json_object_set_new(
            o, questions[i].key,
            json_string(questions[i].words[get(f, &questions[i])]));
    json_object_set_new(o, "programs", json_integer(f->programs));
    json_object_set_new(o, "compiles", json_integer(f->compiles));
    json_object_set_new(o, "seconds", json_real(f->seconds));
    if (f->notes[0]) json_object_set_new(o, "notes", json_string(f->notes));
    return o;
}

an_status an_verdict_save(const an_subject *subject, const an_findings *f,
                          an_error *err)
{
    char folder[1100];
    json_t *o = verdict_object(subject, f);
    char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
    an_status s = AN_OK;
    if (!text) s = an_fail(err, AN_ENOMEM, "verdict: no memory");
    snprintf(folder, sizeof folder, "%s", subject->path);
    char *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
    if (s == AN_OK) s = an_dir_make(folder, err);
    if (s == AN_OK) s = an_file_write(subject->path, text, strlen(text), err);
    free(text); /* jansson's */
    json_decref(o);
    return s;
}
