/*
 * Reading and enforcing limits. The errors are the framework's: a compile that
 * is one too many fails without a reason, a program too many fails in load.
 */
#include "engine/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "key=value" at `text` of `size` bytes. */
static an_status read_setting(const char *text, size_t size, an_limits *out,
                              an_error *err)
{
    char key[32];
    const char *equals = memchr(text, '=', size);
    size_t n = equals ? (size_t)(equals - text) : size;
    size_t rest = equals ? size - n - 1 : 0;
    snprintf(key, sizeof key, "%.*s", n < 31 ? (int)n : 31, text);
    if (equals && strcmp(key, "reload") == 0) {
        bool stale = rest == 5 && strncmp(equals + 1, "stale", 5) == 0;
        if (!stale && !(rest == 8 && strncmp(equals + 1, "honoured", 8) == 0))
            return an_fail(err, AN_EINVAL,
                           "engine: reload is \"%.*s\", expected honoured or "
                           "stale",
                           (int)(rest < 32 ? rest : 32), equals + 1);
        out->reload = stale ? AN_CHIP_RELOAD_STALE : AN_CHIP_RELOAD_HONOURED;
        return AN_OK;
    }
    char *end = NULL;
    long number = equals ? strtol(equals + 1, &end, 10) : -1;
    int *field = strcmp(key, "compiles") == 0 ? &out->compiles
                 : strcmp(key, "live") == 0   ? &out->live
                                              : NULL;
    if (!field || end != text + size || number < 0 || number > 1000000)
        return an_fail(err, AN_EINVAL,
                       "engine: \"%.*s\" is no setting, expected compiles=N, "
                       "live=N or reload=honoured|stale",
                       (int)(size < 64 ? size : 64), text);
    *field = (int)number;
    return AN_OK;
}

an_status an_limits_read(const an_chip *chip, const char *name, an_limits *out,
                         an_error *err)
{
    an_limits limits = {chip->compile_limit, chip->live_limit, chip->reload};
    const char *at = strchr(name, ',');
    while (at) {
        const char *text = at + 1;
        at = strchr(text, ',');
        size_t size = at ? (size_t)(at - text) : strlen(text);
        an_status s = read_setting(text, size, &limits, err);
        if (s != AN_OK) return s;
    }
    *out = limits;
    return AN_OK;
}

static an_status fail(an_error *err, const char *domain, int code,
                      const char *text, int limit)
{
    an_status s = an_fail(err, AN_EENGINE, "%s (this process's limit is %d)",
                          text, limit);
    if (err && err->code == AN_EENGINE && err->engine_code == 0) {
        err->engine_code = code;
        snprintf(err->domain, sizeof err->domain, "%s", domain);
    }
    return s;
}

an_status an_limits_fail_compile(const an_limits *limits, an_error *err)
{
    return fail(err, "com.apple.appleneuralengine.compiler", 1,
                "_ANECompiler : ANECCompile() FAILED: err=()",
                limits->compiles);
}

an_status an_limits_fail_load(const an_limits *limits, an_error *err)
{
    return fail(err, "com.apple.appleneuralengine", 6,
                "Program load failure (0x50004)", limits->live);
}
