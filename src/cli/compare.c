/* How far elements are apart, and which are worst. */
#include "cli/compare.h"

#include "base/half.h"
#include "cli/tensor.h"
#include "mil/element.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static const double infinite = (double)INFINITY;

static double count_steps(uint16_t a, uint16_t b)
{
    enum { INFINITE = 0x7c00 };
    if ((a & 0x7fff) > INFINITE || (b & 0x7fff) > INFINITE) return infinite;
    return abs(an_half_rank(a) - an_half_rank(b));
}

static void note(an_worst *worst, double by, int64_t at)
{
    if (by > worst->by) *worst = (an_worst){by, at};
}

static void note_all(const an_shape *shape, const void *got,
                     const void *expected, double tolerance, int64_t i,
                     an_difference *d)
{
    double x = an_element(shape->dtype, got, (size_t)i);
    double y = an_element(shape->dtype, expected, (size_t)i);
    double by = fabs(x - y), size = fabs(y);
    if (isnan(by)) by = infinite;
    /* Large integers that differ and are one double. */
    if (by == 0) by = 1;
    double relative = size > 0 && !isinf(by) ? by / size : infinite;
    note(&d->absolute, by, i);
    note(&d->relative, relative, i);
    if (shape->dtype == AN_FP16)
        note(&d->steps,
             count_steps(((const uint16_t *)got)[i],
                         ((const uint16_t *)expected)[i]),
             i);
    if (isinf(by) || by > tolerance * (size > 1 ? size : 1)) d->n_beyond++;
}

void an_difference_find(const an_shape *shape, const void *got,
                        const void *expected, double tolerance,
                        an_difference *out)
{
    an_difference d = {.n = an_shape_count(shape)};
    for (int64_t i = 0; i < d.n; i++)
        if (an_element_equal(shape->dtype, got, expected, (size_t)i))
            d.n_equal++;
        else
            note_all(shape, got, expected, tolerance, i, &d);
    *out = d;
}

/* "[0, 3, 0, 17]" */
static void print_index(FILE *out, const an_shape *shape, int64_t at)
{
    int64_t index[AN_MAX_RANK] = {0};
    for (int i = shape->rank - 1; i >= 0; i--) {
        index[i] = at % shape->dims[i];
        at /= shape->dims[i];
    }
    fputc('[', out);
    for (int i = 0; i < shape->rank; i++)
        fprintf(out, "%s%" PRId64, i > 0 ? ", " : "", index[i]);
    fputc(']', out);
}

static void print_worst(FILE *out, const char *measure, const an_worst *worst,
                        const an_shape *shape, const void *got,
                        const void *expected)
{
    size_t i = (size_t)worst->at;
    fprintf(out, "  worst %-12s %-10.6g at ", measure, worst->by);
    print_index(out, shape, worst->at);
    fprintf(out, ": got %.9g, expected %.9g\n",
            an_element(shape->dtype, got, i),
            an_element(shape->dtype, expected, i));
}

void an_difference_print(FILE *out, const char *name, const an_shape *shape,
                         const void *got, const void *expected,
                         const an_difference *d)
{
    char text[128];
    fprintf(out, "%s  %s: %" PRId64 " of %" PRId64 " values equal\n", name,
            an_shape_text(shape, text, sizeof text), d->n_equal, d->n);
    if (d->n_equal == d->n) return;
    print_worst(out, "difference", &d->absolute, shape, got, expected);
    print_worst(out, "relative", &d->relative, shape, got, expected);
    if (shape->dtype == AN_FP16)
        print_worst(out, "fp16 steps", &d->steps, shape, got, expected);
}
