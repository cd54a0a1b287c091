/*
 * An arena: many small blocks with one lifetime, freed together. Blocks are
 * zeroed and aligned to 16 bytes. Not safe for use by two threads at once.
 */
#ifndef AN_BASE_ARENA_H
#define AN_BASE_ARENA_H

#include "anemone/status.h"

#include <stddef.h>

typedef struct an_arena {
    struct an_arena_block *head;
    size_t used_bytes; /* handed out since init or reset */
} an_arena;

void an_arena_init(an_arena *arena);
void an_arena_fini(an_arena *arena);
/* NULL when memory could not be had. */
void *an_arena_alloc(an_arena *arena, size_t bytes);
void *an_arena_array(an_arena *arena, size_t n, size_t size);
char *an_arena_strndup(an_arena *arena, const char *text, size_t size);
/* printf into the arena; NULL when memory could not be had. */
char *an_arena_printf(an_arena *arena, const char *format, ...) AN_PRINTF(2, 3);

#endif
