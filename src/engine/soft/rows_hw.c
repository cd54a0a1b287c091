/*
 * softmax as ops/softmax.c has it, on rows without NaN patterns: d = fp16(x -
 * max) selects the exponential from a table, sums are fp64 in order, quotients
 * are rounded once.
 */
#include "engine/soft/rows_hw.h"

#include "kernels/set.h"

bool an_softmax_hw_fits(const an_chip_numerics *chip, const an_node *node)
{
    return chip && !chip->flushes_operands &&
           node->op->reduce == AN_REDUCE_SOFTMAX &&
           node->results[0]->type->shape.dtype == AN_FP16;
}

/* The larger of two equal zeros is the later, as in an_num's reduce. */
static double largest(int64_t n, const double *x)
{
    double max = x[0];
    for (int64_t i = 1; i < n; i++)
        max = max > x[i] ? max : x[i];
    return max;
}

/* x becomes e^(x - max); returns the sum so far and theirs. */
static double exponentials_of(const an_chip_numerics *chip, const double *table,
                              size_t n, double max, double *x, double sum)
{
    enum { BLOCK = 128 };
    for (size_t i = 0; i < n; i += BLOCK) {
        uint16_t bits[BLOCK];
        size_t some = n - i < BLOCK ? n - i : BLOCK;
        for (size_t j = 0; j < some; j++)
            x[i + j] -= max;
        an_kernels()->round_half_f64(some, chip->ties, x + i);
        an_kernels()->double_to_half(some, x + i, bits);
        for (size_t j = 0; j < some; j++) {
            x[i + j] = table[bits[j]];
            sum += x[i + j];
        }
    }
    return sum;
}

bool an_softmax_hw(const an_chip_numerics *chip, const double *exponentials,
                   int64_t n, double *x)
{
    int patterns = 0;
    for (int64_t i = 0; i < n; i++)
        patterns |= x[i] != x[i];
    if (patterns) return false;
    double sum =
        exponentials_of(chip, exponentials, (size_t)n, largest(n, x), x, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] /= sum;
    an_kernels()->round_half_f64((size_t)n, chip->ties, x);
    return true;
}
