/*
 * Adapters in files of other tools, which are also those of our runs: PEFT's
 * folder (adapter_config.json, adapter_model.safetensors) and mlx-lm's
 * (adapter_config.json, adapters.safetensors).
 */
#ifndef AN_MODEL_ADAPTER_FILE_H
#define AN_MODEL_ADAPTER_FILE_H

#include "model/weight_file.h"

typedef enum an_adapter_format {
    AN_ADAPTER_PEFT,
    AN_ADAPTER_MLX_LM,
    AN_ADAPTER_FORMATS
} an_adapter_format;
const char *an_adapter_format_name(an_adapter_format format);
/* The tensors' file in a folder. */
const char *an_adapter_weights_name(an_adapter_format format);
#define AN_ADAPTER_CONFIG "adapter_config.json"

typedef struct an_adapter_file {
    an_arena arena;
    an_adapter_format format;
    an_lora lora;            /* as an_model_adapt takes it; in the arena */
    const char *base;        /* path or name of the model; NULL: not said */
    an_weight_file *weights; /* under PEFT's names, as the model has them */
    an_st *st;
} an_adapter_file;

/* Whether a folder has an adapter_config.json. */
bool an_adapter_file_is(const char *folder);
/* AN_EUNSUPPORTED names what is not served: DoRA, biases, whole modules ... */
an_status an_adapter_file_open(const char *folder, an_adapter_file **out,
                               an_error *err);
void an_adapter_file_close(an_adapter_file *f);

/*
 * The weights of `base` with scale B A added, in fp32: an open file over both,
 * which the caller closes before them. `model` is base's, not adapted. The
 * matrices that change are in `arena`.
 */
an_status an_adapter_merge(const an_adapter_file *f, an_weight_file *base,
                           const an_model *model, an_arena *arena,
                           an_weight_file **out, an_error *err);

/* adapter_config.json's text for an adapted model; an_text_free. `base` may be
 * NULL. */
an_status an_adapter_config_text(const an_model *model,
                                 an_adapter_format format, const char *base,
                                 char **text, an_error *err);
/* Writes both files of a folder that is there. `from` has the adapted model's
 * adapters. */
an_status an_adapter_write(const an_model *model, an_weight_file *from,
                           an_adapter_format format, const char *base,
                           const char *folder, an_error *err);

#endif
