/*
 * Configurations, the list of parameters, first values.
 */
#include "alloc_fail.h"
#include "anemone/model.h"

#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h> /* macOS declares mkdtemp here */
#include <string.h>

#include <cmocka.h>

static char folder[] = "/tmp/anemone-model-XXXXXX";

static const char *put(const char *text)
{
    static char path[256];
    an_error err = {0};
    snprintf(path, sizeof path, "%s/config.json", folder);
    if (an_file_write(path, text, strlen(text), &err) != AN_OK)
        fail_msg("%s", err.text);
    return path;
}

static an_model *open_model(const char *name)
{
    an_error err = {0};
    an_model *m = NULL;
    if (an_model_open(name, 0, &m, &err) != AN_OK) fail_msg("%s", err.text);
    return m;
}

/* V D + L (4 D^2 + 3 D F + 2 D) + D where key-value heads are heads. */
static void test_presets(void **state)
{
    (void)state;
    const struct {
        const char *name;
        int64_t n_params, sequence;
    } want[] = {
        {"small", 257 * 128 + 4 * (3 * 128 * 128 + 3 * 128 * 352 + 256) + 128,
         128},
        {"base", 257 * 512 + 8 * (4 * 512 * 512 + 3 * 512 * 1408 + 1024) + 512,
         512},
        {"layer768",
         32000 * 768 + (4 * 768 * 768 + 3 * 768 * 2048 + 1536) + 768, 512},
        {"stories110m", 109529856, 256}, /* llama2.c's number */
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        an_model *m = open_model(want[i].name);
        an_model_facts f;
        an_model_get_facts(m, &f);
        assert_int_equal(f.n_params, want[i].n_params);
        assert_int_equal(f.sequence, want[i].sequence);
        assert_true(f.tied);
        an_model_free(m);
    }
}

/* A preset's text opens to the same model. */
static void test_config_text(void **state)
{
    (void)state;
    const char *const names[] = {"small", "base", "layer768", "stories110m"};
    for (size_t i = 0; i < 4; i++) {
        an_model *m = open_model(names[i]), *again;
        char *text = NULL, *text_again = NULL;
        assert_int_equal(an_model_config_text(m, &text, NULL), AN_OK);
        again = open_model(put(text));
        assert_int_equal(an_model_config_text(again, &text_again, NULL), AN_OK);
        assert_string_equal(text, text_again);
        an_model_facts f, g;
        an_model_get_facts(m, &f);
        an_model_get_facts(again, &g);
        assert_int_equal(f.n_params, g.n_params);
        an_text_free(text);
        an_text_free(text_again);
        an_model_free(m);
        an_model_free(again);
    }
}

#define SIZES                                                                  \
    "\"hidden_size\": 48, \"intermediate_size\": 80, "                         \
    "\"num_hidden_layers\": 3, \"num_attention_heads\": 6, "                   \
    "\"vocab_size\": 100"
#define CONFIG(more)                                                           \
    "{\"model_type\": \"llama\", \"bos_token_id\": 1, " SIZES more "}"

static void test_defaults(void **state)
{
    (void)state;
    an_model *m = open_model(put(CONFIG(", \"rope_scaling\": null")));
    an_model_facts f;
    an_model_get_facts(m, &f);
    assert_int_equal(f.n_kv_heads, 6);
    assert_int_equal(f.head_dim, 8);
    assert_int_equal(f.sequence, 2048);
    assert_false(f.tied);
    an_model_free(m);
    assert_int_equal(an_model_open(put(CONFIG("")), 257, &m, NULL), AN_OK);
    an_model_get_facts(m, &f);
    assert_int_equal(f.vocab_size, 257);
    an_model_free(m);
}

static void expect_refused(const char *text, an_status want,
                           const char *message)
{
    an_error err = {0};
    an_model *m = NULL;
    an_status s = an_model_open(put(text), 0, &m, &err);
    if (s != want || !strstr(err.text, message) || m)
        fail_msg("%s: status %s, '%s', expected %s, '%s'", text,
                 an_status_name(s), err.text, an_status_name(want), message);
}

static void test_refused(void **state)
{
    (void)state;
    const an_status bad = AN_EFORMAT, no = AN_EUNSUPPORTED;
    expect_refused("[]", bad, "object");
    expect_refused("{" SIZES "}", bad, "model_type");
    expect_refused("{\"model_type\": \"phi\", " SIZES "}", no, "model_type");
    expect_refused("{\"model_type\": \"gpt2\", " SIZES "}", bad, "n_embd");
    expect_refused("{\"model_type\": \"llama\"}", bad, "hidden_size");
    expect_refused(CONFIG(", \"rope_scaling\": {\"type\": \"yarn\"}"), no,
                   "rope_scaling");
    expect_refused(CONFIG(", \"rope_scaling\": {\"type\": \"linear\"}"), bad,
                   "factor");
    expect_refused(CONFIG(", \"rope_parameters\": {\"rope_type\": "
                          "\"dynamic\", \"factor\": 2.0}"),
                   no, "rope_parameters");
    expect_refused(CONFIG(", \"layer_types\": [\"sliding_attention\"]"), no,
                   "layer_types");
    expect_refused(CONFIG(", \"attention_bias\": true"), no, "attention_bias");
    expect_refused(CONFIG(", \"sliding_window\": 16"), no, "sliding_window");
    expect_refused(CONFIG(", \"hidden_act\": \"gelu\""), no, "hidden_act");
    expect_refused(CONFIG(", \"num_key_value_heads\": 4"), bad, "divide");
    expect_refused(CONFIG(", \"num_key_value_heads\": 0"), bad,
                   "num_key_value_heads");
    expect_refused(CONFIG(", \"head_dim\": 7"), bad, "head_dim");
    expect_refused(CONFIG(", \"rms_norm_eps\": 0"), bad, "rms_norm_eps");
    expect_refused(CONFIG(", \"rope_theta\": \"x\""), bad, "rope_theta");
    expect_refused(CONFIG(", \"max_position_embeddings\": 1e3"), bad,
                   "max_position_embeddings");
    an_error err = {0};
    an_model *m = NULL;
    assert_int_equal(an_model_open("tiny", 0, &m, &err), AN_EINVAL);
    assert_non_null(strstr(err.text, "small, base, layer768, stories110m"));
}

