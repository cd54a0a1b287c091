/*
 * The numerics `ieee` and `exact`, and the meaning of the scalar functions.
 *
 * ieee: every result rounded once to its type (nearest even; fp16 overflows to
 * infinity); products exact, sums in fp32 for fp16 and fp32, in fp64 for fp64.
 * exact: fp64 throughout; only integers and bools are what their type says.
 * Sums ascend in both.
 */
#include "mil/num.h"

#include "base/half.h"
#include "mil/type.h"

#include <math.h>

#define SQRT_HALF 0.70710678118654752440
#define SQRT_2_OVER_PI 0.79788456080286535588

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)));
}

/* NaN of either operand comes through. */
static double larger(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

static double smaller(double a, double b)
{
    return isnan(a) || a < b ? a : b;
}

static double sign(double x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x;
}

/* ln(1 + e^x), which e^x beyond fp64 must not reach. */
static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* The remainder with the sign of b. */
static double modulo(double a, double b)
{
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

double an_scalar_exact(an_scalar fn, double a, double b, double c)
{
    switch (fn) {
    case AN_SCALAR_NONE:
    case AN_SCALAR_COUNT:
        break;
    case AN_SCALAR_identity:
        return a;
    case AN_SCALAR_relu:
        return a <= 0 ? 0 : a;
    case AN_SCALAR_sigmoid:
        return sigmoid(a);
    case AN_SCALAR_tanh:
        return tanh(a);
    case AN_SCALAR_silu:
        return a * sigmoid(a);
    case AN_SCALAR_gelu_exact:
        return 0.5 * a * erfc(-a * SQRT_HALF);
    case AN_SCALAR_gelu_tanh:
        return gelu_tanh(a);
    case AN_SCALAR_gelu_sigmoid:
        return a * sigmoid(1.702 * a);
    case AN_SCALAR_erf:
        return erf(a);
    case AN_SCALAR_exp:
        return exp(a);
    case AN_SCALAR_exp2:
        return exp2(a);
    case AN_SCALAR_sqrt:
        return sqrt(a);
    case AN_SCALAR_square:
        return a * a;
    case AN_SCALAR_abs:
        return fabs(a);
    case AN_SCALAR_sign:
        return sign(a);
    case AN_SCALAR_floor:
        return floor(a);
    case AN_SCALAR_ceil:
        return ceil(a);
    case AN_SCALAR_round:
        return rint(a);
    case AN_SCALAR_sin:
        return sin(a);
    case AN_SCALAR_cos:
        return cos(a);
    case AN_SCALAR_logical_not:
        return a == 0;
    case AN_SCALAR_relu6:
        return smaller(larger(a, 0), 6);
    case AN_SCALAR_softplus:
        return softplus(a);
    case AN_SCALAR_softsign:
        return a / (1 + fabs(a));
    case AN_SCALAR_tan:
        return tan(a);
    case AN_SCALAR_asin:
        return asin(a);
    case AN_SCALAR_acos:
        return acos(a);
    case AN_SCALAR_atan:
        return atan(a);
    case AN_SCALAR_sinh:
        return sinh(a);
    case AN_SCALAR_cosh:
        return cosh(a);
    case AN_SCALAR_atanh:
        return atanh(a);
    case AN_SCALAR_leaky_relu:
        return a >= 0 ? a : b * a;
    case AN_SCALAR_elu:
        return a >= 0 ? a : b * expm1(a);
    case AN_SCALAR_thresholded_relu:
        return a < b ? 0 : a;
    case AN_SCALAR_clamped_relu:
        return smaller(a >= 0 ? a : b * a, c);
    case AN_SCALAR_linear_activation:
        return b * a + c;
    case AN_SCALAR_scaled_tanh:
        return b * tanh(c * a);
    case AN_SCALAR_sigmoid_hard:
        return smaller(larger(b * a + c, 0), 1);
    case AN_SCALAR_softplus_parametric:
        return b * softplus(c * a);
    case AN_SCALAR_log:
        return log(a + b);
    case AN_SCALAR_rsqrt:
        return 1 / sqrt(a + b);
    case AN_SCALAR_inverse:
        return 1 / (a + b);
    case AN_SCALAR_clip:
        return smaller(larger(a, b), c);
    case AN_SCALAR_add:
        return a + b;
    case AN_SCALAR_sub:
        return a - b;
    case AN_SCALAR_mul:
        return a * b;
    case AN_SCALAR_real_div:
        return a / b;
    case AN_SCALAR_floor_div:
        return floor(a / b);
    case AN_SCALAR_mod:
        return modulo(a, b);
    case AN_SCALAR_pow:
        return pow(a, b);
    case AN_SCALAR_maximum:
        return larger(a, b);
    case AN_SCALAR_minimum:
        return smaller(a, b);
    case AN_SCALAR_equal:
        return a == b;
    case AN_SCALAR_not_equal:
        return a != b;
    case AN_SCALAR_less:
        return a < b;
    case AN_SCALAR_less_equal:
        return a <= b;
    case AN_SCALAR_greater:
        return a > b;
    case AN_SCALAR_greater_equal:
        return a >= b;
    case AN_SCALAR_logical_and:
        return a != 0 && b != 0;
    case AN_SCALAR_logical_or:
        return a != 0 || b != 0;
    case AN_SCALAR_logical_xor:
        return (a != 0) != (b != 0);
    case AN_SCALAR_select:
        return a != 0 ? b : c;
    }
    return (double)NAN;
}

int an_scalar_operands(an_scalar fn)
{
    static const int operands[AN_SCALAR_COUNT] = {
#define AN_FN(id, n) [AN_SCALAR_##id] = n,
#include "mil/scalars.def"
#undef AN_FN
    };
    return fn < AN_SCALAR_COUNT ? operands[fn] : 0;
}

/* ---- rounding ---- */

/* Toward zero, then into [low, high]; NaN gives 0. */
static double saturate(double x, double low, double high)
{
    if (isnan(x)) return 0;
    x = trunc(x);
    return x < low ? low : x > high ? high : x;
}

/* Integers and bools; floats stay. The largest double below 2^63 is
 * 2^63 - 2^10, below 2^64 it is 2^64 - 2^11. */
static double round_whole(double x, an_dtype to)
{
    if (to == AN_BOOL) return x != 0;
    if (!an_dtype_is_int(to)) return x;
    bool has_sign = an_dtype_is_signed(to);
    int bits = an_dtype_bits(to) - (has_sign ? 1 : 0);
    double limit = ldexp(1, bits);
    return saturate(x, has_sign ? -limit : 0,
                    bits > 53 ? nextafter(limit, 0) : limit - 1);
}

static double ieee_round(const an_num *num, double x, an_dtype to)
{
    (void)num;
    if (to == AN_FP16) return an_half_to_double(an_half_from_double(x));
    if (to == AN_FP32) return (double)(float)x;
    if (to == AN_BF16)
        return (double)an_bf16_to_float(an_bf16_from_float((float)x));
    return round_whole(x, to);
}

static double exact_round(const an_num *num, double x, an_dtype to)
{
    (void)num;
    return round_whole(x, to);
}

static bool sums_in_fp32(an_dtype dtype)
{
    return dtype == AN_FP16 || dtype == AN_FP32 || dtype == AN_BF16;
}

static double ieee_inner(const an_num *num, double x, an_dtype of)
{
    (void)num;
    return sums_in_fp32(of) ? (double)(float)x : x;
}

static double exact_inner(const an_num *num, double x, an_dtype of)
{
    (void)num;
    (void)of;
    return x;
}

static double rounded_scalar(const an_num *num, an_scalar fn, double a,
                             double b, double c, an_dtype of, an_dtype to)
{
    (void)of;
    return num->round(num, an_scalar_exact(fn, a, b, c), to);
}

/* ---- sums; `inner` rounds the running sum ---- */

static double dot(const an_num *num, int64_t n, const double *a, int64_t a_step,
                  const double *b, int64_t b_step, double bias, an_dtype of,
                  an_dtype to)
{
    double sum = bias;
    for (int64_t i = 0; i < n; i++)
        sum = num->inner(num, sum + a[i * a_step] * b[i * b_step], of);
    return num->round(num, sum, to);
}

static double sum_of(const an_num *num, int64_t n, const double *x,
                     int64_t step, an_dtype to)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum = num->inner(num, sum + x[i * step], to);
    return sum;
}

static double extreme_of(double (*choose)(double, double), int64_t n,
                         const double *x, int64_t step)
{
    double best = x[0];
    for (int64_t i = 1; i < n; i++)
        best = choose(best, x[i * step]);
    return best;
}

/* max + ln(sum of e^(x - max)); an infinite max is the result itself. */
static double log_sum_exp(const an_num *num, int64_t n, const double *x,
                          int64_t step, an_dtype to)
{
    double max = extreme_of(larger, n, x, step), sum = 0;
    if (isinf(max)) return max;
    for (int64_t i = 0; i < n; i++)
        sum = num->inner(num, sum + exp(x[i * step] - max), to);
    return max + log(sum);
}

static double reduced(const an_num *num, an_reduce how, int64_t n,
                      const double *x, int64_t step, an_dtype to)
{
    switch (how) {
    case AN_REDUCE_SUM:
        return sum_of(num, n, x, step, to);
    case AN_REDUCE_MEAN:
        return sum_of(num, n, x, step, to) / (double)n;
    case AN_REDUCE_MAX:
        return extreme_of(larger, n, x, step);
    case AN_REDUCE_MIN:
        return extreme_of(smaller, n, x, step);
    case AN_REDUCE_SUM_SQUARE:
        return dot(num, n, x, step, x, step, 0, to, AN_FP64);
    case AN_REDUCE_LOG_SUM_EXP:
        return log_sum_exp(num, n, x, step, to);
    case AN_REDUCE_NONE:
    case AN_REDUCE_SOFTMAX:
        break;
    }
    return (double)NAN;
}

static double rounded_reduce(const an_num *num, an_reduce how, int64_t n,
                             const double *x, int64_t step, an_dtype to)
{
    return num->round(num, reduced(num, how, n, x, step, to), to);
}

const an_num an_num_ieee = {
    .name = "ieee",
    .round = ieee_round,
    .inner = ieee_inner,
    .scalar = rounded_scalar,
    .dot = dot,
    .reduce = rounded_reduce,
    .load = an_half_to_double,
    .store = an_half_from_double,
};

const an_num an_num_exact = {
    .name = "exact",
    .round = exact_round,
    .inner = exact_inner,
    .scalar = rounded_scalar,
    .dot = dot,
    .reduce = rounded_reduce,
    .load = an_half_to_double,
    .store = an_half_from_double,
};
