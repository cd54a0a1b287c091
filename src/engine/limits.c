/*
 * Reading and enforcing limits. The errors are the framework's: a compile that
 * is one too many fails without a reason, a program too many fails in load.
 */
#include "engine/limits.h"

#include "anemone/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char domain[] = "com.apple.appleneuralengine";
static const char *const reloads[] = {"honoured", "stale", NULL};
static const char *const routes[] = {"auto", "model", "client", NULL};
static const char *const rules[] = {"refuse", "silent", "off", NULL};

/* Which of the names the text is; -1: none. */
static int choice(const char *text, size_t size, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++)
        if (strlen(names[i]) == size && strncmp(names[i], text, size) == 0)
            return i;
    return -1;
}

static bool is_key(const char *text, size_t size, const char *key)
{
    return strlen(key) == size && strncmp(key, text, size) == 0;
}

/* "key=value" at `text` of `size` bytes. */
static an_status read_setting(const char *text, size_t size, an_limits *out,
                              an_error *err)
{
    const char *equals = memchr(text, '=', size);
    size_t n = equals ? (size_t)(equals - text) : size;
    const char *value = equals ? equals + 1 : text + size;
    size_t n_value = (size_t)(text + size - value);
    char *end = NULL;
    long number = n_value ? strtol(value, &end, 10) : -1;
    if (end != text + size || number > 1000000) number = -1;
    int reload = choice(value, n_value, reloads);
    int mode = choice(value, n_value, rules);
    int route = choice(value, n_value, routes);
    if (is_key(text, n, "compiles") && number >= 0)
        out->compiles = (int)number;
    else if (is_key(text, n, "live") && number >= 0)
        out->live = (int)number;
    else if (is_key(text, n, "reload") && reload >= 0)
        out->reload = (an_chip_reload)reload;
    else if (is_key(text, n, "qos") && number >= 0)
        out->qos = (int)number;
    else if (is_key(text, n, "watchdog") && number >= 1)
        out->watchdog = (int)number;
    else if (is_key(text, n, "route") && route >= 0)
        out->route = (an_route)route;
    else if (is_key(text, n, "rules") && mode >= 0)
        out->rules = (an_rules_mode)mode;
    else
        return an_fail(err, AN_EINVAL,
                       "engine: \"%.*s\" is no setting, expected compiles=N, "
                       "live=N, reload=honoured|stale, "
                       "rules=refuse|silent|off, qos=N, watchdog=SECONDS or "
                       "route=auto|model|client",
                       (int)(size < 64 ? size : 64), text);
    return AN_OK;
}

an_status an_limits_read(const an_chip *chip, const char *name, an_limits *out,
                         an_error *err)
{
    an_limits limits = {.compiles = chip->compile_limit,
                        .live = chip->live_limit,
                        .reload = chip->reload,
                        .rules = AN_RULES_REFUSE,
                        .qos = 21,
                        .watchdog = 60,
                        .route = AN_ROUTE_AUTO};
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

/* Sources: docs/rules.md R-91; 53 and 54 of macOS 27: apple/coreai-torch, issue
 * 67, and a report of "no ANE resources". */
bool an_error_is_full(const an_error *err)
{
    if (strcmp(err->domain, domain) != 0) return false;
    return (err->engine_code == 6 && strstr(err->text, "0x50004")) ||
           err->engine_code == 53 || err->engine_code == 54;
}

static an_status fail(an_error *err, const char *of, int code, const char *text,
                      int limit)
{
    an_status s = an_fail(err, AN_EENGINE, "%s (this process's limit is %d)",
                          text, limit);
    if (err && err->code == AN_EENGINE && err->engine_code == 0) {
        err->engine_code = code;
        snprintf(err->domain, sizeof err->domain, "%s", of);
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
    return fail(err, domain, 6, "Program load failure (0x50004)", limits->live);
}
