/*
 * What is done to a text before it is cut into words.
 */
#ifndef AN_TEXT_NORMALIZE_H
#define AN_TEXT_NORMALIZE_H

#include "text/buffer.h"
#include "text/trie.h"

typedef enum an_step_kind {
    AN_STEP_REPLACE,         /* every `from` by `to` */
    AN_STEP_PREPEND,         /* `to` before a text that is not empty */
    AN_STEP_PREPEND_MISSING, /* unless the text begins with `to` */
    AN_STEP_PREPEND_FIRST,   /* the same, for what begins the whole text */
    AN_STEP_NFC,             /* canonical composition */
    AN_STEP_SENTENCEPIECE,
} an_step_kind;

/* SentencePiece's normalizer: its table of replacements, blanks, U+2581. */
typedef struct an_sp_rules {
    const unsigned char *units; /* of the double array, 4 bytes each */
    size_t n_units;
    const char *replacements; /* texts that end in 0; the last byte is 0 */
    size_t n_replacements;
    bool dummy_prefix, remove_extra, escape;
    const an_trie *kept; /* texts that stay as they are, or NULL */
} an_sp_rules;

typedef struct an_step {
    an_step_kind kind;
    const char *from, *to;
    size_t from_size, to_size;
    an_sp_rules rules;
} an_step;

enum { AN_MAX_STEPS = 8 };

/* Where a piece stands: at the beginning of the text, behind an added token, or
 * behind a piece that was given before (then nothing is put before it). */
typedef enum an_place {
    AN_PLACE_FIRST,
    AN_PLACE_INSIDE,
    AN_PLACE_CONTINUED
} an_place;

/* text[0..size) through the steps into out->data[0..n). `other` is memory to
 * work in. Text is UTF-8, but for SENTENCEPIECE as the first step, to which
 * each byte that is none counts as U+FFFD. */
an_status an_normalize(const an_step *steps, int n_steps,
                       const unsigned char *text, size_t size, an_place place,
                       an_buffer *out, an_buffer *other, an_error *err);

/* The single steps that have files of their own; they append to out. */
an_status an_nfc(const unsigned char *text, size_t size, an_buffer *out,
                 an_error *err);
an_status an_sp_normalize(const an_sp_rules *rules, const unsigned char *text,
                          size_t size, an_place place, an_buffer *out,
                          an_error *err);

#endif
