/*
 * Checks that shape rules share. A message says which parameter, what came and
 * what was expected. Dimensions are known: nodes with others are not inferred
 * (mil/build.h).
 */
#include "ops/ops.h"

#include "mil/type.h"

#include <string.h>

static bool is_float(an_dtype dtype)
{
    return an_dtype_is_float(dtype) && dtype != AN_BF16;
}

bool an_dtype_in(an_dtype dtype, an_domain domain)
{
    switch (domain) {
    case AN_DOMAIN_FLOAT:
        return is_float(dtype);
    case AN_DOMAIN_NUMBER:
        return is_float(dtype) || an_dtype_is_int(dtype);
    case AN_DOMAIN_BOOL:
        return dtype == AN_BOOL;
    case AN_DOMAIN_ANY:
        return dtype != AN_STRING && dtype != AN_BF16;
    }
    return false;
}

static const char *domain_text(an_domain domain)
{
    switch (domain) {
    case AN_DOMAIN_FLOAT:
        return "fp16, fp32 or fp64";
    case AN_DOMAIN_NUMBER:
        return "a float or integer type";
    case AN_DOMAIN_BOOL:
        return "bool";
    case AN_DOMAIN_ANY:
        return "a number or bool type";
    }
    return "";
}

const an_shape *an_node_shape(const an_node *node, const char *param)
{
    return &an_node_value(node, param)->type->shape;
}

bool an_str_is(an_str s, const char *text)
{
    return s.size == strlen(text) && memcmp(s.text, text, s.size) == 0;
}

int an_node_axis_at(const an_node *node, const char *param, int i, int rank)
{
    int64_t axis = an_node_int_at(node, param, i);
    return (int)(axis < 0 ? axis + rank : axis);
}

an_status an_rule_results(const an_node *node, int n, int expected,
                          an_error *err)
{
    for (int i = 0; i < an_node_n_tensors(node); i++) {
        const an_value *v = an_node_tensor(node, i);
        if (v && an_shape_count(&v->type->shape) == 0)
            return an_node_fail(node, err, AN_ETYPE,
                                "an operand is %s, expected 1 element or more",
                                AN_SHAPE_STR(&v->type->shape));
    }
    if (n == expected) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE, "%d results are bound, it has %d",
                        n, expected);
}

an_status an_rule_domain(const an_node *node, const char *param, an_domain d,
                         an_error *err)
{
    const an_shape *s = an_node_shape(node, param);
    if (an_dtype_in(s->dtype, d)) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE, "%s is %s, expected %s", param,
                        AN_SHAPE_STR(s), domain_text(d));
}

an_status an_rule_same_type(const an_node *node, const char *a, const char *b,
                            an_error *err)
{
    const an_shape *sa = an_node_shape(node, a), *sb = an_node_shape(node, b);
    if (sa->dtype == sb->dtype) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "%s is %s and %s is %s, expected one element type", a,
                        AN_SHAPE_STR(sa), b, AN_SHAPE_STR(sb));
}

an_status an_rule_rank(const an_node *node, const char *param, int min, int max,
                       an_error *err)
{
    const an_shape *s = an_node_shape(node, param);
    if (s->rank >= min && s->rank <= max) return AN_OK;
    if (min == max)
        return an_node_fail(node, err, AN_ETYPE, "%s is %s, expected rank %d",
                            param, AN_SHAPE_STR(s), min);
    return an_node_fail(node, err, AN_ETYPE,
                        "%s is %s, expected a rank from %d to %d", param,
                        AN_SHAPE_STR(s), min, max);
}

an_status an_rule_count(const an_node *node, const char *param, int expected,
                        an_error *err)
{
    int n = an_node_n(node, param);
    if (n < 0 || n == expected) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE, "%s has %d elements, expected %d",
                        param, n, expected);
}

static an_status fail_axis(const an_node *node, const char *param, int64_t axis,
                           int rank, an_error *err)
{
    return an_node_fail(node, err, AN_ETYPE,
                        "%s is %lld, expected an axis of rank %d", param,
                        (long long)axis, rank);
}

an_status an_rule_axes(const an_node *node, const char *param, int rank,
                       bool marked[AN_MAX_RANK], an_error *err)
{
    int n = an_node_n(node, param);
    for (int i = 0; i < AN_MAX_RANK; i++)
        marked[i] = n < 0 && i < rank;
    for (int i = 0; i < n; i++) {
        int64_t axis = an_node_int_at(node, param, i);
        if (axis < -rank || axis >= rank)
            return fail_axis(node, param, axis, rank, err);
        bool *mark = &marked[axis < 0 ? axis + rank : axis];
        if (*mark)
            return an_node_fail(node, err, AN_ETYPE, "%s lists axis %lld twice",
                                param, (long long)axis);
        *mark = true;
    }
    return AN_OK;
}

