/*
 * Opening the framework: where it is, whether it fits, what chip it drives.
 *
 * On macOS `apple` opens Apple's framework, and a replica only where
 * ANEMONE_FRAMEWORKS says so. A replica computes in the numerics that are
 * asked for; Apple's framework computes in its own, so there they cannot be
 * asked for.
 */
#include "engine/apple/apple.h"
#include "engine/apple/values.h"

#include "base/alloc.h"
#include "base/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- uncaught exceptions ---- */

/* A handler gets no context, so the bindings are kept here. Set once per
 * process, before any message is sent from the worker. */
static const an_objc *handler_objc;

static void put(const char *text)
{
    size_t n = strlen(text);
    while (n) {
        ssize_t written = write(STDERR_FILENO, text, n);
        if (written <= 0) return;
        text += written;
        n -= (size_t)written;
    }
}

/* The process ends after this: C cannot catch. What was saved is whole. */
static void on_exception(void *exception)
{
    const an_objc *o = handler_objc;
    put("anemone: the framework raised ");
    put(an_ns_text(o, an_send(o, AN_SEL_EXCEPTION_NAME, exception)));
    put(": ");
    put(an_ns_text(o, an_send(o, AN_SEL_EXCEPTION_REASON, exception)));
    put("; the last checkpoint is whole, the same command goes on\n");
    _exit(1);
}

/* ---- the chip ---- */

/*
 * By aneArchitectureType: h16g is proven for M4 (tmc/apple, silicon-ledger);
 * M3 answers h14g (jafreck/ironmill) or h15g; the others continue the row and
 * are not measured. Where the system names its chip, that is believed.
 */
static const struct {
    const char *architecture, *chip;
} architectures[] = {{"h13", "m1"}, {"h14", "m2"}, {"h15", "m3"},
                     {"h16", "m4"}, {"h17", "m5"}, {"h18", "m6"}};

static const an_chip *chip_of(const an_objc *o)
{
    an_host_facts host = an_host_get_facts(an_host_here());
    const char *told = an_ns_text(
        o, an_send(o, AN_SEL_ARCHITECTURE, o->classes[AN_SEL_ARCHITECTURE]));
    if (!o->replica && an_chip_find(host.chip)) return an_chip_find(host.chip);
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        if (strncmp(told, architectures[i].architecture, 3) == 0)
            return an_chip_find(architectures[i].chip);
    return an_chip_find("m4");
}

static an_status ask_device(an_apple *a, an_error *err)
{
    const an_objc *o = &a->fw->objc;
    if (o->present[AN_SEL_IS_GUEST] &&
        an_send_bool(o, AN_SEL_IS_GUEST, o->classes[AN_SEL_IS_GUEST]))
        return an_fail(err, AN_EUNSUPPORTED,
                       "engine apple: this is a virtual machine, which has no "
                       "engine; use --engine soft");
    if (o->present[AN_SEL_HAS_ANE] &&
        !an_send_bool(o, AN_SEL_HAS_ANE, o->classes[AN_SEL_HAS_ANE]))
        return an_fail(err, AN_EUNSUPPORTED,
                       "engine apple: the system says that there is no engine");
    a->base.chip = chip_of(o);
    return AN_OK;
}

/* What the self-test found on this system; nothing where it was not run. */
static void recall(an_apple *a)
{
    an_subject subject;
    int *limit = &a->fw->limits.compiles;
    if (an_subject_of(&a->fw->objc, &subject, NULL) != AN_OK ||
        an_verdict_load(&subject, &a->fw->found, NULL) != AN_OK)
        return;
    int found = a->fw->found.compiles;
    if (found && *limit > found) a->base.limits.compiles = *limit = found;
}

static an_status look_at_device(an_apple *a, an_error *err)
{
    void *pool = an_pool_push(&a->fw->objc);
    an_status s = ask_device(a, err);
    if (s == AN_OK) recall(a);
    an_pool_pop(&a->fw->objc, pool);
    return s;
}

/* ---- opening ---- */

static void enter(void *ctx)
{
    const an_objc *o = ctx;
    an_host_favour_thread(an_host_here());
    if (o->enter_thread) o->enter_thread();
}

static void leave(void *ctx)
{
    const an_objc *o = ctx;
    if (o->leave_thread) o->leave_thread();
}

static an_status give_settings(const an_framework *fw,
                               const an_engine_options *options, an_error *err)
{
    const an_objc *o = &fw->objc;
    char text[64];
    if (!o->replica) {
        if (fw->limits.numerics == AN_WISH_DEFAULT &&
            options->numerics != AN_NUMERICS_EXACT)
            return AN_OK;
        return an_fail(err, AN_EINVAL,
                       "engine apple computes in its own numerics, and takes "
                       "no --numerics %s",
                       an_numerics_name(options->numerics));
    }
    snprintf(text, sizeof text, "numerics=%s,threads=%d",
             an_numerics_name(options->numerics), options->threads);
    if (o->configure(text) == 0) return AN_OK;
    return an_fail(err, AN_EINVAL, "engine apple: the replica does not take %s",
                   text);
}

