/*
 * What plans are made of: arithmetic on places against walking every element,
 * which steps a program becomes, and that views and concats cost no copies.
 */
#include "engine_case.h"
#include "engine/soft/program.h"
#include "mil/emit.h"

/* ---- places ---- */

/* Element `index`, row-major, by the definition. */
static int64_t offset_of(const an_place *p, int64_t index)
{
    int64_t offset = p->offset;
    for (int i = p->rank - 1; i >= 0; i--) {
        offset += index % p->dims[i] * p->strides[i];
        index /= p->dims[i];
    }
    return offset;
}

static an_place random_place(an_rng *rng)
{
    static const int64_t dims[] = {1, 2, 3, 4, 6};
    an_shape s = {.rank = (int)an_rng_below(rng, 5)};
    for (int i = 0; i < s.rank; i++)
        s.dims[i] = dims[an_rng_below(rng, 5)];
    an_place p = an_place_dense(0, AN_FP32, &s);
    for (int steps = 0; steps < 3; steps++) {
        int perm[AN_MAX_RANK];
        for (int i = 0; i < p.rank; i++)
            perm[i] = (i + (int)an_rng_below(rng, 2) + steps) % p.rank;
        bool valid = true;
        for (int i = 0; i < p.rank; i++)
            for (int k = 0; k < i; k++)
                valid = valid && perm[i] != perm[k];
        if (valid) an_place_transpose(&p, perm, &p);
        int axis = p.rank ? (int)an_rng_below(rng, (uint64_t)p.rank) : 0;
        if (p.rank && p.dims[axis] > 2)
            an_place_part(&p, axis, 1, p.dims[axis] - 1, &p);
    }
    return p;
}

/* A random shape with as many elements as p. */
static int random_dims(an_rng *rng, const an_place *p, int64_t *dims)
{
    int64_t rest = an_place_count(p);
    int rank = 0;
    while (rank < 5) {
        int64_t d = 1 + (int64_t)an_rng_below(rng, 6);
        if (rest % d != 0) continue;
        dims[rank++] = d;
        rest /= d;
        if (an_rng_below(rng, 4) == 0) break;
    }
    dims[rank++] = rest;
    return rank;
}

static void reshape_keeps_the_order(void **state)
{
    (void)state;
    an_rng rng = {.seed = 3};
    int taken = 0;
    for (int round = 0; round < 20000; round++) {
        an_place p = random_place(&rng), q;
        int64_t dims[AN_MAX_RANK];
        int rank = random_dims(&rng, &p, dims);
        if (!an_place_reshape(&p, rank, dims, &q)) continue;
        taken++;
        assert_int_equal(q.rank, rank);
        for (int64_t i = 0; i < an_place_count(&p); i++)
            assert_int_equal(offset_of(&p, i), offset_of(&q, i));
    }
    assert_true(taken > 5000);
}

/* Dense places take every shape; a transposed matrix no flat one. */
static void reshape_says_what_it_cannot(void **state)
{
    (void)state;
    an_place p = an_place_dense(0, AN_FP16, &AN_TENSOR(AN_FP16, 4, 1, 6)), q;
    assert_true(an_place_reshape(&p, 3, (int64_t[]){2, 2, 6}, &q));
    assert_true(an_place_reshape(&p, 1, (int64_t[]){24}, &q));
    an_place_transpose(&p, (int[]){2, 1, 0}, &p);
    assert_false(an_place_reshape(&p, 1, (int64_t[]){24}, &q));
    assert_true(an_place_reshape(&p, 3, (int64_t[]){3, 2, 4}, &q));
    assert_false(an_place_reshape(&p, 2, (int64_t[]){4, 6}, &q));
}

