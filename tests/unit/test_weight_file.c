/*
 * Weight files of other tools (tests/reference/weight_files.py): every format
 * gives the weights of the folder that it was made from, bit for bit, or to
 * half a step of its int8 or int4 values; and what is wrong with a file is
 * said by name.
 */
#include "alloc_fail.h"
#include "base/alloc.h"
#include "base/file.h"
#include "model/export.h"
#include "model/llama.h"
#include "model/weight_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void must(an_status s, const an_error *err)
{
    if (s != AN_OK) fail_msg("%s", err->text);
}

static an_weight_file *open_file(const char *path)
{
    an_error err = {0};
    an_weight_file *f = NULL;
    must(an_weight_file_open(path, &f, &err), &err);
    return f;
}

/* One part of a parameter, [rows, columns], as the model has it. */
static double *read_part(an_weight_file *f, const an_model_param *p,
                         const an_param_part *part)
{
    const an_stored_tensor *t = an_weight_file_use(f, part->name);
    double *out = an_alloc_array((size_t)(part->rows * p->columns), 8);
    assert_non_null(t);
    if (part->file_rank == 1) {
        an_stored_read(t, AN_STORED_ROWS, 0, AN_FP64, out);
        return out;
    }
    for (int64_t r = 0; r < part->rows; r++)
        an_stored_read(t, part->transposed ? AN_STORED_COLUMNS : AN_STORED_ROWS,
                       r, AN_FP64, out + r * p->columns);
    return out;
}

/* The largest difference of a part, as a share of its largest element. */
static double part_error(an_weight_file *a, an_weight_file *b,
                         const an_model_param *p, const an_param_part *part)
{
    double *x = read_part(a, p, part), *y = read_part(b, p, part);
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < part->rows * p->columns; i++) {
        worst = fmax(worst, fabs(x[i] - y[i]));
        largest = fmax(largest, fabs(y[i]));
    }
    an_free(x);
    an_free(y);
    return worst / largest;
}

typedef struct same {
    const char *path, *format, *folder;
    double tolerance;
} same;

static void check_same(const same *c)
{
    char path[128], folder[128];
    an_error err = {0};
    snprintf(path, sizeof path, "tests/data/weights/%s", c->path);
    snprintf(folder, sizeof folder, "tests/data/%s", c->folder);
    an_weight_file *a = open_file(path), *b = open_file(folder);
    an_model *m = NULL, *n = NULL;
    assert_string_equal(an_weight_file_format(a), c->format);
    must(an_weight_file_model(a, &m, &err), &err);
    must(an_weight_file_model(b, &n, &err), &err);
    an_model_facts f, g;
    an_model_get_facts(m, &f);
    an_model_get_facts(n, &g);
    assert_memory_equal(&f, &g, sizeof f);
    must(an_weight_file_check(a, m, &err), &err);
    must(an_weight_file_check(b, m, &err), &err);
    for (int i = 0; i < an_model_n_params(m); i++) {
        const an_model_param *p = an_model_param_at(m, i);
        for (int k = 0; k < p->n_parts; k++) {
            double error = part_error(a, b, p, &p->parts[k]);
            if (!(error <= c->tolerance))
                fail_msg("%s: %s differs by %g", c->path, p->parts[k].name,
                         error);
        }
    }
    an_model_free(m);
    an_model_free(n);
    an_weight_file_close(a);
    an_weight_file_close(b);
}

/* int8: half of 1/127, and fp16's rounding of the step. int4: half of 1/8, and
 * one whole step where the largest element is positive. bf16: half of 2^-7; a
 * factor that was divided out comes back to fp32's rounding. */
