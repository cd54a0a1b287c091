/*
 * Typed literals. What stands inside follows the type, so nothing is guessed:
 * nested brackets as deep as the rank (or one flat list whose count fits),
 * numbers rounded once to the element type, weight file references.
 */
#include "mil/parse.h"

#include "mil/number.h"
#include "mil/type.h"

#include <string.h>

static const an_literal *parse_value(an_parser *p, const an_type *type);

static int cut(const an_token *t)
{
    return t->size < 40 ? (int)t->size : 40;
}

static bool push_bool(an_parser *p)
{
    uint8_t x = an_token_is(&p->token, "true");
    if (!x && !an_token_is(&p->token, "false"))
        return an_parse_expected(p, "true or false");
    return an_parse_push(p, &x, 1);
}

static bool push_int(an_parser *p, an_dtype dtype)
{
    const an_token *t = &p->token;
    int64_t x = 0, stored = 0;
    bool fits = false;
    if (t->kind != AN_TOKEN_NUMBER ||
        !an_number_int(t->text, t->size, dtype, &x, &fits))
        return an_parse_expected(p, "an integer");
    if (!fits)
        return an_parse_fail(p, NULL, AN_ETYPE, "%.*s does not fit %s", cut(t),
                             t->text, an_dtype_name(dtype));
    an_number_store_int(&stored, dtype, 0, x);
    return an_parse_push(p, &stored, an_dtype_size(dtype));
}

static bool push_real(an_parser *p, an_dtype dtype)
{
    const an_token *t = &p->token;
    double x = 0, stored = 0;
    bool number = t->kind == AN_TOKEN_NUMBER || an_token_is(t, "inf") ||
                  an_token_is(t, "nan");
    if (!number || !an_number_real(t->text, t->size, dtype, &x))
        return an_parse_expected(p, "a number");
    an_number_store_real(&stored, dtype, 0, x);
    return an_parse_push(p, &stored, an_dtype_size(dtype));
}

/* The character that a backslash and `c` stand for. */
static char unescape(char c)
{
    return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
}

static bool push_string(an_parser *p)
{
    const an_token *t = &p->token;
    if (t->kind != AN_TOKEN_STRING) return an_parse_expected(p, "a string");
    char *text = an_arena_strndup(&p->module->arena, t->text, t->size);
    if (!text) return an_parse_fail(p, NULL, AN_ENOMEM, "no memory");
    size_t size = 0;
    for (size_t i = 0; i < t->size; i++) {
        bool escaped = text[i] == '\\' && i + 1 < t->size;
        if (escaped) i++;
        text[size++] = escaped ? unescape(text[i]) : text[i];
    }
    text[size] = 0;
    an_str string = {text, size};
    return an_parse_push(p, &string, sizeof string);
}

/* Pushes one element of a tensor and moves behind it. */
static bool parse_element(an_parser *p, an_dtype dtype)
{
    bool well = dtype == AN_BOOL           ? push_bool(p)
                : dtype == AN_STRING       ? push_string(p)
                : an_dtype_is_float(dtype) ? push_real(p, dtype)
                                           : push_int(p, dtype);
    if (well) an_parse_next(p);
    return well;
}

/* One level of brackets, `axis` levels deep in `shape`, whose unknown
 * dimension is set when it is first met. *n counts elements. */
static bool parse_level(an_parser *p, an_shape *shape, int axis, bool flat,
                        int64_t *n)
{
    int64_t items = 0;
    an_token at = p->token;
    if (!an_parse_sign(p, '[')) return false;
    while (!an_token_is_sign(&p->token, ']')) {
        if (items > 0 && !an_parse_sign(p, ',')) return false;
        bool deeper = !flat && axis + 1 < shape->rank;
        if (deeper ? !parse_level(p, shape, axis + 1, flat, n)
                   : !parse_element(p, shape->dtype))
            return false;
        *n += !deeper;
        items++;
    }
    an_parse_next(p);
    if (flat) return true;
    if (shape->dims[axis] < 0) shape->dims[axis] = items;
    if (items != shape->dims[axis])
        return an_parse_fail(
            p, &at, AN_ETYPE, "%lld values, axis %d of the type has %lld",
            (long long)items, axis, (long long)shape->dims[axis]);
    return true;
}

static int unknown_dims(const an_shape *s)
{
    int n = 0;
    for (int i = 0; i < s->rank; i++)
        n += s->dims[i] < 0;
    return n;
}

