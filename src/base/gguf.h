/*
 * The head of a GGUF file: keys with values, and where tensors are. Borrows the
 * file's bytes. Every length and count is checked against the size.
 */
#ifndef AN_BASE_GGUF_H
#define AN_BASE_GGUF_H

#include "anemone/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum an_gguf_type {
    AN_GGUF_U8,
    AN_GGUF_I8,
    AN_GGUF_U16,
    AN_GGUF_I16,
    AN_GGUF_U32,
    AN_GGUF_I32,
    AN_GGUF_F32,
    AN_GGUF_BOOL,
    AN_GGUF_STRING,
    AN_GGUF_ARRAY,
    AN_GGUF_U64,
    AN_GGUF_I64,
    AN_GGUF_F64,
    AN_GGUF_TYPES
} an_gguf_type;

typedef struct an_gguf_text {
    const char *text; /* not ended by 0 */
    size_t size;
} an_gguf_text;

typedef struct an_gguf_value {
    an_gguf_text key;
    an_gguf_type type; /* of the items, for an array */
    bool is_array;
    uint64_t n; /* items; 1 when it is no array */
    const unsigned char *data, *end;
} an_gguf_value;

enum { AN_GGUF_MAX_DIMS = 4 };
typedef struct an_gguf_tensor {
    an_gguf_text name;
    int n_dims;
    uint64_t dims[AN_GGUF_MAX_DIMS]; /* fastest first */
    uint32_t type;                   /* ggml's number */
    uint64_t offset;                 /* from the file's beginning */
} an_gguf_tensor;

typedef struct an_gguf {
    an_gguf_value *values;
    an_gguf_tensor *tensors;
    size_t n_values, n_tensors;
} an_gguf;

bool an_gguf_is(const void *data, size_t size);
/* Tensors' offsets are inside the file; their sizes are for the reader of the
 * types to check. */
an_status an_gguf_parse(const void *data, size_t size, an_gguf *out,
                        an_error *err);
void an_gguf_fini(an_gguf *g);

/* NULL: no such key. */
const an_gguf_value *an_gguf_find(const an_gguf *g, const char *key);
/* *out stays when there is no such key; AN_EFORMAT for a value of another type.
 * Integers of every width are read as int64. */
an_status an_gguf_int(const an_gguf *g, const char *key, int64_t *out,
                      an_error *err);
an_status an_gguf_real(const an_gguf *g, const char *key, double *out,
                       an_error *err);
an_status an_gguf_bool(const an_gguf *g, const char *key, bool *out,
                       an_error *err);
an_status an_gguf_string(const an_gguf *g, const char *key, an_gguf_text *out,
                         an_error *err);

/* Item i of an array of numbers that are no strings. */
double an_gguf_number(const an_gguf_value *v, uint64_t i);
/* The string at *at of an array of strings; moves *at on. Begin with v->data;
 * there are v->n. */
an_gguf_text an_gguf_next(const unsigned char **at);

#endif
