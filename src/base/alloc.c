/*
 * The only callers of malloc and its kin. A request for 0 bytes gets a block
 * of its own, so that NULL always means failure.
 */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *an_alloc(size_t bytes)
{
    return calloc(1, bytes ? bytes : 1);
}

void *an_alloc_array(size_t n, size_t size)
{
    size_t bytes;
    return an_mul_size(n, size, &bytes) ? an_alloc(bytes) : NULL;
}

void *an_alloc_aligned(size_t align, size_t bytes)
{
    void *block = NULL;
    if (posix_memalign(&block, align, bytes ? bytes : 1) != 0) return NULL;
    memset(block, 0, bytes);
    return block;
}

void *an_realloc(void *block, size_t bytes)
{
    return realloc(block, bytes ? bytes : 1);
}

void an_free(void *block)
{
    free(block);
}

char *an_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = an_alloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

bool an_grow(void *items, size_t *capacity, size_t n, size_t size)
{
    if (n < *capacity) return true;
    void *old = NULL;
    memcpy(&old, items, sizeof old);
    size_t grown, bytes;
    if (!an_mul_size(*capacity ? *capacity : 4, 2, &grown)) return false;
    if (!an_mul_size(grown, size, &bytes)) return false;
    void *block = an_realloc(old, bytes);
    if (!block) return false;
    memcpy(items, &block, sizeof block);
    *capacity = grown;
    return true;
}

bool an_mul_size(size_t a, size_t b, size_t *out)
{
    if (b && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}
