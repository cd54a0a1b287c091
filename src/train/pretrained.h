/*
 * A model that is there already: a run folder, a step's folder in it, or a
 * weight file or folder of another tool; its tokenizer, and its weights.
 */
#ifndef AN_TRAIN_PRETRAINED_H
#define AN_TRAIN_PRETRAINED_H

#include "anemone/text.h"
#include "train/weights.h"

typedef struct an_pretrained {
    an_weight_file *source;
    an_st *checkpoint; /* what `source` reads in a run folder, else NULL */
    an_model *model;
    an_tokenizer *tokenizer; /* NULL: none was found */
} an_pretrained;

/*
 * Opens the files. The tokenizer is that of `tokenizer` (a name or path), or,
 * with NULL, what lies beside the weights: tokenizer.json, tokenizer.model,
 * tokenizer.bin, vocab.json, or inside of a GGUF. The caller calls
 * an_pretrained_close in every case, and may take model and tokenizer out
 * before.
 */
an_status an_pretrained_open(const char *path, const char *tokenizer,
                             an_pretrained *out, an_error *err);
void an_pretrained_close(an_pretrained *p);
/* Masters become the file's values. */
an_status an_pretrained_load(const an_pretrained *p, const an_model *model,
                             an_weights *w, an_error *err);

#endif
