/*
 * The allocator of base/alloc.h for tests: counts blocks and fails the n-th
 * request. Every unit test is linked with it in place of the library's own.
 *
 *     static an_status parse(void *ctx, an_error *err)
 *     {
 *         an_module *m = NULL;
 *         an_status s = an_mil_parse(text, size, "x", &m, err);
 *         an_module_free(m);
 *         return s;
 *     }
 *     ...
 *     assert_true(alloc_sweep(parse, NULL) > 0);
 */
#ifndef ALLOC_FAIL_H
#define ALLOC_FAIL_H

#include "anemone/status.h"

/*
 * Calls fn with the 1st, 2nd, ... request failing until a call meets none.
 * Every call with a failed request must return AN_ENOMEM with a text, the last
 * one AN_OK, and each must leave as many blocks as it found. Returns the number
 * of requests; at the first violation prints it and returns -1.
 */
long alloc_sweep(an_status (*fn)(void *ctx, an_error *err), void *ctx);

/* Blocks that are allocated now. */
long alloc_live(void);
/* Requests since the start: two equal readings mean nothing was allocated. */
long alloc_requests(void);
/* Makes the n-th request from now fail; 0: none. */
void alloc_fail_after(long n);
/* Lets jansson allocate here as well, so that a sweep reaches it. */
void alloc_count_jansson(void);

#endif
