/*
 * Fuzz target: data files. The first byte picks the name (shard, raw, text);
 * whatever is accepted must be readable to its last id.
 */
#include "text/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"x.bin", "x.u16", "x.txt", "x.u32"};
    if (size == 0) return 0;
    an_error err = {0};
    an_tokens t;
    if (an_tokens_parse(names[data[0] % 4], data + 1, size - 1, &t, &err) !=
        AN_OK)
        return 0;
    int32_t ids[64];
    for (int64_t i = 0; i < t.n; i += 64) {
        int64_t n = t.n - i < 64 ? t.n - i : 64;
        if (an_tokens_read(&t, i, n, data[0], ids, &err) != AN_OK) break;
    }
    return 0;
}
