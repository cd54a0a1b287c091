#include "chip/check.h"

#include "mil/extract.h"

const an_op *const an_check_reductions[] = {&an_op_reduce_sum,
                                            &an_op_reduce_mean,
                                            &an_op_reduce_max,
                                            &an_op_reduce_min,
                                            &an_op_reduce_prod,
                                            &an_op_reduce_sum_square,
                                            &an_op_reduce_l1_norm,
                                            &an_op_reduce_l2_norm,
                                            &an_op_reduce_log_sum,
                                            &an_op_reduce_log_sum_exp,
                                            NULL};

bool an_check_is(const an_node *n, const an_op *const *ops)
{
    for (int i = 0; ops[i]; i++)
        if (an_op_is_form(n->op, ops[i])) return true;
    return false;
}

bool an_check_made_by(const an_value *v, const an_op *const *ops)
{
    return v && v->def && an_check_is(v->def, ops);
}

void an_check_each(an_checker *c, const an_op *op, an_check_node_fn *visit)
{
    for (int i = 0; i < c->function->n_nodes; i++)
        if (an_op_is_form(c->function->nodes[i]->op, op))
            visit(c, c->function->nodes[i]);
}

void an_check_tensors(an_checker *c, an_check_value_fn *visit)
{
    const an_function *f = c->function;
    for (int i = 0; i < f->n_params; i++)
        if (f->params[i]->type->kind == AN_TYPE_TENSOR)
            visit(c, f->params[i], "input");
    for (int i = 0; i < f->n_nodes; i++) {
        const an_node *n = f->nodes[i];
        for (int r = 0; r < n->n_results && !an_check_is_const(n); r++)
            if (n->results[r]->type->kind == AN_TYPE_TENSOR)
                visit(c, n->results[r], "value");
    }
}

void an_check_ports(an_checker *c, an_check_value_fn *visit)
{
    const an_function *f = c->function;
    for (int i = 0; i < f->n_params; i++)
        if (f->params[i]->type->kind == AN_TYPE_TENSOR)
            visit(c, f->params[i], "input");
    for (int i = 0; i < f->n_results; i++)
        if (f->results[i]->type->kind == AN_TYPE_TENSOR)
            visit(c, f->results[i], "output");
}

typedef struct count_uses {
    const an_value *value;
    int n;
} count_uses;

static void count_use(void *ctx, an_value *v)
{
    count_uses *u = ctx;
    u->n += v == u->value;
}

int an_check_uses(const an_function *f, const an_value *v)
{
    count_uses u = {v, 0};
    for (int i = 0; i < f->n_nodes; i++)
        an_node_operands(f->nodes[i], count_use, &u);
    return u.n;
}

bool an_check_is_result(const an_function *f, const an_value *v)
{
    for (int i = 0; i < f->n_results; i++)
        if (f->results[i] == v) return true;
    return false;
}

bool an_check_is_const(const an_node *n)
{
    return n->op->cls == AN_CLASS_CONST;
}

bool an_check_has_data(const an_value *v)
{
    return v && v->literal && v->literal->kind == AN_LIT_DATA;
}

bool an_check_is_constant(const an_value *v)
{
    return v && (v->literal || (v->def && an_check_is_const(v->def)));
}

bool an_check_known(const an_shape *s)
{
    for (int i = 0; i < s->rank; i++)
        if (s->dims[i] < 0) return false;
    return true;
}

int64_t an_check_width(const an_value *v)
{
    const an_shape *s = &v->type->shape;
    return s->rank > 0 ? s->dims[s->rank - 1] : 1;
}

void an_check_fail(an_checker *c, const an_node *n, const char *what)
{
    an_breach_at(c, n->line, n->column, "%s: %s", n->op->name, what);
}

bool an_check_is_old(const an_checker *c)
{
    return (c->rule->chips & AN_GEN_NEW) == 0;
}
