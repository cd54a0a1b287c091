/*
 * Fuzz target: tokenizer files of every kind. The first byte picks the name
 * (4: GPT-2's two files, with a 0 between them); whatever is read must encode a
 * hard text, print itself and be read again.
 */
#include "anemone/mil.h"
#include "anemone/text.h"

#include "base/alloc.h"
#include "text/gpt2.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char hard[] = "a  bc\n12 \xc3\xa9\xcc\x81\xff \xe2\x96\x81x</s>";

static void use(const an_tokenizer *t)
{
    int32_t *ids = NULL;
    size_t n = 0, size = 0;
    char *back = NULL;
    if (an_tokenizer_encode(t, hard, sizeof hard, &ids, &n, NULL) == AN_OK &&
        an_tokenizer_decode(t, ids, n, &back, &size, NULL) == AN_OK)
        an_text_free(back);
    an_tokens_free(ids);
}

static an_status parse(const uint8_t *data, size_t size, an_tokenizer **out)
{
    static const char *const names[] = {"x.json", "x.model", "x.bin", "x.gguf"};
    const char *text = (const char *)data + 1;
    const char *cut = memchr(text, 0, size - 1);
    if (data[0] != 4 || !cut)
        return an_tokenizer_parse(names[data[0] % 4], text, size - 1, out,
                                  NULL);
    size_t n = (size_t)(cut - text);
    return an_gpt2_parse(text, n, cut + 1, size - n - 2, out, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_tokenizer *t = NULL, *again = NULL;
    char *printed = NULL;
    size_t n = 0;
    if (size == 0 || parse(data, size, &t) != AN_OK) return 0;
    use(t);
    if (an_tokenizer_print(t, &printed, &n, NULL) == AN_OK &&
        an_tokenizer_parse("printed.json", printed, n, &again, NULL) == AN_OK)
        use(again);
    an_free(printed);
    an_tokenizer_free(again);
    an_tokenizer_free(t);
    return 0;
}
