/*
 * A chain: element-wise nodes of one shape as a program over registers of
 * CHAIN_BLOCK elements. Inputs are loaded once a block, every calculation
 * writes a register of its own, results that others read are stored.
 *
 * Registers are fp32 where all types fit (fp16, fp32, bool) and fp64 otherwise
 * (fp64, integers, exact, a chip's numerics). Each calculation rounds to its
 * result's type. In fp32 registers + - x / sqrt on fp16 are exact: rounding to
 * fp32 first and to fp16 then gives what one rounding would, since 24 >= 2 x 11
 * + 2 (Figueroa, "When is double rounding innocuous?", 1995); so is fp32 in
 * fp64.
 */
#ifndef AN_ENGINE_SOFT_CHAIN_H
#define AN_ENGINE_SOFT_CHAIN_H

#include "engine/soft/move.h"
#include "kernels/set.h"

enum { CHAIN_BLOCK = 256, CHAIN_OPERANDS = 3 };

typedef enum an_rounding {
    AN_ROUND_NOT,    /* the calculation gives values of the type */
    AN_ROUND_HALF,   /* to fp16: in fp32 registers, or on a chip */
    AN_ROUND_SCALAR, /* by the numerics, one by one */
} an_rounding;

typedef enum an_calc_kind {
    AN_CALC_LOOP,   /* a kernel's loop, then `rounding` */
    AN_CALC_TABLE,  /* by the bits of the fp16 value */
    AN_CALC_SCALAR, /* by the numerics, one by one, rounded */
} an_calc_kind;

typedef struct an_calc {
    an_calc_kind kind;
    an_scalar fn;
    an_loop loop;
    const uint16_t *table;
    an_rounding rounding;
    int n_in, in[CHAIN_OPERANDS], out; /* registers */
    double constants[CHAIN_OPERANDS];  /* SCALAR: operands whose register is
                                          below 0 */
    an_dtype of, to;
} an_calc;

typedef struct an_chain_port {
    int reg;
    an_place place;
} an_chain_port;

typedef struct an_chain {
    an_step step;
    const an_soft_numerics *numerics;
    const an_num *num; /* of the numerics */
    const an_kernel_set *kernels;
    an_chain_port *inputs, *outputs;
    int n_inputs, n_outputs;
    int n_fixed; /* the first inputs: one value for all elements */
    int *constant_regs;
    double *constants;
    int n_constants;
    an_calc *calcs;
    int n_calcs;
    int n_regs;
    an_walk walk;
} an_chain;

/* One tile, in fp32 and in fp64 registers (chain_run.c). */
an_step_run an_chain_run_f32, an_chain_run_f64;
/* The same in fp64 registers and a chip's arithmetic (chain_hw.c). */
an_step_run an_chain_run_hw;

#endif
