/*
 * The fast product in the engine's arithmetic against its definition, bit for
 * bit: all pairs of operands of a chosen kind, random matrices of many sizes
 * and magnitudes in every layout, on each kernel set of this machine.
 */
#include "base/half.h"
#include "kernels/mac.h"
#include "kernels/set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const an_mac plain = {.result_ties = AN_TIES_AWAY, .lanes = 1};

/* Marsaglia's xorshift, one sequence for all tests. */
typedef struct source {
    uint64_t state;
} source;

static uint32_t draw(source *s, uint32_t below)
{
    s->state ^= s->state << 13;
    s->state ^= s->state >> 7;
    s->state ^= s->state << 17;
    return (uint32_t)((s->state >> 32) % below);
}

typedef struct layout {
    int64_t m, n, k;
    bool a_transposed, b_transposed, has_bias;
} layout;

static void run(const an_kernel_set *set, const layout *l, const uint16_t *a,
                const uint16_t *b, const uint16_t *bias, uint16_t *c)
{
    void *work = malloc(an_gemm_mac_work_bytes(l->m, l->n, l->k));
    assert_non_null(work);
    set->gemm_mac(&(an_mac_product_args){.m = l->m,
                                         .n = l->n,
                                         .k = l->k,
                                         .a = a,
                                         .a_row = l->a_transposed ? 1 : l->k,
                                         .a_col = l->a_transposed ? l->m : 1,
                                         .b = b,
                                         .b_row = l->b_transposed ? 1 : l->n,
                                         .b_col = l->b_transposed ? l->k : 1,
                                         .bias = l->has_bias ? bias : NULL,
                                         .c = c,
                                         .ldc = l->n,
                                         .mac = &plain},
                  work);
    free(work);
}

static uint16_t defined(const layout *l, const uint16_t *a, const uint16_t *b,
                        const uint16_t *bias, int64_t i, int64_t j)
{
    return an_mac_dot(&plain, l->k, l->a_transposed ? a + i : a + i * l->k,
                      l->a_transposed ? l->m : 1,
                      l->b_transposed ? b + j * l->k : b + j,
                      l->b_transposed ? 1 : l->n, l->has_bias ? bias[i] : 0);
}

static void compare(const an_kernel_set *set, const layout *l,
                    const uint16_t *a, const uint16_t *b, const uint16_t *bias)
{
    uint16_t *c = malloc((size_t)(l->m * l->n) * sizeof *c);
    assert_non_null(c);
    run(set, l, a, b, bias, c);
    for (int64_t i = 0; i < l->m; i++)
        for (int64_t j = 0; j < l->n; j++) {
            uint16_t wanted = defined(l, a, b, bias, i, j);
            uint16_t came = c[i * l->n + j];
            if (came != wanted && ((came | wanted) & 0x7fff) != 0)
                fail_msg("%s, m %lld n %lld k %lld: c[%lld, %lld] is 0x%04x, "
                         "expected 0x%04x",
                         set->name, (long long)l->m, (long long)l->n,
                         (long long)l->k, (long long)i, (long long)j, came,
                         wanted);
        }
    free(c);
}

static int sets_of(const an_kernel_set *sets[2])
{
    sets[0] = &an_kernels_portable;
    sets[1] = an_kernels();
    return sets[1] == sets[0] ? 1 : 2;
}

/* Outer products with k = 1: each pair of the two lists, signs alternating. */
static void test_pairs(void **state)
{
    (void)state;
    enum { N = 1024 };
    static uint16_t a[N], b[N];
    const an_kernel_set *sets[2];
    int n_sets = sets_of(sets);
    source s = {0x9e3779b97f4a7c15u};
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < N; i++) {
            a[i] = (uint16_t)draw(&s, 0x10000);
            b[i] = (uint16_t)draw(&s, 0x10000);
            if (round == 0) a[i] = (uint16_t)(i << 6 | 63);
            if (round == 1) b[i] = (uint16_t)(draw(&s, 0x400) << 5);
            if (round == 2) { /* exponents -10 .. 1 and -9 .. -4 */
                a[i] = (uint16_t)((5 + draw(&s, 12)) << 10 | draw(&s, 1024));
                b[i] = (uint16_t)((6 + draw(&s, 6)) << 10 | draw(&s, 1024));
                if (i % 4 == 0) a[i] &= 1023;
            }
        }
        layout l = {.m = N, .n = N, .k = 1};
        for (int v = 0; v < n_sets; v++)
            compare(sets[v], &l, a, b, NULL);
    }
}

