/*
 * The op table: all rows in the order of mil/ops.def, the search by name, and
 * the reader of a row's parameter string (grammar: mil/op.h). The strings are
 * ours, so a malformed one is a bug and caught by the table's test.
 */
#include "mil/op.h"

#include <assert.h>
#include <string.h>

const an_op *const an_ops[AN_OP_COUNT] = {
#define AN_OP(id) &an_op_##id,
#include "mil/ops.def"
#undef AN_OP
};

static bool is_newer(const an_op *op, const an_op *best, int opset)
{
    if (!best) return true;
    if (best->since > opset) return op->since < best->since;
    return op->since <= opset && op->since > best->since;
}

const an_op *an_op_find(const char *name, size_t size, int opset)
{
    const an_op *best = NULL;
    for (int i = 0; i < AN_OP_COUNT; i++) {
        const an_op *op = an_ops[i];
        if (strlen(op->name) != size || memcmp(op->name, name, size) != 0)
            continue;
        if (is_newer(op, best, opset)) best = op;
    }
    return best;
}

bool an_op_is_form(const an_op *a, const an_op *b)
{
    return a == b || strcmp(a->name, b->name) == 0;
}

/* Reads one entry, "name:kind", "name:kind?" or "name:kind=default". */
static void read_param(const char *entry, size_t size, an_param *out)
{
    const char *colon = memchr(entry, ':', size);
    assert(colon && colon + 1 < entry + size);
    const char *rest = colon + 2;
    size_t rest_size = (size_t)(entry + size - rest);
    bool has_preset = rest_size > 0 && *rest == '=';
    *out = (an_param){
        .name = entry,
        .name_size = (size_t)(colon - entry),
        .kind = colon[1],
        .required = rest_size == 0,
        .preset = has_preset ? rest + 1 : NULL,
        .preset_size = has_preset ? rest_size - 1 : 0,
    };
}

bool an_op_param(const an_op *op, int i, an_param *out)
{
    const char *at = op->params;
    for (;;) {
        at += strspn(at, " ");
        size_t size = strcspn(at, " ");
        if (size == 0) return false;
        if (i-- == 0) {
            read_param(at, size, out);
            return true;
        }
        at += size;
    }
}

int an_op_n_params(const an_op *op)
{
    int n = 0;
    an_param p;
    while (an_op_param(op, n, &p))
        n++;
    return n;
}

int an_op_param_index(const an_op *op, const char *name, size_t size)
{
    an_param p;
    for (int i = 0; an_op_param(op, i, &p); i++)
        if (p.name_size == size && memcmp(p.name, name, size) == 0) return i;
    return -1;
}
