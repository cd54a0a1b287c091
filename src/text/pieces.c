/* Control pieces are added tokens too, so that a tokenizer.json has them; only
 * a user's pieces are found in texts. */
#include "text/pieces.h"

#include "text/json_parts.h"

#include <string.h>

an_status an_piece_put(an_tokenizer *t, int64_t id, const char *text,
                       size_t size, float score, an_token_type type,
                       an_error *err)
{
    int byte = type == AN_TOKEN_BYTE ? an_byte_token(text, size) : -1;
    if (type == AN_TOKEN_BYTE && byte < 0)
        return an_fail(err, AN_EFORMAT,
                       "piece %lld: a byte, expected <0x00> to <0xFF>",
                       (long long)id);
    if (type == AN_TOKEN_UNUSED && t->model == AN_MODEL_BPE)
        return an_fail(err, AN_EUNSUPPORTED,
                       "piece %lld: unused pieces of a BPE model are not read",
                       (long long)id);
    an_status s =
        an_vocab_put(&t->vocab, &t->arena, id, text, size, type, score, err);
    if (s != AN_OK) return s;
    if (byte >= 0) return an_token_set_byte(t, (int32_t)id, byte, err);
    s = an_token_set_blanks(t, (int32_t)id, err);
    if (s != AN_OK || type == AN_TOKEN_NORMAL || type == AN_TOKEN_UNUSED ||
        size == 0)
        return s;
    const an_added a = {.text = text,
                        .size = size,
                        .id = (int32_t)id,
                        .special = type != AN_TOKEN_USER,
                        .normalized = type == AN_TOKEN_USER,
                        .hidden = type != AN_TOKEN_USER ||
                                  t->model == AN_MODEL_UNIGRAM,
                        .spelled = true};
    return an_tokenizer_add(t, &a, err);
}

static an_status index_unigram(an_tokenizer *t, an_error *err)
{
    size_t n_bytes = 0;
    bool any = false;
    for (size_t id = 0; id < t->vocab.n; id++)
        n_bytes += t->vocab.tokens[id].size;
    an_status s = an_trie_init(&t->trie, n_bytes, err);
    for (size_t id = 0; s == AN_OK && id < t->vocab.n; id++) {
        const an_token *k = &t->vocab.tokens[id];
        if (k->type != AN_TOKEN_NORMAL && k->type != AN_TOKEN_USER) continue;
        s = an_trie_put(&t->trie, k->text, k->size, (int32_t)id, err);
        if (k->type != AN_TOKEN_NORMAL) continue;
        if (!any || k->score < t->score_min) t->score_min = k->score;
        if (k->score > t->score_max) t->score_max = k->score;
        any = true;
    }
    return s;
}

an_status an_pieces_index(an_tokenizer *t, an_error *err)
{
    t->fuses_unknown = true;
    t->blank = AN_BLANK;
    an_status s = an_vocab_index(&t->vocab, err);
    if (s != AN_OK) return s;
    return t->model == AN_MODEL_UNIGRAM
               ? index_unigram(t, err)
               : an_pair_table_from_scores(&t->pairs, &t->vocab, err);
}

void an_pieces_steps(an_tokenizer *t, bool prefix)
{
    t->drops_first_space = prefix;
    if (prefix)
        t->steps[t->n_steps++] = (an_step){
            .kind = AN_STEP_PREPEND, .from = "", .to = AN_BLANK, .to_size = 3};
    t->steps[t->n_steps++] = (an_step){.kind = AN_STEP_REPLACE,
                                       .from = " ",
                                       .from_size = 1,
                                       .to = AN_BLANK,
                                       .to_size = 3};
}
