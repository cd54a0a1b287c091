/*
 * The numerics `hw`: what the real engine returns, as far as it is known
 * (mil/numerics.h has the fields in which chips differ and the convention for
 * fp16 patterns of exponent field 31).
 *
 * Contractions: base/mac.h. All else is floating point of the fp16 range, one
 * rounding per op, ties away from zero; functions by the tables of hw_table.h.
 * An operand of exponent field 31 is infinity of its sign there; where IEEE has
 * NaN (inf - inf, 0 x inf, log(-1)) the result is 0. Reductions add exactly and
 * round once. Results do not depend on the order of threads.
 */
#include "mil/numerics.h"

#include "base/half.h"
#include "ops/hw_table.h"
#include "ops/ops.h"

#include <math.h>
#include <string.h>

#define FRACTION 1023 /* of an fp16 pattern; a carried one's lowest bits */
#define SMALLEST_NORMAL 0x1p-14

/* ---- patterns of exponent field 31 as doubles ---- */

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

double an_hw_load(uint16_t bits)
{
    double x = an_half_to_double(bits);
    if (!isnan(x)) return x;
    uint64_t carried = bits_of(x) | (bits & FRACTION);
    memcpy(&x, &carried, sizeof x);
    return x;
}

static bool is_carried(double x)
{
    return isnan(x) && (bits_of(x) & FRACTION) != 0;
}

uint16_t an_hw_store(double x)
{
    if (!is_carried(x)) return an_half_from_double(x);
    uint64_t bits = bits_of(x);
    return (uint16_t)((bits >> 48 & 0x8000) | 0x7c00 | (bits & FRACTION));
}

/* ---- rounding ---- */

static bool is_float(an_dtype dtype)
{
    return an_dtype_in(dtype, AN_DOMAIN_FLOAT) || dtype == AN_BF16;
}

/* Types whose values are fp16 in the engine. */
static bool is_half(an_dtype dtype)
{
    return is_float(dtype) && dtype != AN_FP64;
}

/* An operand of element-wise ops and reductions. A NaN is a raw input. */
static double operand(const an_chip_numerics *chip, double x, an_dtype of)
{
    if (!is_float(of)) return x;
    if (isnan(x)) return copysign(HUGE_VAL, x);
    if (of != AN_FP16 && of != AN_FP64)
        x = an_half_to_double(an_half_from_double(x));
    return chip->flushes_operands && fabs(x) < SMALLEST_NORMAL ? 0 : x;
}

/* Integers: saturation and bools are as in every numerics. */
static double to_whole(const an_chip_numerics *chip, double x, an_dtype to)
{
    if (to != AN_BOOL && chip->guess_to_integer == AN_INTEGER_NEAREST_EVEN)
        x = rint(x);
    return an_num_exact.round(&an_num_exact, x, to);
}

/* Infinity of its sign for a carried pattern, 0 where IEEE has NaN. */
static double without_nan(double x)
{
    if (!isnan(x)) return x;
    return is_carried(x) ? copysign(HUGE_VAL, x) : 0;
}

static double hw_round(const an_num *num, double x, an_dtype to)
{
    x = without_nan(x);
    if (is_half(to)) return an_hw_round(num->chip, x);
    return to == AN_FP64 ? x : to_whole(num->chip, x, to);
}

static double hw_inner(const an_num *num, double x, an_dtype of)
{
    x = without_nan(x);
    return is_half(of) ? an_hw_round(num->chip, x) : x;
}

/* ---- element-wise ---- */

/* -1, 0, 1 or 2: which operand a choice returns; -1: it is none. */
static int chosen(an_scalar fn, double a, double b)
{
    switch (fn) {
    case AN_SCALAR_identity:
        return 0;
    case AN_SCALAR_maximum:
        return a > b ? 0 : 1;
    case AN_SCALAR_minimum:
        return a < b ? 0 : 1;
    case AN_SCALAR_select:
        return a != 0 ? 1 : 2;
    default:
        return -1;
    }
}

/* v: operands as given. Patterns stay where the chip keeps them; a cast is a
 * rounding. */
static double choose(const an_num *num, an_scalar fn, const double v[3],
                     an_dtype of, an_dtype to)
{
    int i =
        chosen(fn, operand(num->chip, v[0], of), operand(num->chip, v[1], of));
    double x = v[i];
    if (isnan(x)) {
        if (is_half(to) && num->chip->guess_moves_keep_patterns) return x;
        x = copysign(HUGE_VAL, x);
    }
    if (is_half(of) && of != AN_FP16)
        x = an_half_to_double(an_half_from_double(x));
    return hw_round(num, x, to);
}

