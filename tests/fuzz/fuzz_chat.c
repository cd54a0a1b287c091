/*
 * Fuzz target: chat templates. A form is told or refused with a line.
 */
#include "text/chat_form.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_arena arena;
    an_chat_form form = {0};
    an_error err = {0};
    an_arena_init(&arena);
    an_status s =
        an_chat_form_read((const char *)data, size, &arena, &form, &err);
    if (s != AN_OK && (err.text[0] == '\0' || strchr(err.text, '\n') != NULL))
        abort();
    an_arena_fini(&arena);
    return 0;
}
