/*
 * The tokens of a tokenizer, found by id and by text, and the pairs that merge.
 * Texts are spelled as the model's words are: bytes for byte-level BPE, with
 * U+2581 for a blank where the file has it so.
 */
#ifndef AN_TEXT_VOCAB_H
#define AN_TEXT_VOCAB_H

#include "anemone/status.h"

#include "base/arena.h"

#include <stdbool.h>

enum { AN_MAX_VOCAB = 1 << 22, AN_MAX_TOKEN_BYTES = 1 << 16 };

typedef enum an_token_type {
    AN_TOKEN_HOLE,    /* no token has this id */
    AN_TOKEN_NORMAL,  /* made of text by the model */
    AN_TOKEN_USER,    /* found in the text as a whole, prints as its text */
    AN_TOKEN_CONTROL, /* prints nothing */
    AN_TOKEN_UNKNOWN, /* stands for what has no token; prints nothing */
    AN_TOKEN_BYTE,    /* one byte of a character that has no token */
    AN_TOKEN_UNUSED,
} an_token_type;

typedef struct an_token {
    const unsigned char *text, *bytes; /* bytes: what it decodes to */
    uint32_t size, n_bytes;
    float score;
    an_token_type type;
} an_token;

typedef struct an_vocab {
    an_token *tokens; /* [n], by id */
    size_t n, capacity;
    uint32_t *slots; /* id + 1 by hash of the text; 0: free */
    size_t n_slots;  /* a power of two */
    uint32_t longest;
} an_vocab;

uint64_t an_hash_bytes(const void *bytes, size_t size);

/* Sets token `id`, a hole so far; the text is copied into the arena and is
 * what it decodes to until set otherwise. AN_EFORMAT: a bad id or length, or
 * the id is taken. */
an_status an_vocab_put(an_vocab *v, an_arena *arena, int64_t id,
                       const void *text, size_t size, an_token_type type,
                       float score, an_error *err);
/* Makes normal and user tokens found by text; of equal texts the first. */
an_status an_vocab_index(an_vocab *v, an_error *err);
/* -1: none. */
int32_t an_vocab_find(const an_vocab *v, const void *text, size_t size);
void an_vocab_fini(an_vocab *v);

/* (left, right) merges into id; pairs of lower rank merge first. */
typedef struct an_pair {
    int32_t left, right, id;
    uint32_t rank;
} an_pair;

typedef struct an_pair_table {
    an_pair *slots; /* id -1: free */
    size_t n_slots, n;
} an_pair_table;

/* Room for n pairs. */
an_status an_pair_table_init(an_pair_table *p, size_t n, an_error *err);
/* Of equal pairs the last counts. */
void an_pair_table_put(an_pair_table *p, const an_pair *pair);
const an_pair *an_pair_table_find(const an_pair_table *p, int32_t left,
                                  int32_t right);
/*
 * Every way to cut a normal token into two normal ones, ranked by the order of
 * their scores, highest first (equal scores, equal rank). The vocabulary is
 * indexed. For vocabularies that come without merges.
 */
an_status an_pair_table_from_scores(an_pair_table *p, const an_vocab *v,
                                    an_error *err);
void an_pair_table_fini(an_pair_table *p);

#endif
