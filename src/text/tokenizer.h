/*
 * A tokenizer as data: what every kind of file is read into. A text goes
 *
 *     added tokens ─ steps ─ added tokens ─ late steps ─ splits ─ model ─► ids
 *
 * Added tokens are found in the text as it stands, others after the steps.
 * Splits cut each piece in turn; what the last leaves is a word; the model
 * makes ids of a word. This is the order of huggingface/tokenizers; other
 * kinds fill in less.
 */
#ifndef AN_TEXT_TOKENIZER_H
#define AN_TEXT_TOKENIZER_H

#include "anemone/text.h"

#include "base/file.h"
#include "text/chat_form.h"
#include "text/normalize.h"
#include "text/cut.h"
#include "text/trie.h"

enum { AN_MAX_SPLITS = 8 };

typedef enum an_model_kind { AN_MODEL_BPE, AN_MODEL_UNIGRAM } an_model_kind;

/* What words are made of. */
typedef enum an_spelling {
    AN_SPELLING_BYTES, /* byte level: any bytes have ids */
    AN_SPELLING_CHARACTERS,
} an_spelling;

typedef struct an_added {
    const char *text;
    size_t size;
    int32_t id;
    bool special, normalized;
    bool hidden;                /* not found in texts */
    bool spelled;               /* the text is as steps leave it */
    bool eats_left, eats_right; /* the blanks beside it */
} an_added;

typedef struct an_cut_stage {
    an_cut *split;
    const char *expression;
    size_t size;
    an_cut_how how;
} an_cut_stage;

struct an_tokenizer {
    const char *kind; /* "tokenizer.json" */
    an_arena arena;
    an_vocab vocab;
    an_pair_table pairs;        /* BPE */
    an_trie trie;               /* UNIGRAM: of the pieces */
    float score_min, score_max; /* of the pieces; the highest is 0 or more */

    an_model_kind model;
    an_spelling spelling;
    /* BYTES: the token of each byte. CHARACTERS: of each byte of characters
     * that have no token. -1: none. */
    int32_t byte_ids[256];
    bool byte_fallback;
    bool fuses_unknown;  /* neighbours that are unknown are one */
    bool ignores_merges; /* a word that is a token is that token */
    int32_t unknown, begin, end_of_text; /* -1: none */
    bool ids_are_bytes; /* a text file is its own array of ids */

    an_step steps[AN_MAX_STEPS], late[AN_MAX_STEPS];
    int n_steps, n_late;
    an_cut_stage splits[AN_MAX_SPLITS];
    int n_splits;
    /* What stands for a blank, where no token has one behind something else:
     * words are cut before it, which changes nothing but speed. Or NULL. */
    const char *blank;
    bool takes_any_bytes; /* the first step makes UTF-8 of them */

    an_added *added;
    size_t n_added, cap_added;
    an_trie raw, normalized, kept; /* of added: index; kept: for steps */
    bool drops_first_space;        /* in decoding */

    /* The file as read, tokenizer.json or tokenizer.model, or NULL. */
    char *source;
    size_t source_size;
    const char *source_name;

    const char *chat_template; /* in Jinja, or NULL */
    size_t chat_template_size;
    const an_chat_form *chat; /* its form; NULL: chat_why says why not */
    const char *chat_why;
};

/* One kind of file. */
typedef struct an_tokenizer_row {
    const char *name;
    /* Whether the file is of this kind; `path` for its name. */
    bool (*is)(const char *path, const unsigned char *data, size_t size);
    an_status (*read)(an_tokenizer *t, const char *path,
                      const unsigned char *data, size_t size, an_error *err);
} an_tokenizer_row;

extern const an_tokenizer_row an_tokenizer_json_row, an_tokenizer_gguf_row,
    an_tokenizer_sentencepiece_row, an_tokenizer_tiktoken_row,
    an_tokenizer_llama2c_row, an_tokenizer_gpt2_row;

/* The tokenizer "bytes". */
an_status an_tokenizer_bytes_init(an_tokenizer *t, an_error *err);
/* The text of a tokenizer.json; the caller frees it with an_free. */
an_status an_tokenizer_print(const an_tokenizer *t, char **text, size_t *size,
                             an_error *err);

/* ---- filling one in ---- */

/* With nothing in it; NULL without memory. */
an_tokenizer *an_tokenizer_new(const char *kind);
an_status an_tokenizer_add(an_tokenizer *t, const an_added *added,
                           an_error *err);
an_status an_tokenizer_split(an_tokenizer *t, const char *expression,
                             an_cut_how how, an_error *err);
/* Keeps the bytes of the file, so that they can be saved. */
an_status an_tokenizer_keep_source(an_tokenizer *t, const char *name,
                                   const void *data, size_t size,
                                   an_error *err);
/* "folder/name", for the folder of the file at `path`; an_free. */
an_status an_name_beside(const char *path, const char *name, char **out,
                         an_error *err);
/* Takes a chat template, whose form may turn out to be unknown. */
an_status an_tokenizer_set_template(an_tokenizer *t, const char *text,
                                    size_t size, an_error *err);
/* Looks for one beside the tokenizer's file: chat_template.jinja, or in
 * tokenizer_config.json. Writes it beside a file. */
an_status an_tokenizer_find_template(an_tokenizer *t, const char *path,
                                     an_error *err);
an_status an_tokenizer_save_template(const an_tokenizer *t, const char *path,
                                     an_error *err);
/* After vocabulary, pairs, steps and added tokens: indexes, tries, cuts. */
an_status an_tokenizer_finish(an_tokenizer *t, an_error *err);

/* GPT-2's spelling of bytes as characters: bytes to text, and text to bytes
 * (at most `size` of them; -1: some character stands for no byte). */
size_t an_byte_spell(const unsigned char *bytes, size_t size,
                     unsigned char *text);
int64_t an_byte_unspell(const unsigned char *text, size_t size,
                        unsigned char *bytes);

/* ---- encoding ---- */

/* Encodes texts one after another with the same memory. */
typedef struct an_encoder an_encoder;
/* expected_bytes: of all the texts, about; sizes the memory of words. */
an_status an_encoder_new(const an_tokenizer *t, size_t expected_bytes,
                         an_encoder **out, an_error *err);
void an_encoder_free(an_encoder *e);
/* A piece of a text: AN_PIECE_FIRST begins it, AN_PIECE_BEHIND comes after an
 * added token. Appends to an_encoder_ids. */
typedef enum an_piece {
    AN_PIECE_FIRST,
    AN_PIECE_BEHIND,
    AN_PIECE_LATER
} an_piece;
an_status an_encoder_put(an_encoder *e, an_piece piece, const char *text,
                         size_t size, an_error *err);
/* The ids so far, borrowed until the next call. */
const int32_t *an_encoder_ids(const an_encoder *e, size_t *n);
void an_encoder_clear(an_encoder *e);
/* From now on words go to `visit` and no ids are made of them. */
typedef an_status an_word_fn(void *ctx, const unsigned char *word, size_t size,
                             an_error *err);
void an_encoder_visit(an_encoder *e, an_word_fn *visit, void *ctx);

#endif
