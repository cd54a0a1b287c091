/* What the files of this folder share: the model and its configuration. */
#ifndef AN_MODEL_MODEL_H
#define AN_MODEL_MODEL_H

#include "anemone/model.h"

#include "base/arena.h"
#include "base/json.h"

typedef struct an_architecture an_architecture;

/* How the angles of RoPE are stretched. */
typedef enum an_rope_kind {
    AN_ROPE_DEFAULT,
    AN_ROPE_LINEAR, /* every frequency divided by `factor` */
    AN_ROPE_LLAMA3, /* low frequencies divided, middle ones in between */
} an_rope_kind;
typedef struct an_rope {
    an_rope_kind kind;
    double theta, factor, low, high; /* low, high: waves in `original` */
    double original;                 /* positions before stretching */
} an_rope;

typedef struct an_config {
    const an_architecture *architecture;
    an_model_facts facts; /* n_params is 0 until the parameters are listed */
    double norm_epsilon, initializer_range;
    an_rope rope; /* of Llama's kin */
    const struct an_llama_variant *variant;
} an_config;

/* The adapters of a block's matrix: names of ports and of A x, and rows of A.
 * The same in every layer. */
typedef struct an_adapter {
    int block;
    const char *port;        /* "w_qkv" */
    const char *a, *b, *low; /* "w_qkv_a", "w_qkv_b", "w_qkv_low" */
    int64_t inner;           /* rows of A: rank times the parts adapted */
} an_adapter;

/* A row's taps and A x of the block's adapters, which gradients read. */
typedef struct an_taps {
    const char **names;
    int n;
} an_taps;

struct an_model {
    an_arena arena;
    an_config config;
    an_model_param *params;
    int n_params;
    const an_lora *lora; /* NULL: not adapted */
    an_adapter *adapters;
    int n_adapters;
    an_taps *taps; /* by block; NULL: the rows' */
};

/* ---- architectures: one row each, in a file of its own ---- */

typedef struct an_lister an_lister;
typedef struct an_block_frame an_block_frame;

/* A kind of block: `build` declares its parameters but x, and its result. */
typedef struct an_block_row {
    const char *name;
    void (*build)(const an_block_frame *f, an_value *x);
    const char *const *taps, *const *stops, *const *cuts;
    int n_taps, n_stops, n_cuts;
} an_block_row;

/* Values by position that blocks read: constants of their columns, or ports. */
typedef struct an_table {
    const char *name;
    int64_t (*rows)(const an_config *c);
    double (*value)(const an_config *c, int64_t row, int64_t position);
} an_table;

struct an_architecture {
    /* Whether a config.json's model_type is of this architecture. */
    bool (*serves)(const char *model_type);
    an_status (*read_config)(const json_t *file, const char *path, an_config *c,
                             an_error *err);
    /* config.json's text; `size` is AN_CONFIG_ROOM. */
    void (*write_config)(const an_config *c, char *out, size_t size);
    void (*list_params)(an_lister *l);
    /* Block 0, 1, ... of a layer, or AN_BLOCK_HEAD; NULL: no such block. */
    const an_block_row *(*block)(const an_config *c, int block);
    const char *lora_targets; /* the usual ones, as an_lora.targets */
    const an_table *tables;
    int n_tables;
};
extern const an_architecture an_architecture_llama, an_architecture_gpt2;

/* ---- configurations ---- */

/* A preset by name, a config.json, or a folder that has one. */
an_status an_config_open(const char *preset_or_path, int64_t vocab_size,
                         an_config *out, an_error *err);
/* config.json's text that is parsed already; `path` is for errors. */
an_status an_config_read(const json_t *file, const char *path, an_config *out,
                         an_error *err);

/* Keys that change the function, with the one value (as JSON) that is served;
 * null is served too where `null` is set. */
typedef struct an_fixed_key {
    const char *key, *value;
    bool null;
} an_fixed_key;
an_status an_config_fixed(const json_t *file, const an_fixed_key *keys, int n,
                          const char *path, an_error *err);
/* An integer from 1 to `most`. One that is 0 before must be in the file; else
 * a missing one, or null, leaves it. */
typedef struct an_int_key {
    const char *key;
    int64_t most;
    int64_t *out;
} an_int_key;
an_status an_config_ints(const json_t *file, const an_int_key *keys, int n,
                         const char *path, an_error *err);
an_status an_config_real(const json_t *file, const char *key, double least,
                         double most, const char *path, double *out,
                         an_error *err);
/* The shortest decimal that reads back to x, with a point or an exponent. */
enum { AN_CONFIG_ROOM = 2048 };
typedef struct an_real_text {
    char text[32];
} an_real_text;
an_real_text an_config_real_text(double x);
/* The function's sizes fit each other: heads among key-value heads, ... */
an_status an_config_sizes(const an_model_facts *f, const char *path,
                          an_error *err);

/* A model of a configuration that came from elsewhere. */
an_status an_model_new(const an_config *config, an_model **out, an_error *err);

/* ---- parameters ---- */

/* A tensor of a weight file: its name after the layer's, and its rows. */
typedef struct an_part_spec {
    const char *name;
    int64_t rows;
} an_part_spec;

typedef enum an_part_order { AN_ROWS_FIRST, AN_COLUMNS_FIRST } an_part_order;

struct an_lister {
    const an_config *config;
    const char *layer_prefix; /* "model.layers": of files' names */
    an_part_order order;      /* of matrices of blocks in files */
    an_model *model;
    int capacity;
    bool failed; /* no memory */
};
/* Adds a parameter that the block's function calls `port`: a vector of the
 * parts' rows (first values `mean`), or a matrix. Its name is
 * "layers.3.<name>", or the name alone for layer -1. */
void an_list_vector(an_lister *l, int layer, int block, const char *name,
                    const char *port, double mean, const an_part_spec *parts,
                    int n_parts);
void an_list_matrix(an_lister *l, int layer, int block, const char *port,
                    int64_t columns, double std, const an_part_spec *parts,
                    int n_parts);
/* initializer_range, divided by sqrt(2 L) for matrices whose product is added
 * to the residual stream. */
double an_list_residual_std(const an_config *c);
/* Which parameters a file holds. */
typedef enum an_param_set {
    AN_PARAMS_BASE,     /* the model's own */
    AN_PARAMS_ADAPTERS, /* adapters that are trained */
    AN_PARAMS_TRAINED,
} an_param_set;
bool an_param_in(const an_model_param *p, an_param_set set);

/* PEFT's name for a part's lora_A or lora_B (`which`), in the arena. */
const char *an_adapter_part_name(an_arena *arena, const char *part, char which);
/* The adapters of a block's port; NULL: none. */
const an_adapter *an_model_adapter(const an_model *model, int block,
                                   const char *port);

/* Lists the parameters of model->config in model->params. */
an_status an_model_list_params(an_model *model, an_error *err);

#endif
