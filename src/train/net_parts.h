/*
 * A net's innards, shared by its three files: programs (net_programs.c),
 * surfaces and stages (net_stages.c), the whole and its runs (net.c).
 */
#ifndef AN_TRAIN_NET_PARTS_H
#define AN_TRAIN_NET_PARTS_H

#include "anemone/grad.h"
#include "train/net.h"

enum {
    AN_NET_PROGRAMS = 4, /* backward programs of a block */
    AN_NET_RING = 3,     /* fp32 copies of right operands in flight */
};

/* A block's programs; the head is one too. */
typedef struct an_placed_block {
    an_program *forward;
    an_program *backward[AN_NET_PROGRAMS];
    int n_backward;
    an_gradient *gradient; /* NULL when not training */
    an_engine *engine;
} an_placed_block;

/* A name in a layer, and the surface that has it. */
typedef struct an_binding {
    const char *name; /* of a port or of the model: lives as long as both */
    an_surface *surface;
    const an_port *port; /* layout; NULL for weights */
} an_binding;

/* The names of one block in one layer. */
typedef struct an_scope {
    an_binding *list;
    size_t n, capacity;
    bool *contracted; /* by contraction: its stage is there */
} an_scope;

/* A surface that passes by: the same for all layers of equal parity. */
typedef struct an_temporary {
    int block, parity;
    const char *name;
    an_surface *surface;
} an_temporary;

struct an_net {
    an_net_options o;
    int64_t columns; /* batch x sequence */
    int n_blocks;
    an_placed_block *blocks; /* the model's, then the head */
    an_surface **owned;
    size_t n_owned, cap_owned;
    an_temporary *temporaries;
    size_t n_temporaries, cap_temporaries;
    an_scope *scopes; /* layer x block, then the head */
    int n_scopes;
    an_stage **stages;
    size_t n_stages, cap_stages;
    size_t n_forward; /* stages before the loss */
    an_stage *loss_only;
    int32_t *inputs, *targets;
    double *partial;
    float *right[AN_NET_RING];
    an_fence right_fence[AN_NET_RING];
    int next_right;
    float *left;
    size_t left_size, right_size;
    an_net_facts facts;
};

an_status an_net_no_memory(an_error *err);

/* ---- net_programs.c ---- */

/* Index of the weight that a block's function calls `port`; -1: none. A tied
 * embedding is a parameter of the head's function too. */
int an_net_weight(const an_net *net, int layer, int block, const char *port);
/* Compiles a block's programs. */
an_status an_net_place_block(an_net *net, int block, an_placed_block *p,
                             an_error *err);
void an_net_free_block(an_placed_block *p);

/* ---- net_stages.c ---- */

an_status an_net_add_forward(an_net *net, int n_layers, an_error *err);
an_status an_net_add_backward(an_net *net, int n_layers, an_error *err);

#endif