an_status an_rule_axis(const an_node *node, const char *param, int rank,
                       int *out, an_error *err)
{
    if (an_node_axis(node, param, rank, out)) return AN_OK;
    return fail_axis(node, param, an_node_int(node, param), rank, err);
}

bool an_shape_broadcast(an_shape *out, const an_shape *b)
{
    an_shape r = {.dtype = out->dtype,
                  .rank = out->rank > b->rank ? out->rank : b->rank};
    for (int i = 1; i <= r.rank; i++) {
        int64_t p = i <= out->rank ? out->dims[out->rank - i] : 1;
        int64_t q = i <= b->rank ? b->dims[b->rank - i] : 1;
        if (p != 1 && q != 1 && p != q) return false;
        r.dims[r.rank - i] = p == 1 ? q : p;
    }
    *out = r;
    return true;
}

an_status an_rule_size(const an_node *node, const an_shape *out, an_error *err)
{
    int64_t count = 1;
    for (int i = 0; i < out->rank; i++) {
        int64_t d = out->dims[i];
        if (d < 1 || count > AN_MAX_COUNT / d)
            return an_node_fail(
                node, err, AN_ETYPE,
                "result would be %s, expected 1 to 2^48 elements",
                AN_SHAPE_STR(out));
        count *= d;
    }
    return AN_OK;
}

/* Is `s` one of the words of `names`? */
static bool is_word_of(an_str s, const char *names)
{
    for (const char *at = names; *at; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        if (s.size == size && memcmp(s.text, at, size) == 0) return true;
        at += size;
    }
    return false;
}

an_status an_rule_choice(const an_node *node, const char *param,
                         const char *names, an_error *err)
{
    an_str s = an_node_string(node, param);
    if (is_word_of(s, names)) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "%s is \"%.*s\", expected one of: %s", param,
                        (int)(s.size < 32 ? s.size : 32), s.text, names);
}

an_status an_rule_int(const an_node *node, const char *param, int64_t min,
                      int64_t max, an_error *err)
{
    int64_t x = an_node_int(node, param);
    if (x >= min && x <= max) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE,
                        "%s is %lld, expected %lld to %lld", param,
                        (long long)x, (long long)min, (long long)max);
}

an_status an_rule_counts(const an_node *node, const char *param, int count,
                         int64_t min, an_error *err)
{
    an_status s = an_rule_count(node, param, count, err);
    for (int i = 0; s == AN_OK && i < count; i++) {
        int64_t v = an_node_int_at(node, param, i);
        if (v < min || v > (int64_t)1 << 14)
            s = an_node_fail(node, err, AN_ETYPE,
                             "%s[%d] is %lld, expected %lld to 2^14", param, i,
                             (long long)v, (long long)min);
    }
    return s;
}

an_status an_rule_shape(const an_node *node, const char *param,
                        const an_shape *want, an_error *err)
{
    if (!an_node_given(node, param)) return AN_OK;
    const an_shape *s = an_node_shape(node, param);
    if (an_shape_equal(s, want)) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE, "%s is %s, expected %s", param,
                        AN_SHAPE_STR(s), AN_SHAPE_STR(want));
}

an_status an_rule_integers(const an_node *node, const char *param, int rank,
                           an_error *err)
{
    if (!an_node_given(node, param)) return AN_OK;
    const an_shape *s = an_node_shape(node, param);
    if (!an_dtype_is_int(s->dtype))
        return an_node_fail(node, err, AN_ETYPE, "%s is %s, expected integers",
                            param, AN_SHAPE_STR(s));
    return rank < 0 ? AN_OK : an_rule_rank(node, param, rank, rank, err);
}

an_status an_rule_bias(const an_node *node, int64_t channels, an_error *err)
{
    if (!an_node_given(node, "bias")) return AN_OK;
    an_status s = an_rule_same_type(node, "x", "bias", err);
    if (s == AN_OK) s = an_rule_rank(node, "bias", 1, 1, err);
    if (s != AN_OK) return s;
    const an_shape *bias = an_node_shape(node, "bias");
    if (bias->dims[0] == channels) return AN_OK;
    return an_node_fail(node, err, AN_ETYPE, "bias is %s, expected [%lld]",
                        AN_SHAPE_STR(bias), (long long)channels);
}

static an_status shape_as(const an_node *node, an_shape *out, int n,
                          an_domain d, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", d, err);
    if (s == AN_OK) out[0] = *an_node_shape(node, "x");
    return s;
}

an_status an_shape_as_float(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    return shape_as(node, out, n, AN_DOMAIN_FLOAT, err);
}

an_status an_shape_as_number(const an_node *node, an_shape *out, int n,
                             an_error *err)
{
    return shape_as(node, out, n, AN_DOMAIN_NUMBER, err);
}

an_status an_shape_as_any(const an_node *node, an_shape *out, int n,
                          an_error *err)
{
    return shape_as(node, out, n, AN_DOMAIN_ANY, err);
}
