/*
 * Terminals and UTF-8. Sequences follow RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF; C1 controls (U+0080..U+009F) count as
 * control characters, because some terminals obey them.
 */
#include "cli/terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

an_terminal an_terminal_of(FILE *file)
{
    const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
    an_terminal t = {0};
    setlocale(LC_CTYPE, "");
    t.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    t.live = isatty(fileno(file)) && term != NULL && strcmp(term, "dumb") != 0;
    t.color = t.live && (plain == NULL || plain[0] == '\0');
    return t;
}

int an_terminal_width(FILE *file)
{
    struct winsize size;
    if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static size_t replace(char *out)
{
    memcpy(out, "\xEF\xBF\xBD", 3); /* U+FFFD */
    return 3;
}

/* Bytes of the sequence that starts with `byte`, 0: none does. */
static int sequence_size(unsigned char byte)
{
    if (byte < 0x80) return 1;
    if (byte >= 0xC2 && byte <= 0xDF) return 2;
    if (byte >= 0xE0 && byte <= 0xEF) return 3;
    if (byte >= 0xF0 && byte <= 0xF4) return 4;
    return 0;
}

/* May `byte` follow in the sequence held so far? The second byte decides
 * about overlong forms, surrogates and range. */
static bool continues(const an_clean *c, unsigned char byte)
{
    unsigned char first = c->held[0], low = 0x80, high = 0xBF;
    if (c->n_held == 1) {
        if (first == 0xE0) low = 0xA0;
        if (first == 0xED) high = 0x9F;
        if (first == 0xF0) low = 0x90;
        if (first == 0xF4) high = 0x8F;
    }
    return byte >= low && byte <= high;
}

static bool is_control(const unsigned char *bytes, int n)
{
    if (n == 1)
        return bytes[0] == 0x7F ||
               (bytes[0] < ' ' && bytes[0] != '\n' && bytes[0] != '\t');
    return n == 2 && bytes[0] == 0xC2 && bytes[1] < 0xA0;
}

static size_t flush_held(an_clean *c, char *out)
{
    size_t n = (size_t)c->n_held;
    if (c->n_held < c->n_wanted || is_control(c->held, c->n_held))
        n = replace(out);
    else
        memcpy(out, c->held, n);
    c->n_held = c->n_wanted = 0;
    return n;
}

static size_t put_byte(an_clean *c, unsigned char byte, char *out)
{
    size_t n = 0;
    if (c->n_held > 0 && !continues(c, byte)) n = flush_held(c, out);
    if (c->n_held == 0) {
        c->n_wanted = sequence_size(byte);
        if (c->n_wanted == 0) return n + replace(out + n);
    }
    c->held[c->n_held++] = byte;
    return c->n_held == c->n_wanted ? n + flush_held(c, out + n) : n;
}

size_t an_clean_put(an_clean *c, const char *bytes, size_t size, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += put_byte(c, (unsigned char)bytes[i], out + n);
    return n;
}

size_t an_clean_end(an_clean *c, char *out)
{
    return c->n_held > 0 ? flush_held(c, out) : 0;
}

void an_clean_print(an_clean *c, const char *bytes, size_t size, FILE *file)
{
    enum { PIECE = 256 };
    char out[3 * (PIECE + 4)];
    while (size > 0) {
        size_t n = size < PIECE ? size : PIECE;
        fwrite(out, 1, an_clean_put(c, bytes, n, out), file);
        bytes += n;
        size -= n;
    }
}
