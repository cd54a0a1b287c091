/*
 * Reverse-mode differentiation: one walk over the forward nodes from the last
 * to the first. Each node's row turns the adjoints of its results into
 * contributions to the adjoints of its operands; contributions are summed when
 * the walk reaches the value's own node. Forward values that the rules ask for
 * are constants, parameters, taps, or computed again.
 *
 * The backward function is first built with everything that the rules built,
 * then extracted, so that what nobody reads is gone before taps are decided.
 */
#include "anemone/grad.h"

#include "base/alloc.h"
#include "mil/emit.h"
#include "mil/extract.h"
#include "mil/op.h"
#include "ops/ops.h"

#include <assert.h>
#include <string.h>

/* The contributions to one adjoint, newest first. */
typedef struct term {
    an_value *value;
    struct term *next;
    bool part; /* value covers a box of the adjoint, at begin */
    int64_t begin[AN_MAX_RANK];
} term;

typedef struct product_list {
    const char *param;
    an_value *adjoint; /* in the raw backward function */
    an_value *forward; /* in the forward function */
    bool adjoint_left, transpose_left, transpose_right;
    struct product_list *next;
} product_list;

typedef struct walk {
    an_vjp vjp; /* first: rules get a pointer to it */
    const an_function *f;
    const an_grad_options *o;
    an_builder *b;      /* of the raw backward function */
    an_arena arena;     /* terms, products, names */
    bool *varying;      /* by forward id: depends on a parameter of wrt */
    term **terms;       /* by forward id */
    an_value **adjoint; /* by forward id: the sum, once asked for */
    an_value **map;     /* by forward id: the value in the backward function */
    an_value **stack;   /* for computing again; grows */
    size_t stack_size, stack_capacity;
    product_list *products; /* in the order of discovery, last first */
    an_status status;       /* of bookkeeping; builders keep their own */
} walk;

static bool listed(const char *name, const char *const *list, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0) return true;
    return false;
}

static bool is_float(an_dtype d)
{
    return d == AN_FP16 || d == AN_FP32 || d == AN_FP64 || d == AN_BF16;
}

/* May this value be kept for the backward function? */
static bool is_tap(const walk *w, const an_value *v)
{
    if (w->o->taps) return listed(v->name, w->o->taps, w->o->n_taps);
    an_op_class c = v->def->op->cls;
    return c == AN_CLASS_CONTRACTION || c == AN_CLASS_REDUCTION ||
           c == AN_CLASS_OTHER;
}

static void out_of_memory(walk *w)
{
    w->status = AN_ENOMEM;
}

/* ---- forward values inside the backward function ---- */

typedef struct missing {
    walk *w;
    bool any;
} missing;

static void push(walk *w, an_value *v)
{
    if (!an_grow(&w->stack, &w->stack_capacity, w->stack_size,
                 sizeof *w->stack)) {
        out_of_memory(w);
        return;
    }
    w->stack[w->stack_size++] = v;
}

static void push_missing(void *ctx, an_value *v)
{
    missing *m = ctx;
    if (!v->name || m->w->map[v->id]) return;
    m->any = true;
    push(m->w, v);
}

/* v, which was given this name: ports are bound by name, so none may have got
 * a suffix. */
static an_value *as_port(walk *w, an_value *v, const char *name)
{
    if (v && strcmp(v->name, name) != 0)
        return an_build_fail(w->b, AN_EINVAL,
                             "gradient: the name '%s' is taken in the backward "
                             "function",
                             name);
    return v;
}

static an_value *add_param(walk *w, const char *name, const an_shape *shape)
{
    return as_port(w, an_build_param(w->b, name, *shape), name);
}

/* Enters v into the map when nothing else must be computed for it. */
static bool enter_leaf(walk *w, an_value *v)
{
    if (v->literal) {
        w->map[v->id] = an_build_literal(w->b, v->name, v->literal);
    } else if (!v->def || is_tap(w, v)) {
        w->map[v->id] = add_param(w, v->name, &v->type->shape);
    } else {
        return false;
    }
    return true;
}

