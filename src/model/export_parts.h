/* What the writers of the formats share. */
#ifndef AN_MODEL_EXPORT_PARTS_H
#define AN_MODEL_EXPORT_PARTS_H

#include "model/export.h"

typedef struct an_export {
    an_weight_file *from;
    const an_model *model;
    an_export_dtype dtype;
    const an_gguf_keys *keys; /* or NULL */
    an_writer *writer;
    float *row;           /* room for the longest row */
    unsigned char *bytes; /* and for what it becomes */
    an_error *err;
} an_export;

/* In which order rows of heads are written. */
typedef enum an_export_rope { AN_ROPE_HALVES, AN_ROPE_PAIRS } an_export_rope;

/* Writes a part as the model has it, [rows, columns], or its row r alone. */
an_status an_export_put(an_export *x, const void *data, size_t size);
const float *an_export_row(an_export *x, const an_model_param *p,
                           const an_param_part *part, an_export_rope rope,
                           int64_t r);
/* Bytes of n elements of a type, and the elements in it. */
size_t an_export_bytes(an_export_dtype dtype, size_t n);
void an_export_encode(an_export_dtype dtype, size_t n, const float *x,
                      unsigned char *out);
an_status an_export_part(an_export *x, const an_model_param *p,
                         const an_param_part *part, an_export_rope rope,
                         an_export_dtype dtype);
/* The part of layer `layer` (-1: none) whose file name ends so; NULL: none. */
const an_param_part *an_export_find(const an_export *x, int layer,
                                    const char *end, const an_model_param **p);

an_status an_export_llama2c(an_export *x);
an_status an_export_gguf(an_export *x);

/* GGUF's names, of weight_file_gguf.c. */
const char *an_gguf_architecture(const an_config *c);
bool an_gguf_has_pairs(const an_config *c);
/* False when GGUF has no name for it. */
bool an_gguf_name(const an_config *c, int layer, const char *hf, char *out,
                  size_t size);

#endif
