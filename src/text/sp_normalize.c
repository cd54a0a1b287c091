/*
 * SentencePiece's normalizer. The table of replacements is a double array over
 * UTF-8 (Darts-clone: a unit holds label, has-leaf bit and offset; the longest
 * key that matches counts), then texts that end in 0. Every read is bounded: a
 * table that points outside itself matches nothing.
 * Source: src/normalizer.cc of google/sentencepiece; include/darts.h of
 * s-yata/darts-clone.
 */
#include "text/normalize.h"
#include "text/utf8.h"

#include <string.h>

static const char blank[] = "\xe2\x96\x81";
enum { BLANK_BYTES = 3 };

static uint32_t unit_at(const an_sp_rules *r, size_t i)
{
    const unsigned char *p = r->units + 4 * i;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* Where in the replacements the longest key's text begins; -1: none. */
static int64_t longest_key(const an_sp_rules *r, const unsigned char *text,
                           size_t size, size_t *length)
{
    int64_t found = -1;
    if (r->n_units == 0) return -1;
    size_t node = offset_of(unit_at(r, 0));
    for (size_t i = 0; i < size && text[i]; i++) {
        node ^= text[i];
        if (node >= r->n_units) break;
        uint32_t unit = unit_at(r, node);
        if ((unit & 0x800000ff) != text[i]) break;
        node ^= offset_of(unit);
        if (!((unit >> 8) & 1) || node >= r->n_units) continue;
        found = (int64_t)(unit_at(r, node) & 0x7fffffff);
        *length = i + 1;
    }
    return found < (int64_t)r->n_replacements ? found : -1;
}

/* One unit of text: what stands for it in *to, how much it takes. */
static size_t next_unit(const an_sp_rules *r, const unsigned char *text,
                        size_t size, const unsigned char **to, size_t *to_size)
{
    size_t length = 0;
    *to = text;
    if (r->kept && an_trie_longest(r->kept, text, size, &length) >= 0) {
        *to_size = length;
        return length;
    }
    int64_t found = longest_key(r, text, size, &length);
    if (found >= 0) {
        *to = (const unsigned char *)r->replacements + found;
        *to_size = strlen(r->replacements + found);
        return length;
    }
    an_utf8_get(text, size, &length);
    *to_size = length;
    if (length > 0) return length;
    *to = (const unsigned char *)"\xef\xbf\xbd";
    *to_size = 3;
    return 1;
}

static an_status put_escaped(const an_sp_rules *r, const unsigned char *text,
                             size_t size, an_buffer *out, an_error *err)
{
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i < size; i++)
        s = r->escape && text[i] == ' '
                ? an_buffer_put(out, blank, BLANK_BYTES, err)
                : an_buffer_put(out, text + i, 1, err);
    return s;
}

/* Leading units that come out as one blank. */
static size_t leading_blanks(const an_sp_rules *r, const unsigned char *text,
                             size_t size)
{
    size_t at = 0, to_size;
    const unsigned char *to;
    while (at < size) {
        size_t n = next_unit(r, text + at, size - at, &to, &to_size);
        if (to_size != 1 || to[0] != ' ') break;
        at += n;
    }
    return at;
}

static void drop_trailing(const an_sp_rules *r, size_t from, an_buffer *out)
{
    const char *space = r->escape ? blank : " ";
    size_t n = r->escape ? BLANK_BYTES : 1;
    while (out->n >= from + n && memcmp(out->data + out->n - n, space, n) == 0)
        out->n -= n;
}

an_status an_sp_normalize(const an_sp_rules *r, const unsigned char *text,
                          size_t size, an_place place, an_buffer *out,
                          an_error *err)
{
    bool begins = place != AN_PLACE_CONTINUED;
    size_t from = out->n, to_size;
    const unsigned char *to;
    an_status s = AN_OK;
    size_t at = r->remove_extra && begins ? leading_blanks(r, text, size) : 0;
    if (at == size) return AN_OK;
    if (r->dummy_prefix && begins)
        s = put_escaped(r, (const unsigned char *)" ", 1, out, err);
    bool after_blank = r->remove_extra && begins;
    while (s == AN_OK && at < size) {
        at += next_unit(r, text + at, size - at, &to, &to_size);
        for (; after_blank && to_size > 0 && to[0] == ' '; to_size--)
            to++;
        if (to_size > 0)
            after_blank = r->remove_extra && to[to_size - 1] == ' ';
        s = put_escaped(r, to, to_size, out, err);
    }
    if (s == AN_OK && r->remove_extra) drop_trailing(r, from, out);
    return s;
}
