/*
 * Every family of models, opened from a folder as transformers saved it,
 * against the logits and gradients that transformers computes (tests/reference/
 * models.py): logits to 1e-4 in fp32 and 1e-6 in fp64, gradients to 1e-6, all
 * relative to the tensor's largest element. They are stored as fp32: 6e-8.
 */
#include "base/alloc.h"
#include "train/placed.h"
#include "train/pretrained.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 2, SEQUENCE = 12, COLUMNS = BATCH * SEQUENCE };

static const char *const families[] = {"llama2", "llama3", "linear", "mistral",
                                       "qwen2",  "qwen3",  "gpt2"};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

typedef struct bench {
    const char *family;
    an_pretrained from;
    an_placed p;
    an_net *net;
    an_st *expect;
} bench;

static void must(an_status s, const an_error *err)
{
    if (s != AN_OK) fail_msg("%s", err->text);
}

static const an_st_tensor *expected(const bench *b, const char *name)
{
    const an_st_tensor *t = an_st_find(b->expect, name);
    if (!t) fail_msg("%s: nothing stored for %s", b->family, name);
    return t;
}

static void put_ids(bench *b)
{
    const int32_t *ids = expected(b, "ids")->data;
    for (int n = 0; n < COLUMNS; n++) {
        int at = n / SEQUENCE * (SEQUENCE + 1) + n % SEQUENCE;
        an_net_inputs(b->net)[n] = ids[at];
        an_net_targets(b->net)[n] = ids[at + 1];
    }
}

static void open_bench(bench *b, const char *family, const char *engine,
                       an_numerics numerics, an_net_use use)
{
    char path[128];
    an_error err = {0};
    *b = (bench){.family = family};
    snprintf(path, sizeof path, "tests/data/models/%s", family);
    must(an_pretrained_open(path, NULL, &b->from, &err), &err);
    b->p.model = b->from.model;
    b->from.model = NULL;
    must(an_placed_open(&b->p, engine, numerics, 2,
                        use == AN_NET_TRAIN ? AN_WEIGHTS_TRAIN : AN_WEIGHTS_RUN,
                        &err),
         &err);
    must(an_pretrained_load(&b->from, b->p.model, b->p.weights, &err), &err);
    must(an_placed_net(&b->p, BATCH, SEQUENCE, use, AN_WEIGHT_STREAM, 1.0,
                       &b->net, &err),
         &err);
    snprintf(path, sizeof path, "tests/data/models/%s/expect.safetensors",
             family);
    must(an_st_open(path, &b->expect, &err), &err);
    put_ids(b);
}

static void close_bench(bench *b)
{
    an_net_free(b->net);
    an_placed_fini(&b->p);
    an_pretrained_close(&b->from);
    an_st_close(b->expect);
}

static double at(an_dtype dtype, const void *data, int64_t i)
{
    return dtype == AN_FP64 ? ((const double *)data)[i]
                            : (double)((const float *)data)[i];
}

/* The largest difference, as a share of the largest element. */
static double logits_error(bench *b)
{
    an_matrix m;
    an_error err = {0};
    const an_st_tensor *t = expected(b, "logits");
    int64_t vocabulary = t->shape[1];
    double worst = 0, largest = 0;
    must(an_net_forward(b->net, &m, &err), &err);
    for (int64_t v = 0; v < vocabulary; v++)
        for (int64_t n = 0; n < COLUMNS; n++) {
            const char *row = (const char *)m.data + (size_t)v * m.row_bytes;
            double want = (double)((const float *)t->data)[n * vocabulary + v];
            double d = fabs(at(m.dtype, row, n) - want);
            if (!(d <= worst)) worst = d;
            largest = fmax(largest, fabs(want));
        }
    return worst / largest;
}

static void check_logits(const char *engine, an_numerics numerics,
                         double tolerance)
{
    double worst = 0;
    for (int i = 0; i < N_FAMILIES; i++) {
        bench b;
        open_bench(&b, families[i], engine, numerics, AN_NET_FORWARD);
        double error = logits_error(&b);
        if (!(error <= tolerance))
            fail_msg("%s: logits differ by %g of the largest", families[i],
                     error);
        worst = fmax(worst, error);
        close_bench(&b);
    }
    printf("# figure: logits on %s, %s: within %.2g of transformers'\n", engine,
           an_numerics_name(numerics), worst);
}

static void test_logits_fp32(void **state)
{
    (void)state;
    check_logits("cpu", AN_NUMERICS_IEEE, 1e-4);
}

static void test_logits_fp64(void **state)
{
    (void)state;
    check_logits("cpu", AN_NUMERICS_EXACT, 1e-6);
}

/* fp16 keeps 11 bits; two layers of some ten roundings each, and sums of 24. */
static void test_logits_fp16(void **state)
{
    (void)state;
    check_logits("soft:m4", AN_NUMERICS_IEEE, 0.02);
}

/* ---- gradients ---- */

/* Of one part, in the file's orientation. */
static double part_error(const bench *b, const an_weight *w,
                         const an_param_part *part)
{
    char name[160];
    snprintf(name, sizeof name, "grad.%s", part->name);
    const an_st_tensor *t = expected(b, name);
    double worst = 0, largest = 0;
    int64_t columns = w->param->columns;
    for (int64_t r = 0; r < part->rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            int64_t i = part->transposed ? c * part->rows + r : r * columns + c;
            double want = (double)((const float *)t->data)[i];
            double got =
                at(AN_FP64, w->grad, (part->row + r) * columns + c) / COLUMNS;
            double d = fabs(got - want);
            if (!(d <= worst)) worst = d;
            largest = fmax(largest, fabs(want));
        }
    return worst / largest;
}

static double gradient_error(bench *b)
{
    an_error err = {0};
    double nats, worst = 0;
    must(an_net_step(b->net, &nats, &err), &err);
    double loss = *(const double *)expected(b, "loss")->data;
    assert_true(fabs(nats / COLUMNS - loss) <= 1e-6 * loss);
    for (int i = 0; i < b->p.weights->n; i++) {
        const an_weight *w = &b->p.weights->list[i];
        for (int k = 0; k < w->param->n_parts; k++) {
            double error = part_error(b, w, &w->param->parts[k]);
            if (!(error <= 1e-6))
                fail_msg("%s: gradient of %s differs by %g of its largest",
                         b->family, w->param->parts[k].name, error);
            worst = fmax(worst, error);
        }
    }
    return worst;
}

static void test_gradients(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 0; i < N_FAMILIES; i++) {
        bench b;
        open_bench(&b, families[i], "cpu", AN_NUMERICS_EXACT, AN_NET_TRAIN);
        worst = fmax(worst, gradient_error(&b));
        close_bench(&b);
    }
    printf("# figure: gradients in fp64, exact: within %.2g of transformers'\n",
           worst);
}

/* The test above must be able to fail. */
static void test_other_weights(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, "qwen2", "cpu", AN_NUMERICS_EXACT, AN_NET_FORWARD);
    for (int i = 0; i < b.p.weights->n; i++) {
        an_weight *w = &b.p.weights->list[i];
        if (strcmp(w->param->name, "layers.1.b_qkv") == 0)
            ((double *)w->master)[0] += 0.01;
    }
    double error = logits_error(&b);
    close_bench(&b);
    assert_true(error > 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_fp32),
        cmocka_unit_test(test_logits_fp64),
        cmocka_unit_test(test_logits_fp16),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_other_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
