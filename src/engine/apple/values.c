/*
 * What is known of error codes: EthanArbuckle's listings of the framework,
 * True2456/qwen-ane, apple/coreai-torch issue 67.
 */
#include "engine/apple/values.h"

#include <stdio.h>
#include <string.h>

enum { MAX_INFO = 16 };

void *an_ns_string(const an_objc *o, const char *text)
{
    return an_send_p(o, AN_SEL_STRING, o->classes[AN_SEL_STRING], text);
}

bool an_ns_is(const an_objc *o, void *object, an_name of_class)
{
    return object &&
           an_send_bool_p(o, AN_SEL_IS_KIND, object, o->classes[of_class]);
}

const char *an_ns_text(const an_objc *o, void *string)
{
    const char *text = NULL;
    if (an_ns_is(o, string, AN_SEL_UTF8))
        text = an_send(o, AN_SEL_UTF8, string);
    return text ? text : "";
}

void *an_ns_number(const an_objc *o, long long value)
{
    return an_send_number(o, AN_SEL_NUMBER, o->classes[AN_SEL_NUMBER], value);
}

long long an_ns_value(const an_objc *o, void *number, long long other)
{
    if (!an_ns_is(o, number, AN_SEL_NUMBER_VALUE)) return other;
    return an_send_long(o, AN_SEL_NUMBER_VALUE, number);
}

void *an_ns_data(const an_objc *o, const void *bytes, size_t size)
{
    return an_send_pu(o, AN_SEL_DATA, o->classes[AN_SEL_DATA], bytes, size);
}

void *an_ns_array(const an_objc *o, void *const *objects, size_t n)
{
    return an_send_pu(o, AN_SEL_ARRAY, o->classes[AN_SEL_ARRAY], objects, n);
}

void *an_ns_dictionary(const an_objc *o, void *const *objects,
                       void *const *keys, size_t n)
{
    return an_send_ppu(o, AN_SEL_DICTIONARY, o->classes[AN_SEL_DICTIONARY],
                       objects, keys, n);
}

void *an_ns_get(const an_objc *o, void *dictionary, const char *key)
{
    if (!an_ns_is(o, dictionary, AN_SEL_VALUE_OF)) return NULL;
    return an_send_p(o, AN_SEL_VALUE_OF, dictionary, an_ns_string(o, key));
}

size_t an_ns_count(const an_objc *o, void *array)
{
    if (!an_ns_is(o, array, AN_SEL_ARRAY_COUNT)) return 0;
    return (size_t)an_send_long(o, AN_SEL_ARRAY_COUNT, array);
}

void *an_ns_at(const an_objc *o, void *array, size_t i)
{
    return i < an_ns_count(o, array) ? an_send_u(o, AN_SEL_ARRAY_AT, array, i)
                                     : NULL;
}

/* ---- errors ---- */

/* Text that grows in place and is cut at its end. */
typedef struct line {
    char text[512];
    size_t used;
} line;

static void put(line *l, const char *text)
{
    /* Identifiers of 194 digits would leave no room: 8 of each are shown. */
    static const char digits[] = "0123456789ABCDEF_";
    while (*text && l->used + 1 < sizeof l->text) {
        size_t n = strspn(text, digits);
        for (size_t i = 0; i < (n > 64 ? 8 : n ? n : 1); i++)
            if (l->used + 1 < sizeof l->text) l->text[l->used++] = text[i];
        text += n ? n : 1;
    }
}

static void add(line *l, const char *before, const char *text)
{
    put(l, before);
    put(l, text);
}

static const char *known(const char *domain, long long code, const char *text)
{
    if (strstr(domain, "compiler"))
        return strstr(text, "InvalidMILProgram")
                   ? "the text did not parse, or an operator, attribute or "
                     "file is wrong"
               : strstr(text, "CompilationFailure")
                   ? "parsed, but not compilable for the engine"
                   : "no reason given";
    if (code == 4097) return "the compiler service died";
    if (code == 6 && strstr(text, "0x50004"))
        return "too many programs, or too much program memory (0x50004)";
    switch (code) {
    case 1:
    case 2:
        return "needs an entitlement";
    case 3:
        return "timed out";
    case 5:
        return "an fp16 overflow";
    case 7:
        return "the program has no code signature: codesign -s - it";
    case 8:
        return strstr(text, "0x1d") ? "a surface is too small, or its rows are "
                                      "not where the engine expects them"
                                    : "the engine reported a failure";
    case 9:
        return "the folder of the program is not there or not readable";
    case 22:
        return "there is no engine in a virtual machine";
    case 23:
        return "the program is not loaded, or the daemon was restarted";
    case 53:
    case 54:
        return "no memory or no engine resources";
    default:
        return NULL;
    }
}

static void add_number(line *l, const char *before, long long code)
{
    char number[32];
    snprintf(number, sizeof number, "%lld", code);
    add(l, before, number);
}

/* The error beneath, and then everything else of userInfo. */
static void add_info(const an_objc *o, line *l, void *info)
{
    void *under = an_ns_get(o, info, "NSUnderlyingError");
    if (!under)
        under = an_ns_get(o, info, "NSUnderlyingErrorKey"); /* GNUstep */
    if (an_ns_is(o, under, AN_SEL_ERROR_CODE)) {
        add(l, "; beneath: ",
            an_ns_text(o, an_send(o, AN_SEL_ERROR_DOMAIN, under)));
        add_number(l, " ", an_send_long(o, AN_SEL_ERROR_CODE, under));
        add(l, ": ", an_ns_text(o, an_send(o, AN_SEL_ERROR_TEXT, under)));
    }
    if (!an_ns_is(o, info, AN_SEL_ALL_KEYS)) return;
    void *keys = an_send(o, AN_SEL_ALL_KEYS, info);
    for (size_t i = 0; i < an_ns_count(o, keys) && i < MAX_INFO; i++) {
        const char *key = an_ns_text(o, an_ns_at(o, keys, i));
        if (strncmp(key, "NSLocalizedDescription", 22) == 0 ||
            strncmp(key, "NSUnderlyingError", 17) == 0)
            continue;
        add(l, "; ", key);
        add(l, " ",
            an_ns_text(
                o, an_send(o, AN_SEL_DESCRIPTION, an_ns_get(o, info, key))));
    }
}

an_status an_ns_fail(const an_objc *o, const char *what, void *error,
                     an_error *err)
{
    if (!an_ns_is(o, error, AN_SEL_ERROR_CODE))
        return an_fail(err, AN_EENGINE,
                       "%s: the framework answered NO without an error", what);
    const char *domain = an_ns_text(o, an_send(o, AN_SEL_ERROR_DOMAIN, error));
    long long code = an_send_long(o, AN_SEL_ERROR_CODE, error);
    line l = {{0}, 0};
    add(&l, "", domain);
    add_number(&l, " ", code);
    add(&l, ": ", an_ns_text(o, an_send(o, AN_SEL_ERROR_TEXT, error)));
    add_info(o, &l, an_send(o, AN_SEL_ERROR_INFO, error));
    const char *hint = known(domain, code, l.text);
    bool first = err && err->code == AN_OK;
    an_status s = an_fail(err, AN_EENGINE, "%s: %s%s%s", what, hint ? hint : "",
                          hint ? ": " : "", l.text);
    if (first) {
        err->engine_code = code;
        snprintf(err->domain, sizeof err->domain, "%s", domain);
    }
    return s;
}
