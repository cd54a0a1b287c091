/*
 * Running chains in a chip's arithmetic (mil/numerics.h): fp64 registers, in
 * which + - x on fp16 values are exact, and one rounding by a loop. Loops know
 * numbers and infinities. A block that loads one of fp16's NaN patterns is
 * evaluated by the numerics element by element, which is the meaning.
 */
#include "engine/soft/chain.h"

#include <assert.h>

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

/* Returns whether there are NaNs among the elements: patterns. */
static bool load(const an_chain_port *in, const an_exec *exec, int64_t row,
                 int64_t begin, size_t n, double *out)
{
    const an_place *p = &in->place;
    int64_t stride = p->strides[p->rank - 1];
    int64_t offset = an_place_row(p, row) + begin * stride;
    an_load_f64(p->dtype, an_exec_read(exec, p, offset), stride, (int64_t)n,
                out);
    int patterns = 0;
    for (size_t i = 0; i < n; i++)
        patterns |= out[i] != out[i];
    return patterns;
}

static void store(const block *b, const an_chain_port *out, const an_exec *exec,
                  int64_t row, int64_t begin)
{
    const an_place *p = &out->place;
    int64_t stride = p->strides[p->rank - 1];
    int64_t offset = an_place_row(p, row) + begin * stride;
    an_store_f64(p->dtype, reg(b, out->reg), (int64_t)b->n,
                 an_exec_write(exec, p, offset), stride);
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
    const an_kernel_set *k = b->chain->kernels;
    uint16_t bits[CHAIN_BLOCK];
    k->double_to_half(b->n, reg(b, c->in[0]), bits);
    for (size_t i = 0; i < b->n; i++)
        bits[i] = c->table[bits[i]];
    k->half_to_double(b->n, bits, out);
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
