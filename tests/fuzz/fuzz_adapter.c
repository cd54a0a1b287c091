/*
 * Fuzz target: adapters of PEFT and mlx-lm. The configuration ends at the first
 * byte 0; what is left is the tensors' file. What is accepted is laid over a
 * tiny model; every refusal has a line.
 */
#include "base/file.h"
#include "base/json.h"
#include "model/adapter_file.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    char folder[64], config[96], weights[2][112];
} files;

static void remove_files(void)
{
    an_dir_remove(files.folder, NULL);
}

static void make_folder(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(files.folder, sizeof files.folder, "%.40s/fuzz-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(files.folder) == NULL) abort();
    snprintf(files.config, sizeof files.config, "%s/%s", files.folder,
             AN_ADAPTER_CONFIG);
    for (int i = 0; i < AN_ADAPTER_FORMATS; i++)
        snprintf(files.weights[i], sizeof files.weights[i], "%s/%s",
                 files.folder, an_adapter_weights_name((an_adapter_format)i));
    atexit(remove_files);
}

static void put(const char *path, const uint8_t *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
}

static void check(an_status s, const an_error *err)
{
    if (s != AN_OK && (err->text[0] == '\0' || strchr(err->text, '\n') != NULL))
        abort();
}

static an_model *tiny_model(void)
{
    static const char text[] =
        "{\"model_type\": \"llama\", \"hidden_size\": 8,"
        " \"intermediate_size\": 8, \"num_hidden_layers\": 2,"
        " \"num_attention_heads\": 2, \"vocab_size\": 8,"
        " \"max_position_embeddings\": 8, \"rms_norm_eps\": 1e-5}";
    json_t *o = NULL;
    an_config c;
    an_model *m = NULL;
    if (an_json_parse(text, sizeof text - 1, "x", &o, NULL) != AN_OK ||
        an_config_read(o, "x", &c, NULL) != AN_OK ||
        an_model_new(&c, &m, NULL) != AN_OK)
        abort();
    json_decref(o);
    return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    an_adapter_file *f = NULL;
    an_error err = {0};
    if (end == NULL) return 0;
    if (files.folder[0] == '\0') make_folder();
    put(files.config, data, (size_t)(end - data));
    for (int i = 0; i < AN_ADAPTER_FORMATS; i++)
        put(files.weights[i], end + 1, size - (size_t)(end + 1 - data));
    check(an_adapter_file_open(files.folder, &f, &err), &err);
    if (f == NULL) return 0;
    an_model *m = tiny_model();
    err = (an_error){0};
    an_status s = an_model_adapt(m, &f->lora, &err);
    check(s, &err);
    if (s == AN_OK) check(an_weight_file_check(f->weights, m, &err), &err);
    an_model_free(m);
    an_adapter_file_close(f);
    return 0;
}
