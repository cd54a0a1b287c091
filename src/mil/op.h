/*
 * The op table: one row per op, declared here and defined in src/ops. Builder,
 * parser, verifier, shape inference, reference kernel, gradient, planner and
 * cost read the row and nothing else; nobody compares op names.
 *
 * A row is *known* when it has a shape rule (it parses and verifies) and
 * *core* when it has a kernel too, and a gradient or the word why none.
 *
 * Parameters are a string of "name:kind" or "name:kind=default" or
 * "name:kind?" (optional without default), separated by blanks:
 *
 *     t  tensor                      c  tensor known at compile time
 *     v  tuple of tensors            d  state
 *     i  int constant                I  vector of int constants
 *     b  bool constant               B  vector of bool constants
 *     f  float constant              s  string constant
 *     n  int or float constant       x  constant of any type
 *     l  list                        u  tensor buffer
 *
 * Defaults of vectors are one number, repeated as often as the shape rule
 * needs ("strides:I=1"). The order of parameters is the order of node->args.
 */
#ifndef AN_MIL_OP_H
#define AN_MIL_OP_H

#include "mil/ir.h"
#include "mil/num.h"

typedef enum an_op_class {
    AN_CLASS_CONST,       /* a value known at compile time */
    AN_CLASS_UNARY,       /* element-wise, one tensor; has `scalar` */
    AN_CLASS_BINARY,      /* element-wise with broadcast, 2 or 3 tensors;
                             has `scalar` */
    AN_CLASS_VIEW,        /* moves elements, computes nothing; has `view` */
    AN_CLASS_CONTRACTION, /* sums of products; has `contract` */
    AN_CLASS_REDUCTION,   /* over axes; has `reduce` */
    AN_CLASS_OTHER,       /* only the reference kernel */
} an_op_class;

/* Where the parameters stand in the text. */
typedef enum an_op_form {
    AN_FORM_ARGUMENTS,
    AN_FORM_ATTRIBUTES, /* const and the ios16 constexpr ops */
} an_op_form;

/* Types of the results, from the node's arguments. Checks all that the op
 * demands of them. `out` has room for `n` results, n as bound in the text (or
 * by the builder); the rule refuses another number. What it cannot know before
 * run time is a dimension of -1, what is no tensor a rank of
 * AN_RANK_DECLARED: there the text's declared type stands. */
enum { AN_RANK_DECLARED = -1 };
typedef an_status an_shape_fn(const an_node *node, an_shape *out, int n,
                              an_error *err);

/* A tensor of the reference kernels: dense, row-major, doubles. Integers and
 * bools are numbers too; strings never get here. */
typedef struct an_dense {
    an_shape shape;
    double *data;
} an_dense;

/* One evaluation of one node by its reference kernel. */
typedef struct an_eval {
    const an_node *node;
    const an_num *num;
    /* Tensors of parameters of kind t, c, v, in the row's order, tuples laid
     * out one after the other; an absent optional one has data NULL. */
    const an_dense *in;
    an_dense *out; /* shapes are set, data allocated, one per result */
    /* Scratch, zeroed, freed by the caller; NULL without memory. */
    void *(*scratch)(const struct an_eval *e, size_t bytes);
    void *owner;
} an_eval;
typedef an_status an_kernel_fn(const an_eval *e, an_error *err);

/* dW[m, n] = sum over k of L[m, k] R[k, n] for a parameter of shape
 * [1.., M, N]: one of the operands is the adjoint, the other a forward value;
 * each may be stored transposed. */
typedef struct an_product {
    bool adjoint_left; /* L is the adjoint (else R is) */
    an_value *adjoint; /* of the backward function */
    an_value *forward;
    bool transpose_left, transpose_right; /* stored [k, m], [n, k] */
} an_product;

/* One step of differentiation: `b` builds the backward function. */
typedef struct an_vjp {
    an_builder *b;
    const an_node *node; /* the forward node */
    an_value *const *dy; /* adjoints of its results; NULL: none arrives */
    /* The forward value inside the backward function: a constant, a tap, an
     * input, or computed again. */
    an_value *(*get)(struct an_vjp *v, const an_value *forward);
    /* Does anybody want the adjoint of this operand? Asking first saves
     * building what nobody reads. */
    bool (*wants)(struct an_vjp *v, const an_value *forward);
    /* Adds to the adjoint of a forward operand. The adjoint has the operand's
     * shape. */
    void (*add)(struct an_vjp *v, const an_value *forward, an_value *adjoint);
    /* The same for an adjoint that covers part of the operand: the box at
     * `begin` (one entry per axis) of the adjoint's dimensions. Parts that tile
     * the operand become one concat. */
    void (*add_part)(struct an_vjp *v, const an_value *forward,
                     an_value *adjoint, const int64_t *begin);
    /* A contraction's right to be deferred: d(operand) = op(left) . op(right)
     * summed over all batch axes, where left and right are the adjoint (given
     * as a value of the backward function) and the other operand (forward).
     * True: the caller builds nothing for this operand. */
    bool (*defer)(struct an_vjp *v, const an_value *operand,
                  const an_product *product);
    void *owner;
} an_vjp;

typedef void an_grad_fn(an_vjp *v);

/* Arithmetic of one node: floating-point operations (a multiply-accumulate is
 * two) and bytes of operands and results. */
