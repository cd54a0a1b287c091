/*
 * The cache, the handles and the limits. Shared between threads: everything in
 * `device`, under its mutex; evaluations run one at a time under `run`, as the
 * one engine of a chip does.
 */
#include "device.h"

#include "base/alloc.h"
#include "base/file.h"
#include "chip/chips.h"
#include "cli/blobs.h"
#include "settings.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { MAX_IDENTIFIER = 1024, TEXT_DIGITS = 64, MAX_TEXT = 64 << 20 };

const char an_domain_ane[] = "com.apple.appleneuralengine";
const char an_domain_compiler[] = "com.apple.appleneuralengine.compiler";
const char an_domain_espresso[] = "com.apple.appleneuralengine.espresso";

/* The daemon's method whose name begins the text of a failed load. */
static const char create_method[] =
    "createProgramInstanceForModel:modelToken:modelFilePath:qos:isPreCompiled:"
    "enablePowerSaving:skipPreparePhase:statsMask:memoryPoolID:"
    "enableLateLatch:modelIdentityStr:owningPid:cacheUrlIdentifier:"
    "aotCacheUrlIdentifier:optOutOfModelMemoryUnwiring:error:";
static const char process_method[] =
    "processRequest:model:qos:qIndex:modelStringID:options:returnValue:error:";

/* A program, shared by its cache entry and its handles. */
typedef struct compiled {
    int refs;
    an_program *program;
} compiled;

typedef struct entry {
    char *identifier;
    compiled *what;
} entry;

typedef struct handle {
    uint64_t number;
    char *identifier;
    compiled *what;
    an_request *request;
    bool loaded, held; /* by the daemon; by an object of the process */
} handle;

static struct {
    pthread_mutex_t mutex, run;
    an_engine *engine;
    int compile_limit, live_limit, n_compiles;
    entry *entries;
    size_t n_entries, cap_entries;
    handle *handles;
    size_t n_handles, cap_handles;
    uint64_t last_number;
} device = {.mutex = PTHREAD_MUTEX_INITIALIZER,
            .run = PTHREAD_MUTEX_INITIALIZER};

/* ---- failures ---- */

void an_failure_compile(an_failure *f, const char *folder, const char *reason)
{
    *f = (an_failure){.domain = an_domain_compiler, .code = 1, .under_code = 1};
    snprintf(f->text, sizeof f->text, "_ANECompiler : ANECCompile() FAILED");
    snprintf(f->under_text, sizeof f->under_text,
             "ANECCompile(%.500s) FAILED: err=(%.600s)", folder, reason);
}

void an_failure_load(an_failure *f, long number)
{
    *f = (an_failure){
        .domain = an_domain_ane, .code = 6, .method = create_method};
    snprintf(f->text, sizeof f->text, "Program load failure (0x%lX)",
             number ? number : 0x50004L);
}

/* Statuses that have codes of their own, and what is known of the others. */
void an_failure_eval(an_failure *f, long status, long type)
{
    long code = status == 0xe ? 23 : status == 0xf ? 3 : type == 0x13 ? 5 : 8;
    *f = (an_failure){
        .domain = an_domain_ane, .code = code, .method = process_method};
    snprintf(f->text, sizeof f->text,
             "ANEProgramProcessRequestDirect() Failed with status=0x%lx : "
             "statusType=0x%lx lastError=%s",
             status, type,
             code == 3   ? "Program Inference timeout"
             : code == 5 ? "Program Inference overflow"
                         : "Program Inference error");
}

static bool fail_access(an_failure *f, const char *method)
{
    *f = (an_failure){.domain = an_domain_ane, .code = 9, .method = method};
    snprintf(f->text, sizeof f->text, "file access failure");
    return false;
}

/* ---- the engine ---- */

static void set_limits(const an_settings *s)
{
    const an_chip *chip = an_chip_find(s->chip);
    device.compile_limit = s->compiles >= 0 ? s->compiles : chip->compile_limit;
    device.live_limit = s->live >= 0 ? s->live : chip->live_limit;
}

