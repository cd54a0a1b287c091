/* No bytes may make the reader crash; what it accepts lies in the input. */
#include "base/safetensors.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_st *st = NULL;
    an_error err = {0};
    an_status s = an_st_open_bytes(data, size, "input", &st, &err);
    assert((s == AN_OK) == (st != NULL) && s == err.code);
    size_t bytes = 0;
    unsigned sum = 0;
    for (int i = 0; st && i < an_st_count(st); i++) {
        const an_st_tensor *t = an_st_at(st, i);
        assert(an_st_find(st, t->name) == t);
        bytes += t->size_bytes;
        for (size_t k = 0; k < t->size_bytes; k++)
            sum += ((const unsigned char *)t->data)[k];
    }
    assert(bytes <= size && sum <= 255 * size);
    an_st_close(st);
    return 0;
}
