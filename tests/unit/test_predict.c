/*
 * Text with a cache of keys and values against text without one: the same
 * logits, the same tokens, for every architecture, over growths of the cache
 * and moves of the window; memory.
 */
#include "alloc_fail.h"
#include "trainer_case.h"

#include "base/rng.h"
#include "train/predict.h"

/* ---- models ---- */

#define SIZES                                                                  \
    "\"hidden_size\": 32, \"intermediate_size\": 64, "                         \
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 4, "                   \
    "\"vocab_size\": 257, \"initializer_range\": 0.3, "                        \
    "\"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, "

/* All but the number of positions; matrices of 0.3 make tokens differ clearly.
 */
typedef struct family {
    const char *name, *config;
} family;
static const family families[] = {
    {"llama", "{\"model_type\": \"llama\", " SIZES
              "\"num_key_value_heads\": 4, \"tie_word_embeddings\": false, "
              "\"max_position_embeddings\": "},
    {"llama3", "{\"model_type\": \"llama\", " SIZES
               "\"num_key_value_heads\": 2, \"tie_word_embeddings\": true, "
               "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, "
               "\"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
               "\"original_max_position_embeddings\": 64}, "
               "\"max_position_embeddings\": "},
    {"qwen2", "{\"model_type\": \"qwen2\", " SIZES
              "\"num_key_value_heads\": 1, \"tie_word_embeddings\": true, "
              "\"max_position_embeddings\": "},
    {"qwen3", "{\"model_type\": \"qwen3\", " SIZES
              "\"num_key_value_heads\": 2, \"tie_word_embeddings\": false, "
              "\"head_dim\": 10, \"max_position_embeddings\": "},
    {"gpt2", "{\"model_type\": \"gpt2\", \"n_embd\": 32, \"n_layer\": 2, "
             "\"n_head\": 4, \"vocab_size\": 257, \"initializer_range\": 0.3, "
             "\"n_positions\": "},
};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

static an_matrix matrix_of(const an_weights *w, int i)
{
    const an_model_param *p = w->list[i].param;
    return (an_matrix){.data = w->list[i].master,
                       .dtype = w->dtype,
                       .rows = p->rows,
                       .columns = p->columns,
                       .row_bytes =
                           (size_t)p->columns * an_dtype_size(w->dtype)};
}

/* Norms about 1, biases about 0, and neither the same in all channels. The end
 * of text, the last id, has a logit of 0, which is never the largest. */
static void change_weights(an_weights *w)
{
    an_rng rng = {.seed = 7};
    for (int i = 0; i < w->n; i++) {
        an_matrix m = matrix_of(w, i);
        for (int64_t r = 0; m.columns == 1 && r < m.rows; r++)
            an_matrix_put(&m, r, 0,
                          an_matrix_get(&m, r, 0) + 0.2 * an_rng_normal(&rng));
        for (int64_t c = 0; m.rows == 257 && c < m.columns; c++)
            an_matrix_put(&m, 256, c, 0);
    }
}

static void must(an_status s, const an_error *err)
{
    if (s != AN_OK) fail_msg("%s", err->text);
}

static an_status place(an_placed *p, const char *config, const char *engine,
                       an_numerics numerics, an_error *err)
{
    *p = (an_placed){0};
    an_status s = an_model_open(config, 0, &p->model, err);
    if (s == AN_OK) s = an_tokenizer_open("bytes", &p->tokenizer, err);
    if (s == AN_OK)
        s = an_placed_open(p, engine, numerics, 1, AN_WEIGHTS_RUN, err);
    if (s == AN_OK)
        s = an_weights_init(p->weights, AN_PARAMS_BASE, p->model, 5, p->pool,
                            err);
    if (s == AN_OK) change_weights(p->weights);
    return s;
}

static const char *config_of(const family *f, int sequence)
{
    char text[1024];
    an_error err = {0};
    const char *path = scratch_path(&files, "config.json");
    int n = snprintf(text, sizeof text, "%s%d}", f->config, sequence);
    must(an_file_write(path, text, (size_t)n, &err), &err);
    return path;
}