static double table(const an_num *num, an_scalar fn, double a, double b)
{
    return an_hw_table(num->chip, fn, a, b);
}

/* Quotients and powers: exactly, or by way of other tables. */
static double quotient(const an_num *num, double a, double b)
{
    if (b == 0) b = 0; /* the sign of a zero divisor is lost */
    if (num->chip->guess_real_div == AN_WAY_EXACT) return a / b;
    return a * table(num, AN_SCALAR_inverse, b, 0);
}

static double power(const an_num *num, double a, double b)
{
    if (num->chip->guess_pow == AN_WAY_EXACT || a <= 0) return pow(a, b);
    double t = hw_round(num, table(num, AN_SCALAR_log, a, 0) * b, AN_FP16);
    return table(num, AN_SCALAR_exp, t, 0);
}

/* What a compound op keeps is exact but for exp, where it is a guess. */
static double unrounded(const an_num *num, an_scalar fn, double a, double b,
                        double c)
{
    if (fn == AN_SCALAR_exp && num->chip->guess_softmax_exp == AN_WAY_TABLE)
        return table(num, fn, a, b);
    return an_scalar_exact(fn, a, b, c);
}

static double hw_scalar(const an_num *num, an_scalar fn, double a, double b,
                        double c, an_dtype of, an_dtype to)
{
    if (chosen(fn, 0, 0) >= 0)
        return choose(num, fn, (const double[]){a, b, c}, of, to);
    a = operand(num->chip, a, of);
    b = operand(num->chip, b, of);
    c = operand(num->chip, c, of);
    if (!is_float(of)) return hw_round(num, an_scalar_exact(fn, a, b, c), to);
    if (to == AN_FP64) return unrounded(num, fn, a, b, c);
    if (an_hw_has_table(fn)) return hw_round(num, table(num, fn, a, b), to);
    if (fn == AN_SCALAR_real_div) return hw_round(num, quotient(num, a, b), to);
    if (fn == AN_SCALAR_pow) return hw_round(num, power(num, a, b), to);
    return hw_round(num, an_scalar_exact(fn, a, b, c), to);
}

/* ---- contractions ---- */

/* Integers add exactly in 32 bits; beyond them the sum is infinity. */
static double whole_dot(int64_t n, const double *a, int64_t a_step,
                        const double *b, int64_t b_step, double bias)
{
    double sum = bias;
    for (int64_t i = 0; i < n && fabs(sum) < 0x1p31; i++)
        sum += a[i * a_step] * b[i * b_step];
    return fabs(sum) < 0x1p31 ? sum : copysign(HUGE_VAL, sum);
}

static double hw_dot(const an_num *num, int64_t n, const double *a,
                     int64_t a_step, const double *b, int64_t b_step,
                     double bias, an_dtype of, an_dtype to)
{
    if (!is_float(of))
        return hw_round(num, whole_dot(n, a, a_step, b, b_step, bias), to);
    an_mac_sum sum;
    an_mac_start(&sum, &num->chip->mac, an_hw_store(bias));
    for (int64_t i = 0; i < n && !sum.overflow; i++)
        an_mac_add(&sum, an_hw_store(a[i * a_step]),
                   an_hw_store(b[i * b_step]));
    return hw_round(num, an_half_to_double(an_mac_end(&sum)), to);
}

/* ---- reductions ---- */

static double extreme(const an_num *num, an_scalar fn, int64_t n,
                      const double *x, int64_t step, an_dtype of)
{
    double best = x[0];
    for (int64_t i = 1; i < n; i++)
        best = num->scalar(num, fn, best, x[i * step], 0, of, of);
    return best;
}

static double sum_of(const an_num *num, int64_t n, const double *x,
                     int64_t step, an_dtype of, int power_of_x)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = operand(num->chip, x[i * step], of);
        sum += power_of_x == 2 ? v * v : v;
    }
    return sum;
}

/* As the ops exp, reduce_sum and log would: not shifted by the maximum, so it
 * overflows near x = 7.6 for 32 values (apple/coremltools issue 2690). */
