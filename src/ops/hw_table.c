/* Functions by tables of knots; see hw_table.h. */
#include "ops/hw_table.h"

#include "base/half.h"

#include <math.h>

#define LN_2 0.69314718055994530942
#define LOG2_E 1.44269504088896340736
#define PI 3.14159265358979323846

double an_hw_round(const an_chip_numerics *chip, double x)
{
    if (isnan(x)) return x;
    return an_half_to_double(chip->ties == AN_TIES_AWAY
                                 ? an_half_from_double_away(x)
                                 : an_half_from_double(x));
}

/* The line through (base, k_base) and (far, k_far), at x. */
static double line(const an_chip_numerics *chip, double x, double base,
                   double k_base, double far, double k_far)
{
    double slope = an_hw_round(chip, (k_far - k_base) / (far - base));
    double d = an_hw_round(chip, x - base);
    return an_hw_round(chip, k_base + an_hw_round(chip, slope * d));
}

/* A table whose knots are a function's values at multiples of the spacing. */
typedef struct curve {
    double (*f)(double x);
    double spacing;
} curve;

static double knot(const an_chip_numerics *chip, const curve *c, int i)
{
    return an_hw_round(chip, c->f(i * c->spacing));
}

/* The base knot is the neighbour nearer to zero: the left one for x >= 0. */
static double on_curve(const an_chip_numerics *chip, const curve *c, double x)
{
    int base = (int)(x / c->spacing), step = x < 0 ? -1 : 1;
    if (x == base * c->spacing) return knot(chip, c, base);
    return line(chip, x, base * c->spacing, knot(chip, c, base),
                (base + step) * c->spacing, knot(chip, c, base + step));
}

/* The same with 33 stored knots from -16 x spacing to 16 x spacing. */
static double on_knots(const an_chip_numerics *chip, const uint16_t *knots,
                       double spacing, double x)
{
    int base = (int)(x / spacing), step = x < 0 ? -1 : 1;
    double k_base = an_half_to_double(knots[base + 16]);
    if (x == base * spacing) return k_base;
    return line(chip, x, base * spacing, k_base, (base + step) * spacing,
                an_half_to_double(knots[base + step + 16]));
}

/* ---- functions of bounded domain ---- */

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

static double sigmoid(const an_chip_numerics *chip, double x)
{
    static const curve c = {logistic, 0.5};
    if (x <= chip->sigmoid_zero_at) return 0;
    if (x < -8)
        return line(chip, x, -8, knot(chip, &c, -16), chip->sigmoid_zero_at, 0);
    if (x <= 8) return on_curve(chip, &c, x);
    if (x < chip->sigmoid_one_at)
        return line(chip, x, 8, knot(chip, &c, 16), chip->sigmoid_one_at, 1);
    return 1;
}

static double hyperbolic_tangent(const an_chip_numerics *chip, double x)
{
    static const curve c = {tanh, 0.125};
    return x <= 4 ? on_curve(chip, &c, x) : 1;
}

static double error_function(const an_chip_numerics *chip, double x)
{
    static const curve c = {erf, 1.0 / 16};
    double end = chip->guess_erf_one_at;
    if (x <= 2) return on_curve(chip, &c, x);
    return x < end ? line(chip, x, 2, knot(chip, &c, 32), end, 1) : 1;
}

static double silu(const an_chip_numerics *chip, double x)
{
    double end = chip->guess_silu_zero_at;
    if (x <= end) return 0;
    if (x < -8)
        return line(chip, x, -8, an_half_to_double(chip->silu_knots[0]), end,
                    0);
    if (x <= 8) return on_knots(chip, chip->silu_knots, 0.5, x);
    if (isinf(x) || chip->guess_silu_above == AN_SILU_X) return x;
    return an_hw_round(chip, x + silu(chip, -x));
}

static double gelu(const an_chip_numerics *chip, double x)
{
    if (x < -4) return 0;
    return x <= 4 ? on_knots(chip, chip->gelu_knots, 0.25, x) : x;
}

/* sin (or cos) of x >= 0: the argument is reduced exactly, to a quarter. */
static double trigonometric(const an_chip_numerics *chip, an_scalar fn,
                            double x)
{
    static const curve sines = {sin, PI / 64};
    static const curve cosines = {cos, PI / 64};
    if (isinf(x)) return 0;
    double rest = fmod(x, 2 * PI), sign = 1;
    if (rest > PI) { /* sin(2 pi - x) = -sin(x), cos(2 pi - x) = cos(x) */
        rest = 2 * PI - rest;
        if (fn == AN_SCALAR_sin) sign = -sign;
    }
    if (rest > PI / 2) { /* sin(pi - x) = sin(x), cos(pi - x) = -cos(x) */
        rest = PI - rest;
        if (fn == AN_SCALAR_cos) sign = -sign;
    }
    return sign * on_curve(chip, fn == AN_SCALAR_sin ? &sines : &cosines, rest);
}

