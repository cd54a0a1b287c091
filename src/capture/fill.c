/* Fills: one row each, looked up by name. */
#include "capture/fill.h"

#include "base/half.h"
#include "base/rng.h"
#include "mil/names.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NUMBERS = 64, SPECIALS = 256 };

typedef struct fill_call {
    double numbers[MAX_NUMBERS];
    int n;
    int64_t columns; /* of the last axis */
    an_rng rng;
} fill_call;

/* fp16 bits of element i. */
typedef uint16_t fill_fn(fill_call *c, int64_t i);

static uint16_t bits(fill_call *c, int64_t i)
{
    (void)c;
    return (uint16_t)i;
}

/*
 * 256 values that arithmetic can stumble over: both signs of zero, the
 * denormals' ends, every power of two with its neighbours and its half step,
 * the largest numbers, infinity and two NaN.
 */
static uint16_t special(int64_t k)
{
    static const uint16_t ends[8] = {0x0000, 0x0001, 0x03ff, 0x7bff,
                                     0x7c00, 0x7e00, 0x7fff, 0x0200};
    int64_t half = k % (SPECIALS / 2);
    uint16_t sign = k < SPECIALS / 2 ? 0 : 0x8000;
    if (half < 8) return sign | ends[half];
    /* 30 exponents, 4 fractions each: 120 values. */
    static const uint16_t fractions[4] = {0x000, 0x001, 0x200, 0x3ff};
    int64_t e = 1 + (half - 8) / 4;
    return (uint16_t)(sign | e << 10 | fractions[(half - 8) % 4]);
}

static uint16_t special_x(fill_call *c, int64_t i)
{
    (void)c;
    return special(i / SPECIALS % SPECIALS);
}

static uint16_t special_y(fill_call *c, int64_t i)
{
    (void)c;
    return special(i % SPECIALS);
}

static uint16_t normal(fill_call *c, int64_t i)
{
    (void)i;
    return an_half_from_double(c->numbers[0] * an_rng_normal(&c->rng));
}

static uint16_t ramp(fill_call *c, int64_t i)
{
    (void)c;
    return an_half_from_double((double)(i % 128));
}

static uint16_t list(fill_call *c, int64_t i)
{
    return an_half_from_double(c->numbers[i % c->n]);
}

static uint16_t put(fill_call *c, int64_t i)
{
    return i < c->n ? an_half_from_double(c->numbers[i]) : 0;
}

static uint16_t diagonal(fill_call *c, int64_t i)
{
    bool on = i / c->columns % c->columns == i % c->columns;
    return on ? an_half_from_double(c->numbers[0]) : 0;
}

static const struct {
    const char *name;
    fill_fn *fn;
    int n_numbers; /* at least */
} rows[] = {
    {"bits", bits, 0},           {"special_x", special_x, 0},
    {"special_y", special_y, 0}, {"normal", normal, 1},
    {"ramp", ramp, 0},           {"full", list, 1},
    {"list", list, 1},           {"put", put, 1},
    {"diagonal", diagonal, 1},
};

static int read_numbers(const char *text, fill_call *c)
{
    while (*text != '\0' && c->n < MAX_NUMBERS) {
        char *end;
        c->numbers[c->n++] = strtod(text, &end);
        if (end == text || (*end != ',' && *end != '\0')) return -1;
        text = *end == ',' ? end + 1 : end;
    }
    return *text == '\0' ? 0 : -1;
}

static void store(an_dtype dtype, void *out, int64_t i, uint16_t half)
{
    double x = an_half_to_float(half);
    if (dtype == AN_INT8)
        ((int8_t *)out)[i] = (int8_t)fmax(-128, fmin(127, x));
    else if (dtype == AN_INT32)
        ((int32_t *)out)[i] = (int32_t)x;
    else
        ((uint16_t *)out)[i] = half;
}

an_status an_fill(const char *fill, const char *name, const an_shape *shape,
                  void *out, an_error *err)
{
    size_t length = strcspn(fill, ":");
    fill_call c = {.columns =
                       shape->rank > 0 ? shape->dims[shape->rank - 1] : 1,
                   .rng = {.seed = an_hash(AN_HASH_BEGIN, name, strlen(name))}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        if (strlen(rows[k].name) != length ||
            strncmp(rows[k].name, fill, length) != 0)
            continue;
        const char *text = fill + length + (fill[length] == ':');
        if (read_numbers(text, &c) != 0 || c.n < rows[k].n_numbers) break;
        int64_t n = an_shape_count(shape);
        for (int64_t i = 0; i < n; i++)
            store(shape->dtype, out, i, rows[k].fn(&c, i));
        return AN_OK;
    }
    return an_fail(err, AN_EINVAL, "'%s' fills nothing", fill);
}
