/*
 * Splitting a text by a regular expression, through PCRE2: the only files that
 * know it. Expressions are Oniguruma's, as tokenizer.json has them; what the
 * two read differently is translated (cut.c).
 */
#ifndef AN_TEXT_CUT_H
#define AN_TEXT_CUT_H

#include "anemone/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct an_cut an_cut;
/* One thread's memory for matching with any splits. */
typedef struct an_cutter an_cutter;

/* What becomes of matches and of what stands between them. */
typedef enum an_cut_how {
    AN_CUT_ISOLATED, /* both are pieces */
    AN_CUT_REMOVED,  /* what stands between them */
    AN_CUT_MATCHES,  /* the matches */
    AN_CUT_PREVIOUS, /* a match ends the piece before it */
    AN_CUT_NEXT,     /* a match begins the piece after it */
} an_cut_how;

/* AN_EFORMAT: no expression, with PCRE2's words. */
an_status an_cut_new(const char *expression, size_t size, an_cut_how how,
                     an_cut **out, an_error *err);
void an_cut_free(an_cut *s);

an_status an_cutter_new(an_cutter **out, an_error *err);
void an_cutter_free(an_cutter *m);

/* A walk over the pieces of text[0..size), which is UTF-8. Set text and size.
 */
typedef struct an_pieces {
    const char *text;
    size_t size;
    size_t begin, end; /* the piece, never empty, after a call that found one */
    size_t at, match_begin, match_end;
    bool matched;
} an_pieces;

/* *found is false after the last piece. AN_EFORMAT: the expression takes too
 * many steps on this text. */
an_status an_cut_next(const an_cut *s, an_cutter *m, an_pieces *p, bool *found,
                      an_error *err);

#endif