/* Simplified together, two places still pair the same elements. */
static void simplify_keeps_the_pairs(void **state)
{
    (void)state;
    an_rng rng = {.seed = 4};
    for (int round = 0; round < 5000; round++) {
        an_place p = random_place(&rng), q;
        an_shape s = {.rank = p.rank};
        for (int i = 0; i < p.rank; i++)
            s.dims[i] = p.dims[i];
        an_place d = an_place_dense(1, AN_FP32, &s);
        q = p;
        an_place e = d;
        an_places_simplify(2, (an_place *[]){&e, &q});
        assert_int_equal(an_place_count(&e), an_place_count(&d));
        for (int64_t i = 0; i < an_place_count(&d); i++) {
            /* d is dense: its offset is the index of the pair */
            int64_t index = offset_of(&e, i);
            assert_int_equal(offset_of(&q, i), offset_of(&p, index));
        }
    }
}

/* ---- steps ---- */

static int count_steps(const an_soft_program *p, const char *kind)
{
    int n = 0;
    for (int i = 0; i < p->plan.n_steps; i++)
        n += strcmp(p->plan.steps[i]->kind, kind) == 0;
    return n;
}

static an_soft_program *compile(engine_case *c, an_engine *e)
{
    an_error err = {0};
    an_program *p = NULL;
    char *text = NULL;
    size_t size = 0;
    case_check(an_build_end(c->b, &err), &err, c);
    case_check(an_mil_print(c->module, &text, &size, &err), &err, c);
    an_source source = {.text = text, .size = size};
    case_check(an_engine_compile(e, &source, &p, &err), &err, c);
    an_text_free(text);
    an_module_free(c->module);
    return (an_soft_program *)p;
}

static an_engine *open_engine(void)
{
    an_engine *e = NULL;
    assert_int_equal(
        an_engine_open(
            &(an_engine_options){.name = "soft,rules=off", .threads = 1}, &e,
            NULL),
        AN_OK);
    return e;
}

/* q, k, v are slices of one product, heads are views, the result of the last
 * product is written as channels: three products, no copy of elements. */
static void attention_needs_no_copies(void **state)
{
    (void)state;
    enum { D = 64, H = 4, B = 2, S = 32, N = B * S };
    engine_case c;
    case_begin(&c, "attention");
    an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP16, 1, D, 1, N));
    an_value *w = an_build_param(c.b, "w", AN_TENSOR(AN_FP16, 1, 1, 3 * D, D));
    x = an_emit_reshape(c.b, x, 4, (int64_t[]){1, 1, D, N});
    an_value *qkv = an_emit_matmul(c.b, w, x, false, false);
    an_value *h[3];
    for (int i = 0; i < 3; i++) {
        h[i] = an_emit_slice(c.b, qkv, (int64_t[]){0, 0, i * D, 0},
                             (int64_t[]){1, 1, D, N});
        h[i] = an_emit_reshape(c.b, h[i], 4, (int64_t[]){H, D / H, B, S});
        h[i] = an_emit_transpose(c.b, h[i], (int[]){2, 0, 1, 3});
    }
    an_value *p = an_emit_matmul(c.b, h[0], h[1], true, false);
    p = an_build(c.b, "softmax", NULL, AN_ARGS({"x", p}));
    an_value *o = an_emit_matmul(c.b, h[2], p, false, true);
    o = an_emit_transpose(c.b, o, (int[]){1, 2, 0, 3});
    an_build_result(c.b, an_emit_reshape(c.b, o, 4, (int64_t[]){1, D, 1, N}));
    an_engine *e = open_engine();
    an_soft_program *program = compile(&c, e);
    assert_int_equal(count_steps(program, "product"), 3);
    assert_int_equal(count_steps(program, "rows"), 1);
    assert_int_equal(count_steps(program, "copy"), 0);
    assert_int_equal(program->plan.n_steps, 4);
    an_program_free(&program->base);
    an_engine_close(e);
}

/* Parts of a concat are written where it wants them; element-wise operations
 * between other steps are one pass; dead nodes are no steps. */
