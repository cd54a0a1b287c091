/*
 * A model's layers on an engine for inference, in one form of its blocks:
 * programs that all layers share, a request per layer and block, and the
 * surfaces between them.
 */
#ifndef AN_TRAIN_LAYERS_H
#define AN_TRAIN_LAYERS_H

#include "train/cache.h"
#include "train/packed.h"
#include "train/placed.h"

typedef struct an_layers_options {
    const an_placed *placed; /* model and dump; all of these outlive it */
    an_packed *weights;
    an_engine *engine;
    an_dtype dtype;        /* of the blocks */
    int columns;           /* ports are padded to a multiple of this */
    an_block_form form;    /* PROMPT or DECODE */
    int64_t sequence;      /* N */
    const an_cache *cache; /* DECODE: on the same engine */
} an_layers_options;

typedef struct an_layers an_layers;

an_status an_layers_new(const an_layers_options *options, an_layers **out,
                        an_error *err);
void an_layers_free(an_layers *l);
/* After the cache grew: programs that read it are compiled again. */
an_status an_layers_refresh(an_layers *l, an_error *err);

/* Before a run: x of the first layer [D, N]. After it: y of the last one. */
an_matrix an_layers_input(an_layers *l);
an_matrix an_layers_output(an_layers *l);
an_surface *an_layers_output_surface(an_layers *l);
/* Keys and values of the columns, [KV hd, N], after a run. */
an_matrix an_layers_k(an_layers *l, int layer);
an_matrix an_layers_v(an_layers *l, int layer);
/* DECODE: the angles of a position, before a run. */
void an_layers_set_position(an_layers *l, int64_t position);
/* All layers, and then `last` when it is not NULL. Allocates nothing. */
an_status an_layers_run(an_layers *l, an_request *last, an_error *err);

/* Binds the weight that a block's function calls as the port; for programs
 * beside the layers' too: the head (AN_BLOCK_HEAD, layer -1). */
an_status an_layers_bind_weight(an_packed *weights, int layer, int block,
                                an_engine *engine, const an_port *port,
                                an_request *r, an_error *err);
/* A block's function as a program. `name` is for dumps. */
an_status an_layers_compile(const an_placed *p, int block,
                            const an_block_options *o, an_engine *engine,
                            int columns, const char *name, an_program **out,
                            an_error *err);

#endif
