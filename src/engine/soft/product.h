/*
 * A contraction as blocks of matrix products: planned in product.c, run there
 * in floating point and in product_hw.c in a chip's arithmetic.
 */
#ifndef AN_ENGINE_SOFT_PRODUCT_H
#define AN_ENGINE_SOFT_PRODUCT_H

#include "engine/soft/move.h"

typedef struct an_side {
    an_place place; /* [batch.., rows, columns] */
    bool direct;    /* read in place */
    bool flipped;   /* stored with stride 1 along the rows */
    /* Of int8 rows without gaps, one batch: element i of the buffer, counted
     * from the place's offset, is times scale i / AN_GEMV_GROUP. buffer -1:
     * none. */
    an_place scales;
} an_side;

typedef struct an_product_step {
    an_step step;
    an_side a, b;       /* [.., m, k] and [.., k, n] */
    an_place out, bias; /* bias.buffer -1: none */
    bool out_direct;
    bool wide; /* fp64 */
    int64_t m, n, k, block_m, block_n, blocks_m, blocks_n;
    size_t at_b, at_c; /* of the scratch, bytes */
    /* On a chip: */
    const an_chip_numerics *chip;
    size_t at_bias, at_work;
} an_product_step;

/* The results of one tile: m rows from `row`, n columns; offsets of their first
 * row of A, column of B and element. */
typedef struct an_product_block {
    int64_t row, m, n, a, b, out;
} an_product_block;
an_product_block an_product_block_of(const an_product_step *p, int tile);

/* Appends the step of a product whose places and blocks are set, on a chip. */
an_status an_product_finish_hw(an_plan *plan, an_product_step *p,
                               an_error *err);

/* product_rows.c: few columns, as dot products of the left operand's rows, read
 * as they are stored. Turns the operands when the right one has the rows;
 * false: it is not for this product. */
bool an_product_is_rows(an_product_step *p);
an_status an_product_finish_rows(an_plan *plan, an_product_step *p,
                                 an_error *err);
/* The operands, and the result with them, the other way round. */
void an_product_turn(an_product_step *p);

#endif
