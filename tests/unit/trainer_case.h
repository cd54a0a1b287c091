/*
 * Tiny models and runs for tests of the trainer: a scratch folder, options,
 * and comparisons of all weights.
 */
#ifndef AN_TESTS_TRAINER_CASE_H
#define AN_TESTS_TRAINER_CASE_H

#include "base/alloc.h"
#include "base/file.h"
#include "train/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TINY_UNTIED "tests/reference/step_untied.json"
#define TINY_TIED "tests/reference/step_tied.json"

/* One folder a test program. */
typedef struct scratch {
    char root[64];
    char paths[8][256];
    int next;
} scratch;

static inline void scratch_open(scratch *s)
{
    *s = (scratch){.next = 0};
    snprintf(s->root, sizeof s->root, "%s/anemone-train-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(s->root)) fail_msg("no scratch folder");
}

static inline void scratch_close(scratch *s)
{
    assert_int_equal(an_dir_remove(s->root, NULL), AN_OK);
}

/* root/name; eight results live at a time. */
static inline const char *scratch_path(scratch *s, const char *name)
{
    char text[256], *path = s->paths[s->next++ % 8];
    snprintf(text, sizeof text, "%s/%s", s->root, name);
    memcpy(path, text, sizeof text);
    return path;
}

/* A configuration of one layer and two heads. */
static inline const char *scratch_model(scratch *s, const char *name, int width,
                                        int hidden, int sequence)
{
    const char *path = scratch_path(s, name);
    char text[512];
    an_error err = {0};
    int n = snprintf(text, sizeof text,
                     "{\"model_type\": \"llama\", \"hidden_size\": %d, "
                     "\"intermediate_size\": %d, \"num_hidden_layers\": 1, "
                     "\"num_attention_heads\": 2, \"num_key_value_heads\": 1, "
                     "\"vocab_size\": 40, \"max_position_embeddings\": %d, "
                     "\"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, "
                     "\"tie_word_embeddings\": true}\n",
                     width, hidden, sequence);
    if (an_file_write(path, text, (size_t)n, &err) != AN_OK)
        fail_msg("%s", err.text);
    return path;
}

/* The program's folder, from the first test to the last. */
static scratch files;

static inline int set_up(void **state)
{
    (void)state;
    scratch_open(&files);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    scratch_close(&files);
    return 0;
}

static const char *const random_data[] = {"random"};

static inline an_train_options tiny_options(const char *engine,
                                            an_numerics numerics)
{
    an_train_options o = an_train_defaults();
    o.data = random_data;
    o.n_data = 1;
    o.model = TINY_UNTIED;
    o.engine = engine;
    o.numerics = numerics;
    o.steps = 20;
    o.batch = 2;
    o.threads = 2;
    o.eval_every = o.save_every = 0;
    o.eval_windows = 4;
    return o;
}

static inline an_trainer *open_trainer(const an_train_options *o)
{
    an_trainer *t = NULL;
    an_error err = {0};
    if (an_trainer_open(o, &t, &err) != AN_OK) fail_msg("%s", err.text);
    return t;
}

static inline an_step_report run_step(an_trainer *t)
{
    an_step_report r;
    an_error err = {0};
    if (an_trainer_step(t, &r, &err) != AN_OK) fail_msg("%s", err.text);
    return r;
}

/* Steps until the run is finished; the last report. */
static inline an_step_report run_all(an_trainer *t)
{
    an_step_report r;
    do
        r = run_step(t);
    while (!r.finished);
    return r;
}

static inline double weight_element(const an_weights *w, const void *data,
                                    size_t k)
{
    return w->dtype == AN_FP64 ? ((const double *)data)[k]
                               : (double)((const float *)data)[k];
}

/* All weights, their gradients, or copies that engines read. */
typedef enum tensor_kind { MASTERS, GRADIENTS } tensor_kind;
static inline const void *tensor_of(const an_trainer *t, int i,
                                    tensor_kind kind)
{
    const an_weight *w = &t->placed.weights->list[i];
    return kind == MASTERS ? w->master : w->grad;
}

static inline void expect_same_bits(const an_trainer *a, const an_trainer *b,
                                    tensor_kind kind)
{
    for (int i = 0; i < a->placed.weights->n; i++) {
        const an_weight *w = &a->placed.weights->list[i];
        size_t bytes = w->n * an_dtype_size(a->placed.weights->dtype);
        if (memcmp(tensor_of(a, i, kind), tensor_of(b, i, kind), bytes) != 0)
            fail_msg("%s differs", w->param->name);
    }
}

/* The largest difference of a tensor, as a share of its largest element. */
static inline void expect_near(const an_trainer *a, const an_trainer *b,
                               tensor_kind kind, double tolerance)
{
    for (int i = 0; i < a->placed.weights->n; i++) {
        const an_weights *w = a->placed.weights;
        const void *x = tensor_of(a, i, kind), *y = tensor_of(b, i, kind);
        double worst = 0, largest = 0;
        for (size_t k = 0; k < w->list[i].n; k++) {
            double want = weight_element(w, y, k);
            double d = fabs(weight_element(w, x, k) - want);
            if (!(d <= worst)) worst = d;
            largest = fmax(largest, fabs(want));
        }
        if (!(worst <= tolerance * largest))
            fail_msg("%s differs by %g of %g", w->list[i].param->name, worst,
                     largest);
    }
}

#endif
