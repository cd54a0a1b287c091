/*
 * Reads just enough of the grammar to find statements, the values that they
 * define and the values that they read: brackets, "TYPE NAME, TYPE NAME =
 * OP(..)[..];". Anything else in the text is passed over, since it may be what
 * is wrong.
 */
#include "lower/cut_text.h"

#include "base/alloc.h"
#include "mil/lex.h"

#include <string.h>

typedef struct span {
    const char *at, *end;
} span;

/* A value that a statement or the list of parameters declares. */
typedef struct declared {
    span type, name;
    int statement; /* -1: a parameter */
} declared;

typedef struct statement {
    span all, call; /* call: what stands behind the "=" */
    bool constant, kept;
} statement;

typedef struct cutter {
    an_lexer lexer;
    an_token token; /* the next one */
    span header;    /* what stands before the first function */
    span head;      /* "func main<ios18>" of the function at hand */
    int target;     /* the statement with the place; -1: none yet */
    int line, column;
    statement *statements;
    size_t n_statements, cap_statements;
    declared *values;
    size_t n_values, cap_values;
    bool no_memory;
} cutter;

static void next(cutter *c)
{
    c->token = an_lexer_next(&c->lexer);
}

static bool at_sign(const cutter *c, const char *signs)
{
    return c->token.kind == AN_TOKEN_SIGN && c->token.size == 1 &&
           strchr(signs, c->token.text[0]) != NULL;
}

/* After a byte of no token the lexer knows no way on. */
static bool at_end(const cutter *c)
{
    return c->token.kind == AN_TOKEN_END || c->token.kind == AN_TOKEN_BAD;
}

static bool is_at_or_before(const an_token *t, int line, int column)
{
    return t->line < line || (t->line == line && t->column <= column);
}

static int depth_after(const cutter *c, int depth)
{
    if (at_sign(c, "(<[{")) return depth + 1;
    return at_sign(c, ")>]}") ? depth - 1 : depth;
}

static void declare(cutter *c, span type, span name, int by)
{
    if (!an_grow(&c->values, &c->cap_values, c->n_values, sizeof *c->values))
        c->no_memory = true;
    else
        c->values[c->n_values++] = (declared){type, name, by};
}

/* Reads "TYPE NAME, TYPE NAME" up to a sign of `ends` outside of brackets. */
static void read_declared(cutter *c, const char *ends, int by)
{
    const char *start = c->token.text;
    span last = {NULL, NULL};
    for (int depth = 0; !at_end(c); next(c)) {
        bool outside = depth == 0;
        if (outside && (at_sign(c, ",") || at_sign(c, ends))) {
            if (last.at > start) declare(c, (span){start, last.at}, last, by);
            if (!at_sign(c, ",")) return;
            start = c->token.text + 1;
        }
        depth = depth_after(c, depth);
        last = (span){c->token.text, c->token.text + c->token.size};
    }
}

static bool is_constant(const an_token *op)
{
    return an_token_is(op, "const") ||
           (op->size > 10 && strncmp(op->text, "constexpr_", 10) == 0);
}

/* The token is the statement's first. */
static void read_statement(cutter *c)
{
    statement s = {.all = {c->token.text, NULL}};
    int index = (int)c->n_statements;
    bool begins = is_at_or_before(&c->token, c->line, c->column);
    read_declared(c, "=", index);
    if (!at_end(c)) next(c);
    s.call.at = c->token.text;
    s.constant = is_constant(&c->token);
    while (!at_end(c) && !at_sign(c, ";"))
        next(c);
    if (at_end(c)) return;
    s.call.end = s.all.end = c->token.text + 1;
    if (begins && !is_at_or_before(&c->token, c->line, c->column - 1))
        c->target = index;
    next(c);
    if (!an_grow(&c->statements, &c->cap_statements, c->n_statements,
                 sizeof *c->statements))
        c->no_memory = true;
    else
        c->statements[c->n_statements++] = s;
}

static void skip_to(cutter *c, const char *sign)
{
    for (int depth = 0; !at_end(c) && !(depth == 0 && at_sign(c, sign));
         next(c))
        depth = depth_after(c, depth);
}

/* The token is "func". Ends behind the statement with the place. */
static void read_function(cutter *c)
{
    c->n_statements = c->n_values = 0;
    c->head.at = c->token.text;
    skip_to(c, "(");
    c->head.end = c->token.text;
    if (!at_end(c)) next(c);
    read_declared(c, ")", -1);
    if (!at_end(c)) next(c);
    skip_to(c, "{");
    if (!at_end(c)) next(c);
    while (!at_end(c) && !at_sign(c, "}") && c->target < 0 && !c->no_memory)
        read_statement(c);
}