/* The soft engine without limits of its own: they are counted here. */
static an_engine *engine(void)
{
    pthread_mutex_lock(&device.mutex);
    if (!device.engine) {
        char name[80];
        an_error err = {0};
        const an_settings *s = an_settings_get();
        an_settings_freeze();
        set_limits(s);
        snprintf(name, sizeof name, "soft:%s,compiles=0,live=0,rules=%s",
                 s->chip, an_setting_word(AN_SET_RULES));
        an_engine_options options = {
            .name = name, .numerics = s->numerics, .threads = s->threads};
        if (an_engine_open(&options, &device.engine, &err) != AN_OK)
            fprintf(stderr, "replica: %s\n", err.text);
    }
    pthread_mutex_unlock(&device.mutex);
    return device.engine;
}

/* ---- the cache; the mutex is held ---- */

static void drop(compiled *c)
{
    if (!c || --c->refs) return;
    an_program_free(c->program);
    an_free(c);
}

static entry *find_entry(const char *identifier)
{
    for (size_t i = 0; i < device.n_entries; i++)
        if (strcmp(device.entries[i].identifier, identifier) == 0)
            return &device.entries[i];
    return NULL;
}

static bool store(const char *identifier, compiled *c)
{
    entry *e = find_entry(identifier);
    if (!e) {
        char *copy = an_strdup(identifier);
        if (!copy || !an_grow(&device.entries, &device.cap_entries,
                              device.n_entries, sizeof *e)) {
            an_free(copy);
            return false;
        }
        e = &device.entries[device.n_entries++];
        *e = (entry){.identifier = copy};
    }
    drop(e->what);
    e->what = c;
    return true;
}

bool an_device_has(const char *identifier)
{
    pthread_mutex_lock(&device.mutex);
    bool has = find_entry(identifier) != NULL;
    pthread_mutex_unlock(&device.mutex);
    return has;
}

void an_device_purge(const char *identifier)
{
    pthread_mutex_lock(&device.mutex);
    entry *e = find_entry(identifier);
    if (e) {
        an_free(e->identifier);
        drop(e->what);
        *e = device.entries[--device.n_entries];
    }
    pthread_mutex_unlock(&device.mutex);
}

/* ---- compiling ---- */

/* Text that does not parse, or a file that lacks, is an invalid program; what
 * parses and is refused is a failure of the compilation, unless the broken rule
 * has the other symptom. */
static bool fail_program(const an_error *err, const char *folder,
                         an_failure *failure)
{
    bool parsed = err->code == AN_EUNSUPPORTED || err->code == AN_ENOMEM ||
                  (err->code == AN_ERULE &&
                   strstr(err->text, "`InvalidMILProgram`") == NULL);
    char reason[600];
    snprintf(reason, sizeof reason, "%s) (soft: %s",
             parsed ? "CompilationFailure" : "InvalidMILProgram", err->text);
    an_failure_compile(failure, folder, reason);
    return false;
}

static an_status build(const char *folder, an_program **out, an_error *err)
{
    char path[2048], *text = NULL;
    size_t size = 0;
    an_module *module = NULL;
    an_blobs blobs = {0};
    snprintf(path, sizeof path, "%s/model.mil", folder);
    an_status s = an_file_read(path, MAX_TEXT, &text, &size, err);
    if (s == AN_OK) s = an_mil_parse(text, size, "model.mil", &module, err);
    if (s == AN_OK) s = an_blobs_open(module, folder, &blobs, err);
    if (s == AN_OK) {
        an_source source = {.text = text,
                            .size = size,
                            .name = "model.mil",
                            .blobs = blobs.items,
                            .n_blobs = blobs.n};
        s = an_engine_compile(device.engine, &source, out, err);
    }
    an_blobs_close(&blobs);
    an_module_free(module);
    an_free(text);
    return s;
}

/* Whether one more compile is granted. */
static bool count_compile(bool counts, const char *folder, an_failure *failure)
{
    bool granted = true;
    pthread_mutex_lock(&device.mutex);
    if (counts && device.compile_limit &&
        device.n_compiles >= device.compile_limit)
        granted = false;
    else if (counts)
        device.n_compiles++;
    pthread_mutex_unlock(&device.mutex);
    if (!granted) an_failure_compile(failure, folder, "");
    return granted;
}

