/* Making chains of element-wise nodes; see chain.h. */
#include "engine/soft/chain.h"

#include "engine/soft/table.h"

#include "ops/hw_table.h"

#include <math.h>
#include <string.h>

/* Fewer elements than this are evaluated one by one: a table costs as many
 * evaluations as there are fp16 values. */
enum { TABLE_COUNT = 4096 };

/* ---- the loop of a scalar function ---- */

typedef enum loop_grade {
    GRADE_NONE,  /* no loop */
    GRADE_KEEPS, /* the result is an operand, a bool or exact in the type */
    GRADE_EXACT, /* one rounding of the exact result */
    GRADE_NEAR,  /* within 2 ulp: for fp32 only */
} loop_grade;

typedef struct loop_row {
    loop_grade grade;
    an_loop loop;
} loop_row;

// clang-format off
static const loop_row loops[AN_SCALAR_COUNT] = {
    [AN_SCALAR_identity]      = {GRADE_KEEPS, AN_LOOP_COPY},
    [AN_SCALAR_relu]          = {GRADE_KEEPS, AN_LOOP_RELU},
    [AN_SCALAR_sigmoid]       = {GRADE_NEAR,  AN_LOOP_SIGMOID},
    [AN_SCALAR_silu]          = {GRADE_NEAR,  AN_LOOP_SILU},
    [AN_SCALAR_exp]           = {GRADE_NEAR,  AN_LOOP_EXP},
    [AN_SCALAR_sqrt]          = {GRADE_EXACT, AN_LOOP_SQRT},
    [AN_SCALAR_square]        = {GRADE_EXACT, AN_LOOP_SQUARE},
    [AN_SCALAR_abs]           = {GRADE_KEEPS, AN_LOOP_ABS},
    [AN_SCALAR_clip]          = {GRADE_KEEPS, AN_LOOP_CLIP},
    [AN_SCALAR_add]           = {GRADE_EXACT, AN_LOOP_ADD},
    [AN_SCALAR_sub]           = {GRADE_EXACT, AN_LOOP_SUB},
    [AN_SCALAR_mul]           = {GRADE_EXACT, AN_LOOP_MUL},
    [AN_SCALAR_real_div]      = {GRADE_EXACT, AN_LOOP_DIV},
    [AN_SCALAR_maximum]       = {GRADE_KEEPS, AN_LOOP_MAXIMUM},
    [AN_SCALAR_minimum]       = {GRADE_KEEPS, AN_LOOP_MINIMUM},
    [AN_SCALAR_equal]         = {GRADE_KEEPS, AN_LOOP_EQUAL},
    [AN_SCALAR_not_equal]     = {GRADE_KEEPS, AN_LOOP_NOT_EQUAL},
    [AN_SCALAR_less]          = {GRADE_KEEPS, AN_LOOP_LESS},
    [AN_SCALAR_less_equal]    = {GRADE_KEEPS, AN_LOOP_LESS_EQUAL},
    [AN_SCALAR_greater]       = {GRADE_KEEPS, AN_LOOP_GREATER},
    [AN_SCALAR_greater_equal] = {GRADE_KEEPS, AN_LOOP_GREATER_EQUAL},
    [AN_SCALAR_select]        = {GRADE_KEEPS, AN_LOOP_SELECT},
    /* on operands that are 0 or 1 */
    [AN_SCALAR_logical_and]   = {GRADE_KEEPS, AN_LOOP_MINIMUM},
    [AN_SCALAR_logical_or]    = {GRADE_KEEPS, AN_LOOP_MAXIMUM},
    [AN_SCALAR_logical_xor]   = {GRADE_KEEPS, AN_LOOP_NOT_EQUAL},
};
// clang-format on

static bool is_comparison(an_loop loop)
{
    return loop >= AN_LOOP_EQUAL && loop <= AN_LOOP_GREATER_EQUAL;
}

bool an_plan_chains(const an_plan *plan, const an_node *node)
{
    an_op_class cls = node->op->cls;
    an_view view;
    return (cls == AN_CLASS_UNARY || cls == AN_CLASS_BINARY) &&
           node->op->scalar != AN_SCALAR_NONE &&
           !an_plan_view(plan, node, &view);
}

/* ---- building ---- */

