/*
 * Random programs in the numerics `hw`: every chip, one to four threads, inputs
 * of any bit pattern; each result must have the bits of the reference kernels.
 */
#include "engine_case.h"
#include "mil/emit.h"
#include "mil/op.h"

typedef struct program {
    engine_case c;
    an_rng rng;
} program;

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define CHOOSE(p, list) (list)[an_rng_below(&(p)->rng, COUNT(list))]

static an_value *unary(program *p, an_value *x)
{
    static const char *const names[] = {
        "abs",   "acos",     "asin",     "atan",   "atanh", "ceil",
        "cos",   "cosh",     "erf",      "exp",    "exp2",  "floor",
        "gelu",  "inverse",  "log",      "relu",   "relu6", "round",
        "rsqrt", "sigmoid",  "sign",     "silu",   "sin",   "sinh",
        "sqrt",  "softplus", "softsign", "square", "tan",   "tanh",
    };
    return an_emit_unary(p->c.b, CHOOSE(p, names), x);
}

static bool same_dims(const an_shape *x, const an_shape *y)
{
    return memcmp(x->dims, y->dims, 4 * sizeof *x->dims) == 0;
}

/* y where x has its shape, else another function of x. */
static an_value *partner(program *p, an_value *x, an_value *y)
{
    return same_dims(an_value_shape(x), an_value_shape(y)) ? y : unary(p, x);
}

static an_value *binary(program *p, an_value *x, an_value *y)
{
    static const char *const names[] = {"add",       "sub",     "mul",
                                        "real_div",  "pow",     "maximum",
                                        "floor_div", "minimum", "mod"};
    return an_emit_binary(p->c.b, CHOOSE(p, names), x, partner(p, x, y));
}

static an_value *choice(program *p, an_value *x, an_value *y)
{
    static const char *const names[] = {
        "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"};
    y = partner(p, x, y);
    an_value *larger = an_emit_binary(p->c.b, CHOOSE(p, names), x, y);
    return an_build(p->c.b, "select", NULL,
                    AN_ARGS({"cond", larger}, {"a", x}, {"b", y}));
}

/* One sigmoid in two is read by nothing else, and fused. */
static an_value *gated(program *p, an_value *x)
{
    an_builder *b = p->c.b;
    an_value *s = an_emit_unary(b, "sigmoid", x);
    an_value *y = an_rng_below(&p->rng, 2) ? an_emit_binary(b, "mul", s, x)
                                           : an_emit_binary(b, "mul", x, s);
    return an_rng_below(&p->rng, 2) ? y : an_emit_binary(b, "add", y, s);
}

/* From the second element of an axis on, the last axis included. */
static an_value *slice(program *p, an_value *x)
{
    int64_t begin[4] = {0}, size[4];
    memcpy(size, an_value_shape(x)->dims, sizeof size);
    size_t axis = an_rng_below(&p->rng, 4);
    if (size[axis] < 2) return x;
    begin[axis] = 1, size[axis]--;
    return an_emit_slice(p->c.b, x, begin, size);
}

static an_value *move(program *p, an_value *x)
{
    const int64_t *d = an_value_shape(x)->dims;
    switch (an_rng_below(&p->rng, 4)) {
    case 0:
        return an_emit_transpose(p->c.b, x, (int[]){0, 2, 3, 1});
    case 1:
        return an_emit_reshape(p->c.b, x, 4,
                               (int64_t[]){d[0], d[3], d[1], d[2]});
    case 2:
        return slice(p, x);
    default:
        return an_emit_concat(p->c.b, 2, (an_value *[]){x, x},
                              (int)an_rng_below(&p->rng, 4));
    }
}

static an_value *rows(program *p, an_value *x)
{
    static const char *const names[] = {
        "reduce_sum", "reduce_mean",       "reduce_max",
        "reduce_min", "reduce_sum_square", "reduce_log_sum_exp"};
    int64_t axis = (int64_t)an_rng_below(&p->rng, 4);
    if (an_rng_below(&p->rng, 2))
        return an_build(
            p->c.b, "softmax", NULL,
            AN_ARGS({"x", x}, {"axis", an_build_int(p->c.b, axis)}));
    return an_emit_reduce(p->c.b, CHOOSE(p, names), x, 1, &axis, true);
}

