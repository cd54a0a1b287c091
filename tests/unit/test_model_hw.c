/*
 * RMSNorm in a chip's numerics: blocks of a model hold inputs of rms 0.01 to 50
 * although products end at 32768 and squares below 2^-16 are lost.
 */
#include "engine_case.h"

#include "anemone/model.h"

enum { WIDTH = 768, COLUMNS = 32 };

/* The attention block's function up to "xn", as text. */
static char *norm_text(size_t *size)
{
    an_model *m = NULL;
    an_block b;
    an_error err = {0};
    char *text = NULL;
    if (an_model_open("layer768", 32000, &m, &err) != AN_OK ||
        an_model_block(m, 0, &(an_block_options){AN_FP16, AN_FP16, 1, COLUMNS},
                       &b, &err) != AN_OK)
        fail_msg("%s", err.text);
    an_function *f = an_module_function(b.module, "forward");
    f->results[0] = an_function_value(f, "xn");
    f->n_results = 1;
    assert_int_equal(an_mil_print(b.module, &text, size, &err), AN_OK);
    an_block_free(&b);
    an_model_free(m);
    return text;
}

static void fill(case_tensor *t, const an_shape *shape, double rms, double mean)
{
    an_rng rng = {.seed = 11, .stream = (uint64_t)(rms * 1000)};
    t->n = (size_t)an_shape_count(shape);
    t->bytes = an_alloc(t->n * 2);
    t->values = an_alloc(t->n * sizeof(double));
    for (size_t i = 0; i < t->n; i++) {
        uint16_t *bits = (uint16_t *)t->bytes + i;
        *bits = an_half_from_double(mean + rms * an_rng_normal(&rng));
        t->values[i] = an_half_to_double(*bits);
    }
}

/*
 * With v = 2^-11, the largest relative error of a rounding to fp16, in
 *     u = x / s, m = sum(u u) / D, r = (m + e)^-1/2, y = u r g
 * u is off by v, u u by 3 v, its sum by one more, 1/D and the product with it
 * by 2, m + e by 1 (e's own 5 v count for less: e is a small part), and what
 * the accumulator rounds or loses of a square is below 2^-16, where m is at
 * least 1/32 (the largest of 768 normal numbers is below 5.6 rms): another v. r
 * then is off by half of 8 v and 1, y by 1 + 5 + 1 + 1 = 8 v. Where u is
 * denormal its error is 2^-25, times r < 5.7 and |g| < 2.
 */
static void hold_any_rms(void **state)
{
    (void)state;
    static const double rms[] = {0.01, 0.1, 1, 10, 50};
    const double relative = 8 * 0x1p-11, absolute = 12 * 0x1p-25;
    size_t size;
    char *text = norm_text(&size);
    double worst = 0;
    for (size_t k = 0; k < sizeof rms / sizeof *rms; k++) {
        engine_case c = {.name = "rms_norm"};
        an_engine_options o = {.name = "soft,rules=off",
                               .numerics = AN_NUMERICS_HW};
        case_tensor in[CASE_PORTS] = {{.n = 0}}, out;
        an_shape x = AN_TENSOR(AN_FP16, 1, WIDTH, 1, COLUMNS);
        an_shape g = AN_TENSOR(AN_FP16, 1, WIDTH, 1, 1);
        an_shape w = AN_TENSOR(AN_FP16, 1, 1, 3 * WIDTH, WIDTH);
        fill(&in[0], &x, rms[k], 0);
        fill(&in[1], &g, 0.2, 1);
        fill(&in[2], &w, 0, 0);
        fill(&in[3], &w, 0, 0);
        case_run_text(&c, text, size, &o, in, &out);
        for (int64_t n = 0; n < COLUMNS; n++) {
            double sum = 0;
            for (int64_t d = 0; d < WIDTH; d++) {
                double v = in[0].values[d * COLUMNS + n];
                sum += v * v / WIDTH;
            }
            for (int64_t d = 0; d < WIDTH; d++) {
                int64_t i = d * COLUMNS + n;
                double want =
                    in[0].values[i] * in[1].values[d] / sqrt(sum + 1e-5);
                double came = case_load(AN_FP16, out.bytes, (size_t)i);
                double error = fabs(came - want);
                if (!(error <= relative * fabs(want) + absolute))
                    fail_msg("rms %g: y[%lld] is %.9g, expected %.9g", rms[k],
                             (long long)i, came, want);
                if (fabs(want) > 0.01) worst = fmax(worst, error / fabs(want));
            }
        }
        for (int i = 0; i < 4; i++)
            case_release(&in[i]);
        an_free(out.bytes);
    }
    print_message("# figure: RMSNorm in hw, rms 0.01 to 50: relative error at "
                  "most %.2g (bound %.2g)\n",
                  worst, relative);
    an_text_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hold_any_rms)};
    return cmocka_run_group_tests_name("model hw", tests, NULL, NULL);
}