typedef struct an_cost {
    double flops, bytes;
} an_cost;
typedef void an_cost_fn(const an_node *node, an_cost *out);

/* How a view's result lies in its operand. */
typedef enum an_view_kind {
    AN_VIEW_RESHAPE,   /* same elements in the same order, another shape */
    AN_VIEW_TRANSPOSE, /* out[i] = x axis perm[i] */
    AN_VIEW_SLICE,     /* begin, stride per axis of x (then a reshape that
                          drops axes) */
    AN_VIEW_CONCAT,    /* parts one after the other along an axis */
    AN_VIEW_SPLIT,     /* results one after the other along an axis */
} an_view_kind;
typedef struct an_view {
    an_view_kind kind;
    int perm[AN_MAX_RANK];       /* TRANSPOSE */
    int64_t begin[AN_MAX_RANK];  /* SLICE, per axis of x */
    int64_t stride[AN_MAX_RANK]; /* SLICE, never 0 */
    int64_t length[AN_MAX_RANK]; /* SLICE: elements per axis of x */
    int axis;                    /* CONCAT, SPLIT */
} an_view;
/* False: this instance (an interleaved concat) is no view; use the kernel. */
typedef bool an_view_fn(const an_node *node, an_view *out);

/* A contraction as batched matrix products: out[.., m, n] = sum over k of
 * a[.., m, k] b[.., k, n], numpy broadcast of leading axes. Operands are
 * indices into the node's tensors (an_eval.in order). */
typedef struct an_contract {
    int a, b; /* which tensors */
    bool transpose_a, transpose_b;
    an_shape a_shape, b_shape, out_shape; /* operands as reshaped (ranks >= 2,
                                             before transposes) */
    int bias;                             /* tensor of [m] or -1 */
} an_contract;
/* False: this instance (a 3x3 convolution) is none; use the kernel. */
typedef bool an_contract_fn(const an_node *node, an_contract *out);

struct an_op {
    const char *name;
    int since; /* first opset of this form: 15..18 */
    const char *params;
    an_op_class cls;
    an_op_form form;
    an_shape_fn *shape;
    an_kernel_fn *kernel;
    an_grad_fn *grad;
    const char *no_grad; /* core without grad: the reason, a sentence */
    an_cost_fn *cost;
    /* What the class needs: */
    an_scalar scalar; /* UNARY, BINARY: what is computed per element; operands
                         are the tensors, then the float constants, in order */
    an_view_fn *view;
    an_contract_fn *contract;
    an_reduce reduce;
};

/* Declares every row; ops.def holds AN_OP(identifier). */
#define AN_OP(id) extern const an_op an_op_##id;
#include "mil/ops.def"
#undef AN_OP

typedef enum an_op_id {
#define AN_OP(id) AN_OP_##id,
#include "mil/ops.def"
#undef AN_OP
    AN_OP_COUNT
} an_op_id;

/* All rows, in ops.def's order; defined by src/ops/table.c. */
extern const an_op *const an_ops[AN_OP_COUNT];
/* The newest form of `name` that `opset` has, else its oldest form (public
 * programs use newer ops under older opsets); NULL: no such op. */
const an_op *an_op_find(const char *name, size_t size, int opset);

/* Are they forms of one op, of whatever opset? */
bool an_op_is_form(const an_op *a, const an_op *b);

/* A parameter of a row, read from its string. */
typedef struct an_param {
    const char *name;
    size_t name_size;
    char kind; /* t c v d i I b B f s n x l u */
    bool required;
    const char *preset; /* default's text, or NULL */
    size_t preset_size;
} an_param;
int an_op_n_params(const an_op *op);
/* False: no parameter i. */
bool an_op_param(const an_op *op, int i, an_param *out);
/* Index, or -1. */
int an_op_param_index(const an_op *op, const char *name, size_t size);

/*
 * Arguments by name, defaults applied; for shape rules, kernels, gradients and
 * planners. A node that was verified has what these need (kinds and presence
 * are checked before the shape rule runs).
 */
const an_operand *an_node_arg(const an_node *n, const char *param);
/* The value of a t, c or d parameter; NULL when not given. */
an_value *an_node_value(const an_node *n, const char *param);
bool an_node_given(const an_node *n, const char *param);
int64_t an_node_int(const an_node *n, const char *param);
bool an_node_bool(const an_node *n, const char *param);
double an_node_real(const an_node *n, const char *param);
/* Elements of an I or B parameter: count, or -1 when not given. */
int an_node_n(const an_node *n, const char *param);
/* Element i; the default when not given; the default of "=1" for any i. */
int64_t an_node_int_at(const an_node *n, const char *param, int i);
/* A default is not followed by a 0. */
an_str an_node_string(const an_node *n, const char *param);
/* An axis parameter, negative counted from the end of `rank`. False: out of
 * range. */
bool an_node_axis(const an_node *n, const char *param, int rank, int *out);

/* Tensors (t, c, v parameters) in the row's order, tuples flattened: how many,
 * and which value (NULL: absent optional). */
int an_node_n_tensors(const an_node *n);
an_value *an_node_tensor(const an_node *n, int i);

/* Fails with the node's position: "12:5: conv: weight is ..., expected ...". */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
an_status
an_node_fail(const an_node *n, an_error *err, an_status code,
             const char *format, ...);

#endif
