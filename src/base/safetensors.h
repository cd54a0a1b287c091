/*
 * The safetensors format: uint64 little-endian N, N bytes of JSON that start
 * with '{', then the tensors' bytes, row-major, little-endian, without holes.
 * Source: the format's README in huggingface/safetensors. Refused here:
 * N above 100 MB, overlap, holes, overflow, shapes that do not fit the range,
 * duplicate names, element types that an_dtype does not have.
 */
#ifndef AN_BASE_SAFETENSORS_H
#define AN_BASE_SAFETENSORS_H

#include "anemone/mil.h"
#include "base/file.h"

typedef struct an_st_tensor {
    const char *name;
    an_dtype dtype; /* fp16 fp32 fp64 bf16 int8.. uint64 bool */
    int rank;
    int64_t shape[AN_MAX_RANK];
    /* Aligned to its element. Read: the an_st's; written: the caller's. */
    const void *data;
    size_t size_bytes;
    /* Written only: data is the transpose, [shape[1], shape[0]]. */
    bool transposed;
    /* Written only, in place of data: puts size_bytes bytes. */
    an_status (*put)(void *ctx, const struct an_st_tensor *t, an_writer *w,
                     an_error *err);
    void *ctx;
    /* Written only: distance of the rows of a matrix in data; 0: dense. */
    size_t row_bytes;
} an_st_tensor;

typedef struct an_st an_st;

/* Maps and checks a file. Tensors are borrowed until an_st_close. */
an_status an_st_open(const char *path, an_st **out, an_error *err);
/* The same over bytes that the caller keeps; `name` is for errors. */
an_status an_st_open_bytes(const void *data, size_t size, const char *name,
                           an_st **out, an_error *err);
void an_st_close(an_st *st);
/* In the order of their bytes in the file. */
int an_st_count(const an_st *st);
const an_st_tensor *an_st_at(const an_st *st, int i);
const an_st_tensor *an_st_find(const an_st *st, const char *name);
/* A value of __metadata__, or NULL. */
const char *an_st_metadata(const an_st *st, const char *key);
/* As an_map_forget, of the file's map. */
void an_st_forget(const an_st *st, const void *at, size_t size);

/* Writes whole or not at all. `metadata` is key, value, key, value..., NULL.
 * Tensors are laid out in the order given; the same input gives the same
 * bytes. */
an_status an_st_save(const char *path, const an_st_tensor *tensors, int n,
                     const char *const *metadata, an_error *err);

#endif