static void open_placed(an_placed *p, const family *f, int sequence,
                        const char *engine, an_numerics numerics)
{
    an_error err = {0};
    must(place(p, config_of(f, sequence), engine, numerics, &err), &err);
}

/* ---- logits ---- */

static void read_master(void *ctx, const an_model_param *p,
                        const an_param_part *part, int64_t row, an_dtype dtype,
                        void *out)
{
    const an_weights *w = ctx;
    int i = 0;
    while (w->list[i].param != p)
        i++;
    int64_t n = p->columns == 1 ? part->rows : p->columns;
    size_t size = an_dtype_size(dtype);
    assert_int_equal(dtype, w->dtype);
    memcpy(out,
           (const unsigned char *)w->list[i].master +
               (size_t)((part->row + row) * p->columns) * size,
           (size_t)n * size);
}

static an_status pack(const an_placed *p, an_matrix_form form, an_packed **out,
                      an_error *err)
{
    an_packed_options o = {.model = p->model,
                           .engine = p->engine,
                           .cpu = p->cpu,
                           .dtype = p->weights->dtype,
                           .form = form,
                           .read = read_master,
                           .ctx = p->weights};
    return an_packed_new(&o, out, err);
}

typedef struct pair {
    an_placed placed;
    an_packed *packed;
    an_net *net;
    an_predictor *predictor;
    int64_t sequence;
} pair;

/* The net's weights become those that the predictor holds. */
static void unpack(const an_packed *packed, an_weights *w)
{
    for (int i = 0; i < w->n; i++) {
        an_matrix m = matrix_of(w, i);
        for (int64_t r = 0; r < m.rows; r++)
            for (int64_t c = 0; c < m.columns; c++)
                an_matrix_put(&m, r, c, an_packed_get(packed, i, r, c));
    }
}

static void open_pair(pair *p, const family *f, int sequence,
                      const char *engine, an_numerics numerics,
                      an_matrix_form form)
{
    an_error err = {0};
    *p = (pair){.sequence = sequence};
    open_placed(&p->placed, f, sequence, engine, numerics);
    must(pack(&p->placed, form, &p->packed, &err), &err);
    unpack(p->packed, p->placed.weights);
    must(an_placed_net(&p->placed, 1, sequence, AN_NET_FORWARD,
                       AN_WEIGHT_STREAM, 1.0, &p->net, &err),
         &err);
    must(an_predictor_new(&p->placed, p->packed, sequence, &p->predictor, &err),
         &err);
}

static void close_pair(pair *p)
{
    an_predictor_free(p->predictor);
    an_packed_free(p->packed);
    an_net_free(p->net);
    an_placed_fini(&p->placed);
}

/* The net's logits after n tokens against the predictor's: the largest
 * difference as a share of the largest magnitude; the most likely token. */
static double compare(pair *p, const int32_t *ids, int64_t n, int32_t *best)
{
    an_error err = {0};
    an_matrix want, came = an_predictor_logits(p->predictor);
    double largest = 0, worst = 0, top = -HUGE_VAL;
    for (int64_t i = 0; i < p->sequence; i++)
        an_net_inputs(p->net)[i] = i < n ? ids[i] : 0;
    must(an_net_forward(p->net, &want, &err), &err);
    for (int64_t v = 0; v < came.rows; v++) {
        double a = an_matrix_get(&want, v, n - 1);
        double b = an_matrix_get(&came, v, 0);
        if (fabs(a) > largest) largest = fabs(a);
        if (fabs(a - b) > worst) worst = fabs(a - b);
        if (a > top) top = a, *best = (int32_t)v;
    }
    return worst / largest;
}

