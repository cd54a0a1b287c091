/*
 * Constants of the builder. Equal ones are one const node, found by a hash of
 * type and bytes, as long as they are small enough to be looked at.
 */
#include "mil/build.h"

#include "base/alloc.h"
#include "mil/number.h"
#include "mil/type.h"

#include <stdio.h>
#include <string.h>

/* Bytes of a constant that is looked at for sharing, at most. */
#define SHARED_BYTES 65536

static const an_type *scalar_type(an_dtype dtype)
{
    return an_type_tensor(NULL, &AN_SCALAR(dtype));
}

static size_t data_bytes(const an_literal *l)
{
    return l->n * an_dtype_size(l->type->shape.dtype);
}

/* Tensors of floats may be weights: two that are equal today need not be so
 * after an update, and a text must not depend on it. */
static bool is_shareable(const an_literal *l)
{
    if (l->type->kind != AN_TYPE_TENSOR || l->kind == AN_LIT_ITEMS)
        return false;
    an_dtype d = l->type->shape.dtype;
    bool is_float =
        d == AN_FP16 || d == AN_FP32 || d == AN_FP64 || d == AN_BF16;
    if (l->kind == AN_LIT_DATA && is_float && l->n > 1) return false;
    return l->kind != AN_LIT_DATA || data_bytes(l) <= SHARED_BYTES;
}

static uint64_t hash_literal(const an_literal *l)
{
    const an_shape *s = &l->type->shape;
    uint64_t h = an_hash(AN_HASH_BEGIN, &s->dtype, sizeof s->dtype);
    h = an_hash(h, s->dims, (size_t)s->rank * sizeof s->dims[0]);
    if (l->kind == AN_LIT_DATA) return an_hash(h, l->data, data_bytes(l));
    if (l->kind == AN_LIT_STRINGS && l->n > 0)
        return an_hash(h, l->strings[0].text, l->strings[0].size);
    h = an_hash(h, l->path.text, l->path.size);
    return an_hash(h, &l->offset, sizeof l->offset);
}

