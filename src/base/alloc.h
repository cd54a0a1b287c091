/*
 * The only callers of malloc and its kin. Tests replace this file by one that
 * counts blocks and fails the n-th request. All memory comes back zeroed but
 * for the grown part of an_realloc. NULL means that memory could not be had.
 */
#ifndef AN_BASE_ALLOC_H
#define AN_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

void *an_alloc(size_t bytes);
/* n x size bytes; NULL when the product overflows. */
void *an_alloc_array(size_t n, size_t size);
/* Aligned to `align`, a power of two of at least sizeof(void *). */
void *an_alloc_aligned(size_t align, size_t bytes);
void *an_realloc(void *block, size_t bytes);
void an_free(void *block); /* takes blocks of all four functions, and NULL */
char *an_strdup(const char *text);

/*
 * Makes room for one more element: *items has *capacity elements of `size`
 * bytes, n of them used. False, with everything unchanged, without memory.
 */
bool an_grow(void *items, size_t *capacity, size_t n, size_t size);

/* *out = a x b; false on overflow. */
bool an_mul_size(size_t a, size_t b, size_t *out);

#endif
