/* Steps go from one buffer to the other; the last one's output is the text. */
#include "text/normalize.h"

#include <string.h>

static an_status replace(const an_step *st, const unsigned char *text,
                         size_t size, an_buffer *out, an_error *err)
{
    size_t from = 0;
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i + st->from_size <= size;) {
        const unsigned char *at = memchr(text + i, (unsigned char)st->from[0],
                                         size - st->from_size + 1 - i);
        if (!at) break;
        i = (size_t)(at - text);
        if (memcmp(at, st->from, st->from_size) != 0) {
            i++;
            continue;
        }
        s = an_buffer_put(out, text + from, i - from, err);
        if (s == AN_OK) s = an_buffer_put(out, st->to, st->to_size, err);
        i += st->from_size;
        from = i;
    }
    return s == AN_OK ? an_buffer_put(out, text + from, size - from, err) : s;
}

static an_status prepend(const an_step *st, const unsigned char *text,
                         size_t size, an_place place, an_buffer *out,
                         an_error *err)
{
    bool has = size >= st->to_size && memcmp(text, st->to, st->to_size) == 0;
    bool wanted = st->kind == AN_STEP_PREPEND ||
                  (!has && (place == AN_PLACE_FIRST ||
                            st->kind == AN_STEP_PREPEND_MISSING));
    an_status s = AN_OK;
    if (wanted && size > 0 && place != AN_PLACE_CONTINUED)
        s = an_buffer_put(out, st->to, st->to_size, err);
    return s == AN_OK ? an_buffer_put(out, text, size, err) : s;
}

static an_status apply(const an_step *st, const unsigned char *text,
                       size_t size, an_place place, an_buffer *out,
                       an_error *err)
{
    switch (st->kind) {
    case AN_STEP_REPLACE:
        return replace(st, text, size, out, err);
    case AN_STEP_NFC:
        return an_nfc(text, size, out, err);
    case AN_STEP_SENTENCEPIECE:
        return an_sp_normalize(&st->rules, text, size, place, out, err);
    default:
        return prepend(st, text, size, place, out, err);
    }
}

an_status an_normalize(const an_step *steps, int n_steps,
                       const unsigned char *text, size_t size, an_place place,
                       an_buffer *out, an_buffer *other, an_error *err)
{
    out->n = 0;
    if (n_steps == 0) return an_buffer_put(out, text, size, err);
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < n_steps; i++) {
        an_buffer *to = (n_steps - i) % 2 ? out : other;
        to->n = 0;
        s = apply(&steps[i], text, size, place, to, err);
        text = to->data;
        size = to->n;
    }
    return s;
}
