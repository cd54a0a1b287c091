/*
 * Low-rank adapters against PEFT's numbers (tests/reference/lora.py): in fp64
 * logits, loss, gradients and the adapters after a step of AdamW to 1e-6 of
 * each tensor's largest element, merged weights likewise; and runs with
 * adapters: what changes, what is written, how they go on.
 */
#include "alloc_fail.h"
#include "model/adapter_file.h"
#include "trainer_case.h"

static void must(an_status s, const an_error *err)
{
    if (s != AN_OK) fail_msg("%s", err->text);
}

/* ---- a step of PEFT's ---- */

enum { BATCH = 2, SEQUENCE = 12, COLUMNS = BATCH * SEQUENCE };

static const char *const cases[] = {"llama3", "qwen2", "linear", "gpt2"};
enum { N_CASES = sizeof cases / sizeof cases[0] };

typedef struct bench {
    const char *name;
    an_pretrained from;
    an_adapter_file *adapter;
    an_placed p;
    an_net *net;
    an_st *expect;
} bench;

static const char *folder_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "tests/data/adapters/%s", name);
    return path;
}

static const void *expected(const bench *b, const char *what, const char *name)
{
    char text[200];
    snprintf(text, sizeof text, "%s%s", what, name);
    const an_st_tensor *t = an_st_find(b->expect, text);
    if (!t) fail_msg("%s: nothing stored for %s", b->name, text);
    return t ? t->data : NULL;
}

static void open_bench(bench *b, const char *name, const char *engine,
                       an_numerics numerics)
{
    char path[160];
    an_error err = {0};
    *b = (bench){.name = name};
    must(an_adapter_file_open(folder_of(name), &b->adapter, &err), &err);
    must(an_pretrained_open(b->adapter->base, NULL, &b->from, &err), &err);
    b->p.model = b->from.model;
    b->from.model = NULL;
    must(an_model_adapt(b->p.model, &b->adapter->lora, &err), &err);
    must(an_placed_open(&b->p, engine, numerics, 2, AN_WEIGHTS_TRAIN, &err),
         &err);
    must(an_pretrained_load(&b->from, b->p.model, b->p.weights, &err), &err);
    must(an_weights_load(b->p.weights, AN_WEIGHTS_MASTER, AN_PARAMS_ADAPTERS,
                         b->p.model, b->adapter->weights, &err),
         &err);
    must(an_placed_net(&b->p, BATCH, SEQUENCE, AN_NET_TRAIN, AN_WEIGHT_AUTO,
                       1.0, &b->net, &err),
         &err);
    snprintf(path, sizeof path, "%s/expect.safetensors", folder_of(name));
    must(an_st_open(path, &b->expect, &err), &err);
    const int32_t *ids = expected(b, "ids", "");
    for (int n = 0; n < COLUMNS; n++) {
        int at = n / SEQUENCE * (SEQUENCE + 1) + n % SEQUENCE;
        an_net_inputs(b->net)[n] = ids[at];
        an_net_targets(b->net)[n] = ids[at + 1];
    }
}

static void close_bench(bench *b)
{
    an_net_free(b->net);
    an_placed_fini(&b->p);
    an_pretrained_close(&b->from);
    an_adapter_file_close(b->adapter);
    an_st_close(b->expect);
}

/* The largest difference, as a share of the largest element. */
static double logits_error(bench *b)
{
    an_matrix m;
    an_error err = {0};
    const double *want = expected(b, "logits", "");
    int64_t vocabulary = b->p.model_facts.vocab_size;
    double worst = 0, largest = 0;
    must(an_net_forward(b->net, &m, &err), &err);
    for (int64_t v = 0; v < vocabulary; v++)
        for (int64_t n = 0; n < COLUMNS; n++) {
            const char *row = (const char *)m.data + (size_t)v * m.row_bytes;
            double came = m.dtype == AN_FP64
                              ? ((const double *)(const void *)row)[n]
                              : (double)((const float *)(const void *)row)[n];
            double d = fabs(came - want[n * vocabulary + v]);
            if (!(d <= worst)) worst = d;
            largest = fmax(largest, fabs(want[n * vocabulary + v]));
        }
    return worst / largest;
}

/* Every adapter's part of `data` (masters, or gradients times COLUMNS) against
 * the stored tensors `what`. */
