/*
 * Weight files for other tools, written whole or not at all, from an open
 * weight file of any format; tensors are converted as they are written.
 */
#ifndef AN_MODEL_EXPORT_H
#define AN_MODEL_EXPORT_H

#include "model/weight_file.h"

typedef enum an_export_format {
    AN_EXPORT_SAFETENSORS, /* model.safetensors as Hugging Face has it */
    AN_EXPORT_LLAMA2C,     /* v0 for fp32 (run), v2 for Q8_0 (runq) */
    AN_EXPORT_GGUF,        /* version 3; vectors stay fp32 */
    AN_EXPORT_FORMATS
} an_export_format;
const char *an_export_format_name(an_export_format format);

typedef enum an_export_dtype {
    AN_EXPORT_F32,
    AN_EXPORT_F16,
    AN_EXPORT_BF16,
    AN_EXPORT_Q8_0,
    AN_EXPORT_DTYPES
} an_export_dtype;
const char *an_export_dtype_name(an_export_dtype dtype);

/* Keys and values as a GGUF has them, for other matters than the model. */
typedef struct an_gguf_keys {
    const void *data;
    size_t size;
    uint64_t n;
} an_gguf_keys;

/* `keys` are the tokenizer's, for GGUF alone; NULL: the file has none.
 * AN_EUNSUPPORTED for a model or type that the format cannot hold, by name;
 * then nothing is written. */
an_status an_export_file(an_weight_file *from, const an_model *model,
                         an_export_format format, an_export_dtype dtype,
                         const an_gguf_keys *keys, const char *path,
                         an_error *err);

#endif
