/*
 * SentencePiece's tokenizer.model, a ModelProto: pieces, trainer and
 * normalizer. Source: src/sentencepiece_model.proto of google/sentencepiece.
 */
#include "text/pieces.h"
#include "text/protobuf.h"

#include <math.h>
#include <string.h>

/* A piece leads the file: field 1 with its text, field 1, first. */
static bool is_model(const char *path, const unsigned char *data, size_t size)
{
    (void)path;
    return size > 4 && data[0] == 0x0a && data[1] > 2 && data[1] < 0x80 &&
           data[2] == 0x0a && data[3] < data[1];
}

typedef struct spec {
    bool dummy_prefix, remove_extra, escape;
    int64_t model, unknown, begin, end;
    an_proto table;
} spec;

/* ---- pieces ---- */

static an_status read_piece(an_tokenizer *t, int64_t id, an_proto p,
                            an_error *err)
{
    /* By the proto's numbers. */
    static const an_token_type types[] = {
        AN_TOKEN_HOLE, AN_TOKEN_NORMAL, AN_TOKEN_UNKNOWN, AN_TOKEN_CONTROL,
        AN_TOKEN_USER, AN_TOKEN_UNUSED, AN_TOKEN_BYTE};
    an_proto text = {(const unsigned char *)"", (const unsigned char *)""};
    float score = 0;
    uint64_t type = 1;
    an_proto_field f;
    bool found = true;
    an_status s;
    while ((s = an_proto_next(&p, &f, &found, err)) == AN_OK && found) {
        if (f.number == 1 && f.wire == 2) text = f.bytes;
        if (f.number == 2 && f.wire == 5) score = an_proto_float(&f);
        if (f.number == 3 && f.wire == 0) type = f.value;
    }
    if (s != AN_OK) return s;
    if (type < 1 || type > 6 || !isfinite(score))
        return an_fail(err, AN_EFORMAT, "piece %lld: type %llu, score %g",
                       (long long)id, (unsigned long long)type, (double)score);
    size_t size = (size_t)(text.end - text.at);
    return an_piece_put(t, id, (const char *)text.at, size, score, types[type],
                        err);
}

/* ---- trainer and normalizer ---- */

static an_status read_trainer(an_tokenizer *t, an_proto p, spec *m,
                              an_error *err)
{
    an_proto_field f;
    bool found = true;
    an_status s;
    while ((s = an_proto_next(&p, &f, &found, err)) == AN_OK && found) {
        if (f.wire != 0) continue;
        switch (f.number) {
        case 3:
            m->model = (int64_t)f.value;
            break;
        case 24:
            if (f.value)
                return an_fail(err, AN_EUNSUPPORTED,
                               "treat_whitespace_as_suffix is not read");
            break;
        case 35:
            t->byte_fallback = f.value != 0;
            break;
        case 40:
            m->unknown = (int32_t)f.value;
            break;
        case 41:
            m->begin = (int32_t)f.value;
            break;
        case 42:
            m->end = (int32_t)f.value;
            break;
        default:
            break;
        }
    }
    return s;
}

static an_status read_normalizer(an_proto p, spec *m, an_error *err)
{
    an_proto_field f;
    bool found = true;
    an_status s;
    while ((s = an_proto_next(&p, &f, &found, err)) == AN_OK && found) {
        if (f.number == 2 && f.wire == 2) m->table = f.bytes;
        if (f.wire != 0) continue;
        if (f.number == 3) m->dummy_prefix = f.value != 0;
        if (f.number == 4) m->remove_extra = f.value != 0;
        if (f.number == 5) m->escape = f.value != 0;
    }
    return s;
}

/* uint32 bytes of the double array, the array, then the replacements. */
static an_status read_table(an_tokenizer *t, an_proto table, an_sp_rules *r,
                            an_error *err)
{
    size_t size = (size_t)(table.end - table.at);
    if (size == 0) return AN_OK;
    uint32_t n = size < 4 ? 0
                          : table.at[0] | (uint32_t)table.at[1] << 8 |
                                (uint32_t)table.at[2] << 16 |
                                (uint32_t)table.at[3] << 24;
    if (n < 4 || n % 4 || n > size - 4)
        return an_fail(err, AN_EFORMAT,
                       "normalizer: a table of %zu bytes says %lu for its "
                       "array",
                       size, (unsigned long)n);
    char *copy =
        an_arena_strndup(&t->arena, (const char *)table.at + 4, size - 4);
    if (!copy) return an_fail(err, AN_ENOMEM, "no memory");
    r->units = (unsigned char *)copy;
    r->n_units = n / 4;
    r->replacements = copy + n;
    r->n_replacements = size - 4 - n;
    return AN_OK;
}

