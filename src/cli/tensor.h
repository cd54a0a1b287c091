/*
 * Tensors of ports in files and on the terminal. A file that ends in ".npy" is
 * NumPy's format; any other is the elements in the port's dtype, row-major,
 * little-endian, nothing else.
 */
#ifndef AN_CLI_TENSOR_H
#define AN_CLI_TENSOR_H

#include "anemone/mil.h"
#include "base/file.h"

/* Reads a dense tensor of just this dtype and shape; the caller frees *data
 * with an_free. */
an_status an_tensor_load(const char *path, const an_shape *shape, void **data,
                         an_error *err);

/* Writes into a file that the caller opens, and commits or aborts. */
an_status an_tensor_put(an_writer *w, const char *path, const an_shape *shape,
                        const void *data, an_error *err);

/*
 * Reproducible values, a pure function of (seed, stream, shape): floats are
 * standard normal, integers and bools 0 or 1 with equal chances. The caller
 * frees *data with an_free.
 */
an_status an_tensor_random(const an_shape *shape, uint64_t seed,
                           uint64_t stream, void **data, an_error *err);

/* Two lines: name and type; smallest, largest, mean and first values. */
void an_tensor_print(FILE *out, const char *name, const an_shape *shape,
                     const void *data);

#endif
