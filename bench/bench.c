/*
 * Measures training steps: time, tokens, where the time goes, memory, and the
 * share of what this machine's multiply-adds could do at best.
 *
 *     bench OUT.json [MODEL...]     small, layer768 and stories110m by default
 *
 * Each model runs in a process of its own (`bench -m MODEL`), so that its peak
 * memory is its own. Data is random tokens: the work does not depend on it.
 * Phases are busy times; they overlap, so their sum is not the step's time.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { LEAST_STEPS = 3, MOST_STEPS = 50 };
static const double seconds_per_model = 8;

/* ---- the machine's peak ---- */

/*
 * fp32 multiply-adds on CHAINS independent vectors, enough to hide the latency
 * of two units, written out so that they stay in registers. The sum is returned
 * so that nothing is optimised away.
 */
enum { CHAINS = 10, ROUNDS = 1 << 20 };
#define ALL(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9)

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static double fma_avx2(void)
{
    __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-3f), sum = b;
#define START(i) __m256 x##i = _mm256_set1_ps(i);
#define STEP(i) x##i = _mm256_fmadd_ps(x##i, a, b);
#define END(i) sum = _mm256_add_ps(sum, x##i);
    ALL(START)
    for (int r = 0; r < ROUNDS; r++) {
        ALL(STEP)
    }
    ALL(END)
#undef START
#undef STEP
#undef END
    return (double)_mm256_cvtss_f32(sum);
}

__attribute__((target("avx512f"))) static double fma_avx512(void)
{
    __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-3f), sum = b;
#define START(i) __m512 x##i = _mm512_set1_ps(i);
#define STEP(i) x##i = _mm512_fmadd_ps(x##i, a, b);
#define END(i) sum = _mm512_add_ps(sum, x##i);
    ALL(START)
    for (int r = 0; r < ROUNDS; r++) {
        ALL(STEP)
    }
    ALL(END)
#undef START
#undef STEP
#undef END
    return (double)_mm512_cvtss_f32(sum);
}
#elif defined(__aarch64__)
static double fma_neon(void)
{
    float32x4_t a = vdupq_n_f32(0.999f), b = vdupq_n_f32(1e-3f), sum = b;
#define START(i) float32x4_t x##i = vdupq_n_f32(i);
#define STEP(i) x##i = vfmaq_f32(b, x##i, a);
#define END(i) sum = vaddq_f32(sum, x##i);
    ALL(START)
    for (int r = 0; r < ROUNDS; r++) {
        ALL(STEP)
    }
    ALL(END)
#undef START
#undef STEP
#undef END
    return (double)vgetq_lane_f32(sum, 0);
}
#else
static double fma_portable(void)
{
    float a = 0.999f, b = 1e-3f, sum = b;
#define START(i) float x##i = i;
#define STEP(i) x##i = x##i * a + b;
#define END(i) sum += x##i;
    ALL(START)
    for (int r = 0; r < ROUNDS; r++) {
        ALL(STEP)
    }
    ALL(END)
    return (double)sum;
}
#endif

typedef struct loop {
    double (*run)(void);
    const char *name;
    int lanes;
} loop;

static loop widest_loop(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") ? (loop){fma_avx512, "avx512", 16}
                                             : (loop){fma_avx2, "avx2", 8};
#elif defined(__aarch64__)
    return (loop){fma_neon, "neon", 4};
#else
    return (loop){fma_portable, "portable", 1};
#endif
}

typedef struct peak_work {
    loop loop;
    double results[1024];
} peak_work;

static an_status peak_tile(void *ctx, int phase, int tile, int worker,
                           an_error *err)
{
    peak_work *w = ctx;
    (void)phase, (void)worker, (void)err;
    w->results[tile % 1024] = w->loop.run();
    return AN_OK;
}

/* FLOP/s of `threads` threads, the best of ten tries. */
static double measure_peak(int threads)
{
    peak_work w = {.loop = widest_loop()};
    an_pool *pool = NULL;
    double best = 0, flops = 2.0 * CHAINS * ROUNDS * w.loop.lanes;
    if (an_pool_open(threads, &pool, NULL) != AN_OK) return 0;
    int tiles = 4 * an_pool_threads(pool);
    for (int i = 0; i < 10; i++) {
        double start = an_clock();
        an_pool_run(pool, tiles, peak_tile, &w, NULL);
        double rate = flops * tiles / (an_clock() - start);
        if (rate > best) best = rate;
    }
    an_pool_close(pool);
    return best;
}

/* ---- one model ---- */

typedef enum phase {
    PHASE_EMBED,
    PHASE_FORWARD,
    PHASE_HEAD,
    PHASE_LOSS,
    PHASE_BACKWARD,
    PHASE_CONTRACT,
    PHASE_OPTIMIZER,
    PHASE_COUNT
} phase;
static const char *const phase_names[PHASE_COUNT] = {
    "embedding", "forward",          "head",     "loss",
    "backward",  "weight gradients", "optimizer"};