static void test_same(void **state)
{
    (void)state;
    static const same cases[] = {
        {"v0.bin", "llama2.c", "weights/pairs", 0},
        {"v0_untied.bin", "llama2.c", "weights/blocks", 0},
        {"v1.bin", "llama2.c", "weights/blocks", 0},
        {"v2.bin", "llama2.c", "weights/pairs", 0.5 / 127 + 1e-6},
        {"maderix2.bin", "BLZT", "weights/pairs", 0},
        {"orion2.bin", "BLZT", "weights/pairs", 0},
        {"maderix4.bin", "BLZT", "weights/pairs", 2e-7},
        {"f32.gguf", "GGUF", "weights/blocks", 0},
        {"f16.gguf", "GGUF", "weights/blocks", 0},
        {"bf16.gguf", "GGUF", "weights/blocks", 0},
        {"q8_0.gguf", "GGUF", "weights/blocks", 0.5 / 127 + 1e-3},
        {"q4_0.gguf", "GGUF", "weights/blocks", 0.126},
        {"gpt2_v3.bin", "llm.c", "models/gpt2", 0},
        {"gpt2_v5.bin", "llm.c", "models/gpt2", 0x1p-8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_same(&cases[i]);
}

/* ---- what is wrong ---- */

static char folder[] = "/tmp/anemone-weights-XXXXXX";

static const char *inside(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const void *data, size_t size)
{
    an_error err = {0};
    must(an_file_write(inside(name), data, size, &err), &err);
}

/* A model of one layer whose tensors are [1] and of which all are missing but
 * those of `list`. */
static void expect_refused(const an_st_tensor *list, int n, const char *text)
{
    static const char config[] =
        "{\"model_type\": \"llama\", \"hidden_size\": 2, "
        "\"intermediate_size\": 2, \"num_hidden_layers\": 1, "
        "\"num_attention_heads\": 1, \"vocab_size\": 2, "
        "\"tie_word_embeddings\": true}";
    an_error err = {0};
    an_model *m = NULL;
    put("config.json", config, sizeof config - 1);
    must(an_st_save(inside("model.safetensors"), list, n, NULL, &err), &err);
    an_weight_file *f = open_file(folder);
    must(an_weight_file_model(f, &m, &err), &err);
    an_status s = an_weight_file_check(f, m, &err);
    if (s != AN_EFORMAT || !strstr(err.text, text))
        fail_msg("%s: '%s', expected '%s'", an_status_name(s), err.text, text);
    an_model_free(m);
    an_weight_file_close(f);
}

static void test_names(void **state)
{
    (void)state;
    static const float x[8] = {1};
    static const int32_t ids[2] = {1};
#define ONE(name_, rank_, n_)                                                  \
    {.name = name_,                                                            \
     .dtype = AN_FP32,                                                         \
     .rank = rank_,                                                            \
     .shape = {n_, n_},                                                        \
     .data = x,                                                                \
     .size_bytes = rank_ == 2 ? n_ * n_ * 4 : n_ * 4}
    an_st_tensor list[] = {
        ONE("model.embed_tokens.weight", 2, 2),
        ONE("model.norm.weight", 1, 2),
        ONE("model.layers.0.input_layernorm.weight", 1, 2),
        ONE("model.layers.0.post_attention_layernorm.weight", 1, 2),
        ONE("model.layers.0.self_attn.q_proj.weight", 2, 2),
        ONE("model.layers.0.self_attn.k_proj.weight", 2, 2),
        ONE("model.layers.0.self_attn.v_proj.weight", 2, 2),
        ONE("model.layers.0.self_attn.o_proj.weight", 2, 2),
        ONE("model.layers.0.mlp.gate_proj.weight", 2, 2),
        ONE("model.layers.0.mlp.up_proj.weight", 2, 2),
        ONE("model.layers.0.mlp.down_proj.weight", 2, 2),
        ONE("model.layers.0.self_attn.q_proj.bias", 1, 2),
    };
#undef ONE
    expect_refused(list, 12,
                   "not expected: model.layers.0.self_attn.q_proj.bias");
    expect_refused(list, 10, "missing: model.layers.0.mlp.down_proj.weight");
    list[10].name = "extra";
    expect_refused(list, 11,
                   "missing: model.layers.0.mlp.down_proj.weight; not "
                   "expected: extra");
    list[10].name = "model.layers.0.mlp.down_proj.weight";
    list[10].shape[0] = 1;
    list[10].size_bytes = 8;
    expect_refused(list, 11, "shape is [1, 2], expected [2, 2]");
    list[10].rank = 1;
    list[10].shape[0] = 2;
    list[10].dtype = AN_INT32;
    list[10].data = ids;
    expect_refused(list, 11, "no float");
}

static void refuse(const void *data, size_t size, const char *text)
{
    an_error err = {0};
    an_weight_file *f = NULL;
    an_status s = an_weight_file_open_bytes(data, size, "x", &f, &err);
    if (s == AN_OK || f || !strstr(err.text, text))
        fail_msg("'%s', expected '%s'", err.text, text);
}

/* Each file cut short, and with a byte more, is refused. */
static void test_sizes(void **state)
{
    (void)state;
    static const char *const names[] = {
        "v0.bin",       "v1.bin",     "v2.bin",      "maderix2.bin",
        "maderix4.bin", "orion2.bin", "gpt2_v3.bin", "f32.gguf"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128], *data = NULL;
        size_t size = 0;
        an_error err = {0};
        snprintf(path, sizeof path, "tests/data/weights/%s", names[i]);
        must(an_file_read(path, 1 << 20, &data, &size, &err), &err);
        refuse(data, size - 5, "");
        refuse(data, size / 2, "");
        refuse(data, 3, "expected safetensors");
        if (strcmp(names[i], "f32.gguf") != 0) refuse(data, size + 1, "");
        an_free(data);
    }
}

static void test_versions(void **state)
{
    (void)state;
    int32_t llmc[256] = {20240326, 1};
    int32_t blzt[24] = {0x424C5A54, 3};
    int32_t llama[64] = {0x616b3432, 9};
    refuse(llmc, sizeof llmc, "llm.c version 1");
    refuse(blzt, sizeof blzt, "BLZT version 3");
    refuse(llama, sizeof llama, "llama2.c version 9");
    refuse("", 0, "expected safetensors");
    an_error err = {0};
    an_weight_file *f = NULL;
    assert_int_equal(an_weight_file_open("tests/data", &f, &err), AN_EIO);
    assert_non_null(strstr(err.text, "no config.json"));
}

/* An index that names files elsewhere, or no files. */
static void test_index(void **state)
{
    (void)state;
    static const char *const maps[] = {
        "{\"weight_map\": {\"a\": \"../x.safetensors\"}}",
        "{\"weight_map\": {\"a\": 3}}", "{\"weight_map\": []}", "{}"};
    char config[4096];
    size_t size = 0;
    char *text = NULL;
    an_error err = {0};
    must(an_file_read("tests/data/models/llama3/config.json", sizeof config,
                      &text, &size, &err),
         &err);
    put("config.json", text, size);
    an_free(text);
    unlink(inside("model.safetensors"));
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        an_weight_file *f = NULL;
        put("model.safetensors.index.json", maps[i], strlen(maps[i]));
        assert_int_equal(an_weight_file_open(folder, &f, &err), AN_EFORMAT);
        assert_null(f);
    }
    unlink(inside("model.safetensors.index.json"));
    put("pytorch_model.bin", "x", 1);
    an_weight_file *f = NULL;
    err = (an_error){0};
    assert_int_equal(an_weight_file_open(folder, &f, &err), AN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "pytorch_model.bin"));
}