static void chains_and_concats(void **state)
{
    (void)state;
    engine_case c;
    case_begin(&c, "concat");
    an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP16, 1, 8, 1, 32));
    an_value *a = an_emit_unary(c.b, "square", x);
    an_value *b = an_emit_binary(c.b, "add", a, x);
    an_emit_unary(c.b, "sigmoid", b);
    an_value *parts[] = {a, b};
    an_value *j = an_emit_concat(c.b, 2, parts, 1);
    an_build_result(c.b, j);
    an_engine *e = open_engine();
    an_soft_program *p = compile(&c, e);
    assert_int_equal(count_steps(p, "chain"), 1);
    assert_int_equal(p->plan.n_steps, 1);
    assert_int_equal(p->plan.work_bytes, 0);
    an_program_free(&p->base);
    an_engine_close(e);
}

/* w [1, 1, M, K] as fp16 that is cast, or int8 times scales. */
static an_value *narrow_weights(engine_case *c, bool groups, int64_t m,
                                int64_t k)
{
    if (!groups) {
        an_value *h = an_build_param(c->b, "w", AN_TENSOR(AN_FP16, 1, 1, m, k));
        return an_emit_cast(c->b, h, AN_FP32);
    }
    an_value *q =
        an_build_param(c->b, "w", AN_TENSOR(AN_INT8, 1, m, k / 32, 32));
    an_value *scales =
        an_build_param(c->b, "scales", AN_TENSOR(AN_FP32, 1, m, k / 32, 1));
    an_value *w =
        an_emit_binary(c->b, "mul", an_emit_cast(c->b, q, AN_FP32), scales);
    return an_emit_reshape(c->b, w, 4, (int64_t[]){1, 1, m, k});
}

/* Narrow weights of one product are read as they are stored, whatever the
 * number of columns; with another reader they are made. */
static void narrow_weights_are_not_made(void **state)
{
    (void)state;
    enum { M = 40, K = 96, FORMS = 2, COLUMNS = 3 };
    static const int64_t columns[COLUMNS] = {1, 3, 300};
    for (int i = 0; i < FORMS * COLUMNS * 2; i++) {
        int64_t n = columns[i / FORMS % COLUMNS];
        bool twice = i >= FORMS * COLUMNS;
        engine_case c;
        case_begin(&c, "narrow");
        an_value *w = narrow_weights(&c, i % FORMS, M, K);
        an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP32, 1, 1, K, n));
        an_build_result(c.b, an_emit_matmul(c.b, w, x, false, false));
        if (twice) an_build_result(c.b, an_emit_unary(c.b, "square", w));
        an_engine *e = NULL;
        assert_int_equal(
            an_engine_open(&(an_engine_options){.name = "cpu", .threads = 1},
                           &e, NULL),
            AN_OK);
        an_soft_program *p = compile(&c, e);
        const char *kind = n <= 8 ? "rows product" : "product";
        assert_int_equal(count_steps(p, kind), 1);
        assert_int_equal(p->plan.n_steps == 1, !twice);
        an_program_free(&p->base);
        an_engine_close(e);
    }
}

/* A long row of products needs two buffers at a time, not one each. */
static void workspace_is_shared(void **state)
{
    (void)state;
    enum { N = 64, LONG = 20 };
    engine_case c;
    case_begin(&c, "long");
    an_value *x = an_build_param(c.b, "x", AN_TENSOR(AN_FP32, 1, 1, N, N));
    an_value *y = x;
    for (int i = 0; i < LONG; i++)
        y = an_emit_matmul(c.b, y, x, false, false);
    an_build_result(c.b, y);
    an_engine *e = open_engine();
    an_soft_program *p = compile(&c, e);
    assert_int_equal(p->plan.n_steps, LONG);
    assert_int_equal(p->plan.work_bytes, 2 * N * N * sizeof(float));
    an_program_free(&p->base);
    an_engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reshape_keeps_the_order),
        cmocka_unit_test(reshape_says_what_it_cannot),
        cmocka_unit_test(simplify_keeps_the_pairs),
        cmocka_unit_test(attention_needs_no_copies),
        cmocka_unit_test(narrow_weights_are_not_made),
        cmocka_unit_test(chains_and_concats),
        cmocka_unit_test(workspace_is_shared),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
