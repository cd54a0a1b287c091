/* Bytes that grow; zero to begin with. */
#ifndef AN_TEXT_BUFFER_H
#define AN_TEXT_BUFFER_H

#include "anemone/status.h"

#include <stddef.h>

typedef struct an_buffer {
    unsigned char *data;
    size_t n, capacity;
} an_buffer;

an_status an_buffer_put(an_buffer *b, const void *bytes, size_t size,
                        an_error *err);
an_status an_buffer_text(an_buffer *b, const char *text, an_error *err);
void an_buffer_fini(an_buffer *b);

#endif