/* The slot of an equal constant, or the free one where it belongs. */
static an_shared *probe(an_shared *slots, size_t capacity, uint64_t hash,
                        const an_literal *l)
{
    size_t i = (size_t)hash & (capacity - 1);
    while (slots[i].value && (slots[i].hash != hash || !l ||
                              !an_literal_equal(slots[i].value->literal, l)))
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static bool grow(an_builder *b)
{
    size_t capacity = b->cap_shared ? 2 * b->cap_shared : 64;
    an_shared *slots = an_alloc_array(capacity, sizeof *slots);
    if (!slots) return an_build_no_memory(b);
    for (size_t i = 0; i < b->cap_shared; i++)
        if (b->shared[i].value)
            *probe(slots, capacity, b->shared[i].hash, NULL) = b->shared[i];
    an_free(b->shared);
    b->shared = slots;
    b->cap_shared = capacity;
    return true;
}

an_value *an_build_inline_copy(an_builder *b, const an_literal *literal)
{
    if (b->err.code != AN_OK) return NULL;
    const an_literal *copy = an_literal_copy(b->module, literal);
    if (!copy) {
        an_build_no_memory(b);
        return NULL;
    }
    return an_build_inline(b, copy);
}

static an_value *add_const(an_builder *b, const char *name, const char *base,
                           const an_literal *literal)
{
    an_operand *args = NULL;
    an_node *node = an_build_node(b, an_ops[AN_OP_const], &args, 1);
    an_value *value = an_build_inline_copy(b, literal);
    if (!node || !value) return NULL;
    args[0] = (an_operand){.value = value, .given = true};
    return an_build_finish(b, node, name, base) ? node->results[0] : NULL;
}

/* A const of the literal, new or shared; `base` is used without a name. */
static an_value *build_const(an_builder *b, const char *name, const char *base,
                             const an_literal *literal)
{
    if (b->err.code != AN_OK) return NULL;
    if (!is_shareable(literal)) return add_const(b, name, base, literal);
    if (2 * b->n_shared >= b->cap_shared && !grow(b)) return NULL;
    uint64_t hash = hash_literal(literal);
    an_shared *slot = probe(b->shared, b->cap_shared, hash, literal);
    if (!slot->value) {
        an_value *value = add_const(b, name, base, literal);
        if (!value) return NULL;
        *slot = (an_shared){hash, value};
        b->n_shared++;
    }
    return slot->value;
}

an_value *an_build_literal(an_builder *b, const char *name,
                           const an_literal *literal)
{
    return build_const(b, name, "const", literal);
}

static an_value *build_data(an_builder *b, const char *name, const char *base,
                            const an_shape *shape, const void *data)
{
    an_type type = {.shape = *shape};
    an_literal literal = {.kind = AN_LIT_DATA,
                          .type = &type,
                          .n = (size_t)an_shape_count(shape),
                          .data = data};
    return build_const(b, name, base, &literal);
}

an_value *an_build_const(an_builder *b, const char *name, an_shape shape,
                         const void *data)
{
    if (b->err.code != AN_OK) return NULL;
    if (shape.dtype == AN_STRING || !an_shape_valid(&shape) ||
        !an_shape_known(&shape))
        return an_build_fail(b, AN_EINVAL, "%s: no shape for a constant",
                             name ? name : "const");
    return build_data(b, name, "const", &shape, data);
}

an_value *an_build_float(an_builder *b, an_dtype dtype, double x)
{
    double data = 0;
    if (!an_dtype_is_float(dtype))
        return an_build_fail(b, AN_EINVAL, "a float constant of type %s",
                             an_dtype_name(dtype));
    an_number_store_real(&data, dtype, 0, an_number_round(x, dtype));
    return build_data(b, NULL, "number", &AN_SCALAR(dtype), &data);
}

an_value *an_build_int(an_builder *b, int64_t x)
{
    char base[32];
    int32_t data = (int32_t)x;
    if (x != data)
        return an_build_fail(b, AN_EINVAL, "int %lld is beyond 32 bits",
                             (long long)x);
    snprintf(base, sizeof base, x < 0 ? "int_m%lld" : "int_%lld",
             (long long)(x < 0 ? -x : x));
    return build_data(b, NULL, base, &AN_SCALAR(AN_INT32), &data);
}

an_value *an_build_ints(an_builder *b, int n, const int64_t *x)
{
    int32_t few[2 * AN_MAX_RANK];
    if (n < 0 || n > 2 * AN_MAX_RANK)
        return an_build_fail(b, AN_EINVAL, "%d ints, at most %d", n,
                             2 * AN_MAX_RANK);
    for (int i = 0; i < n; i++) {
        few[i] = (int32_t)x[i];
        if (few[i] != x[i])
            return an_build_fail(b, AN_EINVAL, "int %lld is beyond 32 bits",
                                 (long long)x[i]);
    }
    return build_data(b, NULL, "ints", &AN_TENSOR(AN_INT32, n), few);
}

an_value *an_build_bool(an_builder *b, bool x)
{
    uint8_t data = x;
    return build_data(b, NULL, x ? "yes" : "no", &AN_SCALAR(AN_BOOL), &data);
}

an_value *an_build_string(an_builder *b, const char *text)
{
    an_str string = {text, strlen(text)};
    an_literal literal = {.kind = AN_LIT_STRINGS,
                          .type = scalar_type(AN_STRING),
                          .n = 1,
                          .strings = &string};
    char base[40];
    snprintf(base, sizeof base, "%s", text);
    for (char *p = base; *p; p++)
        if (*p == '@') *p = '_';
    return build_const(b, NULL,
                       an_is_identifier(base, strlen(base)) ? base : "text",
                       &literal);
}