static an_status begin(void *framework, an_error *err)
{
    an_framework *fw = framework;
    const an_objc *o = &fw->objc;
    (void)err;
    handler_objc = o;
    if (o->set_handler) o->set_handler(on_exception);
    void *pool = an_pool_push(o);
    fw->options = an_send(o, AN_SEL_RETAIN, an_ns_dictionary(o, NULL, NULL, 0));
    fw->stats_options = an_send(o, AN_SEL_RETAIN, an_stats_options(o));
    an_pool_pop(o, pool);
    return AN_OK;
}

static an_status start(an_framework *fw, an_error *err)
{
    an_worker_hooks hooks = {.enter = enter, .leave = leave, .ctx = &fw->objc};
    an_status s =
        an_worker_open((double)fw->limits.watchdog, hooks, &fw->worker, err);
    return s == AN_OK ? an_worker_do(fw->worker, "open", begin, fw, err) : s;
}

static const an_chip *find(const char *name)
{
    return strcmp(name, "apple") == 0 ? an_chip_find("m4") : NULL;
}

static an_status open_engine(an_engine *e, const an_engine_options *options,
                             an_error *err)
{
    an_apple *a = (an_apple *)e;
    an_framework *fw = an_alloc(sizeof *fw);
    if (!fw) return an_fail(err, AN_ENOMEM, "engine apple: no memory");
    a->fw = fw;
    fw->limits = e->limits;
    fw->memory_bytes =
        e->limits.memory_mb
            ? e->limits.memory_mb * 1e6
            : (double)an_host_get_facts(an_host_here()).memory_bytes;
    fw->route = fw->limits.route;
    e->limits.live = 0; /* programs that are too many are parked: live.c */
    fw->folders.lock.fd = -1;
    an_status s = an_objc_open(&fw->objc, err);
    if (s == AN_OK) s = an_objc_check(&fw->objc, err);
    if (s == AN_OK) s = give_settings(fw, options, err);
    if (s == AN_OK) s = look_at_device(a, err);
    if (s == AN_OK && fw->route == AN_ROUTE_CLIENT &&
        !an_apple_has_client(&fw->objc))
        s = an_fail(err, AN_EUNSUPPORTED,
                    "engine apple: this system has no route=client");
    e->own_numerics = s == AN_OK && !fw->objc.replica;
    if (s == AN_OK) s = start(fw, err);
    snprintf(e->name, sizeof e->name, "apple%s",
             fw->objc.replica ? " (replica)" : "");
    return s;
}

static an_status finish(void *framework, an_error *err)
{
    (void)err;
    an_framework *fw = framework;
    void *pool = an_pool_push(&fw->objc);
    an_send_void(&fw->objc, AN_SEL_RELEASE, fw->options);
    an_send_void(&fw->objc, AN_SEL_RELEASE, fw->stats_options);
    an_pool_pop(&fw->objc, pool);
    if (fw->objc.set_handler) fw->objc.set_handler(NULL);
    return AN_OK;
}

static void close_engine(an_engine *e)
{
    an_framework *fw = ((an_apple *)e)->fw;
    bool dead = false;
    if (!fw) return;
    if (fw->worker) {
        an_worker_do(fw->worker, "close", finish, fw, NULL);
        dead = an_worker_is_dead(fw->worker);
        an_worker_close(fw->worker);
    }
    an_folders_close(&fw->folders);
    if (!dead) an_free(fw);
}

static size_t work_bytes(const an_program *p)
{
    (void)p; /* the framework does not tell */
    return 0;
}

const an_engine_kind an_engine_apple = {
    .engine_bytes = sizeof(an_apple),
    .program_bytes = sizeof(an_apple_program),
    .request_bytes = sizeof(an_apple_request),
    .reload_counts = true, /* the daemon compiles what it has not cached */
    .find = find,
    .open = open_engine,
    .close = close_engine,
    .compile = an_apple_compile,
    .free_program = an_apple_free_program,
    .reload = an_apple_reload,
    .work_bytes = work_bytes,
    .make_surface = an_apple_make_surface,
    .free_surface = an_apple_free_surface,
    .lock_surface = an_apple_lock_surface,
    .unlock_surface = an_apple_unlock_surface,
    .make_request = an_apple_make_request,
    .free_request = an_apple_free_request,
    .work = an_apple_work,
    .profile = an_apple_profile,
    .step = an_apple_step,
};