/* ---- RoPE in GGUF ---- */

/* The list of divisors, in fp32, gives the stretching back; `original` as a
 * file may say it. */
static void expect_rope(double head_dim, double theta, an_rope want,
                        double original)
{
    float factors[64];
    an_error err = {0};
    an_config c = {.facts = {.head_dim = (int64_t)head_dim}};
    want.kind = AN_ROPE_LLAMA3;
    want.theta = theta;
    c.rope = want;
    for (int64_t i = 0; i < c.facts.head_dim / 2; i++)
        factors[i] = (float)an_rope_factor(&c, i);
    c.rope = (an_rope){.theta = theta};
    must(an_rope_from_factors(&c, factors, original, &err), &err);
    assert_int_equal(c.rope.kind, AN_ROPE_LLAMA3);
    assert_true(c.rope.factor == want.factor && c.rope.low == want.low);
    assert_true(c.rope.high == want.high && c.rope.original == want.original);
}

static void test_rope_factors(void **state)
{
    (void)state;
    const an_rope llama31 = {
        .factor = 8, .low = 1, .high = 4, .original = 8192};
    const an_rope llama32 = {
        .factor = 32, .low = 1, .high = 4, .original = 8192};
    const an_rope other = {
        .factor = 3.5, .low = 1.25, .high = 6, .original = 2048};
    expect_rope(128, 5e5, llama31, 0);
    expect_rope(64, 5e5, llama32, 0);
    expect_rope(64, 5e5, llama32, 8192);
    expect_rope(128, 1e4, other, 2048);
    an_config c = {.facts = {.head_dim = 8}, .rope = {.theta = 1e4}};
    an_error err = {0};
    const float ones[] = {1, 1, 1, 1}, wild[] = {1, 2, 1, 3}, less[] = {1, 0};
    must(an_rope_from_factors(&c, ones, 0, &err), &err);
    assert_int_equal(c.rope.kind, AN_ROPE_DEFAULT);
    assert_int_equal(an_rope_from_factors(&c, wild, 0, &err), AN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "are not Llama 3's"));
    c.rope = (an_rope){.theta = 1e4};
    assert_int_equal(an_rope_from_factors(&c, less, 0, &err), AN_EFORMAT);
}

