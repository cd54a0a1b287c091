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

/* A word and the number that it stands for. */
typedef struct word {
    const char *text; /* NULL: no more */
    int value;
} word;

static const word reloads[] = {{"honoured", AN_CHIP_RELOAD_HONOURED},
                               {"stale", AN_CHIP_RELOAD_STALE},
                               {NULL, 0}};
static const word modes[] = {{"refuse", AN_RULES_REFUSE},
                             {"silent", AN_RULES_SILENT},
                             {"off", AN_RULES_OFF},
                             {NULL, 0}};
static const word routes[] = {{"auto", AN_ROUTE_AUTO},
                              {"model", AN_ROUTE_MODEL},
                              {"client", AN_ROUTE_CLIENT},
                              {NULL, 0}};
static const word wishes[] = {
    {"default", AN_WISH_DEFAULT}, {"asked", AN_WISH_ASKED}, {NULL, 0}};
/* As _ANEQoSMapper has them (MTACS/iOS-17-Runtime-Headers; the numbers are
 * those of qos_class_t). */
static const word classes[] = {
    {"real-time", 0}, {"background", 9},      {"utility", 17},
    {"default", 21},  {"user-initiated", 25}, {"user-interactive", 33},
    {NULL, 0}};

enum { MOST = 1000000, NO_NUMBER = -1 };

/* A setting is one of its words, or a number from `least` on. */
typedef struct setting {
    const char *key, *expected;
    size_t offset; /* of an int */
    const word *words;
    int least;
} setting;
#define AT(field) offsetof(an_limits, field)

static const setting settings[] = {
    {"compiles", "N", AT(compiles), NULL, 0},
    {"live", "N", AT(live), NULL, 0},
    {"reload", "honoured|stale", AT(reload), reloads, NO_NUMBER},
    {"rules", "refuse|silent|off", AT(rules), modes, NO_NUMBER},
    {"qos",
     "real-time|background|utility|default|user-initiated|user-interactive",
     AT(qos), classes, 0},
    {"watchdog", "SECONDS", AT(watchdog), NULL, 1},
    {"route", "auto|model|client", AT(route), routes, NO_NUMBER},
    {"memory", "MB", AT(memory_mb), NULL, 1},
    {"numerics", "default|asked", AT(numerics), wishes, NO_NUMBER},
};
enum { N_SETTINGS = sizeof settings / sizeof *settings };

static bool is_word(const char *text, size_t size, const char *word_)
{
    return strlen(word_) == size && strncmp(word_, text, size) == 0;
}

static bool read_value(const setting *s, const char *text, size_t size,
                       int *out)
{
    for (const word *w = s->words; w && w->text; w++)
        if (is_word(text, size, w->text)) {
            *out = w->value;
            return true;
        }
    char *end = NULL;
    long number = size ? strtol(text, &end, 10) : -1;
    *out = (int)number;
    return s->least != NO_NUMBER && size && end == text + size &&
           number >= s->least && number <= MOST;
}

static an_status fail_setting(const char *text, size_t size, an_error *err)
{
    char list[400] = "";
    for (int i = 0; i < N_SETTINGS; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s=%s",
                 i == 0                ? ""
                 : i == N_SETTINGS - 1 ? " or "
                                       : ", ",
                 settings[i].key, settings[i].expected);
    return an_fail(err, AN_EINVAL,
                   "engine: \"%.*s\" is no setting, expected %s",
                   (int)(size < 64 ? size : 64), text, list);
}

/* "key=value" at `text` of `size` bytes. */
static an_status read_setting(const char *text, size_t size, an_limits *out,
                              an_error *err)
{
    const char *equals = memchr(text, '=', size);
    if (!equals) return fail_setting(text, size, err);
    const char *value = equals + 1;
    for (int i = 0; i < N_SETTINGS; i++) {
        int number;
        if (!is_word(text, (size_t)(equals - text), settings[i].key)) continue;
        if (!read_value(&settings[i], value, (size_t)(text + size - value),
                        &number))
            break;
        memcpy((char *)out + settings[i].offset, &number, sizeof number);
        return AN_OK;
    }
    return fail_setting(text, size, err);
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