static bool compile(const char *identifier, const char *folder, bool counts,
                    an_failure *failure)
{
    an_error err = {0};
    if (!an_path_is_folder(folder))
        return fail_access(failure, "compileModel:options:qos:error:");
    if (!engine() || !count_compile(counts, folder, failure)) return false;
    compiled *c = an_alloc(sizeof *c);
    if (!c) return false;
    c->refs = 1;
    if (build(folder, &c->program, &err) != AN_OK) {
        an_free(c);
        return fail_program(&err, folder, failure);
    }
    pthread_mutex_lock(&device.mutex);
    bool stored = store(identifier, c);
    if (!stored) drop(c);
    pthread_mutex_unlock(&device.mutex);
    return stored;
}

bool an_device_compile(const char *identifier, const char *folder,
                       an_failure *failure)
{
    return compile(identifier, folder, true, failure);
}

/* ---- handles; the mutex is held ---- */

static handle *find_handle(uint64_t number)
{
    for (size_t i = 0; i < device.n_handles; i++)
        if (device.handles[i].number == number) return &device.handles[i];
    return NULL;
}

/* How many first characters of two identifiers make them one program. */
static bool same_slot(const handle *a, const char *identifier)
{
    switch (an_settings_get()->value[AN_SET_COUNT]) {
    case AN_SLOT_PER_IDENTIFIER:
        return strcmp(a->identifier, identifier) == 0;
    case AN_SLOT_PER_TEXT:
        return strncmp(a->identifier, identifier, TEXT_DIGITS) == 0;
    default:
        return false;
    }
}

/* Is there a slot of the driver for one more program? A slot is counted at
 * the first of the handles that share it. */
static bool slot_free(const char *identifier)
{
    int used = 0;
    for (size_t i = 0; i < device.n_handles; i++) {
        bool first = true;
        const handle *h = &device.handles[i];
        if (same_slot(h, identifier)) return true;
        for (size_t k = 0; first && k < i; k++)
            first = !same_slot(&device.handles[k], h->identifier);
        used += first;
    }
    return !device.live_limit || used < device.live_limit;
}

static bool add_handle(const char *identifier, compiled *c, uint64_t *number)
{
    handle h = {.loaded = true, .held = true, .what = c};
    h.identifier = an_strdup(identifier);
    if (!h.identifier ||
        an_request_new(c->program, &h.request, NULL) != AN_OK ||
        !an_grow(&device.handles, &device.cap_handles, device.n_handles,
                 sizeof h)) {
        an_request_free(h.request);
        an_free(h.identifier);
        return false;
    }
    c->refs++;
    h.number = *number = ++device.last_number;
    device.handles[device.n_handles++] = h;
    return true;
}

/* Forgets a handle that nobody needs any more. */
static void settle(handle *h)
{
    bool by_unload = an_settings_get()->value[AN_SET_SLOT] == 0;
    if (!h->loaded && h->request) {
        an_request_free(h->request);
        drop(h->what);
        h->request = NULL;
        h->what = NULL;
    }
    if (h->loaded || (h->held && !by_unload)) return;
    an_free(h->identifier);
    *h = device.handles[--device.n_handles];
}

static bool take(const char *identifier, uint64_t *number, an_failure *failure)
{
    const entry *e = find_entry(identifier);
    if (!e) return false; /* vanished meanwhile: no error, as the real one */
    if (!slot_free(identifier)) {
        an_failure_load(failure, 0);
        return false;
    }
    return add_handle(identifier, e->what, number);
}

bool an_device_load(const char *identifier, const char *folder,
                    uint64_t *number, an_failure *failure)
{
    const an_settings *s = an_settings_get();
    bool again =
        s->value[AN_SET_RELOAD] != 0 && folder && an_path_is_folder(folder);
    bool counts = s->value[AN_SET_MISS] == 0;
    bool hit = an_device_has(identifier);
    if (!hit && !folder) return false;
    if (!hit && !compile(identifier, folder, counts, failure)) return false;
    if (hit && again && !compile(identifier, folder, false, failure))
        return false;
    pthread_mutex_lock(&device.mutex);
    bool taken = take(identifier, number, failure);
    pthread_mutex_unlock(&device.mutex);
    return taken;
}

bool an_device_unload(uint64_t number)
{
    pthread_mutex_lock(&device.run);
    pthread_mutex_lock(&device.mutex);
    handle *h = find_handle(number);
    bool loaded = h && h->loaded;
    if (loaded) {
        h->loaded = false;
        settle(h);
    }
    pthread_mutex_unlock(&device.mutex);
    pthread_mutex_unlock(&device.run);
    return loaded;
}