/* A prompt of `first` tokens, then the most likely ones. */
static void check_logits(const family *f, const char *engine,
                         an_numerics numerics, an_matrix_form form,
                         int64_t first, double tolerance)
{
    enum { SEQUENCE = 72 };
    pair p;
    an_error err = {0};
    int32_t ids[SEQUENCE];
    open_pair(&p, f, SEQUENCE, engine, numerics, form);
    for (int64_t i = 0; i < first; i++)
        ids[i] = (int32_t)(i * i * 7 % 257);
    must(an_predictor_prompt(p.predictor, ids, first, &err), &err);
    for (int64_t n = first;; n++) {
        int32_t best = 0;
        assert_int_equal(an_predictor_length(p.predictor), n);
        double worst = compare(&p, ids, n, &best);
        if (!(worst <= tolerance))
            fail_msg("%s on %s after %lld tokens: %g, at most %g", f->name,
                     engine, (long long)n, worst, tolerance);
        if (n == SEQUENCE) break;
        ids[n] = best;
        must(an_predictor_step(p.predictor, best, &err), &err);
    }
    assert_int_equal(an_predictor_step(p.predictor, 0, NULL), AN_EINVAL);
    close_pair(&p);
}

/* In fp64 the two differ by the order of sums alone: some 10^3 roundings of
 * 2^-53 in two layers. */
static void test_logits_exact(void **state)
{
    (void)state;
    for (int i = 0; i < N_FAMILIES; i++) {
        check_logits(&families[i], "cpu", AN_NUMERICS_EXACT, AN_MATRIX_PLAIN, 1,
                     1e-12);
        check_logits(&families[i], "cpu", AN_NUMERICS_EXACT, AN_MATRIX_PLAIN,
                     40, 1e-12);
    }
}

/* fp16 and int8 matrices against a net whose masters have their values: the
 * products sum the same fp32 numbers in another order. Sums of up to 64 are
 * wrong by 64 x 2^-24 of their terms, and norms and random matrices of 0.3
 * carry on what is small at first: within 2^-24 x 64 x 10 in two layers. */
static void test_logits_narrow(void **state)
{
    (void)state;
    for (int i = 0; i < N_FAMILIES; i++) {
        const family *f = &families[i];
        check_logits(f, "cpu", AN_NUMERICS_IEEE, AN_MATRIX_F16, 40, 4e-5);
        check_logits(f, "cpu", AN_NUMERICS_IEEE, AN_MATRIX_Q8, 40, 4e-5);
        check_logits(f, "cpu", AN_NUMERICS_IEEE, AN_MATRIX_Q8, 1, 4e-5);
    }
}

/* What is held against what was given: half a unit of fp16, half a step of the
 * scale, which the largest of 32 sets. */
static void test_packed_values(void **state)
{
    (void)state;
    an_placed p;
    an_error err = {0};
    open_placed(&p, &families[0], 64, "cpu", AN_NUMERICS_IEEE);
    for (int form = AN_MATRIX_PLAIN; form <= AN_MATRIX_Q8; form++) {
        an_packed *packed = NULL;
        int narrow = 0;
        must(pack(&p, (an_matrix_form)form, &packed, &err), &err);
        for (int i = 0; i < packed->n; i++) {
            const an_packed_tensor *t = &packed->list[i];
            an_matrix m = matrix_of(p.weights, i);
            narrow += t->form != AN_MATRIX_PLAIN;
            for (int64_t k = 0; k < m.rows * m.columns; k++) {
                int64_t r = k / m.columns, c = k % m.columns;
                double x = an_matrix_get(&m, r, c), bound = 0, largest = 0;
                for (int64_t g = c / 32 * 32;
                     g < m.columns && g < c / 32 * 32 + 32; g++)
                    largest = fmax(largest, fabs(an_matrix_get(&m, r, g)));
                if (t->form == AN_MATRIX_F16)
                    bound = fabs(x) * 0x1p-11 + 0x1p-25;
                if (t->form == AN_MATRIX_Q8) bound = largest / 254 * 1.00001;
                assert_true(fabs(an_packed_get(packed, i, r, c) - x) <= bound);
            }
        }
        /* four matrices in each of two layers, embedding and head */
        assert_int_equal(narrow, form == AN_MATRIX_PLAIN ? 0 : 10);
        an_packed_free(packed);
    }
    float *master = p.weights->list[0].master;
    an_packed *packed = NULL;
    master[3] = 70000;
    assert_int_equal(pack(&p, AN_MATRIX_F16, &packed, NULL), AN_EUNSUPPORTED);
    an_placed_fini(&p);
}

