/*
 * Fuzz target: config.json. What is accepted makes a model, whose own
 * config.json is accepted too and says the same; every refusal has a line.
 */
#include "anemone/mil.h"

#include "base/json.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_LAYERS = 64 }; /* a model lists its tensors */

static an_status read_config(const char *text, size_t size, an_config *out,
                             an_error *err)
{
    json_t *file = NULL;
    an_status s = an_json_parse(text, size, "config.json", &file, err);
    if (s == AN_OK) s = an_config_read(file, "config.json", out, err);
    json_decref(file);
    return s;
}

/* The model's config.json, or NULL. */
static char *print_config(const an_config *c)
{
    an_model *m = NULL;
    char *text = NULL;
    an_error err = {0};
    if (an_model_new(c, &m, &err) != AN_OK) {
        if (err.text[0] == '\0') abort();
        return NULL;
    }
    if (an_model_config_text(m, &text, &err) != AN_OK) abort();
    an_model_free(m);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_config c, again;
    an_error err = {0};
    if (read_config((const char *)data, size, &c, &err) != AN_OK) {
        if (err.text[0] == '\0' || strchr(err.text, '\n') != NULL) abort();
        return 0;
    }
    if (c.facts.n_layers > MAX_LAYERS) return 0;
    char *text = print_config(&c);
    if (text == NULL) return 0;
    if (read_config(text, strlen(text), &again, &err) != AN_OK) abort();
    char *second = print_config(&again);
    if (second == NULL || strcmp(text, second) != 0) abort();
    an_text_free(second);
    an_text_free(text);
    return 0;
}