/* All finite and infinite patterns beside one operand of each exponent. */
static void test_all_patterns(void **state)
{
    (void)state;
    enum { ALL = 0x10000, FEW = 32 };
    static uint16_t a[ALL], b[FEW];
    source s = {0xd1b54a32d192ed03u};
    const an_kernel_set *sets[2];
    int n_sets = sets_of(sets);
    for (int i = 0; i < ALL; i++)
        a[i] = (uint16_t)i;
    for (int i = 0; i < FEW; i++)
        b[i] = (uint16_t)((uint32_t)i << 10 | draw(&s, 1024));
    for (int v = 0; v < n_sets; v++) {
        compare(sets[v], &(layout){.m = ALL, .n = FEW, .k = 1}, a, b, NULL);
        compare(sets[v], &(layout){.m = FEW, .n = ALL, .k = 1}, b, a, NULL);
    }
}

/* fp16 of a magnitude around 2^exponent, now and then anything at all. */
static uint16_t value(source *s, int exponent, uint32_t wild)
{
    if (wild && draw(s, wild) == 0) return (uint16_t)draw(s, 0x10000);
    int field = exponent + 15 - (int)draw(s, 3);
    if (draw(s, 8) == 0) field -= (int)draw(s, 12);
    field = field < 0 ? 0 : field > 31 ? 31 : field;
    return (uint16_t)(draw(s, 2) << 15 | (uint32_t)field << 10 | draw(s, 1024));
}

static void fill(source *s, int64_t n, int exponent, uint32_t wild,
                 uint16_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = value(s, exponent, wild);
}

/* Sums that are tame, that fill the window, that saturate in both directions;
 * edges of tiles and blocks; every layout. */
static void test_matrices(void **state)
{
    (void)state;
    enum { M = 131, N = 261, K = 200, ROUNDS = 300 };
    static uint16_t a[M * K], b[K * N], bias[M];
    const an_kernel_set *sets[2];
    int n_sets = sets_of(sets);
    source s = {0x2545f4914f6cdd1du};
    for (int round = 0; round < ROUNDS; round++) {
        bool big = round % 100 == 0;
        layout l = {.m = big ? M : 1 + draw(&s, 11),
                    .n = big ? N : 1 + draw(&s, 40),
                    .k = draw(&s, K + 1),
                    .a_transposed = draw(&s, 2),
                    .b_transposed = draw(&s, 2),
                    .has_bias = draw(&s, 2)};
        uint32_t wild = draw(&s, 3) == 0 ? 50 : 0;
        int size = (int)draw(&s, 28) - 14, share = (int)draw(&s, 12) - 6;
        fill(&s, l.m * l.k, size / 2 + share, wild, a);
        fill(&s, l.k * l.n, size - size / 2 - share, wild, b);
        fill(&s, l.m, (int)draw(&s, 30) - 14, wild, bias);
        for (int v = 0; v < n_sets; v++)
            compare(sets[v], &l, a, b, bias);
    }
}

/* A partial sum that reaches 2^15 by one unit, or misses it by one. */
static void test_limit(void **state)
{
    (void)state;
    enum { N = 40 };
    const an_kernel_set *sets[2];
    int n_sets = sets_of(sets);
    for (int miss = 0; miss < 2; miss++) {
        uint16_t a[N], b[N] = {0};
        for (int i = 0; i < N; i++)
            a[i] = 0x3c00;
        b[3] = an_half_from_double(32752);
        b[20] = an_half_from_double(15.5);
        b[21] = an_half_from_double(0.5);
        b[10] = an_half_from_double(miss ? -0x1p-16 : 0);
        b[35] = an_half_from_double(-30000);
        layout l = {.m = 1, .n = 1, .k = N};
        uint16_t c;
        for (int v = 0; v < n_sets; v++) {
            compare(sets[v], &l, a, b, NULL);
            run(sets[v], &l, a, b, NULL, &c);
            assert_int_equal(c, miss ? an_half_from_double(2768) : 0x7c00);
        }
    }
}

/* M1's stage and flushes go by the definition. */
static void test_other_chips(void **state)
{
    (void)state;
    an_mac m1 = {AN_TIES_EVEN, true, 4, 12};
    uint16_t a[8], b[8], c, work;
    source s = {1};
    fill(&s, 8, 3, 0, a);
    fill(&s, 8, 3, 0, b);
    an_gemm_mac(&m1, 1, 1, 8, a, 8, 1, b, 1, 1, NULL, &c, 1, &work);
    assert_int_equal(c, an_mac_dot(&m1, 8, a, 1, b, 1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),       cmocka_unit_test(test_all_patterns),
        cmocka_unit_test(test_matrices),    cmocka_unit_test(test_limit),
        cmocka_unit_test(test_other_chips),
    };
    return cmocka_run_group_tests_name("mac", tests, NULL, NULL);
}
