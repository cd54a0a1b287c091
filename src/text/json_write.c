/*
 * Any tokenizer as the text of a tokenizer.json: what other tools open. Equal
 * ranks, which a list of merges cannot say, are put in order of their ids.
 */
#include "base/alloc.h"
#include "text/json_parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct printer {
    const an_tokenizer *t;
    an_buffer out;
    an_status status; /* the first failure; nothing is printed after it */
    an_error *err;
} printer;

static void put(printer *p, const char *format, ...) AN_PRINTF(2, 3);

static void put(printer *p, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (p->status == AN_OK)
        p->status = an_buffer_put(&p->out, text, (size_t)n, p->err);
}

static void put_string(printer *p, const void *text, size_t size)
{
    const unsigned char *s = text;
    put(p, "\"");
    for (size_t i = 0, from = 0; i <= size; i++) {
        bool plain = i < size && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\';
        if (plain) continue;
        if (p->status == AN_OK)
            p->status = an_buffer_put(&p->out, s + from, i - from, p->err);
        if (i < size) put(p, "\\u%04x", (unsigned)s[i]);
        from = i + 1;
    }
    put(p, "\"");
}

/* A token's text as the file spells it. */
static void put_token(printer *p, const an_token *k)
{
    unsigned char *spelled = NULL;
    if (p->t->spelling == AN_SPELLING_BYTES) {
        spelled = an_alloc(2u * k->size + 1u);
        if (!spelled) p->status = an_fail(p->err, AN_ENOMEM, "no memory");
    }
    if (spelled)
        put_string(p, spelled, an_byte_spell(k->text, k->size, spelled));
    else if (p->status == AN_OK)
        put_string(p, k->text, k->size);
    an_free(spelled);
}

static const char *yes(bool x)
{
    return x ? "true" : "false";
}

static void put_added(printer *p)
{
    put(p, "  \"added_tokens\": [");
    for (size_t i = 0; i < p->t->n_added; i++) {
        const an_added *a = &p->t->added[i];
        put(p, "%s\n    {\"id\": %" PRId32 ", \"content\": ", i ? "," : "",
            a->id);
        put_string(p, a->text, a->size);
        put(p,
            ", \"single_word\": false, \"lstrip\": %s, \"rstrip\": %s, "
            "\"normalized\": %s, \"special\": %s}",
            yes(a->eats_left), yes(a->eats_right), yes(a->normalized),
            yes(a->special));
    }
    put(p, "],\n");
}

static void put_replace(printer *p, const char *from, const char *to)
{
    put(p, "{\"type\": \"Replace\", \"pattern\": {\"String\": ");
    put_string(p, from, strlen(from));
    put(p, "}, \"content\": ");
    put_string(p, to, strlen(to));
    put(p, "}");
}

static void put_step(printer *p, const an_step *st)
{
    switch (st->kind) {
    case AN_STEP_REPLACE:
        put_replace(p, st->from, st->to);
        break;
    case AN_STEP_NFC:
        put(p, "{\"type\": \"NFC\"}");
        break;
    case AN_STEP_SENTENCEPIECE:
        if (st->rules.n_units > 0 || st->rules.remove_extra)
            p->status = an_fail(p->err, AN_EUNSUPPORTED,
                                "a SentencePiece tokenizer that replaces "
                                "characters cannot be written as "
                                "tokenizer.json");
        if (st->rules.dummy_prefix)
            put(p, "{\"type\": \"Prepend\", \"prepend\": \"%s\"}, ", AN_BLANK);
        put_replace(p, " ", AN_BLANK);
        break;
    default:
        put(p, "{\"type\": \"Prepend\", \"prepend\": ");
        put_string(p, st->to, st->to_size);
        put(p, "}");
    }
}

static void put_normalizer(printer *p)
{
    put(p, "  \"normalizer\": ");
    if (p->t->n_steps == 0) {
        put(p, "null,\n");
        return;
    }
    put(p, "{\"type\": \"Sequence\", \"normalizers\": [");
    for (int i = 0; i < p->t->n_steps; i++) {
        if (i > 0) put(p, ", ");
        put_step(p, &p->t->steps[i]);
    }
    put(p, "]},\n");
}

static void put_pre_tokenizer(printer *p)
{
    static const char *const names[] = {"Isolated", "Removed", "Removed",
                                        "MergedWithPrevious", "MergedWithNext"};
    put(p, "  \"pre_tokenizer\": ");
    if (p->t->spelling != AN_SPELLING_BYTES) {
        put(p, "null,\n");
        return;
    }
    put(p, "{\"type\": \"Sequence\", \"pretokenizers\": [");
    for (int i = 0; i < p->t->n_splits; i++) {
        const an_cut_stage *s = &p->t->splits[i];
        put(p, "\n    {\"type\": \"Split\", \"pattern\": {\"Regex\": ");
        put_string(p, s->expression, s->size);
        put(p, "}, \"behavior\": \"%s\", \"invert\": %s},", names[s->how],
            yes(s->how == AN_CUT_MATCHES));
    }
    put(p,
        "\n    {\"type\": \"ByteLevel\", \"add_prefix_space\": %s, "
        "\"trim_offsets\": true, \"use_regex\": false}]},\n",
        yes(p->t->n_late > 0));
}

