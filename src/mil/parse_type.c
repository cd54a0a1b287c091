/*
 * Types in text. In both dialects a rank-0 tensor is the scalar.
 */
#include "mil/parse.h"

#include "mil/number.h"
#include "mil/type.h"

/* Strides and other sizes, at most. */
#define LIMIT AN_MAX_COUNT

bool an_parse_at_type(const an_parser *p)
{
    static const char *const makers[] = {"tensor", "list",  "tuple",
                                         "dict",   "state", "tensor_buffer"};
    const an_token *t = &p->token;
    an_dtype dtype;
    if (t->kind != AN_TOKEN_NAME) return false;
    an_token next = an_parse_peek(p);
    if (an_dtype_find(t->text, t->size, &dtype))
        return next.kind == AN_TOKEN_NAME || an_token_is_sign(&next, '(');
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (an_token_is(t, makers[i])) return an_token_is_sign(&next, '<');
    return false;
}

static bool parse_dtype(an_parser *p, an_dtype *out)
{
    const an_token *t = &p->token;
    if (t->kind != AN_TOKEN_NAME || !an_dtype_find(t->text, t->size, out))
        return an_parse_expected(p, "a type such as fp16");
    an_parse_next(p);
    return true;
}

/* digits | ? */
static bool parse_dim(an_parser *p, int64_t *out)
{
    bool fits = false;
    const an_token *t = &p->token;
    if (an_parse_accept(p, '?')) {
        *out = -1;
        return true;
    }
    if (t->kind != AN_TOKEN_NUMBER || *t->text == '-' ||
        !an_number_int(t->text, t->size, AN_INT64, out, &fits))
        return an_parse_expected(p, "a dimension");
    if (!fits || *out > LIMIT)
        return an_parse_fail(p, NULL, AN_EUNSUPPORTED,
                             "dimension %.*s is too large",
                             t->size < 40 ? (int)t->size : 40, t->text);
    an_parse_next(p);
    return true;
}

/* [ dim, .. ] */
static bool parse_dims(an_parser *p, int *rank, int64_t dims[AN_MAX_RANK])
{
    *rank = 0;
    if (!an_parse_sign(p, '[')) return false;
    if (an_parse_accept(p, ']')) return true;
    do {
        if (*rank == AN_MAX_RANK)
            return an_parse_fail(p, NULL, AN_EUNSUPPORTED, "rank is above %d",
                                 AN_MAX_RANK);
        if (!parse_dim(p, &dims[*rank])) return false;
        ++*rank;
    } while (an_parse_accept(p, ','));
    return an_parse_sign(p, ']');
}

static bool check_shape(an_parser *p, const an_token *at, const an_shape *s)
{
    return an_shape_valid(s) ||
           an_parse_fail(p, at, AN_EUNSUPPORTED, "tensor is too large");
}

/* What follows "tensor": < scalar , dims > */
static bool parse_tensor(an_parser *p, an_shape *out)
{
    an_token at = p->token;
    *out = (an_shape){0};
    return an_parse_sign(p, '<') && parse_dtype(p, &out->dtype) &&
           an_parse_sign(p, ',') && parse_dims(p, &out->rank, out->dims) &&
           an_parse_sign(p, '>') && check_shape(p, &at, out);
}

/* , name = dims */
static bool parse_named_dims(an_parser *p, const char *name, int *rank,
                             int64_t dims[AN_MAX_RANK])
{
    return an_parse_sign(p, ',') && an_parse_keyword(p, name) &&
           an_parse_sign(p, '=') && parse_dims(p, rank, dims);
}

/* What follows "tensor_buffer". */
static bool parse_buffer(an_parser *p, an_type *out)
{
    an_token at = p->token;
    out->kind = AN_TYPE_BUFFER;
    an_shape *s = &out->shape;
    return an_parse_sign(p, '<') && parse_dtype(p, &s->dtype) &&
           parse_named_dims(p, "shape", &s->rank, s->dims) &&
           parse_named_dims(p, "strides", &out->n_strides, out->strides) &&
           parse_named_dims(p, "interleave_factors", &out->n_interleave,
                            out->interleave) &&
           an_parse_sign(p, '>') && check_shape(p, &at, s);
}

/* < type, .. > with any number of types; then out->args. */
static bool parse_types(an_parser *p, an_type *out)
{
    size_t base = p->used;
    do {
        const an_type *arg = an_parse_type(p);
        if (!arg || !an_parse_push(p, &arg, sizeof arg)) return false;
        out->n_args++;
    } while (an_parse_accept(p, ','));
    out->args = an_parse_take(p, base);
    return out->args && an_parse_sign(p, '>');
}

/* < type , dim > */
static bool parse_list(an_parser *p, an_type *out)
{
    size_t base = p->used;
    const an_type *item = an_parse_type(p);
    if (!item || !an_parse_push(p, &item, sizeof item)) return false;
    out->kind = AN_TYPE_LIST;
    out->n_args = 1;
    out->args = an_parse_take(p, base);
    return out->args && an_parse_sign(p, ',') && parse_dim(p, &out->length) &&
           an_parse_sign(p, '>');
}

static bool parse_compound(an_parser *p, an_type *out)
{
    an_token at = p->token;
    an_parse_next(p);
    if (an_token_is(&at, "tensor_buffer")) return parse_buffer(p, out);
    if (!an_parse_sign(p, '<')) return false;
    if (an_token_is(&at, "list")) return parse_list(p, out);
    out->kind = an_token_is(&at, "tuple")  ? AN_TYPE_TUPLE
                : an_token_is(&at, "dict") ? AN_TYPE_DICT
                                           : AN_TYPE_STATE;
    if (!parse_types(p, out)) return false;
    if (out->kind == AN_TYPE_DICT && out->n_args != 2)
        return an_parse_fail(p, &at, AN_ESYNTAX,
                             "dict of %d types, expected key and value",
                             out->n_args);
    if (out->kind != AN_TYPE_STATE) return true;
    if (out->n_args != 1 || out->args[0]->kind != AN_TYPE_TENSOR)
        return an_parse_fail(p, &at, AN_ESYNTAX, "a state holds one tensor");
    out->shape = out->args[0]->shape;
    return true;
}

static const an_type *keep_tensor(an_parser *p, const an_shape *shape)
{
    const an_type *type = an_type_tensor(p->module, shape);
    if (!type) an_parse_fail(p, NULL, AN_ENOMEM, "no memory");
    return type;
}

/* tuple, list, dict, state, tensor_buffer */
static const an_type *keep_compound(an_parser *p)
{
    an_type *type = an_arena_alloc(&p->module->arena, sizeof *type);
    if (!type) {
        an_parse_fail(p, NULL, AN_ENOMEM, "no memory");
        return NULL;
    }
    if (!an_parse_enter(p)) return NULL;
    bool well = parse_compound(p, type);
    an_parse_leave(p);
    return well ? type : NULL;
}

const an_type *an_parse_type(an_parser *p)
{
    static const char *const compound[] = {"list", "tuple", "dict", "state",
                                           "tensor_buffer"};
    an_shape shape = {0};
    if (an_token_is(&p->token, "tensor")) {
        an_parse_next(p);
        return parse_tensor(p, &shape) ? keep_tensor(p, &shape) : NULL;
    }
    for (size_t i = 0; i < sizeof compound / sizeof *compound; i++)
        if (an_token_is(&p->token, compound[i])) return keep_compound(p);
    return parse_dtype(p, &shape.dtype) ? keep_tensor(p, &shape) : NULL;
}
