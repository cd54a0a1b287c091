/* Normalizers, pre-tokenizers, post-processors and decoders of tokenizer.json.
 */
#include "text/expressions.h"
#include "text/json_parts.h"

#include <string.h>

static an_status refuse(const char *part, const char *name, an_error *err)
{
    return an_fail(err, AN_EUNSUPPORTED, "%s of kind %.60s is not read", part,
                   name);
}

static an_status type_of(const json_t *o, const char *part, const char **out,
                         an_error *err)
{
    const char *type = NULL;
    an_status s = an_json_string(o, "type", &type, err);
    if (s == AN_OK && !type)
        s = an_fail(err, AN_EFORMAT, "%s: expected an object with a type",
                    part);
    if (s == AN_OK) *out = type;
    return s;
}

typedef an_status read_part(an_tokenizer *t, const json_t *o, const char *type,
                            an_error *err);

/* One part, or a Sequence of parts under `key`. */
static an_status each(an_tokenizer *t, const json_t *o, const char *part,
                      const char *key, read_part *read, an_error *err)
{
    const char *type = NULL;
    if (!o || json_is_null(o)) return AN_OK;
    an_status s = type_of(o, part, &type, err);
    if (s != AN_OK || strcmp(type, "Sequence") != 0)
        return s == AN_OK ? read(t, o, type, err) : s;
    const json_t *list = json_object_get(o, key);
    for (size_t i = 0; s == AN_OK && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        s = type_of(one, part, &type, err);
        if (s == AN_OK) s = read(t, one, type, err);
    }
    return s;
}

static an_status add_step(an_tokenizer *t, an_step *list, int *n,
                          an_step_kind kind, const char *from, const char *to,
                          an_error *err)
{
    if (*n == AN_MAX_STEPS)
        return an_fail(err, AN_EUNSUPPORTED, "more than %d steps of a kind",
                       AN_MAX_STEPS);
    an_step st = {.kind = kind};
    st.from_size = strlen(from);
    st.to_size = strlen(to);
    st.from = an_arena_strndup(&t->arena, from, st.from_size);
    st.to = an_arena_strndup(&t->arena, to, st.to_size);
    if (!st.from || !st.to) return an_fail(err, AN_ENOMEM, "no memory");
    list[(*n)++] = st;
    return AN_OK;
}

/* ---- normalizers ---- */

static an_status read_replace(an_tokenizer *t, const json_t *o, an_error *err)
{
    const char *from = NULL, *to = NULL;
    an_status s =
        an_json_string(json_object_get(o, "pattern"), "String", &from, err);
    if (s == AN_OK) s = an_json_string(o, "content", &to, err);
    if (s == AN_OK && (!from || !from[0] || !to))
        s = an_fail(err, AN_EUNSUPPORTED,
                    "normalizer Replace: expected a pattern that is a String");
    return s == AN_OK ? add_step(t, t->steps, &t->n_steps, AN_STEP_REPLACE,
                                 from, to, err)
                      : s;
}

static an_status read_one_normalizer(an_tokenizer *t, const json_t *o,
                                     const char *type, an_error *err)
{
    const char *text = "";
    if (strcmp(type, "Replace") == 0) return read_replace(t, o, err);
    if (strcmp(type, "NFC") == 0)
        return add_step(t, t->steps, &t->n_steps, AN_STEP_NFC, "", "", err);
    if (strcmp(type, "Prepend") != 0) return refuse("normalizer", type, err);
    an_status s = an_json_string(o, "prepend", &text, err);
    return s == AN_OK ? add_step(t, t->steps, &t->n_steps, AN_STEP_PREPEND, "",
                                 text, err)
                      : s;
}

an_status an_read_normalizer(an_tokenizer *t, const json_t *o, an_error *err)
{
    an_status s =
        each(t, o, "normalizer", "normalizers", read_one_normalizer, err);
    /* Words may be cut before what stands for a blank. */
    for (int i = 0; i < t->n_steps + t->n_late; i++) {
        const an_step *st =
            i < t->n_steps ? &t->steps[i] : &t->late[i - t->n_steps];
        if (st->kind == AN_STEP_REPLACE && strcmp(st->to, AN_BLANK) == 0)
            t->blank = AN_BLANK;
    }
    return s;
}