static void put_begin(printer *p)
{
    const an_token *k =
        p->t->begin >= 0 ? &p->t->vocab.tokens[p->t->begin] : NULL;
    put(p, "  \"post_processor\": ");
    if (!k) {
        put(p, "null,\n");
        return;
    }
    put(p, "{\"type\": \"TemplateProcessing\",\n    \"single\": "
           "[{\"SpecialToken\": {\"id\": ");
    put_string(p, k->text, k->size);
    put(p, ", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": "
           "0}}],\n    \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": "
           "0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}],\n    "
           "\"special_tokens\": {");
    put_string(p, k->text, k->size);
    put(p, ": {\"id\": ");
    put_string(p, k->text, k->size);
    put(p, ", \"ids\": [%" PRId32 "], \"tokens\": [", p->t->begin);
    put_string(p, k->text, k->size);
    put(p, "]}}},\n");
}

static void put_decoder(printer *p)
{
    put(p, "  \"decoder\": ");
    if (p->t->spelling == AN_SPELLING_BYTES) {
        put(p, "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
               "\"trim_offsets\": true, \"use_regex\": true},\n");
        return;
    }
    put(p, "{\"type\": \"Sequence\", \"decoders\": [");
    put_replace(p, AN_BLANK, " ");
    put(p, ", {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}");
    if (p->t->drops_first_space)
        put(p, ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, "
               "\"stop\": 0}");
    put(p, "]},\n");
}

static void put_vocab(printer *p)
{
    const an_vocab *v = &p->t->vocab;
    const char *comma = "";
    put(p, "    \"vocab\": {");
    for (size_t id = 0; id < v->n && p->status == AN_OK; id++) {
        const an_token *k = &v->tokens[id];
        if (k->type == AN_TOKEN_HOLE) continue;
        if (p->t->spelling == AN_SPELLING_BYTES && k->type != AN_TOKEN_NORMAL)
            continue; /* an added token's text is no spelling of bytes */
        put(p, "%s\n      ", comma);
        put_token(p, k);
        put(p, ": %zu", id);
        comma = ",";
    }
    put(p, "},\n");
}

static int by_rank(const void *a, const void *b)
{
    const an_pair *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    return x->right < y->right ? -1 : x->right > y->right;
}

static void put_merges(printer *p)
{
    const an_pair_table *pairs = &p->t->pairs;
    size_t n = 0;
    an_pair *list = an_alloc_array(pairs->n ? pairs->n : 1, sizeof *list);
    if (!list) {
        p->status = an_fail(p->err, AN_ENOMEM, "no memory");
        return;
    }
    for (size_t i = 0; i < pairs->n_slots; i++)
        if (pairs->slots[i].id >= 0) list[n++] = pairs->slots[i];
    qsort(list, n, sizeof *list, by_rank);
    put(p, "    \"merges\": [");
    for (size_t i = 0; i < n && p->status == AN_OK; i++) {
        put(p, "%s\n      [", i ? "," : "");
        put_token(p, &p->t->vocab.tokens[list[i].left]);
        put(p, ", ");
        put_token(p, &p->t->vocab.tokens[list[i].right]);
        put(p, "]");
    }
    put(p, "]}\n}\n");
    an_free(list);
}

static void put_model(printer *p)
{
    const an_tokenizer *t = p->t;
    put(p, "  \"model\": {\"type\": \"BPE\", \"dropout\": null, "
           "\"unk_token\": ");
    if (t->unknown >= 0)
        put_token(p, &t->vocab.tokens[t->unknown]);
    else
        put(p, "null");
    put(p,
        ", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, "
        "\"fuse_unk\": %s, \"byte_fallback\": %s, \"ignore_merges\": %s,\n",
        yes(t->fuses_unknown), yes(t->byte_fallback), yes(t->ignores_merges));
    put_vocab(p);
    if (p->status == AN_OK) put_merges(p);
}

an_status an_tokenizer_print(const an_tokenizer *t, char **text, size_t *size,
                             an_error *err)
{
    printer p = {.t = t, .err = err};
    if (t->model != AN_MODEL_BPE)
        return an_fail(err, AN_EUNSUPPORTED,
                       "a tokenizer with a unigram model cannot be written as "
                       "tokenizer.json");
    put(&p, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  "
            "\"padding\": null,\n");
    put_added(&p);
    put_normalizer(&p);
    put_pre_tokenizer(&p);
    put_begin(&p);
    put_decoder(&p);
    put_model(&p);
    if (p.status == AN_OK) {
        *text = (char *)p.out.data;
        *size = p.out.n;
    } else {
        an_buffer_fini(&p.out);
    }
    return p.status;
}
