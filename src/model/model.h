/* What the files of this folder share: the model and its configuration. */
#ifndef AN_MODEL_MODEL_H
#define AN_MODEL_MODEL_H

#include "anemone/model.h"

#include "base/arena.h"

typedef struct an_config {
    an_model_facts facts; /* n_params is 0 until the parameters are listed */
    double norm_epsilon, rope_theta, initializer_range;
} an_config;

struct an_model {
    an_arena arena;
    an_config config;
    an_model_param *params;
    int n_params;
};

/* A preset by name, or a config.json. */
an_status an_config_open(const char *preset_or_path, int64_t vocab_size,
                         an_config *out, an_error *err);
/* Lists the parameters of model->config in model->params. */
an_status an_model_list_params(an_model *model, an_error *err);

/* What the parts of a block are built from. */
typedef struct an_block_frame {
    an_builder *b;
    const an_config *config;
    an_dtype dtype;
    int64_t batch, sequence, columns; /* columns = batch x sequence */
} an_block_frame;

/* A kind of block: `build` declares its parameters but x, and its result. */
typedef struct an_block_row {
    const char *name;
    void (*build)(const an_block_frame *f, an_value *x);
    const char *const *taps, *const *stops, *const *cuts;
    int n_taps, n_stops, n_cuts;
} an_block_row;

/* Block 0, 1, ... of a layer, or AN_BLOCK_HEAD; NULL: no such block. */
const an_block_row *an_llama_block(int block);

#endif
