/*
 * anemone export: a model's weights in a format of other tools.
 */
#include "cli/commands.h"

#include "base/file.h"
#include "model/export.h"
#include "text/gguf.h"
#include "train/pretrained.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct values {
    const char *checkpoint, *adapter, *tokenizer, *out;
    bool merge;
    int format; /* an_export_format, and behind them an_adapter_format */
    an_export_dtype dtype;
} values;

static const char *format_choice(int i)
{
    return i < AN_EXPORT_FORMATS
               ? an_export_format_name((an_export_format)i)
               : an_adapter_format_name(
                     (an_adapter_format)(i - AN_EXPORT_FORMATS));
}

static const char *dtype_choice(int i)
{
    return an_export_dtype_name((an_export_dtype)i);
}

static const an_option options[] = {
    {.section = "Options",
     .name = "checkpoint",
     .metavar = "PATH",
     .type = AN_OPTION_TEXT,
     .required = true,
     AN_AT(values, checkpoint),
     .help = "run folder, or one step's folder in it; a folder of Hugging "
             "Face's; or a file (safetensors, GGUF, llama2.c's or llm.c's "
             ".bin, BLZT)"},
    {.name = "adapter",
     .metavar = "DIR",
     .type = AN_OPTION_TEXT,
     .preset = "those of --checkpoint",
     AN_AT(values, adapter),
     .help = "adapters of the model: a folder of PEFT's, mlx-lm's or a LoRA "
             "run"},
    {.name = "merge",
     .type = AN_OPTION_FLAG,
     AN_AT(values, merge),
     .help = "add the adapters to the weights; without it they go to peft or "
             "mlx-lm alone"},
    {.name = "to",
     .metavar = "FORMAT",
     .type = AN_OPTION_CHOICE,
     .choice = format_choice,
     AN_AT(values, format),
     .help =
         "safetensors (a folder as Hugging Face's), llama2c (f32 for its "
         "run, q8_0 for its runq) or gguf (with the tokenizer, for llama.cpp); "
         "of adapters peft or mlx-lm (a folder)"},
    {.name = "dtype",
     .metavar = "TYPE",
     .type = AN_OPTION_CHOICE,
     .choice = dtype_choice,
     AN_AT(values, dtype),
     .help = "f32, f16, bf16 or q8_0"},
    {.name = "out",
     .metavar = "PATH",
     .type = AN_OPTION_TEXT,
     .required = true,
     AN_AT(values, out),
     .help = "file, or for safetensors, peft and mlx-lm a folder that is not "
             "there yet"},
    {.name = "tokenizer",
     .metavar = "FILE",
     .type = AN_OPTION_TEXT,
     .preset = "the one beside the model",
     AN_AT(values, tokenizer),
     .help = "a tokenizer's file, or the word bytes"},
};

static void defaults(void *v)
{
    *(values *)v = (values){0};
}

/* An adapted model says what adapters there are. */
static an_status write_adapters(const values *o, an_pretrained *p,
                                const char *folder, an_error *err)
{
    an_adapter_format format =
        (an_adapter_format)(o->format - AN_EXPORT_FORMATS);
    an_status s = an_model_adapt(p->model, &p->adapter->lora, err);
    return s == AN_OK
               ? an_adapter_write(p->model, p->adapter->weights, format,
                                  o->adapter ? o->checkpoint : p->adapter->base,
                                  folder, err)
               : s;
}

static an_status write_model(const values *o, const an_pretrained *p,
                             const char *folder, an_error *err)
{
    char path[4096];
    char *config = NULL;
    an_status s = an_model_config_text(p->model, &config, err);
    if (s == AN_OK) {
        snprintf(path, sizeof path, "%s/config.json", folder);
        s = an_file_write(path, config, strlen(config), err);
    }
    if (s == AN_OK && p->tokenizer) {
        snprintf(path, sizeof path, "%s/tokenizer.json", folder);
        s = an_tokenizer_save(p->tokenizer, path, err);
    }
    if (s == AN_OK) {
        snprintf(path, sizeof path, "%s/model.safetensors", folder);
        s = an_export_file(p->source, p->model, AN_EXPORT_SAFETENSORS, o->dtype,
                           NULL, path, err);
    }
    an_text_free(config);
    return s;
}

