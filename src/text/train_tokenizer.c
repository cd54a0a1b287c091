/*
 * A tokenizer from files: words are counted as the form splits texts, then
 * merges are learned from the counts.
 */
#include "base/alloc.h"
#include "text/documents.h"
#include "text/forms.h"
#include "text/merges.h"
#include "text/paths.h"

#include <string.h>

/* A longer word is no word: a run of one character, or data. */
enum { LONGEST_WORD = 1024 };

typedef struct training {
    const an_tokenizer_training *o;
    an_encoder *encoder;
    an_words_table words;
    uint64_t total;
    size_t wanted;
} training;

static an_status count(void *ctx, const unsigned char *word, size_t size,
                       an_error *err)
{
    training *g = ctx;
    if (size < 2 || size > LONGEST_WORD) return AN_OK;
    return an_words_count(&g->words, word, size, NULL, err);
}

static an_status read_part(void *ctx, an_piece piece, const char *text,
                           size_t size, an_error *err)
{
    training *g = ctx;
    an_encoder_clear(g->encoder);
    return an_encoder_put(g->encoder, piece, text, size, err);
}

/* Files are half of the work. */
static bool show_files(void *ctx, uint64_t bytes)
{
    const training *g = ctx;
    double share = (double)bytes / (double)(g->total ? g->total : 1);
    return !g->o->progress || g->o->progress(g->o->ctx, 0.5 * share);
}

static bool show_merges(void *ctx, size_t n)
{
    const training *g = ctx;
    double share = (double)n / (double)g->wanted;
    return !g->o->progress || n % 64 ||
           g->o->progress(g->o->ctx, 0.5 + 0.5 * share);
}

static an_status count_words(training *g, an_error *err)
{
    const an_documents_reader r = {
        .part = read_part, .progress = show_files, .ctx = g};
    an_tokenizer *t = an_tokenizer_new("splits");
    an_paths files = {0};
    an_status s = t ? an_tokenizer_bytes_init(t, err)
                    : an_fail(err, AN_ENOMEM, "tokenizer: no memory");
    if (s == AN_OK) s = an_form_fill(t, g->o->form, 257, err);
    if (s == AN_OK) s = an_tokenizer_finish(t, err);
    if (s == AN_OK)
        s = an_paths_expand(g->o->paths, g->o->n_paths, &files, err);
    if (s == AN_OK) s = an_documents_size(&files, &g->total, err);
    if (s == AN_OK) s = an_encoder_new(t, 0, &g->encoder, err);
    if (s == AN_OK) {
        an_encoder_visit(g->encoder, count, g);
        s = an_documents_read((const char *const *)files.items, files.n, &r,
                              err);
    }
    an_encoder_free(g->encoder);
    an_paths_free(&files);
    an_tokenizer_free(t);
    return s;
}

/* The token that two make, if it is new. */
static an_status put_merged(an_tokenizer *t, const an_pair *p, an_error *err)
{
    const an_token *a = &t->vocab.tokens[p->left];
    const an_token *b = &t->vocab.tokens[p->right];
    if ((size_t)p->id < t->vocab.n) return AN_OK;
    unsigned char text[LONGEST_WORD];
    memcpy(text, a->text, a->size);
    memcpy(text + a->size, b->text, b->size);
    return an_vocab_put(&t->vocab, &t->arena, p->id, text, a->size + b->size,
                        AN_TOKEN_NORMAL, 0, err);
}

static an_status put_bytes(an_tokenizer *t, an_error *err)
{
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < 256; i++) {
        unsigned char byte = (unsigned char)i;
        t->byte_ids[i] = i;
        s = an_vocab_put(&t->vocab, &t->arena, i, &byte, 1, AN_TOKEN_NORMAL, 0,
                         err);
    }
    return s;
}

static an_status make(const training *g, const an_pair *merges, size_t n,
                      an_tokenizer **out, an_error *err)
{
    an_tokenizer *t = an_tokenizer_new("tokenizer.json");
    if (!t) return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
    an_status s = put_bytes(t, err);
    for (size_t i = 0; s == AN_OK && i < n; i++)
        s = put_merged(t, &merges[i], err);
    if (s == AN_OK) s = an_vocab_index(&t->vocab, err);
    if (s == AN_OK) s = an_pair_table_init(&t->pairs, n, err);
    for (size_t i = 0; s == AN_OK && i < n; i++)
        an_pair_table_put(&t->pairs, &merges[i]);
    if (s == AN_OK) s = an_form_fill(t, g->o->form, (int32_t)t->vocab.n, err);
    if (s == AN_OK) s = an_tokenizer_finish(t, err);
    if (s == AN_OK)
        *out = t;
    else
        an_tokenizer_free(t);
    return s;
}

an_status an_tokenizer_train(const an_tokenizer_training *options,
                             an_tokenizer **out, an_error *err)
{
    training g = {.o = options};
    int64_t least = 256 + an_form_n_specials(options->form);
    if (options->vocab_size < least || options->vocab_size > AN_MAX_VOCAB)
        return an_fail(err, AN_EINVAL,
                       "tokenizer: vocabulary of %lld, expected %lld to %d",
                       (long long)options->vocab_size, (long long)least,
                       AN_MAX_VOCAB);
    g.wanted = (size_t)(options->vocab_size - least);
    const an_learning o = {g.wanted, show_merges, &g};
    an_pair *merges = NULL;
    size_t n = 0;
    an_status s = count_words(&g, err);
    if (s == AN_OK) s = an_merges_learn(&g.words, &o, &merges, &n, err);
    if (s == AN_OK) s = make(&g, merges, n, out, err);
    an_free(merges);
    an_words_fini(&g.words);
    return s;
}
