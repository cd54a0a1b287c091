/*
 * A chain of blocks, each as large as all before it together (up to a limit),
 * so that a small arena stays small and a large one makes few requests. Memory
 * is zeroed because it comes from an_alloc_aligned and is handed out once.
 */
#include "base/arena.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ALIGN = 16, FIRST_BYTES = 1024, LARGEST_BYTES = 1 << 20 };

struct an_arena_block {
    struct an_arena_block *next;
    size_t used, size; /* of the bytes behind this header */
};

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

void an_arena_init(an_arena *arena)
{
    *arena = (an_arena){0};
}

void an_arena_fini(an_arena *arena)
{
    while (arena->head) {
        struct an_arena_block *next = arena->head->next;
        an_free(arena->head);
        arena->head = next;
    }
    arena->used_bytes = 0;
}

static struct an_arena_block *add_block(an_arena *arena, size_t bytes)
{
    size_t header = round_up(sizeof(struct an_arena_block));
    size_t size = arena->head ? 2 * arena->head->size : FIRST_BYTES;
    if (size > LARGEST_BYTES) size = LARGEST_BYTES;
    if (size < bytes) size = bytes;
    struct an_arena_block *block = an_alloc_aligned(ALIGN, header + size);
    if (!block) return NULL;
    block->next = arena->head;
    block->size = size;
    arena->head = block;
    return block;
}

void *an_arena_alloc(an_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2) return NULL;
    bytes = round_up(bytes ? bytes : 1);
    struct an_arena_block *block = arena->head;
    if (!block || block->size - block->used < bytes)
        block = add_block(arena, bytes);
    if (!block) return NULL;
    char *data = (char *)block + round_up(sizeof *block) + block->used;
    block->used += bytes;
    arena->used_bytes += bytes;
    return data;
}

void *an_arena_array(an_arena *arena, size_t n, size_t size)
{
    size_t bytes;
    return an_mul_size(n, size, &bytes) ? an_arena_alloc(arena, bytes) : NULL;
}

char *an_arena_strndup(an_arena *arena, const char *text, size_t size)
{
    if (size == SIZE_MAX) return NULL;
    char *copy = an_arena_alloc(arena, size + 1);
    if (copy && size) memcpy(copy, text, size);
    return copy;
}

char *an_arena_printf(an_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = n < 0 ? NULL : an_arena_alloc(arena, (size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}
