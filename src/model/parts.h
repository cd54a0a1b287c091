/*
 * The parts that blocks are built from, shared by the architectures. x and
 * results are [1, C, 1, N] unless said otherwise; N = batch x sequence, columns
 * sequence-major. All take NULL after an error of the builder, and return it.
 */
#ifndef AN_MODEL_PARTS_H
#define AN_MODEL_PARTS_H

#include "mil/emit.h"
#include "mil/ir.h"
#include "model/model.h"

struct an_block_frame {
    an_builder *b;
    const an_model *model; /* of its adapters */
    int block;
    const an_config *config;
    an_dtype dtype;
    int64_t batch, sequence, columns; /* columns = batch x sequence */
    an_block_form form;
    int64_t capacity; /* DECODE */
    an_matrix_form matrices;
};

/* A table [1, rows, 1, N]: a constant, in DECODE a parameter. */
an_value *an_part_table(const an_block_frame *f, const an_table *table);
an_value *an_part_named(const an_block_frame *f, an_value *v, const char *name);
an_value *an_part_shaped(const an_block_frame *f, an_value *x, int64_t a,
                         int64_t b, int64_t c, int64_t d);
/* Channels [begin, begin + size) of axis 1, all of the others. */
an_value *an_part_channels(const an_block_frame *f, an_value *x, int64_t begin,
                           int64_t size);

/* Parameters of the function: [1, rows, 1, 1] and [1, 1, rows, columns], the
 * latter at ports of the form f->matrices. */
an_value *an_part_vector(const an_block_frame *f, const char *name,
                         int64_t rows);
an_value *an_part_matrix(const an_block_frame *f, const char *name,
                         int64_t rows, int64_t columns);
/* W x, and of an adapted parameter W x + B (scale A x): [1,1,O,C] by [1,C,1,N]
 * to [1,1,O,N]. w is a parameter of the function. */
an_value *an_part_project(const an_block_frame *f, an_value *w, an_value *x);
/* [1,1,C,N] as [1,C,1,N]. */
an_value *an_part_as_channels(const an_block_frame *f, an_value *x,
                              int64_t n_channels);

/* x g / sqrt(mean(x^2) + eps) over axis 1 of `width`; the divisor that is
 * constant for differentiation is called `stop`. g NULL: 1. */
an_value *an_part_rms_norm(const an_block_frame *f, an_value *x, an_value *g,
                           int64_t width, const char *stop);
/* (x - mean(x)) g / sqrt(var(x) + eps) + bias over axis 1; stop "s". */
an_value *an_part_layer_norm(const an_block_frame *f, an_value *x, an_value *g,
                             an_value *bias);

/* q: H hd channels, k and v: KV hd; causal attention, joined to H hd channels
 * of N columns, called "attn". q and k come as [heads, hd, 1, N] or as
 * channels. Query head h reads key-value head h div (H / KV). What other forms
 * than FULL have more (an_block_form) is declared here. */
an_value *an_part_attention(const an_block_frame *f, an_value *q, an_value *k,
                            an_value *v);

#endif
