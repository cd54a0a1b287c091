/* Sources: as in expressions.c. */
#include "text/forms.h"

#include "text/expressions.h"
#include "text/json_parts.h"

#include <string.h>

enum { MOST_SPECIALS = 5 };

typedef struct form_row {
    const char *name;
    const char *splits[2];
    bool composes, ignores_merges, begins;
    /* The first ends a text; with `begins` the second begins it. */
    const char *specials[MOST_SPECIALS];
} form_row;

static const form_row forms[AN_FORM_COUNT] = {
    [AN_FORM_GPT2] = {.name = "gpt2",
                      .splits = {an_expression_gpt2},
                      .specials = {"<|endoftext|>"}},
    [AN_FORM_LLAMA3] = {.name = "llama3",
                        .splits = {an_expression_llama3},
                        .ignores_merges = true,
                        .begins = true,
                        .specials = {"<|end_of_text|>", "<|begin_of_text|>",
                                     "<|start_header_id|>", "<|end_header_id|>",
                                     "<|eot_id|>"}},
    [AN_FORM_QWEN2] = {.name = "qwen2",
                       .splits = {an_expression_qwen2},
                       .composes = true,
                       .specials = {"<|endoftext|>", "<|im_start|>",
                                    "<|im_end|>"}},
    [AN_FORM_SMOLLM] = {.name = "smollm",
                        .splits = {an_expression_digit, an_expression_gpt2},
                        .specials = {"<|endoftext|>", "<|im_start|>",
                                     "<|im_end|>"}},
};

const char *an_tokenizer_form_name(an_tokenizer_form form)
{
    return forms[form].name;
}

int an_form_n_specials(an_tokenizer_form form)
{
    int n = 0;
    while (n < MOST_SPECIALS && forms[form].specials[n])
        n++;
    return n;
}

an_status an_form_fill(an_tokenizer *t, an_tokenizer_form form, int32_t first,
                       an_error *err)
{
    const form_row *f = &forms[form];
    an_status s = AN_OK;
    t->spelling = AN_SPELLING_BYTES;
    t->ignores_merges = f->ignores_merges;
    if (f->composes)
        t->steps[t->n_steps++] =
            (an_step){.kind = AN_STEP_NFC, .from = "", .to = ""};
    for (int i = 0; s == AN_OK && i < 2 && f->splits[i]; i++)
        s = an_tokenizer_split(t, f->splits[i], AN_CUT_ISOLATED, err);
    for (int i = 0; s == AN_OK && i < an_form_n_specials(form); i++) {
        const an_added a = {.text = f->specials[i],
                            .size = strlen(f->specials[i]),
                            .id = first + i,
                            .special = true};
        s = an_added_put(t, &a, err);
    }
    t->end_of_text = first;
    if (f->begins) t->begin = first + 1;
    return s;
}
