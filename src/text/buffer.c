/* Doubles when full. */
#include "text/buffer.h"

#include "base/alloc.h"

#include <string.h>

an_status an_buffer_put(an_buffer *b, const void *bytes, size_t size,
                        an_error *err)
{
    if (size > SIZE_MAX - b->n)
        return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
    while (b->capacity - b->n < size)
        if (!an_grow(&b->data, &b->capacity, b->capacity, 1))
            return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
    if (size) memcpy(b->data + b->n, bytes, size);
    b->n += size;
    return AN_OK;
}

an_status an_buffer_text(an_buffer *b, const char *text, an_error *err)
{
    return an_buffer_put(b, text, strlen(text), err);
}

void an_buffer_fini(an_buffer *b)
{
    an_free(b->data);
    *b = (an_buffer){0};
}
