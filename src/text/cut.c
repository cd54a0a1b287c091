/*
 * PCRE2 in UTF and UCP mode, compiled to machine code where the system lets it,
 * with limits, since expressions come from files. Oniguruma, for which they are
 * written, differs in: \s (Unicode's White_Space; PCRE2 adds U+180E), \w
 * (letters, marks, decimal digits and connectors; PCRE2 before 10.43 has
 * neither marks nor connectors), ^ and $ (at every line), \h and classes in
 * classes, which are refused.
 * Source: doc/RE of kkos/oniguruma; pcre2pattern(3).
 */
#include "text/cut.h"

#include "base/alloc.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

enum {
    MAX_EXPRESSION = 1 << 14,
    MATCH_LIMIT = 10000000, /* steps inside one match, times the text's length
                               for the plainest of expressions */
    STACK_BYTES = 32 << 10,
    MAX_STACK_BYTES = 1 << 20,
};

struct an_cut {
    bool failed; /* memory could not be had */
    pcre2_general_context *memory;
    pcre2_code *code;
    an_cut_how how;
};

struct an_cutter {
    bool failed; /* memory could not be had */
    pcre2_general_context *memory;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static void *get_memory(size_t size, void *ctx)
{
    bool *failed = ctx;
    void *block = an_alloc(size);
    if (!block) *failed = true;
    return block;
}

static void free_memory(void *block, void *ctx)
{
    (void)ctx;
    an_free(block);
}

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
}

/* ---- translation ---- */

typedef struct rewriter {
    char text[16 * MAX_EXPRESSION];
    size_t n;
} rewriter;

static void put(rewriter *w, const char *text, size_t size)
{
    memcpy(w->text + w->n, text, size);
    w->n += size;
}

/* An escape of two bytes; `in_class`: between brackets. */
static void put_escape(rewriter *w, const char *escape, bool in_class)
{
    static const struct {
        char letter;
        const char *open, *set;
    } rows[] = {
        {'s', "[", "\\t-\\r\\x{85}\\p{Z}"},
        {'S', "[^", "\\t-\\r\\x{85}\\p{Z}"},
        {'w', "[", "\\p{L}\\p{M}\\p{Nd}\\p{Pc}"},
        {'W', "[^", "\\p{L}\\p{M}\\p{Nd}\\p{Pc}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool negated = rows[i].open[1] != 0;
        if (escape[1] != rows[i].letter || (in_class && negated)) continue;
        if (!in_class) put(w, rows[i].open, strlen(rows[i].open));
        put(w, rows[i].set, strlen(rows[i].set));
        if (!in_class) put(w, "]", 1);
        return;
    }
    put(w, escape, 2);
}

static an_status translate(const char *e, size_t size, rewriter *w,
                           an_error *err)
{
    size_t class_from = 0; /* where a ] may end the class; 0: in none */
    for (size_t i = 0; i < size; i++) {
        if (e[i] == '\\' && i + 1 < size) {
            if (e[i + 1] == 'h' || e[i + 1] == 'H')
                return an_fail(err, AN_EUNSUPPORTED,
                               "split expression: \\%c at byte %zu", e[i + 1],
                               i);
            put_escape(w, e + i++, class_from > 0);
            continue;
        }
        if (class_from > 0 &&
            (e[i] == '[' || (e[i] == '&' && i + 1 < size && e[i + 1] == '&')))
            return an_fail(err, AN_EUNSUPPORTED,
                           "split expression: a class in a class at byte %zu",
                           i);
        if (class_from > 0 && e[i] == ']' && i >= class_from)
            class_from = 0;
        else if (class_from == 0 && e[i] == '[')
            class_from = i + (i + 1 < size && e[i + 1] == '^' ? 3 : 2);
        put(w, e + i, 1);
    }
    return AN_OK;
}

/* ---- compiling ---- */

static an_status compile(an_cut *s, const rewriter *w, an_error *err)
{
    int why = 0;
    PCRE2_SIZE where = 0;
    pcre2_compile_context *context = pcre2_compile_context_create(s->memory);
    if (!context) return no_memory(err);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    s->code = pcre2_compile((PCRE2_SPTR)w->text, w->n,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE |
                                PCRE2_NEVER_BACKSLASH_C,
                            &why, &where, context);
    pcre2_compile_context_free(context);
    if (s->code) {
        /* Where the system forbids it, the code is interpreted. */
        pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE);
        return s->failed ? no_memory(err) : AN_OK;
    }
    if (s->failed) return no_memory(err);
    char text[128] = "";
    pcre2_get_error_message(why, (PCRE2_UCHAR *)text, sizeof text);
    return an_fail(err, AN_EFORMAT, "split expression: byte %zu: %s",
                   (size_t)where, text);
}

