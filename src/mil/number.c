/*
 * Conversion between numbers and text. A hexadecimal float is read into a
 * 64-bit integer and a flag for what lies below it, then rounded once. A
 * decimal goes through the nearest double, which decides every rounding to a
 * narrower type but for a double that is the midpoint of two neighbours; then
 * the decimal digits are compared with the midpoint's own. strtod and snprintf
 * see numbers without a decimal point, or it is skipped: the locale has no say.
 */
#include "mil/number.h"

#include "base/half.h"
#include "mil/type.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPONENT_LIMIT 100000

/* value = mantissa x 2^exponent; sticky: and a little more. */
typedef struct binary {
    uint64_t mantissa;
    int exponent;
    bool sticky;
} binary;

typedef struct format {
    int bits;     /* of the significand */
    int smallest; /* exponent of the least subnormal */
    int beyond;   /* 2^beyond is infinite */
} format;

static format format_of(an_dtype dtype)
{
    switch (dtype) {
    case AN_FP16:
        return (format){11, -24, 16};
    case AN_BF16:
        return (format){8, -133, 128};
    case AN_FP32:
        return (format){24, -149, 128};
    default:
        return (format){53, -1074, 1024};
    }
}

static int bit_length(uint64_t x)
{
    int n = 0;
    for (; x; x >>= 1)
        n++;
    return n;
}

/* To nearest, ties to even. */
static double round_binary(binary b, format f)
{
    int lowest = b.exponent + bit_length(b.mantissa) - f.bits;
    if (lowest < f.smallest) lowest = f.smallest;
    int shift = lowest - b.exponent;
    if (shift > 64 || b.mantissa == 0) return 0;
    if (shift > 0) {
        uint64_t kept = shift == 64 ? 0 : b.mantissa >> shift;
        uint64_t half = (uint64_t)1 << (shift - 1);
        uint64_t rest = b.mantissa & (half + (half - 1));
        bool up = rest > half || (rest == half && (b.sticky || (kept & 1)));
        b = (binary){kept + up, lowest, false};
    }
    double x = ldexp((double)b.mantissa, b.exponent);
    return x >= ldexp(1, f.beyond - 1) * 2 ? (double)INFINITY : x;
}

/* [sign] digits; saturates. Moves *at behind it. */
static bool read_exponent(const char **at, const char *end, int *out)
{
    const char *p = *at;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    if (p == end || *p < '0' || *p > '9') return false;
    int x = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        x = x < EXPONENT_LIMIT ? 10 * x + (*p - '0') : EXPONENT_LIMIT;
    *out = negative ? -x : x;
    *at = p;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One more digit of a hexadecimal mantissa; those that have no room count
 * into the exponent and the flag. */
static void add_digit(binary *b, int digit, bool fraction)
{
    if (b->mantissa >> 60 == 0) {
        b->mantissa = 16 * b->mantissa + (unsigned)digit;
        b->exponent -= fraction ? 4 : 0;
    } else {
        b->sticky |= digit != 0;
        b->exponent += fraction ? 0 : 4;
    }
}

/* What follows "0x": digits [. digits] p exponent. */
static bool read_hex(const char *p, const char *end, format f, double *out)
{
    binary b = {0, 0, false};
    int exponent = 0;
    const char *start = p;
    for (; p < end && hex_digit(*p) >= 0; p++)
        add_digit(&b, hex_digit(*p), false);
    if (p == start) return false;
    if (p < end && *p == '.') {
        start = ++p;
        for (; p < end && hex_digit(*p) >= 0; p++)
            add_digit(&b, hex_digit(*p), true);
        if (p == start) return false;
    }
    if (p == end || *p++ != 'p' || !read_exponent(&p, end, &exponent) ||
        p != end)
        return false;
    b.exponent += exponent;
    *out = round_binary(b, f);
    return true;
}

/* 0.d1d2d3.. x 10^exponent, d1 not 0; n = 0: zero. */
typedef struct decimal {
    char digits[AN_MAX_NUMBER];
    int n, exponent;
} decimal;

/* Digits of p up to what is none, entered into d. */
static const char *add_digits(decimal *d, const char *p, const char *end,
                              bool fraction)
{
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        bool leading = d->n == 0 && *p == '0';
        if (!leading) d->digits[d->n++] = *p;
        if (leading)
            d->exponent -= fraction;
        else
            d->exponent += !fraction;
    }
    return p;
}

/* digits [. [digits]] [e exponent] */
static bool read_decimal(const char *p, const char *end, decimal *d)
{
    int exponent = 0;
    d->n = d->exponent = 0;
    const char *start = p;
    p = add_digits(d, p, end, false);
    if (p == start) return false;
    if (p < end && *p == '.') p = add_digits(d, p + 1, end, true);
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (!read_exponent(&p, end, &exponent)) return false;
    }
    d->exponent += exponent;
    while (d->n > 0 && d->digits[d->n - 1] == '0')
        d->n--;
    return p == end;
}

static double nearest_double(const decimal *d)
{
    char text[AN_MAX_NUMBER + 16];
    if (d->n == 0) return 0;
    memcpy(text, d->digits, (size_t)d->n);
    snprintf(text + d->n, sizeof text - (size_t)d->n, "e%d",
             d->exponent - d->n);
    return strtod(text, NULL);
}

/* The sign of d - x, for an x that has at most 200 digits: a midpoint of two
 * fp32 neighbours has 113. */