static double parts_error(const bench *b, const char *what, tensor_kind kind,
                          double factor)
{
    double worst_of_all = 0;
    const an_weights *w = b->p.weights;
    for (int i = 0; i < w->n; i++) {
        const an_weight *x = &w->list[i];
        if (!an_param_in(x->param, AN_PARAMS_ADAPTERS)) continue;
        const double *data = kind == MASTERS ? x->master : x->grad;
        for (int k = 0; k < x->param->n_parts; k++) {
            const an_param_part *p = &x->param->parts[k];
            const double *want = expected(b, what, p->name);
            double worst = 0, largest = 0;
            for (int64_t r = 0; r < p->rows; r++)
                for (int64_t c = 0; c < p->columns; c++) {
                    int64_t at =
                        (p->row + r) * x->param->columns + p->column + c;
                    double y = want[r * p->columns + c];
                    worst = fmax(worst, fabs(data[at] * factor - y));
                    largest = fmax(largest, fabs(y));
                }
            if (!(worst <= 1e-6 * largest))
                fail_msg("%s: %s%s differs by %g of %g", b->name, what, p->name,
                         worst, largest);
            worst_of_all = fmax(worst_of_all, worst / largest);
        }
    }
    return worst_of_all;
}

static void run_update(bench *b)
{
    an_error err = {0};
    an_update *u = NULL;
    must(an_update_new(b->p.weights, &u, &err), &err);
    an_update_step step = {.adamw = {.lr = 0.01,
                                     .beta1 = 0.9,
                                     .beta2 = 0.95,
                                     .epsilon = 1e-8,
                                     .decay = 0.1},
                           .divisor = COLUMNS};
    must(an_update_run(u, b->p.pool, &step, &err), &err);
    an_update_free(u);
}

static void test_step_as_peft(void **state)
{
    (void)state;
    double forward = 0, backward = 0, after = 0;
    for (int i = 0; i < N_CASES; i++) {
        bench b;
        an_error err = {0};
        double nats;
        open_bench(&b, cases[i], "cpu", AN_NUMERICS_EXACT);
        double error = logits_error(&b);
        if (!(error <= 1e-6)) fail_msg("%s: logits: %g", cases[i], error);
        forward = fmax(forward, error);
        must(an_net_step(b.net, &nats, &err), &err);
        double loss = *(const double *)expected(&b, "loss", "");
        assert_true(fabs(nats / COLUMNS - loss) <= 1e-6 * loss);
        backward =
            fmax(backward, parts_error(&b, "grad.", GRADIENTS, 1.0 / COLUMNS));
        run_update(&b);
        after = fmax(after, parts_error(&b, "after.", MASTERS, 1));
        close_bench(&b);
    }
    printf("# figure: LoRA in fp64, exact: logits within %.2g of PEFT's, "
           "gradients %.2g, adapters after a step %.2g\n",
           forward, backward, after);
}

/* Narrow ports are padded for the chip, and weights are fp16 there. */
static void test_logits_fp16(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        bench b;
        open_bench(&b, cases[i], "soft:m4", AN_NUMERICS_IEEE);
        double error = logits_error(&b);
        if (!(error <= 0.02)) fail_msg("%s: logits: %g", cases[i], error);
        close_bench(&b);
    }
}

static void test_merged_as_peft(void **state)
{
    (void)state;
    int compared = 0;
    for (int i = 0; i < N_CASES; i++) {
        bench b;
        an_pretrained p;
        an_error err = {0};
        open_bench(&b, cases[i], "cpu", AN_NUMERICS_EXACT);
        must(an_pretrained_open(folder_of(cases[i]), NULL, &p, &err), &err);
        for (int k = 0; k < an_st_count(b.expect); k++) {
            const an_st_tensor *t = an_st_at(b.expect, k);
            if (strncmp(t->name, "merged.", 7) != 0) continue;
            const an_stored_tensor *came =
                an_weight_file_use(p.source, t->name + 7);
            assert_non_null(came);
            double row[64], worst = 0, largest = 0;
            assert_true(t->shape[1] <= 64);
            for (int64_t r = 0; r < t->shape[0]; r++) {
                an_stored_read(came, AN_STORED_ROWS, r, AN_FP64, row);
                for (int64_t c = 0; c < t->shape[1]; c++) {
                    double want =
                        ((const double *)t->data)[r * t->shape[1] + c];
                    worst = fmax(worst, fabs(row[c] - want));
                    largest = fmax(largest, fabs(want));
                }
            }
            if (!(worst <= 1e-6 * largest))
                fail_msg("%s: %s differs by %g", cases[i], t->name, worst);
            compared++;
        }
        an_pretrained_close(&p);
        close_bench(&b);
    }
    assert_int_equal(compared, 2 + 7 + 2 + 4);
}

