/*
 * Fuzz target: weight files. The first four bytes say what the program wants
 * (dtype, record, count); a record that is accepted lies in the file.
 */
#include "mil/blob.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_blob_record r;
    an_error err = {0};
    if (size < 4) return 0;
    an_dtype dtype = (an_dtype)(data[0] % AN_DTYPE_COUNT);
    uint64_t offset = 32 * (uint64_t)data[1];
    int64_t count = data[2] + 256 * (data[3] % 64);
    const uint8_t *file = data + 4;
    if (an_blob_read(file, size - 4, "fuzz", offset, dtype, count, &r, &err) !=
        AN_OK) {
        if (err.code == AN_OK || err.text[0] == 0) abort();
        return 0;
    }
    const uint8_t *at = r.data;
    if (at < file || at + r.size_bytes > data + size) abort();
    uint8_t *out = malloc((size_t)count * an_dtype_size(dtype) + 1);
    if (out) an_blob_unpack(&r, dtype, count, out);
    free(out);
    return 0;
}