/* Elements are written flat, without brackets of inner axes. */
static bool is_flat(const an_parser *p, const an_shape *s)
{
    an_token next = an_parse_peek(p);
    bool empty = an_token_is_sign(&next, ']');
    bool nested = an_token_is_sign(&next, '[');
    return s->rank > 1 && unknown_dims(s) == 0 &&
           (empty ? s->dims[0] != 0 : !nested);
}

/* All elements, pushed; *n counts them. */
static bool parse_elements(an_parser *p, const an_type *type, int64_t *n)
{
    an_shape shape = type->shape;
    an_token at = p->token;
    if (unknown_dims(&shape) > 1)
        return an_parse_fail(p, NULL, AN_EUNSUPPORTED,
                             "a value with more than one unknown dimension");
    if (shape.rank == 0 || !an_token_is_sign(&p->token, '[')) {
        if (!parse_element(p, shape.dtype)) return false;
        *n = 1;
    } else if (!parse_level(p, &shape, 0, is_flat(p, &shape), n)) {
        return false;
    }
    if (unknown_dims(&shape) == 0 && *n != an_shape_count(&shape))
        return an_parse_fail(p, &at, AN_ETYPE, "%lld values, the type has %lld",
                             (long long)*n, (long long)an_shape_count(&shape));
    return true;
}

static bool parse_tensor(an_parser *p, an_literal *out)
{
    int64_t n = 0;
    size_t base = p->used;
    if (!parse_elements(p, out->type, &n)) return false;
    out->n = (size_t)n;
    void *data = an_parse_take(p, base);
    if (out->type->shape.dtype == AN_STRING) {
        out->kind = AN_LIT_STRINGS;
        out->strings = data;
    } else {
        out->kind = AN_LIT_DATA;
        out->data = data;
    }
    return data != NULL;
}

/* name = literal, which must have one element. */
static const an_literal *parse_field(an_parser *p, const char *name)
{
    if (!an_parse_keyword(p, name) || !an_parse_sign(p, '=')) return NULL;
    an_token at = p->token;
    const an_literal *l = an_parse_literal(p);
    if (!l) return NULL;
    bool scalar = l->type->kind == AN_TYPE_TENSOR && l->type->shape.rank == 0;
    if (scalar && (l->kind == AN_LIT_DATA || l->kind == AN_LIT_STRINGS))
        return l;
    an_parse_fail(p, &at, AN_ETYPE, "%s of a BLOBFILE is no scalar", name);
    return NULL;
}

/* BLOBFILE(path = string(".."), offset = uint64(..)) */
static bool parse_blob(an_parser *p, an_literal *out)
{
    an_token at = p->token;
    const an_shape *shape = &out->type->shape;
    an_parse_next(p);
    const an_literal *path = NULL, *offset = NULL;
    if (!an_parse_sign(p, '(') || !(path = parse_field(p, "path")) ||
        !an_parse_sign(p, ',') || !(offset = parse_field(p, "offset")) ||
        !an_parse_sign(p, ')'))
        return false;
    an_dtype type = offset->type->shape.dtype;
    if (path->kind != AN_LIT_STRINGS || !an_dtype_is_int(type) ||
        (an_dtype_is_signed(type) && an_literal_int(offset, 0) < 0))
        return an_parse_fail(p, &at, AN_ETYPE,
                             "BLOBFILE wants a string and a uint64");
    if (shape->dtype == AN_STRING || !an_shape_known(shape))
        return an_parse_fail(p, &at, AN_ETYPE, "a weight file holds no %s",
                             shape->dtype == AN_STRING ? "strings"
                                                       : "unknown dimensions");
    out->kind = AN_LIT_BLOB;
    out->path = path->strings[0];
    out->offset = (uint64_t)an_literal_int(offset, 0);
    out->n = (size_t)an_shape_count(shape);
    return true;
}

static bool push_value(an_parser *p, const an_type *type, an_literal *out)
{
    const an_literal *item = parse_value(p, type);
    if (!item || !an_parse_push(p, &item, sizeof item)) return false;
    out->n++;
    return true;
}

