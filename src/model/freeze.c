/*
 * Freezing: which parameters are trained, by words.
 */
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

typedef struct word {
    const char *text;
    size_t size;
} word;

static bool is_word(word w, const char *text)
{
    return w.size == strlen(text) && memcmp(w.text, text, w.size) == 0;
}

/* What a word stands for: a block's index in layers [first, last]. */
typedef struct range {
    enum { OF_BLOCK, OF_LAYERS } what;
    int block;
    int64_t first, last;
} range;

/* "3" or "0-5". */
static bool read_layers(word w, range *out)
{
    char text[32], *end;
    if (w.size == 0 || w.size >= sizeof text) return false;
    memcpy(text, w.text, w.size);
    text[w.size] = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9) return false;
    *out = (range){.what = OF_LAYERS};
    out->first = out->last = strtoll(text, &end, 10);
    if (*end == '-') {
        digits = strspn(end + 1, "0123456789");
        if (digits == 0 || digits > 9) return false;
        out->last = strtoll(end + 1, &end, 10);
    }
    return *end == 0;
}

static an_status read_word(const an_model *model, word w, range *out,
                           an_error *err)
{
    const an_model_facts *f = &model->config.facts;
    *out = (range){.what = OF_BLOCK};
    if (is_word(w, "embed") || is_word(w, "head")) {
        out->block = is_word(w, "embed") ? AN_BLOCK_EMBED : AN_BLOCK_HEAD;
        return AN_OK;
    }
    for (int b = 0; b < an_model_n_blocks(model); b++)
        if (is_word(w, an_model_block_name(model, b))) {
            out->block = b;
            return AN_OK;
        }
    if (!read_layers(w, out))
        return an_fail(err, AN_EINVAL,
                       "freeze: expected embed, head, attention, mlp, a layer "
                       "or layers such as 0-5, came '%.*s'",
                       w.size > 40 ? 40 : (int)w.size, w.text);
    if (out->first > out->last || out->last >= f->n_layers)
        return an_fail(err, AN_EINVAL,
                       "freeze: '%.*s': the model has layers 0 to %lld",
                       (int)w.size, w.text, (long long)f->n_layers - 1);
    return AN_OK;
}

static void freeze(an_model *model, const range *r)
{
    for (int i = 0; i < model->n_params; i++) {
        an_model_param *p = &model->params[i];
        bool here = r->what == OF_BLOCK
                        ? p->block == r->block
                        : p->layer >= r->first && p->layer <= r->last;
        if (here) p->trained = false;
    }
}

an_status an_model_freeze(an_model *model, const char *parts, an_error *err)
{
    const char *at = parts;
    bool more = true;
    while (more) {
        word w = {at, strcspn(at, ",")};
        range r;
        an_status s = read_word(model, w, &r, err);
        if (s != AN_OK) return s;
        freeze(model, &r);
        more = at[w.size] == ',';
        at += w.size + more;
    }
    for (int i = 0; i < model->n_params; i++)
        if (model->params[i].trained) return AN_OK;
    return an_fail(err, AN_EINVAL, "freeze: '%.80s' leaves nothing to train",
                   parts);
}