/* On a chip the prompt is fp16, as all of the uncached path: roundings of
 * 2^-11 in two layers of random matrices. */
static void test_logits_soft(void **state)
{
    (void)state;
    check_logits(&families[1], "soft", AN_NUMERICS_IEEE, AN_MATRIX_PLAIN, 50,
                 0.03);
    check_logits(&families[4], "soft", AN_NUMERICS_IEEE, AN_MATRIX_Q8, 33,
                 0.03);
}

/* ---- transformers ---- */

/* See generate.py: greedy ids of transformers with its own cache. */
typedef struct greedy {
    const char *model;
    int n, ids[32];
} greedy;
static const greedy references[] = {
#include "reference/generate.inc"
};

static void read_file(void *ctx, const an_model_param *p,
                      const an_param_part *part, int64_t row, an_dtype dtype,
                      void *out)
{
    (void)p;
    an_stored_read(an_weight_file_use(ctx, part->name),
                   part->transposed ? AN_STORED_COLUMNS : AN_STORED_ROWS, row,
                   dtype, out);
}

static void check_reference(const greedy *want)
{
    enum { PROMPT = 5 };
    static const int32_t prompt[PROMPT] = {5, 17, 2, 40, 9};
    char path[128];
    an_error err = {0};
    an_placed p = {0};
    an_weight_file *file = NULL;
    an_packed *packed = NULL;
    an_predictor *d = NULL;
    snprintf(path, sizeof path, "tests/data/models/%s", want->model);
    must(an_weight_file_open(path, &file, &err), &err);
    must(an_weight_file_model(file, &p.model, &err), &err);
    must(an_placed_open(&p, "cpu", AN_NUMERICS_IEEE, 1, AN_WEIGHTS_NONE, &err),
         &err);
    an_packed_options o = {.model = p.model,
                           .engine = p.engine,
                           .cpu = p.cpu,
                           .dtype = AN_FP32,
                           .read = read_file,
                           .ctx = file};
    must(an_packed_new(&o, &packed, &err), &err);
    must(an_predictor_new(&p, packed, PROMPT + want->n, &d, &err), &err);
    must(an_predictor_prompt(d, prompt, PROMPT, &err), &err);
    for (int i = 0; i < want->n; i++) {
        an_matrix logits = an_predictor_logits(d);
        int32_t best = 0;
        for (int32_t v = 1; v < logits.rows; v++)
            if (an_matrix_get(&logits, v, 0) > an_matrix_get(&logits, best, 0))
                best = v;
        if (best != want->ids[i])
            fail_msg("%s: token %d is %d, expected %d", want->model, i, best,
                     want->ids[i]);
        if (i + 1 < want->n) must(an_predictor_step(d, best, &err), &err);
    }
    an_predictor_free(d);
    an_packed_free(packed);
    an_weight_file_close(file);
    an_placed_fini(&p);
}

static void test_references(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++)
        check_reference(&references[i]);
}

/* ---- texts ---- */

typedef struct text {
    unsigned char bytes[1024];
    size_t n;
} text;

static bool put(void *ctx, const char *bytes, size_t size)
{
    text *t = ctx;
    assert_true(t->n + size <= sizeof t->bytes);
    memcpy(t->bytes + t->n, bytes, size);
    t->n += size;
    return true;
}

static text sample(const pair *p, an_predictor *predictor,
                   const an_sample_options *o)
{
    text t = {.n = 0};
    an_error err = {0};
    an_sample_source from = {
        .net = p->net, .predictor = predictor, .sequence = p->sequence};
    must(an_sample_text(&from, p->placed.tokenizer, o, put, &t, &err), &err);
    return t;
}

/* 210 tokens token for token: the cache grows, and the window moves. */
static void check_texts(const family *f, int sequence, const char *prompt)
{
    pair p;
    an_sample_options o = an_sample_defaults();
    o.prompt = prompt;
    o.tokens = 210;
    o.temperature = 0;
    open_pair(&p, f, sequence, "cpu", AN_NUMERICS_IEEE, AN_MATRIX_PLAIN);
    text want = sample(&p, NULL, &o);
    text came = sample(&p, p.predictor, &o);
    size_t same = 0;
    while (same < want.n && same < came.n &&
           want.bytes[same] == came.bytes[same])
        same++;
    if (want.n != 210 || came.n != want.n || same != want.n)
        fail_msg("%s of %d positions: %zu and %zu tokens, equal the first %zu",
                 f->name, sequence, want.n, came.n, same);
    close_pair(&p);
}

