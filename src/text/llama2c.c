/*
 * llama2.c's tokenizer.bin: uint32 longest piece, then for each id fp32 score,
 * int32 length, text; no count. Ids 0-2 are unknown, begin and end, 3-258 the
 * bytes as "<0x00>"; a blank is a blank.
 * Source: tokenizer.py and run.c of karpathy/llama2.c.
 */
#include "text/pieces.h"

#include "text/json_parts.h"

#include <math.h>
#include <string.h>

enum { HEADER = 4, ENTRY = 8, LONGEST = 4096, N_SPECIAL = 3, N_BYTES = 256 };

static uint32_t u32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

/* Nothing marks the file: its entries must add up to its size. */
static bool is_llama2c(const char *path, const unsigned char *data, size_t size)
{
    (void)path;
    if (size < HEADER + ENTRY || u32(data) == 0 || u32(data) > LONGEST)
        return false;
    size_t at = HEADER;
    while (size - at >= ENTRY) {
        uint32_t length = u32(data + at + 4);
        at += ENTRY;
        if (length > LONGEST || length > size - at) return false;
        at += length;
    }
    return at == size;
}

/* The text with U+2581 for blanks, as other files have it. */
static size_t spell(const unsigned char *text, size_t size, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] != ' ') {
            out[n++] = (char)text[i];
            continue;
        }
        memcpy(out + n, AN_BLANK, 3);
        n += 3;
    }
    return n;
}

static an_status read_entry(an_tokenizer *t, int64_t id, float score,
                            const unsigned char *text, size_t size,
                            an_error *err)
{
    static const char *const specials[N_SPECIAL] = {"<unk>", "<s>", "</s>"};
    char spelled[3 * LONGEST];
    if (!isfinite(score))
        return an_fail(err, AN_EFORMAT, "token %lld: its score is not finite",
                       (long long)id);
    if (id < N_SPECIAL)
        return an_piece_put(t, id, specials[id], strlen(specials[id]), score,
                            id == 0 ? AN_TOKEN_UNKNOWN : AN_TOKEN_CONTROL, err);
    bool byte = id < N_SPECIAL + N_BYTES &&
                an_byte_token((const char *)text, size) == id - N_SPECIAL;
    size_t n = spell(text, size, spelled);
    return an_piece_put(t, id, spelled, n, score,
                        byte ? AN_TOKEN_BYTE : AN_TOKEN_NORMAL, err);
}

static an_status read_llama2c(an_tokenizer *t, const char *path,
                              const unsigned char *data, size_t size,
                              an_error *err)
{
    (void)path;
    an_status s = AN_OK;
    size_t at = HEADER;
    t->spelling = AN_SPELLING_CHARACTERS;
    t->byte_fallback = true;
    for (int64_t id = 0; s == AN_OK && at < size; id++) {
        uint32_t bits = u32(data + at), length = u32(data + at + 4);
        float score;
        memcpy(&score, &bits, sizeof score);
        s = read_entry(t, id, score, data + at + ENTRY, length, err);
        at += ENTRY + length;
    }
    if (s == AN_OK && t->vocab.n < N_SPECIAL)
        s = an_fail(err, AN_EFORMAT, "%zu tokens, expected %d and more",
                    t->vocab.n, N_SPECIAL);
    if (s == AN_OK) s = an_pieces_index(t, err);
    an_pieces_steps(t, true);
    t->unknown = 0;
    t->begin = 1;
    t->end_of_text = 2;
    return s;
}

const an_tokenizer_row an_tokenizer_llama2c_row = {
    .name = "llama2.c", .is = is_llama2c, .read = read_llama2c};