/* ---- runs ---- */

static an_train_options lora_options(const char *engine, an_numerics numerics)
{
    an_train_options o = tiny_options(engine, numerics);
    o.model = NULL;
    o.init = "tests/data/models/llama3";
    o.tokenizer = "bytes";
    o.sequence = 12;
    o.lora_rank = 2;
    o.lora_targets = "all-linear";
    o.lr = 0.02;
    o.lr_min = 1;
    o.warmup = 0;
    return o;
}

/* Tokens 0 to 7 over and over. */
static const char *pattern_file(void)
{
    const char *path = scratch_path(&files, "pattern.u16");
    uint16_t tokens[4096];
    an_error err = {0};
    for (int i = 0; i < 4096; i++)
        tokens[i] = (uint16_t)(i % 8);
    must(an_file_write(path, (const char *)tokens, sizeof tokens, &err), &err);
    return path;
}

static int64_t compiles_left(const an_trainer *t)
{
    an_engine_facts facts;
    an_engine_get_facts(t->placed.engine, &facts);
    return facts.compiles_left;
}

/* In fp16 on the chip's engine: the loss falls, the model's own weights stay
 * bit for bit, nothing compiles after the start, gaps stay zero. */
static void test_run(void **state)
{
    (void)state;
    an_train_options o = lora_options("soft:m4,compiles=119", AN_NUMERICS_IEEE);
    const char *data = pattern_file();
    o.data = &data;
    an_trainer *t = open_trainer(&o);
    an_train_plan plan;
    an_trainer_get_plan(t, &plan);
    assert_int_equal(plan.weights, AN_WEIGHT_MIXED);
    assert_true(plan.lora);
    /* By hand: rank 2; q 16 to 16, k and v 16 to 8, o 16 to 16, gate and up 16
     * to 24, down 24 to 16; two layers. */
    assert_int_equal(plan.trained, 2 * 2 * (32 + 24 + 24 + 32 + 3 * 40));
    uint64_t digest = an_weights_digest(t->placed.weights);
    int64_t left = compiles_left(t);
    double first = run_step(t).loss, last = first;
    for (int i = 0; i < 19; i++)
        last = run_step(t).loss;
    if (!(last < first - 0.5)) fail_msg("loss %g, then %g", first, last);
    assert_int_equal(compiles_left(t), left);
    assert_true(an_weights_digest(t->placed.weights) == digest);
    for (int i = 0; i < t->placed.weights->n; i++) {
        const an_weight *w = &t->placed.weights->list[i];
        assert_int_equal(w->grad != NULL, w->param->adapter);
        if (strcmp(w->param->name, "layers.0.w_qkv_b") != 0) continue;
        const float *b = w->master;
        assert_int_equal(w->param->columns, 6);
        for (int64_t r = 0; r < 16; r++) /* q's rows, k's and v's columns */
            for (int64_t c = 0; c < 6; c++)
                assert_int_equal(b[r * 6 + c] != 0, c < 2);
    }
    an_trainer_close(t);
}

/* Streamed, mixed and baked weights are the same numbers. */
static void test_modes_agree(void **state)
{
    (void)state;
    static const an_weight_mode modes[] = {AN_WEIGHT_STREAM, AN_WEIGHT_MIXED,
                                           AN_WEIGHT_BAKE};
    an_trainer *t[3];
    for (int i = 0; i < 3; i++) {
        an_train_options o = lora_options("soft:m4", AN_NUMERICS_IEEE);
        o.weights = modes[i];
        t[i] = open_trainer(&o);
        for (int k = 0; k < 3; k++)
            run_step(t[i]);
        if (i > 0) expect_same_bits(t[i], t[0], MASTERS);
    }
    for (int i = 0; i < 3; i++)
        an_trainer_close(t[i]);
}

static void *load_file(const char *run, const char *name, size_t *size)
{
    char path[300];
    char *data = NULL;
    an_error err = {0};
    snprintf(path, sizeof path, "%s/%s", run, name);
    must(an_file_read(path, 1 << 24, &data, size, &err), &err);
    return data;
}

