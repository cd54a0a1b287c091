/*
 * Status codes and the error record that every Anemone function fills.
 *
 *     an_error err = {0};
 *     an_module *m = NULL;
 *     if (an_mil_parse(text, size, "x.mil", &m, &err) != AN_OK)
 *         fprintf(stderr, "%s\n", err.text);
 *
 * Rules: functions that can fail return an_status and take `an_error *err`
 * last, which may be NULL. Results go through out-parameters, which are left
 * untouched on failure. Nothing in the library prints, exits or aborts.
 */
#ifndef ANEMONE_STATUS_H
#define ANEMONE_STATUS_H

#include <stdint.h>

#define AN_VERSION "0.1.0"

#if defined(__GNUC__)
#define AN_API __attribute__((visibility("default")))
#define AN_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define AN_API
#define AN_PRINTF(f, a)
#endif

typedef enum an_status {
    AN_OK = 0,
    AN_ENOMEM,       /* memory could not be had */
    AN_EINVAL,       /* an argument, option or setting is wrong */
    AN_ESYNTAX,      /* text is not MIL */
    AN_ETYPE,        /* MIL whose types or shapes do not fit */
    AN_ERULE,        /* legal MIL that a chip's rule refuses */
    AN_EIO,          /* the system could not read or write */
    AN_EFORMAT,      /* a file is truncated, malformed or lies */
    AN_EENGINE,      /* an engine failed; engine_code and domain say how */
    AN_EUNSUPPORTED, /* legal, known, and not offered here */
} an_status;

typedef struct an_error {
    an_status code;
    int64_t engine_code; /* the engine's own number, 0 when there is none */
    char domain[64];     /* the engine's error domain, or "" */
    int line, column;    /* position in a text, from 1; 0 when there is none */
    char text[512];      /* one line: where, expected, came */
} an_error;

/* A short lower-case name of a code: "syntax", "type", ... */
AN_API const char *an_status_name(an_status code);

/*
 * Records a failure and returns `code`: the one way to fail. The first error
 * wins: when err already holds one, it is kept. err may be NULL.
 */
AN_API an_status an_fail(an_error *err, an_status code, const char *format, ...)
    AN_PRINTF(3, 4);

/* The same with a position in a text: the message starts "line:column: ". */
AN_API an_status an_fail_at(an_error *err, an_status code, int line, int column,
                            const char *format, ...) AN_PRINTF(5, 6);

/* Puts "format: " before the recorded text; code and position stay. */
AN_API void an_fail_context(an_error *err, const char *format, ...)
    AN_PRINTF(2, 3);

#endif
