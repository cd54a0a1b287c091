/*
 * Widths: a port whose last axis is not a multiple of o->columns becomes one
 * that is. Inputs are sliced at once and outputs padded with zeros at the end,
 * so that everything between has the shapes of the model and no mask is
 * needed; columns that were added never reach a result. Order: ports are put
 * in byte order of their names, in which hardware binds them (mil.md B1).
 */
#include "lower/lower.h"

#include "lower/rewrite.h"
#include "mil/emit.h"
#include "mil/op.h"

static int64_t widened(const an_shape *s, int columns)
{
    if (s->rank == 0) return 0;
    int64_t w = s->dims[s->rank - 1];
    return (w + columns - 1) / columns * columns;
}

static an_value *widen_input(an_rewriter *r, const an_value *p)
{
    const an_lower_options *o = r->ctx;
    an_shape wide = p->type->shape;
    int last = wide.rank - 1;
    int64_t width = widened(&wide, o->columns);
    if (wide.rank == 0 || width == wide.dims[last])
        return an_build_param(r->b, p->name, wide);
    int64_t begin[AN_MAX_RANK] = {0};
    wide.dims[last] = width;
    an_value *x = an_build_param(r->b, p->name, wide);
    return an_emit_slice(r->b, x, begin, p->type->shape.dims);
}

static an_value *widen_output(an_rewriter *r, const an_value *v)
{
    const an_lower_options *o = r->ctx;
    an_builder *b = r->b;
    an_value *y = r->map[v->id];
    const an_shape *s = &v->type->shape;
    int64_t width = widened(s, o->columns);
    if (s->rank == 0 || width == s->dims[s->rank - 1] || !y) return y;
    if (!v->def)
        return an_build_fail(b, AN_EUNSUPPORTED,
                             "pad ports: '%s' is input and output at once",
                             v->name);
    int64_t more = width - s->dims[s->rank - 1];
    an_build_rename(b, y, "narrow");
    return an_build(b, "pad", v->name,
                    AN_ARGS({"x", y}, {"pad", AN_INTS(b, 0, more)},
                            {"mode", an_build_string(b, "constant")},
                            {"constant_val", an_build_float(b, s->dtype, 0)}));
}

an_status an_pass_pad_ports(const an_function *f, an_module *into,
                            const char *name, const an_lower_options *o,
                            an_error *err)
{
    an_lower_options options = *o;
    an_rewriter r = {.ctx = &options,
                     .param = widen_input,
                     .result = widen_output,
                     .sort_ports = true};
    return an_rewrite(f, into, name, &r, err);
}
