/* Stop strings over a text that comes in pieces. */
#include "train/stop.h"

#include "base/alloc.h"

#include <string.h>

an_status an_stop_init(an_stop *s, const char *const *strings, int n_strings,
                       an_sample_fn *put, void *ctx, an_error *err)
{
    *s = (an_stop){
        .strings = strings, .n_strings = n_strings, .put = put, .ctx = ctx};
    for (int i = 0; i < n_strings; i++)
        if (strings[i][0] == '\0')
            return an_fail(err, AN_EINVAL, "a stop string is empty");
    return AN_OK;
}

/* Where the first stop string begins in the held text; n_held: there is none.
 */
static size_t find(const an_stop *s)
{
    for (size_t at = 0; at < s->n_held; at++)
        for (int i = 0; i < s->n_strings; i++) {
            size_t n = strlen(s->strings[i]);
            if (n <= s->n_held - at &&
                memcmp(s->held + at, s->strings[i], n) == 0)
                return at;
        }
    return s->n_held;
}

/* Does the text from `at` on begin a stop string? */
static bool may_stop(const an_stop *s, size_t at)
{
    size_t n = s->n_held - at;
    for (int i = 0; i < s->n_strings; i++)
        if (strncmp(s->strings[i], s->held + at, n) == 0) return true;
    return false;
}

/* Passes on the first n held bytes. */
static void pass(an_stop *s, size_t n)
{
    if (n == 0) return; /* nothing may be held yet */
    if (!s->put(s->ctx, s->held, n)) s->stopped = true;
    memmove(s->held, s->held + n, s->n_held - n);
    s->n_held -= n;
}

an_status an_stop_put(an_stop *s, const char *bytes, size_t size, an_error *err)
{
    if (s->stopped || size == 0) return AN_OK;
    if (!an_grow(&s->held, &s->capacity, s->n_held + size, 1))
        return an_fail(err, AN_ENOMEM, "sample: no memory");
    memcpy(s->held + s->n_held, bytes, size);
    s->n_held += size;
    size_t found = find(s), keep = 0;
    if (found < s->n_held) {
        pass(s, found);
        s->n_held = 0;
        s->stopped = true;
        return AN_OK;
    }
    while (keep < s->n_held && !may_stop(s, keep))
        keep++;
    pass(s, keep);
    return AN_OK;
}

void an_stop_end(an_stop *s)
{
    if (!s->stopped) pass(s, s->n_held);
    an_free(s->held);
    *s = (an_stop){0};
}
