/*
 * The software engine as a kind: `soft` is a chip's stand-in, alone m4; `cpu`
 * is the same executor without a chip.
 */
#include "engine/soft/program.h"

#include <string.h>

static const an_chip *find(const char *name)
{
    if (strcmp(name, "cpu") == 0) return an_chip_find("cpu");
    if (strcmp(name, "soft") == 0) return an_chip_find("m4");
    if (strncmp(name, "soft:", 5) != 0) return NULL;
    const an_chip *chip = an_chip_find(name + 5);
    return chip && chip->cores ? chip : NULL;
}

static an_status open(an_engine *e, const an_engine_options *o, an_error *err)
{
    an_soft_engine *soft = (an_soft_engine *)e;
    return an_soft_numerics_of(o->numerics, e->chip->name, &soft->numerics,
                               err);
}

static void close(an_engine *e)
{
    an_tables_free((an_soft_engine *)e);
}

/* Nothing marks a surface as locked: only the owner of the bytes may submit
 * work on them in between. */
static an_status lock(an_surface *s, an_lock_mode mode, an_error *err)
{
    (void)s, (void)mode, (void)err;
    return AN_OK;
}

static void unlock(an_surface *s, an_lock_mode mode)
{
    (void)s, (void)mode;
}

const an_engine_kind an_engine_soft = {
    .engine_bytes = sizeof(an_soft_engine),
    .program_bytes = sizeof(an_soft_program),
    .request_bytes = sizeof(an_soft_request),
    .find = find,
    .open = open,
    .close = close,
    .compile = an_soft_compile,
    .free_program = an_soft_free_program,
    .reload = an_soft_reload,
    .work_bytes = an_soft_work_bytes,
    .make_surface = an_surface_make_plain,
    .free_surface = an_surface_free_plain,
    .lock_surface = lock,
    .unlock_surface = unlock,
    .make_request = an_soft_make_request,
    .free_request = an_soft_free_request,
    .work = an_soft_work,
    .profile = an_soft_profile,
    .step = an_soft_step,
};
