/*
 * Architectures: configuration, parameters, and the MIL of their parts.
 *
 * A model is an embedding, `n_layers` equal layers of blocks (attention, mlp),
 * and a head. It states each part once, as a MIL function, generic in the
 * float type and in batch and sequence; it knows nothing of engines.
 */
#ifndef ANEMONE_MODEL_H
#define ANEMONE_MODEL_H

#include "anemone/mil.h"

typedef struct an_model an_model;

/* config.json with Hugging Face's key names (model_type llama, mistral, qwen2,
 * qwen3 or gpt2), a folder that has one, or one of the presets by name: small,
 * base, layer768, stories110m. `vocab_size` above 0 overrides the
 * configuration's (the tokenizer decides). */
AN_API an_status an_model_open(const char *preset_or_path, int64_t vocab_size,
                               an_model **out, an_error *err);
AN_API void an_model_free(an_model *model);
/* The configuration as config.json's text; an_text_free. */
AN_API an_status an_model_config_text(const an_model *model, char **text,
                                      an_error *err);

typedef struct an_model_facts {
    int64_t vocab_size, width, hidden, n_layers, n_heads, n_kv_heads, head_dim;
    int64_t sequence;  /* max_position_embeddings: default sequence */
    int64_t positions; /* learned ones: the longest sequence; 0: none */
    int64_t n_params;  /* tied ones once */
    bool tied;         /* classifier shares the embedding */
} an_model_facts;
AN_API void an_model_get_facts(const an_model *model, an_model_facts *out);

/* A tensor of a weight file that is a rectangle of a parameter. What no part
 * covers is zero and stays so. */
typedef struct an_param_part {
    const char *name; /* "model.layers.0.self_attn.q_proj.weight" */
    int64_t row, rows, column, columns;
    int file_rank;   /* 1 for norms and biases, else 2: [rows, columns] */
    bool transposed; /* in files [columns, rows] */
} an_param_part;

/* One tensor of the model. */
typedef struct an_model_param {
    const char *name; /* "layers.0.w_qkv", "embed", "final_norm", "head" */
    const char *port; /* parameter name in the block's function, "w_qkv";
                          the head of a tied model reads "embed" */
    int layer;        /* -1: not of a layer */
    int block;        /* index in the layer's blocks; AN_BLOCK_HEAD, _EMBED */
    an_shape shape;   /* as at the port, dtype fp32: [1,1,O,C], [1,D,1,1] */
    int64_t rows, columns;      /* the same numbers as a matrix */
    bool trained;               /* else frozen: its values stay */
    bool adapter;               /* of an_model_adapt: in files of its own */
    bool decay;                 /* weight decay applies */
    double init_mean, init_std; /* of first values: normal; 0: the mean */
    double init_bound;          /* above 0: uniform in +- this instead */
    const an_param_part *parts;
    int n_parts;
} an_model_param;
/* EMBED: "embed" [V, D] by token, and where a model has it "positions" [P, D]
 * by position in the sequence; x of layer 0 is their rows' sum. */
enum { AN_BLOCK_HEAD = -1, AN_BLOCK_EMBED = -2 };
AN_API int an_model_n_params(const an_model *model);
AN_API const an_model_param *an_model_param_at(const an_model *model, int i);
/*
 * Freezes parts of the model: words separated by commas, each one "embed" (and
 * positions), "head" (with the last norm), a layer "3", layers "0-5", or a
 * block's name, "attention" or "mlp", of every layer. A tied classifier is the
 * embedding. AN_EINVAL for other words, and when nothing would be left to
 * train.
 */
AN_API an_status an_model_freeze(an_model *model, const char *parts,
                                 an_error *err);
/*
 * Low-rank adapters (Hu et al. 2021, arXiv:2106.09685): a target W [O, C] of
 * every layer becomes W + scale B A, with trained A [rank, C] and B [O, rank];
 * all else is frozen. A is uniform in +- 1/sqrt(C) at first, B zero.
 * Targets that are rows of one parameter (q, k and v) have their A's as rows
 * of one, and their B's as blocks of one.
 */
