/*
 * Rules about ranks and extents, and about ops that move elements.
 */
#include "chip/check.h"

#include <string.h>

static void rank_fits(an_checker *c, const an_value *v, const char *what)
{
    if (v->type->shape.rank > 5)
        an_breach_at(c, v->line, v->column, "%s '%s' has rank %d", what,
                     v->name, v->type->shape.rank);
}

static void linear_rank_fits(an_checker *c, const an_node *n)
{
    int rank = an_node_value(n, "x")->type->shape.rank;
    if (rank == 5)
        an_breach_at(c, n->line, n->column,
                     "linear: x has rank 5, expected at most 4");
}

static void ranks_fit(an_checker *c)
{
    an_check_tensors(c, rank_fits);
    an_check_each(c, &an_op_linear, linear_rank_fits);
}

/* Width, height and depth: all axes behind batch and channels; of a tensor
 * with fewer than 4 axes the last two. */
static bool is_spatial(const an_shape *s, int axis)
{
    return s->rank == 5 ? axis >= 2 : axis >= s->rank - 2;
}

static void extent_fits(an_checker *c, const an_value *v, const char *what)
{
    const an_shape *s = &v->type->shape;
    for (int i = 0; i < s->rank; i++) {
        int64_t most = 65536;
        if (an_check_is_old(c) && is_spatial(s, i)) most = 16384;
        if (s->dims[i] > most)
            an_breach_at(c, v->line, v->column,
                         "%s '%s': axis %d has %lld, expected at most %lld",
                         what, v->name, i, (long long)s->dims[i],
                         (long long)most);
    }
}

static void extents_fit(an_checker *c)
{
    an_check_tensors(c, extent_fits);
}

static const an_op *const broadcasting[] = {
    &an_op_add,     &an_op_sub,     &an_op_mul, &an_op_real_div,
    &an_op_maximum, &an_op_minimum, NULL};

static bool is_matrix(const an_shape *s)
{
    return s->rank == 3 && s->dims[2] > 0;
}

/* [1, C, S] with [1, C, 1], or two depths in rank 5. */
static void broadcast_works(an_checker *c, const an_node *n)
{
    const an_shape *x = &an_node_tensor(n, 0)->type->shape;
    const an_shape *y = &an_node_tensor(n, 1)->type->shape;
    if (is_matrix(x) && is_matrix(y) && x->dims[1] == y->dims[1] &&
        x->dims[2] != y->dims[2])
        an_check_fail(c, n, "[1, C, S] meets [1, C, 1]");
    if (x->rank == 5 && y->rank == 5 && x->dims[2] != y->dims[2])
        an_check_fail(c, n, "broadcasts along depth");
}

static void broadcasts_work(an_checker *c)
{
    for (int i = 0; broadcasting[i]; i++)
        an_check_each(c, broadcasting[i], broadcast_works);
}

static void batches_are_alike(an_checker *c, const an_node *n)
{
    const an_shape *x = &an_node_tensor(n, 0)->type->shape;
    const an_shape *y = &an_node_tensor(n, 1)->type->shape;
    if (x->rank > 1 && x->rank == y->rank && x->dims[0] != y->dims[0])
        an_check_fail(c, n, "broadcasts along the batch axis");
}

static void batches_meet(an_checker *c)
{
    for (int i = 0; broadcasting[i]; i++)
        an_check_each(c, broadcasting[i], batches_are_alike);
}

static void reshape_is_narrow(an_checker *c, const an_node *n)
{
    int64_t width = an_check_width(n->results[0]);
    if (width > 16384)
        an_breach_at(c, n->line, n->column,
                     "reshape: to rows of %lld, expected at most 16384",
                     (long long)width);
}

static void reshapes_are_narrow(an_checker *c)
{
    an_check_each(c, &an_op_reshape, reshape_is_narrow);
}

static void shape_entries(an_checker *c, const an_node *n)
{
    for (int i = 0; i < an_node_n(n, "shape"); i++)
        if (an_node_int_at(n, "shape", i) <= 0)
            an_breach_at(c, n->line, n->column,
                         "reshape: shape has the entry %lld",
                         (long long)an_node_int_at(n, "shape", i));
}

static void reshape_is_explicit(an_checker *c)
{
    an_check_each(c, &an_op_reshape, shape_entries);
}

static void rank5_before_matmul(an_checker *c, const an_node *n)
{
    for (int i = 0; i < 2; i++) {
        const an_value *v = an_node_tensor(n, i);
        if (v && v->def && an_op_is_form(v->def->op, &an_op_transpose) &&
            v->type->shape.rank == 5)
            an_breach_at(c, n->line, n->column,
                         "matmul: an operand is a rank-5 transpose");
    }
}

static void transpose_is_small(an_checker *c)
{
    an_check_each(c, &an_op_matmul, rank5_before_matmul);
}