/* ( value, .. ) or [ value, .. ]; a tuple's have a type each. */
static bool parse_sequence(an_parser *p, an_literal *out)
{
    const an_type *type = out->type;
    bool tuple = type->kind == AN_TYPE_TUPLE;
    bool round = tuple || an_token_is_sign(&p->token, '(');
    char close = round ? ')' : ']';
    an_token at = p->token;
    int64_t wanted = tuple ? type->n_args : type->length;
    if (!an_parse_sign(p, round ? '(' : '[')) return false;
    while (!an_token_is_sign(&p->token, close)) {
        if (out->n > 0 && !an_parse_sign(p, ',')) return false;
        if (tuple && out->n >= (size_t)type->n_args)
            return an_parse_expected(p, "the end of the tuple");
        if (!push_value(p, type->args[tuple ? out->n : 0], out)) return false;
    }
    an_parse_next(p);
    if (wanted >= 0 && out->n != (size_t)wanted)
        return an_parse_fail(p, &at, AN_ETYPE, "%zu values, the type has %lld",
                             out->n, (long long)wanted);
    return true;
}

/* { {key, value}, .. } */
static bool parse_dict(an_parser *p, an_literal *out)
{
    const an_type *const *types = out->type->args;
    if (!an_parse_sign(p, '{')) return false;
    while (!an_token_is_sign(&p->token, '}')) {
        if (out->n > 0 && !an_parse_sign(p, ',')) return false;
        if (!an_parse_sign(p, '{') || !push_value(p, types[0], out) ||
            !an_parse_sign(p, ',') || !push_value(p, types[1], out) ||
            !an_parse_sign(p, '}'))
            return false;
    }
    an_parse_next(p);
    return true;
}

static bool parse_items(an_parser *p, an_literal *out)
{
    size_t base = p->used;
    bool well = out->type->kind == AN_TYPE_DICT ? parse_dict(p, out)
                                                : parse_sequence(p, out);
    if (!well) return false;
    out->kind = AN_LIT_ITEMS;
    out->items = an_parse_take(p, base);
    return out->items != NULL;
}

static bool fill_value(an_parser *p, an_literal *out)
{
    switch (out->type->kind) {
    case AN_TYPE_TENSOR:
        return an_token_is(&p->token, "BLOBFILE") ? parse_blob(p, out)
                                                  : parse_tensor(p, out);
    case AN_TYPE_LIST:
    case AN_TYPE_TUPLE:
    case AN_TYPE_DICT:
        return parse_items(p, out);
    default:
        return an_parse_fail(p, NULL, AN_ETYPE,
                             "states and buffers have no literals");
    }
}

static const an_literal *new_value(an_parser *p, const an_type *type)
{
    an_literal *out = an_arena_alloc(&p->module->arena, sizeof *out);
    if (!out) an_parse_fail(p, NULL, AN_ENOMEM, "no memory");
    if (!out || !an_parse_enter(p)) return NULL;
    out->type = type;
    out->line = p->token.line;
    out->column = p->token.column;
    bool well = fill_value(p, out);
    an_parse_leave(p);
    return well ? out : NULL;
}

/* A number or bool: a literal that is there, or a new one. */
static const an_literal *parse_scalar(an_parser *p, const an_type *type)
{
    an_token at = p->token;
    size_t base = p->used;
    if (!parse_element(p, type->shape.dtype)) return NULL;
    size_t size = p->used - base;
    uint64_t hash = an_hash(AN_HASH_BEGIN, p->stack + base, size);
    const an_literal **slot = &p->scalars[hash % 256];
    if (*slot && (*slot)->type == type &&
        memcmp((*slot)->data, p->stack + base, size) == 0) {
        p->used = base;
        return *slot;
    }
    an_literal *out = an_arena_alloc(&p->module->arena, sizeof *out);
    void *data = an_parse_take(p, base);
    if (!out || !data) {
        an_parse_fail(p, &at, AN_ENOMEM, "no memory");
        return NULL;
    }
    *out = (an_literal){.kind = AN_LIT_DATA,
                        .type = type,
                        .n = 1,
                        .data = data,
                        .line = at.line,
                        .column = at.column};
    *slot = out;
    return out;
}

static const an_literal *parse_value(an_parser *p, const an_type *type)
{
    bool scalar = type->kind == AN_TYPE_TENSOR && type->shape.rank == 0 &&
                  type->shape.dtype != AN_STRING &&
                  !an_token_is(&p->token, "BLOBFILE");
    return scalar ? parse_scalar(p, type) : new_value(p, type);
}

const an_literal *an_parse_literal(an_parser *p)
{
    if (!an_parse_at_type(p)) {
        an_parse_expected(p, "a typed literal such as int32(1)");
        return NULL;
    }
    const an_type *type = an_parse_type(p);
    if (!type || !an_parse_sign(p, '(')) return NULL;
    const an_literal *value = parse_value(p, type);
    return value && an_parse_sign(p, ')') ? value : NULL;
}