/* Parts cover the rows of each parameter, in order. */
static void test_params(void **state)
{
    (void)state;
    an_model *m = open_model(put(CONFIG(", \"num_key_value_heads\": 2")));
    int n = an_model_n_params(m);
    int64_t total = 0;
    assert_int_equal(n, 3 * 6 + 3);
    for (int i = 0; i < n; i++) {
        const an_model_param *p = an_model_param_at(m, i);
        int64_t row = 0;
        for (int k = 0; k < p->n_parts; k++) {
            assert_int_equal(p->parts[k].row, row);
            assert_int_equal(p->parts[k].file_rank, p->columns == 1 ? 1 : 2);
            row += p->parts[k].rows;
        }
        assert_int_equal(row, p->rows);
        assert_int_equal(an_shape_count(&p->shape), p->rows * p->columns);
        assert_int_equal(p->decay, p->columns > 1);
        total += p->rows * p->columns;
    }
    an_model_facts f;
    an_model_get_facts(m, &f);
    assert_int_equal(f.n_params, total);

    const an_model_param *p = an_model_param_at(m, 1 + 6 + 1);
    assert_string_equal(p->name, "layers.1.w_qkv");
    assert_string_equal(p->port, "w_qkv");
    assert_int_equal(p->n_parts, 3);
    assert_string_equal(p->parts[1].name,
                        "model.layers.1.self_attn.k_proj.weight");
    assert_int_equal(p->parts[1].row, 48);
    assert_int_equal(p->parts[1].rows, 16);
    assert_string_equal(an_model_param_at(m, 0)->parts[0].name,
                        "model.embed_tokens.weight");
    assert_string_equal(an_model_param_at(m, n - 2)->parts[0].name,
                        "model.norm.weight");
    assert_string_equal(an_model_param_at(m, n - 1)->parts[0].name,
                        "lm_head.weight");
    an_model_free(m);
}

static void test_init(void **state)
{
    (void)state;
    an_model *m = open_model("small");
    enum { COUNT = 20000 };
    static float a[COUNT], b[COUNT];
    for (int i = 0; i < an_model_n_params(m); i++) {
        const an_model_param *p = an_model_param_at(m, i);
        int64_t n = p->rows * p->columns < COUNT ? p->rows * p->columns : COUNT;
        double sum = 0, square = 0, count = (double)n;
        an_model_init_param(m, i, 5, 0, n, a);
        an_model_init_param(m, i, 5, 77, n - 77, b);
        assert_memory_equal(a + 77, b, (size_t)(n - 77) * sizeof *a);
        for (int64_t k = 0; k < n; k++) {
            sum += (double)a[k];
            square += (double)a[k] * (double)a[k];
        }
        if (p->columns == 1) {
            assert_true(sum == count && square == count);
            continue;
        }
        bool residual = strstr(p->name, "w_o") || strstr(p->name, "w_down");
        double std = residual ? 0.02 / sqrt(8) : 0.02;
        /* Five deviations of mean and of the estimated deviation. */
        assert_true(fabs(sum / count) < 5 * std / sqrt(count));
        assert_true(fabs(sqrt(square / count) / std - 1) < 5 / sqrt(2 * count));
        an_model_init_param(m, i, 6, 0, n, b);
        assert_memory_not_equal(a, b, 64);
        an_model_init_param(m, i == 0 ? 2 : 0, 5, 0, 64, b);
        assert_memory_not_equal(a, b, 64);
    }
    an_model_free(m);
}

static an_status open_and_print(void *ctx, an_error *err)
{
    an_model *m = NULL;
    char *text = NULL;
    an_status s = an_model_open(ctx, 0, &m, err);
    if (s == AN_OK) s = an_model_config_text(m, &text, err);
    if (s == AN_OK) an_text_free(text);
    an_model_free(m);
    return s;
}

static void test_no_memory(void **state)
{
    (void)state;
    char preset[] = "stories110m", path[256];
    assert_true(alloc_sweep(open_and_print, preset) > 0);
    snprintf(path, sizeof path, "%s", put(CONFIG("")));
    assert_true(alloc_sweep(open_and_print, path) > 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state)
{
    (void)state;
    return an_dir_remove(folder, NULL) == AN_OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),   cmocka_unit_test(test_config_text),
        cmocka_unit_test(test_defaults),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_params),    cmocka_unit_test(test_init),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
