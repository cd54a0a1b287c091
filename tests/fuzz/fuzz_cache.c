/* Fuzz target: caches of tokens; what is accepted must be readable. */
#include "text/token_cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_token_cache c = {0};
    json_t *about = NULL;
    const an_map map = {.data = data, .size = size};
    if (an_token_cache_parse("x", map, &c, &about, NULL) != AN_OK) return 0;
    for (int64_t i = 0; i < c.n_samples; i++)
        if (an_token_cache_begin(&c, i) > c.n) return 1;
    for (int64_t i = 0; i < c.n; i++) {
        uint32_t id;
        an_token_cache_read(&c, i, 1, &id);
    }
    json_decref(about);
    return 0;
}
