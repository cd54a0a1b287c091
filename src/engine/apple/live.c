/*
 * Which programs are loaded. A process holds about 127 at a time, and whether
 * an unload gives the place back or only a release is open, so a program that
 * makes room is unloaded and what holds its place is released; its compiled
 * form stays, and it is loaded again when it is evaluated next. Sources:
 * docs/rules.md R-91, and the listing of -[_ANEInMemoryModel unloadWithQoS:].
 *
 * All of it runs on the worker's thread, so no program is being evaluated
 * while others are loaded.
 */
#include "engine/apple/apple.h"

#include "engine/apple/values.h"

#include <string.h>
#include <time.h>

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* ---- room ---- */

static int count_live(const an_framework *fw)
{
    int n = 0;
    for (const an_loaded *l = fw->programs; l; l = l->next)
        n += !l->parked;
    return n;
}

static an_loaded *least_recently_used(const an_framework *fw)
{
    an_loaded *found = NULL;
    for (an_loaded *l = fw->programs; l; l = l->next)
        if (!l->parked && (!found || l->used < found->used)) found = l;
    return found;
}

/* The model keeps its program, and so its place, after an unload. */
static void unload(const an_framework *fw, void *model)
{
    const an_objc *o = &fw->objc;
    void *error = NULL;
    void *pool = an_pool_push(o);
    an_send_unload(o, model, (unsigned)fw->limits.qos, &error);
    an_send_void_p(o, AN_SEL_SET_PROGRAM, model, NULL);
    an_pool_pop(o, pool);
}

static void make_room(an_framework *fw, int n_left)
{
    for (int n = count_live(fw); n > n_left; n--) {
        an_loaded *l = least_recently_used(fw);
        unload(fw, l->object);
        l->parked = true;
    }
}

/* ---- calls ---- */

static an_status call(const an_framework *fw, an_name name, const char *what,
                      void *model, an_error *err)
{
    const an_objc *o = &fw->objc;
    void *error = NULL;
    void *empty = an_ns_dictionary(o, NULL, NULL, 0);
    unsigned qos = (unsigned)fw->limits.qos;
    bool well = an_send_qos(o, name, model, qos, empty, &error);
    if (an_worker_is_dead(fw->worker))
        return an_fail(err, AN_EENGINE, "the engine is dead");
    return well ? AN_OK : an_ns_fail(o, what, error, err);
}

/* A load that finds no place is tried again, with half of the others parked,
 * then with all: a release is asynchronous (jundot/omlx, pull request 2999). A
 * compiler service that died is started anew by the system. */
static an_status call_patiently(an_framework *fw, an_name name,
                                const char *what, void *model, an_error *err)
{
    static const long waits_ms[] = {100, 1000};
    enum { N_WAITS = sizeof waits_ms / sizeof *waits_ms };
    for (int i = 0;; i++) {
        an_error failed = {0};
        an_status s = call(fw, name, what, model, &failed);
        bool full = an_error_is_full(&failed);
        if (s == AN_OK) return s;
        if (i < N_WAITS && (full || failed.engine_code == 4097)) {
            if (full) make_room(fw, i == 0 ? count_live(fw) / 2 : 0);
            sleep_ms(waits_ms[i]);
            continue;
        }
        if (err && err->code == AN_OK) *err = failed;
        return s;
    }
}

an_status an_live_compile(an_framework *fw, void *model, an_error *err)
{
    return call_patiently(fw, AN_SEL_COMPILE, "compile", model, err);
}

an_status an_live_load(an_framework *fw, void *model, an_error *err)
{
    if (fw->limits.live) make_room(fw, fw->limits.live - 1);
    return call_patiently(fw, AN_SEL_LOAD, "load", model, err);
}

/* ---- the list ---- */

/* Equal text and weights are one compiled form, which others may need. */
static bool is_shared(const an_loaded *l)
{
    for (const an_loaded *k = l->fw->programs; k; k = k->next)
        if (k != l && strcmp(k->identifier, l->identifier) == 0) return true;
    return false;
}

void an_live_add(an_loaded *l)
{
    an_framework *fw = l->fw;
    l->used = ++fw->clock;
    l->next = fw->programs;
    fw->programs = l;
}

void an_live_discard(an_loaded *l, void *model)
{
    const an_framework *fw = l->fw;
    if (!l->parked) unload(fw, model);
    if (!is_shared(l)) an_send_void(&fw->objc, AN_SEL_PURGE, model);
}

void an_live_remove(an_loaded *l)
{
    an_loaded **at = &l->fw->programs;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
}

an_status an_live_wake(an_loaded *l, an_error *err)
{
    l->used = ++l->fw->clock;
    if (!l->parked) return AN_OK;
    an_status s = an_live_load(l->fw, l->object, err);
    if (s == AN_OK) l->parked = false;
    return s;
}