/* Stages stand in order: what runs before the loss is forward. */
static phase phase_of(const an_stage *s, bool before_loss)
{
    switch (s->kind) {
    case AN_STAGE_EMBED:
    case AN_STAGE_SCATTER:
        return PHASE_EMBED;
    case AN_STAGE_LOSS:
    case AN_STAGE_LOSS_ONLY:
        return PHASE_LOSS;
    case AN_STAGE_CONTRACT:
    case AN_STAGE_ADD:
        return PHASE_CONTRACT;
    case AN_STAGE_PROGRAM:
        break;
    }
    if (s->layer < 0) return PHASE_HEAD;
    return before_loss ? PHASE_FORWARD : PHASE_BACKWARD;
}

static void add_phases(const an_trainer *t, const an_step_report *r,
                       double ms[PHASE_COUNT])
{
    bool before_loss = true;
    double stages = 0;
    for (int i = 0; i < an_net_n_stages(t->net); i++) {
        const an_stage *s = an_net_stage(t->net, i);
        double busy = 1000 * an_stage_seconds(s);
        if (s->kind == AN_STAGE_LOSS) before_loss = false;
        ms[phase_of(s, before_loss)] += busy;
        stages += busy;
    }
    ms[PHASE_OPTIMIZER] += r->engine_ms + r->cpu_ms - stages;
}

static double peak_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
#if defined(__APPLE__)
    return (double)usage.ru_maxrss;
#else
    return 1024 * (double)usage.ru_maxrss;
#endif
}

typedef struct result {
    double ms, best_ms, phases[PHASE_COUNT];
    int steps;
    an_train_plan plan;
} result;

static an_status measure(const char *model, an_numerics numerics, result *out,
                         an_error *err)
{
    static const char *const data[] = {"random"};
    an_train_options o = an_train_defaults();
    an_trainer *t = NULL;
    an_step_report r;
    o.data = data, o.n_data = 1;
    o.model = model;
    o.numerics = numerics;
    o.steps = 1 + MOST_STEPS;
    o.eval_every = 0;
    an_status s = an_trainer_open(&o, &t, err);
    if (s != AN_OK) return s;
    an_trainer_get_plan(t, &out->plan);
    s = an_trainer_step(t, &r, err); /* pages and caches become warm */
    double start = an_clock();
    out->best_ms = (double)INFINITY;
    while (
        s == AN_OK && out->steps < MOST_STEPS - 1 &&
        (out->steps < LEAST_STEPS || an_clock() - start < seconds_per_model)) {
        if ((s = an_trainer_step(t, &r, err)) != AN_OK) break;
        out->ms += r.ms;
        if (r.ms < out->best_ms) out->best_ms = r.ms;
        add_phases(t, &r, out->phases);
        out->steps++;
    }
    out->ms /= out->steps;
    for (int i = 0; i < PHASE_COUNT; i++)
        out->phases[i] /= out->steps;
    /* names in the plan are the trainer's */
    out->plan.engine = out->plan.numerics = NULL;
    an_trainer_close(t);
    return s;
}

static int run_model(const char *model, const char *mode)
{
    an_error err = {0};
    result r = {0};
    an_numerics numerics = AN_NUMERICS_IEEE;
    if (an_numerics_find(mode, &numerics, &err) != AN_OK ||
        measure(model, numerics, &r, &err) != AN_OK) {
        fprintf(stderr, "bench: %s: %s\n", model, err.text);
        return 1;
    }
    json_t *phases = json_object(), *o = json_object();
    for (int i = 0; i < PHASE_COUNT; i++)
        json_object_set_new(phases, phase_names[i], json_real(r.phases[i]));
    json_object_set_new(o, "model", json_string(model));
    json_object_set_new(o, "steps", json_integer(r.steps));
    json_object_set_new(o, "ms_per_step", json_real(r.ms));
    json_object_set_new(o, "best_ms", json_real(r.best_ms));
    json_object_set_new(o, "tokens_per_step",
                        json_integer(r.plan.tokens_per_step));
    json_object_set_new(
        o, "tokens_per_second",
        json_real((double)r.plan.tokens_per_step * 1000 / r.ms));
    json_object_set_new(o, "flops_per_step", json_real(r.plan.flops_per_step));
    json_object_set_new(o, "parameters", json_integer(r.plan.model.n_params));
    json_object_set_new(o, "peak_memory_bytes", json_real(peak_memory()));
    json_object_set_new(o, "busy_ms", phases);
    int failed = json_dumpf(o, stdout, JSON_COMPACT);
    json_decref(o);
    return failed ? 1 : 0;
}

/* ---- all of them ---- */

