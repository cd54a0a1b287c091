/*
 * Fuzz target: adapters of PEFT and mlx-lm. The configuration ends at the first
 * byte 0; what is left is the tensors' file. What is accepted is laid over a
 * tiny model; every refusal has a line.
 */
#include "base/json.h"
#include "model/adapter_file.h"
#include "model/model.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char config[96], weights[AN_ADAPTER_FORMATS][112];

static void name_files(void)
{
    snprintf(config, sizeof config, "%s/%s", scratch, AN_ADAPTER_CONFIG);
    for (int i = 0; i < AN_ADAPTER_FORMATS; i++)
        snprintf(weights[i], sizeof weights[i], "%s/%s", scratch,
                 an_adapter_weights_name((an_adapter_format)i));
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
    if (scratch_begin()) name_files();
    scratch_put(config, data, (size_t)(end - data));
    for (int i = 0; i < AN_ADAPTER_FORMATS; i++)
        scratch_put(weights[i], end + 1, size - (size_t)(end + 1 - data));
    must_have_line(an_adapter_file_open(scratch, &f, &err), &err);
    if (f == NULL) return 0;
    an_model *m = tiny_model();
    err = (an_error){0};
    an_status s = an_model_adapt(m, &f->lora, &err);
    must_have_line(s, &err);
    if (s == AN_OK)
        must_have_line(an_weight_file_check(f->weights, m, &err), &err);
    an_model_free(m);
    an_adapter_file_close(f);
    return 0;
}
