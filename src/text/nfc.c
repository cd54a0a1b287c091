/*
 * Unicode's canonical composition (NFC): decompose, order combining marks by
 * class, compose. Text below U+0300 is composed as it is. Hangul by arithmetic.
 * Source: Unicode Standard Annex 15 and chapter 3.11, 3.12 of the standard.
 */
#include "base/alloc.h"
#include "text/normalize.h"
#include "text/utf8.h"

#include "text/nfc_table.inc"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_TO_CHANGE = 0x300,
    S_BASE = 0xac00,
    L_BASE = 0x1100,
    V_BASE = 0x1161,
    T_BASE = 0x11a7,
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28,
    S_COUNT = 11172
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

typedef struct mark {
    uint32_t code;
    uint32_t combining;
    size_t order; /* before sorting */
} mark;

typedef struct marks {
    mark *list;
    size_t n, capacity;
} marks;

static uint32_t class_of(uint32_t code)
{
    size_t low = 0, high = COUNT(classes);
    if (code < FIRST_TO_CHANGE) return 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code < classes[middle].from)
            high = middle;
        else if (code > classes[middle].to)
            low = middle + 1;
        else
            return classes[middle].combining;
    }
    return 0;
}

static an_status put_mark(marks *m, uint32_t code, an_error *err)
{
    if (!an_grow(&m->list, &m->capacity, m->n, sizeof *m->list))
        return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
    m->list[m->n] = (mark){code, class_of(code), m->n};
    m->n++;
    return AN_OK;
}

static int find_decomposition(uint32_t code)
{
    size_t low = 0, high = COUNT(decompositions);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (decompositions[middle].code == code) return (int)middle;
        if (code < decompositions[middle].code)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

static an_status put_hangul(marks *m, uint32_t s, an_error *err)
{
    uint32_t t = s % T_COUNT;
    an_status status = put_mark(m, L_BASE + s / (V_COUNT * T_COUNT), err);
    if (status == AN_OK)
        status = put_mark(m, V_BASE + s / T_COUNT % V_COUNT, err);
    if (status == AN_OK && t > 0) status = put_mark(m, T_BASE + t, err);
    return status;
}

/* The first of a decomposition may decompose again, its second never does. */
static an_status decompose(marks *m, uint32_t code, an_error *err)
{
    enum { DEEPEST = 4 };
    uint32_t seconds[DEEPEST];
    int n = 0, i;
    if (code >= S_BASE && code < S_BASE + S_COUNT)
        return put_hangul(m, code - S_BASE, err);
    while (n < DEEPEST && (i = find_decomposition(code)) >= 0) {
        code = decompositions[i].first;
        if (decompositions[i].second) seconds[n++] = decompositions[i].second;
    }
    an_status s = put_mark(m, code, err);
    while (s == AN_OK && n > 0)
        s = put_mark(m, seconds[--n], err);
    return s;
}

static int by_class(const void *a, const void *b)
{
    const mark *x = a, *y = b;
    if (x->combining != y->combining)
        return x->combining < y->combining ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void order_marks(marks *m)
{
    for (size_t i = 0, end; i < m->n; i = end) {
        end = i + 1;
        if (m->list[i].combining == 0) continue;
        while (end < m->n && m->list[end].combining != 0)
            end++;
        if (end > i + 1) qsort(m->list + i, end - i, sizeof *m->list, by_class);
    }
}

/* 0: the two do not compose. */
static uint32_t compose_pair(uint32_t a, uint32_t b)
{
    if (a >= L_BASE && a < L_BASE + L_COUNT && b >= V_BASE &&
        b < V_BASE + V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + b - V_BASE) * T_COUNT;
    if (a >= S_BASE && a < S_BASE + S_COUNT && (a - S_BASE) % T_COUNT == 0 &&
        b > T_BASE && b < T_BASE + T_COUNT)
        return a + b - T_BASE;
    size_t low = 0, high = COUNT(compositions);
    while (low < high) {
        size_t middle = (low + high) / 2, row = compositions[middle];
        uint32_t first = decompositions[row].first;
        uint32_t second = decompositions[row].second;
        if (first == a && second == b) return decompositions[row].code;
        if (a < first || (a == first && b < second))
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

/* Composes marks with the last starter that nothing blocks them from. */
static void compose(marks *m)
{
    size_t n = 0, starter = 0;
    bool has_starter = false;
    uint32_t last = 0; /* class of the mark before, since the starter */
    for (size_t i = 0; i < m->n; i++) {
        mark c = m->list[i];
        bool blocked = n > starter + 1 && last >= c.combining;
        uint32_t code = has_starter && !blocked
                            ? compose_pair(m->list[starter].code, c.code)
                            : 0;
        if (code) {
            m->list[starter].code = code;
            continue;
        }
        if (c.combining == 0) {
            starter = n;
            has_starter = true;
        }
        last = c.combining;
        m->list[n++] = c;
    }
    m->n = n;
}

static an_status nfc(marks *m, const unsigned char *text, size_t size,
                     an_buffer *out, an_error *err)
{
    an_status s = AN_OK;
    for (size_t i = 0, n; s == AN_OK && i < size; i += n) {
        uint32_t code = an_utf8_get(text + i, size - i, &n);
        s = decompose(m, code, err);
    }
    if (s != AN_OK) return s;
    order_marks(m);
    compose(m);
    for (size_t i = 0; s == AN_OK && i < m->n; i++) {
        unsigned char bytes[4];
        s = an_buffer_put(out, bytes, an_utf8_put(m->list[i].code, bytes), err);
    }
    return s;
}

/* U+0300 and all after it begin with 0xcc or more. */
static size_t plain_span(const unsigned char *text, size_t size)
{
    size_t i = 0;
    while (i < size && text[i] < 0xcc)
        i++;
    return i;
}

an_status an_nfc(const unsigned char *text, size_t size, an_buffer *out,
                 an_error *err)
{
    /* A text's composed beginning ends before a character that marks behind
     * it may change. */
    size_t plain = plain_span(text, size);
    if (plain < size)
        while (plain > 0 && (text[--plain] & 0xc0) == 0x80)
            continue;
    an_status s = an_buffer_put(out, text, plain, err);
    if (s != AN_OK || plain == size) return s;
    marks m = {0};
    s = nfc(&m, text + plain, size - plain, out, err);
    an_free(m.list);
    return s;
}