/* ---- pre-tokenizers ---- */

static an_status read_byte_level(an_tokenizer *t, const json_t *o,
                                 an_error *err)
{
    bool prefix = true, split = true;
    t->spelling = AN_SPELLING_BYTES;
    an_status s = an_json_bool(o, "add_prefix_space", &prefix, err);
    if (s == AN_OK) s = an_json_bool(o, "use_regex", &split, err);
    if (s == AN_OK && prefix && t->n_splits > 0)
        s = an_fail(err, AN_EUNSUPPORTED,
                    "pre-tokenizer ByteLevel: add_prefix_space behind a split");
    if (s == AN_OK && prefix)
        s = add_step(t, t->late, &t->n_late, AN_STEP_PREPEND_MISSING, "", " ",
                     err);
    if (s == AN_OK && split)
        s = an_tokenizer_split(t, an_expression_gpt2, AN_CUT_ISOLATED, err);
    return s;
}

static an_status read_metaspace(an_tokenizer *t, const json_t *o, an_error *err)
{
    const char *blank = AN_BLANK, *scheme = "always";
    bool split = true, prefix = true;
    if (t->n_splits > 0)
        return an_fail(err, AN_EUNSUPPORTED,
                       "pre-tokenizer Metaspace behind a split");
    an_status s = an_json_string(o, "replacement", &blank, err);
    if (s == AN_OK) s = an_json_bool(o, "add_prefix_space", &prefix, err);
    if (s == AN_OK && !prefix) scheme = "never"; /* files of before 2024 */
    if (s == AN_OK) s = an_json_string(o, "prepend_scheme", &scheme, err);
    if (s == AN_OK) s = an_json_bool(o, "split", &split, err);
    if (s == AN_OK && strcmp(blank, AN_BLANK) != 0)
        s = an_fail(err, AN_EUNSUPPORTED,
                    "pre-tokenizer Metaspace: replacement \"%.20s\"", blank);
    if (s == AN_OK)
        s = add_step(t, t->late, &t->n_late, AN_STEP_REPLACE, " ", blank, err);
    bool first = strcmp(scheme, "first") == 0;
    if (s == AN_OK && !first && strcmp(scheme, "always") != 0 &&
        strcmp(scheme, "never") != 0)
        s = refuse("pre-tokenizer Metaspace: prepend_scheme", scheme, err);
    if (s == AN_OK && strcmp(scheme, "never") != 0)
        s = add_step(t, t->late, &t->n_late,
                     first ? AN_STEP_PREPEND_FIRST : AN_STEP_PREPEND_MISSING,
                     "", blank, err);
    if (s == AN_OK && split)
        s = an_tokenizer_split(t, AN_BLANK, AN_CUT_NEXT, err);
    return s;
}

static an_status how_of(const json_t *o, an_cut_how *out, an_error *err)
{
    static const struct {
        const char *name;
        an_cut_how how;
    } rows[] = {{"Isolated", AN_CUT_ISOLATED},
                {"Removed", AN_CUT_REMOVED},
                {"MergedWithPrevious", AN_CUT_PREVIOUS},
                {"MergedWithNext", AN_CUT_NEXT}};
    const char *name = "Isolated";
    bool invert = false;
    an_status s = an_json_string(o, "behavior", &name, err);
    if (s == AN_OK) s = an_json_bool(o, "invert", &invert, err);
    if (s != AN_OK) return s;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, name) != 0) continue;
        *out = rows[i].how;
        if (!invert || *out == AN_CUT_ISOLATED) return AN_OK;
        if (*out == AN_CUT_REMOVED) {
            *out = AN_CUT_MATCHES;
            return AN_OK;
        }
        return refuse("pre-tokenizer Split: inverted behavior", name, err);
    }
    return refuse("pre-tokenizer Split: behavior", name, err);
}

/* A text as an expression that matches it. */
static an_status quote(an_arena *arena, const char *text, const char **out,
                       an_error *err)
{
    size_t size = strlen(text), n = 0;
    char *e = an_arena_array(arena, size + 1, 2);
    if (!e) return an_fail(err, AN_ENOMEM, "no memory");
    for (size_t i = 0; i < size; i++) {
        if (strchr("\\^$.[]|()?*+{}#-", text[i])) e[n++] = '\\';
        e[n++] = text[i];
    }
    *out = e;
    return AN_OK;
}