/* ---- functions of the mantissa; the base knot is on the left ---- */

static double reciprocal(double x)
{
    return 1 / x;
}

static double root(double x)
{
    return sqrt(x);
}

static double reciprocal_root(double x)
{
    return 1 / sqrt(x);
}

static double power_of_two(const an_chip_numerics *chip, double t)
{
    static const curve c = {exp2, 1.0 / 32};
    if (isinf(t)) return t < 0 ? 0 : t;
    double exponent = floor(t);
    double y = on_curve(chip, &c, t - exponent);
    return an_hw_round(chip, ldexp(y, (int)exponent));
}

static double logarithm(const an_chip_numerics *chip, double s)
{
    static const curve c = {log2, 1.0 / 64};
    int exponent;
    if (s == 0) return chip->log_of_zero;
    if (s < 0) return 0;
    if (isinf(s)) return s;
    double m = frexp(s, &exponent);
    double l = an_hw_round(chip, on_curve(chip, &c, m) + exponent);
    return an_hw_round(chip, l * an_hw_round(chip, LN_2));
}

/* s = m 2^e with e even and m in [0.5, 2). */
static double even_root(const an_chip_numerics *chip, const curve *c, double s,
                        int sign)
{
    int exponent;
    double m = frexp(s, &exponent);
    if (exponent % 2 != 0) {
        m *= 2;
        exponent--;
    }
    return an_hw_round(chip, ldexp(on_curve(chip, c, m), sign * exponent / 2));
}

static double square_root(const an_chip_numerics *chip, double s)
{
    static const curve c = {root, 1.0 / 16};
    if (!(s > 0)) return 0;
    return isinf(s) ? s : even_root(chip, &c, s, 1);
}

static double inverse_root(const an_chip_numerics *chip, double s)
{
    static const curve c = {reciprocal_root, 1.0 / 16};
    if (s == 0) return chip->guess_rsqrt_of_zero;
    if (s < 0 || isinf(s)) return 0;
    return even_root(chip, &c, s, -1);
}

static double inverse(const an_chip_numerics *chip, double s)
{
    static const curve c = {reciprocal, 1.0 / 64};
    int exponent;
    if (s == 0) return chip->guess_inverse_of_zero;
    if (isinf(s)) return 0;
    double m = frexp(fabs(s), &exponent);
    double y = an_hw_round(chip, ldexp(on_curve(chip, &c, m), -exponent));
    return s < 0 ? -y : y;
}

bool an_hw_has_table(an_scalar fn)
{
    static const bool has[AN_SCALAR_COUNT] = {
        [AN_SCALAR_sigmoid] = true,   [AN_SCALAR_tanh] = true,
        [AN_SCALAR_silu] = true,      [AN_SCALAR_gelu_exact] = true,
        [AN_SCALAR_gelu_tanh] = true, [AN_SCALAR_erf] = true,
        [AN_SCALAR_exp] = true,       [AN_SCALAR_exp2] = true,
        [AN_SCALAR_sqrt] = true,      [AN_SCALAR_sin] = true,
        [AN_SCALAR_cos] = true,       [AN_SCALAR_log] = true,
        [AN_SCALAR_rsqrt] = true,     [AN_SCALAR_inverse] = true,
    };
    return fn < AN_SCALAR_COUNT && has[fn];
}

double an_hw_table(const an_chip_numerics *chip, an_scalar fn, double x,
                   double epsilon)
{
    double size = fabs(x), sign = x < 0 ? -1 : 1;
    double shifted = an_hw_round(chip, x + an_hw_round(chip, epsilon));
    switch (fn) {
    case AN_SCALAR_sigmoid:
        return sigmoid(chip, x);
    case AN_SCALAR_tanh:
        return sign * hyperbolic_tangent(chip, size);
    case AN_SCALAR_erf:
        return sign * error_function(chip, size);
    case AN_SCALAR_silu:
        return silu(chip, x);
    case AN_SCALAR_gelu_exact:
    case AN_SCALAR_gelu_tanh:
        return gelu(chip, x);
    case AN_SCALAR_sin:
        return sign * trigonometric(chip, fn, size);
    case AN_SCALAR_cos:
        return trigonometric(chip, fn, size);
    case AN_SCALAR_exp: {
        double t = an_hw_round(chip, x * an_hw_round(chip, LOG2_E));
        return power_of_two(chip, t);
    }
    case AN_SCALAR_exp2:
        return power_of_two(chip, x);
    case AN_SCALAR_log:
        return logarithm(chip, shifted);
    case AN_SCALAR_sqrt:
        return square_root(chip, x);
    case AN_SCALAR_rsqrt:
        return inverse_root(chip, shifted);
    case AN_SCALAR_inverse:
        return inverse(chip, shifted);
    default:
        return 0;
    }
}
