/*
 * Engines by name: the list of kinds, and what all of them share. `auto` is the
 * first kind that this machine has.
 */
#include "engine/impl.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

static const char *const numerics_names[AN_NUMERICS_COUNT] = {
    [AN_NUMERICS_IEEE] = "ieee",
    [AN_NUMERICS_HW] = "hw",
    [AN_NUMERICS_EXACT] = "exact",
};

const char *an_numerics_name(an_numerics numerics)
{
    unsigned i = (unsigned)numerics;
    return i < AN_NUMERICS_COUNT ? numerics_names[i] : "unknown";
}

an_status an_numerics_find(const char *name, an_numerics *out, an_error *err)
{
    for (int i = 0; i < AN_NUMERICS_COUNT; i++)
        if (strcmp(name, numerics_names[i]) == 0) {
            *out = (an_numerics)i;
            return AN_OK;
        }
    return an_fail(err, AN_EINVAL,
                   "numerics is \"%.32s\", expected ieee, hw or exact", name);
}

static const an_engine_kind *const kinds[] = {&an_engine_soft,
                                              &an_engine_apple};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* The kind that has an engine of this name, and the chip that it stands for. */
static const an_engine_kind *find_kind(const char *full, const an_chip **chip)
{
    char name[32];
    size_t n = strcspn(full, ","); /* settings follow: engine/limits.h */
    if (n >= sizeof name) return NULL;
    snprintf(name, sizeof name, "%.*s", (int)n, full);
    for (int i = 0; i < N_KINDS; i++)
        if ((*chip = kinds[i]->find(name)) != NULL) return kinds[i];
    return NULL;
}

static an_status fail_name(const char *name, an_error *err)
{
    char list[128] = "";
    for (int i = 0; an_chip_at(i); i++)
        if (an_chip_at(i)->cores)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
                     *list ? ", " : "", an_chip_at(i)->name);
    return an_fail(err, AN_EINVAL,
                   "engine is \"%.32s\", expected auto, apple, cpu, soft or "
                   "soft:CHIP with one of %s",
                   name, list);
}

static void set_name(an_engine *e)
{
    if (e->chip->cores)
        snprintf(e->name, sizeof e->name, "soft:%s", e->chip->name);
    else
        snprintf(e->name, sizeof e->name, "%s", e->chip->name);
}

static an_status open_pool(an_engine *e, const an_engine_options *o,
                           an_error *err)
{
    e->pool = o->pool;
    if (e->pool) return AN_OK;
    an_status s = an_pool_open(o->threads, &e->own_pool, err);
    e->pool = e->own_pool;
    return s;
}

static an_status open_named(const char *name, const an_engine_options *options,
                            an_engine **out, an_error *err)
{
    const an_chip *chip = NULL;
    const an_engine_kind *kind = find_kind(name, &chip);
    if (!kind) return fail_name(name, err);
    if ((unsigned)options->numerics >= AN_NUMERICS_COUNT)
        return an_fail(err, AN_EINVAL,
                       "engine: numerics is %d, expected 0 to "
                       "%d",
                       (int)options->numerics, AN_NUMERICS_COUNT - 1);
    an_limits limits;
    an_status s = an_limits_read(chip, name, &limits, err);
    if (s != AN_OK) return s;
    an_engine *e = an_alloc(kind->engine_bytes);
    if (!e) return an_fail(err, AN_ENOMEM, "engine: no memory");
    e->kind = kind;
    e->chip = chip;
    e->limits = limits;
    set_name(e);
    pthread_mutex_init(&e->mutex, NULL);
    s = open_pool(e, options, err);
    if (s == AN_OK) s = kind->open(e, options, err);
    if (s == AN_OK)
        *out = e;
    else
        an_engine_close(e);
    return s;
}

/* `auto` is Apple's engine where its own framework opens, else soft. */
an_status an_engine_open(const an_engine_options *options, an_engine **out,
                         an_error *err)
{
    char text[128];
    const char *name = options->name ? options->name : "auto";
    if (strcspn(name, ",") != 4 || strncmp(name, "auto", 4) != 0)
        return open_named(name, options, out, err);
    snprintf(text, sizeof text, "apple%.100s", name + 4);
    if (an_apple_is_own()) {
        an_error failed = {0};
        an_status s = open_named(text, options, out, &failed);
        if (s == AN_EINVAL && err && err->code == AN_OK) *err = failed;
        if (s == AN_OK || s == AN_EINVAL) return s;
    }
    snprintf(text, sizeof text, "soft%.100s", name + 4);
    return open_named(text, options, out, err);
}

void an_engine_close(an_engine *engine)
{
    if (!engine) return;
    an_pool_close(engine->own_pool);
    engine->kind->close(engine);
    pthread_mutex_destroy(&engine->mutex);
    an_free(engine);
}

void an_engine_get_facts(an_engine *engine, an_engine_facts *out)
{
    pthread_mutex_lock(&engine->mutex);
    *out = (an_engine_facts){.name = engine->name,
                             .chip = engine->chip->name,
                             .cores = engine->chip->cores,
                             .compiles_left = engine->limits.compiles
                                                  ? engine->limits.compiles -
                                                        engine->n_compiles
                                                  : -1,
                             .own_numerics = engine->own_numerics,
                             .compiles = engine->n_compiles,
                             .reload_counts = engine->kind->reload_counts,
                             .programs_loaded = engine->n_programs};
    pthread_mutex_unlock(&engine->mutex);
}