/* The files of a folder, in one that is not under its name yet. */
static an_status fill_folder(const values *o, an_pretrained *p,
                             const char *folder, an_error *err)
{
    an_status s = an_dir_remove(folder, err);
    if (s == AN_OK) s = an_dir_make(folder, err);
    if (s == AN_OK)
        s = o->format < AN_EXPORT_FORMATS ? write_model(o, p, folder, err)
                                          : write_adapters(o, p, folder, err);
    return s == AN_OK ? an_dir_sync(folder, err) : s;
}

static an_status export_folder(const values *o, an_pretrained *p, an_error *err)
{
    char folder[4000];
    int n = snprintf(folder, sizeof folder, "%s.tmp", o->out);
    if (n < 0 || (size_t)n >= sizeof folder)
        return an_fail(err, AN_EINVAL, "out: path of %zu bytes",
                       strlen(o->out));
    if (an_path_exists(o->out))
        return an_fail(err, AN_EIO, "%s: is there already", o->out);
    an_status s = fill_folder(o, p, folder, err);
    if (s == AN_OK && rename(folder, o->out) != 0)
        s = an_fail(err, AN_EIO, "%s: cannot rename: %s", o->out,
                    strerror(errno));
    if (s != AN_OK) an_dir_remove(folder, NULL);
    return s;
}

/* The tokenizer comes along where llama.cpp has one that gives the same ids. */
static an_status export_gguf(const values *o, const an_pretrained *p,
                             an_error *err)
{
    an_buffer bytes = {0};
    an_gguf_keys keys = {0};
    an_error why = {0};
    an_model_facts facts;
    an_status s = AN_OK;
    an_model_get_facts(p->model, &facts);
    if (p->tokenizer)
        s = an_tokenizer_gguf(p->tokenizer, facts.vocab_size, &bytes, &keys.n,
                              &why);
    if (s == AN_EUNSUPPORTED)
        fprintf(stderr, "anemone export: without tokenizer: %s\n", why.text);
    keys.data = bytes.data;
    keys.size = bytes.n;
    bool whole = s == AN_OK && p->tokenizer;
    if (s != AN_OK && s != AN_EUNSUPPORTED)
        s = an_fail(err, s, "%s", why.text);
    else
        s = an_export_file(p->source, p->model, AN_EXPORT_GGUF, o->dtype,
                           whole ? &keys : NULL, o->out, err);
    an_buffer_fini(&bytes);
    return s;
}

/* What is exported is what there is: weights, adapters, or both as one. */
static an_status check_parts(const values *o, const an_pretrained *p,
                             an_error *err)
{
    bool adapters = o->format >= AN_EXPORT_FORMATS;
    if (adapters && (!p->adapter || o->merge))
        return an_fail(err, AN_EINVAL, "to: %s is of adapters, and %s",
                       format_choice(o->format),
                       o->merge ? "--merge makes weights of them"
                                : "the model has none");
    if (o->merge && !p->adapter)
        return an_fail(err, AN_EINVAL, "merge: the model has no adapters");
    if (!adapters && p->adapter && !o->merge)
        return an_fail(err, AN_EINVAL,
                       "to: %s takes whole weights: --merge adds the adapters "
                       "to them; peft and mlx-lm take the adapters alone",
                       format_choice(o->format));
    return AN_OK;
}

static int export(const an_call *call, const void *v)
{
    const values *o = v;
    an_error err = {0};
    an_pretrained p;
    an_status s = an_pretrained_open(o->checkpoint, o->tokenizer, &p, &err);
    if (s == AN_OK && o->adapter) s = an_pretrained_adapt(&p, o->adapter, &err);
    if (s == AN_OK) s = check_parts(o, &p, &err);
    if (s == AN_OK &&
        (o->format == AN_EXPORT_SAFETENSORS || o->format >= AN_EXPORT_FORMATS))
        s = export_folder(o, &p, &err);
    else if (s == AN_OK && o->format == AN_EXPORT_GGUF)
        s = export_gguf(o, &p, &err);
    else if (s == AN_OK)
        s = an_export_file(p.source, p.model, (an_export_format)o->format,
                           o->dtype, NULL, o->out, &err);
    an_pretrained_close(&p);
    return s == AN_OK ? 0 : an_call_fail(call, &err);
}

const an_command an_command_export = {
    .name = "export",
    .summary = "write a model's weights for other tools",
    .about = "Writes the weights of a model in a format that other tools open. "
             "What is written is whole or not there.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = export,
};
