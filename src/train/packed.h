/*
 * The parameters as inference reads them: matrices in fp32 (fp64 in `exact`),
 * in fp16, or in int8 with a scale per 32 elements of a row; vectors in fp32
 * (fp64). Made row by row from where they are, so that no other copy is needed.
 */
#ifndef AN_TRAIN_PACKED_H
#define AN_TRAIN_PACKED_H

#include "anemone/engine.h"
#include "anemone/model.h"
#include "train/stages.h"

typedef struct an_packed_tensor {
    const an_model_param *param;
    an_matrix_form form;
    an_surface *data, *scales; /* without gaps; scales: Q8 */
    an_surface *placed;        /* a copy in another layout; NULL: none */
    an_port port;              /* of `placed` */
} an_packed_tensor;

typedef struct an_packed {
    an_dtype dtype;      /* of vectors and PLAIN matrices: fp32 or fp64 */
    an_matrix_form form; /* of matrices */
    an_packed_tensor *list;
    int n;
    float *row; /* room for the longest row */
} an_packed;

/* Row r of a part of a parameter in `dtype`; of a vector, all of the part. */
typedef void an_part_fn(void *ctx, const an_model_param *p,
                        const an_param_part *part, int64_t r, an_dtype dtype,
                        void *out);

typedef struct an_packed_options {
    const an_model *model;
    an_engine *engine; /* of the blocks: fp16 matrices are its surfaces */
    an_engine *cpu;
    an_dtype dtype;
    an_matrix_form form; /* PLAIN with fp64 */
    an_part_fn *read;
    void *ctx;
} an_packed_options;

/* AN_EUNSUPPORTED names a matrix with an element beyond fp16. */
an_status an_packed_new(const an_packed_options *options, an_packed **out,
                        an_error *err);
void an_packed_free(an_packed *p);
size_t an_packed_bytes(const an_packed *p);

/* The parameter that a block's function calls `port` (for the head of a tied
 * model the embedding); -1: none. */
int an_packed_find(const an_packed *p, int layer, int block, const char *port);
/* The surface for `port` of a program: data, scales for a name that ends so, or
 * a copy in the port's layout, made when first asked for. */
an_status an_packed_surface(an_packed *p, int i, an_engine *engine,
                            const an_port *port, an_surface **out,
                            an_error *err);
double an_packed_get(const an_packed *p, int i, int64_t row, int64_t column);

#endif