static an_value *get(an_vjp *vjp, const an_value *forward)
{
    walk *w = (walk *)vjp;
    if (!forward->name) /* an inline literal */
        return an_build_literal(w->b, NULL, forward->literal);
    an_value *v = forward->def ? forward->def->results[forward->result]
                               : an_function_value(w->f, forward->name);
    w->stack_size = 0;
    push(w, v);
    while (w->stack_size > 0 && w->status == AN_OK) {
        an_value *top = w->stack[w->stack_size - 1];
        if (w->map[top->id] || enter_leaf(w, top)) {
            w->stack_size--;
        } else {
            missing m = {w, false};
            an_node_operands(top->def, push_missing, &m);
            if (!m.any) an_build_copy(w->b, top->def, w->map);
        }
        if (an_build_status(w->b) != AN_OK) return NULL;
    }
    return w->status == AN_OK ? w->map[v->id] : NULL;
}

/* ---- adjoints ---- */

static bool wants(an_vjp *vjp, const an_value *forward)
{
    walk *w = (walk *)vjp;
    return forward->name && w->varying[forward->id];
}

static an_value *refuse(walk *w, const an_value *forward,
                        const an_value *adjoint)
{
    char want[96], came[96];
    return an_build_fail(
        w->b, AN_ETYPE, "gradient of %s: adjoint of %s is %s, expected %s",
        forward->def ? forward->def->op->name : "a parameter", forward->name,
        an_shape_text(&adjoint->type->shape, came, sizeof came),
        an_shape_text(&forward->type->shape, want, sizeof want));
}

static term *new_term(walk *w, const an_value *forward, an_value *adjoint)
{
    term *t = an_arena_alloc(&w->arena, sizeof *t);
    if (!t) {
        out_of_memory(w);
        return NULL;
    }
    t->value = adjoint;
    t->next = w->terms[forward->id];
    return w->terms[forward->id] = t;
}

static void add_term(walk *w, const an_value *forward, an_value *adjoint)
{
    if (!adjoint) return; /* the builder holds the error */
    if (an_shape_equal(&forward->type->shape, &adjoint->type->shape))
        new_term(w, forward, adjoint);
    else
        refuse(w, forward, adjoint);
}

static void add(an_vjp *vjp, const an_value *forward, an_value *adjoint)
{
    if (wants(vjp, forward)) add_term((walk *)vjp, forward, adjoint);
}

static void add_part(an_vjp *vjp, const an_value *forward, an_value *adjoint,
                     const int64_t *begin)
{
    walk *w = (walk *)vjp;
    if (!wants(vjp, forward) || !adjoint) return;
    const an_shape *whole = &forward->type->shape;
    const an_shape *box = &adjoint->type->shape;
    bool fits = box->rank == whole->rank && box->dtype == whole->dtype;
    for (int i = 0; fits && i < box->rank; i++)
        fits = begin[i] >= 0 && begin[i] + box->dims[i] <= whole->dims[i];
    if (!fits) {
        refuse(w, forward, adjoint);
        return;
    }
    term *t = new_term(w, forward, adjoint);
    if (!t) return;
    t->part = !an_shape_equal(whole, box);
    for (int i = 0; i < box->rank; i++)
        t->begin[i] = begin[i];
}

/* ---- sums ---- */

/* The axis along which a part is shorter than the whole, if it is one. */
static int part_axis(const term *t, const an_shape *whole)
{
    int axis = -1;
    for (int i = 0; i < whole->rank; i++) {
        if (t->value->type->shape.dims[i] == whole->dims[i]) continue;
        if (axis >= 0) return -1;
        axis = i;
    }
    return axis;
}

/* Takes the part that begins at `begin` of the axis out of the list. */
static term *take_part(term **list, const an_shape *whole, int axis,
                       int64_t begin)
{
    for (term **at = list; *at; at = &(*at)->next) {
        term *t = *at;
        if (!t->part || part_axis(t, whole) != axis || t->begin[axis] != begin)
            continue;
        *at = t->next;
        return t;
    }
    return NULL;
}

