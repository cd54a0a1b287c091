/*
 * Errors of the framework in one line: what is known of the code, domain,
 * code, the framework's text, and all of userInfo with the errors beneath.
 *
 * Sources of codes: EthanArbuckle's listings of _ANEErrors and of the daemon;
 * True2456/qwen-ane (0x50004), apple/coreai-torch issue 67 (53); what clients
 * saw of status numbers: maderix/ANE, jafreck/ironmill, thebasedcapital/
 * ane-infer. The texts are ours.
 */
#include "engine/apple/values.h"

#include <stdio.h>
#include <string.h>

enum { MAX_INFO = 16, MAX_BENEATH = 4, MANY_COLONS = 4, MANY_DIGITS = 64 };

/* ---- what is known ---- */

enum { ANY = -1000 };

typedef struct known {
    const char *domain;
    long long code;
    const char *in_text; /* NULL: any text */
    const char *meaning;
} known;

#define ANE "com.apple.appleneuralengine"

/* The first row that fits. */
// clang-format off
static const known table[] = {
    {ANE, 1, NULL, "needs the entitlement com.apple.aned.private.allow"},
    {ANE, 2, NULL, "real-time priority needs the entitlement com.apple.aned.private.allow"},
    {ANE, 3, NULL, "timed out"},
    {ANE, 4, NULL, "the program was not created"},
    {ANE, 5, NULL, "an fp16 overflow"},
    {ANE, 6, "0x50004", "too many programs, or too much program memory (0x50004)"},
    {ANE, 6, "0x10004", "the program is too large or too complex for the engine"},
    {ANE, 6, "0x20004", "the compiled program is another system's: it must be compiled again"},
    {ANE, 6, "0x170004", "a precompiled program lacks its identifiers in the cache"},
    {ANE, 6, NULL, "the program was not loaded"},
    {ANE, 7, NULL, "this program has no code signature: codesign -s - FILE"},
    {ANE, 8, "status=0x1d", "a surface is too small, or its rows are not where the engine expects them"},
    {ANE, 8, "status=0x2 ", "symbol indices that the program does not have, or no device"},
    {ANE, 8, "status=0x12", "waiting for the engine failed"},
    {ANE, 8, NULL, "the engine reported a failure"},
    {ANE, 9, "hash mismatch", "a file of the program is not what its hash says"},
    {ANE, 9, NULL, "the folder of the program is not there or not readable"},
    {ANE, 10, NULL, "the model is not valid"},
    {ANE, 11, NULL, "the model's key is not valid"},
    {ANE, 12, NULL, "a model of the system is not purged"},
    {ANE, 13, NULL, "surfaces were not mapped"},
    {ANE, 14, NULL, "surfaces were not unmapped"},
    {ANE, 15, NULL, "a chain of programs was not prepared"},
    {ANE, 16, NULL, "a file of the program was not found"},
    {ANE, 17, NULL, "the daemon does not know the program's identifier"},
    {ANE, 18, NULL, "the program that an instance is to be made of is not known"},
    {ANE, 19, NULL, "an instance of a program must not name a place in the cache"},
    {ANE, 20, NULL, "the instance of a program is not valid"},
    {ANE, 21, NULL, "an instance of a program was not loaded"},
    {ANE, 22, NULL, "there is no engine in a virtual machine"},
    {ANE, 23, NULL, "the program is not loaded, or the daemon was restarted"},
    {ANE, 24, NULL, "data was not found"},
    {ANE, 25, NULL, "not supported"},
    {ANE, 26, NULL, "an argument is wrong"},
    {ANE, 27, NULL, "virtual machine: data"},
    {ANE, 28, NULL, "virtual machine: the host's kernel"},
    {ANE, 29, NULL, "virtual machine: the host"},
    {ANE, 53, NULL, "no memory for the program (macOS 27's 0x50004)"},
    {ANE, 54, NULL, "no engine resources: other processes may hold them"},
    {ANE ".compiler", ANY, "InvalidMILProgram", "the text did not parse, or an operator, attribute or file is wrong"},
    {ANE ".compiler", ANY, "InvalidCompilationParam", "a parameter of the compilation is wrong"},
    {ANE ".compiler", ANY, "CompilationFailure", "parsed, but not compilable for the engine"},
    {ANE ".compiler", ANY, NULL, "no reason given"},
    {ANE ".espresso", ANY, NULL, "the model was not said to be MIL"},
    {"com.apple.applevirtioneuralengine", ANY, NULL, "there is no engine in a virtual machine"},
    {"NSCocoaErrorDomain", 4097, NULL, "the compiler service died"},
    {"NSCocoaErrorDomain", 4099, NULL, "the connection to the service was cut"},
};
// clang-format on

