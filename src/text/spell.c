/*
 * Byte-level BPE spells each byte as one character: 33-126, 161-172 and 174-255
 * are themselves, the other 68 are U+0100, U+0101, ... in order.
 * Source: bytes_to_unicode of openai/gpt-2, src/encoder.py.
 */
#include "text/tokenizer.h"
#include "text/utf8.h"

enum { OTHERS = 0x100 };

static bool is_itself(uint32_t byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) ||
           (byte >= 174 && byte <= 255);
}

/* 0-32, 127-160, 173 in order. */
static uint32_t other_byte(uint32_t i)
{
    return i < 33 ? i : i < 67 ? 127 + i - 33 : 173;
}

static uint32_t other_index(uint32_t byte)
{
    return byte < 33 ? byte : byte < 161 ? byte - 127 + 33 : 67;
}

size_t an_byte_spell(const unsigned char *bytes, size_t size,
                     unsigned char *text)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        uint32_t b = bytes[i];
        n += an_utf8_put(is_itself(b) ? b : OTHERS + other_index(b), text + n);
    }
    return n;
}

int64_t an_byte_unspell(const unsigned char *text, size_t size,
                        unsigned char *bytes)
{
    int64_t n = 0;
    for (size_t i = 0, length; i < size; i += length) {
        uint32_t code = an_utf8_get(text + i, size - i, &length);
        if (length == 0) return -1;
        if (is_itself(code))
            bytes[n++] = (unsigned char)code;
        else if (code >= OTHERS && code < OTHERS + 68)
            bytes[n++] = (unsigned char)other_byte(code - OTHERS);
        else
            return -1;
    }
    return n;
}