an_status an_cut_new(const char *expression, size_t size, an_cut_how how,
                     an_cut **out, an_error *err)
{
    if (size > MAX_EXPRESSION)
        return an_fail(err, AN_EFORMAT,
                       "split expression: %zu bytes, expected at most %d", size,
                       MAX_EXPRESSION);
    an_cut *s = an_alloc(sizeof *s);
    rewriter *w = an_alloc(sizeof *w);
    if (s)
        s->memory =
            pcre2_general_context_create(get_memory, free_memory, &s->failed);
    an_status status = s && w && s->memory ? AN_OK : no_memory(err);
    if (status == AN_OK) {
        s->how = how;
        status = translate(expression, size, w, err);
    }
    if (status == AN_OK) status = compile(s, w, err);
    an_free(w);
    if (status == AN_OK)
        *out = s;
    else
        an_cut_free(s);
    return status;
}

void an_cut_free(an_cut *s)
{
    if (!s) return;
    if (s->code) pcre2_code_free(s->code);
    if (s->memory) pcre2_general_context_free(s->memory);
    an_free(s);
}

an_status an_cutter_new(an_cutter **out, an_error *err)
{
    an_cutter *m = an_alloc(sizeof *m);
    if (!m) return no_memory(err);
    m->memory =
        pcre2_general_context_create(get_memory, free_memory, &m->failed);
    if (m->memory) {
        m->data = pcre2_match_data_create(1, m->memory);
        m->context = pcre2_match_context_create(m->memory);
        m->stack =
            pcre2_jit_stack_create(STACK_BYTES, MAX_STACK_BYTES, m->memory);
    }
    if (m->failed) {
        an_cutter_free(m);
        return no_memory(err);
    }
    pcre2_set_match_limit(m->context, MATCH_LIMIT);
    if (m->stack) pcre2_jit_stack_assign(m->context, NULL, m->stack);
    *out = m;
    return AN_OK;
}

void an_cutter_free(an_cutter *m)
{
    if (!m) return;
    if (m->stack) pcre2_jit_stack_free(m->stack);
    if (m->context) pcre2_match_context_free(m->context);
    if (m->data) pcre2_match_data_free(m->data);
    if (m->memory) pcre2_general_context_free(m->memory);
    an_free(m);
}

/* ---- matching ---- */

/* The next match at or after `from`; the end of the text: none. */
static an_status find(const an_cut *s, an_cutter *m, an_pieces *p, size_t from,
                      an_error *err)
{
    p->matched = true;
    p->match_begin = p->match_end = p->size;
    int n =
        pcre2_match(s->code, (PCRE2_SPTR)p->text, p->size, from,
                    PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, m->data, m->context);
    if (n == PCRE2_ERROR_NOMATCH) return AN_OK;
    if (m->failed) return no_memory(err);
    if (n < 0) {
        char text[128] = "";
        pcre2_get_error_message(n, (PCRE2_UCHAR *)text, sizeof text);
        return an_fail(err, AN_EFORMAT,
                       "split expression: byte %zu of a text: "
                       "%s",
                       from, text);
    }
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(m->data);
    /* \K may put the beginning behind the end, or back. */
    if (at[0] >= from && at[0] < at[1]) {
        p->match_begin = at[0];
        p->match_end = at[1];
    }
    return AN_OK;
}

static void give(an_pieces *p, size_t begin, size_t end)
{
    p->begin = begin;
    p->end = p->at = end;
    if (end >= p->match_end) p->matched = false;
}

an_status an_cut_next(const an_cut *s, an_cutter *m, an_pieces *p, bool *found,
                      an_error *err)
{
    an_status status = AN_OK;
    *found = false;
    while (status == AN_OK && p->at < p->size && !*found) {
        if (!p->matched) status = find(s, m, p, p->at, err);
        if (status != AN_OK) break;
        bool gap = p->match_begin > p->at;
        *found = true;
        if (s->how == AN_CUT_PREVIOUS) {
            give(p, p->at, p->match_end);
        } else if (gap && s->how != AN_CUT_MATCHES) {
            give(p, p->at, p->match_begin);
        } else if (s->how == AN_CUT_NEXT) {
            status = find(s, m, p, p->match_end, err);
            give(p, p->at, p->match_begin);
        } else if (s->how == AN_CUT_REMOVED || p->match_begin == p->size) {
            give(p, p->match_begin, p->match_end);
            *found = false;
        } else {
            give(p, p->match_begin, p->match_end);
        }
    }
    return status;
}
