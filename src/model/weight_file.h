/*
 * Weight files of every format, read by one interface: a list of tensors with
 * Hugging Face's names, shapes and orders, over mapped memory, converted row by
 * row when read. A format is a row in weight_file.c and a file of its own that
 * fills in the list and the configuration.
 */
#ifndef AN_MODEL_WEIGHT_FILE_H
#define AN_MODEL_WEIGHT_FILE_H

#include "base/file.h"
#include "base/safetensors.h"
#include "model/model.h"

/* How elements are stored. */
typedef enum an_stored {
    AN_STORED_F32,
    AN_STORED_F16,
    AN_STORED_BF16,
    AN_STORED_F64,
    AN_STORED_Q8_0,   /* 32 elements: fp16 d, 32 int8 q; d q */
    AN_STORED_Q4_0,   /* 32 elements: fp16 d, 16 bytes; d (nibble - 8): the low
                         ones are elements 0 to 15 */
    AN_STORED_GROUPS, /* int8 q; one fp32 per `group` elements elsewhere */
    AN_STORED_OTHER,  /* not read: integers and the like */
} an_stored;

an_stored an_stored_of(an_dtype dtype);

typedef struct an_stored_tensor {
    const char *name;
    an_stored stored;
    int rank;
    int64_t shape[AN_MAX_RANK]; /* as in Hugging Face's file */
    const unsigned char *data;  /* of any alignment */
    /* Memory holds the transpose of the shape. */
    bool transposed;
    /* Above 0: rows of each so many are in the order of RoPE in neighbouring
     * pairs (2 i, 2 i + 1), and are read as (i, i + rope / 2). */
    int64_t rope;
    double factor;               /* of every element */
    const unsigned char *scales; /* GROUPS */
    int64_t group;
    bool used; /* by a load */
} an_stored_tensor;

typedef struct an_weight_file an_weight_file;

/* A folder of Hugging Face's, or a file. */
an_status an_weight_file_open(const char *path, an_weight_file **out,
                              an_error *err);
/* One format over bytes that the caller keeps; `name` is for errors. Files that
 * name other files, and safetensors without a configuration, are refused. */
an_status an_weight_file_open_bytes(const void *data, size_t size,
                                    const char *name, an_weight_file **out,
                                    an_error *err);
/* The tensors of an open file whose names begin with `prefix`, without it. It
 * stays the caller's. `config` may be NULL. */
an_status an_weight_file_of_st(const an_st *st, const char *prefix,
                               const an_config *config, an_weight_file **out,
                               an_error *err);
/* Tensors over memory that the caller keeps; names are copied, `path` is for
 * errors. */
an_status an_weight_file_of_list(const an_stored_tensor *list, size_t n,
                                 const char *path, an_weight_file **out,
                                 an_error *err);
void an_weight_file_close(an_weight_file *f);

const char *
an_weight_file_format(const an_weight_file *f); /* "safetensors", ... */
/* Whether a tokenizer is in the file itself (GGUF). */
bool an_weight_file_has_tokenizer(const an_weight_file *f);
/* The model that the file is of: AN_EFORMAT when it does not say. */
an_status an_weight_file_model(const an_weight_file *f, an_model **out,
                               an_error *err);
int an_weight_file_count(const an_weight_file *f);
const an_stored_tensor *an_weight_file_at(const an_weight_file *f, int i);
/* By name, or by name without what stands before its first point; marks it. */
const an_stored_tensor *an_weight_file_use(an_weight_file *f, const char *name);
/* After a tensor was read: its pages leave memory, so that a load takes the
 * room of what is loaded and not that of the file beside it. */
void an_weight_file_forget(const an_weight_file *f, const an_stored_tensor *t);

/*
 * Compares with what the model needs of a set of its parameters: AN_EFORMAT
 * names the tensors that are missing, that nothing needs, or whose shapes
 * differ. Marks those needed.
 */
an_status an_weight_file_check_set(an_weight_file *f, const an_model *model,
                                   an_param_set set, an_error *err);
/* The same of its own, without adapters. */
an_status an_weight_file_check(an_weight_file *f, const an_model *model,
                               an_error *err);

/* Row r of the matrix that memory and shape describe (of its transpose, with
 * COLUMNS), as fp32 or fp64 (`to`). A vector is one row. */
typedef enum an_stored_axis {
    AN_STORED_ROWS,
    AN_STORED_COLUMNS
} an_stored_axis;
void an_stored_read(const an_stored_tensor *t, an_stored_axis axis, int64_t r,
                    an_dtype to, void *out);

#endif
