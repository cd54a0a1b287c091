/*
 * SentencePiece's vocabulary in whatever file it comes: pieces with scores,
 * U+2581 for blanks, byte pieces.
 */
#ifndef AN_TEXT_PIECES_H
#define AN_TEXT_PIECES_H

#include "text/tokenizer.h"

/* Piece `id`; a byte piece is told by its text, a user's piece becomes an added
 * token that is found behind the steps. */
an_status an_piece_put(an_tokenizer *t, int64_t id, const char *text,
                       size_t size, float score, an_token_type type,
                       an_error *err);
/* After all pieces: index, and pairs (BPE) or trie (unigram). */
an_status an_pieces_index(an_tokenizer *t, an_error *err);
/* The steps of a vocabulary without a normalizer: a blank before the text if
 * `prefix`, U+2581 for each. */
void an_pieces_steps(an_tokenizer *t, bool prefix);

#endif