static an_status put_step(an_tokenizer *t, const spec *m, an_error *err)
{
    an_step *st = &t->steps[0];
    *st = (an_step){.kind = AN_STEP_SENTENCEPIECE, .from = "", .to = ""};
    st->rules.dummy_prefix = m->dummy_prefix;
    st->rules.remove_extra = m->remove_extra;
    st->rules.escape = m->escape;
    t->n_steps = 1;
    t->takes_any_bytes = true;
    t->drops_first_space = m->dummy_prefix || m->remove_extra;
    an_status s = read_table(t, m->table, &st->rules, err);
    size_t n_bytes = 0;
    for (size_t i = 0; i < t->n_added; i++)
        n_bytes += t->added[i].size;
    if (s == AN_OK) s = an_trie_init(&t->kept, n_bytes, err);
    for (size_t i = 0; s == AN_OK && i < t->n_added; i++)
        if (!t->added[i].special)
            s = an_trie_put(&t->kept, t->added[i].text, t->added[i].size,
                            (int32_t)i, err);
    if (t->kept.n > 1) st->rules.kept = &t->kept;
    return s;
}

static int32_t special(const an_tokenizer *t, int64_t id)
{
    return id >= 0 && (size_t)id < t->vocab.n ? (int32_t)id : -1;
}

/* The kind of model stands behind the pieces, which depend on it. */
static an_status read_specs(an_tokenizer *t, an_proto p, spec *m, an_error *err)
{
    static const char *const models[] = {"", "unigram", "bpe", "word", "char"};
    an_proto_field f;
    bool found = true;
    an_status s;
    while ((s = an_proto_next(&p, &f, &found, err)) == AN_OK && found) {
        if (f.wire != 2) continue;
        if (f.number == 2) s = read_trainer(t, f.bytes, m, err);
        if (f.number == 3) s = read_normalizer(f.bytes, m, err);
        if (s != AN_OK) return s;
    }
    if (s != AN_OK) return s;
    if (m->model != 1 && m->model != 2)
        return an_fail(err, AN_EUNSUPPORTED,
                       "a SentencePiece model of kind %s; unigram and bpe are "
                       "read",
                       m->model > 0 && m->model < 5 ? models[m->model]
                                                    : "unknown");
    t->model = m->model == 1 ? AN_MODEL_UNIGRAM : AN_MODEL_BPE;
    return AN_OK;
}

static an_status read_model(an_tokenizer *t, const char *path,
                            const unsigned char *data, size_t size,
                            an_error *err)
{
    (void)path;
    an_proto p = {data, data + size};
    spec m = {.dummy_prefix = true,
              .remove_extra = true,
              .escape = true,
              .model = 1,
              .begin = 1,
              .end = 2};
    t->spelling = AN_SPELLING_CHARACTERS;
    an_proto_field f;
    bool found = true;
    int64_t id = 0;
    an_status s = read_specs(t, p, &m, err);
    while (s == AN_OK && (s = an_proto_next(&p, &f, &found, err)) == AN_OK &&
           found)
        if (f.number == 1 && f.wire == 2) s = read_piece(t, id++, f.bytes, err);
    if (s == AN_OK) s = an_pieces_index(t, err);
    if (s == AN_OK) s = put_step(t, &m, err);
    if (s != AN_OK) return s;
    if (!m.escape) t->blank = NULL;
    t->unknown = special(t, m.unknown);
    t->begin = special(t, m.begin);
    t->end_of_text = special(t, m.end);
    return t->unknown >= 0
               ? an_tokenizer_keep_source(t, "tokenizer.model", data, size, err)
               : an_fail(err, AN_EFORMAT, "no piece stands for the unknown");
}

const an_tokenizer_row an_tokenizer_sentencepiece_row = {
    .name = "SentencePiece", .is = is_model, .read = read_model};