/* With itself, either side transposed, so that shapes always fit. */
static an_value *product(program *p, an_value *x)
{
    bool first = an_rng_below(&p->rng, 2);
    return an_emit_matmul(p->c.b, x, x, first, !first);
}

/* By way of another type: fp16 again, rounded, cut, or -1, 0, 1. */
static an_value *cast(program *p, an_value *x)
{
    static const an_dtype types[] = {AN_FP32, AN_INT32, AN_BOOL};
    an_dtype to = CHOOSE(p, types);
    an_value *y = an_emit_cast(p->c.b, x, to);
    if (to == AN_FP32) y = unary(p, y);
    return an_emit_cast(p->c.b, y, AN_FP16);
}

static an_value *any(program *p, an_value *x, an_value *y)
{
    switch (an_rng_below(&p->rng, 9)) {
    case 0:
    case 1:
        return unary(p, x);
    case 2:
        return binary(p, x, y);
    case 3:
        return choice(p, x, y);
    case 4:
        return gated(p, x);
    case 5:
        return move(p, x);
    case 6:
        return rows(p, x);
    case 7:
        return product(p, x);
    default:
        return cast(p, x);
    }
}

enum { OPS = 8, LARGEST = 20000 };

static void build(program *p, int seed)
{
    an_value *values[OPS + 2];
    an_error err = {0};
    int n = 2;
    case_begin(&p->c, "program");
    p->rng = (an_rng){.seed = 5, .stream = (uint64_t)seed};
    /* Half of them larger than one tile of work. */
    an_shape shape = seed % 2 ? AN_TENSOR(AN_FP16, 2, 3, 40, 37)
                              : AN_TENSOR(AN_FP16, 1, 4, 5, 6);
    values[0] = an_build_param(p->c.b, "x", shape);
    values[1] = an_build_param(p->c.b, "y", shape);
    while (n < OPS + 2) {
        size_t i = an_rng_below(&p->rng, (uint64_t)n);
        size_t k = an_rng_below(&p->rng, (uint64_t)n);
        an_value *v = any(p, values[i], values[k]);
        bool fresh = an_shape_count(an_value_shape(v)) < LARGEST;
        for (int j = 0; j < n; j++)
            fresh = fresh && values[j] != v;
        if (fresh) values[n++] = v;
    }
    for (int i = 1; i <= 4; i++)
        an_build_result(p->c.b, values[n - i]);
    case_check(an_build_end(p->c.b, &err), &err, &p->c);
}

/* Built anew each time: the comparison rewrites the program as the chip does.
 */
static void programs(void **state)
{
    (void)state;
    static const char *const chips[] = {"soft:m1", "soft:m2", "soft:m3",
                                        "soft:m4", "soft:m5", "soft:m6"};
    static const int threads[] = {1, 2, 4};
    static const char *const names[] = {"of small values",
                                        "with any bit patterns"};
    enum { PROGRAMS = 48 };
    for (int seed = 0; seed < PROGRAMS; seed++)
        for (size_t t = 0; t < COUNT(threads); t++) {
            program p;
            char name[64];
            build(&p, seed);
            p.c.patterns = seed / 2 % 2;
            snprintf(name, sizeof name, "program %d %s", seed,
                     names[p.c.patterns]);
            p.c.name = name;
            case_compare_with(&p.c, chips[seed / 4 % 6], AN_NUMERICS_HW,
                              threads[t]);
            an_module_free(p.c.module);
        }
    print_message("# figure: random programs in hw: %d bit for bit as the "
                  "reference kernels, six chips, 1, 2 and 4 threads\n",
                  PROGRAMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(programs)};
    return cmocka_run_group_tests_name("programs in hw", tests, NULL, NULL);
}