static void expect_same_file(const char *a, const char *b, const char *name)
{
    size_t n_a, n_b;
    void *x = load_file(a, name, &n_a), *y = load_file(b, name, &n_b);
    if (n_a != n_b || memcmp(x, y, n_a) != 0) fail_msg("%s differs", name);
    an_free(x);
    an_free(y);
}

static void expect_open_fails(const an_train_options *o, const char *text)
{
    an_trainer *t = NULL;
    an_error err = {0};
    assert_int_not_equal(an_trainer_open(o, &t, &err), AN_OK);
    if (!strstr(err.text, text)) fail_msg("%s", err.text);
}

static void test_resume(void **state)
{
    (void)state;
    an_train_options o = lora_options("cpu", AN_NUMERICS_IEEE);
    o.steps = 6;
    const char *whole = o.out = scratch_path(&files, "whole");
    an_trainer *t = open_trainer(&o);
    run_all(t);
    an_trainer_close(t);
    const char *cut = o.out = scratch_path(&files, "cut");
    o.stop_at = 3;
    for (int i = 0; i < 2; i++) {
        t = open_trainer(&o);
        assert_int_equal(t->progress.step, 3 * i);
        run_all(t);
        an_trainer_close(t);
        o.stop_at = 0;
    }
    expect_same_file(whole, cut, "adapter_model.safetensors");
    expect_same_file(whole, cut, "adapter_config.json");
    expect_same_file(whole, cut, "state.safetensors");
    /* Another shape, or another model under the adapters, is not this run. */
    o.lora_rank = 3;
    expect_open_fails(&o, "lora: the run in ");
    o.lora_rank = 2;
    o.init = "tests/data/models/mistral";
    expect_open_fails(&o, " another configuration");
    o.lora_rank = 0;
    o.init = "tests/data/models/llama3";
    expect_open_fails(&o, "lora-targets: is of new adapters");
    o.lora_targets = NULL;
    expect_open_fails(&o, "lora: the run in ");
    /* The run is a model of its own, and its adapters go on elsewhere. */
    an_pretrained p;
    an_error err = {0};
    must(an_pretrained_open(cut, NULL, &p, &err), &err);
    assert_non_null(p.adapter);
    an_pretrained_close(&p);
    an_train_options next = lora_options("cpu", AN_NUMERICS_IEEE);
    next.lora_rank = 0;
    next.lora_targets = NULL;
    next.adapter = cut;
    next.init = NULL;
    t = open_trainer(&next);
    assert_int_equal(an_model_lora(t->placed.model)->rank, 2);
    run_step(t);
    an_trainer_close(t);
    next.lora_rank = 2;
    expect_open_fails(&next, "lora: the adapters to begin with have a rank");
}

/* ---- files ---- */

/* PEFT's files to mlx-lm's and back: the same tensors. */
static void test_files_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        an_error err = {0};
        an_adapter_file *f = NULL, *g = NULL;
        an_pretrained p;
        const char *mlx = scratch_path(&files, cases[i]);
        must(an_dir_make(mlx, &err), &err);
        must(an_adapter_file_open(folder_of(cases[i]), &f, &err), &err);
        must(an_pretrained_open(f->base, NULL, &p, &err), &err);
        must(an_model_adapt(p.model, &f->lora, &err), &err);
        must(an_adapter_write(p.model, f->weights, AN_ADAPTER_MLX_LM, f->base,
                              mlx, &err),
             &err);
        must(an_adapter_file_open(mlx, &g, &err), &err);
        assert_int_equal(g->format, AN_ADAPTER_MLX_LM);
        assert_int_equal(g->lora.rank, f->lora.rank);
        assert_int_equal(g->lora.first_layer, f->lora.first_layer);
        assert_true(fabs(g->lora.scale - f->lora.scale) < 1e-12);
        char back[300];
        snprintf(back, sizeof back, "%s/peft", mlx);
        must(an_dir_make(back, &err), &err);
        must(an_adapter_write(p.model, g->weights, AN_ADAPTER_PEFT, NULL, back,
                              &err),
             &err);
        an_adapter_file_close(g);
        must(an_adapter_file_open(back, &g, &err), &err);
        assert_null(g->base);
        for (int k = 0; k < an_weight_file_count(f->weights); k++) {
            const an_stored_tensor *x = an_weight_file_at(f->weights, k);
            const an_stored_tensor *y = an_weight_file_use(g->weights, x->name);
            assert_non_null(y);
            size_t bytes = (size_t)(x->shape[0] * x->shape[1]) * 4;
            assert_memory_equal(x->data, y->data, bytes);
        }
        an_adapter_file_close(f);
        an_adapter_file_close(g);
        an_pretrained_close(&p);
    }
}

