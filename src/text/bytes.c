/*
 * The tokenizer "bytes": ids 0-255 are the bytes, 256 ends a text.
 *
 * Its tokenizer.json is a byte-level BPE without merges in the form of
 * huggingface/tokenizers, so that other tools open it and give the same ids.
 * Byte-level BPE spells each byte as one character (GPT-2's bytes_to_unicode,
 * openai/gpt-2 src/encoder.py): 33-126, 161-172 and 174-255 are themselves,
 * the other 68 are U+0100, U+0101, ... in order.
 */
#include "text/tokenizer.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

enum { END_OF_TEXT = 256, VOCAB_SIZE = 257 };

static const char json_head[] =
    "{\n"
    "  \"version\": \"1.0\",\n"
    "  \"truncation\": null,\n"
    "  \"padding\": null,\n"
    "  \"added_tokens\": [{\"id\": 256, \"content\": \"<|endoftext|>\", "
    "\"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
    "\"normalized\": false, \"special\": true}],\n"
    "  \"normalizer\": null,\n"
    "  \"pre_tokenizer\": {\"type\": \"ByteLevel\", "
    "\"add_prefix_space\": false, \"trim_offsets\": true, "
    "\"use_regex\": false},\n"
    "  \"post_processor\": null,\n"
    "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
    "\"trim_offsets\": true, \"use_regex\": false},\n"
    "  \"model\": {\"type\": \"BPE\", \"dropout\": null, "
    "\"unk_token\": null, \"continuing_subword_prefix\": null, "
    "\"end_of_word_suffix\": null, \"fuse_unk\": false, "
    "\"byte_fallback\": false, \"ignore_merges\": false,\n"
    "    \"vocab\": {";
static const char json_tail[] = "},\n    \"merges\": []}\n}\n";

static bool is_itself(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) ||
           byte >= 174;
}

static an_status print(const an_tokenizer *t, char **text, size_t *size,
                       an_error *err)
{
    (void)t;
    enum { ENTRY_BYTES = 16 }; /* `"\u0100": 255, ` takes 15 */
    size_t room = sizeof json_head + sizeof json_tail + 256 * ENTRY_BYTES;
    char *s = an_alloc(room);
    if (!s) return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
    size_t n = sizeof json_head - 1;
    memcpy(s, json_head, n);
    int others = 0;
    for (int byte = 0; byte < 256; byte++) {
        int code = is_itself(byte) ? byte : 256 + others++;
        n += (size_t)snprintf(s + n, room - n, "%s\"\\u%04x\": %d",
                              byte ? ", " : "", (unsigned)code, byte);
    }
    memcpy(s + n, json_tail, sizeof json_tail);
    *text = s;
    *size = n + sizeof json_tail - 1;
    return AN_OK;
}

static an_status match(const json_t *file, bool *out, an_error *err)
{
    char *text = NULL;
    size_t size = 0;
    json_t *own = NULL;
    an_status s = print(NULL, &text, &size, err);
    if (s == AN_OK) s = an_json_parse(text, size, "bytes", &own, err);
    if (s == AN_OK) *out = json_equal(file, own);
    json_decref(own);
    an_free(text);
    return s;
}

static an_status encode(const an_tokenizer *t, const char *text, size_t size,
                        int32_t **ids, size_t *n, an_error *err)
{
    (void)t;
    size_t used = *ids ? *n : 0, bytes;
    if (size > SIZE_MAX - used ||
        !an_mul_size(used + size, sizeof(int32_t), &bytes))
        return an_fail(err, AN_ENOMEM, "tokenizer: text is too long");
    int32_t *grown = an_realloc(*ids, bytes);
    if (!grown) return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
    for (size_t i = 0; i < size; i++)
        grown[used + i] = (unsigned char)text[i];
    *ids = grown;
    *n = used + size;
    return AN_OK;
}

/* Every byte once, in order: what an_tokenizer_bytes lends out. */
// clang-format off
#define FOUR(b) (b), (b) + 1, (b) + 2, (b) + 3
#define SIXTEEN(b) FOUR(b), FOUR((b) + 4), FOUR((b) + 8), FOUR((b) + 12)
#define SIXTY_FOUR(b) SIXTEEN(b), SIXTEEN((b) + 16), SIXTEEN((b) + 32), SIXTEEN((b) + 48)
static const unsigned char every_byte[256] = {
    SIXTY_FOUR(0), SIXTY_FOUR(64), SIXTY_FOUR(128), SIXTY_FOUR(192)};
// clang-format on

static const char *bytes(const an_tokenizer *t, int32_t id, size_t *size)
{
    (void)t;
    *size = id >= 0 && id < END_OF_TEXT;
    return (const char *)every_byte + (*size ? id : 0);
}

const an_tokenizer_row an_tokenizer_bytes_row = {.name = "bytes",
                                                 .ids_are_bytes = true,
                                                 .vocab_size = VOCAB_SIZE,
                                                 .end_of_text = END_OF_TEXT,
                                                 .encode = encode,
                                                 .bytes = bytes,
                                                 .print = print,
                                                 .match = match};