static void concat_form(an_checker *c, const an_node *n)
{
    if (an_node_n_tensors(n) < 2)
        an_breach_at(c, n->line, n->column, "concat: fewer than 2 values");
    if (an_node_int(n, "axis") < 0)
        an_breach_at(c, n->line, n->column, "concat: axis is %lld",
                     (long long)an_node_int(n, "axis"));
}

static void concat_is_plain(an_checker *c)
{
    an_check_each(c, &an_op_concat, concat_form);
}

static void pad_form(an_checker *c, const an_node *n)
{
    an_str mode = an_node_string(n, "mode");
    if (strcmp(mode.text, "constant") != 0)
        an_breach_at(c, n->line, n->column, "pad: mode is %s", mode.text);
    else if (an_node_real(n, "constant_val") != 0)
        an_breach_at(c, n->line, n->column, "pad: constant_val is %g",
                     an_node_real(n, "constant_val"));
}

static void pad_is_spatial(an_checker *c, const an_node *n)
{
    int rank = an_node_tensor(n, 0)->type->shape.rank, k = an_node_n(n, "pad");
    int first = rank - k / 2; /* axes before it have no pad */
    for (int i = 0; i < k; i++)
        if (first + i / 2 < rank - 2 && an_node_int_at(n, "pad", i) != 0) {
            an_check_fail(c, n, "pads channels or the batch");
            return;
        }
}

static void pads_are_spatial(an_checker *c)
{
    an_check_each(c, &an_op_pad, pad_is_spatial);
}

static void pad_is_zero(an_checker *c)
{
    an_check_each(c, &an_op_pad, pad_form);
}

// clang-format off
const an_rule an_rules_shapes[] = {
    {"R-50", "no broadcast of [1,C,S] by [1,C,1], none along depth",
     "Z W", AN_WARN, AN_GEN_M1, "reshape to rank 4; tile on the host", "ane-train (M1), ane-guide", broadcasts_work, NULL},
    {"R-50a", "no broadcast along the batch axis",
     "W", AN_WARN, AN_GEN_M3, "operands of one batch", "skyfallsin (M3 Max), in long programs; later blamed on tile", batches_meet, NULL},
    {"R-51", "every tensor has at most 5 axes, a linear's operand 4",
     "C1", AN_ERROR, AN_GEN_ALL, "merge axes", "ane-guide, 751K study, ironmill", ranks_fit, NULL},
    {"R-52", "no axis is longer than 65536",
     "C1", AN_ERROR, AN_GEN_NEW, "split", "751K study (M4: 65537 refused), ane-guide, ANEForge", extents_fit, NULL},
    {"R-52a", "width and height are at most 16384, other axes 65536",
     "C1", AN_ERROR, AN_GEN_OLD, "split", "ane-guide, ANEForge, ironmill (A13 to A15)", extents_fit, NULL},
    {"R-53", "a transpose moves no axis longer than R-52 allows",
     "C1", AN_NOTE, AN_GEN_ALL, "split", "mixed: ane-guide 16384 or 65536, ANEForge up to 2^23", NULL, "R-52, R-52a: such an axis is refused whoever moves it"},
    {"R-54", "a reshape makes rows of at most 16384",
     "X C1", AN_WARN, AN_GEN_ALL, "shorter rows", "ANEForge (e5rt, M1 to M5): [1,100352] dies; skyfallsin", reshapes_are_narrow, NULL},
    {"R-55", "reshape writes every entry, none zero or negative",
     "C1", AN_WARN, AN_GEN_ALL, "full sizes", "inferred", reshape_is_explicit, NULL},
    {"R-56", "no rank-5 transpose feeds a matmul",
     "C1", AN_WARN, AN_GEN_M1, "transpose flags of matmul", "ane-guide (A13)", transpose_is_small, NULL},
    {"R-57", "slices are constant and inside bounds",
     "C1", AN_ERROR, AN_GEN_ALL, NULL, "751K study, ANEForge", NULL, "shape rules of slice_by_size and slice_by_index"},
    {"R-58", "concat has at least 2 values and a positive axis",
     "C1", AN_ERROR, AN_GEN_ALL, NULL, "ane-guide, dev-erik/ANE", concat_is_plain, NULL},
    {"R-59", "pad fills with the constant 0",
     "C1", AN_WARN, AN_GEN_M1, "concat with zeros, slices", "ane-guide, ANEForge", pad_is_zero, NULL},
    {"R-59a", "pad fills width and height alone",
     "C1", AN_WARN, AN_GEN_M1, "concat with zeros", "mixed: ane-guide: Channel padding is not supported on ANE; qwen-ane pads channels (M5 Max)", pads_are_spatial, NULL},
    {NULL},
};
// clang-format on