typedef struct build {
    an_plan *plan;
    an_chain *chain;
    const an_node *const *nodes;
    int n;
    const an_value **values; /* by register; NULL: a constant */
    bool wide;               /* fp64 registers */
} build;

static int new_reg(build *b, const an_value *v)
{
    b->values[b->chain->n_regs] = v;
    return b->chain->n_regs++;
}

static int constant_reg(build *b, double x)
{
    an_chain *c = b->chain;
    for (int i = 0; i < c->n_constants; i++)
        if (memcmp(&c->constants[i], &x, sizeof x) == 0)
            return c->constant_regs[i];
    c->constants[c->n_constants] = x;
    return c->constant_regs[c->n_constants++] = new_reg(b, NULL);
}

/* One number in the text. */
static bool scalar_literal(const an_value *v, double *out)
{
    const an_literal *l = v->literal;
    if (!l || l->kind != AN_LIT_DATA || l->n != 1) return false;
    an_dtype t = l->type->shape.dtype;
    bool is_float = t == AN_FP32 || t == AN_FP64 || t == AN_BF16;
    if (t == AN_FP16)
        *out = an_hw_load(*(const uint16_t *)l->data);
    else
        *out = is_float ? an_literal_real(l, 0) : (double)an_literal_int(l, 0);
    return true;
}

/* The register of a value: computed in the chain, or an input. */
static an_status value_reg(build *b, const an_value *v, int *out, an_error *err)
{
    an_chain *c = b->chain;
    for (int i = 0; i < c->n_regs; i++)
        if (b->values[i] == v) {
            *out = i;
            return AN_OK;
        }
    an_place p;
    an_status s = an_plan_operand(b->plan, v, &p, err);
    if (s != AN_OK) return s;
    const an_shape *shape = &b->nodes[0]->results[0]->type->shape;
    an_chain_port *in = &c->inputs[c->n_inputs++];
    an_place_broadcast(&p, shape->rank, shape->dims, &in->place);
    *out = in->reg = new_reg(b, v);
    an_plan_touch(b->plan, p.buffer);
    return AN_OK;
}

/* Operands of a node: tensors, then the constants of kind f. */
typedef struct operands {
    int n;
    const an_value *values[CHAIN_OPERANDS]; /* NULL: the constant */
    double constants[CHAIN_OPERANDS];
} operands;

static void read_operands(const an_node *node, operands *o)
{
    *o = (operands){.n = 0};
    int n = an_node_n_tensors(node);
    for (int i = 0; i < n && o->n < CHAIN_OPERANDS; i++, o->n++) {
        const an_value *v = an_node_tensor(node, i);
        bool constant = scalar_literal(v, &o->constants[o->n]);
        o->values[o->n] = constant ? NULL : v;
    }
    an_param p;
    for (int i = 0; an_op_param(node->op, i, &p); i++) {
        char name[32];
        if (p.kind != 'f' || o->n == CHAIN_OPERANDS ||
            p.name_size >= sizeof name)
            continue;
        memcpy(name, p.name, p.name_size);
        name[p.name_size] = 0;
        o->constants[o->n++] = an_node_real(node, name);
    }
}

static an_rounding rounding_of(const build *b, const an_calc *c,
                               loop_grade grade)
{
    if (b->plan->numerics->chip)
        return grade == GRADE_KEEPS ? AN_ROUND_NOT : AN_ROUND_HALF;
    bool to_float = c->to == AN_FP16 || c->to == AN_FP32 || c->to == AN_BF16;
    if (is_comparison(c->loop) || (grade == GRADE_KEEPS && c->of == c->to))
        return AN_ROUND_NOT;
    if (c->to == AN_FP64) return AN_ROUND_NOT;
    if (b->wide)
        return to_float && b->plan->numerics->wide ? AN_ROUND_NOT
                                                   : AN_ROUND_SCALAR;
    if (c->to == AN_FP32) return AN_ROUND_NOT;
    return c->to == AN_FP16 ? AN_ROUND_HALF : AN_ROUND_SCALAR;
}

