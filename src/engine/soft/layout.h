/*
 * Where a tensor's elements are: arithmetic on dimensions and strides. Nothing
 * here touches memory; every function writes *out only when it returns true
 * (or returns nothing).
 */
#ifndef AN_ENGINE_SOFT_LAYOUT_H
#define AN_ENGINE_SOFT_LAYOUT_H

#include "mil/op.h"

typedef struct an_place {
    int buffer;     /* index among the plan's buffers; -1: nowhere */
    an_dtype dtype; /* of the elements in memory */
    int rank;
    int64_t dims[AN_MAX_RANK];
    int64_t strides[AN_MAX_RANK]; /* in elements; 0: broadcast */
    int64_t offset;               /* of the first element, in elements */
} an_place;

/* Row-major without gaps. */
an_place an_place_dense(int buffer, an_dtype dtype, const an_shape *shape);
int64_t an_place_count(const an_place *p);
bool an_place_equal(const an_place *a, const an_place *b);

/* The same elements in the same order in another shape. False: these strides
 * cannot say it. */
bool an_place_reshape(const an_place *x, int rank, const int64_t *dims,
                      an_place *out);
/* out's axis i is x's axis perm[i]. */
void an_place_transpose(const an_place *x, const int *perm, an_place *out);
/* x's axis perm[i] is out's axis i: the inverse. */
void an_place_untranspose(const an_place *x, const int *perm, an_place *out);
/* Per axis, `length` elements from `begin`, `stride` apart. */
void an_place_slice(const an_place *x, const int64_t *begin,
                    const int64_t *stride, const int64_t *length,
                    an_place *out);
/* `length` elements of one axis from `begin`. */
void an_place_part(const an_place *x, int axis, int64_t begin, int64_t length,
                   an_place *out);
/* numpy broadcast to `rank` dimensions. */
void an_place_broadcast(const an_place *x, int rank, const int64_t *dims,
                        an_place *out);

/*
 * Rewrites places of equal dimensions, visited together element by element, so
 * that there are few axes and the last is the best one to run along: axes of
 * one element go, axes are ordered by the strides of the first place, and
 * neighbours that all places see as one axis are merged. The rank is at least
 * 1 afterwards. Element order changes, the pairing does not.
 */
void an_places_simplify(int n, an_place *const *places);
/* The same without another order of the axes. */
void an_places_merge(int n, an_place *const *places);

#endif