typedef struct an_lora {
    int64_t rank;
    double scale; /* alpha / rank */
    /* Ends of the names of weight files' matrices, "q_proj" or "attn.c_proj",
     * separated by commas; "all-linear": every matrix of the layers. NULL:
     * q_proj and v_proj, or GPT-2's c_attn. */
    const char *targets;
    int64_t first_layer; /* those below have zeros, and they are frozen */
} an_lora;
enum { AN_LORA_MAX_RANK = 1024 };
/* Once, and before an_model_freeze. AN_EINVAL names a target that no matrix of
 * the layers has. */
AN_API an_status an_model_adapt(an_model *model, const an_lora *lora,
                                an_error *err);
/* What it was adapted with, targets filled in; NULL: it was not. */
AN_API const an_lora *an_model_lora(const an_model *model);

/* First values of elements [begin, begin + n) of parameter i, into out[0..n):
 * a pure function of seed, i and the element, so ranges may be filled in any
 * order. */
AN_API void an_model_init_param(const an_model *model, int i, uint64_t seed,
                                int64_t begin, int64_t n, float *out);

/* What a block is computed over. Where a block has no attention, all forms of
 * N columns are the same function. */
typedef enum an_block_form {
    /* N = batch x sequence columns, sequence-major. */
    AN_FORM_FULL,
    /* The same; results of attention are also its keys k and values v,
     * [1, KV hd, 1, N], as later positions read them (k after RoPE). */
    AN_FORM_PROMPT,
    /* One column, N = 1, at position P of one sequence. Attention has more
     * parameters: k_cache [1, KV, P, hd] and v_cache [1, KV, hd, P], keys and
     * values of earlier positions in any order; mask [1, 1, 1, P + 1], added to
     * the scores of these and of the column itself: 0, or AN_MASKED where the
     * cache has nothing yet; and the model's tables (an_model_table). Results k
     * and v [1, KV hd, 1, 1] as in PROMPT. P is `capacity`. */
    AN_FORM_DECODE,
} an_block_form;
/* Finite, so that no arithmetic makes NaN of it; exp(AN_MASKED) is 0. */
#define AN_MASKED (-1e4)

/* How matrices are stored at their ports, for fp32 blocks. */
typedef enum an_matrix_form {
    AN_MATRIX_PLAIN, /* in the block's type */
    AN_MATRIX_F16,   /* fp16, cast inside */
    /* int8 [1, O, C / 32, 32] times fp32 [1, O, C / 32, 1] at the port with
     * "_scales" after its name; PLAIN where C is no multiple of 32. */
    AN_MATRIX_Q8,
} an_matrix_form;
enum { AN_MATRIX_GROUP = 32 };

typedef struct an_block_options {
    an_dtype x_dtype;        /* of x, cast inside to `dtype` */
    an_dtype dtype;          /* of parameters and results: fp16, fp32, fp64 */
    int64_t batch, sequence; /* DECODE: 1 and 1 */
    an_block_form form;
    int64_t capacity; /* DECODE */
    an_matrix_form matrices;
} an_block_options;

/*
 * One block as MIL: function "forward" with parameters x [1, D, 1, N] and the
 * ports of its parameters, result y [1, D, 1, N]; for the head logits
 * [1, V, 1, N].
 * Names for differentiation and lowering are those of values in the function:
 */
typedef struct an_block {
    an_module *module;
    const char *const *taps; /* may be kept for the backward function */
    int n_taps;
    const char *const *stops; /* constants for differentiation */
    int n_stops;
    /* Where the backward function is cut into programs: each entry is the
     * adjoints ("d_s", separated by blanks) that end one program. */
    const char *const *cuts;
    int n_cuts;
} an_block;
AN_API int an_model_n_blocks(const an_model *model); /* per layer */
AN_API const char *an_model_block_name(const an_model *model, int block);
AN_API an_status an_model_block(const an_model *model, int block,
                                const an_block_options *options, an_block *out,
                                an_error *err);
AN_API void an_block_free(an_block *block);

/* Table i of the model ([1, rows, 1, 1] in DECODE: "cos" and "sin" of RoPE's
 * angles); NULL: no such table. */
AN_API const char *an_model_table_name(const an_model *model, int i);
AN_API int64_t an_model_table_rows(const an_model *model, int i);
/* Its column of a position. */
AN_API void an_model_table(const an_model *model, int i, int64_t position,
                           double *out);

#endif