/* A function of one fp16 tensor with enough elements for a table. */
static const uint16_t *table_of(const build *b, const an_node *node,
                                const operands *o)
{
    bool one = o->n > 0 && o->values[0];
    for (int i = 1; i < o->n; i++)
        one = one && !o->values[i];
    const an_shape *s = &node->results[0]->type->shape;
    bool chip = b->plan->numerics->chip;
    if (!one || (b->wide && !chip) || s->dtype != AN_FP16 ||
        o->values[0]->type->shape.dtype != AN_FP16 ||
        an_shape_count(s) < TABLE_COUNT)
        return NULL;
    return an_table_get(b->plan, node->op->scalar, o->constants[1],
                        o->constants[2]);
}

/* Does a loop with one rounding return what the chip would, as long as operands
 * are numbers or infinities? */
static bool loops_on_chip(const an_chip_numerics *chip, const operands *o,
                          const an_calc *c)
{
    if (chip->flushes_operands || an_hw_has_table(c->fn) ||
        (c->fn == AN_SCALAR_real_div && chip->guess_real_div != AN_WAY_EXACT))
        return false;
    bool truth = true; /* are all operands bools? */
    for (int i = 0; i < o->n; i++) {
        an_dtype t = o->values[i] ? o->values[i]->type->shape.dtype : c->of;
        if (t != AN_FP16 && t != AN_BOOL) return false;
        if (!o->values[i] && isnan(o->constants[i])) return false;
        truth = truth && t == AN_BOOL;
    }
    return c->to == AN_FP16 ||
           (c->to == AN_BOOL && (truth || is_comparison(loops[c->fn].loop)));
}

static bool has_loop(const build *b, const operands *o, const an_calc *c)
{
    const an_chip_numerics *chip = b->plan->numerics->chip;
    loop_grade grade = loops[c->fn].grade;
    if (grade == GRADE_NEAR) return c->to == AN_FP32 && !b->wide;
    return grade != GRADE_NONE && (!chip || loops_on_chip(chip, o, c));
}

static void choose_kind(const build *b, const an_node *node, const operands *o,
                        an_calc *c)
{
    const loop_row *row = &loops[c->fn];
    if (has_loop(b, o, c)) {
        c->kind = AN_CALC_LOOP;
        c->loop = row->loop;
        c->rounding = rounding_of(b, c, row->grade);
        return;
    }
    c->table = table_of(b, node, o);
    c->kind = c->table ? AN_CALC_TABLE : AN_CALC_SCALAR;
}

static an_status add_calc(build *b, const an_node *node, an_error *err)
{
    const an_num *num = &b->plan->numerics->num;
    operands o;
    read_operands(node, &o);
    an_calc *c = &b->chain->calcs[b->chain->n_calcs++];
    *c = (an_calc){.fn = node->op->scalar,
                   .n_in = o.n,
                   .in = {-1, -1, -1},
                   .of = an_node_tensor(node, 0)->type->shape.dtype,
                   .to = node->results[0]->type->shape.dtype};
    if (c->fn == AN_SCALAR_select) c->of = c->to;
    choose_kind(b, node, &o, c);
    for (int i = 0; i < o.n; i++) {
        c->constants[i] = o.constants[i];
        an_status s = AN_OK;
        if (o.values[i])
            s = value_reg(b, o.values[i], &c->in[i], err);
        else if (c->kind == AN_CALC_LOOP)
            c->in[i] = constant_reg(b, num->round(num, o.constants[i], c->of));
        if (s != AN_OK) return s;
    }
    c->out = new_reg(b, node->results[0]);
    return AN_OK;
}

/* Is a node's result read by anybody outside the chain? */
static bool is_read_outside(const build *b, const an_node *node)
{
    const an_value *v = node->results[0];
    int inside = 0;
    for (int i = 0; i < b->n; i++) {
        int n = an_node_n_tensors(b->nodes[i]);
        for (int k = 0; k < n; k++)
            inside += an_node_tensor(b->nodes[i], k) == v;
    }
    return b->plan->n_readers[v->id] > inside;
}

static an_status add_outputs(build *b, an_error *err)
{
    an_chain *c = b->chain;
    for (int i = 0; i < b->n; i++) {
        if (!is_read_outside(b, b->nodes[i])) continue;
        an_chain_port *out = &c->outputs[c->n_outputs++];
        out->reg = c->calcs[i].out;
        an_status s =
            an_plan_result(b->plan, b->nodes[i]->results[0], &out->place, err);
        if (s != AN_OK) return s;
        an_plan_touch(b->plan, out->place.buffer);
    }
    return AN_OK;
}