/* Replaces parts that tile the value by one concat, when they do. */
static void join_parts(walk *w, const an_value *v)
{
    const an_shape *whole = &v->type->shape;
    term *first = w->terms[v->id];
    while (first && !first->part)
        first = first->next;
    int axis = first ? part_axis(first, whole) : -1;
    if (axis < 0) return;
    enum { MOST = 64 };
    an_value *values[MOST];
    term *taken = NULL;
    int64_t at = 0;
    int n = 0;
    while (at < whole->dims[axis] && n < MOST) {
        term *t = take_part(&w->terms[v->id], whole, axis, at);
        if (!t) break;
        t->next = taken;
        taken = t;
        values[n++] = t->value;
        at += t->value->type->shape.dims[axis];
    }
    if (at == whole->dims[axis]) {
        add_term(w, v, an_emit_concat(w->b, n, values, axis));
        return;
    }
    while (taken) { /* put them back */
        term *t = taken;
        taken = t->next;
        t->next = w->terms[v->id];
        w->terms[v->id] = t;
    }
}

/* A contribution in the shape of the whole. */
static an_value *term_value(walk *w, const term *t, const an_shape *whole)
{
    int64_t after[AN_MAX_RANK];
    if (!t->part) return t->value;
    for (int i = 0; i < whole->rank; i++)
        after[i] = whole->dims[i] - t->begin[i] - t->value->type->shape.dims[i];
    return an_vjp_pad(&w->vjp, t->value, t->begin, after);
}

/* "d_" and the name; lives in the walk's arena. */
static const char *adjoint_name(walk *w, const an_value *v)
{
    const char *name = an_arena_printf(&w->arena, "d_%s", v->name);
    if (!name) out_of_memory(w);
    return name;
}

/* The sum of the contributions to v, named d_v; NULL when there are none.
 * A value that already is another's adjoint keeps that name. */
static an_value *adjoint_of(walk *w, const an_value *v)
{
    if (w->adjoint[v->id] || !w->terms[v->id]) return w->adjoint[v->id];
    join_parts(w, v);
    term *t = w->terms[v->id];
    if (!t) return NULL; /* the builder holds the error */
    an_value *sum = term_value(w, t, &v->type->shape);
    for (t = t->next; t; t = t->next)
        sum =
            an_emit_binary(w->b, "add", term_value(w, t, &v->type->shape), sum);
    const char *name = adjoint_name(w, v);
    if (sum && name && sum->def && strncmp(sum->name, "d_", 2) != 0)
        an_build_rename(w->b, sum, name);
    return w->adjoint[v->id] = sum;
}

/* ---- deferred contractions ---- */

/* A matrix keeps its rows under reshapes that leave the last axis alone. */
static an_value *matrix_source(an_value *v)
{
    an_view view;
    for (;;) {
        const an_node *n = v->def;
        if (!n || !n->op->view || !n->op->view(n, &view) ||
            view.kind != AN_VIEW_RESHAPE)
            return v;
        an_value *x = an_node_tensor(n, 0);
        const an_shape *a = &x->type->shape, *b = &v->type->shape;
        if (a->rank < 2 || b->rank < 2 ||
            a->dims[a->rank - 1] != b->dims[b->rank - 1])
            return v;
        v = x;
    }
}

/* All axes but the last two are ones. */
static bool is_matrix(const an_value *v)
{
    const an_shape *s = &v->type->shape;
    for (int i = 0; i < s->rank - 2; i++)
        if (s->dims[i] != 1) return false;
    return s->rank >= 2;
}

static bool defer(an_vjp *vjp, const an_value *operand,
                  const an_product *product)
{
    walk *w = (walk *)vjp;
    if (!operand->name || operand->def ||
        !listed(operand->name, w->o->deferred, w->o->n_deferred) ||
        !product->adjoint || !is_matrix(product->adjoint) ||
        !is_matrix(product->forward))
        return false;
    product_list *p = an_arena_alloc(&w->arena, sizeof *p);
    if (!p) {
        out_of_memory(w);
        return true;
    }
    p->param = operand->name;
    p->adjoint = product->adjoint;
    p->forward = matrix_source(product->forward);
    p->adjoint_left = product->adjoint_left;
    p->transpose_left = product->transpose_left;
    p->transpose_right = product->transpose_right;
    p->next = w->products;
    w->products = p;
    return true;
}

