/*
 * Llama 3's stretched frequencies as a list of divisors, which is what GGUF has
 * of them, and back. With w the frequency of a pair and n = original w / (2 pi)
 * its waves in the original context:
 *
 *     1 / divisor = s + (1 - s) / factor,  s = (n - low) / (high - low) in [0,
 * 1]
 *
 * The list tells low, high and original only in proportion: files that do not
 * say the original context have low 1, as all of Llama's. Source:
 * conversion of LlamaModel in convert_hf_to_gguf.py of ggml-org/llama.cpp.
 */
#include "model/llama.h"

#include <math.h>

static double unstretched(const an_config *c, int64_t pair)
{
    return pow(c->rope.theta, -2.0 * (double)pair / (double)c->facts.head_dim);
}

double an_rope_factor(const an_config *c, int64_t pair)
{
    return unstretched(c, pair) / an_llama_frequency(c, pair);
}

/* Pairs with s between 0 and 1: the first, the last, and how many. */
typedef struct middle {
    double w[2], s[2];
    int n;
} middle;

static middle find_middle(const an_config *c, const float *factors)
{
    middle m = {.n = 0};
    double slow = 1 / c->rope.factor;
    for (int64_t i = 0; i < c->facts.head_dim / 2; i++) {
        double s = (1 / (double)factors[i] - slow) / (1 - slow);
        if (s < 1e-5 || s > 1 - 1e-5) continue;
        int k = m.n++ > 0;
        m.w[k] = unstretched(c, i);
        m.s[k] = s;
    }
    return m;
}

static double rounded(double x)
{
    return round(1000 * x) / 1000;
}

static void solve(an_rope *r, const middle *m)
{
    const double turn = 2 * acos(-1.0);
    double original = r->original;
    *r = (an_rope){.kind = AN_ROPE_LLAMA3,
                   .theta = r->theta,
                   .factor = r->factor,
                   .low = 1,
                   .high = 4,
                   .original = original > 0 ? original : 8192};
    if (m->n >= 2) {
        /* s = slope w + s0, with slope = original / (2 pi (high - low)). */
        double slope = (m->s[1] - m->s[0]) / (m->w[1] - m->w[0]);
        double s0 = m->s[0] - slope * m->w[0];
        double range =
            original > 0 ? original / (turn * slope) : -1 / s0; /* high - low */
        r->low = rounded(-s0 * range);
        r->high = rounded(r->low + range);
        if (original == 0) r->original = round(slope * turn * range);
    } else if (m->n == 1) {
        double waves = r->original * m->w[0] / turn;
        r->high = rounded(1 + (waves - 1) / m->s[0]);
    }
}

an_status an_rope_from_factors(an_config *c, const float *factors,
                               double original, an_error *err)
{
    int64_t n = c->facts.head_dim / 2;
    an_rope *r = &c->rope;
    double most = 1;
    for (int64_t i = 0; i < n; i++) {
        if (!(factors[i] > 0.999F && factors[i] < 1e6F))
            return an_fail(err, AN_EFORMAT,
                           "RoPE's divisor %lld is %g, expected 1 or more",
                           (long long)i, (double)factors[i]);
        most = fmax(most, (double)factors[i]);
    }
    if (most < 1.00001) return AN_OK;
    r->factor = rounded(most);
    r->original = original;
    const middle m = find_middle(c, factors);
    solve(r, &m);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(an_rope_factor(c, i) / (double)factors[i] - 1) < 2e-5))
            return an_fail(err, AN_EUNSUPPORTED,
                           "RoPE's divisors are not Llama 3's: number %lld is "
                           "%g",
                           (long long)i, (double)factors[i]);
    return AN_OK;
}