static bool is_fixed(const an_place *p)
{
    for (int i = 0; i < p->rank; i++)
        if (p->strides[i] != 0) return false;
    return true;
}

/* Places share few axes; inputs that are one value come first. */
static an_status simplify(build *b, an_error *err)
{
    an_chain *c = b->chain;
    size_t n = (size_t)(c->n_outputs + c->n_inputs);
    an_place **places = an_arena_array(b->plan->arena, n + 1, sizeof *places);
    if (!places) return an_plan_no_memory(err);
    for (int i = 0; i < c->n_outputs; i++)
        places[i] = &c->outputs[i].place;
    for (int i = 0; i < c->n_inputs; i++)
        places[c->n_outputs + i] = &c->inputs[i].place;
    an_places_simplify((int)n, places);
    for (int i = 0; i < c->n_inputs; i++) {
        if (!is_fixed(&c->inputs[i].place)) continue;
        an_chain_port fixed = c->inputs[i];
        c->inputs[i] = c->inputs[c->n_fixed];
        c->inputs[c->n_fixed++] = fixed;
    }
    return AN_OK;
}

static bool needs_wide(const an_plan *plan, const an_node *const *nodes, int n)
{
    for (int i = 0; i < n; i++) {
        int n_in = an_node_n_tensors(nodes[i]);
        for (int k = 0; k <= n_in; k++) {
            const an_value *v =
                k < n_in ? an_node_tensor(nodes[i], k) : nodes[i]->results[0];
            if (!an_fits_f32(an_plan_dtype(plan, v->type->shape.dtype)))
                return true;
        }
    }
    return plan->numerics->wide || plan->numerics->chip;
}

static an_status allocate(build *b, an_error *err)
{
    an_arena *arena = b->plan->arena;
    size_t n = (size_t)b->n, n_in = n * CHAIN_OPERANDS;
    an_chain *c = b->chain = an_plan_alloc(b->plan, sizeof *c);
    b->values = an_arena_array(arena, n + n_in, sizeof *b->values);
    if (!c || !b->values) return an_plan_no_memory(err);
    c->inputs = an_arena_array(arena, n_in, sizeof *c->inputs);
    c->outputs = an_arena_array(arena, n, sizeof *c->outputs);
    c->calcs = an_arena_array(arena, n, sizeof *c->calcs);
    c->constants = an_arena_array(arena, n_in, sizeof *c->constants);
    c->constant_regs = an_arena_array(arena, n_in, sizeof *c->constant_regs);
    bool all =
        c->inputs && c->outputs && c->calcs && c->constants && c->constant_regs;
    return all ? AN_OK : an_plan_no_memory(err);
}

static an_step_run *run_of(const build *b)
{
    if (b->plan->numerics->chip) return an_chain_run_hw;
    return b->wide ? an_chain_run_f64 : an_chain_run_f32;
}

an_status an_plan_add_chain(an_plan *plan, const an_node *const *nodes, int n,
                            an_error *err)
{
    build b = {.plan = plan, .nodes = nodes, .n = n};
    b.wide = needs_wide(plan, nodes, n);
    an_status s = allocate(&b, err);
    for (int i = 0; i < n && s == AN_OK; i++)
        s = add_calc(&b, nodes[i], err);
    if (s == AN_OK) s = add_outputs(&b, err);
    if (s == AN_OK) s = simplify(&b, err);
    if (s != AN_OK) return s;
    an_chain *c = b.chain;
    c->numerics = plan->numerics;
    c->num = &plan->numerics->num;
    c->kernels = an_kernels();
    c->walk = an_walk_of(&c->outputs[0].place, CHAIN_BLOCK);
    size_t size = b.wide ? sizeof(double) : sizeof(float);
    c->step =
        (an_step){.run = run_of(&b),
                  .kind = "chain",
                  .n_phases = 1,
                  .tiles = {an_walk_tiles(&c->walk)},
                  .scratch_bytes = (size_t)c->n_regs * CHAIN_BLOCK * size};
    return an_plan_append(plan, &c->step) ? AN_OK : an_plan_no_memory(err);
}
