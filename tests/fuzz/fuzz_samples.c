/*
 * Fuzz target: samples in JSONL and the chat template that prints them. The
 * template ends at the first byte 0; what is left are the lines. Every id must
 * be one of the tokenizer's.
 */
#include "text/chat.h"
#include "text/samples.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static an_status check(void *ctx, const uint32_t *ids, size_t n, an_error *err)
{
    const an_tokenizer *t = ctx;
    (void)err;
    for (size_t i = 0; i < n; i++)
        if ((ids[i] & ~AN_SAMPLE_MASK) >= (uint32_t)an_tokenizer_vocab_size(t))
            abort();
    return AN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    an_tokenizer *t = NULL;
    an_error err = {0};
    if (!end || an_tokenizer_open("bytes", &t, &err) != AN_OK) return 0;
    size_t n = (size_t)(end - data);
    an_status s =
        n ? an_tokenizer_set_template(t, (const char *)data, n, &err) : AN_OK;
    if (s == AN_OK)
        an_samples_parse("x", (const char *)end + 1, size - n - 1, t,
                         AN_MASK_PROMPT, check, t, &err);
    an_tokenizer_free(t);
    return 0;
}