void an_device_release(uint64_t number)
{
    pthread_mutex_lock(&device.run);
    pthread_mutex_lock(&device.mutex);
    handle *h = find_handle(number);
    if (h) {
        h->held = false;
        if (an_settings_get()->value[AN_SET_DEALLOC] != 0) h->loaded = false;
        settle(h);
    }
    pthread_mutex_unlock(&device.mutex);
    pthread_mutex_unlock(&device.run);
}

/* ---- ports and evaluation ---- */

/* The symbol's port: sorted by name, or in the order of the text. */
static const an_port *port_of(const an_program *p, an_port_side side,
                              int symbol)
{
    int n = an_program_n_ports(p, side);
    if (an_settings_get()->value[AN_SET_ORDER] != 0)
        return an_program_port(p, side, symbol);
    for (int i = 0; i < n; i++) {
        int before = 0;
        const an_port *port = an_program_port(p, side, i);
        for (int k = 0; k < n; k++)
            before += strcmp(an_program_port(p, side, k)->name, port->name) < 0;
        if (before == symbol) return port;
    }
    return NULL;
}

const an_port *an_device_port(uint64_t number, an_port_side side, int symbol)
{
    pthread_mutex_lock(&device.mutex);
    const handle *h = find_handle(number);
    const an_port *port =
        h && h->what ? port_of(h->what->program, side, symbol) : NULL;
    pthread_mutex_unlock(&device.mutex);
    return port;
}

/* Is a symbol bound a second time? */
static bool bound_before(const an_bind *binds, int i)
{
    for (int k = 0; k < i; k++)
        if (binds[k].side == binds[i].side &&
            binds[k].symbol == binds[i].symbol)
            return true;
    return false;
}

static an_status bind_all(const handle *h, const an_bind *binds, int n,
                          an_surface **surfaces, long *status, an_error *err)
{
    const an_program *p = h->what->program;
    *status = 0x2; /* wrong symbols */
    if (n != an_program_n_ports(p, AN_INPUT) + an_program_n_ports(p, AN_OUTPUT))
        return an_fail(err, AN_EINVAL, "wrong number of surfaces");
    for (int i = 0; i < n; i++) {
        const an_port *port = NULL;
        if (!bound_before(binds, i))
            port = port_of(p, binds[i].side, binds[i].symbol);
        *status = port ? 0x1d : 0x2;
        if (!port) return an_fail(err, AN_EINVAL, "wrong symbol");
        if (binds[i].size < port->size_bytes)
            return an_fail(err, AN_EINVAL, "a surface is too small");
        /* The memory is whole pages, whatever the surface's size: a floor of
         * 16 KB is one source's, and no rule here. */
        size_t size = binds[i].size < AN_PAGE ? AN_PAGE : binds[i].size;
        an_status s = an_surface_wrap(device.engine, binds[i].data, size,
                                      &surfaces[i], err);
        if (s == AN_OK)
            s = an_request_bind(h->request, binds[i].side, port->name,
                                surfaces[i], err);
        if (s != AN_OK) return s;
    }
    return AN_OK;
}

static bool run(const handle *h, const an_bind *binds, int n, double *seconds,
                an_failure *failure)
{
    an_error err = {0};
    long status = 0x12;
    an_surface **surfaces = an_alloc_array((size_t)n + 1, sizeof(void *));
    if (!surfaces) return false;
    an_status s = bind_all(h, binds, n, surfaces, &status, &err);
    if (s == AN_OK) s = an_request_run(h->request, &err);
    *seconds = an_request_seconds(h->request);
    for (int i = 0; i < n; i++)
        an_surface_free(surfaces[i]);
    an_free(surfaces);
    if (s == AN_OK) return true;
    an_failure_eval(failure, status, status == 0x1d ? 0x9 : 0);
    return false;
}

bool an_device_evaluate(uint64_t number, const an_bind *binds, int n,
                        double *seconds, an_failure *failure)
{
    bool well = false;
    pthread_mutex_lock(&device.run);
    pthread_mutex_lock(&device.mutex);
    const handle *found = find_handle(number);
    handle h = {0};
    if (found && found->loaded) h = *found;
    pthread_mutex_unlock(&device.mutex);
    if (h.request)
        well = run(&h, binds, n, seconds, failure);
    else
        an_failure_eval(failure, 0xe, 0);
    pthread_mutex_unlock(&device.run);
    return well;
}