static int compare(const decimal *d, double x)
{
    char text[256];
    decimal y = {.n = 0};
    snprintf(text, sizeof text, "%.200e", x);
    const char *e = strchr(text, 'e');
    for (const char *p = text; p < e; p++)
        if (*p >= '0' && *p <= '9') y.digits[y.n++] = *p;
    y.exponent = (int)strtol(e + 1, NULL, 10) + 1;
    while (y.n > 0 && y.digits[y.n - 1] == '0')
        y.n--;
    if (d->exponent != y.exponent) return d->exponent < y.exponent ? -1 : 1;
    int n = d->n < y.n ? d->n : y.n;
    int sign = memcmp(d->digits, y.digits, (size_t)n);
    return sign != 0 ? sign : (d->n > y.n) - (d->n < y.n);
}

double an_number_round(double x, an_dtype to)
{
    int exponent = 0;
    if (x == 0 || isnan(x) || isinf(x)) return x;
    uint64_t mantissa = (uint64_t)ldexp(frexp(fabs(x), &exponent), 53);
    binary b = {mantissa, exponent - 53, false};
    return copysign(round_binary(b, format_of(to)), x);
}

static double round_decimal(const decimal *d, an_dtype to)
{
    double x = nearest_double(d);
    if (to == AN_FP64 || x == 0 || isinf(x)) return x;
    int exponent = 0;
    double fraction = frexp(x, &exponent);
    uint64_t mantissa = (uint64_t)ldexp(fraction, 53) << 8;
    format f = format_of(to);
    binary below = {mantissa - 1, exponent - 61, false};
    binary above = {mantissa + 1, exponent - 61, false};
    double low = round_binary(below, f), high = round_binary(above, f);
    if (low == high) return low;
    int sign = compare(d, x);
    binary exact = {mantissa, exponent - 61, false};
    return sign < 0 ? low : sign > 0 ? high : round_binary(exact, f);
}

bool an_number_real(const char *text, size_t size, an_dtype to, double *out)
{
    if (size == 0 || size >= AN_MAX_NUMBER) return false;
    const char *p = text, *end = text + size;
    bool negative = *p == '-';
    p += negative;
    size_t n = (size_t)(end - p);
    double x = 0;
    if (n == 3 && memcmp(p, "inf", 3) == 0) {
        x = (double)INFINITY;
    } else if (n == 3 && memcmp(p, "nan", 3) == 0) {
        *out = (double)NAN;
        return true;
    } else if (n > 2 && p[0] == '0' && p[1] == 'x') {
        if (!read_hex(p + 2, end, format_of(to), &x)) return false;
    } else {
        decimal d;
        if (!read_decimal(p, end, &d)) return false;
        x = round_decimal(&d, to);
    }
    *out = negative ? -x : x;
    return true;
}

bool an_number_int(const char *text, size_t size, an_dtype to, int64_t *out,
                   bool *fits)
{
    const char *p = text, *end = text + size;
    bool negative = size > 0 && *p == '-';
    p += negative;
    if (p == end) return false;
    uint64_t x = 0;
    bool small = true;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9') return false;
        unsigned d = (unsigned)(*p - '0');
        small = small && x <= (UINT64_MAX - d) / 10;
        x = 10 * x + d;
    }
    bool has_sign = an_dtype_is_signed(to);
    int bits = an_dtype_bits(to) - has_sign;
    uint64_t most = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    if (negative) most = has_sign ? most + 1 : 0;
    *fits = small && x <= most;
    *out = (int64_t)(negative ? 0 - x : x);
    return true;
}

void an_number_store_real(void *data, an_dtype dtype, size_t i, double x)
{
    switch (dtype) {
    case AN_FP16:
        ((uint16_t *)data)[i] = an_half_from_double(x);
        break;
    case AN_BF16:
        ((uint16_t *)data)[i] = an_bf16_from_float((float)x);
        break;
    case AN_FP32:
        ((float *)data)[i] = (float)x;
        break;
    default:
        assert(dtype == AN_FP64);
        ((double *)data)[i] = x;
    }
}

void an_number_store_int(void *data, an_dtype dtype, size_t i, int64_t x)
{
    switch (an_dtype_size(dtype)) {
    case 1:
        ((uint8_t *)data)[i] = (uint8_t)x;
        break;
    case 2:
        ((uint16_t *)data)[i] = (uint16_t)x;
        break;
    case 4:
        ((uint32_t *)data)[i] = (uint32_t)x;
        break;
    default:
        ((uint64_t *)data)[i] = (uint64_t)x;
    }
}

void an_number_print(double x, char text[AN_NUMBER_TEXT])
{
    const char *sign = signbit(x) && !isnan(x) ? "-" : "";
    if (isnan(x) || isinf(x)) {
        snprintf(text, AN_NUMBER_TEXT, "%s%s", sign, isnan(x) ? "nan" : "inf");
        return;
    }
    if (x == 0) {
        snprintf(text, AN_NUMBER_TEXT, "%s0x0p+0", sign);
        return;
    }
    int exponent = 0;
    uint64_t bits = (uint64_t)ldexp(frexp(fabs(x), &exponent), 53);
    char digits[20];
    snprintf(digits, sizeof digits, ".%013llx",
             (unsigned long long)(bits & (((uint64_t)1 << 52) - 1)));
    size_t n = strlen(digits);
    while (n > 0 && digits[n - 1] == '0')
        n--;
    digits[n == 1 ? 0 : n] = 0;
    snprintf(text, AN_NUMBER_TEXT, "%s0x1%sp%+d", sign, digits, exponent - 1);
}
