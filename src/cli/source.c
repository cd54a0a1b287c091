/*
 * Showing an error in its source line. Lines of compiled models are up to 35
 * kB long: a window around the column is shown.
 */
#include "cli/source.h"

#include "base/alloc.h"
#include "base/file.h"
#include "mil/load.h"

#include <string.h>

enum {
    WINDOW = 76,        /* columns of a source line that are shown */
    MAX_TEXT = 1 << 30, /* bytes of a program */
};

an_status an_source_open(const char *path, an_source_text *source,
                         an_module **module, an_error *err)
{
    an_status s = an_mil_find(path, &source->path, err);
    if (s == AN_OK)
        s = an_file_read(source->path, MAX_TEXT, &source->text, &source->size,
                         err);
    if (s != AN_OK) return s;
    return an_mil_parse(source->text, source->size, source->path, module, err);
}

void an_source_close(an_source_text *source)
{
    an_free(source->path);
    an_free(source->text);
    *source = (an_source_text){0};
}

an_status an_source_folder(const an_source_text *source, char *out, size_t size,
                           an_error *err)
{
    const char *path = source->path, *slash = strrchr(path, '/');
    size_t length = slash != NULL ? (size_t)(slash - path) + 1 : 1;
    if (length >= size)
        return an_fail(err, AN_EINVAL, "the path is too long: '%.80s...'",
                       path);
    memcpy(out, slash != NULL ? path : ".", length);
    out[length] = '\0';
    return AN_OK;
}

/* The line's bytes without its end; false: the text has no such line. */
static bool find_line(const an_source_text *source, int line, const char **out,
                      size_t *size)
{
    const char *at = source->text, *end = source->text + source->size;
    for (int i = 1; i < line; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (at == NULL) return false;
        at++;
    }
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    *out = at;
    *size = (size_t)((stop != NULL ? stop : end) - at);
    return true;
}

/* One column per byte, so that the caret stands right. */
static void print_plain(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)bytes[i];
        fputc(c == '\t' ? ' ' : c < ' ' || c > '~' ? '?' : c, stderr);
    }
}

void an_source_show(const an_source_text *source, int line, int column)
{
    const char *text = NULL;
    size_t size = 0, at = column > 0 ? (size_t)column - 1 : 0, from = 0;
    if (source->text == NULL || !find_line(source, line, &text, &size)) return;
    if (at > size) at = size;
    if (at > WINDOW / 2 && size > WINDOW) {
        from = at - WINDOW / 2;
        if (size - from < WINDOW) from = size - WINDOW;
    }
    size_t shown = size - from < WINDOW ? size - from : WINDOW;
    const char *before = from > 0 ? "..." : "";
    fprintf(stderr, "    %s", before);
    print_plain(text + from, shown);
    fprintf(stderr, "%s\n%*s^\n", from + shown < size ? "..." : "",
            (int)(4 + strlen(before) + at - from), "");
}

int an_source_fail(const an_call *call, const an_source_text *source,
                   const an_error *err)
{
    if (err->line <= 0) return an_call_fail(call, err);
    size_t size = strlen(source->path);
    bool named = strncmp(err->text, source->path, size) == 0;
    fprintf(stderr, "%s%s%s\n", named ? "" : source->path, named ? "" : ":",
            err->text);
    an_source_show(source, err->line, err->column);
    return 1;
}
