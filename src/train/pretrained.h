/*
 * A model that is there already: a run folder, a step's folder in it, or a
 * weight file or folder of another tool; its tokenizer, and its weights, to
 * which adapters may be added.
 */
#ifndef AN_TRAIN_PRETRAINED_H
#define AN_TRAIN_PRETRAINED_H

#include "anemone/text.h"
#include "model/adapter_file.h"
#include "train/weights.h"

typedef struct an_pretrained {
    an_weight_file *source;   /* with what adapters add */
    an_weight_file *base;     /* of `source` then, else NULL */
    an_adapter_file *adapter; /* that were added; NULL: none */
    an_arena merged;          /* what they changed */
    an_st *checkpoint; /* what `source` reads in a run folder, else NULL */
    an_model *model;
    an_tokenizer *tokenizer; /* NULL: none was found */
} an_pretrained;

/*
 * Opens the files. Of a folder of adapters (a LoRA run's, PEFT's, mlx-lm's)
 * these are the model that its adapter_config.json names, with the adapters
 * added. The tokenizer is that of `tokenizer` (a name or path), or,
 * with NULL, what lies beside the weights: tokenizer.json, tokenizer.model,
 * tokenizer.bin, vocab.json, or inside of a GGUF. The caller calls
 * an_pretrained_close in every case, and may take model and tokenizer out
 * before.
 */
an_status an_pretrained_open(const char *path, const char *tokenizer,
                             an_pretrained *out, an_error *err);
/* Adds the adapters in a folder; once. */
an_status an_pretrained_adapt(an_pretrained *p, const char *folder,
                              an_error *err);
void an_pretrained_close(an_pretrained *p);
/* The path of a model for others to find it again: absolute, and of a run the
 * step that is its newest now. `size` is AN_PRETRAINED_PATH. */
enum { AN_PRETRAINED_PATH = 4096 };
an_status an_pretrained_locate(const char *path, char *out, size_t size,
                               an_error *err);
/* Masters become the file's values. */
an_status an_pretrained_load(const an_pretrained *p, const an_model *model,
                             an_weights *w, an_error *err);

#endif
