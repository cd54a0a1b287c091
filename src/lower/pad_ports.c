/*
 * Widths: a port whose last axis is not a multiple of o->columns becomes one
 * that is. Inputs are sliced at once and outputs padded with zeros at the end,
 * so that everything between has the shapes of the model and no mask is
 * needed; columns that were added never reach a result.
 */
#include "lower/lower.h"

#include "base/alloc.h"
#include "mil/emit.h"
#include "mil/op.h"

static int64_t widened(const an_shape *s, int columns)
{
    if (s->rank == 0) return 0;
    int64_t w = s->dims[s->rank - 1];
    return (w + columns - 1) / columns * columns;
}

static an_value *widen_input(an_builder *b, const an_value *p, int columns)
{
    an_shape wide = p->type->shape;
    int last = wide.rank - 1;
    int64_t width = widened(&wide, columns);
    if (wide.rank == 0 || width == wide.dims[last])
        return an_build_param(b, p->name, wide);
    int64_t begin[AN_MAX_RANK] = {0};
    wide.dims[last] = width;
    an_value *x = an_build_param(b, p->name, wide);
    return an_emit_slice(b, x, begin, p->type->shape.dims);
}

static an_value *widen_output(an_builder *b, const an_value *r, an_value *y,
                              int columns)
{
    const an_shape *s = &r->type->shape;
    int64_t width = widened(s, columns);
    if (s->rank == 0 || width == s->dims[s->rank - 1] || !y) return y;
    if (!y->def)
        return an_build_fail(b, AN_EUNSUPPORTED,
                             "pad ports: '%s' is input and output at once",
                             r->name);
    an_build_rename(b, y, "narrow");
    an_value *wide = an_build(
        b, "pad", r->name,
        AN_ARGS({"x", y}, {"pad", AN_INTS(b, 0, width - s->dims[s->rank - 1])},
                {"mode", an_build_string(b, "constant")},
                {"constant_val", an_build_float(b, s->dtype, 0.0)}));
    return wide;
}

an_status an_pass_pad_ports(const an_function *f, an_module *into,
                            const char *name, const an_lower_options *o,
                            an_error *err)
{
    an_builder *b = NULL;
    an_value **map =
        an_alloc_array((size_t)f->n_values + 1, sizeof(an_value *));
    if (!map) return an_fail(err, AN_ENOMEM, "pad ports: no memory");
    an_status s = an_build_begin(into, name, f->opset, &b, err);
    if (s == AN_OK) {
        for (int i = 0; i < f->n_params; i++)
            map[f->params[i]->id] = widen_input(b, f->params[i], o->columns);
        for (int i = 0; i < f->n_nodes; i++)
            if (!an_build_copy(b, f->nodes[i], map)) break;
        for (int i = 0; i < f->n_results; i++) {
            const an_value *r = f->results[i];
            an_build_result(b, widen_output(b, r, map[r->id], o->columns));
        }
        s = an_build_end(b, err);
    }
    an_free(map);
    return s;
}
