/*
 * NumPy's .npy files: one dense tensor. Read: format versions 1.0 to 3.0,
 * little-endian numbers and bools, C order. Refused with a reason: everything
 * else (Fortran order, big-endian, objects, structures, strings).
 * Source: numpy.lib.format, "Format Version 1.0" to "3.0".
 */
#ifndef AN_CLI_NPY_H
#define AN_CLI_NPY_H

#include "anemone/mil.h"

typedef struct an_npy {
    an_shape shape;
    const void *data; /* in the file's bytes, not aligned */
    size_t size_bytes;
} an_npy;

/* Reads a file's bytes; `name` is for errors. */
an_status an_npy_read(const void *bytes, size_t size, const char *name,
                      an_npy *out, an_error *err);

/*
 * The header (version 1.0) that goes before the tensor's bytes. Room for
 * AN_NPY_HEADER bytes; returns how many were written, a multiple of 64.
 * AN_EUNSUPPORTED for a dtype that NumPy lacks (bf16, strings).
 */
enum { AN_NPY_HEADER = 448 };
an_status an_npy_header(const an_shape *shape, char *out, size_t *size,
                        an_error *err);

/* The dtype that a MIL dtype has in a .npy file: types below a byte are one
 * byte an element there. AN_DTYPE_COUNT when there is none. */
an_dtype an_npy_dtype(an_dtype dtype);

#endif