/* Runs `bench -m MODEL MODE` and reads the object that it prints. */
static json_t *run_child(const char *program, const char *model,
                         const char *mode)
{
    int ends[2], status = 0;
    fflush(stdout);
    if (pipe(ends) != 0) return NULL;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(program, program, "-m", model, mode, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *f = fdopen(ends[0], "r");
    json_t *o = f != NULL ? json_loadf(f, 0, NULL) : NULL;
    if (f != NULL) fclose(f);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static void print_result(const json_t *o)
{
    printf("%-12s %9.1f %9.0f %9.2f %9.1f %8.1f %%%8.2f %9.0f\n",
           json_string_value(json_object_get(o, "model")),
           number(o, "ms_per_step"), number(o, "tokens_per_second"),
           number(o, "flops_per_step") / 1e9, number(o, "bound_ms"),
           100 * number(o, "share_of_peak"), number(o, "times_bound"),
           number(o, "peak_memory_bytes") / 1e6);
    const json_t *phases = json_object_get(o, "busy_ms");
    printf("   ");
    for (int i = 0; i < PHASE_COUNT; i++)
        printf(" %s %.1f%s", phase_names[i], number(phases, phase_names[i]),
               i < PHASE_COUNT - 1 ? "," : " ms\n");
}

/* Forward and backward programs of a layer, in ms; NAN: it failed. */
static double layer_ms(const char *program, const char *mode)
{
    json_t *o = run_child(program, "layer768", mode);
    const json_t *busy = o != NULL ? json_object_get(o, "busy_ms") : NULL;
    double ms = busy != NULL ? number(busy, phase_names[PHASE_FORWARD]) +
                                   number(busy, phase_names[PHASE_BACKWARD])
                             : (double)NAN;
    json_decref(o);
    return ms;
}

/* How much slower `hw` is than `ieee` on a layer of stories110m: the median of
 * pairs that ran one after the other. */
static double hw_ratio(const char *program)
{
    enum { PAIRS = 3 };
    double ratio[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        double ieee = layer_ms(program, "ieee");
        ratio[i] = layer_ms(program, "hw") / ieee;
    }
    double least = fmin(ratio[0], fmin(ratio[1], ratio[2]));
    double most = fmax(ratio[0], fmax(ratio[1], ratio[2]));
    return ratio[0] + ratio[1] + ratio[2] - least - most;
}

static int run_all(const char *program, const char *out, char **models, int n)
{
    double one = measure_peak(1), all = measure_peak(0);
    json_t *root = json_object(), *list = json_array();
    int failed = 0;
    json_object_set_new(root, "peak_flops_per_second", json_real(all));
    json_object_set_new(root, "peak_flops_per_second_one_thread",
                        json_real(one));
    json_object_set_new(root, "instructions", json_string(widest_loop().name));
    json_object_set_new(root, "kernels", json_string(an_kernels_name()));
    json_object_set_new(root, "blas", json_string(an_blas_name()));
    json_object_set_new(root, "models", list);
    printf("fp32 multiply-adds (%s): %.1f GFLOP/s, %.1f on one thread\n\n",
           widest_loop().name, all / 1e9, one / 1e9);
    printf("%-12s %9s %9s %9s %9s %10s%8s %9s\n", "model", "ms/step",
           "tokens/s", "GFLOP", "bound ms", "of peak", "x bound", "peak MB");
    for (int i = 0; i < n; i++) {
        json_t *o = run_child(program, models[i], "ieee");
        if (o == NULL) {
            fprintf(stderr, "bench: %s failed\n", models[i]);
            failed = 1;
            continue;
        }
        double bound = 1000 * number(o, "flops_per_step") / all;
        json_object_set_new(o, "bound_ms", json_real(bound));
        json_object_set_new(o, "times_bound",
                            json_real(number(o, "ms_per_step") / bound));
        json_object_set_new(o, "share_of_peak",
                            json_real(bound / number(o, "ms_per_step")));
        print_result(o);
        json_array_append_new(list, o);
    }
    double slower = hw_ratio(program);
    json_object_set_new(root, "hw_over_ieee", json_real(slower));
    printf("\nhw takes %.2f times the time of ieee on a layer of stories110m\n",
           slower);
    char *text = json_dumps(root, JSON_INDENT(1));
    an_error err = {0};
    if (text == NULL || an_file_write(out, text, strlen(text), &err) != AN_OK) {
        fprintf(stderr, "bench: %s\n", err.text);
        failed = 1;
    } else {
        printf("\n%s\n", out);
    }
    free(text);
    json_decref(root);
    return failed;
}

int main(int argc, char **argv)
{
    static char small[] = "small", layer[] = "layer768",
                stories[] = "stories110m";
    char *models[] = {small, layer, stories};
    if (argc == 4 && strcmp(argv[1], "-m") == 0)
        return run_model(argv[2], argv[3]);
    if (argc < 2) {
        fprintf(stderr, "usage: bench OUT.json [MODEL...]\n");
        return 2;
    }
    return argc > 2 ? run_all(argv[0], argv[1], argv + 2, argc - 2)
                    : run_all(argv[0], argv[1], models, 3);
}