const char *an_ns_meaning(const char *domain, long long code, const char *text)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const known *k = &table[i];
        if (strcmp(k->domain, domain) == 0 &&
            (k->code == ANY || k->code == code) &&
            (!k->in_text || strstr(text, k->in_text)))
            return k->meaning;
    }
    return NULL;
}

/* ---- one line ---- */

/* Text that grows in place and is cut at its end. */
typedef struct line {
    char text[512];
    size_t used;
} line;

static void put_bytes(line *l, const char *text, size_t n)
{
    for (size_t i = 0; i < n && l->used + 1 < sizeof l->text; i++)
        l->text[l->used++] = (unsigned char)text[i] < ' ' ? ' ' : text[i];
}

/* How many bytes of a word are shown: of an identifier in hex, of which there
 * is no other use, 8 digits; of a selector with many parts the first. */
static size_t shown(const char *word, size_t n)
{
    static const char digits[] = "0123456789ABCDEF_";
    size_t colons = 0, n_digits = 0, first = n;
    for (size_t i = 0; i < n; i++) {
        if (word[i] == ':' && colons++ == 0) first = i + 1;
        n_digits += strchr(digits, word[i]) != NULL;
    }
    return n_digits == n && n > MANY_DIGITS ? 8
           : colons >= MANY_COLONS          ? first
                                            : n;
}

static void put(line *l, const char *text)
{
    static const char ends[] = " /()\n";
    while (*text) {
        size_t n = strcspn(text, ends), m = shown(text, n);
        put_bytes(l, text, m);
        if (m < n) put_bytes(l, "...:", m && text[n - 1] == ':' ? 4 : 3);
        text += n;
        size_t n_ends = strspn(text, ends);
        put_bytes(l, text, n_ends);
        text += n_ends;
    }
}

static void put_number(line *l, long long code)
{
    char number[32];
    snprintf(number, sizeof number, "%lld", code);
    put(l, number);
}

static void put_error(const an_objc *o, line *l, void *error, int depth);

/* The text of the error is a value of userInfo as well. */
static void put_info(const an_objc *o, line *l, void *info, int depth)
{
    if (!an_ns_is(o, info, AN_SEL_ALL_KEYS)) return;
    void *keys = an_send(o, AN_SEL_ALL_KEYS, info);
    for (size_t i = 0; i < an_ns_count(o, keys) && i < MAX_INFO; i++) {
        const char *key = an_ns_text(o, an_ns_at(o, keys, i));
        void *value = an_ns_get(o, info, key);
        if (strncmp(key, "NSLocalizedDescription", 22) == 0) continue;
        if (an_ns_is(o, value, AN_SEL_ERROR_CODE) && depth < MAX_BENEATH) {
            put(l, "; beneath: ");
            put_error(o, l, value, depth + 1);
            continue;
        }
        put(l, "; ");
        put(l, key);
        put(l, " ");
        put(l, an_ns_text(o, an_send(o, AN_SEL_DESCRIPTION, value)));
    }
}

/* At most MAX_BENEATH deep. */
// NOLINTNEXTLINE(misc-no-recursion)
static void put_error(const an_objc *o, line *l, void *error, int depth)
{
    put(l, an_ns_text(o, an_send(o, AN_SEL_ERROR_DOMAIN, error)));
    put(l, " ");
    put_number(l, an_send_long(o, AN_SEL_ERROR_CODE, error));
    put(l, ": ");
    put(l, an_ns_text(o, an_send(o, AN_SEL_ERROR_TEXT, error)));
    put_info(o, l, an_send(o, AN_SEL_ERROR_INFO, error), depth);
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
    put_error(o, &l, error, 0);
    const char *meaning = an_ns_meaning(domain, code, l.text);
    bool first = err && err->code == AN_OK;
    an_status s = an_fail(err, AN_EENGINE, "%s: %s%s%s", what,
                          meaning ? meaning : "", meaning ? ": " : "", l.text);
    if (first) {
        err->engine_code = code;
        snprintf(err->domain, sizeof err->domain, "%s", domain);
    }
    return s;
}
