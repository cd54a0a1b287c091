/*
 * Engines by name. `soft` is the software engine as a chip's stand-in, `soft`
 * alone means m4; `cpu` is the same executor without a chip. `auto` is `soft`.
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

/* The chip of an engine's name; NULL: there is no such engine. */
static const an_chip *chip_of(const char *full)
{
    char name[32];
    size_t n = strcspn(full, ","); /* settings follow: engine/limits.h */
    if (n >= sizeof name) return NULL;
    snprintf(name, sizeof name, "%.*s", (int)n, full);
    if (strcmp(name, "cpu") == 0) return an_chip_find("cpu");
    if (strcmp(name, "auto") == 0 || strcmp(name, "soft") == 0)
        return an_chip_find("m4");
    if (strncmp(name, "soft:", 5) != 0) return NULL;
    const an_chip *chip = an_chip_find(name + 5);
    return chip && chip->cores ? chip : NULL;
}

static an_status fail_name(const char *name, an_error *err)
{
    char list[128] = "";
    for (int i = 0; an_chip_at(i); i++)
        if (an_chip_at(i)->cores)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
                     *list ? ", " : "", an_chip_at(i)->name);
    return an_fail(err, AN_EINVAL,
                   "engine is \"%.32s\", expected auto, cpu, soft or soft:CHIP "
                   "with one of %s",
                   name, list);
}

static void set_name(an_engine *e)
{
    if (e->chip->cores)
        snprintf(e->name, sizeof e->name, "soft:%s", e->chip->name);
    else
        snprintf(e->name, sizeof e->name, "%s", e->chip->name);
}

an_status an_engine_open(const an_engine_options *options, an_engine **out,
                         an_error *err)
{
    const char *name = options->name ? options->name : "auto";
    const an_chip *chip = chip_of(name);
    if (!chip) return fail_name(name, err);
    if ((unsigned)options->numerics >= AN_NUMERICS_COUNT)
        return an_fail(err, AN_EINVAL,
                       "engine: numerics is %d, expected 0 to "
                       "%d",
                       (int)options->numerics, AN_NUMERICS_COUNT - 1);
    an_limits limits;
    an_soft_numerics numerics;
    an_status status = an_limits_read(chip, name, &limits, err);
    if (status == AN_OK)
        status =
            an_soft_numerics_of(options->numerics, chip->name, &numerics, err);
    if (status != AN_OK) return status;
    an_engine *e = an_alloc(sizeof *e);
    if (!e) return an_fail(err, AN_ENOMEM, "engine: no memory");
    e->chip = chip;
    e->limits = limits;
    e->numerics = numerics;
    e->pool = options->pool;
    set_name(e);
    if (!e->pool) {
        status = an_pool_open(options->threads, &e->own_pool, err);
        if (status != AN_OK) {
            an_free(e);
            return status;
        }
        e->pool = e->own_pool;
    }
    pthread_mutex_init(&e->mutex, NULL);
    *out = e;
    return AN_OK;
}

void an_engine_close(an_engine *engine)
{
    if (!engine) return;
    an_pool_close(engine->own_pool);
    an_tables_free(engine);
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
                             .programs_loaded = engine->n_programs};
    pthread_mutex_unlock(&engine->mutex);
}
