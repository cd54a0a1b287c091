/* Places: how many programs a process compiles, and what frees their places. */
#include "engine/apple/selftest_parts.h"

#include "base/alloc.h"
#include "engine/apple/values.h"

#include <stdio.h>
#include <string.h>

/* More than any source claims as the limit of distinct programs (119 compiles:
 * maderix/ANE; 126, 127 places: h3.c-ane, True2456/qwen-ane). */
enum { PROGRAMS = 140 };

typedef struct places {
    an_framework *fw;
    an_port ports[2];
    char text[768];
    an_loading loading;
    an_loaded *loaded[PROGRAMS + 1]; /* unloaded, their objects kept */
    int n;
} places;

/* Texts differ: programs of one text may share a place (qwen-ane). */
static void next_text(places *p)
{
    // clang-format off
    snprintf(p->text, sizeof p->text,
             AN_MIL_HEAD AN_MIL_SMALL " x) {\n        " AN_MIL_HALF("c", "0x%xp+0")
             AN_MIL_SMALL " y = mul(x = x, y = c)" AN_MIL_NAME("y")
             "} -> (y);\n}\n", (unsigned)p->n + 2);
    // clang-format on
}

static an_status load_next(void *ctx, an_error *err)
{
    places *p = ctx;
    const an_objc *o = &p->fw->objc;
    next_text(p);
    p->loading =
        (an_loading){.out = p->loaded[p->n],
                     .way = AN_LOAD_COMPILED,
                     .handed = {.text = p->text, .size = strlen(p->text)},
                     .ports = {&p->ports[0], &p->ports[1]}};
    an_status s = an_loaded_make(&p->loading, err);
    if (s != AN_OK) return s;
    void *error = NULL, *pool = an_pool_push(o);
    void *object = p->loaded[p->n]->object;
    an_send_unload(o, object, (unsigned)p->fw->limits.qos, &error);
    an_send_void(o, AN_SEL_PURGE, object);
    an_live_remove(p->loaded[p->n]); /* it makes no room for others */
    an_pool_pop(o, pool);
    return AN_OK;
}

/* What the engine does to make room: an unloaded model keeps its program. */
static an_status let_programs_go(void *ctx, an_error *err)
{
    places *p = ctx;
    const an_objc *o = &p->fw->objc;
    void *pool = an_pool_push(o);
    (void)err;
    for (int i = 0; i < p->n; i++)
        an_send_void_p(o, AN_SEL_SET_PROGRAM, p->loaded[i]->object, NULL);
    an_pool_pop(o, pool);
    return AN_OK;
}

static an_status release_all(void *ctx, an_error *err)
{
    places *p = ctx;
    const an_objc *o = &p->fw->objc;
    void *pool = an_pool_push(o);
    (void)err;
    for (int i = 0; i < p->n; i++)
        an_send_void(o, AN_SEL_RELEASE, p->loaded[i]->object);
    an_pool_pop(o, pool);
    return AN_OK;
}

static an_status load_one(an_test *t, places *p, an_error *err)
{
    p->loaded[p->n] = an_loaded_new(p->fw, 1, 1);
    if (!p->loaded[p->n])
        return an_fail(err, AN_ENOMEM, "self-test: no memory");
    an_status s = an_worker_do(p->fw->worker, "self-test", load_next, p, err);
    if (s == AN_OK)
        p->n++;
    else if (!an_worker_is_dead(t->fw->worker)) {
        an_loaded_free(p->loaded[p->n]);
        p->loaded[p->n] = NULL;
    }
    return s;
}

static void free_loaded(places *p)
{
    for (int i = 0; i < p->n; i++)
        an_loaded_free(p->loaded[i]);
    p->n = 0;
}

/* After a program too many: does a place come back by this? */
static an_status retry_after(an_test *t, places *p,
                             an_status (*give)(void *ctx, an_error *err),
                             bool *came)
{
    an_error full = {0};
    an_status s = an_worker_do(t->fw->worker, "self-test", give, p, t->err);
    if (s != AN_OK) return s;
    if (give == release_all) free_loaded(p);
    s = load_one(t, p, &full);
    *came = s == AN_OK;
    if (s == AN_OK || an_test_refused(t, s)) return AN_OK;
    *t->err = full;
    return s;
}

static an_status ask_what_gives_back(an_test *t, places *p)
{
    bool came = false;
    an_status s = retry_after(t, p, let_programs_go, &came);
    t->out->slot = came ? AN_SLOT_PROGRAM : AN_SLOT_KEPT;
    if (s != AN_OK || came) return s;
    s = retry_after(t, p, release_all, &came);
    if (came) t->out->slot = AN_SLOT_RELEASE;
    return s;
}

static an_status fill_places(an_test *t, places *p)
{
    an_error refused = {0};
    an_status s = AN_OK;
    int before = t->engine->n_compiles;
    while (p->n < PROGRAMS && s == AN_OK)
        s = load_one(t, p, &refused);
    t->out->programs = p->n;
    if (s == AN_OK) {
        t->out->slot = AN_SLOT_UNLOAD;
        return AN_OK;
    }
    if (an_error_is_full(&refused)) return ask_what_gives_back(t, p);
    if (an_test_refused(t, s)) {
        an_test_note(t, "one program more", &refused);
        t->out->compiles = before + p->n;
        return AN_OK;
    }
    *t->err = refused;
    return s;
}

/* The place goes with unload (4rg0naut, iOS), only with unload and release (a
 * fork of h3.c-ane), or the process has only so many compiles. */
an_status an_ask_places(an_test *t)
{
    places *p = an_alloc(sizeof *p);
    if (!p) return an_fail(t->err, AN_ENOMEM, "self-test: no memory");
    p->fw = t->fw;
    p->ports[0].name = "x";
    p->ports[1].name = "y";
    an_status s = fill_places(t, p);
    if (an_worker_is_dead(t->fw->worker)) return s; /* leaked on purpose */
    an_worker_do(t->fw->worker, "self-test", release_all, p, NULL);
    free_loaded(p);
    an_free(p);
    return s;
}