/* ---- memory ---- */

static an_status open_and_close(void *ctx, an_error *err)
{
    an_weight_file *f = NULL;
    an_model *m = NULL;
    an_status s = an_weight_file_open(ctx, &f, err);
    if (s == AN_OK) s = an_weight_file_model(f, &m, err);
    if (s == AN_OK) s = an_weight_file_check(f, m, err);
    an_model_free(m);
    an_weight_file_close(f);
    return s;
}

static void test_no_memory(void **state)
{
    (void)state;
    static char paths[][64] = {
        "tests/data/models/llama3",        "tests/data/models/gpt2",
        "tests/data/weights/v0.bin",       "tests/data/weights/gpt2_v5.bin",
        "tests/data/weights/maderix4.bin", "tests/data/weights/q8_0.gguf"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_true(alloc_sweep(open_and_close, paths[i]) > 0);
}

typedef struct export
{
    const char *from;
    an_export_format format;
    an_export_dtype dtype;
}
export;

static an_status export_once(void *ctx, an_error *err)
{
    const export *e = ctx;
    char path[256];
    an_weight_file *f = NULL;
    an_model *m = NULL;
    snprintf(path, sizeof path, "tests/data/%s", e->from);
    an_status s = an_weight_file_open(path, &f, err);
    if (s == AN_OK) s = an_weight_file_model(f, &m, err);
    snprintf(path, sizeof path, "%s/out", folder);
    if (s == AN_OK)
        s = an_export_file(f, m, e->format, e->dtype, NULL, path, err);
    an_model_free(m);
    an_weight_file_close(f);
    return s;
}

static void test_export_no_memory(void **state)
{
    (void)state;
    export cases[] = {
        {"weights/blocks", AN_EXPORT_SAFETENSORS, AN_EXPORT_F16},
        {"weights/blocks", AN_EXPORT_LLAMA2C, AN_EXPORT_Q8_0},
        {"models/gpt2", AN_EXPORT_GGUF, AN_EXPORT_BF16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(alloc_sweep(export_once, &cases[i]) > 0);
}

/* llama2.c has one file for these weights: v0, as its own tool writes it (but
 * for the tables, which nobody reads). */
static void test_export_v0(void **state)
{
    (void)state;
    char *a = NULL, *b = NULL;
    size_t m = 0, n = 0;
    an_error err = {0};
    export e = {"weights/pairs", AN_EXPORT_LLAMA2C, AN_EXPORT_F32};
    must(export_once(&e, &err), &err);
    must(an_file_read(inside("out"), 1 << 20, &a, &m, &err), &err);
    must(an_file_read("tests/data/weights/v0.bin", 1 << 20, &b, &n, &err),
         &err);
    assert_int_equal(m, n);
    size_t tables = 16 * 4 * sizeof(float); /* at the end of a tied model */
    assert_memory_equal(a, b, n - tables);
    an_free(a);
    an_free(b);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return an_dir_remove(folder, NULL) == AN_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_rope_factors),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_export_no_memory),
        cmocka_unit_test(test_export_v0),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