/* ---- the walk ---- */

typedef struct varying_ctx {
    const bool *varying;
    bool any;
} varying_ctx;

static void visit_varying(void *ctx, an_value *v)
{
    varying_ctx *c = ctx;
    if (v->name && c->varying[v->id]) c->any = true;
}

static an_status mark_varying(walk *w, an_error *err)
{
    for (int i = 0; i < w->o->n_wrt; i++) {
        an_value *p = an_function_value(w->f, w->o->wrt[i]);
        if (!p || p->def || p->literal)
            return an_fail(err, AN_EINVAL, "%s: no parameter is called '%s'",
                           w->f->name, w->o->wrt[i]);
        w->varying[p->id] = true;
    }
    for (int i = 0; i < w->f->n_nodes; i++) {
        const an_node *n = w->f->nodes[i];
        varying_ctx c = {w->varying, false};
        an_node_operands(n, visit_varying, &c);
        for (int r = 0; r < n->n_results; r++) {
            const an_value *v = n->results[r];
            w->varying[v->id] = c.any && v->type->kind == AN_TYPE_TENSOR &&
                                is_float(v->type->shape.dtype) &&
                                !listed(v->name, w->o->stops, w->o->n_stops);
        }
    }
    return AN_OK;
}

static void seed_results(walk *w)
{
    for (int i = 0; i < w->f->n_results; i++) {
        const an_value *v = w->f->results[i];
        const char *name = adjoint_name(w, v);
        if (!name || !is_float(v->type->shape.dtype)) continue;
        an_value *d = add_param(w, name, &v->type->shape);
        if (w->varying[v->id]) add_term(w, v, d);
    }
}

static an_status differentiate_node(walk *w, const an_node *n, an_error *err)
{
    bool any = false;
    size_t bytes = (size_t)n->n_results * sizeof(an_value *);
    an_value **dy = an_arena_alloc(&w->arena, bytes ? bytes : 1);
    if (!dy) return an_fail(err, AN_ENOMEM, "gradient: no memory");
    for (int r = 0; r < n->n_results; r++) {
        const an_value *v = n->results[r];
        if (w->varying[v->id]) dy[r] = adjoint_of(w, v);
        any = any || dy[r];
    }
    if (!any || an_build_status(w->b) != AN_OK) return AN_OK;
    if (!n->op->grad)
        return an_node_fail(n, err, AN_EUNSUPPORTED, "has no gradient: %s",
                            n->op->no_grad ? n->op->no_grad
                                           : "it has no kernel either");
    w->vjp.node = n;
    w->vjp.dy = dy;
    n->op->grad(&w->vjp);
    return AN_OK;
}

/* The adjoint of a parameter as a value that may be returned as d_<param>. */
static an_value *param_result(walk *w, an_value *p)
{
    an_value *d = adjoint_of(w, p);
    const char *name = adjoint_name(w, p);
    if (!name || an_build_status(w->b) != AN_OK) return NULL;
    if (d && strcmp(d->name, name) == 0) return d;
    if (d)
        d = an_emit_binary(w->b, "mul", d,
                           an_build_float(w->b, d->type->shape.dtype, 1.0));
    else
        d = an_emit_scale(w->b, get(&w->vjp, p), 0.0);
    if (d) an_build_rename(w->b, d, name);
    return as_port(w, d, name);
}

static bool has_product(const walk *w, const char *param)
{
    for (const product_list *p = w->products; p; p = p->next)
        if (strcmp(p->param, param) == 0) return true;
    return false;
}

