/*
 * Modules, look-up by name, the accessors of values and literals, and copies
 * of literals from one module to another.
 */
#include "mil/type.h"

#include "base/alloc.h"
#include "base/half.h"
#include "mil/build.h"

#include <assert.h>
#include <string.h>

an_status an_module_new(an_module **out, an_error *err)
{
    an_module *m = an_alloc(sizeof *m);
    if (!m) return an_fail(err, AN_ENOMEM, "module: no memory");
    an_arena_init(&m->arena);
    m->major = 1;
    m->minor = 3;
    *out = m;
    return AN_OK;
}

static bool copy_attrs(an_module *m, const an_module *like)
{
    an_attr *attrs =
        an_arena_array(&m->arena, (size_t)like->n_attrs, sizeof *attrs);
    if (!attrs) return false;
    for (int i = 0; i < like->n_attrs; i++) {
        const an_attr *from = &like->attrs[i];
        attrs[i].name =
            an_arena_strndup(&m->arena, from->name, strlen(from->name));
        attrs[i].literal = an_literal_copy(m, from->literal);
        if (!attrs[i].name || !attrs[i].literal) return false;
    }
    m->attrs = attrs;
    m->n_attrs = like->n_attrs;
    return true;
}

an_status an_module_new_like(const an_module *like, an_module **out,
                             an_error *err)
{
    an_module *m = NULL;
    an_status s = an_module_new(&m, err);
    if (s != AN_OK) return s;
    m->major = like->major;
    m->minor = like->minor;
    if (!copy_attrs(m, like)) {
        an_module_free(m);
        return an_fail(err, AN_ENOMEM, "module: no memory");
    }
    *out = m;
    return AN_OK;
}

void an_module_free(an_module *module)
{
    if (!module) return;
    an_arena_fini(&module->arena);
    an_free(module);
}

an_function *an_module_function(const an_module *m, const char *name)
{
    for (int i = 0; i < m->n_functions; i++)
        if (strcmp(m->functions[i]->name, name) == 0) return m->functions[i];
    return NULL;
}

an_value *an_function_value(const an_function *f, const char *name)
{
    for (int i = 0; i < f->n_params; i++)
        if (strcmp(f->params[i]->name, name) == 0) return f->params[i];
    for (int i = 0; i < f->n_nodes; i++) {
        const an_node *n = f->nodes[i];
        for (int j = 0; j < n->n_results; j++)
            if (strcmp(n->results[j]->name, name) == 0) return n->results[j];
    }
    return NULL;
}

const an_shape *an_value_shape(const an_value *value)
{
    /* What a failed builder's values look like: any axis may be asked for. */
    static const an_shape none = {AN_FP16, 4, {1, 1, 1, 1, 1, 1, 1, 1}};
    return value ? &value->type->shape : &none;
}

const char *an_value_name(const an_value *value)
{
    return value && value->name ? value->name : "";
}

double an_literal_real(const an_literal *l, size_t i)
{
    assert(l->kind == AN_LIT_DATA && i < l->n);
    switch (l->type->shape.dtype) {
    case AN_FP16:
        return an_half_to_double(((const uint16_t *)l->data)[i]);
    case AN_BF16:
        return (double)an_bf16_to_float(((const uint16_t *)l->data)[i]);
    case AN_FP32:
        return (double)((const float *)l->data)[i];
    case AN_FP64:
        return ((const double *)l->data)[i];
    case AN_UINT64:
        return (double)((const uint64_t *)l->data)[i];
    default:
        return (double)an_literal_int(l, i);
    }
}

int64_t an_literal_int(const an_literal *l, size_t i)
{
    assert(l->kind == AN_LIT_DATA && i < l->n);
    an_dtype dtype = l->type->shape.dtype;
    assert(!an_dtype_is_float(dtype));
    bool is_signed = an_dtype_is_signed(dtype);
    switch (an_dtype_size(dtype)) {
    case 1:
        return is_signed ? ((const int8_t *)l->data)[i]
                         : ((const uint8_t *)l->data)[i];
    case 2:
        return is_signed ? ((const int16_t *)l->data)[i]
                         : ((const uint16_t *)l->data)[i];
    case 4:
        return is_signed ? ((const int32_t *)l->data)[i]
                         : (int64_t)((const uint32_t *)l->data)[i];
    default:
        return is_signed ? ((const int64_t *)l->data)[i]
                         : (int64_t)((const uint64_t *)l->data)[i];
    }
}

static bool copy_str(an_module *m, an_str *out, const an_str *from)
{
    out->text = an_arena_strndup(&m->arena, from->text, from->size);
    out->size = from->size;
    return out->text != NULL;
}

static bool copy_data(an_module *m, an_literal *out, const an_literal *from)
{
    size_t bytes = from->n * an_dtype_size(from->type->shape.dtype);
    void *data = an_arena_alloc(&m->arena, bytes);
    if (data && bytes > 0) memcpy(data, from->data, bytes);
    out->data = data;
    return data != NULL;
}

static bool copy_strings(an_module *m, an_literal *out, const an_literal *from)
{
    an_str *strings = an_arena_array(&m->arena, from->n, sizeof *strings);
    out->strings = strings;
    for (size_t i = 0; strings && i < from->n; i++)
        if (!copy_str(m, &strings[i], &from->strings[i])) return false;
    return strings != NULL;
}

static bool copy_items(an_module *m, an_literal *out, const an_literal *from)
{
    const an_literal **items =
        an_arena_array(&m->arena, from->n, sizeof *items);
    out->items = items;
    for (size_t i = 0; items && i < from->n; i++)
        if (!(items[i] = an_literal_copy(m, from->items[i]))) return false;
    return items != NULL;
}

/* Recursion is bounded by the parser's limit on nesting. */
const an_literal *an_literal_copy(an_module *m, const an_literal *literal)
{
    an_literal *copy = an_arena_alloc(&m->arena, sizeof *copy);
    if (!copy || !(copy->type = an_type_copy(m, literal->type))) return NULL;
    copy->kind = literal->kind;
    copy->n = literal->n;
    bool well = false;
    switch (literal->kind) {
    case AN_LIT_DATA:
        well = copy_data(m, copy, literal);
        break;
    case AN_LIT_STRINGS:
        well = copy_strings(m, copy, literal);
        break;
    case AN_LIT_BLOB:
        copy->offset = literal->offset;
        well = copy_str(m, &copy->path, &literal->path);
        break;
    case AN_LIT_ITEMS:
        well = copy_items(m, copy, literal);
        break;
    }
    return well ? copy : NULL;
}

bool an_literal_equal(const an_literal *a, const an_literal *b)
{
    if (a->kind != b->kind || a->n != b->n || !an_type_equal(a->type, b->type))
        return false;
    switch (a->kind) {
    case AN_LIT_DATA:
        return a->n == 0 ||
               memcmp(a->data, b->data,
                      a->n * an_dtype_size(a->type->shape.dtype)) == 0;
    case AN_LIT_STRINGS:
        for (size_t i = 0; i < a->n; i++)
            if (a->strings[i].size != b->strings[i].size ||
                memcmp(a->strings[i].text, b->strings[i].text,
                       a->strings[i].size) != 0)
                return false;
        return true;
    case AN_LIT_BLOB:
        return a->offset == b->offset && a->path.size == b->path.size &&
               memcmp(a->path.text, b->path.text, a->path.size) == 0;
    case AN_LIT_ITEMS:
        for (size_t i = 0; i < a->n; i++)
            if (!an_literal_equal(a->items[i], b->items[i])) return false;
        return true;
    }
    return false;
}