static double log_sum_exp(const an_num *num, int64_t n, const double *x,
                          int64_t step, an_dtype of)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum +=
            table(num, AN_SCALAR_exp, operand(num->chip, x[i * step], of), 0);
    return table(num, AN_SCALAR_log, an_hw_round(num->chip, sum), 0);
}

static double mean_of(const an_num *num, double sum, int64_t n)
{
    return num->chip->guess_mean == AN_MEAN_DIVIDED ? sum / (double)n
                                                    : sum * (1 / (double)n);
}

static double hw_reduce(const an_num *num, an_reduce how, int64_t n,
                        const double *x, int64_t step, an_dtype to)
{
    switch (how) {
    case AN_REDUCE_SUM:
        return hw_round(num, sum_of(num, n, x, step, to, 1), to);
    case AN_REDUCE_MEAN:
        return hw_round(num, mean_of(num, sum_of(num, n, x, step, to, 1), n),
                        to);
    case AN_REDUCE_SUM_SQUARE:
        return hw_round(num, sum_of(num, n, x, step, to, 2), to);
    case AN_REDUCE_MAX:
        return extreme(num, AN_SCALAR_maximum, n, x, step, to);
    case AN_REDUCE_MIN:
        return extreme(num, AN_SCALAR_minimum, n, x, step, to);
    case AN_REDUCE_LOG_SUM_EXP:
        return hw_round(num, log_sum_exp(num, n, x, step, to), to);
    case AN_REDUCE_NONE:
    case AN_REDUCE_SOFTMAX:
        break;
    }
    return 0;
}

void an_num_hw_init(an_num *out, const an_chip_numerics *chip)
{
    *out = (an_num){.name = "hw",
                    .round = hw_round,
                    .inner = hw_inner,
                    .scalar = hw_scalar,
                    .dot = hw_dot,
                    .reduce = hw_reduce,
                    .load = an_hw_load,
                    .store = an_hw_store,
                    .chip = chip};
}

/* ---- what planners ask ---- */

double an_hw_literal(const an_chip_numerics *chip, double x)
{
    return chip->flushes_literals && fabs(x) < SMALLEST_NORMAL ? 0 : x;
}

bool an_hw_slice_has_gain(const an_chip_numerics *chip, const an_shape *x,
                          const an_view *view)
{
    return chip && chip->slice_gain != 1 && view->kind == AN_VIEW_SLICE &&
           is_float(x->dtype) && view->begin[x->rank - 1] != 0;
}

uint16_t an_hw_slice(const an_chip_numerics *chip, uint16_t bits)
{
    double x = operand(chip, an_hw_load(bits), AN_FP16);
    if (chip->slice_gain == 1) return bits;
    return isinf(an_hw_round(chip, x * chip->slice_gain))
               ? (bits & 0x8000) | 0x7c00
               : bits;
}

static void count_readers(const an_function *f, int *readers)
{
    for (int i = 0; i < f->n_values; i++)
        readers[i] = 0;
    for (int i = 0; i < f->n_results; i++)
        readers[f->results[i]->id]++;
    for (int i = 0; i < f->n_nodes; i++) {
        const an_node *n = f->nodes[i];
        int n_tensors = an_node_n_tensors(n);
        for (int k = 0; k < n_tensors; k++) {
            const an_value *v = an_node_tensor(n, k);
            if (v) readers[v->id]++;
        }
    }
}

/* Is `s` the sigmoid of `x`, read once? */
static bool is_lone_sigmoid(const an_value *s, const an_value *x,
                            const int *readers)
{
    return s->def && s->def->op->cls == AN_CLASS_UNARY &&
           s->def->op->scalar == AN_SCALAR_sigmoid && readers[s->id] == 1 &&
           an_node_tensor(s->def, 0) == x;
}

void an_hw_find_silu(const an_function *f, int *readers, an_value **silu)
{
    count_readers(f, readers);
    for (int i = 0; i < f->n_values; i++)
        silu[i] = NULL;
    for (int i = 0; i < f->n_nodes; i++) {
        const an_node *n = f->nodes[i];
        if (n->op->cls != AN_CLASS_BINARY || n->op->scalar != AN_SCALAR_mul)
            continue;
        an_value *a = an_node_tensor(n, 0), *b = an_node_tensor(n, 1);
        if (is_lone_sigmoid(b, a, readers)) silu[n->results[0]->id] = a;
        if (is_lone_sigmoid(a, b, readers)) silu[n->results[0]->id] = b;
    }
}