static an_status run_walk(walk *w, an_error *err)
{
    an_status s = mark_varying(w, err);
    if (s != AN_OK) return s;
    seed_results(w);
    for (int i = w->f->n_nodes - 1; i >= 0; i--) {
        s = differentiate_node(w, w->f->nodes[i], err);
        if (s != AN_OK) return s;
        if (w->status != AN_OK)
            return an_fail(err, w->status, "gradient: no memory");
    }
    return AN_OK;
}

/* ---- results: the two functions and the contractions ---- */

static bool contains(const an_value *v, an_value *const *list, int n)
{
    for (int i = 0; i < n; i++)
        if (list[i] == v) return true;
    return false;
}

/* What the backward function returns, into list. */
static int backward_results(walk *w, an_value **list)
{
    int n = 0;
    for (int i = 0; i < w->o->n_wrt; i++) {
        an_value *p = an_function_value(w->f, w->o->wrt[i]);
        if (has_product(w, p->name) && !w->terms[p->id]) continue;
        an_value *d = param_result(w, p);
        if (d) list[n++] = d;
    }
    for (product_list *p = w->products; p; p = p->next) {
        an_value *d = matrix_source(p->adjoint);
        if (d->def && !contains(d, list, n)) list[n++] = d;
    }
    return n;
}

static const char *keep_name(an_module *m, const char *name)
{
    return an_arena_strndup(&m->arena, name, strlen(name));
}

static an_status fill_contractions(walk *w, an_gradient *g, an_error *err)
{
    int n = 0;
    for (product_list *p = w->products; p; p = p->next)
        n++;
    g->contractions = an_alloc_array((size_t)n + 1, sizeof *g->contractions);
    if (!g->contractions) return an_fail(err, AN_ENOMEM, "gradient: no memory");
    g->n_contractions = n;
    for (product_list *p = w->products; p; p = p->next) {
        an_contraction *c = &g->contractions[--n];
        const char *a = keep_name(g->module, matrix_source(p->adjoint)->name);
        const char *f = keep_name(g->module, p->forward->name);
        c->param = keep_name(g->module, p->param);
        if (!a || !f || !c->param)
            return an_fail(err, AN_ENOMEM, "gradient: no memory");
        c->left = p->adjoint_left ? a : f;
        c->right = p->adjoint_left ? f : a;
        c->transpose_left = p->transpose_left;
        c->transpose_right = p->transpose_right;
    }
    return AN_OK;
}

/* Forward values that backward reads or contractions take, and that forward
 * did not return already. */
static an_status fill_taps(walk *w, an_gradient *g, an_error *err)
{
    const an_function *back = an_module_function(g->module, "backward");
    size_t most = (size_t)back->n_params + (size_t)g->n_contractions + 1;
    g->taps = an_alloc_array(most, sizeof *g->taps);
    if (!g->taps) return an_fail(err, AN_ENOMEM, "gradient: no memory");
    for (int i = 0; i < back->n_params + g->n_contractions; i++) {
        int c = i - back->n_params;
        const char *name =
            c < 0 ? back->params[i]->name : g->contractions[c].left;
        for (int side = 0; side < (c < 0 ? 1 : 2); side++) {
            if (side) name = g->contractions[c].right;
            const an_value *v = an_function_value(w->f, name);
            bool returned = !v || !v->def;
            for (int r = 0; !returned && r < w->f->n_results; r++)
                returned = w->f->results[r] == v;
            if (!returned && !listed(name, g->taps, g->n_taps)) {
                g->taps[g->n_taps] = keep_name(g->module, name);
                if (!g->taps[g->n_taps++])
                    return an_fail(err, AN_ENOMEM, "gradient: no memory");
            }
        }
    }
    return AN_OK;
}

static an_status build_forward(walk *w, an_gradient *g, an_error *err)
{
    int n = 0;
    size_t most = (size_t)w->f->n_results + (size_t)g->n_taps + 1;
    const char **results = an_alloc_array(most, sizeof *results);
    if (!results) return an_fail(err, AN_ENOMEM, "gradient: no memory");
    for (int i = 0; i < w->f->n_results; i++)
        results[n++] = w->f->results[i]->name;
    for (int i = 0; i < g->n_taps; i++)
        results[n++] = g->taps[i];
    an_status s = an_extract(
        w->f, g->module,
        &(an_extraction){.name = "forward", .results = results, .n_results = n},
        err);
    an_free(results);
    return s;
}