static an_status read_split(an_tokenizer *t, const json_t *o, an_error *err)
{
    const json_t *pattern = json_object_get(o, "pattern");
    const char *expression = NULL, *text = NULL;
    an_cut_how how = AN_CUT_ISOLATED;
    an_status s = an_json_string(pattern, "Regex", &expression, err);
    if (s == AN_OK) s = an_json_string(pattern, "String", &text, err);
    if (s == AN_OK && text) s = quote(&t->arena, text, &expression, err);
    if (s == AN_OK && !expression)
        s = an_fail(err, AN_EFORMAT,
                    "pre-tokenizer Split: expected a pattern with Regex or "
                    "String");
    if (s == AN_OK) s = how_of(o, &how, err);
    return s == AN_OK ? an_tokenizer_split(t, expression, how, err) : s;
}

static an_status read_one_pre_tokenizer(an_tokenizer *t, const json_t *o,
                                        const char *type, an_error *err)
{
    if (strcmp(type, "ByteLevel") == 0) return read_byte_level(t, o, err);
    if (strcmp(type, "Metaspace") == 0) return read_metaspace(t, o, err);
    if (strcmp(type, "Split") == 0) return read_split(t, o, err);
    if (strcmp(type, "Digits") != 0) return refuse("pre-tokenizer", type, err);
    bool single = false;
    an_status s = an_json_bool(o, "individual_digits", &single, err);
    return s == AN_OK ? an_tokenizer_split(t, single ? "\\p{N}" : "\\p{N}+",
                                           AN_CUT_ISOLATED, err)
                      : s;
}

an_status an_read_pre_tokenizer(an_tokenizer *t, const json_t *o, an_error *err)
{
    t->spelling = AN_SPELLING_CHARACTERS;
    return each(t, o, "pre-tokenizer", "pretokenizers", read_one_pre_tokenizer,
                err);
}

/* ---- post-processors ---- */

/* The template of one text: special tokens before and behind it. */
static an_status read_template(an_tokenizer *t, const json_t *o, an_error *err)
{
    const json_t *single = json_object_get(o, "single");
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *piece = json_array_get(single, i);
        if (json_object_get(piece, "Sequence")) break;
        const char *name = NULL;
        an_status s = an_json_string(json_object_get(piece, "SpecialToken"),
                                     "id", &name, err);
        if (s != AN_OK) return s;
        if (name && t->begin < 0)
            t->begin = an_tokenizer_id(t, name, strlen(name));
    }
    return AN_OK;
}

static an_status read_one_post_processor(an_tokenizer *t, const json_t *o,
                                         const char *type, an_error *err)
{
    if (strcmp(type, "ByteLevel") == 0) return AN_OK; /* offsets alone */
    if (strcmp(type, "TemplateProcessing") == 0)
        return read_template(t, o, err);
    return refuse("post-processor", type, err);
}

an_status an_read_post_processor(an_tokenizer *t, const json_t *o,
                                 an_error *err)
{
    return each(t, o, "post-processor", "processors", read_one_post_processor,
                err);
}

/* ---- decoders ---- */

static an_status read_one_decoder(an_tokenizer *t, const json_t *o,
                                  const char *type, an_error *err)
{
    static const char *const same[] = {"ByteLevel", "Replace", "ByteFallback",
                                       "Fuse"};
    const char *scheme = "always";
    bool prefix = true;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (strcmp(type, same[i]) == 0) return AN_OK;
    if (strcmp(type, "Strip") == 0) {
        t->drops_first_space = true;
        return AN_OK;
    }
    if (strcmp(type, "Metaspace") != 0) return refuse("decoder", type, err);
    an_status s = an_json_bool(o, "add_prefix_space", &prefix, err);
    if (s == AN_OK) s = an_json_string(o, "prepend_scheme", &scheme, err);
    t->drops_first_space = prefix && strcmp(scheme, "never") != 0;
    return s;
}

an_status an_read_decoder(an_tokenizer *t, const json_t *o, an_error *err)
{
    return each(t, o, "decoder", "decoders", read_one_decoder, err);
}
