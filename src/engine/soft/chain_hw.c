/*
 * Running chains in a chip's arithmetic (mil/numerics.h): fp64 registers, in
 * which + - x on fp16 values are exact, and one rounding by a loop. Loops know
 * numbers and infinities. A block that loads one of fp16's NaN patterns is
 * evaluated by the numerics element by element, which is the meaning.
 */
#include "engine/soft/chain.h"

#include "kernels/kernels.h"

#include <assert.h>
#include <math.h>

/* One block: registers, elements, and whether it has patterns. */
typedef struct block {
    const an_chain *chain;
    double *registers;
    size_t n;
    bool patterns;
} block;

static double *reg(const block *b, int i)
{
    return i < 0 ? NULL : b->registers + (size_t)i * CHAIN_BLOCK;
}

/* ---- memory ---- */

static bool load_halves(const uint16_t *x, int64_t stride, size_t n,
                        double *out)
{
    uint16_t bits[CHAIN_BLOCK] = {0};
    float part[CHAIN_BLOCK];
    int patterns = 0;
    for (size_t i = 0; i < n; i++)
        bits[i] = x[(int64_t)i * stride];
    for (size_t i = 0; i < n; i++)
        patterns |= (bits[i] & 0x7fff) > 0x7c00;
    an_convert_half_to_float(n, bits, part);
    for (size_t i = 0; i < n; i++)
        out[i] = (double)part[i];
    for (size_t i = 0; patterns && i < n; i++)
        out[i] = an_hw_load(bits[i]);
    return patterns;
}

/* Returns whether there are NaNs among the elements. */
static bool load(const an_chain_port *in, const an_exec *exec, int64_t row,
                 int64_t begin, size_t n, double *out)
{
    const an_place *p = &in->place;
    int64_t stride = p->strides[p->rank - 1];
    const void *x =
        an_exec_read(exec, p, an_place_row(p, row) + begin * stride);
    if (p->dtype == AN_FP16) return load_halves(x, stride, n, out);
    an_load_f64(p->dtype, x, stride, (int64_t)n, out);
    bool patterns = false;
    for (size_t i = 0; i < n; i++)
        patterns = patterns || isnan(out[i]);
    return patterns;
}

static void to_halves(size_t n, const double *x, uint16_t *out)
{
    float part[CHAIN_BLOCK];
    for (size_t i = 0; i < n; i++)
        part[i] = (float)x[i];
    an_convert_float_to_half(n, part, out);
}

static void store(const block *b, const an_chain_port *out, const an_exec *exec,
                  int64_t row, int64_t begin)
{
    const an_place *p = &out->place;
    int64_t stride = p->strides[p->rank - 1];
    void *y = an_exec_write(exec, p, an_place_row(p, row) + begin * stride);
    const double *x = reg(b, out->reg);
    if (p->dtype != AN_FP16 || b->patterns) {
        an_store_f64(p->dtype, x, (int64_t)b->n, y, stride);
        return;
    }
    uint16_t bits[CHAIN_BLOCK], *to = y;
    to_halves(b->n, x, bits);
    for (size_t i = 0; i < b->n; i++)
        to[(int64_t)i * stride] = bits[i];
}

/* ---- calculations ---- */

static void evaluate(const block *b, const an_calc *c, double *out)
{
    const an_num *num = b->chain->num;
    double v[CHAIN_OPERANDS];
    assert(out);
    for (size_t i = 0; i < b->n; i++) {
        for (int k = 0; k < CHAIN_OPERANDS; k++) {
            const double *x = reg(b, c->in[k]);
            v[k] = x ? x[i] : c->constants[k];
        }
        out[i] = num->scalar(num, c->fn, v[0], v[1], v[2], c->of, c->to);
    }
}

static void look_up(const block *b, const an_calc *c, double *out)
{
    uint16_t bits[CHAIN_BLOCK];
    float part[CHAIN_BLOCK];
    to_halves(b->n, reg(b, c->in[0]), bits);
    for (size_t i = 0; i < b->n; i++)
        bits[i] = c->table[bits[i]];
    an_convert_half_to_float(b->n, bits, part);
    for (size_t i = 0; i < b->n; i++)
        out[i] = (double)part[i];
}

static void loop(const block *b, const an_calc *c, double *out)
{
    const an_chain *chain = b->chain;
    const double *y = reg(b, c->in[1]);
    double divisor[CHAIN_BLOCK];
    for (size_t i = 0; c->fn == AN_SCALAR_real_div && i < b->n; i++)
        divisor[i] = y[i] + 0.0; /* the sign of a zero divisor is lost */
    if (c->fn == AN_SCALAR_real_div) y = divisor;
    chain->kernels->loop_f64(c->loop, b->n, reg(b, c->in[0]), y,
                             reg(b, c->in[2]), out);
    if (c->rounding == AN_ROUND_HALF)
        chain->kernels->round_half_f64(b->n, chain->numerics->chip->ties, out);
}

static void calculate(const block *b, const an_calc *c)
{
    double *out = reg(b, c->out);
    if (b->patterns || c->kind == AN_CALC_SCALAR)
        evaluate(b, c, out);
    else if (c->kind == AN_CALC_TABLE)
        look_up(b, c, out);
    else
        loop(b, c, out);
}

/* ---- a tile ---- */

/* What is the same in every block; returns whether it has patterns. */
static bool fill_fixed(const an_chain *c, const an_exec *exec, const block *b)
{
    bool patterns = false;
    for (int i = 0; i < c->n_constants; i++) {
        double *out = reg(b, c->constant_regs[i]);
        for (int j = 0; j < CHAIN_BLOCK; j++)
            out[j] = c->constants[i];
    }
    for (int i = 0; i < c->n_fixed; i++)
        if (load(&c->inputs[i], exec, 0, 0, CHAIN_BLOCK,
                 reg(b, c->inputs[i].reg)))
            patterns = true;
    return patterns;
}

an_status an_chain_run_hw(const an_step *step, const an_exec *exec, int phase,
                          int tile, int worker, an_error *err)
{
    (void)phase;
    (void)err;
    const an_chain *c = (const an_chain *)step;
    block b = {.chain = c, .registers = an_exec_scratch(exec, worker)};
    int64_t first = tile * c->walk.per_tile, last = first + c->walk.per_tile;
    if (last > c->walk.units) last = c->walk.units;
    bool fixed = fill_fixed(c, exec, &b);
    for (int64_t u = first; u < last; u++) {
        int64_t row, begin, n;
        an_walk_unit(&c->walk, u, &row, &begin, &n);
        b.n = (size_t)n;
        b.patterns = fixed;
        for (int i = c->n_fixed; i < c->n_inputs; i++)
            if (load(&c->inputs[i], exec, row, begin, b.n,
                     reg(&b, c->inputs[i].reg)))
                b.patterns = true;
        for (int i = 0; i < c->n_calcs; i++)
            calculate(&b, &c->calcs[i]);
        for (int i = 0; i < c->n_outputs; i++)
            store(&b, &c->outputs[i], exec, row, begin);
    }
    return AN_OK;
}