/* Ends the raw function and copies what its results need. */
static an_status build_backward(walk *w, an_module *raw, an_gradient *g,
                                an_error *err)
{
    size_t most = (size_t)w->o->n_wrt + 1;
    for (product_list *p = w->products; p; p = p->next)
        most++;
    an_value **results = an_alloc_array(most, sizeof(an_value *));
    const char **names = an_alloc_array(most, sizeof(char *));
    an_status s = AN_ENOMEM;
    int n = 0;
    if (results && names) {
        n = backward_results(w, results);
        for (int i = 0; i < n; i++) {
            an_build_result(w->b, results[i]);
            names[i] = results[i]->name;
        }
        s = an_build_end(w->b, err);
        w->b = NULL;
    }
    if (s == AN_OK)
        s = an_extract(an_module_function(raw, "backward"), g->module,
                       &(an_extraction){.name = "backward",
                                        .results = names,
                                        .n_results = n},
                       err);
    an_free(results);
    an_free(names);
    return s == AN_OK ? s : an_fail(err, s, "gradient: no memory");
}

static an_status finish(walk *w, an_module *raw, an_gradient *g, an_error *err)
{
    an_status s = build_backward(w, raw, g, err);
    if (s == AN_OK) s = fill_contractions(w, g, err);
    if (s == AN_OK) s = fill_taps(w, g, err);
    if (s == AN_OK) s = build_forward(w, g, err);
    return s;
}

static bool init_walk(walk *w, const an_function *f, const an_grad_options *o)
{
    size_t n = (size_t)f->n_values + 1;
    w->f = f;
    w->o = o;
    an_arena_init(&w->arena);
    w->varying = an_alloc_array(n, sizeof *w->varying);
    w->terms = an_alloc_array(n, sizeof *w->terms);
    w->adjoint = an_alloc_array(n, sizeof *w->adjoint);
    w->map = an_alloc_array(n, sizeof *w->map);
    w->vjp.get = get;
    w->vjp.wants = wants;
    w->vjp.add = add;
    w->vjp.add_part = add_part;
    w->vjp.defer = defer;
    return w->varying && w->terms && w->adjoint && w->map;
}

static void fini_walk(walk *w)
{
    an_free(w->varying);
    an_free(w->terms);
    an_free(w->adjoint);
    an_free(w->map);
    an_free(w->stack);
    an_arena_fini(&w->arena);
}

void an_gradient_free(an_gradient *g)
{
    if (!g) return;
    an_module_free(g->module);
    an_free(g->taps);
    an_free(g->contractions);
    an_free(g);
}

an_status an_grad(const an_module *module, const char *function,
                  const an_grad_options *options, an_gradient **out,
                  an_error *err)
{
    const an_function *f = an_module_function(module, function);
    if (!f) return an_fail(err, AN_EINVAL, "no function '%s'", function);
    walk w = {.status = AN_OK};
    an_module *raw = NULL;
    an_gradient *g = an_alloc(sizeof *g);
    an_status s = AN_ENOMEM;
    if (!init_walk(&w, f, options) || !g) {
        an_fail(err, s, "gradient: no memory");
        goto out;
    }
    if ((s = an_module_new(&raw, err)) != AN_OK) goto out;
    if ((s = an_module_new(&g->module, err)) != AN_OK) goto out;
    s = an_build_begin(raw, "backward", f->opset, &w.b, err);
    if (s != AN_OK) goto out;
    an_build_prefix(w.b, "b_"); /* apart from forward names */
    w.vjp.b = w.b;
    s = run_walk(&w, err);
    if (s == AN_OK) s = finish(&w, raw, g, err);
    if (w.b) an_build_end(w.b, NULL);
    if (s == AN_OK) *out = g;
out:
    if (s != AN_OK) an_gradient_free(g);
    an_module_free(raw);
    fini_walk(&w);
    return s;
}