static void test_texts(void **state)
{
    (void)state;
    char prompt[128];
    memset(prompt, 'x', sizeof prompt);
    prompt[sizeof prompt - 1] = 0;
    for (int i = 0; i < N_FAMILIES; i++) {
        check_texts(&families[i], 50, "ab");
        check_texts(&families[i], 70, prompt);
    }
    check_texts(&families[1], 230, "");
    check_texts(&families[4], 230, "");
}

/* The same predictor makes the same text again, whatever came before. */
static void test_again(void **state)
{
    (void)state;
    pair p;
    an_sample_options o = an_sample_defaults();
    o.tokens = 40;
    o.prompt = "some text";
    open_pair(&p, &families[1], 64, "cpu", AN_NUMERICS_IEEE, AN_MATRIX_F16);
    text first = sample(&p, p.predictor, &o);
    o.prompt = "another";
    sample(&p, p.predictor, &o);
    o.prompt = "some text";
    text again = sample(&p, p.predictor, &o);
    assert_int_equal(first.n, again.n);
    assert_memory_equal(first.bytes, again.bytes, first.n);
    close_pair(&p);
}

/* ---- memory ---- */

static void test_warm_steps_allocate_nothing(void **state)
{
    (void)state;
    an_placed p;
    an_error err = {0};
    an_predictor *d = NULL;
    an_packed *packed = NULL;
    open_placed(&p, &families[3], 64, "cpu", AN_NUMERICS_IEEE);
    must(pack(&p, AN_MATRIX_PLAIN, &packed, &err), &err);
    must(an_predictor_new(&p, packed, 64, &d, &err), &err);
    must(an_predictor_prompt(d, (const int32_t[]){1, 2, 3}, 3, &err), &err);
    long before = alloc_requests();
    for (int i = 3; i < AN_CACHE_FIRST; i++)
        must(an_predictor_step(d, i, &err), &err);
    assert_int_equal(alloc_requests() - before, 0);
    an_predictor_free(d);
    an_packed_free(packed);
    an_placed_fini(&p);
}

static an_status open_and_step(const char *config, an_error *err)
{
    an_placed p;
    an_packed *packed = NULL;
    an_predictor *d = NULL;
    an_status s = place(&p, config, "cpu", AN_NUMERICS_IEEE, err);
    if (s == AN_OK) s = pack(&p, AN_MATRIX_F16, &packed, err);
    if (s == AN_OK) s = an_predictor_new(&p, packed, 40, &d, err);
    if (s == AN_OK)
        s = an_predictor_prompt(d, (const int32_t[32]){1, 2, 3}, 32, err);
    if (s == AN_OK) s = an_predictor_step(d, 4, err); /* the cache grows */
    an_predictor_free(d);
    an_packed_free(packed);
    an_placed_fini(&p);
    return s;
}

/* Every 23rd request of some thousands: all of them take half a minute. */
static void test_allocation_failures(void **state)
{
    (void)state;
    const char *config = scratch_model(&files, "sweep.json", 8, 8, 40);
    long live = alloc_live(), n = 1;
    for (an_status s = AN_ENOMEM; s != AN_OK; n += 23) {
        an_error err = {0};
        alloc_fail_after(n);
        s = open_and_step(config, &err);
        alloc_fail_after(0);
        if (s != AN_OK) assert_int_equal(s, AN_ENOMEM);
        assert_int_equal(alloc_live(), live);
    }
    assert_true(n > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_exact),
        cmocka_unit_test(test_logits_narrow),
        cmocka_unit_test(test_packed_values),
        cmocka_unit_test(test_logits_soft),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_warm_steps_allocate_nothing),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests_name("predict", tests, set_up, tear_down);
}
