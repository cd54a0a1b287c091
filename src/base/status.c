/*
 * Error records. The first failure is kept and callers may only prefix it, so
 * that what a user reads names the place where things went wrong. Texts stay
 * on one line: control characters, which come from foreign text, become '?'.
 */
#include "anemone/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *an_status_name(an_status code)
{
    static const char *const names[] = {
        [AN_OK] = "ok",           [AN_ENOMEM] = "memory",
        [AN_EINVAL] = "argument", [AN_ESYNTAX] = "syntax",
        [AN_ETYPE] = "type",      [AN_ERULE] = "rule",
        [AN_EIO] = "io",          [AN_EFORMAT] = "format",
        [AN_EENGINE] = "engine",  [AN_EUNSUPPORTED] = "unsupported",
    };
    size_t i = (size_t)code;
    return i < sizeof names / sizeof *names ? names[i] : "unknown";
}

static void keep_on_one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127) *text = '?';
}

an_status an_fail(an_error *err, an_status code, const char *format, ...)
{
    if (!err || err->code != AN_OK) return code;
    *err = (an_error){.code = code};
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    keep_on_one_line(err->text);
    return code;
}

an_status an_fail_at(an_error *err, an_status code, int line, int column,
                     const char *format, ...)
{
    if (!err || err->code != AN_OK) return code;
    *err = (an_error){.code = code, .line = line, .column = column};
    int n = snprintf(err->text, sizeof err->text, "%d:%d: ", line, column);
    va_list args;
    va_start(args, format);
    vsnprintf(err->text + n, sizeof err->text - (size_t)n, format, args);
    va_end(args);
    keep_on_one_line(err->text);
    return code;
}

void an_fail_context(an_error *err, const char *format, ...)
{
    if (!err || err->code == AN_OK) return;
    char prefix[sizeof err->text];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(prefix, sizeof prefix - 2, format, args);
    va_end(args);
    if (written < 0) return;
    strcat(prefix, ": ");
    keep_on_one_line(prefix);
    size_t n = strlen(prefix), room = sizeof err->text - 1 - n;
    size_t rest = strlen(err->text);
    memmove(err->text + n, err->text, rest < room ? rest : room);
    memcpy(err->text, prefix, n);
    err->text[n + (rest < room ? rest : room)] = 0;
}