/* Reads functions until one has the place. */
static void find_place(cutter *c, const char *text)
{
    c->header = (span){text, NULL};
    for (next(c); !at_end(c) && c->target < 0 && !c->no_memory; next(c)) {
        if (!an_token_is(&c->token, "func")) continue;
        if (c->header.end == NULL) c->header.end = c->token.text;
        read_function(c);
        if (c->target >= 0) return;
    }
}

/* ---- what the statement reads ---- */

static bool same(span a, span b)
{
    size_t size = (size_t)(a.end - a.at);
    return size == (size_t)(b.end - b.at) && memcmp(a.at, b.at, size) == 0;
}

/* The values that the call of a statement reads: names that no "=" follows.
 * Marks them in `read`, by index of the value. */
static void mark_read(const cutter *c, int index, bool *read)
{
    span call = c->statements[index].call;
    an_lexer lexer;
    an_lexer_init(&lexer, call.at, (size_t)(call.end - call.at));
    an_token t = an_lexer_next(&lexer);
    while (t.kind != AN_TOKEN_END && t.kind != AN_TOKEN_BAD) {
        const an_token name = t;
        t = an_lexer_next(&lexer);
        if (name.kind != AN_TOKEN_NAME || an_token_is_sign(&t, '=')) continue;
        const span s = {name.text, name.text + name.size};
        for (size_t i = 0; i < c->n_values; i++)
            if (c->values[i].statement < index && same(c->values[i].name, s))
                read[i] = true;
    }
}

/* Constants may read constants, which stand before them. */
static void mark_kept(cutter *c, bool *read)
{
    c->statements[c->target].kept = true;
    for (int i = c->target; i >= 0; i--) {
        if (!c->statements[i].kept) continue;
        mark_read(c, i, read);
        for (size_t v = 0; v < c->n_values; v++) {
            int by = c->values[v].statement;
            if (read[v] && by >= 0 && c->statements[by].constant)
                c->statements[by].kept = true;
        }
    }
}

/* ---- the text ---- */

static void put(char *out, size_t *n, span s)
{
    memcpy(out + *n, s.at, (size_t)(s.end - s.at));
    *n += (size_t)(s.end - s.at);
}

static void put_text(char *out, size_t *n, const char *text)
{
    put(out, n, (span){text, text + strlen(text)});
}

static void put_params(const cutter *c, const bool *read, char *out, size_t *n)
{
    bool first = true;
    put_text(out, n, "(");
    for (size_t i = 0; i < c->n_values; i++) {
        const declared *v = &c->values[i];
        if (!read[i]) continue;
        if (v->statement >= 0 && c->statements[v->statement].kept) continue;
        if (!first) put_text(out, n, ", ");
        first = false;
        span type = v->type;
        while (type.at < type.end && strchr(" \t\r\n", *type.at) != NULL)
            type.at++;
        put(out, n, type);
        put(out, n, v->name);
    }
    put_text(out, n, ") {\n");
}

static void put_results(const cutter *c, char *out, size_t *n)
{
    bool first = true;
    put_text(out, n, "        } -> (");
    for (size_t i = 0; i < c->n_values; i++) {
        if (c->values[i].statement != c->target) continue;
        if (!first) put_text(out, n, ", ");
        first = false;
        put(out, n, c->values[i].name);
    }
    put_text(out, n, ");\n}\n");
}

static char *compose(const cutter *c, const bool *read, size_t size)
{
    /* Every piece of the text is there once, results' names twice; with each
     * come a few characters of ours. */
    char *out = an_alloc(2 * size + 64 + 32 * (c->n_values + c->n_statements));
    size_t n = 0;
    if (out == NULL) return NULL;
    put(out, &n, c->header);
    put(out, &n, c->head);
    put_params(c, read, out, &n);
    for (size_t i = 0; i < c->n_statements; i++) {
        if (!c->statements[i].kept) continue;
        put_text(out, &n, "            ");
        put(out, &n, c->statements[i].all);
        put_text(out, &n, "\n");
    }
    put_results(c, out, &n);
    return out;
}

an_status an_cut_text(const char *text, size_t size, int line, int column,
                      char **out, an_error *err)
{
    cutter c = {.target = -1, .line = line, .column = column};
    char *composed = NULL;
    bool *read = NULL;
    an_lexer_init(&c.lexer, text, size);
    find_place(&c, text);
    if (c.target >= 0 && !c.no_memory) {
        read = an_alloc_array(c.n_values + 1, sizeof *read);
        if (read != NULL) {
            mark_kept(&c, read);
            composed = compose(&c, read, size);
        }
        c.no_memory = composed == NULL;
    }
    an_free(read);
    an_free(c.values);
    an_free(c.statements);
    if (c.no_memory) return an_fail(err, AN_ENOMEM, "cut: no memory");
    *out = composed;
    return AN_OK;
}
