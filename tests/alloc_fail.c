/* base/alloc.c over a counting malloc; see the header. */
#include "alloc_fail.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_long live, requests, countdown;

/* True when this request is the one to fail. */
static bool fails(void)
{
    atomic_fetch_add(&requests, 1);
    return atomic_load(&countdown) > 0 && atomic_fetch_sub(&countdown, 1) == 1;
}

static void *counting_calloc(size_t n, size_t size)
{
    void *block = fails() ? NULL : calloc(n, size);
    if (block) atomic_fetch_add(&live, 1);
    return block;
}

static int counting_posix_memalign(void **out, size_t align, size_t size)
{
    int failed = fails() ? 1 : posix_memalign(out, align, size);
    if (!failed) atomic_fetch_add(&live, 1);
    return failed;
}

static void *counting_realloc(void *old, size_t size)
{
    void *block = fails() ? NULL : realloc(old, size);
    if (block && !old) atomic_fetch_add(&live, 1);
    return block;
}

static void counting_free(void *block)
{
    if (block) atomic_fetch_sub(&live, 1);
    free(block);
}

#define calloc counting_calloc
#define posix_memalign counting_posix_memalign
#define realloc counting_realloc
#define free counting_free
#include "base/alloc.c"

long alloc_live(void)
{
    return atomic_load(&live);
}

long alloc_requests(void)
{
    return atomic_load(&requests);
}

void alloc_fail_after(long n)
{
    atomic_store(&countdown, n);
}

void alloc_count_jansson(void)
{
    json_set_alloc_funcs(an_alloc, an_free);
}

/* What is wrong after one call, or NULL. */
static const char *verdict(an_status s, const an_error *err, bool met,
                           long blocks)
{
    if (blocks) return "blocks are left";
    if (!met) return s == AN_OK ? NULL : "fails without a failed request";
    if (s != AN_ENOMEM) return "does not return AN_ENOMEM";
    return err->text[0] ? NULL : "has no text";
}

long alloc_sweep(an_status (*fn)(void *ctx, an_error *err), void *ctx)
{
    for (long n = 1;; n++) {
        an_error err = {0};
        long before = alloc_live();
        alloc_fail_after(n);
        an_status s = fn(ctx, &err);
        bool met = atomic_load(&countdown) <= 0;
        alloc_fail_after(0);
        const char *wrong = verdict(s, &err, met, alloc_live() - before);
        if (wrong) {
            fprintf(stderr, "allocation %ld: %s (%s: %s)\n", n, wrong,
                    an_status_name(s), err.text);
            return -1;
        }
        if (!met) return n - 1;
    }
}
