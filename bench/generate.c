/*
 * Measures text generation: tokens a second with matrices in fp32, fp16 and
 * int8, against what reading them once a token from memory allows.
 *
 *     generate OUT.json [MODEL]     stories110m by default
 *
 * Weights are random: the work does not depend on them. Tokens and readings of
 * as many bytes take turns, and the fastest of each counts, so that a machine
 * with other work to do is compared with itself.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "kernels/set.h"
#include "train/predict.h"

#include <stdlib.h>
#include <string.h>

enum { PROMPT = 64, TOKENS = 64, VOCAB = 32000 };

/* ---- memory ---- */

enum { TILE_BYTES = 1 << 18, MOST_TILES = 1 << 14 };

typedef struct reading {
    const float *data;
    float sums[MOST_TILES]; /* so that nothing is optimised away */
} reading;

static an_status read_tile(void *ctx, int phase, int tile, int worker,
                           an_error *err)
{
    (void)phase, (void)worker, (void)err;
    enum { N = TILE_BYTES / sizeof(float) };
    reading *r = ctx;
    r->sums[tile] = an_kernels()->rows.sum(N, r->data + (size_t)tile * N);
    return AN_OK;
}

/* Seconds in which a pool's threads read so many bytes. */
static double read_memory(an_pool *pool, reading *r, double bytes)
{
    int tiles = (int)(bytes / TILE_BYTES);
    double start = an_clock();
    if (an_pool_run(pool, tiles, read_tile, r, NULL) != AN_OK) return 1e9;
    return (an_clock() - start) * bytes / ((double)tiles * TILE_BYTES);
}

/* ---- generation ---- */

/* Small numbers of both signs. */
static void random_part(void *ctx, const an_model_param *p,
                        const an_param_part *part, int64_t row, an_dtype dtype,
                        void *out)
{
    (void)dtype; /* fp32 */
    uint32_t *state = ctx;
    int64_t n = p->columns == 1 ? part->rows : p->columns;
    (void)row;
    for (int64_t i = 0; i < n; i++) {
        *state = *state * 1664525u + 1013904223u; /* Numerical Recipes */
        ((float *)out)[i] = ((float)(*state >> 16) - 32768) * 1e-6f;
    }
}

/* Bytes that a token reads: all matrices once, of the embedding a row. */
static double token_bytes(const an_packed *w, bool tied)
{
    double bytes = 0;
    for (int i = 0; i < w->n; i++) {
        const an_packed_tensor *t = &w->list[i];
        if (t->param->block == AN_BLOCK_EMBED && !tied) continue;
        bytes += (double)an_surface_size(t->data);
        if (t->scales) bytes += (double)an_surface_size(t->scales);
    }
    return bytes;
}

typedef struct figures {
    double prompt_rate, rate, bound; /* tokens a second */
    double bytes;                    /* a token */
} figures;

static an_status run(an_pool *pool, an_predictor *d, reading *r, figures *out,
                     an_error *err)
{
    int32_t ids[PROMPT];
    for (int i = 0; i < PROMPT; i++)
        ids[i] = i * 37 % 257;
    double start = an_clock(), token = 1e9, bound = 1e9;
    an_status s = an_predictor_prompt(d, ids, PROMPT, err);
    out->prompt_rate = PROMPT / (an_clock() - start);
    if (s == AN_OK) s = an_predictor_step(d, 1, err); /* the cache grows */
    for (int i = 0; s == AN_OK && i < TOKENS - 1; i++) {
        start = an_clock();
        s = an_predictor_step(d, i, err);
        double seconds = an_clock() - start;
        if (seconds < token) token = seconds;
        seconds = read_memory(pool, r, out->bytes);
        if (seconds < bound) bound = seconds;
    }
    out->rate = 1 / token;
    out->bound = 1 / bound;
    return s;
}

static an_status measure(const an_placed *p, an_matrix_form form, figures *out,
                         an_error *err)
{
    static reading r;
    an_packed *weights = NULL;
    an_predictor *d = NULL;
    uint32_t state = 1;
    an_packed_options o = {.model = p->model,
                           .engine = p->engine,
                           .cpu = p->cpu,
                           .dtype = AN_FP32,
                           .form = form,
                           .read = random_part,
                           .ctx = &state};
    an_status s = an_packed_new(&o, &weights, err);
    if (s == AN_OK)
        s = an_predictor_new(p, weights, p->model_facts.sequence, &d, err);
    if (s == AN_OK) {
        out->bytes = token_bytes(weights, p->model_facts.tied);
        float *data = an_alloc_aligned(64, (size_t)out->bytes);
        if (data) memset(data, 0, (size_t)out->bytes);
        r.data = data;
        s = data ? run(p->pool, d, &r, out, err)
                 : an_fail(err, AN_ENOMEM, "no memory");
        an_free(data);
    }
    an_predictor_free(d);
    an_packed_free(weights);
    return s;
}

static json_t *report(const char *name, const figures *f)
{
    printf("%-4s %7.1f MB a token, %5.1f GB/s: at most %6.1f tokens/s; %6.1f "
           "(%.0f %%); prompt %7.1f tokens/s\n",
           name, f->bytes * 1e-6, f->bytes * f->bound * 1e-9, f->bound, f->rate,
           100 * f->rate / f->bound, f->prompt_rate);
    return json_pack("{s:s, s:f, s:f, s:f, s:f}", "dtype", name, "token_bytes",
                     f->bytes, "bound_tokens_per_second", f->bound,
                     "tokens_per_second", f->rate, "prompt_tokens_per_second",
                     f->prompt_rate);
}

static int fail(const an_error *err)
{
    fprintf(stderr, "bench: %s\n", err->text);
    return 1;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"f32", "f16", "q8"};
    an_error err = {0};
    an_placed p = {0};
    const char *model = argc > 2 ? argv[2] : "stories110m";
    json_t *all = json_array();
    an_status s = an_model_open(model, VOCAB, &p.model, &err);
    if (s == AN_OK)
        s = an_placed_open(&p, "cpu", AN_NUMERICS_IEEE, 0, AN_WEIGHTS_NONE,
                           &err);
    printf("generation, %s, kernels %s\n", model, an_kernels_name());
    for (int i = 0; s == AN_OK && i < 3; i++) {
        figures f = {0};
        s = measure(&p, (an_matrix_form)i, &f, &err);
        if (s == AN_OK) json_array_append_new(all, report(names[i], &f));
    }
    if (s == AN_OK && argc > 1) {
        char *text = json_dumps(all, JSON_INDENT(2));
        s = text ? an_file_write(argv[1], text, strlen(text), &err) : AN_ENOMEM;
        free(text);
    }
    json_decref(all);
    an_placed_fini(&p);
    return s == AN_OK ? 0 : fail(&err);
}