static void test_refused_configurations(void **state)
{
    (void)state;
    static const struct {
        const char *json, *error;
    } configs[] = {
        {"{\"peft_type\": \"LORA\", \"use_dora\": true}",
         "'use_dora' is not supported"},
        {"{\"peft_type\": \"LORA\", \"modules_to_save\": [\"lm_head\"]}",
         "'modules_to_save' is not supported"},
        {"{\"peft_type\": \"LORA\", \"bias\": \"all\"}",
         "'bias' all is not supported"},
        {"{\"peft_type\": \"LORA\", \"rank_pattern\": {\"q_proj\": 4}}",
         "'rank_pattern' is not supported"},
        {"{\"peft_type\": \"LORA\", \"init_lora_weights\": \"pissa\"}",
         "'init_lora_weights' pissa is not supported"},
        {"{\"peft_type\": \"IA3\"}", "'peft_type' IA3, expected LORA"},
        {"{\"peft_type\": \"LORA\", \"r\": 0}",
         "\"r\": expected 1 to 1024, found 0"},
        {"{\"fine_tune_type\": \"dora\"}", "'fine_tune_type' dora"},
        {"{\"fine_tune_type\": \"lora\"}", "lora_parameters"},
        {"[]", "adapter_config.json"},
    };
    const char *folder = scratch_path(&files, "refused");
    char path[300];
    an_error err = {0};
    must(an_dir_make(folder, &err), &err);
    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        an_adapter_file *f = NULL;
        err = (an_error){0};
        must(
            an_file_write(path, configs[i].json, strlen(configs[i].json), &err),
            &err);
        assert_int_not_equal(an_adapter_file_open(folder, &f, &err), AN_OK);
        if (!strstr(err.text, configs[i].error)) fail_msg("%s", err.text);
    }
}

static void test_refused_shapes(void **state)
{
    (void)state;
    static const an_lora wrong[] = {
        {.rank = 0, .scale = 1},
        {.rank = AN_LORA_MAX_RANK + 1, .scale = 1},
        {.rank = 1, .scale = 0},
        {.rank = 1, .scale = NAN},
        {.rank = 1, .scale = 1, .targets = "q_proj,"},
        {.rank = 1, .scale = 1, .targets = "lm_head"},
        {.rank = 1, .scale = 1, .targets = "input_layernorm"},
        {.rank = 1, .scale = 1, .targets = "proj"},
        {.rank = 1, .scale = 1, .first_layer = 2},
    };
    an_model *m = NULL;
    an_error err = {0};
    must(an_model_open(TINY_UNTIED, 0, &m, &err), &err);
    int n = an_model_n_params(m);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (an_model_adapt(m, &wrong[i], NULL) != AN_EINVAL)
            fail_msg("number %zu was taken", i);
    assert_int_equal(an_model_n_params(m), n);
    assert_null(an_model_lora(m));
    an_model_free(m);
}

static an_status open_merged(void *ctx, an_error *err)
{
    an_pretrained p;
    an_status s = an_pretrained_open(ctx, NULL, &p, err);
    an_pretrained_close(&p);
    return s;
}

static an_status write_text(void *ctx, an_error *err)
{
    an_model *m = NULL;
    char *text = NULL;
    const an_lora lora = {.rank = 2, .scale = 1, .targets = "all-linear"};
    an_status s = an_model_open(ctx, 0, &m, err);
    if (s == AN_OK) s = an_model_adapt(m, &lora, err);
    if (s == AN_OK)
        s = an_adapter_config_text(m, AN_ADAPTER_PEFT, "x", &text, err);
    an_text_free(text);
    an_model_free(m);
    return s;
}

static void test_no_memory(void **state)
{
    (void)state;
    char folder[] = "tests/data/adapters/qwen2", model[] = TINY_UNTIED;
    assert_true(alloc_sweep(open_merged, folder) > 0);
    assert_true(alloc_sweep(write_text, model) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_as_peft),
        cmocka_unit_test(test_logits_fp16),
        cmocka_unit_test(test_merged_as_peft),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_modes_agree),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_files_round_trip),
        cmocka_unit_test(test_refused_configurations),
        cmocka_unit_test(test_refused_shapes),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
