/* The numerics modes of the software engine; see numerics.h. */
#include "engine/soft/numerics.h"

#include "chip/numerics.h"
#include "mil/op.h"

#include <math.h>
#include <string.h>

an_status an_soft_numerics_of(an_numerics numerics, const char *chip,
                              an_soft_numerics *out, an_error *err)
{
    an_soft_numerics n = {.num = an_num_ieee};
    if (numerics == AN_NUMERICS_EXACT)
        n = (an_soft_numerics){.num = an_num_exact, .wide = true};
    if (numerics == AN_NUMERICS_HW) {
        n.chip = an_chip_numerics_find(chip);
        if (!n.chip)
            return an_fail(err, AN_EINVAL,
                           "numerics hw needs a chip, engine %s has none",
                           chip);
        an_num_hw_init(&n.num, n.chip);
    }
    *out = n;
    return AN_OK;
}

static bool is_float(an_dtype dtype)
{
    return dtype == AN_FP16 || dtype == AN_FP32 || dtype == AN_BF16;
}

an_dtype an_soft_stored(const an_soft_numerics *n, an_dtype declared)
{
    bool widened = n->wide || (n->chip && declared != AN_FP16);
    return widened && is_float(declared) ? AN_FP64 : declared;
}

/* A chip rounds what is no fp16. */
bool an_soft_keeps(const an_soft_numerics *n, an_dtype from, an_dtype to)
{
    if (n->chip && (is_float(from) || is_float(to)))
        return from == AN_FP16 && to == AN_FP16 &&
               n->chip->guess_moves_keep_patterns;
    return an_soft_stored(n, from) == an_soft_stored(n, to);
}

/* ---- rewriting ---- */

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "program: no memory");
}

static an_status make_silu(an_node *node, an_value *x, an_error *err)
{
    an_operand *arg =
        an_arena_alloc(&node->function->module->arena, sizeof *arg);
    if (!arg) return no_memory(err);
    *arg = (an_operand){.value = x, .given = true};
    node->op = &an_op_silu;
    node->args = arg;
    node->n_args = 1;
    return AN_OK;
}

static an_status fuse(an_function *f, an_error *err)
{
    an_arena *arena = &f->module->arena;
    size_t n = (size_t)f->n_values + 1;
    int *readers = an_arena_array(arena, n, sizeof *readers);
    an_value **silu = an_arena_array(arena, n, sizeof *silu);
    if (!readers || !silu) return no_memory(err);
    an_hw_find_silu(f, readers, silu);
    an_status s = AN_OK;
    for (int i = 0; i < f->n_nodes && s == AN_OK; i++) {
        an_node *node = f->nodes[i];
        an_value *x = node->n_results == 1 ? silu[node->results[0]->id] : NULL;
        if (x) s = make_silu(node, x, err);
    }
    return s;
}

/* A value's literal, with what the chip takes for 0 written as 0. */
static an_status flush_literal(const an_chip_numerics *chip, an_arena *arena,
                               an_value *v, an_error *err)
{
    const an_literal *l = v ? v->literal : NULL;
    if (!l || l->kind != AN_LIT_DATA || l->type->kind != AN_TYPE_TENSOR)
        return AN_OK;
    an_dtype dtype = l->type->shape.dtype;
    if (!is_float(dtype) && dtype != AN_FP64) return AN_OK;
    size_t size = an_dtype_size(dtype);
    unsigned char *data = NULL;
    for (size_t i = 0; i < l->n; i++) {
        double x = an_literal_real(l, i);
        if (x == an_hw_literal(chip, x) || isnan(x)) continue;
        if (!data) {
            an_literal *copy = an_arena_alloc(arena, sizeof *copy);
            data = an_arena_array(arena, l->n, size);
            if (!copy || !data) return no_memory(err);
            memcpy(data, l->data, l->n * size);
            *copy = *l;
            copy->data = data;
            v->literal = copy;
        }
        memset(data + i * size, 0, size);
    }
    return AN_OK;
}

static an_status flush_node(const an_chip_numerics *chip, const an_node *node,
                            an_error *err)
{
    an_arena *arena = &node->function->module->arena;
    an_status s = AN_OK;
    for (int i = 0; i < node->n_results && s == AN_OK; i++)
        s = flush_literal(chip, arena, node->results[i], err);
    for (int i = 0; i < node->n_args && s == AN_OK; i++) {
        const an_operand *arg = &node->args[i];
        s = flush_literal(chip, arena, arg->value, err);
        for (int k = 0; !arg->value && k < arg->n && s == AN_OK; k++)
            s = flush_literal(chip, arena, arg->items[k].value, err);
    }
    return s;
}

an_status an_soft_rewrite(const an_soft_numerics *n, an_function *f,
                          an_error *err)
{
    if (!n->chip) return AN_OK;
    an_status s = fuse(f, err);
    for (int i = 0; i < f->n_nodes && s == AN_OK && n->chip->flushes_literals;
         i++)
        s = flush_node(n->chip, f->nodes[i], err);
    return s;
}
