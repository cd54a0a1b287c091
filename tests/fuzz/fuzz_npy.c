/* .npy files: what is accepted lies inside the bytes and has a sound shape. */
#include "cli/npy.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_npy npy;
    an_error err = {0};
    if (an_npy_read(data, size, "fuzz", &npy, &err) != AN_OK) return 0;
    const uint8_t *start = npy.data;
    if (start < data || start + npy.size_bytes != data + size) abort();
    char header[AN_NPY_HEADER];
    size_t n = 0;
    if (an_npy_header(&npy.shape, header, &n, &err) != AN_OK) abort();
    if (n % 64 != 0 || n > sizeof header) abort();
    return 0;
}
