/*
 * A net's innards, shared by its three files: programs (net_programs.c),
 * surfaces and stages (net_stages.c), the whole and its runs (net.c).
 */
#ifndef AN_TRAIN_NET_PARTS_H
#define AN_TRAIN_NET_PARTS_H

#include "anemone/grad.h"
#include "base/arena.h"
#include "mil/ir.h"
#include "train/net.h"

enum {
    AN_NET_PROGRAMS = 5, /* of a block: forward, and the parts of backward */
    AN_NET_RING = 3,     /* fp32 copies of right operands in flight */
};

/* How far the backward pass goes at a block. */
typedef enum an_net_reach {
    AN_REACH_NOTHING, /* forward alone */
    AN_REACH_WEIGHTS, /* gradients of its trained parameters */
    AN_REACH_INPUT,   /* these, and the adjoint of x */
} an_net_reach;

/* A block of the model, or the head, as functions to be lowered: the forward
 * one first. Layers share it where the reach and what is trained are equal. */
typedef struct an_net_form {
    int layer, block; /* of the first that has it */
    an_net_reach reach;
    an_block model_block;
    an_gradient *gradient; /* NULL when it reaches nothing */
    an_module *parts;      /* of the backward function; NULL the same */
    const an_function *functions[AN_NET_PROGRAMS];
    int n_functions;
    an_engine *engine;
} an_net_form;

/* A form's programs: one set for all its layers, or one a layer where weights
 * are constants in them. */
typedef struct an_placed_block {
    const an_net_form *form;
    int layer, block;
    an_program *programs[AN_NET_PROGRAMS];
    an_stage *stages[AN_NET_PROGRAMS]; /* where weights are in the programs */
} an_placed_block;

/* A name in a layer, and the surface that has it. */
typedef struct an_binding {
    const char *name; /* this and the port live in the net's arena */
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
    an_arena arena;
    an_net_form *forms;
    int n_forms;
    an_placed_block *blocks;
    int n_placed;
    bool reload_checked;
    an_surface **owned;
    size_t n_owned, cap_owned;
    an_temporary *temporaries;
    size_t n_temporaries, cap_temporaries;
    an_scope *scopes;           /* layer x block, then the head */
    an_net_form **form_of;      /* by scope */
    an_placed_block **block_of; /* by scope */
    int first_trained;          /* scope; -1: the embedding */
    int n_scopes;
    an_stage **stages;
    size_t n_stages, cap_stages;
    size_t n_forward; /* stages before the loss */
    an_stage *loss_only;
    int32_t *inputs, *targets;
    int32_t *positions; /* of columns in their sequences */
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
/* Fills in the functions of a form whose place and reach are set. */
an_status an_net_make_form(const an_net *net, an_net_form *form, an_error *err);
void an_net_free_form(an_net_form *form);
/* Whether weights are constants in a form's programs. */
bool an_net_has_constants(const an_net *net, const an_net_form *form);
/* Compiles the programs of p's form. */
an_status an_net_compile(an_net *net, an_placed_block *p, an_error *err);

/* ---- net_stages.c ---- */

an_status an_net_add_forward(an_net *net, an_error *err);
an_status an_net_add_backward(an_net *net, an_error *err);

/* The surface of a name in p's layer, or NULL. */
an_surface *an_net_surface(const an_net *net, const an_placed_block *p,
                           const char *name);
/* A request of another program with the same ports, bound to the surfaces that
 * the block has. */
an_status an_net_bind_again(an_net *net, const an_placed_block *p,
                            an_program *program, an_request **out,
                            an_error *err);

#endif
